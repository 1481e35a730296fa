"""The same content gives the same clip in every container, shown as players show it; what is too much is refused before it takes memory."""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from PIL import Image

from sora_eval.errors import MachineError, VideoError
from sora_eval.processes import peak_memory
from sora_eval.types import Frames, Video
from sora_eval.video import Limits, probe, read_video, write_ffv1, write_h264

CODECS = {".mp4": "libx264", ".mov": "libx264", ".mkv": "libx264", ".webm": "libvpx-vp9", ".avi": "mpeg4"}
VALUES = [20, 50, 80, 110, 140, 170, 200, 230]


def greys(values: Sequence[int], size: tuple[int, int] = (16, 16)) -> Frames:
    """A flat frame of each grey value."""
    return np.broadcast_to(np.array(values, np.uint8)[:, None, None, None], (len(values), *size, 3))


def levels(video: Video) -> list[int]:
    """The number in VALUES of each frame's grey."""
    return [int(np.abs(np.array(VALUES) - g).argmin()) for g in video.frames.mean(axis=(1, 2, 3))]


def write(
    path: Path,
    frames: Frames,
    slots: Sequence[int] | None = None,
    end: int | None = None,
    fps: int = 8,
    tags: dict[str, Any] | None = None,
    **options: str,
) -> Path:
    """Write frames as another tool would, shown at `slots` / fps until `end` / fps; the path's ending says as what.

    tags: attributes of the encoder, such as color_trc.
    """
    slots = list(range(len(frames))) if slots is None else list(slots)
    ends = [*slots[1:], slots[-1] + 1 if end is None else end]
    if path.suffix in (".gif", ".webp"):
        tick = 100 if path.suffix == ".gif" else 1000
        times = [round(slot * tick / fps) * 1000 // tick for slot in (*slots, ends[-1])]
        pictures = [Image.fromarray(np.ascontiguousarray(frame)) for frame in frames]
        kinds: dict[str, Any] = {"lossless": True} if path.suffix == ".webp" else {}
        durations = np.diff(times).tolist()
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0, **kinds)
        return path
    lasts = dict(zip(slots, np.subtract(ends, slots).tolist(), strict=True))
    codec = CODECS[path.suffix]
    with av.open(str(path), "w") as container:
        x264 = {"x264-params": "mbtree=0", "crf": "1"} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=fps, options={**x264, **options})
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        packets = []
        for frame, slot in zip(frames, slots, strict=True):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            to = (tags or {}).get("color_range", ColorRange.MPEG)
            yuv = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU601, dst_color_range=to)
            yuv.pts, yuv.time_base = slot, Fraction(1, fps)
            packets += stream.encode(yuv)
        for packet in [*packets, *stream.encode(None)]:
            packet.duration = lasts.get(packet.pts or 0, 1)
            container.mux(packet)
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm", "a.gif", "a.webp", "a.avi"])
@pytest.mark.parametrize("slots", [[0, 3, 4, 5, 6, 7, 8, 9], [0, 1, 2, 5, 6, 7, 9, 10]], ids=["first held", "dropped"])
def test_a_variable_rate_shows_the_same_at_the_same_moments_in_every_container(
    tmp_path: Path, name: str, slots: list[int]
) -> None:
    end = 13
    path = write(tmp_path / name, greys(VALUES), slots, end)
    video = read_video(path)
    assert video.fps == 8.0
    assert levels(video) == (np.searchsorted(slots, np.arange(end), side="right") - 1).tolist()
    said = probe(path)
    assert (said.frames, said.fps, said.variable, said.assumed) == (8, 8.0, True, False)
    assert (
        levels(read_video(path, max_fps=1.0))
        == (np.searchsorted(slots, np.arange(0, end, 8), side="right") - 1).tolist()
    )
    assert levels(read_video(path, fps=24.0)) == list(range(8))  # one by one, whatever the file says


@pytest.mark.parametrize("start", [-3, 4])
def test_time_begins_with_the_first_frame_that_is_shown(tmp_path: Path, start: int) -> None:
    path = write(tmp_path / "a.mp4", greys(VALUES), range(start, start + 8), g="100")
    video = read_video(path)
    # Before 0, an edit list hides what is there.
    assert (levels(video), video.fps) == (list(range(max(0, -start), 8)), 8.0)
    assert not probe(path).variable


