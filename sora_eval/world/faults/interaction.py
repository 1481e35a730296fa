"""Faults of lasting changes: what has changed goes back, and what has no part in a change changes too.

`scene.facts["change"]` is that of `world.faults.state_changes`; `scene.facts["bystander"]` names a body without a part in it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sora_eval.types import Floats
from sora_eval.world import physics
from sora_eval.world.faults.base import Broken, fault, index
from sora_eval.world.physics import States
from sora_eval.world.scene import Scene

_QUICKLY = 0.5
"""Share of the time that is left in which what has changed goes back."""
_LEAST_SCALE = 0.25


@fault("change")
def change_reverts(scene: Scene, severity: float) -> Broken:
    """What has changed is again as it was before, for the last part of the time after the change; severity is that part."""
    change = scene.facts["change"]
    columns = [index(scene, name) for name in change["effect"]]
    from_s = scene.duration_s - severity * (scene.duration_s - change["done_s"])

    def edit(states: States) -> States:
        if severity == 0:
            return states
        late = states.t_s >= from_s - 1e-9
        # A change of a moment goes back at once, a gradual one through its stages.
        u = np.clip((states.t_s - from_s) / max(_QUICKLY * (scene.duration_s - from_s), 1e-9), 0, 1)
        back_s = np.where(late, change["done_s"] + u * (change["cause_s"] - 1e-3 - change["done_s"]), states.t_s)
        other = _at(scene, back_s)
        changed = {}
        for name in ("pos", "quat", "scale", "shown", "rgb"):
            value = getattr(states, name).copy()
            for c in columns:
                value[late, c] = getattr(other, name)[late, c]
            changed[name] = value
        lamp = np.where(late, other.lamp, states.lamp) if change.get("lamp") else states.lamp
        return replace(states, lamp=lamp, **changed)

    return Broken(scene, edit=edit)


def _at(scene: Scene, t_s: Floats) -> States:
    """Return the states of a scene at times [T] in any order: physics runs forwards only."""
    times, rows = np.unique(np.concatenate([[0.0], np.maximum(t_s, 0.0)]), return_inverse=True)
    return physics.simulate(scene, times).at_frames(rows[1:])


@fault("bystander", "change")
def bystander_changes(scene: Scene, severity: float) -> Broken:
    """A block that has no part in the change shrinks where it stands, from the cause on; severity is how far."""
    change, body = scene.facts["change"], scene.body(scene.facts["bystander"])
    column = index(scene, body.name)

    def edit(states: States) -> States:
        u = np.clip((states.t_s - change["cause_s"]) / max(0.25 * scene.duration_s, 1e-9), 0, 1)
        share = 1 - severity * u * (1 - _LEAST_SCALE)
        scale, pos = states.scale.copy(), states.pos.copy()
        scale[:, column] *= share[:, None]
        pos[:, column, 2] -= (1 - share) * body.size[2] / 2
        return replace(states, scale=scale, pos=pos)

    return Broken(scene, edit=edit)
