import numpy as np
import pytest
from alignment.changes import letterbox, pad

from sora_eval.alignment import bars
from sora_eval.types import Video


@pytest.fixture
def video():
    frames = np.random.default_rng(0).integers(60, 256, (6, 40, 60, 3), dtype=np.uint8)
    return Video(frames, 8)


def test_a_clip_without_bars_is_whole(video):
    assert bars.content(video.frames) == bars.letterbox(video.frames) == (0, 0, 60, 40)


def test_bars_on_all_sides_and_on_two(video):
    assert bars.content(pad(video, 0.1).frames) == (6, 4, 66, 44)
    boxed = letterbox(video, (60, 60)).frames
    assert bars.content(boxed) == bars.letterbox(boxed) == (0, 10, 60, 50)


def test_compression_noise_in_a_bar_is_no_picture(video):
    boxed = letterbox(video, (60, 60)).frames
    noisy = (boxed + np.random.default_rng(1).normal(0, 1.5, boxed.shape)).clip(0, 255).astype(np.uint8)
    assert bars.letterbox(noisy) == (0, 10, 60, 50)


def test_an_even_sky_above_an_even_floor_is_no_pair_of_bars(video):
    frames = video.frames.copy()
    frames[:, :8], frames[:, -8:] = 240, 110
    assert bars.letterbox(frames) == (0, 0, 60, 40)


def test_a_blank_clip_has_no_bars():
    blank = np.full((4, 20, 20, 3), 128, np.uint8)
    assert bars.content(blank) == bars.letterbox(blank) == (0, 0, 20, 20)


def test_what_moves_in_a_strip_makes_it_no_bar(video):
    boxed = letterbox(video, (60, 60)).frames
    boxed[3, 4:7, 10:20] = 200
    assert bars.letterbox(boxed) == (0, 0, 60, 60)
