"""The scene family "camera_move"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import EXCHANGED, Colour, OneOf, Params
from sora_eval.world.families.room import Placed
from sora_eval.world.families.things import listed
from sora_eval.world.scene import Body, CameraPath, Scene, Vec3

Speed = Literal["slowly", "quickly"]
DIRECTIONS: dict[str, tuple[str, str]] = {
    "pan": ("left", "right"),
    "truck": ("left", "right"),
    "orbit": ("left", "right"),
    "roll": ("left", "right"),
    "tilt": ("down", "up"),
    "crane": ("down", "up"),
    "dolly": ("out", "in"),
    "zoom": ("out", "in"),
    "still": ("left", "right"),
}
"""The directions of each move, the negative one first. Those of "still" are of the ball that rolls past."""
OPPOSITE: dict[str, str] = {a: b for one, other in DIRECTIONS.values() for a, b in ((one, other), (other, one))}
OTHER_MOVE: dict[str, str] = {
    "pan": "truck",
    "truck": "pan",
    "orbit": "truck",
    "roll": "pan",
    "tilt": "crane",
    "crane": "tilt",
    "dolly": "zoom",
    "zoom": "dolly",
    "still": "pan",
}
"""The move that is most easily taken for another one."""
SHARE: dict[Speed, float] = {"slowly": 0.5, "quickly": 1.0}
"""Shares of `EXTENT` that a clip shows, whatever its length."""
EYE, CENTRE, FOV = (0.0, -10.2, 3.9), (0.0, 0.0, 0.6), 40.0
"""The first view: metres, and degrees across the shorter side."""
FAR_M = float(np.linalg.norm(np.subtract(EYE, CENTRE)))
EXTENT: dict[str, float] = {
    "pan": np.radians(16.0),
    "tilt": np.radians(12.0),
    "roll": np.radians(30.0),
    "orbit": np.radians(34.0),
    "zoom": 0.5,
    "truck": 2.6 / FAR_M,
    "crane": 2.0 / FAR_M,
    "dolly": 4.8 / FAR_M,
    "still": 0.0,
}
"""What the camera does in a whole clip when it moves quickly: radians, the logarithm of the magnification, or the way as a share of the
distance of the scene's centre. All are about the share of the focal length by which the picture shifts or grows."""
_WAY_M = {"slowly": 2.6, "quickly": 4.2}
"""How far the ball rolls."""
_WORDS: dict[str, tuple[str, str]] = {
    "pan": (
        "the camera pans {speed} to the {to} across {things}",
        "the camera turns {speed} to the {to} on the spot; {things} are in view",
    ),
    "tilt": (
        "the camera tilts {speed} {to} on the spot; {things} are in view",
        "{things} stand still while the camera tilts {speed} {to} without moving",
    ),
    "dolly": (
        "the camera moves {speed} straight {inward} {things}",
        "{things} stand still while the camera travels {speed} {inward} them",
    ),
    "truck": (
        "the camera slides {speed} sideways to the {to} past {things}, without turning",
        "{things} stand still while the camera travels {speed} to the {to} without turning",
    ),
    "crane": (
        "the camera {rises} {speed} straight {to} in front of {things}, without tilting",
        "{things} stand still while the whole camera moves {speed} {to} without tilting",
    ),
    "orbit": (
        "the camera circles {speed} to the {to} around {things}, always facing them",
        "the camera moves {speed} around {things} towards the {to}, always facing them",
    ),
    "zoom": (
        "the lens zooms {speed} {to} on {things}; the camera stays where it is",
        "{things} stand still while the picture zooms {speed} {to} and the camera stays in its place",
    ),
    "roll": (
        "the camera rolls {speed} to the {to} about its line of sight, and the horizon leans to the {opposite}; {things} are in view",
        "{things} are in view while the camera rolls {speed} to the {to}, so that the whole picture turns to the {opposite}",
    ),
    "still": (
        "the camera does not move while a {rolling} ball rolls {speed} to the {to} in front of {things}",
        "a {rolling} ball rolls {speed} to the {to} in front of {things}, seen by a camera that stays perfectly still",
    ),
}


