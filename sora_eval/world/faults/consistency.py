"""Faults of 3D consistency: a world that is redrawn in every frame instead of being looked at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sora_eval.types import Floats
from sora_eval.world.faults.base import Broken, after, fault, heroes, index
from sora_eval.world.physics import States
from sora_eval.world.scene import Scene


def _directions(names: list[str]) -> Floats:
    """Return a fixed horizontal direction per name, [N, 2]; spread evenly so that no two agree."""
    angle = 0.7 + 2 * np.pi * np.arange(len(names)) / max(len(names), 1)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _shifted(scene: Scene, names: list[str], shift: Floats) -> Broken:
    """Move bodies by `shift` [N, T, 2] metres on the floor; T of any length is stretched over the clip."""

    def edit(states: States) -> States:
        pos = states.pos.copy()
        u = np.linspace(0, 1, shift.shape[1])
        at = states.t_s / max(scene.duration_s, 1e-9)
        for name, path in zip(names, shift, strict=True):
            for axis in (0, 1):
                pos[:, index(scene, name), axis] += np.interp(at, u, path[:, axis])
        return replace(states, pos=pos)

    return Broken(scene, edit=edit)


@fault("hero")
def drift(scene: Scene, severity: float) -> Broken:
    """Every object wanders off on a bent path of its own, by up to 1.2 m."""
    names = heroes(scene)
    u = np.linspace(0, 1, 65)[None, :, None]
    ways = _directions(names)
    across = np.stack([-ways[:, 1], ways[:, 0]], axis=1)
    bent = ways[:, None] * u + 0.6 * across[:, None] * np.sin(2 * np.pi * u)
    return _shifted(scene, names, 1.2 * severity * bent)


@fault("spots")
def texture_swims(scene: Scene, severity: float) -> Broken:
    """The pattern of the floor, spots and tiles, slides to and fro under the objects by up to 0.9 m."""
    names = list(scene.facts["spots"])
    u = np.linspace(0, 1, 65)
    slide = 0.9 * severity * np.stack([np.sin(4 * np.pi * u), 0.6 * np.sin(2 * np.pi * u)], axis=1)
    moved = _shifted(scene, names, np.repeat(slide[None], len(names), axis=0))

    def edit(states: States) -> States:
        at = states.t_s / max(scene.duration_s, 1e-9)
        tiles = np.stack([np.interp(at, u, slide[:, 0]), np.interp(at, u, slide[:, 1])], axis=1)
        return replace(moved.edit(states), slide=tiles)

    return Broken(scene, edit=edit)


@fault("hero")
def pulse(scene: Scene, severity: float) -> Broken:
    """Every object swells and shrinks by up to 45%, out of step with the others."""
    names = heroes(scene)

    def edit(states: States) -> States:
        scale, pos = states.scale.copy(), states.pos.copy()
        u = states.t_s / max(scene.duration_s, 1e-9)
        for k, name in enumerate(names):
            body = scene.body(name)
            factor = 1 + 0.45 * severity * np.sin(2 * np.pi * (2.0 * u + k / len(names)))
            if body.shape in ("cone", "mesh"):
                continue  # a mesh can't be scaled by the caster
            scale[:, index(scene, name)] *= factor[:, None]
            pos[:, index(scene, name), 2] += body.size[2] / 2 * (factor - 1)
        return replace(states, scale=scale, pos=pos)

    return Broken(scene, edit=edit)


@fault()
def boiling(scene: Scene, severity: float) -> Broken:
    """Every frame gets noise of its own, with a standard deviation of up to 24 grey levels."""
    return Broken(scene, edit=lambda states: replace(states, noise=24.0 * severity))


@fault("hero")
def jumps(scene: Scene, severity: float) -> Broken:
    """In the middle of the clip every object jumps by up to 1 m, each its own way, at once."""
    names = heroes(scene)
    ways = _directions(names)

    def edit(states: States) -> States:
        pos = states.pos.copy()
        late = after(states, scene.duration_s / 2)
        for name, way in zip(names, ways, strict=True):
            pos[late, index(scene, name), :2] += 1.0 * severity * way
        return replace(states, pos=pos)

    return Broken(scene, edit=edit)
