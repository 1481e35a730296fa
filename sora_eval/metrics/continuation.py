"""Overlap of motion with the true continuation: whether it happens where, when and as much as it should.

A variant of our own of Physics-IQ (Motamed et al. 2025); that benchmark's measures, with which these do not compare, are in `physics_iq`.
Masks are changes of colour between successive frames, and frames in which nothing moves in either clip earn nothing.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from sora_eval.types import Bools, Floats, Frames


def motion_masks(frames: Frames, threshold: float = 10.0, blur_px: float = 1.0) -> Bools:
    """Return where something changes between successive frames.

    Frames are blurred (Gaussian, sigma `blur_px`, against codec noise); a pixel moves when its largest absolute
    change over R, G and B is above `threshold` grey levels of 255; single pixels are removed by a 3x3 opening
    wherever the frame is at least 128 px on its shorter side.

    frames: uint8 [T, H, W, 3], T >= 2. Returns bool [T - 1, H, W]; entry t lies between frames t and t + 1.
    Raises ValueError for fewer than two frames.

    Source: after Motamed et al. 2025 (Physics-IQ), whose masks are of grey frames against a running background.

    Example:
        >>> frames = np.zeros((3, 8, 8, 3), np.uint8); frames[1:, :4] = 200
        >>> motion_masks(frames).any(axis=(1, 2)).tolist()
        [True, False]
    """
    if frames.ndim != 4 or len(frames) < 2:
        raise ValueError(f"need uint8 frames [T, H, W, 3] with T >= 2 to see motion, got shape {frames.shape}")
    smooth = [cv2.GaussianBlur(frame, (0, 0), blur_px) if blur_px > 0 else frame for frame in frames]
    masks = np.stack([cv2.absdiff(b, a).max(axis=-1) > threshold for a, b in pairwise(smooth)])
    if min(frames.shape[1:3]) < 128:
        return masks
    kernel = np.ones((3, 3), np.uint8)
    return np.stack([cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel) > 0 for mask in masks])


def spatial_iou(truth: Bools, predicted: Bools) -> float:
    """Return the IoU of where anything ever moves: masks [T, H, W] or-ed over time.

    Raises ValueError for unequal shapes, or when nothing moves in either: that is no agreement to reward.

    Source: after Motamed et al. 2025 (Physics-IQ), which counts 1 then.

    Example:
        >>> truth, predicted = np.zeros((2, 1, 1, 4), bool); truth[..., :2] = predicted[..., 1:3] = True
        >>> round(spatial_iou(truth, predicted), 3)
        0.333
    """
    _check(truth, predicted)
    a, b = truth.any(axis=0), predicted.any(axis=0)
    return int((a & b).sum()) / int((a | b).sum())


def spatiotemporal_iou(truth: Bools, predicted: Bools) -> float:
    """Return the mean over frames of the IoU of motion masks [T, H, W], over frames in which either moves.

    The published code counts two empty masks as IoU 1, which rewards a frozen video for every calm frame of the truth;
    here such frames are left out.
    Raises ValueError for unequal shapes, or when nothing moves in either.

    Source: after Motamed et al. 2025 (Physics-IQ), except for that.

    Example:
        >>> truth = np.array([[[True, False]], [[False, False]]])
        >>> spatiotemporal_iou(truth, truth)
        1.0
    """
    _check(truth, predicted)
    shared = (truth & predicted).sum(axis=(1, 2))
    union = (truth | predicted).sum(axis=(1, 2))
    moving = union > 0
    return float((shared[moving] / union[moving]).mean())


def weighted_spatial_iou(truth: Bools, predicted: Bools) -> float:
    """Return `sum min(p, q) / sum max(p, q)`, p and q the share of frames in which each pixel moves.

    Masks are [T, H, W]; unlike `spatial_iou` it measures how much motion there is at a place.
    Raises ValueError for unequal shapes, or when nothing moves in either.

    Source: after Motamed et al. 2025 (Physics-IQ), which counts 1 then.

    Example:
        >>> truth = np.array([[[True, True]], [[True, False]]])
        >>> round(weighted_spatial_iou(truth, truth[:1].repeat(2, axis=0)), 3)
        0.75
    """
    _check(truth, predicted)
    p, q = truth.mean(axis=0), predicted.mean(axis=0)
    return float(np.minimum(p, q).sum() / np.maximum(p, q).sum())


def mean_squared_error(truth: Frames, predicted: Frames) -> float:
    """Return the mean squared difference of pixels in [0, 1], over all frames and channels; 0 is best.

    truth, predicted: uint8 [T, H, W, 3]. Raises ValueError for unequal shapes or no frames.

    Example:
        >>> black, white = np.zeros((2, 4, 4, 3), np.uint8), np.full((2, 4, 4, 3), 255, np.uint8)
        >>> mean_squared_error(black, white)
        1.0
    """
    if truth.shape != predicted.shape or truth.size == 0:
        raise ValueError(f"need two clips of one shape, got {truth.shape} and {predicted.shape}")
    # Frame by frame, since a long clip as float64 would take eight times its memory.
    errors: list[Floats] = [((a.astype(np.float64) - b) ** 2).mean() for a, b in zip(truth, predicted, strict=True)]
    return float(np.mean(errors)) / 255.0**2


def _check(truth: Bools, predicted: Bools) -> None:
    if truth.shape != predicted.shape or truth.ndim != 3:
        raise ValueError(f"need two masks [T, H, W] of one shape, got {truth.shape} and {predicted.shape}")
    if not (truth.any() or predicted.any()):
        raise ValueError("nothing moves in either clip, so their motion cannot be compared")
