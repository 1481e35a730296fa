"""Faults of object permanence: what a thing does wrong while nobody sees it. `scene.facts["hidden_s"]` says when that is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sora_eval.world import palette
from sora_eval.world.faults.base import Broken, Fault, after, heroes, index, with_body
from sora_eval.world.physics import States
from sora_eval.world.scene import Body, Scene


def _middle(scene: Scene) -> float:
    a, b = scene.facts["hidden_s"]
    return float(a + b) / 2


def vanishes(scene: Scene, severity: float) -> Broken:
    """The hero does not come back for the last `severity` share of the time after it was hidden."""
    start = scene.duration_s - severity * (scene.duration_s - _middle(scene))

    def edit(states: States) -> States:
        shown = states.shown.copy()
        for name in heroes(scene)[:1]:
            shown[after(states, start), index(scene, name)] = False
        return replace(states, shown=shown)

    return Broken(scene, edit=edit)


def changes_colour(scene: Scene, severity: float) -> Broken:
    """The hero comes back in another colour; at severity 1 in the one farthest away among those not in the scene."""
    used = {b.colour for b in scene.bodies}
    own = np.array(palette.rgb(scene.body(heroes(scene)[0]).colour), dtype=float)
    free = [np.array(palette.rgb(c), dtype=float) for c in palette.COLOURS if c not in used]
    other = max(free, key=lambda c: float(np.linalg.norm(c - own)))

    def edit(states: States) -> States:
        rgb = states.rgb.copy()
        rgb[after(states, _middle(scene)), index(scene, heroes(scene)[0])] = own + severity * (other - own)
        return replace(states, rgb=rgb)

    return Broken(scene, edit=edit)


def _swapped(scene: Scene, twin: Body, *, from_s: float, hide_hero: bool) -> Broken:
    name = heroes(scene)[0]
    broken = with_body(scene, twin)

    def edit(states: States) -> States:
        i, j = index(scene, name), len(scene.bodies)
        pos, quat, shown = states.pos.copy(), states.quat.copy(), states.shown.copy()
        pos[:, j] = pos[:, i] + (np.array(twin.pos) - np.array(scene.body(name).pos))
        quat[:, j] = quat[:, i]
        late = after(states, from_s)
        shown[:, j] = late & shown[:, i]
        if hide_hero:
            shown[late, i] = False
        return replace(states, pos=pos, quat=quat, shown=shown)

    return Broken(broken, edit=edit)


def changes_shape(scene: Scene, severity: float) -> Broken:
    """The hero comes back as a wide flat (or, if it was flat, tall thin) box of its colour."""
    hero = scene.body(heroes(scene)[0])
    x, y, z = hero.size
    size = (x * (1 + 0.6 * severity), y, z * (1 - 0.55 * severity))
    twin = Body("twin", "box", size, hero.colour, (hero.pos[0], hero.pos[1], hero.pos[2] - (z - size[2]) / 2))
    return _swapped(scene, twin, from_s=_middle(scene), hide_hero=True)


FAULTS: dict[str, Fault] = {
    "vanishes": vanishes,
    "changes_colour": changes_colour,
    "changes_shape": changes_shape,
}
