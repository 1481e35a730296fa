"""Decode a file to frames and their times, within limits, through an open file: FFmpeg gets no name and opens nothing else.

A name that FFmpeg sees may be a protocol or a pattern to it ("12:30.mp4", "img%03d.png"), and a playlist makes it open other files.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from threading import Lock
from typing import IO, Any

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from sora_eval.errors import VideoError, is_of_machine
from sora_eval.types import Floats, Frames
from sora_eval.video import animations
from sora_eval.video.containers import declared_end, gif_times
from sora_eval.video.display import refuse_hdr, shown, square
from sora_eval.video.limits import Limits, Stack, check_rate
from sora_eval.video.timestamps import Schedule, schedule

FALLBACK_FPS = 24.0
"""Frames per second of a clip whose container doesn't declare them (a single image, a raw stream)."""
# Demuxers that turn a text file into a "video" or follow links to other files.
_REFUSED = {"tty", "hls", "dash", "concat", "imf", "vapoursynth", "avisynth"}
_PROBED = 16
"""Streams to whose probing the limits apply; FFmpeg wants them before it knows how many there are."""
_LOG_LOCK = Lock()


@dataclass(frozen=True)
class Times:
    """Frame count, rate and timing of a file, without decoding."""

    frames: int
    """Frame count."""
    fps: float
    """Frames per second."""
    variable: bool
    """Whether frames are unevenly spaced in the file."""
    assumed: bool
    """Whether the file has no time for some frame, so that `animations.ASSUMED_FPS` holds."""
    stream: int = 0
    """Index of the video stream that is decoded."""


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

    def add(self, packet: Packet[VideoStream]) -> None:
        if packet.pts is None and not packet.size:
            return
        self.count += 1
        if packet.pts is None or packet.time_base is None:
            return
        # Whole numbers divided once: exact, and quicker than fractions for files of many packets.
        ticks, seconds = packet.time_base.numerator, packet.time_base.denominator
        time, end = packet.pts * ticks / seconds, (packet.pts + (packet.duration or 0)) * ticks / seconds
        self.times.append(time)
        self.end_s = max(self.end_s, end)
        self.ordered = time >= self._latest
        if self.ordered:
            self._latest, self.last_s = time, end


class _Nameless:
    """An open file of which FFmpeg sees the bytes alone. failed: what a disk or network drive raised, which demuxers take for the end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._read, self.seek, self.tell = file.read, file.seek, file.tell
        self.failed: OSError | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            return self._read(size)
        except OSError as error:
            if is_of_machine(error):
                self.failed = error
            raise


def decode(
    file: IO[bytes],
    size: int,
    limits: Limits,
    max_frames: int | None = None,
    max_fps: float | None = None,
    fps: float | None = None,
) -> tuple[Frames, float]:
    """Return a clip's frames [T, H, W, 3] at a constant rate, and that rate.

    file, size: open file and its bytes. max_frames: how many at most. max_fps: rate that is wanted of frames that are unevenly
    spaced. fps: the rate, whatever the file declares; frames are then taken one by one.

    Raises:
        VideoError: why there are none; the message doesn't name the file.

    """
    declared = declared_end(file, size).declared
    times: Floats | None
    if animations.is_one(file):
        frames, times, end_s = animations.decode(file, limits, max_frames, fps)
        nominal, tick = animations.rate(file, limits), animations.TICK_S
    else:
        packets = _scan(file, limits, max_frames, fps)
        frames, times, end_s, nominal, tick = _decode(file, limits, max_frames, packets, declared)
    if fps is not None:
        return frames, fps
    check_rate(nominal)
    if times is None:
        return frames, nominal
    if len(frames) == max_frames:
        # Whether the last frame is held can't be seen before the next.
        end_s = float(times[-1])
    plan = schedule(times - times[0], end_s - float(times[0]), nominal, tick, max_fps)
    check_rate(plan.fps)
    index = plan.index[:max_frames]
    if not plan.variable:
        return frames, plan.fps
    limits.check(frames.shape[1:3], len(index))
    return frames[index], plan.fps


def read_times(file: IO[bytes], limits: Limits, max_fps: float | None = None) -> Times:
    """Return the frame count, rate and timing of a file; nothing is decoded.

    Raises:
        VideoError: it can't be read; the message doesn't name the file.

    """
    if animations.is_one(file):
        starts, end_s = animations.times(file, limits)
        limits.check_seconds(end_s)
        plan = schedule(starts, end_s, animations.rate(file, limits), animations.TICK_S, max_fps)
        return Times(len(starts), plan.fps, plan.variable, animations.untimed(file, limits))
    packets = _scan(file, limits)
    with opened(file, limits) as (container, stream):
        delays = gif_times(file).delays_cs if container.format.name == "gif" and packets.count > 1 else ()
        nominal, index = _nominal(container, stream, packets), stream.index
        tick = _tick(container, stream, nominal)
        shown_at = np.array(sorted(packets.times))
        plan = Schedule(np.arange(packets.count), nominal, False)
        if len(shown_at):
            end_s = _end(container, stream, packets)
            plan = schedule(shown_at - shown_at[0], end_s - float(shown_at[0]), nominal, tick, max_fps)
    return Times(packets.count, plan.fps, plan.variable, any((d or 0) <= 1 for d in delays), index)


@contextmanager
def opened(file: IO[bytes], limits: Limits, **options: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file's first video stream.

    Raises:
        VideoError: there is none that can be decoded.
        OSError: a disk or network drive failed meanwhile, whatever FFmpeg made of it.

    """
    source = _Nameless(file)
    try:
        file.seek(0)
        with _opened(source, limits, options) as found:
            yield found
    except Exception as error:
        if source.failed is not None and error is not source.failed:
            raise source.failed from error
        raise
    if source.failed is not None:
        raise source.failed


