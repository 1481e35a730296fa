"""The scene family "ramp"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from manifold3d import Manifold

from sora_eval.world import shapes
from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Colour, Params, Side, Texture
from sora_eval.world.scene import Body, Scene

_LENGTH_M, _DEPTH_M = 9.2, 2.0


@dataclass(frozen=True)
class RampParams(Params):
    """Parameters of `Ramp`."""

    ball: Colour
    """Colour of the ball."""
    ramp: Colour
    """Colour of the ramp."""
    to: Side
    """The side to which the ramp slopes down."""
    diameter_m: float
    """Diameter of the ball in metres."""
    angle: int
    """Slope of the ramp in degrees."""
    texture: Texture
    """The pattern of the ball."""


class Ramp(Family[RampParams]):
    """A ball rolls down a ramp."""

    name = "ramp"
    camera = common.LEVEL

    def sample(self, rng: np.random.Generator) -> RampParams:
        ball, ramp = common.sample_colours(rng, 2)
        return RampParams(
            ball=ball,
            ramp=ramp,
            to=common.choose(rng, SIDES),
            diameter_m=common.choose(rng, (1.4, 1.6, 1.8)),
            angle=common.choose(rng, (18, 20, 22, 24)),
            texture=common.choose(rng, common.TEXTURES),
            style=common.sample_style(rng),
        )

    def build(self, p: RampParams, duration_s: float) -> Scene:
        """Return the scene; the ball starts at rest near the upper end and stays on the ramp for two seconds."""
        way = SIGN[p.to]
        slope = float(np.radians(p.angle))
        rise = _LENGTH_M * float(np.tan(slope))
        half = _LENGTH_M / 2
        corners = [
            (way * x, y, z)
            for x, z in ((-half, 0.0), (half, 0.0), (-half, rise))
            for y in (-_DEPTH_M / 2, _DEPTH_M / 2)
        ]
        wedge = shapes.to_mesh(Manifold.hull_points(np.array(corners, dtype=np.float32)))
        body = Body("ramp", "mesh", (_LENGTH_M, _DEPTH_M, rise), p.ramp, (0.0, 0.0, 0.0), mesh=wedge)
        normal = np.array([way * np.sin(slope), 0.0, np.cos(slope)])
        down = np.array([way * np.cos(slope), 0.0, -np.sin(slope)])
        start = np.array([-way * half, 0.0, rise]) + 0.55 * p.diameter_m * down + 0.5 * p.diameter_m * normal
        hero = Body(
            "ball",
            "ball",
            (p.diameter_m,) * 3,
            p.ball,
            (float(start[0]), 0.0, float(start[2])),
            texture=p.texture,
            motion="free",
            mass=5.0,
            friction=0.8,
        )
        facts = {
            "hero": "ball",
            "stops": (("ball", 0.8),),
            "pair": ("ball", "ramp"),
            # A ball that the ramp stops too late is sunk into it by up to its own diameter.
            "late": tuple(float(v) for v in -p.diameter_m * normal),
        }
        return common.set_up(p.style, (hero, body), common.level_view(duration_s, height=4.4), duration_s, facts=facts)

    def phrases(self, p: RampParams) -> list[str]:
        ball, ramp = common.article(f"{p.ball} ball"), common.article(f"{p.ramp} ramp")
        to, start = p.to, OPPOSITE[p.to]
        wide, angle = common.metres(p.diameter_m), f"{p.angle} degrees"
        return [
            f"{ball} {wide} wide rolls down {ramp} from {start} to {to}, faster and faster, in real time",
            f"in real time, {ball} {wide} across starts at rest at the top of {ramp}"
            f" that slopes down to the {to} at {angle} and rolls down",
            f"{ramp} falls from the {start} to the {to} at {angle}; {ball} {wide} wide is let go at its top"
            " and rolls down at its natural speed",
        ]

    def details(self, p: RampParams) -> str:
        return (
            f"The ball is {p.texture} and solid, the ramp slopes at {p.angle} degrees."
            f" {common.style_words(p.style)}"
            f" {common.LEVEL}"
        )
