"""Decode a file to frames and their times, within limits, through an open file: FFmpeg gets no name and opens nothing else.

A name that FFmpeg sees may be a protocol or a pattern to it ("12:30.mp4", "img%03d.png"), and a playlist makes it open other files.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from threading import Lock
from typing import IO, Any

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from PIL import Image

from sora_eval.containers import declared_end, gif_times
from sora_eval.display import over_black, refuse_hdr, resize, shown, square
from sora_eval.errors import VideoError
from sora_eval.timing import MAX_FPS, MIN_FPS, Schedule, schedule
from sora_eval.types import Floats, Frames

FALLBACK_FPS = 24.0
"""Frames per second of a clip whose container doesn't say (a single image, a raw stream)."""
ASSUMED_FPS = 10.0
"""Frames per second of a GIF or WebP whose frames have no time: what FFmpeg and browsers show."""

# Demuxers that turn a text file into a "video" or follow links to other files.
_REFUSED = {"tty", "hls", "dash", "concat", "imf", "vapoursynth", "avisynth"}
_NO_TIME_S = 0.01
"""FFmpeg and browsers show a GIF's frame for 1/10 s when it says 1/100 s or less."""
_PROBED = 16
"""Streams to whose probing the limits apply; FFmpeg wants them before it knows how many there are."""
_LOG_LOCK = Lock()


