"""Two balls are released together from different heights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.common import Params
from sora_eval.world.scene import Body, Scene


def sample(rng: np.random.Generator) -> Params:
    """Return a random member; `side` is where the lower ball is."""
    high, low = common.sample_colours(rng, 2)
    return {
        "high": high,
        "low": low,
        "side": str(rng.choice(["left", "right"])),
        "diameter_m": float(rng.choice([1.3, 1.5, 1.7])),
        "high_m": float(rng.choice([5.0, 5.5, 6.0])),
        "low_m": float(rng.choice([2.0, 2.5, 3.0])),
        "restitution": float(rng.choice([0.55, 0.65, 0.75])),
        "texture": str(rng.choice(common.TEXTURES)),
        "style": common.sample_style(rng),
    }


def mirrored(params: Mapping[str, Any]) -> Params:
    """Return the same scene with left and right exchanged."""
    return {**params, "side": common.OPPOSITE[params["side"]], "style": common.mirrored_style(params["style"])}


def build(
    duration_s: float,
    *,
    high: str,
    low: str,
    side: str,
    diameter_m: float,
    high_m: float,
    low_m: float,
    restitution: float,
    texture: str,
    style: Mapping[str, Any],
) -> Scene:
    """Return the scene; heights are from the floor to a ball's lowest point at the start."""
    way = 1.0 if side == "right" else -1.0

    def ball(name: str, colour: str, x: float, height: float) -> Body:
        place = (x, 0.0, height + diameter_m / 2)
        return Body(
            name, "ball", (diameter_m,) * 3, colour, place, texture=texture, motion="free", restitution=restitution
        )

    bodies = (ball("high", high, -way * 2.2, high_m), ball("low", low, way * 2.2, low_m))
    facts = {
        "hero": ("high", "low"),
        "stops": (("high", 0.6 * float(np.sqrt(2 * high_m / 9.81))),),
        "bounces": (("high", "floor", restitution), ("low", "floor", restitution)),
    }
    return common.set_up(style, bodies, common.level_view(duration_s), duration_s, facts=facts)


def caption(params: Mapping[str, Any], rng: np.random.Generator, long: bool = False) -> str:
    """Return words for the scene."""
    high, low = common.article(f"{params['high']} ball"), common.article(f"{params['low']} ball")
    side, other = params["side"], common.OPPOSITE[params["side"]]
    up, down = common.metres(params["high_m"]), common.metres(params["low_m"])
    short = [
        f"{high} {up} up on the {other} and {low} {down} up on the {side} are dropped at the same moment;"
        " both fall and bounce",
        f"two balls of the same size are let go together: on the {other} {high} from {up}, on the {side} {low} from"
        f" {down}; they fall and bounce",
        f"at the same instant {high} falls from {up} on the {other} and {low} falls from {down} on the {side},"
        " and both bounce off the floor",
    ]
    words = common.sentence(short[int(rng.integers(len(short)))])
    if long:
        words += (
            f" Both balls are {params['texture']} and {common.metres(params['diameter_m'])} wide."
            f" {common.style_words(params['style'])} The camera looks from the side, level, and does not move."
        )
    return words


def setting(params: Mapping[str, Any]) -> str:
    """Return what a prompt adds to the short caption: floor, backdrop and a level camera that stands still."""
    return common.setting(params["style"], common.LEVEL)