@dataclass(frozen=True)
class CameraMoveParams(Params):
    """Parameters of `CameraMove`."""

    move: Annotated[str, OneOf(DIRECTIONS)]
    """The camera move, a key of `DIRECTIONS`."""
    to: Annotated[str, EXCHANGED]
    """Its direction, or that of the ball where the camera is still."""
    speed: Speed
    """Its speed."""
    things: tuple[Placed, ...]
    """The objects, in no order."""
    rolling: tuple[Colour, ...]
    """Colour of the ball that rolls past a still camera; () for a camera that moves."""

    @property
    def sign(self) -> float:
        """-1 for the negative direction, 1 for the positive one."""
        return -1.0 if self.to == DIRECTIONS[self.move][0] else 1.0

    @property
    def amount(self) -> float:
        """What the camera does in the clip, signed, as in `EXTENT`."""
        return self.sign * SHARE[self.speed] * EXTENT[self.move]

    @property
    def sided(self) -> bool:
        """Whether the move goes to the left or to the right, so that a mirror exchanges its directions."""
        return self.to in ("left", "right")

    def opposite(self) -> CameraMoveParams:
        """Return the same scene with the opposite move."""
        return replace(self, to=OPPOSITE[self.to])


class CameraMove(Family[CameraMoveParams]):
    """One camera move at one of two speeds, or a still camera, before three patterned objects at different distances."""

    name = "camera_move"
    camera = ""
    in_training = False
    camera_is_given = True

    def sample(self, rng: np.random.Generator, move: str | None = None) -> CameraMoveParams:
        """Return the parameters of a random member, with a given camera move or any."""
        kind = move or common.choose(rng, tuple(DIRECTIONS))
        colours = common.sample_colours(rng, 4)
        things = sample_things(rng, colours[:3])
        return CameraMoveParams(
            move=kind,
            to=common.choose(rng, DIRECTIONS[kind]),
            speed=common.choose(rng, tuple(SHARE)),
            things=things,
            rolling=(colours[3],) if kind == "still" else (),
            style=common.sample_style(rng),
        )

    def build(self, p: CameraMoveParams, duration_s: float) -> Scene:
        bodies = standing_things(p.things)
        if p.rolling:
            bodies.append(_ball(p, duration_s))
        view = path(p, duration_s)
        # A still camera has no opposite; the move that it makes instead goes the ball's way.
        other = replace(p, move=OTHER_MOVE[p.move], to=DIRECTIONS[OTHER_MOVE[p.move]][p.sign > 0])
        facts = {
            "hero": [body.name for body in bodies[: len(p.things)]],
            "view": view,
            "other_view": path(other, duration_s),
            **({} if p.move == "still" else {"opposite_view": path(p.opposite(), duration_s)}),
        }
        return common.set_up(p.style, bodies, view, duration_s, facts=facts)

    def phrases(self, p: CameraMoveParams) -> list[str]:
        things = named_things(p.things)
        words = {
            "inward": "towards" if p.to == "in" else "away from",
            "rises": "rises" if p.to == "up" else "sinks",
            "opposite": OPPOSITE[p.to],
            "rolling": "".join(p.rolling),
        }
        phrases = (w.format(to=p.to, speed=p.speed, things=things, **words) for w in _WORDS[p.move])
        return [common.sentence(w).replace(" a orange", " an orange") for w in phrases]

    def details(self, p: CameraMoveParams) -> str:
        rest = "Nothing but the ball moves." if p.move == "still" else "Nothing but the camera moves."
        return f"{in_order(p.things)} {common.style_words(p.style)} {rest}"


