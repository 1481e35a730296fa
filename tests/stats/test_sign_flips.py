"""The sign-flip test against enumeration, and how often it is wrong without an effect."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from sora_eval.stats.sign_flips import paired_difference, sign_flip_test, sign_vectors


def test_sign_flip_p_by_hand() -> None:
    # Three clusters, all better: only +++ and --- of 8 flips reach the sum.
    assert paired_difference([2, 3, 4], [1, 1, 1], "abc").p_value == 2 / 8
    # Two clusters of two: 2 of 4 flips.
    assert paired_difference([2, 3, 4, 5], [1, 1, 1, 1], "aabb").p_value == 2 / 4


def test_p_values_are_uniform_without_effect() -> None:
    rng = np.random.default_rng(5)
    alarms = sum(paired_difference(rng.normal(size=10), np.zeros(10), range(10)).p_value <= 0.05 for _ in range(300))
    assert alarms / 300 < 0.09


def test_random_flips_agree_with_all_flips() -> None:
    sums = np.random.default_rng(2).normal(0.3, 1, (1, 12))
    exact = sign_flip_test(sums)[0]
    # Two clusters that hardly count leave the sum and take it above the number up to which all flips are tried.
    random = sign_flip_test(np.hstack([sums, np.full((1, 2), 1e-9)]))[0]
    assert random == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 4999))


def test_p_value_is_scipys_permutation_test() -> None:
    """Paired samples that change places are signs that flip; scipy tries all 2^10."""
    a, b = np.random.default_rng(3).normal(0.4, 1, (2, 10))
    known = scipy_stats.permutation_test(
        (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf
    )
    assert paired_difference(a, b, range(10)).p_value == pytest.approx(known.pvalue)
    assert sign_flip_test((a - b)[None])[0] == pytest.approx(known.pvalue)


def test_the_observed_signs_come_first_and_count() -> None:
    assert len(sign_vectors(12)) == 2**12
    assert (sign_vectors(13, flips=99)[0] == 1).all() and len(sign_vectors(13, flips=99)) == 100
    assert sign_flip_test(np.ones((1, 40)), flips=99)[0] == 1 / 100


def test_clusters_without_a_difference_leave_the_test_exact() -> None:
    """Three of twenty clusters differ: all 2^3 flips, unless zeros count among the clusters; then a random sample of 2^20."""
    sums = np.zeros((1, 20))
    sums[0, :3] = 1, 2, 3
    assert sign_flip_test(sums)[0] == 2 / 8
    sampled = sign_flip_test(sums, count_zeros=True)[0]
    assert sampled != 2 / 8 and sampled == pytest.approx(2 / 8, abs=4 * math.sqrt(0.25 * 0.75 / 4999))


def test_paired_difference_is_antisymmetric_and_refuses_unequal_lengths() -> None:
    a, b = np.random.default_rng(4).random((2, 50))
    ab, ba = paired_difference(a, b, range(50)), paired_difference(b, a, range(50))
    assert (ab.mean, ab.p_value) == pytest.approx((-ba.mean, ba.p_value))
    with pytest.raises(ValueError, match="same cases"):
        paired_difference([1, 2], [1], "ab")
