"""The scene family "leave_and_return"."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Colour, Params, Side, Size, Texture
from sora_eval.world.scene import Body, Scene, Shape

_EYE, _LOOK = (0.0, -9.0, 2.2), (0.0, 0.0, 1.3)
_AWAY, _PAST = 48.0, 8.0
"""Degrees: how far the camera pans away, and how far past its first direction it comes back."""


@dataclass(frozen=True)
class LeaveAndReturnParams(Params):
    """Parameters of `LeaveAndReturn`."""

    by: Literal["motion", "camera"]
    """Whether the object or the camera moves."""
    shape: Shape
    """Shape of the object, one of `common.SHAPES`."""
    colour: Colour
    """Colour of the object."""
    landmark: Colour
    """Colour of the object beside which it stands in the end."""
    landmark_shape: Shape
    """Shape of that object."""
    other: Colour
    """Colour of the cube that the camera turns to."""
    side: Side
    """The edge of the frame where the object leaves and enters."""
    size: Size
    """Width of the object."""
    texture: Texture
    """The pattern of the object."""


class LeaveAndReturn(Family[LeaveAndReturnParams]):
    """An object leaves the picture and returns: by its own motion, or because the camera pans away and back."""

    name = "leave_and_return"

    def sample(self, rng: np.random.Generator) -> LeaveAndReturnParams:
        colour, landmark, other = common.sample_colours(rng, 3)
        return LeaveAndReturnParams(
            by=common.choose(rng, ("motion", "camera")),
            shape=common.choose(rng, common.SHAPES),
            colour=colour,
            landmark=landmark,
            landmark_shape=common.choose(rng, ("cone", "cylinder")),
            other=other,
            side=common.choose(rng, SIDES),
            size=common.choose(rng, ("medium", "large")),
            texture=common.choose(rng, common.TEXTURES),
            style=common.sample_style(rng),
        )

    def build(self, p: LeaveAndReturnParams, duration_s: float) -> Scene:
        """Return the scene; `side` is where the object leaves the picture and comes in again."""
        way = SIGN[p.side]
        width = common.SIZES[p.size]
        if p.by == "motion":
            mark = common.standing("landmark", p.landmark_shape, 0.95, p.landmark, -way * 2.2, 0.0)
            hero = _travelling(
                common.standing("hero", p.shape, width, p.colour, 0.0, 0.0, texture=p.texture), way, duration_s
            )
            facts = {
                "hero": "hero",
                "hidden_s": (0.34 * duration_s, 0.56 * duration_s),
                "elsewhere": (0.0, 4.5, 0.0),
                "spare": (way * 1.5 * width, 0.0, 0.0),
                "stranger": (way * 1.2, 1.5, 0.0),
            }
            return common.set_up(
                p.style, (hero, mark), common.front_view(duration_s, -_EYE[1]), duration_s, facts=facts
            )
        hero = common.standing("hero", p.shape, width, p.colour, way * 0.85, 0.0, texture=p.texture)
        mark = common.standing("landmark", p.landmark_shape, 0.95, p.landmark, -way * 0.85, 0.0)
        turned = np.radians(_AWAY)
        away = common.standing(
            "other", "cube", 1.0, p.other, -way * 9 * float(np.sin(turned)), 9 * float(np.cos(turned)) - 9
        )
        # The camera turns away from the side on which objects leave the picture.
        pan = cameras.away_and_back(-way * _AWAY, out=(0.1, 0.36), back=(0.56, 0.84), rest=way * _PAST)
        view = cameras.turn(duration_s, _EYE, _LOOK, pan, lambda u: 0.0)
        facts = {
            "hero": "hero",
            "hidden_s": (0.34 * duration_s, 0.58 * duration_s),
            "elsewhere": (way * 1.3, 0.0, 0.0),
            "spare": (way * 1.4 * width, 0.0, 0.0),
            "stranger": (way * 2.6, 0.3, 0.0),
        }
        return common.set_up(p.style, (hero, mark, away), view, duration_s, facts=facts)

    def phrases(self, p: LeaveAndReturnParams) -> list[str]:
        side, start = p.side, OPPOSITE[p.side]
        shape, mark = p.shape, f"{p.landmark} {p.landmark_shape}"
        hero, a_mark = common.article(f"{p.colour} {shape}"), common.article(mark)
        if p.by == "motion":
            verb = "rolls" if shape == "ball" else "slides"
            return [
                f"{hero} {verb} out of the picture on the {side}, comes back the same way and stops beside {a_mark} "
                f"that stands on the {start}",
                f"{a_mark} stands on the {start}; {hero} leaves the picture to the {side}, returns from there and "
                f"comes up close to the {mark}",
                f"{hero} {verb} away to the {side} until it is out of sight, then {verb} back in the same way, up to "
                f"{a_mark} on the {start}",
            ]
        away = common.article(f"{p.other} cube")
        back = f"back to the {side} until they are on the {start} of the picture"
        pair = f"{a_mark} stands on the {start} of {hero}"
        return [
            f"{pair} in the middle of the picture; the camera pans {start} to {away} until they are out of sight, "
            f"then pans {back}",
            f"{pair}, both in the middle and still; the camera turns to the {start}, loses them, sees {away}, and "
            f"turns {back}",
            f"in the middle {pair}; the camera pans {start} until only {away} is in view and then {back}; nothing "
            f"else moves",
        ]

    def details(self, p: LeaveAndReturnParams) -> str:
        ending = common.STILL if p.by == "motion" else "The camera only turns."
        return f"The {p.shape} is {p.size} and {p.texture}. {common.style_words(p.style)} {ending}"

    def setting(self, p: LeaveAndReturnParams) -> str:
        """Return what a prompt adds to the short caption: floor, backdrop, and the camera where it stands still."""
        return common.setting(p.style, common.STILL if p.by == "motion" else "")


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
