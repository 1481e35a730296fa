"""Long range: clips of seconds to a minute stay what they were: colour, sharpness, layout, objects, their number, the character.

Company scores a share of the clip: a fault that comes late costs less than one that comes early. Slow look and entries multiply such a
share by drift, or by the number of unexplained entries. All three have the time at which the claim breaks (`breaks_at_s`) among their
components. Several shots is the mean over the later shots, long absence a product. A clip that stands still, repeats itself or cuts away
breaks every claim about one take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.appearances import MAX_GAP_S, borders, unexplained
from sora_eval.probes.base import Draft, Probe, UnjudgeableError, Verdict
from sora_eval.probes.changes import near
from sora_eval.stats.change_point import NO_CHANGE, ChangePoint, change_point
from sora_eval.tracking.continuity import Continuity, continuity, spans
from sora_eval.tracking.drift import DriftCurves, drift_curves
from sora_eval.types import Bools, Case, Floats, Score, Tracks, Video
from sora_eval.world.families.company import CompanyParams
from sora_eval.world.families.entries import EntriesParams
from sora_eval.world.families.long_absence import AWAY_S, SHARE, LongAbsenceParams
from sora_eval.world.families.params import SIGN
from sora_eval.world.families.slow_look import FOV_DEG, SlowLookParams
from sora_eval.world.palette import COLOURS

_DISORDER = 0.25
"""Disorder of frames (`Continuity`) from which on they follow each other in no order: .02 to .1 in true clips, .5 in shuffled ones."""
_SPECK = 0.03
"""Area as a share of the wall's up to which nothing is an object: the smallest of the prompt has a tenth of it."""
_FROM_ABOVE = ("cone",)
"""The shapes that differ clearly in outline where they are seen from above."""
_MIXED_S = 0.4
"""Seconds for which a small thing in the colour of an object beside it may be the mixture of two other colours."""
_LONG_ENOUGH = 0.8
"""Share of the length of a case that a clip must have."""


class LongRange(Probe):
    """What all share: lengths of their own, and the share of a clip up to which it holds."""

    suite = "long_range"
    version = 2
    unit = "share of the clip for which the claim holds, 0 to 1"
    lengths_s: ClassVar[tuple[int, ...]] = (5, 10)
    blind_modes = ("t2v", "i2v", "v2v")

    def score(self, case: Case, video: Video, tracks: Tracks) -> Score:
        """Return the score of a clip; one that is much shorter than the case is not judged: what lasts long is the claim."""
        lasts_s, due_s = len(video) / video.fps, case.frames / case.fps
        if len(video) >= 5 and lasts_s < _LONG_ENOUGH * due_s:
            return Score(None, f"the clip lasts {lasts_s:.1f} s of {due_s:.1f}")
        return super().score(case, video, tracks)


def in_order(video: Video) -> Continuity:
    """Return how the frames of a clip that should be one take, of at least three frames, follow each other.

    Raises:
        UnjudgeableError: they do not, or nothing moves in it at all.
    """
    found = continuity(video.frames, video.fps)
    if found.frozen.mean() > 0.9:
        raise UnjudgeableError("nothing moves: the clip is one frame")
    if found.disorder > _DISORDER:
        raise UnjudgeableError("the frames follow each other in no order")
    return found


def one_take(found: Continuity, may_rest: bool = False) -> Bools:
    """Return the frames [T] of a clip before its first cut that belong to no freeze and no repetition.

    may_rest: of a scene that rests at times, in which a still picture is neither.
    """
    holds = np.ones(len(found.frozen), dtype=bool) if may_rest else ~(found.frozen | found.looped)
    if found.cuts:
        holds[found.cuts[0] :] = False
    return np.asarray(holds, dtype=bool)


def breaks_s(holds: Bools, fps: float) -> float:
    """Return the time in seconds at which a claim first stops to hold for 0.4 s at least, the clip's end where it never does.

    holds: [T], the frames in which it does.
    """
    least = max(1, round(MAX_GAP_S * fps))
    first = next((a for a, b in spans(~holds) if b - a >= least), len(holds))
    return first / fps


def dilated(seen: Bools, reach: int) -> Bools:
    """Return the frames [T] within `reach` frames of a true one."""
    wide = np.convolve(seen, np.ones(2 * reach + 1))[reach : reach + len(seen)]
    return np.asarray(wide > 0.5, dtype=bool)


def interpolated(values: Floats, known: Bools) -> Floats:
    """Return values [T] with those that are not known interpolated. known: [T], at least one of them true."""
    t = np.arange(len(values))
    return np.interp(t, t[known], values[known])


