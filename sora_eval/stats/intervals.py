"""Error bars and comparisons: clustered bootstrap, Wilson, paired differences, AUC, Holm, Spearman."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from sora_eval.types import Floats

Clusters = Sequence[Hashable] | NDArray[np.generic]

EXACT_FLIPS = 12
"""Up to this many clusters all 2^k sign flips are tried; above, a random sample of them."""


@dataclass(frozen=True)
class Interval:
    """An estimate and its two-sided interval, in the unit of the values."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedDifference:
    """Mean of a - b, its interval, and a two-sided p-value of no difference."""

    mean: float
    low: float
    high: float
    p_value: float


def wilson(k: float, n: float, level: float = 0.95) -> Interval:
    """Return the Wilson score interval of a rate, k successes of n.

    Centre `(p + z^2 / 2n) / (1 + z^2 / n)`, half width `z sqrt(p (1-p) / n + z^2 / 4n^2) / (1 + z^2 / n)`, p = k / n.
    Unlike the normal interval it has a width at k = 0 and k = n. `mean` is p itself.
    Raises ValueError unless n > 0 and 0 <= k <= n.

    Source: Wilson 1927; Brown, Cai and DasGupta 2001.
    """
    if not (n > 0 and 0 <= k <= n):
        raise ValueError(f"need 0 <= k <= n and n > 0, got k = {k}, n = {n}")
    z, p = _z(level), k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # At the ends the bound is exactly 0 or 1; rounding would leave the estimate outside its own interval.
    return Interval(p, 0.0 if k == 0 else float(centre - half), 1.0 if k == n else float(centre + half))


