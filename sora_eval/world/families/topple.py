"""The scene family "topple"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Colour, Params, Side, Texture
from sora_eval.world.scene import Body, Scene

_WIDTH_M, _DEPTH_M = 1.1, 1.2
_SPEED = 4.6


@dataclass(frozen=True)
class ToppleParams(Params):
    """Parameters of `Topple`."""

    ball: Colour
    """Colour of the ball."""
    block: Colour
    """Colour of the block."""
    to: Side
    """Direction of the throw."""
    diameter_m: float
    """Diameter of the ball in metres."""
    height_m: float
    """Height of the block in metres."""
    texture: Texture
    """The pattern of the ball."""


class Topple(Family[ToppleParams]):
    """A thrown ball hits a tall block, which tips over and comes to lie on the floor."""

    name = "topple"
    camera = common.LEVEL

    def sample(self, rng: np.random.Generator) -> ToppleParams:
        ball, block = common.sample_colours(rng, 2)
        return ToppleParams(
            ball=ball,
            block=block,
            to=common.choose(rng, SIDES),
            diameter_m=common.choose(rng, (1.3, 1.5)),
            height_m=common.choose(rng, (3.6, 4.0, 4.4)),
            texture=common.choose(rng, common.TEXTURES),
            style=common.sample_style(rng),
        )

    def build(self, p: ToppleParams, duration_s: float) -> Scene:
        """Return the scene; the ball hits the upper part, at the height from which it was thrown."""
        way = SIGN[p.to]
        hit, start, stand = 0.72 * p.height_m, -4.4, -0.5
        touch_s = (stand - _WIDTH_M / 2 - p.diameter_m / 2 - start) / _SPEED
        hero = Body(
            "ball",
            "ball",
            (p.diameter_m,) * 3,
            p.ball,
            (way * start, 0.0, hit),
            texture=p.texture,
            motion="free",
            velocity=(way * _SPEED, 0.0, 9.81 * touch_s / 2),
            mass=1.6,
            friction=0.6,
            restitution=0.35,
        )
        tower = Body(
            "block",
            "box",
            (_WIDTH_M, _DEPTH_M, p.height_m),
            p.block,
            (way * stand, 0.0, p.height_m / 2),
            motion="free",
            mass=2.0,
            friction=1.0,
        )
        facts = {
            "hero": ("ball", "block"),
            "pair": ("ball", "block"),
            "late": (way * (_WIDTH_M + p.diameter_m), 0.0, 0.0),
            "stops": (("block", touch_s + 0.45),),
            "way": way,
        }
        return common.set_up(p.style, (hero, tower), common.level_view(duration_s, height=3.4), duration_s, facts=facts)

    def phrases(self, p: ToppleParams) -> list[str]:
        ball, block = common.article(f"{p.ball} ball"), f"tall {p.block} block"
        to, start = p.to, OPPOSITE[p.to]
        return [
            f"{ball} flies in from the {start} and hits a {block} high up;"
            f" the block tips over to the {to} and lies flat on the floor",
            f"a {block} stands upright; {ball} thrown from the {start} strikes it"
            f" and it topples over to the {to} onto the floor",
            f"{ball} is thrown from {start} to {to} against a {block}; the block falls over to the {to}"
            " and stays lying on the floor",
        ]

    def details(self, p: ToppleParams) -> str:
        return (
            f"The block is {common.metres(p.height_m)} tall, the ball is {p.texture} and"
            f" {common.metres(p.diameter_m)} wide. {common.style_words(p.style)}"
            f" {common.LEVEL}"
        )
