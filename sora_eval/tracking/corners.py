"""Corners of the picture, followed through a clip: what a moving camera's motion is measured on."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sora_eval.tracking.points import WORKING_SIDE, track_points
from sora_eval.types import Bools, Floats, Frames

KEYFRAMES = 17
"""Frames of a clip that corners are followed through, at most."""
_ANCHORS, _PER_ANCHOR, _APART_PX, _QUALITY = 3, 45, 8, 0.004
_LEAST_SEEN = 5
_ROUND = 0.3
"""Least ratio of the two eigenvalues of gradients around a corner: a place on an edge or a stripe slips along it. At .3 the fit of a dolly
leaves .74 or more of the residual of true zooms at 64 pixels, at .05 down to .47; of true dollies it leaves up to .5."""


@dataclass(frozen=True)
class CornerTracks:
    """N corners in T frames."""

    frame: NDArray[np.int64]
    """[T] numbers of the frames, the first and the last of the clip among them."""
    xy: Floats
    """[N, T, 2] places from the frame's middle, x right and y down, as shares of its shorter side."""
    seen: Bools
    """[N, T]."""


def corner_tracks(frames: Frames) -> CornerTracks:
    """Return the corners of three frames of a clip, each followed forwards and backwards for as long as it looks the same.

    frames: uint8 [T, H, W, 3], T >= 2, any size; larger ones than 256 pixels on the shorter side are reduced to that. Tracks of fewer than
    5 frames are left out.

    Source: Shi and Tomasi 1994 (corners); `track_points`.
    """
    index = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), KEYFRAMES)).round().astype(int))
    thin = np.array([_reduced(frames[i]) for i in index])
    height, width = thin.shape[1:3]
    anchors = np.unique(np.linspace(0, len(index) - 1, _ANCHORS).round().astype(int))
    queries = np.concatenate([_corners(thin[k], int(k)) for k in anchors])
    if not len(queries):
        return CornerTracks(index, np.zeros((0, len(index), 2)), np.zeros((0, len(index)), dtype=bool))
    xy, seen = track_points(thin, queries, regain=False)
    long = seen.sum(axis=1) >= min(_LEAST_SEEN, len(index))
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    return CornerTracks(index, (xy[long] - middle) / min(height, width), seen[long])


def _reduced(frame: Frames) -> Frames:
    factor = WORKING_SIDE / min(frame.shape[:2])
    if factor >= 1:
        return frame
    return np.asarray(cv2.resize(frame, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _corners(frame: Frames, k: int) -> Floats:
    """Return the corners of frame k as queries [n, 3]: (k, x, y) in pixels."""
    factor = max(1.0, np.ceil(WORKING_SIDE / min(frame.shape[:2])))
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    large = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    found = cv2.goodFeaturesToTrack(large, _PER_ANCHOR, _QUALITY, _APART_PX, blockSize=7)
    if found is None:
        return np.zeros((0, 3))
    values = cv2.cornerEigenValsAndVecs(large, 15, 3)[..., :2]
    column, row = found.reshape(-1, 2).astype(int).T
    strength = values[row, column]
    found = found[strength.min(axis=1) > _ROUND * strength.max(axis=1)]
    edge = [frame.shape[1] - 1, frame.shape[0] - 1]
    xy = np.clip((found.reshape(-1, 2) + 0.5) / factor - 0.5, 0, edge)
    return np.concatenate([np.full((len(xy), 1), float(k)), xy], axis=1)
