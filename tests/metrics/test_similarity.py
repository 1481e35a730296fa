"""Similarities by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sora_eval.metrics.similarity import (
    clip_similarity,
    directional_similarity,
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
