"""A room that stands still while the camera moves: four objects, three painted spots, any camera move."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.families import common
from sora_eval.world.families.common import Params
from sora_eval.world.scene import Body, CameraPath, Scene

MOVES: dict[str, tuple[str, ...]] = {
    "orbit": ("left", "right"),
    "dolly": ("in", "out"),
    "truck": ("left", "right"),
    "crane": ("up", "down"),
    "pan": ("left", "right"),
    "tilt": ("up", "down"),
    "zoom": ("in", "out"),
    "revisit": ("left", "right"),
    "still": ("still",),
}
_CENTRE = (0.0, 0.0, 0.6)
_EYE = (0.0, -10.2, 3.9)
_WORDS: dict[str, tuple[str, ...]] = {
    "orbit": (
        "the camera circles to the {to} around {things}",
        "the camera moves around {things} towards the {to}, always facing them",
    ),
    "dolly": (
        "the camera moves straight {inward} {things}",
        "{things} stand still while the camera travels {inward} them",
    ),
    "truck": (
        "the camera slides sideways to the {to} past {things}",
        "{things} stand still while the camera travels to the {to} without turning",
    ),
    "crane": ("the camera {rises} {to} and looks at {things}", "the camera moves {to} in front of {things}"),
    "pan": ("the camera turns to the {to} on the spot; {things} are in view", "the camera pans {to} across {things}"),
    "tilt": ("the camera tilts {to}; {things} are in view", "{things} stand still while the camera tilts {to}"),
    "zoom": ("the camera zooms {to} on {things}", "{things} stand still while the picture zooms {to}"),
    "revisit": (
        "the camera looks at {things}, turns {to} until all are out of sight and turns back to them",
        "{things} stand still; the camera turns {to} until none is in sight and returns to the same view",
    ),
    "still": ("{things} stand still and the camera does not move", "a still picture of {things}"),
}


def sample(rng: np.random.Generator, move: str | None = None) -> Params:
    """Return a random member, with a given camera move if wanted."""
    kind = move or str(rng.choice(list(MOVES)))
    colours = common.sample_colours(rng, 7)
    columns = rng.permutation([-2.1, -0.7, 0.7, 2.1])
    objects = [
        {
            "shape": str(rng.choice(common.SHAPES)),
            "colour": colours[i],
            "size": round(float(rng.uniform(0.78, 0.92)), 2),
            "x": round(float(columns[i] + rng.uniform(-0.08, 0.08)), 2),
            "y": round(float(rng.uniform(0.0, 1.1)), 2),
            "yaw": round(float(rng.uniform(0, 90)), 0),
            "texture": str(rng.choice(common.TEXTURES)),
        }
        for i in range(4)
    ]
    spots = [
        {
            "colour": colours[4 + i],
            "x": round(float(x + rng.uniform(-0.15, 0.15)), 2),
            "y": round(float(rng.uniform(-2.4, -1.9)), 2),
        }
        for i, x in enumerate((-1.45, 0.0, 1.45))
    ]
    return {
        "move": kind,
        "to": str(rng.choice(MOVES[kind])),
        "objects": objects,
        "spots": spots,
        "style": common.sample_style(rng),
    }


def mirrored(params: Mapping[str, Any]) -> Params:
    """Return the same scene with left and right exchanged."""

    def flip(things: list[Params]) -> list[Params]:
        return [{**o, "x": -o["x"], **({"yaw": -o["yaw"]} if "yaw" in o else {})} for o in things]

    return {
        **params,
        "to": common.OPPOSITE.get(params["to"], params["to"]),
        "objects": flip(params["objects"]),
        "spots": flip(params["spots"]),
        "style": common.mirrored_style(params["style"]),
    }


def path(duration_s: float, move: str, to: str) -> CameraPath:
    """Return the camera path of a move."""
    sign = -1.0 if to in ("left", "out", "down") else 1.0
    if move == "orbit":
        return cameras.orbit(duration_s, _CENTRE, 10.2, 3.9, sign * 34)
    if move == "dolly":
        return cameras.move(duration_s, _EYE, _CENTRE, (0.0, sign * 4.2, sign * -1.05))
    if move == "truck":
        return cameras.move(duration_s, _EYE, _CENTRE, (sign * 2.2, 0.0, 0.0))
    if move == "crane":
        return cameras.move(duration_s, _EYE, _CENTRE, (0.0, 0.0, sign * 1.6))
    if move == "zoom":
        narrow, wide = 30.0, 44.0
        return cameras.zoom(duration_s, _EYE, _CENTRE, *((wide, narrow) if sign > 0 else (narrow, wide)))
    if move == "pan":
        return cameras.turn(duration_s, _EYE, _CENTRE, lambda u: sign * 16 * (u - 0.5), lambda u: 0.0)
    if move == "tilt":
        return cameras.turn(duration_s, _EYE, _CENTRE, lambda u: 0.0, lambda u: sign * 12 * (u - 0.5))
    if move == "revisit":
        return cameras.turn(duration_s, _EYE, _CENTRE, cameras.away_and_back(sign * 58), lambda u: 0.0)
    return cameras.still(duration_s, _EYE, _CENTRE)


def build(
    duration_s: float, *, move: str, to: str, objects: list[Params], spots: list[Params], style: Mapping[str, Any]
) -> Scene:
    """Return the scene."""
    bodies = [
        common.standing(
            f"object{i}", o["shape"], o["size"], o["colour"], o["x"], o["y"], yaw=o["yaw"], texture=o["texture"]
        )
        for i, o in enumerate(objects)
    ]
    bodies += [
        Body(f"spot{i}", "cylinder", (1.0, 1.0, 0.02), s["colour"], (s["x"], s["y"], 0.01), solid=False)
        for i, s in enumerate(spots)
    ]
    facts: Params = {
        "hero": [f"object{i}" for i in range(len(objects))],
        "spots": [f"spot{i}" for i in range(len(spots))],
        "hidden_s": (0.3 * duration_s, 0.7 * duration_s),
        "stranger": (0.0, -0.95, 0.0),
    }
    return common.set_up(style, bodies, path(duration_s, move, to), duration_s, facts=facts)


def caption(params: Mapping[str, Any], rng: np.random.Generator, long: bool = False) -> str:
    """Return words for the scene."""
    things = [common.article(f"{o['colour']} {o['shape']}") for o in sorted(params["objects"], key=lambda o: o["x"])]
    listed = f"{', '.join(things[:-1])} and {things[-1]}"
    patterns = _WORDS[params["move"]]
    inward = "towards" if params["to"] == "in" else "away from"
    rises = "rises" if params["to"] == "up" else "sinks"
    words = common.sentence(
        patterns[int(rng.integers(len(patterns)))].format(to=params["to"], inward=inward, rises=rises, things=listed)
    )
    spots = [s["colour"] for s in sorted(params["spots"], key=lambda s: s["x"])]
    words += f" {common.sentence(f'round spots in {spots[0]}, {spots[1]} and {spots[2]} are painted on the floor before them')}"
    if long:
        order = ", ".join(
            f"{o['texture']} {o['colour']} {o['shape']}" for o in sorted(params["objects"], key=lambda o: o["x"])
        )
        still = "Nothing moves." if params["move"] == "still" else "Nothing but the camera moves."
        words += f" From left to right: {order}. {common.style_words(params['style'])} {still}"
    return words


def setting(params: Mapping[str, Any]) -> str:
    """Return what a prompt adds to the short caption: floor, backdrop; the caption speaks of the camera."""
    return common.setting(params["style"])
