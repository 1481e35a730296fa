"""Evaluation of extensions, loops, transitions and edits: the cases of suite `editing`, by its own probes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sora_eval import registry
from sora_eval.data.heldout import FRAMES, SIZE
from sora_eval.data.shards import FPS
from sora_eval.generator.reference.adapter import edited_clip
from sora_eval.generator.reference.evaluation.rows import Row, mean_rows
from sora_eval.generator.reference.sampler import Sampler
from sora_eval.generator.simulator import true_video
from sora_eval.tracking.world import track
from sora_eval.types import Case, Frames, Mode, Profile, Video
from sora_eval.world import conditioning

_PROFILE = Profile("heldout", *SIZE, FRAMES, FPS, 5)


def loop(s: Sampler, count: int) -> Iterator[Row]:
    """Measure loops."""
    yield from _probed(s, count, "endless_loop", "loop", "loop")


def connect(s: Sampler, count: int) -> Iterator[Row]:
    """Measure transitions between two clips, and from a first to a last frame."""
    yield from _probed(s, count, "transition", "connect", "connect")
    yield from _probed(s, count, "extension", "interpolate", "interpolate")


def edit(s: Sampler, count: int) -> Iterator[Row]:
    """Measure edits."""
    yield from _probed(s, count, "recolour", "edit", "edit (SDEdit, strength .8)")


def _probed(s: Sampler, count: int, name: str, mode: Mode, task: str) -> Iterator[Row]:
    """Yield the score of a probe of suite `editing`, and its components; what can't be judged scores 0 and has none."""
    probe = registry.probe(name)
    cases = probe.cases(count, _PROFILE, mode)

    def score(case: Case, frames: Frames) -> dict[str, float]:
        video = Video(frames, FPS)
        result = probe.score(case, video, track(video))
        return {"score": result.value or 0.0, **result.components}

    given = [_given(case) for case in cases]
    generated = [score(c, edited_clip(s, c, g, c.size, c.seed).frames) for c, g in zip(cases, given, strict=True)]
    true = [score(c, true_video(c).frames) for c in cases]
    held = [score(c, _held(c, g)) for c, g in zip(cases, given, strict=True)]
    yield from mean_rows(task, true[0], generated, true, held)


def _given(case: Case) -> Frames:
    frames = conditioning(case)
    assert frames is not None
    return frames


def _held(case: Case, given: Frames) -> Frames:
    """Return the given frames with the one before, or where there is none the one after, held; of an edit the source clip."""
    before = np.searchsorted(case.given_at, np.arange(case.frames), side="right") - 1
    return np.asarray(given[np.maximum(before, 0)])
