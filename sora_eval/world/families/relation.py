"""Two things stand side by side while the camera comes slowly closer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.families import common, things
from sora_eval.world.families.common import Params
from sora_eval.world.scene import Scene

_CLOSER_M = 1.7
_DISTANCE_M = 8.6


def sample(rng: np.random.Generator) -> Params:
    """Return a random member; `a` stands on `side` of `b`."""
    colours = common.sample_colours(rng, 2)
    return {
        "a": things.sample_thing(rng, colours[0]),
        "b": things.sample_thing(rng, colours[1]),
        "side": str(rng.choice(["left", "right"])),
        "apart": round(float(rng.uniform(2.2, 2.8)), 2),
        "shift": round(float(rng.uniform(-0.25, 0.25)), 2),
        "depth": round(float(rng.uniform(-0.5, 0.5)), 2),
        "style": common.sample_style(rng),
    }


def mirrored(params: Mapping[str, Any]) -> Params:
    """Return the same scene with left and right exchanged."""
    return {
        **params,
        "side": common.OPPOSITE[params["side"]],
        "shift": -params["shift"],
        "style": common.mirrored_style(params["style"]),
    }


def build(
    duration_s: float,
    *,
    a: Mapping[str, str],
    b: Mapping[str, str],
    side: str,
    apart: float,
    shift: float,
    depth: float,
    style: Mapping[str, Any],
) -> Scene:
    """Return the scene: centres `apart` metres from each other, their middle `shift` metres right of the frame's."""
    way = 1.0 if side == "right" else -1.0
    first = things.stand("a", a, shift + way * apart / 2, depth / 2)
    second = things.stand("b", b, shift - way * apart / 2, -depth / 2)
    camera = cameras.move(
        duration_s, (0.0, -_DISTANCE_M, 2.3), (0.0, 0.0, 0.9), (0.0, _CLOSER_M, -0.25), about_middle=False
    )
    return common.set_up(style, (first, second), camera, duration_s, facts={"hero": ["a", "b"], "sided": ["a", "b"]})


def caption(params: Mapping[str, Any], rng: np.random.Generator, long: bool = False, first: str = "") -> str:
    """Return words for the scene; `first`: which of the two is named first, "a" or "b", "" for either."""
    phrase = int(rng.integers(4))
    first = first or "abab"[phrase]
    a, b = (things.words(params[k]) for k in (("a", "b") if first == "a" else ("b", "a")))
    side, other = things.sides(params["side"], first)
    words = common.sentence(
        [
            f"{a} stands to the {side} of {b}, and the camera moves slowly closer",
            f"{a} is to the {side} of {b} while the camera slowly moves in",
            f"the camera moves slowly towards {a} on the {side} and {b} on the {other}",
            f"on the {side} there is {a}, on the {other} {b}; the camera slowly comes closer",
        ][phrase]
    )
    if long:
        words += f" {things.look_words(params['a'])} {things.look_words(params['b'])} They don't move."
        words += f" {common.style_words(params['style'])}"
    return words


def setting(params: Mapping[str, Any]) -> str:
    """Return what a prompt adds to the short caption: floor, backdrop; the caption speaks of the camera."""
    return common.setting(params["style"])
