"""State changes: a change comes with its cause, at the place of the cause, and lasts."""

from __future__ import annotations

import cv2
import numpy as np

from sora_eval.probes import helpers, trajectories
from sora_eval.probes.base import Probe, UnjudgeableError, Verdict
from sora_eval.probes.changes import (
    arrival,
    centroid,
    foot_of,
    heap_of,
    largest,
    near,
    pixels,
    read_change,
    registered,
    steady,
    stroke_parts,
    uncovered,
)
from sora_eval.tracking.continuity import spans
from sora_eval.types import Bools, Case, Floats, Tracks, Video
from sora_eval.world.families.bite import BiteParams
from sora_eval.world.families.brush import BrushParams
from sora_eval.world.families.candle import CandleParams
from sora_eval.world.families.params import SIGN
from sora_eval.world.families.shatter import ShatterParams


class Bite(Probe):
    """A creature bites into a cookie: the notch must be where it bit, from then on and to the end, and nowhere else."""

    suite = "physics"
    continued = True
    name = "bite"
    version = 3
    claim = "a bite leaves a notch where and when it was taken, and the notch stays"
    source = "bite marks that persist: Brooks et al. 2024; state change read as order, place, permanence and isolation"
    violations = ("bite_heals", "effect_before_cause", "never_happens")

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the notch's place, moment and permanence, and the rest of the cookie."""
        p = BiteParams.of(case)
        cookie = helpers.find_object(tracks, p.cookie, "cookie", 0.5)
        biter = helpers.find_object(tracks, p.biter, "creature")
        seen = np.flatnonzero(tracks.visible[cookie])
        place = tracks.box[cookie][seen[0]]
        touch = near(tracks.box[biter], place, 1.0) & tracks.visible[biter]
        arrived = arrival(tracks, biter, touch, place, p.side, "creature")
        free = tracks.visible[cookie] & ~near(tracks.box[biter], place, 0.0)
        if not free[:arrived].any() or free[arrived:].sum() < 2:
            raise UnjudgeableError("the cookie is not to be seen whole both before and after the creature's visit")
        weight = pixels(video, p.cookie, p.biter).weight
        maps = weight[p.cookie]
        whole = maps[np.flatnonzero(free[:arrived])[:2]].mean(axis=0)
        full = float(whole.sum())
        if full < 20:
            raise UnjudgeableError("no cookie is to be seen before the creature comes")
        maps = np.array([registered(whole, m) for m in maps])
        missing = np.clip(whole - maps, 0, 1)
        late = free & (np.arange(len(maps)) >= arrived)
        # A bite that heals is looked for where it was deepest.
        notch = largest(np.quantile(missing[late], 0.67, axis=0) > 0.35)
        lost = float(whole[notch].sum()) / full
        if lost < 0.02:
            return Verdict(0.0, {"happened": 0.0, "notch": lost})
        open_ = notch & uncovered(weight[p.biter])
        in_sight = (whole * open_).sum(axis=(1, 2)) / float(whole[notch].sum())
        done = (missing * open_).sum(axis=(1, 2)) / np.maximum((whole * open_).sum(axis=(1, 2)), 1e-6)
        # The bite is taken when the creature is where the notch will be.
        inside = np.flatnonzero((in_sight < 0.5) & tracks.visible[biter] & (np.arange(len(maps)) >= arrived))
        if not len(inside):
            return Verdict(0.0, {"happened": 1.0, "place": 0.0, "notch": lost})
        change = read_change(done, (in_sight > 0.6) & tracks.visible[cookie], int(inside[0]), tracks.fps)
        size = (1 - helpers.ramp_score(lost, 0.04, 0.08)) * helpers.ramp_score(lost, 0.45, 0.7)
        centre, at = centroid(whole), centroid(notch.astype(float))
        radius = float(np.sqrt(full / np.pi))
        offset = (at - centre) / radius
        deepest = int(inside[np.argmin(in_sight[inside])])
        towards = tracks.xy[biter, deepest] * (maps.shape[2] / tracks.size[1]) - centre
        cosine = float(offset @ towards / max(np.linalg.norm(offset) * np.linalg.norm(towards), 1e-6))
        angle = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
        side = helpers.ramp_score(float(offset[0]) * -SIGN[p.side], -0.35, -0.1)
        spot = side * helpers.ramp_score(angle, 25, 60)
        around = cv2.dilate(notch.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
        elsewhere = np.abs(maps[free] - whole)[:, ~around].sum(axis=1) / full
        rest = helpers.ramp_score(float(np.median(elsewhere)), 0.12, 0.35)
        visits = len(spans(touch))
        parts = {"happened": change.happened * size, "place": spot, "order": change.ordered, "prompt": change.prompt}
        parts |= {"kept": change.kept, "rest": rest, "one_visit": 1.0 / visits}
        return Verdict(change.value * size * spot * rest / visits, {**parts, "notch": lost})


class Candle(Probe):
    """A puff of air reaches a flame: the flame goes out then, its light with it, and both stay gone."""

    suite = "physics"
    continued = True
    name = "candle"
    version = 3
    claim = "a flame goes out when the puff arrives, takes its light along and stays out"
    source = "state change read as order, place, permanence and isolation; brightness of the neutral background"
    violations = ("candle_relights", "effect_before_cause", "never_happens")

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge flame, light and candle."""
        p = CandleParams.of(case)
        stick = helpers.find_object(tracks, p.candle, "candle", 0.5)
        puff = helpers.find_object(tracks, p.puff, "puff of air")
        flame = self._flame(tracks, p.flame, stick)
        lit = tracks.visible[flame]
        place = tracks.box[flame][np.flatnonzero(lit)[0]]
        wide = float(place[2] - place[0])
        touch = near(tracks.box[puff], place, 0.05 * wide) & tracks.visible[puff]
        cause = arrival(tracks, puff, touch, place, p.side, "puff")
        seen = np.flatnonzero(tracks.visible[puff])
        if (tracks.xy[puff, seen[-1], 0] - tracks.xy[puff, seen[0], 0]) * -SIGN[p.side] < wide:
            raise UnjudgeableError(f"the puff did not move on to the {'right' if p.side == 'left' else 'left'}")
        view = pixels(video, p.flame, p.puff)
        x0, y0, x1, y1 = (max(0, round(float(v) * view.scale)) for v in place + np.array([-0.1, -0.2, 0.1, 0.1]) * wide)
        here = np.s_[:, y0 : y1 + 1, x0 : x1 + 1]
        fire = view.weight[p.flame][here]
        # Before the puff the flame is there or it is not: nothing can hide it.
        usual = np.quantile(fire[: max(1, cause)], 0.75, axis=0)
        if usual.sum() < 3:
            raise UnjudgeableError("no flame burns on the candle at the beginning")
        open_ = uncovered(view.weight[p.puff])[here]
        in_sight = (usual * open_).sum(axis=(1, 2)) / usual.sum()
        glow = (np.minimum(fire, 1) * open_).sum(axis=(1, 2)) / np.maximum((usual * open_).sum(axis=(1, 2)), 1e-6)
        done = np.clip(1 - glow, 0, 1)
        clear = in_sight > 0.3
        change = read_change(done, clear, cause, tracks.fps, slack_s=0.1)
        light = self._light(view.neutral, done, clear, cause)
        stays = steady(tracks, stick, tracks.visible[stick]) * helpers.ramp_score(
            1 - float(tracks.visible[stick].mean()), 0.05, 0.3
        )
        parts = {"happened": change.happened, "order": change.ordered, "prompt": change.prompt, "kept": change.kept}
        return Verdict(change.value * light * stays, {**parts, "light": light, "candle_stays": stays})

    @staticmethod
    def _flame(tracks: Tracks, colour: str, stick: int) -> int:
        """Return the track of the flame's colour that begins on top of the candle."""
        for i in tracks.of(colour):
            k = int(np.flatnonzero(tracks.visible[i])[0])
            box = tracks.box[stick, k]
            wide = float(box[2] - box[0])
            on_top = (
                abs(tracks.xy[i, k, 0] - (box[0] + box[2]) / 2) < 0.4 * wide
                and abs(tracks.box[i, k, 3] - box[1]) < 0.5 * wide
            )
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
        darker = 1 - helpers.ramp_score(float(np.median(fallen[out])), 0.03, 0.12)
        dark = fallen > 0.5 * max(float(np.median(fallen[out])), 0.06)
        agree = float((dark == (done > 0.5))[clear].mean())
        return darker * helpers.ramp_score(1 - agree, 0.12, 0.4)


class Shatter(Probe):
    """A glass falls and breaks: when it meets the floor and not before, into pieces that spread and stay in pieces."""

    suite = "physics"
    continued = True
    name = "shatter"
    version = 3
    claim = "a falling glass breaks when it hits the floor, and its pieces spread and stay pieces"
    source = (
        "glass shattering as a failure case: Brooks et al. 2024; state change read as order, permanence and isolation"
    )
    violations = ("shards_rejoin", "effect_before_cause", "never_happens")

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge fall, break, spread and permanence, and the block."""
        p = ShatterParams.of(case)
        block = helpers.find_object(tracks, p.block, "block", 0.5)
        helpers.find_object(tracks, p.glass, "glass", 0.15)
        view = pixels(video, p.glass)
        heap = heap_of(view.weight[p.glass])
        if not heap.seen[0]:
            raise UnjudgeableError("no glass is to be seen at the beginning")
        floor = float(np.nanmedian(tracks.box[block][:, 3])) * view.scale
        tall = max(float(heap.height[0]), 1.0)
        beside = float(np.nanmedian(tracks.xy[block, :, 0])) - heap.x[0] / view.scale
        if beside * SIGN[p.side] < 0:
            raise UnjudgeableError(f"the block does not stand on the {p.side} of the glass")
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
        order = helpers.ramp_score(in_the_air, 0.22, 0.6)
        # In true clips of 8 frames per second three frames show the whole glass on its way down, after a jump or a fade to its pieces
        # none does. One that breaks in the air is wrong, and need not fall whole.
        whole = heap.seen & (np.arange(len(done)) < cause) & (heap.fill > 0.75 * heap.fill[0])
        if order and not (whole & (heap.low - heap.low[0] > 0.15 * (floor - heap.low[0]))).any():
            raise UnjudgeableError("the glass was not seen to fall")
        # Half way back together is half undone, however far apart the pieces still are.
        gone_back = 1 - float(np.median(ratio[-2:]) - 1) / max(float(np.quantile(ratio, 0.9)) - 1, 1e-6)
        kept = min(change.kept, helpers.ramp_score(gone_back, 0.3, 0.7)) if change.happened else 0.0
        # A shard may roll out of the frame or behind the block, the glass as a whole may not.
        left = float(np.median(heap.area[-3:]) / heap.area[0])
        remains = 1 - helpers.ramp_score(left, 0.35, 0.6)
        stands = steady(tracks, block, tracks.visible[block]) * helpers.ramp_score(
            1 - float(tracks.visible[block].mean()), 0.05, 0.3
        )
        parts = {"happened": change.happened, "order": order * change.ordered, "prompt": change.prompt, "kept": kept}
        parts |= {"remains": remains, "block_stands": stands}
        return Verdict(helpers.product(parts), parts)

    def contacts(self, case: Case, tracks: Tracks) -> tuple[float, ...]:
        """Return the time at which the glass breaks."""
        glass = ShatterParams.of(case).glass
        helpers.find_object(tracks, glass, "glass", 0.15)
        return (trajectories.breaking(tracks, tracks.called(glass, "glass")),)


class Brush(Probe):
    """A brush moves over a canvas: the stroke must follow it, never run ahead of it, and stay."""

    suite = "physics"
    continued = True
    name = "brush"
    version = 3
    claim = "a stroke of paint follows the brush, never runs ahead of it, and stays on the canvas"
    source = (
        "brush strokes that persist: Brooks et al. 2024; state change read as order, place, permanence and isolation"
    )
    violations = ("stroke_fades", "effect_before_cause", "never_happens")

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the stroke's front against the brush, frame by frame, and what is left of it."""
        p = BrushParams.of(case)
        way = SIGN[p.to]
        view = pixels(video, p.handle, p.paint)
        # Scenes are as large as the shorter side, however wide the frame is.
        short = min(view.weight[p.paint].shape[1:])
        grip = helpers.find_object(tracks, p.handle, "handle", 0.4)
        foot = way * foot_of(view.weight[p.handle])
        held = np.isfinite(foot) & tracks.visible[grip]
        if held.sum() < 4:
            raise UnjudgeableError("no brush is to be seen for long enough")
        frames = np.arange(len(foot))
        foot = np.interp(frames, frames[held], foot[held])
        first, last = int(frames[held][0]), int(frames[held][-1])
        far = float(foot[first : last + 1].max())
        travel = far - float(foot[first])
        if travel < 0.3 * short:
            raise UnjudgeableError(f"the brush did not move to the {p.to}")
        # Of the whole way true clips of 8 frames per second go .11 from frame to frame at most, a cut or a fade most of it.
        if float(np.abs(np.diff(foot[held])).max()) > 0.45 * travel:
            raise UnjudgeableError("the brush jumps")
        arrive = int(np.flatnonzero(foot >= far - 0.04 * travel)[0])
        steps = np.diff(foot[first : arrive + 1])
        back = float(-steps[steps < 0].sum()) / travel
        paint = view.weight[p.paint]
        rows = np.median(paint[arrive:], axis=0).sum(axis=1)
        if rows.max() < 2:
            return Verdict(0.0, {"happened": 0.0})
        band = np.flatnonzero(rows >= 0.5 * rows.max())
        parts = stroke_parts(paint[:, band].mean(axis=1), way, foot, first, arrive, travel)
        # The stroke lies where the brush's lower end is.
        bottom = float(np.nanmedian(tracks.box[grip][first : arrive + 1, 3])) * view.scale
        parts["place"] = helpers.ramp_score(abs(float(band.mean()) - bottom) / paint.shape[1], 0.3, 0.45)
        parts["one_way"] = helpers.ramp_score(back, 0.05, 0.3)
        return Verdict(helpers.product(parts), parts)
