"""Long range, several shots: a character is the same in all of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.base import UnjudgeableError, Verdict
from sora_eval.probes.long_range.one_take import LongRange
from sora_eval.types import Bools, Case, Tracks, Video
from sora_eval.world.families.params import SIGN
from sora_eval.world.families.several_shots import SHOTS, SeveralShotsParams


class SeveralShots(LongRange):
    """A character over several shots with hard cuts: it and its company are the same in all of them."""

    name = "several_shots"
    unit = "share of the later shots that show the character of the first, 0 to 1"
    claim = "a character is the same in all of four shots: colours, arrangement, proportions"
    source = "character consistency across shots, as claimed for Sora (OpenAI 2024)"
    violations = ("vanishes", "teleports", "changes_colour", "changes_shape", "duplicates", "appears_from_nowhere")

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge head, body and companion of each later shot against the first."""
        p = SeveralShotsParams.of(case)
        body = helpers.find_object(tracks, p.body, "figure", 0.6)
        head = helpers.find_object(tracks, p.head, "head", 0.1)
        mate = helpers.find_object(tracks, p.companion, p.companion_shape, 0.1)
        shots = _split_shots(tracks, body, p)
        h, m = tracks.visible[head], tracks.visible[mate]
        scale = np.sqrt(tracks.area[body])[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            top, beside = ((tracks.xy[i] - tracks.xy[body]) / scale for i in (head, mate))
        first = shots[0]
        if not (first & h).any() or not (first & m).any():
            raise UnjudgeableError("head or companion is missing in the first shot")
        side = SIGN[p.side]
        if np.median(top[first & h, 1]) > -0.3 or np.median(beside[first & m, 0]) * side < 0.3:
            raise UnjudgeableError("the first shot does not show the arrangement of the prompt")
        least = 0.3 * min(float(np.median(tracks.area[head][s & h])) for s in shots if (s & h).any())
        crowd = helpers.crowded(tracks, dict.fromkeys((p.body, p.head, p.companion), 1), least)
        scores = []
        for shot in shots[1:]:
            if not (shot & h).any() or not (shot & m).any():
                scores.append(0.0)
                continue
            outline = _outline_change(tracks, head, first & h, shot & h)
            away = helpers.shift(top, first & h, shot & h)
            parts = (
                helpers.ramp_score(outline, 0.45, 0.8),
                helpers.ramp_score(away, 0.12, 0.4),
                helpers.ramp_score(helpers.grown(tracks, head, body, first & h, shot & h), 0.1, 0.35),
                helpers.ramp_score(helpers.grown(tracks, mate, body, first & m, shot & m), 0.25, 0.55),
                float(np.median(beside[shot & m, 0]) * side > 0.1),
                1 - min(1.0, 2 * float(crowd[shot].mean())),
                float((h & m)[shot].mean()),
            )
            scores.append(float(np.prod(parts)))
        names = {"second_shot": scores[0], "third_shot": scores[1], "last_shot": scores[2]}
        return Verdict(float(np.mean(scores)), names)


def _outline_change(tracks: Tracks, i: int, first: Bools, second: Bools) -> float:
    """Return by how much the log of a track's aspect differs between two sets of frames; up to .4 for a ball on a body of a like hue.

    Raises:
        UnjudgeableError: the aspect is not known in any frame of one of them.
    """
    aspect = tracks.shape["aspect"][i]
    if not np.isfinite(aspect[first]).any() or not np.isfinite(aspect[second]).any():
        raise UnjudgeableError("the outline of the head is not known")
    return abs(float(np.log(np.nanmedian(aspect[second]) / np.nanmedian(aspect[first]))))


def _split_shots(tracks: Tracks, body: int, p: SeveralShotsParams) -> list[Bools]:
    """Return the frames [T] of each shot, which jumps of the figure's size separate.

    Raises:
        UnjudgeableError: there are not four shots, or not from far and close by turns as the prompt says.
    """
    seen = np.flatnonzero(tracks.visible[body])
    size = 0.5 * np.log(tracks.area[body][seen])
    cuts = np.flatnonzero(np.abs(np.diff(size)) > 0.2) + 1
    parts = np.split(np.arange(len(seen)), cuts)
    if len(parts) != SHOTS or min(map(len, parts)) < 2:
        raise UnjudgeableError(f"there are {len(parts)} shots by the figure's size, {SHOTS} were asked for")
    middles = [float(np.median(size[part])) for part in parts]
    if max(float(np.ptp(size[part])) for part in parts) > 0.2:
        raise UnjudgeableError("the distance changes within a shot")
    closer = 1.0 if p.first == "far" else -1.0
    if any((b - a) * closer * (-1) ** k < 0 for k, (a, b) in enumerate(pairwise(middles))):
        raise UnjudgeableError(f"the shots do not begin from {p.first}, by turns with the other distance")
    frame, edges = np.arange(tracks.frames), [0, *(int(seen[c]) for c in cuts), tracks.frames]
    return [tracks.visible[body] & (frame >= a) & (frame < b) for a, b in pairwise(edges)]
