"""A ball rolls down a ramp."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from manifold3d import Manifold

from sora_eval.world import shapes
from sora_eval.world.families import common
from sora_eval.world.families.common import Params
from sora_eval.world.scene import Body, Scene

_LENGTH_M, _DEPTH_M = 9.2, 2.0


def sample(rng: np.random.Generator) -> Params:
    """Return a random member."""
    ball, ramp = common.sample_colours(rng, 2)
    return {
        "ball": ball,
        "ramp": ramp,
        "to": str(rng.choice(["left", "right"])),
        "diameter_m": float(rng.choice([1.4, 1.6, 1.8])),
        "angle": int(rng.choice([18, 20, 22, 24])),
        "texture": str(rng.choice(common.TEXTURES)),
        "style": common.sample_style(rng),
    }


def mirrored(params: Mapping[str, Any]) -> Params:
    """Return the same scene with left and right exchanged."""
    return {**params, "to": common.OPPOSITE[params["to"]], "style": common.mirrored_style(params["style"])}


def build(
    duration_s: float,
    *,
    ball: str,
    ramp: str,
    to: str,
    diameter_m: float,
    angle: int,
    texture: str,
    style: Mapping[str, Any],
) -> Scene:
    """Return the scene; the ball starts at rest near the upper end and stays on the ramp for two seconds."""
    way = 1.0 if to == "right" else -1.0
    slope = float(np.radians(angle))
    rise = _LENGTH_M * float(np.tan(slope))
    half = _LENGTH_M / 2
    corners = [
        (way * x, y, z) for x, z in ((-half, 0.0), (half, 0.0), (-half, rise)) for y in (-_DEPTH_M / 2, _DEPTH_M / 2)
    ]
    wedge = shapes.to_mesh(Manifold.hull_points(np.array(corners, dtype=np.float32)))
    body = Body("ramp", "mesh", (_LENGTH_M, _DEPTH_M, rise), ramp, (0.0, 0.0, 0.0), mesh=wedge)
    normal = np.array([way * np.sin(slope), 0.0, np.cos(slope)])
    down = np.array([way * np.cos(slope), 0.0, -np.sin(slope)])
    start = np.array([-way * half, 0.0, rise]) + 0.55 * diameter_m * down + 0.5 * diameter_m * normal
    hero = Body(
        "ball",
        "ball",
        (diameter_m,) * 3,
        ball,
        (float(start[0]), 0.0, float(start[2])),
        texture=texture,
        motion="free",
        mass=5.0,
        friction=0.8,
    )
    facts = {
        "hero": "ball",
        "stops": (("ball", 0.8),),
        "pair": ("ball", "ramp"),
        # A ball that the ramp stops too late is sunk into it by up to its own diameter.
        "late": tuple(float(v) for v in -diameter_m * normal),
    }
    return common.set_up(style, (hero, body), common.level_view(duration_s, height=4.4), duration_s, facts=facts)


def caption(params: Mapping[str, Any], rng: np.random.Generator, long: bool = False) -> str:
    """Return words for the scene."""
    ball, ramp = common.article(f"{params['ball']} ball"), common.article(f"{params['ramp']} ramp")
    to, start = params["to"], common.OPPOSITE[params["to"]]
    wide, angle = common.metres(params["diameter_m"]), f"{params['angle']} degrees"
    short = [
        f"{ball} {wide} wide rolls down {ramp} from {start} to {to}, faster and faster, in real time",
        f"in real time, {ball} {wide} across starts at rest at the top of {ramp}"
        f" that slopes down to the {to} at {angle} and rolls down",
        f"{ramp} falls from the {start} to the {to} at {angle}; {ball} {wide} wide is let go at its top"
        " and rolls down at its natural speed",
    ]
    words = common.sentence(short[int(rng.integers(len(short)))])
    if long:
        words += (
            f" The ball is {params['texture']} and solid, the ramp slopes at {angle}."
            f" {common.style_words(params['style'])}"
            " The camera looks from the side, level, and does not move."
        )
    return words


def setting(params: Mapping[str, Any]) -> str:
    """Return what a prompt adds to the short caption: floor, backdrop and a level camera that stands still."""
    return common.setting(params["style"], common.LEVEL)
