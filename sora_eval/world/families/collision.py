"""A long block glides without friction into a short one at rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.common import Params
from sora_eval.world.scene import Body, Scene

_TIMES = {2: "twice", 3: "three times"}
# Blocks of one height meet face to face, so that no part of the push goes into the floor.
_DEPTH_M, _HEIGHT_M, _WAY_M = 0.9, 1.5, 9.7
_TOUCH_S, _SEEN_S = 0.85, 2.0


def sample(rng: np.random.Generator) -> Params:
    """Return a random member; `ratio` is that of the lengths, and of the masses."""
    heavy, light = common.sample_colours(rng, 2)
    return {
        "heavy": heavy,
        "light": light,
        "to": str(rng.choice(["left", "right"])),
        "ratio": int(rng.choice([2, 3])),
        "restitution": float(rng.choice([0.5, 0.65, 0.8])),
        "texture": str(rng.choice(common.TEXTURES)),
        "style": common.sample_style(rng),
    }


def mirrored(params: Mapping[str, Any]) -> Params:
    """Return the same scene with left and right exchanged."""
    return {**params, "to": common.OPPOSITE[params["to"]], "style": common.mirrored_style(params["style"])}


def build(
    duration_s: float,
    *,
    heavy: str,
    light: str,
    to: str,
    ratio: int,
    restitution: float,
    texture: str,
    style: Mapping[str, Any],
) -> Scene:
    """Return the scene; the speed is such that all that happens in two seconds stays in the picture."""
    way = 1.0 if to == "right" else -1.0
    short = 1.5 if ratio == 2 else 1.2
    long = ratio * short
    struck = (1 + restitution) * ratio / (ratio + 1)
    speed = (_WAY_M - long - short) / (_TOUCH_S + (_SEEN_S - _TOUCH_S) * struck)
    rear = -_WAY_M / 2
    gap = speed * _TOUCH_S

    def block(name: str, colour: str, length: float, x: float, **more: Any) -> Body:
        return Body(
            name,
            "box",
            (length, _DEPTH_M, _HEIGHT_M),
            colour,
            (way * x, 0.0, _HEIGHT_M / 2),
            texture=texture,
            motion="free",
            friction=0.0,
            restitution=restitution,
            mass=length,
            **more,
        )

    bodies = (
        block("heavy", heavy, long, rear + long / 2, velocity=(way * speed, 0.0, 0.0)),
        block("light", light, short, rear + long + gap + short / 2),
    )
    facts = {"hero": ("heavy", "light"), "pair": ("heavy", "light"), "late": (way * short, 0.0, 0.0)}
    return common.set_up(style, bodies, common.level_view(duration_s, height=3.0), duration_s, facts=facts)


def caption(params: Mapping[str, Any], rng: np.random.Generator, long: bool = False) -> str:
    """Return words for the scene."""
    heavy, light = f"{params['heavy']} block", f"{params['light']} block"
    to, times = params["to"], _TIMES[params["ratio"]]
    start = common.OPPOSITE[to]
    short = [
        f"a long {heavy} glides from {start} to {to} over a perfectly smooth floor and hits a short {light} at rest;"
        f" the long block is {times} as heavy and both keep gliding",
        f"{common.article(light)} stands still; {common.article(heavy)}, {times} as long and {times} as heavy, slides"
        f" towards the {to} without friction and knocks it away",
        f"on a perfectly smooth floor, {common.article(heavy)} {times} as long and as heavy as the {light} slides to the {to}"
        f" and bumps into it; the {light} was at rest",
    ]
    words = common.sentence(short[int(rng.integers(len(short)))])
    if long:
        words += (
            f" Both blocks are {params['texture']}, of the same height and the same material."
            f" {common.style_words(params['style'])} The camera looks from the side, level, and does not move."
        )
    return words


def setting(params: Mapping[str, Any]) -> str:
    """Return what a prompt adds to the short caption: floor, backdrop and a level camera that stands still."""
    return common.setting(params["style"], common.LEVEL)
