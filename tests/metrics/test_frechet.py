"""Frechet distance against the closed form and an independent covariance implementation."""

from __future__ import annotations

import numpy as np
import pytest

from sora_eval.metrics.frechet import frechet_distance
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
