"""The scene family "covered"."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Across, Colour, Params, Side, Size, Texture
from sora_eval.world.scene import Body, Scene, Shape

_DISTANCE, _NEARER, _REACH = 9.0, 0.9, 2.3
_SCREEN = (1.9, 0.12, 1.9)


@dataclass(frozen=True)
class CoveredParams(Params):
    """Parameters of `Covered`."""

    shape: Shape
    """Shape of the object, one of `common.SHAPES`."""
    colour: Colour
    """Colour of the object."""
    screen: Colour
    """Colour of the screen."""
    start: Side
    """Where the screen comes from."""
    then: Literal["on", "up"]
    """Whether the screen slides on or is lifted."""
    x: Across
    """Position of the object along x, in metres."""
    size: Size
    """Width of the object."""
    texture: Texture
    """The pattern of the object."""


class Covered(Family[CoveredParams]):
    """A screen slides in front of an object at rest, covers it, and slides on or is lifted away."""

    name = "covered"

    def sample(self, rng: np.random.Generator) -> CoveredParams:
        colour, screen = common.sample_colours(rng, 2)
        return CoveredParams(
            shape=common.choose(rng, common.SHAPES),
            colour=colour,
            screen=screen,
            start=common.choose(rng, SIDES),
            then=common.choose(rng, ("on", "up")),
            x=round(float(rng.uniform(-0.3, 0.3)), 2),
            size=common.choose(rng, ("medium", "large")),
            texture=common.choose(rng, common.TEXTURES),
            style=common.sample_style(rng),
        )

    def build(self, p: CoveredParams, duration_s: float) -> Scene:
        """Return the scene; the screen comes, stays in front of the object for a fifth of the clip, and goes."""
        side = SIGN[p.start]
        width = common.SIZES[p.size]
        hero = common.standing("hero", p.shape, width, p.colour, p.x, 0.0, texture=p.texture)
        z = _SCREEN[2] / 2
        # On the line from the eye to the object.
        over = p.x * (_DISTANCE - _NEARER) / _DISTANCE
        gone = (-side * _REACH, z) if p.then == "on" else (over, z + 2.7)
        when = [u * duration_s for u in (0.15, 0.4, 0.6, 0.85)]
        places = [(side * _REACH, z), (over, z), (over, z), gone]
        path = tuple((t, px, -_NEARER, pz) for t, (px, pz) in zip(when, places, strict=True))
        cover = Body(
            "screen", "box", _SCREEN, p.screen, (side * _REACH, -_NEARER, z), motion="path", path=path, solid=False
        )
        facts = {
            "hero": "hero",
            "cover": "screen",
            "hidden_s": (when[1], when[2]),
            "elsewhere": (side * 1.3 * width, 0.0, 0.0),
            "spare": (side * 1.3 * width, 0.0, 0.0),
            "stranger": (p.x + side * 1.5 * width, 0.3, 0.0),
        }
        view = common.front_view(duration_s, _DISTANCE)
        return common.set_up(p.style, (replace(hero, solid=False), cover), view, duration_s, facts=facts)

    def phrases(self, p: CoveredParams) -> list[str]:
        start = p.start
        hero, screen = common.article(f"{p.colour} {p.shape}"), common.article(f"{p.screen} screen")
        goes = f"slides on to the {OPPOSITE[start]}" if p.then == "on" else "is lifted up and away"
        return [
            f"{hero} stands still on the floor; {screen} slides in front of it from the {start}, covers it and {goes}",
            f"{screen} comes from the {start}, hides {hero} completely, then {goes}, and the {p.shape} is still there",
            f"{screen} slides from the {start} in front of {hero} that does not move; then it {goes}",
        ]

    def details(self, p: CoveredParams) -> str:
        return f"The {p.shape} is {p.size} and {p.texture}. {common.style_words(p.style)} {common.STILL}"
