"""One clip made ready for a page: small H.264, a still of its first frame, and its tracks as SVG paths."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from sora_eval.types import Bools, Floats, Frames, Tracks, Video
from sora_eval.video import clip_size, encode_h264, read_clip, resize
from sora_eval.video.sheets import contact_sheet
from sora_eval.world.palette import COLOURS

SHORT_SIDE = 192
LONG_SIDE = 384
MAX_FRAMES = 360
MAX_PIXELS = 150_000_000
"""Pixels decoded of one clip: 72 frames of 1920x1080. A clip is held in memory whole, at 6 bytes a pixel."""
CRF = 23
FALLBACK = "#8a8f98"
STRIP_FRAMES = 8


@dataclass(frozen=True)
class Trail:
    """The path of one track."""

    colour: str
    """Name of its colour."""
    stroke: str
    """The colour as #rrggbb."""
    path: str
    """SVG path data in pixels of the source."""
    points: str
    """"x,y" per frame, ";" between frames, nothing where invisible."""


@dataclass(frozen=True)
class Overlay:
    """Tracks to draw on a clip."""

    size: tuple[int, int]
    """(height, width) of the frames they were made on."""
    fps: float
    """Frames per second."""
    trails: tuple[Trail, ...]
    """Their paths."""


@dataclass(frozen=True)
class Clip:
    """A clip for a page."""

    id: str
    """Its name among the page's clips."""
    mp4: bytes
    """H.264."""
    poster: str
    """JPEG of the first frame, base64."""
    size: tuple[int, int]
    """(height, width) of the source."""
    shown_size: tuple[int, int]
    """(height, width) of the MP4."""
    fps: float
    """Frames per second."""
    frames: int
    """Number of frames that are shown."""
    note: str = ""
    """How what is shown differs from the source, "" where it doesn't."""

    @property
    def base64(self) -> str:
        """The MP4 as base64."""
        return base64.b64encode(self.mp4).decode()


@dataclass(frozen=True)
class Strip:
    """Frames of several clips as one picture, a row per clip."""

    name: str
    """What it shows."""
    rows: tuple[str, ...]
    """Labels of its rows."""
    image: str
    """WebP, base64."""
    size: tuple[int, int]
    """(height, width) of the picture."""


def make_strip(name: str, rows: Sequence[str], paths: Iterable[Path]) -> Strip:
    """Return `STRIP_FRAMES` frames of each clip, evenly spread; raises VideoError or OSError when one cannot be read."""
    sheet = contact_sheet([read_clip(path).frames for path in paths], STRIP_FRAMES)
    return Strip(name, tuple(rows), _encoded(sheet, "WEBP", method=4), (sheet.shape[0], sheet.shape[1]))


def make_clip(path: Path, name: str) -> Clip:
    """Return the clip at `path` at a size that a page can show; raises VideoError when it cannot be read."""
    height, width = clip_size(path)
    limit = max(1, min(MAX_FRAMES, MAX_PIXELS // (height * width)))
    # One more than is shown, to learn whether anything was left out.
    video = read_clip(path, max_frames=limit + 1)
    note = ""
    if len(video) > limit:
        video = replace(video, frames=video.frames[:limit])
        note = f"first {limit} frames"
    frames = fit(video.frames)
    shown = Video(frames, video.fps)
    mp4 = encode_h264(shown, crf=CRF)
    return Clip(name, mp4, _encoded(frames[0], "JPEG"), (height, width), shown.size, video.fps, len(video), note)


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


def make_overlay(tracks: Tracks) -> Overlay:
    """Return tracks as paths."""
    visible = tracks.visible & np.isfinite(tracks.xy).all(axis=2)
    trails = (trail(colour, tracks.xy[i], visible[i]) for i, colour in enumerate(tracks.colour))
    return Overlay(tracks.size, tracks.fps, tuple(trails))


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


def _encoded(picture: Frames, kind: str, **options: int) -> str:
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(file, kind, quality=70, **options)
    return base64.b64encode(file.getvalue()).decode()
