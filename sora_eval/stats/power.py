"""The smallest true difference that a comparison finds with a given power."""

from __future__ import annotations

from sora_eval.stats.intervals import LEVEL, t_quantile

POWER = 0.8


def minimum_detectable_effect(error: float, freedom: float, tail: float, power: float = POWER) -> float:
    """Return the smallest true difference that a test finds with a given power: `(t_(1 - tail) + t_power) error`.

    error: standard error of the difference, with `freedom` degrees of freedom; tail: the test's error on that side, corrected for how many
    tests are made.

    Source: Bloom 1995, "Minimum detectable effects".

    >>> round(minimum_detectable_effect(0.1, 1e6, 0.025), 3)  # 1.96 + 0.84 standard errors
    0.28
    """
    return (t_quantile(1 - tail, freedom) + t_quantile(power, freedom)) * error


def detectable_difference(error: float, freedom: float, largest: float, comparisons: int = 1) -> float:
    """Return the smallest difference that a two-sided test at 5% finds with power 0.8, one of `comparisons` (Bonferroni).

    largest: the largest difference that there can be; nothing above it is claimed.

    >>> detectable_difference(0.1, 1e6, largest=0.25)
    0.25
    """
    return min(minimum_detectable_effect(error, freedom, (1 - LEVEL) / 2 / comparisons), largest)
