"""How well the first frame of a clip keeps the frame that was given: place, colour, pixels.

The colour model is that of photometric calibration: `made = gain * given ** gamma` on values in 0 to 1, with a gain per channel and one
gamma, fitted robustly to the pixels of both images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sora_eval.metrics.continuation import mean_squared_error
from sora_eval.types import Box, Floats, Frames

PSNR_MOST = 100.0
"""PSNR of an equal frame in dB, whose ratio is infinite."""
_DARK, _BRIGHT = 8, 247
"""Grey levels outside which a value may be clipped."""
_SPREAD = 0.15
"""Standard deviation of log brightness from which on a gamma can be distinguished from a gain."""
_PIXELS = 20_000
"""Pixels that a fit takes, evenly spread."""
DRIFT = " drift"
"""Suffix of a metric's name for its change from the first frame to the last."""


@dataclass(frozen=True)
class FirstFrameMetric:
    """A metric of the first frame."""

    name: str
    """As in reports."""
    best: float
    """Value of a frame that was kept as it was given."""
    meaning: str
    """Its definition, in a line."""
    unit: str = ""
    """"" for a share or a factor."""


METRICS: tuple[FirstFrameMetric, ...] = (
    FirstFrameMetric("shift", 0.0, "how far the middle of the given picture has moved, as a share of the clip's width"),
    FirstFrameMetric("zoom", 1.0, "scale of the given picture beside that at which all of it fits the clip"),
    FirstFrameMetric("gain", 1.0, "factor on brightness"),
    FirstFrameMetric("gamma", 1.0, "exponent of brightness: above 1 the middle is darker"),
    FirstFrameMetric("cast red", 1.0, "factor on red beside that on all channels (geometric mean)"),
    FirstFrameMetric("cast green", 1.0, "the same for green"),
    FirstFrameMetric("cast blue", 1.0, "the same for blue"),
    FirstFrameMetric("PSNR", PSNR_MOST, f"peak signal-to-noise ratio, at most {PSNR_MOST:g}", "dB"),
)
DRIFTING = ("gain", "gamma", "cast red", "cast green", "cast blue", "PSNR")
"""Metrics that are also measured on the last frame, against the true one of that moment: their change is the drift."""
BY_NAME: Mapping[str, FirstFrameMetric] = {
    **{m.name: m for m in METRICS},
    **{
        f"{m.name}{DRIFT}": FirstFrameMetric(
            f"{m.name}{DRIFT}", 0.0, f"change of {m.name} up to the last frame, each against the true one", m.unit
        )
        for m in METRICS
        if m.name in DRIFTING
    },
}


def place(box: Box, frame: tuple[int, int], given: tuple[int, int]) -> dict[str, float]:
    """Return shift and zoom of a given frame that lies in a box of a clip's frame.

    box: x0, y0, x1, y1 in pixels of the clip; frame, given: (height, width) of the clip's and of the given frame. The zoom is beside the
    scale at which all of the given frame fits the clip.

    Example:
        >>> {k: round(v, 3) for k, v in place((4.0, 0.0, 104.0, 50.0), (50, 100), (50, 100)).items()}
        {'shift': 0.04, 'zoom': 1.0}
    """
    (height, width), (H, W) = frame, given
    x0, y0, x1, y1 = box
    off = np.hypot((x0 + x1) / 2 - width / 2, (y0 + y1) / 2 - height / 2)
    scale = np.sqrt((x1 - x0) / W * (y1 - y0) / H)
    return {"shift": float(off / width), "zoom": float(scale / min(width / W, height / H))}


def pixels(given: Frames, made: Frames) -> dict[str, float]:
    """Return gain, gamma, casts and PSNR of an image beside the given one, uint8 [H, W, 3] of one size.

    Raises:
        ValueError: they have different sizes.

    Example:
        >>> given = np.random.default_rng(0).integers(20, 200, (32, 32, 3), dtype=np.uint8)
        >>> round(pixels(given, (given * 1.1).round().astype(np.uint8))["gain"], 2)
        1.1
    """
    error = mean_squared_error(given[None], made[None])
    psnr = min(PSNR_MOST, -10 * float(np.log10(error))) if error > 0 else PSNR_MOST
    return {**_colour(given, made), "PSNR": psnr}


def drift(first: Mapping[str, float], last: Mapping[str, float]) -> dict[str, float]:
    """Return how much the metrics of `pixels` change from the first frame to the last."""
    return {f"{name}{DRIFT}": last[name] - first[name] for name in DRIFTING if name in first and name in last}


def _colour(given: Frames, made: Frames) -> dict[str, float]:
    """Return gain, gamma and casts; {} where too little of either picture is neither black nor white."""
    step = max(1, given[..., 0].size // _PIXELS)
    x: Floats = given.reshape(-1, 3)[::step].astype(np.float64)
    y: Floats = made.reshape(-1, 3)[::step].astype(np.float64)
    usable = ((x > _DARK) & (x < _BRIGHT) & (y > _DARK) & (y < _BRIGHT)).all(axis=1)
    if usable.sum() < 50:
        return {}
    x, y = np.log(x[usable] / 255), np.log(y[usable] / 255)
    gains, gamma = np.zeros(3), 1.0
    kept = np.ones(len(x), dtype=bool)
    for _ in range(4):
        gains, gamma = _fit(x[kept], y[kept])
        off = np.abs(y - gamma * x - gains).max(axis=1)
        # What moves, or is drawn otherwise, is no change of colour.
        kept = off <= max(3 * float(np.median(off)), 0.01)
    cast = np.exp(gains - gains.mean())
    casts = {f"cast {name}": float(v) for name, v in zip(("red", "green", "blue"), cast, strict=True)}
    return {"gain": float(np.exp(gains.mean())), "gamma": float(gamma), **casts}


def _fit(x: Floats, y: Floats) -> tuple[Floats, float]:
    """Return the log gain of each channel and the gamma: least squares of y = gamma x + gains, [n, 3]."""
    a, b = x - x.mean(axis=0), y - y.mean(axis=0)
    gamma = float((a * b).sum() / (a * a).sum()) if a.std() >= _SPREAD else 1.0
    return np.asarray(y.mean(axis=0) - gamma * x.mean(axis=0)), gamma
