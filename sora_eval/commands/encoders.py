"""`sora-eval encoders`: what the bundled encoders discriminate, and from which severity of a corruption on."""

from __future__ import annotations

import shlex
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from tqdm import tqdm

from sora_eval.config import out_folder, whole, workers_of
from sora_eval.validity import encoder_sensitivity


def main(config: DictConfig) -> int:
    """Write the table and return 1 where an encoder misses what it claims."""
    from sora_eval.reporting.validity.encoders import write_encoders

    count, folder = whole(config, "count", 8), out_folder(config)
    done = encoder_sensitivity.every(count, workers_of(config))
    parts = list(tqdm(done, total=len(encoder_sensitivity.DAMAGES), unit="damage"))
    command = shlex.join(["sora-eval", "encoders", *HydraConfig.get().overrides.task])
    readme = Path(config.readme) if config.readme else None
    missed = write_encoders(parts, encoder_sensitivity.exams(count), folder, command, count, readme)
    for r in missed:
        print(f"missed: {r.encoder} on {r.damage.name}, Spearman {r.rho:.2f}")
    print(f"table: {folder / 'encoders.md'}")
    return 1 if missed else 0
