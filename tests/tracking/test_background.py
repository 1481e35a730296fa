"""Background motion against known warps, with an object that moves another way."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sora_eval.tracking.background import background_motion
from sora_eval.types import Floats, Frames


def texture(size: int, seed: int) -> Frames:
    noise = np.random.default_rng(seed).normal(size=(size, size, 3)).astype(np.float32)
    smooth = np.asarray(cv2.GaussianBlur(noise, (0, 0), 1.5))
    return np.asarray(255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)


def step(size: int, shift: tuple[float, float], turn: float = 0.0, zoom: float = 1.0) -> Floats:
    """Return the motion of one frame: turn (degrees) and zoom about the middle, then a shift in pixels."""
    middle = (size - 1) / 2
    matrix = np.vstack([cv2.getRotationMatrix2D((middle, middle), turn, zoom), [0, 0, 1]])
    matrix[:2, 2] += shift
    return matrix


def clip(size: int, motion: Floats, frames: int = 4, mover: bool = True, noise: float = 0.0) -> Frames:
    ground, card = texture(2 * size, 1), texture(size // 3, 2)
    inset = np.array([[1.0, 0, -size / 2], [0, 1, -size / 2], [0, 0, 1]])
    out = []
    for t in range(frames):
        image = cv2.warpPerspective(ground, np.linalg.matrix_power(motion, t) @ inset, (size, size))
        if mover:
            x = 3 + t * size // 10
            image[size // 3 : size // 3 + len(card), x : x + len(card)] = card
        image = image + np.random.default_rng(t).normal(0, noise, image.shape)
        out.append(np.clip(image, 0, 255).astype(np.uint8))
    return np.stack(out)


@pytest.mark.parametrize("size", [64, 200])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (1.5, -0.5), (-4.0, 2.0)])
def test_shift_is_measured_though_an_object_moves(size: int, shift: tuple[float, float]) -> None:
    got = background_motion(clip(size, step(size, shift), noise=4))
    assert got.displacement == pytest.approx(np.array([shift] * 3), abs=0.1)
    assert (got.inliers > 0.5).all()
    assert got.path()[-1] == pytest.approx(3 * np.array(shift), abs=0.2)


@pytest.mark.parametrize("size", [64, 128])
def test_turn_and_zoom_are_measured_at_any_size(size: int) -> None:
    truth = step(size, (1.0, 2.0), turn=2.0, zoom=1.02)
    got = background_motion(clip(size, truth))
    corners = np.array([[0, 0, 1], [size - 1, 0, 1], [0, size - 1, 1], [size - 1, size - 1, 1]], dtype=float)
    for matrix in got.matrix:
        assert corners @ matrix[:2].T == pytest.approx(corners @ truth[:2].T, abs=0.2)


def test_homography_follows_a_tilt() -> None:
    truth = step(128, (1.0, 0.0))
    truth[2, 0] = 2e-4
    got = background_motion(clip(128, truth, frames=2), model="homography")
    want = truth @ (127 / 2, 127 / 2, 1)
    assert got.displacement[0] == pytest.approx(want[:2] / want[2] - 127 / 2, abs=0.15)


def test_mirrored_clip_has_mirrored_motion() -> None:
    frames = clip(96, step(96, (2.0, 1.0)))
    plain, mirrored = background_motion(frames), background_motion(frames[:, :, ::-1].copy())
    assert mirrored.displacement == pytest.approx(plain.displacement * (-1, 1), abs=0.05)


def test_nothing_to_see_has_no_confidence() -> None:
    got = background_motion(np.full((3, 64, 64, 3), 128, np.uint8))
    assert (got.inliers == 0).all()
    assert (got.displacement == 0).all()


def test_unrelated_frames_have_little_confidence() -> None:
    frames = np.stack([texture(64, seed) for seed in range(4)])
    assert (background_motion(frames).inliers < 0.5).all()


def test_one_frame_shows_no_motion() -> None:
    with pytest.raises(ValueError, match="T >= 2"):
        background_motion(np.zeros((1, 8, 8, 3), np.uint8))
