"""Motion features: by hand, and as a distance that sees how things move and not where in the clip's pixels."""

from __future__ import annotations

import numpy as np
import pytest

from sora_eval.metrics.frechet import frechet_distance
from sora_eval.metrics.motion import ANGLES, CELLS, motion_features
from sora_eval.types import Floats


def tracks(n: int, rng: np.random.Generator, turn: float = 0.0, jerk: float = 0.0) -> Floats:
    """Return tracks [n, 12, 2] of points that mostly go right in a frame of 64 x 64, turned by an angle, with jerks."""
    start = rng.uniform(12, 30, (n, 1, 2))
    angle = turn + rng.normal(0, 0.3)
    speed = rng.uniform(1, 2)
    steps = speed * np.array([np.cos(angle), np.sin(angle)]) + jerk * rng.normal(size=(n, 12, 2))
    return start + np.cumsum(steps, axis=1)


def features(count: int, seed: int, **more: float) -> Floats:
    rng = np.random.default_rng(seed)
    seen = np.ones((20, 12), bool)
    return np.array([motion_features(tracks(20, rng, **more), seen, (64, 64), 8.0) for _ in range(count)])


def test_one_point_by_hand() -> None:
    xy = np.array([[[8.0, 8.0], [10.0, 8.0], [12.0, 8.0]]])
    found = motion_features(xy, np.ones((1, 3), bool), (64, 64), 8.0).reshape(2, CELLS * CELLS, ANGLES)
    # Two steps of 2 / 64 frame widths, 8 a second, to the right, in the first cell; no acceleration.
    expected = 2 * np.log1p(2 / 64 * 8 / 0.002) / 3
    assert found[0, 0, 0] == pytest.approx(expected)
    assert found.sum() == pytest.approx(expected)


def test_a_direction_between_two_bins_is_shared() -> None:
    angle = 2 * np.pi / ANGLES * 1.25
    xy = 30 + np.outer(np.arange(3), [np.cos(angle), np.sin(angle)])[None]
    votes = motion_features(xy, np.ones((1, 3), bool), (64, 64), 8.0).reshape(2, -1, ANGLES)[0].sum(axis=0)
    assert votes[1] == pytest.approx(3 * votes[2])


def test_size_and_rate_of_a_clip_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    xy = tracks(20, rng)
    small = motion_features(xy, np.ones((20, 12), bool), (64, 64), 8.0)
    assert motion_features(4 * xy, np.ones((20, 12), bool), (256, 256), 8.0) == pytest.approx(small)


def test_the_distance_grows_with_what_is_wrong() -> None:
    real = features(300, 1)
    turned = [frechet_distance(real, features(300, 2, turn=t)) for t in (0.0, 0.2, 0.5, 1.5)]
    jerked = [frechet_distance(real, features(300, 2, jerk=j)) for j in (0.0, 0.1, 0.3, 1.0)]
    assert turned == sorted(turned)
    assert jerked == sorted(jerked)
    assert min(turned[-1], jerked[-1]) > 10 * turned[0]


def test_hidden_points_do_not_vote() -> None:
    xy = tracks(5, np.random.default_rng(3))
    hidden = np.zeros((5, 12), bool)
    assert not motion_features(xy, hidden, (64, 64), 8.0).any()
    assert not motion_features(np.full((5, 12, 2), 20.0), ~hidden, (64, 64), 8.0).any()
    with pytest.raises(ValueError, match=r"\[N, T >= 3, 2\]"):
        motion_features(xy[:, :2], hidden[:, :2], (64, 64), 8.0)
