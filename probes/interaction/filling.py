"""The probe "filling": a glass that a jug fills."""

from __future__ import annotations

import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.base import UnjudgeableError, Verdict
from sora_eval.probes.changes import largest, pixels
from sora_eval.probes.interaction.stages import LastingChange, Stage, box_of, bystander_stays, lasting, on_side
from sora_eval.types import Bools, Case, Floats, Tracks, Video
from sora_eval.world.families.filling import FillingParams
from sora_eval.world.families.params import OPPOSITE, SIGN


class Filling(LastingChange):
    """A jug pours into a glass: the level rises while it pours, not before, and stays when it has stopped."""

    name = "filling"
    claim = "the level in a glass rises while something is poured into it, neither before nor after, and stays"
    slack = 0.3

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the level against the stream of liquid above it."""
        p = FillingParams.of(case)
        jug = helpers.find_object(tracks, p.jug, "jug", 0.5)
        rest = bystander_stays(tracks, p.block, jug)
        on_side(tracks, p.block, OPPOSITE[p.side])
        on_side(tracks, p.jug, p.side, "jug")
        liquid = pixels(video, p.liquid)
        maps, scale = liquid.weight[p.liquid], liquid.scale
        foot = round(float(np.nanmedian(tracks.box[jug][:, 3])) * scale)
        middle = float(np.nanmedian(tracks.xy[jug, :, 0])) * scale
        # The stream is beside the jug's lower end, above the glass.
        stream = (maps[:, max(foot - 3, 0) : foot + 3].sum(axis=2) > 0.8).mean(axis=1) > 0.5
        if not stream.any():
            raise UnjudgeableError(f"no {p.liquid} liquid flows from the jug")
        on, off = int(np.flatnonzero(stream)[0]), int(np.flatnonzero(stream)[-1])
        if on == 0 or off > len(maps) - 3:
            raise UnjudgeableError("the jug pours from the first frame, or to the last")
        # Where no stream is in the way, the liquid is what stands in the glass.
        pool = largest(lasting(np.where(stream[:, None, None], 0.0, maps), 0.12))
        if pool.sum() < 12:
            return Verdict(0.0, {"happened": 0.0})
        x0, y0, x1, y1 = box_of(pool)
        wide, tall = x1 - x0 + 1, y1 - y0 + 1
        if (middle - (x0 + x1) / 2) * SIGN[p.side] < 0 or y0 < foot:
            raise UnjudgeableError(f"the glass is not below the jug, on its {OPPOSITE[p.side]}")
        level = ((np.minimum(maps[:, y0 : y1 + 1, x0 : x1 + 1], 1).mean(axis=2) > 0.6).sum(axis=1)) / tall
        stage = Stage(np.clip(level, 0, 1), np.ones(len(level), dtype=bool), on)
        size = 1 - helpers.ramp_score(tall / wide, 0.3, 0.5)
        return self.verdict([stage], rest, tracks, size=size, **_rise(level, stream, on, off))


def _rise(level: Floats, stream: Bools, on: int, off: int) -> dict[str, float]:
    """Return whether a level [T], 0 to 1, rises during a stream [T] and little by little."""
    peak = max(float(level.max()), 1e-6)
    before = float(level[:on].max()) / peak
    after = 1 - float(level[min(off + 1, len(level) - 1)]) / peak
    jump = float(np.diff(level).max()) / peak if len(level) > 1 else 1.0
    # A frame's share of the time that the stream flows is what it may rise by, and half of that again.
    usual = 1.5 / max(int(stream.sum()), 1)
    return {
        "with_stream": helpers.ramp_score(max(before, after), 0.15, 0.5),
        "gradual": helpers.ramp_score(jump, max(0.4, usual), max(0.4, usual) + 0.4),
    }
