"""The scene family "single"."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import EXCHANGED, OPPOSITE, Across, Params
from sora_eval.world.families.things import Thing, sample_thing
from sora_eval.world.scene import Scene, Vec3

Motion = Literal["still", "left", "right", "closer", "away", "up", "down"]
MOTIONS: tuple[Motion, ...] = ("still", "left", "right", "closer", "away", "up", "down")
_WAY: dict[Motion, Vec3] = {
    "still": (0.0, 0.0, 0.0),
    "left": (-1.0, 0.0, 0.0),
    "right": (1.0, 0.0, 0.0),
    "closer": (0.0, -1.0, 0.0),
    "away": (0.0, 1.0, 0.0),
    "up": (0.0, 0.0, 1.0),
    "down": (0.0, 0.0, -1.0),
}
_WORDS: dict[Motion, tuple[str, ...]] = {
    "still": ("{hero} stands still", "{hero} stands on the floor and does not move"),
    "left": ("{hero} {verb} to the left", "{hero} {verb} from right to left"),
    "right": ("{hero} {verb} to the right", "{hero} {verb} from left to right"),
    "closer": ("{hero} {verb} closer to us", "{hero} comes towards the camera"),
    "away": ("{hero} {verb} away from us", "{hero} goes away from the camera"),
    "up": ("{hero} floats up", "{hero} rises straight up from the floor"),
    "down": ("{hero} sinks down", "{hero} sinks straight down to the floor"),
}


@dataclass(frozen=True)
class SingleParams(Params):
    """Parameters of `Single`."""

    hero: Thing
    """The object."""
    motion: Annotated[Motion, EXCHANGED]
    """Its motion, one of `MOTIONS`."""
    way: float
    """Length of its path in metres."""
    x: Across
    """Position along x of the middle of its path, in metres."""


class Single(Family[SingleParams]):
    """One object on a floor with a still camera: it stays, moves along one axis, floats up or sinks down."""

    name = "single"

    def sample(self, rng: np.random.Generator) -> SingleParams:
        thing = sample_thing(rng, common.sample_colours(rng, 1)[0])
        return SingleParams(
            hero=replace(thing, size=common.choose(rng, tuple(common.SIZES))),
            motion=common.choose(rng, MOTIONS),
            way=round(float(rng.uniform(1.8, 3.0)), 2),
            x=round(float(rng.uniform(-0.4, 0.4)), 2),
            style=common.sample_style(rng),
        )

    def build(self, p: SingleParams, duration_s: float) -> Scene:
        """Return the scene; the way is gone once, at a steady speed, in the clip's duration."""
        body = p.hero.stand("hero", p.x, 0.0)
        dx, dy, dz = (p.way * part for part in _WAY[p.motion])
        low = body.pos[2]
        # Left, right, closer and away pass the middle halfway; up begins and down ends on the floor.
        start = (p.x - dx / 2, -dy / 2, low if dz >= 0 else low - dz)
        end = (p.x + dx / 2, dy / 2, start[2] + dz)
        rolled = -float(np.degrees(2 * dx / body.size[0])) if p.hero.shape == "ball" else 0.0
        moving = replace(
            body,
            pos=start,
            motion="path",
            path=((0.0, *start), (duration_s, *end)),
            turns=((0.0, 0.0, 0.0), (duration_s, 0.0, -rolled)) if rolled else (),
        )
        view = common.front_view(duration_s, 7.6, 2.2, (0.0, 0.0, 1.25))
        facts = {"hero": "hero", "sided": ["hero"] if p.motion in OPPOSITE else []}
        return common.set_up(p.style, (moving,), view, duration_s, facts=facts)

    def phrases(self, p: SingleParams) -> list[str]:
        return [words.format(hero=p.hero.words, verb=p.hero.verb) for words in _WORDS[p.motion]]

    def details(self, p: SingleParams) -> str:
        return f"{p.hero.looks} {common.style_words(p.style)} {common.STILL}"
