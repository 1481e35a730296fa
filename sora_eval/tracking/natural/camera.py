"""The camera's motion through a natural clip: where each of some frames lies in the first one."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sora_eval.tracking.natural.xfeat import Described, describe, match
from sora_eval.types import Bools, Floats, Frames

KEYFRAMES = 24
"""Frames of a clip that are compared, at most: with .07 s for each on a core."""
_FEWEST = 12
_INLIER = 0.006
"""Upper end of what may be an inlier, share of the frame's width."""
_ANCHORED = 0.45
"""Least share of inliers with which a frame is still compared with the last anchor, so that errors don't add up."""


@dataclass(frozen=True)
class CameraPath:
    """The picture's motion as similarities from the first keyframe, T of them; all lengths are shares of the frame's width."""

    frame: tuple[int, ...]
    """T frame numbers, the first and the last among them."""
    xy: Floats
    """[T, 2], how far the picture at the frame's middle has moved since the first keyframe, x right and y down."""
    scale: Floats
    """[T], logarithm of how much the picture has grown."""
    angle: Floats
    """[T], how far it has turned clockwise, radians."""
    inliers: Floats
    """[T], share of the matches that move this way, 0 where nothing could be matched; 1 of the first."""
    matched: Floats
    """[T], share of the features that were matched."""
    still: Floats
    """[T], share of the matches with the keyframe before that stay where they are."""
    back: Floats
    """[T], share of the matches with the first keyframe that move as one, weighed with the share of features that have a match."""
    overlap: Floats
    """[T], share of the first keyframe's area that the path leaves in the frame, NaN from the first keyframe without a match on."""


def camera_path(frames: Frames) -> CameraPath:
    """Return the motion of the picture that most features share; frames: uint8 [T, H, W, 3], T >= 2.

    Each keyframe is matched with an anchor, which is the first one for as long as it can be. MAGSAC finds the homography with most
    matches, a similarity is fitted to its inliers.

    Raises:
        AbsentNaturalWeightsError: the weights are not on this machine.

    Source: Potje et al. 2024 (XFeat); Barath et al. 2020 (MAGSAC++); Umeyama 1991.
    """
    index = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), KEYFRAMES)).round().astype(int))
    described = [describe(frames[i]) for i in index]
    size = frames.shape[2], frames.shape[1]
    total, since = np.eye(3), np.eye(3)
    anchor, known = 0, True
    rows = [_row(np.eye(3), size, 1.0, 1.0, 1.0, 1.0, True)]
    for k in range(1, len(index)):
        fit = _fit(described[anchor], described[k], size)
        if fit.inliers < _ANCHORED and anchor < k - 1:
            anchor, total = k - 1, since @ total
            since, fit = np.eye(3), _fit(described[anchor], described[k], size)
        if fit.inliers == 0:
            known = False
            total, since, anchor = since @ total, np.eye(3), k
        else:
            since = fit.matrix
        first = fit if anchor == 0 else _fit(described[0], described[k], size)
        still = _still(described[k - 1], described[k], size)
        rows.append(_row(since @ total, size, fit.inliers, fit.matched, still, first.inliers * first.matched, known))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return CameraPath(tuple(int(i) for i in index), *columns)


@dataclass(frozen=True)
class _Fit:
    """A similarity [3, 3] in pixels, the share of matches that obey it, and the share of features with a match."""

    matrix: Floats
    inliers: float
    matched: float


def _fit(a: Described, b: Described, size: tuple[int, int]) -> _Fit:
    found = match(a, b)
    matched = len(found.a) / max(found.features, 1)
    nothing = _Fit(np.eye(3), 0.0, matched)
    if len(found.a) < _FEWEST:
        return nothing
    try:
        _, inside = cv2.findHomography(
            found.a, found.b, cv2.USAC_MAGSAC, _INLIER * size[0], maxIters=2000, confidence=0.999
        )
    except cv2.error:
        return nothing
    inside = np.zeros(len(found.a), bool) if inside is None else inside.ravel() == 1
    if inside.sum() < _FEWEST:
        return nothing
    return _Fit(_similarity(found.a[inside], found.b[inside]), float(inside.mean()), matched)


def _similarity(a: Floats, b: Floats) -> Floats:
    """Return the similarity [3, 3] with the least squared error from points [n, 2] to others."""
    p, q = ((x - x.mean(axis=0)) @ np.array([1, 1j]) for x in (a, b))
    factor = np.vdot(p, q) / max(np.vdot(p, p).real, 1e-9)
    matrix = np.eye(3)
    matrix[:2, :2] = [[factor.real, -factor.imag], [factor.imag, factor.real]]
    matrix[:2, 2] = b.mean(axis=0) - matrix[:2, :2] @ a.mean(axis=0)
    return matrix


def _still(a: Described, b: Described, size: tuple[int, int]) -> float:
    found = match(a, b)
    if len(found.a) < _FEWEST:
        return 0.0
    return float((np.linalg.norm(found.b - found.a, axis=1) < 0.5 * _INLIER * size[0]).mean())


def _row(
    matrix: Floats, size: tuple[int, int], inliers: float, matched: float, still: float, back: float, known: bool
) -> tuple[Floats, float, float, float, float, float, float, float]:
    width, height = size
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    moved = matrix[:2, :2] @ middle + matrix[:2, 2] - middle
    scale = float(np.log(max(np.hypot(matrix[0, 0], matrix[1, 0]), 1e-6)))
    angle = float(np.arctan2(matrix[1, 0], matrix[0, 0]))
    overlap = _overlap(matrix, size) if known else float("nan")
    return moved / width, scale, angle, inliers, matched, still, back, overlap


def _overlap(matrix: Floats, size: tuple[int, int]) -> float:
    """Return the share of the first frame that lies in the picture after a similarity."""
    width, height = size
    frame = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    placed = (frame @ matrix[:2, :2].T + matrix[:2, 2]).astype(np.float32)
    area, _ = cv2.intersectConvexConvex(frame, placed)
    return float(area) / max(float(cv2.contourArea(placed)), 1e-6)


def steady(path: CameraPath) -> Bools:
    """Return which steps [T - 1] between keyframes were measured."""
    return np.asarray((path.inliers[1:] > 0) & (path.inliers[:-1] > 0), dtype=bool)
