"""The scene family "two_drops"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Colour, Params, Side, Texture
from sora_eval.world.scene import Body, Scene


@dataclass(frozen=True)
class TwoDropsParams(Params):
    """Parameters of `TwoDrops`."""

    high: Colour
    """Colour of the upper ball."""
    low: Colour
    """Colour of the lower ball."""
    side: Side
    """Where the lower ball is."""
    diameter_m: float
    """Diameter of both balls in metres."""
    high_m: float
    """Height of the upper ball's lowest point over the floor at the start, in metres."""
    low_m: float
    """The same of the lower ball."""
    restitution: float
    """Restitution of the bounces, 0 to 1."""
    texture: Texture
    """The pattern of both balls."""


class TwoDrops(Family[TwoDropsParams]):
    """Two balls are released together from different heights."""

    name = "two_drops"
    camera = common.LEVEL

    def sample(self, rng: np.random.Generator) -> TwoDropsParams:
        high, low = common.sample_colours(rng, 2)
        return TwoDropsParams(
            high=high,
            low=low,
            side=common.choose(rng, SIDES),
            diameter_m=common.choose(rng, (1.3, 1.5, 1.7)),
            high_m=common.choose(rng, (5.0, 5.5, 6.0)),
            low_m=common.choose(rng, (2.0, 2.5, 3.0)),
            restitution=common.choose(rng, (0.55, 0.65, 0.75)),
            texture=common.choose(rng, common.TEXTURES),
            style=common.sample_style(rng),
        )

    def build(self, p: TwoDropsParams, duration_s: float) -> Scene:
        """Return the scene; heights are from the floor to a ball's lowest point at the start."""
        way = SIGN[p.side]

        def ball(name: str, colour: str, x: float, height: float) -> Body:
            place = (x, 0.0, height + p.diameter_m / 2)
            return Body(
                name,
                "ball",
                (p.diameter_m,) * 3,
                colour,
                place,
                texture=p.texture,
                motion="free",
                restitution=p.restitution,
            )

        bodies = (ball("high", p.high, -way * 2.2, p.high_m), ball("low", p.low, way * 2.2, p.low_m))
        facts = {
            "hero": ("high", "low"),
            "stops": (("high", 0.6 * float(np.sqrt(2 * p.high_m / 9.81))),),
            "bounces": (("high", "floor", p.restitution), ("low", "floor", p.restitution)),
        }
        return common.set_up(p.style, bodies, common.level_view(duration_s), duration_s, facts=facts)

    def phrases(self, p: TwoDropsParams) -> list[str]:
        high, low = common.article(f"{p.high} ball"), common.article(f"{p.low} ball")
        side, other = p.side, OPPOSITE[p.side]
        up, down = common.metres(p.high_m), common.metres(p.low_m)
        return [
            f"{high} {up} up on the {other} and {low} {down} up on the {side} are dropped at the same moment;"
            " both fall and bounce",
            f"two balls of the same size are let go together: on the {other} {high} from {up}, on the {side} {low} from"
            f" {down}; they fall and bounce",
            f"at the same instant {high} falls from {up} on the {other} and {low} falls from {down} on the {side},"
            " and both bounce off the floor",
        ]

    def details(self, p: TwoDropsParams) -> str:
        return (
            f"Both balls are {p.texture} and {common.metres(p.diameter_m)} wide."
            f" {common.style_words(p.style)} {common.LEVEL}"
        )
