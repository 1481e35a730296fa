"""Alignment of a clip with its case: clip and truth are cut to the window that both show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sora_eval.alignment import bars
from sora_eval.alignment.placement import Pair, Placement, suggested
from sora_eval.types import Alignment, AlignmentKind, Box, Case, Frames, Tracks, Video, Window
from sora_eval.video import resize
from sora_eval.video.caching import clip_cache
from sora_eval.world import conditioning

VERSION = 1
"""Raised whenever a clip is aligned otherwise."""
_SAME = 0.01
"""Residual up to which a frame is the given one where it is: that of a good autoencoder."""
_KEPT = 0.03
"""Residual up to which a place is one in a clip of another aspect ratio or with bars; the best places of other scenes have .1 and more."""
_MOVED = 0.012
"""The same for a shift or a zoom in a clip that fits: resampled true frames stay below .008, later frames of a camera's way have .014 and
more, and are no shift."""
_BETTER = 0.6
"""Share of the residual in place that another place must stay below."""
_STRETCHED = 0.015
"""Difference of two scales, as a share, up to which they are one: sizes are rounded to multiples of 8 or 16."""
_SHIFTED = 0.0075
"""Share of a side up to which an edge is where it should be."""
_LEAST_WINDOW = 0.4
"""Share of the given frame that the window must have: of less, a scene can't be judged."""
_ROUNDED = 0.35
"""Pixels of a mixed row or column at an edge that are left in."""
_SNAP = 0.6
"""Pixels of the given frame within which a window ends at its edge."""


@dataclass(frozen=True)
class Aligned:
    """A clip and its case as they are judged."""

    video: Video
    """The clip, cut to the window."""
    case: Case
    """The case, whose scene shows the window; the same object where that is the whole frame."""
    alignment: Alignment | None
    """How the given frames lie in the clip; None where they were not found in it, and where nothing was given and there are no bars."""

    @property
    def cut(self) -> bool:
        """Whether the window is a part of the case's frame."""
        return "window" in self.case.scene


def align(case: Case, video: Video) -> Aligned:
    """Return a clip and its case cut to the part of the given frames that the clip shows.

    A clip that has the given frames where they belong comes back unchanged, as does one in which they are not found: probes refuse that.
    Where none are to be kept (t2v, edit) bars of one colour are cut off, no more.
    """
    alignment = (
        find(given_frames(case), video, kept_at(case, len(video), video.fps)) if case.keeps else _without_bars(video)
    )
    return applied(case, video, alignment)


def applied(case: Case, video: Video, alignment: Alignment | None) -> Aligned:
    """Return a clip and its case cut as an alignment says."""
    if alignment is None or (alignment.kind == "identity" and alignment.size == video.size):
        return Aligned(video, case, alignment)
    return Aligned(Video(shown(video.frames, alignment), video.fps), windowed(case, alignment), alignment)


def windowed(case: Case, alignment: Alignment | None) -> Case:
    """Return a case whose scene shows the window of an alignment; the case itself where that is the whole frame."""
    window = None if alignment is None else alignment.given
    if window is None or window.box == (0, 0, window.frame[1], window.frame[0]):
        return case
    x0, y0, x1, y1 = window.box
    return replace(case, size=(round(y1 - y0), round(x1 - x0)), scene={**case.scene, "window": window.to_json()})


def shown(frames: Frames, alignment: Alignment) -> Frames:
    """Return the part of a clip's frames [T, H, W, 3] that is judged."""
    x0, y0, x1, y1 = (int(v) for v in alignment.part.box)
    return resize(frames[:, y0:y1, x0:x1], alignment.size)


def true_part(frames: Frames, alignment: Alignment | None) -> Frames:
    """Return the same part of true frames [T, H, W, 3], to whole pixels."""
    if alignment is None or alignment.given is None:
        return frames
    height, width = frames.shape[1:3]
    scale = np.tile([width / alignment.given.frame[1], height / alignment.given.frame[0]], 2)
    x0, y0, x1, y1 = (round(float(v)) for v in np.array(alignment.given.box) * scale)
    return frames[:, max(0, y0) : y1, max(0, x0) : x1]


def in_clip(tracks: Tracks, alignment: Alignment | None) -> Tracks:
    """Return the tracks of the judged part of a clip in pixels of the whole clip, to be drawn over it."""
    if alignment is None:
        return tracks
    return _moved(tracks, (0.0, 0.0, float(tracks.size[1]), float(tracks.size[0])), alignment.part)


