"""Corrections for many hypotheses against hand-worked answers and brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sora_eval.stats.multiplicity import adjust_e_values, alpha_shares, holm, westfall_young


def test_holm_by_hand() -> None:
    # Sorted .01 .02 .03 .04 times 4 3 2 1 is .04 .06 .06 .04, made monotone .04 .06 .06 .06.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.9]) == pytest.approx([1, 1])
    assert holm([]).size == 0


def test_holm_among_more_comparisons_by_hand() -> None:
    """The two smallest of five: times 5 and 4, made monotone and at most 1."""
    assert holm([0.03, 0.01], comparisons=5) == pytest.approx([0.12, 0.05])
    assert holm([0.011, 0.01], comparisons=5) == pytest.approx([0.05, 0.05])
    assert holm([0.5, 0.9], comparisons=3).tolist() == [1.0, 1.0]
    p = np.array([0.04, 0.001, 0.2, 0.012])
    assert (holm(p, 4) == holm(p)).all() and (holm(p, 9) >= holm(p)).all()


def test_holm_of_what_was_picked_is_never_below_holm_of_all() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        every = rng.random(12) ** 3
        picked = rng.choice(12, 4, replace=False)
        assert (holm(every[picked], comparisons=12) >= holm(every)[picked] - 1e-12).all()


def test_adjusted_p_values_are_holms_for_independent_continuous_sums_or_smaller() -> None:
    rng = np.random.default_rng(0)
    sums = np.zeros((3, 30))
    for k, shift in enumerate((0.9, 0.6, 0.0)):
        sums[k, 10 * k : 10 * k + 10] = rng.normal(shift, 1, 10)
    raw = np.array([westfall_young(row[None], np.ones(1))[0] for row in sums])
    found = westfall_young(sums, np.full(3, 1 / 3), flips=20000)
    assert (found <= holm(raw) + 0.01).all()
    # Independent hypotheses: Sidak's step-down, which Holm's bounds.
    order = np.argsort(raw)
    sidak = np.maximum.accumulate(1 - (1 - raw[order]) ** np.array([3, 2, 1]))
    np.testing.assert_allclose(found[order], sidak, atol=0.015)


def test_adjusted_e_values_are_the_least_weighted_mean_of_all_sets() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        e, share = rng.exponential(5, 5), rng.dirichlet(np.ones(5))
        sets = [list(s) for n in range(1, 6) for s in itertools.combinations(range(5), n)]
        brute = [min(float(share[s] @ e[s] / share[s].sum()) for s in sets if k in s) for k in range(5)]
        np.testing.assert_allclose(adjust_e_values(e, share), brute)


def test_shares_of_alpha_sum_to_one() -> None:
    assert alpha_shares(26, 0.5).sum() == pytest.approx(1)
    np.testing.assert_allclose(alpha_shares(3, 0.4), [0.4, 0.3, 0.3])


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        holm([0.1, 1.2])
    with pytest.raises(ValueError, match="can't be of 1 comparisons"):
        holm([0.1, 0.2], comparisons=1)
