"""Motion apart from appearance: histograms of velocity and acceleration of point tracks."""

from __future__ import annotations

import numpy as np

from sora_eval.types import Bools, Floats

CELLS = 2
ANGLES = 8
FEATURES = 2 * CELLS * CELLS * ANGLES
_STILL = 0.002


def motion_features(xy: Floats, visible: Bools, size: tuple[int, int], fps: float) -> Floats:
    """Return motion features [64] of a clip from its point tracks: the Frechet distance between sets of these is a motion distance.

    The frame is divided into 2 x 2 cells (with more, the distance would need more clips than usual sets have). In each, every visible step
    of a track votes for one of eight directions, by the logarithm of its speed (in frame widths a second, so that size and rate of a clip
    don't matter) and split between the two nearest directions; and likewise every change of velocity, by the size of the acceleration. Sums
    are divided by the number of tracks and frames.

    The idea is that of FVMD (Liu et al. 2024, arXiv:2407.16124); its published code takes differences of positions for accelerations,
    these are differences of velocities.

    xy: [N, T, 2] pixels; visible: [N, T]; size: (height, width); fps: frames per second.
    Raises ValueError for fewer than 3 frames or mismatched shapes.

    Example:
        >>> xy = np.stack([np.arange(5.0) * 4, np.full(5, 8.0)], axis=1)[None]  # one point to the right
        >>> motion_features(xy, np.ones((1, 5), bool), (16, 32), fps=8).shape
        (64,)
    """
    if xy.ndim != 3 or xy.shape[2] != 2 or visible.shape != xy.shape[:2] or xy.shape[1] < 3:
        raise ValueError(f"tracks must be [N, T >= 3, 2] with visible [N, T], got {xy.shape} and {visible.shape}")
    height, width = size
    seen = visible[:, 1:] & visible[:, :-1]
    velocity = np.diff(xy, axis=1) * (fps / width)  # [N, T - 1, 2]
    acceleration = np.diff(velocity, axis=1) * fps  # [N, T - 2, 2]
    steady = seen[:, 1:] & seen[:, :-1]
    cell = _cells(xy, height, width)
    share = max(1, xy.shape[0] * xy.shape[1])
    parts = (_histogram(velocity, seen, cell[:, 1:]), _histogram(acceleration, steady, cell[:, 2:]))
    return np.asarray(np.concatenate([p.ravel() for p in parts]) / share)


def _cells(xy: Floats, height: int, width: int) -> Floats:
    at = np.floor(np.nan_to_num(xy) / (width, height) * CELLS).astype(int).clip(0, CELLS - 1)
    return np.asarray(at[..., 1] * CELLS + at[..., 0])


def _histogram(vectors: Floats, valid: Bools, cell: Floats) -> Floats:
    """Return votes [cells, directions] of vectors [N, T, 2]."""
    speed = np.linalg.norm(vectors, axis=-1)
    use = valid & np.isfinite(speed) & (speed > _STILL)
    angle = np.arctan2(vectors[..., 1], vectors[..., 0])[use] / (2 * np.pi) * ANGLES
    low = np.floor(angle).astype(int)
    part, vote = angle - low, np.log1p(speed[use] / _STILL)
    votes = np.zeros((CELLS * CELLS, ANGLES))
    where = cell[use].astype(int)
    np.add.at(votes, (where, low % ANGLES), vote * (1 - part))
    np.add.at(votes, (where, (low + 1) % ANGLES), vote * part)
    return votes
