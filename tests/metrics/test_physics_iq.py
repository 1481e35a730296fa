"""Physics-IQ's published masks and measures, by figures worked out by hand from their description."""

from __future__ import annotations

import numpy as np
import pytest

from sora_eval.metrics import continuation
from sora_eval.metrics.physics_iq import (
    HIGHER_IS_BETTER,
    measures,
    motion_masks,
    spatial_iou,
    spatiotemporal_iou,
    weighted_spatial_iou,
)
from sora_eval.types import Bools, Frames


def grey(frames: int, level: int = 100, size: tuple[int, int] = (40, 60)) -> Frames:
    return np.full((frames, *size, 3), level, np.uint8)


def masks(*rows: str) -> Bools:
    """Return [T, 1, W] masks, one string per frame."""
    return np.array([[[c == "1" for c in row]] for row in rows])


def at_block(shown: Frames) -> list[bool]:
    return [bool(m) for m in motion_masks(shown)[:, 20, 20]]


def test_a_step_is_seen_against_the_running_background() -> None:
    # 100 to 120: the background becomes .7 x 100 + .3 x 120 = 106, 14 apart; then 110.2, 9.8 apart, which is not more than 10.
    assert at_block(np.concatenate([grey(1), grey(3, 120)])) == [False, True, False, False]
    # 100 to 114: 104.2, rounded 104, 10 apart. 100 to 116: 104.8, rounded 105, 11 apart.
    assert at_block(np.concatenate([grey(1), grey(1, 114)])) == [False, False]
    assert at_block(np.concatenate([grey(1), grey(1, 116)])) == [False, True]


def test_what_has_left_moves_until_the_background_has_forgotten_it() -> None:
    # 200 for a frame: background 130. Back at 100, the background is 121, 114.7 and 110.3: 21, 15 and 10 apart.
    shown = np.concatenate([grey(1), grey(1, 200), grey(3)])
    assert at_block(shown) == [False, True, True, True, False]


def test_the_first_mask_is_empty_and_so_is_that_of_a_lone_frame() -> None:
    assert not motion_masks(grey(1, 255)).any()
    assert motion_masks(grey(1)).shape == (1, 40, 60)
    with pytest.raises(ValueError, match=r"\[T, H, W, 3\]"):
        motion_masks(grey(1)[:0])


def test_a_block_grows_by_the_blur() -> None:
    # The blur's weights are 1 4 6 4 1 of 16. A block of 12 x 12 is 100 brighter: just outside an edge, 5/16 of it, 31 x .7 = 22 from the
    # background; two pixels outside 1/16, 6 x .7 = 4; outside a corner 25/256, 10 x .7 = 7. So 14 x 14 without its corners.
    shown = grey(2)
    shown[1, 12:24, 12:24] = 200
    expected = np.zeros((40, 60), bool)
    expected[11:25, 11:25] = True
    expected[[11, 11, 24, 24], [11, 24, 11, 24]] = False
    assert np.array_equal(motion_masks(shown)[1], expected)


@pytest.mark.parametrize(("gap", "closed"), [(6, True), (7, False)])
def test_a_gap_below_the_closing_square_is_filled_and_a_wider_one_stays(gap: int, closed: bool) -> None:
    # The blur takes a pixel off either side: 4 or 5 are left, against a square of 5.
    shown = grey(2)
    shown[1, 12:24, 8:20] = shown[1, 12:24, 20 + gap : 32 + gap] = 200
    found = motion_masks(shown)[1]
    assert found[14:22, 21 : 20 + gap - 1].all() == closed
    assert found[14:22, 21 : 20 + gap - 1].any() == closed


def test_what_is_narrower_than_the_opening_square_is_noise() -> None:
    # A stripe of 2 px is 4 px wide in the mask, one of 3 px 5 px.
    shown = grey(2)
    shown[1, :, 10:12] = 200
    shown[1, :, 30:33] = 200
    found = motion_masks(shown)[1]
    assert not found[:, :25].any()
    assert np.flatnonzero(found[20]).tolist() == [29, 30, 31, 32, 33]


def test_motion_between_colours_of_one_grey_is_missed_where_ours_sees_it() -> None:
    # .299 x 200 = 59.8 and .587 x 102 = 59.9, both 60.
    red, green = (np.full((1, 32, 32, 3), c, np.uint8) for c in ((200, 0, 0), (0, 102, 0)))
    shown = np.concatenate([red, green, red])
    assert not motion_masks(shown).any()
    assert continuation.motion_masks(shown).all()


def test_measures_of_masks_by_hand() -> None:
    truth, found = masks("0000", "1100", "0110"), masks("0000", "1000", "0011")
    # Or-ed 1110 against 1011: 2 of 4. Frames: 1 for both empty, 1/2, 1/3. Shares in thirds 1 2 1 0 against 1 0 1 1: 2 of 5.
    assert spatial_iou(truth, found) == 2 / 4
    assert spatiotemporal_iou(truth, found) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert weighted_spatial_iou(truth, found) == pytest.approx(2 / 5)
    with pytest.raises(ValueError, match="one shape"):
        spatial_iou(truth, found[1:])


def test_measures_by_hand_and_a_frozen_clip_is_paid_for_calm_frames() -> None:
    # Nothing happens for 3 frames, then everything gets 50 brighter in the last of 4.
    truth = np.concatenate([grey(3), grey(1, 150)])
    frozen = grey(4)
    assert measures(truth, truth) == dict(zip(HIGHER_IS_BETTER, (1, 1, 1, 0), strict=True))
    error = (50 / 255) ** 2 / 4
    assert list(measures(truth, frozen).values()) == pytest.approx([0, 3 / 4, 0, error])
    assert list(measures(frozen, frozen).values()) == [1, 1, 1, 0]
