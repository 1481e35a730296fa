"""Object permanence: what is out of sight goes on existing, as it was and where it would be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from sora_eval.metrics.permanence import fit_constant_velocity
from sora_eval.probes import helpers
from sora_eval.probes.base import Probe, UnjudgeableError, Verdict
from sora_eval.tracking.continuity import spans
from sora_eval.types import MODES, Bools, Case, Floats, Mode, Tracks, Video
from sora_eval.world.families.count import CountParams
from sora_eval.world.families.covered import CoveredParams
from sora_eval.world.families.evolves_unseen import EvolvesUnseenParams
from sora_eval.world.families.leave_and_return import LeaveAndReturnParams
from sora_eval.world.families.params import SIGN
from sora_eval.world.families.pass_behind import PassBehindParams
from sora_eval.world.families.two_shots import TwoShotsParams

_GONE = Verdict(0.0, {"returns": 0.0})


def _product(parts: Mapping[str, float]) -> Verdict:
    """Return the product of the parts: one broken part breaks the claim."""
    return Verdict(helpers.product(parts), parts)


def _alone(tracks: Tracks, expected: dict[str, int], width: float, since: int) -> float:
    """Return 1 when no more objects than `expected` are visible, 0 when more are for long.

    Long is a third of the clip, or two thirds of the time from frame `since`.
    """
    late = replace(
        tracks,
        xy=tracks.xy[:, since:],
        visible=tracks.visible[:, since:],
        area=tracks.area[:, since:],
        box=tracks.box[:, since:],
    )
    least = 0.3 * width**2
    return 1 - min(1.0, max(3 * helpers.extras(tracks, expected, least), 1.5 * helpers.extras(late, expected, least)))


class PassBehind(Probe):
    """An object passes behind a wall: it must come out on the other side, when and where its motion predicts, unchanged."""

    suite = "object_permanence"
    name = "pass_behind"
    version = 3
    claim = "an object that passes behind a wall comes out on the other side, unchanged and in time"
    source = "violation of expectation, Piloto et al. 2022; exit place against constant velocity"
    violations = (
        "stopped", "vanishes", "teleports", "changes_colour", "changes_shape", "duplicates", "appears_from_nowhere",
    )  # fmt: skip

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge return, place in time, appearance and extra objects."""
        p = PassBehindParams.of(case)
        wall = helpers.find_object(tracks, p.wall, "wall", 0.5)
        hero = helpers.find_object(tracks, p.colour, p.shape)
        way = SIGN[p.to]
        t, x, seen = helpers.times(tracks), tracks.xy[hero, :, 0], tracks.visible[hero]
        middle = np.nanmedian(tracks.xy[wall, :, 0])
        before, after = _whole(tracks, hero, wall, (x - middle) * way)
        if before.sum() < 2:
            raise UnjudgeableError(f"the {p.shape} was not seen on its way to the wall")
        # What is seen before the wall must be a steady motion the right way.
        motion = fit_constant_velocity(t[before], tracks.xy[hero][before])
        speed = motion.velocity[0]
        uneven = float(np.abs([motion.at(s)[0] - seen_x for s, seen_x in zip(t[before], x[before], strict=True)]).max())
        if speed * way * (t[-1] - t[0]) < 0.3 * min(tracks.size) or uneven > 0.05 * min(tracks.size):
            raise UnjudgeableError(f"the {p.shape} did not move steadily to the {p.to}")
        last = int(np.flatnonzero(before)[-1])
        after &= np.arange(tracks.frames) > last
        # One that rolls past the front of the wall is seen all the way; a single lost frame of a long clip hides nothing.
        until = int(np.flatnonzero(after)[0]) if after.any() else tracks.frames
        if not helpers.is_hidden(~seen[last + 1 : until], tracks.frames):
            raise UnjudgeableError(f"the {p.shape} was never hidden by the wall")
        if after.sum() < 2:
            return _GONE
        width = helpers.width(tracks, hero, before)
        speed, jump, bent = helpers.steady_across(t, x, before, after)
        lift = np.median(tracks.xy[hero, after, 1]) - np.median(tracks.xy[hero, before, 1])
        shape, size = helpers.same_look(tracks, hero, before, after)
        # Once out, it stays out for as long as its motion keeps it in the picture.
        first = int(np.flatnonzero(after)[0])
        ahead = x[first] + speed * (t - t[first])
        due = (t >= t[first]) & (ahead > 0) & (ahead < tracks.size[1] - 1)
        return _product({
            "returns": 1.0,
            "place": helpers.ramp_score(float(np.hypot(jump, lift)) / width, 0.15, 0.6),
            "steady": helpers.ramp_score(bent / width, 0.2, 0.8),
            "same_shape": shape,
            "same_size": size,
            "alone": _alone(tracks, {p.colour: 1, p.wall: 1}, width, first),
            "kept": float(seen[due].mean()),
        })  # fmt: skip


