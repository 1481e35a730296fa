"""Read and write clips: the only file that touches a codec.

FFV1 in Matroska keeps every bit and goes into the store; H.264 in MP4 is for people and for models that read
nothing else. Everything runs on one codec thread, so that the same clip gives the same bytes on any machine.

What is decided here, once:

* A clip that was cut off is an error, never a shorter clip: see `read_video`.
* Frames are taken one by one in presentation order. A clip of variable frame rate is therefore read as if its
  frames were evenly spaced at its average rate.
* Transparent pixels are shown over black; grey becomes R = G = B.
* YUV without a colour tag is BT.601, whatever its size: that is what FFmpeg, OpenCV and imageio write when nobody
  asks. What is written here is BT.709 and says so.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from io import BytesIO
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

# OpenCV reads its log level once, when it is loaded.
os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream
from PIL import Image

from sora_eval.errors import VideoError
from sora_eval.types import Frames, Video

av.logging.set_level(None)

FALLBACK_FPS = 24.0
"""Frames per second of a clip whose container doesn't say (a single image, a raw stream)."""

# Demuxers that turn a text file into a "video" or follow links to other files.
_REFUSED = {"tty", "hls", "dash", "concat", "imf", "vapoursynth", "avisynth"}
_BT709 = 1  # AVCOL_SPC_BT709, AVCOL_PRI_BT709 and AVCOL_TRC_BT709
_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_LOG_LOCK = threading.Lock()
_LOCAL = threading.local()
_SCALER = (
    Interpolation.BICUBIC
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
)


def read_video(path: str | Path, max_frames: int | None = None) -> Video:
    """Read a clip of any container and codec that FFmpeg knows (mp4, webm, mkv, gif, avi, ...).

    The first video stream is decoded and turned upright when the file carries a rotation. `fps` is the container's
    average rate, or `FALLBACK_FPS` when it has none.

    A file counts as cut off or corrupt when it is shorter than its container says (MP4, Matroska, AVI; a GIF has an
    end mark), when a packet or a frame can't be decoded, when fewer frames come out than the container's header
    counts, or when the last one ends more than a frame and a half too early. A format that promises nothing (a raw
    stream, MPEG-TS) can lose frames at its end unseen, and fragmented MP4 whole fragments.

    Args:
        path: the file.
        max_frames: stop after so many frames (at least 1); whatever follows them is then not checked.

    Returns:
        The clip, uint8 [T, H, W, 3].

    Raises:
        VideoError: one line that names the file: it is missing, empty, no video, without frames, or cut off.

    """
    path = Path(path)
    if max_frames is not None and max_frames < 1:
        raise VideoError(f"{path}: max_frames must be at least 1, got {max_frames}")
    if path.is_dir():
        raise VideoError(f"{path}: a folder, not a video")
    try:
        size = path.stat().st_size
    except OSError as err:
        raise VideoError(f"{path}: {err.strerror or err}") from err
    if size == 0:
        raise VideoError(f"{path}: the file is empty (0 bytes)")
    with _naming(path, "not a readable video"):
        with path.open("rb") as file:
            end = _declared_end(file, size)
        if end > size:
            raise VideoError(f"{path}: cut off: {size} bytes are there, at least {end} belong to it")
        return _read(str(path), max_frames, str(path))


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
        _write_h264(str(part), video.frames, video.fps, crf, faststart=True)


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
        _write_h264(str(part), frames(), fps, crf, faststart=True)
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
        back = _read(file, None, "H.264")
    height, width = video.size
    return Video(np.ascontiguousarray(back.frames[:, :height, :width]), video.fps)


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


def resize(frames: Frames, size: tuple[int, int]) -> Frames:
    """Return the frames at another size; the aspect ratio is not kept.

    Area averaging when neither side grows (no aliasing), bicubic otherwise.

    Args:
        frames: uint8 [T, H, W, 3].
        size: (height, width) in pixels.

    """
    height, width = size
    if frames.shape[1:3] == (height, width):
        return frames
    shrinks = height <= frames.shape[1] and width <= frames.shape[2]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    out = np.empty((len(frames), height, width, 3), np.uint8)
    for i, frame in enumerate(frames):
        out[i] = cv2.resize(frame, (width, height), interpolation=how)
    return out


def write_png(path: str | Path, image: Frames) -> None:
    """Write a picture uint8 [H, W, 3] as PNG, whole or not at all.

    Raises:
        VideoError: the file can't be written.

    """
    path = Path(path)
    with _naming(path, "can't be written"), replacing(path) as part:
        Image.fromarray(image).save(part, format="PNG")


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


