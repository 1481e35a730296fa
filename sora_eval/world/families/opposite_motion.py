"""One thing moves to the left while another moves to the right, past a standing pillar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sora_eval.world.families import common, things
from sora_eval.world.families.common import Params
from sora_eval.world.scene import Body, Scene

_REACH_M = 2.1
_LANES_M = {"near": -1.1, "far": 0.9}


def sample(rng: np.random.Generator) -> Params:
    """Return a random member; `a` moves to the side `to`, `b` to the other."""
    colours = common.sample_colours(rng, 3)
    return {
        "a": things.sample_thing(rng, colours[0]),
        "b": things.sample_thing(rng, colours[1]),
        "pillar": colours[2],
        "to": str(rng.choice(["left", "right"])),
        "lane": str(rng.choice(list(_LANES_M))),
        "style": common.sample_style(rng),
    }


def mirrored(params: Mapping[str, Any]) -> Params:
    """Return the same scene with left and right exchanged."""
    return {**params, "to": common.OPPOSITE[params["to"]], "style": common.mirrored_style(params["style"])}


def build(
    duration_s: float,
    *,
    a: Mapping[str, str],
    b: Mapping[str, str],
    pillar: str,
    to: str,
    lane: str,
    style: Mapping[str, Any],
) -> Scene:
    """Return the scene; `a` runs in its `lane`, `b` in the other, and both cross the picture in the clip's duration."""
    way = 1.0 if to == "right" else -1.0
    other = "far" if lane == "near" else "near"
    first = things.cross("a", a, way, _REACH_M, _LANES_M[lane], duration_s)
    second = things.cross("b", b, -way, _REACH_M, _LANES_M[other], duration_s)
    post = Body("pillar", "box", (0.8, 0.8, 2.9), pillar, (0.0, 2.4, 1.45))
    view = common.front_view(duration_s, 9.2, 3.0, (0.0, 0.0, 1.15))
    facts = {"hero": ["a", "b"], "sided": ["a", "b"]}
    return common.set_up(style, (first, second, post), view, duration_s, facts=facts)


def caption(params: Mapping[str, Any], rng: np.random.Generator, long: bool = False, first: str = "") -> str:
    """Return words for the scene; `first`: which of the two is named first, "a" or "b", "" for either."""
    phrase = int(rng.integers(3))
    first = first or "aba"[phrase]
    one, two = (params[k] for k in (("a", "b") if first == "a" else ("b", "a")))
    a, b, does, also = things.words(one), things.words(two), things.verb(one), things.verb(two)
    to, other = things.sides(params["to"], first)
    post = common.article(f"{params['pillar']} pillar")
    words = common.sentence(
        [
            f"{a} {does} to the {to} while {b} {also} to the {other}, past {post}",
            f"{a} {does} to the {to} and {b} {also} to the {other}; {post} stands behind them",
            f"in front of {post}, {a} {does} from {other} to {to} and {b} {also} from {to} to {other}",
        ][phrase]
    )
    if long:
        words += f" {things.look_words(params['a'])} {things.look_words(params['b'])}"
        words += f" {common.style_words(params['style'])} The camera does not move."
    return words


def setting(params: Mapping[str, Any]) -> str:
    """Return what a prompt adds to the short caption: floor, backdrop and a camera that stands still."""
    return common.setting(params["style"], common.STILL)
