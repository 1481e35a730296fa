"""Clips that can be played again and again."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from sora_eval.metrics.transitions.steps import changes
from sora_eval.probes import helpers
from sora_eval.probes.base import Draft, UnjudgeableError, Verdict
from sora_eval.probes.editing.shared import (
    Editing,
    alone,
    even,
    generated_frames,
    ghosts,
    reach_of,
    same_object,
    there,
    unfaded,
)
from sora_eval.types import Case, Mode, Tracks, Video
from sora_eval.world.families.to_and_fro import ToAndFroParams


class EndlessLoop(Editing):
    """A clip that goes on from given frames until its first frame can follow its last."""

    name = "endless_loop"
    scenes = "to_and_fro"
    claim = "a clip that is to be played again and again ends where it begins, in place and motion, without a cut or a cross-fade"
    modes: ClassVar[tuple[Mode, ...]] = ("loop",)
    violations: ClassVar[tuple[str, ...]] = (
        "stays_open", "fades_back", "holds_and_cuts", "cross_fades", "flashes", "turns_into_another",
    )  # fmt: skip

    def of_frames(self, draft: Draft, frames: int, fps: float) -> Draft:
        """Return a draft whose object is back where it began one frame after the last."""
        assert isinstance(draft.params, ToAndFroParams)
        return replace(draft, params=replace(draft.params, period_s=round(frames / fps, 6)))

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge presence, steps and cross-fades of the generated frames, and whether the end leads to the beginning."""
        p = ToAndFroParams.of(case)
        hero = helpers.find_object(tracks, p.hero.colour, p.hero.shape, 0.2, ())
        seen = tracks.visible[hero]
        # A clip at half the rate may have lost one of the frames at its ends.
        if not (seen[:2].all() and seen[-2:].all()):
            raise UnjudgeableError(f"the {p.hero.noun} is not seen where the clip begins and ends")
        generated = generated_frames(case, len(video), video.fps)
        width = helpers.width(tracks, hero, seen)
        at = np.flatnonzero(seen)
        x = np.interp(np.arange(len(video)), at, tracks.xy[hero, at, 0])
        given = np.flatnonzero(~generated)
        step = float(np.abs(np.diff(x[given])).max()) if len(given) > 1 else float(np.abs(np.diff(x)).mean())
        # After as much time as between two frames of the case: at another rate the clip ends earlier or later.
        gap = max(case.frames / case.fps * video.fps - (len(video) - 1), 0.5)
        off = abs(x[-1] + gap * (x[-1] - x[-2]) - x[0]) / max(step, 0.5 * width)
        jump = float(np.abs(np.diff(np.append(x, x[0]))).max()) / max(step, 0.1 * width)
        smooth, ratio = even(video.frames, float(changes(video.frames[: max(2, len(given))]).max()), cyclic=True)
        faded = ghosts(
            video.frames, generated, reach_of(width, float(np.abs(np.diff(x)).mean()), len(video)), cyclic=True
        )
        parts = {
            "there": there(tracks, hero, generated),
            "alone": alone(tracks, (p.hero.colour,), 0.3 * width**2, generated),
            **same_object(tracks, hero, generated, p.hero.noun),
            "closes": helpers.ramp_score(off, 0.6, 1.8),
            "steady": helpers.ramp_score(jump, 1.8, 3.5),
            "seamless": smooth,
            "no_fade": unfaded(faded),
        }
        return Verdict(helpers.product(parts), {**parts, "end_off": off, "worst_step": ratio, "mixture": faded})
