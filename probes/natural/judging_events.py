"""Probes of what happens to things, for prompts in plain words: falls, bounces, throws, pushes, things that tip over or stay.

Boxes of a detector give a rough path, so that only a clear event is judged: laws are those of sign and order (down and faster, no higher
than before), not of acceleration in metres.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from sora_eval.probes.base import UnjudgeableError, Verdict
from sora_eval.probes.left_right import way, windows
from sora_eval.probes.natural import named
from sora_eval.probes.natural.events import HIGHER, Bounce, Change, Fall, Push, Rest, Throw, Topple
from sora_eval.probes.natural.judging import (
    FOLLOWED,
    STEADY,
    NaturalProbe,
    check_distinct,
    check_one_shot,
    found,
    ground_path,
    sided_verdict,
)
from sora_eval.types import Bools, Case, Floats, Tracks, Video

_LEAST_FALL = 0.12
"""Share of the frame's height below which a way down is no fall."""
_FASTER, _SLOWER = 1.25, 0.7
"""Time for the first half of a way over that for the second, 10% at each end left out: 1.6 of a fall from rest, 1 at constant speed.
What lies between may be a fall that began before the clip."""
_LEAST_STEPS = 4
"""Steps of a fall that can be measured."""
_LANDED = 0.2
"""Share of a fall's highest speed below which a thing has landed."""
_AGAIN = 0.15
"""Share of a fall's height that a bounce must rise."""
_AT_REST = 3
"""Frames for which a thing must be at rest before its fall, so that the fall's height is known."""
_NEARER = 1.1
"""By how much a thing may grow after it lands: what comes nearer rises further in the picture."""
_LEAST_SIDE = 0.1
"""Share of the frame's width below which a way to the side is none."""
_ARC = 0.03
"""Share of the frame's height by which a path must arch over its chord."""
_UPRIGHT, _LYING = 1.25, 0.9
"""Height over width of what surely stands, and of what surely lies."""
_STAYS, _LEAVES = 0.3, 1.0
"""Way in sizes of a thing that surely stays at most, and of one that surely moves at least."""


class _Event(NaturalProbe):
    """A probe of an event of one thing."""

    suite = "physics"
    unit = "right, 0 or 1"

    def _path(self, thing: str, video: Video, tracks: Tracks, least: float = 0.5) -> tuple[named.Seen, Floats, Bools]:
        """Return a thing, its middle [T, 2] against the background in pixels, and the frames [T] in which it is whole.

        Raises:
            UnjudgeableError: it is not found or too seldom whole, or the clip has a cut, or the background can't be measured.
        """
        seen = named.find(tracks, thing, least)
        check_one_shot(tracks)
        height, width = tracks.size
        box = seen.box
        with np.errstate(invalid="ignore"):
            whole = seen.visible & (box[:, :2] > 0).all(axis=1) & (box[:, 2] < width - 1) & (box[:, 3] < height - 1)
        if whole.sum() < 5:
            raise UnjudgeableError(f"the {thing} was not seen whole for long enough")
        return seen, seen.middle - ground_path(video, tracks), np.asarray(whole, dtype=bool)


def legs(y: Floats, least: float) -> list[int]:
    """Return the turning points of y [n] that lie at least `least` apart in value, the first and the last index among them.

    Example:
        >>> legs(np.array([0.0, 3, 9, 5, 2, 4]), 3.0)
        [0, 2, 4, 5]
    """
    turns, at = [0], 0
    sign = 0
    for i in range(1, len(y)):
        if sign * (y[i] - y[at]) > 0 or (not sign and abs(y[i] - y[at]) >= least):
            sign = sign or int(np.sign(y[i] - y[at]))
            at = i
        elif sign and sign * (y[at] - y[i]) >= least:
            turns.append(at)
            sign, at = -sign, i
    turns += [at] if at != turns[-1] else []
    return turns if turns[-1] == len(y) - 1 else [*turns, len(y) - 1]


