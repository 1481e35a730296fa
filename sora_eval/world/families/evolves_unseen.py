"""A ball rolls on at a steady speed while the camera looks away and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.families import common
from sora_eval.world.families.common import Params
from sora_eval.world.scene import Scene

_EYE, _LOOK = (0.0, -9.0, 2.2), (0.0, 0.0, 1.3)
_PAN, _TILT = 48.0, 50.0
_REACH = 2.0


def sample(rng: np.random.Generator) -> Params:
    """Return a random member."""
    colour, landmark = common.sample_colours(rng, 2)
    return {
        "colour": colour,
        "landmark": landmark,
        "landmark_shape": str(rng.choice(["cone", "cylinder", "cube"])),
        "to": str(rng.choice(["left", "right"])),
        "away": str(rng.choice(["left", "right", "up"])),
        "texture": str(rng.choice(common.TEXTURES)),
        "style": common.sample_style(rng),
    }


def mirrored(params: Mapping[str, Any]) -> Params:
    """Return the same scene with left and right exchanged."""
    away = common.OPPOSITE.get(params["away"], params["away"])
    return {
        **params,
        "to": common.OPPOSITE[params["to"]],
        "away": away,
        "style": common.mirrored_style(params["style"]),
    }


def build(
    duration_s: float,
    *,
    colour: str,
    landmark: str,
    landmark_shape: str,
    to: str,
    away: str,
    texture: str,
    style: Mapping[str, Any],
) -> Scene:
    """Return the scene; the ball passes the landmark while nobody looks."""
    way = 1.0 if to == "right" else -1.0
    ball = common.standing("hero", "ball", 1.1, colour, -way * _REACH, -0.7, texture=texture)
    x, y, z = ball.pos
    rolled = float(np.degrees(way * 2 * _REACH / (1.1 / 2)))
    path, turns = ((0.0, x, y, z), (duration_s, -x, y, z)), ((0.0, 0.0, 0.0), (duration_s, 0.0, rolled))
    ball = replace(ball, motion="path", path=path, turns=turns)
    mark = common.standing("landmark", landmark_shape, 1.05, landmark, 0.0, 0.6)
    peak = {"left": -_PAN, "right": _PAN, "up": _TILT}[away]
    angle = cameras.away_and_back(peak, out=(0.14, 0.35), back=(0.6, 0.81))

    def level(u: float) -> float:
        return 0.0

    view = cameras.turn(duration_s, _EYE, _LOOK, level if away == "up" else angle, angle if away == "up" else level)
    facts = {
        "hero": "hero",
        "hidden_s": (0.31 * duration_s, 0.64 * duration_s),
        "elsewhere": (-way * 1.4, 0.0, 0.0),
        "spare": (-way * 1.5, 0.0, 0.0),
        "stranger": (-way * 1.4, 0.6, 0.0),
    }
    return common.set_up(style, (ball, mark), view, duration_s, facts=facts)


def caption(params: Mapping[str, Any], rng: np.random.Generator, long: bool = False) -> str:
    """Return words for the scene."""
    to, start = params["to"], common.OPPOSITE[params["to"]]
    name = f"{params['landmark']} {params['landmark_shape']}"
    ball, mark = common.article(f"{params['colour']} ball"), common.article(name)
    looks = "tilts up" if params["away"] == "up" else f"pans away to the {params['away']}"
    short = [
        f"{ball} rolls at a steady speed from {start} to {to} past {mark}; meanwhile the camera {looks} until "
        f"both are out of sight, and back",
        f"{ball} rolls steadily towards {mark} from the {start}; the camera {looks} and comes back; by then "
        f"the ball is on the {to} of the {name}",
        f"the camera {looks} and back again while {ball}, first on the {start} of {mark}, rolls past it to "
        f"the {to} at a steady speed",
    ]
    words = common.sentence(short[int(rng.integers(len(short)))])
    if long:
        words += f" The ball is {params['texture']}, the {params['landmark_shape']} stands still. "
        words += f"{common.style_words(params['style'])}"
    return words


def setting(params: Mapping[str, Any]) -> str:
    """Return what a prompt adds to the short caption: floor, backdrop; the caption speaks of the camera."""
    return common.setting(params["style"])
