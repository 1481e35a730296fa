"""What the probes of editing share: generated frames, whether change is even, and whether two frames are faded into each other."""

from __future__ import annotations

import numpy as np

from sora_eval.alignment.align import kept_at
from sora_eval.metrics.transitions.blends import mixtures
from sora_eval.metrics.transitions.steps import changes
from sora_eval.probes import helpers
from sora_eval.probes.base import Probe, UnjudgeableError
from sora_eval.types import Bools, Case, Floats, Frames, Tracks

_GHOSTS = 2
"""Frames of which the mean counts: a mixture lasts."""


class Editing(Probe):
    """Base of the probes: modes that generators name explicitly."""

    suite = "editing"
    source = "extension, loops, connected videos and edits in Brooks et al. 2024 (Sora); Meng et al. 2021 (SDEdit)"


def generated_frames(case: Case, frames: int, fps: float) -> Bools:
    """Return which frames [T] of a clip of `frames` at `fps` were generated, not given."""
    generated = np.ones(frames, dtype=bool)
    for i, (k, at) in enumerate(zip(case.keeps, kept_at(case, frames, fps), strict=True)):
        if k == i:
            generated[: at + 1] = False
        else:
            generated[at:] = False
    return generated


def there(tracks: Tracks, i: int, generated: Bools) -> float:
    """Return the score of an object's presence in the generated frames."""
    return helpers.ramp_score(1 - float(tracks.visible[i][generated].mean()), 0.05, 0.4)


def same_object(tracks: Tracks, i: int, generated: Bools, noun: str) -> dict[str, float]:
    """Return the scores of an object's outline and size in the generated frames against the given ones.

    Raises:
        UnjudgeableError: it is nowhere whole in one of the two, or its outline is not known.
    """
    whole = helpers.clear(tracks, i, [])
    if not ((whole & generated).any() and (whole & ~generated).any()):
        raise UnjudgeableError(f"the {noun} is nowhere whole in the given frames, or in the others")
    same_shape, same_size = helpers.same_look(tracks, i, whole & ~generated, whole & generated)
    return {"same_shape": same_shape, "same_size": same_size}


def alone(tracks: Tracks, colours: tuple[str, ...], least_area: float, generated: Bools) -> float:
    """Return the score of nothing else being there: one object of each colour, and no other colour, in the generated frames."""
    crowd = helpers.crowded(tracks, dict.fromkeys(colours, 1), least_area)
    return helpers.ramp_score(float(crowd[generated].mean()), 0.05, 0.4)


def even(frames: Frames, usual: float, cyclic: bool = False) -> tuple[float, float]:
    """Return the score of the largest change between frames [T, H, W, 3] beside a usual one in levels, and their ratio."""
    steps = changes(np.concatenate([frames, frames[:1]]) if cyclic else frames)
    ratio = float(steps.max() / max(usual, 0.1))
    return helpers.ramp_score(ratio, 3.0, 8.0), ratio


def unfaded(mixture: float) -> float:
    """Return the score of how far frames are mixtures: an object that moves by less than its width has up to .7, a cross-fade over .95."""
    return helpers.ramp_score(mixture, 0.8, 0.95)


def ghosts(frames: Frames, generated: Bools, reach: int, cyclic: bool = False) -> float:
    """Return how far generated frames are mixtures of those `reach` before and after them, 0 to 1; 0 where nothing changes."""
    shares = mixtures(frames, reach, cyclic)
    known = np.sort(shares[generated & np.isfinite(shares)])
    return float(known[-_GHOSTS:].mean()) if len(known) else 0.0


def reach_of(width: float, step: float, frames: int) -> int:
    """Return the frames in which an object of a width moves by 0.4 of it, at `step` per frame; at least 2, at most a quarter of a clip."""
    return int(np.clip(np.ceil(0.4 * width / max(step, 1e-6)), 2, max(2, frames // 4)))


def line(t: Floats, x: Floats) -> tuple[float, Floats]:
    """Return the slope of the straight line through points [n] (least squares), and what is left [n]."""
    slope, start = np.polyfit(t, x, 1)
    return float(slope), np.asarray(x - slope * t - start)
