"""How objects come into a picture and leave it: over its border, from behind something, or from nowhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sora_eval.probes import helpers
from sora_eval.types import Bools, Tracks

TO_MEND_S = 0.4
"""Gaps in a track, in seconds, up to which nothing has gone."""


def unexplained(tracks: Tracks) -> tuple[int, Bools]:
    """Return how many objects come or go in plain sight, and the frames [T] in which one is there that came so, or is missing."""
    total = tracks.frames
    gap = max(1, round(TO_MEND_S * tracks.fps))
    bad, count = np.zeros(total, dtype=bool), 0
    names = _names(tracks)
    for name in dict.fromkeys(names):
        ids = [i for i, other in enumerate(names) if other == name]
        pieces = [(i, a, b) for i in ids for a, b in helpers.spans(tracks.visible[i]) if b - a >= 3]
        for i, a, b in pieces:
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


def _names(tracks: Tracks) -> list[str]:
    """Return what each track is called: its colour, or its label where that is not known."""
    labels = tracks.labels or ("",) * len(tracks)
    return [colour or label for colour, label in zip(tracks.colour, labels, strict=True)]


def _explained(tracks: Tracks, i: int, k: int, inwards: int, again: bool) -> bool:
    """Return whether track i is at a border or at another object in frame k, its first or its last; a step further it would be.

    again: whether it is seen at another time as well; only then what moves may have hidden it.
    """
    box, height, width = tracks.box[i, k], *tracks.size
    near = k + inwards
    step = np.abs(tracks.xy[i, near] - tracks.xy[i, k]) if tracks.visible[i, near] else np.zeros(2)
    dx, dy = np.maximum(1.2 * step, 0.02 * min(tracks.size)) + 0.5
    if box[0] <= dx or box[1] <= dy or box[2] >= width - 1 - dx or box[3] >= height - 1 - dy:
        return True
    reach = box + np.array([-dx, -dy, dx, dy])
    names = _names(tracks)
    # What stands behind it, higher in the picture, hides nothing of it.
    around = [j for j in range(len(tracks)) if names[j] != names[i] and not tracks.box[j, k, 3] < box[3] - 1]
    near_by = (j for j in around if tracks.visible[j, k] and helpers.touching(tracks.box[j, [k]], reach)[0])
    return any(again or _rests(tracks, j) for j in near_by)


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
