"""The scene family "filling"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sora_eval.world.families import common, staged
from sora_eval.world.families.base import StateChange
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Colour, Params, Side
from sora_eval.world.scene import Body, Event, Scene

GLASS = (1.1, 0.6, 1.35)
"""Width, depth and height of the glass in metres; its front is open to view."""
_WALL = 0.08
_TILT_DEG = 62.0
_TILTED, _FLOWS, _STOPS, _BACK = 0.26, 0.30, 0.68, 0.76
"""Shares of the duration: the jug has tilted, the liquid flows, it stops, the jug is upright again."""
_JUG = (0.62, 0.62, 0.75)
_LIP_M = 2.12


@dataclass(frozen=True)
class FillingParams(Params):
    """Parameters of `Filling`."""

    liquid: Colour
    """Colour of the liquid."""
    jug: Colour
    """Colour of the jug."""
    block: Colour
    """Colour of the block that has no part in it."""
    side: Side
    """The side from which the jug pours."""
    level: float
    """How high the liquid stands in the end, in metres over the glass's bottom."""


class Filling(StateChange[FillingParams]):
    """A jug tilts and pours a liquid into an empty glass, whose level rises; the jug stops and the level stays."""

    name = "filling"
    in_training = False

    def sample(self, rng: np.random.Generator) -> FillingParams:
        liquid, jug, block = staged.spaced_colours(rng, 3)
        return FillingParams(
            liquid=liquid,
            jug=jug,
            block=block,
            side=common.choose(rng, SIDES),
            level=round(float(rng.uniform(0.75, 1.05)), 2),
            style=common.sample_style(rng),
        )

    def build(self, p: FillingParams, duration_s: float) -> Scene:
        """Return the scene; the jug pours for two fifths of the clip's duration."""
        way = SIGN[p.side]
        wide, deep, tall = GLASS
        flows_s, stops_s = _FLOWS * duration_s, _STOPS * duration_s
        inside = (wide - 2 * _WALL, deep - 2 * _WALL, p.level)
        rise = ((flows_s, 0.0, 0.0, _WALL), (stops_s, 0.0, 0.0, _WALL + p.level / 2))
        grown = ((flows_s, 1.0, 1.0, 0.001), (stops_s, 1.0, 1.0, 1.0))
        turns = tuple(
            (u * duration_s, 0.0, -way * angle)
            for u, angle in ((_TILTED - 0.14, 0.0), (_TILTED, _TILT_DEG), (_STOPS, _TILT_DEG), (_BACK, 0.0))
        )
        jug = (way * 0.62, 0.0, 2.2)
        bodies = [
            Body("bottom", "box", (wide, deep, _WALL), "white", (0.0, 0.0, _WALL / 2), tracked=False),
            Body("back", "box", (wide, 0.04, tall), "white", (0.0, deep / 2, tall / 2), tracked=False),
            *(
                Body(f"wall_{name}", "box", (_WALL, deep, tall), "white", (s * (wide - _WALL) / 2, 0.0, tall / 2), tracked=False)
                for name, s in (("near", way), ("far", -way))
            ),
            Body(
                "liquid", "box", inside, p.liquid, rise[0][1:], motion="path", path=rise, growth=grown,
                shown=(flows_s, 1e9), solid=False,
            ),
            Body(
                "stream", "box", (0.2, 0.16, _LIP_M - _WALL), p.liquid, (way * 0.2, 0.0, (_LIP_M + _WALL) / 2),
                shown=(flows_s, stops_s), solid=False, tracked=False,
            ),
            Body("jug", "cylinder", _JUG, p.jug, jug, motion="path", path=((0.0, *jug),), turns=turns, solid=False),
            staged.bystander(p.block, OPPOSITE[p.side], x=1.3, y=0.2),
        ]  # fmt: skip
        facts = {
            "hero": "liquid",
            "bystander": staged.BYSTANDER,
            "change": staged.change(["liquid"], flows_s, (_STOPS + 0.04) * duration_s, 0.35 * duration_s),
        }
        events = (Event("pour", ("jug", "liquid"), flows_s),)
        camera = common.front_view(duration_s, distance=5.0, height=1.7, look=(0.0, 0.0, 1.3))
        return common.set_up(p.style, bodies, camera, duration_s, facts=facts, events=events)

    def states(self, p: FillingParams) -> tuple[str, str]:
        return "An empty glass.", common.sentence(f"a glass filled with {p.liquid} liquid")

    def phrases(self, p: FillingParams) -> list[str]:
        side = p.side
        jug, liquid = f"{p.jug} jug", f"{p.liquid} liquid"
        block = staged.beside(p.block, OPPOSITE[side])
        return [
            f"{common.article(jug)} on the {side} tilts and pours {liquid} into an empty glass; the level rises while it"
            f" pours, then the jug turns upright again and the level stays; {block}",
            f"an empty glass is filled: {liquid} flows into it from {common.article(jug)} above on the {side}, its level"
            f" goes up until the jug stops pouring and stays there; {block}",
            f"{block}; {liquid} pours out of {common.article(jug)} on the {side} into an empty glass between the two,"
            " which fills up little by little and stays filled once the jug is upright again",
        ]

    def details(self, p: FillingParams) -> str:
        return f"The glass is wide and pale. {common.style_words(p.style)} The camera is close and does not move."
