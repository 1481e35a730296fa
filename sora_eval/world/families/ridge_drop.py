"""The scene family "ridge_drop"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from manifold3d import Manifold

from sora_eval.world import shapes
from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.draws import DrawParams, draw_number, numbers_of
from sora_eval.world.families.params import Colour, Mirrored, Texture
from sora_eval.world.scene import Body, Mesh, Scene

EDGES: tuple[float, ...] = (0.25, 0.5, 0.75)
"""Where the edge may stand, as a share of the ridge's width from the left."""
WIDTH_M, HEIGHT_M, _DEPTH_M = 3.8, 1.8, 2.4
_SPEED = 5.0
_SHOWN_S = 0.01
_CLEAR_M = 0.25
_VIEW_M = 10.5
_EYE_M = 3.0
_WORDS = {
    0.25: "a quarter of its width from its left end",
    0.5: "over its middle",
    0.75: "a quarter of its width from its right end",
}
Edge = Annotated[float, Mirrored(lambda share: 1 - share)]


@dataclass(frozen=True)
class RidgeDropParams(DrawParams):
    """Parameters of `RidgeDrop`."""

    ball: Colour
    """Colour of the ball."""
    ridge: Colour
    """Colour of the ridge."""
    edge: Edge
    """Where the ridge's edge stands, as a share of its width from the left."""
    diameter_m: float
    """Diameter of the ball in metres."""
    texture: Texture
    """The pattern of the ball."""

    @property
    def drop_m(self) -> float:
        """Where the ball falls, metres right of the ridge's middle: anywhere above it, with the same chance, but clear of the edge."""
        across = WIDTH_M * float(numbers_of(self.draw).uniform(-0.5, 0.5))
        off = (-across if self.flipped else across) - self.edge_m
        # On the edge it would lie for longer than a clip. It is moved to the side on which it is, so that probabilities stay.
        return self.edge_m + float(np.copysign(max(abs(off), _CLEAR_M), off))

    @property
    def edge_m(self) -> float:
        """Where the edge stands, metres right of the ridge's middle."""
        return (self.edge - 0.5) * WIDTH_M


class RidgeDrop(Family[RidgeDropParams]):
    """A ball falls from above the picture onto a ridge, at a random place, and rolls down on one side of its edge."""

    name = "ridge_drop"
    camera = common.LEVEL
    in_training = False

    def sample(self, rng: np.random.Generator) -> RidgeDropParams:
        ball, ridge = common.sample_colours(rng, 2)
        return RidgeDropParams(
            ball=ball,
            ridge=ridge,
            edge=common.choose(rng, EDGES),
            diameter_m=common.choose(rng, (0.9, 1.0, 1.1)),
            texture=common.choose(rng, common.TEXTURES),
            draw=draw_number(rng),
            style=common.sample_style(rng),
        )

    def build(self, p: RidgeDropParams, duration_s: float) -> Scene:
        top = _EYE_M + _VIEW_M * float(np.tan(np.radians(20.0)))
        # In the first frame it is not yet in the picture, nor its shadow: they would give the outcome away.
        start = top + p.diameter_m
        hero = Body(
            "ball",
            "ball",
            (p.diameter_m,) * 3,
            p.ball,
            (p.drop_m, 0.0, start),
            texture=p.texture,
            motion="free",
            velocity=(0.0, 0.0, -_SPEED),
            friction=0.5,
            shown=(_SHOWN_S, 1e9),
        )
        size = (WIDTH_M, _DEPTH_M, HEIGHT_M)
        ridge = Body("ridge", "mesh", size, p.ridge, (0.0, 0.0, 0.0), mesh=ridge_mesh(p.edge), friction=0.5)
        facts = {"falling": ("ball",), "divide": p.edge_m, "ridge": "ridge"}
        view = common.front_view(duration_s, _VIEW_M, _EYE_M, (0.0, 0.0, _EYE_M), 40.0)
        return common.set_up(p.style, (hero, ridge), view, duration_s, facts=facts)

    def phrases(self, p: RidgeDropParams) -> list[str]:
        ball, ridge, where = common.article(f"{p.ball} ball"), common.article(f"{p.ridge} ridge"), _WORDS[p.edge]
        return [
            f"{ball} falls from above the picture onto {ridge} shaped like a roof, whose edge is {where}; it may hit any place of the ridge"
            " and rolls down to the floor on the left or on the right",
            f"{ridge}, shaped like a roof with its edge {where}, lies on the floor; {ball} drops onto it at a random place from above the"
            " picture and rolls down on that side of the edge",
            f"from above the picture {ball} drops at a random place onto {ridge} like a roof with its edge {where}, and rolls off to the"
            " left or to the right",
        ]

    def details(self, p: RidgeDropParams) -> str:
        return (
            f"The ball is {p.texture} and {common.metres(p.diameter_m)} wide, the ridge is {common.metres(WIDTH_M)} wide."
            f" {common.style_words(p.style)} {common.LEVEL}"
        )


def ridge_mesh(edge: float) -> Mesh:
    """Return a triangular prism that lies on the floor around x = 0. edge: where its upper edge stands, as a share of its width."""
    half = WIDTH_M / 2
    corners = [
        (x, y, z)
        for y in (-_DEPTH_M / 2, _DEPTH_M / 2)
        for x, z in ((-half, 0.0), (half, 0.0), ((edge - 0.5) * WIDTH_M, HEIGHT_M))
    ]
    return shapes.to_mesh(Manifold.hull_points(np.array(corners, dtype=np.float32)))
