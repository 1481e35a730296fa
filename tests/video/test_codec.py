"""Clips survive the store bit for bit, compression nearly so, and a damaged file is never a short clip."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sora_eval.errors import VideoError
from sora_eval.types import Frames, Video
from sora_eval.video import (
    FALLBACK_FPS,
    compress,
    encode_h264,
    read_video,
    resample,
    resize,
    save_gif,
    write_ffv1,
    write_h264,
    write_png,
    write_stored,
)
from sora_eval.video.sheets import contact_sheet


def noise(frames: int, height: int, width: int, seed: int = 0) -> Frames:
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def smooth(frames: int = 12, height: int = 64, width: int = 96) -> Frames:
    y, x = np.mgrid[:height, :width]
    waves = [
        [127 + 90 * np.sin((x + 3 * t) / 15), 127 + 90 * np.cos(y / 11 + t / 9), 127 + 80 * np.sin((x + y) / 19)]
        for t in range(frames)
    ]
    return np.moveaxis(np.array(waves), 1, -1).astype(np.uint8)


def numbered(frames: int, fps: float) -> Video:
    """Frame i has the grey value i."""
    return Video(np.broadcast_to(np.arange(frames, dtype=np.uint8)[:, None, None, None], (frames, 2, 2, 3)), fps)


def psnr(a: Frames, b: Frames) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def foreign(path: Path, frames: np.ndarray, codec: str, pix_fmt: str, source: str = "rgb24", **options: str) -> None:
    """Write frames as somebody else's tool would: plain PyAV, no colour tags."""
    if codec == "libx264":
        options["x264-params"] = "mbtree=0"  # with it, no two files have the same length
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=24, options=options)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], pix_fmt
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format=source)
            container.mux(stream.encode(picture.reformat(format=pix_fmt)))
        container.mux(stream.encode(None))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 3), st.integers(1, 41), st.integers(1, 41), st.integers(0, 2**16))
def test_ffv1_keeps_every_bit_at_any_size(tmp_path: Path, frames: int, height: int, width: int, seed: int) -> None:
    video = Video(noise(frames, height, width, seed), 24.0)
    write_ffv1(tmp_path / "clip.mkv", video)
    assert np.array_equal(read_video(tmp_path / "clip.mkv").frames, video.frames)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 3), st.integers(1, 41), st.integers(1, 41), st.integers(0, 2**16))
def test_a_stored_clip_keeps_every_bit_at_any_size(
    tmp_path: Path, frames: int, height: int, width: int, seed: int
) -> None:
    video = Video(noise(frames, height, width, seed), 24.0)
    write_stored(tmp_path / "clip.mkv", video)
    assert np.array_equal(read_video(tmp_path / "clip.mkv").frames, video.frames)


def test_visually_lossless_keeps_colour_at_full_size(tmp_path: Path) -> None:
    chequered = np.zeros((6, 64, 64, 3), np.uint8)
    chequered[:, ::2, ::2] = chequered[:, 1::2, 1::2] = (255, 0, 0)
    for frames in (smooth(), chequered):
        write_stored(tmp_path / "clip.mkv", Video(frames, 24.0), crf=10)
        assert psnr(read_video(tmp_path / "clip.mkv").frames, frames) > 42
    # In 4:2:0, single red pixels lose their colour to their neighbours.
    assert psnr(compress(Video(chequered, 24.0), 10).frames, chequered) < 20


def test_any_flipped_bit_of_a_stored_clip_is_noticed(tmp_path: Path) -> None:
    for crf in (None, 10):
        write_stored(tmp_path / "clip.mkv", Video(noise(4, 32, 32), 24.0), crf)
        data = (tmp_path / "clip.mkv").read_bytes()
        for at in np.random.default_rng(0).integers(100, len(data) - 60, 12):
            (tmp_path / "bad.mkv").write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
            with pytest.raises(VideoError, match=r"bad\.mkv: .*(corrupt|cut off)"):
                read_video(tmp_path / "bad.mkv")


@pytest.mark.parametrize("fps", [24.0, 23.976, 30000 / 1001, 12.5, 7.0, 0.5, 60.0])
def test_the_rate_survives_both_codecs(tmp_path: Path, fps: float) -> None:
    video = Video(noise(3, 16, 16), fps)
    write_ffv1(tmp_path / "clip.mkv", video)
    write_h264(tmp_path / "clip.mp4", video)
    write_stored(tmp_path / "stored.mkv", video)
    assert read_video(tmp_path / "stored.mkv").fps == pytest.approx(fps, rel=1e-9)
    assert read_video(tmp_path / "clip.mkv").fps == pytest.approx(fps, rel=1e-9)
    assert read_video(tmp_path / "clip.mp4").fps == pytest.approx(fps, rel=1e-9)


