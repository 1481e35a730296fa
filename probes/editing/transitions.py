"""Clips that go on from given frames, forwards, backwards or from one to the other, and clips that connect two others."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from sora_eval.metrics.transitions.blends import mixture
from sora_eval.metrics.transitions.steps import changes, changes_between, spread
from sora_eval.probes import helpers
from sora_eval.probes.appearances import borders
from sora_eval.probes.base import Draft, UnjudgeableError, Verdict
from sora_eval.probes.editing.shared import (
    Editing,
    alone,
    even,
    generated_frames,
    ghosts,
    line,
    reach_of,
    same_object,
    there,
    unfaded,
)
from sora_eval.types import Case, Mode, Tracks, Video
from sora_eval.world.families.params import SIGN
from sora_eval.world.families.single import SingleParams
from sora_eval.world.families.two_places import TwoPlacesParams

_METRES = 5.53
"""Width in metres of what the shorter side of the frame shows at the object."""


class Extension(Editing):
    """An object goes on along its way in frames before, after or between given ones."""

    name = "extension"
    scenes = "single"
    claim = "frames made after, before or between given ones show the same object go on along its way, in one take without a seam"
    modes: ClassVar[tuple[Mode, ...]] = ("v2v", "extend_back", "interpolate")
    violations: ClassVar[tuple[str, ...]] = ("holds_and_cuts", "cross_fades", "flashes", "turns_into_another")

    def draft(self, rng: np.random.Generator, flip: bool) -> Draft:
        """Return a random case of an object that moves to a side."""
        p = self.sample(rng)
        assert isinstance(p, SingleParams)
        while p.motion not in SIGN:
            again = self.sample(rng)
            assert isinstance(again, SingleParams)
            p = again
        p = self.family.mirrored(p) if flip else p
        return Draft(self.family.name, p, self.family.caption(p, rng))

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge presence, path, seams and cross-fades of the generated frames."""
        p = SingleParams.of(case)
        hero = helpers.find_object(tracks, p.hero.colour, p.hero.shape, 0.1, ())
        generated = generated_frames(case, len(video), video.fps)
        seen = np.flatnonzero(tracks.visible[hero])
        if len(seen) < 4:
            raise UnjudgeableError(f"the {p.hero.noun} is seen in fewer than four frames")
        width = helpers.width(tracks, hero, tracks.visible[hero])
        slope, rest = line(seen.astype(float), tracks.xy[hero, seen, 0])
        assert p.motion in SIGN
        way = slope * (len(video) - 1) * SIGN[p.motion] * _METRES / (p.way * min(video.size))
        if way < 0.2:
            return Verdict(0.0, {"way": way})
        jump = float((np.abs(np.diff(tracks.xy[hero, seen, 0])) / np.diff(seen)).max() / abs(slope))
        still, ratio = even(video.frames, float(np.median(changes(video.frames))))
        faded = ghosts(video.frames, generated, reach_of(width, abs(slope), len(video)))
        parts = {
            "there": there(tracks, hero, generated),
            "alone": alone(tracks, (p.hero.colour,), 0.3 * width**2, generated),
            **same_object(tracks, hero, generated, p.hero.noun),
            "goes_on": helpers.ramp_score(float(np.abs(rest).max() / abs(slope) / (len(video) - 1)), 0.08, 0.2),
            "steady": helpers.ramp_score(jump, 2.5, 4.5),
            "pace": helpers.ramp_score(abs(float(np.log(way))), 0.4, 1.1),
            "seamless": still,
            "no_fade": unfaded(faded),
        }
        return Verdict(helpers.product(parts), {**parts, "way": way, "worst_step": ratio, "mixture": faded})


class Transition(Editing):
    """A transition from one clip to another one."""

    name = "transition"
    scenes = "two_places"
    claim = "what is made between two clips goes over from one to the other step by step, neither at once nor by a cross-fade"
    modes: ClassVar[tuple[Mode, ...]] = ("connect",)
    violations: ClassVar[tuple[str, ...]] = ("holds_and_cuts", "cross_fades", "flashes")

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge how the change is spread over the generated frames, whether they are mixtures, and what they show."""
        p = TwoPlacesParams.of(case)
        ids = [helpers.find_object(tracks, o.colour, o.shape, 0.1, ()) for o in (p.first, p.second)]
        generated = generated_frames(case, len(video), video.fps)
        if generated[0] or generated[-1]:
            raise UnjudgeableError("no clips are given to go over from and to")
        if generated.sum() < 3:
            raise UnjudgeableError(f"{generated.sum()} frames are between the given ones, at least 3 are needed")
        before, after = np.flatnonzero(generated)[[0, -1]] + [-1, 1]
        frames = video.frames[before : after + 1]
        steps = changes(frames)
        try:
            evenly = spread(changes_between(frames))
        except ValueError as reason:
            raise UnjudgeableError("both clips show the same picture") from reason
        shares = np.array([mixture(f, frames[0], frames[-1]) for f in frames[1:-1]])
        # A frame that is nearly one of the two is no mixture: counted as none.
        mixed = float(np.nan_to_num(shares).mean())
        # A fade that takes a part of the way is none between the two ends.
        locally = ghosts(video.frames, generated, max(1, round(generated.sum() / 4)))
        width = float(np.median([helpers.width(tracks, i, tracks.visible[i]) for i in ids]))
        seam = float(max(steps[0], steps[-1]) / max(steps.mean(), 1e-6))
        parts = {
            "gradual": helpers.ramp_score(-evenly, -0.42, -0.28),
            "explained": helpers.ramp_score(_sudden(tracks, ids[0], ids[1]), 0.0, 1.5),
            "seamless": helpers.ramp_score(seam, 1.8, 3.5),
            "no_fade": min(helpers.ramp_score(mixed, 0.6, 0.85), unfaded(locally)),
            "alone": alone(tracks, (p.first.colour, p.second.colour), 0.3 * width**2, generated),
        }
        return Verdict(helpers.product(parts), {**parts, "spread": evenly, "seam": seam, "mixture": mixed})


def _sudden(tracks: Tracks, first: int, second: int) -> int:
    """Return how often an object of two comes or goes at once in plain sight: the first one at its end, the second at its beginning.

    Over a border, or in less than half of its usual size, it does not; nor where one turns into the other at the same place.
    """
    gone, come = int(np.flatnonzero(tracks.visible[first])[-1]), int(np.flatnonzero(tracks.visible[second])[0])
    ends = [(i, k, way) for i, k, way in ((first, gone, -1), (second, come, 1)) if 0 < k < tracks.frames - 1]
    at_once = [
        i for i, k, way in ends if not borders(tracks, i, k, way) and tracks.area[i, k] >= 0.5 * _usual(tracks, i)
    ]
    apart = float(np.linalg.norm(tracks.xy[first, gone] - tracks.xy[second, come]))
    if len(at_once) == 2 and 0 < come - gone <= 2 and apart < 0.5 * np.sqrt(_usual(tracks, first)):
        return 0
    return len(at_once)


def _usual(tracks: Tracks, i: int) -> float:
    return float(np.median(tracks.area[i, tracks.visible[i]]))
