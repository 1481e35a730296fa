"""Probes of prompts in plain words. The measures are those of the world's probes; things are found by label or colour.

What the tracker can't see is not judged, with that reason; it is never a wrong answer.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sora_eval.errors import ConfigError
from sora_eval.probes import helpers
from sora_eval.probes.base import Probe, UnjudgeableError, Verdict
from sora_eval.probes.left_right import agreed, box_sides, way, windows
from sora_eval.probes.natural import named
from sora_eval.probes.natural.expectations import Count, Hands, Motion, PassBehind, Relation, from_json
from sora_eval.probes.natural.words import Expectation
from sora_eval.tracking.background import BackgroundMotion, background_motion
from sora_eval.types import Bools, Case, Finding, Floats, Mode, Tracks, Video
from sora_eval.world.families import Family

SIGN = {"left": -1, "above": -1, "up": -1, "right": 1, "below": 1, "down": 1}
VERTICAL = ("above", "below", "up", "down")
TRUSTED = 0.4
"""Share of inliers from which the fitted motion of the background is trusted."""
STEADY, SURE = 0.8, 0.95
"""Share of the frames that must show one number of things: to be right, and to be wrong, for a detector misses some."""
NEARER = 0.1
"""Lead in the share of the picture that is farther away from which on one thing is in front of another. Not measured."""
COVERED = 0.7
"""Share of its area below which a thing is partly covered."""
FOLLOWED = 0.8
"""Share of the frames before it in which a thing must be seen, so that its absence afterwards means something."""


class NaturalProbe(Probe):
    """A probe whose cases are prompts with an expectation, and no scene."""

    modes: ClassVar[tuple[Mode, ...]] = ("t2v",)
    expects: ClassVar[type[Expectation]]
    """The kind of expectation that it judges."""

    @property
    def family(self) -> Family[Any]:
        """There is none.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"probe {self.name} has no scenes of its own: its cases come from prompts.file=...")

    @classmethod
    def judges(cls, expectation: Expectation) -> bool:
        """Return whether an expectation is for this probe."""
        return isinstance(expectation, cls.expects)

    def expected(self, case: Case) -> Expectation:
        """Return the expectation of a case.

        Raises:
            ConfigError: it is none of this version, or of another kind.
        """
        expectation = from_json(case.expect)
        if not isinstance(expectation, self.expects):
            raise ConfigError(f"its expectation {dict(case.expect)} is not for probe {self.name}")
        return expectation


def sided_verdict(side: int, expected: str, **components: float) -> Verdict:
    """Return the verdict on a side or direction, -1 or 1."""
    right = side == SIGN[expected]
    return Verdict(float(right), {"side": 1.0 if right else -1.0, **components})


def found(tracks: Tracks, question: str) -> Finding | None:
    """Return the tracker's answer to a question about the clip, None of a tracker that answers none.

    Raises:
        UnjudgeableError: it abstains.
    """
    finding = tracks.findings.get(question)
    if finding and not finding.answer:
        raise UnjudgeableError(finding.reason)
    return finding


def check_one_shot(tracks: Tracks) -> None:
    """Refuse a clip that has or may have a cut, where the tracker can say so: what moves across a cut is no motion.

    Raises:
        UnjudgeableError: it has.
    """
    if (finding := found(tracks, "cut")) and finding.answer == "yes":
        raise UnjudgeableError("the clip has a cut")


def measured_background(video: Video) -> BackgroundMotion:
    """Return the motion of the background.

    Raises:
        UnjudgeableError: it can't be trusted in most frames.
    """
    motion = background_motion(video.frames)
    if np.mean(motion.inliers >= TRUSTED) < STEADY:
        raise UnjudgeableError("the motion of the background can't be measured")
    return motion


def ground_path(video: Video, tracks: Tracks) -> Floats:
    """Return how far the background has moved since the first frame [T, 2], pixels.

    It has not where the tracker finds that the camera stands.

    Raises:
        UnjudgeableError: it can't be measured.
    """
    stands = tracks.findings.get("camera moves")
    return np.zeros((len(video), 2)) if stands and stands.answer == "no" else measured_background(video).path()


def check_distinct(a: named.Seen, b: named.Seen, names: tuple[str, str]) -> None:
    """Refuse two things that were found in the same tracks.

    Raises:
        UnjudgeableError: they were.
    """
    if set(a.ids) & set(b.ids):
        raise UnjudgeableError(f"the {names[0]} can't be distinguished from the {names[1]}")


