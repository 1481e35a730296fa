"""Motions of the view with known answers: shifts, growth, and what each kind of action looks like."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sora_eval.tracking.view.actions import STILL, UNKNOWN, kind_of, shown_actions
from sora_eval.tracking.view.motion import ViewMotion, view_motion
from sora_eval.types import Floats, Frames


def _picture(seed: int = 0) -> Frames:
    rng = np.random.default_rng(seed)
    return np.asarray(cv2.resize(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8), (360, 240)))


def _seen(right: Floats, down: Floats, grown: Floats) -> Frames:
    """Return windows of 64 x 64 pixels of a large picture, shifted by pixels and grown by factors about their middle."""
    picture, frames = _picture(), []
    for x, y, g in zip(right, down, grown, strict=True):
        matrix = np.array([[g, 0, 31.5 + x - g * 180], [0, g, 31.5 + y - g * 120]])
        frames.append(cv2.warpAffine(picture, matrix, (64, 64), flags=cv2.INTER_LINEAR))
    return np.array(frames)


@pytest.mark.parametrize(("right", "down"), [(3.0, 0.0), (-5.0, 2.0), (0.0, -4.0), (18.0, 0.0), (-20.0, 3.0)])
def test_shifts_are_measured_in_shares_of_the_side(right: float, down: float) -> None:
    steps = np.arange(3.0)
    motion = view_motion(_seen(right * steps, down * steps, np.ones(3)))
    assert motion.right * 64 == pytest.approx([right] * 2, abs=0.15)
    assert motion.down * 64 == pytest.approx([down] * 2, abs=0.15)
    assert np.abs(motion.widen).max() < 0.01


def test_growth_is_measured_in_both_directions() -> None:
    motion = view_motion(_seen(np.zeros(4), np.zeros(4), np.array([1.0, 1.05, 1.1025, 1.05])))
    assert motion.widen == pytest.approx([0.0488, 0.0488, -0.0488], abs=0.004)
    assert motion.stretch == pytest.approx(motion.widen, abs=0.004)
    assert np.abs(motion.right).max() < 0.003


def test_without_texture_nothing_is_followed() -> None:
    motion = view_motion(np.full((5, 64, 64, 3), 128, np.uint8))
    assert not motion.points.any()
    assert [s.name for s in shown_actions(motion, 2)] == [UNKNOWN, UNKNOWN]


def test_noise_is_not_followed() -> None:
    for seed in range(4):
        noise = np.random.default_rng(seed).integers(0, 256, (9, 64, 64, 3), dtype=np.uint8)
        assert {s.name for s in shown_actions(view_motion(noise), 2)} == {UNKNOWN}


def _made(**parts: list[float]) -> ViewMotion:
    steps = len(next(iter(parts.values())))
    zero = np.zeros(steps)
    values = [np.array(parts.get(name, zero)) for name in ("right", "down", "widen", "stretch")]
    return ViewMotion(*values, np.full(steps, 50), np.ones(steps))


@pytest.mark.parametrize(
    ("motion", "action"),
    [
        (_made(right=[0.09] * 4), "turn left"),
        (_made(right=[-0.09] * 4), "turn right"),
        (_made(down=[0.06] * 4), "look up"),
        (_made(down=[-0.06] * 4), "look down"),
        (_made(widen=[0.08] * 4), "forward"),
        (_made(widen=[-0.08] * 4), "walk back"),
        (_made(down=[0.06, 0.06, -0.06, -0.06]), "jump"),
        (_made(down=[0.001] * 4), STILL),
    ],
)
def test_each_action_has_its_motion(motion: ViewMotion, action: str) -> None:
    (shown,) = shown_actions(motion, 1)
    assert shown.name == action
    if action != STILL:
        assert shown.purity(kind_of(action)[0]) > 0.9


def test_parts_of_a_clip_are_judged_apart() -> None:
    motion = _made(right=[0.1] * 4 + [0.0] * 4 + [-0.1] * 4)
    assert [s.name for s in shown_actions(motion, 3)] == ["turn left", STILL, "turn right"]
