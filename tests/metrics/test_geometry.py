"""Epipolar scores and reprojection against cameras and depth known exactly."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sora_eval.metrics.geometry import (
    match_reprojection_error,
    reproject,
    sampson_distance,
    two_view_consistency,
)
from sora_eval.types import Camera, Floats

K = np.array([[200.0, 0, 128], [0, 200, 128], [0, 0, 1]])


def views(shift: tuple[float, float, float], turn: float = 0.1, flat: bool = False) -> tuple[Floats, Floats, Floats]:
    """Return F and 120 points seen by two cameras."""
    points = np.random.default_rng(0).uniform((-2, -2, 4), (2, 2, 8), (120, 3))
    if flat:
        points[:, 2] = 6
    rotation = np.asarray(cv2.Rodrigues(np.array([0.0, turn, 0.0]))[0])
    moved = points @ rotation.T + shift
    x, y, z = shift
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    inverse = np.linalg.inv(K)
    a, b = (128 + 200 * p[:, :2] / p[:, 2:] for p in (points, moved))
    return inverse.T @ cross @ rotation @ inverse, a, b


def test_sampson_by_hand() -> None:
    # Pure sideways motion: b^T F a = y_b - y_a, and all four terms under the root make sqrt(2).
    f = np.array([[0.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    a, b = np.array([[3.0, 5.0], [0, 0]]), np.array([[9.0, 5.0], [4, 2]])
    assert sampson_distance(f, a, b) == pytest.approx([0, 2 / np.sqrt(2)])
    assert sampson_distance(-7 * f, a, b) == pytest.approx(sampson_distance(f, a, b))
    assert sampson_distance(f.T, b, a) == pytest.approx(sampson_distance(f, a, b))
    with pytest.raises(ValueError, match="F"):
        sampson_distance(f, a, b[:1])


def test_a_rigid_scene_scores_and_noise_lowers_it() -> None:
    f, a, b = views((0.8, 0.1, 0.2))
    perfect = two_view_consistency(f, a, b, 150)
    assert perfect.median_sampson_px == pytest.approx(0, abs=1e-6)
    assert (perfect.support, perfect.judgeable) == (120 / 150, True)
    wrong = b.copy()
    wrong[:70] = np.random.default_rng(1).uniform(0, 256, (70, 2))
    broken = two_view_consistency(f, a, wrong, 150)
    # Over inliers alone the error would still be 0: the median over all matches is not.
    assert broken.median_sampson_px > 1
    assert broken.support < 0.5


@pytest.mark.parametrize(
    ("shift", "turn", "flat"), [((0, 0, 0), 0, False), ((0, 0, 0), 0.1, False), ((0.5, 0, 0), 0, True)]
)
def test_without_parallax_nothing_is_judged(shift: tuple[float, float, float], turn: float, flat: bool) -> None:
    f, _, _ = views((0.8, 0.1, 0.2))
    _, a, b = views(shift, turn, flat)
    estimate, _ = cv2.findFundamentalMat(a, b, cv2.FM_LMEDS)
    for candidate in (f, estimate):
        if candidate is not None and np.shape(candidate) == (3, 3):
            got = two_view_consistency(np.asarray(candidate, dtype=np.float64), a, b, 120)
            assert got.parallax_px < 0.1
            assert not got.judgeable


def test_no_f_is_inconsistent_unless_there_was_nothing_to_match() -> None:
    empty = np.zeros((0, 2))
    unrelated = two_view_consistency(None, empty, empty, 300)
    assert (unrelated.support, unrelated.median_sampson_px, unrelated.judgeable) == (0, np.inf, True)
    assert not two_view_consistency(None, empty, empty, 3).judgeable


def camera(offset: float) -> Camera:
    """Return two frames: at the origin, and `offset` metres to the right."""
    t = np.array([[0.0, 0, 0], [-offset, 0, 0]])
    small = np.array([[32.0, 0, 15.5], [0, 32, 15.5], [0, 0, 1]])
    return Camera(np.stack([small] * 2), np.stack([np.eye(3)] * 2), t)


def test_reprojection_by_hand() -> None:
    depth = np.full((32, 32), 4.0)
    depth[0, 0] = np.nan
    xy, z = reproject(depth, camera(0.5), 1)
    # 32 px * 0.5 m / 4 m = 4 px to the left.
    assert xy[10, 20] == pytest.approx([16, 10])
    assert z[10, 20] == pytest.approx(4)
    assert np.isnan(xy[0, 0]).all()


def test_reprojection_agrees_with_the_camera_under_rotation() -> None:
    turn = np.asarray(cv2.Rodrigues(np.array([0.1, -0.2, 0.05]))[0])
    cam = Camera(camera(0).K, np.stack([turn.T, turn]), np.array([[0.1, 0.2, 0.3], [-0.4, 0, 0.1]]))
    pixel, far = cam.project(np.tile(np.array([[0.2, -0.1, 5.0]]), (2, 1, 1)))
    x, y = np.rint(pixel[0, 0]).astype(int)
    depth = np.full((32, 32), far[0, 0])
    error, known = match_reprojection_error(pixel[0], pixel[1], depth, cam, 1)
    assert 0 <= x < 32
    assert 0 <= y < 32
    assert known.all()
    assert error[0] < 0.1
    assert match_reprojection_error(pixel[0], pixel[1] + [3, 4], depth, cam, 1)[0][0] == pytest.approx(5, abs=0.1)
