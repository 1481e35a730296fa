"""The world-tier tracker: finds and links saturated objects by hue, in clean, blurred, noisy and compressed clips alike.

No weights and no knowledge of the scene: every pixel votes for one of the palette's eight hues with a soft weight, so that
centroids and areas are sub-pixel even at 64 x 64. Objects of one colour are linked by SciPy's assignment, and found again after any
gap. What is not in the palette is background, and so is what has a colour but lies all along the frame: a blue sky, a wooden floor.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sora_eval.tracking.base import HUE_VERSION, WORLD
from sora_eval.tracking.surroundings import (
    SATURATED,
    Ground,
    boundaries,
    ground,
    hues,
    nearest_hue,
    neutral,
    saturations,
)
from sora_eval.types import Case, Floats, Frames, Tracks, Video
from sora_eval.world.palette import COLOURS

_WORK_SIDE = 160
"""Frames whose shorter side is longer than this are shrunk for tracking; results are given in the original pixels."""
_DARK = 24.0
_THINNEST = 1.4
_MIN_AREA_SHARE = 7e-4
_PALE = 0.8
"""Weight below which a pixel has not the full colour of an object."""
_STRIP_SHARE, _GROUND_SHARE = 0.06, 0.12
"""From these shares of the frame on, a blob from the left to the right border, or at two borders or more, is background."""
_CORE = 0.4
"""Weight from which on a pixel belongs to an object's core."""
_TOWARDS = 0.2
"""By how much of the angle between two hues a part in shadow differs from the colour that it seems to have, towards its object's."""
_CONTACT = 0.25
"""Share of a piece's rim along which it must touch the object that it is a part of."""
_ATTACHED, _PART = 0.9, 0.35
"""Share of its frames in which a part touches its object, and of the object's area that it has at most."""
_SAME_PLACE = 0.3
"""Share of the smaller of two boxes in the other from which on two pieces are of one object; things side by side share some .1."""
_STILL = 0.03
"""A track that never leaves a square of this share of the shorter side stays where it is."""
_DESCRIPTORS = ("extent", "aspect", "taper", "solidity", "spread", "shade", "edge")


_NAMES = tuple(COLOURS)
_HUE, _SAT = hues(), saturations()
_PLAIN = np.full(len(_NAMES), SATURATED)


@dataclass(frozen=True)
class WorldTracker:
    """The tracker of the world's saturated objects."""

    name: ClassVar[str] = WORLD
    version: ClassVar[int] = HUE_VERSION
    fingerprint: ClassVar[str] = ""

    def track(self, video: Video, case: Case | None = None) -> Tracks:
        """Return the tracks of all coloured objects of a clip, whatever the case."""
        return track(video, () if case is None else named_colours(case.prompt))