def _read(source: str | IO[bytes], max_frames: int | None, name: str) -> Video:
    # A playlist must not make us open anything but the file that was named.
    with av.open(source, mode="r", metadata_errors="ignore", options={"protocol_whitelist": "file"}) as container:
        if container.format.name in _REFUSED:
            raise VideoError(f"{name}: not a video ({container.format.long_name})")
        streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not streams:
            raise VideoError(f"{name}: no video stream")
        stream = streams[0]
        # PyAV leaves the context out when FFmpeg has no decoder, whatever its type hints say.
        if getattr(stream, "codec_context", None) is None:
            raise VideoError(f"{name}: no decoder for its video stream")
        stream.codec_context.thread_count = 1
        # Otherwise decoders paint over what they could not read.
        stream.codec_context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
        promised = _promised_frames(container, stream)
        with _decoder_log(stream) as log:
            frames, packets, end_s = _decode(container, stream, max_frames, name)
        if any("CRC mismatch" in text for _, _, text in log):
            raise VideoError(f"{name}: corrupt: a checksum doesn't match")
        if not frames:
            raise VideoError(f"{name}: the video stream has no frames")
        # GIF counts in 1/100 s, where FFmpeg's own estimate is off by a frame per second and more.
        timed = container.format.name == "gif" and end_s > 0
        fps = packets / end_s if timed else _fps(stream)
        if max_frames is None or len(frames) < max_frames:
            if packets < promised:
                raise VideoError(f"{name}: cut off: {packets} of {promised} frames are there")
            promised_s = _promised_seconds(container, stream)
            if promised_s - end_s > 1.5 / fps:
                raise VideoError(f"{name}: cut off: it ends at {end_s:.2f} s of {promised_s:.2f} s")
    if len({frame.shape for frame in frames}) > 1:
        frames = [resize(frame[None], (frames[0].shape[0], frames[0].shape[1]))[0] for frame in frames]
    return Video(np.stack(frames), fps)


