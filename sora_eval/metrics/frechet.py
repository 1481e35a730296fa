"""Frechet distance between Gaussians fitted to features: plug-in, corrected for its bias with an interval, and extrapolated.

No covariance and no matrix square root is ever formed, statistics accumulate batch by batch in constant memory, and those of several
processes merge exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate

import numpy as np

from sora_eval.stats.intervals import jackknife_bias, jackknife_variance, t_quantile
from sora_eval.types import Floats

GROUPS = 20
"""Parts of a set that the jackknife leaves out in turn."""
_MIN_SHARE = 0.4
_ORDERS = 4
_MIN_PIVOT = 1e-2


@dataclass(frozen=True)
class Moments:
    """Number, mean and scatter of features, in memory that does not grow with their number."""

    n: int
    """Rows seen."""
    mean: Floats
    """Mean [d]."""
    factor: Floats
    """Factor [k, d] of the scatter, k <= d: `factor^T factor = sum (x - mean)(x - mean)^T`."""

    @staticmethod
    def of(x: Floats) -> Moments:
        """Return the moments of features [n, d], one row a clip.

        Raises ValueError for NaN or infinity, or an array that is no table with columns.
        """
        x = np.asarray(x, dtype=np.float64)
        if x.ndim != 2 or 0 in x.shape:
            raise ValueError(f"must be features [n, d] with n, d >= 1, got shape {x.shape}")
        if not np.isfinite(x).all():
            raise ValueError(f"must be finite, got NaN or infinity in {int((~np.isfinite(x)).sum())} entries")
        mean = x.mean(axis=0)
        return Moments(len(x), mean, _triangle(x - mean))

    def merged(self, other: Moments) -> Moments:
        """Return the moments of both sets together (Chan, Golub and LeVeque 1983, with the scatter kept as a factor)."""
        if self.mean.shape != other.mean.shape:
            raise ValueError(f"must have the same number of features, got {self.mean.size} and {other.mean.size}")
        total = self.n + other.n
        gap = np.sqrt(self.n * other.n / total) * (self.mean - other.mean)
        mean = self.mean + (other.mean - self.mean) * (other.n / total)
        return Moments(total, mean, _triangle(np.vstack([self.factor, other.factor, gap])))


@dataclass(frozen=True)
class FrechetEstimate:
    """A Frechet distance in squared feature units.

    All but the plug-in are NaN where there are hardly more clips than features: then the covariance has no full rank, and the bias no known
    form.
    """

    plug_in: float
    """Distance of the fitted Gaussians, biased upwards by about c / n: comparable only at equal n."""
    corrected: float
    """Distance without that bias; near 0 it may be negative."""
    low: float
    """Lower end of its interval."""
    high: float
    """Upper end of its interval."""
    extrapolated: float
    """Plug-in at an infinite number of clips."""
    n: tuple[int, int]
    """Clips of either set."""


def frechet_distance(x: Floats, y: Floats) -> float:
    """Return the squared Frechet (2-Wasserstein) distance between Gaussians fitted to two sets of features.

    x: [n, d] features, one row a clip; y: [m, d].
    Returns a float >= 0 in squared feature units.
    Raises ValueError for NaN or infinity, fewer than 2 rows, or unequal d.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(100, 3))
        >>> round(frechet_distance(x, x + [3, 4, 0]), 6)
        25.0
    """
    moments = []
    for name, values in (("x", x), ("y", y)):
        try:
            moments.append(Moments.of(values))
        except ValueError as error:
            raise ValueError(f"{name} {error}") from None
    return distance(*moments)


def distance(x: Moments, y: Moments) -> float:
    """Return the squared Frechet distance between Gaussians with these moments.

    `FD = |mu_x - mu_y|^2 + tr(S_x) + tr(S_y) - 2 tr((S_x S_y)^(1/2))`, with covariances of ddof 1. With factors A and B of the
    covariances, `S = A^T A`, the last trace is the nuclear norm of `A B^T`, since the singular values of `A B^T` are the square roots of
    the eigenvalues of `S_x S_y`. Nothing is squared, so FD(X, X) is 0 to rounding.

    Raises ValueError for fewer than 2 rows or unequal d.

    Source: Dowson and Landau 1982 (the formula); Heusel et al. 2017 (FID); Unterthiner et al. 2018 (FVD).

    Example:
        >>> x = np.random.default_rng(0).normal(size=(100, 3))
        >>> round(distance(Moments.of(x), Moments.of(2 * x + 1)), 3) == round(frechet_distance(x, 2 * x + 1), 3)
        True
    """
    if x.mean.shape != y.mean.shape:
        raise ValueError(f"x and y must have the same number of features, got {x.mean.size} and {y.mean.size}")
    for name, m in (("x", x), ("y", y)):
        if m.n < 2:
            raise ValueError(f"{name} must have at least 2 rows to have a covariance, got {m.n}")
    a, b = (m.factor / np.sqrt(m.n - 1) for m in (x, y))
    gap = x.mean - y.mean
    cross = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    squared = gap @ gap + np.vdot(a, a) + np.vdot(b, b) - 2 * cross
    # Rounding can leave about -1e-15 for equal sets; a negative distance would only puzzle a reader.
    return max(float(squared), 0.0)


def estimate(
    x: Sequence[Moments], y: Sequence[Moments], level: float = 0.95, seed: int = 0, paired: bool = False
) -> FrechetEstimate:
    """Return the distance with its bias removed and an interval, from moments of disjoint groups of both sets.

    Each group is left out in turn (Tukey's delete-a-group jackknife, for either set by itself): the plug-in's bias falls as 1 / n, so that
    `K theta - (K - 1) mean(theta without k)` is free of it, and the spread of the same values gives the standard error. A percentile
    bootstrap would be centred on twice the bias; in 200 simulated trials at n = 2 d it covered the truth in none, this in 96%
    (tests/metrics/test_frechet.py).

    The extrapolated value is the intercept of a line through plug-ins over 1 / n (Chong and Forsyth 2020, arXiv:1911.07023).

    x, y: moments of at least 2 groups each, of about equal size; GROUPS are customary. paired: group k of both is of the same scenes, so
    both lose it at once; equal sets are 0 apart then, with no spread.
    Raises ValueError for fewer groups, unequal d, or pairs of unequal number.

    Example:
        >>> x, y = np.random.default_rng(0).normal(size=(2, 200, 3))
        >>> fd = estimate(grouped(x), grouped(y))
        >>> fd.low < 0 < fd.high
        True
    """
    for name, groups in (("x", x), ("y", y)):
        if len(groups) < 2 or sum(g.n for g in groups) - max(g.n for g in groups) < 2:
            raise ValueError(f"{name} must have at least 2 groups of clips and 2 clips without any one of them")
    if paired and len(x) != len(y):
        raise ValueError(f"paired sets must have the same groups, got {len(x)} and {len(y)}")
    whole_x, whole_y = merge(x), merge(y)
    full, sizes = distance(whole_x, whole_y), (whole_x.n, whole_y.n)
    if min(m.n - max(g.n for g in groups) for m, groups in ((whole_x, x), (whole_y, y))) <= whole_x.mean.size:
        return FrechetEstimate(full, np.nan, np.nan, np.nan, np.nan, sizes)
    corrected, variance = full, 0.0
    every_x, every_y = ([m] * len(other) for m, other in ((whole_x, y), (whole_y, x)))
    without = [(_without_each(x), _without_each(y))]
    if not paired:
        without = [(_without_each(x), every_y), (every_x, _without_each(y))]
    for sets in without:
        left = np.array([distance(a, b) for a, b in zip(*sets, strict=True)])
        corrected -= jackknife_bias(full, left)
        variance += jackknife_variance(left)
    # Few groups know their spread badly: Student's quantile, of the smaller number of them.
    half_width = t_quantile(0.5 + level / 2, min(len(x), len(y)) - 1) * np.sqrt(variance)
    low, high = float(corrected - half_width), float(corrected + half_width)
    return FrechetEstimate(full, float(corrected), low, high, _extrapolated(x, y, seed, paired), sizes)


def merge(parts: Iterable[Moments]) -> Moments:
    """Return the moments of all parts together.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(10, 3))
        >>> merge([Moments.of(x[:4]), Moments.of(x[4:])]).n
        10
    """
    return reduce(Moments.merged, parts)


def grouped(x: Floats, groups: int = GROUPS) -> list[Moments]:
    """Return the moments of every `groups`-th row of features [n, d], for `estimate`.

    Example:
        >>> [m.n for m in grouped(np.random.default_rng(0).normal(size=(7, 2)), groups=3)]
        [3, 2, 2]
    """
    return [Moments.of(x[k::groups]) for k in range(min(groups, len(x)))]


def _triangle(rows: Floats) -> Floats:
    """Return a factor with the same product `rows^T rows`, never taller than wide.

    Cholesky's takes a third of the time of QR, and squares the condition of the rows: it is kept only where that costs no more than four
    of sixteen digits.
    """
    n, d = rows.shape
    if n <= d:
        return np.asarray(rows)
    if n >= 2 * d:
        with suppress(np.linalg.LinAlgError):
            factor = np.linalg.cholesky(rows.T @ rows).T
            steps = np.diagonal(factor)
            if steps.min() > _MIN_PIVOT * steps.max():
                return np.asarray(factor)
    return np.asarray(np.linalg.qr(rows, mode="r"))


def _without_each(parts: Sequence[Moments]) -> Iterable[Moments]:
    """Yield the moments of all parts but the first, but the second, ...; prefixes and suffixes spare most of the work."""
    before = list(accumulate(parts, Moments.merged))
    after = list(accumulate(reversed(parts), Moments.merged))[::-1]
    yield after[1]
    for k in range(1, len(parts) - 1):
        yield before[k - 1].merged(after[k + 1])
    yield before[-2]


def _extrapolated(x: Sequence[Moments], y: Sequence[Moments], seed: int, paired: bool) -> float:
    """Return the intercept of plug-ins over 1 / n, where growing shares of the groups stand for growing sets."""
    rng = np.random.default_rng(seed)
    k = min(len(x), len(y))
    # A few rows short of a covariance, the plug-in is no line in 1 / n any more: half of the set and more is.
    sizes = range(max(2, round(_MIN_SHARE * k)), k + 1)
    inverse, plug_ins = [], []
    for _ in range(_ORDERS):
        orders = [rng.permutation(len(groups))[:k] for groups in (x, y)]
        if paired:
            orders[1] = orders[0]
        runs = [
            list(accumulate((groups[i] for i in order), Moments.merged))
            for groups, order in zip((x, y), orders, strict=True)
        ]
        for size in sizes:
            a, b = runs[0][size - 1], runs[1][size - 1]
            inverse.append((1 / a.n + 1 / b.n) / 2)
            plug_ins.append(distance(a, b))
    if len(set(inverse)) < 2:
        return plug_ins[0]
    return float(np.polynomial.Polynomial.fit(inverse, plug_ins, 1).convert().coef[0])
