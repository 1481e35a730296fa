"""Frames are shown at their times, whatever the container rounds them to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sora_eval.types import Frames, Video
from sora_eval.video import compress
from sora_eval.video.timestamps import Schedule, common_moments, schedule, without_repeats

TICKS = {"mp4": 1 / 16384, "mkv": 0.001, "gif": 0.01}


def plan(slots: list[int], fps: float, tick: float, max_fps: float | None = None, end: int | None = None) -> Schedule:
    """The schedule of frames that a container with such a tick shows at slots / fps."""
    slots = [*slots, slots[-1] + 1 if end is None else end]
    times = np.round(np.array(slots) / fps / tick) * tick
    return schedule(times[:-1], float(times[-1]), (len(slots) - 1) / float(times[-1]), tick, max_fps)


@pytest.mark.parametrize("tick", TICKS.values(), ids=TICKS)
@pytest.mark.parametrize("fps", [7.0, 8.0, 10.0, 12.5, 15.0, 24.0, 30000 / 1001])
def test_evenly_spaced_frames_are_all_taken_once(fps: float, tick: float) -> None:
    found = plan(list(range(40)), fps, tick)
    assert found.index.tolist() == list(range(40))
    assert not found.variable
    assert found.fps == pytest.approx(fps, rel=max(0.002, tick * fps / 40))


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(1, 30), min_size=8), st.sampled_from([8, 10, 12, 16, 24]), st.integers(1, 5))
def test_left_out_frames_are_shown_again_in_every_container(slots: set[int], fps: int, hold: int) -> None:
    # Of neighbours, one pair must show the rate.
    shown = sorted({0, 1, 2, *slots})
    end = shown[-1] + hold
    truth = np.searchsorted(shown, np.arange(end), side="right") - 1
    for tick in TICKS.values():
        found = plan(shown, fps, tick, end=end)
        assert found.index.tolist() == truth.tolist()
        assert found.fps == pytest.approx(fps, rel=0.01)


@pytest.mark.parametrize("tick", TICKS.values(), ids=TICKS)
@pytest.mark.parametrize("wanted", [16.0, 8.0, 10.0])
@pytest.mark.parametrize(("slots", "end"), [([*range(11), *range(12, 30)], 30), (list(range(30)), 33)])
def test_one_frame_left_out_or_held_leaves_the_others_their_rate(
    slots: list[int], end: int, wanted: float, tick: float
) -> None:
    found = plan(slots, 24, tick, max_fps=wanted, end=end)
    assert found.index.tolist() == (np.searchsorted(slots, np.arange(end), side="right") - 1).tolist()
    assert found.fps == pytest.approx(24, rel=0.01)


@pytest.mark.parametrize("tick", TICKS.values(), ids=TICKS)
def test_a_clip_without_its_repeats_is_read_at_the_rate_that_is_asked(tick: float) -> None:
    found = plan([3 * (i // 2) + i % 2 for i in range(32)], 24, tick, max_fps=16.0)
    assert (found.index.tolist(), found.fps) == (list(range(32)), 16.0)


def test_unevenly_spaced_frames_of_a_rate_far_above_are_taken_at_the_moments_that_are_asked() -> None:
    slots = [0, 1, 2, 3, 7, 8, 9, 10, 11, 14]
    for tick in TICKS.values():
        found = plan(slots, 24, tick, max_fps=4.0)
        # 0, 6 and 12 of 24ths of a second
        assert [slots[i] for i in found.index] == [0, 3, 11]
        assert found.fps == 4.0
        # Asking for more than there is would only repeat frames.
        assert plan(slots, 24, tick, max_fps=60.0).fps == pytest.approx(24, rel=0.01)


def test_times_of_no_rate_are_read_at_that_of_most_frames() -> None:
    times = np.array([0.0, 0.04, 0.081, 0.12, 0.1627, 0.31, 0.35, 0.391, 0.43])
    found = schedule(times, 0.47, 24.0, 1 / 90000)
    assert found.variable
    assert found.index.tolist() == [0, 1, 2, 3, 4, 4, 4, 4, 5, 6, 7, 8]


def test_a_little_jitter_is_none() -> None:
    rng = np.random.default_rng(0)
    times = np.arange(50) / 30 + np.append(0, rng.uniform(-0.008, 0.008, 49))
    found = schedule(times, 50 / 30, 30.0, 1 / 90000)
    assert (found.index.tolist(), found.fps, found.variable) == (list(range(50)), 30.0, False)


def moving(n: int, rest: range = range(0)) -> Frames:
    """A bright square that goes 2 pixels to the right in each frame, but rests in some."""
    frames = np.full((n, 24, 120, 3), 30, np.uint8)
    x = 0
    for i in range(n):
        x += 0 if i in rest else 2
        frames[i, 8:16, x : x + 8] = 220
    return frames


@pytest.mark.parametrize(
    ("content", "file", "rest"),
    [(8, 24, range(0)), (8, 16, range(0)), (12, 24, range(6, 10)), (8, 24, range(9, 17)), (8, 60, range(0))],
)
def test_a_steady_beat_of_repeats_is_dropped(content: int, file: int, rest: range) -> None:
    truth = moving(17, rest)
    slots = np.arange(17 * file // content)
    frames = truth[slots * content // file]
    noisy = np.clip(frames.astype(int) + np.random.default_rng(0).integers(-2, 3, frames.shape), 0, 255).astype(
        np.uint8
    )
    found = without_repeats(noisy, float(file))
    assert found is not None
    assert found[1] == pytest.approx(content)
    assert np.abs(found[0].astype(int) - truth[: len(found[0])]).max() <= 2
    assert len(found[0]) >= 16


@pytest.mark.parametrize(("content", "file"), [(24, 30), (16, 24)])
def test_a_mixed_beat_is_dropped(content: int, file: int) -> None:
    truth = moving(32)
    found = without_repeats(truth[np.arange(32 * file // content) * content // file], float(file))
    assert found is not None
    assert found[1] == pytest.approx(content)
    assert np.array_equal(found[0], truth[: len(found[0])])


@pytest.mark.parametrize("rest", [range(0), range(5, 9), range(10, 40), range(1, 12), range(0, 40)])
def test_a_thing_that_rests_is_no_repeat(rest: range) -> None:
    assert without_repeats(moving(40, rest), 24.0) is None


def disc(places: Sequence[float], size: tuple[int, int] = (48, 96)) -> Frames:
    """A bright disc with soft edges, its middle at these columns."""
    y, x = np.mgrid[: size[0], : size[1]]
    cover = [np.clip(8.5 - np.hypot(x - 12 - at, y - size[0] / 2), 0, 1) for at in places]
    return np.repeat((30 + 190 * np.array(cover))[..., None], 3, axis=-1).astype(np.uint8)


@pytest.mark.parametrize("steps", [(0.7, 1.2), (0.4, 0.4, 0.4, 3.6), (0.5, 2.5)])
@pytest.mark.parametrize("crf", [None, 18])
def test_motion_in_jerks_is_no_repeat(steps: tuple[float, ...], crf: int | None) -> None:
    video = Video(disc(np.cumsum(np.resize(steps, 48))), 16.0)
    found = video if crf is None else compress(video, crf)
    assert without_repeats(found.frames, found.fps) is None


@pytest.mark.parametrize("crf", [18, 23, 28])
@pytest.mark.parametrize(("content", "file"), [(8, 16), (8, 24), (12, 24), (16, 24)])
def test_repeats_that_a_lossy_codec_coded_again_are_dropped(content: int, file: int, crf: int) -> None:
    slots = np.arange(24 * file // content) * content // file
    found = compress(Video(disc(2.5 * np.arange(24))[slots], float(file)), crf)
    once = without_repeats(found.frames, found.fps)
    assert once is not None
    assert (len(once[0]), once[1]) == (24, content)


def test_two_jumps_are_no_repeats() -> None:
    frames = np.repeat(moving(5), 6, axis=0)
    frames[12:] = frames[12]
    assert without_repeats(frames, 24.0) is None


@pytest.mark.parametrize(
    ("lengths", "rates", "expected"),
    [
        ((5, 7), (8.0, 8.0), ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])),
        ((3, 3), (24.0, 24000 / 1001), ([0, 1, 2], [0, 1, 2])),
        ((4, 12), (8.0, 24.0), ([0, 1, 2, 3], [0, 3, 6, 9])),
        ((12, 3), (24.0, 8.0), ([0, 3, 6], [0, 1, 2])),
        ((17, 17), (10.0, 8.0), ([0, 5, 10, 15], [0, 4, 8, 12])),
        ((9, 9), (8.0, 8.3), ([], [])),
        ((1, 9), (8.0, 10.0), ([0], [0])),
    ],
)
def test_clips_of_two_rates_meet_at_the_moments_that_both_show(
    lengths: tuple[int, int], rates: tuple[float, float], expected: tuple[list[int], list[int]]
) -> None:
    assert common_moments(lengths, rates) == expected
