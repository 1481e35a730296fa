"""The scene family "count"."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Colour, Params, Side, Texture
from sora_eval.world.scene import Body, Scene, Shape

NUMBERS = {3: "three", 4: "four"}
_DISTANCE, _NEARER, _REACH = 10.5, 1.2, 3.85
_STEP = {3: 1.5, 4: 1.42}
_SCREEN = (1.8, 0.12, 2.0)


@dataclass(frozen=True)
class CountParams(Params):
    """Parameters of `Count`."""

    number: Literal[3, 4]
    """How many objects stand in the row."""
    shape: Shape
    """Shape of the objects, one of `common.SHAPES`."""
    colour: Colour
    """Colour of the objects."""
    screen: Colour
    """Colour of the screen."""
    to: Side
    """Direction of the screen."""
    odd: int
    """Index, from the left, of the object that faults act on; the true scene does not depend on it."""
    texture: Texture
    """The pattern of the objects."""


class Count(Family[CountParams]):
    """A row of look-alikes, partly covered for a while by a screen that passes in front."""

    name = "count"

    def sample(self, rng: np.random.Generator) -> CountParams:
        colour, screen = common.sample_colours(rng, 2)
        numbers: tuple[Literal[3, 4], ...] = (3, 4)
        number = common.choose(rng, numbers)
        return CountParams(
            number=number,
            shape=common.choose(rng, common.SHAPES),
            colour=colour,
            screen=screen,
            to=common.choose(rng, SIDES),
            odd=int(rng.integers(number)),
            texture=common.choose(rng, common.TEXTURES),
            style=common.sample_style(rng),
        )

    def mirrored(self, p: CountParams) -> CountParams:
        """Return the parameters of the scene with left and right exchanged; `odd` counts from the other end."""
        return replace(p.mirrored(), odd=p.number - 1 - p.odd)

    def build(self, p: CountParams, duration_s: float) -> Scene:
        """Return the scene: a screen that passes once in front of the row."""
        way = SIGN[p.to]
        places = [(i - (p.number - 1) / 2) * _STEP[p.number] for i in range(p.number)]
        row = [
            common.standing(f"one_{i}", p.shape, 1.0, p.colour, x, 0.0, texture=p.texture, solid=False)
            for i, x in enumerate(places)
        ]
        start_s, end_s = 0.15 * duration_s, 0.85 * duration_s
        z = _SCREEN[2] / 2
        path = ((start_s, -way * _REACH, -_NEARER, z), (end_s, way * _REACH, -_NEARER, z))
        cover = Body("screen", "box", _SCREEN, p.screen, path[0][1:], motion="path", path=path, solid=False)
        # The middle of the screen stands before the odd one, seen from the eye; it hides it while its margins last.
        at = way * places[p.odd] * (_DISTANCE - _NEARER) / _DISTANCE
        speed = 2 * _REACH / (end_s - start_s)
        middle, half = start_s + (at + _REACH) / speed, (_SCREEN[0] - 1.0) / 2 / speed
        facts = {
            "hero": f"one_{p.odd}",
            "cover": "screen",
            "hidden_s": (middle - half, middle + half),
            "elsewhere": (0.0, 0.0, 1.3),
            "spare": (0.0, 0.0, 1.9),
            "stranger": (places[p.odd], 2.0, 1.4),
        }
        view = common.front_view(duration_s, _DISTANCE, look=(0.0, 0.0, 1.4))
        return common.set_up(p.style, (*row, cover), view, duration_s, facts=facts)

    def phrases(self, p: CountParams) -> list[str]:
        to, start = p.to, OPPOSITE[p.to]
        number = NUMBERS[p.number]
        row, screen = f"{number} {p.colour} {p.shape}s", common.article(f"{p.screen} screen")
        return [
            f"{row} stand still in a row; {screen} slides from {start} to {to} in front of them and out of the way again",
            f"{screen} passes from the {start} to the {to} in front of a row of {row} that do not move",
            f"a row of {row}; {screen} slides past them from {start} to {to}, hides some of them for a moment and "
            f"then none",
        ]

    def details(self, p: CountParams) -> str:
        return f"All {NUMBERS[p.number]} are alike and {p.texture}. {common.style_words(p.style)} {common.STILL}"
