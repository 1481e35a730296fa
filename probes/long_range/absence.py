"""An object that is out of sight for long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.appearances import borders
from sora_eval.probes.base import Draft, UnjudgeableError, Verdict
from sora_eval.probes.long_range.one_take import (
    LongRange,
    seen_frames,
)
from sora_eval.tracking.continuity import spans
from sora_eval.types import Bools, Case, Tracks, Video
from sora_eval.world.families.long_absence import AWAY_S, SHARE, LongAbsenceParams
from sora_eval.world.families.params import SIGN


def absence_component(away_s: int) -> str:
    """Return the component that has the score of one length of the absence: the means of all four are its curve."""
    # Written out: names of components are compared with those of the documentation.
    return {2: "after_2_s", 5: "after_5_s", 10: "after_10_s", 30: "after_30_s"}[away_s]


class LongAbsence(LongRange):
    """An object is out of sight for 2 to 30 seconds: it is there again, as it was and where it was."""

    name = "long_absence"
    version = 3
    unit = "share of the claim that holds, 0 to 1"
    claim = "what is out of sight for 2, 5, 10 or 30 seconds is still there afterwards, unchanged"
    source = (
        "object permanence over time out of sight: delayed reappearance, Baillargeon and Graber 1988; leave and return"
    )
    violations = ("vanishes", "teleports", "changes_colour", "changes_shape", "duplicates", "appears_from_nowhere")
    blind_to: ClassVar[dict[str, str]] = {}

    def of_length(self, draft: Draft, length_s: float, rng: np.random.Generator) -> Draft:
        """Return the draft with one of the absences that a clip of this length has room for."""
        away = [s for s in AWAY_S if s <= SHARE * length_s] or [AWAY_S[0]]
        assert isinstance(draft.params, LongAbsenceParams)
        params = replace(draft.params, away_s=away[int(rng.integers(len(away)))])
        return replace(draft, params=params, prompt=self.family.caption(params, rng))

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the object before and after its absence."""
        p = LongAbsenceParams.of(case)
        hero, run = _find_absence(p, tracks)
        away_s, name = (run[1] - run[0]) / tracks.fps, absence_component(p.away_s)
        uncovered = _screened(p, tracks, hero, run) if p.by == "screen" else run[1]
        if p.by == "motion":
            _left_and_came_up(p, tracks, hero, run)
        if run[1] >= tracks.frames:
            # Behind a screen that never goes, nothing can be said.
            if p.by == "screen" and uncovered >= tracks.frames:
                raise UnjudgeableError("the screen stays to the end")
            return Verdict(0.0, {"returns": 0.0, name: 0.0, "away_s": away_s})
        mark = helpers.find_object(tracks, p.landmark, p.landmark_shape)
        others, frame = (
            [mark, *(tracks.called(p.screen, "screen") if p.by == "screen" else [])],
            np.arange(tracks.frames),
        )
        back = max(tracks.called(p.colour, p.shape), key=lambda i: int(tracks.visible[i, run[1] :].sum()))
        before = helpers.clear(tracks, hero, others) & (frame < run[0])
        after = helpers.clear(tracks, back, others) & (frame >= run[1])
        after = after if after.any() else tracks.visible[back] & (frame >= max(run[1], tracks.frames - 3))
        if not before.any() or not after.any():
            raise UnjudgeableError(f"the {p.shape} was not seen whole both before and after")
        width = helpers.width(tracks, hero, before)
        shift = np.median(tracks.xy[back, after], axis=0) - np.median(tracks.xy[hero, before], axis=0)
        # One that came back of itself may stop elsewhere, on the same ground.
        off = float(np.linalg.norm(shift)) if p.by == "screen" else abs(float(shift[1]))
        shape, size = _alike(tracks, hero, back, before, after)
        seen = seen_frames(tracks, p.colour, p.shape)
        parts = {
            "returns": 1.0,
            "same_way": float(p.by == "screen" or _came_in(tracks, tracks.called(p.colour, p.shape), run[1], p.side)),
            "place": helpers.ramp_score(off / width, 0.2, 0.6),
            "same_shape": shape,
            "same_size": size,
            "alone": _alone_score(tracks, p, width, run[1]),
            "kept": float(seen[max(run[1], min(uncovered, tracks.frames - 1)) :].mean()),
        }
        value = helpers.product(parts)
        return Verdict(value, {**parts, name: value, "away_s": away_s})


