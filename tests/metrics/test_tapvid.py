"""TAP-Vid scores with fractions worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sora_eval.metrics.tapvid import (
    after_query,
    after_reappearance,
    jaccard_after_reappearance,
    reidentification_rate,
    tapvid,
)
from sora_eval.types import Bools, Floats

SIZE = (256, 256)


def flags(*rows: str) -> Bools:
    return np.array([[c == "1" for c in row] for row in rows])


def shifted(n: int, t: int, by: list[float]) -> tuple[Floats, Floats]:
    truth = np.random.default_rng(0).uniform(50, 200, (n, t, 2))
    return truth, truth + np.array([by, [0.0] * t]).T


def test_perfect_and_never_visible() -> None:
    xy, _ = shifted(2, 4, [0] * 4)
    seen = flags("1101", "1111")
    perfect = tapvid(xy, seen, xy, seen, SIZE)
    assert (perfect.occlusion_accuracy, perfect.delta_avg, perfect.average_jaccard) == (1, 1, 1)
    blind = tapvid(xy, seen, xy, np.zeros_like(seen), SIZE)
    assert (blind.occlusion_accuracy, blind.delta_avg, blind.average_jaccard) == (1 / 8, 1, 0)


def test_thresholds_by_hand_and_strict() -> None:
    # Distances 0, 1, 3, 20: within 1: 1; 2: 2; 4, 8, 16: 3 of 4.
    truth, xy = shifted(1, 4, [0, 0, 0, 0])
    truth, xy = np.round(truth), np.round(xy)
    xy[0, :, 0] += [0, 1, 3, 20]
    seen = flags("1111")
    got = tapvid(truth, seen, xy, seen, SIZE)
    assert got.delta_avg == pytest.approx((1 + 2 + 3 * 3) / 4 / 5)
    # FP = 4 - TP, so AJ_D = TP / (8 - TP): 1/7, 2/6, 3/5 three times.
    assert got.average_jaccard == pytest.approx((1 / 7 + 2 / 6 + 3 * 3 / 5) / 5)
    assert got.occlusion_accuracy == 1


def test_visible_while_hidden_is_a_false_positive() -> None:
    xy, _ = shifted(1, 4, [0] * 4)
    got = tapvid(xy, flags("1100"), xy, flags("1010"), SIZE)
    # TP 1, visible 2, FP 1; OA 2 of 4.
    assert (got.average_jaccard, got.occlusion_accuracy) == (1 / 3, 2 / 4)


def test_distances_are_taken_at_256_px() -> None:
    # 1.5 px of 64 is 6 px of 256: within 8 and 16 only; half as much vertically as the frame is half as high.
    truth = np.full((1, 1, 2), 20.0)
    seen = flags("1")
    assert tapvid(truth, seen, truth + [1.5, 0], seen, (64, 64)).delta_avg == 2 / 5
    assert tapvid(truth, seen, truth + [0, 1.5], seen, (128, 64)).delta_avg == 3 / 5
    big = tapvid(truth * 4, seen, truth * 4 + [6, 0], seen, SIZE)
    assert big == tapvid(truth, seen, truth + [1.5, 0], seen, (64, 64))


def test_nan_where_hidden_is_harmless_and_nan_where_visible_is_wrong() -> None:
    truth, _ = shifted(1, 3, [0] * 3)
    xy = truth.copy()
    truth[0, 1] = np.nan
    assert tapvid(truth, flags("101"), xy, flags("101"), SIZE).average_jaccard == 1
    xy[0, 2] = np.nan
    assert tapvid(truth, flags("101"), xy, flags("101"), SIZE).delta_avg == 1 / 2


def test_only_evaluated_frames_count() -> None:
    truth, xy = shifted(2, 4, [90, 90, 0, 0])
    seen = np.ones((2, 4), dtype=bool)
    after = after_query(np.array([1, 2]), 4)
    assert (after == flags("0011", "0001")).all()
    assert tapvid(truth, seen, xy, seen, SIZE, after).average_jaccard == 1


def test_reappearance_starts_after_the_first_hidden_span() -> None:
    got = after_reappearance(flags("110101", "001101", "111000", "001111"))
    assert (got == flags("000111", "000001", "000000", "000000")).all()


def test_a_tracker_that_gives_up_scores_zero_after_reappearance() -> None:
    truth, _ = shifted(2, 6, [0] * 6)
    seen = flags("111101", "110111")
    gives_up = seen & ~after_reappearance(seen)
    # TP 4 + 2 of 5 + 5 visible frames.
    assert tapvid(truth, seen, truth, gives_up, SIZE).average_jaccard == 6 / 10
    assert jaccard_after_reappearance(truth, seen, truth, gives_up, SIZE) == 0
    assert jaccard_after_reappearance(truth, seen, truth, seen, SIZE) == 1
    with pytest.raises(ValueError, match="no point reappears"):
        jaccard_after_reappearance(truth, flags("111111", "110000"), truth, seen, SIZE)


def test_reidentification_needs_half_of_the_stretch() -> None:
    truth, _ = shifted(1, 9, [0] * 9)
    seen = flags("110111101")
    # First stretch found in 2 of 4 frames, second never.
    half = reidentification_rate(truth, seen, truth, flags("110001100"), SIZE)
    assert (half.rate, half.found, half.spans) == (1 / 2, 1, 2)
    late = reidentification_rate(truth, seen, truth, flags("110000101"), SIZE)
    assert (late.found, late.spans) == (1, 2)
    far = reidentification_rate(truth, seen, truth + [8.0, 0], seen, SIZE)
    assert far.rate == 0


def test_bad_shapes_are_named() -> None:
    truth, _ = shifted(2, 4, [0] * 4)
    with pytest.raises(ValueError, match=r"xy must have shape \(2, 4, 2\)"):
        tapvid(truth, flags("1111", "1111"), truth[:1], flags("1111", "1111"), SIZE)
    with pytest.raises(ValueError, match="no evaluated frame"):
        tapvid(truth, flags("0000", "0000"), truth, flags("1111", "1111"), SIZE)
