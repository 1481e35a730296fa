"""Kernel distances between sets of features: KVD, and the MMD of JEDi, each with an interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from sora_eval.metrics.frechet import GROUPS
from sora_eval.types import Floats

_ROWS = 512


@dataclass(frozen=True)
class Kernel:
    """A polynomial kernel `(x.y / d + offset)^degree`. unbiased: leave a clip's product with itself out; scale: of what is reported."""

    degree: int
    offset: float
    unbiased: bool
    scale: float = 1.0


KVD = Kernel(3, 1.0, True)
"""Kernel video distance (Unterthiner et al. 2018, arXiv:1812.01717), the kernel of KID (Binkowski et al. 2018, arXiv:1801.01401)."""
JEDI = Kernel(2, 0.0, False, 100.0)
"""The MMD of JEDi (Luo et al. 2024, arXiv:2410.05203), on V-JEPA features there."""


@dataclass(frozen=True)
class KernelEstimate:
    """A squared maximum mean discrepancy, times the kernel's scale, with its interval; unbiased ones may be negative near 0."""

    value: float
    low: float
    high: float
    n: tuple[int, int]


def mmd(x: Floats, y: Floats, kernel: Kernel) -> float:
    """Return the squared maximum mean discrepancy between features [n, d] and [m, d], one row a clip, times the kernel's scale.

    Raises ValueError for NaN or infinity, fewer than 2 rows, or unequal d.
    """
    x, y = _checked(x, y)
    xx, yy, xy, own_x, own_y = (float(sums.sum()) for sums in _sums(x, y, kernel, 1))
    return _mmd(xx, yy, xy, own_x, own_y, len(x), len(y), kernel)


def estimate(
    x: Floats, y: Floats, kernel: Kernel, groups: int = GROUPS, level: float = 0.95, paired: bool = False
) -> KernelEstimate:
    """Return `mmd` with an interval from a delete-a-group jackknife: every `groups`-th row of either set is left out in turn.

    paired: row i of both sets is of one scene. Then a clip and its partner depend on each other: an unbiased value leaves their product out
    (the U-statistic of pairs, Gretton et al. 2012, lemma 6), a group leaves both sets at once, and equal sets are 0 apart.

    Raises ValueError for NaN or infinity, fewer than 3 rows, unequal d, or pairs of unequal number.
    """
    x, y = _checked(x, y)
    n, m = len(x), len(y)
    if min(n, m) < 3:
        raise ValueError(f"x and y must have at least 3 rows for an interval, got {n} and {m}")
    if paired and n != m:
        raise ValueError(f"paired sets must have the same number of rows, got {n} and {m}")
    xx, yy, xy, own_x, own_y = _sums(x, y, kernel, groups)
    pairs = n if paired and kernel.unbiased else 0
    apart = np.zeros(groups)
    if pairs:
        apart = _raised((x * y).sum(axis=1), x.shape[1], kernel) @ _members(n, groups)
    value = _mmd(xx.sum(), yy.sum(), xy.sum() - apart.sum(), own_x.sum(), own_y.sum(), n, m, kernel, pairs)
    variance = 0.0
    for of_x, of_y in ((True, True),) if paired else ((True, False), (False, True)):
        k = min(groups, n if of_x else m)
        left = []
        for g in range(k):
            # A group's products with all the others leave with it, and its products with itself only once.
            fewer_n, fewer_m = (v - len(range(g, v, groups)) * out for v, out in ((n, of_x), (m, of_y)))
            cross = xy.sum() - of_x * xy[g].sum() - of_y * xy[:, g].sum() + of_x * of_y * xy[g, g]
            parts = (
                _without(xx, g) if of_x else xx.sum(),
                _without(yy, g) if of_y else yy.sum(),
                cross - (apart.sum() - apart[g]),
                own_x.sum() - of_x * own_x[g],
                own_y.sum() - of_y * own_y[g],
            )
            left.append(_mmd(*parts, fewer_n, fewer_m, kernel, fewer_n if pairs else 0))
        variance += (k - 1) / k * float(np.square(np.array(left) - np.mean(left)).sum())
    reach = float(stats.norm.ppf(0.5 + level / 2)) * variance**0.5
    return KernelEstimate(value, value - reach, value + reach, (n, m))


def _mmd(
    xx: float, yy: float, xy: float, own_x: float, own_y: float, n: int, m: int, kernel: Kernel, pairs: int = 0
) -> float:
    """Return the discrepancy from sums of products; pairs: how many products of partners are not in xy."""
    if kernel.unbiased:
        found = (xx - own_x) / (n * (n - 1)) + (yy - own_y) / (m * (m - 1)) - 2 * xy / (n * m - pairs)
    else:
        found = xx / n**2 + yy / m**2 - 2 * xy / (n * m)
    return float(kernel.scale * found)


def _sums(x: Floats, y: Floats, kernel: Kernel, groups: int) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Return sums of the kernel between groups: xx [G, G], yy [G, G], xy [G, G], and of clips with themselves, x [G] and y [G]."""
    own = [_raised((v * v).sum(axis=1), v.shape[1], kernel) @ _members(len(v), groups) for v in (x, y)]
    return _gram(x, x, kernel, groups), _gram(y, y, kernel, groups), _gram(x, y, kernel, groups), own[0], own[1]


def _gram(a: Floats, b: Floats, kernel: Kernel, groups: int) -> Floats:
    found = np.zeros((groups, groups))
    left, right = _members(len(a), groups), _members(len(b), groups)
    # Some rows at a time: the whole product of 10,000 clips would take 800 MB.
    for i in range(0, len(a), _ROWS):
        products = _raised(a[i : i + _ROWS] @ b.T, a.shape[1], kernel)
        found += left[i : i + _ROWS].T @ products @ right
    return found


def _members(n: int, groups: int) -> Floats:
    """Return [n, groups]: 1 where a row belongs to a group."""
    return np.eye(groups)[np.arange(n) % groups]


def _raised(products: Floats, d: int, kernel: Kernel) -> Floats:
    found: Floats = (products / d + kernel.offset) ** kernel.degree
    return found


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