@dataclass
class _Blob:
    """One connected piece of one colour in one frame, in working pixels."""

    xy: tuple[float, float]
    """Centroid."""
    area: float
    """Soft area."""
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1."""
    shape: dict[str, float]
    """Silhouette descriptors, of _DESCRIPTORS."""


@dataclass
class _Track:
    colour: int
    blobs: dict[int, _Blob] = field(default_factory=dict)

    def predict(self, frame: int) -> Floats:
        """Return where it should be: constant velocity over at most three frames, then it waits."""
        seen = sorted(self.blobs)
        last = np.array(self.blobs[seen[-1]].xy)
        if len(seen) < 2 or seen[-1] - seen[-2] > 1:
            return last
        step = last - np.array(self.blobs[seen[-2]].xy)
        return np.asarray(last + step * min(frame - seen[-1], 3))


def named_colours(prompt: str) -> tuple[str, ...]:
    """Return the colours of the palette that a prompt names."""
    words = set(re.findall(r"\w+", prompt.lower()))
    return tuple(name for name in _NAMES if name in words)


def track(video: Video, named: Collection[str] = ()) -> Tracks:
    """Return the tracks of all coloured objects of a clip; none when nothing coloured is in it.

    Colours are seen in white light (`neutral`), and separated from the clip's own ground (`ground`). named: the colours of the prompt, ()
    where there is none: a piece of another colour that touches one of these, next to it in hue, is a part of it in shadow or in another
    light.
    """
    frames, scale = _working(neutral(video).frames)
    around = ground(frames)
    wanted = np.array([name in named for name in _NAMES])
    around = replace(around, boundary=boundaries(frames, around, wanted))
    blobs = [_detect(f, around, wanted) for f in frames]
    blobs = _without_specks(blobs)
    tracks: list[_Track] = []
    for c in range(len(_NAMES)):
        tracks += _link(c, [b[c] for b in blobs])
    tracks = [t for t in tracks if len(t.blobs) >= min(2, len(frames))]
    tracks = [t for t in tracks if not (around.present[t.colour] and _is_attached(t, tracks))]
    tracks = [t for t in tracks if not (around.like[t.colour] and _is_fragment(t, tracks))]
    tracks.sort(key=lambda t: (-len(t.blobs), t.colour, min(t.blobs)))
    there = [_is_ground(t, len(frames), frames.shape[1:3]) or bool(around.present[t.colour]) for t in tracks]
    lost = tuple(name for name, like in zip(_NAMES, around.like, strict=True) if like)
    return replace(_pack(tracks, video, scale), ground=np.array(there, dtype=bool), ground_colours=lost)


def _is_attached(track: _Track, others: Sequence[_Track]) -> bool:
    """Return whether a track is but a part of another one's object, on which the ground is reflected: never seen apart from it.

    It is a small part, or its hue is next to that of the object, with which it overlaps, and the thing of its colour is elsewhere.
    """
    elsewhere = any(o is not track and o.colour == track.colour and len(o.blobs) >= len(track.blobs) for o in others)
    for other in others:
        shared = [k for k in track.blobs if k in other.blobs]
        if other.colour == track.colour or len(shared) < _ATTACHED * len(track.blobs):
            continue
        pairs = [(track.blobs[k], other.blobs[k]) for k in shared]
        part = np.median([a.area / b.area for a, b in pairs]) < _PART
        if elsewhere and (track.colour - other.colour) % len(_NAMES) in (1, len(_NAMES) - 1):
            part = part or np.median([_overlap(a.box, b.box) for a, b in pairs]) >= _SAME_PLACE
        if part and np.mean([_touch(a.box, b.box) for a, b in pairs]) >= _ATTACHED:
            return True
    return False


def _is_fragment(track: _Track, others: Sequence[_Track]) -> bool:
    """Return whether a track of the ground's colour is small beside another one: a bright leaf beside the ball."""
    area = np.median([b.area for b in track.blobs.values()])
    largest = max(np.median([b.area for b in t.blobs.values()]) for t in others if t.colour == track.colour)
    return bool(area < _PART * largest)


def _touch(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] <= b[2] + 1 and b[0] <= a[2] + 1 and a[1] <= b[3] + 1 and b[1] <= a[3] + 1


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Return the share of the smaller of two boxes that lies in the other."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return max(0.0, width) * max(0.0, height) / smaller


def _is_ground(track: _Track, frames: int, size: tuple[int, ...]) -> bool:
    """Return whether a track is there from the first frame to the last, and stays where it is."""
    xy = np.array([blob.xy for blob in track.blobs.values()])
    still = float(np.ptp(xy, axis=0).max()) <= _STILL * min(size)
    return still and 0 in track.blobs and frames - 1 in track.blobs


