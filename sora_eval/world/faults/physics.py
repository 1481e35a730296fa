"""Faults of mechanics: what falls, flies, bounces, collides or tips over breaks a law of motion.

Read from `scene.facts`: `stops` ((body, from_s), ...), `bounces` ((body, other, restitution), ...), `pair` (mover,
struck), `late` (metres [3] by which the struck object gives way too late at severity 1), `hero`, `way` (1 to the right).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sora_eval.types import Floats
from sora_eval.world import physics
from sora_eval.world.faults.base import Broken, after, fault, heroes, index, with_changed
from sora_eval.world.physics import States, Tweaks
from sora_eval.world.scene import Scene

_LEAD_S = 0.5
_PULL = 6.0
_OVER = 0.4


@fault()
def gravity(scene: Scene, severity: float) -> Broken:
    """Everything falls under a weaker gravity: 9.81 m/s^2 times 0.25 to the power of the severity."""
    return Broken(replace(scene, gravity=scene.gravity * 0.25**severity))


@fault("hero")
def uneven_gravity(scene: Scene, severity: float) -> Broken:
    """The last hero alone falls under a weaker gravity, by the same factor: its own clock runs slower."""
    return Broken(scene, edit=lambda s: _retimed(scene, s, heroes(scene)[-1:], s.t_s * 0.5**severity))


@fault("stops")
def hovering(scene: Scene, severity: float) -> Broken:
    """A moving object stops, in the air or on its way, for `severity` of the time that is left, and then goes on."""

    def edit(states: States) -> States:
        for name, from_s in scene.facts["stops"]:
            pause = severity * (float(states.t_s[-1]) - from_s)
            late = np.clip(states.t_s - from_s, 0, pause)
            states = _retimed(scene, states, [name], states.t_s - late)
        return states

    return Broken(scene, edit=edit)


@fault("bounces")
def restitution_over_1(scene: Scene, severity: float) -> Broken:
    """Every bounce returns 1 + 0.4 times the severity of the speed that came in; at severity 0 the lawful share."""
    if severity == 0:
        return Broken(scene)
    boost = tuple((body, other, (1 + _OVER * severity) / e) for body, other, e in scene.facts["bounces"])
    return Broken(scene, Tweaks(boost=boost))


@fault("hero", "way")
def swerves(scene: Scene, severity: float) -> Broken:
    """An object in flight is pulled back sideways, at 6 m/s^2 times the severity, by nothing that is there."""

    def edit(states: States) -> States:
        pos = states.pos.copy()
        for name in heroes(scene):
            pos[:, index(scene, name), 0] -= scene.facts["way"] * 0.5 * severity * _PULL * states.t_s**2
        return replace(states, pos=pos)

    return Broken(scene, edit=edit)


@fault("pair")
def lost_momentum(scene: Scene, severity: float) -> Broken:
    """From their contact on, both objects of a collision move at 1 - severity of their lawful speeds."""

    def edit(states: States) -> States:
        touch_s = _touch_s(scene, states)
        moved = np.where(after(states, touch_s), touch_s + (states.t_s - touch_s) * (1 - severity), states.t_s)
        return _retimed(scene, states, scene.facts["pair"], moved)

    return Broken(scene, edit=edit)


@fault("pair", "late")
def passes_through(scene: Scene, severity: float) -> Broken:
    """One object enters the other before they react, by `severity` of its extent; at severity 1 they never do."""
    mover, struck = scene.facts["pair"]
    if severity >= 1:
        return Broken(scene, Tweaks(ignore=((mover, struck),)))
    shift = severity * np.array(scene.facts["late"])
    x, y, z = (float(v) for v in np.array(scene.body(struck).pos) + shift)

    def edit(states: States) -> States:
        pos = states.pos.copy()
        pos[:, index(scene, struck)] -= shift
        return replace(states, pos=pos)

    # Physics runs with the struck object farther on; the picture shows it where it was.
    return Broken(with_changed(scene, struck, pos=(x, y, z)), edit=edit)


@fault("pair")
def effect_precedes_cause(scene: Scene, severity: float) -> Broken:
    """The struck object moves before it is touched: by half a second times the severity."""

    def edit(states: States) -> States:
        lead = min(severity * _LEAD_S, 0.95 * _touch_s(scene, states))
        return _retimed(scene, states, scene.facts["pair"][1:], states.t_s + lead)

    return Broken(scene, edit=edit)


@fault("pair")
def falls_against_push(scene: Scene, severity: float) -> Broken:
    """The struck object moves in the wrong direction: turned away from the push by 180 degrees times the severity."""
    turn = np.pi * severity

    def edit(states: States) -> States:
        i = index(scene, scene.facts["pair"][1])
        pos, quat = states.pos.copy(), states.quat.copy()
        dx, dy = (states.pos[:, i, k] - states.pos[0, i, k] for k in (0, 1))
        pos[:, i, 0] = states.pos[0, i, 0] + np.cos(turn) * dx - np.sin(turn) * dy
        pos[:, i, 1] = states.pos[0, i, 1] + np.sin(turn) * dx + np.cos(turn) * dy
        # Only the axis of its rotation is turned about the vertical: it starts as it stood and tips another way.
        x, y = states.quat[:, i, 1], states.quat[:, i, 2]
        quat[:, i, 1], quat[:, i, 2] = np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y
        return replace(states, pos=pos, quat=quat)

    return Broken(scene, edit=edit)


def _touch_s(scene: Scene, states: States) -> float:
    pair = tuple(sorted(scene.facts["pair"]))
    for event in states.events:
        if event.kind == "contact" and event.bodies == pair:
            return event.t_s
    raise ValueError(f"{pair[0]} and {pair[1]} never touch in this clip")


def _retimed(scene: Scene, states: States, names: Sequence[str], t_s: Floats) -> States:
    """Return the states with the bodies `names` where the law puts them at other times t_s [T], which never decrease."""
    # The law is run again at exactly those times: interpolating between frames would blur contacts.
    times, back = np.unique(np.concatenate([[0.0], np.round(np.maximum(t_s, 0.0), 6)]), return_inverse=True)
    if len(times) < 2:
        times = np.array([0.0, 1e-3])
    lawful = physics.simulate(scene, times)
    pos, quat = states.pos.copy(), states.quat.copy()
    for name in names:
        i = index(scene, name)
        pos[:, i], quat[:, i] = lawful.pos[back[1:], i], lawful.quat[back[1:], i]
    return replace(states, pos=pos, quat=quat)
