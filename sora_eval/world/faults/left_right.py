"""Faults of sides: bodies and camera are mirrored. `scene.facts["sided"]` names the bodies that change sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sora_eval.world.faults.base import Broken, fault, index
from sora_eval.world.physics import States
from sora_eval.world.scene import Scene


@fault("sided")
def swapped_sides(scene: Scene, severity: float) -> Broken:
    """The sided bodies and the camera change over to where a mirror shows them: halfway at severity .5, fully at 1.

    `scene.facts["partner"]` maps a body to the one whose place it takes (by default its own), `["axis_x"]` is the
    mirror's position in metres.
    """
    names = scene.facts["sided"]
    partner = scene.facts.get("partner", {})
    axis = float(scene.facts.get("axis_x", 0.0))
    flip = np.array([1 - 2 * severity, 1.0, 1.0])
    camera = replace(scene.camera, eye=scene.camera.eye * flip, target=scene.camera.target * flip)

    def edit(states: States) -> States:
        pos, quat = states.pos.copy(), states.quat.copy()
        for name in names:
            i, j = index(scene, name), index(scene, partner.get(name, name))
            there = states.pos[:, j] * (-1.0, 1.0, 1.0) + (2 * axis, 0.0, 0.0)
            # A mirror across x keeps the turn about x and reverses those about y and z.
            turned = states.quat[:, j] * (1.0, 1.0, -1.0, -1.0)
            turned *= np.where((turned * states.quat[:, i]).sum(axis=1) < 0, -1.0, 1.0)[:, None]
            mixed = (1 - severity) * states.quat[:, i] + severity * turned
            norm = np.linalg.norm(mixed, axis=1, keepdims=True)
            pos[:, i] = (1 - severity) * states.pos[:, i] + severity * there
            quat[:, i] = np.where(norm > 1e-6, mixed / np.maximum(norm, 1e-6), states.quat[:, i])
        return replace(states, pos=pos, quat=quat)

    return Broken(replace(scene, camera=camera), edit=edit)