@pytest.mark.parametrize(
    ("write", "name"), [(write_ffv1, "clip.mkv"), (write_h264, "clip.mp4"), (write_stored, "clip.mkv")]
)
def test_same_clip_same_bytes(tmp_path: Path, write: Callable[[Path, Video], None], name: str) -> None:
    video = Video(smooth(24, 65, 97), 24.0)
    contents = set()
    for i in range(4):
        write(tmp_path / str(i) / name, video)
        contents.add((tmp_path / str(i) / name).read_bytes())
    assert len(contents) == 1


def test_write_h264_writes_what_encode_h264_returns_with_the_index_in_front(tmp_path: Path) -> None:
    video = Video(smooth(), 24.0)
    write_h264(tmp_path / "clip.mp4", video, crf=20)
    data = encode_h264(video, crf=20)
    assert (tmp_path / "clip.mp4").read_bytes() == data
    assert 0 < data.find(b"moov") < data.find(b"mdat")


def test_h264_pads_an_odd_size_with_its_edge(tmp_path: Path) -> None:
    frames = np.full((2, 33, 47, 3), 30, np.uint8)
    frames[:, :, 40:] = 200
    write_h264(tmp_path / "clip.mp4", Video(frames, 24.0), crf=4)
    back = read_video(tmp_path / "clip.mp4").frames
    assert back.shape == (2, 34, 48, 3)
    assert np.abs(back[:, :, 47].astype(int) - 200).max() <= 6


@pytest.mark.parametrize("size", [(64, 96), (65, 97)])
def test_compress_restores_the_size_and_gets_worse_with_crf(size: tuple[int, int]) -> None:
    video = Video(smooth(8, *size), 23.976)
    clips = [compress(video, crf) for crf in (5, 20, 40)]
    assert {(clip.size, len(clip), clip.fps) for clip in clips} == {(size, 8, 23.976)}
    quality = [psnr(clip.frames, video.frames) for clip in clips]
    assert quality == sorted(quality, reverse=True)
    assert quality[0] > 40


@pytest.mark.parametrize("colour", [(200, 30, 60), (20, 180, 40), (30, 60, 220), (255, 255, 255), (0, 0, 0)])
def test_colours_survive_h264_without_a_cast(colour: tuple[int, int, int]) -> None:
    video = Video(np.broadcast_to(np.array(colour, np.uint8), (3, 32, 32, 3)), 24.0)
    assert np.abs(compress(video, 5).frames.astype(int) - colour).max() <= 2


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "tolerance"),
    [
        ("a.mp4", "libx264", "yuv420p", 3),
        ("a.webm", "libvpx-vp9", "yuv420p", 3),
        ("a.avi", "mpeg4", "yuv420p", 6),
        ("a.mov", "prores_ks", "yuv422p10le", 3),
        ("b.avi", "mjpeg", "yuvj420p", 3),
        ("a.ts", "libx264", "yuv420p", 3),
    ],
)
def test_foreign_files_have_their_frames_rate_and_colours(
    tmp_path: Path, name: str, codec: str, pix_fmt: str, tolerance: int
) -> None:
    frames = np.broadcast_to(np.array((200, 30, 60), np.uint8), (10, 48, 64, 3))
    foreign(tmp_path / name, frames, codec, pix_fmt)
    video = read_video(tmp_path / name)
    assert video.frames.shape == frames.shape
    assert video.fps == 24.0
    assert np.abs(video.frames.astype(int) - frames).max() <= tolerance


def test_grey_has_three_equal_channels_and_alpha_lies_over_black(tmp_path: Path) -> None:
    grey = noise(2, 16, 16)[..., 0]
    foreign(tmp_path / "grey.mkv", grey, "ffv1", "gray", source="gray")
    assert np.array_equal(read_video(tmp_path / "grey.mkv").frames, np.repeat(grey[..., None], 3, axis=-1))
    rgba = np.full((2, 16, 16, 4), (200, 100, 50, 255), np.uint8)
    rgba[:, :8, :, 3] = 128
    rgba[:, :4, :, 3] = 0
    foreign(tmp_path / "alpha.mkv", rgba, "ffv1", "bgra", source="rgba")
    column = read_video(tmp_path / "alpha.mkv").frames[1, :, 0]
    assert column[[0, 5, 12]].tolist() == [[0, 0, 0], [100, 50, 25], [200, 100, 50]]


