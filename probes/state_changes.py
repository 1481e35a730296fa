"""State changes: what was done to a thing comes with its cause, where the cause is, and stays done."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.base import Draft, Probe, UnjudgeableError, Verdict, family_draft
from sora_eval.tracking.world import membership
from sora_eval.types import Bools, Case, Floats, Tracks, Video
from sora_eval.world.families import bite, brush, candle, shatter
from sora_eval.world.palette import COLOURS

_SIDE = 96
"""Frames whose shorter side is longer than this are shrunk before their pixels are read."""
_WAY = {"left": 1.0, "right": -1.0}
"""The sign, along x, of the way of something that comes from a side."""


@dataclass(frozen=True)
class Pixels:
    """The clip's pixels by colour.

    weight: {colour: [T, h, w]} soft weights in 0..1. neutral: [T] mean brightness of what has no colour, 0..255.
    scale: pixels here per pixel of the clip.
    """

    weight: dict[str, Floats]
    neutral: Floats
    scale: float


def pixels(video: Video, *colours: str) -> Pixels:
    """Return where each of some colours is, frame by frame."""
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
            weight[c].append(np.where(index == names.index(c), w, 0.0))
        plain = small[w == 0]
        neutral.append(float(plain.mean()) if len(plain) else 0.0)
    return Pixels({c: np.array(w) for c, w in weight.items()}, np.array(neutral), scale)


def uncovered(weight: Floats) -> Bools:
    """Return where a colour [T, h, w] is not, by a pixel at least."""
    return np.array([cv2.dilate((w > 0.2).astype(np.uint8), np.ones((3, 3), np.uint8)) == 0 for w in weight])


@dataclass(frozen=True)
class Change:
    """How a change went: 1 right, 0 wrong.

    happened: it came at all. ordered: not before its cause. prompt: soon after it. kept: it was never undone.
    """

    happened: float
    ordered: float
    prompt: float
    kept: float

    @property
    def value(self) -> float:
        """The product: one part missing is no change of state."""
        return self.happened * self.ordered * self.prompt * self.kept


def read_change(done: Floats, clear: Bools, cause: int, fps: float, slack_s: float = 0.0) -> Change:
    """Read a change from how far it is done in every frame.

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
    happened = 1 - helpers.credit(peak, 0.2, 0.6)
    early = before[done[before] >= 0.5]
    lead = float(cause - early[0]) if len(early) else 0.0
    most = 1.25 + 0.03 * len(done)
    on = after[level >= 0.5 * max(peak, 0.2)]
    if not len(on):
        return Change(0.0, helpers.credit(lead, 0.5, most), 0.0, 0.0)
    # The delay counts from the first frame in which the change could have been seen.
    lag = float(on[0] - after[0]) - (slack_s + 0.05) * fps
    since = done[after[after >= on[0]]] / max(peak, 1e-6)
    undone = max(1 - float(np.minimum(since, 1).mean()), 0.5 * (1 - float(np.median(since[-2:]))))
    return Change(happened, helpers.credit(lead, 0.5, most), helpers.credit(lag, 0.5, most), helpers.credit(undone, 0.06, 0.3))


def steady(tracks: Tracks, i: int, which: Bools) -> float:
    """Return 1 when a track's place and size are the same in all of some frames [T], 0 when they are not at all."""
    if which.sum() < 2:
        return 0.0
    width = float(np.sqrt(np.median(tracks.area[i][which])))
    place = tracks.xy[i][which]
    moved = float(np.quantile(np.linalg.norm(place - np.median(place, axis=0), axis=1), 0.9)) / width
    grown = float(np.quantile(np.abs(np.log(tracks.area[i][which] / width**2)), 0.9))
    return helpers.credit(moved, 0.15, 0.6) * helpers.credit(grown, 0.25, 0.7)


def near(box: Floats, place: Floats, gap: float) -> Bools:
    """Return the frames [T] in which boxes [T, 4] come within `gap` pixels of one place [4] (x0, y0, x1, y1)."""
    with np.errstate(invalid="ignore"):
        return np.asarray(
            (box[:, 2] + gap >= place[0]) & (box[:, 0] - gap <= place[2]) & (box[:, 3] + gap >= place[1]) & (box[:, 1] - gap <= place[3])
        )


def arrival(tracks: Tracks, i: int, touch: Bools, place: Floats, side: str, what: str) -> int:
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
    if (middle - x[seen[0]]) * _WAY[side] < 0.25 * float(place[2] - place[0]):
        raise UnjudgeableError(f"the {what} did not come from the {side}")
    return first


