"""Changes from frame to frame: seams against ordinary change, and how change is spread over time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from sora_eval.types import Floats, Frames

_DIFFERENT = 25.5


def changes(frames: Frames) -> Floats:
    """Return the mean absolute change from each frame to the next [T - 1], in levels of 0..255. frames: uint8 [T, H, W, 3].

    Example:
        >>> frames = np.zeros((3, 4, 4, 3), np.uint8); frames[2] = 10
        >>> changes(frames).tolist()
        [0.0, 10.0]
    """
    # Frame by frame: as float64 a long clip would take eight times its memory.
    return np.array([np.abs(b.astype(np.float64) - a).mean() for a, b in pairwise(frames)])


def changes_between(frames: Frames) -> Floats:
    """Return the change from each frame to the next [T - 1] in levels, weighted by how much the first and the last frame differ there.

    Pixels that differ by less than a tenth of 255 levels count for nothing: what both ends share may flicker on the way. frames: uint8
    [T, H, W, 3], T >= 2.

    Raises:
        ValueError: the first and the last frame don't differ anywhere.
    """
    weight = np.abs(frames[-1].astype(np.float64) - frames[0]).mean(axis=-1)
    weight[weight < _DIFFERENT] = 0.0
    if not weight.any():
        raise ValueError("the first and the last frame are the same")
    weight /= weight.sum()
    pairs = pairwise(frames)
    return np.array([(np.abs(b.astype(np.float64) - a).mean(axis=-1) * weight).sum() for a, b in pairs])


def ordinary(frames: Frames) -> float:
    """Return the mean change from frame to frame of a clip [T, H, W, 3] with T >= 2, in levels of 0..255."""
    return float(changes(frames).mean())


def seam(before: Frames, after: Frames) -> float:
    """Return the mean absolute change from the last frame of one clip [T, H, W, 3] to the first of the next, in levels of 0..255."""
    return float(np.abs(before[-1].astype(np.float64) - after[0]).mean())


def worst_step(frames: Frames) -> float:
    """Return the largest change from frame to frame of a clip [T, H, W, 3] with T >= 2, in levels of 0..255."""
    return float(changes(frames).max())


def spread(steps: Floats) -> float:
    """Return over which share of the steps a change is spread: (sum c)^2 / (n sum c^2), the participation ratio of changes c [n].

    1 for equal steps, 1/n for a single one; 0 where nothing changes.

    Example:
        >>> spread(np.array([0.0, 0.0, 5.0, 0.0])), spread(np.ones(4))
        (0.25, 1.0)
    """
    squares = float((steps**2).sum())
    return float(steps.sum()) ** 2 / (len(steps) * squares) if squares > 0 else 0.0