def _whole(tracks: Tracks, hero: int, wall: int, way: Floats) -> tuple[Bools, Bools]:
    """Return the frames [T] in which an object is whole before a wall and after it; way: [T] how far past its middle it is.

    Compression greys the seam between two colours: an object that is half behind the wall seems to stand off it, and one that has just
    come out seems to touch it. So its area must be almost its largest, and the more so where it touches.
    """
    area = tracks.area[hero]
    off, touching = (helpers.clear(tracks, hero, [wall], gap) for gap in (1.0, -2.0))
    touching &= area > 0.95 * area[off].max(initial=0)

    def side(there: Bools) -> Bools:
        return np.asarray(there & (touching | off & (area > 0.85 * area[off & there].max(initial=0))), dtype=bool)

    before, after = side(way < 0), side(way > 0)
    return helpers.without_rests(tracks, hero, tracks.xy[hero, :, 0], before, after)


class Covered(Probe):
    """A screen covers an object at rest and uncovers it: it must still be there, unchanged."""

    suite = "object_permanence"
    name = "covered"
    claim = "an object that a screen covers for a while is still there afterwards, in its place and unchanged"
    source = "violation of expectation, Baillargeon 1987 and Piloto et al. 2022"
    violations = ("vanishes", "teleports", "changes_colour", "changes_shape", "duplicates", "appears_from_nowhere")

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge return, place, appearance and extra objects."""
        p = CoveredParams.of(case)
        screen = helpers.find_object(tracks, p.screen, "screen", 0.4)
        hero = helpers.find_object(tracks, p.colour, p.shape)
        side = SIGN[p.start]
        whole = helpers.clear(tracks, hero, [screen])
        if not whole.any():
            raise UnjudgeableError(f"the {p.shape} was never seen as a whole")
        frame = np.arange(tracks.frames)
        home = tracks.box[hero, int(np.flatnonzero(whole)[0])]
        over = helpers.touching(tracks.box[screen], home)
        runs = spans(over)
        if len(runs) != 1:
            raise UnjudgeableError(f"the screen did not pass over the {p.shape} once")
        hidden = over & ~tracks.visible[hero]
        if not hidden.any():
            raise UnjudgeableError(f"the {p.shape} was never covered")
        before, free = whole & (frame < runs[0][0]), frame >= runs[0][1]
        place = tracks.xy[screen] - tracks.xy[hero, int(np.flatnonzero(whole)[0])]
        if not before.any() or not free.any():
            raise UnjudgeableError(f"the {p.shape} was not seen both before and after it was covered")
        width = helpers.width(tracks, hero, before)
        came = place[(frame < runs[0][0]) & tracks.visible[screen], 0]
        if not len(came) or np.median(came) * side < 0.5 * width:
            raise UnjudgeableError(f"the screen did not come from the {p.start}")
        left = place[free & tracks.visible[screen]]
        goes = left[-1] if len(left) else np.array([0.0, -np.inf])
        if not (-goes[0] * side > width if p.then == "on" else -goes[1] > width and abs(goes[0]) < -goes[1]):
            raise UnjudgeableError(f"the screen was not {'moved on' if p.then == 'on' else 'lifted'}")
        after = whole & free
        if not after.any():
            return _GONE
        shape, size = helpers.same_look(tracks, hero, before, after)
        return _product({
            "returns": 1.0,
            "place": helpers.ramp_score(helpers.shift(tracks.xy[hero], before, after) / width, 0.15, 0.6),
            "same_shape": shape,
            "same_size": size,
            "alone": _alone(tracks, {p.colour: 1, p.screen: 1}, width, runs[0][1]),
            "kept": float(tracks.visible[hero][free].mean()),
        })  # fmt: skip


class LeaveAndReturn(Probe):
    """An object leaves the picture, by itself or because the camera turns away: it must come back as it was."""

    suite = "object_permanence"
    name = "leave_and_return"
    version = 2
    claim = "an object that leaves the picture and returns is the same one, where it must be"
    source = "object permanence outside the frame, as in revisit tests of world models"
    violations = ("vanishes", "teleports", "changes_colour", "changes_shape", "duplicates", "appears_from_nowhere")

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge a moving object or a moving camera, by the parameters."""
        p = LeaveAndReturnParams.of(case)
        mark = helpers.find_object(tracks, p.landmark, p.landmark_shape)
        hero = helpers.find_object(tracks, p.colour, p.shape)
        way = SIGN[p.side]
        return (_by_motion if p.by == "motion" else _by_camera)(p, tracks, hero, mark, way)


