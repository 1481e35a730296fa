"""The scene family "brush"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.base import StateChange
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Colour, Params, Side
from sora_eval.world.scene import Body, Event, Scene, Shape, Vec3

Width = Literal["broad", "medium"]
WIDTHS_M: dict[Width, float] = {"broad": 0.46, "medium": 0.36}
CANVAS: Vec3 = (3.3, 0.1, 2.15)
_HALF_M = 1.12
_FROM, _TO, _LIFT, _UP = 0.10, 0.68, 0.72, 0.90
"""Shares of the duration: the stroke begins, ends, the brush begins to lift, has lifted."""
_LEAN = 14.0


@dataclass(frozen=True)
class BrushParams(Params):
    """Parameters of `Brush`."""

    handle: Colour
    """Colour of the brush's handle."""
    paint: Colour
    """Colour of the stroke."""
    to: Side
    """Direction of the stroke."""
    width: Width
    """Width of the stroke, a key of `WIDTHS_M`."""
    height: float
    """Height of the stroke over the canvas's lower edge, in metres."""


class Brush(StateChange[BrushParams]):
    """A brush paints a stroke across a white canvas, from one side to the other, and lifts off."""

    name = "brush"

    def sample(self, rng: np.random.Generator) -> BrushParams:
        handle, paint = common.sample_colours(rng, 2)
        return BrushParams(
            handle=handle,
            paint=paint,
            to=common.choose(rng, SIDES),
            width=common.choose(rng, tuple(WIDTHS_M)),
            height=round(float(rng.uniform(0.75, 1.0)), 3),
            style=common.sample_style(rng),
        )

    def build(self, p: BrushParams, duration_s: float) -> Scene:
        """Return the scene; the stroke takes three fifths of the clip's duration."""
        way = SIGN[p.to]
        wide, z = WIDTHS_M[p.width], p.height
        front = -CANVAS[1] / 2
        from_s, to_s, lift_s, up_s = (u * duration_s for u in (_FROM, _TO, _LIFT, _UP))
        middle = 0.35 + CANVAS[2] / 2
        grown = ((from_s, 0.001, 1.0, 1.0), (to_s, 1.0, 1.0, 1.0))
        run = ((from_s, -way * _HALF_M, front, z), (to_s, 0.0, front, z))
        bodies = [
            Body(
                "frame",
                "box",
                (CANVAS[0] + 0.16, 0.1, CANVAS[2] + 0.16),
                "dark grey",
                (0.0, 0.04, middle),
                tracked=False,
            ),
            Body("canvas", "box", CANVAS, "white", (0.0, 0.0, middle), tracked=False),
            Body(
                "stroke",
                "box",
                (2 * _HALF_M, 0.03, wide),
                p.paint,
                run[0][1:],
                motion="path",
                path=run,
                growth=grown,
                shown=(from_s, 1e9),
                solid=False,
            ),
        ]
        # The brush leans back from its way; its parts sit along its axis, measured from where it touches the canvas.
        lean = np.radians(_LEAN)
        axis = (-way * np.sin(lean), np.cos(lean))
        keys = ((from_s, -1.0, 0.0), (to_s, 1.0, 0.0), (lift_s, 1.0, 0.0), (up_s, 1.0, 0.55))

        def part(name: str, shape: Shape, size: Vec3, colour: str, along: float, *, tracked: bool = True) -> Body:
            path = tuple(
                (t, way * _HALF_M * x + along * axis[0], front - 0.15, z + up + along * axis[1]) for t, x, up in keys
            )
            return Body(
                name,
                shape,
                size,
                colour,
                path[0][1:],
                roll=-way * _LEAN,
                motion="path",
                path=path,
                solid=False,
                tracked=tracked,
            )

        bodies += [
            part("tip", "box", (0.26, 0.12, wide), p.paint, wide * 0.12),
            part("ferrule", "box", (0.30, 0.14, 0.12), "grey", wide * 0.62 + 0.06, tracked=False),
            part("handle", "capsule", (0.28, 0.28, 1.1), p.handle, wide * 0.62 + 0.12 + 0.5),
        ]
        facts = {
            "hero": "stroke",
            "change": {"cause_s": from_s, "effect": ["stroke"], "lead_s": to_s - from_s, "done_s": lift_s},
            "ground": "canvas",
        }
        events = (Event("stroke", ("brush", "stroke"), from_s),)
        camera = common.front_view(duration_s, distance=5.0, height=1.5, look=(0.0, 0.0, 1.35))
        return common.set_up(p.style, bodies, camera, duration_s, facts=facts, events=events)

    def states(self, p: BrushParams) -> tuple[str, str]:
        return "An empty white canvas.", common.sentence(f"{common.article(p.paint)} stroke on a white canvas")

    def phrases(self, p: BrushParams) -> list[str]:
        to = p.to
        start = OPPOSITE[to]
        brush, stroke = f"brush with {common.article(p.handle)} handle", f"{p.paint} stroke"
        return [
            f"a {brush} paints {common.article(stroke)} from {start} to {to} across a white canvas and then lifts off",
            f"on a white canvas a {brush} paints {common.article(stroke)} from the {start} to the {to}; the stroke"
            " follows the brush and stays",
            f"a {brush} moves from {start} to {to} over a white canvas and leaves {common.article(stroke)} of paint"
            " behind it, then it is lifted",
        ]

    def details(self, p: BrushParams) -> str:
        return (
            f"The stroke is straight, level and {p.width}; the brush leans back a little, its handle upwards."
            f" {common.style_words(p.style)} The camera is close and does not move."
        )
