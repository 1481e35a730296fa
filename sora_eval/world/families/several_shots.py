"""The scene family "several_shots"."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import SIDES, SIGN, Across, Colour, Params, Side, Texture
from sora_eval.world.families.two_shots import TwoShots, TwoShotsParams
from sora_eval.world.scene import CameraPath, Scene, Shape

SHOTS = 4
NUMBER = "four"
_DISTANCE_M = {"close": 6.6, "far": 10.5}
Distance = Literal["close", "far"]
_ANGLES = (0.0, 30.0, -24.0, 14.0)
"""Of the four shots, in degrees, in some order; neighbours differ by more than 10."""
Trunk = Literal["cylinder", "cone"]


@dataclass(frozen=True)
class SeveralShotsParams(Params):
    """Parameters of `SeveralShots`."""

    body: Colour
    """Colour of the figure's body."""
    body_shape: Trunk
    """Shape of the body."""
    head: Colour
    """Colour of the head, a ball."""
    companion: Colour
    """Colour of the companion."""
    companion_shape: Shape
    """Shape of the companion."""
    side: Side
    """Where the companion stands, seen from the figure."""
    first: Distance
    """Distance of the first shot and the third; the others are from the other distance."""
    angles: tuple[Across, ...]
    """From where the shots are taken, in degrees from the front, positive from the right."""
    texture: Texture
    """The pattern of the body."""

    @property
    def distances(self) -> tuple[Distance, ...]:
        """The distances of the shots."""
        other: Distance = "far" if self.first == "close" else "close"
        return (self.first, other) * (SHOTS // 2)


class SeveralShots(Family[SeveralShotsParams]):
    """A character in four shots with hard cuts between them, from far and close by turns, each from another side."""

    name = "several_shots"
    camera = ""
    in_training = False

    def sample(self, rng: np.random.Generator) -> SeveralShotsParams:
        body, head, companion = common.sample_colours(rng, 3)
        trunks: tuple[Trunk, ...] = ("cylinder", "cone")
        distances: tuple[Distance, ...] = ("close", "far")
        return SeveralShotsParams(
            body=body,
            body_shape=common.choose(rng, trunks),
            head=head,
            companion=companion,
            companion_shape=common.choose(rng, ("ball", "cone", "cylinder")),
            side=common.choose(rng, SIDES),
            first=common.choose(rng, distances),
            angles=tuple(float(a) for a in rng.permutation(_ANGLES)),
            texture=common.choose(rng, common.TEXTURES),
            style=common.sample_style(rng),
        )

    def build(self, p: SeveralShotsParams, duration_s: float) -> Scene:
        """Return the scene of `TwoShots`, filmed in shots of equal length."""
        figure = TwoShotsParams(
            body=p.body, body_shape=p.body_shape, head=p.head, companion=p.companion, companion_shape=p.companion_shape,
            side=p.side, second="closer", swing=p.side, texture=p.texture, style=p.style,
        )  # fmt: skip
        scene = TwoShots().build(figure, duration_s)
        way = SIGN[p.side]
        shots = [_shot(way, _DISTANCE_M[d], a, duration_s) for d, a in zip(p.distances, p.angles, strict=True)]
        ends = [k / SHOTS * duration_s for k in range(1, SHOTS)]

        def joined(path: CameraPath, following: tuple[CameraPath, float]) -> CameraPath:
            return cameras.cut(path, *following)

        view = reduce(joined, zip(shots[1:], ends, strict=True), shots[0])
        facts = {**scene.facts, "hidden_s": (ends[0] - 0.01, ends[0])}
        return common.set_up(p.style, scene.bodies, view, duration_s, facts=facts)

    def phrases(self, p: SeveralShotsParams) -> list[str]:
        figure = common.article(f"{p.body} {p.body_shape}-shaped figure")
        who = f"{figure} with {common.article(p.head)} ball for a head"
        mate = common.article(f"{p.companion} {p.companion_shape}")
        places = [{"far": "from afar", "close": "from close by"}[d] for d in p.distances]
        order = f"{', '.join(places[:-1])} and {places[-1]}"
        return [
            f"{NUMBER} shots of {who} and, to the {p.side} of it, {mate}, with hard cuts between them: {order}, each from another side",
            f"{who} stands still with {mate} to the {p.side} of it, filmed {order} in {NUMBER} shots of equal length with hard cuts",
        ]

    def details(self, p: SeveralShotsParams) -> str:
        return f"The figure is {p.texture}. {common.style_words(p.style)} The camera does not move within a shot."


def _shot(way: float, distance: float, degrees: float, duration_s: float) -> CameraPath:
    angle, look = np.radians(degrees), (way * 0.55, 0.0, 1.3)
    eye = (look[0] + distance * float(np.sin(angle)), -distance * float(np.cos(angle)), look[2] + 0.12 * distance)
    return cameras.still(duration_s, eye, look)
