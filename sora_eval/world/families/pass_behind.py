"""The scene family "pass_behind"."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Colour, Params, Side, Size, Texture
from sora_eval.world.scene import Body, Scene, Shape


@dataclass(frozen=True)
class PassBehindParams(Params):
    """Parameters of `PassBehind`."""

    shape: Shape
    """Shape of the object, one of `common.SHAPES`."""
    colour: Colour
    """Colour of the object."""
    wall: Colour
    """Colour of the wall."""
    to: Side
    """Direction of the object."""
    size: Size
    """Width of the object."""
    texture: Texture
    """The pattern of the object."""


class PassBehind(Family[PassBehindParams]):
    """An object moves behind a wall and comes out on the other side."""

    name = "pass_behind"

    def sample(self, rng: np.random.Generator) -> PassBehindParams:
        colour, wall = common.sample_colours(rng, 2)
        return PassBehindParams(
            shape=common.choose(rng, common.SHAPES),
            colour=colour,
            wall=wall,
            to=common.choose(rng, SIDES),
            size=common.choose(rng, ("medium", "large")),
            texture=common.choose(rng, common.TEXTURES),
            style=common.sample_style(rng),
        )

    def build(self, p: PassBehindParams, duration_s: float) -> Scene:
        """Return the scene; the way is walked once in the clip's duration."""
        way = SIGN[p.to]
        width = common.SIZES[p.size]
        reach, depth = 3.1, 0.6
        hero = common.standing("hero", p.shape, width, p.colour, 0.0, depth, texture=p.texture)
        z = hero.pos[2]
        keys = ((0.0, -way * reach, depth, z), (duration_s, way * reach, depth, z))
        # Rolling is seen on a textured ball only; the others slide.
        turns = (
            ((0.0, 0.0, 0.0), (duration_s, 0.0, way * float(np.degrees(4 * reach / width))))
            if p.shape == "ball"
            else ()
        )
        hero = replace(hero, motion="path", path=keys, turns=turns)
        # No wider than it takes to hide the object for an eighth of the clip: what is left of the way shows its motion.
        span = width + 0.8
        screen = Body("wall", "box", (span, 0.25, 2.1), p.wall, (0.0, -0.2, 1.05))
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
        return common.set_up(p.style, (hero, screen), view, duration_s, facts=facts)

    def phrases(self, p: PassBehindParams) -> list[str]:
        start = OPPOSITE[p.to]
        verb = "rolls steadily" if p.shape == "ball" else "slides steadily"
        hero, wall = common.article(f"{p.colour} {p.shape}"), common.article(f"{p.wall} wall")
        return [
            f"{hero} {verb} from {start} to {p.to}, passes behind {wall} and comes out on the other side",
            f"{hero} {verb} from the {start} behind {wall} and reappears on the {p.to}",
            f"{wall} stands in the middle; {hero} {verb} from {start} to {p.to} behind it and comes out again",
        ]

    def details(self, p: PassBehindParams) -> str:
        return f"The {p.shape} is {p.size} and {p.texture}. {common.style_words(p.style)} {common.STILL}"
