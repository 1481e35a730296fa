"""The change point of a curve, against curves that change where they were made to."""

from __future__ import annotations

import numpy as np
import pytest

from sora_eval.stats.change_point import change_point


def test_a_step_is_found_where_it_is_in_noise() -> None:
    rng = np.random.default_rng(0)
    found = change_point(np.where(np.arange(100) < 60, 0.0, 2.0) + rng.normal(0, 0.2, 100))
    assert found.kind == "step"
    assert abs(found.at - 60) <= 2
    assert found.size == pytest.approx(2.0, abs=0.15)


def test_a_slope_is_found_where_it_begins() -> None:
    t = np.arange(200)
    found = change_point(np.maximum(0, t - 80) * 0.01)
    assert found.kind == "slope"
    assert abs(found.at - 80) <= 4
    assert found.size == pytest.approx(1.19, abs=0.05)


def test_a_curve_that_stays_has_no_change() -> None:
    found = change_point(np.full(20, 3.0))
    assert (found.size, found.explained) == (0.0, 0.0)


def test_a_swing_explains_little() -> None:
    swing = change_point(np.sin(2 * np.pi * np.arange(160) / 20))
    assert swing.explained < 0.1


@pytest.mark.parametrize("values", [[1.0] * 5, [1.0, np.nan, 1, 1, 1, 1], [[1.0] * 6]])
def test_what_is_no_curve_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="at least 6 finite"):
        change_point(values)