def _find_absence(p: LongAbsenceParams, tracks: Tracks) -> tuple[int, tuple[int, int]]:
    """Return the track of the object before its absence, and the run (first, last + 1) of frames in which it is out of sight.

    Raises:
        UnjudgeableError: it is not on its side at first, or is not away for half of the time of the prompt.
    """
    helpers.find_object(tracks, p.colour, p.shape, 0.02)
    mark = helpers.find_object(tracks, p.landmark, p.landmark_shape)
    hero = min(tracks.called(p.colour, p.shape), key=lambda i: int(np.argmax(tracks.visible[i])))
    seen = seen_frames(tracks, p.colour, p.shape)
    first = int(np.argmax(seen))
    home = float(np.median(tracks.xy[mark, tracks.visible[mark], 0]))
    if first > 0.2 * tracks.frames or (tracks.xy[hero, first, 0] - home) * SIGN[p.side] < 0:
        raise UnjudgeableError(f"the {p.shape} does not stand on the {p.side} at first")
    due_s = min(float(p.away_s), SHARE * (tracks.frames - 1) / tracks.fps)
    run = _absence(seen, 0.5 * due_s * tracks.fps)
    if run is None:
        raise UnjudgeableError(f"the {p.shape} was never out of sight")
    if (away_s := (run[1] - run[0]) / tracks.fps) < 0.5 * due_s:
        raise UnjudgeableError(f"the {p.shape} was out of sight for {away_s:.1f} s, not for {due_s:g}")
    return hero, run


def _absence(seen: Bools, least: float) -> tuple[int, int] | None:
    """Return the first run (first, last + 1) of at least `least` frames in which an object that was seen is not, else the longest."""
    first = int(np.argmax(seen))
    runs = [(a, b) for a, b in spans(~seen) if a > first and b - a >= least]
    return runs[0] if runs else helpers.longest_unseen(seen)


def _left_and_came_up(p: LongAbsenceParams, tracks: Tracks, hero: int, run: tuple[int, int]) -> None:
    """Check that an object left on its side, and that one that is there at the end has come nearer to the landmark than it was.

    Raises:
        UnjudgeableError: not so.
    """
    way, wide = SIGN[p.side], tracks.size[1]
    places = tracks.xy[hero, :, 0]
    left = places[: run[0]][tracks.visible[hero, : run[0]]][-1]
    if (left - (wide - 1) / 2) * way < 0.25 * wide:
        raise UnjudgeableError(f"the {p.shape} did not leave on the {p.side}")
    seen = tracks.visible[hero]
    if seen[-max(2, tracks.frames // 10) :].any() and (places[seen][-1] - places[seen][0]) * way > -0.02 * wide:
        raise UnjudgeableError(f"the {p.shape} did not come up to the {p.landmark_shape}")


def _screened(p: LongAbsenceParams, tracks: Tracks, hero: int, run: tuple[int, int]) -> int:
    """Return the frame from which on the screen has left the object's place.

    Raises:
        UnjudgeableError: there is no screen, it hides nothing, or it does not come from its side and go on to the other.
    """
    screen = helpers.find_object(tracks, p.screen, "screen", 0.1)
    there = np.flatnonzero(tracks.visible[screen])
    x = tracks.xy[screen, :, 0]
    if (there < run[0]).any() and (x[there[0]] - x[there[-1]]) * SIGN[p.side] < 0.2 * tracks.size[1]:
        raise UnjudgeableError(f"the screen did not come from the {p.side} and go on")
    if not tracks.visible[screen, run[0]] or there[0] == 0:
        raise UnjudgeableError("no screen came to hide it")
    last = np.median(tracks.xy[hero, : run[0]][tracks.visible[hero, : run[0]]], axis=0)
    boxes = tracks.box[screen]
    covering = np.flatnonzero(tracks.visible[screen] & (boxes[:, 0] <= last[0]) & (boxes[:, 2] >= last[0]))
    return int(covering[-1]) + 1 if len(covering) else run[1]


def _came_in(tracks: Tracks, ids: Sequence[int], since: int, side: str) -> bool:
    """Return whether the first of the tracks `ids` that is seen from frame `since` on is at the border of a side then."""
    starts = {i: since + int(np.argmax(tracks.visible[i, since:])) for i in ids if tracks.visible[i, since:].any()}
    first = min(starts.values())
    return any(side in borders(tracks, i, first, 1) for i in starts if starts[i] == first)


def _alike(tracks: Tracks, one: int, two: int, before: Bools, after: Bools) -> tuple[float, float]:
    """Return how alike outline and size are of one track before and of another after, which may be the same one."""
    joined = {name: np.where(after, v[two], v[one])[None] for name, v in tracks.shape.items()}
    area = np.where(after, tracks.area[two], tracks.area[one])[None]
    either = Tracks(
        tracks.colour[one : one + 1], tracks.xy[[one]], tracks.visible[[one]], area, tracks.box[[one]], tracks.size,
        tracks.fps, joined,
    )  # fmt: skip
    return helpers.same_look(either, 0, before, after)


def _alone_score(tracks: Tracks, p: LongAbsenceParams, width: float, since: int) -> float:
    """Return 1 where no other object is seen from frame `since` on, 0 where one is for half of that time."""
    expected = dict.fromkeys([p.colour, p.landmark, *([p.screen] if p.by == "screen" else [])], 1)
    late = helpers.crowded(tracks, expected, 0.3 * width**2)[since:]
    return 1 - min(1.0, 2 * float(late.mean())) if len(late) else 1.0
