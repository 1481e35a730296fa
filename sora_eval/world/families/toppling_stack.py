"""The scene family "toppling_stack"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.draws import DrawParams, draw_number, numbers_of
from sora_eval.world.families.params import EXCHANGED, SIGN, Colour
from sora_eval.world.scene import Body, Scene, Vec3

Lean = Annotated[Literal["left", "none", "right"], EXCHANGED]
LEANS: tuple[Lean, ...] = ("left", "none", "right")
WIDTH_M = 1.1
_HEIGHT_M = 1.3
_OVER = 0.36
"""How far each block of a leaning stack stands over the one below, as a share of its width: from 1/3 on three of them can't stand."""
_PUSH = (1.25, 1.6)
"""Angular velocity in rad/s that topples an upright stack; the least that does is about 1."""
_NUDGE = 0.3
"""The same for a leaning stack, to either side: it falls the way it leans."""


@dataclass(frozen=True)
class TopplingStackParams(DrawParams):
    """Parameters of `TopplingStack`."""

    colours: tuple[Colour, Colour, Colour]
    """Colours of the blocks from the bottom to the top."""
    lean: Lean
    """Side to which the stack leans: each block stands over the one below by a third of its width."""

    @property
    def push(self) -> float:
        """Angular velocity of the stack at the start in rad/s, positive to the right."""
        rng = numbers_of(self.draw)
        side, size = rng.uniform(-1.0, 1.0), rng.uniform(*_PUSH)
        push = float(np.sign(side) * size) if self.lean == "none" else float(_NUDGE * side)
        return -push if self.flipped else push


class TopplingStack(Family[TopplingStackParams]):
    """A stack of three blocks topples: an upright one to either side, a leaning one to the side to which it leans."""

    name = "toppling_stack"
    camera = common.LEVEL
    in_training = False

    def sample(self, rng: np.random.Generator) -> TopplingStackParams:
        bottom, middle, top = common.sample_colours(rng, 3)
        return TopplingStackParams(
            colours=(bottom, middle, top),
            lean=common.choose(rng, ("left", "none", "none", "right")),
            draw=draw_number(rng),
            style=common.sample_style(rng),
        )

    def build(self, p: TopplingStackParams, duration_s: float) -> Scene:
        over = 0.0 if p.lean == "none" else SIGN[p.lean] * _OVER * WIDTH_M
        push = p.push
        # It turns about the lower edge on the side to which it is pushed.
        pivot = -over + float(np.sign(push)) * WIDTH_M / 2
        blocks = []
        for k, colour in enumerate(p.colours):
            x, z = (k - 1) * over, (k + 0.5) * _HEIGHT_M
            moved: Vec3 = (push * z, 0.0, -push * (x - pivot))
            blocks.append(
                Body(
                    ("bottom", "middle", "top")[k],
                    "box",
                    (WIDTH_M, WIDTH_M, _HEIGHT_M),
                    colour,
                    (x, 0.0, z),
                    motion="free",
                    velocity=moved,
                    spin=(0.0, push, 0.0),
                    friction=0.9,
                )
            )
        names = tuple(b.name for b in blocks)
        facts = {"falling": names, "divide": -over, "ridge": ""}
        view = common.front_view(duration_s, 14.5, 3.4, (0.0, 0.0, 3.4), 40.0)
        return common.set_up(p.style, blocks, view, duration_s, facts=facts)

    def phrases(self, p: TopplingStackParams) -> list[str]:
        bottom, middle, top = p.colours
        stack = f"{common.article(bottom)} block at the bottom, {common.article(middle)} one on it and {common.article(top)} one on top"
        if p.lean == "none":
            return [
                f"a stack of three blocks, {stack}, stands upright and then topples over, to the left or to the right",
                f"an upright stack of three blocks, {stack}, is about to fall to either side; it topples onto the floor",
                f"three blocks stand on each other, {stack}; the upright stack loses its balance and topples to one side, left or right",
            ]
        return [
            f"a stack of three blocks, {stack}, leans so far to the {p.lean} that it can't stand, and topples over",
            f"three blocks stand on each other, {stack}, each shifted to the {p.lean} over the one below; the stack topples onto the floor",
            f"a stack leaning to the {p.lean}, of {stack}, topples over",
        ]

    def details(self, p: TopplingStackParams) -> str:
        return f"The blocks are {common.metres(WIDTH_M)} wide. {common.style_words(p.style)} {common.LEVEL}"
