"""What the probes of the played world share: the motion of the view, and parts of a clip by the time of actions."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from sora_eval.probes.base import Probe, UnjudgeableError
from sora_eval.tracking.view.actions import followed, turned
from sora_eval.tracking.view.motion import ViewMotion, view_motion
from sora_eval.types import Bools, Video
from sora_eval.world.families.played import PlayedParams
from sora_eval.world.families.player import FOV, View

_FOCAL = 0.5 / np.tan(np.radians(FOV / 2))
TURNED = 0.5
"""Share of the asked turn that the view must be turned away by at least."""
_SWING: dict[View, float] = {"first": 1.0, "third": 0.55}
"""Shift of the picture by a turn, next to that of a camera that turns on the spot: one behind the player circles round it."""


def followed_motion(video: Video) -> ViewMotion:
    """Return the motion of the view.

    Raises:
        UnjudgeableError: the picture can't be followed.
    """
    motion = view_motion(video.frames)
    if followed(motion) < 0.5:
        raise UnjudgeableError("the picture can't be followed from frame to frame")
    return motion


def in_slots(frames: int, count: int, first: float, last: float) -> Bools:
    """Return the frames [T] of a clip between two moments in slots, of which it has `count`; the nearest one where none is."""
    at = np.arange(frames) / max(frames - 1, 1) * count
    inside = (at >= first - 1e-6) & (at <= last + 1e-6)
    if not inside.any():
        inside[int(np.abs(at - (first + last) / 2).argmin())] = True
    return np.asarray(inside)


class DigitalWorld(Probe):
    """What all probes of the played world share."""

    suite = "digital_world"
    scenes = "played"
    lengths_s: ClassVar[tuple[int, ...]] = (4,)

    def sample(self, rng: np.random.Generator) -> PlayedParams:
        """Return the parameters of a scene with a script of this probe."""
        raise NotImplementedError


def picture_shift(p: PlayedParams, turns: float) -> float:
    """Return how far so many turns shift the picture, as a share of the shorter side."""
    return float(_FOCAL * np.radians(p.turn_deg)) * turns * _SWING[p.view]


def turned_away(p: PlayedParams, motion: ViewMotion) -> float:
    """Check that the view turns to the side of the prompt and comes back, and return by how much it is off at the end, as a share.

    Raises:
        UnjudgeableError: it does not.
    """
    turns = [a for a in p.actions if a.startswith("turn")]
    sign = 1.0 if turns[0] == "turn right" else -1.0
    way = sign * turned(motion) / picture_shift(p, len(turns) / 2)
    if way.max() < TURNED:
        other = "it turned the other way" if way.min() < -TURNED else "it did not turn so far"
        raise UnjudgeableError(f"the view did not turn away to the {turns[0].removeprefix('turn ')}: {other}")
    return float(way[-1])