@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
def test_frames_without_a_time_are_read_at_10_per_second(tmp_path: Path, name: str) -> None:
    pictures = [Image.fromarray(np.ascontiguousarray(frame)) for frame in greys(VALUES)]
    pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:], duration=0, loop=0)
    video = read_video(tmp_path / name)
    assert (len(video), video.fps) == (8, pytest.approx(10))
    assert probe(tmp_path / name).assumed


def test_a_gif_without_control_blocks_has_all_its_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    pictures = [Image.fromarray(np.ascontiguousarray(frame)) for frame in greys(VALUES)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=120, loop=0)
    data = path.read_bytes()
    data, count = re.subn(rb"!\xf9\x04.\x0c\0.\0", b"", data, flags=re.DOTALL)
    assert count == 8
    path.write_bytes(data)
    assert levels(read_video(path)) == list(range(8))
    assert probe(path).assumed
    with pytest.raises(VideoError, match="more than 5 frames, the limit here"):
        read_video(path, limits=Limits(frames=5))


def test_an_animated_webp_lies_over_black_and_is_checked_for_its_end(tmp_path: Path) -> None:
    pictures = [Image.fromarray(np.full((16, 16, 4), (200, 100, 50, a), np.uint8)) for a in (0, 128, 255)]
    path = tmp_path / "a.webp"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=125, lossless=True, exact=True)
    assert read_video(path).frames[:, 0, 0].tolist() == [[0, 0, 0], [100, 50, 25], [200, 100, 50]]
    data = path.read_bytes()
    path.write_bytes(data[:-20])
    with pytest.raises(VideoError, match="cut off"):
        read_video(path)
    path.write_bytes(data[:4] + (len(data) - 28).to_bytes(4, "little") + data[8:-20])
    with pytest.raises(VideoError, match=r"a\.webp: an animated WebP that"):
        read_video(path)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((1, 0, 0, 1), lambda f: f),
        ((-1, 0, 0, 1), lambda f: f[:, ::-1]),
        ((1, 0, 0, -1), lambda f: f[::-1]),
        ((-1, 0, 0, -1), lambda f: f[::-1, ::-1]),
        ((0, 1, 1, 0), lambda f: f.swapaxes(0, 1)),
        ((0, 1, -1, 0), lambda f: np.rot90(f, -1)),
        ((0, -1, 1, 0), lambda f: np.rot90(f, 1)),
        ((0, -1, -1, 0), lambda f: np.rot90(f, 2).swapaxes(0, 1)),
    ],
)
def test_the_whole_display_matrix_is_applied(tmp_path: Path, matrix: tuple[int, ...], expected: Any) -> None:
    frames = np.zeros((2, 16, 32, 3), np.uint8)
    frames[:, :8, :8], frames[:, 8:, :8] = 250, 120
    write_h264(tmp_path / "clip.mp4", Video(frames, 24.0), crf=1)
    plain = read_video(tmp_path / "clip.mp4").frames
    _patch_matrix(tmp_path / "clip.mp4", matrix)
    seen = read_video(tmp_path / "clip.mp4").frames
    assert np.array_equal(seen[0], expected(plain[0]))


def _patch_matrix(path: Path, abcd: Sequence[float]) -> None:
    def packed(a: float, b: float, c: float, d: float) -> bytes:
        rows = [(round(a * 65536), round(b * 65536), 0), (round(c * 65536), round(d * 65536), 0), (0, 0, 1 << 30)]
        return b"".join(v.to_bytes(4, "big", signed=True) for row in rows for v in row)

    data = path.read_bytes()
    at = data.index(packed(1, 0, 0, 1), data.index(b"tkhd"))
    path.write_bytes(data[:at] + packed(*abcd) + data[at + 36 :])


