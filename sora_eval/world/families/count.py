"""A row of look-alikes, partly covered for a while by a screen that passes in front."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.common import Params
from sora_eval.world.scene import Body, Scene

NUMBERS = {3: "three", 4: "four"}
_DISTANCE, _NEARER, _REACH = 10.5, 1.2, 3.85
_STEP = {3: 1.5, 4: 1.42}
_SCREEN = (1.8, 0.12, 2.0)


def sample(rng: np.random.Generator) -> Params:
    """Return a random member."""
    colour, screen = common.sample_colours(rng, 2)
    number = int(rng.integers(3, 5))
    return {
        "number": number,
        "shape": str(rng.choice(common.SHAPES)),
        "colour": colour,
        "screen": screen,
        "to": str(rng.choice(["left", "right"])),
        "odd": int(rng.integers(number)),
        "texture": str(rng.choice(common.TEXTURES)),
        "style": common.sample_style(rng),
    }


def mirrored(params: Mapping[str, Any]) -> Params:
    """Return the same scene with left and right exchanged."""
    odd, style = params["number"] - 1 - params["odd"], common.mirrored_style(params["style"])
    return {**params, "to": common.OPPOSITE[params["to"]], "odd": odd, "style": style}


def build(
    duration_s: float,
    *,
    number: int,
    shape: str,
    colour: str,
    screen: str,
    to: str,
    odd: int,
    texture: str,
    style: Mapping[str, Any],
) -> Scene:
    """Return the scene; `odd` is the one that the faults concern, from the left; the true world doesn't know it."""
    way = 1.0 if to == "right" else -1.0
    places = [(i - (number - 1) / 2) * _STEP[number] for i in range(number)]
    row = [
        common.standing(f"one_{i}", shape, 1.0, colour, x, 0.0, texture=texture, solid=False)
        for i, x in enumerate(places)
    ]
    start_s, end_s = 0.15 * duration_s, 0.85 * duration_s
    z = _SCREEN[2] / 2
    path = ((start_s, -way * _REACH, -_NEARER, z), (end_s, way * _REACH, -_NEARER, z))
    cover = Body("screen", "box", _SCREEN, screen, path[0][1:], motion="path", path=path, solid=False)
    # The middle of the screen stands before the odd one, seen from the eye; it hides it while its margins last.
    at = way * places[odd] * (_DISTANCE - _NEARER) / _DISTANCE
    speed = 2 * _REACH / (end_s - start_s)
    middle, half = start_s + (at + _REACH) / speed, (_SCREEN[0] - 1.0) / 2 / speed
    facts = {
        "hero": f"one_{odd}",
        "cover": "screen",
        "hidden_s": (middle - half, middle + half),
        "elsewhere": (0.0, 0.0, 1.3),
        "spare": (0.0, 0.0, 1.9),
        "stranger": (places[odd], 2.0, 1.4),
    }
    view = common.front_view(duration_s, _DISTANCE, look=(0.0, 0.0, 1.4))
    return common.set_up(style, (*row, cover), view, duration_s, facts=facts)


def caption(params: Mapping[str, Any], rng: np.random.Generator, long: bool = False) -> str:
    """Return words for the scene."""
    to, start = params["to"], common.OPPOSITE[params["to"]]
    number = NUMBERS[params["number"]]
    row, screen = f"{number} {params['colour']} {params['shape']}s", common.article(f"{params['screen']} screen")
    short = [
        f"{row} stand still in a row; {screen} slides from {start} to {to} in front of them and out of the way again",
        f"{screen} passes from the {start} to the {to} in front of a row of {row} that do not move",
        f"a row of {row}; {screen} slides past them from {start} to {to}, hides some of them for a moment and "
        f"then none",
    ]
    words = common.sentence(short[int(rng.integers(len(short)))])
    if long:
        words += f" All {number} are alike and {params['texture']}. "
        words += f"{common.style_words(params['style'])} The camera does not move."
    return words


def setting(params: Mapping[str, Any]) -> str:
    """Return what a prompt adds to the short caption: floor, backdrop and a camera that stands still."""
    return common.setting(params["style"], common.STILL)
