"""The probe "painter": strokes of paint, one after the other."""

from __future__ import annotations

import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.base import UnjudgeableError, Verdict
from sora_eval.probes.changes import foot_of, pixels, uncovered
from sora_eval.probes.interaction.stages import (
    LastingChange,
    as_many,
    box_of,
    bystander_stays,
    in_turn,
    lasting,
    on_side,
    parts_of,
    stage_of,
)
from sora_eval.types import Case, Tracks, Video
from sora_eval.world.families.painter import STROKES, PainterParams
from sora_eval.world.families.params import OPPOSITE, SIGN


class Painter(LastingChange):
    """A brush paints three strokes side by side: each comes where and when the brush is there, and all stay."""

    name = "painter"
    claim = (
        "each of several strokes of paint comes with the brush, where it is, and stays while the next ones are painted"
    )
    slack = 0.15

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the strokes one by one, from the first to the last."""
        p = PainterParams.of(case)
        grip = helpers.find_object(tracks, p.handle, "handle", 0.3)
        rest = bystander_stays(tracks, p.block, grip)
        on_side(tracks, p.block, OPPOSITE[p.to])
        view = pixels(video, p.handle, p.paint)
        foot = foot_of(view.weight[p.handle])
        low = tracks.box[grip][:, 3] * view.scale
        held = np.isfinite(foot) & tracks.visible[grip]
        width = view.weight[p.paint].shape[2]
        if held.sum() < 4 or np.ptp(foot[held]) < 0.2 * width:
            raise UnjudgeableError("no brush moves over the canvas")
        paint = view.weight[p.paint]
        open_ = uncovered(view.weight[p.handle])
        strokes = parts_of(lasting(paint * open_))[:: int(SIGN[p.to])]
        if not strokes:
            return Verdict(0.0, {"happened": 0.0})
        stages, causes = [], []
        for stroke in strokes:
            x0, y0, x1, y1 = box_of(stroke)
            reach = 0.5 * (x1 - x0) + 1
            # The lower end of the handle is a little above the paint.
            there = held & (foot >= x0 - reach) & (foot <= x1 + reach) & (low > y0 - reach) & (low < y1 + reach)
            if not there.any():
                return Verdict(0.0, {"happened": 1.0, "place": 0.0})
            causes.append(int(np.flatnonzero(there)[0]))
            stages.append(stage_of(paint, stroke.astype(float), open_, causes[-1]))
        return self.verdict(
            stages, rest, tracks, in_turn=in_turn(causes), number=as_many(len(strokes), STROKES), place=1.0
        )