def _by_motion(p: LeaveAndReturnParams, tracks: Tracks, hero: int, mark: int, way: float) -> Verdict:
    wide, frame = tracks.size[1], np.arange(tracks.frames)
    x, seen = tracks.xy[hero, :, 0], tracks.visible[hero]
    home = float(np.nanmedian(tracks.xy[mark, :, 0]))
    if tracks.visible[mark].mean() < 0.7 or np.nanmax(np.abs(tracks.xy[mark, :, 0] - home)) > 0.05 * wide:
        raise UnjudgeableError(f"the {p.landmark_shape} did not stay in its place")
    run = helpers.longest_unseen(seen)
    whole = helpers.clear(tracks, hero, [mark])
    if run is None or not (whole & (frame < run[0])).any():
        raise UnjudgeableError(f"the {p.shape} did not leave the picture")
    before, after = whole & (frame < run[0]), whole & (frame >= run[1])
    start = float(x[seen][0])
    gone = float(x[seen & (frame < run[0])][-1])
    if (start - home) * way < 0 or (gone - start) * way < 0 or (gone - (wide - 1) / 2) * way < 0.1 * wide:
        raise UnjudgeableError(f"the {p.shape} did not leave on the {p.side}")
    if after.sum() < 1:
        return _GONE
    back = x[seen & (frame >= run[1])]
    if abs(back[-1] - home) > 0.7 * abs(start - home):
        raise UnjudgeableError(f"the {p.shape} did not come up to the {p.landmark_shape}")
    width = helpers.width(tracks, hero, before)
    # It comes in over the edge that it left by: no farther inside than it moves from frame to frame.
    edge = tracks.box[hero, run[1]]
    inside = wide - 1 - edge[2] if way > 0 else edge[0]
    step = float(np.abs(np.diff(back)).max()) if len(back) > 1 else 0.0
    shape, size = helpers.same_look(tracks, hero, before, after)
    lift = np.median(tracks.xy[hero, after, 1]) - np.median(tracks.xy[hero, before, 1])
    return _product({
        "returns": 1.0,
        "entry": helpers.ramp_score((inside - step) / width, 0.3, 1.5),
        "place": helpers.ramp_score(abs(float(lift)) / width, 0.15, 0.5),
        "same_shape": shape,
        "same_size": size,
        "alone": _alone(tracks, {p.colour: 1, p.landmark: 1}, width, run[1]),
        "kept": float(seen[run[1] :].mean()),
    })  # fmt: skip


