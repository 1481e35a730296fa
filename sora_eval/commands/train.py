"""`sora-eval train`: the bundled networks, from rendering their clips to their weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from sora_eval.config import out_folder, values_of, whole, workers_of
from sora_eval.errors import ConfigError

if TYPE_CHECKING:
    from sora_eval.generator.reference.recipe import Plan


def main(config: DictConfig) -> int:
    """Train a stage or an encoder and return the exit code."""
    from sora_eval.generator.reference.recipe import plan_of
    from sora_eval.generator.reference.stages import run

    values = values_of(config)
    stage, encoder, steps = str(values.pop("stage")), values.pop("encoder"), values.pop("steps")
    plan = plan_of({**values, "workers": workers_of(config), "out": str(out_folder(config))})
    if encoder is not None:
        return _train_encoder(str(encoder), plan, None if steps is None else whole(config, "steps", 2))
    if steps is not None:
        raise ConfigError("steps is of an encoder: a stage has its own, such as autoencoder.steps or transformer.units")
    print(f"{stage}: {run(stage, plan)}")
    return 0


def _train_encoder(name: str, plan: Plan, steps: int | None) -> int:
    from sora_eval.encoders.learn import EncoderPlan, learn

    data = Path(plan.data.folder) / "training"
    found = learn(EncoderPlan(name, data, plan.folder, plan.seed, plan.workers, steps, plan.save_s))
    print(f"{name}: {found}")
    return 0
