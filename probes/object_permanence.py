"""Object permanence: what is out of sight goes on existing, as it was and where it would be."""

from __future__ import annotations

import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.base import Draft, Probe, UnjudgeableError, Verdict, family_draft
from sora_eval.types import Case, Tracks, Video
from sora_eval.world.families import pass_behind


class PassBehind(Probe):
    """An object passes behind a wall: it must come out on the other side, when and where its motion says, unchanged."""

    suite = "object_permanence"
    name = "pass_behind"
    claim = "an object that passes behind a wall comes out on the other side, unchanged and in time"
    source = "violation of expectation, Piloto et al. 2022; exit place against constant velocity"
    violations = ("vanishes", "changes_colour", "changes_shape")

    def draft(self, rng: np.random.Generator, flip: bool) -> Draft:
        """Return a passage to the left or right."""
        return family_draft("pass_behind", pass_behind.sample(rng), rng, flip)

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge return, place in time, look and company."""
        p = case.scene["params"]
        wall = helpers.the(tracks, p["wall"], "wall", 0.5)
        hero = helpers.the(tracks, p["colour"], p["shape"])
        way = 1.0 if p["to"] == "right" else -1.0
        t = helpers.times(tracks)
        whole = helpers.clear(tracks, hero, [wall])
        x = tracks.xy[hero, :, 0]
        middle = np.nanmedian(tracks.xy[wall, :, 0])
        before, after = whole & ((x - middle) * way < 0), whole & ((x - middle) * way > 0)
        if before.sum() < 2:
            raise UnjudgeableError(f"the {p['shape']} was not seen on its way to the wall")
        # What is seen before the wall must be a steady motion the right way.
        speed, start = np.polyfit(t[before], x[before], 1)
        steady = float(np.abs(start + speed * t[before] - x[before]).max())
        if speed * way * (t[-1] - t[0]) < 0.3 * tracks.size[1] or steady > 0.05 * tracks.size[1]:
            raise UnjudgeableError(f"the {p['shape']} did not move steadily to the {p['to']}")
        seen = tracks.visible[hero]
        behind = ~seen & (t > t[before].min())
        hidden = [s for s in helpers.spans(behind) if s[0] > np.flatnonzero(before)[0]]
        if not hidden:
            raise UnjudgeableError(f"the {p['shape']} was never hidden by the wall")
        width = float(np.nanmedian(np.sqrt(tracks.area[hero][before])))
        least = 0.3 * width**2
        alone = 1 - min(1.0, 3 * helpers.extras(tracks, {p["colour"]: 1, p["wall"]: 1}, least))
        if after.sum() < 2:
            return Verdict(0.0, {"returns": 0.0, "alone": alone})
        error = np.abs(start + speed * t[after] - x[after])
        place = helpers.credit(float(np.median(error)), 1.0 * width, 2.5 * width)
        shape, size = helpers.same_look(tracks, hero, before, after)
        # Once out, it stays out: nothing may blink.
        last = np.flatnonzero(after)
        kept = float(seen[last[0] : last[-1] + 1].mean())
        value = place * shape * size * alone * kept
        return Verdict(value, {"returns": 1.0, "place": place, "same_shape": shape, "same_size": size, "alone": alone, "kept": kept})
