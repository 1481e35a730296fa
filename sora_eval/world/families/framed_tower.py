"""The scene family "framed_tower"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.framed import FOV, FramedParams, eye_and_target, facts, turn_deg
from sora_eval.world.families.params import Colour, Texture
from sora_eval.world.scene import Body, Scene

_WIDE, _ROOF_WIDE, _ROOF = 1.0, 1.25, 0.9
"""Width of the tower, width and height of its roof in metres."""


@dataclass(frozen=True)
class FramedTowerParams(FramedParams):
    """Parameters of `FramedTower`."""

    colour: Colour
    """Colour of the tower."""
    roof: Colour
    """Colour of its roof."""
    texture: Texture
    """The pattern of the tower."""
    height: float
    """Height with the roof in metres."""
    share: float
    """The same as a share of the frame's height."""


class FramedTower(Family[FramedTowerParams]):
    """A tall tower in the middle of the picture, whole from its foot to its roof, as high as a picture of any aspect ratio allows."""

    name = "framed_tower"
    in_training = False

    def sample(self, rng: np.random.Generator) -> FramedTowerParams:
        colour, roof = common.sample_colours(rng, 2)
        return FramedTowerParams(
            colour=colour,
            roof=roof,
            texture=common.choose(rng, common.TEXTURES),
            height=round(float(rng.uniform(2.9, 3.5)), 2),
            share=round(float(rng.uniform(0.64, 0.7)), 2),
            aspect=1.0,
            style=common.sample_style(rng),
        )

    def build(self, p: FramedTowerParams, duration_s: float) -> Scene:
        walls = p.height - _ROOF
        tower = Body(
            "tower", "cylinder", (_WIDE, _WIDE, walls), p.colour, (0.0, 0.0, walls / 2), texture=p.texture, solid=False
        )
        roof = Body("roof", "cone", (_ROOF_WIDE, _ROOF_WIDE, _ROOF), p.roof, (0.0, 0.0, walls + _ROOF / 2), solid=False)
        half_width, half_height = p.half_frame
        distance = p.height / (2 * p.share * half_height)
        eye, target = eye_and_target(p, (0.0, 0.0, p.height / 2), distance, down_deg=8.0)
        acts_on = facts(
            # A camera that tilts down cuts the roof off.
            out_deg=(0.0, -float(np.degrees(np.arctan(half_height)))),
            elsewhere_deg=turn_deg(half_width, 0.0, 0.55),
            stretch=("x", 0.5),
            bars="x",
        )
        view = cameras.still(duration_s, eye, target, FOV)
        return common.set_up(p.style, (tower, roof), view, duration_s, facts={"hero": ["tower", "roof"], **acts_on})

    def phrases(self, p: FramedTowerParams) -> list[str]:
        tower, roof = f"tall {p.colour} tower", f"with {common.article(p.roof)} pointed roof"
        return [
            f"a {tower} {roof} stands in the middle of the picture, whole in view from its foot to the tip of its roof, and takes up most "
            "of the picture's height",
            f"in the middle of the picture a {tower} {roof}, nearly as high as the picture and not cut off at its foot or its roof",
            f"a {tower} {roof} in the middle; it fills most of the height of the picture, and all of it is in view",
        ]

    def details(self, p: FramedTowerParams) -> str:
        return f"The tower is round and {p.texture}. {common.style_words(p.style)} {common.STILL}"
