"""Animated pictures that FFmpeg can't read, through Pillow: WebP, and GIF without a control block per picture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import IO

import numpy as np
from PIL import Image

from sora_eval.errors import VideoError, is_of_machine
from sora_eval.types import Floats, Frames
from sora_eval.video.containers import gif_times
from sora_eval.video.display import over_black
from sora_eval.video.limits import Limits, Stack, check_rate

ASSUMED_FPS = 10.0
"""Frames per second where a file gives its frames no time: what FFmpeg and browsers show."""
TICK_S = 0.001
"""WebP gives times in 1/1000 s."""
_NO_TIME_S = 0.01
"""FFmpeg and browsers show a frame for 1/10 s when the file declares 1/100 s or less."""


def is_one(file: IO[bytes]) -> bool:
    """Whether a file is such an animation."""
    file.seek(0)
    head = file.read(21)
    if head[:4] == b"GIF8":
        delays = gif_times(file).delays_cs
        # FFmpeg takes all pictures up to the next control block for one.
        return len(delays) > 1 and None in delays
    # The flag for animation in an extended header (WebP container specification, "Extended file format").
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) == 21 and bool(head[20] & 2)


def times(file: IO[bytes], limits: Limits) -> tuple[Floats, float]:
    """Return when each frame is shown, [N], and when the last one ends, in seconds."""
    lasts = [1 / ASSUMED_FPS if d <= _NO_TIME_S else d for d in _durations(file, limits)]
    ends = np.cumsum(lasts)
    return np.concatenate([[0.0], ends[:-1]]), float(ends[-1])


def rate(file: IO[bytes], limits: Limits) -> float:
    """Return the mean frames per second."""
    starts, end_s = times(file, limits)
    return len(starts) / end_s


def untimed(file: IO[bytes], limits: Limits) -> bool:
    """Whether the file gives some frame no time."""
    return any(d <= _NO_TIME_S for d in _durations(file, limits))


def decode(
    file: IO[bytes], limits: Limits, max_frames: int | None = None, fps: float | None = None
) -> tuple[Frames, Floats, float]:
    """Return frames, when each is shown, and when the last of them ends, in seconds. fps: the rate, whatever the file declares.

    Raises:
        VideoError: it is damaged or beyond the limits.

    """
    starts, end_s = times(file, limits)
    limits.check_seconds(end_s if fps is None else len(starts) / fps)
    if fps is None:
        check_rate(len(starts) / end_s)
    wanted = min(len(starts), max_frames or len(starts))
    stack = Stack(wanted, limits)
    with _opened(file, limits) as image:
        limits.check((image.height, image.width), wanted)
        for i in range(wanted):
            image.seek(i)
            stack.add(over_black(np.asarray(image.convert("RGBA"))))
    return stack.frames, starts[:wanted], end_s


@contextmanager
def _opened(file: IO[bytes], limits: Limits) -> Iterator[Image.Image]:
    """Open an animation."""
    file.seek(0)
    head = file.read(30)
    kind = "GIF" if head[:3] == b"GIF" else "WEBP"
    sides = (head[6:8], head[8:10]) if kind == "GIF" else (head[24:27], head[27:30])
    width, height = (int.from_bytes(side, "little") + (kind == "WEBP") for side in sides)
    # Pillow warns of what is larger.
    replace(limits, bytes=min(limits.bytes, 12 * (Image.MAX_IMAGE_PIXELS or limits.pixels))).check((height, width), 1)
    file.seek(0)
    try:
        with Image.open(file, formats=[kind]) as image:
            yield image
    # Pillow raises SyntaxError and ValueError for some damaged files, and UnidentifiedImageError where it was built without WebP.
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        if is_of_machine(error):
            raise
        what = "an animated WebP" if kind == "WEBP" else "a GIF without control blocks"
        raise VideoError(f"{what} that can't be read ({error})") from error


def _durations(file: IO[bytes], limits: Limits) -> list[float]:
    """Return the seconds of each frame as the file gives them."""
    with _opened(file, limits) as image:
        if image.format == "GIF":
            return [(d or 0) / 100 for d in gif_times(file).delays_cs]
        frames = int(getattr(image, "n_frames", 1))
    durations = []
    # ANMF chunks (WebP container specification, "Animation").
    file.seek(12)
    while len(head := file.read(8)) == 8:
        length = int.from_bytes(head[4:], "little")
        body = file.read(min(length, 16))
        if head[:4] == b"ANMF" and len(body) == 16:
            durations.append(int.from_bytes(body[12:15], "little") / 1000)
        file.seek(length + length % 2 - len(body), 1)
    if len(durations) != frames or not frames:
        raise VideoError(f"an animated WebP that is cut off or corrupt: {len(durations)} of {frames} frames are there")
    return durations
