"""Kernel distances between sets of features: KVD, and the MMD of JEDi, each with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sora_eval.metrics.frechet import GROUPS
from sora_eval.stats.intervals import jackknife_variance, t_quantile
from sora_eval.types import Floats

_ROWS = 512


@dataclass(frozen=True)
class Kernel:
    """A polynomial kernel `(x.y / d + offset)^degree`."""

    degree: int
    """Degree of the polynomial."""
    offset: float
    """Constant that is added to the product."""
    unbiased: bool
    """Whether a clip's product with itself is left out."""
    scale: float = 1.0
    """Factor of the reported value."""


KVD = Kernel(3, 1.0, True)
"""Kernel video distance (Unterthiner et al. 2018, arXiv:1812.01717), the kernel of KID (Binkowski et al. 2018, arXiv:1801.01401)."""
JEDI = Kernel(2, 0.0, False, 100.0)
"""The MMD of JEDi (Luo et al. 2024, arXiv:2410.05203), on V-JEPA features there."""


@dataclass(frozen=True)
class KernelEstimate:
    """A squared maximum mean discrepancy, times the kernel's scale, with its interval."""

    value: float
    """Discrepancy; an unbiased one may be negative near 0."""
    low: float
    """Lower end of its interval."""
    high: float
    """Upper end of its interval."""
    n: tuple[int, int]
    """Clips of either set."""


def mmd(x: Floats, y: Floats, kernel: Kernel) -> float:
    """Return the squared maximum mean discrepancy between features [n, d] and [m, d], one row a clip, times the kernel's scale.

    Raises ValueError for NaN or infinity, fewer than 2 rows, or unequal d.

    Example:
        >>> x, y = np.random.default_rng(0).normal(size=(2, 100, 4))
        >>> abs(mmd(x, y, KVD)) < mmd(x, y + 1, KVD)
        True
    """
    x, y = _checked(x, y)
    one = np.ones((len(x), 1)), np.ones((len(y), 1))
    xx, yy, xy, own_x, own_y = (float(sums.sum()) for sums in _sums(x, y, kernel, *one))
    return _mmd(xx, yy, xy, own_x, own_y, len(x), len(y), kernel)


def estimate(x: Floats, y: Floats, kernel: Kernel, groups: int = GROUPS, level: float = 0.95) -> KernelEstimate:
    """Return `mmd` with an interval from a delete-a-group jackknife: every `groups`-th row of either set is left out in turn.

    Raises ValueError for NaN or infinity, fewer than 3 rows, or unequal d.

    Example:
        >>> x, y = np.random.default_rng(0).normal(size=(2, 100, 4))
        >>> kvd = estimate(x, y, KVD)
        >>> kvd.low < 0 < kvd.high
        True
    """
    x, y = _checked(x, y)
    n, m = len(x), len(y)
    if min(n, m) < 3:
        raise ValueError(f"x and y must have at least 3 rows for an interval, got {n} and {m}")
    members = [np.eye(groups)[np.arange(k) % groups] for k in (n, m)]
    xx, yy, xy, own_x, own_y = _sums(x, y, kernel, *members)
    value = _mmd(xx.sum(), yy.sum(), xy.sum(), own_x.sum(), own_y.sum(), n, m, kernel)
    in_x, in_y = (v.sum(axis=0).astype(int) for v in members)
    # A group's products with all the others leave with it, and its products with itself only once.
    without_x = [
        _mmd(_without(xx, g), yy.sum(), xy.sum() - xy[g].sum(), own_x.sum() - own_x[g], own_y.sum(), n - k, m, kernel)
        for g, k in enumerate(in_x)
        if k
    ]
    without_y = [
        _mmd(
            xx.sum(), _without(yy, g), xy.sum() - xy[:, g].sum(), own_x.sum(), own_y.sum() - own_y[g], n, m - k, kernel
        )
        for g, k in enumerate(in_y)
        if k
    ]
    variance = jackknife_variance(without_x) + jackknife_variance(without_y)
    return _with_interval(value, variance, level, (n, m), min(len(without_x), len(without_y)))