class Bite(Probe):
    """A creature bites into a cookie: the notch must be where it bit, from then on and to the end, and nowhere else."""

    suite = "physics"
    name = "bite"
    claim = "a bite leaves a notch where and when it was taken, and the notch stays"
    source = "bite marks that persist: Brooks et al. 2024; state change read as order, place, permanence and isolation"
    violations = ("bite_heals", "effect_before_cause", "never_happens")

    def draft(self, rng: np.random.Generator, flip: bool) -> Draft:
        """Return a bite from the left or right."""
        return family_draft("bite", bite.sample(rng), rng, flip)

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the notch's place, moment and permanence, and the rest of the cookie."""
        p = case.scene["params"]
        cookie = helpers.the(tracks, p["cookie"], "cookie", 0.5)
        biter = helpers.the(tracks, p["biter"], "creature")
        seen = np.flatnonzero(tracks.visible[cookie])
        place = tracks.box[cookie][seen[0]]
        touch = near(tracks.box[biter], place, 1.0) & tracks.visible[biter]
        arrived = arrival(tracks, biter, touch, place, p["side"], "creature")
        free = tracks.visible[cookie] & ~near(tracks.box[biter], place, 0.0)
        if not free[:arrived].any() or free[arrived:].sum() < 2:
            raise UnjudgeableError("the cookie is not to be seen whole both before and after the creature's visit")
        weight = pixels(video, p["cookie"], p["biter"]).weight
        maps = weight[p["cookie"]]
        whole = maps[np.flatnonzero(free[:arrived])[:2]].mean(axis=0)
        full = float(whole.sum())
        if full < 20:
            raise UnjudgeableError("no cookie is to be seen before the creature comes")
        maps = np.array([_registered(whole, m) for m in maps])
        missing = np.clip(whole - maps, 0, 1)
        late = free & (np.arange(len(maps)) >= arrived)
        # A bite that heals is looked for where it was deepest.
        notch = _largest(np.quantile(missing[late], 0.67, axis=0) > 0.35)
        lost = float(whole[notch].sum()) / full
        if lost < 0.02:
            return Verdict(0.0, {"happened": 0.0, "notch": lost})
        open_ = notch & uncovered(weight[p["biter"]])
        in_sight = (whole * open_).sum(axis=(1, 2)) / float(whole[notch].sum())
        done = (missing * open_).sum(axis=(1, 2)) / np.maximum((whole * open_).sum(axis=(1, 2)), 1e-6)
        # The bite is taken when the creature is where the notch will be.
        inside = np.flatnonzero((in_sight < 0.5) & tracks.visible[biter] & (np.arange(len(maps)) >= arrived))
        if not len(inside):
            return Verdict(0.0, {"happened": 1.0, "place": 0.0, "notch": lost})
        change = read_change(done, (in_sight > 0.6) & tracks.visible[cookie], int(inside[0]), tracks.fps)
        size = (1 - helpers.credit(lost, 0.04, 0.08)) * helpers.credit(lost, 0.45, 0.7)
        centre, at = _centroid(whole), _centroid(notch.astype(float))
        radius = float(np.sqrt(full / np.pi))
        offset = (at - centre) / radius
        deepest = int(inside[np.argmin(in_sight[inside])])
        towards = tracks.xy[biter, deepest] * (maps.shape[2] / tracks.size[1]) - centre
        cosine = float(offset @ towards / max(np.linalg.norm(offset) * np.linalg.norm(towards), 1e-6))
        angle = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
        side = helpers.credit(float(offset[0]) * _WAY[p["side"]], -0.35, -0.1)
        spot = side * helpers.credit(angle, 25, 60)
        around = cv2.dilate(notch.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
        elsewhere = np.abs(maps[free] - whole)[:, ~around].sum(axis=1) / full
        rest = helpers.credit(float(np.median(elsewhere)), 0.12, 0.35)
        visits = len(helpers.spans(touch))
        parts = {"happened": change.happened * size, "place": spot, "order": change.ordered, "prompt": change.prompt}
        parts |= {"kept": change.kept, "rest": rest, "one_visit": 1.0 / visits}
        return Verdict(change.value * size * spot * rest / visits, {**parts, "notch": lost})


def _registered(whole: Floats, other: Floats) -> Floats:
    """Return a map [h, w] shifted by whole pixels to lie over `whole` best: a nudged cookie is still the same cookie."""
    reach = 4
    padded = cv2.copyMakeBorder(other.astype(np.float32), reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
    fit = cv2.matchTemplate(padded, whole.astype(np.float32), cv2.TM_CCORR)
    fit[reach, reach] *= 1.001
    _, _, _, (x, y) = cv2.minMaxLoc(fit)
    height, width = whole.shape
    return np.asarray(padded[y : y + height, x : x + width], dtype=float)


def _largest(mask: Bools) -> Bools:
    """Return the largest connected part of a mask."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return np.zeros_like(mask)
    return np.asarray(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))


def _centroid(weight: Floats) -> Floats:
    ys, xs = np.mgrid[: weight.shape[0], : weight.shape[1]]
    return np.array([(weight * xs).sum(), (weight * ys).sum()]) / weight.sum()


class Candle(Probe):
    """A puff of air reaches a flame: the flame goes out then, its light with it, and both stay gone."""

    suite = "physics"
    name = "candle"
    claim = "a flame goes out when the puff arrives, takes its light along and stays out"
    source = "state change read as order, place, permanence and isolation; brightness of the neutral background"
    violations = ("candle_relights", "effect_before_cause", "never_happens")

    def draft(self, rng: np.random.Generator, flip: bool) -> Draft:
        """Return a puff from the left or right."""
        return family_draft("candle", candle.sample(rng), rng, flip)

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge flame, light and candle."""
        p = case.scene["params"]
        stick = helpers.the(tracks, p["candle"], "candle", 0.5)
        puff = helpers.the(tracks, p["puff"], "puff of air")
        flame = self._flame(tracks, p["flame"], stick)
        lit = tracks.visible[flame]
        place = tracks.box[flame][np.flatnonzero(lit)[0]]
        wide = float(place[2] - place[0])
        touch = near(tracks.box[puff], place, 0.15 * wide) & tracks.visible[puff]
        cause = arrival(tracks, puff, touch, place, p["side"], "puff")
        seen = np.flatnonzero(tracks.visible[puff])
        if (tracks.xy[puff, seen[-1], 0] - tracks.xy[puff, seen[0], 0]) * _WAY[p["side"]] < wide:
            raise UnjudgeableError(f"the puff did not move on to the {'right' if p['side'] == 'left' else 'left'}")
        view = pixels(video, p["flame"], p["puff"])
        x0, y0, x1, y1 = (max(0, round(float(v) * view.scale)) for v in place + np.array([-0.1, -0.2, 0.1, 0.1]) * wide)
        here = np.s_[:, y0 : y1 + 1, x0 : x1 + 1]
        fire = view.weight[p["flame"]][here]
        # Before the puff the flame is there or it is not: nothing can hide it.
        usual = np.quantile(fire[: max(1, cause)], 0.75, axis=0)
        if usual.sum() < 3:
            raise UnjudgeableError("no flame burns on the candle at the beginning")
        open_ = uncovered(view.weight[p["puff"]])[here]
        in_sight = (usual * open_).sum(axis=(1, 2)) / usual.sum()
        glow = (np.minimum(fire, 1) * open_).sum(axis=(1, 2)) / np.maximum((usual * open_).sum(axis=(1, 2)), 1e-6)
        done = np.clip(1 - glow, 0, 1)
        clear = in_sight > 0.3
        change = read_change(done, clear, cause, tracks.fps)
        light = self._light(view.neutral, done, clear, cause)
        stays = steady(tracks, stick, tracks.visible[stick]) * helpers.credit(1 - float(tracks.visible[stick].mean()), 0.05, 0.3)
        parts = {"happened": change.happened, "order": change.ordered, "prompt": change.prompt, "kept": change.kept}
        return Verdict(change.value * light * stays, {**parts, "light": light, "candle_stays": stays})

    @staticmethod
    def _flame(tracks: Tracks, colour: str, stick: int) -> int:
        """Return the track of the flame's colour that begins on top of the candle."""
        for i in tracks.of(colour):
            k = int(np.flatnonzero(tracks.visible[i])[0])
            box = tracks.box[stick, k]
            wide = float(box[2] - box[0])
            on_top = abs(tracks.xy[i, k, 0] - (box[0] + box[2]) / 2) < 0.4 * wide and abs(tracks.box[i, k, 3] - box[1]) < 0.5 * wide
            if np.isfinite(wide) and on_top and k < 0.3 * tracks.frames:
                return i
        raise UnjudgeableError(f"no {colour} flame burns on the candle at the beginning")

    @staticmethod
    def _light(neutral: Floats, done: Floats, clear: Bools, cause: int) -> float:
        """Return whether the room is darker whenever the flame is out, and only then."""
        frames = np.arange(len(done))
        usual = float(np.median(neutral[frames < cause]))
        out = clear & (frames >= cause) & (done > 0.5)
        if usual < 1 or not out.any():
            return 0.0
        fallen = 1 - neutral / usual
        darker = 1 - helpers.credit(float(np.median(fallen[out])), 0.03, 0.12)
        dark = fallen > 0.5 * max(float(np.median(fallen[out])), 0.06)
        agree = float((dark == (done > 0.5))[clear].mean())
        return darker * helpers.credit(1 - agree, 0.12, 0.4)


class Shatter(Probe):
    """A glass falls and breaks: when it meets the floor and not before, into pieces that spread and stay in pieces."""

    suite = "physics"
    name = "shatter"
    claim = "a falling glass breaks when it hits the floor, and its pieces spread and stay pieces"
    source = "glass shattering as a failure case: Brooks et al. 2024; state change read as order, permanence and isolation"
    violations = ("shards_rejoin", "effect_before_cause", "never_happens")

    def draft(self, rng: np.random.Generator, flip: bool) -> Draft:
        """Return a glass with a block on its left or right."""
        return family_draft("shatter", shatter.sample(rng), rng, flip)

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge fall, break, spread and permanence, and the block."""
        p = case.scene["params"]
        block = helpers.the(tracks, p["block"], "block", 0.5)
        helpers.the(tracks, p["glass"], "glass", 0.15)
        view = pixels(video, p["glass"])
        heap = _heap(view.weight[p["glass"]])
        if not heap.seen[0]:
            raise UnjudgeableError("no glass is to be seen at the beginning")
        floor = float(np.nanmedian(tracks.box[block][:, 3])) * view.scale
        tall = heap.height[0]
        beside = float(np.nanmedian(tracks.xy[block, :, 0])) - heap.x[0] / view.scale
        if beside * -_WAY[p["side"]] < 0:
            raise UnjudgeableError(f"the block does not stand on the {p['side']} of the glass")
        if floor - heap.low[0] < 0.4 * tall or heap.fill[0] < 0.75:
            raise UnjudgeableError("the glass does not begin whole and above the floor")
        landed = heap.seen & (heap.low > floor - 0.2 * tall)
        if not landed.any():
            raise UnjudgeableError("the glass never reached the floor")
        cause = int(np.flatnonzero(landed)[0])
        # Pieces are wider apart than the whole was, with gaps between them: neither a tumble nor a puddle is a break.
        ratio = heap.spread / heap.spread[0]
        wider = np.clip((ratio - 1.05) / 0.5, 0, 1)
        gaps = np.clip((0.9 - heap.fill / heap.fill[0]) / 0.2, 0, 1)
        done = np.where(heap.seen, np.minimum(wider, gaps), 0.0)
        change = read_change(done, heap.seen, cause, tracks.fps, slack_s=0.25)
        began = np.flatnonzero((ratio > 1.2) | (done >= 0.5))
        in_the_air = max(0.0, floor - float(heap.low[began[0]])) / tall if len(began) else 0.0
        order = helpers.credit(in_the_air, 0.22, 0.6)
        # Half way back together is half undone, however far apart the pieces still are.
        gone_back = 1 - float(np.median(ratio[-2:]) - 1) / max(float(np.quantile(ratio, 0.9)) - 1, 1e-6)
        kept = min(change.kept, helpers.credit(gone_back, 0.3, 0.7)) if change.happened else 0.0
        # A shard may roll out of the frame or behind the block, the glass as a whole may not.
        left = float(np.median(heap.area[-3:]) / heap.area[0])
        remains = 1 - helpers.credit(left, 0.35, 0.6)
        stands = steady(tracks, block, tracks.visible[block]) * helpers.credit(1 - float(tracks.visible[block].mean()), 0.05, 0.3)
        parts = {"happened": change.happened, "order": order * change.ordered, "prompt": change.prompt, "kept": kept}
        parts |= {"remains": remains, "block_stands": stands}
        return Verdict(float(np.prod(list(parts.values()))), parts)


@dataclass(frozen=True)
class _Heap:
    """All of one colour, frame by frame [T], in working pixels.

    seen: whether there is any; x: middle; low: lowest row; height: extent; spread: root of the variance along x and y; area: soft;
    fill: share of its convex hull that it covers.
    """

    seen: Bools
    x: Floats
    low: Floats
    height: Floats
    spread: Floats
    area: Floats
    fill: Floats


def _heap(maps: Floats) -> _Heap:
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
    return _Heap(seen, x, low, low - high, spread, area, fill)


def _fill(weight: Floats) -> float:
    core = np.argwhere(weight > 0.4)[:, ::-1].astype(np.int32)
    if len(core) < 3:
        return 0.0
    hull = cv2.convexHull(core)
    # Pixels have an extent: the hull of their centres is half a pixel short all around.
    return float(len(core) / (cv2.contourArea(hull) + cv2.arcLength(hull, True) / 2 + 1))


class Brush(Probe):
    """A brush moves over a canvas: the stroke must follow it, never run ahead of it, and stay."""

    suite = "physics"
    name = "brush"
    claim = "a stroke of paint follows the brush, never runs ahead of it, and stays on the canvas"
    source = "brush strokes that persist: Brooks et al. 2024; state change read as order, place, permanence and isolation"
    violations = ("stroke_fades", "effect_before_cause", "never_happens")

    def draft(self, rng: np.random.Generator, flip: bool) -> Draft:
        """Return a stroke to the left or right."""
        return family_draft("brush", brush.sample(rng), rng, flip)

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the stroke's front against the brush, frame by frame, and what is left of it."""
        p = case.scene["params"]
        way = 1.0 if p["to"] == "right" else -1.0
        view = pixels(video, p["handle"], p["paint"])
        width = view.weight[p["paint"]].shape[2]
        grip = helpers.the(tracks, p["handle"], "handle", 0.4)
        foot = way * _foot(view.weight[p["handle"]])
        held = np.isfinite(foot) & tracks.visible[grip]
        if held.sum() < 4:
            raise UnjudgeableError("no brush is to be seen for long enough")
        frames = np.arange(len(foot))
        foot = np.interp(frames, frames[held], foot[held])
        first, last = int(frames[held][0]), int(frames[held][-1])
        far = float(foot[first : last + 1].max())
        travel = far - float(foot[first])
        if travel < 0.3 * width:
            raise UnjudgeableError(f"the brush did not move to the {p['to']}")
        arrive = int(np.flatnonzero(foot >= far - 0.04 * travel)[0])
        steps = np.diff(foot[first : arrive + 1])
        back = float(-steps[steps < 0].sum()) / travel
        paint = view.weight[p["paint"]]
        rows = np.median(paint[arrive:], axis=0).sum(axis=1)
        if rows.max() < 2:
            return Verdict(0.0, {"happened": 0.0})
        band = np.flatnonzero(rows >= 0.5 * rows.max())
        parts = _stroke(paint[:, band].mean(axis=1), way, foot, first, arrive, travel)
        # The stroke lies where the brush's lower end is.
        bottom = float(np.nanmedian(tracks.box[grip][first : arrive + 1, 3])) * view.scale
        parts["place"] = helpers.credit(abs(float(band.mean()) - bottom) / paint.shape[1], 0.3, 0.45)
        parts["one_way"] = helpers.credit(back, 0.05, 0.3)
        return Verdict(float(np.prod(list(parts.values()))), parts)


def _foot(weight: Floats) -> Floats:
    """Return the middle along x of the lowest quarter of a colour [T], NaN where there is none."""
    rows = weight.sum(axis=2)
    below = np.cumsum(rows[:, ::-1], axis=1)[:, ::-1]
    total = np.maximum(below[:, :1], 1e-6)
    low = weight * (below <= 0.25 * total)[:, :, None]
    mass = low.sum(axis=(1, 2))
    x = (low.sum(axis=1) * np.arange(weight.shape[2])).sum(axis=1) / np.maximum(mass, 1e-6)
    return np.where(mass > 0.5, x, np.nan)


def _stroke(columns: Floats, way: float, foot: Floats, first: int, arrive: int, travel: float) -> dict[str, float]:
    """Return how a stroke grows and lasts.

    columns: [T, w] how far each column is painted, 0..1. foot: [T] the brush along its way (x times `way`), pixels.
    first, arrive: frames between which the brush is on its way; travel: how far it goes, pixels.
    """
    xs = way * np.arange(columns.shape[1])
    painted = columns > 0.45
    front = np.array([float(xs[c].max()) if c.any() else np.nan for c in painted])
    busy = np.arange(first, arrive + 1)
    # The paint meets the canvas a little off the handle's lower end: where the stroke ends tells by how much.
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
        "happened": 1 - helpers.credit(length, 0.4, 0.75),
        "not_ahead": helpers.credit(float(np.quantile(ahead, 0.9)), 0.1, 0.35),
        "follows": helpers.credit(float(np.median(gaps)) if gaps else 1.0, 0.2, 0.6),
        "kept": helpers.credit(lost, 0.12, 0.4),
    }
