"""Several objects that move about for long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.base import UnjudgeableError, Verdict
from sora_eval.probes.changes import near
from sora_eval.probes.long_range.one_take import (
    LongRange,
    breaks_s,
    dilated,
    in_order,
    one_take,
    seen_frames,
)
from sora_eval.stats.change_point import change_point
from sora_eval.tracking.continuity import spans
from sora_eval.types import Bools, Case, Floats, Tracks, Video
from sora_eval.world.families.company import CompanyParams

_FROM_ABOVE = ("cone",)
"""The shapes that differ clearly in outline where they are seen from above."""
_MIXED_S = 0.4
"""Seconds for which a small thing in the colour of an object beside it may be the mixture of two other colours."""


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
            if not seen_frames(tracks, o.colour, o.shape)[early].any():
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