def cluster_bootstrap(
    values: ArrayLike,
    clusters: Clusters,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Interval:
    """Return the mean of values with a percentile interval from resampling whole clusters.

    Clusters are drawn with replacement, all values of one together, and the mean is over all drawn values; so values
    that share a scene do not pass for independent evidence. Percentile intervals are somewhat too narrow below about
    ten clusters.

    Two cases in which resampling would lie: when all values are equal, every resample is the same; and a single cluster
    says nothing of the spread. There the interval is Wilson's with one trial per cluster, stretched over `bounds`, and
    (-inf, inf) for values outside of them.

    values: [n]; clusters: [n] labels; level: coverage, in (0, 1); bounds: the least and the greatest value there can be.
    Raises ValueError for no values, NaN or infinity, or unequal lengths.

    Source: Efron and Tibshirani 1993, ch. 13; Davison and Hinkley 1997, section 3.8 (clusters).
    """
    sums, counts = _by_cluster(values, clusters)
    mean, n = float(sums.sum() / counts.sum()), len(sums)
    x = np.asarray(values, dtype=np.float64)
    least, span = bounds[0], bounds[1] - bounds[0]
    if n == 1 or (x == x[0]).all():
        if least <= x.min() and x.max() <= bounds[1]:
            bound = wilson((mean - least) / span * n, n, level)
            return Interval(mean, least + span * bound.low, least + span * bound.high)
        return Interval(mean, -np.inf, np.inf)
    low, high = _bootstrap_of_mean(sums, counts, n_boot, seed, level)
    return Interval(mean, low, high)


def paired_difference(
    a: ArrayLike, b: ArrayLike, clusters: Clusters, n_boot: int = 2000, seed: int = 0, level: float = 0.95
) -> PairedDifference:
    """Return the mean of a - b over the same cases, clustered, with a p-value of no difference.

    The interval is that of `cluster_bootstrap` on the differences. The p-value is a sign-flip permutation test that
    flips whole clusters: all 2^k flips up to 12 clusters, 9999 random ones above (with the observed one counted, so
    p >= 1e-4). It can never be below 2^(1-k).

    When all differences are equal and 0, 1 or -1, resampling would give no width. If all are 0, at most the Wilson
    upper bound u of clusters may differ in truth, each by 1 at most: the interval is (-u, u). If all are +-1, it is
    Wilson's, mapped from [0, 1] to [-1, 1].

    a, b: [n] scores of the same cases; clusters: [n] labels.
    Raises ValueError for unequal lengths, no values, NaN or infinity.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"a and b must be scores of the same cases, got shapes {first.shape} and {second.shape}")
    d = first - second
    sums, counts = _by_cluster(d, clusters)
    mean, n = float(sums.sum() / counts.sum()), len(sums)
    p = _sign_flip_p(sums, seed)
    if (d == 0).all():
        reach = wilson(0, n, level).high
        return PairedDifference(0.0, -reach, reach, p)
    if (d == 1).all() or (d == -1).all():
        bound = wilson(n if mean > 0 else 0, n, level)
        return PairedDifference(mean, 2 * bound.low - 1, 2 * bound.high - 1, p)
    if n == 1:
        return PairedDifference(mean, -np.inf, np.inf, p)
    low, high = _bootstrap_of_mean(sums, counts, n_boot, seed, level)
    return PairedDifference(mean, low, high, p)


def auc(positive: ArrayLike, negative: ArrayLike, n_boot: int = 2000, seed: int = 0, level: float = 0.95) -> Interval:
    """Return P(positive > negative) + P(positive = negative) / 2, the area under the ROC curve.

    The interval is a percentile bootstrap that resamples each group by itself; at 0 or 1, where no resample differs,
    it is Wilson's with the smaller group as the number of trials.

    positive: [n] scores of what should score high; negative: [m].
    Raises ValueError for an empty group or NaN.

    Source: Mann and Whitney 1947; Hanley and McNeil 1982.
    """
    pos, neg = np.ravel(np.asarray(positive, dtype=np.float64)), np.ravel(np.asarray(negative, dtype=np.float64))
    if pos.size == 0 or neg.size == 0 or np.isnan(pos).any() or np.isnan(neg).any():
        raise ValueError(f"need scores without NaN in both groups, got {pos.size} positive and {neg.size} negative")
    wins = (np.sign(pos[:, None] - neg[None, :]) + 1) / 2
    value = float(wins.mean())
    if value in (0.0, 1.0):
        n = min(pos.size, neg.size)
        bound = wilson(value * n, n, level)
        return Interval(value, bound.low, bound.high)
    rng = np.random.default_rng(seed)
    # Drawing how often each score is drawn turns a resample into two weight vectors, without copying the wins.
    w = rng.multinomial(pos.size, np.full(pos.size, 1 / pos.size), size=n_boot) / pos.size
    v = rng.multinomial(neg.size, np.full(neg.size, 1 / neg.size), size=n_boot) / neg.size
    low, high = _percentiles(((w @ wins) * v).sum(axis=1), level)
    return Interval(value, low, high)


def holm(p_values: ArrayLike) -> Floats:
    """Return p-values [n] adjusted for n comparisons by Holm's step-down, in the order given.

    With p sorted upwards, `p'_i = max_{j <= i} min(1, (n - j + 1) p_j)`. Rejecting where p' <= alpha keeps the chance
    of any false alarm below alpha, whatever the dependence.
    Raises ValueError for values outside [0, 1].

    Source: Holm 1979.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values must be [n] numbers in [0, 1], got {p_values!r}")
    order = np.argsort(p, kind="stable")
    raised = np.minimum(1.0, p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(raised)
    return adjusted


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Return Spearman's rank correlation in [-1, 1], ties given their mean rank.

    x, y: [n], n >= 2. Raises ValueError for unequal lengths, NaN, or values all equal, where no rank is defined.

    Source: Spearman 1904.
    """
    # Most commands need nothing of scipy.stats, which takes a second to import.
    from scipy.stats import rankdata

    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or a.size < 2 or np.isnan(a).any() or np.isnan(b).any():
        raise ValueError(f"need two lists of equal length >= 2 without NaN, got shapes {a.shape} and {b.shape}")
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        raise ValueError("a list whose values are all equal has no rank correlation")
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


@lru_cache(maxsize=16)
def _z(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    return float(ndtri(0.5 + level / 2))


def _by_cluster(values: ArrayLike, clusters: Clusters) -> tuple[Floats, Floats]:
    """Return the sum and the number of values of each cluster, in order of first appearance."""
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or x.size == 0 or len(clusters) != x.size:
        raise ValueError(f"need one cluster label for each of n >= 1 values, got {x.shape} and {len(clusters)} labels")
    if not np.isfinite(x).all():
        raise ValueError("values must be finite: count a clip that could not be judged as a failure, or leave it out")
    number: dict[Hashable, int] = {}
    index = [number.setdefault(label, len(number)) for label in clusters]
    return np.bincount(index, weights=x).astype(np.float64), np.bincount(index).astype(np.float64)


def _bootstrap_of_mean(sums: Floats, counts: Floats, n_boot: int, seed: int, level: float) -> tuple[float, float]:
    drawn = _drawn(len(sums), n_boot, seed)
    return _percentiles(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), level)


# A table of many cells asks for the same draws again and again.
@lru_cache(maxsize=8)
def _drawn(n: int, n_boot: int, seed: int) -> NDArray[np.int64]:
    """Return [n_boot, n] numbers of clusters, drawn with replacement; not to be written to."""
    drawn = np.random.default_rng(seed).integers(n, size=(n_boot, n))
    drawn.flags.writeable = False
    return drawn


def _percentiles(samples: Floats, level: float) -> tuple[float, float]:
    _z(level)
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _sign_flip_p(sums: Floats, seed: int) -> float:
    n = len(sums)
    if n <= EXACT_FLIPS:
        signs = np.array(list(product((-1.0, 1.0), repeat=n)))
        extra = 0
    else:
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(9999, n))
        extra = 1
    # The slack keeps flips that equal the observed sum from being lost to rounding.
    reached = int((np.abs(signs @ sums) >= abs(float(sums.sum())) - 1e-12 * float(np.abs(sums).sum())).sum())
    return (reached + extra) / (len(signs) + extra)
