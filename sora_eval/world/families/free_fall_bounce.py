"""A ball is dropped from a known height beside a block, falls and bounces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.common import Params
from sora_eval.world.scene import Body, Scene


def sample(rng: np.random.Generator) -> Params:
    """Return a random member; `side` is where the ball is, seen from the block."""
    ball, block = common.sample_colours(rng, 2)
    return {
        "ball": ball,
        "block": block,
        "side": str(rng.choice(["left", "right"])),
        "diameter_m": float(rng.choice([1.4, 1.6, 1.8])),
        "height_m": float(rng.choice([5.0, 5.5, 6.0])),
        "restitution": float(rng.choice([0.55, 0.65, 0.75, 0.8])),
        "texture": str(rng.choice(common.TEXTURES)),
        "style": common.sample_style(rng),
    }


def mirrored(params: Mapping[str, Any]) -> Params:
    """Return the same scene with left and right exchanged."""
    return {**params, "side": common.OPPOSITE[params["side"]], "style": common.mirrored_style(params["style"])}


def build(
    duration_s: float,
    *,
    ball: str,
    block: str,
    side: str,
    diameter_m: float,
    height_m: float,
    restitution: float,
    texture: str,
    style: Mapping[str, Any],
) -> Scene:
    """Return the scene; `height_m` is from the floor to the ball's lowest point at the start."""
    way = 1.0 if side == "right" else -1.0
    start = (way * 1.5, 0.0, height_m + diameter_m / 2)
    hero = Body("ball", "ball", (diameter_m,) * 3, ball, start, texture=texture, motion="free", restitution=restitution)
    stand = common.standing("block", "cube", 1.6, block, -way * 2.2, 0.0)
    fall_s = float(np.sqrt(2 * height_m / 9.81))
    facts = {
        "hero": "ball",
        "stops": (("ball", 0.6 * fall_s),),
        "bounces": (("ball", "floor", restitution),),
    }
    return common.set_up(style, (hero, stand), common.level_view(duration_s), duration_s, facts=facts)


def caption(params: Mapping[str, Any], rng: np.random.Generator, long: bool = False) -> str:
    """Return words for the scene."""
    ball, block = common.article(f"{params['ball']} rubber ball"), common.article(f"{params['block']} cube")
    side, other = params["side"], common.OPPOSITE[params["side"]]
    wide, height = common.metres(params["diameter_m"]), common.metres(params["height_m"])
    short = [
        f"{ball} {wide} wide is dropped from a height of {height} to the {side} of {block} and bounces, in real time",
        f"in real time, {ball} {wide} across falls {height} to the floor and bounces; {block} stands on its {other}",
        f"{block} stands still; to its {side}, {ball} {wide} wide is let go {height} above the floor,"
        " falls and bounces at its natural speed",
    ]
    words = common.sentence(short[int(rng.integers(len(short)))])
    if long:
        words += (
            f" The ball is {params['texture']}, the cube is 1.6 metres wide. {common.style_words(params['style'])}"
            " The camera looks from the side, level, and does not move."
        )
    return words


def setting(params: Mapping[str, Any]) -> str:
    """Return what a prompt adds to the short caption: floor, backdrop and a level camera that stands still."""
    return common.setting(params["style"], common.LEVEL)
