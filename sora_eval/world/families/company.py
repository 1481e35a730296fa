"""The scene family "company"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import Across, Colour, Params, Record, Texture
from sora_eval.world.families.things import listed
from sora_eval.world.scene import Body, Scene, Shape

NUMBERS = {3: "three", 4: "four"}
_LANES = {3: (-1.8, 0.3, 2.9), 4: (-2.2, -0.5, 1.5, 3.9)}
"""Where the objects move to and fro, in metres from near to far."""
_REACH, _KEYS_PER_S = 1.75, 15.0


@dataclass(frozen=True)
class Rover(Record):
    """An object that moves to and fro."""

    shape: Shape
    """One of `common.SHAPES`."""
    colour: Colour
    """Its colour, which no other object has."""
    texture: Texture
    """The pattern of its surface."""
    period_s: float
    """Time for the way there and back, in seconds."""
    start: Across
    """Where it is at first, as a share of its reach to the right."""
    outwards: bool
    """Whether it goes on away from the middle at first."""

    @property
    def noun(self) -> str:
        """Colour and shape: "orange cube"."""
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True)
class CompanyParams(Params):
    """Parameters of `Company`."""

    things: tuple[Rover, ...]
    """The objects, from near to far."""
    odd: int
    """Index of the object that faults act on; the true scene does not depend on it."""


class Company(Family[CompanyParams]):
    """Three or four objects of different colours that move to and fro without a rest, each on a way of its own."""

    name = "company"
    in_training = False

    def sample(self, rng: np.random.Generator) -> CompanyParams:
        number = common.choose(rng, tuple(NUMBERS))
        colours = common.sample_colours(rng, number)
        periods = rng.permutation([3.9, 4.7, 5.6, 6.8])
        things = tuple(
            Rover(
                shape=common.choose(rng, common.SHAPES),
                colour=colours[i],
                texture=common.choose(rng, common.TEXTURES),
                period_s=float(periods[i]),
                start=round(float(rng.uniform(-0.9, 0.9)), 2),
                outwards=bool(rng.integers(2)),
            )
            for i in range(number)
        )
        return CompanyParams(things=things, odd=int(rng.integers(number)), style=common.sample_style(rng))

    def build(self, p: CompanyParams, duration_s: float) -> Scene:
        """Return the scene; the objects move at the same speeds in clips of every length."""
        lanes = _LANES[len(p.things)]
        bodies = [_moving(f"thing{i}", o, y, duration_s) for i, (o, y) in enumerate(zip(p.things, lanes, strict=True))]
        facts = {
            "hero": f"thing{p.odd}",
            "hidden_s": (0.35 * duration_s, 0.45 * duration_s),
            "spare": (1.4, 0.0, 0.0),
            "stranger": (0.0, 0.5 * (lanes[0] + lanes[1]), 0.0),
            "long": True,
        }
        view = common.front_view(duration_s, 10.0, 5.2, (0.0, 0.0, 0.55))
        return common.set_up(p.style, bodies, view, duration_s, facts=facts)

    def phrases(self, p: CompanyParams) -> list[str]:
        number, things = NUMBERS[len(p.things)], listed([common.article(o.noun) for o in _named(p)])
        return [
            f"{things} move to and fro all the time, each on a way of its own; there are these {number} objects and no others",
            f"{number} objects, {things}, slide and roll from side to side without a rest, and none of them ever leaves",
            f"exactly {number} objects move about on the floor: {things}; each goes to the left and to the right again and again",
        ]

    def details(self, p: CompanyParams) -> str:
        looks = " ".join(f"The {o.noun} is {o.texture}." for o in _named(p))
        return f"{looks} {common.style_words(p.style)} {common.STILL}"


def _named(p: CompanyParams) -> Sequence[Rover]:
    return sorted(p.things, key=lambda thing: thing.colour)


def _moving(name: str, o: Rover, y: float, duration_s: float) -> Body:
    t_s = np.linspace(0.0, duration_s, int(np.ceil(duration_s * _KEYS_PER_S)) + 1)
    # Outwards on either side, so that a mirror keeps it.
    angle = float(np.arcsin(o.start))
    phase = angle if o.outwards == (o.start >= 0) else np.pi - angle
    x = _REACH * np.sin(2 * np.pi * t_s / o.period_s + phase)
    body = common.standing(name, o.shape, 0.95, o.colour, float(x[0]), y, texture=o.texture, solid=False)
    z = body.pos[2]
    rolled = np.degrees((x - x[0]) * 2 / body.size[0])
    turns = tuple((float(t), 0.0, float(r)) for t, r in zip(t_s, rolled, strict=True)) if o.shape == "ball" else ()
    keys = tuple((float(t), float(place), y, z) for t, place in zip(t_s, x, strict=True))
    return replace(body, motion="path", path=keys, turns=turns)
