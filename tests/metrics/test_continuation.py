"""Overlap of motion on tiny masks, and the controls that the published Physics-IQ pays."""

from __future__ import annotations

import numpy as np
import pytest

from sora_eval.metrics.continuation import (
    mean_squared_error,
    motion_masks,
    spatial_iou,
    spatiotemporal_iou,
    weighted_spatial_iou,
)
from sora_eval.types import Bools, Frames

SCORES = (spatial_iou, spatiotemporal_iou, weighted_spatial_iou)


def masks(*rows: str) -> Bools:
    """Return [T, 1, W] masks, one string per frame."""
    return np.array([[[c == "1" for c in row]] for row in rows])


def moving_square(size: int, speed: int, frames: int = 8, still: int = 0) -> Frames:
    clip = np.full((frames, size, size, 3), 90, np.uint8)
    for t in range(frames):
        x = 4 + speed * max(0, t - still)
        clip[t, 10:22, x : x + 12] = (220, 40, 40)
    return clip


def test_by_hand() -> None:
    truth, found = masks("1100", "0110"), masks("1000", "0011")
    # Or-ed 1110 against 1011: 2 of 4. Frames: 1/2 and 1/3. Heat 1/2 1 1/2 0 against 1/2 0 1/2 1/2: 1 of 2.5.
    assert spatial_iou(truth, found) == 2 / 4
    assert spatiotemporal_iou(truth, found) == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert weighted_spatial_iou(truth, found) == pytest.approx(1 / 2.5)


def test_frames_empty_in_both_are_left_out() -> None:
    truth, found = masks("1100", "0000", "0000", "0110"), masks("1000", "0000", "0000", "0110")
    assert spatiotemporal_iou(truth, found) == pytest.approx((1 / 2 + 1) / 2)


def test_order_matters_only_to_the_spatiotemporal() -> None:
    truth = masks("1000", "0100", "0010")
    assert spatial_iou(truth, truth[::-1]) == weighted_spatial_iou(truth, truth[::-1]) == 1
    assert spatiotemporal_iou(truth, truth[::-1]) == 1 / 3


@pytest.mark.parametrize("score", SCORES)
def test_a_frozen_video_earns_nothing_and_truth_earns_all(score: object) -> None:
    assert callable(score)
    truth = motion_masks(moving_square(64, 3, still=4))
    frozen = np.zeros_like(truth)
    assert not truth.any(axis=(1, 2)).all()
    assert score(truth, frozen) == score(frozen, truth) == 0
    assert score(truth, truth) == 1
    with pytest.raises(ValueError, match="nothing moves"):
        score(frozen, frozen)
    with pytest.raises(ValueError, match="one shape"):
        score(truth, truth[1:])


@pytest.mark.parametrize("size", [64, 192])
def test_motion_is_found_where_the_square_is_and_not_in_noise(size: int) -> None:
    clip = moving_square(size, 4)
    noise = np.random.default_rng(0).integers(-3, 4, clip.shape)
    found = motion_masks(np.clip(clip + noise, 0, 255).astype(np.uint8))
    assert found.shape == (7, size, size)
    # From t = 2 to 3 the square leaves columns 12-15 and takes columns 24-27.
    assert found[2, 12:20, 13:15].all()
    assert found[2, 12:20, 25:27].all()
    assert not found[2, :, 40:].any()
    assert not motion_masks(moving_square(size, 0)).any()


def test_mean_squared_error_by_hand() -> None:
    black, white = np.zeros((2, 4, 4, 3), np.uint8), np.full((2, 4, 4, 3), 255, np.uint8)
    assert (mean_squared_error(black, white), mean_squared_error(white, white)) == (1, 0)
    half = white.copy()
    half[1] = 0
    assert mean_squared_error(half, white) == 0.5
    with pytest.raises(ValueError, match="one shape"):
        mean_squared_error(black, white[:1])


def test_one_frame_shows_no_motion() -> None:
    with pytest.raises(ValueError, match="T >= 2"):
        motion_masks(np.zeros((1, 8, 8, 3), np.uint8))
