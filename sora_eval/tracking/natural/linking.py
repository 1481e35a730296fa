"""Boxes of a detector linked over time, by overlap and look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from sora_eval.tracking.natural.detector import Detection
from sora_eval.types import Box, Floats, Frames

_BEGINS = 0.3
"""Least score of the surest box of a track."""
_LEAST = 2
"""Boxes of a track, at least; one alone is a slip."""
_LOST_S = 1.5
"""Seconds after which a track is not taken up again."""
_LINKED = 0.75
"""Largest cost of a link: 1 less overlap, distance and look count half each."""


@dataclass
class Track:
    """An object followed through some frames."""

    label: str
    """Its class."""
    boxes: dict[int, Box] = field(default_factory=dict)
    """Its box by frame."""
    scores: dict[int, float] = field(default_factory=dict)
    """The detector's score by frame."""
    look: Floats = field(default_factory=lambda: np.zeros(0))
    """Its colours when last seen, a histogram."""

    def predicted(self, frame: int) -> Floats:
        """Return the box [4] to be expected in a frame, moved on with the speed of the last two boxes."""
        last = sorted(self.boxes)[-2:]
        box = np.array(self.boxes[last[-1]])
        if len(last) < 2:
            return box
        speed = (box - np.array(self.boxes[last[0]])) / (last[1] - last[0])
        # A box's size jitters more than its place: both sides move alike.
        way = np.tile((speed[:2] + speed[2:]) / 2, 2)
        return np.asarray(box + way * min(frame - last[1], 3 * (last[1] - last[0])))


def link(
    frames: Frames, found: Mapping[int, Sequence[Detection]], fps: float, begins: float = _BEGINS, least: int = _LEAST
) -> list[Track]:
    """Return the tracks of detections, {frame number: detections}, label by label, the longest first.

    Args:
        frames: uint8 [T, H, W, 3].
        found: detections by frame.
        fps: frames per second.
        begins: least score of the surest box of a track.
        least: boxes of a track, at least.

    """
    tracks: list[Track] = []
    for k in sorted(found):
        looks = [_look(frames[k], d.box) for d in found[k]]
        live = [t for t in tracks if k - max(t.boxes) <= _LOST_S * fps]
        cost = np.array(
            [[_cost(t, k, d, look) for d, look in zip(found[k], looks, strict=True)] for t in live]
        ).reshape(len(live), len(looks))
        taken = set()
        for i, j in zip(*(index.tolist() for index in linear_sum_assignment(cost)), strict=True):
            if cost[i, j] <= _LINKED:
                _add(live[i], k, found[k][j], looks[j])
                taken.add(j)
        for j, detection in enumerate(found[k]):
            if j not in taken:
                track = Track(detection.label)
                _add(track, k, detection, looks[j])
                tracks.append(track)
    kept = [t for t in tracks if len(t.boxes) >= least and max(t.scores.values()) >= begins]
    return sorted(kept, key=lambda t: -len(t.boxes))


def filled(track: Track, frames: int, step: int) -> Floats:
    """Return the boxes [T, 4] of a track, NaN where it isn't seen; interpolated between looked-at frames at most two steps apart."""
    box = np.full((frames, 4), np.nan)
    seen = sorted(track.boxes)
    for a, b in zip(seen, [*seen[1:], seen[-1]], strict=True):
        box[a] = track.boxes[a]
        if 1 < b - a <= 2 * step:
            share = (np.arange(a + 1, b) - a)[:, None] / (b - a)
            box[a + 1 : b] = (1 - share) * np.array(track.boxes[a]) + share * np.array(track.boxes[b])
    return box


def _add(track: Track, k: int, detection: Detection, look: Floats) -> None:
    track.boxes[k], track.scores[k] = detection.box, detection.score
    track.look = look if not len(track.look) else 0.8 * track.look + 0.2 * look


def _look(frame: Frames, box: Box) -> Floats:
    """Return a histogram [96] of hue and saturation, and of brightness, in the middle of a box, of sum 1."""
    x0, y0, x1, y1 = (round(v) for v in box)
    dx, dy = (x1 - x0) // 6, (y1 - y0) // 6
    part = frame[max(y0 + dy, 0) : max(y1 - dy, y0 + dy + 1), max(x0 + dx, 0) : max(x1 - dx, x0 + dx + 1)]
    if not part.size:
        return np.full(96, 1 / 96)
    hsv = cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2HSV)
    colours = cv2.calcHist([hsv], [0, 1], None, [16, 5], [0, 180, 0, 256]).ravel()
    bright = cv2.calcHist([hsv], [2], None, [16], [0, 256]).ravel()
    both = np.concatenate([colours, bright])
    return np.asarray(both / both.sum(), dtype=np.float64)


def _cost(track: Track, k: int, detection: Detection, look: Floats) -> float:
    if track.label != detection.label:
        return 10.0
    a, b = track.predicted(k), np.array(detection.box)
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = float(np.prod(np.maximum(sides, 0)))
    either = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - common
    away = float(np.linalg.norm((a[:2] + a[2:] - b[:2] - b[2:]) / 2) / max(np.sqrt(np.prod(b[2:] - b[:2])), 1.0))
    if away > 1.5:
        return 10.0
    unlike = 1 - float(np.minimum(track.look, look).sum()) / float(look.sum())
    return 0.5 * (1 - common / max(either, 1e-6)) + 0.25 * away + 0.5 * unlike
