"""How one score goes with another, by ranks: Spearman's correlation, and the area under the ROC curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sora_eval.stats.intervals import LEVEL, N_BOOT, SEED, Interval, percentile_interval, wilson


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Return Spearman's rank correlation in [-1, 1], ties given their mean rank.

    x, y: [n], n >= 2. Raises ValueError for unequal lengths, NaN, or values all equal, where no rank is defined.

    Source: Spearman 1904.

    >>> round(spearman([1, 2, 3], [10, 30, 20]), 9)  # 1 - 6 sum d^2 / (n (n^2 - 1)) = 1 - 6 * 2 / 24
    0.5
    """
    # Most commands need nothing of scipy.stats, which takes a second to import. Its spearmanr also gives a p-value, and NaN with a warning
    # where no rank is defined.
    from scipy.stats import rankdata

    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or a.size < 2 or np.isnan(a).any() or np.isnan(b).any():
        raise ValueError(f"need two lists of equal length >= 2 without NaN, got shapes {a.shape} and {b.shape}")
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        raise ValueError("a list whose values are all equal has no rank correlation")
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


def auc(
    positive: ArrayLike, negative: ArrayLike, n_boot: int = N_BOOT, seed: int = SEED, level: float = LEVEL
) -> Interval:
    """Return P(positive > negative) + P(positive = negative) / 2, the area under the ROC curve.

    The interval is a percentile bootstrap that resamples each group by itself; at 0 or 1, where no resample differs,
    it is Wilson's with the smaller group as the number of trials.

    positive: [n] scores of what should score high; negative: [m].
    Raises ValueError for an empty group or NaN.

    Source: Mann and Whitney 1947; Hanley and McNeil 1982.

    >>> auc([2, 3], [1, 2]).mean  # 1 + 1/2 + 1 + 1 of 4 pairs
    0.875
    """
    pos, neg = np.ravel(np.asarray(positive, dtype=np.float64)), np.ravel(np.asarray(negative, dtype=np.float64))
    if pos.size == 0 or neg.size == 0 or np.isnan(pos).any() or np.isnan(neg).any():
        raise ValueError(f"need scores without NaN in both groups, got {pos.size} positive and {neg.size} negative")
    wins = (np.sign(pos[:, None] - neg[None, :]) + 1) / 2
    area = float(wins.mean())
    if area in (0.0, 1.0):
        n = min(pos.size, neg.size)
        rate = wilson(area * n, n, level)
        return Interval(area, rate.low, rate.high)
    rng = np.random.default_rng(seed)
    # Drawing how often each score is drawn turns a resample into two weight vectors, without copying the wins.
    w = rng.multinomial(pos.size, np.full(pos.size, 1 / pos.size), size=n_boot) / pos.size
    v = rng.multinomial(neg.size, np.full(neg.size, 1 / neg.size), size=n_boot) / neg.size
    return Interval(area, *percentile_interval(((w @ wins) * v).sum(axis=1), level))
