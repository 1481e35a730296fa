"""One thing on a floor does one thing: it stays, moves along one axis, floats up or sinks down; the camera is still."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sora_eval.world.families import common, things
from sora_eval.world.families.common import Params
from sora_eval.world.scene import Scene, Vec3

MOTIONS: tuple[str, ...] = ("still", "left", "right", "closer", "away", "up", "down")
_WAY: dict[str, Vec3] = {
    "still": (0.0, 0.0, 0.0),
    "left": (-1.0, 0.0, 0.0),
    "right": (1.0, 0.0, 0.0),
    "closer": (0.0, -1.0, 0.0),
    "away": (0.0, 1.0, 0.0),
    "up": (0.0, 0.0, 1.0),
    "down": (0.0, 0.0, -1.0),
}
_WORDS: dict[str, tuple[str, ...]] = {
    "still": ("{hero} stands still", "{hero} stands on the floor and does not move"),
    "left": ("{hero} {verb} to the left", "{hero} {verb} from right to left"),
    "right": ("{hero} {verb} to the right", "{hero} {verb} from left to right"),
    "closer": ("{hero} {verb} closer to us", "{hero} comes towards the camera"),
    "away": ("{hero} {verb} away from us", "{hero} goes away from the camera"),
    "up": ("{hero} floats up", "{hero} rises straight up from the floor"),
    "down": ("{hero} sinks down", "{hero} sinks straight down to the floor"),
}


def sample(rng: np.random.Generator) -> Params:
    """Return a random member; `way` is how far it goes, `x` where the middle of its way is, in metres."""
    thing = things.sample_thing(rng, common.sample_colours(rng, 1)[0])
    return {
        "hero": {**thing, "size": str(rng.choice(list(common.SIZES)))},
        "motion": str(rng.choice(MOTIONS)),
        "way": round(float(rng.uniform(1.8, 3.0)), 2),
        "x": round(float(rng.uniform(-0.4, 0.4)), 2),
        "style": common.sample_style(rng),
    }


def mirrored(params: Mapping[str, Any]) -> Params:
    """Return the same scene with left and right exchanged."""
    motion = params["motion"]
    return {
        **params,
        "motion": common.OPPOSITE.get(motion, motion),
        "x": -params["x"],
        "style": common.mirrored_style(params["style"]),
    }


def build(
    duration_s: float, *, hero: Mapping[str, str], motion: str, way: float, x: float, style: Mapping[str, Any]
) -> Scene:
    """Return the scene; the way is gone once, at a steady speed, in the clip's duration."""
    body = things.stand("hero", hero, x, 0.0)
    dx, dy, dz = (way * part for part in _WAY[motion])
    low = body.pos[2]
    # Left, right, closer and away pass the middle halfway; up begins and down ends on the floor.
    start = (x - dx / 2, -dy / 2, low if dz >= 0 else low - dz)
    end = (x + dx / 2, dy / 2, start[2] + dz)
    rolled = -float(np.degrees(2 * dx / body.size[0])) if hero["shape"] == "ball" else 0.0
    moving = replace(
        body,
        pos=start,
        motion="path",
        path=((0.0, *start), (duration_s, *end)),
        turns=((0.0, 0.0, 0.0), (duration_s, 0.0, -rolled)) if rolled else (),
    )
    view = common.front_view(duration_s, 7.6, 2.2, (0.0, 0.0, 1.25))
    facts = {"hero": "hero", "sided": ["hero"] if motion in common.OPPOSITE else []}
    return common.set_up(style, (moving,), view, duration_s, facts=facts)


def caption(params: Mapping[str, Any], rng: np.random.Generator, long: bool = False) -> str:
    """Return words for the scene."""
    some = _WORDS[params["motion"]]
    hero = things.words(params["hero"])
    said = some[int(rng.integers(len(some)))].format(hero=hero, verb=things.verb(params["hero"]))
    words = common.sentence(said)
    if long:
        words += f" {things.look_words(params['hero'])} {common.style_words(params['style'])} The camera does not move."
    return words


def setting(params: Mapping[str, Any]) -> str:
    """Return what a prompt adds to the short caption: floor, backdrop and a camera that stands still."""
    return common.setting(params["style"], common.STILL)