class SlowLook(LongRange):
    """A scene that stays while the camera looks slowly about: colours, sharpness and layout do not drift."""

    name = "slow_look"
    claim = "while the camera looks about for long, a scene keeps its colours, its sharpness and its layout"
    source = (
        "early against late quality of long rollouts (FramePack, Zhang and Agrawala 2025); change point, Hinkley 1971"
    )
    violations = (
        "colour_drifts", "blurs", "drift", "vanishes", "appears_from_nowhere", "freezes", "loops", "cuts_away",
    )  # fmt: skip
    blind_to: ClassVar[dict[str, str]] = {
        "reversed": "a scene that stays is as good backwards, and the camera turns to and fro"
    }

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge drifts of colour, sharpness and layout, presence of the objects, and continuity."""
        p = SlowLookParams.of(case)
        ids = [helpers.find_object(tracks, o.colour, o.shape, 0.1) for o in p.things]
        take = in_order(video)
        _turned_first(p, tracks, ids)
        sizes = [helpers.width(tracks, i, tracks.visible[i]) for i in ids]
        width = float(np.median(sizes))
        reach = max(1, round(MAX_GAP_S * tracks.fps))
        there = np.all([dilated(_seen(tracks, o.colour, o.shape), reach) for o in p.things], axis=0)
        lone = ~helpers.crowded(tracks, dict.fromkeys((o.colour for o in p.things), 1), 0.3 * width**2)
        holds = there & lone & one_take(take)
        # All colours: a ground that drifts into one counts as well.
        curves = drift_curves(video.frames, COLOURS)
        if np.isfinite(curves.ground[:, 0]).mean() < 0.5:
            raise UnjudgeableError("the ground is not seen")
        changes = look_changes(curves, there & lone)
        # A layout is that of one view: what comes after a cut is not compared.
        moved = layout_change(tracks, ids, len(video) if not take.cuts else take.cuts[0])
        ground, things = (max(abs(c.size) for c in changes[k : k + 2]) for k in (0, 2))
        colour = float(np.hypot(ground, things))
        parts = {
            "colour": helpers.ramp_score(colour, 0.12, 0.3),
            "sharp": helpers.ramp_score(abs(changes[4].size), 0.25, 0.7),
            "layout": helpers.ramp_score(abs(moved.size), 0.2, 0.6),
            "one_take": float(holds.mean()),
        }
        worst = min(("colour", "sharp", "layout"), key=lambda name: parts[name])
        at = {"colour": max(changes[:4], key=lambda c: abs(c.size)), "sharp": changes[4], "layout": moved}[worst]
        broken = min(breaks_s(holds, tracks.fps), at.at / tracks.fps if parts[worst] < 1 else np.inf)
        measured = {"colour_drift": colour, "sharpness_drift": changes[4].size, "layout_drift": moved.size}
        return Verdict(helpers.product(parts), {**parts, **measured, "breaks_at_s": broken})


def _seen(tracks: Tracks, colour: str, noun: str) -> Bools:
    """Return the frames [T] in which any track of an object is seen."""
    return np.asarray(tracks.visible[tracks.called(colour, noun)].any(axis=0), dtype=bool)


def _turned_first(p: SlowLookParams, tracks: Tracks, ids: Sequence[int]) -> None:
    """Check that objects stand in their order, and that the camera turns first to the side of the prompt.

    Raises:
        UnjudgeableError: not so.
    """
    t, every = helpers.times(tracks), tracks.visible[list(ids)].all(axis=0)
    x = tracks.xy[list(ids), :, 0]
    start = np.flatnonzero(every & (t <= 1.0))
    if not len(start):
        raise UnjudgeableError("the objects are not in view together at first")
    first = np.median(x[:, start], axis=1)
    if (np.diff(first) <= 0).any():
        raise UnjudgeableError("the objects do not stand in the order of the prompt")
    seen = tracks.visible[list(ids)].any(axis=0)
    shift = np.full(tracks.frames, np.nan)
    shift[seen] = np.nanmean((x - x[:, start[0], None])[:, seen], axis=0) / min(tracks.size)
    if np.nanmax(np.abs(shift)) < 0.04:
        raise UnjudgeableError("the camera does not look about")
    away = np.flatnonzero(np.abs(np.nan_to_num(shift)) >= 0.04)[0]
    # The picture goes the other way.
    if shift[away] * SIGN[p.to] > 0:
        raise UnjudgeableError(f"the camera does not turn to the {p.to} first")


def look_changes(curves: DriftCurves, judged: Bools) -> list[ChangePoint]:
    """Return the changes of red and blue of the ground, of red and blue of the objects, and of sharpness in the frames `judged` [T].

    A curve that is known in fewer than seven of them has no change.
    """
    columns = [*curves.ground.T, *curves.things.T, curves.sharpness]
    known = [np.isfinite(c) & judged for c in columns]
    return [change_point(interpolated(c, k)) if k.sum() > 6 else NO_CHANGE for c, k in zip(columns, known, strict=True)]


def layout_change(tracks: Tracks, ids: Sequence[int], end: int) -> ChangePoint:
    """Return the largest change before frame `end` of where objects stand beside each other, in widths, and of their size (log).

    Objects that are whole in fewer than six of the frames have no change.
    """
    # A turn keeps angles, not distances in the picture.
    focal = 0.5 * min(tracks.size) / np.tan(np.radians(FOV_DEG / 2))
    middle = (np.array(tracks.size[::-1]) - 1) / 2
    whole = [helpers.clear(tracks, i, []) & (np.arange(tracks.frames) < end) for i in ids]
    changes = [NO_CHANGE]
    for a in range(len(ids)):
        for b in range(a):
            both = whole[a] & whole[b]
            if both[:end].sum() < 6:
                continue
            one, two = (np.arctan((tracks.xy[ids[k]] - middle) / focal) * focal for k in (a, b))
            width = helpers.width(tracks, ids[a], both)
            changes += [change_point(interpolated((one - two)[:, k] / width, both)[:end]) for k in (0, 1)]
        if whole[a][:end].sum() >= 6:
            changes.append(
                change_point(interpolated(0.5 * np.log(np.maximum(tracks.area[ids[a]], 1e-3)), whole[a])[:end])
            )
    return max(changes, key=lambda c: abs(c.size))


class Company(LongRange):
    """Several objects that move about: at the end there are the same ones, of the same colours, and no others."""

    name = "company"
    version = 3
    claim = "objects that move about for long stay the same ones: their number, colours and shapes"
    source = "identity over time, as in multiple object tracking (Luiten et al. 2021, HOTA), against the objects of the prompt"
    violations = (
        "vanishes", "changes_colour", "duplicates", "appears_from_nowhere", "freezes", "loops", "cuts_away",
    )  # fmt: skip
    blind_to: ClassVar[dict[str, str]] = {
        "reversed": "going to and fro is the same thing backwards",
        "mirrored": "nothing in the prompt has a side",
    }

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge for how long all objects are there, each on its way, alone and in motion."""
        p = CompanyParams.of(case)
        ids = [helpers.find_object(tracks, o.colour, o.shape, 0.05, _FROM_ABOVE) for o in p.things]
        early = helpers.times(tracks) < 1.5
        for o, i in zip(p.things, ids, strict=True):
            if not _seen(tracks, o.colour, o.shape)[early].any():
                raise UnjudgeableError(f"no {o.noun} was found at first")
            x = tracks.xy[i, tracks.visible[i], 0]
            if np.ptp(x) < 0.08 * min(tracks.size):
                raise UnjudgeableError(f"the {o.noun} does not move to and fro")
        take = in_order(video)
        widths = [helpers.width(tracks, i, tracks.visible[i]) for i in ids]
        width = float(np.median(widths))
        # The double of a far object is as small as that one.
        own = {o.colour: 0.3 * w**2 for o, w in zip(p.things, widths, strict=True)}
        crowded = helpers.crowded(tracks, {o.colour: 1 for o in p.things}, 0.3 * width**2, own)
        for a, b in list(spans(crowded)):
            # Where two objects touch, compression mixes their colours: blue before pink has a purple edge for a few frames.
            crowded[a:b] = b - a >= _MIXED_S * tracks.fps
        kept = np.array([_kept(tracks, tracks.called(o.colour, o.shape), width) for o in p.things])
        holds = kept.all(axis=0) & ~crowded & one_take(take)
        alike = min(_same_shape(tracks, i, [j for j in ids if j != i]) for i in ids)
        parts = {"holds": float(holds.mean()), "same_shape": alike}
        last = max(1, tracks.frames // 5)
        return Verdict(
            helpers.product(parts),
            {**parts, "kept_to_the_end": float(kept[:, -last:].mean()), "breaks_at_s": breaks_s(holds, tracks.fps)},
        )


def _kept(tracks: Tracks, ids: Sequence[int], width: float) -> Bools:
    """Return the frames [T] around which an object with the tracks `ids` is seen in its lane.

    Others may hide it: for a second, and for as long as one that it was beside before is the one that it is beside when it is seen again.
    """
    seen = np.zeros(tracks.frames, dtype=bool)
    box = np.full((tracks.frames, 4), np.nan)
    lane = float(np.median(tracks.xy[ids[0], tracks.visible[ids[0]], 1][: max(4, tracks.frames // 4)]))
    for i in ids:
        with np.errstate(invalid="ignore"):
            there = tracks.visible[i] & (np.abs(tracks.xy[i, :, 1] - lane) < 0.8 * width)
        box[there & ~seen] = tracks.box[i, there & ~seen]
        seen |= there
    hides = [near(tracks.box[j], box, 0.3 * width) for j in range(len(tracks.colour)) if j not in ids]
    for a, b in spans(~seen):
        if a > 0 and b < tracks.frames and any(beside[a - 1] and beside[b] for beside in hides):
            seen[a:b] = True
    return dilated(seen, round(1.0 * tracks.fps))


def _same_shape(tracks: Tracks, i: int, others: list[int]) -> float:
    """Return how little an object's outline and size change at any time, of the frames in which it is whole; 1 where it never is.

    Raises:
        UnjudgeableError: its outline is not known in the later half of them.
    """
    whole = helpers.clear(tracks, i, others)
    if whole.sum() < 6:
        return 1.0
    if not np.isfinite(tracks.shape["aspect"][i][whole][whole.sum() // 2 :]).any():
        raise UnjudgeableError(f"the outline of the {tracks.colour[i]} thing is not known")
    values = (tracks.shape["aspect"][i][whole], tracks.shape["extent"][i][whole], tracks.area[i][whole])
    aspect, extent, size = (_lasting_change(v) for v in (np.log(values[0]), values[1], 0.5 * np.log(values[2])))
    # None of the shapes is wider than high: one that is has changed while others stood before it.
    flat = -float(np.nanmedian(np.log(values[0])[len(values[0]) // 2 :]))
    outline = helpers.ramp_score(max(aspect, 2.5 * extent, flat), 0.35, 0.65)
    return outline * helpers.ramp_score(size, 0.2, 0.45)


def _lasting_change(values: Floats) -> float:
    """Return the size of the change that explains most of what varies in values [n], 0 where none explains two fifths of it."""
    known = values[np.isfinite(values)]
    if len(known) < 6:
        return 0.0
    change = change_point(known)
    return abs(change.size) if change.explained >= 0.4 else 0.0


class Entries(LongRange):
    """Objects come in over a border or from behind something, and leave likewise: none is there at once, none is gone at once."""

    name = "entries"
    claim = "nothing comes into a picture or leaves it but over its border or from behind something"
    source = "spontaneous appearance, a failure named in the Sora report (OpenAI 2024); births and deaths of tracks"
    violations = ("enters_from_nowhere", "appears_from_nowhere", "vanishes")

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge how every object that is seen came and went."""
        p = EntriesParams.of(case)
        wall = helpers.find_object(tracks, p.wall, "wall", 0.5)
        helpers.find_object(tracks, p.post, p.post_shape, 0.3)
        way, wide = SIGN[p.to], tracks.size[1]
        seen = 0
        for o in (p.first, p.second):
            i = helpers.find_object(tracks, o.colour, o.shape, 0.05)
            x = tracks.xy[i, tracks.visible[i], 0]
            if len(x) > 2 and np.ptp(x) > 0 and abs(float(np.corrcoef(np.arange(len(x)), x)[0, 1])) < 0.8:
                raise UnjudgeableError(f"the {o.noun} does not go one way")
            if (x[-1] - x[0]) * way > 0.12 * wide:
                seen += 1
            elif (x[-1] - x[0]) * way < -0.12 * wide:
                raise UnjudgeableError(f"the {o.noun} did not go to the {p.to}")
        if not seen:
            raise UnjudgeableError("nothing crossed the picture")
        if (np.nanmedian(tracks.xy[wall, :, 0]) - (wide - 1) / 2) * way > 0:
            raise UnjudgeableError(f"the wall does not stand opposite to the {p.to}")
        take = continuity(video.frames, video.fps)
        named = (p.first.colour, p.second.colour, p.wall, p.post)
        came, bad = unexplained(tracks, named, _SPECK * _size(tracks, wall))
        lone = ~helpers.crowded(tracks, dict.fromkeys(named, 1), 0.2 * _size(tracks, wall))
        holds = ~bad & lone & one_take(take, may_rest=True)
        parts = {"explained": helpers.ramp_score(came, 0.0, 2.0), "holds": float(holds.mean()), "crossed": seen / 2}
        return Verdict(
            helpers.product(parts), {**parts, "from_nowhere": float(came), "breaks_at_s": breaks_s(holds, tracks.fps)}
        )


def _size(tracks: Tracks, i: int) -> float:
    return float(np.median(tracks.area[i][tracks.visible[i]]))


def absence_component(away_s: int) -> str:
    """Return the component that has the score of one length of the absence: the means of all four are its curve."""
    # Written out: names of components are compared with those of the documentation.
    return {2: "after_2_s", 5: "after_5_s", 10: "after_10_s", 30: "after_30_s"}[away_s]


class LongAbsence(LongRange):
    """An object is out of sight for 2 to 30 seconds: it is there again, as it was and where it was."""

    name = "long_absence"
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
        seen = _seen(tracks, p.colour, p.shape)
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
    seen = _seen(tracks, p.colour, p.shape)
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
