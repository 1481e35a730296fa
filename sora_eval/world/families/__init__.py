"""Scene families by name; each is a module with sample, mirrored, build and caption (see common.py)."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from sora_eval.errors import unknown
from sora_eval.plugins.entries import entries
from sora_eval.world.families import (
    bite,
    brush,
    camera_pan,
    candle,
    collision,
    count,
    covered,
    evolves_unseen,
    free_fall_bounce,
    hands,
    leave_and_return,
    motion,
    opposite_motion,
    pass_behind,
    projectile,
    ramp,
    relation,
    room,
    shatter,
    single,
    topple,
    two_drops,
    two_shots,
    voxel,
)

FAMILIES: dict[str, ModuleType] = {
    "single": single,
    "room": room,
    "pass_behind": pass_behind,
    "covered": covered,
    "leave_and_return": leave_and_return,
    "evolves_unseen": evolves_unseen,
    "count": count,
    "two_shots": two_shots,
    "relation": relation,
    "motion": motion,
    "opposite_motion": opposite_motion,
    "camera_pan": camera_pan,
    "hands": hands,
    "bite": bite,
    "candle": candle,
    "shatter": shatter,
    "brush": brush,
    "free_fall_bounce": free_fall_bounce,
    "two_drops": two_drops,
    "projectile": projectile,
    "collision": collision,
    "ramp": ramp,
    "topple": topple,
    "voxel": voxel,
}


def family(name: str) -> Any:
    """Return a scene family by its name, of the bundle or of a plug-in.

    Raises:
        ConfigError: there is none of that name, or it can't be imported.
    """
    if name in FAMILIES:
        return FAMILIES[name]
    declared = entries("families", FAMILIES)
    if name not in declared:
        raise unknown("scene family", name, [*FAMILIES, *declared])
    return declared[name].load()


def draw(family: str, number: int, seed: int, stream: str = "training") -> tuple[dict[str, Any], np.random.Generator]:
    """Return the parameters of member `number` of a family in a stream, and the generator that goes on with its words.

    Streams ("training", "heldout") are disjoint, also from the probes', whose seeds begin with the word "probe".
    """
    rng = np.random.default_rng([seed, *stream.encode(), *family.encode(), number])
    return FAMILIES[family].sample(rng), rng
