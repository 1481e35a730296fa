"""The camera pans to the left or right over things that stand in a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.families import common, things
from sora_eval.world.families.common import Params
from sora_eval.world.scene import Scene

_AZIMUTHS = (-24.0, -8.0, 8.0, 24.0)
_EYE = (0.0, -6.8, 1.9)
_PAN_DEG = 15.0


def sample(rng: np.random.Generator) -> Params:
    """Return a random member; `row` is given from left to right."""
    colours = common.sample_colours(rng, len(_AZIMUTHS))
    return {
        "row": [things.sample_thing(rng, c) for c in colours],
        "away": [round(float(v), 2) for v in rng.uniform(6.2, 7.4, len(_AZIMUTHS))],
        "to": str(rng.choice(["left", "right"])),
        "style": common.sample_style(rng),
    }


def mirrored(params: Mapping[str, Any]) -> Params:
    """Return the same scene with left and right exchanged."""
    return {
        **params,
        "row": params["row"][::-1],
        "away": params["away"][::-1],
        "to": common.OPPOSITE[params["to"]],
        "style": common.mirrored_style(params["style"]),
    }


def build(
    duration_s: float, *, row: list[Mapping[str, str]], away: list[float], to: str, style: Mapping[str, Any]
) -> Scene:
    """Return the scene: things on an arc around the camera, `away` metres from it, and a pan over 30 degrees."""
    way = 1.0 if to == "right" else -1.0
    bodies = []
    for i, (words, far, angle) in enumerate(zip(row, away, np.radians(_AZIMUTHS), strict=True)):
        x, y = far * np.sin(angle), _EYE[1] + far * np.cos(angle)
        bodies.append(things.stand(f"thing{i}", words, float(x), float(y)))

    def pan(u: float) -> float:
        return way * _PAN_DEG * (2 * u - 1)

    view = cameras.turn(duration_s, _EYE, (0.0, 0.0, 0.85), pan, lambda u: 0.0)
    facts = {"hero": [b.name for b in bodies], "sided": []}
    return common.set_up(style, bodies, view, duration_s, facts=facts)


def caption(params: Mapping[str, Any], rng: np.random.Generator, long: bool = False) -> str:
    """Return words for the scene; the order of the row is not told, so that only the pan has a side."""
    to, start = params["to"], common.OPPOSITE[params["to"]]
    names = sorted(things.words(t) for t in params["row"])
    row = things.listed(names)
    short = [
        f"the camera pans to the {to} over {row}, which stand in a row",
        f"{row} stand in a row; the camera pans from {start} to {to}",
        f"a slow pan to the {to} along a row of things: {row}",
    ]
    words = common.sentence(short[int(rng.integers(len(short)))])
    if long:
        sizes = " ".join(things.look_words(t) for t in sorted(params["row"], key=lambda t: str(t["colour"])))
        words += f" {sizes} Nothing but the camera moves. {common.style_words(params['style'])}"
    return words


def setting(params: Mapping[str, Any]) -> str:
    """Return what a prompt adds to the short caption: floor, backdrop; the caption speaks of the camera."""
    return common.setting(params["style"])
