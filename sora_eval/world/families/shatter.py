"""A glass falls onto the floor beside a block and breaks into pieces."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from sora_eval.world import shapes
from sora_eval.world.families import common
from sora_eval.world.families.common import Params
from sora_eval.world.scene import Body, Fracture, Mesh, Scene, Vec3

GLASS: Vec3 = (0.8, 0.8, 1.0)
DROPS_M: dict[str, float] = {"a little above the floor": 1.5, "high above the floor": 1.9}
BLOCK_M = 0.85
_PIECES = 16


def sample(rng: np.random.Generator) -> Params:
    """Return a random member."""
    glass, block = common.sample_colours(rng, 2)
    return {
        "glass": glass,
        "block": block,
        "side": str(rng.choice(["left", "right"])),
        "drop": str(rng.choice(list(DROPS_M))),
        "tilt": round(float(rng.uniform(-14, 14)), 1),
        "cracks": int(rng.integers(1000)),
        "style": common.sample_style(rng),
    }


def mirrored(params: Mapping[str, Any]) -> Params:
    """Return the same scene with left and right exchanged, cracks included."""
    return {
        **params,
        "side": common.OPPOSITE[params["side"]],
        "tilt": -params["tilt"],
        "style": common.mirrored_style(params["style"]),
    }


@lru_cache(maxsize=64)
def _pieces(cracks: int, flip: bool) -> tuple[tuple[Vec3, Mesh], ...]:
    found = shapes.voronoi_pieces(shapes.goblet(GLASS), _PIECES, cracks)
    if not flip:
        return tuple(found)
    mirror = np.array([-1.0, 1.0, 1.0])
    return tuple(((-x, y, z), Mesh(m.vertices * mirror, m.faces[:, ::-1])) for (x, y, z), m in found)


def states(params: Mapping[str, Any]) -> tuple[str, str]:
    """Return what a picture shows before and after it has happened, a sentence each."""
    return f"An empty {params['glass']} glass.", f"Pieces of {common.article(params['glass'])} glass on the floor."


def build(
    duration_s: float,
    *,
    glass: str,
    block: str,
    side: str,
    drop: str,
    tilt: float,
    cracks: int,
    style: Mapping[str, Any],
) -> Scene:
    """Return the scene; the fall takes half a second and more, whatever the clip's duration."""
    way = 1.0 if side == "right" else -1.0
    whole = shapes.to_mesh(shapes.goblet(GLASS))
    place: Vec3 = (-0.45 * way, 0.0, DROPS_M[drop] + GLASS[2] / 2)
    bodies = [
        Body("glass", "mesh", GLASS, glass, place, roll=tilt, motion="free", mass=0.4, friction=0.5, mesh=whole),
        Body("block", "box", (BLOCK_M,) * 3, block, (way * 1.35, 0.0, BLOCK_M / 2)),
    ]
    names = []
    for k, (at, mesh) in enumerate(_pieces(cracks, way < 0)):
        low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
        size: Vec3 = tuple(float(v) for v in high - low)  # type: ignore[assignment]
        bodies.append(
            Body(f"piece{k}", "mesh", size, glass, at, motion="free", mass=0.4 / _PIECES, friction=0.8, mesh=mesh)
        )
        names.append(f"piece{k}")
    facts = {"hero": "glass", "drop_m": DROPS_M[drop], "pieces": names}
    camera = common.front_view(duration_s, distance=5.4, height=2.9, look=(0.0, 0.0, 1.2))
    fracture = Fracture("glass", tuple(names), kick=2.5)
    return common.set_up(style, bodies, camera, duration_s, facts=facts, fracture=fracture)


def caption(params: Mapping[str, Any], rng: np.random.Generator, long: bool = False) -> str:
    """Return words for the scene."""
    side = params["side"]
    glass, block = f"{params['glass']} glass", f"{params['block']} block"
    short = [
        f"{common.article(glass)} falls onto the floor and shatters into many pieces; {common.article(block)}"
        f" stands on the {side} of it",
        f"{common.article(glass)} drops from above, hits the floor to the {common.OPPOSITE[side]} of"
        f" {common.article(block)} and breaks into pieces,"
        " which stay where they come to rest",
        f"beside {common.article(block)} on the {side}, {common.article(glass)} falls, hits the floor and bursts"
        " into shards",
    ]
    words = common.sentence(short[int(rng.integers(len(short)))])
    if long:
        words += (
            f" The glass is an empty tumbler that begins {params['drop']}; the block is a cube and does not move."
            f" {common.style_words(params['style'])} The camera does not move."
        )
    return words


def setting(params: Mapping[str, Any]) -> str:
    """Return what a prompt adds to the short caption: floor, backdrop and a camera that stands still."""
    return common.setting(params["style"], common.STILL)