def _declared_end(file: IO[bytes], size: int) -> int:
    """Return where the container says that the file ends, `size` when it doesn't say."""
    head = file.read(64)
    if head[:4] == b"RIFF":
        riff = int.from_bytes(head[4:8], "little")
        # A recorder that was killed leaves 0 or all ones; an odd size may or may not count its padding byte.
        return 8 + riff - riff % 2 if 0 < riff < 0xFFFFFFFF else size
    if head[:4] == b"GIF8":
        file.seek(max(0, size - 64))
        return size if file.read().rstrip(b"\0").endswith(b"\0;") else size + 1
    if head[:4] == b"\x1a\x45\xdf\xa3":
        body, length = _ebml_size(head, 4)
        body, length = _ebml_size(head, body + (length or 0) + 4)
        return size if length is None else body + length
    if head[4:8] in {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp"}:
        return _last_box_end(file, size)
    return size


def _ebml_size(head: bytes, at: int) -> tuple[int, int | None]:
    """Return where an EBML element's body starts and its length, None when unknown (RFC 8794, section 4)."""
    if at >= len(head) or head[at] == 0:
        return at, None
    width = 9 - head[at].bit_length()
    value = int.from_bytes(head[at : at + width], "big") & ((1 << 7 * width) - 1)
    return at + width, None if value == (1 << 7 * width) - 1 else value


def _last_box_end(file: IO[bytes], size: int) -> int:
    """Return the end of the last top-level box of an MP4 or MOV (ISO 14496-12, section 4.2)."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # 0 means "to the end"; anything else isn't a box.
            return size
        at += length
    if at < size:
        file.seek(at)
        # Zeros are padding; anything else is the beginning of a box.
        return at + 8 if file.read().strip(b"\0") else size
    return at


def _decode(
    container: InputContainer, stream: VideoStream, max_frames: int | None, name: str
) -> tuple[list[Frames], int, float]:
    """Return the frames, the number of packets and the end of the last frame in seconds."""
    frames: list[Frames] = []
    packets, end_s = 0, 0.0
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise VideoError(f"{name}: cut off or corrupt after {len(frames)} frames")
            if packet.pts is not None or packet.size:
                packets += 1
            if packet.pts is not None and packet.time_base is not None:
                end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            for frame in packet.decode():
                if frame.is_corrupt:
                    raise VideoError(f"{name}: frame {len(frames)} is corrupt")
                frames.append(_rgb(frame))
                if len(frames) == max_frames:
                    return frames, packets, end_s
    except av.FFmpegError as err:
        raise VideoError(f"{name}: cut off or corrupt after {len(frames)} frames ({err.strerror})") from err
    return frames, packets, end_s


@contextmanager
def _decoder_log(stream: VideoStream) -> Iterator[list[tuple[int, str, str]]]:
    """Collect what the decoder of FFV1, the only codec here with checksums, complains of.

    FFmpeg fills a slice whose checksum is wrong with the one before, and only its log says so. The log's level is
    one for all threads, hence the lock.
    """
    if stream.codec_context.name != "ffv1":
        yield []
        return
    with _LOG_LOCK, av.logging.Capture() as log:
        av.logging.set_level(av.logging.ERROR)
        try:
            yield log
        finally:
            av.logging.set_level(None)


def _promised_frames(container: InputContainer, stream: VideoStream) -> int:
    # MP4's count includes frames that an edit list hides (a clip trimmed on a phone); its boxes are checked instead.
    return 0 if "mp4" in container.format.name else stream.frames


def _promised_seconds(container: InputContainer, stream: VideoStream) -> float:
    if "matroska" not in container.format.name:
        return 0.0
    written = stream.metadata.get("DURATION", "")
    try:
        hours, minutes, seconds = (float(part) for part in written.split(":"))
    except ValueError:
        # The container's duration is the video's only when nothing else, such as sound, runs longer.
        alone = len(container.streams) == 1 and container.duration is not None
        return float(container.duration or 0) / av.time_base if alone else 0.0
    return 3600 * hours + 60 * minutes + seconds


def _fps(stream: VideoStream) -> float:
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate:
            return float(rate)
    return FALLBACK_FPS


def _rgb(frame: VideoFrame) -> Frames:
    """Return a decoded frame as uint8 [H, W, 3], upright, alpha over black."""
    alpha = any(component.is_alpha for component in frame.format.components)
    space = Colorspace.ITU601 if frame.colorspace == _UNSPECIFIED else None
    converted = _reformat(frame, format="rgba" if alpha else "rgb24", src_colorspace=space, interpolation=_SCALER)
    image: Frames = np.asarray(converted.to_ndarray(), dtype=np.uint8)
    if alpha:
        image = ((image[..., :3].astype(np.uint16) * image[..., 3:] + 127) // 255).astype(np.uint8)
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def _write_ffv1(path: Path, video: Video) -> None:
    height, width = video.size
    # FFmpeg finds no way to cut some tiny pictures into its four slices.
    slices = "4" if min(height, width) >= 8 else "1"
    with av.open(str(path), mode="w", format="matroska", options={"fflags": "bitexact"}) as container:
        stream = container.add_stream(
            "ffv1", rate=_rate(video.fps), options={"level": "3", "slicecrc": "1", "slices": slices}
        )
        _configure(stream, width, height, "bgr0")
        stream.codec_context.gop_size = 1
        for frame in video.frames:
            # bgr0 is RGB with its bytes in FFV1's order: nothing is computed, nothing can be lost.
            container.mux(stream.encode(_reformat(_frame(frame), format="bgr0")))
        container.mux(stream.encode(None))


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
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = ColorRange.MPEG
        for frame in chain([first], waiting):
            rgb = _frame(np.pad(frame, padding, mode="edge"))
            yuv = _reformat(
                rgb,
                format="yuv420p",
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
                interpolation=_SCALER,
            )
            container.mux(stream.encode(yuv))
        container.mux(stream.encode(None))


def _check_crf(crf: int) -> None:
    if not 0 <= crf <= 51:
        raise VideoError(f"H.264: crf must be 0 to 51, got {crf}")


def _configure(stream: VideoStream, width: int, height: int, pix_fmt: str) -> None:
    stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
    stream.codec_context.thread_count = 1
    stream.codec_context.flags |= av.codec.context.Flags.bitexact.value


def _reformat(frame: VideoFrame, **options: Any) -> VideoFrame:
    # A frame's own reformat() builds a scaler with threads for every frame: 2 to 5 ms instead of 0.1 ms.
    if not hasattr(_LOCAL, "reformatter"):
        _LOCAL.reformatter = VideoReformatter()
    converted: VideoFrame = _LOCAL.reformatter.reformat(frame, threads=1, **options)
    return converted


def _frame(image: Frames) -> VideoFrame:
    return VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")


def _rate(fps: float) -> Fraction:
    # 1001 is the denominator of the NTSC rates (30000/1001).
    rate = Fraction(fps).limit_denominator(1001)
    if rate <= 0:
        raise ValueError(f"fps must be at least 0.001, got {fps}")
    return rate


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of a new file beside `path` that takes its place when all went well, and is removed otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _naming(name: str | Path, what: str) -> Iterator[None]:
    """Turn whatever a codec or the system raises into one line that names the file."""
    try:
        yield
    except VideoError:
        raise
    except (av.FFmpegError, OSError, ValueError, MemoryError) as err:
        raise VideoError(f"{name}: {what} ({getattr(err, 'strerror', None) or err})") from err