def _by_camera(p: LeaveAndReturnParams, tracks: Tracks, hero: int, mark: int, way: float) -> Verdict:
    wide, frame = tracks.size[1], np.arange(tracks.frames)
    other = helpers.find_object(tracks, p.other, "cube", 0.08)
    away = np.flatnonzero(tracks.visible[other] & ~tracks.visible[mark] & ~tracks.visible[hero])
    if not len(away) or away[-1] == frame[-1] or away[0] == 0:
        raise UnjudgeableError("the camera did not look away and back")
    x = tracks.xy[mark, :, 0]
    home = helpers.clear(tracks, mark, [hero])
    whole = helpers.clear(tracks, hero, [mark])
    start, end = whole & home & (frame < away[0]), home & (frame > away[-1])
    if not start.any() or not end.any():
        raise UnjudgeableError("the pair was not seen both before and after the camera looked away")
    # At rest again: on the way back the lens stretches what stands near the edge.
    end &= np.abs(x - x[end][-1]) < 0.15 * wide
    between = np.median((tracks.xy[hero, :, 0] - x)[start])
    if between * way < 0 or (np.median(x[start]) - np.median(x[end])) * way < 0.08 * min(tracks.size):
        raise UnjudgeableError("the pair does not stand where it was asked for")
    after = whole & end
    if not after.any():
        return _GONE
    width = helpers.width(tracks, hero, start)
    shape, size = helpers.same_look(tracks, hero, start, after)
    return _product({
        "returns": 1.0,
        "place": helpers.ramp_score(helpers.shift(tracks.xy[hero] - tracks.xy[mark], start, after) / width, 0.2, 0.7),
        "same_shape": shape,
        "same_size": size,
        "alone": _alone(tracks, {p.colour: 1, p.landmark: 1, p.other: 1}, width, int(np.flatnonzero(end)[0])),
        "kept": float(tracks.visible[hero][end].mean()),
    })  # fmt: skip


class EvolvesUnseen(Probe):
    """A ball rolls on while the camera looks away: it must have moved on at its speed."""

    suite = "object_permanence"
    name = "evolves_unseen"
    version = 2
    claim = "a ball that rolls at a steady speed goes on while the camera looks away"
    source = "constant velocity across the unseen gap; unobserved evolution, as in world-model revisit tests"
    violations = (
        "stopped", "vanishes", "teleports", "changes_colour", "changes_shape", "duplicates", "appears_from_nowhere",
    )  # fmt: skip

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the ball's place beside the landmark, before and after."""
        p = EvolvesUnseenParams.of(case)
        mark = helpers.find_object(tracks, p.landmark, p.landmark_shape)
        ball = helpers.find_object(tracks, p.colour, "ball")
        way, short = SIGN[p.to], min(tracks.size)
        t, frame = helpers.times(tracks), np.arange(tracks.frames)
        run = helpers.longest_unseen(tracks.visible[mark])
        if run is None or run[1] == tracks.frames or not (~tracks.visible[ball][run[0] : run[1]]).any():
            raise UnjudgeableError("the camera did not look away and back")
        _looked(tracks.xy[mark], run, p.away, 0.1 * short)
        # Only where the camera looks as it did at first: elsewhere the lens stretches distances.
        home = tracks.xy[mark][tracks.visible[mark]][0]
        with np.errstate(invalid="ignore"):
            level = np.linalg.norm(tracks.xy[mark] - home, axis=1) < 0.1 * short
        whole = level & helpers.clear(tracks, ball, [mark])
        before, after = whole & (frame < run[0]), whole & (frame >= run[1])
        if not (level & (frame >= run[1])).any():
            raise UnjudgeableError("the camera did not come back to its first view")
        if not after.any():
            # A ball that is late may still be in front of the landmark.
            after = level & tracks.visible[ball] & (frame >= run[1])
        place = tracks.xy[ball] - tracks.xy[mark]
        x = place[:, 0]
        before, after = helpers.without_rests(tracks, ball, x, before, after)
        if before.sum() < 2:
            raise UnjudgeableError("the ball was not seen on its way before the camera looked away")
        speed = fit_constant_velocity(t[before], place[before]).velocity[0]
        if speed * way * (t[-1] - t[0]) < 0.25 * short or np.median(x[before]) * way > 0:
            raise UnjudgeableError(f"the ball did not roll to the {p.to}, towards the {p.landmark_shape}")
        if not after.any():
            return _GONE
        width = helpers.width(tracks, ball, before)
        _, jump, bent = helpers.steady_across(t, x, before, after)
        lift = np.median(place[after, 1]) - np.median(place[before, 1])
        shape, size = helpers.same_look(tracks, ball, before, after)
        return _product({
            "returns": 1.0,
            "gone_on": helpers.ramp_score(float(np.hypot(jump, lift)) / width, 0.25, 0.85),
            "steady": helpers.ramp_score(bent / width, 0.2, 0.8),
            "same_shape": shape,
            "same_size": size,
            "alone": _alone(tracks, {p.colour: 1, p.landmark: 1}, width, run[1]),
            "kept": float(tracks.visible[ball][level & (frame >= run[1])].mean()),
        })  # fmt: skip


