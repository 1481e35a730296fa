"""The probes of random outcomes: a thrown die, a ball on a ridge, a toppling stack."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.base import UnjudgeableError, Verdict
from sora_eval.probes.outcomes.random_outcome import RandomOutcome, check_no_jump, check_order, outcome_verdict
from sora_eval.types import Bools, Case, Floats, Mode, Tracks, Video
from sora_eval.world.families.draws import DrawParams
from sora_eval.world.families.params import SIDES, SIGN
from sora_eval.world.families.ridge_drop import RidgeDropParams
from sora_eval.world.families.thrown_die import ThrownDieParams
from sora_eval.world.families.toppling_stack import TopplingStackParams
from sora_eval.world.palette import COLOURS

_STILL = 0.1
"""Way, in widths, below which something lies still over the last frames."""
_LAST_S = 0.35
"""Time at the end, in seconds, over which things must lie still."""
_THROWN = 0.6
"""Way of a throw in widths; true ones go at least one."""
_PART, _APART, _FADING = 0.15, 1.05, 0.1
"""Share of a die's area that a part of it has at least; how many widths apart such parts are only where one die fades to another, up to .81
in true clips; share of the frames in which they may be."""
_ROOF = 6.0
"""How many times as far as its centroid a ridge's edge is from its middle: measured on true clips, where a flat triangle has 3."""
_EDGE_OFF = 0.125
"""Share of a ridge's width by which its edge may be off the prompt's: half way to the next place that prompts name."""
_ALIKE = "another die may have a colour of the prompt on top, and show no other"
_EITHER = "where both sides have the same chance, the mirrored outcome is a true one"


def _last(tracks: Tracks) -> slice:
    """Return the last frames, at least three."""
    return slice(max(0, tracks.frames - max(3, round(_LAST_S * tracks.fps) + 1)), tracks.frames)


def _rest_frames(tracks: Tracks) -> int:
    """Return the number of frames over which what lies still shows no motion, however many there are per second."""
    return max(3, round(_LAST_S * tracks.fps))


class ThrownDie(RandomOutcome):
    """A die with coloured faces."""

    name = "thrown_die"
    version = 2
    claim = "a thrown die with coloured faces comes to rest flat, with one of its own colours on top, each as often as the die has it"
    violations: ClassVar[tuple[str, ...]] = ("foreign_face", "on_edge")
    blind_to: ClassVar[dict[str, str]] = {"other": _ALIKE}

    def outcomes(self, params: DrawParams) -> dict[str, float]:
        """Return the probability of each colour on top."""
        assert isinstance(params, ThrownDieParams)
        return {colour: count / len(params.faces) for colour, count in params.counts.items()}

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge which colour is on top at the end."""
        p = ThrownDieParams.of(case)
        own = list(p.counts)
        area = {c: sum((tracks.area[i] for i in tracks.of(c)), np.zeros(tracks.frames)) for c in COLOURS}
        on_die = np.sum([area[c] for c in own], axis=0)
        last = _last(tracks)
        moving = [c for c in COLOURS if c not in own and _goes_along(tracks, c)]
        die = on_die + np.sum([area[c] for c in moving], axis=0) if moving else on_die
        ids = [i for c in (*own, *moving) for i in tracks.of(c)]
        seen = die > 0
        if not ids or seen.mean() < 0.8 or not seen[last].all():
            raise UnjudgeableError(f"no die with {' and '.join(own)} faces is seen to the end")
        weights = tracks.area[ids]
        place = np.nansum(np.nan_to_num(tracks.xy[ids]) * weights[..., None], axis=0)[seen] / die[seen][:, None]
        width = float(np.sqrt(np.median(die[seen])))
        end = place[-len(range(*last.indices(tracks.frames))) :]
        if np.linalg.norm(place[0] - place[-1]) < _THROWN * width:
            raise UnjudgeableError("the die is not thrown")
        if np.sign(place[0, 0] - place[-1, 0]) != SIGN[p.start]:
            raise UnjudgeableError(f"the die is not thrown from the {p.start}")
        check_order(place, "die")
        apart = [_spread(tracks.xy[ids, k], weights[:, k]) > _APART * width for k in np.flatnonzero(seen)]
        if np.mean(apart) > _FADING:
            raise UnjudgeableError("the die is in two places at once")
        if np.ptp(end, axis=0).max() > _STILL * width:
            raise UnjudgeableError("the die does not come to rest")
        shares = {c: float(np.median(area[c][last] / die[last])) for c in (*own, *moving)}
        top = max(shares, key=lambda c: shares[c])
        if top in moving and shares[top] >= 0.5:
            return outcome_verdict(case, top, {})
        if moving:
            raise UnjudgeableError(f"the die has a {moving[0]} face, which the prompt does not name")
        # Seen from above the top face of a true die has at least .9 of the colour, of one on its edge each of two faces .5 to .6.
        flat = helpers.ramp_score(-shares[top], -0.8, -0.68)
        verdict = outcome_verdict(case, top if flat >= 0.5 else "on an edge", {"flat": flat})
        # What is impossible is wrong, however it came about.
        if verdict.value:
            check_no_jump(place, tracks.fps, "die")
        return Verdict(verdict.value, {**verdict.components, "top_share": shares[top]})


def _spread(places: Floats, areas: Floats) -> float:
    """Return how far apart the parts of a die are at places [N, 2]: the largest distance between those of a fair size, of areas [N]."""
    parts = places[np.nan_to_num(areas) > _PART * np.nansum(areas)]
    return float(np.linalg.norm(parts[:, None] - parts[None], axis=2).max(initial=0.0))


def _goes_along(tracks: Tracks, colour: str) -> bool:
    """Return whether something of a colour that the prompt doesn't name is there and is no part of the surroundings."""
    ids = [i for i in tracks.of(colour) if tracks.ground is None or not tracks.ground[i]]
    shown = np.sum([tracks.visible[i] for i in ids], axis=0) if ids else np.zeros(tracks.frames)
    return bool((shown > 0).mean() >= 0.15)


