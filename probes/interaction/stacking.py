"""The probe "stacking": cubes set on one another."""

from __future__ import annotations

import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.base import UnjudgeableError, Verdict
from sora_eval.probes.changes import arrival, pixels, uncovered
from sora_eval.probes.interaction.stages import (
    LastingChange,
    box_of,
    bystander_stays,
    in_turn,
    on_side,
    parts_of,
    stage_of,
)
from sora_eval.types import Bools, Case, Floats, Tracks, Video
from sora_eval.world.families.params import OPPOSITE
from sora_eval.world.families.stacking import BROUGHT, StackingParams


class Stacking(LastingChange):
    """A clamp stacks two cubes on a third: each is there once the clamp has brought it, and stays where it is."""

    name = "stacking"
    claim = "each of several cubes is stacked when the clamp brings it, on top of the last, and stays there"
    slack = 0.1

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the cells of the tower from the lowest to the highest."""
        p = StackingParams.of(case)
        clamp = helpers.find_object(tracks, p.clamp, "clamp")
        rest = bystander_stays(tracks, p.block, clamp)
        on_side(tracks, p.block, OPPOSITE[p.side])
        view = pixels(video, p.cubes, p.clamp)
        cubes, open_ = view.weight[p.cubes], uncovered(view.weight[p.clamp])
        started = parts_of(np.asarray(cubes[0] > 0.5))
        if len(started) != 1:
            raise UnjudgeableError(f"the clip does not begin with one {p.cubes} cube")
        x0, y0, x1, y1 = box_of(started[0])
        tall, wide = y1 - y0 + 1, x1 - x0 + 1
        if not 0.75 <= tall / wide <= 1.35 or y1 + 1 - (BROUGHT + 1) * min(tall, wide) < 0:
            raise UnjudgeableError(f"the {p.cubes} thing that the clip begins with is no cube with room above it")
        # Of a cube seen from above its top belongs to its outline, of one seen from the side a face: its front is a square.
        side = min(tall, wide)
        box = tracks.box[clamp] * view.scale
        place = tracks.box[clamp][0] * 0 + np.array([x0, y0 - tall, x1, y0]) / view.scale
        over = (box[:, 0] < x1) & (box[:, 2] > x0) & tracks.visible[clamp]
        arrival(tracks, clamp, over, place, p.side, "clamp")
        height, width = cubes.shape[1:]
        stages, causes = [], []
        for k in range(1, BROUGHT + 1):
            top = y1 + 1 - (k + 1) * side
            cell = _cell((height, width), x0 + 1, top + 1, x1 - 1, top + side - 2)
            there = np.flatnonzero(over & (np.abs(box[:, 3] - top) < 0.45 * side))
            if not len(there):
                return Verdict(0.0, {"happened": float(_cell_filled(cubes, cell)), "place": 0.0})
            causes.append(int(there[0]))
            stages.append(stage_of(np.minimum(cubes, 1), cell, open_, causes[-1]))
        base = stage_of(np.minimum(cubes, 1), started[0].astype(float), open_, 0)
        stood = (
            helpers.ramp_score(1 - float(np.quantile(base.done[base.clear], 0.2)), 0.2, 0.5)
            if base.clear.any()
            else 0.0
        )
        return self.verdict(stages, rest * stood, tracks, in_turn=in_turn(causes), place=1.0)


def _cell(size: tuple[int, int], x0: int, y0: int, x1: int, y1: int) -> Floats:
    """Return a mask [h, w] of a box, its last pixels included."""
    cell = np.zeros(size)
    cell[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1] = 1
    return cell


def _cell_filled(cubes: Floats, cell: Floats) -> Bools:
    """Return whether the last frames show a cell filled."""
    return np.asarray((np.median(cubes[-3:], axis=0) * cell).sum() > 0.5 * cell.sum())
