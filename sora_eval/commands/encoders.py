"""`sora-eval encoders`: what the bundled encoders discriminate, and from which severity of a corruption on."""

from __future__ import annotations

from tqdm import tqdm

from sora_eval.config import Call, EncodersConfig, out_folder
from sora_eval.validity.corruptions import CORRUPTIONS
from sora_eval.validity.encoder_sensitivity import all_responses, discrimination_tests


def main(config: EncodersConfig, call: Call) -> int:
    """Write the tables and return 1 where an encoder is not as sensitive as required."""
    from sora_eval.reporting.validity.encoders import write_encoders

    count, folder = config.count, out_folder(config.out)
    done = all_responses(count, config.workers or call.cores)
    parts = list(tqdm(done, total=len(CORRUPTIONS), unit="corruption"))
    missed = write_encoders(parts, discrimination_tests(count), folder, call.command, count)
    for r in missed:
        print(f"missed: {r.encoder} on {r.corruption.name}, Spearman {r.rho:.2f}")
    print(f"table: {folder / 'encoders.md'}")
    return 1 if missed else 0
