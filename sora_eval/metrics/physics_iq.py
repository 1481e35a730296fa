"""Physics-IQ as published (Motamed et al. 2025, arXiv:2501.09038): whether motion happens where, when and as much as in the true clip.

Four measures of a continuation against the true one; three are IoU of motion masks. A mask that is empty in both clips counts as an IoU of
1, so a clip that stands still is paid for every calm frame of the truth: read each figure beside the frozen control's. Masks are of grey
frames and miss motion between colours of one brightness; `continuation` has measures without either weakness.
"""

from __future__ import annotations

import cv2
import numpy as np

from sora_eval.metrics.continuation import mean_squared_error
from sora_eval.types import Bools, Frames

BLUR_PX, KERNEL_PX = 5, 5
"""Sides of the Gaussian that smooths a frame (OpenCV's sigma for it, 1.1) and of the square of opening and closing."""
WEIGHT = 0.3
"""Of a new frame in the running background."""
THRESHOLD = 10
"""Grey levels of 255 by which a moving pixel differs from the background, strictly more."""
PROTOCOL = (
    f"masks=grey blur={BLUR_PX}x{BLUR_PX} background={WEIGHT:g} threshold={THRESHOLD} "
    f"open+close={KERNEL_PX}x{KERNEL_PX} empty-in-both=1"
)
HIGHER_IS_BETTER = {
    "Physics-IQ spatial IoU": True,
    "Physics-IQ spatiotemporal IoU": True,
    "Physics-IQ weighted spatial IoU": True,
    "Physics-IQ MSE": False,
}
"""The names of the measures."""


def motion_masks(frames: Frames) -> Bools:
    """Return where each frame differs from a running background.

    Frames become grey and are smoothed. The first is the background and has an empty mask. Every later one is first mixed into
    it, `b <- (1 - WEIGHT) b + WEIGHT g`; a pixel moves where |g - b|, b rounded, is above THRESHOLD. Each mask is opened, then closed.

    frames: uint8 [T, H, W, 3], RGB. Returns bool [T, H, W].
    Raises ValueError for no frames.

    Source: the paper's published code, as of 2025.

    Example:
        >>> frames = np.full((3, 16, 16, 3), 100, np.uint8); frames[2] = 200
        >>> motion_masks(frames).any(axis=(1, 2)).tolist()
        [False, False, True]
    """
    if frames.ndim != 4 or not len(frames):
        raise ValueError(f"need uint8 frames [T, H, W, 3], got shape {frames.shape}")
    kernel = np.ones((KERNEL_PX, KERNEL_PX), np.uint8)
    masks = np.zeros(frames.shape[:3], dtype=bool)
    background = _smooth_grey(frames[0]).astype(np.float64)
    for t in range(1, len(frames)):
        grey = _smooth_grey(frames[t])
        cv2.accumulateWeighted(grey, background, WEIGHT)
        moving = (cv2.absdiff(grey, cv2.convertScaleAbs(background)) > THRESHOLD).astype(np.uint8)
        opened = cv2.morphologyEx(moving, cv2.MORPH_OPEN, kernel)
        masks[t] = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, kernel) > 0
    return masks


def spatial_iou(truth: Bools, predicted: Bools) -> float:
    """Return the IoU of where anything ever moves, masks [T, H, W] or-ed over time; 1 when nothing moves in either.

    Raises ValueError for unequal shapes.

    Example:
        >>> truth = np.array([[[True, False]], [[False, True]]])
        >>> spatial_iou(truth, truth[:1].repeat(2, axis=0))
        0.5
    """
    _check(truth, predicted)
    return _iou(np.asarray(truth.any(axis=0)), np.asarray(predicted.any(axis=0)))


def spatiotemporal_iou(truth: Bools, predicted: Bools) -> float:
    """Return the mean over frames of the IoU of masks [T, H, W]; a frame in which nothing moves in either counts 1.

    Raises ValueError for unequal shapes.

    Example:
        >>> truth = np.array([[[True, False]], [[False, False]]])
        >>> spatiotemporal_iou(truth, np.zeros_like(truth))
        0.5
    """
    _check(truth, predicted)
    return float(np.mean([_iou(a, b) for a, b in zip(truth, predicted, strict=True)]))


def weighted_spatial_iou(truth: Bools, predicted: Bools) -> float:
    """Return `sum min(p, q) / sum max(p, q)`, p and q the share of frames in which a pixel moves; 1 when nothing moves in either.

    Masks are [T, H, W]. Raises ValueError for unequal shapes.

    Example:
        >>> truth = np.array([[[True, True]], [[True, False]]])
        >>> weighted_spatial_iou(truth, truth[:1].repeat(2, axis=0))
        0.75
    """
    _check(truth, predicted)
    p, q = truth.mean(axis=0), predicted.mean(axis=0)
    most = float(np.maximum(p, q).sum())
    return float(np.minimum(p, q).sum()) / most if most else 1.0


def measures(truth: Frames, predicted: Frames) -> dict[str, float]:
    """Return the four measures of frames uint8 [T, H, W, 3] against the true ones, by the names of HIGHER_IS_BETTER.

    The score of the paper divides by what two takes of a real scene agree; takes of a simulated one are equal.
    Raises ValueError for unequal shapes or no frames.

    Example:
        >>> frames = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
        >>> list(measures(frames, frames).values())
        [1.0, 1.0, 1.0, 0.0]
    """
    a, b = motion_masks(truth), motion_masks(predicted)
    values = (
        spatial_iou(a, b),
        spatiotemporal_iou(a, b),
        weighted_spatial_iou(a, b),
        mean_squared_error(truth, predicted),
    )
    return dict(zip(HIGHER_IS_BETTER, values, strict=True))


def _smooth_grey(frame: Frames) -> Frames:
    return np.asarray(cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (BLUR_PX, BLUR_PX), 0), np.uint8)


def _iou(a: Bools, b: Bools) -> float:
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0


def _check(truth: Bools, predicted: Bools) -> None:
    if truth.shape != predicted.shape or truth.ndim != 3 or not len(truth):
        raise ValueError(f"need two masks [T, H, W] of one shape, got {truth.shape} and {predicted.shape}")