@contextmanager
def _opened(source: Any, limits: Limits, options: dict[str, str]) -> Iterator[tuple[InputContainer, VideoStream]]:
    most = {"max_pixels": str(limits.pixels)}
    # PyAV's type hints want strings here.
    probing: Any = [most] * _PROBED
    with av.open(
        source,
        mode="r",
        metadata_errors="ignore",
        # No protocol has this name: whatever a demuxer wants to open is refused.
        options={"protocol_whitelist": "none"},
        # To learn a stream's format, FFmpeg decodes some of it.
        stream_options=probing,
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
    with opened(file, limits) as (container, stream):
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
            # Decoding will show where.
        limits.check(size, packets.count if max_frames is None else min(packets.count, max_frames))
        if fps is not None:
            limits.check_seconds(packets.count / fps)
            return packets
        if packets.times:
            limits.check_seconds(packets.end_s - min(packets.times))
        if packets.count:
            check_rate(_nominal(container, stream, packets))
    return packets


def _decode(
    file: IO[bytes], limits: Limits, max_frames: int | None, scanned: _Packets, declared: bool
) -> tuple[Frames, Floats | None, float, float, float]:
    """Return frames, their times and the end of the last one in seconds, the container's rate, and the rounding of its times.

    There are no times when the container has none.
    """
    stack = Stack(scanned.count if max_frames is None else min(scanned.count, max_frames), limits)
    times: list[float | None] = []
    # Otherwise decoders paint over what they could not read.
    strict = {"err_detect": "crccheck+bitstream+buffer+explode"}
    with opened(file, limits, **strict) as (container, stream):
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
            # A file that is as long as it declares and plays on after its last frame holds that frame.
            if not declared and promised_s - packets.end_s > 1.5 / nominal:
                raise VideoError(f"cut off: it ends at {packets.end_s:.2f} s of {promised_s:.2f} s")
        known = [time for time in times if time is not None]
        shown_at = np.array(known) if len(known) == stack.count else None
        return stack.frames, shown_at, _end(container, stream, scanned), nominal, _tick(container, stream, nominal)


def _take(
    container: InputContainer,
    stream: VideoStream,
    max_frames: int | None,
    limits: Limits,
    stack: Stack,
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

    FFmpeg fills a slice whose checksum is wrong with the one before, and only its log has it. The log's level is
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
        declared_s = float(((stream.start_time or 0) + (stream.duration or 0)) * (stream.time_base or 0))
        return max(declared_s, packets.last_s) if packets.ordered else declared_s
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
