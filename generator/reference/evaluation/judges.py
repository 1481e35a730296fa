"""Judges: what the world's tracker measures in a generated clip, beside the parameters that its prompt was made from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from sora_eval.data.heldout import FRAMES, member
from sora_eval.data.shards import FPS
from sora_eval.tracking.world import track
from sora_eval.types import Floats, Frames, Tracks, Video
from sora_eval.world.families.common import SHAPES

_MOVED = 0.12
"""Displacement, as a share of the frame, from which on an object has moved; the slowest prompted one is twice that."""
_GROWN = 1.12
"""Ratio of sizes from which on an object has come closer."""
_DESCRIPTORS = ("extent", "aspect", "taper", "shade")
_CALIBRATION = 64
"""Training clips from which shapes are learnt, at each of the blurs."""
_BLURS = (0.0, 0.7, 1.1)


@lru_cache(maxsize=1)
def _shapes() -> tuple[Floats, Floats]:
    """Fit a linear discriminant analysis of shapes to training clips, sharp and blurred: a cube with soft edges is a cube.

    Return the mean descriptors of each shape (4, D) and the inverse of their common covariance (D, D).
    """
    descriptors: list[Floats] = []
    names: list[str] = []
    for i in range(_CALIBRATION):
        clip = member("single", i, FRAMES, "training")
        for sigma in _BLURS:
            blurred = [cv2.GaussianBlur(f, (0, 0), sigma) if sigma else f for f in clip.frames]
            tracks = track(Video(np.stack(blurred), FPS))
            if len(tracks):
                descriptors.append(_descriptors_of(tracks, main_track(tracks)))
                names.append(clip.params["hero"]["shape"])
    x = np.array(descriptors)
    means = np.array([x[np.array(names) == shape].mean(axis=0) for shape in SHAPES])
    within = x - means[[SHAPES.index(n) for n in names]]
    return means, np.linalg.inv(within.T @ within / len(x) + 4e-4 * np.eye(len(_DESCRIPTORS)))


def _descriptors_of(tracks: Tracks, i: int) -> Floats:
    return np.array([np.nanmedian(tracks.shape[d][i]) for d in _DESCRIPTORS])


def main_track(tracks: Tracks) -> int:
    """Return the index of the track with the largest area over the clip."""
    return int(np.argmax(np.where(tracks.visible, tracks.area, 0).sum(axis=1)))


def shape_of(tracks: Tracks, i: int) -> str:
    """Return the shape whose mean descriptors are nearest to those of a track (Mahalanobis distance): ball, cube, cylinder or cone."""
    means, inverse = _shapes()
    difference = _descriptors_of(tracks, i) - means
    return SHAPES[int(np.argmin(np.einsum("sd,de,se->s", difference, inverse, difference)))]


def motion_of(tracks: Tracks, i: int) -> str:
    """Return how a track moves: left, right, up, down, closer, away or still; "" of fewer than four visible frames."""
    seen = np.flatnonzero(tracks.visible[i])
    if len(seen) < 4:
        return ""
    a, b = seen[:3], seen[-3:]
    shift = (tracks.xy[i][b].mean(axis=0) - tracks.xy[i][a].mean(axis=0)) / np.array(tracks.size[::-1])
    grown = float(np.sqrt(tracks.area[i][b].mean() / tracks.area[i][a].mean()))
    # Coming closer moves an object down a little, and changes its size as nothing else does.
    if grown > _GROWN or grown < 1 / _GROWN:
        return "closer" if grown > 1 else "away"
    if np.abs(shift).max() < _MOVED:
        return "still"
    if abs(shift[0]) >= abs(shift[1]):
        return "right" if shift[0] > 0 else "left"
    return "down" if shift[1] > 0 else "up"


def single(frames: Frames, params: Mapping[str, Any]) -> dict[str, float]:
    """Score a clip of one object: colour, exactly one object, direction, shape; 1 or 0 each."""
    tracks = track(Video(frames, FPS))
    if not len(tracks):
        return {"colour": 0.0, "one object": 0.0, "direction": 0.0, "shape": 0.0}
    i = main_track(tracks)
    hero = params["hero"]
    largest = tracks.area[i][tracks.visible[i]].mean()
    present = [tracks.visible[j] & (tracks.area[j] > 0.15 * largest) for j in range(len(tracks))]
    unique = (np.sum(present, axis=0) == 1).mean() >= 0.8
    return {
        "colour": float(tracks.colour[i] == hero["colour"]),
        "one object": float(unique),
        "direction": float(motion_of(tracks, i) == params["motion"]),
        "shape": float(shape_of(tracks, i) == hero["shape"]),
    }


def sided(frames: Frames, params: Mapping[str, Any]) -> dict[str, float]:
    """Score a clip of two objects: whether a is on the prompted side of b in most frames."""
    tracks = track(Video(frames, FPS))
    a, b = (tracks.of(params[k]["colour"]) for k in ("a", "b"))
    if not a or not b:
        return {"side": 0.0}
    with np.errstate(invalid="ignore"):
        right = tracks.xy[a[0], :, 0] > tracks.xy[b[0], :, 0]
    both = tracks.visible[a[0]] & tracks.visible[b[0]]
    wanted = right if params["side"] == "right" else ~right
    return {"side": float(both.mean() > 0.5 and wanted[both].mean() > 0.5)}


def framed(frames: Frames, params: Mapping[str, Any]) -> dict[str, float]:
    """Score the framing of a clip of one object: exactly one object, and whole in view in most frames; 1 or 0 each.

    Brooks et al. 2024: trained on square crops, a model shows its subject only partly in view.
    """
    tracks = track(Video(frames, FPS))
    if not len(tracks):
        return {"one object": 0.0, "whole in view": 0.0}
    i = main_track(tracks)
    inside = tracks.visible[i] & (np.nan_to_num(tracks.shape["edge"][i], nan=1.0) == 0)
    return {"one object": single(frames, params)["one object"], "whole in view": float(inside.mean() >= 0.8)}
