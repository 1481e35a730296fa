"""`sora-eval encoders`: what the bundled encoders discriminate, and from which severity of a corruption on."""

from __future__ import annotations

import shlex
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from tqdm import tqdm

from sora_eval.config import out_folder, whole, workers_of
from sora_eval.validity.corruptions import CORRUPTIONS
from sora_eval.validity.encoder_sensitivity import all_responses, discrimination_tests


def main(config: DictConfig) -> int:
    """Write the tables and return 1 where an encoder is not as sensitive as required."""
    from sora_eval.reporting.validity.encoders import write_encoders

    count, folder = whole(config, "count", 8), out_folder(config)
    done = all_responses(count, workers_of(config))
    parts = list(tqdm(done, total=len(CORRUPTIONS), unit="corruption"))
    command = shlex.join(["sora-eval", "encoders", *HydraConfig.get().overrides.task])
    readme = Path(config.readme) if config.readme else None
    missed = write_encoders(parts, discrimination_tests(count), folder, command, count, readme)
    for r in missed:
        print(f"missed: {r.encoder} on {r.corruption.name}, Spearman {r.rho:.2f}")
    print(f"table: {folder / 'encoders.md'}")
    return 1 if missed else 0
