"""The scene family "evolves_unseen"."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import EXCHANGED, OPPOSITE, SIDES, SIGN, Colour, Params, Side, Texture
from sora_eval.world.scene import Scene, Shape

_EYE, _LOOK = (0.0, -9.0, 2.2), (0.0, 0.0, 1.3)
_PAN, _TILT = 48.0, 50.0
_REACH = 2.0


@dataclass(frozen=True)
class EvolvesUnseenParams(Params):
    """Parameters of `EvolvesUnseen`."""

    colour: Colour
    """Colour of the ball."""
    landmark: Colour
    """Colour of the object that the ball passes."""
    landmark_shape: Shape
    """Shape of that object."""
    to: Side
    """Direction of the ball."""
    away: Annotated[Literal["left", "right", "up"], EXCHANGED]
    """Where the camera turns."""
    texture: Texture
    """The pattern of the ball."""


class EvolvesUnseen(Family[EvolvesUnseenParams]):
    """A ball rolls on at a steady speed while the camera looks away and back."""

    name = "evolves_unseen"
    camera = ""

    def sample(self, rng: np.random.Generator) -> EvolvesUnseenParams:
        colour, landmark = common.sample_colours(rng, 2)
        return EvolvesUnseenParams(
            colour=colour,
            landmark=landmark,
            landmark_shape=common.choose(rng, ("cone", "cylinder", "cube")),
            to=common.choose(rng, SIDES),
            away=common.choose(rng, ("left", "right", "up")),
            texture=common.choose(rng, common.TEXTURES),
            style=common.sample_style(rng),
        )

    def build(self, p: EvolvesUnseenParams, duration_s: float) -> Scene:
        """Return the scene; the ball passes the landmark while the camera looks away."""
        way = SIGN[p.to]
        ball = common.standing("hero", "ball", 1.1, p.colour, -way * _REACH, -0.7, texture=p.texture)
        x, y, z = ball.pos
        rolled = float(np.degrees(way * 2 * _REACH / (1.1 / 2)))
        path, turns = ((0.0, x, y, z), (duration_s, -x, y, z)), ((0.0, 0.0, 0.0), (duration_s, 0.0, rolled))
        ball = replace(ball, motion="path", path=path, turns=turns)
        mark = common.standing("landmark", p.landmark_shape, 1.05, p.landmark, 0.0, 0.6)
        peak = {"left": -_PAN, "right": _PAN, "up": _TILT}[p.away]
        angle = cameras.away_and_back(peak, out=(0.14, 0.35), back=(0.6, 0.81))

        def level(u: float) -> float:
            return 0.0

        view = cameras.turn(
            duration_s, _EYE, _LOOK, level if p.away == "up" else angle, angle if p.away == "up" else level
        )
        facts = {
            "hero": "hero",
            "hidden_s": (0.31 * duration_s, 0.64 * duration_s),
            "elsewhere": (-way * 1.4, 0.0, 0.0),
            "spare": (-way * 1.5, 0.0, 0.0),
            "stranger": (-way * 1.4, 0.6, 0.0),
        }
        return common.set_up(p.style, (ball, mark), view, duration_s, facts=facts)

    def phrases(self, p: EvolvesUnseenParams) -> list[str]:
        to, start = p.to, OPPOSITE[p.to]
        name = f"{p.landmark} {p.landmark_shape}"
        ball, mark = common.article(f"{p.colour} ball"), common.article(name)
        looks = "tilts up" if p.away == "up" else f"pans away to the {p.away}"
        return [
            f"{ball} rolls at a steady speed from {start} to {to} past {mark}; meanwhile the camera {looks} until "
            f"both are out of sight, and back",
            f"{ball} rolls steadily towards {mark} from the {start}; the camera {looks} and comes back; by then "
            f"the ball is on the {to} of the {name}",
            f"the camera {looks} and back again while {ball}, first on the {start} of {mark}, rolls past it to "
            f"the {to} at a steady speed",
        ]

    def details(self, p: EvolvesUnseenParams) -> str:
        return f"The ball is {p.texture}, the {p.landmark_shape} stands still. {common.style_words(p.style)}"