def check_behind(tracks: Tracks, hidden: named.Seen, front: named.Seen, names: tuple[str, str]) -> None:
    """Refuse two things of which the one that should be behind is in front, where the tracker measures how near they are.

    Raises:
        UnjudgeableError: it is, in most frames in which their boxes touch.
    """
    if "nearness" not in tracks.shape:
        return
    frame = np.arange(tracks.frames)
    near = tracks.shape["nearness"]
    mine, other = (np.array([near[list(s.ids), k].max() for k in frame]) for s in (hidden, front))
    low, high = np.maximum(hidden.box[:, :2], front.box[:, :2]), np.minimum(hidden.box[:, 2:], front.box[:, 2:])
    with np.errstate(invalid="ignore"):
        both = (high > low).all(axis=1) & np.isfinite(mine) & np.isfinite(other)
    if both.any() and np.median(mine[both] - other[both]) > NEARER:
        raise UnjudgeableError(f"the {names[0]} is in front of the {names[1]}, not behind it")


def counts_of(tracks: Tracks, thing: str) -> NDArray[np.int64]:
    """Return how many things of a kind each frame shows [T], without those that are much smaller than the others.

    Raises:
        UnjudgeableError: none was found.
    """
    ids = named.tracks_of(tracks, thing)
    there = tracks.visible[ids]
    if not there.any():
        raise UnjudgeableError(f"no {thing} was found")
    large = there & (tracks.area[ids] > 0.2 * float(np.median(tracks.area[ids][there])))
    return np.asarray(large.sum(axis=0), dtype=np.int64)


class NaturalRelation(NaturalProbe):
    """One named thing is to the left or right of another, above or below it."""

    suite = "left_right"
    name = "natural_relation"
    claim = "of two named things each is on the side that the prompt names"
    source = "GenEval's box geometry, Ghosh et al. 2023"
    unit = "right side, 0 or 1"
    chance = 0.5
    expects = Relation

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the side of the first thing, in the frames that show both."""
        p = self.expected(case)
        assert isinstance(p, Relation)
        tracks = named.on_its_side(tracks) if p.side in VERTICAL else tracks
        a, b = named.find(tracks, p.a), named.find(tracks, p.b)
        check_distinct(a, b, (p.a, p.b))
        both = a.visible & b.visible
        if both.mean() < 0.5:
            raise UnjudgeableError("the two things were not seen together")
        side, share = agreed(box_sides(a.box[both], b.box[both]), f"the {p.a}")
        return sided_verdict(side, p.side, agreement=share)


class NaturalMotion(NaturalProbe):
    """A named thing moves to one side, judged against the background: the camera may follow it."""

    suite = "left_right"
    name = "natural_motion"
    version = 3
    claim = "a named thing moves to the side that the prompt names"
    source = "object minus background displacement, as T2V-CompBench's motion binding (Sun et al. 2024)"
    unit = "right side, 0 or 1"
    chance = 0.5
    expects = Motion

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the thing's motion minus that of the background."""
        p = self.expected(case)
        assert isinstance(p, Motion)
        axis = int(p.to in VERTICAL)
        turned = named.on_its_side(tracks) if axis else tracks
        thing = named.find(turned, p.thing)
        check_one_shot(tracks)
        question = f"{tracks.labels[thing.ids[0]]} side" if tracks.labels and not axis else ""
        if finding := found(tracks, question):
            return sided_verdict(SIGN[finding.answer], p.to, confidence=finding.confidence)
        behind = measured_background(video)
        ground = behind.path()[:, axis]
        x = thing.middle[:, 0]
        inside = thing.visible & (thing.box[:, 0] > 0) & (thing.box[:, 2] < turned.size[1] - 1)
        pairs = windows([int(k) for k in np.flatnonzero(inside)], turned.frames)
        rates = [(x[j] - x[k] - ground[j] + ground[k]) / (j - k) for k, j in pairs]
        side, share = way(np.array(rates), turned.frames, turned.size[1], f"the {p.thing}")
        return sided_verdict(side, p.to, agreement=share)


