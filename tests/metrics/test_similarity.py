"""Similarities by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sora_eval.metrics.similarity import (
    clip_similarity,
    directional_similarity,
    psnr,
    ssim,
    state_change,
    subject_consistency,
    temporal_consistency,
)

X, Y, Z = np.eye(3)
HALFWAY = (X + Y) / np.sqrt(2)


def test_clip_similarity_is_the_mean_cosine() -> None:
    assert clip_similarity(np.stack([X, 7 * Y, HALFWAY]), X) == pytest.approx((1 + 0 + 0.5**0.5) / 3)


def test_a_still_clip_is_consistent_and_a_changing_one_is_less() -> None:
    still, turning = np.stack([X] * 5), np.stack([X, HALFWAY, Y])
    assert temporal_consistency(still) == subject_consistency(still) == pytest.approx(1)
    assert temporal_consistency(turning) == pytest.approx(0.5**0.5)
    # Frame 1: .71 and .71; frame 2: .71 with the one before, 0 with the first.
    assert subject_consistency(turning) == pytest.approx((0.5**0.5 + 0.5 * 0.5**0.5) / 2)


def test_opposite_frames_count_as_nothing_to_the_subject() -> None:
    assert temporal_consistency(np.stack([X, -X])) == pytest.approx(-1)
    assert subject_consistency(np.stack([X, -X])) == 0


def test_an_edit_that_goes_where_the_words_go() -> None:
    before, after = np.stack([X, X]), np.stack([Y, Y])
    assert directional_similarity(before, after, X, Y) == pytest.approx(1)
    assert directional_similarity(before, after, Y, X) == pytest.approx(-1)
    assert directional_similarity(before, np.stack([Z, Z]), X, Y) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="nothing changed"):
        directional_similarity(before, before, X, Y)


def test_state_change_is_a_softmax_over_two_texts() -> None:
    found = state_change(np.stack([X, HALFWAY, Y]), X, Y, scale=2.0)
    assert found == pytest.approx([1 / (1 + np.exp(2)), 0.5, 1 / (1 + np.exp(-2))])
    assert state_change(np.stack([Y]), X, Y, scale=1e6)[0] == pytest.approx(1)


def test_bad_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 frames"):
        temporal_consistency(X[None])
    with pytest.raises(ValueError, match="finite"):
        clip_similarity(np.full((2, 3), np.nan), X)
    with pytest.raises(ValueError, match="length 0"):
        clip_similarity(np.zeros((2, 3)), X)


def test_pixel_metrics_are_those_of_torchmetrics() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    b = np.clip(a + rng.normal(0, 20, a.shape), 0, 255).astype(np.uint8)
    error = np.square(a.astype(float) - b).mean(axis=(1, 2, 3))
    assert psnr(a, b) == pytest.approx(np.mean(10 * np.log10(255**2 / error)), abs=1e-3)
    assert ssim(a, a) == pytest.approx(1)
    assert ssim(a, b) == pytest.approx(np.mean([ssim(a[t : t + 1], b[t : t + 1]) for t in range(4)]), abs=1e-5)


def test_psnr_is_the_mean_over_frames_and_an_equal_frame_counts_100_dB() -> None:
    # One of four frames is 51 = 255 / 5 off everywhere: 10 log10 25 = 13.98 dB. All pixels together would give 10 log10 100 = 20.
    a = np.full((4, 8, 8, 3), 60, np.uint8)
    b = a.copy()
    b[2] += 51
    assert psnr(a, b) == pytest.approx((3 * 100 + 10 * np.log10(25)) / 4, abs=1e-4)
    assert psnr(a, a) == 100
    with pytest.raises(ValueError, match="of one shape"):
        psnr(a[0], a[0])
