"""Left and right: the side named in the prompt is the side shown in the frame.

Sides are the viewer's, but for a figure's own hands. Every case has a mirrored twin, and no credit is given for the
wrong side: a clip scores 1 or 0, and a random guess is right in half of the cases. An undecidable clip is
unjudgeable. The geometry of boxes is GenEval's (Ghosh et al. 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import cv2
import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.base import Draft, Probe, UnjudgeableError, Verdict
from sora_eval.tracking.background import background_motion
from sora_eval.tracking.world import membership
from sora_eval.types import MODES, Bools, Case, Floats, Frames, Mode, Tracks, Video
from sora_eval.world.families.camera_pan import CameraPanParams
from sora_eval.world.families.hands import FACING_WORDS, Facing, HandsParams, picture_side
from sora_eval.world.families.motion import MotionParams
from sora_eval.world.families.opposite_motion import OppositeMotionParams
from sora_eval.world.families.params import SIGN, Side
from sora_eval.world.families.relation import RelationParams
from sora_eval.world.families.things import Named, Thing, TwoNamed, TwoNamedParams
from sora_eval.world.palette import COLOURS

SIDE: dict[int, Side] = {-1: "left", 1: "right"}
_AGREE = 0.8
_LEAST_WAY = 0.15
_LEAST_STEP = 0.01
_LEAST_SHARE = 0.2
"""Share of the displacements that must be a motion: those across a single jump are an eighth of them, at any frame rate."""


def box_sides(a: Floats, b: Floats) -> Floats:
    """Return [T] the side of `b` on which `a` is: -1 left, 1 right, 0 neither; boxes [T, 4] are x0, y0, x1, y1.

    GenEval, section 3.2: `o = c_a - c_b`, `r = max(|o| - 0.1 (dim_a + dim_b), 0) sign(o)`; left when
    `r_x / |o| < -0.5`.
    """
    o = (a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]) / 2
    dims = a[:, 2:] - a[:, :2] + b[:, 2:] - b[:, :2]
    r = np.maximum(np.abs(o) - 0.1 * dims, 0) * np.sign(o)
    share = r[:, 0] / np.maximum(np.linalg.norm(o, axis=1), 1e-9)
    return np.where(np.abs(share) > 0.5, np.sign(share), 0.0)


def agreed(votes: Floats, what: str) -> tuple[int, float]:
    """Return (side, share of the votes for it), side -1 or 1, of votes [K] in -1, 0, 1.

    Raises:
        UnjudgeableError: fewer than three votes, or less than 80% of them agree.
    """
    if len(votes) < 3:
        raise UnjudgeableError(f"{what} was seen for too short a time")
    side = 1 if votes.sum() > 0 else -1
    share = float((votes == side).mean())
    if share < _AGREE:
        raise UnjudgeableError(f"{what} does not keep to one side")
    return side, share


def find_unique_object(tracks: Tracks, thing: Thing, min_share: float = 0.6) -> int:
    """Return the track of an object of which the clip may show no second one.

    Raises:
        UnjudgeableError: no such object is seen, or two are.
    """
    i = helpers.find_object(tracks, thing.colour, thing.shape, min_share)
    least = 0.35 * float(np.median(tracks.area[i][tracks.visible[i]]))
    others = [j for j in tracks.of(thing.colour) if j != i]
    doubled = np.any(
        [tracks.visible[j] & (tracks.area[j] > least) for j in others] or [np.zeros(tracks.frames, bool)], axis=0
    )
    if (doubled & tracks.visible[i]).mean() > 0.25:
        raise UnjudgeableError(f"there is more than one {thing.colour} {thing.shape}")
    return i


def in_frame(tracks: Tracks, i: int) -> Bools:
    """Return the frames [T] in which a track is seen and not cut by the frame's left or right edge."""
    with np.errstate(invalid="ignore"):
        inside = (tracks.box[i, :, 0] > 0) & (tracks.box[i, :, 2] < tracks.size[1] - 1)
    return np.asarray(tracks.visible[i] & inside)


