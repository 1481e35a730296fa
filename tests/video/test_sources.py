"""A record of a user's file gives the clip that was judged, or names the file and says why it can't."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sora_eval.errors import VideoError
from sora_eval.types import Video
from sora_eval.video import Limits, Source, clip_size, read_clip, read_video, save_gif, write_ffv1, write_h264
from sora_eval.video.sources import SUFFIX, bring_record, source_bytes, write_record


def moving(frames: int = 12, fps: float = 8.0, repeat: int = 1) -> Video:
    rng = np.random.default_rng(0)
    shown = rng.integers(0, 256, (frames, 24, 32, 3), dtype=np.uint8)
    return Video(shown.repeat(repeat, axis=0), fps * repeat)


def recorded(root: Path, name: str = "a.mp4", copy: bool = False, fps: float | None = None) -> tuple[Path, Video]:
    """Write theirs/NAME and its record in run/videos/model; return the record and the clip that was judged."""
    source = Source(root / "theirs" / name, Limits(), 8.0, fps)
    clip = source.read()
    record = root / "run" / "videos" / "model" / f"case.0123456789ab{SUFFIX}"
    write_record(record, source, clip, copy)
    return record, clip


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    write_h264(tmp_path / "theirs" / "a.mp4", moving())
    return tmp_path


def test_a_record_gives_the_clip_that_was_judged_and_is_small(theirs: Path) -> None:
    record, clip = recorded(theirs)
    assert np.array_equal(read_clip(record).frames, clip.frames) and read_clip(record).fps == clip.fps
    assert np.array_equal(read_clip(record, max_frames=3).frames, clip.frames[:3])
    assert clip_size(record) == (24, 32)
    assert record.stat().st_size < 1500 and len(list(record.parent.iterdir())) == 1
    about = json.loads(record.read_text())
    assert about["bytes"] == source_bytes(record) == (theirs / "theirs" / "a.mp4").stat().st_size
    assert about["path"] == "../../../theirs/a.mp4" and about["given"] == (theirs / "theirs" / "a.mp4").as_posix()


def test_frames_that_repeat_and_a_rate_of_the_manifest_are_read_as_they_were_judged(tmp_path: Path) -> None:
    write_ffv1(tmp_path / "theirs" / "slow.mkv", moving(repeat=3))
    record, clip = recorded(tmp_path, "slow.mkv")
    assert len(clip) == len(read_clip(record)) == 12
    assert json.loads(record.read_text())["decoding"]["frames_in_file"] == 36
    record, clip = recorded(tmp_path, "slow.mkv", fps=5.0)
    assert (len(read_clip(record)), read_clip(record).fps) == (36, 5.0)


def test_a_gif_is_no_exception(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    save_gif(tmp_path / "theirs" / "a.gif", moving(fps=10.0))
    record, clip = recorded(tmp_path, "a.gif")
    assert np.array_equal(read_clip(record).frames, clip.frames)


def test_a_file_that_is_gone_or_changed_is_named(theirs: Path) -> None:
    record, _ = recorded(theirs)
    file = theirs / "theirs" / "a.mp4"
    data = file.read_bytes()
    file.unlink()
    with pytest.raises(VideoError, match=r"theirs/a\.mp4: the clip is no longer there"):
        read_clip(record)
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(VideoError, match=r"theirs/a\.mp4: the file has changed since its clip was judged"):
        read_clip(record)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(VideoError, match="no longer there"):
        read_clip(record)


def test_project_and_run_may_move_together_and_a_copy_alone(
    theirs: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    _, clip = recorded(theirs)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.move(theirs / "run", elsewhere / "run")
    shutil.move(theirs / "theirs", elsewhere / "theirs")
    moved = next((elsewhere / "run").rglob(f"*{SUFFIX}"))
    assert np.array_equal(read_clip(moved).frames, clip.frames)
    shutil.rmtree(elsewhere / "run")
    record, clip = recorded(elsewhere, copy=True)
    shutil.rmtree(elsewhere / "theirs")
    assert np.array_equal(read_clip(record).frames, clip.frames)


def test_a_copy_takes_no_disk_where_the_file_system_links_and_cases_of_one_file_share_it(theirs: Path) -> None:
    record, _ = recorded(theirs, copy=True)
    write_record(record.with_name(f"other{SUFFIX}"), Source(theirs / "theirs" / "a.mp4", Limits(), 8.0), moving(), True)
    (copy,) = [p for p in record.parent.iterdir() if p.suffix == ".mp4"]
    assert copy.samefile(theirs / "theirs" / "a.mp4")


def test_a_record_that_is_brought_to_another_folder_finds_its_file(theirs: Path) -> None:
    record, clip = recorded(theirs)
    about = json.loads(record.read_text())
    record.write_text(json.dumps({**about, "given": "gone.mp4"}))
    target = theirs / "deep" / "er" / "merged" / "videos" / "model" / record.name
    bring_record(record, target)
    assert np.array_equal(read_clip(target).frames, clip.frames)


@pytest.mark.parametrize("damage", ["{", "[]", '{"given": "a"}', '{"given": 1, "decoding": 2, "clip": 3}'])
def test_a_broken_record_is_an_error_and_no_crash(theirs: Path, damage: str) -> None:
    from sora_eval.errors import SoraEvalError

    record, _ = recorded(theirs)
    record.write_text(damage)
    with pytest.raises(SoraEvalError):
        read_clip(record)
    with pytest.raises(SoraEvalError):
        clip_size(record)
    assert source_bytes(record) == 0


def test_another_clip_from_the_same_bytes_is_refused(theirs: Path) -> None:
    record, _ = recorded(theirs)
    about = json.loads(record.read_text())
    record.write_text(json.dumps({**about, "clip": {**about["clip"], "frames": 5}}))
    with pytest.raises(VideoError, match="decoded to another clip"):
        read_clip(record)
    record.write_text(json.dumps({**about, "reading": 0}))
    with pytest.raises(VideoError, match="another version"):
        read_clip(record)


def test_a_stored_clip_is_read_as_it_is(tmp_path: Path) -> None:
    clip = moving()
    write_ffv1(tmp_path / "a.mkv", clip)
    assert np.array_equal(read_clip(tmp_path / "a.mkv", 4).frames, replace(clip, frames=clip.frames[:4]).frames)
    assert clip_size(tmp_path / "a.mkv") == read_video(tmp_path / "a.mkv").size