def true_in_clip(tracks: Tracks, alignment: Alignment | None) -> Tracks:
    """Return the tracks of the whole true frame in pixels of a clip, to be drawn over it."""
    if alignment is None or alignment.given is None or alignment.kind == "identity":
        return tracks
    return _moved(tracks, alignment.given.box, alignment.part)


def _moved(tracks: Tracks, source: Box, target: Window) -> Tracks:
    """Return tracks with a box of their frame moved to a window of another one."""
    x0, y0, x1, y1 = target.box
    if source == target.box and tracks.size == target.frame:
        return tracks
    low, high = np.array(source[:2]), np.array(source[2:])
    scale = np.array([x1 - x0, y1 - y0]) / (high - low)
    xy = (tracks.xy + 0.5 - low) * scale + [x0, y0] - 0.5
    box = (tracks.box + 0.5 - np.tile(low, 2)) * np.tile(scale, 2) + [x0, y0, x0, y0] - 0.5
    return replace(tracks, xy=xy, box=box, area=tracks.area * scale.prod(), size=target.frame)


def given_frames(case: Case) -> Frames:
    """Return the conditioning frames of a case, uint8 [given, H, W, 3]; all samples and probes of a scene share them."""
    return _given(json.dumps(replace(case, id="any", twin="", seed=0, sample=0).to_json()))


@clip_cache(1 << 26)
def _given(case_json: str) -> Frames:
    frames = conditioning(Case.from_json(json.loads(case_json)))
    assert frames is not None
    return frames


def kept_at(case: Case, frames: int, fps: float) -> list[int]:
    """Return which frames of a clip of `frames` at `fps` must be the given ones, in their order.

    Of a clip of another length, those that are given at the end are counted from its end.
    """
    # Up to the first gap frames count from the beginning, then from the end.
    places = [
        round(k / case.fps * fps) if k == i else frames - 1 - round((case.frames - 1 - k) / case.fps * fps)
        for i, k in enumerate(case.keeps)
    ]
    return [min(max(k, 0), frames - 1) for k in places]


def find(given: Frames, video: Video, at: Sequence[int]) -> Alignment | None:
    """Return how given frames [K, H, W, 3] lie in the frames `at` of a clip, None where they are not found in them.

    Whatever is found has to hold for the first and for the last of them.
    """
    height, width = video.size
    pair = Pair(given[0], video.frames[at[0]])
    whole: Box = (0.0, 0.0, float(width), float(height))
    plain = pair.residual(whole)
    square = abs(np.log((width / height) / (given.shape[2] / given.shape[1]))) <= _STRETCHED
    if pair.blank or (plain <= _SAME and square):
        return _alignment(given, video, Placement(whole, plain))
    x0, y0, x1, y1 = (float(v) for v in bars.content(video.frames))
    boxes = dict.fromkeys(b for c in (whole, (x0, y0, x1, y1)) for b in suggested(given.shape[1:3], c))
    best = pair.best(boxes)
    fits = square and (x0, y0, x1, y1) == whole
    if best is None or not _found(best, plain, whole, square, _MOVED if fits else _KEPT):
        return _alignment(given, video, Placement(whole, plain)) if square and plain <= _KEPT else None
    if not _holds(given, video, at, best.box):
        return None
    return _alignment(given, video, best)


def _found(best: Placement, plain: float, whole: Box, square: bool, most: float) -> bool:
    """Return whether a place is right: it explains the picture, and in a clip of the right aspect much better than no change does."""
    if best.residual > most:
        return False
    sides = np.tile([whole[2], whole[3]], 2)
    off = float(np.abs(np.subtract(best.box, whole) / sides).max())
    return not square or (off > _SHIFTED and best.residual < _BETTER * plain)


def _holds(given: Frames, video: Video, at: Sequence[int], box: Box) -> bool:
    return len(given) == 1 or Pair(given[-1], video.frames[at[-1]]).residual(box) <= 3 * _KEPT