def windows(frames: Sequence[int], total: int) -> list[tuple[int, int]]:
    """Return pairs of frames about an eighth of the clip apart, both out of `frames` (rising)."""
    gap = max(1, round(total / 8))
    out = []
    for n, k in enumerate(frames):
        later = [j for j in frames[n + 1 :] if j >= k + gap]
        if later:
            out.append((k, later[0]))
    return out


def shift_of(tracks: Tracks, marks: Sequence[int], whole: Bools, k: int, j: int) -> Floats:
    """Return how far each landmark moves in x from frame k to j, in pixels, where `whole` [N, T] holds in both."""
    usable = [m for m in marks if whole[m, k] and whole[m, j]]
    return np.array([tracks.xy[m, j, 0] - tracks.xy[m, k, 0] for m in usable], dtype=float)


def direction(tracks: Tracks, i: int, marks: Sequence[int], others: Sequence[int], what: str) -> tuple[int, float]:
    """Return (side to which a track moves against the landmarks, share of the time that agrees).

    Raises:
        UnjudgeableError: it does not move by 15% of the frame's shorter side, or not steadily to one side.
    """
    whole = np.array([in_frame(tracks, n) for n in range(len(tracks))])
    apart = helpers.clear(tracks, i, list(others)) if others else whole[i]
    judged = np.flatnonzero(apart if apart.sum() >= 4 else whole[i])
    off = np.array([helpers.clear(tracks, n, [i, *others]) if n in marks else whole[n] for n in range(len(tracks))])
    rates = []
    for k, j in windows([int(f) for f in judged], tracks.frames):
        # A landmark that something passes in front of seems to move; it serves only where no other is whole.
        moved = shift_of(tracks, marks, off, k, j)
        moved = moved if len(moved) else shift_of(tracks, marks, whole, k, j)
        if len(moved):
            rates.append((tracks.xy[i, j, 0] - tracks.xy[i, k, 0] - float(np.median(moved))) / (j - k))
    return way(np.array(rates), tracks.frames, min(tracks.size), what)


def way(rates: Floats, frames: int, length: int, what: str) -> tuple[int, float]:
    """Return `agreed` of displacements [K] in pixels per frame, of which a clip has `frames`.

    length: pixels of which what moves goes a share: the frame's shorter side, which scenes are as large as, or its width where a clip
    shows no such scene. what: names the moving object in errors.
    """
    if len(rates) < 3:
        raise UnjudgeableError(f"{what} was seen for too short a time")
    moving = rates[np.abs(rates) * max(1, round(frames / 8)) > _LEAST_STEP * length]
    few = len(moving) < max(3, round(_LEAST_SHARE * len(rates)))
    if few or np.abs(rates).mean() * (frames - 1) < _LEAST_WAY * length:
        raise UnjudgeableError(f"{what} hardly moved")
    side, share = agreed(np.sign(moving), f"the motion of {what}")
    if abs(rates.mean()) * (frames - 1) < _LEAST_WAY * length:
        raise UnjudgeableError(f"{what} hardly moved")
    return side, share


class _Sided(Probe):
    """A probe that judges a side; no partial credit."""

    suite = "left_right"
    unit = "right side, 0 or 1"
    chance = 0.5
    violations = ("swapped_sides",)


