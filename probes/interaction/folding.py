"""The probe "folding": a flag folded twice."""

from __future__ import annotations

import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.base import UnjudgeableError, Verdict
from sora_eval.probes.changes import arrival, near, pixels, uncovered
from sora_eval.probes.interaction.stages import (
    LastingChange,
    apart_from_ground,
    at_first,
    bystander_stays,
    on_side,
    stage_of,
    within,
)
from sora_eval.types import Case, Tracks, Video
from sora_eval.world.families.folding import FoldingParams
from sora_eval.world.families.params import OPPOSITE, SIGN


class Folding(LastingChange):
    """A glove folds a flag twice: it gets half as wide when the glove takes its edge, and stays so."""

    name = "folding"
    claim = "a flag gets half as wide with each fold, when the glove folds it and not before, and stays folded"
    slack = 0.16

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the half of the flag that the first fold takes, then the quarter that the second one takes."""
        p = FoldingParams.of(case)
        glove = helpers.find_object(tracks, p.glove, "glove")
        rest = bystander_stays(tracks, p.block, glove)
        on_side(tracks, p.block, OPPOSITE[p.side])
        place = at_first(tracks, p.flag, "flag")
        wide = float(place[2] - place[0])
        if wide < 1.2 * float(place[3] - place[1]):
            raise UnjudgeableError(f"the clip does not begin with a wide {p.flag} flag")
        touch = near(tracks.box[glove], place, 0.0) & tracks.visible[glove]
        first = arrival(tracks, glove, touch, place, p.side, "glove")
        view = pixels(video, p.flag, p.glove)
        maps, open_ = view.weight[p.flag], uncovered(view.weight[p.glove])
        apart_from_ground(maps[0], place * view.scale, "flag")
        # As large as it ever was before the glove came: what changes before its cause is not there afterwards.
        whole = maps[: max(1, first)].max(axis=0) * within(maps.shape[1:], place * view.scale)
        # Shares of the flag's width, 0 at the pole and 1 at the free edge.
        edge = (place[0] if p.side == "right" else place[2]) * view.scale
        share = SIGN[p.side] * (np.arange(maps.shape[2]) - edge) / (wide * view.scale)
        hand = SIGN[p.side] * (tracks.xy[glove, :, 0] * view.scale - edge) / (wide * view.scale)
        causes = _causes(hand, tracks.visible[glove], first)
        if causes is None:
            return Verdict(
                0.0, {"happened": float(np.median(maps[-3:], axis=0).sum() < 0.6 * whole.sum()), "place": 0.0}
            )
        missing = np.clip(whole - maps, 0, 1)
        bands = [(whole > 0.5) * ((share > low) & (share < high)) for low, high in ((0.54, 0.96), (0.29, 0.46))]
        stages = [stage_of(missing, whole * band, open_, c) for band, c in zip(bands, causes, strict=True)]
        # The quarter at the pole is there all the time.
        left = stage_of(missing, whole * (whole > 0.5) * ((share > 0.04) & (share < 0.21)), open_, 0)
        stays = (
            helpers.ramp_score(float(np.quantile(left.done[left.clear], 0.8)), 0.2, 0.5) if left.clear.any() else 0.0
        )
        return self.verdict(stages, rest * stays, tracks, place=1.0)


def _causes(hand: np.ndarray, seen: np.ndarray, first: int) -> tuple[int, int] | None:
    """Return the frames in which a glove takes the free edge for the first and for the second time; None where it does not.

    hand: [T] its place, 0 at the pole and 1 at the free edge; seen: [T]; first: the frame in which it touches the flag.
    """
    frames = np.arange(len(hand))
    at_pole = np.flatnonzero(seen & (hand < 0.3) & (frames > first))
    if not len(at_pole):
        return None
    again = np.flatnonzero(seen & (hand > 0.33) & (frames > at_pole[0]))
    if not len(again) or not (seen & (hand < 0.3) & (frames > again[0])).any():
        return None
    return first, int(again[0])
