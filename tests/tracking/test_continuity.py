"""Cuts, freezes, loops and disorder of made-up clips: a dotted picture that slides by a pixel and a half from frame to frame."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sora_eval.tracking.continuity import continuity
from sora_eval.types import Frames

FPS = 8.0


def sliding(frames: int = 48, seed: int = 0, side: int = 64) -> Frames:
    """Return a window of `side` pixels that slides over a soft pattern, without ever coming back."""
    rng = np.random.default_rng(seed)
    wide = cv2.GaussianBlur(rng.integers(0, 256, (side, side * 4, 3), dtype=np.uint8), (0, 0), 4)
    wide = cv2.normalize(wide, np.empty_like(wide), 0, 255, cv2.NORM_MINMAX)
    starts = (round(1.5 * k) for k in range(frames))
    return np.array([wide[:, x : x + side] for x in starts])


def test_a_clip_in_one_take_has_none_of_them() -> None:
    found = continuity(sliding(), FPS)
    assert found.cuts == ()
    assert not found.frozen.any()
    assert not found.looped.any()
    assert found.disorder < 0.1


def test_a_freeze_is_found_where_it_is() -> None:
    frames = sliding()
    frames[30:] = frames[29]
    found = continuity(frames, FPS)
    assert list(np.flatnonzero(found.frozen)) == list(range(30, 48))
    assert not found.looped.any()


def test_a_short_halt_is_no_freeze() -> None:
    frames = sliding()
    frames[20:23] = frames[19]
    assert not continuity(frames, FPS).frozen.any()


def test_a_loop_is_found_with_its_period() -> None:
    frames = sliding()
    k = np.arange(48)
    found = continuity(frames[np.where(k < 24, k, 16 + (k - 16) % 8)], FPS)
    assert found.period == 8
    assert found.looped[24:].all()
    assert not found.looped[:24].any()


def test_a_cut_is_found_and_a_flash_is_none() -> None:
    frames = sliding()
    frames[25:] = sliding(seed=1)[25:]
    assert continuity(frames, FPS).cuts == (25,)
    flashed = sliding()
    flashed[25] = 255
    assert continuity(flashed, FPS).cuts == ()


def test_shuffled_frames_are_in_no_order() -> None:
    frames = sliding()
    assert continuity(frames[np.random.default_rng(0).permutation(48)], FPS).disorder > 0.25


@pytest.mark.parametrize("period", [2, 3, 4, 6])
def test_a_loop_of_a_short_period_is_a_loop_and_no_disorder(period: int) -> None:
    found = continuity(sliding(seed=3)[2 * np.arange(period)][np.arange(48) % period], FPS)
    assert found.looped[12:].all()
    assert found.disorder < 0.1


@pytest.mark.parametrize("noise", [1.0, 2.0])
def test_a_freeze_under_noise_is_no_disorder(noise: float) -> None:
    frames = sliding()
    frames[12:] = frames[11]
    noisy = np.clip(frames + np.random.default_rng(0).normal(0, noise, frames.shape), 0, 255).astype(np.uint8)
    assert continuity(noisy, FPS).disorder < 0.1


def test_size_and_noise_of_storage_change_nothing() -> None:
    frames = sliding(side=128)
    frames[30:] = frames[29]
    noisy = np.clip(frames + np.random.default_rng(0).normal(0, 1.0, frames.shape), 0, 255).astype(np.uint8)
    found = continuity(noisy, FPS)
    assert found.frozen[31:].all()
    assert not found.frozen[:30].any()


def test_two_frames_are_too_few() -> None:
    with pytest.raises(ValueError, match="at least 3 frames"):
        continuity(sliding(2), FPS)
