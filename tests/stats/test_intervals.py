"""Statistics against hand-worked answers, coverage and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from sora_eval.stats.correlation import auc, spearman
from sora_eval.stats.intervals import cluster_bootstrap, wilson
from sora_eval.stats.multiplicity import holm
from sora_eval.stats.sign_flips import paired_difference


def test_wilson_by_hand_and_at_the_ends() -> None:
    # z = 1.96, k = 0: upper = z^2 / (n + z^2) = 3.8415 / 13.8415.
    zero = wilson(0, 10)
    assert (zero.mean, zero.low) == (0, 0)
    assert zero.high == pytest.approx(3.841459 / 13.841459, rel=1e-6)
    one = wilson(10, 10)
    assert (one.mean, one.high) == (1, 1)
    assert one.low == pytest.approx(1 - zero.high)
    known = scipy_stats.binomtest(7, 20).proportion_ci(method="wilson")
    assert (wilson(7, 20).low, wilson(7, 20).high) == pytest.approx((known.low, known.high))


def test_clusters_are_resampled_together() -> None:
    # Ten copies of each value are no more evidence than one.
    values = np.random.default_rng(0).random(20)
    alone = cluster_bootstrap(values, list(range(20)))
    copied = cluster_bootstrap(np.repeat(values, 10), np.repeat(np.arange(20), 10))
    assert copied.high - copied.low == pytest.approx(alone.high - alone.low)
    ignored = cluster_bootstrap(np.repeat(values, 10), list(range(200)))
    assert ignored.high - ignored.low < 0.5 * (copied.high - copied.low)


def test_mean_is_over_values_and_labels_are_mere_names() -> None:
    a = cluster_bootstrap([0, 1, 1, 0.5], ["p", "p", "q", "r"])
    b = cluster_bootstrap([0, 1, 1, 0.5], [7, 7, 1, 3])
    assert a.mean == pytest.approx(2.5 / 4)
    assert a == b


def test_bootstrap_covers_the_truth() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for trial in range(200):
        scene = rng.normal(0.5, 0.2, size=40)
        values = np.repeat(scene, 3) + rng.normal(0, 0.1, size=120)
        interval = cluster_bootstrap(values, np.repeat(np.arange(40), 3), n_boot=400, seed=trial)
        hits += interval.low <= 0.5 <= interval.high
    assert 0.89 <= hits / 200 <= 0.99


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_failed_or_all_passed_still_has_a_width(value: float) -> None:
    interval = cluster_bootstrap([value] * 30, [i // 3 for i in range(30)])
    expected = wilson(10 * value, 10)
    assert (interval.mean, interval.low, interval.high) == (value, expected.low, expected.high)
    assert interval.high - interval.low > 0.2


def test_one_cluster_claims_nothing() -> None:
    assert cluster_bootstrap([3.0, 4.0], ["a", "a"]).high == np.inf
    bounded = cluster_bootstrap([0.4, 0.6], ["a", "a"])
    assert bounded.high - bounded.low > 0.8


def test_paired_is_narrower_than_unpaired_and_antisymmetric() -> None:
    rng = np.random.default_rng(4)
    hard = rng.random(50)
    a, b = hard + 0.05 + rng.normal(0, 0.01, 50), hard
    ab, ba = paired_difference(a, b, range(50)), paired_difference(b, a, range(50))
    assert ab.low > 0.04
    assert ab.high < 0.06
    assert (ab.mean, ab.low, ab.p_value) == pytest.approx((-ba.mean, -ba.high, ba.p_value))
    assert ab.p_value == pytest.approx(1e-4)


def test_sign_flip_p_by_hand() -> None:
    # Three clusters, all better: only +++ and --- of 8 flips reach the sum.
    assert paired_difference([2, 3, 4], [1, 1, 1], "abc").p_value == 2 / 8
    # Two clusters of two: 2 of 4 flips.
    assert paired_difference([2, 3, 4, 5], [1, 1, 1, 1], "aabb").p_value == 2 / 4


def test_no_difference_still_has_a_width() -> None:
    same = paired_difference([0, 1, 1, 0], [0, 1, 1, 0], range(4))
    assert same.p_value == 1
    assert same.high == -same.low == pytest.approx(wilson(0, 4).high)
    better = paired_difference([1] * 4, [0] * 4, range(4))
    assert (better.mean, better.high) == (1, 1)
    assert better.low == pytest.approx(2 * wilson(4, 4).low - 1)


def test_p_values_are_uniform_without_effect() -> None:
    rng = np.random.default_rng(5)
    alarms = sum(
        paired_difference(rng.normal(size=10), np.zeros(10), range(10), n_boot=10).p_value <= 0.05 for _ in range(300)
    )
    assert alarms / 300 < 0.09


def test_auc_by_hand_with_ties() -> None:
    # Pairs (2,1) (2,2) (3,1) (3,2): 1 + 1/2 + 1 + 1 of 4.
    assert auc([2, 3], [1, 2]).mean == 3.5 / 4
    assert auc([1, 1], [1, 1, 1]).mean == 0.5
    assert auc([5, 5], [1]).mean == 1


def test_auc_agrees_with_mann_whitney_and_mirrors() -> None:
    rng = np.random.default_rng(6)
    pos, neg = rng.normal(0.5, 1, 40).round(1), rng.normal(0, 1, 60).round(1)
    known = scipy_stats.mannwhitneyu(pos, neg).statistic / 2400
    got = auc(pos, neg)
    assert got.mean == pytest.approx(known)
    assert auc(neg, pos).mean == pytest.approx(1 - known)
    assert got.low < known < got.high
    assert 0.15 < got.high - got.low < 0.35


def test_perfect_auc_is_not_certain() -> None:
    got = auc([2.0] * 8, [1.0] * 20)
    assert (got.low, got.high) == (wilson(8, 8).low, 1)


def test_holm_by_hand() -> None:
    # Sorted .01 .02 .03 .04 times 4 3 2 1 is .04 .06 .06 .04, made monotone .04 .06 .06 .06.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.9]) == pytest.approx([1, 1])
    assert holm([]).size == 0


def test_spearman_by_hand_and_with_ties() -> None:
    # Ranks 1 2 3 against 1 3 2: 1 - 6 * 2 / (3 * 8).
    assert spearman([1, 2, 3], [10, 30, 20]) == pytest.approx(0.5)
    assert spearman([1, 2, 3, 4], np.exp([1, 2, 3, 4])) == pytest.approx(1)
    x, y = [1, 2, 2, 5, 7], [3, 3, 1, 6, 5]
    assert spearman(x, y) == pytest.approx(scipy_stats.spearmanr(x, y).statistic)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="finite"):
        cluster_bootstrap([1, np.nan], "ab")
    with pytest.raises(ValueError, match="one cluster label"):
        cluster_bootstrap([1, 2], "a")
    with pytest.raises(ValueError, match="same cases"):
        paired_difference([1, 2], [1], "ab")
    with pytest.raises(ValueError, match="0 <= k <= n"):
        wilson(3, 2)
    with pytest.raises(ValueError, match="both groups"):
        auc([], [1])
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        holm([0.1, 1.2])
    with pytest.raises(ValueError, match="all equal"):
        spearman([1, 1], [1, 2])