def _alignment(given: Frames, video: Video, place: Placement) -> Alignment | None:
    """Return the alignment of a place, None where the window is too small to judge."""
    (H, W), (height, width) = given.shape[1:3], video.size
    x0, y0, x1, y1 = place.box
    sx, sy = (x1 - x0) / W, (y1 - y0) / H
    low = [int(np.ceil(max(v, 0) - _ROUNDED)) for v in (x0, y0)]
    high = [int(np.floor(min(v, most) + _ROUNDED)) for v, most in ((x1, width), (y1, height))]
    edges = _trimmed(given, video, place.box, (low[0], low[1], high[0], high[1]))
    window = [(edges[0] - x0) / sx, (edges[1] - y0) / sy, (edges[2] - x0) / sx, (edges[3] - y0) / sy]
    window = [0.0 if abs(v) < _SNAP else v for v in window[:2]] + [
        float(most) if abs(v - most) < _SNAP else v for v, most in zip(window[2:], (W, H), strict=True)
    ]
    part = Window((height, width), edges)
    w, h = window[2] - window[0], window[3] - window[1]
    if w * h < _LEAST_WINDOW * W * H or min(edges[2] - edges[0], edges[3] - edges[1]) < 16:
        return None
    stretch = np.log(sx / sy)
    box = (window[0], window[1], window[2], window[3])
    size = _square(edges, w / h) if abs(stretch) > _STRETCHED else (int(edges[3] - edges[1]), int(edges[2] - edges[0]))
    kind = _kind(part.box, (height, width), box, (H, W), video, float(stretch))
    return Alignment(kind, part, Window((H, W), box), size, round(max(0.0, place.residual), 6))


def _trimmed(given: Frames, video: Video, box: Box, edges: tuple[int, int, int, int]) -> Box:
    """Return the edges of a part without bars that lie over the given picture, as of a crop that was padded afterwards."""
    inner = bars.content(video.frames)
    if inner == (0, 0, video.size[1], video.size[0]):
        return edges
    out = list(edges)
    x0, y0, x1, y1 = box
    for side, sign in enumerate((1, 1, -1, -1)):
        if (inner[side] - out[side]) * sign <= 0:
            continue
        strip = [edges[0], edges[1], edges[2], edges[3]]
        strip[(side + 2) % 4] = inner[side]
        bar = video.frames[0, strip[1] : strip[3], strip[0] : strip[2]]
        H, W = given.shape[1:3]
        a, c = (int(np.clip(round((v - x0) / (x1 - x0) * W), 0, W)) for v in (strip[0], strip[2]))
        b, d = (int(np.clip(round((v - y0) / (y1 - y0) * H), 0, H)) for v in (strip[1], strip[3]))
        under = given[0, b:d, a:c]
        # An even sky is even in the given frame too.
        if bar.size and under.size and np.abs(bar.mean(axis=(0, 1)) - np.median(under, axis=(0, 1))).max() > 12:
            out[side] = inner[side]
    return out[0], out[1], out[2], out[3]


def _square(edges: Box, aspect: float) -> tuple[int, int]:
    """Return the size (height, width) of a stretched part with the aspect ratio of its window; the longer side in question grows."""
    width, height = edges[2] - edges[0], edges[3] - edges[1]
    return (
        (round(height), round(height * aspect)) if height * aspect >= width else (round(width / aspect), round(width))
    )


def _kind(
    part: Box, frame: tuple[int, int], window: Box, given: tuple[int, int], video: Video, stretch: float
) -> AlignmentKind:
    inside = part != (0, 0, frame[1], frame[0])
    cut = window != (0, 0, given[1], given[0])
    if not inside and not cut:
        return "resize" if abs(stretch) > _STRETCHED else "identity"
    if abs(stretch) > _STRETCHED:
        return "resize"
    if inside and not cut:
        before, after = part[0] + part[1], frame[1] - part[2] + frame[0] - part[3]
        barred = bars.content(video.frames) != (0, 0, frame[1], frame[0])
        one_way = part[0] + frame[1] - part[2] == 0 or part[1] + frame[0] - part[3] == 0
        return "letterbox" if barred and one_way and abs(before - after) <= 2 else "pad"
    if inside:
        return "shift"
    same = abs(np.log(frame[1] * given[0] / (frame[0] * given[1]))) <= _STRETCHED
    return "zoom" if same else "crop"


def _without_bars(video: Video) -> Alignment | None:
    height, width = video.size
    edges = bars.letterbox(video.frames)
    if edges == (0, 0, width, height):
        return None
    x0, y0, x1, y1 = edges
    return Alignment("letterbox", Window((height, width), edges), None, (y1 - y0, x1 - x0), 0.0)
