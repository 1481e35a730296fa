"""Probes of things that can't be seen for a while, for prompts in plain words: covered by what passes, or out of the picture."""

from __future__ import annotations

import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.base import UnjudgeableError, Verdict
from sora_eval.probes.natural import named
from sora_eval.probes.natural.expectations import Cover, LeaveAndReturn
from sora_eval.probes.natural.judging import (
    FOLLOWED,
    SIGN,
    STEADY,
    NaturalProbe,
    area_change,
    check_behind,
    check_distinct,
    check_one_shot,
    ground_path,
)
from sora_eval.types import Case, Floats, Tracks, Video

_LEAST = 3
"""Frames before, in and after a gap, at least."""
_EDGE = 0.06
"""Share of the frame's width within which a box is at the edge: detectors place the sides of a box that roughly."""

_OUTWARDS = 0.05
"""Share of the frame's width by which a thing must move outwards against the background, so that it leaves by itself."""


def _gap(seen: named.Seen, what: str) -> tuple[int, int]:
    """Return the longest time in which a thing is not seen after it was: its first frame, and the one after it.

    Raises:
        UnjudgeableError: there is none, or the thing was not followed before it.
    """
    run = helpers.longest_unseen(seen.visible)
    if run is None or run[1] - run[0] < _LEAST:
        raise UnjudgeableError(f"the {what} never went out of sight")
    start = int(np.flatnonzero(seen.visible)[0])
    before = seen.visible[start : run[0]]
    if before.sum() < _LEAST or before.mean() < FOLLOWED:
        raise UnjudgeableError(f"the tracker did not follow the {what} well enough to say where it is")
    return run


class NaturalCover(NaturalProbe):
    """A named thing is hidden by another one that moves past it, and is there again."""

    suite = "object_permanence"
    name = "natural_cover"
    claim = "a named thing that another one hides for a while is seen again, in its place"
    source = "violation of expectation, Piloto et al. 2022"
    unit = "seen again, 0 or 1"
    expects = Cover

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge whether the thing is seen again where it was."""
        p = self.expected(case)
        assert isinstance(p, Cover)
        check_one_shot(tracks)
        hidden, cover = named.find(tracks, p.thing, 0.2), named.find(tracks, p.by, 0.2)
        check_distinct(hidden, cover, (p.thing, p.by))
        check_behind(tracks, hidden, cover, (p.thing, p.by))
        first, end = _gap(hidden, p.thing)
        ground = ground_path(video, tracks)
        home = np.nanmedian(hidden.box[:first] - np.tile(ground[:first], 2), axis=0)
        over = helpers.touching(cover.box - np.tile(ground, 2), home) & cover.visible
        if over[first:end].sum() < _LEAST - 1:
            raise UnjudgeableError(f"the {p.by} was not seen in front of the {p.thing} while that was hidden")
        if p.to:
            _check_way(cover.middle[:, 0] - ground[:, 0], SIGN[p.to], tracks.size[1], p)
        after = np.flatnonzero(hidden.visible & (np.arange(tracks.frames) >= end))
        if len(after) >= _LEAST - 1:
            size = float(np.sqrt((home[2] - home[0]) * (home[3] - home[1])))
            place = hidden.middle[after] - ground[after]
            moved = float(np.linalg.norm(np.median(place, axis=0) - (home[:2] + home[2:]) / 2)) / size
            if moved > 1:
                raise UnjudgeableError(f"the {p.thing} seen afterwards is at another place, and may be another one")
            which = np.isin(np.arange(tracks.frames), after)
            change = area_change(hidden.area, hidden.visible & (np.arange(tracks.frames) < first), which)
            return Verdict(1.0, {"returns": 1.0, "moved": moved, "log_size": change})
        if len(after):
            raise UnjudgeableError(f"the {p.thing} is seen again in too few frames")
        gone = np.arange(tracks.frames) > np.flatnonzero(over)[-1]
        if gone.sum() < max(5, 0.15 * tracks.frames) or cover.visible[gone].mean() < STEADY:
            raise UnjudgeableError(f"the {p.by} was not seen to go on past the {p.thing} in time")
        if np.mean(_share_inside(home + np.tile(ground[gone], 2), tracks.size) >= STEADY) < STEADY:
            raise UnjudgeableError(f"the place of the {p.thing} left the picture")
        return Verdict(0.0, {"returns": 0.0})


def _share_inside(boxes: Floats, size: tuple[int, int]) -> Floats:
    """Return the share of each box [n, 4] that lies in the picture [n]. size: of the picture, height and width."""
    limit = np.array([size[1], size[0]])
    low, high = boxes[:, :2], boxes[:, 2:]
    sides = np.clip(high, 0, limit) - np.clip(low, 0, limit)
    return np.asarray((sides / np.maximum(high - low, 1e-6)).prod(axis=1))


def _check_way(x: Floats, sign: int, width: int, p: Cover) -> None:
    known = x[np.isfinite(x)]
    if abs(known[-1] - known[0]) < 0.15 * width or np.sign(known[-1] - known[0]) != sign:
        raise UnjudgeableError(f"the {p.by} did not move to the {p.to}")


class NaturalLeaveAndReturn(NaturalProbe):
    """A named thing leaves the picture over one edge and comes back over it."""

    suite = "object_permanence"
    name = "natural_leave_and_return"
    claim = "a named thing that leaves the picture comes back"
    source = "violation of expectation, Piloto et al. 2022"
    unit = "comes back, 0 or 1"
    expects = LeaveAndReturn

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge whether the thing comes back."""
        p = self.expected(case)
        assert isinstance(p, LeaveAndReturn)
        check_one_shot(tracks)
        thing = named.find(tracks, p.thing, 0.2)
        first, end = _gap(thing, p.thing)
        side = _edge(thing.box[first - 1], tracks.size[1])
        if not side:
            raise UnjudgeableError(f"the {p.thing} got lost inside the picture, not at its edge")
        if p.to and side != SIGN[p.to]:
            raise UnjudgeableError(f"the {p.thing} did not leave to the {p.to}")
        own = (thing.middle[:, 0] - ground_path(video, tracks)[:, 0])[:first] * side
        if own[first - 1] - np.nanmin(own) < _OUTWARDS * tracks.size[1]:
            raise UnjudgeableError(f"the {p.thing} did not go out of the picture by itself")
        if end < tracks.frames and thing.visible[end:].sum() >= _LEAST:
            back = _edge(thing.box[end], tracks.size[1])
            if back != side:
                where = "at the other edge" if back else "inside the picture"
                raise UnjudgeableError(f"the {p.thing} is seen again {where}, and may be another one")
            before = thing.visible & (np.arange(tracks.frames) < first)
            after = thing.visible & (np.arange(tracks.frames) >= end)
            return Verdict(1.0, {"returns": 1.0, "log_size": area_change(thing.area, before, after)})
        if thing.visible[end:].any():
            raise UnjudgeableError(f"the {p.thing} is seen again in too few frames")
        if tracks.frames - first < 0.4 * tracks.frames:
            raise UnjudgeableError(f"the clip ends soon after the {p.thing} has left")
        return Verdict(0.0, {"returns": 0.0})


def _edge(box: Floats, width: int) -> int:
    """Return the side edge that a box [4] is at: -1 left, 1 right, 0 neither or both."""
    left, right = box[0] < _EDGE * width, box[2] > (1 - _EDGE) * width
    return int(right) - int(left)
