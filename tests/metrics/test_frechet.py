"""Frechet distance against the closed form and an independent covariance implementation."""

from __future__ import annotations

import numpy as np
import pytest

from sora_eval.metrics.frechet import GROUPS, Moments, distance, estimate, frechet_distance, grouped, merge
from sora_eval.types import Floats


def by_covariance(x: Floats, y: Floats) -> float:
    """Return the distance from covariances and the eigenvalues of their product."""
    s, r = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    roots = np.sqrt(np.maximum(np.linalg.eigvals(s @ r).real, 0))
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s) + np.trace(r) - 2 * roots.sum())


@pytest.mark.parametrize(("n", "m", "d"), [(200, 150, 12), (10, 300, 24), (10, 14, 24), (24, 25, 24)])
def test_agrees_with_covariances(n: int, m: int, d: int) -> None:
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    y = rng.normal(1, 2, size=(m, d))
    assert frechet_distance(x, y) == pytest.approx(by_covariance(x, y), rel=1e-6)


def test_one_dimension_by_hand() -> None:
    # Means 1 and 4, standard deviations sqrt(2) and 3 sqrt(2): 3^2 + (2 sqrt(2))^2 = 17.
    assert frechet_distance(np.array([[0.0], [2.0]]), np.array([[1.0], [7.0]])) == pytest.approx(17, rel=1e-12)


@pytest.mark.parametrize("n", [8, 500])
def test_zero_for_equal_sets(n: int) -> None:
    x = np.random.default_rng(0).normal(5, 3, size=(n, 64))
    assert 0 <= frechet_distance(x, x[::-1]) < 1e-9


def test_shift_adds_its_square_and_order_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(40, 6)), rng.normal(size=(50, 6))
    assert frechet_distance(x, x + 3) == pytest.approx(9 * 6, rel=1e-9)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-9)


@pytest.mark.parametrize("spread", [1.0, 1e-3, 0.0])
def test_tall_sets_keep_their_digits(spread: float) -> None:
    rng = np.random.default_rng(0)
    scale = np.where(np.arange(12) < 6, 1.0, spread)
    x, y = (rng.normal(size=(60, 12)) * scale for _ in range(2))
    wide = [np.linalg.qr(v - v.mean(axis=0), mode="r") for v in (x, y)]
    sure = [Moments(60, v.mean(axis=0), r) for v, r in zip((x, y), wide, strict=True)]
    assert frechet_distance(x, y) == pytest.approx(distance(*sure), rel=1e-10)
    assert frechet_distance(x, x) < 1e-12


