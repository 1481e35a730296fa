"""`sora-eval encoders`: what the bundled encoders discriminate, and from which severity of a corruption on."""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from sora_eval.config import Call, EncodersConfig, out_folder
from sora_eval.validity import encoder_sensitivity


def main(config: EncodersConfig, call: Call) -> int:
    """Write the table and return 1 where an encoder misses what it claims."""
    from sora_eval.reporting.validity.encoders import write_encoders

    count, folder = config.count, out_folder(config.out)
    done = encoder_sensitivity.every(count, config.workers or call.cores)
    parts = list(tqdm(done, total=len(encoder_sensitivity.DAMAGES), unit="damage"))
    readme = Path(config.readme) if config.readme else None
    missed = write_encoders(parts, encoder_sensitivity.exams(count), folder, call.command, count, readme)
    for r in missed:
        print(f"missed: {r.encoder} on {r.damage.name}, Spearman {r.rho:.2f}")
    print(f"table: {folder / 'encoders.md'}")
    return 1 if missed else 0
