"""Faults of state changes: undone, come too early, come too late or not at all.

`scene.facts["change"]` describes a scripted change: `effect`, the bodies that show it; `cause_s`, the time of its cause;
`lead_s`, how much earlier it may come at most; `done_s`, when it is complete; `lamp`, whether the lamp changes with it.
A scene with a fracture needs no such entry: physics breaks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sora_eval.types import Floats
from sora_eval.world import palette, physics
from sora_eval.world.families import bite
from sora_eval.world.faults.base import Broken, after, fault, index, with_body
from sora_eval.world.physics import States, Tweaks
from sora_eval.world.scene import Body, Fracture, Mesh, Scene, Vec3

_STAGES = 8
_SOONEST = 0.85
_PLATE = "plate"


def _from(target: States, source: States, columns: Sequence[int]) -> States:
    """Return `target` with the bodies `columns` as they are in `source`."""
    changed = {}
    for name in ("pos", "quat", "scale", "shown", "rgb"):
        value = getattr(target, name).copy()
        for c in columns:
            value[:, c] = getattr(source, name)[:, c]
        changed[name] = value
    return replace(target, **changed)


def _shifted(scene: Scene, shift_s: float) -> Broken:
    """Return the scene with its scripted change seen `shift_s` later; negative is earlier."""
    change = scene.facts["change"]
    columns = [index(scene, name) for name in change["effect"]]

    def edit(states: States) -> States:
        # Key frames hold their ends, so that times before the clip are its beginning.
        other = physics.simulate(scene, states.t_s - shift_s)
        broken = _from(states, other, columns)
        return replace(broken, lamp=other.lamp) if change.get("lamp") else broken

    return Broken(scene, edit=edit)


@fault()
def effect_before_cause(scene: Scene, severity: float) -> Broken:
    """The change is seen before its cause comes; a falling body breaks in the air, at 1 near where it begins."""
    if scene.fracture is None:
        return _shifted(scene, -severity * _SOONEST * scene.facts["change"]["lead_s"])
    body = scene.body(scene.fracture.body)
    height = severity * _SOONEST * scene.facts["drop_m"]
    if height < 0.02:
        return Broken(scene)
    # What it breaks on is never seen, and only the whole body can touch it.
    plate = Body(
        _PLATE, "box", (9.0, 9.0, 0.02), body.colour, (0.0, 0.0, height - 0.01), shown=(1e9, 1e9), tracked=False
    )
    others = [b.name for b in scene.bodies if b.name != body.name]
    ignore = tuple((name, _PLATE) for name in others)
    return Broken(replace(scene, bodies=(*scene.bodies, plate)), Tweaks(ignore=ignore))


@fault()
def never_happens(scene: Scene, severity: float) -> Broken:
    """The change comes ever later after its cause, and at severity 1 not at all."""
    if scene.fracture is not None:
        return _breaks_late(scene, scene.fracture, severity)
    left_s = scene.duration_s - scene.facts["change"]["cause_s"]
    return _shifted(scene, 1e6 if severity == 1 else severity * left_s)


def _breaks_late(scene: Scene, fracture: Fracture, severity: float) -> Broken:
    pieces = set(fracture.pieces)
    kept = tuple(b for b in scene.bodies if b.name not in pieces)
    columns = [index(scene, b.name) for b in kept]
    whole = index(scene, fracture.body)

    def edit(states: States) -> States:
        when = _break_s(states)
        if when is None or severity == 0:
            return states
        unbroken = physics.simulate(replace(scene, bodies=kept, fracture=None), states.t_s)
        delay = severity * (float(states.t_s[-1]) - when)
        waits = states.t_s < when + delay if severity < 1 else np.ones(len(states.t_s), dtype=bool)
        late = physics.simulate(
            scene, np.maximum.accumulate(np.maximum(states.t_s - delay, 1e-4 * np.arange(len(states.t_s))))
        )
        pos, quat, shown = late.pos.copy(), late.quat.copy(), late.shown.copy()
        for here, there in enumerate(columns):
            pos[waits, there], quat[waits, there], shown[waits, there] = (
                unbroken.pos[waits, here], unbroken.quat[waits, here], unbroken.shown[waits, here],
            )  # fmt: skip
        shown[:, whole] = waits
        for name in pieces:
            shown[:, index(scene, name)] = ~waits
        return replace(states, pos=pos, quat=quat, shown=shown)

    return Broken(scene, edit=edit)


def _break_s(states: States) -> float | None:
    return next((e.t_s for e in states.events if e.kind == "shatter"), None)


@fault("bite", "change")
def bite_heals(scene: Scene, severity: float) -> Broken:
    """The bite grows back by the clip's end, by a share of its depth."""
    facts, change, old = scene.facts["bite"], scene.facts["change"], scene.body("bitten")
    at = np.array(facts["at"])
    out = at / np.linalg.norm(at)
    size, tool = facts["size"], facts["tool_m"]
    stages = []
    for k in range(1, _STAGES + 1):
        share = severity * k / _STAGES
        x, y, z = at + share * facts["depth_m"] * out
        stages.append(replace(old, name=f"healed{k}", mesh=bite.bitten(size, tool, (float(x), float(y), float(z)))))
    broken = replace(scene, bodies=(*scene.bodies, *stages))

    def edit(states: States) -> States:
        shown = states.shown.copy()
        # Whole again for the last third of the time that is left.
        from_s, to_s = change["done_s"], change["done_s"] + 0.6 * (scene.duration_s - change["done_s"])
        stage = np.clip(np.ceil(_STAGES * (states.t_s - from_s) / (to_s - from_s)), 0, _STAGES).astype(int)
        shown[:, index(broken, "bitten")] &= stage == 0
        for k in range(1, _STAGES + 1):
            shown[:, index(broken, f"healed{k}")] = stage == k
        return replace(states, shown=shown)

    return Broken(broken, edit=edit)


