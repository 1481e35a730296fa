"""The scene family "framed_mover"."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.framed import FOV, TAN, FramedParams, eye_and_target, facts, turn_deg
from sora_eval.world.families.params import OPPOSITE, REVERSED, SIDES, SIGN, Colour, Side
from sora_eval.world.families.things import Thing, listed
from sora_eval.world.scene import Body, Scene

_REACH_M = 1.7
_POSTS = ((-1.0, 3.1), (1.0, 3.1))
"""Places of the posts (x, height), metres: they stand behind the way, higher than what passes them."""
_BEHIND_M = 2.2


@dataclass(frozen=True)
class FramedMoverParams(FramedParams):
    """Parameters of `FramedMover`."""

    shape: Literal["ball", "cube"]
    """Shape of the subject."""
    colour: Colour
    """Its colour."""
    pillars: Annotated[tuple[Colour, ...], REVERSED]
    """Colours of the pillars from left to right."""
    to: Side
    """Where the subject goes."""
    share: float
    """Its width as a share of the shorter side of the frame."""

    @property
    def hero(self) -> Thing:
        """The subject."""
        return Thing(self.shape, self.colour, "medium", "plain")


class FramedMover(Family[FramedMoverParams]):
    """A ball or cube moves to the left or right past two pillars; the camera goes along and keeps it whole in the middle of the picture."""

    name = "framed_mover"
    camera = ""
    in_training = False

    def sample(self, rng: np.random.Generator) -> FramedMoverParams:
        colour, *pillars = common.sample_colours(rng, 3)
        return FramedMoverParams(
            shape=common.choose(rng, ("ball", "cube")),
            colour=colour,
            pillars=tuple(pillars),
            to=common.choose(rng, SIDES),
            share=round(float(rng.uniform(0.34, 0.4)), 2),
            aspect=1.0,
            style=common.sample_style(rng),
        )

    def build(self, p: FramedMoverParams, duration_s: float) -> Scene:
        way, half = SIGN[p.to], p.half_frame[0]
        subject = replace(p.hero.cross("hero", way, _REACH_M, 0.0, duration_s), solid=False)
        posts = [
            Body(f"pillar{i}", "box", (0.55, 0.55, high), colour, (x, _BEHIND_M, high / 2))
            for i, ((x, high), colour) in enumerate(zip(_POSTS, p.pillars, strict=True))
        ]
        size = subject.size[0]
        eye, target = eye_and_target(p, (0.0, 0.0, size / 2), size / (2 * p.share * TAN), down_deg=10.0)
        view = cameras.move(duration_s, eye, target, (2 * way * _REACH_M, 0.0, 0.0), FOV)
        acts_on = facts(
            # The camera does not keep pace.
            out_deg=(turn_deg(half, 0.0, way), 0.0),
            elsewhere_deg=turn_deg(half, 0.0, 0.55 * way),
            stretch=("x", 0.5),
            bars="x" if p.aspect >= 1 else "y",
            gradual=True,
        )
        return common.set_up(p.style, (subject, *posts), view, duration_s, facts={"hero": "hero", **acts_on})

    def phrases(self, p: FramedMoverParams) -> list[str]:
        to, start, subject, verb = p.to, OPPOSITE[p.to], p.hero.noun, p.hero.verb
        posts = listed([common.article(f"{c} pillar") for c in sorted(p.pillars)])
        return [
            f"{common.article(f'large {subject}')} {verb} to the {to} past {posts}; the camera moves along with it and keeps it in the "
            "middle of the picture, whole in view",
            f"the camera follows {common.article(f'large {subject}')} that {verb} from {start} to {to} past {posts}, so that it is always "
            "in the middle and never cut off by the border",
            f"{common.article(f'large {subject}')} {verb} past {posts} to the {to}, filmed from a camera at its side that keeps pace with "
            "it: it stays whole and in the middle of the picture",
        ]

    def details(self, p: FramedMoverParams) -> str:
        return f"Nothing but the {p.shape} and the camera moves. {common.style_words(p.style)}"
