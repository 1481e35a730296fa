"""How objects come into a picture and leave it: over its border, from behind something, or from nowhere."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from sora_eval.probes import helpers
from sora_eval.tracking.continuity import spans
from sora_eval.types import Bools, Floats, Tracks

MAX_GAP_S = 0.4
"""Gaps in a track, in seconds, up to which nothing has gone."""
_LEAST_S = 0.375
"""Time in seconds for which something must be seen to be there: three frames of 8 per second."""


def unexplained(tracks: Tracks, named: Collection[str], least_area: float) -> tuple[int, Bools]:
    """Return how many objects come or go in plain sight, and the frames [T] in which one is there that came so, or is missing.

    named: the colours of the prompt; what has another one and may belong to the ground is not counted.
    least_area: pixels; what is smaller, by the median over its frames, is a speck and no object.
    """
    total = tracks.frames
    gap = max(1, round(MAX_GAP_S * tracks.fps))
    least = max(3, round(_LEAST_S * tracks.fps))
    bad, count = np.zeros(total, dtype=bool), 0
    names = _names(tracks)
    for name in dict.fromkeys(names):
        ids = [i for i, other in enumerate(names) if other == name and _is_object(tracks, i, named)]
        pieces = [(i, a, b) for i in ids for a, b in spans(tracks.visible[i]) if b - a >= least]
        for i, a, b in pieces:
            if np.median(tracks.area[i, a:b]) < least_area:
                continue
            others = [p for p in pieces if p != (i, a, b)]
            if a > 1 and not _explained(tracks, i, a, 1, bool(others)) and not _goes_on(tracks, others, i, a, -1, gap):
                count, bad[a:b] = count + 1, True
            if (
                b < total - 1
                and not _explained(tracks, i, b - 1, -1, bool(others))
                and not _goes_on(tracks, others, i, b - 1, 1, gap)
            ):
                count, bad[b:] = count + 1, True
    return count, bad


def _is_object(tracks: Tracks, i: int, named: Collection[str]) -> bool:
    """Return whether track i is of a colour of the prompt, or no part of the ground."""
    return tracks.ground is None or not tracks.ground[i] or tracks.colour[i] in named


def _names(tracks: Tracks) -> list[str]:
    """Return what each track is called: its colour, or its label where that is not known."""
    labels = tracks.labels or ("",) * len(tracks)
    return [colour or label for colour, label in zip(tracks.colour, labels, strict=True)]


def _explained(tracks: Tracks, i: int, k: int, inwards: int, again: bool) -> bool:
    """Return whether track i is at a border or at another object in frame k, its first or its last; a step further it would be.

    again: whether it is seen at another time as well; only then what moves may have hidden it.
    """
    if borders(tracks, i, k, inwards):
        return True
    box, (dx, dy) = tracks.box[i, k], _step(tracks, i, k, inwards)
    reach = box + np.array([-dx, -dy, dx, dy])
    names = _names(tracks)
    # What stands behind it, higher in the picture, hides nothing of it.
    around = [j for j in range(len(tracks)) if names[j] != names[i] and not tracks.box[j, k, 3] < box[3] - 1]
    near_by = (j for j in around if tracks.visible[j, k] and helpers.touching(tracks.box[j, [k]], reach)[0])
    return any(again or _rests(tracks, j) for j in near_by)


def borders(tracks: Tracks, i: int, k: int, inwards: int) -> set[str]:
    """Return at which borders ("left", "right", "top", "bottom") track i is in frame k, up to a step like the one to frame k + inwards."""
    (x0, y0, x1, y1), (height, width) = tracks.box[i, k], tracks.size
    dx, dy = _step(tracks, i, k, inwards)
    at = {"left": x0 <= dx, "right": x1 >= width - 1 - dx, "top": y0 <= dy, "bottom": y1 >= height - 1 - dy}
    return {side for side, there in at.items() if there}


def _step(tracks: Tracks, i: int, k: int, inwards: int) -> Floats:
    """Return how far [2], in pixels, track i may have come between frame k and the one before it, or after it where `inwards` is -1."""
    near = k + inwards
    known = 0 <= near < tracks.frames and tracks.visible[i, near]
    step = np.abs(tracks.xy[i, near] - tracks.xy[i, k]) if known else np.zeros(2)
    return np.asarray(np.maximum(1.2 * step, 0.02 * min(tracks.size)) + 0.5)


def _rests(tracks: Tracks, j: int) -> bool:
    """Return whether an object stays where it is."""
    xy = tracks.xy[j, tracks.visible[j]]
    return bool(np.percentile(np.linalg.norm(xy - np.median(xy, axis=0), axis=1), 75) < 0.04 * min(tracks.size))


def _goes_on(tracks: Tracks, others: Sequence[tuple[int, int, int]], i: int, k: int, way: int, gap: int) -> bool:
    """Return whether another piece of the same colour ends just before frame k (way -1), or begins just after it (1), near by."""
    size = 2.0 * np.sqrt(max(tracks.area[i, k], 1.0))
    for j, a, b in others:
        end = b - 1 if way < 0 else a
        if 0 < (end - k) * way <= gap + 1 and np.linalg.norm(tracks.xy[j, end] - tracks.xy[i, k]) < size * abs(end - k):
            return True
    return False
