"""The scene family "free_fall_bounce"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Colour, Params, Side, Texture
from sora_eval.world.scene import Body, Scene


@dataclass(frozen=True)
class FreeFallBounceParams(Params):
    """Parameters of `FreeFallBounce`."""

    ball: Colour
    """Colour of the ball."""
    block: Colour
    """Colour of the block."""
    side: Side
    """Where the ball is, seen from the block."""
    diameter_m: float
    """Diameter of the ball in metres."""
    height_m: float
    """Height of the ball's lowest point over the floor at the start, in metres."""
    restitution: float
    """Restitution of the bounce, 0 to 1."""
    texture: Texture
    """The pattern of the ball."""


class FreeFallBounce(Family[FreeFallBounceParams]):
    """A ball is dropped from a known height beside a block, falls and bounces."""

    name = "free_fall_bounce"
    camera = common.LEVEL

    def sample(self, rng: np.random.Generator) -> FreeFallBounceParams:
        ball, block = common.sample_colours(rng, 2)
        return FreeFallBounceParams(
            ball=ball,
            block=block,
            side=common.choose(rng, SIDES),
            diameter_m=common.choose(rng, (1.4, 1.6, 1.8)),
            height_m=common.choose(rng, (5.0, 5.5, 6.0)),
            restitution=common.choose(rng, (0.55, 0.65, 0.75, 0.8)),
            texture=common.choose(rng, common.TEXTURES),
            style=common.sample_style(rng),
        )

    def build(self, p: FreeFallBounceParams, duration_s: float) -> Scene:
        """Return the scene; `height_m` is from the floor to the ball's lowest point at the start."""
        way = SIGN[p.side]
        start = (way * 1.5, 0.0, p.height_m + p.diameter_m / 2)
        hero = Body(
            "ball",
            "ball",
            (p.diameter_m,) * 3,
            p.ball,
            start,
            texture=p.texture,
            motion="free",
            restitution=p.restitution,
        )
        stand = common.standing("block", "cube", 1.6, p.block, -way * 2.2, 0.0)
        fall_s = float(np.sqrt(2 * p.height_m / 9.81))
        facts = {
            "hero": "ball",
            "stops": (("ball", 0.6 * fall_s),),
            "bounces": (("ball", "floor", p.restitution),),
        }
        return common.set_up(p.style, (hero, stand), common.level_view(duration_s), duration_s, facts=facts)

    def phrases(self, p: FreeFallBounceParams) -> list[str]:
        ball, block = common.article(f"{p.ball} rubber ball"), common.article(f"{p.block} cube")
        side, other = p.side, OPPOSITE[p.side]
        wide, height = common.metres(p.diameter_m), common.metres(p.height_m)
        return [
            f"{ball} {wide} wide is dropped from a height of {height} to the {side} of {block} and bounces, in real time",
            f"in real time, {ball} {wide} across falls {height} to the floor and bounces; {block} stands on its {other}",
            f"{block} stands still; to its {side}, {ball} {wide} wide is let go {height} above the floor,"
            " falls and bounces at its natural speed",
        ]

    def details(self, p: FreeFallBounceParams) -> str:
        return f"The ball is {p.texture}, the cube is 1.6 metres wide. {common.style_words(p.style)} {common.LEVEL}"
