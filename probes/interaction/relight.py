"""The probe "relight": a candle lit again on purpose."""

from __future__ import annotations

import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.base import UnjudgeableError, Verdict
from sora_eval.probes.changes import arrival, near, pixels
from sora_eval.probes.interaction.stages import LastingChange, Stage, bystander_stays, stays
from sora_eval.types import Bools, Case, Floats, Tracks, Video
from sora_eval.world.families.params import SIGN
from sora_eval.world.families.relight import RelightParams


class Relight(LastingChange):
    """A taper lights a candle: the flame and its light come when the taper is there, and not before, and stay."""

    name = "relight"
    claim = "a candle that a taper lights burns from then on, with its light, and did not burn before"

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge flame, light, candle and block."""
        p = RelightParams.of(case)
        stick = helpers.find_object(tracks, p.candle, "candle", 0.5)
        taper = helpers.find_object(tracks, p.taper, "taper")
        rest = bystander_stays(tracks, p.block, taper) * stays(tracks, stick)
        box = np.nanmedian(tracks.box[stick], axis=0)
        wide = float(box[2] - box[0])
        # Where a flame belongs: on top of the candle, as wide as it, and as tall as that.
        place = np.array([box[0], box[1] - 1.4 * wide, box[2], box[1]])
        touch = near(tracks.box[taper], place, 0.45 * wide) & tracks.visible[taper]
        cause = arrival(tracks, taper, touch, place, p.side, "taper")
        gone = np.flatnonzero(touch)[-1] + 1
        if gone > tracks.frames - 2:
            raise UnjudgeableError("the taper did not go away again")
        later = tracks.xy[taper, gone:, 0][tracks.visible[taper, gone:]]
        if len(later) and (float(later[-1]) - float(place[0] + place[2]) / 2) * SIGN[p.side] < 0:
            raise UnjudgeableError(f"the taper did not go back to the {p.side}")
        view = pixels(video, p.flame)
        x0, y0, x1, y1 = (max(0, round(float(v) * view.scale)) for v in place)
        fire = view.weight[p.flame][:, y0 : y1 + 1, x0 : x1 + 1]
        # The candle is as wide as the flame is tall, or nearly: half of that square is a flame.
        usual = 0.25 * (wide * view.scale) ** 2
        burning = np.clip(fire.sum(axis=(1, 2)) / usual, 0, 1)
        stage = Stage(burning, ~touch, cause)
        return self.verdict([stage], rest, tracks, light=_brightens(view.neutral, burning, ~touch))


def _brightens(neutral: Floats, burning: Floats, clear: Bools) -> float:
    """Return whether the room is brighter whenever the flame burns, by brightness [T] and flame [T], and only then."""
    lit = burning > 0.5
    if not (lit & clear).any() or not (~lit & clear).any():
        return 0.0
    dark, bright = float(np.median(neutral[clear & ~lit])), float(np.median(neutral[clear & lit]))
    brighter = 1 - helpers.ramp_score(bright / max(dark, 1.0) - 1, 0.04, 0.12)
    agree = float(((neutral > (dark + bright) / 2) == lit)[clear].mean())
    return brighter * helpers.ramp_score(1 - agree, 0.12, 0.4)
