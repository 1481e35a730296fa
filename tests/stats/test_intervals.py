"""Intervals against hand-worked answers, coverage and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from sora_eval.stats.intervals import (
    cluster_bootstrap,
    jackknife_bias,
    jackknife_variance,
    pseudo_values,
    t_interval,
    t_quantile,
    wilson,
    wilson_error,
    z_quantile,
)


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


@pytest.mark.parametrize("per_cluster", [1, 3])
def test_bootstrap_is_scipys_on_the_same_resamples(per_cluster: int) -> None:
    """The mean of whole clusters is the ratio of two resampled sums; scipy draws with the same generator in the same order."""
    rng = np.random.default_rng(8)
    labels = np.repeat(np.arange(25), per_cluster)
    labels = labels[rng.permutation(len(labels))[: len(labels) - per_cluster + 1]]
    values = rng.random(len(labels))
    first = list(dict.fromkeys(labels.tolist()))
    sums, sizes = np.array([(values[labels == c].sum(), (labels == c).sum()) for c in first]).T
    known = scipy_stats.bootstrap(
        (sums, sizes),
        lambda s, n, axis: s.sum(axis=axis) / n.sum(axis=axis),
        n_resamples=2000,
        confidence_level=0.9,
        method="percentile",
        paired=True,
        rng=np.random.default_rng(5),
    ).confidence_interval
    found = cluster_bootstrap(values, labels, seed=5, level=0.9)
    grow = np.sqrt(len(first) / (len(first) - 1)) * t_quantile(0.95, len(first) - 1) / z_quantile(0.95)
    ends = [found.mean + grow * (end - found.mean) for end in (known.low, known.high)]
    assert (found.low, found.high) == pytest.approx(ends, rel=1e-12)


def test_bootstrap_agrees_with_scipys_on_other_resamples() -> None:
    """Within Monte Carlo error: the 2.5% quantile of 20,000 replicates lies within its 2.3% and 2.7% ones, four standard errors."""
    values = np.random.default_rng(9).exponential(size=30)
    known = scipy_stats.bootstrap((values,), np.mean, n_resamples=20000, method="percentile", rng=1)
    found = cluster_bootstrap(values, range(30), n_boot=20000, seed=2)
    replicates = known.bootstrap_distribution
    grow = np.sqrt(30 / 29) * t_quantile(0.975, 29) / z_quantile(0.975)
    for share, end in (
        (0.025, (found.low - found.mean) / grow + found.mean),
        (0.975, (found.high - found.mean) / grow + found.mean),
    ):
        slack = 4 * np.sqrt(2 * share * (1 - share) / 20000)
        assert np.quantile(replicates, share - slack) <= end <= np.quantile(replicates, share + slack)


@pytest.mark.parametrize(("scenes", "least"), [(2, 0.85), (4, 0.85), (16, 0.9)])
def test_the_bootstrap_of_few_scenes_covers_their_mean(scenes: int, least: float) -> None:
    """Continuous scores: nominal 95%; the plain percentile interval of two scenes covers 50%."""
    rng, covered = np.random.default_rng(3), 0
    for trial in range(200):
        interval = cluster_bootstrap(rng.beta(4, 2, size=scenes), range(scenes), n_boot=400, seed=trial)
        covered += interval.low <= 4 / 6 <= interval.high
    assert covered / 200 >= least


def test_the_error_of_what_never_varied_is_of_wilsons_width() -> None:
    assert z_quantile(0.975) * wilson_error(20, 2.0) == pytest.approx(2 * wilson(0, 20).high)


def test_quantiles_are_scipys() -> None:
    for p in (0.025, 0.5, 0.8, 0.999):
        assert z_quantile(p) == pytest.approx(scipy_stats.norm.ppf(p))
        assert t_quantile(p, 7) == pytest.approx(scipy_stats.t.ppf(p, 7))
    x = np.random.default_rng(11).normal(size=9)
    known = scipy_stats.ttest_1samp(x, 0).confidence_interval(0.9)
    found = t_interval(x.mean(), x.std(ddof=1) / 3, 8, level=0.9)
    assert (found.low, found.high) == pytest.approx((known.low, known.high))


def test_jackknife_of_a_mean_and_of_a_variance() -> None:
    """Of a mean: no bias, variance s^2 / n, and the values as pseudo-values. Of the plug-in variance: bias -s^2 / n, which is all of it."""
    x = np.random.default_rng(12).exponential(size=15)
    means = [np.delete(x, k).mean() for k in range(15)]
    assert jackknife_variance(means) == pytest.approx(x.var(ddof=1) / 15)
    assert jackknife_bias(float(x.mean()), means) == pytest.approx(0)
    assert pseudo_values(float(x.mean()), means) == pytest.approx(x)
    variances = [np.delete(x, k).var() for k in range(15)]
    assert x.var() - jackknife_bias(float(x.var()), variances) == pytest.approx(x.var(ddof=1))


def test_jackknife_of_groups_is_that_of_their_means() -> None:
    """Five equal groups: the variance of the mean is that of five group means, s^2 / 5."""
    groups = np.random.default_rng(13).normal(size=(5, 4))
    without = [np.delete(groups, k, axis=0).mean() for k in range(5)]
    assert jackknife_variance(without) == pytest.approx(groups.mean(axis=1).var(ddof=1) / 5)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="finite"):
        cluster_bootstrap([1, np.nan], "ab")
    with pytest.raises(ValueError, match="one cluster label"):
        cluster_bootstrap([1, 2], "a")
    with pytest.raises(ValueError, match="0 <= k <= n"):
        wilson(3, 2)
    with pytest.raises(ValueError, match=r"level must be in \(0, 1\)"):
        cluster_bootstrap([1, 2], "ab", level=95)


def test_many_clusters_are_resampled_in_pieces_with_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    values, clusters = np.random.default_rng(0).random(301), np.arange(301) // 2

    whole = cluster_bootstrap(values, clusters)
    monkeypatch.setattr("sora_eval.stats.intervals._MOST_DRAWN", 1000)
    assert cluster_bootstrap(values, clusters) == whole
