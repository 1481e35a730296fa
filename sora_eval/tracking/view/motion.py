"""How the view moves from frame to frame: shift, growth and how both change with height in the picture, from corners followed by flow."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Floats, Frames

SIDE = 128
"""Shorter side in pixels that frames are brought to: flow of finer pictures costs more and shows no more of a view's motion."""
FEWEST = 10
"""Points below which the motion of a step is not known."""
_CELLS, _PER_CELL, _APART_PX, _QUALITY, _FLAT = 5, 7, 5, 0.03, 1.0
"""Cells along each side in which corners are found, corners of each, pixels between them, least strength next to the cell's strongest,
and the standard deviation in grey levels below which a cell has none."""
_WINDOW_PX, _LEVELS = 15, 2
_BACK_PX = 1.0
_COARSE = 32
_PATCHES = (0.05, 0.25, 0.45)
"""Left borders, as shares of the width, of the patches of half the width that are looked for in the next picture."""
_LIKE = 0.5
"""Least correlation of a patch that counts as found."""
_ROUNDS = 12
_TILT = (0.0, 1e-3, 1e-3, 2e-2, 2e-2)
"""Weights of the prior for a common shift, by coefficient of 1, x, y, xy, y^2: that of near ground bends."""
_TOLERANCE, _EXPLAINED, _FOLLOWED = 0.35, 0.6, 0.2
"""Error of a point as a share of its motion up to which the motion explains it; least share of points that are explained, and of corners
that are followed."""
_OUTLIER = 0.006


@dataclass(frozen=True)
class ViewMotion:
    """The motion of the picture in T - 1 steps, as shares of the shorter side per step; x right, y down, from the frame's middle."""

    right: Floats
    """[T - 1] shift of the middle to the right."""
    down: Floats
    """[T - 1] shift of the middle downwards."""
    widen: Floats
    """[T - 1] growth of the width per width."""
    stretch: Floats
    """[T - 1] growth of the height per height."""
    points: NDArray[np.int64]
    """[T - 1] points that were followed and are explained by the motion; 0 where that is too few to know it."""
    fit: Floats
    """[T - 1] share of them that the fitted motion explains."""


def view_motion(frames: Frames) -> ViewMotion:
    """Return how the picture moves from each frame to the next.

    frames: uint8 [T, H, W, 3], T >= 2. A common shift is found first by correlation of small pictures, so that fast turns are followed too;
    then corners are followed by pyramidal flow, forwards and backwards, and a field that bends along y is fitted to them with robust
    weights.

    Source: Lucas and Kanade 1981, Bouguet 2001 (flow); Koenderink and van Doorn 1975 (linear fields of flow).
    """
    grey = [_prepared(f) for f in frames]
    steps = [_step(a, b) for a, b in pairwise(grey)]
    right, down, widen, stretch, fit = np.array([s[:5] for s in steps], dtype=float).reshape(-1, 5).T
    return ViewMotion(right, down, widen, stretch, np.array([s[5] for s in steps], dtype=np.int64), fit)


def _prepared(frame: Frames) -> NDArray[np.uint8]:
    factor = SIDE / min(frame.shape[:2])
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(
        cv2.cvtColor(cv2.resize(frame, None, fx=factor, fy=factor, interpolation=how), cv2.COLOR_RGB2GRAY)
    )


