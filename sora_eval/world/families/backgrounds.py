"""The scene family "backgrounds"."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from sora_eval.world import looks
from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import SIGN, Across, Mirroring, Params, Record, Side, Style
from sora_eval.world.families.things import Thing, sample_thing
from sora_eval.world.looks import Look
from sora_eval.world.palette import COLOURS, hues_apart
from sora_eval.world.scene import Scene

Ground = Literal["tiles", "grass", "wood"]
Time = Literal["day", "night"]

GROUND_FROM = 0.55
"""From this share of the picture's height on all that is behind the objects is ground: the walls of a room end above."""
_APART = 2
"""Places in the circle of hues by which the two objects differ."""
_GROUND_WORDS: dict[Ground, str] = {
    "tiles": "on a bare floor of grey tiles",
    "grass": "on grass",
    "wood": "on a wooden floor",
}
_TIME_WORDS: dict[Time, str] = {"day": " in bright daylight", "night": " at night, in the dark"}
_FLOORS = ("light grey", "grey")


@dataclass(frozen=True)
class Background(Record):
    """What surrounds the objects."""

    ground: Ground
    """What they move on: grey tiles before a plain backdrop, grass outdoors, or the wooden floor of a room."""
    time: Time
    """Whether it is day or night."""


EDITS: tuple[tuple[Background, Background], ...] = (
    (Background("tiles", "day"), Background("grass", "day")),
    (Background("grass", "day"), Background("grass", "night")),
    (Background("wood", "day"), Background("tiles", "day")),
    (Background("wood", "night"), Background("wood", "day")),
    (Background("grass", "day"), Background("wood", "day")),
)
"""Backgrounds of the source clip and of the edited one; the twin of a case has the two exchanged."""


@dataclass(frozen=True)
class BackgroundsParams(Params):
    """Parameters of `Backgrounds`."""

    hero: Thing
    """What moves."""
    post: Thing
    """What stands behind its way."""
    to: Side
    """Where it moves."""
    way: float
    """Length of its way in metres."""
    aside: Across
    """Where the other one stands, in metres."""
    background: Background
    """What surrounds them."""
    before: Background
    """What surrounds them in the clip that is to be edited."""
    materials: int
    """Seed of materials and patterns."""
    flipped: Mirroring
    """Whether patterns are seen in a mirror."""

    @property
    def source(self) -> BackgroundsParams:
        """The parameters of the clip that is to be edited."""
        return replace(self, background=self.before)


class Backgrounds(Family[BackgroundsParams]):
    """One object moves past another one, on tiles, grass or wood, by day or at night; the clip to be edited has other surroundings."""

    name = "backgrounds"
    in_training = False

    def sample(self, rng: np.random.Generator, edit: tuple[Background, Background] | None = None) -> BackgroundsParams:
        """Return the parameters of a random member; edit: backgrounds of the source clip and of the edited one."""
        drawn = EDITS[int(rng.integers(len(EDITS)))]
        before, background = edit or drawn
        hero, post = common.choose(rng, _pairs(before, background))
        style = common.sample_style(rng)
        return BackgroundsParams(
            hero=replace(sample_thing(rng, hero), size="medium"),
            post=replace(sample_thing(rng, post), size="medium"),
            to=common.choose(rng, ("left", "right")),
            way=round(float(rng.uniform(2.4, 3.4)), 2),
            aside=round(float(rng.uniform(-0.8, 0.8)), 2),
            background=background,
            before=before,
            materials=int(rng.integers(1 << 20)),
            flipped=False,
            style=replace(style, floor=common.choose(rng, _FLOORS)),
        )

    def build(self, p: BackgroundsParams, duration_s: float) -> Scene:
        """Return the scene; a look of the style changes nothing: the surroundings are the case's own."""
        bodies = (
            p.hero.cross("hero", SIGN[p.to], p.way / 2, -0.4, duration_s),
            p.post.stand("post", p.aside, 2.6),
        )
        view = common.front_view(duration_s, 7.8, 2.4, (0.0, 0.0, 1.0))
        facts = {"hero": "hero", "beside": "post", "way": SIGN[p.to] * p.way}
        if p.before != p.background:
            facts["unedited"] = self.build(p.source, duration_s)
        style = _plain(p.style)
        return common.set_up(style, bodies, view, duration_s, look=_look(p), facts=facts)

    def phrases(self, p: BackgroundsParams) -> list[str]:
        hero, post, where = p.hero, p.post, _where(p)
        return [
            f"{hero.words} {hero.verb} to the {p.to} {where}, {post.words} stands still behind it",
            f"{where}, {hero.words} {hero.verb} to the {p.to} in front of {post.words} that does not move",
        ]

    def details(self, p: BackgroundsParams) -> str:
        return f"{p.hero.looks} {p.post.looks} {self.setting(p)}"

    def setting(self, p: BackgroundsParams) -> str:
        """Return what a prompt adds to the short caption: ground, time of day and camera."""
        return f"{_setting(p)} {self.camera}"


def _pairs(*backgrounds: Background) -> list[tuple[str, str]]:
    """Return the pairs of colours that are apart from each other and from all of the backgrounds."""
    grounds, times = {b.ground for b in backgrounds}, {b.time for b in backgrounds}
    # Dark wood has the hue of red in shadow, night and sky that of blue; pink turns red in warm light.
    colours = ["cyan", "purple"]
    colours += ["pink"] if grounds == {"grass", "wood"} else []
    colours += ["red"] if "wood" not in grounds else []
    colours += ["green"] if "grass" not in grounds else []
    colours += ["blue"] if times == {"day"} and "grass" not in grounds else []
    names = list(COLOURS)
    return [(a, b) for a in colours for b in colours if hues_apart(names.index(a), names.index(b)) >= _APART]


def _plain(style: Style) -> Style:
    return replace(style, look=None)


def _where(p: BackgroundsParams) -> str:
    """Return the surroundings in words; the time of day where the edit changes it."""
    time = _TIME_WORDS[p.background.time] if p.background.time != p.before.time else ""
    return f"{_GROUND_WORDS[p.background.ground]}{time}"


def _setting(p: BackgroundsParams) -> str:
    night = p.background.time == "night"
    match p.background.ground:
        case "tiles":
            return "The floor has grey tiles, the backdrop is plain and pale."
        case "grass" if night:
            return "The ground is grass, under the dark sky of a night."
        case "wood" if night:
            return "The floor is wooden, and the room is dark."
        case _:
            look = _look(p)
            assert look is not None
            return look.ground_words


def _look(p: BackgroundsParams) -> Look | None:
    """Return the look of the surroundings, None for tiles."""
    match p.background.ground:
        case "tiles":
            return None
        case "grass":
            look = looks.on_floor("outdoor", "grass", p.materials, p.flipped)
        case "wood":
            look = looks.on_floor("indoor", "wood", p.materials, p.flipped)
    return looks.at_night(look) if p.background.time == "night" else look
