"""Matches and F between rendered views of one scene, and between pictures that have nothing in common."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sora_eval.metrics.geometry import sampson_distance, two_view_consistency
from sora_eval.tracking.twoview import enlarge, frame_pairs, fundamental_matrix, match
from sora_eval.types import Floats, Frames


def texture(size: int, seed: int, sigma: float = 2.0) -> Frames:
    noise = np.random.default_rng(seed).normal(size=(size, size, 3)).astype(np.float32)
    smooth = np.asarray(cv2.GaussianBlur(noise, (0, 0), sigma))
    return np.asarray(255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)


def two_views(n: int = 80, noise: float = 0.0) -> tuple[Floats, Floats]:
    """Return n points of a deep scene as two cameras see them, pixels."""
    rng = np.random.default_rng(0)
    points = rng.uniform((-2, -2, 4), (2, 2, 8), (n, 3))
    turn, _ = cv2.Rodrigues(np.array([0.02, -0.1, 0.03]))
    moved = points @ np.asarray(turn).T + (0.8, 0.1, 0.2)
    a, b = (128 + 200 * p[:, :2] / p[:, 2:] for p in (points, moved))
    return a, b + rng.normal(0, noise, b.shape) if noise else b


@pytest.mark.parametrize("size", [64, 256])
def test_matches_follow_a_shift_at_any_size(size: int) -> None:
    big = texture(size + 16, 1, 1.5)
    found = match(big[8 : 8 + size, 8 : 8 + size], big[5 : 5 + size, 2 : 2 + size])
    shift = found.b - found.a
    assert len(shift) > 20
    assert len(shift) <= found.features * 2
    assert np.median(shift, axis=0) == pytest.approx([6, 3], abs=0.05)
    assert (np.linalg.norm(shift - (6, 3), axis=1) < 1).mean() > 0.9


def test_unrelated_pictures_hardly_match_and_flat_ones_not_at_all() -> None:
    a, b = texture(256, 1), texture(256, 2)
    assert len(match(a, b).a) < 0.1 * len(match(a, a).a)
    flat = np.full((64, 64, 3), 128, np.uint8)
    assert (len(match(flat, a).a), match(flat, a).features) == (0, 0)


def test_f_explains_the_matches_despite_false_ones() -> None:
    a, b = two_views(noise=0.1)
    b[::5] = np.random.default_rng(1).uniform(0, 256, b[::5].shape)
    f = fundamental_matrix(a, b)
    assert f is not None
    right = np.arange(len(a)) % 5 != 0
    assert np.median(sampson_distance(f, a[right], b[right])) < 0.2
    again = fundamental_matrix(a, b)
    assert again is not None
    assert np.array_equal(f, again)


def test_f_is_none_for_few_points_and_when_opencv_throws(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = two_views()
    assert fundamental_matrix(a[:7], b[:7]) is None

    def throws(*_: object) -> None:
        raise cv2.error("solver")

    monkeypatch.setattr(cv2, "findFundamentalMat", throws)
    assert fundamental_matrix(a, b) is None


def test_degenerate_points_do_not_throw() -> None:
    same = np.ones((20, 2))
    f = fundamental_matrix(same, same)
    assert f is None or np.isfinite(f).all()


def test_enlarge_is_by_a_whole_factor_and_only_up() -> None:
    small, factor = enlarge(texture(60, 0), 256)
    assert (factor, small.shape) == (5, (300, 300, 3))
    kept, one = enlarge(texture(300, 0), 256)
    assert (one, kept.shape) == (1, (300, 300, 3))


def test_pairs_by_hand() -> None:
    assert frame_pairs(10, gaps=(4, 8), stride=2) == [(0, 4), (2, 6), (4, 8), (0, 8)]
    assert frame_pairs(4) == []


def test_many_matches_of_few_points_give_no_geometry():
    a = np.arange(24.0).reshape(12, 2) ** 1.5
    b = a[[0, 1, 2, 3] * 3]
    assert fundamental_matrix(a, b) is None
    assert two_view_consistency(None, a, b, 4).support == 0