def _heights(
    path: Floats, whole: Bools, seen: named.Seen, tracks: Tracks, what: str
) -> tuple[Floats, Floats, int, int]:
    """Return frames and y [n] (downwards, pixels) where a thing is whole, and the indices of the top and the end of its first fall.

    Raises:
        UnjudgeableError: it does not go down far enough, or is lost on its way.
    """
    frame = np.flatnonzero(whole).astype(float)
    y = path[whole, 1]
    size = float(np.median(seen.box[whole, 3] - seen.box[whole, 1]))
    least = max(_LEAST_FALL * tracks.size[0], 0.7 * size)
    # A fall from above what a box jitters by.
    turns = legs(y, max(0.1 * size, 0.02 * tracks.size[0]))
    falls = [(a, b) for a, b in pairwise(turns) if y[b] - y[a] >= least]
    if not falls:
        raise UnjudgeableError(f"the {what} did not fall: it did not go down far enough")
    top, low = falls[0]
    # It may rest for long before it falls.
    top += int(np.flatnonzero(y[top : low + 1] <= y[top] + 0.05 * (y[low] - y[top]))[-1])
    if (low - top) / (frame[low] - frame[top]) < STEADY:
        raise UnjudgeableError(f"the tracker lost the {what} while it fell")
    return frame, y, top, low


def _landing(frame: Floats, y: Floats, top: int, low: int) -> tuple[int, int]:
    """Return the index of a fall's fastest step, and that at which it ends: the first step after it that has a fifth of its speed.

    What has landed may roll nearer, which is further down in the picture. Speeds are means of three steps, because boxes jitter.
    """
    steps = np.diff(y[top : low + 1]) / np.diff(frame[top : low + 1])
    speed = np.convolve(np.pad(steps, 1, mode="edge"), np.full(3, 1 / 3), mode="valid")
    fastest = int(speed.argmax())
    slow = np.flatnonzero(speed[fastest:] < _LANDED * speed[fastest])
    return top + fastest, top + fastest + int(slow[0]) if len(slow) else low


def _halves(frame: Floats, y: Floats, top: int, low: int) -> float:
    """Return the time for the first half of a way down over that for the second, 10% at each end left out."""
    share = np.maximum.accumulate((y[top : low + 1] - y[top]) / (y[low] - y[top]))
    start, middle, end = (float(np.interp(s, share, frame[top : low + 1])) for s in (0.1, 0.5, 0.9))
    return (middle - start) / max(end - middle, 1e-6)


