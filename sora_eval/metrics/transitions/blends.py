"""Cross-fades: frames that are a mixture of two others, in which a thing is two ghosts and not one thing that moves."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Floats, Frames

_SIDE = 64
"""Shorter side in pixels to which frames are reduced: finer detail differs by sampling alone."""
_BLUR_PX = 0.7
_LEAST = 1.0
"""Difference of frames in levels (rms) below which nothing tells a mixture from a motion."""
_MIXED = 0.15
"""Least share of each of two frames in what counts as their mixture."""


def mixture(frame: Frames, a: Frames, b: Frames) -> float:
    """Return how far an image is a mixture of two others, 0 to 1: the share of its squared distance from the nearer of them that
    the best mixture (1 - w) a + w b explains, w from .15 to .85. NaN where it is (nearly) one of them.

    1 for a cross-fade. Of an object that moves by its width from a to the frame, and again to b, .25: two halves of it in the wrong
    places, and none where it is. frame, a, b: uint8 [H, W, 3] of one size.

    Raises:
        ValueError: the sizes differ.

    Example:
        >>> a, b = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 200, np.uint8)
        >>> round(mixture(np.full((8, 8, 3), 100, np.uint8), a, b), 2)
        1.0
    """
    if not frame.shape == a.shape == b.shape:
        raise ValueError(f"need images of one size, got {frame.shape}, {a.shape} and {b.shape}")
    return _mixture(*(_small(image) for image in (frame, a, b)))


def mixtures(frames: Frames, reach: int, cyclic: bool = False) -> Floats:
    """Return for each frame [T] how far it is a mixture (`mixture`) of the frames `reach` before and after it.

    NaN where there are none, and where nothing changes. cyclic: whether the first frame follows the last. frames: uint8 [T, H, W, 3].
    """
    small, count = [_small(f) for f in frames], len(frames)
    found = np.full(count, np.nan)
    for k in range(count):
        if cyclic or reach <= k < count - reach:
            found[k] = _mixture(small[k], small[(k - reach) % count], small[(k + reach) % count])
    return found


def _small(image: Frames) -> NDArray[np.float32]:
    scale = min(1.0, _SIDE / min(image.shape[:2]))
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
    return np.asarray(cv2.GaussianBlur(small.astype(np.float32), (0, 0), _BLUR_PX))


def _mixture(frame: NDArray[np.float32], a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    way, off = (b - a).ravel().astype(np.float64), (frame - a).ravel().astype(np.float64)
    squared = float(way @ way)
    nearer = min(float(off @ off), float((off - way) @ (off - way)))
    if nearer < _LEAST**2 * len(off) or squared < _LEAST**2 * len(off):
        return float("nan")
    w = float(np.clip(off @ way / squared, _MIXED, 1 - _MIXED))
    rest = off - w * way
    return max(0.0, 1.0 - float(rest @ rest) / nearer)
