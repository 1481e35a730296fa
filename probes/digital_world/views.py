"""The view after turning away and back, and whose view it is."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import cv2
import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.base import UnjudgeableError, Verdict, likeness
from sora_eval.probes.digital_world.shared import (
    TURNED,
    DigitalWorld,
    followed_motion,
    in_slots,
    picture_shift,
    turned_away,
)
from sora_eval.tracking.view.actions import turned
from sora_eval.types import MODES, Bools, Case, Floats, Frames, Mode, Tracks, Video
from sora_eval.world.families import common
from sora_eval.world.families.played import Played, PlayedParams
from sora_eval.world.families.player import OPPOSITE_ACTION, PlayAction

_SHIFTS = 3
"""Pixels of 32 by which a view that has come back may be off."""
_TO_AND_FRO = 2.0
"""Motion to the sides next to the turn that comes of it: 1.0 to 1.2 in true clips, more where frames are out of order."""
_FOLLOWED = 0.5
"""Share of the turn of the view by which a figure that the camera follows may move in the picture: next to nothing in true clips, where
what stands in the world moves by all of it."""
_WIDE = 0.5
"""Share of the frame's width from which on nothing is a figure: true ones have .10 to .16."""


class ViewReturns(DigitalWorld):
    """A player turns away and back again."""

    name = "view_returns"
    claim = "after the player has turned away and back, the view is the one from before"
    source = "revisited views, as in WorldMem (Xiao et al. 2025): correlation of the first view and the last"
    violations: ClassVar[tuple[str, ...]] = ("world_made_anew", "returns_elsewhere")
    blind_to: ClassVar[dict[str, str]] = {
        "reversed": "a view that turns away and comes back does so backwards in time as well",
        "other": "another world stays what it is as well; in one clip of two it is turned to the same side",
    }
    blind_modes: ClassVar[tuple[Mode, ...]] = MODES

    def sample(self, rng: np.random.Generator) -> PlayedParams:
        """Return a scene with two turns to one side and two back, in first or third person."""
        a: PlayAction = common.choose(rng, ("turn left", "turn right"))
        b = OPPOSITE_ACTION[a]
        return Played().sample(rng, (a, a, b, b), turn_deg=45.0)

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge how alike the first and the last view are, once the view has been elsewhere."""
        p = PlayedParams.of(case)
        turned_away(p, followed_motion(video))
        count = len(p.actions)
        last = np.flatnonzero(in_slots(len(video), count, count - 0.1, count))
        away = np.flatnonzero(in_slots(len(video), count, 1.9, 2.1))
        before = video.frames[0]
        if max(_alike(before, video.frames[k]) for k in away) > 0.8:
            raise UnjudgeableError("the view did not change while it was turned away")
        alike = max(_alike(before, video.frames[k]) for k in last)
        return Verdict(helpers.ramp_score(1 - alike, 0.1, 0.45), {"alike": alike})


def _alike(a: Frames, b: Frames) -> float:
    """Return the largest likeness of two views at shifts of a few pixels of 32."""
    small = [np.asarray(cv2.resize(i, (32, 32), interpolation=cv2.INTER_AREA), dtype=np.uint8) for i in (a, b)]
    best = -1.0
    for dx in range(-_SHIFTS, _SHIFTS + 1):
        for dy in range(-_SHIFTS + 1, _SHIFTS):
            x = small[0][max(0, dy) : 32 + min(0, dy), max(0, dx) : 32 + min(0, dx)]
            y = small[1][max(0, -dy) : 32 + min(0, -dy), max(0, -dx) : 32 + min(0, -dx)]
            best = max(best, likeness(x, y))
    return best


class PlayersView(DigitalWorld):
    """A player turns, seen in first or third person."""

    name = "players_view"
    version = 2
    claim = (
        "asked for a first-person view no figure is in the picture, asked for a third-person view one is in its middle"
    )
    source = "colour of the figure by frame"
    unit = "0 the other view; 1 the view of the prompt in all frames"
    chance = 0.5
    violations: ClassVar[tuple[str, ...]] = ("view_switches",)
    blind_to: ClassVar[dict[str, str]] = {
        "other": "in one clip of four another world is seen by the same player and turned to the same side"
    }
    blind_modes: ClassVar[tuple[Mode, ...]] = ("t2v",)

    def sample(self, rng: np.random.Generator) -> PlayedParams:
        """Return a scene in first or third person with a walk and two turns to one side."""
        a: PlayAction = common.choose(rng, ("turn left", "turn right"))
        return Played().sample(rng, (a, "forward", a))

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the share of frames with the figure in their middle, once the view turns to the asked side."""
        p = PlayedParams.of(case)
        motion = followed_motion(video)
        sign = 1.0 if p.actions[0] == "turn right" else -1.0
        way = sign * turned(motion)
        # By as much as a camera behind the player shows: the clip may show the other view.
        if way[-1] < TURNED * picture_shift(replace(p, view="third"), 2):
            raise UnjudgeableError(f"the view did not turn to the {p.actions[0].removeprefix('turn ')}")
        if np.abs(np.diff(way)).sum() > _TO_AND_FRO * way[-1]:
            raise UnjudgeableError("the view turns to and fro")
        ids = tracks.of(p.colour) if p.view == "third" else _figures(tracks, way)
        seen = float(_in_middle(tracks)[ids].any(axis=0).mean())
        if p.view == "third":
            return Verdict(helpers.ramp_score(1 - seen, 0.15, 0.75), {"figure": seen})
        return Verdict(helpers.ramp_score(seen, 0.1, 0.6), {"figure": seen})


def _in_middle(tracks: Tracks) -> Bools:
    """Return the frames [N, T] in which each track is large enough for a figure and in the middle of the frame's width."""
    x = tracks.xy[:, :, 0] / tracks.size[1]
    with np.errstate(invalid="ignore"):
        middle = np.abs(x - 0.5) < 0.2
    large = tracks.area > 0.006 * tracks.size[0] * tracks.size[1]
    return np.asarray(tracks.visible & middle & large)


def _figures(tracks: Tracks, way: Floats) -> list[int]:
    """Return the tracks that may be a figure which a camera follows: while the view turns they keep their place in the middle.

    What stands in the world passes by then, however much of it has one colour. way: [T] how far the view is turned, in shorter sides.
    """
    there = _in_middle(tracks)
    turns = np.abs(np.diff(way))
    turning = turns > 0.25 * float(np.quantile(turns, 0.9))
    figures = []
    for i in range(len(tracks)):
        steps = np.abs(np.diff(tracks.xy[i, :, 0])) / min(tracks.size)
        both = turning & there[i, 1:] & there[i, :-1]
        if both.sum() < 2:
            continue
        wide = float(np.nanmedian(tracks.box[i, :, 2] - tracks.box[i, :, 0])) / tracks.size[1]
        # The middle of a meadow stays in its place as well.
        if wide < _WIDE and float((steps < _FOLLOWED * turns)[both].mean()) > 0.5:
            figures.append(i)
    return figures