def sample_things(rng: np.random.Generator, colours: Sequence[Colour]) -> tuple[Placed, ...]:
    """Return a patterned object of each of three colours, at three distances and from left to right in a random order."""
    columns, rows = rng.permutation([-2.0, 0.0, 2.0]), rng.permutation([-2.4, 0.5, 3.4])
    return tuple(
        Placed(
            shape=common.choose(rng, common.SHAPES),
            colour=colour,
            size=round(float(rng.uniform(0.95, 1.1) * (1 + 0.07 * rows[i])), 2),
            x=round(float(columns[i] + rng.uniform(-0.15, 0.15)), 2),
            y=round(float(rows[i] + rng.uniform(-0.2, 0.2)), 2),
            yaw=round(float(rng.uniform(0, 90)), 0),
            texture=common.choose(rng, ("striped", "dotted")),
        )
        for i, colour in enumerate(colours)
    )


def standing_things(things: Sequence[Placed]) -> list[Body]:
    """Return the bodies of objects, called thing0, thing1, ..."""
    return [
        common.standing(f"thing{i}", o.shape, o.size, o.colour, o.x, o.y, yaw=o.yaw, texture=o.texture)
        for i, o in enumerate(things)
    ]


def named_things(things: Sequence[Placed]) -> str:
    """Return objects in words, from left to right: "a red ball, a blue cone and a green cube"."""
    return listed([common.article(f"{o.colour} {o.shape}") for o in sorted(things, key=lambda o: o.x)])


def in_order(things: Sequence[Placed]) -> str:
    """Return a sentence that names the objects with their patterns from left to right."""
    order = ", ".join(f"{o.texture} {o.colour} {o.shape}" for o in sorted(things, key=lambda o: o.x))
    return f"From left to right: {order}."


def _ball(p: CameraMoveParams, duration_s: float) -> Body:
    """Return the ball that crosses the foreground at constant speed."""
    half, size = p.sign * _WAY_M[p.speed] / 2, 0.8
    y = -3.3
    keys = ((0.0, -half, y, size / 2), (duration_s, half, y, size / 2))
    turns = ((0.0, 0.0, 0.0), (duration_s, 0.0, float(np.degrees(2 * half / (size / 2)))))
    start = (-half, y, size / 2)
    return Body("roller", "ball", (size,) * 3, p.rolling[0], start, motion="path", path=keys, turns=turns)


def path(p: CameraMoveParams, duration_s: float) -> CameraPath:
    """Return the camera's path: at constant speed from the same first view, whatever the move."""
    return moved(p.move, p.amount, duration_s)


def moved(
    move: str, amount: float, duration_s: float, eye: Vec3 = EYE, target: Vec3 = CENTRE, fov: float = FOV
) -> CameraPath:
    """Return the path of a move from an upright view of `target`, at constant speed; amount: signed, as in `EXTENT`."""
    degrees = float(np.degrees(amount))
    if move == "pan":
        return cameras.turn(duration_s, eye, target, lambda u: degrees * u, lambda u: 0.0, fov)
    if move == "tilt":
        return cameras.turn(duration_s, eye, target, lambda u: 0.0, lambda u: degrees * u, fov)
    if move == "roll":
        return cameras.roll(duration_s, eye, target, degrees, fov)
    if move == "zoom":
        narrow = 2 * np.arctan(np.tan(np.radians(fov) / 2) * np.exp(-amount))
        return cameras.zoom(duration_s, eye, target, fov, float(np.degrees(narrow)))
    if move == "orbit":
        return cameras.circle(duration_s, eye, target, degrees, fov)
    if move == "still":
        return cameras.still(duration_s, eye, target, fov)
    forward = np.subtract(target, eye)
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    ways = {"truck": right / np.linalg.norm(right), "crane": np.array([0.0, 0.0, 1.0]), "dolly": forward}
    x, y, z = (float(v) for v in amount * FAR_M * ways[move])
    return cameras.move(duration_s, eye, target, (x, y, z), fov, about_middle=False)