def membership(frame: Frames, around: Ground | None = None) -> tuple[NDArray[np.int64], Floats]:
    """Return the palette index [H, W] of the nearest hue, and the soft weight [H, W] in 0..1 with which a pixel has it.

    around: the clip's ground, None for a pale one.
    """
    f: NDArray[np.float32] = frame.astype(np.float32)
    noise = _noise(f)
    if noise > 3.0:
        f = np.asarray(cv2.GaussianBlur(f, (0, 0), min(0.35 + noise / 18, 1.6)), np.float32)
    hsv = cv2.cvtColor(np.ascontiguousarray(f / 255), cv2.COLOR_RGB2HSV)
    hue = np.asarray(hsv[..., 0], dtype=np.float64)
    index = nearest_hue(hue) if around is None else around.nearest(hue)
    # Half of the colour's own saturation is half covered: a mixed edge pixel counts for its share.
    least = _PLAIN[index] if around is None else around.least[index]
    pale = 0.5 * least
    weight = np.clip((hsv[..., 1] - pale) / (0.85 * _SAT[index] - pale), 0, 1)
    weight[(hsv[..., 1] < least) | (f.max(axis=-1) < _DARK)] = 0
    if around is not None:
        weight[around.hides(index, np.asarray(hsv, dtype=np.float64))] = 0
    return index, weight.astype(float)