class _TwoNamed(_Sided):
    """A probe whose prompts name two objects, each with its side, in an order that is independent of the sides.

    In every other couple of pairs the twins name the same object first and give it opposite sides; in the couples between them each
    twin names the object of one and the same side first. So a generator that goes by the order of mention ("the first named stands
    left") is right in half of the cases, and so is one that ignores the order of the words. Over four cases a name (by the alphabet
    of colours) and a side come first together equally often. Order bias of text-to-image models: arXiv 2603.03714.
    """

    def drafts(self, count: int, seed: int) -> list[Draft]:
        """Return the drafts of `count` cases, in pairs of twins, the order of mention balanced."""
        return [self._ordered(i, seed) for i in range(count)]

    def _ordered(self, i: int, seed: int) -> Draft:
        rng, family = self._rng(seed, i // 2), self.family
        assert isinstance(family, TwoNamed)
        params = family.sample(rng)
        params = family.mirrored(params) if i % 2 else params
        return Draft(self.name, params, family.caption(params, rng, first=self._first(params, i // 2, seed)))

    def _first(self, params: TwoNamedParams, pair: int, seed: int) -> Named:
        """Return the object that the caption of a pair's scene names first."""
        early, late = np.random.default_rng([*b"order", *self.name.encode(), seed, pair // 4]).integers(2, size=2)
        if pair % 4 < 2:
            return "a" if (params.a.colour < params.b.colour) == (pair % 2 == early) else "b"
        return "a" if (params.side_of_a == "left") == (pair % 2 == late) else "b"


def _verdict(side: int, expected: Side, **components: float) -> Verdict:
    right = side == SIGN[expected]
    return Verdict(float(right), {"side": 1.0 if right else -1.0, **components})


_AT_BOTH_ENDS = "the first and the last frame show the side of the prompt, and the claim is of no motion"


class Relation(_TwoNamed):
    """One object stands to the left or right of another, while the camera comes closer."""

    name = "relation"
    blind_to: ClassVar[dict[str, str]] = dict.fromkeys(("cut", "crossfade"), _AT_BOTH_ENDS)
    blind_modes: ClassVar[tuple[Mode, ...]] = MODES
    claim = "a thing that is to be on the left of another is on its left"
    source = "GenEval's box geometry, Ghosh et al. 2023; VISOR, Gokhale et al. 2022"

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the side of object `a`; the camera must come a little closer, as no still does."""
        p = RelationParams.of(case)
        a, b = find_unique_object(tracks, p.a), find_unique_object(tracks, p.b)
        both = tracks.visible[a] & tracks.visible[b]
        if both.mean() < 0.6:
            raise UnjudgeableError("the two things were not seen together")
        grown = _growth(tracks, a, b)
        side, share = agreed(box_sides(tracks.box[a][both], tracks.box[b][both]), f"the {p.a.noun}")
        return _verdict(side, p.side, agreement=share, growth=grown)


def _growth(tracks: Tracks, a: int, b: int) -> float:
    """Return the share by which the layout of two objects grows: their distance and both their sizes, fitted over time.

    Raises:
        UnjudgeableError: it does not grow by 4% or not steadily.
    """
    ok = helpers.clear(tracks, a, []) & helpers.clear(tracks, b, [])
    if ok.sum() < 4:
        raise UnjudgeableError("the two things were cut by the frame's edge")
    apart = np.linalg.norm(tracks.xy[a] - tracks.xy[b], axis=1)[ok]
    t = helpers.times(tracks)[ok]
    log = (np.log(np.maximum(apart, 1.0)) + 0.5 * np.log(tracks.area[a][ok]) + 0.5 * np.log(tracks.area[b][ok])) / 3
    rate = float(np.polyfit(t, log, 1)[0])
    spread = float(log.std())
    steady = float(np.corrcoef(t, log)[0, 1]) if spread > 1e-9 else 0.0
    grown = float(np.expm1(np.clip(rate * (tracks.frames - 1) / tracks.fps, -5, 5)))
    if grown < 0.04 or steady < 0.85:
        raise UnjudgeableError("the camera did not move closer")
    return grown


class Motion(_Sided):
    """An object moves to the left or right, judged against what stands still: the camera may follow it."""

    name = "motion"
    version = 2
    claim = "a thing that is to move to the left moves to the left of what stands still"
    source = "object minus background displacement, as T2V-CompBench's motion binding (Sun et al. 2024)"

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the object's motion against the pillars."""
        p = MotionParams.of(case)
        hero = find_unique_object(tracks, p.hero, 0.5)
        marks = [helpers.find_object(tracks, c, "pillar") for c in p.pillars]
        side, share = direction(tracks, hero, marks, [], f"the {p.hero.shape}")
        return _verdict(side, p.to, agreement=share)


class OppositeMotion(_TwoNamed):
    """Two objects move to opposite sides, each to the one named for it in the prompt."""

    name = "opposite_motion"
    version = 2
    claim = "of two things that move apart, each goes to the side that was said of it"
    source = "object minus background displacement, as T2V-CompBench's motion binding (Sun et al. 2024)"

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge both motions against the pillar."""
        p = OppositeMotionParams.of(case)
        a, b = find_unique_object(tracks, p.a, 0.5), find_unique_object(tracks, p.b, 0.5)
        mark = helpers.find_object(tracks, p.pillar, "pillar")
        side, share = direction(tracks, a, [mark], [b], f"the {p.a.noun}")
        other, also = direction(tracks, b, [mark], [a], f"the {p.b.noun}")
        if side == other:
            raise UnjudgeableError(f"both things moved to the {SIDE[side]}")
        return _verdict(side, p.to, agreement=min(share, also))


class CameraPan(_Sided):
    """The camera pans to the left or right: what stands in front of it goes the other way."""

    name = "camera_pan"
    version = 2
    claim = "when the camera pans to the left, the world moves to the right"
    blind_to: ClassVar[dict[str, str]] = {
        "crossfade": "a fade between two views that overlap shifts what is seen, to the side of the prompt"
    }
    blind_modes: ClassVar[tuple[Mode, ...]] = MODES
    source = "VBench++ camera motion (Huang et al. 2024), on the tracks of landmarks"

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the common motion of the landmarks."""
        p = CameraPanParams.of(case)
        marks = [helpers.find_object(tracks, t.colour, t.shape, 0.1) for t in p.row]
        whole = np.array([in_frame(tracks, n) for n in range(len(tracks))])
        rates, alike = [], []
        for k, j in windows(range(tracks.frames), tracks.frames):
            moved = shift_of(tracks, marks, whole, k, j)
            if len(moved):
                middle = float(np.median(moved))
                rates.append(middle / (j - k))
                spread = float(np.abs(moved - middle).max())
                alike.append(spread <= 0.4 * abs(middle) + 0.015 * min(tracks.size))
        if len(rates) < 3:
            # Landmarks that are never whole in the frame still move with everything behind them.
            seen = background_motion(video.frames)
            rates, alike = list(seen.displacement[seen.inliers >= 0.4, 0]), []
        side, share = way(-np.array(rates), tracks.frames, min(tracks.size), "the camera")
        if alike and np.mean(alike) < _AGREE:
            raise UnjudgeableError("the things moved against each other, not the camera")
        return _verdict(side, p.to, agreement=share)


class Hands(_Sided):
    """A figure raises its own left or right hand, facing us or turned away: its left is our right when it faces us."""

    name = "hands"
    blind_to: ClassVar[dict[str, str]] = dict.fromkeys(("cut", "crossfade"), _AT_BOTH_ENDS)
    blind_modes: ClassVar[tuple[Mode, ...]] = MODES
    claim = "a figure raises the hand that was named, and its left is our right when it faces us"
    source = "sora-eval; perspective taking as in spatial cognition tests"

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge which hand rises in the picture; the figure must face as in the prompt."""
        p = HandsParams.of(case)
        hair = helpers.find_object(tracks, p.hair, "hair", 0.6)
        shirt = helpers.find_object(tracks, p.shirt, "shirt", 0.6)
        shown = _facing(video.frames, tracks, hair, shirt, (p.hair, p.shirt))
        if shown != p.facing:
            raise UnjudgeableError(f"the figure is {FACING_WORDS[shown]}")
        side, share = _raised(tracks, p.gloves)
        return _verdict(side, picture_side(p.hand, p.facing), agreement=share)


def _facing(frames: Frames, tracks: Tracks, hair: int, shirt: int, colours: tuple[str, str]) -> Facing:
    """Return "us" or "away": hair covers the whole head from behind, only its upper part from the front.

    `colours` are those of hair and shirt. The head lies between the hair's top and the collar, in
    its middle columns.

    Raises:
        UnjudgeableError: neither is clear for 80% of the time.
    """
    of_hair, of_shirt = (list(COLOURS).index(c) for c in colours)
    votes = []
    for k in np.flatnonzero(tracks.visible[hair] & tracks.visible[shirt]):
        x0, y0, x1, _ = tracks.box[hair, k]
        middle, half = (x0 + x1) / 2, (x1 - x0) / 4
        left, right = max(0, round(middle - half)), round(middle + half) + 1
        part = frames[k, max(0, round(y0 + 0.5)) : max(0, round(tracks.box[shirt, k, 3])), left:right]
        if part.shape[0] < 3 or part.shape[1] < 2:
            continue
        side = (min(part.shape[1], 24), min(part.shape[0], 96))
        index, weight = membership(cv2.resize(part, side, interpolation=cv2.INTER_AREA).astype(np.uint8))
        collar = np.flatnonzero(((index == of_shirt) & (weight > 0.4)).mean(axis=1) > 0.5)
        if len(collar) and collar[0] > 0:
            share = float(((index == of_hair) & (weight > 0.4))[: collar[0]].mean())
            votes.append(1.0 if share > 0.75 else -1.0 if share < 0.65 else 0.0)
    away, us = (float(np.mean(np.array(votes) == v)) if len(votes) >= 3 else 0.0 for v in (1, -1))
    if max(away, us) < _AGREE:
        raise UnjudgeableError("the direction in which the figure faces is unclear")
    return "away" if away > us else "us"


def _raised(tracks: Tracks, colour: str) -> tuple[int, float]:
    """Return (side of the picture on which a hand is raised, share of the time with a hand up that agrees).

    Raises:
        UnjudgeableError: two hands are not seen, don't start level, or none goes up and stays up.
    """
    hand, frames = tracks.of(colour), tracks.frames
    areas = tracks.area[hand] if hand else np.zeros((1, frames))
    least = 0.3 * float(np.median(areas.max(axis=0)))
    pairs: list[tuple[int, float, float, float, float]] = []
    for k in range(frames):
        big = sorted(
            (i for i in hand if tracks.visible[i, k] and tracks.area[i, k] > least), key=lambda i: -tracks.area[i, k]
        )
        if len(big) == 2:
            (xl, yl), (xr, yr) = sorted((float(tracks.xy[i, k, 0]), float(tracks.xy[i, k, 1])) for i in big)
            pairs.append((k, xl, yl, xr, yr))
    if len(pairs) < max(4, 0.6 * frames):
        raise UnjudgeableError(f"two hands in {colour} gloves were not seen")
    when, xl, yl, xr, yr = np.array(pairs).T
    early, late = when <= 0.2 * (frames - 1), when >= 0.8 * (frames - 1)
    if not early.any() or not late.any():
        raise UnjudgeableError(f"two hands in {colour} gloves were not seen at both ends of the clip")
    span = max(1.0, float(np.median((xr - xl)[early])))
    higher = (yl - yr) / span
    if np.abs(np.median(higher[early])) > 0.25:
        raise UnjudgeableError("the hands are not level at the start")
    up = np.abs(higher) > 0.4
    if up[late].mean() < _AGREE:
        raise UnjudgeableError("no hand is raised at the end")
    side, share = agreed(np.sign(higher[up]), "the raised hand")
    lifted, still = (yr, yl) if side > 0 else (yl, yr)
    rise = float(np.median(lifted[early]) - np.median(lifted[late])) / span
    sway = abs(float(np.median(still[early]) - np.median(still[late]))) / span
    if rise < 0.35 or sway > 0.5 * rise:
        raise UnjudgeableError("no single hand goes up")
    fallen = np.maximum.accumulate(side * higher) - side * higher
    if (fallen > 0.3).mean() > 0.1:
        raise UnjudgeableError("the raised hand does not stay up")
    return side, share