def test_a_slanted_display_matrix_is_refused(tmp_path: Path) -> None:
    write_h264(tmp_path / "clip.mp4", Video(greys([9, 9]), 24.0))
    _patch_matrix(tmp_path / "clip.mp4", (0.87, 0.5, -0.5, 0.87))
    with pytest.raises(VideoError, match=r"clip\.mp4: turned by something else than multiples of 90 degrees"):
        read_video(tmp_path / "clip.mp4")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize(
    ("pixel", "size"), [((2, 1), (16, 32)), ((1, 2), (32, 16)), ((4, 3), (16, 21)), ((1, 1), (16, 16))]
)
def test_pixels_become_square(tmp_path: Path, name: str, pixel: tuple[int, int], size: tuple[int, int]) -> None:
    path = write(tmp_path / name, greys(VALUES), tags={"sample_aspect_ratio": Fraction(*pixel)})
    assert read_video(path).size == size


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm"])
def test_full_and_limited_range_look_the_same(tmp_path: Path, name: str, full: bool) -> None:
    frames = np.broadcast_to(np.array((200, 30, 60), np.uint8), (3, 16, 16, 3))
    path = write(tmp_path / name, frames, tags={"color_range": ColorRange.JPEG if full else ColorRange.MPEG})
    assert np.abs(read_video(path).frames.astype(int) - (200, 30, 60)).max() <= 4


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused_by_name(tmp_path: Path, transfer: int, name: str) -> None:
    path = write(tmp_path / "a.mp4", greys(VALUES), tags={"color_trc": transfer})
    for read in (read_video, probe):
        with pytest.raises(VideoError, match=rf"a\.mp4: HDR \({name}\) is not supported; convert it to SDR"):
            read(path)


@pytest.mark.parametrize(
    "tail", [b"x", b"\0", b"TAG" + b"song" * 31 + b"\0", b"\x89PNG\r\n\x1a\nmore", b"hello\n" * 50]
)
def test_bytes_after_the_last_box_are_no_damage(tmp_path: Path, tail: bytes) -> None:
    path = write(tmp_path / "a.mp4", greys(VALUES))
    path.write_bytes(path.read_bytes() + tail)
    assert levels(read_video(path)) == list(range(8))


@pytest.mark.parametrize("index_first", [True, False])
def test_a_box_that_was_begun_is_damage(tmp_path: Path, index_first: bool) -> None:
    path = tmp_path / "a.mp4"
    if index_first:
        write_h264(path, Video(greys(VALUES), 8.0))
    else:
        write(path, greys(VALUES))
    data = path.read_bytes()
    last = data.rindex(b"mdat" if index_first else b"moov") - 4
    for end in (last + 3, last + 6, last + 8, last + 20, len(data) - 1):
        path.write_bytes(data[:end])
        with pytest.raises(VideoError):
            read_video(path)


def test_a_gif_is_read_to_its_end_mark_and_no_further(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gif", greys(VALUES))
    data = path.read_bytes()
    path.write_bytes(data + b"\nmade by somebody\n")
    assert levels(read_video(path)) == list(range(8))
    path.write_bytes(data[:-1])
    with pytest.raises(VideoError, match="cut off"):
        read_video(path)


def test_names_that_ffmpeg_could_take_for_something_else_are_only_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["exp:1/x.mkv", "12:30.mkv", "concat:a.mkv|b.mkv", "img%03d.mkv", "http:x.mkv", "-.mkv", "pipe:0"]
    for i, name in enumerate(names):
        write_ffv1(name, Video(greys([i, i]), 8.0))
        assert read_video(name).frames.max() == i
    write_h264("h:1/a.mp4", Video(greys(VALUES), 8.0))
    assert levels(read_video("h:1/a.mp4")) == list(range(8))
    odd = os.fsdecode(b"l\xe9.mkv")
    write_ffv1(odd, Video(greys([9, 9]), 8.0))
    assert len(read_video(odd)) == 2


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile '{0}'\n",
        "ffconcat version 1.0\nfile 'file:{0}'\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{0}\n#EXT-X-ENDLIST\n",
    ],
)
def test_a_playlist_opens_nothing(tmp_path: Path, text: str) -> None:
    write(tmp_path / "secret.mp4", greys(VALUES))
    for name in ("list.mp4", "list.ffconcat", "list.m3u8"):
        (tmp_path / name).write_text(text.format(tmp_path / "secret.mp4"))
        with pytest.raises(VideoError, match=rf"{name}: not a (readable )?video"):
            read_video(tmp_path / name)