def test_rotation_of_both_changes_nothing() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(40, 6)), rng.normal(1, 3, size=(50, 6))
    turn, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    assert frechet_distance(x @ turn, y @ turn) == pytest.approx(frechet_distance(x, y), rel=1e-9)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.full((3, 2), np.nan), np.ones((3, 2)), "x must be finite"),
        (np.ones((3, 2)), np.full((3, 2), np.inf), "y must be finite"),
        (np.ones((1, 2)), np.ones((3, 2)), "x must have at least 2 rows"),
        (np.ones((3, 2)), np.ones((3, 4)), "same number of features"),
        (np.ones(3), np.ones((3, 4)), "shape"),
    ],
)
def test_bad_features_are_named(x: Floats, y: Floats, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        frechet_distance(x, y)
    assert "\n" not in str(error.value)


def test_batches_and_processes_come_to_the_same_moments() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(3, 2, size=(301, 12)), rng.normal(size=(200, 12))
    parts = [Moments.of(x[i : i + 7]) for i in range(0, 301, 7)]
    whole = merge([merge(parts[::2]), merge(parts[1::2])])
    assert whole.n == 301
    assert whole.factor.shape == (12, 12)
    assert distance(whole, Moments.of(y)) == pytest.approx(frechet_distance(x, y), rel=1e-10)
    assert distance(whole, Moments.of(x)) < 1e-9


def gaussians(d: int) -> tuple[Floats, Floats, Floats, float]:
    """Return factors of two covariances, a shift and the true distance between the Gaussians."""
    rng = np.random.default_rng(0)
    m = rng.normal(size=(d, d)) / 4
    near = m + 0.3 * rng.normal(size=(d, d)) / 4
    s, r = m @ m.T + 0.1 * np.eye(d), near @ near.T + 0.1 * np.eye(d)
    shift = 0.1 * rng.normal(size=d)
    roots = np.sqrt(np.linalg.eigvals(s @ r).real)
    truth = float(shift @ shift + np.trace(s) + np.trace(r) - 2 * roots.sum())
    return np.linalg.cholesky(s), np.linalg.cholesky(r), shift, truth


@pytest.mark.slow
@pytest.mark.parametrize("times", [2, 4])
def test_the_corrected_interval_covers_the_truth_and_the_percentile_one_does_not(times: int) -> None:
    d, trials = 16, 200
    a, b, shift, truth = gaussians(d)
    rng = np.random.default_rng(times)
    covered = naive = 0
    values = []
    for _ in range(trials):
        x, y = rng.normal(size=(times * d, d)) @ a.T, shift + rng.normal(size=(times * d, d)) @ b.T
        found = estimate(grouped(x), grouped(y))
        covered += found.low <= truth <= found.high
        values.append(found.corrected)
        again = [
            frechet_distance(x[rng.integers(len(x), size=len(x))], y[rng.integers(len(y), size=len(y))])
            for _ in range(20)
        ]
        naive += min(again) <= truth <= max(again)
    assert 0.90 <= covered / trials <= 0.99
    assert naive / trials < 0.05
    assert abs(np.mean(values) - truth) < 3 * np.std(values) / np.sqrt(trials) + 0.1 * truth


def test_real_against_real_is_zero_within_its_interval() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(2, 200, 20))
    found = estimate(grouped(x), grouped(y))
    assert found.plug_in > 1
    assert found.low < 0 < found.high
    assert abs(found.extrapolated) < 0.3 * found.plug_in
    assert found.n == (200, 200)


def test_pairs_know_that_they_are_pairs() -> None:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(120, 12))
    same = estimate(grouped(x), grouped(x), paired=True)
    assert [same.corrected, same.low, same.high, same.extrapolated] == pytest.approx([0, 0, 0, 0], abs=1e-9)
    # Treated as two independent sets, pairs come out far too near, and their interval misses the truth.
    truth = 12 * (np.sqrt(1.25) - 1) ** 2 + 12 * 0.09
    right = wrong = 0
    for _ in range(60):
        x = rng.normal(size=(48, 12))
        y = x + 0.3 + 0.5 * rng.normal(size=x.shape)
        mine, theirs = (estimate(grouped(x), grouped(y), paired=p) for p in (True, False))
        right += mine.low < truth < mine.high
        wrong += theirs.low < truth < theirs.high
    assert right >= 53
    assert wrong <= 10
    with pytest.raises(ValueError, match="same groups, got 19 and 20"):
        estimate(grouped(x[:19]), grouped(x), paired=True)


def test_with_hardly_more_clips_than_features_nothing_is_corrected() -> None:
    x, y = np.random.default_rng(5).normal(size=(2, 24, 24))
    found = estimate(grouped(x), grouped(y))
    assert found.plug_in == pytest.approx(frechet_distance(x, y))
    assert np.isnan([found.corrected, found.low, found.high, found.extrapolated]).all()


def test_groups_share_the_rows_and_few_rows_make_few_groups() -> None:
    x = np.random.default_rng(6).normal(size=(45, 3))
    assert sorted(g.n for g in grouped(x)) == [2] * (GROUPS - 5) + [3] * 5
    assert len(grouped(x[:4])) == 4
    with pytest.raises(ValueError, match="at least 2 groups"):
        estimate(grouped(x[:1]), grouped(x))