def test_a_phone_s_rotation_is_applied(tmp_path: Path) -> None:
    frames = np.zeros((2, 32, 64, 3), np.uint8)
    frames[:, :16, :16] = 255  # top left
    write_h264(tmp_path / "clip.mp4", Video(frames, 24.0))
    data = (tmp_path / "clip.mp4").read_bytes()
    one, zero, w = (1 << 16).to_bytes(4), bytes(4), (1 << 30).to_bytes(4)
    upright = one + zero * 3 + one + zero * 3 + w
    # QuickTime: x' = a x + c y, y' = b x + d y; a = d = 0, b = 1, c = -1 turns clockwise.
    clockwise = zero + one + zero + (-1 << 16).to_bytes(4, signed=True) + zero * 4 + w
    track = data.index(b"tkhd")
    at = data.index(upright, track)
    (tmp_path / "turned.mp4").write_bytes(data[:at] + clockwise + data[at + len(upright) :])
    turned = read_video(tmp_path / "turned.mp4").frames
    assert turned.shape == (2, 64, 32, 3)
    bright = turned[0].mean(axis=-1) > 128
    assert bright[:14, 18:].all()  # top right
    assert bright.sum() == pytest.approx(16 * 16, rel=0.1)


def test_max_frames_stops_early(tmp_path: Path) -> None:
    video = Video(noise(5, 16, 16), 24.0)
    write_ffv1(tmp_path / "clip.mkv", video)
    assert np.array_equal(read_video(tmp_path / "clip.mkv", max_frames=2).frames, video.frames[:2])
    assert len(read_video(tmp_path / "clip.mkv", max_frames=9)) == 5
    with pytest.raises(VideoError, match="max_frames must be at least 1, got 0"):
        read_video(tmp_path / "clip.mkv", max_frames=0)


def test_a_gif_keeps_length_rate_and_few_colours(tmp_path: Path) -> None:
    frames = np.zeros((6, 16, 16, 3), np.uint8)
    for i in range(6):
        frames[i, :, 2 * i : 2 * i + 2] = (250, 40, 90)
    save_gif(tmp_path / "clip.gif", Video(frames, 12.5))
    video = read_video(tmp_path / "clip.gif")
    assert video.fps == pytest.approx(12.5)
    assert np.array_equal(video.frames, frames)


def test_a_still_picture_is_one_frame(tmp_path: Path) -> None:
    image = noise(1, 9, 7)[0]
    write_png(tmp_path / "still.png", image)
    video = read_video(tmp_path / "still.png")
    assert np.array_equal(video.frames, image[None])
    assert video.fps in (FALLBACK_FPS, 25.0)


def _make(folder: Path, name: str) -> Path:
    path = folder / name
    frames = smooth(24)
    if name == "store.mkv":
        write_ffv1(path, Video(frames, 24.0))
    elif name == "fragmented.mp4":
        with av.open(str(path), "w", options={"movflags": "frag_keyframe+empty_moov"}) as container:
            stream = container.add_stream("libx264", rate=24, options={"g": "6", "x264-params": "mbtree=0"})
            stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode(None))
    else:
        codec, pix_fmt = {
            ".mp4": ("libx264", "yuv420p"),
            ".mkv": ("libx264", "yuv420p"),
            ".webm": ("libvpx", "yuv420p"),
            ".avi": ("mpeg4", "yuv420p"),
            ".gif": ("gif", "rgb8"),
            ".mov": ("prores_ks", "yuv422p10le"),
        }[path.suffix]
        foreign(path, frames, codec, pix_fmt)
    return path


@pytest.mark.parametrize(
    "name", ["a.mp4", "a.mkv", "a.webm", "a.avi", "a.gif", "a.mov", "store.mkv", "faststart.mp4", "fragmented.mp4"]
)
def test_a_cut_file_is_an_error_wherever_it_is_cut(tmp_path: Path, name: str) -> None:
    if name == "faststart.mp4":
        write_h264(tmp_path / name, Video(smooth(24), 24.0))
    else:
        _make(tmp_path, name)
    data = (tmp_path / name).read_bytes()
    assert len(read_video(tmp_path / name)) == 24
    cut = tmp_path / f"cut_{name}"
    for share in (0.02, 0.3, 0.5, 0.8, 0.95, 0.999):
        cut.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(VideoError) as caught:
            read_video(cut)
        message = str(caught.value)
        assert message.startswith(f"{cut}: ")
        assert "\n" not in message


