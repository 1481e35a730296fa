"""An object moves behind a wall and comes out on the other side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.common import Params
from sora_eval.world.scene import Body, Scene


def sample(rng: np.random.Generator) -> Params:
    """Return a random member."""
    colour, wall = common.sample_colours(rng, 2)
    return {
        "shape": str(rng.choice(common.SHAPES)),
        "colour": colour,
        "wall": wall,
        "to": str(rng.choice(["left", "right"])),
        "size": str(rng.choice(["medium", "large"])),
        "texture": str(rng.choice(common.TEXTURES)),
        "style": common.sample_style(rng),
    }


def mirrored(params: Mapping[str, Any]) -> Params:
    """Return the same scene with left and right exchanged."""
    return {**params, "to": common.OPPOSITE[params["to"]], "style": common.mirrored_style(params["style"])}


def build(
    duration_s: float, *, shape: str, colour: str, wall: str, to: str, size: str, texture: str, style: Mapping[str, Any]
) -> Scene:
    """Return the scene; the way is walked once in the clip's duration."""
    way = 1.0 if to == "right" else -1.0
    width = common.SIZES[size]
    reach, depth = 3.1, 0.6
    hero = common.standing("hero", shape, width, colour, 0.0, depth, texture=texture)
    z = hero.pos[2]
    keys = ((0.0, -way * reach, depth, z), (duration_s, way * reach, depth, z))
    # Rolling is seen on a textured ball only; the others slide.
    turns = ((0.0, 0.0, 0.0), (duration_s, 0.0, way * float(np.degrees(4 * reach / width)))) if shape == "ball" else ()
    hero = replace(hero, motion="path", path=keys, turns=turns)
    # No wider than it takes to hide the object for an eighth of the clip: what is left of the way shows its motion.
    span = width + 0.8
    screen = Body("wall", "box", (span, 0.25, 2.1), wall, (0.0, -0.2, 1.05))
    # Hidden while its silhouette lies inside the wall's, seen from the eye; a little perspective is allowed for.
    speed = 2 * reach / duration_s
    half = (span / 2 * 1.07 - width / 2) / speed
    facts = {
        "hero": "hero",
        "cover": "wall",
        "hidden_s": (duration_s / 2 - half, duration_s / 2 + half),
        "elsewhere": (way * 1.6, 0.0, 0.0),
        "spare": (way * 1.4 * width, 0.0, 0.0),
        "stranger": (-way * 2.2, 0.6, 0.0),
    }
    view = common.front_view(duration_s, 11.0, look=(0.0, 0.0, 1.5))
    return common.set_up(style, (hero, screen), view, duration_s, facts=facts)


def caption(params: Mapping[str, Any], rng: np.random.Generator, long: bool = False) -> str:
    """Return words for the scene."""
    start = common.OPPOSITE[params["to"]]
    verb = "rolls steadily" if params["shape"] == "ball" else "slides steadily"
    hero, wall = common.article(f"{params['colour']} {params['shape']}"), common.article(f"{params['wall']} wall")
    short = [
        f"{hero} {verb} from {start} to {params['to']}, passes behind {wall} and comes out on the other side",
        f"{hero} {verb} from the {start} behind {wall} and reappears on the {params['to']}",
        f"{wall} stands in the middle; {hero} {verb} from {start} to {params['to']} behind it and comes out again",
    ]
    words = common.sentence(short[int(rng.integers(len(short)))])
    if long:
        words += f" The {params['shape']} is {params['size']} and {params['texture']}. "
        words += f"{common.style_words(params['style'])} The camera does not move."
    return words


def setting(params: Mapping[str, Any]) -> str:
    """Return what a prompt adds to the short caption: floor, backdrop and a camera that stands still."""
    return common.setting(params["style"], common.STILL)
