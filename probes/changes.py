"""Measurements of state changes on a clip: pixels by colour, arrivals, order and permanence of a change."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.base import UnjudgeableError
from sora_eval.tracking.world import membership
from sora_eval.types import Bools, Floats, Tracks, Video
from sora_eval.world.families.params import SIGN, Side
from sora_eval.world.palette import COLOURS

_SIDE = 96
"""Frames whose shorter side is longer than this are shrunk before their pixels are read."""


@dataclass(frozen=True)
class Pixels:
    """The clip's pixels by colour."""

    weight: dict[str, Floats]
    """Soft weights [T, h, w] of each colour, 0 to 1."""
    neutral: Floats
    """Mean brightness [T] of the pixels without a colour, 0 to 255."""
    scale: float
    """Pixels here per pixel of the clip."""


def pixels(video: Video, *colours: str) -> Pixels:
    """Return the pixels of the given colours, frame by frame."""
    height, width = video.size
    scale = min(1.0, _SIDE / min(height, width))
    size = (round(width * scale), round(height * scale))
    names = list(COLOURS)
    weight: dict[str, list[Floats]] = {c: [] for c in colours}
    neutral = []
    for frame in video.frames:
        small = frame if scale == 1.0 else cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        index, w = membership(np.asarray(small, dtype=np.uint8))
        for c in colours:
            weight[c].append(_firm(np.where(index == names.index(c), w, 0.0)))
        plain = small[w == 0]
        neutral.append(float(plain.mean()) if len(plain) else 0.0)
    return Pixels({c: np.array(w) for c, w in weight.items()}, np.array(neutral), scale)


