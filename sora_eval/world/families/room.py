"""The scene family "room"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import EXCHANGED, Across, Colour, OneOf, Params, Record, Texture
from sora_eval.world.families.things import listed
from sora_eval.world.scene import Body, CameraPath, Scene, Shape

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


@dataclass(frozen=True)
class Placed(Record):
    """An object on the floor."""

    shape: Shape
    """One of `common.SHAPES`."""
    colour: Colour
    """Its colour."""
    size: float
    """Its width in metres."""
    x: Across
    """Position along x in metres."""
    y: float
    """Position along y in metres."""
    yaw: Across
    """Turn about the vertical axis in degrees."""
    texture: Texture
    """The pattern of its surface."""


@dataclass(frozen=True)
class Spot(Record):
    """A round spot painted on the floor."""

    colour: Colour
    """Its colour."""
    x: Across
    """Position along x in metres."""
    y: float
    """Position along y in metres."""


T = TypeVar("T", Placed, Spot)


@dataclass(frozen=True)
class RoomParams(Params):
    """Parameters of `Room`."""

    move: Annotated[str, OneOf(MOVES)]
    """The camera move, a key of `MOVES`."""
    to: Annotated[str, EXCHANGED]
    """Its direction, one of those in `MOVES`."""
    objects: tuple[Placed, ...]
    """The objects, in no order."""
    spots: tuple[Spot, ...]
    """The painted spots from left to right."""


class Room(Family[RoomParams]):
    """A room that stands still while the camera moves: four objects, three painted spots, any camera move."""

    name = "room"
    camera = ""

    def sample(self, rng: np.random.Generator, move: str | None = None) -> RoomParams:
        """Return the parameters of a random member, with a given camera move or any."""
        kind = move or common.choose(rng, tuple(MOVES))
        colours = common.sample_colours(rng, 7)
        columns = rng.permutation([-2.1, -0.7, 0.7, 2.1])
        objects = tuple(
            Placed(
                shape=common.choose(rng, common.SHAPES),
                colour=colours[i],
                size=round(float(rng.uniform(0.78, 0.92)), 2),
                x=round(float(columns[i] + rng.uniform(-0.08, 0.08)), 2),
                y=round(float(rng.uniform(0.0, 1.1)), 2),
                yaw=round(float(rng.uniform(0, 90)), 0),
                texture=common.choose(rng, common.TEXTURES),
            )
            for i in range(4)
        )
        spots = tuple(
            Spot(
                colour=colours[4 + i],
                x=round(float(x + rng.uniform(-0.15, 0.15)), 2),
                y=round(float(rng.uniform(-2.4, -1.9)), 2),
            )
            for i, x in enumerate((-1.45, 0.0, 1.45))
        )
        return RoomParams(
            move=kind,
            to=common.choose(rng, MOVES[kind]),
            objects=objects,
            spots=spots,
            style=common.sample_style(rng),
        )

    def build(self, p: RoomParams, duration_s: float) -> Scene:
        bodies = [
            common.standing(f"object{i}", o.shape, o.size, o.colour, o.x, o.y, yaw=o.yaw, texture=o.texture)
            for i, o in enumerate(p.objects)
        ]
        bodies += [
            Body(f"spot{i}", "cylinder", (1.0, 1.0, 0.02), s.colour, (s.x, s.y, 0.01), solid=False)
            for i, s in enumerate(p.spots)
        ]
        facts = {
            "hero": [f"object{i}" for i in range(len(p.objects))],
            "spots": [f"spot{i}" for i in range(len(p.spots))],
            "hidden_s": (0.3 * duration_s, 0.7 * duration_s),
            "stranger": (0.0, -0.95, 0.0),
        }
        return common.set_up(p.style, bodies, path(duration_s, p.move, p.to), duration_s, facts=facts)

    def phrases(self, p: RoomParams) -> list[str]:
        things = listed([common.article(f"{o.colour} {o.shape}") for o in _from_left(p.objects)])
        colours = listed([s.colour for s in _from_left(p.spots)])
        spots = common.sentence(f"round spots in {colours} are painted on the floor before them")
        inward = "towards" if p.to == "in" else "away from"
        rises = "rises" if p.to == "up" else "sinks"
        moves = (w.format(to=p.to, inward=inward, rises=rises, things=things) for w in _WORDS[p.move])
        return [f"{common.sentence(words)} {spots}" for words in moves]

    def details(self, p: RoomParams) -> str:
        order = ", ".join(f"{o.texture} {o.colour} {o.shape}" for o in _from_left(p.objects))
        still = "Nothing moves." if p.move == "still" else "Nothing but the camera moves."
        return f"From left to right: {order}. {common.style_words(p.style)} {still}"


def _from_left(placed: Sequence[T]) -> list[T]:
    return sorted(placed, key=lambda thing: thing.x)


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
