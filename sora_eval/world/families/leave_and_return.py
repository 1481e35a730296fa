"""An object leaves the picture and returns: by its own motion, or because the camera pans away and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.families import common
from sora_eval.world.families.common import Params
from sora_eval.world.scene import Body, Scene

_EYE, _LOOK = (0.0, -9.0, 2.2), (0.0, 0.0, 1.3)
_AWAY, _PAST = 48.0, 8.0
"""Degrees: how far the camera pans away, and how far past its first direction it comes back."""


def sample(rng: np.random.Generator) -> Params:
    """Return a random member."""
    colour, landmark, other = common.sample_colours(rng, 3)
    return {
        "by": str(rng.choice(["motion", "camera"])),
        "shape": str(rng.choice(common.SHAPES)),
        "colour": colour,
        "landmark": landmark,
        "landmark_shape": str(rng.choice(["cone", "cylinder"])),
        "other": other,
        "side": str(rng.choice(["left", "right"])),
        "size": str(rng.choice(["medium", "large"])),
        "texture": str(rng.choice(common.TEXTURES)),
        "style": common.sample_style(rng),
    }


def mirrored(params: Mapping[str, Any]) -> Params:
    """Return the same scene with left and right exchanged."""
    return {**params, "side": common.OPPOSITE[params["side"]], "style": common.mirrored_style(params["style"])}


def build(
    duration_s: float, *, by: str, shape: str, colour: str, landmark: str, landmark_shape: str, other: str, side: str,
    size: str, texture: str, style: Mapping[str, Any],
) -> Scene:  # fmt: skip
    """Return the scene; `side` is where the object leaves the picture and comes in again."""
    way = 1.0 if side == "right" else -1.0
    width = common.SIZES[size]
    if by == "motion":
        mark = common.standing("landmark", landmark_shape, 0.95, landmark, -way * 2.2, 0.0)
        hero = _travelling(common.standing("hero", shape, width, colour, 0.0, 0.0, texture=texture), way, duration_s)
        facts = {
            "hero": "hero",
            "hidden_s": (0.34 * duration_s, 0.56 * duration_s),
            "elsewhere": (0.0, 4.5, 0.0),
            "spare": (way * 1.5 * width, 0.0, 0.0),
            "stranger": (way * 1.2, 1.5, 0.0),
        }
        return common.set_up(style, (hero, mark), common.front_view(duration_s, -_EYE[1]), duration_s, facts=facts)
    hero = common.standing("hero", shape, width, colour, way * 0.85, 0.0, texture=texture)
    mark = common.standing("landmark", landmark_shape, 0.95, landmark, -way * 0.85, 0.0)
    turned = np.radians(_AWAY)
    away = common.standing("other", "cube", 1.0, other, -way * 9 * float(np.sin(turned)), 9 * float(np.cos(turned)) - 9)
    # The camera turns away from the side on which things leave the picture.
    pan = cameras.away_and_back(-way * _AWAY, out=(0.1, 0.36), back=(0.56, 0.84), rest=way * _PAST)
    view = cameras.turn(duration_s, _EYE, _LOOK, pan, lambda u: 0.0)
    facts = {
        "hero": "hero",
        "hidden_s": (0.34 * duration_s, 0.58 * duration_s),
        "elsewhere": (way * 1.3, 0.0, 0.0),
        "spare": (way * 1.4 * width, 0.0, 0.0),
        "stranger": (way * 2.6, 0.3, 0.0),
    }
    return common.set_up(style, (hero, mark, away), view, duration_s, facts=facts)


def _travelling(hero: Body, way: float, duration_s: float) -> Body:
    """Return the hero on its way out and back, farther than it came from: the way back is not the way out reversed."""
    # Far enough out for a frame twice as wide as high.
    keys = ((0.06, 0.7), (0.36, 7.4), (0.54, 7.4), (0.94, -0.6))
    path = tuple((u * duration_s, way * x, 0.0, hero.pos[2]) for u, x in keys)
    rolled = [np.degrees(way * (x - keys[0][1]) * 2 / hero.size[0]) for _, x in keys]
    turns = (
        tuple((u * duration_s, 0.0, float(r)) for (u, _), r in zip(keys, rolled, strict=True))
        if hero.shape == "ball"
        else ()
    )
    return replace(hero, motion="path", path=path, turns=turns, pos=path[0][1:])


def caption(params: Mapping[str, Any], rng: np.random.Generator, long: bool = False) -> str:
    """Return words for the scene."""
    side, start = params["side"], common.OPPOSITE[params["side"]]
    shape, mark = params["shape"], f"{params['landmark']} {params['landmark_shape']}"
    hero, a_mark = common.article(f"{params['colour']} {shape}"), common.article(mark)
    if params["by"] == "motion":
        verb = "rolls" if shape == "ball" else "slides"
        short = [
            f"{hero} {verb} out of the picture on the {side}, comes back the same way and stops beside {a_mark} "
            f"that stands on the {start}",
            f"{a_mark} stands on the {start}; {hero} leaves the picture to the {side}, returns from there and "
            f"comes up close to the {mark}",
            f"{hero} {verb} away to the {side} until it is out of sight, then {verb} back in the same way, up to "
            f"{a_mark} on the {start}",
        ]
        ending = "The camera does not move."
    else:
        away = common.article(f"{params['other']} cube")
        back = f"back to the {side} until they are on the {start} of the picture"
        pair = f"{a_mark} stands on the {start} of {hero}"
        short = [
            f"{pair} in the middle of the picture; the camera pans {start} to {away} until they are out of sight, "
            f"then pans {back}",
            f"{pair}, both in the middle and still; the camera turns to the {start}, loses them, sees {away}, and "
            f"turns {back}",
            f"in the middle {pair}; the camera pans {start} until only {away} is in view and then {back}; nothing "
            f"else moves",
        ]
        ending = "The camera only turns."
    words = common.sentence(short[int(rng.integers(len(short)))])
    if long:
        words += (
            f" The {shape} is {params['size']} and {params['texture']}. {common.style_words(params['style'])} {ending}"
        )
    return words


def setting(params: Mapping[str, Any]) -> str:
    """Return what a prompt adds to the short caption: floor, backdrop, and the camera where it stands still."""
    return common.setting(params["style"], common.STILL if params["by"] == "motion" else "")
