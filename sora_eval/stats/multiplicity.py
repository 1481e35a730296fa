"""Many hypotheses at once: Holm's correction, joint sign flips (Westfall and Young), and its counterpart for e-values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sora_eval.stats.intervals import SEED
from sora_eval.stats.sign_flips import FLIPS, sign_vectors
from sora_eval.types import Floats


def holm(p_values: ArrayLike, comparisons: int | None = None) -> Floats:
    """Return p-values [n] adjusted for all comparisons by Holm's step-down, in the order given.

    With p sorted upwards and m comparisons, `p'_i = max_{j <= i} min(1, (m - j + 1) p_j)`. Rejecting where p' <= alpha keeps the chance
    of any false alarm below alpha, whatever the dependence.

    comparisons: how many tests there are, of which these n were picked in whatever way; n by default. The i-th smallest of
    those picked is at best the i-th smallest of all, so that its factor is at least Holm's own.
    Raises ValueError for values outside [0, 1], or more of them than comparisons.

    Source: Holm 1979.

    >>> holm([0.01, 0.02, 0.5])
    array([0.03, 0.04, 0.5 ])
    >>> holm([0.01, 0.02, 0.5], comparisons=10)
    array([0.1 , 0.18, 1.  ])
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values must be [n] numbers in [0, 1], got {p_values!r}")
    m = len(p) if comparisons is None else comparisons
    if len(p) > m:
        raise ValueError(f"{len(p)} p-values can't be of {m} comparisons")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, p[order] * (m - np.arange(len(p)))))
    return adjusted


def alpha_shares(count: int, overall: float) -> Floats:
    """Return the shares of alpha [count] of `count` >= 2 hypotheses: the overall score's, then equal ones of the probes.

    >>> alpha_shares(3, 0.5)
    array([0.5 , 0.25, 0.25])
    """
    return np.array([overall, *[(1 - overall) / (count - 1)] * (count - 1)])


def westfall_young(sums: Floats, share: Floats, flips: int = FLIPS, seed: int = SEED) -> Floats:
    """Return one-sided p-values [k] of sums over clusters, adjusted for k: step-down minima of p / share under joint sign flips.

    Holm's procedure with the joint distribution in place of the worst one. So hypotheses in which nothing ever differs cost the others
    nothing.

    sums: [k, clusters], of k sums the part of each cluster; share: [k] parts of alpha, with sum 1.

    Source: Westfall and Young 1993, section 2.6 (step-down minP).

    >>> westfall_young(np.array([[1.0] * 5, [0.0] * 5]), np.array([0.5, 0.5]))  # 2^-5, though there are two
    array([0.03125, 1.     ])
    """
    parts = sums[:, (sums != 0).any(axis=0)]
    if not parts.shape[1]:
        return np.ones(len(sums))
    totals = sign_vectors(parts.shape[1], flips, seed) @ parts.T  # (flips, k), the observed ones first
    # Sums that are equal but for rounding are equal.
    size = np.abs(parts).sum(axis=1)
    totals = np.round(totals / np.where(size > 0, size, 1.0), 9)
    ordered = np.sort(totals, axis=0)
    reached = np.stack(
        [len(totals) - np.searchsorted(ordered[:, k], totals[:, k], side="left") for k in range(len(sums))], axis=1
    )
    scaled = np.round(reached / len(totals) / share, 12)
    order = np.argsort(scaled[0], kind="stable")
    adjusted, highest = np.ones(len(sums)), 0.0
    # From the last to the first, the minimum over those not yet rejected grows by one column at a time.
    least = np.minimum.accumulate(scaled[:, order[::-1]], axis=1)[:, ::-1]
    for place, k in enumerate(order):
        highest = max(highest, float((least[:, place] <= scaled[0, k]).mean()))
        adjusted[k] = highest
    return adjusted


def adjust_e_values(e: Floats, share: Floats) -> Floats:
    """Return e-values [k] adjusted for k hypotheses: each the least weighted mean with any others.

    Rejecting where the adjusted value reaches 1 / alpha keeps the chance of any false alarm below alpha, whatever the dependence.

    e: [k] e-values; share: [k] parts of alpha, with sum 1.

    Source: Vovk and Wang 2021, "E-values: calibration, combination and applications" (closed test with means).

    >>> adjust_e_values(np.array([40.0, 0.0]), np.array([0.5, 0.5]))
    array([20.,  0.])
    """
    order = np.argsort(e, kind="stable")
    adjusted = np.empty(len(e))
    for k in range(len(e)):
        total, weight = share[k] * e[k], share[k]
        for j in order:
            if j != k and e[j] < total / weight:
                total, weight = total + share[j] * e[j], weight + share[j]
        adjusted[k] = total / weight
    return adjusted
