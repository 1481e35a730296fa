"""Rank correlation and the area under the ROC curve against hand-worked answers and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from sora_eval.stats.correlation import auc, spearman
from sora_eval.stats.intervals import wilson


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


def test_spearman_by_hand_and_with_ties() -> None:
    # Ranks 1 2 3 against 1 3 2: 1 - 6 * 2 / (3 * 8).
    assert spearman([1, 2, 3], [10, 30, 20]) == pytest.approx(0.5)
    assert spearman([1, 2, 3, 4], np.exp([1, 2, 3, 4])) == pytest.approx(1)
    x, y = [1, 2, 2, 5, 7], [3, 3, 1, 6, 5]
    assert spearman(x, y) == pytest.approx(scipy_stats.spearmanr(x, y).statistic)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="both groups"):
        auc([], [1])
    with pytest.raises(ValueError, match="all equal"):
        spearman([1, 1], [1, 2])
    with pytest.raises(ValueError, match="equal length"):
        spearman([1, 2], [1, 2, 3])
