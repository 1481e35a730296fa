"""Point tracks on a synthetic clip: a textured card passes behind a bar and comes out again."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sora_eval.metrics.tapvid import jaccard_after_reappearance, reidentification_rate, tapvid
from sora_eval.tracking.points import track_points
from sora_eval.types import Bools, Floats, Frames


def texture(height: int, width: int, seed: int) -> Frames:
    noise = np.random.default_rng(seed).normal(size=(height, width, 3)).astype(np.float32)
    smooth = np.asarray(cv2.GaussianBlur(noise, (0, 0), 2.0))
    return np.asarray(255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)


def passing(size: int, frames: int = 24, turn: float = 0.0) -> tuple[Frames, Floats, Floats, Bools]:
    """Return a clip, queries in frame 0, and their true xy [N, T, 2] and visible [N, T].

    A card of 3/16 of the frame crosses behind a fixed bar, turning by `turn` degrees per frame; the background is
    still. Everything is drawn at 256 px and shrunk.
    """
    full, card, bar = 256, 48, (110, 170)
    ground, face, wall = texture(full, full, 1), texture(card, card, 2), texture(full, bar[1] - bar[0], 3)
    grid = np.stack(np.meshgrid(np.arange(6, 43, 9), np.arange(6, 43, 9)), axis=-1).reshape(-1, 2).astype(float)
    still = np.random.default_rng(4).uniform(16, 240, (25, 2))
    still = still[(still[:, 0] < bar[0] - 4) | (still[:, 0] > bar[1] + 4)]
    clip, xy, seen = [], [], []
    for t in range(frames):
        move = cv2.getRotationMatrix2D(((card - 1) / 2, (card - 1) / 2), turn * t, 1.0)
        move[:, 2] += np.array([30 + 7.5 * t, 100.0])
        image = ground.copy()
        shape = cv2.warpAffine(np.full((card, card), 255, np.uint8), move, (full, full)) > 127
        image[shape] = cv2.warpAffine(face, move, (full, full))[shape]
        image[:, bar[0] : bar[1]] = wall
        on_card = grid @ move[:, :2].T + move[:, 2]
        covered = (on_card[:, 0] >= bar[0]) & (on_card[:, 0] < bar[1])
        under = shape[np.rint(still[:, 1]).astype(int), np.rint(still[:, 0]).astype(int)]
        clip.append(image)
        xy.append(np.concatenate([on_card, still]))
        seen.append(np.concatenate([~covered, ~under]))
    visible = np.stack(seen, axis=1)
    keep = visible[:, 0]
    place = np.stack(xy, axis=1)[keep]
    shrunk = [cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in clip]
    place = (place + 0.5) * size / full - 0.5
    queries = np.hstack([np.zeros((int(keep.sum()), 1)), place[:, 0]])
    return np.stack(shrunk).astype(np.uint8), queries, place, visible[keep]


@pytest.mark.parametrize(("size", "turn"), [(256, 0.0), (128, 0.0), (256, 1.5)])
def test_points_are_found_again_behind_a_bar(size: int, turn: float) -> None:
    frames, queries, true_xy, true_visible = passing(size, turn=turn)
    xy, visible = track_points(frames, queries)
    again = jaccard_after_reappearance(true_xy, true_visible, xy, visible, (size, size))
    found = reidentification_rate(true_xy, true_visible, xy, visible, (size, size))
    whole = tapvid(true_xy, true_visible, xy, visible, (size, size))
    assert again > 0.7
    assert found.rate > 0.9
    assert whole.average_jaccard > 0.8
    assert whole.occlusion_accuracy > 0.85


def test_backwards_from_a_later_query_is_the_mirror_in_time() -> None:
    frames, queries, _, _ = passing(128, frames=8)
    ahead, ahead_seen = track_points(frames, queries)
    last = queries.copy()
    last[:, 0] = 7
    back, back_seen = track_points(frames[::-1].copy(), last)
    assert np.array_equal(ahead, back[:, ::-1])
    assert np.array_equal(ahead_seen, back_seen[:, ::-1])


def test_a_still_clip_moves_nothing() -> None:
    frames = np.repeat(texture(64, 64, 5)[None], 4, axis=0)
    queries = np.array([[0, 20.0, 30.0], [0, 40, 12.5], [2, 33, 33]])
    xy, visible = track_points(frames, queries)
    assert visible.all()
    assert np.abs(xy - queries[:, None, 1:]).max() < 0.05


def test_a_point_that_leaves_for_good_is_not_seen() -> None:
    frames = np.stack([texture(128, 128, 6)] * 2 + [np.full((128, 128, 3), 128, np.uint8)] * 3)
    _, visible = track_points(frames, np.array([[0, 60.0, 60.0], [0, 30, 90]]))
    assert visible[:, :2].all()
    assert not visible[:, 2:].any()


def test_bad_queries_are_named() -> None:
    frames = np.zeros((2, 16, 16, 3), np.uint8)
    with pytest.raises(ValueError, match="query 1 lies outside"):
        track_points(frames, np.array([[0, 1.0, 1.0], [2, 1, 1]]))
    with pytest.raises(ValueError, match=r"\[N, 3\]"):
        track_points(frames, np.zeros((2, 2)))