def _noise(f: NDArray[np.float32]) -> float:
    """Return the standard deviation of pixel noise (Immerkaer 1996), by medians so that edges don't count."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return float(np.median(np.abs(cv2.filter2D(f.mean(axis=-1), -1, kernel))) / 0.6745 / 6 * np.sqrt(3))


def _working(frames: Frames) -> tuple[Frames, float]:
    height, width = frames.shape[1:3]
    scale = min(1.0, _WORK_SIDE / min(height, width))
    if scale == 1.0:
        return frames, 1.0
    size = (round(width * scale), round(height * scale))
    return np.array([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames]), scale


def _detect(frame: Frames, around: Ground, wanted: NDArray[np.bool_]) -> list[list[_Blob]]:
    index, weight = membership(frame, around)
    weight = _without_pale_ground(index, weight)
    index = _joined(frame, index, weight, wanted, around)
    value = frame.max(axis=-1).astype(float)
    least = max(3.0, _MIN_AREA_SHARE * weight.size)
    out: list[list[_Blob]] = []
    for c in range(len(_NAMES)):
        w = np.where(index == c, weight, 0.0)
        core = (w > _CORE).astype(np.uint8)
        pieces: list[_Blob] = []
        if core.sum() >= least:
            count, labels, stats, _ = cv2.connectedComponentsWithStats(core, connectivity=8)
            for i in range(1, count):
                if stats[i, cv2.CC_STAT_AREA] < least:
                    continue
                blob = _blob(labels == i, w, value, stats[i])
                # The rim between two objects mixes to a third hue, in strips about one pixel wide.
                thick = blob.area / max(blob.box[2] - blob.box[0], blob.box[3] - blob.box[1]) > _THINNEST
                if thick and not _is_background(stats[i], core.shape):
                    pieces.append(blob)
        out.append(pieces)
    return out


def _joined(
    frame: Frames, index: NDArray[np.int64], weight: Floats, wanted: NDArray[np.bool_], around: Ground
) -> NDArray[np.int64]:
    """Return the colours [H, W] with pieces of colours that nobody named joined to the named one that they touch, next to it in hue."""
    joined = index
    for c in map(int, np.flatnonzero(~wanted & ~around.present)):
        beside = [n for n in ((c - 1) % len(_NAMES), (c + 1) % len(_NAMES)) if wanted[n]]
        if not beside:
            continue
        core = ((index == c) & (weight > _CORE)).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(core, connectivity=8)
        for i in range(1, count):
            x, y, dx, dy, area = (int(v) for v in stats[i])
            # Thin rims are between two objects, and belong to neither.
            if area / max(dx, dy) <= _THINNEST:
                continue
            near = (slice(max(0, y - 1), y + dy + 1), slice(max(0, x - 1), x + dx + 1))
            piece = labels[near] == i
            rim = cv2.dilate(piece.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & ~piece
            touching = [int((rim & (index[near] == n) & (weight[near] > _CORE)).sum()) for n in beside]
            host = beside[int(np.argmax(touching))]
            # A coloured ground shines on objects: there the hue of a part says less.
            if max(touching) >= _CONTACT * rim.sum() and (
                around.present.any() or _between(_hues_of(frame[near])[piece], c, host)
            ):
                joined = joined.copy() if joined is index else joined
                joined[near][piece] = host
    return joined


def _hues_of(image: Frames) -> Floats:
    """Return the hue of each pixel [H, W] in degrees."""
    return np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)[..., 0], dtype=np.float64)


def _between(hue: Floats, own: int, host: int) -> bool:
    """Return whether a piece's hues, in degrees, lie towards another colour: an object of its own has its colour's full hue."""
    off = (np.median((hue - _HUE[own] + 180) % 360) - 180) * np.sign((_HUE[host] - _HUE[own] + 180) % 360 - 180)
    gap = abs((_HUE[host] - _HUE[own] + 180) % 360 - 180)
    return bool(off >= _TOWARDS * gap)


def _without_pale_ground(index: NDArray[np.int64], weight: Floats) -> Floats:
    """Return the weights [H, W] less those of a pale sky or floor; its hue may lie between two of the palette's.

    Only what is paler than an object is taken, so that an object of a like hue before it stays.
    """
    pale = (weight > 0) & (weight < _PALE)
    for c in range(len(_NAMES)):
        pair = pale & ((index == c) | (index == (c + 1) % len(_NAMES)))
        if pair.sum() <= _STRIP_SHARE * weight.size:
            continue
        count, labels, stats, _ = cv2.connectedComponentsWithStats(pair.astype(np.uint8), connectivity=8)
        ground = [i for i in range(1, count) if _is_background(stats[i], weight.shape)]
        weight = np.where(np.isin(labels, ground), 0.0, weight)
    return weight


def _is_background(stats: NDArray[np.int32], size: tuple[int, ...]) -> bool:
    """Return whether a piece is a coloured sky, floor or wall of the room: large, and cut off by the frame on several sides."""
    x, y, dx, dy, area = (int(v) for v in stats)
    height, width = size
    share = area / (height * width)
    left, right, top, bottom = x == 0, x + dx == width, y == 0, y + dy == height
    return (left and right and share > _STRIP_SHARE) or (left + right + top + bottom >= 2 and share > _GROUND_SHARE)


def _blob(inside: NDArray[np.bool_], w: Floats, value: Floats, stats: NDArray[np.int32]) -> _Blob:
    height, width = inside.shape
    x, y, dx, dy = (int(v) for v in stats[:4])
    # The soft rim of an object lies one pixel outside its core.
    y0, y1, x0, x1 = max(0, y - 1), min(height, y + dy + 1), max(0, x - 1), min(width, x + dx + 1)
    core = inside[y0:y1, x0:x1]
    near = cv2.dilate(core.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    part = np.where(near, w[y0:y1, x0:x1], 0.0)
    area = float(part.sum())
    ys, xs = np.mgrid[y0:y1, x0:x1]
    cx, cy = float((part * xs).sum() / area), float((part * ys).sum() / area)
    rows, cols = part.sum(axis=1), part.sum(axis=0)
    hull = cv2.convexHull(np.argwhere(core)[:, ::-1].astype(np.int32))
    hull_area = cv2.contourArea(hull) + cv2.arcLength(hull, True) / 2 + 1
    third = max(1, len(rows) // 3)
    var_x = float((part * (xs - cx) ** 2).sum() / area)
    var_y = float((part * (ys - cy) ** 2).sum() / area)
    lit = value[y0:y1, x0:x1][core]
    extent_w, extent_h = _soft_length(cols), _soft_length(rows)
    shape = {
        "extent": area / (extent_w * extent_h),
        "aspect": extent_h / extent_w,
        "taper": float(rows[:third].mean() / max(rows[-third:].mean(), 1e-6)),
        "solidity": float(core.sum() / hull_area),
        "spread": float(np.sqrt(var_x + var_y)),
        "shade": float(lit.std() / max(lit.mean(), 1.0)),
        "edge": float(x == 0 or y == 0 or x + dx == width or y + dy == height),
    }
    return _Blob((cx, cy), area, (x - 0.5, y - 0.5, x + dx - 0.5, y + dy - 0.5), shape)


def _soft_length(profile: Floats) -> float:
    """Return the length of a profile with its two ends counted by their share of the neighbour's weight."""
    full = np.flatnonzero(profile > 0.5)
    if len(full) == 0:
        return 1.0
    a, b = full[0], full[-1]
    ends = 0.0
    for i, inner in ((a - 1, a), (b + 1, b)):
        if 0 <= i < len(profile):
            ends += float(np.clip(profile[i] / max(profile[inner], 1e-6), 0, 1))
    return float(b - a + 1) + ends


