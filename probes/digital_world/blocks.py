"""Blocks that are broken or put, and that stay so out of sight."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import cv2
import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.base import Draft, UnjudgeableError, Verdict
from sora_eval.probes.digital_world.shared import DigitalWorld, followed_motion, in_slots, turned_away
from sora_eval.types import MODES, Bools, Case, Floats, Frames, Mode, Tracks, Video
from sora_eval.world.families import common
from sora_eval.world.families.played import Played, PlayedParams
from sora_eval.world.families.player import OPPOSITE_ACTION, PlayAction

_AROUND = 0.15
"""Least share of the picture around a block by which the rest is compared."""
_BACK = 0.3
"""Share of the asked turn that may be left after the return."""
_THERE, _GONE = 0.012, 0.004
"""Share of the picture from which on a block is there, and up to which it is not; the nearest face of a true one has .1."""


def _share(tracks: Tracks, colour: str) -> Floats:
    """Return the share of the picture that has a colour, by frame [T]."""
    ids = tracks.of(colour)
    if not ids:
        return np.zeros(tracks.frames)
    shown = np.where(tracks.visible[ids], tracks.area[ids], 0.0).sum(axis=0)
    return np.asarray(np.nan_to_num(shown) / (tracks.size[0] * tracks.size[1]))


class _Blocks(DigitalWorld):
    """What the probes of blocks share: twins with the opposite action."""

    def draft(self, rng: np.random.Generator, flip: bool) -> Draft:
        """Return a random case; with `flip` its twin: mirrored, and breaking what the other one puts."""
        p = self.sample(rng)
        if flip:
            actions = tuple(OPPOSITE_ACTION[a] if a in ("break", "place") else a for a in p.actions)
            p = self.family.mirrored(replace(p, actions=actions))
        return Draft(self.family.name, p, self.family.caption(p, rng))


class BreaksAndPlaces(_Blocks):
    """A player breaks a block, or puts one."""

    name = "breaks_and_places"
    claim = "asked to break the block in front it goes, asked to put one there it comes, at its time"
    source = "as `follows_actions`; the block is found by its colour"
    violations: ClassVar[tuple[str, ...]] = ("action_ignored", "action_opposite", "action_delayed")
    blind_to: ClassVar[dict[str, str]] = {
        "mirrored": "breaking a block has no side, so a mirrored clip shows the same",
        "cut": "a block goes, or comes, from one frame to the next, and nothing else changes",
    }
    blind_modes: ClassVar[tuple[Mode, ...]] = MODES

    def sample(self, rng: np.random.Generator) -> PlayedParams:
        """Return a scene in first person in which a block is broken or put in the middle of the clip."""
        return Played().sample(rng, ("wait", common.choose(rng, ("break", "place")), "wait", "wait"), "first")

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge whether the block's colour goes or comes, and when."""
        p = PlayedParams.of(case)
        share = _share(tracks, p.block)
        count, broken = len(p.actions), "break" in p.actions
        before, after = (float(np.median(share[in_slots(len(share), count, a, b)])) for a, b in ((0, 0.9), (3, 4)))
        start, end = (before, after) if broken else (after, before)
        if broken and before < _THERE:
            raise UnjudgeableError(f"there was no {p.block} block to break")
        if not broken and before >= _THERE:
            raise UnjudgeableError(f"the {p.block} block was there before it was put")
        if start < _THERE:
            return Verdict(0.0, {"changed": 0.0})
        changed = helpers.ramp_score(end / start, 0.1, 0.5)
        if changed == 0:
            return Verdict(0.0, {"changed": 0.0})
        half = share > (start + end) / 2
        at = float(np.argmax(half != broken)) / max(len(share) - 1, 1) * count
        timing = helpers.ramp_score(abs(at - 1.5), 0.6, 1.4)
        part = np.clip((share - end) / (start - end), 0.0, 1.0)
        # Half way through, it takes moments: what fades over seconds is no block that is broken.
        between = float(((part > 0.15) & (part < 0.85)).sum()) / max(len(share) - 1, 1) * count
        sudden = helpers.ramp_score(between, 0.9, 1.8)
        rest = helpers.ramp_score(1 - _likeness_around(video.frames, tracks, p.block), 0.2, 0.5)
        parts = {"changed": changed, "timing": timing, "sudden": sudden, "rest": rest}
        return Verdict(helpers.product(parts), parts)


