"""The scene family "shatter"."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from sora_eval.world import shapes
from sora_eval.world.families import common
from sora_eval.world.families.base import StateChange
from sora_eval.world.families.params import OPPOSITE, SIDES, SIGN, Across, Colour, Params, Side
from sora_eval.world.scene import Body, Fracture, Mesh, Scene, Vec3

GLASS: Vec3 = (0.8, 0.8, 1.0)
Drop = Literal["a little above the floor", "high above the floor"]
DROPS_M: dict[Drop, float] = {"a little above the floor": 1.5, "high above the floor": 1.9}
BLOCK_M = 0.85
_PIECES = 16


@dataclass(frozen=True)
class ShatterParams(Params):
    """Parameters of `Shatter`."""

    glass: Colour
    """Colour of the glass."""
    block: Colour
    """Colour of the block."""
    side: Side
    """Where the block stands, seen from the glass."""
    drop: Drop
    """Height of the fall in words, a key of `DROPS_M`."""
    tilt: Across
    """Tilt of the glass in degrees."""
    cracks: int
    """Seed of the cracks."""


class Shatter(StateChange[ShatterParams]):
    """A glass falls onto the floor beside a block and breaks into pieces."""

    name = "shatter"

    def sample(self, rng: np.random.Generator) -> ShatterParams:
        glass, block = common.sample_colours(rng, 2)
        return ShatterParams(
            glass=glass,
            block=block,
            side=common.choose(rng, SIDES),
            drop=common.choose(rng, tuple(DROPS_M)),
            tilt=round(float(rng.uniform(-14, 14)), 1),
            cracks=int(rng.integers(1000)),
            style=common.sample_style(rng),
        )

    def build(self, p: ShatterParams, duration_s: float) -> Scene:
        """Return the scene; the fall takes half a second and more, whatever the clip's duration."""
        way = SIGN[p.side]
        whole = shapes.to_mesh(shapes.goblet(GLASS))
        place: Vec3 = (-0.45 * way, 0.0, DROPS_M[p.drop] + GLASS[2] / 2)
        bodies = [
            Body(
                "glass", "mesh", GLASS, p.glass, place, roll=p.tilt, motion="free", mass=0.4, friction=0.5, mesh=whole
            ),
            Body("block", "box", (BLOCK_M,) * 3, p.block, (way * 1.35, 0.0, BLOCK_M / 2)),
        ]
        names = []
        for k, (at, mesh) in enumerate(_pieces(p.cracks, way < 0)):
            low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
            size: Vec3 = tuple(float(v) for v in high - low)  # type: ignore[assignment]
            bodies.append(
                Body(f"piece{k}", "mesh", size, p.glass, at, motion="free", mass=0.4 / _PIECES, friction=0.8, mesh=mesh)
            )
            names.append(f"piece{k}")
        facts = {"hero": "glass", "drop_m": DROPS_M[p.drop], "pieces": names}
        camera = common.front_view(duration_s, distance=5.4, height=2.9, look=(0.0, 0.0, 1.2))
        fracture = Fracture("glass", tuple(names), kick=2.5)
        return common.set_up(p.style, bodies, camera, duration_s, facts=facts, fracture=fracture)

    def states(self, p: ShatterParams) -> tuple[str, str]:
        return f"An empty {p.glass} glass.", f"Pieces of {common.article(p.glass)} glass on the floor."

    def phrases(self, p: ShatterParams) -> list[str]:
        side = p.side
        glass, block = f"{p.glass} glass", f"{p.block} block"
        return [
            f"{common.article(glass)} falls onto the floor and shatters into many pieces; {common.article(block)}"
            f" stands on the {side} of it",
            f"{common.article(glass)} drops from above, hits the floor to the {OPPOSITE[side]} of"
            f" {common.article(block)} and breaks into pieces,"
            " which stay where they come to rest",
            f"beside {common.article(block)} on the {side}, {common.article(glass)} falls, hits the floor and bursts"
            " into shards",
        ]

    def details(self, p: ShatterParams) -> str:
        return (
            f"The glass is an empty tumbler that begins {p.drop}; the block is a cube and does not move."
            f" {common.style_words(p.style)} {common.STILL}"
        )


@lru_cache(maxsize=64)
def _pieces(cracks: int, flip: bool) -> tuple[tuple[Vec3, Mesh], ...]:
    pieces = shapes.voronoi_pieces(shapes.goblet(GLASS), _PIECES, cracks)
    if not flip:
        return tuple(pieces)
    mirror = np.array([-1.0, 1.0, 1.0])
    return tuple(((-x, y, z), Mesh(m.vertices * mirror, m.faces[:, ::-1])) for (x, y, z), m in pieces)