@fault("hero", "change")
def candle_relights(scene: Scene, severity: float) -> Broken:
    """A flame and its light come back half way from then to the end; severity is the new flame's area."""
    change, old = scene.facts["change"], scene.body(scene.facts["hero"])
    if severity == 0 or old.mesh is None:
        return Broken(scene)
    x, y, z = old.pos
    share = float(np.sqrt(severity))
    size: Vec3 = (share * old.size[0], share * old.size[1], share * old.size[2])
    back_s = (change["cause_s"] + scene.duration_s) / 2
    mesh = Mesh(old.mesh.vertices * share, old.mesh.faces)
    foot = z - old.size[2] / 2
    relit = replace(old, name="relit", size=size, pos=(x, y, foot + size[2] / 2), shown=(back_s, 1e9), mesh=mesh)

    def edit(states: States) -> States:
        lamp = states.lamp + severity * (states.lamp[0] - states.lamp) * after(states, back_s)
        return replace(states, lamp=lamp)

    return Broken(with_body(scene, relit), edit=edit)


@fault()
def shards_rejoin(scene: Scene, severity: float) -> Broken:
    """The pieces move back to where they belong in the whole, by a share of the way."""
    if scene.fracture is None:
        raise ValueError("nothing breaks in this scene")
    names, whole = scene.fracture.pieces, scene.body(scene.fracture.body)

    def edit(states: States) -> States:
        when = _break_s(states)
        if when is None:
            return states
        end = float(states.t_s[-1])
        u = severity * np.clip((states.t_s - (when + 0.4 * (end - when))) / (0.4 * (end - when)), 0, 1)
        pos, quat = states.pos.copy(), states.quat.copy()
        for name in names:
            i = index(scene, name)
            home = np.array(scene.body(name).pos) + np.array([whole.pos[0], whole.pos[1], whole.size[2] / 2])
            pos[:, i] = (1 - u)[:, None] * pos[:, i] + u[:, None] * home
            quat[:, i] = _towards_upright(quat[:, i], u)
        return replace(states, pos=pos, quat=quat)

    return Broken(scene, edit=edit)


def _towards_upright(quat: Floats, share: Floats) -> Floats:
    """Return quaternions [T, 4] turned towards none by shares [T]."""
    near = np.where(quat[:, :1] < 0, -quat, quat)
    mixed = (1 - share)[:, None] * near + share[:, None] * np.array([1.0, 0.0, 0.0, 0.0])
    return np.asarray(mixed / np.linalg.norm(mixed, axis=1, keepdims=True))


@fault("hero", "ground", "change")
def stroke_fades(scene: Scene, severity: float) -> Broken:
    """The painted stroke fades towards the canvas's colour once the brush has lifted."""
    change = scene.facts["change"]
    ground = np.array(palette.rgb(scene.body(scene.facts["ground"]).colour), dtype=float)

    def edit(states: States) -> States:
        rgb = states.rgb.copy()
        span = 0.7 * (scene.duration_s - change["done_s"])
        u = severity * np.clip((states.t_s - change["done_s"]) / span, 0, 1)
        i = index(scene, scene.facts["hero"])
        rgb[:, i] = (1 - u)[:, None] * rgb[:, i] + u[:, None] * ground
        return replace(states, rgb=rgb)

    return Broken(scene, edit=edit)
