"""`sora-eval train encoder=...`: trains a bundled encoder, resumable, from fixed seeds, on a set of world clips."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sora_eval.data import shards
from sora_eval.data.vocabulary import world_vocabulary
from sora_eval.encoders import perceptual, world_clip
from sora_eval.encoders.world_video import WorldVideo, WorldVideoJob, balanced
from sora_eval.errors import unknown
from sora_eval.training import checkpoints, loop


@dataclass(frozen=True)
class EncoderPlan:
    """Training of one encoder."""

    name: str
    """Name of the encoder."""
    data: Path
    """Folder of the training set."""
    out: Path
    """Folder of states, curves and weights."""
    seed: int = 0
    """Seed of all random draws."""
    workers: int = 1
    """Processes that read data."""
    steps: int | None = None
    """Training steps; None takes the default of the encoder. The learning rate falls over the last half."""
    save_s: float = 120.0
    """Seconds between two saved states."""


@dataclass(frozen=True)
class _Kind:
    network: Callable[[], nn.Module]
    job: Callable[[Any, list[shards.Shard], int], loop.Job]
    facts: Callable[[Any, list[shards.Shard], int], dict[str, Any]]
    steps: int


def _facts_of_video(network: WorldVideo, training: list[shards.Shard], seed: int) -> dict[str, Any]:
    return {"config": asdict(network.config), "weights": balanced(network, training, seed)}


KINDS: Mapping[str, _Kind] = {
    "world-video": _Kind(WorldVideo, WorldVideoJob, _facts_of_video, 1600),
    world_clip.NAME: _Kind(
        world_clip.build,
        lambda n, s, seed: world_clip.WorldClipJob(n, s, seed, world_vocabulary()),
        lambda n, s, seed: {"words": world_vocabulary().words},
        1500,
    ),
    perceptual.NAME: _Kind(perceptual.WorldPerceptual, perceptual.PerceptualJob, lambda n, s, seed: {}, 1500),
}


def learn(plan: EncoderPlan) -> Path:
    """Train an encoder and return the file of its weights.

    Raises:
        ConfigError: there is no such encoder, no set, or the folder holds a run with other settings.
    """
    if plan.name not in KINDS:
        raise unknown("encoder", plan.name, KINDS)
    folder = plan.out / plan.name
    clips = shards.read(plan.data)
    loop.carry_out(_work, plan.workers, plan)
    spent = loop.spent(folder)
    path = plan.out / f"{plan.name}.safetensors"
    kind = KINDS[plan.name]
    network, weights = kind.network(), checkpoints.tensors(folder / loop.EMA)[0]
    network.load_state_dict(weights)
    facts = {"kind": plan.name, **kind.facts(network.eval(), clips, plan.seed)}
    checkpoints.save(path, weights, facts, {"seed": plan.seed, **spent, "processes": plan.workers})
    return path


def _work(plan: EncoderPlan) -> None:
    torch.manual_seed(plan.seed)
    kind = KINDS[plan.name]
    steps = plan.steps or kind.steps
    network = kind.network().to(loop.device())
    job = kind.job(network, shards.read(plan.data), plan.seed)
    schedule = loop.Schedule(steps, warmup=100, decay=steps // 2, ema=0.998, save_s=plan.save_s)
    loop.fit(job, plan.out / plan.name, schedule, {"encoder": plan.name, "seed": plan.seed, "steps": steps})
