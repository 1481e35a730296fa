"""One clip made ready for a page: small H.264, a still of its first frame, and its tracks as SVG paths."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from sora_eval.errors import SoraEvalError
from sora_eval.types import Bools, Floats, Frames, Video
from sora_eval.video import encode_h264, read_video, resize
from sora_eval.world.palette import COLOURS

SHORT_SIDE = 192
LONG_SIDE = 384
MAX_FRAMES = 360
MAX_PIXELS = 150_000_000
"""Pixels decoded of one clip: 72 frames of 1920x1080. A clip is held in memory whole, at 6 bytes a pixel."""
CRF = 23
FALLBACK = "#8a8f98"


@dataclass(frozen=True)
class Trail:
    """The path of one track.

    colour: its name; stroke: #rrggbb; path: SVG path data in pixels of the source.
    points: "x,y" per frame, ";" between frames, nothing where invisible.
    """

    colour: str
    stroke: str
    path: str
    points: str


@dataclass(frozen=True)
class Overlay:
    """Tracks to draw on a clip. size: (height, width) of the frames they were made on; fps: frames per second."""

    size: tuple[int, int]
    fps: float
    trails: tuple[Trail, ...]


@dataclass(frozen=True)
class Clip:
    """A clip for a page.

    id: its name in the page's store; mp4: H.264; poster: JPEG of the first frame, base64.
    size: (height, width) of the source; shown_size: of the MP4.
    fps, frames: of the source, as far as it is shown.
    note: what the reader has to know about how it is shown, "" when nothing.
    """

    id: str
    mp4: bytes
    poster: str
    size: tuple[int, int]
    shown_size: tuple[int, int]
    fps: float
    frames: int
    note: str = ""

    @property
    def base64(self) -> str:
        """The MP4 as base64."""
        return base64.b64encode(self.mp4).decode()


def make_clip(path: Path, name: str) -> Clip:
    """Return the clip at `path` at a size that a page can show; raises VideoError when it cannot be read."""
    height, width = read_video(path, max_frames=1).size
    limit = max(1, min(MAX_FRAMES, MAX_PIXELS // (height * width)))
    # One more than is shown, to learn whether anything was left out.
    video = read_video(path, max_frames=limit + 1)
    note = ""
    if len(video) > limit:
        video = replace(video, frames=video.frames[:limit])
        note = f"first {limit} frames"
    frames = fit(video.frames)
    shown = Video(frames, video.fps)
    mp4 = encode_h264(shown, crf=CRF)
    return Clip(name, mp4, _poster(frames[0]), (height, width), shown.size, video.fps, len(video), note)


def fit(frames: Frames) -> Frames:
    """Return the frames [T, H, W, 3] at a size for a page.

    Small ones grow by a whole factor (nearest neighbour: a reader should see the pixels that were judged), large ones
    shrink to `LONG_SIDE` by area averaging.
    """
    height, width = frames.shape[1:3]
    if max(height, width) > LONG_SIDE:
        scale = LONG_SIDE / max(height, width)
        return resize(frames, (max(2, round(height * scale)), max(2, round(width * scale))))
    factor = max(1, min(-(-SHORT_SIDE // min(height, width)), 2 * LONG_SIDE // max(height, width)))
    if factor == 1:
        return frames
    size = (width * factor, height * factor)
    grown: Frames = np.stack([cv2.resize(f, size, interpolation=cv2.INTER_NEAREST) for f in frames]).astype(np.uint8)
    return grown


def read_overlay(path: Path) -> Overlay:
    """Return the tracks of an .npz file as paths; raises SoraEvalError, in one line, when it cannot be read."""
    try:
        if path.exists() and not path.is_file():
            raise OSError("no plain file")
        with np.load(path, allow_pickle=False) as file:
            colours = [str(c) for c in file["colour"]]
            xy: Floats = np.asarray(file["xy"], np.float64)
            visible: Bools = np.asarray(file["visible"], np.bool_)
            height, width = (int(v) for v in file["size"])
            fps = float(file["fps"])
    except FileNotFoundError:
        raise SoraEvalError(f"{path.name}: not found") from None
    except Exception as error:  # whatever zipfile, zlib and NumPy make of a damaged file
        raise SoraEvalError(f"{path.name}: not readable as tracks: {' '.join(str(error).split())}") from error
    if xy.ndim != 3 or xy.shape[2] != 2 or visible.shape != xy.shape[:2] or len(colours) != len(xy) or not fps > 0:
        raise SoraEvalError(f"{path.name}: tracks of mismatched shape: xy {xy.shape}, visible {visible.shape}")
    visible = visible & np.isfinite(xy).all(axis=2)
    trails = (trail(colour, xy[i], visible[i]) for i, colour in enumerate(colours))
    return Overlay((height, width), fps, tuple(trails))


def trail(colour: str, xy: Floats, visible: Bools) -> Trail:
    """Return the path of one track, xy [T, 2], broken wherever it is not visible."""
    path: list[str] = []
    points: list[str] = []
    for (x, y), seen, before in zip(xy, visible, [False, *visible[:-1]], strict=True):
        points.append(f"{x:.1f},{y:.1f}" if seen else "")
        if seen:
            path.append(f"{'L' if before else 'M'}{x:.1f} {y:.1f}")
    stroke = "#{:02x}{:02x}{:02x}".format(*COLOURS[colour]) if colour in COLOURS else FALLBACK
    return Trail(colour or "unnamed", stroke, "".join(path), ";".join(points))


def _poster(frame: Frames) -> str:
    file = BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=70)
    return base64.b64encode(file.getvalue()).decode()
