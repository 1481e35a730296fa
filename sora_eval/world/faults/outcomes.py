"""Faults of random outcomes: what is thrown or falls ends in a way that no draw ends.

Read from `scene.facts`: `falling` (bodies that fall; the last one counts), `divide` (x in metres of the line between the two sides),
`ridge` (name of a body that it has to reach first, "" for none), `die` (the die and its parts).
"""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np

from sora_eval.types import Floats
from sora_eval.world import palette
from sora_eval.world.faults.base import Broken, fault, index
from sora_eval.world.physics import States
from sora_eval.world.scene import Scene

_TURN_S = 0.4
_CLEAR_M = 0.9
_EDGE_S = (0.9, 1.4)
_RECOLOURED_S = (0.4, 0.8)


@fault("falling")
def never_lands(scene: Scene, severity: float) -> Broken:
    """What falls stops a third of the way down, in the air, for `severity` of the time that is left, and then goes on."""

    def edit(states: States) -> States:
        from_s = _begun_s(scene, states)
        pause = severity * (float(states.t_s[-1]) - from_s)
        late = states.t_s - np.clip(states.t_s - from_s, 0, pause)
        pos, quat = states.pos.copy(), states.quat.copy()
        nearest = np.abs(states.t_s[None] - late[:, None]).argmin(axis=1)
        for i in (index(scene, name) for name in scene.facts["falling"]):
            for axis in range(3):
                pos[:, i, axis] = np.interp(late, states.t_s, states.pos[:, i, axis])
            quat[:, i] = states.quat[nearest, i]
        return replace(states, pos=pos, quat=quat)

    return Broken(scene, edit=edit)


@fault("falling", "divide")
def changes_sides(scene: Scene, severity: float) -> Broken:
    """What has begun to fall to one side ends on the other: `severity` of the way to the mirror image, in the air or up a slope."""

    def edit(states: States) -> States:
        from_s = _reached_s(scene, states)
        share = severity * np.clip((states.t_s - from_s) / _TURN_S, 0, 1)
        pos = states.pos.copy()
        for i in (index(scene, name) for name in scene.facts["falling"]):
            pos[:, i, 0] -= 2 * share * (pos[:, i, 0] - scene.facts["divide"])
        return replace(states, pos=pos)

    return Broken(scene, edit=edit)


@fault("die")
def foreign_face(scene: Scene, severity: float) -> Broken:
    """The face that ends on top turns into a colour that the die has not: `severity` of the way from its own."""

    def edit(states: States) -> States:
        parts = scene.facts["die"][1:]
        own = [scene.body(name).colour for name in parts]
        top = _top_part(scene, states)
        names = list(palette.COLOURS)
        start = names.index(scene.body(top).colour) + len(names) // 2
        other = next(c for c in (names[(start + k) % len(names)] for k in range(len(names))) if c not in own)
        amount = severity * np.clip((states.t_s - _RECOLOURED_S[0]) / np.ptp(_RECOLOURED_S), 0, 1)[:, None]
        rgb, i = states.rgb.copy(), index(scene, top)
        rgb[:, i] = (1 - amount) * rgb[:, i] + amount * np.array(palette.rgb(other))
        return replace(states, rgb=rgb)

    return Broken(scene, edit=edit)


@fault("die")
def on_edge(scene: Scene, severity: float) -> Broken:
    """The die comes to rest on an edge: tilted by 45 degrees times the severity, between two faces of different colours if it can."""

    def edit(states: States) -> States:
        ids = [index(scene, name) for name in scene.facts["die"]]
        side = scene.body(scene.facts["die"][0]).size[0]
        axis = _tilt_axis(scene, states)
        share = np.clip((states.t_s - _EDGE_S[0]) / np.ptp(_EDGE_S), 0, 1)
        pos, quat = states.pos.copy(), states.quat.copy()
        for k, u in enumerate(share):
            angle = float(u) * severity * np.pi / 4
            turn, turned = np.array([np.cos(angle / 2), *(np.sin(angle / 2) * axis)]), np.zeros(4)
            for i in ids:
                mujoco.mju_mulQuat(turned, turn, states.quat[k, i])
                quat[k, i] = turned
                pos[k, i, 2] += side / 2 * (np.cos(angle) + np.sin(angle) - 1)
        return replace(states, pos=pos, quat=quat)

    return Broken(scene, edit=edit)


def _begun_s(scene: Scene, states: States) -> float:
    z = states.pos[:, index(scene, scene.facts["falling"][-1]), 2]
    return float(states.t_s[(z <= z[0] - (z[0] - z.min()) / 3).argmax()])


def _reached_s(scene: Scene, states: States) -> float:
    """Return when the falling body has touched the ridge and is a metre from its edge; a third of the way down where there is no ridge."""
    body = scene.facts["falling"][-1]
    touched = [e.t_s for e in states.events if e.kind == "contact" and set(e.bodies) == {body, scene.facts["ridge"]}]
    if not touched:
        return _begun_s(scene, states)
    off = np.abs(states.pos[:, index(scene, body), 0] - scene.facts["divide"])
    return float(states.t_s[((states.t_s >= touched[0]) & (off >= _CLEAR_M)).argmax()])


def _normals(scene: Scene, part: str) -> Floats:
    """Return the directions [F, 3] of the faces that a part of the die consists of, as the die was at the start."""
    mesh = scene.body(part).mesh
    assert mesh is not None
    middles = mesh.vertices[mesh.faces].mean(axis=1)
    axes = np.array([s * v for v in np.eye(3) for s in (-1.0, 1.0)])
    reach = scene.body(part).size[0] / 2
    return np.array([a for a in axes if ((middles @ a) > 0.99 * reach).any()])


def _turned(scene: Scene, states: States) -> Floats:
    """Return the rotation [3, 3] of the die at the end."""
    turn = np.zeros(9)
    mujoco.mju_quat2Mat(turn, states.quat[-1, index(scene, scene.facts["die"][0])])
    return turn.reshape(3, 3)


def _top_part(scene: Scene, states: States) -> str:
    turn = _turned(scene, states)
    parts: tuple[str, ...] = scene.facts["die"][1:]
    return max(parts, key=lambda name: float((_normals(scene, name) @ turn.T)[:, 2].max()))


def _tilt_axis(scene: Scene, states: States) -> Floats:
    """Return the axis [3] about which a tilt shows, beside the top face, one of another colour; both seen alike where that is possible."""
    turn, top = _turned(scene, states), _top_part(scene, states)
    place = states.pos[-1, index(scene, scene.facts["die"][0]), :2]
    sides: list[tuple[bool, float, Floats]] = []
    for name in scene.facts["die"][1:]:
        for normal in _normals(scene, name) @ turn.T:
            if abs(normal[2]) < 0.5:
                # Tilted about z x n by the right-hand rule the face n goes down; the other way it comes up.
                axis = -np.cross([0.0, 0.0, 1.0], normal)
                sides.append((name != top, -abs(float(normal[:2] @ place)), axis))
    return max(sides, key=lambda s: s[:2])[2]
