"""Clips, their sound, and what part of them is judged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

Frames: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
AlignmentKind: TypeAlias = Literal["identity", "crop", "pad", "letterbox", "resize", "shift", "zoom"]
Box: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True)
class Audio:
    """An audio track in memory."""

    samples: NDArray[np.float32]
    """[N], one channel, -1 to 1."""
    rate: float
    """Samples per second."""
    start_s: float = 0.0
    """When the first sample sounds, in seconds after the first frame is shown."""

    def __post_init__(self) -> None:
        """Reject anything that is not one channel of samples."""
        if self.samples.ndim != 1 or not self.rate > 0:
            raise ValueError(
                f"an audio track has samples [N] and a rate above 0, got {self.samples.shape}, {self.rate}"
            )


@dataclass(frozen=True)
class Video:
    """A clip in memory."""

    frames: Frames
    """uint8 [T, H, W, 3], RGB."""
    fps: float
    """Frames per second."""
    file: str = ""
    """The file that it was read from, whose audio track then has the same times; "" where there is none."""

    def __post_init__(self) -> None:
        """Reject anything that is not a clip of RGB frames."""
        f = self.frames
        if f.dtype != np.uint8 or f.ndim != 4 or f.shape[-1] != 3 or 0 in f.shape:
            raise ValueError(f"frames must be uint8 [T, H, W, 3] and not empty, got {f.dtype} {f.shape}")
        if not self.fps > 0:
            raise ValueError(f"fps must be positive, got {self.fps}")

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.frames.shape[1], self.frames.shape[2]

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.frames)


@dataclass(frozen=True)
class Window:
    """A part of a frame."""

    frame: tuple[int, int]
    """(height, width) of the whole frame in pixels."""
    box: Box
    """x0, y0, x1, y1 of its edges in pixels of the whole frame: 0, 0, width, height is all of it."""

    def to_json(self) -> dict[str, Any]:
        """Return the window as JSON values."""
        return {"frame": list(self.frame), "box": list(self.box)}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Window:
        """Return the window that `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        (height, width), (x0, y0, x1, y1) = values["frame"], values["box"]
        numbers = [height, width, x0, y0, x1, y1]
        if any(isinstance(v, bool) or not isinstance(v, int | float) or not math.isfinite(v) for v in numbers):
            raise ValueError(f"a window has finite numbers, got {numbers}")
        if not (height >= 1 and width >= 1 and x1 > x0 and y1 > y0):
            raise ValueError(f"the window {values['box']} of {values['frame']} is empty")
        return Window((int(height), int(width)), (float(x0), float(y0), float(x1), float(y1)))


@dataclass(frozen=True)
class Alignment:
    """Which part of a clip shows which part of the frames that were given: probes judge that part, against the truth in the same window."""

    kind: AlignmentKind
    """How the given frames lie in the clip."""
    part: Window
    """The part of the clip that is judged, its edges at whole pixels."""
    given: Window | None
    """The same part of the given frames, None where none were given (t2v: only bars are removed)."""
    size: tuple[int, int]
    """(height, width) at which the part is judged: that of the part, or the nearest with the aspect ratio of the given frames."""
    residual: float
    """1 less the correlation of the given frame with the clip's first one in this place; 0 for a copy, and where none were given."""

    @staticmethod
    def from_json(values: Mapping[str, Any] | None) -> Alignment | None:
        """Return the alignment of JSON values as `dataclasses.asdict` gives them, None for None.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        if values is None:
            return None
        if values["kind"] not in get_args(AlignmentKind):
            raise ValueError(f"alignment has no kind {values['kind']!r}")
        given, (height, width) = values["given"], values["size"]
        window = None if given is None else Window.from_json(given)
        size, residual = (int(height), int(width)), float(values["residual"])
        return Alignment(values["kind"], Window.from_json(values["part"]), window, size, residual)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera per frame, OpenCV axes (x right, y down, z forward)."""

    K: Floats
    """[T, 3, 3] intrinsics in pixels."""
    R: Floats
    """[T, 3, 3] rotation from world to camera."""
    t: Floats
    """[T, 3] translation, metres; a world point X projects as K (R X + t)."""

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Project world points [T, N, 3] (m) to pixels [T, N, 2] and z-depth [T, N] (m)."""
        cam = np.einsum("tij,tnj->tni", self.R, points) + self.t[:, None]
        depth = cam[..., 2]
        safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
        pix = np.einsum("tij,tnj->tni", self.K, cam / safe[..., None])
        return pix[..., :2], depth
