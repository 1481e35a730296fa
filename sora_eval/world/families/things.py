"""Things in scenes about sides: a shape in a colour, with its size, texture and words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.scene import Body


def sample_thing(rng: np.random.Generator, colour: str) -> dict[str, str]:
    """Return a thing of a colour: shape, size and texture at random."""
    return {
        "shape": str(rng.choice(common.SHAPES)),
        "colour": colour,
        "size": str(rng.choice(["small", "medium"])),
        "texture": str(rng.choice(common.TEXTURES)),
    }


def words(thing: Mapping[str, str]) -> str:
    """Return the name of a thing with its article: "an orange cube"."""
    return common.article(f"{thing['colour']} {thing['shape']}")


def listed(names: list[str]) -> str:
    """Return names as a list in words: "a, b and c"."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def look_words(thing: Mapping[str, str]) -> str:
    """Return a sentence about the size and texture of a thing."""
    return f"The {thing['colour']} {thing['shape']} is {thing['size']} and {thing['texture']}."


def sides(side: str, first: str) -> tuple[str, str]:
    """Return (side of the thing that is named first, side of the other), where `a` has `side`; first: "a" or "b"."""
    other = common.OPPOSITE[side]
    return (side, other) if first == "a" else (other, side)


def verb(thing: Mapping[str, str]) -> str:
    """Return how a thing moves over the floor."""
    return "rolls" if thing["shape"] == "ball" else "slides"


def stand(name: str, thing: Mapping[str, str], x: float, y: float) -> Body:
    """Return the body of a thing that stands on the floor at (x, y)."""
    width = common.SIZES[thing["size"]]
    return common.standing(name, thing["shape"], width, thing["colour"], x, y, texture=thing["texture"])


def cross(name: str, thing: Mapping[str, str], way: float, reach: float, y: float, duration_s: float) -> Body:
    """Return the body of a thing that goes from x = -way * reach to x = way * reach (metres) in the clip's duration."""
    body = stand(name, thing, 0.0, y)
    z = body.pos[2]
    path = ((0.0, -way * reach, y, z), (duration_s, way * reach, y, z))
    # Rolling without slipping; it is seen on a textured ball only.
    rolled = float(np.degrees(4 * reach / body.size[0]))
    turns = ((0.0, 0.0, 0.0), (duration_s, 0.0, way * rolled)) if thing["shape"] == "ball" else ()
    return replace(body, motion="path", path=path, turns=turns)