def _firm(weight: Floats) -> Floats:
    """Return a colour's weights [h, w] where there is something of it, two pixels wide at least, and a pixel around.

    In warm light a sandy floor is a little orange, and so is the edge of yellow paint: little in a pixel, as much as a glass in all.
    """
    solid = cv2.morphologyEx((weight > 0.4).astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    return np.where(cv2.dilate(solid, np.ones((3, 3), np.uint8)) > 0, weight, 0.0)


def uncovered(weight: Floats) -> Bools:
    """Return where a colour [T, h, w] is not, by a pixel at least."""
    return np.array([cv2.dilate((w > 0.2).astype(np.uint8), np.ones((3, 3), np.uint8)) == 0 for w in weight])


@dataclass(frozen=True)
class Change:
    """Scores of a change, 0 to 1 each."""

    happened: float
    """It came at all."""
    ordered: float
    """It did not come before its cause."""
    prompt: float
    """It came soon after its cause."""
    kept: float
    """It was never undone."""

    @property
    def value(self) -> float:
        """The product: one part missing is no change of state."""
        return self.happened * self.ordered * self.prompt * self.kept


def read_change(done: Floats, clear: Bools, cause: int, fps: float, slack_s: float = 0.0) -> Change:
    """Return the scores of a change from its degree in every frame.

    Source: order of cause and effect, and monotone fraction without reversal, as in METRICS.md, "State change".

    done: [T] 0 not at all, 1 fully; read where it is clear to see (clear [T]).
    cause: the first frame in which the cause is there.
    slack_s: seconds that the change may take of itself.
    """
    frames = np.arange(len(done))
    after, before = frames[clear & (frames >= cause)], frames[clear & (frames < cause)]
    if len(after) < 2 or len(before) < 1:
        raise UnjudgeableError("the change is not to be seen clearly both before and after its cause")
    level = done[after]
    peak = float(np.quantile(level, 0.8))
    happened = 1 - helpers.ramp_score(peak, 0.2, 0.6)
    early = before[done[before] >= 0.5]
    lead = float(cause - early[0]) if len(early) else 0.0
    # Half a frame and one and a quarter at 8 frames per second, and as long in seconds where there are more.
    good, most = max(0.5, 0.0625 * fps), max(1.25, 0.15625 * fps) + 0.03 * len(done)
    on = after[level >= 0.5 * max(peak, 0.2)]
    if not len(on):
        return Change(0.0, helpers.ramp_score(lead, good, most), 0.0, 0.0)
    # The delay counts from the first frame in which the change could have been seen.
    lag = float(on[0] - after[0]) - (slack_s + 0.05) * fps
    since = np.minimum(done[after[after >= on[0]]] / max(peak, 1e-6), 1)
    # What still grows is not undone: only what falls back from where it had come to.
    fallen = float((np.maximum.accumulate(since) - since).mean())
    undone = max(fallen, 0.5 * (1 - float(np.median(since[-2:]))))
    return Change(
        happened,
        helpers.ramp_score(lead, good, most),
        helpers.ramp_score(lag, good, most),
        helpers.ramp_score(undone, 0.06, 0.3),
    )


def steady(tracks: Tracks, i: int, which: Bools) -> float:
    """Return the score of a constant position and size of a track in the frames `which` [T], 0 to 1."""
    if which.sum() < 2:
        return 0.0
    width = float(np.sqrt(np.median(tracks.area[i][which])))
    place = tracks.xy[i][which]
    moved = float(np.quantile(np.linalg.norm(place - np.median(place, axis=0), axis=1), 0.9)) / width
    grown = float(np.quantile(np.abs(np.log(tracks.area[i][which] / width**2)), 0.9))
    return helpers.ramp_score(moved, 0.15, 0.6) * helpers.ramp_score(grown, 0.25, 0.7)


def near(box: Floats, place: Floats, gap: float) -> Bools:
    """Return the frames [T] in which boxes [T, 4] (x0, y0, x1, y1) come within `gap` pixels of a place: one [4], or one per frame [T, 4].

    False where either is NaN.
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(
            (box[:, 2] + gap >= place[..., 0])
            & (box[:, 0] - gap <= place[..., 2])
            & (box[:, 3] + gap >= place[..., 1])
            & (box[:, 1] - gap <= place[..., 3])
        )


def arrival(tracks: Tracks, i: int, touch: Bools, place: Floats, side: Side, what: str) -> int:
    """Return the first frame in which a track touches a place [4], having come from the named side.

    Raises:
        UnjudgeableError: it never touches the place, is there from the start, or comes from elsewhere.
    """
    if not touch.any():
        raise UnjudgeableError(f"the {what} never arrived")
    first = int(np.flatnonzero(touch)[0])
    seen = np.flatnonzero(tracks.visible[i][:first])
    if not len(seen):
        raise UnjudgeableError(f"the {what} was not seen on its way")
    middle = float(place[0] + place[2]) / 2
    x = tracks.xy[i, :, 0]
    if (x[seen[0]] - middle) * SIGN[side] < 0.25 * float(place[2] - place[0]):
        raise UnjudgeableError(f"the {what} did not come from the {side}")
    return first


def registered(whole: Floats, other: Floats) -> Floats:
    """Return a map [h, w] shifted by whole pixels to lie over `whole` best: a shift alone is no change."""
    reach = 4
    padded = cv2.copyMakeBorder(other.astype(np.float32), reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
    fit = cv2.matchTemplate(padded, whole.astype(np.float32), cv2.TM_CCORR)
    fit[reach, reach] *= 1.001
    _, _, _, (x, y) = cv2.minMaxLoc(fit)
    height, width = whole.shape
    return np.asarray(padded[y : y + height, x : x + width], dtype=float)


def largest(mask: Bools) -> Bools:
    """Return the largest connected part of a mask."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return np.zeros_like(mask)
    return np.asarray(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))


def centroid(weight: Floats) -> Floats:
    """Return the centre (x, y) of a map [h, w]."""
    ys, xs = np.mgrid[: weight.shape[0], : weight.shape[1]]
    return np.asarray(np.array([(weight * xs).sum(), (weight * ys).sum()]) / weight.sum())


@dataclass(frozen=True)
class Heap:
    """All of one colour, frame by frame [T], in working pixels."""

    seen: Bools
    """Whether there is any."""
    x: Floats
    """Its middle along x."""
    low: Floats
    """Its lowest row."""
    height: Floats
    """Its vertical extent."""
    spread: Floats
    """Root of its variance along x and y."""
    area: Floats
    """The sum of its soft weights."""
    fill: Floats
    """The share of its convex hull that it covers."""