def _step(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> tuple[float, float, float, float, float, int]:
    """Return right, down, widen, stretch, the share of points explained, and the number of points."""
    corners = _corners(a)
    if len(corners) < FEWEST:
        return 0.0, 0.0, 0.0, 0.0, 0.0, 0
    start = corners.reshape(-1, 1, 2)
    guess = start + np.array(_common_shift(a, b), dtype=np.float32).reshape(1, 1, 2)
    how: dict[str, Any] = {
        "winSize": (_WINDOW_PX, _WINDOW_PX),
        "maxLevel": _LEVELS,
        "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.02),
        "flags": cv2.OPTFLOW_USE_INITIAL_FLOW,
    }
    end, found, _ = cv2.calcOpticalFlowPyrLK(a, b, start, guess.copy(), **how)
    back, returned, _ = cv2.calcOpticalFlowPyrLK(b, a, end, start.copy(), **how)
    height, width = a.shape
    off = np.linalg.norm((back - start)[:, 0], axis=1)
    inside = ((end[:, 0] >= 0) & (end[:, 0] <= (width - 1, height - 1))).all(axis=1)
    kept = (found[:, 0] > 0) & (returned[:, 0] > 0) & (off < _BACK_PX) & inside
    if kept.sum() < FEWEST:
        return 0.0, 0.0, 0.0, 0.0, 0.0, int(kept.sum())
    side = min(height, width)
    xy = (start[kept, 0] - ((width - 1) / 2, (height - 1) / 2)) / side
    flow = (end - start)[kept, 0] / side
    # About the middle of the step, so that a motion and its reverse measure alike.
    xy = xy + flow / 2
    x, y = xy.T
    basis = np.stack([np.ones(len(x)), x, y, x * y, y * y], axis=1)
    weights = np.ones(len(xy))
    for _ in range(_ROUNDS):
        root = np.sqrt(weights)[:, None]
        # Little texture on one side must not tip the plane.
        normal = (basis * root).T @ (basis * root) + np.diag(_TILT)
        field = np.linalg.solve(normal, (basis * root).T @ (flow * root))
        error = np.linalg.norm(flow - basis @ field, axis=1)
        weights = 1 / np.sqrt(1 + (error / _OUTLIER) ** 2)
    explained = error < 2 * _OUTLIER + _TOLERANCE * np.linalg.norm(flow, axis=1)
    share = float(explained.mean())
    # Noise and cuts leave a few chance finds, which no motion explains.
    known = share >= _EXPLAINED and len(xy) >= _FOLLOWED * len(corners)
    field = field if known else np.zeros_like(field)
    return (
        float(field[0, 0]),
        float(field[0, 1]),
        float(field[1, 0]),
        float(field[2, 1]),
        share,
        int(explained.sum()) if known else 0,
    )


def _corners(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return corners [n, 2], so many in each cell of a grid: a figure of strong contrast must not outvote the world around it."""
    height, width = image.shape
    found = []
    for y0, y1 in pairwise(np.linspace(0, height, _CELLS + 1).astype(int)):
        for x0, x1 in pairwise(np.linspace(0, width, _CELLS + 1).astype(int)):
            cell = image[y0:y1, x0:x1]
            if cell.std() < _FLAT:
                continue
            points = cv2.goodFeaturesToTrack(cell, _PER_CELL, _QUALITY, _APART_PX, blockSize=5)
            found += (
                []
                if points is None
                else [np.asarray(points, dtype=np.float32)[:, 0] + np.array([x0, y0], dtype=np.float32)]
            )
    return np.concatenate(found) if found else np.zeros((0, 2), dtype=np.float32)


def _common_shift(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> tuple[float, float]:
    """Return the shift (right, down) in pixels by which a large part of one picture is found in another, 0 where none is.

    Shifts of up to .45 of the width to either side are searched.
    """
    factor = _COARSE / min(a.shape)
    x, y = (
        cv2.GaussianBlur(cv2.resize(i, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), (0, 0), 0.7)
        for i in (a, b)
    )
    height, width = x.shape
    top, tall, wide = round(0.2 * height), round(0.6 * height), width // 2
    best, at = _LIKE, (0.0, 0.0)
    for share in _PATCHES:
        left = round(share * width)
        patch = x[top : top + tall, left : left + wide]
        if patch.std() < 1.0:
            continue
        found = cv2.matchTemplate(y, patch, cv2.TM_CCOEFF_NORMED)
        # Between equals the smaller shift.
        rows, columns = np.indices(found.shape)
        found = found - 0.1 * np.hypot(columns - left, rows - top) / width
        row, column = np.unravel_index(int(found.argmax()), found.shape)
        if found[row, column] > best:
            best, at = float(found[row, column]), (float(column - left), float(row - top))
    return at[0] / factor, at[1] / factor
