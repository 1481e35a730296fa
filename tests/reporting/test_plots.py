"""Axes of plots: ticks are round, evenly spaced, and few."""

from __future__ import annotations

from itertools import pairwise

import pytest

from sora_eval.reporting.components.plots import Axis


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.0, 1.0, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (-0.89, 1.0, ["−0.5", "0", "0.5", "1"]),
        (-0.3, 0.3, ["−0.2", "0", "0.2"]),
        (-0.7, 0.7, ["−0.5", "0", "0.5"]),
        (33.2, 41.7, ["34", "36", "38", "40"]),
        (0.0011, 0.0019, ["0.0012", "0.0014", "0.0016", "0.0018"]),
    ],
)
def test_ticks_are_multiples_of_one_two_or_five(low: float, high: float, labels: list[str]) -> None:
    assert [label for _, label in Axis(low, high).ticks] == labels


@pytest.mark.parametrize("width", [0.07, 0.31, 1.0, 1.3, 1.89, 2.0, 4.0, 7.7, 95.0, 1e-4, 3e5])
@pytest.mark.parametrize("low", [-0.89, -0.5, 0.0, 0.037, 12.5])
def test_ticks_are_few_even_and_on_the_axis(low: float, width: float) -> None:
    ticks = [at for at, _ in Axis(low, low + width).ticks]
    steps = {round(b - a, 1) for a, b in pairwise(ticks)}
    assert 2 <= len(ticks) <= 6 and ticks[0] >= 0 and ticks[-1] <= 100
    assert max(steps) - min(steps) < 0.11
