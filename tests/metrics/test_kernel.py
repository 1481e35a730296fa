"""Kernel distances against torchmetrics' KID kernel, by hand, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.image.kid import poly_mmd

from sora_eval.metrics.kernel import JEDI, KVD, estimate, estimate_paired, mmd
from sora_eval.stats.intervals import t_quantile
from sora_eval.types import Floats


def test_kvd_is_the_kernel_of_torchmetrics() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 30)), rng.normal(0.1, 1.2, size=(60, 30))
    theirs = float(poly_mmd(torch.from_numpy(x), torch.from_numpy(y), 3, None, 1.0))
    assert mmd(x, y, KVD) == pytest.approx(theirs, rel=1e-9)


def test_jedi_by_hand() -> None:
    # One feature, k(a, b) = (ab)^2: the mean over pairs of x, over pairs of y, and twice the mean over both.
    x, y = np.array([[1.0], [2.0]]), np.array([[1.0], [1.0]])
    assert mmd(x, y, JEDI) == pytest.approx(100 * ((1 + 4 + 4 + 16) / 4 + 1 - 2 * (1 + 1 + 4 + 4) / 4))


def test_the_interval_covers_the_truth() -> None:
    rng = np.random.default_rng(1)
    truth = mmd(rng.normal(size=(4000, 10)), rng.normal(0.1, 1.1, size=(4000, 10)), KVD)
    covered = 0
    for _ in range(200):
        found = estimate(rng.normal(size=(64, 10)), rng.normal(0.1, 1.1, size=(64, 10)), KVD)
        covered += found.low <= truth <= found.high
    assert 0.90 <= covered / 200 <= 0.995


def test_leaving_a_group_out_is_leaving_its_rows_out() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(13, 4)), rng.normal(size=(11, 4))
    for kernel in (KVD, JEDI):
        left = [mmd(np.delete(x, np.s_[g::5], axis=0), y, kernel) for g in range(5)]
        left_y = [mmd(x, np.delete(y, np.s_[g::5], axis=0), kernel) for g in range(5)]
        variance = sum(4 / 5 * float(np.square(np.array(v) - np.mean(v)).sum()) for v in (left, left_y))
        found = estimate(x, y, kernel, groups=5)
        assert found.high - found.value == pytest.approx(t_quantile(0.975, 4) * variance**0.5, rel=1e-6)
        assert found.value == pytest.approx(mmd(x, y, kernel))


def test_pairs_are_compared_across_groups() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(14, 4))
    y = x + 0.2 * rng.normal(size=x.shape)
    group = np.arange(14) // 2

    def kernel(a: Floats, b: Floats) -> Floats:
        return (a @ b.T / 4 + 1) ** 3  # type: ignore[no-any-return]

    def value(x: Floats, y: Floats, group: Floats) -> float:
        products = kernel(x, x) + kernel(y, y) - kernel(x, y) - kernel(y, x)
        return float(products[group[:, None] != group].mean())

    found = estimate_paired(x, y, KVD, list(group))
    assert found.value == pytest.approx(value(x, y, group))
    kept = [group != g for g in range(7)]
    left = [value(x[k], y[k], group[k]) for k in kept]
    spread = (6 / 7 * float(np.square(np.array(left) - np.mean(left)).sum())) ** 0.5
    assert found.high - found.value == pytest.approx(t_quantile(0.975, 6) * spread, rel=1e-6)
    # The same clips, and the same clips with each in its twin's place.
    for other in (x, x[np.arange(14) ^ 1]):
        same = estimate_paired(x, other, KVD, list(group))
        assert [same.value, same.low, same.high] == pytest.approx([0, 0, 0], abs=1e-12)
    assert estimate_paired(x, y, JEDI, list(group)).value == pytest.approx(mmd(x, y, JEDI))
    with pytest.raises(ValueError, match="same number of rows, got 12 and 14"):
        estimate_paired(x[:12], y, KVD, list(group))
    with pytest.raises(ValueError, match="at least 3 groups"):
        estimate_paired(x, y, KVD, [0, 1] * 7)


def test_many_clips_need_little_memory() -> None:
    import tracemalloc

    x = np.random.default_rng(3).normal(size=(6000, 8))
    tracemalloc.start()
    estimate(x, x[::-1] + 0.1, KVD)
    assert tracemalloc.get_traced_memory()[1] < 150e6
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((3, 2)), np.ones((3, 4)), "of one d"),
        (np.ones((1, 2)), np.ones((3, 2)), "at least 2 rows"),
        (np.full((3, 2), np.nan), np.ones((3, 2)), "finite"),
    ],
)
def test_bad_input_is_named(x: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mmd(x, y, KVD)