def test_a_flipped_byte_in_the_store_is_an_error(tmp_path: Path) -> None:
    write_ffv1(tmp_path / "clip.mkv", Video(noise(4, 32, 32), 24.0))
    data = (tmp_path / "clip.mkv").read_bytes()
    for at in np.random.default_rng(0).integers(len(data) // 10, len(data) * 9 // 10, 20):
        (tmp_path / "bad.mkv").write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        with pytest.raises(VideoError, match=r"bad\.mkv: (cut off or )?corrupt"):
            read_video(tmp_path / "bad.mkv")


def test_what_is_no_video_says_so_in_one_line_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("hello\n" * 100)
    (tmp_path / "notes.txt").write_text("hello\n" * 100)
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nother.ts\n#EXT-X-ENDLIST\n")
    with av.open(str(tmp_path / "sound.mka"), "w", format="matroska") as container:
        sound = container.add_stream("pcm_s16le", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        silence.sample_rate = 8000
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    with av.open(str(tmp_path / "none.mp4"), "w", options={"movflags": "empty_moov"}) as container:
        stream = container.add_stream("libx264", rate=24)
        stream.height, stream.width, stream.pix_fmt = 16, 16, "yuv420p"
        container.start_encoding()
    expected = {
        "missing.mp4": "No such file",
        ".": "image sequences are not supported",
        "empty.mp4": "the file is empty",
        "text.mp4": "not a readable video",
        "notes.txt": "not a readable video",
        "list.m3u8": "not a readable video",
        "sound.mka": "no video stream",
        "none.mp4": "no frames",
    }
    for name, words in expected.items():
        with pytest.raises(VideoError) as caught:
            read_video(tmp_path / name)
        message = str(caught.value)
        assert message.startswith(f"{tmp_path / name}: ")
        assert words in message
        assert "\n" not in message


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"old")
    with pytest.raises(VideoError, match="crf must be 0 to 51, got 99"):
        write_h264(path, Video(noise(2, 8, 8), 24.0), crf=99)
    with pytest.raises(VideoError, match=r"clip\.mp4: .*fps must be at least"):
        write_h264(path, Video(noise(2, 8, 8), 1e-9))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(VideoError, match=r"clip\.mp4"):
        write_ffv1(path / "below.mkv", Video(noise(2, 8, 8), 24.0))


def test_resample_takes_the_nearest_frame_in_time() -> None:
    video = numbered(6, 24.0)

    def values(clip: Video) -> list[int]:
        return [int(value) for value in clip.frames[:, 0, 0, 0]]

    assert values(resample(video, 24.0)) == [0, 1, 2, 3, 4, 5]
    assert values(resample(video, 12.0)) == [0, 2, 4]
    assert values(resample(video, 48.0)) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]  # a tie goes to the earlier
    assert values(resample(video, 16.0)) == [0, 1, 3, 4]  # 0, 1.5, 3, 4.5
    assert values(resample(video, 24.0, frames=8)) == [0, 1, 2, 3, 4, 5, 5, 5]
    assert values(resample(numbered(1, 24.0), 1.0)) == [0]
    assert resample(video, 12.0).fps == 12.0
    with pytest.raises(ValueError, match="fps must be positive"):
        resample(video, 0.0)


def test_resize_averages_areas_and_keeps_a_flat_colour() -> None:
    checkers = np.zeros((2, 8, 8, 3), np.uint8)
    checkers[:, ::2, ::2] = checkers[:, 1::2, 1::2] = 200
    assert np.all(resize(checkers, (4, 4)) == 100)
    assert resize(checkers, (8, 8)) is checkers
    flat = np.full((2, 5, 7, 3), 123, np.uint8)
    for size in ((3, 4), (11, 20), (3, 20)):
        assert np.array_equal(resize(flat, size), np.full((2, *size, 3), 123, np.uint8))


def test_contact_sheet_shows_first_and_last_frame_of_each_clip() -> None:
    sheet = contact_sheet([numbered(9, 24.0).frames, numbered(2, 24.0).frames + 100], columns=3, gap=1)
    assert sheet.shape == (5, 8, 3)
    assert sheet[0, ::3, 0].tolist() == [0, 4, 8]
    assert sheet[3, ::3, 0].tolist() == [100, 101, 255]
    assert np.all(sheet[2] == 255)
    with pytest.raises(ValueError, match="0 clips"):
        contact_sheet([])


def test_png_keeps_every_bit(tmp_path: Path) -> None:
    image = noise(1, 11, 5)[0]
    write_png(tmp_path / "deep" / "image.png", image)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "deep" / "image.png")), image)


def test_reading_a_broken_file_prints_nothing(tmp_path: Path) -> None:
    path = _make(tmp_path, "a.mp4")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = noise(1, 1, 200).tobytes()[:200]
    path.write_bytes(data)
    code = (
        "import sys\nfrom sora_eval.errors import VideoError\nfrom sora_eval.video import read_video\n"
        f"try: read_video({str(path)!r})\nexcept VideoError: pass"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
