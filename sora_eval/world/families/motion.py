"""One thing moves to the left or right past two pillars; the camera stands still or follows it at a slower pace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.families import common, things
from sora_eval.world.families.common import Params
from sora_eval.world.scene import Body, Scene

_REACH_M = 2.1
_FOLLOW_M = 1.3


def sample(rng: np.random.Generator) -> Params:
    """Return a random member; `pillars` are the colours from left to right."""
    colours = common.sample_colours(rng, 3)
    return {
        "hero": things.sample_thing(rng, colours[0]),
        "pillars": colours[1:],
        "to": str(rng.choice(["left", "right"])),
        "camera": str(rng.choice(["still", "follows"])),
        "style": common.sample_style(rng),
    }


def mirrored(params: Mapping[str, Any]) -> Params:
    """Return the same scene with left and right exchanged."""
    return {
        **params,
        "to": common.OPPOSITE[params["to"]],
        "pillars": params["pillars"][::-1],
        "style": common.mirrored_style(params["style"]),
    }


def build(
    duration_s: float,
    *,
    hero: Mapping[str, str],
    pillars: list[str],
    to: str,
    camera: str,
    style: Mapping[str, Any],
) -> Scene:
    """Return the scene; the way is walked once in the clip's duration."""
    way = 1.0 if to == "right" else -1.0
    mover = things.cross("hero", hero, way, _REACH_M, -1.0, duration_s)
    posts = [
        Body(f"pillar{i}", "box", (0.8, 0.8, 2.5), c, (x, 1.6, 1.25))
        for i, (c, x) in enumerate(zip(pillars, (-1.25, 1.25), strict=True))
    ]
    shift = way * 2 * _FOLLOW_M if camera == "follows" else 0.0
    view = cameras.move(duration_s, (0.0, -9.2, 2.6), (0.0, 0.0, 1.15), (shift, 0.0, 0.0))
    facts = {"hero": "hero", "sided": ["hero"]}
    return common.set_up(style, (mover, *posts), view, duration_s, facts=facts)


def caption(params: Mapping[str, Any], rng: np.random.Generator, long: bool = False) -> str:
    """Return words for the scene."""
    to, start = params["to"], common.OPPOSITE[params["to"]]
    hero, verb = things.words(params["hero"]), things.verb(params["hero"])
    posts = things.listed([common.article(f"{c} pillar") for c in sorted(params["pillars"])])
    follows = params["camera"] == "follows"
    short = [
        f"{hero} {verb} to the {to} past {posts}",
        f"{hero} {verb} from {start} to {to} in front of {posts}",
        f"{posts} stand still while {hero} {verb} past them to the {to}",
    ]
    words = short[int(rng.integers(len(short)))]
    words = common.sentence(f"{words}, and the camera follows it at a slower pace" if follows else words)
    if long:
        still = "" if follows else " The camera does not move."
        words += f" {things.look_words(params['hero'])} {common.style_words(params['style'])}{still}"
    return words


def setting(params: Mapping[str, Any]) -> str:
    """Return what a prompt adds to the short caption: floor, backdrop, and the camera where it stands still."""
    return common.setting(params["style"], "" if params["camera"] == "follows" else common.STILL)