def _looked(xy: Floats, run: tuple[int, int], away: str, least: float) -> None:
    """Check that what stands still, at xy [T, 2], left the picture opposite to where the camera turned.

    Raises:
        UnjudgeableError: it left by another side.
    """
    seen = np.isfinite(xy[:, 0])
    first, last = xy[: run[0]][seen[: run[0]]], xy[run[1] :][seen[run[1] :]]
    moved = max((first[-1] - first[0], last[0] - last[-1]), key=lambda d: float(np.linalg.norm(d)))
    along = {"left": moved[0], "right": -moved[0], "up": moved[1]}[away]
    if np.linalg.norm(moved) > least and along < 0.7 * np.linalg.norm(moved):
        raise UnjudgeableError(f"the camera did not turn {away}")


class Count(Probe):
    """A screen passes in front of look-alikes: there must be as many afterwards."""

    suite = "object_permanence"
    name = "count"
    claim = "the number of things is kept while some of them are covered"
    source = "counting by violation of expectation, Wynn 1992"
    violations = ("vanishes", "teleports", "changes_colour", "changes_shape", "duplicates", "appears_from_nowhere")

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge number, places, appearance and extra objects before and after the screen."""
        p = CountParams.of(case)
        number, way = int(p.number), SIGN[p.to]
        screen = helpers.find_object(tracks, p.screen, "screen", 0.5)
        helpers.find_object(tracks, p.colour, p.shape)
        ids = np.array(tracks.of(p.colour))
        x = tracks.xy[screen, :, 0]
        passed = x[tracks.visible[screen]]
        short = min(tracks.size)
        if (passed[-1] - passed[0]) * way < 0.4 * short or (np.diff(passed) * way).min() < -0.05 * short:
            raise UnjudgeableError(f"the screen did not pass to the {p.to}")
        width = float(np.sqrt(np.median(tracks.area[ids][tracks.visible[ids]])))
        there = tracks.visible[ids] & (tracks.area[ids] > 0.35 * width**2)
        count = there.sum(axis=0)
        boxes = tracks.box[ids[there[:, 0]], 0]
        if len(boxes) != number:
            raise UnjudgeableError(f"{len(boxes)} instead of {number} {p.shape}s are seen at first")
        row = np.array([boxes[:, 0].min(), boxes[:, 1].min(), boxes[:, 2].max(), boxes[:, 3].max()])
        runs = spans(helpers.touching(tracks.box[screen], row))
        if len(runs) != 1 or runs[0][0] == 0 or runs[0][1] == tracks.frames or count[slice(*runs[0])].min() >= number:
            raise UnjudgeableError("the screen did not come, hide some of the row, and go")
        frame = np.arange(tracks.frames)
        before, after = frame < runs[0][0], frame >= runs[0][1]
        parts = {
            "number": float((count[after] == number).mean()),
            "never_more": float((count <= number).mean()),
            "before": float((count[before] == number).mean()),
            "alone": _alone(tracks, {p.colour: number, p.screen: 1}, width, runs[0][1]),
        }
        before, after = before & (count == number), after & (count == number)
        if not before.any() or not after.any():
            return _product(parts)
        first, last = (_row(tracks, ids, there, which) for which in (before, after))
        moved = float(np.linalg.norm(last["xy"] - first["xy"], axis=1).max()) / width
        aspect = float(np.abs(np.log(last["aspect"] / first["aspect"])).max())
        size = 0.5 * float(np.abs(np.log(last["area"] / first["area"])).max())
        return _product({
            **parts,
            "place": helpers.ramp_score(moved, 0.15, 0.6),
            "same_shape": helpers.ramp_score(aspect, 0.3, 0.6),
            "same_size": helpers.ramp_score(size, 0.2, 0.45),
        })  # fmt: skip


def _row(tracks: Tracks, ids: np.ndarray[Any, np.dtype[np.int64]], there: Bools, which: Bools) -> dict[str, Floats]:
    """Return medians over the frames `which` of place [n, 2], area [n] and aspect [n] of n objects, from left to right."""
    rows: dict[str, list[Floats]] = {"xy": [], "area": [], "aspect": []}
    for k in np.flatnonzero(which):
        i = ids[there[:, k]]
        i = i[np.argsort(tracks.xy[i, k, 0])]
        for name, values in (("xy", tracks.xy), ("area", tracks.area), ("aspect", tracks.shape["aspect"])):
            rows[name].append(values[i, k])
    return {name: np.median(values, axis=0) for name, values in rows.items()}


class TwoShots(Probe):
    """A hard cut to another distance and angle: it must be the same character with the same company."""

    suite = "object_permanence"
    name = "two_shots"
    claim = "a character is the same after a hard cut: colours, arrangement, proportions"
    blind_to: ClassVar[dict[str, str]] = {"cut": "the true clip is a cut between two still views"}
    blind_modes: ClassVar[tuple[Mode, ...]] = MODES
    source = "character consistency across shots, as claimed for Sora (OpenAI 2024)"
    violations = ("vanishes", "teleports", "changes_colour", "changes_shape", "duplicates", "appears_from_nowhere")

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the cut, then head, body and companion on both sides of it."""
        p = TwoShotsParams.of(case)
        body = helpers.find_object(tracks, p.body, "figure", 0.8)
        head = helpers.find_object(tracks, p.head, "head")
        mate = helpers.find_object(tracks, p.companion, p.companion_shape)
        side = SIGN[p.side]
        first, second = _shots(tracks, body, 1.0 if p.second == "closer" else -1.0)
        h, m = tracks.visible[head], tracks.visible[mate]
        if not (first & h).any() or not (first & m).any():
            raise UnjudgeableError("head or companion is missing in the first shot")
        scale = np.sqrt(tracks.area[body])[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            top, beside = ((tracks.xy[i] - tracks.xy[body]) / scale for i in (head, mate))
        if np.median(top[first & h, 1]) > -0.3 or np.median(beside[first & m, 0]) * side < 0.3:
            raise UnjudgeableError("the first shot does not show the arrangement that was asked for")
        if not (second & h).any() or not (second & m).any():
            return _GONE
        shape, _ = helpers.same_look(tracks, head, first & h, second & h)
        width = (
            helpers.width(tracks, head, first & h) if p.second == "closer" else helpers.width(tracks, head, second & h)
        )
        cut = int(np.flatnonzero(second)[0])
        near = np.log(np.median(beside[second & m, 0] * side).clip(0.01) / np.median(beside[first & m, 0] * side))
        return _product({
            "returns": 1.0,
            "arrangement": helpers.ramp_score(helpers.shift(top, first & h, second & h), 0.12, 0.4),
            "companion_place": helpers.ramp_score(abs(float(near)), 0.4, 0.9),
            "same_shape": shape,
            "proportion": helpers.ramp_score(helpers.grown(tracks, head, body, first & h, second & h), 0.08, 0.3),
            "companion_size": helpers.ramp_score(helpers.grown(tracks, mate, body, first & m, second & m), 0.2, 0.5),
            "alone": _alone(tracks, {p.body: 1, p.head: 1, p.companion: 1}, width, cut),
            "kept": float((h & m)[second].mean()),
        })  # fmt: skip


def _shots(tracks: Tracks, body: int, closer: float) -> tuple[Bools, Bools]:
    """Return the frames [T] of two shots, separated by one jump of the figure's size and none otherwise.

    Raises:
        UnjudgeableError: there is no single hard cut, or it is to the wrong distance.
    """
    seen = np.flatnonzero(tracks.visible[body])
    size = 0.5 * np.log(tracks.area[body][seen])
    cut = int(np.argmax(np.abs(np.diff(size)))) + 1
    one, two = size[:cut], size[cut:]
    jump = float(np.median(two) - np.median(one))
    # A zoom changes the size little by little, a cut at once.
    spread = max(float(np.abs(s - np.median(s)).max()) for s in (one, two))
    if abs(jump) < 0.2 or spread > 0.25 * abs(jump) or min(len(one), len(two)) < 0.2 * tracks.frames:
        raise UnjudgeableError("there is no single hard cut to another distance")
    if jump * closer < 0:
        raise UnjudgeableError("the second shot is not from the distance that was asked for")
    frame = np.arange(tracks.frames)
    there = tracks.visible[body]
    return there & (frame < seen[cut]), there & (frame >= seen[cut])
