"""A scene that stays while the camera looks slowly about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.appearances import MAX_GAP_S
from sora_eval.probes.base import UnjudgeableError, Verdict
from sora_eval.probes.long_range.one_take import (
    LongRange,
    breaks_s,
    curve_changes,
    dilated,
    in_order,
    interpolated,
    one_take,
    seen_frames,
)
from sora_eval.stats.change_point import NO_CHANGE, ChangePoint, change_point
from sora_eval.tracking.drift import DriftCurves, drift_curves
from sora_eval.types import Bools, Case, Tracks, Video
from sora_eval.world.families.params import SIGN
from sora_eval.world.families.slow_look import FOV_DEG, SlowLookParams
from sora_eval.world.palette import COLOURS


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
        there = np.all([dilated(seen_frames(tracks, o.colour, o.shape), reach) for o in p.things], axis=0)
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
    return curve_changes([*curves.ground.T, *curves.things.T, curves.sharpness], judged)


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
