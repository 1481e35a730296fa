"""The probe "bites": a bar eaten bite by bite."""

from __future__ import annotations

import numpy as np
from scipy.signal import find_peaks

from sora_eval.probes import helpers
from sora_eval.probes.base import UnjudgeableError, Verdict
from sora_eval.probes.changes import arrival, near, pixels, uncovered
from sora_eval.probes.interaction.stages import (
    LastingChange,
    apart_from_ground,
    as_many,
    at_first,
    bystander_stays,
    dilated,
    lasting,
    stage_of,
    within,
)
from sora_eval.types import Bools, Case, Floats, Tracks, Video
from sora_eval.world.families.bites import BITES, BitesParams
from sora_eval.world.families.params import SIGN


class Bites(LastingChange):
    """A creature bites three pieces off a bar: each is gone when the creature was there, and not before, for good."""

    name = "bites"
    claim = "each of several bites takes what the creature reaches, when it is there, and all stay taken"

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the bar, piece by piece from the end that the creature reaches first."""
        p = BitesParams.of(case)
        biter = helpers.find_object(tracks, p.biter, "creature", 0.4)
        rest = bystander_stays(tracks, p.block, biter)
        way = -SIGN[p.side]
        place = at_first(tracks, p.bar, "bar")
        touch = near(tracks.box[biter], place, 0.0) & tracks.visible[biter]
        first = arrival(tracks, biter, touch, place, p.side, "creature")
        view = pixels(video, p.bar, p.biter)
        maps, open_ = view.weight[p.bar], uncovered(view.weight[p.biter])
        free = ~near(tracks.box[biter], place, 1.0)
        if not free[:first].any():
            raise UnjudgeableError("the bar is not to be seen whole before the creature comes")
        apart_from_ground(maps[0], place * view.scale, "bar")
        # As large as it ever was before the creature came: what is gone before its cause is missing from it.
        whole = maps[np.flatnonzero(free[:first])].max(axis=0) * within(maps.shape[1:], place * view.scale)
        full = float(whole.sum())
        if full < 30 or place[2] - place[0] < 1.2 * (place[3] - place[1]):
            raise UnjudgeableError("no long bar is to be seen before the creature comes")
        missing = np.clip(whole - maps, 0, 1) * (whole > 0.5)
        eaten = lasting(missing * open_, 0.12)
        lost = float(whole[eaten].sum()) / full
        if lost < 0.1:
            return Verdict(0.0, {"happened": 0.0})
        # The creature's front, along its way, and how often it goes forwards and back again.
        front = way * tracks.box[biter][:, 2 if way > 0 else 0] * view.scale
        frames = np.flatnonzero(tracks.visible[biter])
        front = np.interp(np.arange(len(front)), frames, front[frames])
        long = float(place[2] - place[0]) * view.scale
        visits = len(find_peaks(np.concatenate([[-1e3], front, [-1e3]]), prominence=0.15 * long)[0])
        stages = []
        for band in _bands(whole * eaten, way):
            xs = way * np.flatnonzero(band.any(axis=0)).astype(float)
            there = front >= float(np.quantile(xs, 0.3))
            if not there.any():
                return Verdict(0.0, {"happened": 1.0, "place": 0.0})
            stages.append(stage_of(missing, whole * band, open_, int(np.flatnonzero(there)[0]), there))
        # What is left of the bar lies beyond the bites, and stays as it was.
        kept = (whole > 0.5) & ~dilated(eaten, 1)
        intact = _intact(missing, kept, open_)
        left = float(whole[kept].sum()) / full
        size = helpers.ramp_score(lost, 0.85, 1.0) * (1 - helpers.ramp_score(lost, 0.25, 0.45))
        return self.verdict(
            stages, rest * intact, tracks, place=float(left > 0.02), number=as_many(visits, BITES), size=size
        )


def _bands(weight: Floats, way: float) -> list[Bools]:
    """Return `BITES` bands of columns of equal weight, from the first on a way to the last, as masks [h, w]."""
    columns = weight.sum(axis=0)[:: int(way)]
    share = np.cumsum(columns) / max(float(columns.sum()), 1e-6)
    number = np.minimum((share * BITES - 1e-6).astype(int), BITES - 1)[:: int(way)]
    return [(weight > 0) & (number == k) for k in range(BITES)]


def _intact(missing: Floats, kept: Bools, open_: Bools) -> float:
    """Return the score of a part [h, w] that nothing is missing from in any frame, 0 to 1."""
    if not kept.any():
        return 1.0
    seen = (kept & open_).sum(axis=(1, 2))
    lost = (missing * (kept & open_)).sum(axis=(1, 2)) / np.maximum(seen, 1)
    return helpers.ramp_score(float(np.quantile(lost[seen > 0.4 * kept.sum()], 0.8, method="lower")), 0.15, 0.4)
