"""Counts and exits with answers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sora_eval.metrics.permanence import (
    Exit,
    count_consistency,
    exit_error,
    fit_constant_velocity,
    observed_exit,
    prompted_count_consistency,
)


@pytest.mark.parametrize(
    ("counts", "expected", "value"),
    [([3, 3, 3], 3, 1.0), ([2, 3, 4], 3, 1 - (2 / 3) / 3), ([0, 0], 2, 0.0), ([9, 9], 2, 0.0), ([1, 2], 2, 0.75)],
)
def test_count_consistency_by_hand(counts: list[int], expected: int, value: float) -> None:
    assert count_consistency(counts, expected) == pytest.approx(value)


def test_count_consistency_with_a_number_for_each_frame() -> None:
    # Off by 0, 1 and 0 where 1 is expected on average.
    assert count_consistency([1, 1, 0], [1, 2, 0]) == pytest.approx(2 / 3)
    for expected in ([0, 0, 0], [1, 1], 0):
        with pytest.raises(ValueError, match="expected must be"):
            count_consistency([1, 1, 0], expected)


@pytest.mark.parametrize(
    ("counts", "asked", "value"),
    [
        ([2, 1, 2], 2, 1.0),  # one is hidden for a while
        ([1, 1, 1], 2, 0.5),
        ([2, 3, 3], 2, 1 - (2 / 3) / 2),
        ([0, 0], 2, 0.0),
        ([9, 9], 2, 0.0),
    ],
)
def test_count_against_the_prompt_by_hand(counts: list[int], asked: int, value: float) -> None:
    assert prompted_count_consistency(counts, asked) == pytest.approx(value)


@pytest.mark.parametrize(("counts", "asked"), [([], 1), ([1, -1], 1), ([1], 0)])
def test_count_against_the_prompt_refuses_what_is_no_count(counts: list[int], asked: int) -> None:
    with pytest.raises(ValueError, match="counts must be"):
        prompted_count_consistency(counts, asked)


def test_velocity_is_exact_on_a_line_and_skips_unseen_frames() -> None:
    t = np.arange(5) / 10
    xy = np.stack([4 + 30 * t, 7 - 10 * t], axis=1)
    xy[2] = np.nan
    motion = fit_constant_velocity(t, xy)
    assert motion.velocity == pytest.approx([30, -10])
    assert motion.at(1.0) == pytest.approx([34, -3])


def test_observed_exit_is_after_the_longest_hidden_span() -> None:
    visible = np.array([1, 1, 0, 1, 0, 0, 0, 1, 1, 0], dtype=bool)
    xy = np.stack([np.arange(10.0), np.zeros(10)], axis=1)
    out = observed_exit(np.arange(10) / 5, xy, visible)
    assert (out.t_s, out.xy[0]) == (1.4, 7)
    with pytest.raises(ValueError, match="never hidden"):
        observed_exit(np.arange(10) / 5, xy, np.arange(10) < 6)


def test_exit_error_is_signed_in_time() -> None:
    error = exit_error(Exit(2.0, np.array([50.0, 15.0])), Exit(2.5, np.array([53.0, 11.0])))
    assert (error.time_s, error.place_px) == (0.5, 5.0)
