"""The scene family "collision"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Colour, Params, Side, Texture
from sora_eval.world.scene import Body, Scene

_TIMES = {2: "twice", 3: "three times"}
# Blocks of one height meet face to face, so that no part of the push goes into the floor.
_DEPTH_M, _HEIGHT_M, _WAY_M = 0.9, 1.5, 9.7
_TOUCH_S, _SEEN_S = 0.85, 2.0


@dataclass(frozen=True)
class CollisionParams(Params):
    """Parameters of `Collision`."""

    heavy: Colour
    """Colour of the long block, which moves."""
    light: Colour
    """Colour of the short block, at rest."""
    to: Side
    """Direction of the long block."""
    ratio: Literal[2, 3]
    """Ratio of the lengths, and of the masses."""
    restitution: float
    """Restitution of their contact, 0 to 1."""
    texture: Texture
    """The pattern of both blocks."""


class Collision(Family[CollisionParams]):
    """A long block glides without friction into a short one at rest."""

    name = "collision"
    camera = common.LEVEL

    def sample(self, rng: np.random.Generator) -> CollisionParams:
        heavy, light = common.sample_colours(rng, 2)
        return CollisionParams(
            heavy=heavy,
            light=light,
            to=common.choose(rng, SIDES),
            ratio=common.choose(rng, (2, 3)),
            restitution=common.choose(rng, (0.5, 0.65, 0.8)),
            texture=common.choose(rng, common.TEXTURES),
            style=common.sample_style(rng),
        )

    def build(self, p: CollisionParams, duration_s: float) -> Scene:
        """Return the scene; the speed is such that all that happens in two seconds stays in the picture."""
        way = SIGN[p.to]
        short = 1.5 if p.ratio == 2 else 1.2
        long = p.ratio * short
        struck = (1 + p.restitution) * p.ratio / (p.ratio + 1)
        speed = (_WAY_M - long - short) / (_TOUCH_S + (_SEEN_S - _TOUCH_S) * struck)
        rear = -_WAY_M / 2
        gap = speed * _TOUCH_S

        def block(name: str, colour: str, length: float, x: float, **more: Any) -> Body:
            return Body(
                name,
                "box",
                (length, _DEPTH_M, _HEIGHT_M),
                colour,
                (way * x, 0.0, _HEIGHT_M / 2),
                texture=p.texture,
                motion="free",
                friction=0.0,
                restitution=p.restitution,
                mass=length,
                **more,
            )

        bodies = (
            block("heavy", p.heavy, long, rear + long / 2, velocity=(way * speed, 0.0, 0.0)),
            block("light", p.light, short, rear + long + gap + short / 2),
        )
        facts = {"hero": ("heavy", "light"), "pair": ("heavy", "light"), "late": (way * short, 0.0, 0.0)}
        return common.set_up(p.style, bodies, common.level_view(duration_s, height=3.0), duration_s, facts=facts)

    def phrases(self, p: CollisionParams) -> list[str]:
        heavy, light = f"{p.heavy} block", f"{p.light} block"
        to, times = p.to, _TIMES[p.ratio]
        start = OPPOSITE[to]
        return [
            f"a long {heavy} glides from {start} to {to} over a perfectly smooth floor and hits a short {light} at rest;"
            f" the long block is {times} as heavy and both keep gliding",
            f"{common.article(light)} stands still; {common.article(heavy)}, {times} as long and {times} as heavy, slides"
            f" towards the {to} without friction and knocks it away",
            f"on a perfectly smooth floor, {common.article(heavy)} {times} as long and as heavy as the {light} slides to the {to}"
            f" and bumps into it; the {light} was at rest",
        ]

    def details(self, p: CollisionParams) -> str:
        return (
            f"Both blocks are {p.texture}, of the same height and the same material."
            f" {common.style_words(p.style)} {common.LEVEL}"
        )