def heap_of(maps: Floats) -> Heap:
    """Return what maps [T, h, w] show, frame by frame."""
    area = maps.sum(axis=(1, 2))
    seen = area > 8
    safe = np.where(seen, area, 1.0)
    cols, rows = maps.sum(axis=1), maps.sum(axis=2)
    xs, ys = np.arange(maps.shape[2]), np.arange(maps.shape[1])
    x = (cols * xs).sum(axis=1) / safe
    y = (rows * ys).sum(axis=1) / safe
    spread = np.sqrt(((cols * (xs - x[:, None]) ** 2).sum(axis=1) + (rows * (ys - y[:, None]) ** 2).sum(axis=1)) / safe)
    share = np.cumsum(rows, axis=1) / safe[:, None]
    low = np.array([float(np.interp(0.97, s, ys)) for s in share])
    high = np.array([float(np.interp(0.03, s, ys)) for s in share])
    fill = np.array([_fill(m) for m in maps])
    return Heap(seen, x, low, low - high, spread, area, fill)


def _fill(weight: Floats) -> float:
    core = np.argwhere(weight > 0.4)[:, ::-1].astype(np.int32)
    if len(core) < 3:
        return 0.0
    hull = cv2.convexHull(core)
    # Pixels have an extent: the hull of their centres is half a pixel short all around.
    return float(len(core) / (cv2.contourArea(hull) + cv2.arcLength(hull, True) / 2 + 1))


def foot_of(weight: Floats) -> Floats:
    """Return the middle along x of the lowest quarter of a colour [T], NaN where there is none."""
    rows = weight.sum(axis=2)
    below = np.cumsum(rows[:, ::-1], axis=1)[:, ::-1]
    total = np.maximum(below[:, :1], 1e-6)
    low = weight * (below <= 0.25 * total)[:, :, None]
    mass = low.sum(axis=(1, 2))
    x = (low.sum(axis=1) * np.arange(weight.shape[2])).sum(axis=1) / np.maximum(mass, 1e-6)
    return np.asarray(np.where(mass > 0.5, x, np.nan))


def stroke_parts(columns: Floats, way: float, foot: Floats, first: int, arrive: int, travel: float) -> dict[str, float]:
    """Return how a stroke grows and lasts.

    columns: [T, w] how far each column is painted, 0..1. foot: [T] the brush along its way (x times `way`), pixels.
    first, arrive: frames between which the brush is on its way; travel: how far it goes, pixels.
    """
    xs = way * np.arange(columns.shape[1])
    painted = columns > 0.45
    front = np.array([float(xs[c].max()) if c.any() else np.nan for c in painted])
    busy = np.arange(first, arrive + 1)
    # The paint meets the canvas a little off the handle's lower end: the end of the stroke gives the offset.
    offset = float(np.clip(np.nan_to_num(front[arrive] - foot[arrive]), -0.1 * travel, 0.15 * travel))
    ahead = np.nan_to_num((front - foot)[busy] - offset, nan=0.0) / travel
    way_gone = foot[busy] - foot[first]
    gaps = []
    for k in busy[way_gone > 0.3 * travel]:
        behind = (xs >= foot[first] + offset) & (xs <= foot[k] + offset)
        gaps.append(1 - float(painted[k][behind].mean()) if behind.any() else 1.0)
    mass = columns.sum(axis=1)
    since = mass[arrive:]
    peak = max(float(np.quantile(since, 0.8)), 1e-6)
    length = float(np.quantile(painted[arrive:].sum(axis=1), 0.8)) / travel
    lost = max(1 - float(np.median(since[-2:])) / peak, 2 * (1 - float(np.minimum(since / peak, 1).mean())))
    return {
        "happened": 1 - helpers.ramp_score(length, 0.4, 0.75),
        "not_ahead": helpers.ramp_score(float(np.quantile(ahead, 0.9)), 0.1, 0.35),
        "follows": helpers.ramp_score(float(np.median(gaps)) if gaps else 1.0, 0.2, 0.6),
        "kept": helpers.ramp_score(lost, 0.12, 0.4),
    }
