"""A ball is thrown and flies in an arc from one side to the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.common import Params
from sora_eval.world.scene import Body, Scene

_START_M = 2.0


def sample(rng: np.random.Generator) -> Params:
    """Return a random member."""
    return {
        "ball": common.sample_colours(rng, 1)[0],
        "to": str(rng.choice(["left", "right"])),
        "diameter_m": float(rng.choice([1.3, 1.5, 1.7])),
        "across": round(float(rng.uniform(3.4, 4.0)), 2),
        "up": round(float(rng.uniform(8.0, 9.2)), 2),
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
    to: str,
    diameter_m: float,
    across: float,
    up: float,
    texture: str,
    style: Mapping[str, Any],
) -> Scene:
    """Return the scene; `across` and `up` are the speeds of the throw in m/s."""
    way = 1.0 if to == "right" else -1.0
    hero = Body(
        "ball",
        "ball",
        (diameter_m,) * 3,
        ball,
        (-way * 4.1, 0.0, _START_M),
        texture=texture,
        motion="free",
        velocity=(way * across, 0.0, up),
        # It turns as it flies, as thrown things do.
        spin=(0.0, way * 2.5, 0.0),
        restitution=0.5,
    )
    fall = _START_M - diameter_m / 2
    landing_s = (up + float(np.sqrt(up**2 + 2 * 9.81 * fall))) / 9.81
    facts = {"hero": "ball", "stops": (("ball", 0.55 * landing_s),), "way": way}
    return common.set_up(style, (hero,), common.level_view(duration_s), duration_s, facts=facts)


def caption(params: Mapping[str, Any], rng: np.random.Generator, long: bool = False) -> str:
    """Return words for the scene."""
    ball, wide = common.article(f"{params['ball']} ball"), common.metres(params["diameter_m"])
    to, start = params["to"], common.OPPOSITE[params["to"]]
    short = [
        f"{ball} {wide} wide is thrown and flies through the air in a high arc from {start} to {to}, in real time",
        f"in real time, {ball} {wide} across flies in an arc from the {start} to the {to}",
        f"thrown upwards on the {start}, {ball} {wide} wide sails through the air"
        f" and comes down on the {to}, at its natural speed",
    ]
    words = common.sentence(short[int(rng.integers(len(short)))])
    if long:
        words += (
            f" The ball is {params['texture']}. {common.style_words(params['style'])}"
            " The camera looks from the side, level, and does not move."
        )
    return words


def setting(params: Mapping[str, Any]) -> str:
    """Return what a prompt adds to the short caption: floor, backdrop and a level camera that stands still."""
    return common.setting(params["style"], common.LEVEL)
