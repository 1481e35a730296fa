"""Quantiles and intervals: Wilson's, Student's, the cluster bootstrap and the jackknife.

One rule for small samples. A single cluster, or values that are all equal, look certain to every method that resamples. There a cluster
counts as one trial of a rate, on the scale from the least to the greatest possible value, in the form that is needed: `wilson` for an
interval, and `wilson_error` for a standard error to be added to others.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sora_eval.types import Floats

LEVEL = 0.95
"""Coverage of every interval unless another is given."""
N_BOOT = 2000
"""Bootstrap replicates."""
SEED = 0
_MOST_DRAWN = 1 << 22
"""Numbers of clusters that are drawn at once: 32 MiB."""

Clusters = Sequence[Hashable] | NDArray[np.generic]


@dataclass(frozen=True)
class Interval:
    """An estimate and its two-sided interval, in the unit of the values."""

    mean: float
    """The estimate."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""


def z_quantile(p: float) -> float:
    """Return the p-quantile of the standard normal distribution, p in (0, 1).

    >>> round(z_quantile(0.975), 3)
    1.96
    """
    return float(special.ndtri(p))


def t_quantile(p: float, freedom: float) -> float:
    """Return the p-quantile of Student's t distribution with `freedom` degrees of freedom, p in (0, 1).

    >>> round(t_quantile(0.975, 4), 3)
    2.776
    """
    return float(special.stdtrit(freedom, p))


def t_interval(mean: float, error: float, freedom: float, bound: float = np.inf, level: float = LEVEL) -> Interval:
    """Return Student's interval `mean -+ t_(1 + level) / 2 error`, cut to [-bound, bound].

    error: standard error of the mean, with `freedom` degrees of freedom; bound: the largest absolute value that there can be.

    >>> interval = t_interval(0.5, 0.1, 4, bound=0.7)
    >>> round(interval.low, 3), interval.high
    (0.222, 0.7)
    """
    half = t_quantile(_upper(level), freedom) * error
    return Interval(mean, max(mean - half, -bound), min(mean + half, bound))


def wilson(k: float, n: float, level: float = LEVEL) -> Interval:
    """Return the Wilson score interval of a rate, k successes of n; k need not be whole.

    Centre `(p + z^2 / 2n) / (1 + z^2 / n)`, half width `z sqrt(p (1-p) / n + z^2 / 4n^2) / (1 + z^2 / n)`, p = k / n.
    Unlike the normal interval it has a width at k = 0 and k = n. `mean` is p itself.
    Raises ValueError unless n > 0 and 0 <= k <= n.

    Source: Wilson 1927; Brown, Cai and DasGupta 2001.

    >>> rate = wilson(10, 10)
    >>> round(rate.low, 3), rate.high
    (0.722, 1.0)
    """
    if not (n > 0 and 0 <= k <= n):
        raise ValueError(f"need 0 <= k <= n and n > 0, got k = {k}, n = {n}")
    z, p = z_quantile(_upper(level)), k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # At the ends the bound is exactly 0 or 1; rounding would leave the estimate outside its own interval.
    return Interval(p, 0.0 if k == 0 else float(centre - half), 1.0 if k == n else float(centre + half))


def wilson_error(n: int, largest: float) -> float:
    """Return the standard error of a mean of n clusters that all are 0 and might be up to `largest`: of Wilson's width at 0 of n.

    >>> round(wilson_error(10, 1.0), 3)
    0.142
    """
    return largest * wilson(0, n).high / z_quantile(_upper(LEVEL))


