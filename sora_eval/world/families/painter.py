"""The scene family "painter"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sora_eval.world.families import common, staged
from sora_eval.world.families.base import StateChange
from sora_eval.world.families.brush import CANVAS, WIDTHS_M, Width
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Colour, Params, Side
from sora_eval.world.scene import Body, Event, Scene, Shape, Vec3

STROKES = 3
_APART_M = 0.98
_BEGIN, _EACH, _LAST = 0.20, 0.20, 0.14
"""Shares of the duration: the first stroke begins, from one beginning to the next, how long a stroke takes."""
_GONE = 0.86
_LOW, _HIGH = 0.8, 1.95
"""Where strokes begin and end, in metres over the floor."""
_AWAY = 3.6


@dataclass(frozen=True)
class PainterParams(Params):
    """Parameters of `Painter`."""

    handle: Colour
    """Colour of the brush's handle."""
    paint: Colour
    """Colour of the strokes."""
    block: Colour
    """Colour of the block that has no part in it."""
    to: Side
    """Direction from the first stroke to the last."""
    width: Width
    """Width of the strokes."""


class Painter(StateChange[PainterParams]):
    """A brush paints three upright strokes side by side on a canvas, one after the other, and lifts off."""

    name = "painter"
    in_training = False

    def sample(self, rng: np.random.Generator) -> PainterParams:
        handle, paint, block = staged.spaced_colours(rng, 3)
        return PainterParams(
            handle=handle,
            paint=paint,
            block=block,
            to=common.choose(rng, SIDES),
            width=common.choose(rng, tuple(WIDTHS_M)),
            style=common.sample_style(rng),
        )

    def build(self, p: PainterParams, duration_s: float) -> Scene:
        """Return the scene; the strokes take half of the clip's duration."""
        way, wide, front = SIGN[p.to], WIDTHS_M[p.width], -CANVAS[1] / 2
        places = [way * _APART_M * (k - (STROKES - 1) / 2) for k in range(STROKES)]
        begins = [_BEGIN + _EACH * k for k in range(STROKES)]
        middle = 0.35 + CANVAS[2] / 2
        border = (CANVAS[0] + 0.16, 0.1, CANVAS[2] + 0.16)
        bodies = [
            Body("frame", "box", border, "dark grey", (0.0, 0.04, middle), tracked=False),
            Body("canvas", "box", CANVAS, "white", (0.0, 0.0, middle), tracked=False),
        ]
        # Where the tip is: down from above to the first stroke, up each, quickly down to the next, and away upwards.
        tip = [(0.02, places[0], _AWAY)]
        for k, (x, u) in enumerate(zip(places, begins, strict=True)):
            tip += [(u, x, _LOW), (u + _LAST, x, _HIGH)]
            rise = ((u * duration_s, x, front, _LOW), ((u + _LAST) * duration_s, x, front, (_LOW + _HIGH) / 2))
            grown = ((rise[0][0], 1.0, 1.0, 0.001), (rise[1][0], 1.0, 1.0, 1.0))
            size = (wide, 0.03, _HIGH - _LOW)
            bodies.append(
                Body(
                    f"stroke{k}", "box", size, p.paint, rise[0][1:], motion="path", path=rise, growth=grown,
                    shown=(rise[0][0], 1e9), solid=False,
                )
            )  # fmt: skip
        tip.append((_GONE, places[-1], _AWAY))

        def part(name: str, shape: Shape, size: Vec3, colour: str, above: float, *, tracked: bool = True) -> Body:
            path = tuple((u * duration_s, x, front - 0.15, z + above) for u, x, z in tip)
            return Body(name, shape, size, colour, path[0][1:], motion="path", path=path, solid=False, tracked=tracked)

        bodies += [
            part("tip", "box", (wide * 0.8, 0.12, 0.2), p.paint, 0.0),
            part("ferrule", "box", (0.30, 0.14, 0.12), "grey", 0.16, tracked=False),
            part("handle", "capsule", (0.28, 0.28, 1.1), p.handle, 0.7),
            staged.bystander(p.block, OPPOSITE[p.to], x=1.15, y=-0.7),
        ]
        strokes = [f"stroke{k}" for k in range(STROKES)]
        begin_s, done_s = begins[0] * duration_s, (begins[-1] + _LAST + 0.02) * duration_s
        facts = {
            "hero": strokes,
            "bystander": staged.BYSTANDER,
            "change": staged.change(strokes, begin_s, done_s, 2 * _EACH * duration_s),
        }
        events = tuple(Event("stroke", ("brush", s), u * duration_s) for s, u in zip(strokes, begins, strict=True))
        camera = common.front_view(duration_s, distance=5.0, height=1.5, look=(0.0, 0.0, 1.35))
        return common.set_up(p.style, bodies, camera, duration_s, facts=facts, events=events)

    def states(self, p: PainterParams) -> tuple[str, str]:
        return "An empty white canvas.", common.sentence(f"three {p.paint} strokes side by side on a white canvas")

    def phrases(self, p: PainterParams) -> list[str]:
        to, start = p.to, OPPOSITE[p.to]
        brush = f"brush with {common.article(p.handle)} handle"
        block = staged.beside(p.block, start)
        return [
            f"a {brush} paints three upright {p.paint} strokes side by side on a white canvas, the first on the {start}"
            f" and the last on the {to}, each from bottom to top, and then lifts off; in front of it {block}",
            f"on a white canvas a {brush} paints one upright {p.paint} stroke after the other, three in all, from {start}"
            f" to {to}; every stroke is drawn upwards and stays; {block} in front",
            f"{block} in front of a white canvas; stroke by stroke, from the {start} to the {to}, a {brush} leaves three"
            f" upright {p.paint} bars of paint on it, each from bottom to top, then it is lifted",
        ]

    def details(self, p: PainterParams) -> str:
        return f"The strokes are straight and {p.width}. {common.style_words(p.style)} The camera is close and does not move."
