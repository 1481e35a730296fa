"""Corruptions that encoders learn and are tested on: of a frame, and of the order of frames."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Frames

DISTORTIONS: tuple[str, ...] = ("blur", "noise", "jpeg", "shift", "dark", "pale", "coarse", "erased", "recoloured")
HARMLESS, CONTENT = ("blur", "noise", "shift", "dark"), ("erased", "recoloured")
_SATURATED = 60


def reordered(kind: str, severity: float, frames: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return which frame is shown when, [T]: "backwards"; the last ones "held"; some "shuffled"; else as they come.

    severity: the share of the frames that are held or shuffled.
    """
    order = np.arange(frames)
    count = max(2, round(severity * frames))
    if kind == "backwards":
        return order[::-1]
    if kind == "held":
        order[frames - count :] = frames - count
    elif kind == "shuffled":
        at = rng.choice(frames, size=count, replace=False)
        order[at] = rng.permutation(at)
    return order


def distorted(frame: Frames, kind: str, severity: float, seed: int = 0) -> Frames:
    """Return a frame uint8 [H, W, 3] with a corruption of a severity in 0..1; 0 changes nothing."""
    if severity <= 0:
        return frame
    rng = np.random.default_rng(seed)
    h, w = frame.shape[:2]
    x: Any = frame.astype(np.float64)
    if kind == "blur":
        x = cv2.GaussianBlur(x, (0, 0), 0.2 + 0.05 * min(h, w) * severity)
    elif kind == "noise":
        x = x + rng.normal(0, 50 * severity, x.shape)
    elif kind == "jpeg":
        _, coded = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, round(60 - 58 * severity)])
        x = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))[..., ::-1]
    elif kind == "shift":
        angle, far = rng.uniform(0, 2 * np.pi), 0.12 * min(h, w) * severity
        move = np.array([[1, 0, far * np.cos(angle)], [0, 1, far * np.sin(angle)]])
        x = cv2.warpAffine(x, move, (w, h), borderMode=cv2.BORDER_REFLECT)
    elif kind == "dark":
        x = x * (1 - 0.7 * severity)
    elif kind == "pale":
        x = x + (x.mean(axis=-1, keepdims=True) - x) * severity
    elif kind == "coarse":
        small = max(4, round(min(h, w) / (1 + 7 * severity)))
        x = cv2.resize(
            cv2.resize(x, (small, small), interpolation=cv2.INTER_AREA), (w, h), interpolation=cv2.INTER_NEAREST
        )
    elif kind == "erased":
        y, x0, _ = _object(frame, rng)
        part = _around(y, x0, round(0.2 * severity * min(h, w)) + 1)
        x[part] = np.median(x.reshape(-1, 3), axis=0)
    elif kind == "recoloured":
        _, _, pixels = _object(frame, rng)
        hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)
        # OpenCV's hue goes round in 180 steps; half of them is the opposite colour.
        hsv[..., 0][pixels] = (hsv[..., 0][pixels] + round(90 * severity)) % 180
        x = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    else:
        raise ValueError(f"kind must be one of {', '.join(DISTORTIONS)}, got {kind}")
    return np.asarray(np.clip(np.rint(x), 0, 255).astype(np.uint8))


def _object(frame: Frames, rng: np.random.Generator) -> tuple[int, int, NDArray[np.bool_]]:
    """Return a point (y, x) on a coloured object, and the pixels [H, W] of its hue; any point where nothing is coloured."""
    spread = frame.max(axis=-1).astype(int) - frame.min(axis=-1)
    at = np.argwhere(spread > _SATURATED)
    if not len(at):
        y, x = (int(rng.integers(n)) for n in frame.shape[:2])
        return y, x, np.ones(frame.shape[:2], bool)
    y, x = (int(v) for v in at[int(rng.integers(len(at)))])
    hue = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)[..., 0].astype(int)
    gap = np.abs(hue - hue[y, x])
    return y, x, (np.minimum(gap, 180 - gap) < 12) & (spread > _SATURATED)


def _around(y: int, x: int, reach: int) -> tuple[slice, slice]:
    return slice(max(0, y - reach), y + reach + 1), slice(max(0, x - reach), x + reach + 1)
