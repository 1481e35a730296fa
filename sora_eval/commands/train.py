"""`sora-eval train`: the bundled networks, from rendering their clips to their weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sora_eval.config import Call, TrainConfig, out_folder
from sora_eval.errors import ConfigError
from sora_eval.generator.reference.options import Plan


def main(config: TrainConfig, call: Call) -> int:
    """Train a stage or an encoder and return the exit code."""
    from sora_eval.generator.reference.stages import run

    plan = replace(config, workers=config.workers or call.cores, out=str(out_folder(config.out)))
    if config.encoder is not None:
        return _train_encoder(config.encoder, plan, config.steps)
    if config.steps is not None:
        raise ConfigError("steps is of an encoder: a stage has its own, such as autoencoder.steps or transformer.units")
    print(f"{config.stage}: {run(config.stage, plan)}")
    return 0


def _train_encoder(name: str, plan: Plan, steps: int | None) -> int:
    from sora_eval.encoders.learn import EncoderPlan, learn

    data = Path(plan.data.folder) / "training"
    weights = learn(EncoderPlan(name, data, plan.folder, plan.seed, plan.processes, steps, plan.save_s))
    print(f"{name}: {weights}")
    return 0
