"""Audio tracks of video files: read with the times of the video, and nothing where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sora_eval.errors import VideoError
from sora_eval.types import Audio, Video
from sora_eval.video import read_video, write_h264
from sora_eval.video.audio import RATE, read_audio, write_with_audio
from sora_eval.video.limits import Limits

VIDEO = Video(np.random.default_rng(0).integers(0, 256, (16, 32, 48, 3), dtype=np.uint8), 8.0)


def _click(at_s: float, rate: int = RATE, seconds: float = 2.0) -> Audio:
    samples = np.zeros(round(seconds * rate), np.float32)
    samples[round(at_s * rate) :][:40] = 0.5
    return Audio(samples, float(rate))


def _first(audio: Audio) -> float:
    return float(np.flatnonzero(np.abs(audio.samples) > 0.2)[0]) / audio.rate + audio.start_s


@pytest.mark.parametrize("rate", [RATE, 44_100, 48_000])
def test_a_track_is_read_at_one_rate_with_the_times_of_the_video(tmp_path: Path, rate: int) -> None:
    write_with_audio(tmp_path / "a.mkv", VIDEO, _click(0.7, rate))
    audio = read_audio(tmp_path / "a.mkv")
    assert audio is not None
    assert audio.rate == RATE
    assert len(audio.samples) == pytest.approx(2 * RATE, abs=50)
    assert _first(audio) == pytest.approx(0.7, abs=0.003)
    assert np.array_equal(read_video(tmp_path / "a.mkv").frames, VIDEO.frames)


@pytest.mark.parametrize("start", [-0.25, 0.5])
def test_a_track_that_starts_at_another_time_is_shifted(tmp_path: Path, start: float) -> None:
    click = _click(0.7)
    write_with_audio(tmp_path / "a.mkv", VIDEO, Audio(click.samples, click.rate, start))
    audio = read_audio(tmp_path / "a.mkv")
    assert audio is not None
    assert _first(audio) == pytest.approx(0.7 + start, abs=0.003)


def test_a_file_without_a_track_has_none(tmp_path: Path) -> None:
    write_h264(tmp_path / "a.mp4", VIDEO)
    assert read_audio(tmp_path / "a.mp4") is None


def test_what_is_no_video_or_plays_too_long_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mkv").write_bytes(b"no video")
    with pytest.raises(VideoError, match=r"a\.mkv"):
        read_audio(tmp_path / "a.mkv")
    write_with_audio(tmp_path / "b.mkv", VIDEO, _click(0.7))
    with pytest.raises(VideoError, match="limit"):
        read_audio(tmp_path / "b.mkv", Limits(seconds=1.0))


def test_what_is_no_track_is_refused() -> None:
    with pytest.raises(ValueError, match="samples"):
        Audio(np.zeros((2, 3), np.float32), 8000)
