"""Curves of a clip's look over time: colour of ground and objects, sharpness. Frame by frame, in constant memory."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sora_eval.tracking.surroundings import Ground, ground
from sora_eval.tracking.world import membership
from sora_eval.types import Floats, Frames
from sora_eval.world.palette import COLOURS

_SIDE = 128
"""Frames whose shorter side is longer are reduced to it."""
_THING, _GROUND = 0.6, 0.02
"""Weights of a palette colour from which on a pixel is an object's, and up to which it is ground."""
_FEWEST = 12
"""Pixels of objects below which their colour is not known."""
_LEAST_SIDE = 8
"""Pixels along the shorter side of a picture below which its look is not known."""
_PALE = 0.05
"""Saturation that is added before the logarithm: noise of grey pictures counts for little."""


@dataclass(frozen=True)
class DriftCurves:
    """The look of each of T frames."""

    ground: Floats
    """[T, 2], log(R / G) and log(B / G) of the mean colour of what is no object; NaN where objects cover all but some pixels."""
    things: Floats
    """[T, 2], the same of the objects, mean over their colours; NaN where none is seen."""
    sharpness: Floats
    """[T], log of the share of fine detail (below about 2 pixels) in the picture's contrast."""


@dataclass(frozen=True)
class LookCurves:
    """The look of each of T pictures of anything, in which no object is known by its colour. NaN of a picture that is too small."""

    chroma: Floats
    """[T, 2], log(R / G) and log(B / G) of the mean colour."""
    saturation: Floats
    """[T], log of the mean saturation, plus .05: what is pale already can't fade by much."""
    sharpness: Floats
    """[T], log of the share of fine detail, as in `DriftCurves`."""


def drift_curves(frames: Frames, colours: Collection[str]) -> DriftCurves:
    """Return the look of frames uint8 [T, H, W, 3], T >= 1, over time. colours: those of the objects, names of the palette."""
    around = ground(frames)
    wanted = [k for k, name in enumerate(COLOURS) if name in colours]
    rows = [_look(frame, around, wanted) for frame in frames]
    return DriftCurves(*(np.array(column) for column in zip(*rows, strict=True)))


def look_curves(frames: Frames, box: Floats | None = None) -> LookCurves:
    """Return the look of frames uint8 [T, H, W, 3], or of a part of each, over time, whatever they show.

    box: [T, 4] x0, y0, x1, y1 in pixels, the part of each frame that is looked at; NaN where none is. None for all of every frame.
    """
    parts = frames if box is None else (_part(f, b) for f, b in zip(frames, box, strict=True))
    rows = [_whole_look(part) for part in parts]
    return LookCurves(*(np.array(column) for column in zip(*rows, strict=True)))


def _part(frame: Frames, box: Floats) -> Frames:
    if not np.isfinite(box).all():
        return frame[:0, :0]
    x0, y0, x1, y1 = (max(0, round(float(v))) for v in box)
    return frame[y0:y1, x0:x1]


def _whole_look(frame: Frames) -> tuple[Floats, float, float]:
    if min(frame.shape[:2]) < _LEAST_SIDE:
        return np.full(2, np.nan), np.nan, np.nan
    frame = _reduced(frame)
    pixels = frame.reshape(-1, 3)
    bright = float(pixels.max(axis=1).mean())
    grey = float(pixels.min(axis=1).mean())
    return _chroma(pixels), float(np.log((bright - grey) / (bright + 1.0) + _PALE)), _sharpness(frame)


def _reduced(frame: Frames) -> Frames:
    scale = _SIDE / min(frame.shape[:2])
    if scale >= 1:
        return frame
    size = (round(frame.shape[1] * scale), round(frame.shape[0] * scale))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _look(frame: Frames, around: Ground, wanted: Collection[int]) -> tuple[Floats, Floats, float]:
    frame = _reduced(frame)
    index, weight = membership(frame, around)
    return _chroma(frame[weight <= _GROUND]), _things(frame, index, weight, wanted), _sharpness(frame)


def _things(frame: Frames, index: NDArray[np.int64], weight: Floats, wanted: Collection[int]) -> Floats:
    """Return the mean chroma [2] over the wanted colours that are seen: whichever of them is larger has no more weight."""
    found = [_chroma(frame[(index == c) & (weight >= _THING)]) for c in wanted]
    known = [chroma for chroma in found if np.isfinite(chroma).all()]
    return np.mean(known, axis=0) if known else np.full(2, np.nan)


def _chroma(pixels: Frames) -> Floats:
    if len(pixels) < _FEWEST:
        return np.full(2, np.nan)
    red, green, blue = np.log(pixels.mean(axis=0) + 1.0)
    return np.array([red - green, blue - green])


def _sharpness(frame: Frames) -> float:
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine = cv2.GaussianBlur(grey, (0, 0), 0.9)
    coarse = cv2.GaussianBlur(grey, (0, 0), 4.0)
    detail, contrast = float(np.std(grey - fine)), float(np.std(fine - coarse))
    return float(np.log((detail + 0.05) / (contrast + 0.05)))
