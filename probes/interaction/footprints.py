"""The probe "footprints": prints that stay in sand."""

from __future__ import annotations

import cv2
import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.base import UnjudgeableError, Verdict
from sora_eval.probes.changes import arrival, near, pixels, uncovered
from sora_eval.probes.interaction.stages import (
    LastingChange,
    Stage,
    apart_from_ground,
    as_many,
    at_first,
    box_of,
    bystander_stays,
    in_turn,
    lasting,
    on_side,
    parts_of,
    stage_of,
    within,
)
from sora_eval.types import Case, Tracks, Video
from sora_eval.world.families.footprints import PRINTS, FootprintsParams
from sora_eval.world.families.params import OPPOSITE, SIGN


class Footprints(LastingChange):
    """A creature hops over sand: a print is there once it has come down there, and not before, and stays."""

    name = "footprints"
    claim = "footprints in sand come where and when something steps, one by one, and stay"

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the prints one by one, from the first to the last."""
        p = FootprintsParams.of(case)
        walker = helpers.find_object(tracks, p.walker, "creature")
        rest = bystander_stays(tracks, p.block, walker)
        start = OPPOSITE[p.to]
        on_side(tracks, p.block, start)
        place = at_first(tracks, p.sand, "sand")
        touch = near(tracks.box[walker], place, 0.0) & tracks.visible[walker]
        if not touch.any():
            raise UnjudgeableError("the creature never came to the sand")
        first = int(np.flatnonzero(touch)[0])
        view = pixels(video, p.sand, p.walker)
        maps, open_ = view.weight[p.sand], uncovered(view.weight[p.walker])
        apart_from_ground(maps[0], place * view.scale, "sand")
        # As smooth as it ever was before the creature came: what is printed before its cause is missing from it.
        smooth = maps[: max(first, 1)].max(axis=0) * within(maps.shape[1:], place * view.scale)
        bed = cv2.erode((smooth > 0.5).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        if bed.sum() < 60 or _pitted(bed):
            raise UnjudgeableError("no smooth bed of sand is to be seen at the beginning")
        missing = np.clip(smooth - maps, 0, 1) * bed
        prints = parts_of(lasting(missing * open_, 0.12), 0.3)[:: int(SIGN[p.to])]
        if not prints:
            return Verdict(0.0, {"happened": 0.0})
        box = tracks.box[walker] * view.scale
        stages: list[Stage] = []
        causes: list[int] = []
        for mark in prints:
            x0, y0, x1, y1 = box_of(mark)
            middle = (box[:, 0] + box[:, 2]) / 2
            reach = 0.35 * (x1 - x0) + 1
            over = (middle > x0 - reach) & (middle < x1 + reach)
            there = tracks.visible[walker] & over & (box[:, 3] > y0) & (box[:, 1] < y1)
            if not there.any():
                return Verdict(0.0, {"happened": 1.0, "place": 0.0})
            if not causes:
                spot = np.array([x0, y0, x1, y1]) / view.scale
                arrival(tracks, walker, there, spot, start, "creature")
            causes.append(int(np.flatnonzero(there)[0]))
            stages.append(stage_of(missing, smooth * mark, open_, causes[-1], there))
        return self.verdict(
            stages, rest, tracks, in_turn=in_turn(causes), number=as_many(len(prints), PRINTS), place=1.0
        )


def _pitted(bed: np.ndarray) -> bool:
    """Return whether a bed [h, w] has holes: a smooth one fills its outline."""
    outline = cv2.morphologyEx(bed.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((15, 15), np.uint8))
    return bool(bed.sum() < 0.85 * outline.sum())