def _without_specks(blobs: list[list[list[_Blob]]]) -> list[list[list[_Blob]]]:
    """Drop pieces that are tiny beside their colour's usual size: rims between two objects take a third colour's hue."""
    for c in range(len(_NAMES)):
        largest = [max(b.area for b in f[c]) for f in blobs if f[c]]
        if not largest:
            continue
        least = 0.05 * float(np.quantile(largest, 0.9))
        for f in blobs:
            f[c] = [b for b in f[c] if b.area >= least]
    return blobs


def _link(colour: int, frames: list[list[_Blob]]) -> list[_Track]:
    tracks: list[_Track] = []
    for k, blobs in enumerate(frames):
        if not blobs:
            continue
        taken: set[int] = set()
        if tracks:
            guess = np.array([t.predict(k) for t in tracks])
            there = np.array([b.xy for b in blobs])
            cost = np.linalg.norm(guess[:, None] - there[None], axis=2)
            last = np.array([t.blobs[max(t.blobs)].area for t in tracks])
            area = np.array([b.area for b in blobs])
            # A piece of very different size is a worse match than a whole object a little farther away.
            cost += 0.5 * np.sqrt(last)[:, None] * np.abs(np.log(area[None] / last[:, None]))
            # A track that was lost long ago waits behind one that was seen just now.
            cost += np.array([min(k - max(t.blobs) - 1, 4) for t in tracks])[:, None]
            for i, j in zip(*linear_sum_assignment(cost), strict=True):
                tracks[i].blobs[k] = blobs[j]
                taken.add(int(j))
        tracks += [_Track(colour, {k: b}) for j, b in enumerate(blobs) if j not in taken]
    return tracks


def _pack(tracks: list[_Track], video: Video, scale: float) -> Tracks:
    n, frames = len(tracks), len(video)
    xy, box = np.full((n, frames, 2), np.nan), np.full((n, frames, 4), np.nan)
    area, visible = np.zeros((n, frames)), np.zeros((n, frames), dtype=bool)
    shape = {name: np.full((n, frames), np.nan) for name in _DESCRIPTORS}
    half = 0.5 * (1 - scale) / scale
    for i, t in enumerate(tracks):
        for k, b in t.blobs.items():
            # Pixel centres: the shrunk pixel 0 covers the original pixels 0 .. 1/scale - 1.
            xy[i, k] = np.array(b.xy) / scale + half
            box[i, k] = np.array(b.box) / scale + half
            area[i, k], visible[i, k] = b.area / scale**2, True
            for name in _DESCRIPTORS:
                shape[name][i, k] = b.shape[name] / (scale if name == "spread" else 1)
    colours = tuple(_NAMES[t.colour] for t in tracks)
    return Tracks(colours, xy, visible, area, box, video.size, video.fps, shape)
