"""How the background moves from frame to frame: the camera's share of the motion in a clip."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np

from sora_eval.tracking.twoview import enlarge
from sora_eval.types import Floats, Frames

Model = Literal["similarity", "homography"]

WORKING_SIDE = 256
"""Frames are enlarged to at least this many pixels on the shorter side: corners in 64 px are too few and too coarse."""

_FEWEST = 12


@dataclass(frozen=True)
class BackgroundMotion:
    """Dominant motion of each frame to the next, T - 1 entries."""

    matrix: Floats
    """[T - 1, 3, 3], maps pixels (x, y, 1) of frame t to frame t + 1; the identity where nothing could be measured."""
    displacement: Floats
    """[T - 1, 2], motion of the background at the middle of the frame, pixels, x right and y down."""
    inliers: Floats
    """[T - 1], share of measured points that move this way, in [0, 1]; 0 where nothing could be measured."""

    def path(self) -> Floats:
        """Return the summed displacement [T, 2] in pixels from the first frame on."""
        return np.vstack([np.zeros((1, 2)), np.cumsum(self.displacement, axis=0)])


def background_motion(frames: Frames, model: Model = "similarity", inlier_px: float = 1.0) -> BackgroundMotion:
    """Return the motion that most of the picture shares.

    Corners are taken cell by cell of a 12 x 12 grid, so that a detailed object has no more votes than the area that
    it covers; each is followed by pyramidal Lucas-Kanade and kept if following it back ends within a pixel. RANSAC
    finds the similarity (translation, rotation, scale) or homography with most of them. Where fewer than 12 corners
    survive or less than 40% agree, DIS dense flow on a grid of textured points is tried, and the better of both kept.

    What covers most of the picture counts as background: an object larger than half of the textured area wins.

    frames: uint8 [T, H, W, 3], T >= 2, any size; inlier_px: at the working size (shorter side >= 256 px).
    Raises ValueError for fewer than two frames.

    Source: Bouguet 2001 (pyramidal Lucas-Kanade); Kalal et al. 2010 (forward-backward check); Kroeger et al. 2016
    (DIS).
    """
    if frames.ndim != 4 or len(frames) < 2:
        raise ValueError(f"need uint8 frames [T, H, W, 3] with T >= 2 to see motion, got shape {frames.shape}")
    matrices, shares = [], []
    previous, factor = _grey(frames[0])
    for frame in frames[1:]:
        current, _ = _grey(frame)
        matrix, share = _pair(previous, current, model, inlier_px)
        matrices.append(_rescale(matrix, factor))
        shares.append(share)
        previous = current
    matrix = np.stack(matrices)
    height, width = frames.shape[1:3]
    middle = np.array([(width - 1) / 2, (height - 1) / 2, 1.0])
    moved = matrix @ middle
    return BackgroundMotion(matrix, moved[:, :2] / moved[:, 2:] - middle[:2], np.array(shares))


def _grey(frame: Frames) -> tuple[Frames, float]:
    return enlarge(np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), dtype=np.uint8), WORKING_SIDE)


def _rescale(matrix: Floats, factor: float) -> Floats:
    """Return the matrix for the frame before it was enlarged; pixel centres sit half a pixel in."""
    shift = (factor - 1) / 2
    up = np.array([[factor, 0, shift], [0, factor, shift], [0, 0, 1.0]])
    return np.asarray(np.linalg.inv(up) @ matrix @ up)


def _pair(a: Frames, b: Frames, model: Model, inlier_px: float) -> tuple[Floats, float]:
    best = _fit(*_follow_corners(a, b), model, inlier_px)
    if best[1] < 0.4:
        best = max(best, _fit(*_sample_flow(a, b), model, inlier_px), key=lambda fit: fit[1])
    return best


def _follow_corners(a: Frames, b: Frames, cells: int = 12, per_cell: int = 3) -> tuple[Floats, Floats]:
    height, width = a.shape
    rows, columns = (np.linspace(0, n, cells + 1).astype(int) for n in (height, width))
    strength = cv2.cornerMinEigenVal(a, 5)
    corners = []
    for y0, y1 in pairwise(rows):
        for x0, x1 in pairwise(columns):
            cell = np.array(strength[y0:y1, x0:x1])
            for _ in range(per_cell):
                y, x = np.unravel_index(int(np.argmax(cell)), cell.shape)
                if cell[y, x] < 1e-5:
                    break
                corners.append((x0 + x, y0 + y))
                cell[max(0, y - 5) : y + 6, max(0, x - 5) : x + 6] = 0
    if not corners:
        return np.zeros((0, 2)), np.zeros((0, 2))
    start = np.array(corners, dtype=np.float32).reshape(-1, 1, 2)
    window = {"winSize": (21, 21), "maxLevel": 4}
    end, there, _ = cv2.calcOpticalFlowPyrLK(a, b, start, None, **window)  # type: ignore[call-overload]
    back, again, _ = cv2.calcOpticalFlowPyrLK(b, a, end, None, **window)  # type: ignore[call-overload]
    good = (there.ravel() == 1) & (again.ravel() == 1) & (np.linalg.norm(back - start, axis=2).ravel() < 1)
    return start[good, 0].astype(np.float64), end[good, 0].astype(np.float64)


def _sample_flow(a: Frames, b: Frames, step: int = 8) -> tuple[Floats, Floats]:
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # type: ignore[attr-defined]
    flow = dis.calc(a, b, None)
    texture = cv2.cornerMinEigenVal(cv2.GaussianBlur(a, (0, 0), 2), 15)
    y, x = np.mgrid[step // 2 : a.shape[0] : step, step // 2 : a.shape[1] : step]
    # Dense flow invents motion where there is no texture; what it filled in must not vote.
    good = texture[y, x] > 1e-5
    start = np.stack([x[good], y[good]], axis=1).astype(np.float64)
    return start, start + flow[y[good], x[good]]


def _fit(start: Floats, end: Floats, model: Model, inlier_px: float) -> tuple[Floats, float]:
    if len(start) < _FEWEST:
        return np.eye(3), 0.0
    try:
        if model == "homography":
            matrix, inside = cv2.findHomography(start, end, cv2.RANSAC, inlier_px, maxIters=2000, confidence=0.999)
        else:
            partial, inside = cv2.estimateAffinePartial2D(
                start, end, method=cv2.RANSAC, ransacReprojThreshold=inlier_px, maxIters=2000, confidence=0.999
            )
            matrix = None if partial is None else np.vstack([partial, [0.0, 0.0, 1.0]])
    except cv2.error:
        return np.eye(3), 0.0
    if matrix is None or not np.isfinite(matrix).all():
        return np.eye(3), 0.0
    return np.asarray(matrix, dtype=np.float64), float(np.mean(inside))
