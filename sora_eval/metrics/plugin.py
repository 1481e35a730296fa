"""Metrics of other packages, which fidelity evaluates beside its own: entry points of the group `sora_eval.metrics`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from sora_eval.types import Floats, Frames


@dataclass(frozen=True)
class FrameMetric:
    """A full-reference metric: a number for each clip from its frames and those of the true clip.

    >>> import numpy as np
    >>> mae = FrameMetric(lambda true, made: float(abs(made - 1.0 * true).mean()), "levels", bounds=(0, 255))
    >>> mae.function(np.zeros((2, 4, 4, 3), np.uint8), np.full((2, 4, 4, 3), 8, np.uint8))
    8.0
    """

    function: Callable[[Frames, Frames], float]
    """f(true, generated) of uint8 [T, H, W, 3] each, at the moments that both show and at the size of the generated clip."""
    unit: str = ""
    """Unit, part of the name in tables."""
    higher_is_better: bool = False
    """Which way is good."""
    bounds: tuple[float, float] = (0.0, 1.0)
    """The least and the greatest value, for the interval where all clips have the same one."""
    version: int = 1
    """Raised whenever values change."""


@dataclass(frozen=True)
class FeatureMetric:
    """A distance of two sets of clips: a number from their features by the video encoder.

    >>> import numpy as np
    >>> shift = FeatureMetric(lambda real, made: float(np.linalg.norm(real.mean(0) - made.mean(0))))
    >>> shift.function(np.zeros((3, 2)), np.full((4, 2), [3.0, 4.0]))
    5.0
    """

    function: Callable[[Floats, Floats], float]
    """f(real, generated) of [n, d] and [m, d], at most `streaming.MOST` clips of each."""
    unit: str = ""
    """Unit, part of the name in tables."""
    higher_is_better: bool = False
    """Which way is good."""
    version: int = 1
    """Raised whenever values change."""


PluginMetric: TypeAlias = FrameMetric | FeatureMetric
