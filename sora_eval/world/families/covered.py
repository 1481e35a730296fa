"""A screen slides in front of an object at rest, covers it, and slides on or is lifted away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.common import Params
from sora_eval.world.scene import Body, Scene

_DISTANCE, _NEARER, _REACH = 9.0, 0.9, 2.3
_SCREEN = (1.9, 0.12, 1.9)


def sample(rng: np.random.Generator) -> Params:
    """Return a random member."""
    colour, screen = common.sample_colours(rng, 2)
    return {
        "shape": str(rng.choice(common.SHAPES)),
        "colour": colour,
        "screen": screen,
        "start": str(rng.choice(["left", "right"])),
        "then": str(rng.choice(["on", "up"])),
        "x": round(float(rng.uniform(-0.3, 0.3)), 2),
        "size": str(rng.choice(["medium", "large"])),
        "texture": str(rng.choice(common.TEXTURES)),
        "style": common.sample_style(rng),
    }


def mirrored(params: Mapping[str, Any]) -> Params:
    """Return the same scene with left and right exchanged."""
    start, style = common.OPPOSITE[params["start"]], common.mirrored_style(params["style"])
    return {**params, "start": start, "x": -params["x"], "style": style}


def build(
    duration_s: float,
    *,
    shape: str,
    colour: str,
    screen: str,
    start: str,
    then: str,
    x: float,
    size: str,
    texture: str,
    style: Mapping[str, Any],
) -> Scene:
    """Return the scene; the screen comes, stays in front of the object for a fifth of the clip, and goes."""
    side = 1.0 if start == "right" else -1.0
    width = common.SIZES[size]
    hero = common.standing("hero", shape, width, colour, x, 0.0, texture=texture)
    z = _SCREEN[2] / 2
    # On the line from the eye to the object.
    over = x * (_DISTANCE - _NEARER) / _DISTANCE
    gone = (-side * _REACH, z) if then == "on" else (over, z + 2.7)
    when = [u * duration_s for u in (0.15, 0.4, 0.6, 0.85)]
    places = [(side * _REACH, z), (over, z), (over, z), gone]
    path = tuple((t, px, -_NEARER, pz) for t, (px, pz) in zip(when, places, strict=True))
    cover = Body("screen", "box", _SCREEN, screen, (side * _REACH, -_NEARER, z), motion="path", path=path, solid=False)
    facts = {
        "hero": "hero",
        "cover": "screen",
        "hidden_s": (when[1], when[2]),
        "elsewhere": (side * 1.3 * width, 0.0, 0.0),
        "spare": (side * 1.3 * width, 0.0, 0.0),
        "stranger": (x + side * 1.5 * width, 0.3, 0.0),
    }
    view = common.front_view(duration_s, _DISTANCE)
    return common.set_up(style, (replace(hero, solid=False), cover), view, duration_s, facts=facts)


def caption(params: Mapping[str, Any], rng: np.random.Generator, long: bool = False) -> str:
    """Return words for the scene."""
    start = params["start"]
    hero, screen = common.article(f"{params['colour']} {params['shape']}"), common.article(f"{params['screen']} screen")
    goes = f"slides on to the {common.OPPOSITE[start]}" if params["then"] == "on" else "is lifted up and away"
    short = [
        f"{hero} stands still on the floor; {screen} slides in front of it from the {start}, covers it and {goes}",
        f"{screen} comes from the {start}, hides {hero} completely, then {goes}, and the {params['shape']} is "
        f"still there",
        f"{screen} slides from the {start} in front of {hero} that does not move; then it {goes}",
    ]
    words = common.sentence(short[int(rng.integers(len(short)))])
    if long:
        words += f" The {params['shape']} is {params['size']} and {params['texture']}. "
        words += f"{common.style_words(params['style'])} The camera does not move."
    return words


def setting(params: Mapping[str, Any]) -> str:
    """Return what a prompt adds to the short caption: floor, backdrop and a camera that stands still."""
    return common.setting(params["style"], common.STILL)
