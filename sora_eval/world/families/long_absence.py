"""The scene family "long_absence"."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Colour, Params, Side, Size, Texture
from sora_eval.world.scene import Body, Scene, Shape

AWAY_S: tuple[Literal[2, 5, 10, 30], ...] = (2, 5, 10, 30)
"""For how long the object is out of sight, in seconds."""
SHARE = 0.5
"""Share of the clip for which it is out of sight at most."""
_SCREEN = (1.9, 0.12, 1.95)
_DISTANCE, _NEARER = 9.0, 1.0
_OUTSIDE, _SLOWEST_S = 7.4, 2.4
"""Metres to the side that are out of sight in a frame twice as wide as high, and the longest time for the way there."""


@dataclass(frozen=True)
class LongAbsenceParams(Params):
    """Parameters of `LongAbsence`."""

    by: Literal["screen", "motion"]
    """What takes it out of sight: a screen before it, or its own way out of the picture."""
    away_s: Literal[2, 5, 10, 30]
    """For how long it is out of sight, one of `AWAY_S`; in a clip that is too short for it, for half of that."""
    shape: Shape
    """Shape of the object."""
    colour: Colour
    """Colour of the object."""
    landmark: Colour
    """Colour of the landmark."""
    landmark_shape: Shape
    """Shape of the landmark."""
    screen: Colour
    """Colour of the screen; of nothing where there is none."""
    side: Side
    """The side of the object, on which the screen comes in, or on which the object leaves."""
    size: Size
    """Width of the object."""
    texture: Texture
    """The pattern of the object."""


class LongAbsence(Family[LongAbsenceParams]):
    """An object that is out of sight for seconds up to half a minute: behind a screen that stays, or out of the picture."""

    name = "long_absence"
    in_training = False

    def sample(self, rng: np.random.Generator) -> LongAbsenceParams:
        colour, landmark, screen = common.sample_colours(rng, 3)
        ways: tuple[Literal["screen", "motion"], ...] = ("screen", "motion")
        return LongAbsenceParams(
            by=common.choose(rng, ways),
            away_s=common.choose(rng, AWAY_S),
            shape=common.choose(rng, common.SHAPES),
            colour=colour,
            landmark=landmark,
            landmark_shape=common.choose(rng, ("cone", "cylinder")),
            screen=screen,
            side=common.choose(rng, SIDES),
            size=common.choose(rng, ("medium", "large")),
            texture=common.choose(rng, common.TEXTURES),
            style=common.sample_style(rng),
        )

    def build(self, p: LongAbsenceParams, duration_s: float) -> Scene:
        """Return the scene; the absence is in the middle of the clip, and as long as `away_s` says."""
        way, width = SIGN[p.side], common.SIZES[p.size]
        away_s = min(float(p.away_s), SHARE * duration_s)
        lead_s = (duration_s - away_s) / 2
        gone, back = lead_s, duration_s - lead_s
        mark = common.standing("landmark", p.landmark_shape, 0.95, p.landmark, -way * 1.9, 0.0, solid=False)
        hero = common.standing("hero", p.shape, width, p.colour, way * 0.75, 0.0, texture=p.texture, solid=False)
        bodies = [hero, mark]
        move_s = min(0.8 * lead_s, _SLOWEST_S)
        if p.by == "screen":
            bodies.append(_screen(p, way, (gone - move_s, gone, back, back + move_s)))
        else:
            bodies[0] = _leaving(hero, way, (gone, back), move_s)
        facts = {
            "hero": "hero",
            "hidden_s": (gone, back),
            "elsewhere": (-way * 1.0, 0.0, 0.0) if p.by == "screen" else (0.0, 3.0, 0.0),
            "spare": (way * 1.35 * width, 0.0, 0.0),
            "stranger": (-way * 0.45, 1.9, 0.0),
        }
        view = common.front_view(duration_s, _DISTANCE)
        return common.set_up(p.style, bodies, view, duration_s, facts=facts)

    def phrases(self, p: LongAbsenceParams) -> list[str]:
        side, other, away = p.side, OPPOSITE[p.side], f"{p.away_s} seconds"
        hero, mark = common.article(f"{p.colour} {p.shape}"), common.article(f"{p.landmark} {p.landmark_shape}")
        if p.by == "screen":
            screen = common.article(f"{p.screen} screen")
            return [
                f"{hero} stands on the {side} and {mark} on the {other}; {screen} slides in from the {side}, hides the {p.shape} for "
                f"{away} and then slides on past the {p.landmark_shape} and out on the {other}",
                f"{screen} comes in from the {side}, stops in front of {hero}, stays for {away}, then goes on to the {other} and out of "
                f"the picture, in front of {mark}; the {p.shape} is still there",
            ]
        verb = "rolls" if p.shape == "ball" else "slides"
        return [
            f"{hero} {verb} out of the picture on the {side}, is away for {away}, comes back the same way and stops close to {mark} on the "
            f"{other}",
            f"{mark} stands on the {other}; {hero} leaves the picture to the {side} and returns from there after {away}, up to the "
            f"{p.landmark_shape}",
        ]

    def details(self, p: LongAbsenceParams) -> str:
        return f"The {p.shape} is {p.size} and {p.texture}. {common.style_words(p.style)} {common.STILL}"


def _screen(p: LongAbsenceParams, way: float, when: tuple[float, ...]) -> Body:
    """Return the screen that comes in, stays before the object, and goes on to the other side."""
    z, y = _SCREEN[2] / 2, -_NEARER
    over = way * 0.75 * (_DISTANCE - _NEARER) / _DISTANCE
    places = (way * _OUTSIDE, over, over, -way * _OUTSIDE)
    path = tuple((t, x, y, z) for t, x in zip(when, places, strict=True))
    return Body("screen", "box", _SCREEN, p.screen, path[0][1:], motion="path", path=path, solid=False)


def _leaving(hero: Body, way: float, away: tuple[float, float], move_s: float) -> Body:
    """Return the object on its way out of a square picture at away[0] and in again at away[1], farther than it came from."""
    z, start, end, edge = hero.pos[2], way * 0.75, -way * 0.3, way * 3.6
    speed = abs(edge - start) / move_s
    # Frames wider than a square show more: it is out of those as well within a tenth of its absence, however slow it was.
    beyond, quick_s = way * _OUTSIDE, 0.1 * (away[1] - away[0])
    keys = (
        (away[0] - move_s, start),
        (away[0], edge),
        (away[0] + quick_s, beyond),
        (away[1] - quick_s, beyond),
        (away[1], edge),
        (away[1] + abs(edge - end) / speed * 0.85, end),
    )
    path = tuple((t, x, 0.0, z) for t, x in keys)
    rolled = [float(np.degrees((x - start) * 2 / hero.size[0])) for _, x in keys]
    turns = tuple((t, 0.0, r) for (t, _), r in zip(keys, rolled, strict=True)) if hero.shape == "ball" else ()
    return replace(hero, motion="path", path=path, turns=turns, pos=path[0][1:])