def cluster_bootstrap(
    values: ArrayLike,
    clusters: Clusters,
    n_boot: int = N_BOOT,
    seed: int = SEED,
    level: float = LEVEL,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Interval:
    """Return the mean of values with a percentile interval from resampling whole clusters.

    Clusters are drawn with replacement, all values of one together, and the mean is over all drawn values; so values
    that share a scene do not pass for independent evidence. Resampling n clusters understates the spread by
    sqrt((n - 1) / n), and its quantiles are the normal's: both ends are moved away from the mean by sqrt(n / (n - 1)) t / z, within
    `bounds` (without that, nominal 95% of two clusters are 50%). Where resampling fails (one cluster, or all values equal) the interval is
    Wilson's with one trial per cluster, stretched over `bounds`, and (-inf, inf) for values outside of them.

    values: [n]; clusters: [n] labels; level: coverage, in (0, 1); bounds: the least and the greatest value there can be.
    Raises ValueError for no values, NaN or infinity, or unequal lengths.

    Source: Efron and Tibshirani 1993, ch. 13; Davison and Hinkley 1997, section 3.8 (clusters); Hesterberg 2015, section 4.2 (expansion).

    >>> cluster_bootstrap([0, 1, 1, 1, 0, 0], ["a", "a", "b", "b", "c", "c"])
    Interval(mean=0.5, low=0.0, high=1.0)
    """
    x = checked(values, clusters)
    sums, sizes = cluster_sums(x, number(clusters))
    mean, n, (least, greatest) = float(sums.sum() / sizes.sum()), len(sums), bounds
    if not _resampling_fails(x, n):
        if n * n_boot <= _MOST_DRAWN:
            means = bootstrap_means(sums, sizes, _drawn(n, n_boot, seed))
        else:
            means = resampled_means(sums, sizes, np.random.default_rng(seed), n_boot)
        grow = math.sqrt(n / (n - 1)) * t_quantile(_upper(level), n - 1) / z_quantile(_upper(level))
        low, high = (mean + grow * (end - mean) for end in percentile_interval(means, level))
        if least <= x.min() and x.max() <= greatest:
            low, high = max(low, least), min(high, greatest)
        return Interval(mean, low, high)
    if least <= x.min() and x.max() <= greatest:
        span = greatest - least
        rate = wilson((mean - least) / span * n, n, level)
        return Interval(mean, least + span * rate.low, least + span * rate.high)
    return Interval(mean, -np.inf, np.inf)


def resampled_means(sums: Floats, sizes: Floats, rng: np.random.Generator, n_boot: int = N_BOOT) -> Floats:
    """Return the means [n_boot] of resamples of clusters, drawn so many at a time that memory does not grow with their number.

    sums, sizes: [k] of each cluster.
    """
    n = len(sums)
    at_once = max(1, _MOST_DRAWN // n)
    # The generator gives the same numbers in pieces.
    rows = [min(at_once, n_boot - i) for i in range(0, n_boot, at_once)]
    return np.concatenate([bootstrap_means(sums, sizes, rng.integers(n, size=(r, n))) for r in rows])


def bootstrap_means(sums: Floats, sizes: Floats, draws: NDArray[np.int64]) -> Floats:
    """Return the means [n_boot] of resamples of clusters.

    sums, sizes: [k] of each cluster; draws: [n_boot, k] numbers of the clusters in each resample.
    """
    return np.asarray(sums[draws].sum(axis=1) / sizes[draws].sum(axis=1))


def percentile_interval(replicates: Floats, level: float = LEVEL) -> tuple[float, float]:
    """Return the (1 - level) / 2 and (1 + level) / 2 quantiles of bootstrap replicates.

    >>> percentile_interval(np.arange(101.0), level=0.5)
    (25.0, 75.0)
    """
    low, high = np.quantile(replicates, [(1 - level) / 2, _upper(level)])
    return float(low), float(high)


def number(labels: Iterable[Hashable]) -> NDArray[np.int64]:
    """Return each label's number, counted by first appearance.

    >>> number("aabca")
    array([0, 0, 1, 2, 0])
    """
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.int64)


def cluster_sums(values: Floats, index: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return the sum and the number of values of each cluster. values: [n]; index: [n] the number of each value's cluster."""
    return np.bincount(index, weights=values).astype(np.float64), np.bincount(index).astype(np.float64)


def jackknife_variance(without: Sequence[float] | Floats) -> float:
    """Return the delete-a-group jackknife's variance `(K - 1) / K sum_k (theta_k - mean)^2`.

    without: [K] estimates theta_k, each without group k. Of a mean with groups of one it is s^2 / K.

    Source: Tukey 1958; Shao and Tu 1995, section 5.

    >>> round(jackknife_variance([4.0, 3.5, 1.5]), 9)  # Means of 1, 2 and 6 without one of them: s^2 / 3 = 7 / 3
    2.333333333
    """
    x = np.asarray(without, dtype=np.float64)
    k = len(x)
    return (k - 1) / k * float(np.square(x - x.mean()).sum())


def jackknife_bias(full: float, without: Sequence[float] | Floats) -> float:
    """Return the jackknife's estimate of the bias, `(K - 1) (mean(theta_k) - theta)`: exact where it falls as 1 / n.

    full: the estimate theta from all groups; without: [K] estimates, each without one group.

    Source: Quenouille 1956.

    >>> values = np.array([1.0, 2.0, 6.0])  # The plug-in variance is too small by s^2 / n.
    >>> round(jackknife_bias(values.var(), [np.delete(values, k).var() for k in range(3)]), 9)
    -2.333333333
    """
    x = np.asarray(without, dtype=np.float64)
    return float((len(x) - 1) * (x.mean() - full))


def pseudo_values(full: float, without: Sequence[float] | Floats) -> Floats:
    """Return the jackknife's pseudo-values [K], `K theta - (K - 1) theta_k`, which behave like K independent estimates.

    full: the estimate theta from all groups; without: [K] estimates theta_k, each without group k.

    Source: Tukey 1958.

    >>> pseudo_values(3.0, [4.0, 3.5, 1.5])  # Of a mean of 1, 2 and 6, they are the values.
    array([1., 2., 6.])
    """
    x = np.asarray(without, dtype=np.float64)
    return np.asarray(len(x) * full - (len(x) - 1) * x)


def _upper(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    return 0.5 + level / 2


def checked(values: ArrayLike, clusters: Clusters) -> Floats:
    """Return values [n] as floats. Raises ValueError for none, NaN or infinity, or another number of cluster labels."""
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or x.size == 0 or len(clusters) != x.size:
        raise ValueError(f"need one cluster label for each of n >= 1 values, got {x.shape} and {len(clusters)} labels")
    if not np.isfinite(x).all():
        raise ValueError("values must be finite: count a clip that could not be judged as a failure, or leave it out")
    return x


def _resampling_fails(values: Floats, clusters: int) -> bool:
    """Whether every resample would be the same: of a single cluster, or of values that are all equal."""
    return clusters == 1 or bool((values == values[0]).all())


# A table of many cells needs the same draws again and again.
@lru_cache(maxsize=8)
def _drawn(n: int, n_boot: int, seed: int) -> NDArray[np.int64]:
    """Return [n_boot, n] numbers of clusters, drawn with replacement; not to be written to."""
    draws = np.random.default_rng(seed).integers(n, size=(n_boot, n))
    draws.flags.writeable = False
    return draws