def estimate_paired(x: Floats, y: Floats, kernel: Kernel, group: Sequence[int], level: float = 0.95) -> KernelEstimate:
    """Return the discrepancy of two sets of which row i of both is of one scene, with an interval.

    Such sets depend on each other, within a scene and where a scene has a twin. So an unbiased value is the mean over clips of different
    groups only, and a group leaves both sets at once (a U-statistic of pairs, Gretton et al. 2012, by blocks): equal sets are 0 apart.

    group: of each row, in 0..; rows that depend on each other are in one group.
    Raises ValueError for NaN or infinity, sets of unequal shape, or fewer than 3 groups.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(10, 4))
        >>> abs(round(estimate_paired(x, x, KVD, group=range(10)).value, 9))
        0.0
    """
    x, y = _checked(x, y)
    known, index = np.unique(group, return_inverse=True)
    if len(x) != len(y) or len(index) != len(x):
        raise ValueError(f"paired sets must have the same number of rows, got {len(x)} and {len(y)}")
    if len(known) < 3:
        raise ValueError(f"at least 3 groups of clips are needed for an interval, got {len(known)}")
    members = np.eye(len(known))[index]
    xx, yy, xy, _, _ = _sums(x, y, kernel, members, members)
    gaps, sizes = xx + yy - xy - xy.T, members.sum(axis=0)

    def value(kept: NDArray[np.int64]) -> float:
        block, n = gaps[np.ix_(kept, kept)], sizes[kept]
        if kernel.unbiased:
            return float(kernel.scale * (block.sum() - np.trace(block)) / (n.sum() ** 2 - np.square(n).sum()))
        return float(kernel.scale * block.sum() / n.sum() ** 2)

    every = np.arange(len(known))
    left = [value(np.delete(every, g)) for g in every]
    return _with_interval(value(every), jackknife_variance(left), level, (len(x), len(y)), len(known))


def _with_interval(value: float, variance: float, level: float, n: tuple[int, int], groups: int) -> KernelEstimate:
    half_width = t_quantile(0.5 + level / 2, groups - 1) * variance**0.5
    return KernelEstimate(value, value - half_width, value + half_width, n)


def _mmd(xx: float, yy: float, xy: float, own_x: float, own_y: float, n: int, m: int, kernel: Kernel) -> float:
    if kernel.unbiased:
        discrepancy = (xx - own_x) / (n * (n - 1)) + (yy - own_y) / (m * (m - 1)) - 2 * xy / (n * m)
    else:
        discrepancy = xx / n**2 + yy / m**2 - 2 * xy / (n * m)
    return float(kernel.scale * discrepancy)


def _sums(
    x: Floats, y: Floats, kernel: Kernel, of_x: Floats, of_y: Floats
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Return sums of the kernel between groups: xx [G, G], yy [G, G], xy [G, G], and of clips with themselves, x [G] and y [G].

    of_x: [n, G], of_y: [m, G]; 1 where a row belongs to a group.
    """
    own = [_raised((v * v).sum(axis=1), v.shape[1], kernel) @ of for v, of in ((x, of_x), (y, of_y))]
    return (
        _gram(x, x, kernel, of_x, of_x),
        _gram(y, y, kernel, of_y, of_y),
        _gram(x, y, kernel, of_x, of_y),
        own[0],
        own[1],
    )


def _gram(a: Floats, b: Floats, kernel: Kernel, of_a: Floats, of_b: Floats) -> Floats:
    sums = np.zeros((of_a.shape[1], of_b.shape[1]))
    # A block of rows at a time: the whole product of 10,000 clips would take 800 MB.
    for i in range(0, len(a), _ROWS):
        products = _raised(a[i : i + _ROWS] @ b.T, a.shape[1], kernel)
        sums += of_a[i : i + _ROWS].T @ products @ of_b
    return sums


def _raised(products: Floats, d: int, kernel: Kernel) -> Floats:
    return np.asarray((products / d + kernel.offset) ** kernel.degree)


def _without(sums: Floats, g: int) -> float:
    return float(sums.sum() - sums[g].sum() - sums[:, g].sum() + sums[g, g])


def _checked(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"x and y must be features [n, d] of one d, got shapes {x.shape} and {y.shape}")
    if min(len(x), len(y)) < 2:
        raise ValueError(f"x and y must have at least 2 rows, got {len(x)} and {len(y)}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("x and y must be finite, got NaN or infinity")
    return x, y