class NaturalHands(NaturalProbe):
    """Somebody uses the hand that the prompt names: the one that moves, or is held up, while the other hangs."""

    suite = "left_right"
    name = "natural_hands"
    version = 2
    claim = "somebody uses the hand that the prompt names"
    source = "left and right of a body's pose (Bazarevsky et al. 2020), confirmed by the handedness of its hands (Zhang et al. 2020)"
    unit = "right hand, 0 or 1"
    chance = 0.5
    expects = Hands

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge which hand the only person uses."""
        p = self.expected(case)
        assert isinstance(p, Hands)
        if not named.is_person(p.thing):
            raise UnjudgeableError(f"hands of people alone are distinguished, not of a {p.thing}")
        if (finding := found(tracks, "hand in use")) is None:
            raise UnjudgeableError(
                f"this tracker does not distinguish the left hand of a {p.thing} from the right one: set tracker=natural"
            )
        return sided_verdict(SIGN[finding.answer], p.hand, confidence=finding.confidence)


class NaturalCount(NaturalProbe):
    """There are as many things of a kind as the prompt says, throughout."""

    suite = "object_permanence"
    name = "natural_count"
    claim = "there are as many things as the prompt says, from the first frame to the last"
    source = "GenEval's counting, Ghosh et al. 2023, over time"
    unit = "right number, 0 or 1"
    expects = Count

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the number that most frames show."""
        p = self.expected(case)
        assert isinstance(p, Count)
        counts = counts_of(tracks, p.thing)
        number = int(np.bincount(counts).argmax())
        share = float((counts == number).mean())
        if share < (STEADY if number == p.number else SURE):
            raise UnjudgeableError(
                f"from {counts.min()} to {counts.max()} {p.thing}s are seen, never one number for long"
            )
        right = float(number == p.number)
        return Verdict(right, {"right_number": right, "counted": float(number), "agreement": share})


class NaturalPassBehind(NaturalProbe):
    """A named thing passes behind another one and comes out on its other side."""

    suite = "object_permanence"
    name = "natural_pass_behind"
    version = 2
    claim = "a named thing that passes behind another comes out on the other side, as the same kind of thing"
    source = "violation of expectation, Piloto et al. 2022"
    unit = "comes out again, 0 or 1"
    expects = PassBehind

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge whether the thing is seen on the other side."""
        p = self.expected(case)
        assert isinstance(p, PassBehind)
        check_one_shot(tracks)
        wall, hero = named.find(tracks, p.behind, 0.6), named.find(tracks, p.thing, 0.15)
        check_distinct(hero, wall, (p.thing, p.behind))
        check_behind(tracks, hero, wall, (p.thing, p.behind))
        x, frame = hero.middle[:, 0] - np.nanmedian(wall.middle[:, 0]), np.arange(tracks.frames)
        start = -float(np.sign(x[hero.visible][0])) or 1.0
        if p.to and start != SIGN[p.to]:
            raise UnjudgeableError(f"the {p.thing} did not come from the {'left' if p.to == 'right' else 'right'}")
        way_on = x * start
        half = float(np.nanmedian(wall.box[:, 2] - wall.box[:, 0])) / 2
        before, beyond = hero.visible & (way_on < -0.5 * half), hero.visible & (way_on > 0.5 * half)
        first = int(np.flatnonzero(before)[0]) if before.any() else 0
        if before.sum() < 3:
            raise UnjudgeableError(f"the {p.thing} was not seen on its way to the {p.behind}")
        last = int(np.flatnonzero(before)[-1])
        after = beyond & (frame > last)
        t = frame[before]
        speed = float(np.polyfit(t, way_on[before], 1)[0])
        if after.sum() >= 2:
            between = slice(last + 1, int(np.flatnonzero(after)[0]))
            less = hero.area[between] < COVERED * float(np.median(hero.area[before]))
            # One that passes in front is whole all the way; a single frame of a long clip may have been missed.
            if not helpers.is_hidden(~hero.visible[between] | less, tracks.frames):
                raise UnjudgeableError(f"the {p.thing} was never hidden by the {p.behind}")
            size = area_change(hero.area, before, after)
            return Verdict(1.0, {"returns": 1.0, "log_size": size})
        # When its middle should be past the far edge.
        due = last + (abs(way_on[last]) + half) / speed if speed > 1e-6 else np.inf
        late = frame > due
        followed = float(hero.visible[first : last + 1].mean())
        if speed * tracks.frames < 0.3 * tracks.size[1] or late.sum() < max(5, 0.15 * tracks.frames):
            raise UnjudgeableError(f"the {p.thing} did not pass behind the {p.behind} in time")
        if followed < FOLLOWED or wall.visible[late].mean() < FOLLOWED or hero.visible[late].any():
            raise UnjudgeableError(f"the tracker did not follow the {p.thing} well enough to say where it is")
        return Verdict(0.0, {"returns": 0.0})


def area_change(area: Floats, before: Bools, after: Bools) -> float:
    """Return the change of size, as the absolute log of the square root of the area."""
    return 0.5 * abs(float(np.log(np.median(area[after]) / np.median(area[before]))))
