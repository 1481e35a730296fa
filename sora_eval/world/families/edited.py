"""The scene family "edited"."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import SIGN, Across, Colour, Params, Side
from sora_eval.world.families.things import Thing, sample_thing
from sora_eval.world.palette import COLOURS, hues_apart
from sora_eval.world.scene import Scene

_APART = 2
"""Places in the circle of hues by which colours differ that must not be taken for each other."""


@dataclass(frozen=True)
class EditedParams(Params):
    """Parameters of `Edited`."""

    hero: Thing
    """What moves."""
    post: Thing
    """What stands behind its way."""
    before: Colour
    """Colour of the first one in the clip that is to be edited."""
    to: Side
    """Where it moves."""
    way: float
    """Length of its way in metres."""
    aside: Across
    """Where the other one stands, in metres."""

    @property
    def source(self) -> EditedParams:
        """The parameters of the clip that is to be edited."""
        return replace(self, hero=replace(self.hero, colour=self.before))


class Edited(Family[EditedParams]):
    """One object moves past another one that stands behind its way; in the clip that is to be edited it has another colour."""

    name = "edited"
    in_training = False

    def sample(self, rng: np.random.Generator) -> EditedParams:
        names = list(COLOURS)
        colour = int(rng.integers(len(names)))
        before = (colour + int(rng.integers(_APART, len(names) - _APART + 1))) % len(names)
        others = [k for k in range(len(names)) if min(hues_apart(k, colour), hues_apart(k, before)) >= _APART]
        post = common.choose(rng, others) if others else (colour + 1) % len(names)
        return EditedParams(
            hero=replace(sample_thing(rng, names[colour]), size="medium"),
            post=replace(sample_thing(rng, names[post]), size="medium"),
            before=names[before],
            to=common.choose(rng, ("left", "right")),
            way=round(float(rng.uniform(2.0, 3.0)), 2),
            aside=round(float(rng.uniform(-0.8, 0.8)), 2),
            style=common.sample_style(rng),
        )

    def build(self, p: EditedParams, duration_s: float) -> Scene:
        bodies = (
            p.hero.cross("hero", SIGN[p.to], p.way / 2, -0.4, duration_s),
            p.post.stand("post", p.aside, 2.6),
        )
        view = common.front_view(duration_s, 7.6, 3.6, (0.0, 0.0, 0.9))
        facts = {"hero": "hero", "before": p.before, "beside": "post", "way": SIGN[p.to] * p.way}
        return common.set_up(p.style, bodies, view, duration_s, facts=facts)

    def phrases(self, p: EditedParams) -> list[str]:
        hero, post = p.hero, p.post
        return [
            f"{hero.words} {hero.verb} to the {p.to}, {post.words} stands still behind it",
            f"{hero.words} {hero.verb} to the {p.to} in front of {post.words} that does not move",
        ]

    def details(self, p: EditedParams) -> str:
        return f"{p.hero.looks} {p.post.looks} {common.style_words(p.style)} {common.STILL}"
