"""What all probes of long clips share: lengths of their own, and the frames of a clip that belong to one take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from sora_eval.probes.appearances import MAX_GAP_S
from sora_eval.probes.base import Probe, UnjudgeableError
from sora_eval.stats.change_point import NO_CHANGE, ChangePoint, change_point
from sora_eval.tracking.continuity import Continuity, continuity, spans
from sora_eval.types import Bools, Case, Floats, Score, Tracks, Video

_DISORDER = 0.25
"""Disorder of frames (`Continuity`) from which on they follow each other in no order: .02 to .1 in true clips, .5 in shuffled ones."""
_LONG_ENOUGH = 0.8
"""Share of the length of a case that a clip must have."""


class LongRange(Probe):
    """What all share: lengths of their own, and the share of a clip up to which it holds."""

    suite = "long_range"
    version = 2
    unit = "share of the clip for which the claim holds, 0 to 1"
    lengths_s: ClassVar[tuple[int, ...]] = (5, 10)
    blind_modes = ("t2v", "i2v", "v2v")

    def score(self, case: Case, video: Video, tracks: Tracks) -> Score:
        """Return the score of a clip; one that is much shorter than the case is not judged: what lasts long is the claim."""
        if reason := too_short(case, video):
            return Score(None, reason)
        return super().score(case, video, tracks)


def too_short(case: Case, video: Video) -> str:
    """Return that a clip is much shorter than its case, "" where it is not, or has too few frames to be judged at all."""
    lasts_s, due_s = len(video) / video.fps, case.frames / case.fps
    short = len(video) >= 5 and lasts_s < _LONG_ENOUGH * due_s
    return f"the clip lasts {lasts_s:.1f} s of {due_s:.1f}" if short else ""


def in_order(video: Video) -> Continuity:
    """Return how the frames of a clip that should be one take, of at least three frames, follow each other.

    Raises:
        UnjudgeableError: they do not, or nothing moves in it at all.
    """
    found = continuity(video.frames, video.fps)
    if found.frozen.mean() > 0.9:
        raise UnjudgeableError("nothing moves: the clip is one frame")
    check_order(found)
    return found


def check_order(found: Continuity) -> None:
    """Refuse a clip whose frames are shuffled.

    Raises:
        UnjudgeableError: they are.
    """
    if found.disorder > _DISORDER:
        raise UnjudgeableError("the frames follow each other in no order")


def one_take(found: Continuity, may_rest: bool = False) -> Bools:
    """Return the frames [T] of a clip before its first cut that belong to no freeze and no repetition.

    may_rest: of a scene that rests at times, in which a still picture is neither.
    """
    holds = np.ones(len(found.frozen), dtype=bool) if may_rest else ~(found.frozen | found.looped)
    if found.cuts:
        holds[found.cuts[0] :] = False
    return np.asarray(holds, dtype=bool)


def breaks_s(holds: Bools, fps: float) -> float:
    """Return the time in seconds at which a claim first stops to hold for 0.4 s at least, the clip's end where it never does.

    holds: [T], the frames in which it does.
    """
    least = max(1, round(MAX_GAP_S * fps))
    first = next((a for a, b in spans(~holds) if b - a >= least), len(holds))
    return first / fps


def dilated(seen: Bools, reach: int) -> Bools:
    """Return the frames [T] within `reach` frames of a true one."""
    wide = np.convolve(seen, np.ones(2 * reach + 1))[reach : reach + len(seen)]
    return np.asarray(wide > 0.5, dtype=bool)


def interpolated(values: Floats, known: Bools) -> Floats:
    """Return values [T] with those that are not known interpolated. known: [T], at least one of them true."""
    t = np.arange(len(values))
    return np.interp(t, t[known], values[known])


def curve_changes(columns: Sequence[Floats], judged: Bools) -> list[ChangePoint]:
    """Return the change of each curve [T] in the frames `judged` [T], none of one that is known in fewer than seven of them."""
    known = [np.isfinite(c) & judged for c in columns]
    return [change_point(interpolated(c, k)) if k.sum() > 6 else NO_CHANGE for c, k in zip(columns, known, strict=True)]


def seen_frames(tracks: Tracks, colour: str, noun: str) -> Bools:
    """Return the frames [T] in which any track of an object is seen."""
    return np.asarray(tracks.visible[tracks.called(colour, noun)].any(axis=0), dtype=bool)