def test_what_is_too_much_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.gif"
    picture = Image.new("P", (2000, 2000))
    picture.save(bomb)
    frame = bomb.read_bytes()
    # Header and palette once, then the picture 600 times: 7 GiB.
    body = frame[frame.index(b",\0\0\0\0" + (2000).to_bytes(2, "little") * 2) : -1]
    bomb.write_bytes(frame[: -len(body) - 1] + (b"!\xf9\4\0\x0a\0\0\0" + body) * 600 + b";")
    long = write(tmp_path / "long.mkv", greys([9] * 150))
    slow = tmp_path / "slow.y4m"
    slow.write_bytes(b"YUV4MPEG2 W4 H4 F1:2147483647 C420\n" + (b"FRAME\n" + bytes(24)) * 4)
    fast = tmp_path / "fast.y4m"
    fast.write_bytes(b"YUV4MPEG2 W4 H4 F2147483647:1 C420\n" + (b"FRAME\n" + bytes(24)) * 4)
    huge = tmp_path / "huge.png"
    Image.new("1", (12000, 12000)).save(huge)
    before = peak_memory()
    for path, words in (
        (bomb, r"decoded, it takes 6\.71 GiB of memory \(600 frames of 2000x2000\), and 1 GiB is the limit here"),
        (long, "more than 100 frames, the limit here"),
        (slow, "it plays for .* s, and 60 s is the limit here"),
        (fast, ".* frames per second: 0.1 to 1000 can be read"),
        (huge, "(cut off or corrupt .*, or has )?more than 89478485 pixels"),
    ):
        limits = Limits(1 << 30, 60.0, 100 if path == long else 1000)
        # Of a picture that is too large, FFmpeg tells no size; decoding alone shows it.
        for read in (read_video,) if path == huge else (read_video, probe):
            with pytest.raises(VideoError, match=rf"{path.name}: {words}"):
                read(path, limits=limits)
    assert peak_memory() - before < 200 << 20
    assert len(read_video(long, max_frames=5, limits=Limits(1 << 30, 60.0, 100))) == 5
    with pytest.raises(VideoError, match=r"long\.mkv: 1e-06 frames per second: 0\.1 to 1000 can be read"):
        read_video(long, fps=1e-6)


def test_a_frame_that_is_held_for_long_counts_with_the_limits(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", greys(VALUES), [0, 1, 2, 3, 4, 5, 6, 400])
    assert len(read_video(path)) == 401
    with pytest.raises(VideoError, match=r"decoded, it takes .*401 frames"):
        read_video(path, limits=Limits(12 * 16 * 16 * 8, 3600.0, 1000))


def test_limits_follow_what_was_asked() -> None:
    small, large = Limits.of((64, 64), 17, 8.0), Limits.of((720, 1280), 240, 24.0)
    assert small == Limits(1 << 30, 68.0, 1000)
    assert large == Limits(2 << 30, 320.0, 7680)


def test_limits_of_a_record_are_never_above_those_of_any_clip() -> None:
    nan = float("nan")
    assert Limits(1 << 60, nan, -1).capped() == Limits()
    assert Limits(1 << 20, 5.0, 40).capped() == Limits(1 << 20, 5.0, 40)


def test_limits_beyond_what_ffmpeg_knows_are_none(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", greys(VALUES))
    assert len(read_video(path, limits=Limits(1 << 60, 1e300, 1 << 60))) == 8


def test_no_memory_is_no_fault_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.mp4", greys(VALUES))

    def no_memory(*args: object, **options: object) -> None:
        raise MemoryError

    for place in ("sora_eval.video.decoding.shown", "sora_eval.video.limits.np.empty"):
        with monkeypatch.context() as patch:
            patch.setattr(place, no_memory)
            with pytest.raises(MachineError, match=r"a\.mp4: there is not enough memory for it"):
                read_video(path)


class Failing(io.FileIO):
    """A file on a drive that fails with an error of the system after so many bytes."""

    def __init__(self, path: Path, good: int, error: int) -> None:
        super().__init__(path)
        self.good, self.error = good, error

    def readinto(self, buffer: Any, /) -> int:
        if self.tell() + len(buffer) > self.good:
            raise OSError(self.error, os.strerror(self.error))
        return super().readinto(buffer) or 0


@pytest.mark.parametrize("error", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOMEM])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.gif", "a.webp", "a.avi"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_a_drive_that_fails_is_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, name: str, share: float
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (12, 64, 96, 3), dtype=np.uint8)
    path = write(tmp_path / name, noise)
    whole = read_video(path)
    good = int(share * path.stat().st_size)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda self, mode: io.BufferedReader(Failing(self, good, error), 512))
        with pytest.raises(MachineError, match=rf"{re.escape(name)}: .*{os.strerror(error)}"):
            read_video(path)
    assert np.array_equal(read_video(path).frames, whole.frames)
    # What is cut off on disk is the file's own fault.
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(VideoError) as caught:
        read_video(path)
    assert not isinstance(caught.value, MachineError)
