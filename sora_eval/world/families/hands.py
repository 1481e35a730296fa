"""The scene family "hands"."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from manifold3d import Manifold

from sora_eval.world import shapes
from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Across, Colour, Params, Side
from sora_eval.world.scene import Body, Mesh, Scene, Vec3

_HEAD_M, _HEAD_Z = 0.86, 1.86
_SHOULDER = (0.33, 1.2)
_ARM_M, _HAND_M = 0.84, 0.46
_LOW_DEG, _HIGH_DEG = 150.0, 36.0
_RISE = (0.28, 0.75)
"""When the hand goes up, as shares of the clip: later than the conditioning frames of v2v."""
_KEYS = 17
Facing = Literal["us", "away"]
FACING_WORDS: dict[Facing, str] = {"us": "facing us", "away": "turned away from us"}


@dataclass(frozen=True)
class HandsParams(Params):
    """Parameters of `Hands`."""

    hand: Side
    """The hand that rises, the figure's own left or right."""
    facing: Facing
    """Whether the figure faces the viewer, a key of `FACING_WORDS`."""
    shirt: Colour
    """Colour of the shirt."""
    hair: Colour
    """Colour of the hair."""
    gloves: Colour
    """Colour of both gloves."""
    place: Across
    """Position of the figure along x, in metres."""


class Hands(Family[HandsParams]):
    """A simple figure, facing us or turned away, raises its left or its right hand."""

    name = "hands"

    def sample(self, rng: np.random.Generator) -> HandsParams:
        shirt, hair, gloves = common.sample_colours(rng, 3)
        return HandsParams(
            hand=common.choose(rng, SIDES),
            facing=common.choose(rng, tuple(FACING_WORDS)),
            shirt=shirt,
            hair=hair,
            gloves=gloves,
            place=round(float(rng.uniform(-0.15, 0.15)), 2),
            style=common.sample_style(rng),
        )

    def build(self, p: HandsParams, duration_s: float) -> Scene:
        """Return the scene; the hand rises through the middle of the clip and stays up."""
        front = -1.0 if p.facing == "us" else 1.0
        raised = picture_side(p.hand, p.facing)
        bodies = [*_trunk(p.place, p.shirt, front), *_head(p.place, p.hair, front)]
        for side, way in SIGN.items():
            bodies += _arm(side, way, p.place, p.shirt, p.gloves, duration_s, rises=side == raised)
        pairs = {f"{part}_{a}": f"{part}_{OPPOSITE[a]}" for part in ("arm", "hand") for a in SIDES}
        facts = {"hero": f"hand_{raised}", "sided": list(pairs), "partner": pairs, "axis_x": p.place}
        view = common.front_view(duration_s, 6.4, 1.7, (0.0, 0.0, 1.2), 30.0)
        return common.set_up(p.style, bodies, view, duration_s, facts=facts)

    def phrases(self, p: HandsParams) -> list[str]:
        hand, facing = p.hand, FACING_WORDS[p.facing]
        shirt = common.article(f"{p.shirt} shirt")
        gloves, hair = f"{p.gloves} gloves", f"{p.hair} hair"
        return [
            f"a figure with {hair}, {shirt} and {gloves} stands {facing} and raises its {hand} hand",
            f"{facing}, a figure with {hair} in {shirt} lifts its {hand} hand; its gloves are {p.gloves}",
            f"a figure in {shirt} and {gloves}, with {hair}, is {facing}; it puts up its {hand} hand and keeps it there",
        ]

    def details(self, p: HandsParams) -> str:
        face = "Its face is pale." if p.facing == "us" else "We see the back of its head."
        return (
            f"Both hands hang down at first. {face} The other hand stays down. {common.style_words(p.style)}"
            f" {common.STILL}"
        )


def picture_side(hand: Side, facing: Facing) -> Side:
    """Return the side of the frame on which a hand of the figure is."""
    return OPPOSITE[hand] if facing == "us" else hand


