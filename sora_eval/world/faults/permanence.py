"""Faults of object permanence: wrong changes of an object while it is out of sight.

They read from `scene.facts`: "hidden_s", when the hero is out of sight (seconds, from and to), and where there is room
for the wrong change: "elsewhere", the way (x, y, z in metres) by which a teleported hero is off; "spare", where its
double stands, seen from it; and "stranger", where a new object stands (x, y, and the height of its underside).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sora_eval.types import Bools
from sora_eval.world import palette, shapes
from sora_eval.world.faults.base import Broken, after, fault, heroes, index, with_body
from sora_eval.world.physics import States, orientation
from sora_eval.world.scene import Body, Scene


def _middle(scene: Scene) -> float:
    a, b = scene.facts["hidden_s"]
    return float(a + b) / 2


def _lately(scene: Scene, states: States, severity: float) -> Bools:
    """Return which frames [T] lie in the last `severity` share of the time after the hero was hidden."""
    start = scene.duration_s - severity * (scene.duration_s - _middle(scene))
    return np.asarray(states.t_s > start + 1e-9)


@fault("hero", "hidden_s")
def stopped(scene: Scene, severity: float) -> Broken:
    """The hero stands still for a `severity` share of the time for which it is hidden, and is late from then on."""
    a, b = scene.facts["hidden_s"]

    def edit(states: States) -> States:
        i = index(scene, heroes(scene)[0])
        own = states.t_s - np.clip(states.t_s - a, 0, severity * (b - a))
        pos, quat = states.pos.copy(), states.quat.copy()
        pos[:, i] = np.stack([np.interp(own, states.t_s, states.pos[:, i, k]) for k in range(3)], axis=1)
        turned = np.stack([np.interp(own, states.t_s, states.quat[:, i, k]) for k in range(4)], axis=1)
        quat[:, i] = turned / np.linalg.norm(turned, axis=1, keepdims=True)
        return replace(states, pos=pos, quat=quat)

    return Broken(scene, edit=edit)


@fault("hero", "hidden_s")
def vanishes(scene: Scene, severity: float) -> Broken:
    """The hero is gone for the last `severity` share of the time after it was hidden."""

    def edit(states: States) -> States:
        shown = states.shown.copy()
        shown[_lately(scene, states, severity), index(scene, heroes(scene)[0])] = False
        return replace(states, shown=shown)

    return Broken(scene, edit=edit)


@fault("hero", "hidden_s")
def teleports(scene: Scene, severity: float) -> Broken:
    """The hero comes back somewhere else, off by `severity` times the scene's "elsewhere"."""
    width = scene.body(heroes(scene)[0]).size[0]
    way = np.array(scene.facts.get("elsewhere", (1.6 * width, 0.0, 0.0)))

    def edit(states: States) -> States:
        pos = states.pos.copy()
        pos[after(states, _middle(scene)), index(scene, heroes(scene)[0])] += severity * way
        return replace(states, pos=pos)

    return Broken(scene, edit=edit)


@fault("hero", "hidden_s")
def changes_colour(scene: Scene, severity: float) -> Broken:
    """The hero comes back in another colour; at severity 1 in the one farthest away among those not in the scene."""
    own = np.array(palette.rgb(scene.body(heroes(scene)[0]).colour), dtype=float)
    other = max(
        (np.array(palette.rgb(c), dtype=float) for c in _free(scene)), key=lambda c: float(np.linalg.norm(c - own))
    )

    def edit(states: States) -> States:
        rgb = states.rgb.copy()
        rgb[after(states, _middle(scene)), index(scene, heroes(scene)[0])] = own + severity * (other - own)
        return replace(states, rgb=rgb)

    return Broken(scene, edit=edit)


def _free(scene: Scene) -> list[str]:
    used = {b.colour for b in scene.bodies}
    return [c for c in palette.COLOURS if c not in used]


@fault("hero", "hidden_s")
def changes_shape(scene: Scene, severity: float) -> Broken:
    """The hero comes back flattened: at severity 1 as 1.7 times as wide and 0.4 times as high."""
    if severity == 0:
        return Broken(scene)
    name = heroes(scene)[0]
    hero = scene.body(name)
    x, y, z = hero.size
    size = (x * (1 + 0.7 * severity), y, z * (1 - 0.6 * severity))
    flat = replace(hero, name="flat", size=size, motion="fixed", path=(), turns=(), solid=False)
    if hero.shape == "ball":
        flat = replace(flat, shape="mesh", mesh=shapes.ellipsoid(size))

    def edit(states: States) -> States:
        i, j = index(scene, name), len(scene.bodies)
        pos, quat, shown = states.pos.copy(), states.quat.copy(), states.shown.copy()
        # It stays on its ground, and doesn't roll: a flat object that turns over would change shape by itself.
        pos[:, j] = pos[:, i] - np.array([0.0, 0.0, (z - size[2]) / 2])
        quat[:, j] = orientation(np.array([hero.yaw]), np.array([0.0]))[0]
        late = after(states, _middle(scene))
        shown[:, j] = shown[:, i] & late
        shown[late, i] = False
        return replace(states, pos=pos, quat=quat, shown=shown)

    return Broken(with_body(scene, flat), edit=edit)


@fault("hero", "hidden_s")
def duplicates(scene: Scene, severity: float) -> Broken:
    """Two come back: a double goes beside the hero in the last `severity` share of the time after it was hidden."""
    name = heroes(scene)[0]
    hero = scene.body(name)
    beside = np.array(scene.facts.get("spare", (1.4 * hero.size[0], 0.0, 0.0)))
    double = replace(hero, name="double", motion="fixed", path=(), turns=(), solid=False)

    def edit(states: States) -> States:
        i, j = index(scene, name), len(scene.bodies)
        pos, quat, shown = states.pos.copy(), states.quat.copy(), states.shown.copy()
        pos[:, j], quat[:, j] = pos[:, i] + beside, quat[:, i]
        shown[:, j] = shown[:, i] & _lately(scene, states, severity)
        return replace(states, pos=pos, quat=quat, shown=shown)

    return Broken(with_body(scene, double), edit=edit)


@fault("hero", "hidden_s")
def appears_from_nowhere(scene: Scene, severity: float) -> Broken:
    """A cube that the prompt does not mention is there in the last `severity` share of the time after the hero was hidden."""
    hero = scene.body(heroes(scene)[0])
    side = 0.9 * hero.size[0]
    x, y, z = scene.facts.get("stranger", (hero.pos[0] - 2 * hero.size[0], hero.pos[1], 0.0))
    colour = _free(scene)[0]
    stranger = Body("stranger", "cube", (side, side, side), colour, (x, y, z + side / 2), solid=False)

    def edit(states: States) -> States:
        shown = states.shown.copy()
        shown[:, len(scene.bodies)] = _lately(scene, states, severity)
        return replace(states, shown=shown)

    return Broken(with_body(scene, stranger), edit=edit)
