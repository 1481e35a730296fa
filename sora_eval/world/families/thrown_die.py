"""The scene family "thrown_die"."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import mujoco
import numpy as np
from manifold3d import Manifold

from sora_eval.types import Floats
from sora_eval.world import cameras, physics, shapes
from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.draws import DrawParams, draw_number, numbers_of
from sora_eval.world.families.params import SIDES, SIGN, Colour, Mirrored, Side
from sora_eval.world.scene import Body, CameraPath, Mesh, Scene, Vec3

FACES: tuple[Vec3, ...] = ((-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1))
"""Directions of the six faces at the start."""
SHARES: tuple[tuple[int, ...], ...] = ((3, 2, 1), (2, 2, 2), (4, 1, 1), (3, 3), (4, 2))
"""How many faces each colour has."""
SIDE_M = 1.6
_FACE, _THICK_M = 0.9, 0.02
_REACH_M = 2.3
"""How far from the middle of the picture the die may lie, across and along the view."""
_REST_S = 1.5
"""When the die has to lie still: in the shortest clips half a second is left. Other throws are not drawn."""
_WORDS = {1: "one", 2: "two", 3: "three", 4: "four"}
Faces = Annotated[tuple[Colour, ...], Mirrored(lambda faces: (faces[1], faces[0], *faces[2:]))]


@dataclass(frozen=True)
class ThrownDieParams(DrawParams):
    """Parameters of `ThrownDie`."""

    faces: Faces
    """Colours of the six faces, in the order of `FACES`."""
    start: Side
    """Side of the frame from which the die is thrown."""

    @property
    def counts(self) -> dict[str, int]:
        """How many faces each colour has, most first, equal ones by name."""
        counts = {colour: self.faces.count(colour) for colour in sorted(set(self.faces))}
        return dict(sorted(counts.items(), key=lambda item: -item[1]))


class ThrownDie(Family[ThrownDieParams]):
    """A die with coloured faces is thrown, seen from above, tumbles and comes to rest with one of them on top."""

    name = "thrown_die"
    camera = "The camera looks down from above and does not move."
    in_training = False

    def sample(self, rng: np.random.Generator, shares: tuple[tuple[int, ...], ...] = SHARES) -> ThrownDieParams:
        """Return the parameters of a random member; shares: numbers of faces to choose from."""
        counts = common.choose(rng, shares)
        colours = common.sample_colours(rng, len(counts))
        faces = [colour for colour, count in zip(colours, counts, strict=True) for _ in range(count)]
        return ThrownDieParams(
            faces=tuple(str(f) for f in rng.permutation(faces)),
            start=common.choose(rng, SIDES),
            draw=draw_number(rng),
            style=common.sample_style(rng),
        )

    def build(self, p: ThrownDieParams, duration_s: float) -> Scene:
        way = -SIGN[p.start]
        velocity, spin = _throw(p.draw, way)
        pos = (-way * _START[0], *_START[1:])
        core = _core(pos, velocity, spin)
        parts = [
            Body(
                f"{colour} faces",
                "mesh",
                (SIDE_M,) * 3,
                colour,
                pos,
                motion="path",
                solid=False,
                mesh=_faces(tuple(k for k, c in enumerate(p.faces) if c == colour)),
                part_of="die",
            )
            for colour in p.counts
        ]
        facts = {"die": ("die", *(b.name for b in parts))}
        return common.set_up(p.style, (core, *parts), _view(duration_s), duration_s, facts=facts)

    def phrases(self, p: ThrownDieParams) -> list[str]:
        faces = _faces_in_words(p.counts)
        return [
            f"a large die with {faces} is thrown from the {p.start}; it tumbles over the floor and comes to rest, one face on top",
            f"from the {p.start} somebody throws a large die onto the floor, it has {faces}; it tumbles and then lies still",
            f"a big six-sided die, with {faces}, is rolled over the floor from the {p.start} until it lies still on one face",
        ]

    def details(self, p: ThrownDieParams) -> str:
        return f"The die is {common.metres(SIDE_M)} wide. {common.style_words(p.style)} {self.camera}"


_START: Vec3 = (2.4, 0.0, 1.5)


def _faces_in_words(counts: dict[str, int]) -> str:
    words = [f"{_WORDS[n]} {colour} face{'s' if n > 1 else ''}" for colour, n in counts.items()]
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _view(duration_s: float) -> CameraPath:
    return cameras.still(duration_s, (0.0, -1.0, 11.0), (0.0, 0.0, 0.5), 40.0)


def _core(pos: Vec3, velocity: Vec3, spin: Vec3) -> Body:
    return Body(
        "die",
        "cube",
        (SIDE_M,) * 3,
        "white",
        pos,
        motion="free",
        velocity=velocity,
        spin=spin,
        friction=0.7,
        tracked=False,
    )


@lru_cache(maxsize=64)
def _faces(which: tuple[int, ...]) -> Mesh:
    """Return thin plates on the faces `which` as one mesh around the middle of the die."""
    solid = Manifold()
    for k in which:
        axis = int(np.flatnonzero(FACES[k])[0])
        size = [_FACE * SIDE_M] * 3
        size[axis] = _THICK_M
        shift = tuple(SIDE_M / 2 * v for v in FACES[k])
        solid += Manifold.cube(tuple(size), True).translate(shift)
    return shapes.to_mesh(solid)


@lru_cache(maxsize=4096)
def _throw(draw: int, way: float) -> tuple[Vec3, Vec3]:
    """Return velocity in m/s and angular velocity in rad/s of a throw. way: 1 to the right, -1 to the left.

    Two seconds of tumbling forget the start only in part: of 250 throws 69 ended on the face that lay below, 22 on the one in front of the
    throw. So a draw first picks the face, each with the same chance, and then the first throw that ends on it, flat, in view and in time.
    """
    rng = numbers_of(draw)
    face = int(rng.integers(len(FACES)))
    start = (-way * _START[0], *_START[1:])
    while True:
        axis = rng.normal(size=3)
        sx, sy, sz = (float(v) for v in axis / np.linalg.norm(axis) * rng.uniform(7.0, 12.0))
        vx, vy, vz = float(rng.uniform(2.2, 3.6)), float(rng.uniform(-0.7, 0.7)), float(rng.uniform(-1.0, 1.0))
        core = _core(start, (way * vx, vy, vz), (sx, sy, sz))
        states = physics.simulate(Scene((core,), _view(1.0), 1.0), np.array([0.0, _REST_S - 0.1, _REST_S]))
        place, before = states.pos[-1, 0], states.pos[-2, 0]
        still = np.abs(place - before).max() < 0.01
        in_view = np.abs(place[:2]).max() < _REACH_M and way * (place[0] - start[0]) > SIDE_M
        top, upright = up_face(states.quat[-1, 0])
        if still and in_view and upright > 0.99 and top == face:
            return core.velocity, core.spin


def up_face(quat: Floats) -> tuple[int, float]:
    """Return which of `FACES` is on top of a die turned by a quaternion [4], and the cosine of its angle to the vertical."""
    turn = np.zeros(9)
    mujoco.mju_quat2Mat(turn, quat)
    up = np.array(FACES, dtype=float) @ turn.reshape(3, 3)[2]
    return int(up.argmax()), float(up.max())
