"""A thrown ball hits a tall block, which tips over and comes to lie on the floor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.common import Params
from sora_eval.world.scene import Body, Scene

_WIDTH_M, _DEPTH_M = 1.1, 1.2
_SPEED = 4.6


def sample(rng: np.random.Generator) -> Params:
    """Return a random member."""
    ball, block = common.sample_colours(rng, 2)
    return {
        "ball": ball,
        "block": block,
        "to": str(rng.choice(["left", "right"])),
        "diameter_m": float(rng.choice([1.3, 1.5])),
        "height_m": float(rng.choice([3.6, 4.0, 4.4])),
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
    block: str,
    to: str,
    diameter_m: float,
    height_m: float,
    texture: str,
    style: Mapping[str, Any],
) -> Scene:
    """Return the scene; the ball hits the upper part, at the height from which it was thrown."""
    way = 1.0 if to == "right" else -1.0
    hit, start, stand = 0.72 * height_m, -4.4, -0.5
    touch_s = (stand - _WIDTH_M / 2 - diameter_m / 2 - start) / _SPEED
    hero = Body(
        "ball",
        "ball",
        (diameter_m,) * 3,
        ball,
        (way * start, 0.0, hit),
        texture=texture,
        motion="free",
        velocity=(way * _SPEED, 0.0, 9.81 * touch_s / 2),
        mass=1.6,
        friction=0.6,
        restitution=0.35,
    )
    tower = Body(
        "block",
        "box",
        (_WIDTH_M, _DEPTH_M, height_m),
        block,
        (way * stand, 0.0, height_m / 2),
        motion="free",
        mass=2.0,
        friction=1.0,
    )
    facts = {
        "hero": ("ball", "block"),
        "pair": ("ball", "block"),
        "late": (way * (_WIDTH_M + diameter_m), 0.0, 0.0),
        "stops": (("block", touch_s + 0.45),),
        "way": way,
    }
    return common.set_up(style, (hero, tower), common.level_view(duration_s, height=3.4), duration_s, facts=facts)


def caption(params: Mapping[str, Any], rng: np.random.Generator, long: bool = False) -> str:
    """Return words for the scene."""
    ball, block = common.article(f"{params['ball']} ball"), f"tall {params['block']} block"
    to, start = params["to"], common.OPPOSITE[params["to"]]
    short = [
        f"{ball} flies in from the {start} and hits a {block} high up;"
        f" the block tips over to the {to} and lies flat on the floor",
        f"a {block} stands upright; {ball} thrown from the {start} strikes it"
        f" and it topples over to the {to} onto the floor",
        f"{ball} is thrown from {start} to {to} against a {block}; the block falls over to the {to}"
        " and stays lying on the floor",
    ]
    words = common.sentence(short[int(rng.integers(len(short)))])
    if long:
        words += (
            f" The block is {common.metres(params['height_m'])} tall, the ball is {params['texture']} and"
            f" {common.metres(params['diameter_m'])} wide. {common.style_words(params['style'])}"
            " The camera looks from the side, level, and does not move."
        )
    return words


def setting(params: Mapping[str, Any]) -> str:
    """Return what a prompt adds to the short caption: floor, backdrop and a level camera that stands still."""
    return common.setting(params["style"], common.LEVEL)
