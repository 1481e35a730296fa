"""Metrics of transitions, against answers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sora_eval.metrics.transitions.blends import mixture, mixtures
from sora_eval.metrics.transitions.steps import changes, changes_between, ordinary, seam, spread, worst_step


def _square(x: int, side: int = 10) -> np.ndarray:
    frame = np.full((48, 64, 3), 200, np.uint8)
    frame[20 : 20 + side, x : x + side] = (220, 40, 40)
    return frame


def test_a_seam_is_the_change_from_the_last_frame_to_the_next_first() -> None:
    a, b = np.zeros((2, 4, 4, 3), np.uint8), np.full((3, 4, 4, 3), 7, np.uint8)
    assert seam(a, b) == 7
    both = np.concatenate([a, b])
    assert changes(both).tolist() == [0, 7, 0, 0]
    assert (ordinary(both), worst_step(both)) == (7 / 4, 7)


def test_change_in_one_step_of_n_has_a_spread_of_one_in_n() -> None:
    assert spread(np.array([0.0, 3.0, 0.0, 0.0, 0.0])) == pytest.approx(1 / 5)
    assert spread(np.full(5, 0.2)) == pytest.approx(1)
    assert spread(np.zeros(5)) == 0


def test_a_mixture_is_one_and_an_object_that_moves_by_its_width_a_quarter() -> None:
    a, middle, b = _square(10), _square(20), _square(30)
    faded = np.rint(0.7 * a + 0.3 * b).astype(np.uint8)
    assert mixture(faded, a, b) > 0.99
    assert mixture(middle, a, b) == pytest.approx(0.25, abs=0.08)
    # By half of its width: half of what changes is explained.
    assert mixture(_square(15), _square(10), _square(20)) == pytest.approx(0.5, abs=0.1)


def test_one_of_the_two_frames_itself_is_no_mixture_and_nothing_has_no_answer() -> None:
    a, b = _square(10), _square(30)
    assert np.isnan(mixture(a, a, b))
    assert np.isnan(mixture(b, a, b))
    assert np.isnan(mixture(a, a, a))
    with pytest.raises(ValueError, match="one size"):
        mixture(a, a, b[:10])


def test_mixtures_of_a_fade_stand_out_and_go_round_in_a_loop() -> None:
    moving = np.array([_square(x) for x in range(0, 52, 4)])
    faded = moving.copy()
    for k in range(5, 9):
        faded[k] = np.rint(moving[4] + (k - 4) / 5 * (moving[9].astype(float) - moving[4]))
    own, true = mixtures(faded, 2), mixtures(moving, 2)
    assert np.nanmax(own) > 0.98
    assert np.nanmax(true) < 0.7
    assert np.isnan(own[:2]).all()
    assert np.isfinite(mixtures(moving, 2, cyclic=True)).all()


def test_flicker_where_both_ends_agree_hides_no_cut() -> None:
    rng = np.random.default_rng(0)
    frames = np.full((9, 16, 16, 3), 120, np.uint8) + rng.integers(0, 20, (9, 16, 16, 3), dtype=np.uint8)
    frames[5:, :4, :4] = 250
    assert spread(changes(frames)) > 0.8
    assert spread(changes_between(frames)) < 0.2
    with pytest.raises(ValueError, match="the same"):
        changes_between(frames[:3])