class RidgeDrop(RandomOutcome):
    """A ball that falls onto a ridge."""

    name = "ridge_drop"
    version = 2
    claim = "a ball that falls onto any place of a ridge ends on the floor on that side of the edge, as often as the ridge is wide there"
    violations: ClassVar[tuple[str, ...]] = ("never_lands", "changes_sides")
    blind_to: ClassVar[dict[str, str]] = {"mirrored": _EITHER}
    blind_modes: ClassVar[tuple[Mode, ...]] = ("t2v", "i2v")

    def outcomes(self, params: DrawParams) -> dict[str, float]:
        """Return the probability of either side."""
        assert isinstance(params, RidgeDropParams)
        # It falls anywhere above the ridge with the same chance.
        return {"left": params.edge, "right": 1 - params.edge}

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge on which side of the ridge the ball ends, and whether it hit that side."""
        p = RidgeDropParams.of(case)
        ridge = helpers.find_object(tracks, p.ridge, "ridge", 0.8, ())
        ball = helpers.find_object(tracks, p.ball, "ball", 0.15)
        left, top, right, bottom = np.nanmedian(tracks.box[ridge], axis=0)
        clear = helpers.clear(tracks, ridge, [ball])
        if not clear.any():
            raise UnjudgeableError("the ridge is not seen whole")
        # The centroid of a triangle lies at a third of the sum of its corners, that of a roof seen from above nearer to the middle.
        middle = (float(np.median(tracks.xy[ridge][clear, 0])) - left) / (right - left)
        edge = 0.5 + _ROOF * (middle - 0.5)
        if abs(edge - p.edge) > _EDGE_OFF:
            raise UnjudgeableError("the edge of the ridge is not where the prompt wants it")
        at = np.flatnonzero(tracks.visible[ball])
        box, place = tracks.box[ball][at], tracks.xy[ball][at]
        size = float(np.median(np.sqrt(tracks.area[ball][at]))) * 1.13
        check_order(place, "ball")
        above = box[:, 3] < top + 0.5 * size
        if not above[0]:
            raise UnjudgeableError("the ball does not come from above the ridge")
        hit = float(place[above][-1, 0])
        if not left - 0.6 * size <= hit <= right + 0.6 * size:
            raise UnjudgeableError("the ball does not fall onto the ridge")
        # At the border of the picture less and less of it is seen.
        x, low = place[-1, 0], box[-3:, 3].max() > bottom - 0.6 * size
        if low and not left <= x <= right:
            side = "left" if x < left else "right"
            from_edge = (place[:, 0] - left - p.edge * (right - left)) / size
            back = float((from_edge if side == "left" else -from_edge).max())
            return outcome_verdict(case, side, {"same_side": helpers.ramp_score(back, 0.45, 0.8)})
        end = slice(-_rest_frames(tracks), None)
        rests = tracks.visible[ball][_last(tracks)].all() and np.ptp(place[end], axis=0).max() < _STILL * size
        if rests and left <= x <= right:
            return outcome_verdict(case, "on the ridge", {})
        raise UnjudgeableError("the clip does not show on which side the ball ends")


class TopplingStack(RandomOutcome):
    """A stack of blocks."""

    name = "toppling_stack"
    version = 2
    claim = "an upright stack that topples falls to the left as often as to the right, a leaning one to the side to which it leans"
    violations: ClassVar[tuple[str, ...]] = ("never_lands", "changes_sides")
    blind_to: ClassVar[dict[str, str]] = {"mirrored": _EITHER}
    blind_modes: ClassVar[tuple[Mode, ...]] = ("t2v", "i2v")

    def outcomes(self, params: DrawParams) -> dict[str, float]:
        """Return the probability of either side."""
        assert isinstance(params, TopplingStackParams)
        return {side: 0.5 if params.lean == "none" else float(side == params.lean) for side in SIDES}

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge to which side the stack falls: the top block against the place where the lowest stood."""
        p = TopplingStackParams.of(case)
        low, mid, top = (helpers.find_object(tracks, colour, "block", 0.5, ()) for colour in p.colours)
        size = float(np.median([np.sqrt(np.median(tracks.area[i][tracks.visible[i]])) for i in (low, mid, top)]))
        first = np.flatnonzero(tracks.visible[[low, mid, top]].all(axis=0))[:1]
        if not len(first) or first[0] > 0.2 * tracks.frames:
            raise UnjudgeableError("the three blocks are not seen at the beginning")
        x, y = (np.median(tracks.xy[[low, mid, top]][:, first, k], axis=1) for k in (0, 1))
        if min(y[0] - y[1], y[1] - y[2]) < 0.6 * size or np.ptp(x) > 1.3 * size:
            raise UnjudgeableError("the blocks do not stand on each other at the beginning")
        lean = "none" if abs(x[2] - x[0]) < 0.3 * size else "left" if x[2] < x[0] else "right"
        if lean != p.lean:
            raise UnjudgeableError("the stack does not stand as the prompt describes")
        at = np.flatnonzero(tracks.visible[top])
        place = tracks.xy[top][at]
        check_order(place, "block on top")
        off, high = (place[:, 0] - x[0]) / size, (y[0] - place[:, 1]) / size
        last = slice(-_rest_frames(tracks), None)
        still = at[-1] == tracks.frames - 1 and np.ptp(place[last], axis=0).max() < _STILL * size
        if high[-1] < 0.7 and abs(off[-1]) > 0.6:
            side = "left" if off[-1] < 0 else "right"
            verdict = outcome_verdict(case, side, {"same_side": _same_side(off - (x[2] - x[0]) / size, high)})
            if verdict.value:
                check_no_jump(place, tracks.fps, "block on top")
            return verdict
        if still and abs(off[-1] - off[0]) > 0.4 and high[-1] > 0.9:
            return outcome_verdict(case, "in the air", {})
        raise UnjudgeableError("the stack does not topple to a side")


def _same_side(off: Floats, high: Floats) -> float:
    """Return the score of a fall that ends to the side to which it began; off: [T] to the right of the start, high: [T], in widths."""
    side = np.sign(off[-1])
    tipped: Bools = high > 0.35 * high[0]
    back = float((-side * off[tipped]).max()) if tipped.any() else 0.0
    return helpers.ramp_score(back, 0.3, 0.6)