def _part(name: str, shape: Any, size: Vec3, colour: str, pos: Vec3, **more: Any) -> Body:
    return Body(name, shape, size, colour, pos, solid=False, **more)


def _trunk(x: float, shirt: str, front: float) -> list[Body]:
    bodies = [_part("shirt", "capsule", (0.8, 0.8, 1.14), shirt, (x, 0.0, 0.95))]
    for name, dx in (("left", -0.21), ("right", 0.21)):
        bodies.append(_part(f"leg_{name}", "capsule", (0.3, 0.3, 0.75), "slate", (x + dx, 0.0, 0.38), tracked=False))
        foot = (x + dx, 0.1 * front, 0.09)
        bodies.append(_part(f"foot_{name}", "box", (0.3, 0.5, 0.18), "dark grey", foot, tracked=False))
    return bodies


def _head(x: float, hair: str, front: float) -> list[Body]:
    mesh = _hair_mesh()
    # The mesh is made for a figure that faces us.
    yaw = 0.0 if front < 0 else 180.0
    extent = float(_HEAD_M * 1.12)
    bodies = [
        _part("face", "ball", (_HEAD_M,) * 3, "cream", (x, 0.0, _HEAD_Z), glow=0.3, tracked=False),
        _part("hair", "mesh", (extent,) * 3, hair, (x, 0.0, _HEAD_Z), yaw=yaw, mesh=mesh),
    ]
    for name, dx in (("left", -0.16), ("right", 0.16)):
        eye = (x + dx, front * 0.40, _HEAD_Z - 0.03)
        bodies.append(_part(f"eye_{name}", "ball", (0.12,) * 3, "dark grey", eye, tracked=False))
    mouth = (x, front * 0.385, _HEAD_Z - 0.21)
    bodies.append(_part("mouth", "box", (0.2, 0.06, 0.045), "dark grey", mouth, tracked=False))
    return bodies


@lru_cache(maxsize=1)
def _hair_mesh() -> Mesh:
    """Return a cap that leaves the face free: all of a ball a little larger than the head, but for the lower front."""
    radius = _HEAD_M / 2 * 1.12
    whole = Manifold.sphere(radius, 48)
    face = Manifold.cube((4.0, 2.0, 2.0), True).rotate((-14.0, 0.0, 0.0)).translate((0.0, -0.96, -0.80))
    return shapes.to_mesh(whole - face)


def _arm(side: Side, way: float, x: float, shirt: str, gloves: str, duration_s: float, *, rises: bool) -> list[Body]:
    """Return an arm and its hand; angles are measured from upright, outwards."""
    u = np.linspace(0.0, 1.0, _KEYS)
    smooth = u * u * (3 - 2 * u)
    t = duration_s * (_RISE[0] + (_RISE[1] - _RISE[0]) * u)
    angle = np.radians(_LOW_DEG + (_HIGH_DEG - _LOW_DEG) * smooth * rises)
    out, up = way * np.sin(angle), np.cos(angle)

    def along(length: float) -> tuple[tuple[float, float, float, float], ...]:
        keys = zip(t, x + way * _SHOULDER[0] + length * out, _SHOULDER[1] + length * up, strict=True)
        return tuple((float(a), float(b), -0.06, float(c)) for a, b, c in keys)

    turns = tuple((float(a), 0.0, float(b)) for a, b in zip(t, way * np.degrees(angle), strict=True))
    arm = _part(f"arm_{side}", "capsule", (0.27, 0.27, _ARM_M), shirt, (x, 0.0, _SHOULDER[1]), motion="path")
    hand = _part(f"hand_{side}", "ball", (_HAND_M,) * 3, gloves, (x, 0.0, _SHOULDER[1]), motion="path")
    return [replace(arm, path=along(_ARM_M / 2), turns=turns), replace(hand, path=along(_ARM_M))]
