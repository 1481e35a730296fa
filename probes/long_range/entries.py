"""Objects that come and go, over a border or from behind something."""

from __future__ import annotations

import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.appearances import unexplained
from sora_eval.probes.base import UnjudgeableError, Verdict
from sora_eval.probes.long_range.one_take import (
    LongRange,
    breaks_s,
    one_take,
)
from sora_eval.tracking.continuity import continuity
from sora_eval.types import Case, Tracks, Video
from sora_eval.world.families.entries import EntriesParams
from sora_eval.world.families.params import SIGN

_SPECK = 0.03
"""Area as a share of the wall's up to which nothing is an object: the smallest of the prompt has a tenth of it."""


class Entries(LongRange):
    """Objects come in over a border or from behind something, and leave likewise: none is there at once, none is gone at once."""

    name = "entries"
    version = 3
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