@dataclass(frozen=True)
class Limits:
    """What a decoded clip may take. bytes: of memory, as uint8 RGB. seconds: of playing time. frames: how many."""

    bytes: int = 2 << 30
    seconds: float = 3600.0
    frames: int = 100_000

    @property
    def pixels(self) -> int:
        """How many pixels one frame may have: a decoder holds several, at up to 8 bytes a pixel."""
        return max(1, self.bytes // 12)

    @staticmethod
    def of(size: tuple[int, int], frames: int, fps: float) -> Limits:
        """Return multiples of what was asked (8 times the bytes, 32 times the time and frames), at least 1 GiB, a minute and 1,000 frames.

        Never above the limits of any clip: what is stored of it must be readable again.
        """
        most = Limits()
        return Limits(
            min(most.bytes, max(1 << 30, 8 * 3 * size[0] * size[1] * frames)),
            min(most.seconds, max(60.0, 32 * frames / fps)),
            min(most.frames, max(1000, 32 * frames)),
        )

    def check(self, size: tuple[int, int], frames: int) -> None:
        """Raise VideoError when so many frames of that size (height, width) are too many."""
        if size[0] * size[1] > self.pixels:
            raise VideoError(f"{size[1]}x{size[0]}: more than {self.pixels} pixels, the limit here; make it smaller")
        if frames > self.frames:
            raise VideoError(f"more than {self.frames} frames, the limit here; cut it")
        if (needed := 3 * size[0] * size[1] * frames) > self.bytes:
            raise VideoError(
                f"decoded, it takes {_gib(needed)} of memory ({frames} frames of {size[1]}x{size[0]}), and {_gib(self.bytes)} is the "
                "limit here; make it smaller or shorter"
            )

    def check_seconds(self, seconds: float) -> None:
        """Raise VideoError when a clip plays for too long."""
        if seconds > self.seconds:
            raise VideoError(f"it plays for {seconds:.4g} s, and {self.seconds:.4g} s is the limit here; cut it")


@dataclass(frozen=True)
class Times:
    """What a file says of its frames, without decoding: how many, the rate at which they are read, and what had to be assumed of it.

    variable: whether frames are unevenly spaced in the file. assumed: whether the file says no time for some frame, so that
    `ASSUMED_FPS` holds.
    """

    frames: int
    fps: float
    variable: bool
    assumed: bool


@dataclass
class _Packets:
    """A stream's packets as they come, which is the order of decoding.

    count: those with a time or content. times: when they are shown; end_s: when the last of them ends; last_s: when the one shown last
    ends, by its own duration; ordered: whether that one also came last. In seconds.
    """

    count: int = 0
    times: list[float] = field(default_factory=list)
    end_s: float = 0.0
    last_s: float = 0.0
    ordered: bool = True
    _latest: float = -math.inf

    def add(self, packet: Packet) -> None:
        if packet.pts is None and not packet.size:
            return
        self.count += 1
        if packet.pts is None or packet.time_base is None:
            return
        time, end = (float(pts * packet.time_base) for pts in (packet.pts, packet.pts + (packet.duration or 0)))
        self.times.append(time)
        self.end_s = max(self.end_s, end)
        self.ordered = time >= self._latest
        if self.ordered:
            self._latest, self.last_s = time, end


class _Nameless:
    """An open file of which FFmpeg sees the bytes alone."""

    def __init__(self, file: IO[bytes]) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


class _Stack:
    """Frames in one array that is as long as was foreseen: half the memory of a list that is stacked at its end."""

    def __init__(self, foreseen: int, limits: Limits) -> None:
        self._foreseen, self._limits = max(1, foreseen), limits
        self._array: Frames | None = None
        self.count = 0

    def add(self, frame: Frames) -> None:
        if self._array is None:
            self._limits.check(frame.shape[:2], self._foreseen)
            self._array = np.empty((self._foreseen, *frame.shape), np.uint8)
        array = self._array
        if self.count == len(array):
            grown = self.count + self.count // 2 + 1
            self._limits.check(array.shape[1:3], grown)
            self._array = np.concatenate([array, np.empty((grown - self.count, *array.shape[1:]), np.uint8)])
        self._array[self.count] = resize(frame[None], (array.shape[1], array.shape[2]))[0]
        self.count += 1

    @property
    def frames(self) -> Frames:
        assert self._array is not None
        return self._array[: self.count]


def decode(
    file: IO[bytes],
    size: int,
    limits: Limits,
    max_frames: int | None = None,
    asked: float | None = None,
    fps: float | None = None,
) -> tuple[Frames, float]:
    """Return a clip's frames [T, H, W, 3] at a constant rate, and that rate.

    file, size: open file and its bytes. max_frames: how many at most. asked: rate that is wanted at most of frames that are unevenly
    spaced. fps: the rate, whatever the file says; frames are then taken one by one.

    Raises:
        VideoError: why there are none; the message doesn't name the file.

    """
    declared = declared_end(file, size).declared
    if _is_animated_webp(file):
        stack, times, end_s, nominal, tick = _decode_webp(file, limits, max_frames)
    else:
        packets = _scan(file, limits, max_frames, fps)
        stack, times, end_s, nominal, tick = _decode(file, limits, max_frames, packets, declared)
    frames = stack.frames
    if fps is not None:
        return frames, fps
    _check_rate(nominal)
    if times is None:
        return frames, nominal
    if len(frames) == max_frames:
        # Whether the last frame is held can't be seen before the next.
        end_s = float(times[-1])
    plan = schedule(times - times[0], end_s - float(times[0]), nominal, tick, asked)
    _check_rate(plan.fps)
    index = plan.index[:max_frames]
    if not plan.variable:
        return frames, plan.fps
    limits.check(frames.shape[1:3], len(index))
    return frames[index], plan.fps


def read_times(file: IO[bytes], limits: Limits, asked: float | None = None) -> Times:
    """Return what a file says of its frames; nothing is decoded.

    Raises:
        VideoError: it can't be read; the message doesn't name the file.

    """
    if _is_animated_webp(file):
        durations = _webp_durations(file, limits)
        times = np.concatenate([[0.0], np.cumsum(_assume(durations))])
        plan = schedule(times[:-1], times[-1], len(durations) / times[-1], 0.001, asked)
        return Times(len(durations), plan.fps, plan.variable, _untimed(durations))
    packets = _scan(file, limits)
    with _opened(file, limits) as (container, stream):
        delays = gif_times(file).delays_cs if container.format.name == "gif" else ()
        nominal = _nominal(container, stream, packets)
        tick = _tick(container, stream, nominal)
        shown_at = np.array(sorted(packets.times))
        plan = Schedule(np.arange(packets.count), nominal, False)
        if len(shown_at):
            end_s = _end(container, stream, packets)
            plan = schedule(shown_at - shown_at[0], end_s - float(shown_at[0]), nominal, tick, asked)
    return Times(packets.count, plan.fps, plan.variable, len(delays) > 1 and _untimed([d / 100 for d in delays]))


@contextmanager
def _opened(file: IO[bytes], limits: Limits, **options: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file's first video stream.

    Raises:
        VideoError: there is none that can be decoded.

    """
    file.seek(0)
    source: Any = _Nameless(file)
    most = {"max_pixels": str(limits.pixels)}
    with av.open(
        source,
        mode="r",
        metadata_errors="ignore",
        # No protocol has this name: whatever a demuxer wants to open is refused.
        options={"protocol_whitelist": "none"},
        # To learn a stream's format, FFmpeg decodes some of it.
        stream_options=[most] * _PROBED,
    ) as container:
        if container.format.name in _REFUSED:
            raise VideoError(f"not a video ({container.format.long_name})")
        streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not streams:
            raise VideoError("no video stream")
        stream = streams[0]
        # PyAV leaves the context out when FFmpeg has no decoder, whatever its type hints say.
        if getattr(stream, "codec_context", None) is None:
            raise VideoError("no decoder for its video stream")
        refuse_hdr(int(stream.codec_context.color_trc))
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {**options, **most}
        yield container, stream


def _scan(file: IO[bytes], limits: Limits, max_frames: int | None = None, fps: float | None = None) -> _Packets:
    """Read the packets of the first video stream, and refuse what is too much before any of it is decoded."""
    packets = _Packets()
    with _opened(file, limits) as (container, stream):
        size = square((stream.height, stream.width), stream.sample_aspect_ratio)
        limits.check(size, 1)
        try:
            for packet in container.demux(stream):
                # An edit list hides some: they are decoded, for others need them, and not shown.
                if not packet.is_discard:
                    packets.add(packet)
                if max_frames is None and packets.count > limits.frames:
                    break
        except av.FFmpegError as err:
            _raise_memory(err)
            # Decoding will tell where.
        limits.check(size, packets.count if max_frames is None else min(packets.count, max_frames))
        if fps is not None:
            limits.check_seconds(packets.count / fps)
            return packets
        if packets.times:
            limits.check_seconds(packets.end_s - min(packets.times))
        if packets.count:
            _check_rate(_nominal(container, stream, packets))
    return packets


def _decode(
    file: IO[bytes], limits: Limits, max_frames: int | None, scanned: _Packets, declared: bool
) -> tuple[_Stack, Floats | None, float, float, float]:
    """Return frames, their times and the end of the last one in seconds, the container's rate, and the rounding of its times.

    There are no times when the container has none.
    """
    stack = _Stack(scanned.count if max_frames is None else min(scanned.count, max_frames), limits)
    times: list[float | None] = []
    # Otherwise decoders paint over what they could not read.
    strict = {"err_detect": "crccheck+bitstream+buffer+explode"}
    with _opened(file, limits, **strict) as (container, stream):
        with _decoder_log(stream) as log:
            packets = _take(container, stream, max_frames, limits, stack, times)
        if any("CRC mismatch" in text for _, _, text in log):
            raise VideoError("corrupt: a checksum doesn't match")
        if not stack.count:
            raise VideoError("the video stream has no frames")
        nominal = _nominal(container, stream, packets)
        if max_frames is None or stack.count < max_frames:
            promised = _promised_frames(container, stream)
            # AVI counts frames that it leaves out, too: the one before is shown again.
            held = container.format.name == "avi" and declared
            if not held and max(packets.count, round(packets.end_s * nominal)) < promised:
                raise VideoError(f"cut off: {packets.count} of {promised} frames are there")
            promised_s = _promised_seconds(container, stream)
            # A file that is as long as it says and plays on after its last frame holds that frame.
            if not declared and promised_s - packets.end_s > 1.5 / nominal:
                raise VideoError(f"cut off: it ends at {packets.end_s:.2f} s of {promised_s:.2f} s")
        known = [time for time in times if time is not None]
        shown_at = np.array(known) if len(known) == stack.count else None
        return stack, shown_at, _end(container, stream, scanned), nominal, _tick(container, stream, nominal)


def _take(
    container: InputContainer,
    stream: VideoStream,
    max_frames: int | None,
    limits: Limits,
    stack: _Stack,
    times: list[float | None],
) -> _Packets:
    """Decode onto the stack and note the times of its frames; return the packets that it took."""
    packets = _Packets()
    pixel = stream.sample_aspect_ratio
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise VideoError(f"cut off or corrupt after {stack.count} frames")
            packets.add(packet)
            for frame in packet.decode():
                if frame.is_corrupt:
                    raise VideoError(f"frame {stack.count} is corrupt")
                stack.add(shown(frame, pixel))
                times.append(frame.time)
                if stack.count == max_frames:
                    return packets
    except av.FFmpegError as err:
        _raise_memory(err)
        large = f", or has more than {limits.pixels} pixels" if err.errno == errno.EINVAL else ""
        raise VideoError(f"cut off or corrupt after {stack.count} frames ({err.strerror}){large}") from err
    return packets


def _raise_memory(err: av.FFmpegError) -> None:
    if err.errno == errno.ENOMEM:
        raise MemoryError from err


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


def _end(container: InputContainer, stream: VideoStream, packets: _Packets) -> float:
    """Return when the last frame ends, in seconds."""
    if "mp4" in container.format.name:
        # A packet's duration is the time to the next one in order of decoding, not of showing; only the last one's is its own.
        said = float(((stream.start_time or 0) + (stream.duration or 0)) * (stream.time_base or 0))
        return max(said, packets.last_s) if packets.ordered else said
    if container.format.name == "avi" and stream.average_rate:
        # It counts the frames that it leaves out.
        return max(packets.last_s, stream.frames / float(stream.average_rate))
    return max(packets.last_s, _promised_seconds(container, stream))


def _nominal(container: InputContainer, stream: VideoStream, packets: _Packets) -> float:
    # GIF counts in 1/100 s, where FFmpeg's own estimate is off by a frame per second and more.
    if container.format.name == "gif" and packets.end_s > 0:
        return packets.count / packets.end_s
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate:
            return float(rate)
    return FALLBACK_FPS


def _tick(container: InputContainer, stream: VideoStream, nominal: float) -> float:
    """Return seconds to which times are rounded."""
    tick = float(stream.time_base or Fraction(1, 1000))
    # Where time counts frames (AVI), or nearly so, nothing is rounded.
    return tick if tick * nominal < 0.4 or container.format.name == "gif" else 1e-6


def _check_rate(fps: float) -> None:
    if not MIN_FPS <= fps <= MAX_FPS:
        raise VideoError(f"{fps:.4g} frames per second: {MIN_FPS:g} to {MAX_FPS:g} can be read")


def _is_animated_webp(file: IO[bytes]) -> bool:
    file.seek(0)
    head = file.read(21)
    # The flag for animation in an extended header (WebP container specification, "Extended file format").
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)


@contextmanager
def _webp(file: IO[bytes], limits: Limits) -> Iterator[tuple[Image.Image, int]]:
    """Open an animated WebP, which FFmpeg can't read; give it with its number of frames."""
    file.seek(24)
    sides = file.read(6)
    width, height = (int.from_bytes(side, "little") + 1 for side in (sides[:3], sides[3:]))
    # Pillow warns of what is larger.
    replace(limits, bytes=min(limits.bytes, 12 * (Image.MAX_IMAGE_PIXELS or limits.pixels))).check((height, width), 1)
    file.seek(0)
    try:
        with Image.open(file, formats=["WEBP"]) as image:
            frames = int(getattr(image, "n_frames", 1))
            limits.check((image.height, image.width), frames)
            yield image, frames
    # Pillow raises SyntaxError and ValueError for some damaged files, and UnidentifiedImageError where it was built without WebP.
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise VideoError(f"an animated WebP that can't be read ({error})") from error


def _webp_durations(file: IO[bytes], limits: Limits) -> list[float]:
    """Return the seconds of each frame as the file gives them (WebP container specification, "Animation": ANMF chunks)."""
    with _webp(file, limits) as (_, frames):
        pass
    durations = []
    file.seek(12)
    while len(head := file.read(8)) == 8:
        length = int.from_bytes(head[4:], "little")
        body = file.read(min(length, 16))
        if head[:4] == b"ANMF" and len(body) == 16:
            durations.append(int.from_bytes(body[12:15], "little") / 1000)
        file.seek(length + length % 2 - len(body), 1)
    if len(durations) != frames:
        raise VideoError(f"an animated WebP that is cut off or corrupt: {len(durations)} of {frames} frames are there")
    return durations


def _decode_webp(file: IO[bytes], limits: Limits, max_frames: int | None) -> tuple[_Stack, Floats, float, float, float]:
    durations = _assume(_webp_durations(file, limits))
    limits.check_seconds(sum(durations))
    wanted = min(len(durations), max_frames or len(durations))
    stack = _Stack(wanted, limits)
    with _webp(file, limits) as (image, _):
        for i in range(wanted):
            image.seek(i)
            stack.add(over_black(np.asarray(image.convert("RGBA"))))
    times = np.concatenate([[0.0], np.cumsum(durations)])
    nominal = len(durations) / float(times[-1])
    return stack, times[:wanted], float(times[wanted]), nominal, 0.001


def _assume(durations: list[float]) -> list[float]:
    return [1 / ASSUMED_FPS if d <= _NO_TIME_S else d for d in durations]


def _untimed(durations: list[float]) -> bool:
    return any(d <= _NO_TIME_S for d in durations)


def _gib(size: int) -> str:
    return f"{size / 2**30:.3g} GiB"
