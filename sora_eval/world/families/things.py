"""Objects of scenes about sides: a shape in a colour, with its size, texture and words."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.common import choose
from sora_eval.world.families.params import OPPOSITE, Colour, Params, Record, Side, Size, Texture
from sora_eval.world.scene import Body, Shape

Named = Literal["a", "b"]
"""One of the two objects of a scene."""


@dataclass(frozen=True)
class Thing(Record):
    """An object of one colour."""

    shape: Shape
    """One of `common.SHAPES`."""
    colour: Colour
    """Its colour, which no other object of the scene has."""
    size: Size
    """Its width."""
    texture: Texture
    """The pattern of its surface."""

    @property
    def noun(self) -> str:
        """Colour and shape: "orange cube"."""
        return f"{self.colour} {self.shape}"

    @property
    def words(self) -> str:
        """Colour and shape with their article: "an orange cube"."""
        return common.article(self.noun)

    @property
    def looks(self) -> str:
        """A sentence on size and texture."""
        return f"The {self.noun} is {self.size} and {self.texture}."

    @property
    def verb(self) -> str:
        """How it moves over the floor."""
        return "rolls" if self.shape == "ball" else "slides"

    def stand(self, name: str, x: float, y: float) -> Body:
        """Return its body, standing on the floor at (x, y) in metres."""
        width = common.SIZES[self.size]
        return common.standing(name, self.shape, width, self.colour, x, y, texture=self.texture)

    def cross(self, name: str, way: float, reach: float, y: float, duration_s: float) -> Body:
        """Return its body on the way from x = -way * reach to x = way * reach (metres) in the clip's duration."""
        body = self.stand(name, 0.0, y)
        z = body.pos[2]
        path = ((0.0, -way * reach, y, z), (duration_s, way * reach, y, z))
        # Rolling without slipping; it shows on a textured ball only.
        rolled = float(np.degrees(4 * reach / body.size[0]))
        turns = ((0.0, 0.0, 0.0), (duration_s, 0.0, way * rolled)) if self.shape == "ball" else ()
        return replace(body, motion="path", path=path, turns=turns)


def sample_thing(rng: np.random.Generator, colour: str) -> Thing:
    """Return an object of a colour: shape, size and texture at random."""
    sizes: tuple[Size, ...] = ("small", "medium")
    return Thing(choose(rng, common.SHAPES), colour, choose(rng, sizes), choose(rng, common.TEXTURES))


def listed(names: Sequence[str]) -> str:
    """Return names as a list in words: "a, b and c"."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def sides(side: Side, first: Named) -> tuple[Side, Side]:
    """Return (side of the object that is named first, side of the other), where `a` has `side`."""
    other = OPPOSITE[side]
    return (side, other) if first == "a" else (other, side)


@dataclass(frozen=True, kw_only=True)
class TwoNamedParams(Params):
    """Base of the parameters of a family whose captions name two objects."""

    a: Thing
    """The object whose side the other parameters give."""
    b: Thing
    """The object on the other side."""

    @property
    @abstractmethod
    def side_of_a(self) -> Side:
        """The side of object `a`; object `b` has the other."""


Q = TypeVar("Q", bound=TwoNamedParams)


class TwoNamed(Family[Q]):
    """A family whose captions name two objects, `a` and `b`, in either order."""

    @abstractmethod
    def phrases(self, p: Q, first: Named = "a") -> Sequence[str]:
        """Return the phrasings that name the object `first` first."""

    def caption(self, p: Q, rng: np.random.Generator, long: bool = False, first: Named | None = None) -> str:
        """Return the caption; first: the object that is named first, by the phrasing if None."""
        k = int(rng.integers(len(self.phrases(p))))
        alternating: Named = "b" if k % 2 else "a"
        words = common.sentence(self.phrases(p, first or alternating)[k])
        return f"{words} {self.details(p)}" if long else words
