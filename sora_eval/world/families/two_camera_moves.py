"""The scene family "two_camera_moves"."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.families import camera_move, common
from sora_eval.world.families.base import Family
from sora_eval.world.families.camera_move import DIRECTIONS, EXTENT, OPPOSITE, OTHER_MOVE, Speed
from sora_eval.world.families.params import EXCHANGED, OneOf, Params, Record
from sora_eval.world.families.room import Placed
from sora_eval.world.scene import CameraPath, Scene

SIDEWAYS, OTHERS = ("pan", "truck"), ("tilt", "crane", "dolly", "zoom")
"""One of each makes a pair, in either order: a mirror then changes every pair."""
SHARE: dict[Speed, float] = {"slowly": 0.4, "quickly": 0.7}
"""Shares of `camera_move.EXTENT` that half of a clip shows: less than a whole one, for both moves together must leave things in view."""
_WORDS: dict[str, str] = {
    "pan": "turns {speed} to the {to} on the spot",
    "truck": "slides {speed} sideways to the {to} without turning",
    "tilt": "tilts {speed} {to} on the spot",
    "crane": "moves {speed} straight {to} without tilting",
    "dolly": "travels {speed} straight {forward}",
    "zoom": "stays where it is and zooms {speed} {to}",
}


@dataclass(frozen=True)
class Step(Record):
    """One of the moves."""

    move: Annotated[str, OneOf((*SIDEWAYS, *OTHERS))]
    """A key of `camera_move.DIRECTIONS`."""
    to: Annotated[str, EXCHANGED]
    """Its direction."""

    @property
    def sign(self) -> float:
        """-1 for the negative direction, 1 for the positive one."""
        return -1.0 if self.to == DIRECTIONS[self.move][0] else 1.0

    def opposite(self) -> Step:
        """Return the opposite move."""
        return Step(self.move, OPPOSITE[self.to])

    def amount(self, speed: Speed) -> float:
        """Return what the camera does in half of the clip, signed, as in `camera_move.EXTENT`."""
        return self.sign * SHARE[speed] * EXTENT[self.move]


@dataclass(frozen=True)
class TwoCameraMovesParams(Params):
    """Parameters of `TwoCameraMoves`."""

    steps: tuple[Step, Step]
    """The moves of the first and of the second half of the clip."""
    speed: Speed
    """The speed of both."""
    things: tuple[Placed, ...]
    """The objects, in no order."""


class TwoCameraMoves(Family[TwoCameraMovesParams]):
    """Two camera moves in a row, one of them sideways, before three patterned objects at different distances."""

    name = "two_camera_moves"
    camera = ""
    in_training = False
    camera_is_given = True

    def sample(self, rng: np.random.Generator) -> TwoCameraMovesParams:
        moves = [common.choose(rng, SIDEWAYS), common.choose(rng, OTHERS)]
        steps = [Step(move, common.choose(rng, DIRECTIONS[move])) for move in moves]
        first = int(rng.integers(2))
        return TwoCameraMovesParams(
            steps=(steps[first], steps[1 - first]),
            speed=common.choose(rng, tuple(SHARE)),
            things=camera_move.sample_things(rng, common.sample_colours(rng, 3)),
            style=common.sample_style(rng),
        )

    def build(self, p: TwoCameraMovesParams, duration_s: float) -> Scene:
        bodies = camera_move.standing_things(p.things)
        view = path(p.steps, p.speed, duration_s)
        first, second = p.steps
        others = tuple(Step(OTHER_MOVE[s.move], DIRECTIONS[OTHER_MOVE[s.move]][s.sign > 0]) for s in p.steps)
        facts = {
            "hero": [body.name for body in bodies],
            "view": view,
            "opposite_view": path((first.opposite(), second.opposite()), p.speed, duration_s),
            "other_view": path((others[0], others[1]), p.speed, duration_s),
            "swapped_view": path((second, first), p.speed, duration_s),
        }
        return common.set_up(p.style, bodies, view, duration_s, facts=facts)

    def phrases(self, p: TwoCameraMovesParams) -> list[str]:
        things = camera_move.named_things(p.things)
        one, two = (
            _WORDS[s.move].format(speed=p.speed, to=s.to, forward="forward" if s.to == "in" else "backward")
            for s in p.steps
        )
        phrases = (
            f"first the camera {one}, then it {two}; {things} are in view",
            f"{things} stand still; in the first half of the clip the camera {one}, and in the second half it {two}",
        )
        return [common.sentence(w) for w in phrases]

    def details(self, p: TwoCameraMovesParams) -> str:
        return f"{camera_move.in_order(p.things)} {common.style_words(p.style)} Nothing but the camera moves."


def path(steps: tuple[Step, Step], speed: Speed, duration_s: float) -> CameraPath:
    """Return the camera's path: the first move in the first half of the clip, the second one from the view that it led to."""
    half = duration_s / 2
    a = camera_move.moved(steps[0].move, steps[0].amount(speed), half)
    eye, target = ((float(v[0]), float(v[1]), float(v[2])) for v in (a.eye[-1], a.target[-1]))
    b = camera_move.moved(steps[1].move, steps[1].amount(speed), half, eye, target, float(a.fov[-1]))
    return cameras.chained(a, replace(b, t_s=b.t_s + half))
