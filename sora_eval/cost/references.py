"""Which references a run compares with, where that is left to the tool."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from sora_eval.config import RunConfig
from sora_eval.errors import ConfigError
from sora_eval.evaluation import Loop
from sora_eval.generator.base import Generator
from sora_eval.generator.simulator import reference
from sora_eval.stats.samples import asked_of
from sora_eval.types import Case, Profile
from sora_eval.world import clip, scene_of

DEFAULT = ("oracle", "frozen", "shuffled", "mirrored")
LARGE = 10_000_000
"""Pixels of a clip from which on references are made only on request: 832 x 480 x 81 has 32 million, 256 x 256 x 33 has 2."""
_FRAMES = 3


def choose_references(
    config: RunConfig, model: Generator, cases: Sequence[Case], loop: Loop
) -> tuple[tuple[str, ...], list[str]]:
    """Return the names of a run's references, and a line where some of the usual ones are left out.

    A shard has none at a large size: what is cached on one machine may not be on another. Nor have prompts without a scene.

    Raises:
        ConfigError: the generator itself is a reference, and no case has a scene.
    """
    if not any(case.scene for case in cases):
        if model.kind != "model":
            raise ConfigError(
                f"{model.name} renders scenes, and these prompts have none: choose a model, such as generator=folder"
            )
        return (), ["references: none, for prompts without a scene have no true clip"]
    if config.references is not None:
        return config.references, []
    if model.kind != "model" or not is_large(config.profile):
        return DEFAULT, []
    named = {name: reference(name) for name in DEFAULT}
    kept = [name for name, g in named.items() if config.shard is None and _all_made(g, cases, loop)]
    left = [name for name in DEFAULT if name not in kept]
    if not left:
        return DEFAULT, []
    prompts = asked_of("oracle", cases)
    minutes = reference_seconds(prompts[0], loop, len(left)) * len(prompts) / 60
    cached = f"; {', '.join(kept)} come from the cache" if kept else ""
    size = f"{config.profile.width} x {config.profile.height} x {config.profile.frames}"
    line = (
        f"references: {', '.join(left)} are left out{cached}: at {size} they take some {minutes:.0f} CPU minutes, once for all models "
        f"(sora-eval plan counts them); 'references=[{','.join(DEFAULT)}]' makes them"
    )
    return tuple(kept), [line]


def is_large(profile: Profile) -> bool:
    """Return whether the references of a profile are made only on request."""
    return profile.height * profile.width * profile.frames >= LARGE


def reference_seconds(case: Case, loop: Loop, references: int) -> float:
    """Return the CPU seconds that the references of a case take, from a few frames of it: to be rendered once, stored and tracked each."""
    rendered, judged = min((_of_frames(replace(case, frames=_FRAMES), loop) for _ in range(2)), key=sum)
    return (rendered + references * judged) * case.frames / _FRAMES


def _of_frames(case: Case, loop: Loop) -> tuple[float, float]:
    start = time.process_time()
    video = clip(scene_of(case.scene, (case.frames - 1) / case.fps), case.size, case.fps, case.frames).video
    rendered = time.process_time()
    loop.tracker.track(video, case)
    return rendered - start, time.process_time() - rendered


def _all_made(generator: Generator, cases: Sequence[Case], loop: Loop) -> bool:
    return all(loop.is_made(generator, case) for case in asked_of(generator.kind, cases))
