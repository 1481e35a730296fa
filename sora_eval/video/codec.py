"""Read and write clips. What touches a codec is here, in decoding.py and in display.py.

H.264 4:4:4 RGB in Matroska keeps every bit and goes into run folders: of what FFmpeg can encode without loss, it takes the least time and
room for clean frames (docs/cost.md). FFV1 in Matroska keeps every bit too, and is for files that others read; H.264 in MP4 is for people
and for models that read nothing else. Everything runs on one codec thread, so that the same clip gives the same bytes on any machine.

A clip that was cut off is an error, never a shorter clip: see `read_video`. When its frames are shown is decided in timestamps.py, how they
look in display.py, a container's declared end in containers.py. Files written here are BT.709 and tagged so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from io import BytesIO
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from sora_eval.files import replacing

# OpenCV reads its log level once, when it is loaded.
os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from PIL import Image

from sora_eval.errors import MachineError, VideoError, is_of_machine
from sora_eval.types import Frames, Video
from sora_eval.video.containers import append_checksum, declared_end, is_damaged
from sora_eval.video.decoding import FALLBACK_FPS as FALLBACK_FPS
from sora_eval.video.decoding import Times as Times
from sora_eval.video.decoding import decode, read_times
from sora_eval.video.display import SCALER, reformat
from sora_eval.video.display import resize as resize
from sora_eval.video.display import resized as resized
from sora_eval.video.limits import Limits as Limits
from sora_eval.video.timestamps import MAX_FPS, MIN_FPS

av.logging.set_level(None)

_BT709 = 1  # AVCOL_SPC_BT709, AVCOL_PRI_BT709 and AVCOL_TRC_BT709
_LIMITS = Limits()


def read_video(
    path: str | Path,
    max_frames: int | None = None,
    limits: Limits = _LIMITS,
    max_fps: float | None = None,
    fps: float | None = None,
) -> Video:
    """Read a clip of any container and codec that FFmpeg knows (mp4, webm, mkv, gif, avi, ...), and animated WebP.

    The first video stream is decoded and shown as players do: see `display.py`. `fps` is the container's rate, or `FALLBACK_FPS` when it
    has none. Frames that are unevenly spaced in time are repeated and left out so that the clip has a constant rate and shows the same at
    the same moments: see `timestamps.schedule`.

    A file counts as cut off or corrupt when it is shorter than its container declares (MP4, Matroska, AVI; a GIF has an
    end mark), when a packet or a frame can't be decoded, when fewer frames come out than the container's header
    counts, or when, in a Matroska file of undeclared size, the last one ends more than a frame and a half too early. A format that
    promises nothing (a raw stream, MPEG-TS) can lose frames at its end unseen, and fragmented MP4 whole fragments. Bytes after the end
    of an MP4 are no fault.

    Args:
        path: the file. FFmpeg gets it open and without its name.
        max_frames: stop after so many frames (at least 1); whatever follows them is then not checked.
        limits: what the decoded clip may take at most; what takes more is refused before memory is taken.
        max_fps: frames per second that are wanted of unevenly spaced frames: see `timestamps.schedule`.
        fps: the rate, whatever the file declares: the frames are then taken one by one. None for the file's.

    Returns:
        The clip, uint8 [T, H, W, 3].

    Raises:
        VideoError: one line that names the file: it is missing, empty, no video, without frames, cut off, HDR, or beyond the limits.
        MachineError: a VideoError too: memory is lacking, or a disk or network drive failed; the file may be whole.

    """
    path = Path(path)
    if max_frames is not None and max_frames < 1:
        raise VideoError(f"{path}: max_frames must be at least 1, got {max_frames}")
    if fps is not None and not MIN_FPS <= fps <= MAX_FPS:
        raise VideoError(f"{path}: {fps:.4g} frames per second: {MIN_FPS:g} to {MAX_FPS:g} can be read")
    with _whole(path) as (file, size):
        return Video(*decode(file, size, limits, max_frames, max_fps, fps))


def probe(path: str | Path, limits: Limits = _LIMITS, max_fps: float | None = None) -> Times:
    """Return the frame count, rate and timing of a file; nothing is decoded.

    Raises:
        VideoError: see `read_video`.

    """
    with _whole(Path(path)) as (file, _):
        return read_times(file, limits, max_fps)


def write_stored(path: str | Path, video: Video, crf: int | None = None) -> None:
    """Write a clip as a run folder keeps it (.mkv), with a checksum that `read_video` checks, whole or not at all.

    The same clip gives the same bytes.

    Args:
        path: the file.
        video: the clip.
        crf: None for no loss: `read_video` returns the same uint8 frames. Else visually lossless H.264 4:4:4 with this constant rate
            factor, 1 (best) to 51 (worst).

    Raises:
        VideoError: the file can't be written.

    """
    path = Path(path)
    if crf is not None:
        _check_crf(crf)
    with _naming(path, "can't be written"), replacing(path) as part:
        _write_stored(part, video, crf)
        append_checksum(part)


def write_ffv1(path: str | Path, video: Video) -> None:
    """Write a clip without loss as FFV1 in Matroska (.mkv), whole or not at all.

    `read_video` returns the same uint8 frames. The same clip gives the same bytes.

    Raises:
        VideoError: the file can't be written.

    """
    path = Path(path)
    with _naming(path, "can't be written"), replacing(path) as part:
        _write_ffv1(part, video)


def write_h264(path: str | Path, video: Video, crf: int = 18) -> None:
    """Write `encode_h264(video, crf)` to a file (.mp4), whole or not at all.

    Raises:
        VideoError: the file can't be written.

    """
    path = Path(path)
    _check_crf(crf)
    with _naming(path, "can't be written"), replacing(path) as part:
        _write_h264(os.path.abspath(part), video.frames, video.fps, crf, faststart=True)


def write_h264_pieces(path: str | Path, pieces: Iterable[Frames], fps: float, crf: int = 18) -> int:
    """Write a clip that comes in pieces [t, H, W, 3] as `write_h264` would, in constant memory; return how many frames it has.

    Raises:
        VideoError: the file can't be written.

    """
    path = Path(path)
    _check_crf(crf)
    count = 0

    def frames() -> Iterator[Frames]:
        nonlocal count
        for piece in pieces:
            count += len(piece)
            yield from piece

    with _naming(path, "can't be written"), replacing(path) as part:
        _write_h264(os.path.abspath(part), frames(), fps, crf, faststart=True)
    return count


def encode_h264(video: Video, crf: int = 18) -> bytes:
    """Return the clip as an MP4 that every browser plays: H.264, yuv420p, BT.709, index in front.

    4:2:0 needs an even height and width: an odd one grows by one row below or one column on the right, a copy of
    the edge.

    Args:
        video: the clip.
        crf: x264's quality, 0 (best) to 51 (worst).

    Raises:
        VideoError: the encoder refused the clip or `crf`.

    """
    _check_crf(crf)
    # To move the index to the front, FFmpeg opens the file a second time; that takes a real one.
    with _naming("H.264", "the clip can't be encoded"), TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        _write_h264(str(path), video.frames, video.fps, crf, faststart=True)
        return path.read_bytes()


def compress(video: Video, crf: int) -> Video:
    """Return the clip after a round trip through H.264 in memory, at its own size and rate.

    Raises:
        VideoError: see `encode_h264`.

    """
    _check_crf(crf)
    with _naming("H.264", "the clip can't be encoded"):
        file = BytesIO()
        _write_h264(file, video.frames, video.fps, crf, faststart=False)
        file.seek(0)
        # Its own clip, which is in memory already: the limits are there for those of others.
        limits = Limits(12 * video.frames.nbytes + (1 << 20), np.inf, 2 * len(video))
        frames, _ = decode(file, file.getbuffer().nbytes, limits, fps=video.fps)
    height, width = video.size
    return Video(np.ascontiguousarray(frames[:, :height, :width]), video.fps)


def resample(video: Video, fps: float, frames: int | None = None) -> Video:
    """Return the clip at another rate: frame i is the source frame nearest in time to i / fps, the earlier on a tie.

    Args:
        video: the clip.
        fps: frames per second of the result.
        frames: length of the result; past the clip's end its last frame is repeated. None keeps the duration, to
            the nearest frame and at least one.

    """
    if not fps > 0:
        raise ValueError(f"fps must be positive, got {fps}")
    if frames is None:
        frames = max(1, round(len(video) * fps / video.fps))
    if frames < 1:
        raise ValueError(f"frames must be at least 1, got {frames}")
    # ceil(x - 1/2) rounds half down; the epsilon keeps 2.5000000001 a tie.
    index = np.ceil(np.arange(frames) * (video.fps / fps) - 0.5 - 1e-9).astype(int)
    return Video(video.frames[np.clip(index, 0, len(video) - 1)], fps)


def frames_at(count: int, fps: float, other: float) -> int:
    """Return how many frames at the rate `other` last from the first to the last moment of `count` frames at `fps`, to the nearest frame.

    Between moments n frames last (n - 1) / fps seconds, not n / fps: 17 frames at 16 fps are 9 at 8 fps, and 81 are 41.
    """
    return round((count - 1) / fps * other) + 1


def write_png(path: str | Path, image: Frames) -> None:
    """Write a picture uint8 [H, W, 3] as PNG, whole or not at all.

    Raises:
        VideoError: the file can't be written.

    """
    path = Path(path)
    with _naming(path, "can't be written"), replacing(path) as part:
        Image.fromarray(image).save(part, format="PNG")


def encode_png(image: Frames) -> bytes:
    """Return a picture uint8 [H, W, 3] as PNG."""
    file = BytesIO()
    Image.fromarray(image).save(file, format="PNG")
    return file.getvalue()


def save_gif(path: str | Path, video: Video) -> None:
    """Write an endless GIF for a page or a README: 256 colours per frame, times rounded to 1/100 s.

    Raises:
        VideoError: the file can't be written.

    """
    path = Path(path)
    # By octree: cutting at medians, Pillow's default, leaves the few saturated pixels of small things hardly a colour.
    octree = Image.Quantize.FASTOCTREE
    pictures = [Image.fromarray(frame).quantize(256, octree, dither=Image.Dither.NONE) for frame in video.frames]
    # Browsers slow a GIF down whose frames last less than 2/100 s.
    times = np.rint(np.arange(len(pictures) + 1) * 100 / video.fps)
    durations = [10 * max(2, int(d)) for d in np.diff(times)]
    with _naming(path, "can't be written"), replacing(path) as part:
        pictures[0].save(part, "GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0)


def _write_ffv1(path: Path, video: Video) -> None:
    height, width = video.size
    # FFmpeg finds no way to cut some tiny pictures into its four slices.
    slices = "4" if min(height, width) >= 8 else "1"
    with _matroska(path) as container:
        stream = container.add_stream(
            "ffv1", rate=_rate(video.fps), options={"level": "3", "slicecrc": "1", "slices": slices}
        )
        _configure(stream, width, height, "bgr0")
        stream.codec_context.gop_size = 1
        for frame in video.frames:
            # bgr0 is RGB with its bytes in FFV1's order: nothing is computed, nothing can be lost.
            container.mux(stream.encode(reformat(_frame(frame), format="bgr0")))
        container.mux(stream.encode(None))


def _write_stored(path: Path, video: Video, crf: int | None) -> None:
    height, width = video.size
    with _matroska(path) as container:
        if crf is None:
            stream = container.add_stream(
                "libx264rgb", rate=_rate(video.fps), options={"preset": "ultrafast", "qp": "0"}
            )
            _configure(stream, width, height, "bgr24")
            frames = (reformat(_frame(image), format="bgr24") for image in video.frames)
        else:
            # x264 tunes for the eye by default, at the cost of single pixels: up to 52 grey levels off instead of 14.
            options = {"preset": "veryfast", "crf": str(crf), "x264-params": "mbtree=0:psy=0:aq-mode=0"}
            stream = container.add_stream("libx264", rate=_rate(video.fps), options=options)
            _configure(stream, width, height, "yuv444p")
            _tag_bt709(stream)
            frames = (_bt709(image, "yuv444p") for image in video.frames)
        for frame in frames:
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@contextmanager
def _matroska(path: Path) -> Iterator[OutputContainer]:
    # FFmpeg would take a name such as 12:30.mkv for a protocol.
    with (
        path.open("wb") as file,
        av.open(file, mode="w", format="matroska", options={"fflags": "bitexact"}) as container,
    ):
        yield container


def _write_h264(target: str | IO[bytes], frames: Iterable[Frames], fps: float, crf: int, faststart: bool) -> None:
    waiting = iter(frames)
    first = next(waiting)
    height, width = first.shape[:2]
    padding = ((0, height % 2), (0, width % 2), (0, 0))
    muxer = {"fflags": "bitexact", "movflags": "faststart" if faststart else "0"}
    # x264's mbtree reads memory that it never wrote (build 165, AVX-512): the same clip gave other bytes each time.
    options = {"crf": str(crf), "x264-params": "mbtree=0"}
    with av.open(target, mode="w", format="mp4", options=muxer) as container:
        stream = container.add_stream("libx264", rate=_rate(fps), options=options)
        _configure(stream, width + width % 2, height + height % 2, "yuv420p")
        _tag_bt709(stream)
        for frame in chain([first], waiting):
            container.mux(stream.encode(_bt709(np.pad(frame, padding, mode="edge"), "yuv420p")))
        container.mux(stream.encode(None))


def _tag_bt709(stream: VideoStream) -> None:
    context = stream.codec_context
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    context.color_range = ColorRange.MPEG


def _bt709(image: Frames, pixels: str) -> VideoFrame:
    """Return a picture as YUV of BT.709 in limited range. pixels: FFmpeg's pixel format."""
    return reformat(
        _frame(image),
        format=pixels,
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation=SCALER,
    )


