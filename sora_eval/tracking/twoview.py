"""Two views of one scene: matched features and the fundamental matrix."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Floats, Frames

SIFT_SIDE = 256
"""Frames whose shorter side is below this are enlarged before SIFT, which finds next to nothing in 64 px."""


@dataclass(frozen=True)
class Matches:
    """Matches that passed the ratio test, none of them verified yet."""

    a: Floats
    """[n, 2] pixels in the first frame."""
    b: Floats
    """[n, 2] pixels in the second frame."""
    features: int
    """Features of the frame with fewer of them, the most matches there could be."""


def enlarge(frame: Frames, side: int) -> tuple[Frames, float]:
    """Return a frame [H, W(, C)] whose shorter side is at least `side` pixels, and the factor it was enlarged by."""
    factor = max(1.0, side / min(frame.shape[:2]))
    if factor == 1.0:
        return frame, 1.0
    factor = float(np.ceil(factor))
    resized = cv2.resize(frame, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    return np.asarray(resized, dtype=np.uint8), factor


@dataclass(frozen=True)
class Features:
    """SIFT features of a frame."""

    xy: Floats
    """[n, 2] pixels."""
    descriptors: NDArray[np.float32] | None
    """[n, 128], None where there is no feature."""


def features(frame: Frames, most: int = 2000) -> Features:
    """Return the SIFT features of a frame uint8 [H, W, 3] RGB, the strongest `most`.

    A frame below 256 px is enlarged by a whole factor; coordinates are in the given frame's pixels.

    Source: Lowe 2004.
    """
    sift = cv2.SIFT_create(nfeatures=most)  # type: ignore[attr-defined]
    grey, factor = enlarge(np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), dtype=np.uint8), SIFT_SIDE)
    points, descriptors = sift.detectAndCompute(grey, None)
    xy = np.array([p.pt for p in points], dtype=np.float64).reshape(-1, 2)
    return Features((xy + 0.5) / factor - 0.5, descriptors)


def match_features(a: Features, b: Features, ratio: float = 0.8) -> Matches:
    """Return the matches from features a to features b that pass the ratio test.

    The nearest descriptor in b must be nearer than `ratio` times the second nearest. No features give an empty match, not an error.

    Source: Lowe 2004, section 7.1.
    """
    fewer = min(len(a.xy), len(b.xy))
    nothing = Matches(np.zeros((0, 2)), np.zeros((0, 2)), fewer)
    if a.descriptors is None or b.descriptors is None or len(b.xy) < 2:
        return nothing
    nearest = [n for n in cv2.BFMatcher(cv2.NORM_L2).knnMatch(a.descriptors, b.descriptors, k=2) if len(n) == 2]
    good = [n for n, second in nearest if n.distance < ratio * second.distance]
    if not good:
        return nothing
    return Matches(a.xy[[m.queryIdx for m in good]], b.xy[[m.trainIdx for m in good]], fewer)


def match(a: Frames, b: Frames, ratio: float = 0.8, max_features: int = 2000) -> Matches:
    """Return SIFT matches from frame a to frame b, uint8 [H, W, 3] RGB: `match_features` of their `features`."""
    return match_features(features(a, max_features), features(b, max_features), ratio)


def fundamental_matrix(a: Floats, b: Floats, threshold_px: float = 1.0) -> Floats | None:
    """Return F [3, 3] with `b^T F a = 0` for most matches, by MAGSAC, or None where there is none.

    a, b: [n, 2] pixels; threshold_px: the upper end of what may be an inlier. OpenCV's USAC uses a fixed seed, so the
    answer repeats. None for matches of fewer than 8 different points, of which some may have been matched several times, and where the
    solver fails or throws, as it does on degenerate sets.

    Source: Barath et al. 2020 (MAGSAC++).
    """
    if len(a) < 8 or min(len(np.unique(points, axis=0)) for points in (a, b)) < 8:
        return None
    try:
        f, _ = cv2.findFundamentalMat(a, b, cv2.USAC_MAGSAC, threshold_px, 0.999, 10000)
    except cv2.error:
        return None
    if f is None or np.shape(f) != (3, 3) or not np.isfinite(f).all():
        return None
    return np.asarray(f, dtype=np.float64)


def frame_pairs(frames: int, gaps: tuple[int, ...] = (4, 8, 12), stride: int = 4) -> list[tuple[int, int]]:
    """Return index pairs (i, i + gap) of a clip of `frames` frames, i in steps of `stride`, gap by gap."""
    return [(i, i + gap) for gap in gaps for i in range(0, frames - gap, stride)]