def _likeness_around(frames: Frames, tracks: Tracks, colour: str) -> float:
    """Return how alike the first and the last picture are, outside of the block where it is largest, and of its shadow."""
    ids = tracks.of(colour)
    k, i = max(
        ((int(np.argmax(np.nan_to_num(tracks.area[j]))), j) for j in ids),
        key=lambda at: float(tracks.area[at[1], at[0]]),
    )
    height, width = tracks.size
    x0, y0, x1, _ = tracks.box[i, k] * np.array([32 / width, 32 / height] * 2)
    wide = (x1 - x0) / 2
    outside = np.ones((32, 32), dtype=bool)
    # Shadows fall to either side.
    outside[max(0, int(y0) - 1) :, max(0, int(x0 - wide)) : int(np.ceil(x1 + wide)) + 1] = False
    if outside.sum() < _AROUND * outside.size:
        raise UnjudgeableError(f"the {colour} block fills the picture")
    a, b = (cv2.resize(frames[n], (32, 32), interpolation=cv2.INTER_AREA).astype(float)[outside] for n in (0, -1))
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    return float((a * b).sum() / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-9))


class BlocksStay(_Blocks):
    """A player breaks or puts a block, turns away and comes back."""

    name = "blocks_stay"
    claim = "a block that was broken stays broken, and one that was put stays, while the player looks elsewhere"
    source = "object permanence in played worlds, after WorldMem (Xiao et al. 2025) and Oasis (Decart 2024)"
    violations: ClassVar[tuple[str, ...]] = ("block_reverts", "block_moves")

    def sample(self, rng: np.random.Generator) -> PlayedParams:
        """Return a scene in first person: a block is broken or put, then two turns to one side and two back."""
        a: PlayAction = common.choose(rng, ("turn left", "turn right"))
        b = OPPOSITE_ACTION[a]
        return Played().sample(rng, (common.choose(rng, ("break", "place")), a, a, b, b), "first", 45.0)

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the block after the return, once it was changed and out of sight."""
        p = PlayedParams.of(case)
        share = _share(tracks, p.block)
        count, broken = len(p.actions), p.actions[0] == "break"
        first, changed = (in_slots(len(share), count, a, b) for a, b in ((0, 0.2), (0.85, 1.1)))
        before, then = float(np.max(share[first])), float(np.median(share[changed]))
        if broken and (before < _THERE or then > max(_GONE, 0.1 * before)):
            raise UnjudgeableError(
                f"the {p.block} block was not broken" if before >= _THERE else f"there was no {p.block} block"
            )
        if not broken and (before >= _THERE or then < _THERE):
            raise UnjudgeableError(f"no {p.block} block was put")
        off = turned_away(p, followed_motion(video))
        if share[in_slots(len(share), count, 2.9, 3.1)].min() > _GONE:
            raise UnjudgeableError(f"the {p.block} block did not go out of sight")
        if abs(off) > _BACK:
            raise UnjudgeableError("the view did not come back")
        back = in_slots(len(share), count, count - 0.15, count)
        now = float(np.median(share[back]))
        if broken:
            stays = helpers.ramp_score(now / before, 0.05, 0.4)
            return Verdict(stays, {"stays": stays})
        stays = helpers.ramp_score(1 - now / then, 0.25, 0.7)
        place = self._same_place(p.block, tracks, changed, back) if stays else 0.0
        return Verdict(stays * place, {"stays": stays, "place": place})

    def _same_place(self, colour: str, tracks: Tracks, one: Bools, two: Bools) -> float:
        """Return 1 where the block is in its old place in the picture, 0 from a quarter of the picture on."""
        ids = tracks.of(colour)
        at = []
        for frames in (one, two):
            k = int(np.flatnonzero(frames)[-1])
            area = np.where(tracks.visible[ids, k], np.nan_to_num(tracks.area[ids, k]), 0.0)
            at.append((np.nan_to_num(tracks.xy[ids, k]) * area[:, None]).sum(axis=0) / max(area.sum(), 1e-9))
        return helpers.ramp_score(float(np.linalg.norm(at[1] - at[0])) / min(tracks.size), 0.1, 0.28)