def _check_crf(crf: int) -> None:
    if not 0 <= crf <= 51:
        raise VideoError(f"H.264: crf must be 0 to 51, got {crf}")


def _configure(stream: VideoStream, width: int, height: int, pix_fmt: str) -> None:
    stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
    stream.codec_context.thread_count = 1
    stream.codec_context.flags |= av.codec.context.Flags.bitexact.value


def _frame(image: Frames) -> VideoFrame:
    return VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")


def _rate(fps: float) -> Fraction:
    # 1001 is the denominator of the NTSC rates (30000/1001).
    rate = Fraction(fps).limit_denominator(1001)
    if rate <= 0:
        raise ValueError(f"fps must be at least 0.001, got {fps}")
    return rate


@contextmanager
def _whole(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """Open a file that is as long as its container declares; give it with its size, and name it in whatever goes wrong.

    Raises:
        VideoError: it isn't there, empty, or cut off.

    """
    if path.is_dir():
        raise VideoError(f"{path}: a folder, not a video; image sequences are not supported, make a video of them")
    try:
        size = path.stat().st_size
    except OSError as err:
        kind = MachineError if is_of_machine(err) else VideoError
        raise kind(f"{path}: {err.strerror or err}") from err
    if size == 0:
        raise VideoError(f"{path}: the file is empty (0 bytes)")
    try:
        with _naming(path, "not a readable video"), path.open("rb") as file:
            end = declared_end(file, size).at
            if end > size:
                raise VideoError(f"cut off: {size} bytes are there, at least {end} belong to it")
            if is_damaged(file, size):
                raise VideoError("corrupt: a checksum doesn't match")
            yield file, size
    except VideoError as err:
        prefix = f"{path}: "
        raise err if str(err).startswith(prefix) else type(err)(prefix + str(err)) from err


@contextmanager
def _naming(name: str | Path, what: str) -> Iterator[None]:
    """Turn whatever a codec or the system raises into one line that names the file."""
    try:
        yield
    except VideoError:
        raise
    except MemoryError as err:
        raise MachineError(f"{name}: there is not enough memory for it; make it smaller or shorter") from err
    except (av.FFmpegError, OSError, ValueError) as err:
        kind = MachineError if is_of_machine(err) and not isinstance(err, av.FFmpegError) else VideoError
        raise kind(f"{name}: {what} ({getattr(err, 'strerror', None) or err})") from err
