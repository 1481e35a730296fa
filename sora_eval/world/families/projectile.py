"""The scene family "projectile"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Colour, Params, Side, Texture
from sora_eval.world.scene import Body, Scene

_START_M = 2.0


@dataclass(frozen=True)
class ProjectileParams(Params):
    """Parameters of `Projectile`."""

    ball: Colour
    """Colour of the ball."""
    to: Side
    """Direction of the throw."""
    diameter_m: float
    """Diameter of the ball in metres."""
    across: float
    """Horizontal speed of the throw in m/s."""
    up: float
    """Vertical speed of the throw in m/s."""
    texture: Texture
    """The pattern of the ball."""


class Projectile(Family[ProjectileParams]):
    """A ball is thrown and flies in an arc from one side to the other."""

    name = "projectile"
    camera = common.LEVEL

    def sample(self, rng: np.random.Generator) -> ProjectileParams:
        return ProjectileParams(
            ball=common.sample_colours(rng, 1)[0],
            to=common.choose(rng, SIDES),
            diameter_m=common.choose(rng, (1.3, 1.5, 1.7)),
            across=round(float(rng.uniform(3.4, 4.0)), 2),
            up=round(float(rng.uniform(8.0, 9.2)), 2),
            texture=common.choose(rng, common.TEXTURES),
            style=common.sample_style(rng),
        )

    def build(self, p: ProjectileParams, duration_s: float) -> Scene:
        """Return the scene; `across` and `up` are the speeds of the throw in m/s."""
        way = SIGN[p.to]
        hero = Body(
            "ball",
            "ball",
            (p.diameter_m,) * 3,
            p.ball,
            (-way * 4.1, 0.0, _START_M),
            texture=p.texture,
            motion="free",
            velocity=(way * p.across, 0.0, p.up),
            # It turns as it flies, as thrown objects do.
            spin=(0.0, way * 2.5, 0.0),
            restitution=0.5,
        )
        fall = _START_M - p.diameter_m / 2
        landing_s = (p.up + float(np.sqrt(p.up**2 + 2 * 9.81 * fall))) / 9.81
        facts = {"hero": "ball", "stops": (("ball", 0.55 * landing_s),), "way": way}
        return common.set_up(p.style, (hero,), common.level_view(duration_s), duration_s, facts=facts)

    def phrases(self, p: ProjectileParams) -> list[str]:
        ball, wide = common.article(f"{p.ball} ball"), common.metres(p.diameter_m)
        to, start = p.to, OPPOSITE[p.to]
        return [
            f"{ball} {wide} wide is thrown and flies through the air in a high arc from {start} to {to}, in real time",
            f"in real time, {ball} {wide} across flies in an arc from the {start} to the {to}",
            f"thrown upwards on the {start}, {ball} {wide} wide sails through the air"
            f" and comes down on the {to}, at its natural speed",
        ]

    def details(self, p: ProjectileParams) -> str:
        return f"The ball is {p.texture}. {common.style_words(p.style)} {common.LEVEL}"
