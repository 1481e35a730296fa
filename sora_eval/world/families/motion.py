"""The scene family "motion"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import OPPOSITE, REVERSED, SIDES, SIGN, Colour, Params, Side
from sora_eval.world.families.things import Thing, listed, sample_thing
from sora_eval.world.scene import Body, Scene

_REACH_M = 2.1
_FOLLOW_M = 1.3


@dataclass(frozen=True)
class MotionParams(Params):
    """Parameters of `Motion`."""

    hero: Thing
    """The object that moves."""
    pillars: Annotated[tuple[Colour, ...], REVERSED]
    """Colours of the pillars from left to right."""
    to: Side
    """Direction of the object."""
    camera: Literal["still", "follows"]
    """Whether the camera follows the object, at a slower pace."""


class Motion(Family[MotionParams]):
    """One object moves to the left or right past two pillars; the camera stands still or follows it at a slower pace."""

    name = "motion"

    def sample(self, rng: np.random.Generator) -> MotionParams:
        colours = common.sample_colours(rng, 3)
        return MotionParams(
            hero=sample_thing(rng, colours[0]),
            pillars=tuple(colours[1:]),
            to=common.choose(rng, SIDES),
            camera=common.choose(rng, ("still", "follows")),
            style=common.sample_style(rng),
        )

    def build(self, p: MotionParams, duration_s: float) -> Scene:
        """Return the scene; the way is walked once in the clip's duration."""
        way = SIGN[p.to]
        mover = p.hero.cross("hero", way, _REACH_M, -1.0, duration_s)
        posts = [
            Body(f"pillar{i}", "box", (0.8, 0.8, 2.5), c, (x, 1.6, 1.25))
            for i, (c, x) in enumerate(zip(p.pillars, (-1.25, 1.25), strict=True))
        ]
        shift = way * 2 * _FOLLOW_M if p.camera == "follows" else 0.0
        view = cameras.move(duration_s, (0.0, -9.2, 2.6), (0.0, 0.0, 1.15), (shift, 0.0, 0.0))
        facts = {"hero": "hero", "sided": ["hero"]}
        return common.set_up(p.style, (mover, *posts), view, duration_s, facts=facts)

    def phrases(self, p: MotionParams) -> list[str]:
        to, start = p.to, OPPOSITE[p.to]
        hero, verb = p.hero.words, p.hero.verb
        posts = listed([common.article(f"{c} pillar") for c in sorted(p.pillars)])
        follows = ", and the camera follows it at a slower pace" if p.camera == "follows" else ""
        return [
            f"{hero} {verb} to the {to} past {posts}{follows}",
            f"{hero} {verb} from {start} to {to} in front of {posts}{follows}",
            f"{posts} stand still while {hero} {verb} past them to the {to}{follows}",
        ]

    def details(self, p: MotionParams) -> str:
        still = f" {common.STILL}" if p.camera == "still" else ""
        return f"{p.hero.looks} {common.style_words(p.style)}{still}"

    def setting(self, p: MotionParams) -> str:
        """Return what a prompt adds to the short caption: floor, backdrop, and the camera where it stands still."""
        return common.setting(p.style, "" if p.camera == "follows" else common.STILL)
