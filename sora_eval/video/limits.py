"""Limits of a decoded clip: a file of a few kilobytes can hold a clip of gigabytes, which is refused before it is decoded."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from sora_eval.errors import VideoError
from sora_eval.types import Frames
from sora_eval.video.display import resize
from sora_eval.video.timestamps import MAX_FPS, MIN_FPS

_FFMPEG_PIXELS = 2**31 - 1
"""The most that FFmpeg's option for it takes."""


@dataclass(frozen=True)
class Limits:
    """Largest size of a decoded clip."""

    bytes: int = 2 << 30
    """Bytes of its frames in memory, as uint8 RGB."""
    seconds: float = 3600.0
    """Playing time, seconds."""
    frames: int = 100_000
    """Frame count."""

    @property
    def pixels(self) -> int:
        """How many pixels one frame may have: a decoder holds several, at up to 8 bytes a pixel."""
        return min(max(1, self.bytes // 12), _FFMPEG_PIXELS)

    @staticmethod
    def of(size: tuple[int, int], frames: int, fps: float) -> Limits:
        """Return multiples of the requested clip (8 times its bytes, 32 times its length), at least 1 GiB, a minute and 1,000 frames.

        Never above the limits of any clip: what is stored of it must be readable again.
        """
        most = Limits()
        return Limits(
            min(most.bytes, max(1 << 30, 8 * 3 * size[0] * size[1] * frames)),
            min(most.seconds, max(60.0, 32 * frames / fps)),
            min(most.frames, max(1000, 32 * frames)),
        )

    def capped(self) -> Limits:
        """Return these limits, none of them above those of any clip: they may come from a file of somebody else."""
        most = Limits()
        own = {f.name: (getattr(self, f.name), getattr(most, f.name)) for f in fields(self)}
        return Limits(**{name: value if 0 < value <= top else top for name, (value, top) in own.items()})

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


class Stack:
    """Frames in one array that is as long as was foreseen: half the memory of a list that is stacked at its end."""

    def __init__(self, foreseen: int, limits: Limits) -> None:
        self._foreseen, self._limits = max(1, foreseen), limits
        self._array: Frames | None = None
        self.count = 0

    def add(self, frame: Frames) -> None:
        """Take in a frame [H, W, 3], at the size of the first; raises VideoError when it is one too many for the limits."""
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
        """Those taken in, [T, H, W, 3]; at least one must have been."""
        assert self._array is not None
        return self._array[: self.count]


def check_rate(fps: float) -> None:
    """Raise VideoError for a rate that can't be read."""
    if not MIN_FPS <= fps <= MAX_FPS:
        raise VideoError(f"{fps:.4g} frames per second: {MIN_FPS:g} to {MAX_FPS:g} can be read")


def _gib(size: int) -> str:
    return f"{size / 2**30:.3g} GiB"
