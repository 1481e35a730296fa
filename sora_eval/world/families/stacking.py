"""The scene family "stacking"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sora_eval.world.families import common, staged
from sora_eval.world.families.base import StateChange
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Colour, Params, Side
from sora_eval.world.scene import Body, Event, Scene

BROUGHT = 2
CUBE_M = 0.62
_BEGIN = (0.06, 0.44)
_OVER, _DOWN, _LIFTED, _OUT = 0.22, 0.26, 0.29, 0.37
"""Shares of the duration after a cube sets out: it is over the others, it stands, the clamp is off it, the clamp is out of the frame."""
_OFF_M, _AWAY_M = 2.3, 4.4
"""Metres to the side that are out of sight in a square frame, and at which bodies wait: out of sight in frames up to 1.8 times as wide as
high."""
_THERE = 0.005
"""Share of the duration for the way from one to the other: a clamp that came evenly from farther off would be over the cubes in no
frame at 4 per second."""
_CLAMP = (0.56, 0.5, 0.3)


@dataclass(frozen=True)
class StackingParams(Params):
    """Parameters of `Stacking`."""

    cubes: Colour
    """Colour of the cubes."""
    clamp: Colour
    """Colour of the clamp that brings them."""
    block: Colour
    """Colour of the block that has no part in it."""
    side: Side
    """Where the clamp comes from."""
    place: float
    """How far from the middle the cubes are stacked, away from that side, in metres."""


class Stacking(StateChange[StackingParams]):
    """A clamp brings two cubes one after the other and stacks them on a third, which stands on the floor."""

    name = "stacking"
    in_training = False

    def sample(self, rng: np.random.Generator) -> StackingParams:
        cubes, clamp, block = staged.spaced_colours(rng, 3)
        return StackingParams(
            cubes=cubes,
            clamp=clamp,
            block=block,
            side=common.choose(rng, SIDES),
            place=round(float(rng.uniform(0.0, 0.2)), 2),
            style=common.sample_style(rng),
        )

    def build(self, p: StackingParams, duration_s: float) -> Scene:
        """Return the scene; each cube's way takes a third of the clip's duration."""
        way = SIGN[p.side]
        x = -way * p.place
        bodies = [Body("cube0", "cube", (CUBE_M,) * 3, p.cubes, (x, 0.0, CUBE_M / 2))]
        grip = []
        for k, begin in enumerate(_BEGIN, start=1):
            z = CUBE_M * (k + 0.5)
            ways = [
                (-_THERE, way * _AWAY_M, z + 0.15),
                (0.0, way * _OFF_M, z + 0.15),
                (_OVER, x, z + 0.15),
                (_DOWN, x, z),
            ]
            path = tuple(((begin + u) * duration_s, cx, 0.0, cz) for u, cx, cz in ways)
            bodies.append(Body(f"cube{k}", "cube", (CUBE_M,) * 3, p.cubes, path[0][1:], motion="path", path=path))
            above = (CUBE_M + _CLAMP[2]) / 2
            ways += [(_LIFTED, x, z + 0.1), (_OUT, way * _OFF_M, z + 0.1), (_OUT + _THERE, way * _AWAY_M, z + 0.1)]
            grip += [((begin + u) * duration_s, cx, 0.0, cz + above) for u, cx, cz in ways]
        arm = tuple((t, cx, cy, cz + 1.5 + _CLAMP[2] / 2) for t, cx, cy, cz in grip)
        bodies += [
            Body("clamp", "box", _CLAMP, p.clamp, grip[0][1:], motion="path", path=tuple(grip), solid=False),
            Body(
                "arm", "box", (0.1, 0.1, 3.0), "dark grey", arm[0][1:], motion="path", path=arm, solid=False,
                tracked=False,
            ),
            staged.bystander(p.block, OPPOSITE[p.side], x=1.35, y=0.3),
        ]  # fmt: skip
        cubes = [f"cube{k}" for k in range(1, BROUGHT + 1)]
        stands = [(begin + _DOWN) * duration_s for begin in _BEGIN]
        facts = {
            "hero": cubes,
            "bystander": staged.BYSTANDER,
            "change": staged.change(cubes, (_BEGIN[0] + 0.02) * duration_s, 0.74 * duration_s, 0.3 * duration_s),
        }
        events = tuple(Event("stacked", ("clamp", c), t) for c, t in zip(cubes, stands, strict=True))
        camera = common.front_view(duration_s, distance=5.0, height=1.5, look=(0.0, 0.0, 1.15))
        return common.set_up(p.style, bodies, camera, duration_s, facts=facts, events=events)

    def states(self, p: StackingParams) -> tuple[str, str]:
        return (
            common.sentence(f"{common.article(p.cubes)} cube stands on the floor"),
            common.sentence(f"three {p.cubes} cubes are stacked on one another"),
        )

    def phrases(self, p: StackingParams) -> list[str]:
        side, cube, clamp = p.side, f"{p.cubes} cube", f"{p.clamp} clamp"
        block = staged.beside(p.block, OPPOSITE[side])
        return [
            f"{common.article(cube)} stands on the floor; {common.article(clamp)} brings two more {p.cubes} cubes from the"
            f" {side}, one after the other, stacks them on it and leaves to the {side} each time; {block}",
            f"from the {side} {common.article(clamp)} carries in {common.article(cube)} and sets it on top of another"
            f" {cube}, goes back to the {side}, and does so once more, so that a tower of three stands there; {block}",
            f"{block}; beside it {common.article(clamp)} that comes from the {side} twice and goes back there stacks two"
            f" {p.cubes} cubes on a third one, one by one",
        ]

    def details(self, p: StackingParams) -> str:
        return f"The cubes are of one size. {common.style_words(p.style)} The camera is close and does not move."