class NaturalFall(_Event):
    """A named thing falls, faster and faster."""

    name = "natural_fall"
    claim = "a named thing that falls goes down, and faster and faster"
    source = "Galilei's law of odd numbers, free of scale and frame rate"
    expects = Fall

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge whether it gets faster on its way down."""
        p = self.expected(case)
        assert isinstance(p, Fall)
        seen, path, whole = self._path(p.thing, video, tracks)
        frame, y, top, low = _heights(path, whole, seen, tracks, p.thing)
        fastest, low = _landing(frame, y, top, low)
        if low - top < _LEAST_STEPS:
            raise UnjudgeableError(f"the fall of the {p.thing} takes too few frames to be measured")
        ratio = _halves(frame, y, top, low)
        # What rolls on fast has no clear landing.
        lands = fastest - top >= _LEAST_STEPS and _halves(frame, y, top, fastest) >= _FASTER
        if _SLOWER < ratio < _FASTER or (ratio <= _SLOWER and lands):
            raise UnjudgeableError(f"the {p.thing} goes down, but whether faster and faster can't be measured")
        faster = float(ratio >= _FASTER)
        return Verdict(faster, {"faster": faster, "halves": ratio})


class NaturalRest(_Event):
    """A named thing stays where it is."""

    name = "natural_rest"
    claim = "a named thing that nothing moves stays where it is"
    source = "Newton's first law"
    expects = Rest

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge how far it moves against the background."""
        p = self.expected(case)
        assert isinstance(p, Rest)
        seen, path, whole = self._path(p.thing, video, tracks, FOLLOWED)
        place = path[whole]
        size = float(np.sqrt(np.median(seen.area[whole])))
        off = np.linalg.norm(place - np.median(place[: max(3, len(place) // 4)], axis=0), axis=1)
        most, last = float(np.quantile(off, 0.9)) / size, float(np.median(off[-max(3, len(off) // 4) :])) / size
        if most > _STAYS and last < _LEAVES:
            raise UnjudgeableError(
                f"the {p.thing} moves too little to say that it moves, and too much to say that it stays"
            )
        still = float(most <= _STAYS)
        return Verdict(still, {"still": still, "moved": last})


class NaturalBounce(_Event):
    """A named thing falls and bounces."""

    name = "natural_bounce"
    claim = "a named thing that bounces turns round where it lands, no higher than it fell, to the side that the prompt names"
    source = "restitution above 0"
    expects = Bounce

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge whether it comes up again, and its side."""
        p = self.expected(case)
        assert isinstance(p, Bounce)
        seen, path, whole = self._path(p.thing, video, tracks)
        frame, y, top, low = _heights(path, whole, seen, tracks, p.thing)
        rise = (y[low] - float(y[low:].min())) / (y[low] - y[top])
        if rise < _AGAIN:
            stays = frame[-1] - frame[low] >= max(4, tracks.frames / 5)
            if not stays or whole[int(frame[low]) :].mean() < FOLLOWED:
                raise UnjudgeableError(f"the {p.thing} was not seen for long enough after it landed")
            return Verdict(0.0, {"bounces": 0.0, "rise": rise})
        if rise > HIGHER:
            size = np.sqrt(seen.area[whole])
            nearer = float(np.median(size[low:]) / np.median(size[: low + 1])) > _NEARER
            if nearer or (y[: top + 1] - y[top] <= 0.05 * (y[low] - y[top])).sum() < _AT_REST:
                raise UnjudgeableError(f"the {p.thing} rises above where its fall is first seen")
            return Verdict(0.0, {"bounces": 1.0, "rise": rise})
        if not p.to:
            return Verdict(1.0, {"bounces": 1.0, "rise": rise})
        x = path[whole, 0]
        across = float(x[-1] - x[0])
        if abs(across) < _LEAST_SIDE * tracks.size[1]:
            raise UnjudgeableError(f"the {p.thing} bounces, but hardly to a side")
        return sided_verdict(int(np.sign(across)), p.to, bounces=1.0, rise=rise)


class NaturalThrow(_Event):
    """A named thing flies to one side, in an arc."""

    name = "natural_throw"
    version = 2
    claim = "a named thing that is thrown flies to the side that the prompt names, in an arc that opens downwards"
    source = "closed form of projectile motion, up to its sign"
    chance = 0.5
    expects = Throw

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge side and arc of its flight."""
        p = self.expected(case)
        assert isinstance(p, Throw)
        _, path, whole = self._path(p.thing, video, tracks, 0.3)
        frame = np.flatnonzero(whole).astype(float)
        x, y = path[whole].T
        side, share = _side(frame, x, tracks, p.thing)
        # The flight is what goes to the side at speed: before it somebody holds it, after it it rolls.
        speed = np.gradient(x, frame) * side
        fast = np.flatnonzero(speed > 0.4 * np.quantile(speed, 0.9))
        flight = slice(int(fast[0]), int(fast[-1]) + 1)
        t = frame[flight] - frame[flight].mean()
        if len(t) < 5:
            raise UnjudgeableError(f"the flight of the {p.thing} takes too few frames to be measured")
        bend, slope, level = np.polyfit(t, y[flight], 2)
        arc = float(bend) * ((t[-1] - t[0]) / 2) ** 2 / tracks.size[0]
        residual = float(np.std(y[flight] - np.polyval((bend, slope, level), t))) / tracks.size[0]
        if arc < _ARC or residual > 0.35 * arc:
            raise UnjudgeableError(f"the path of the {p.thing} is no clear arc, so that it may roll or be carried")
        return sided_verdict(side, p.to, agreement=share, arc=arc)


def _side(frame: Floats, x: Floats, tracks: Tracks, what: str) -> tuple[int, float]:
    """Return the side to which x [n] goes at frames [n], and the share of the time that agrees."""
    at = {int(k): v for k, v in zip(frame, x, strict=True)}
    pairs = windows(sorted(at), tracks.frames)
    rates = np.array([(at[j] - at[k]) / (j - k) for k, j in pairs])
    return way(rates, tracks.frames, tracks.size[1], f"the {what}")


class NaturalPush(_Event):
    """A named thing moves to one side, pushed by another one behind it."""

    name = "natural_push"
    version = 2
    claim = "a named thing that another one pushes moves to the side that the prompt names, with that one behind it"
    source = "object minus background displacement, as T2V-CompBench's motion binding (Sun et al. 2024)"
    chance = 0.5
    expects = Push

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the direction, and whether something pushes."""
        p = self.expected(case)
        assert isinstance(p, Push)
        seen, path, whole = self._path(p.thing, video, tracks)
        pusher = named.find(tracks, p.by, 0.3)
        check_distinct(seen, pusher, (p.thing, p.by))
        side, share = _side(np.flatnonzero(whole).astype(float), path[whole, 0], tracks, p.thing)
        both = whole & pusher.visible
        if both.sum() < 5:
            raise UnjudgeableError(f"the {p.by} was not seen together with the {p.thing}")
        behind = (pusher.middle[both, 0] - seen.middle[both, 0]) * side < 0
        gap = np.maximum(pusher.box[both, 0] - seen.box[both, 2], seen.box[both, 0] - pusher.box[both, 2])
        near = gap < 0.5 * (pusher.box[both, 2] - pusher.box[both, 0])
        if (behind & near).mean() < STEADY:
            raise UnjudgeableError(f"the {p.thing} moves, but the {p.by} is not seen behind it to push it")
        return sided_verdict(side, p.to, agreement=share)


class NaturalTopple(_Event):
    """A named thing that stands tips over to one side."""

    name = "natural_topple"
    claim = "a named thing that tips over comes to lie on the side that the prompt names"
    source = "box geometry: a standing thing is taller than wide, a lying one wider than tall"
    chance = 0.5
    expects = Topple

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge to which side of its place it lies at last."""
        p = self.expected(case)
        assert isinstance(p, Topple)
        seen, path, whole = self._path(p.thing, video, tracks)
        frame = np.flatnonzero(whole)
        n = max(3, len(frame) // 4)
        first, last = frame[:n], frame[-n:]
        wide, tall = (seen.box[:, 2 + i] - seen.box[:, i] for i in (0, 1))
        before, after = (float(np.median(tall[part] / wide[part])) for part in (first, last))
        if before < _UPRIGHT or after > _LYING:
            raise UnjudgeableError(f"the {p.thing} was not seen to stand at first and to lie at last")
        moved = float(np.median(path[last, 0]) - np.median(path[first, 0])) / float(np.median(tall[first]))
        if abs(moved) < 0.2:
            raise UnjudgeableError(f"the side to which the {p.thing} tips over is not clear")
        return sided_verdict(int(np.sign(moved)), p.to, moved=moved)


class NaturalChange(NaturalProbe):
    """A named thing changes its state, by words against pictures of the clip's first and last part."""

    suite = "state_changes"
    name = "natural_change"
    version = 2
    claim = "a named thing changes its state as the prompt says, not the other way round"
    source = "words against pictures, as CLIP (Radford et al. 2021)"
    unit = "right, 0 or 1"
    chance = 0.5
    expects = Change

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the way that the tracker finds. A clip in which nothing changes is not distinguished from one that can't be read."""
        p = self.expected(case)
        assert isinstance(p, Change)
        finding = found(tracks, "change")
        if finding is None:
            raise UnjudgeableError(
                f"only tracker=open_vocab judges the state of a {p.thing}, by words against pictures"
            )
        check_one_shot(tracks)
        right = finding.answer == "forward"
        return Verdict(float(right), {"side": 1.0 if right else -1.0, "confidence": finding.confidence})
