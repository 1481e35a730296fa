"""Scene -> states: where every body is at every frame. MuJoCo moves the free ones, key frames move the others."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Bools, Floats
from sora_eval.world import palette, shapes
from sora_eval.world.scene import Body, Event, Scene

_Pair = tuple[str, str]
STEP_S = 5e-4
# Pieces touch dully, for at least 20 ms: longer steps do, five times as fast. In the end they lie 5 cm in the mean from where
# steps of half a millisecond leave them, which among themselves, at half and a quarter, differ by 2; their spread is the same.
_PIECES_STEP_S = 4e-3
_CHUNK = 4
_STIFFNESS = 1e6
# Damping of a direct-format contact by the restitution that a ball dropped from 1, 3 and 6 m shows on average.
_RESTITUTION = np.array([0.30, 0.40, 0.50, 0.60, 0.70, 0.80, 0.90, 0.95])
_DAMPING = np.array([862.1, 632.5, 473.2, 323.4, 225.3, 143.5, 66.5, 29.3])


@dataclass(frozen=True)
class States:
    """States of all bodies at each frame: N bodies in the order of the scene, T frames."""

    t_s: Floats
    """[T] seconds."""
    pos: Floats
    """[T, N, 3] metres."""
    quat: Floats
    """[T, N, 4] rotation (w, x, y, z)."""
    scale: Floats
    """[T, N, 3] factors on the body's size."""
    shown: Bools
    """[T, N] whether the body is there."""
    rgb: Floats
    """[T, N, 3] colour in 0..255."""
    lamp: Floats
    """[T] factor on the lamp."""
    velocity: Floats
    """[T, N, 3] m/s."""
    events: tuple[Event, ...]
    """Events of the script and of the simulation, in order of time."""
    noise: float = 0.0
    """Standard deviation of grey levels added to every frame, 0 in the true world."""
    slide: Floats | None = None
    """[T, 2] metres by which the floor's tiles are shifted, None in the true world."""

    def at_frames(self, k: NDArray[np.int64]) -> States:
        """Return the states of frames k [T] in their place, any of them and in any order."""
        per_frame = ("t_s", "pos", "quat", "scale", "shown", "rgb", "lamp", "velocity")
        slide = None if self.slide is None else self.slide[k]
        return replace(self, slide=slide, **{name: getattr(self, name)[k] for name in per_frame})


@dataclass(frozen=True)
class Tweaks:
    """Ways to break the law, for the violations: empty in the true world."""

    ignore: tuple[tuple[str, str], ...] = ()
    """Pairs of names that don't collide."""
    boost: tuple[tuple[str, str, float], ...] = ()
    """(body, other, factor on the speed when their contact ends)."""


def simulate(scene: Scene, t_s: Floats, tweaks: Tweaks = Tweaks()) -> States:
    """Return the states at times `t_s` [T] (seconds, rising, from 0)."""
    bodies, n, frames = scene.bodies, len(scene.bodies), len(t_s)
    pos, quat = np.zeros((frames, n, 3)), np.zeros((frames, n, 4))
    scale, shown = np.ones((frames, n, 3)), np.zeros((frames, n), dtype=bool)
    for i, b in enumerate(bodies):
        pos[:, i], quat[:, i], scale[:, i] = _scripted(b, t_s)
        shown[:, i] = (t_s >= b.shown[0] - 1e-9) & (t_s < b.shown[1] - 1e-9)
    events = list(scene.events)
    if any(b.motion == "free" for b in bodies):
        digest = hashlib.sha256(pickle.dumps((bodies, scene.gravity, scene.fracture, t_s, tweaks))).digest()
        motion = _rigid(_Job(digest, scene, t_s, tweaks))
        pos[motion.known], quat[motion.known] = motion.pos[motion.known], motion.quat[motion.known]
        events += motion.events
        if scene.fracture:
            broken = t_s >= motion.broken_s
            for i, b in enumerate(bodies):
                if b.name == scene.fracture.body:
                    shown[broken, i] = False
                elif b.name in scene.fracture.pieces:
                    shown[~broken, i] = False
    _carry_parts(bodies, pos, quat)
    velocity = np.asarray(np.gradient(pos, t_s, axis=0)) if frames > 1 else np.zeros_like(pos)
    colours = np.array([palette.rgb(b.colour) for b in bodies], dtype=float).reshape(n, 3)
    rgb = np.broadcast_to(colours, (frames, n, 3)).copy()
    keys = np.array(scene.dimming.keys or ((0.0, 1.0),))
    step = np.clip(np.searchsorted(keys[:, 0], t_s + 1e-9, side="right") - 1, 0, None)
    ordered = tuple(sorted(events, key=lambda e: e.t_s))
    return States(t_s, pos, quat, scale, shown, rgb, keys[step, 1], velocity, ordered)


def _scripted(b: Body, t_s: Floats) -> tuple[Floats, Floats, Floats]:
    place = np.broadcast_to(np.array(b.pos), (len(t_s), 3))
    if b.path:
        keys = np.array(b.path)
        place = np.stack([np.interp(t_s, keys[:, 0], keys[:, k]) for k in (1, 2, 3)], axis=1)
    yaw, roll = np.full(len(t_s), b.yaw), np.full(len(t_s), b.roll)
    if b.turns:
        keys = np.array(b.turns)
        yaw, roll = np.interp(t_s, keys[:, 0], keys[:, 1]), np.interp(t_s, keys[:, 0], keys[:, 2])
    size = np.ones((len(t_s), 3))
    if b.growth:
        keys = np.array(b.growth)
        size = np.stack([np.interp(t_s, keys[:, 0], keys[:, k]) for k in (1, 2, 3)], axis=1)
    return place, orientation(yaw, roll), size


def _carry_parts(bodies: Sequence[Body], pos: Floats, quat: Floats) -> None:
    """Move the parts of bodies with these, in pos [T, N, 3] and quat [T, N, 4]."""
    names = [b.name for b in bodies]
    for i, part in enumerate(bodies):
        if not part.part_of:
            continue
        j = names.index(part.part_of)
        rest = orientation(np.array([bodies[j].yaw]), np.array([bodies[j].roll]))[0]
        own = orientation(np.array([part.yaw]), np.array([part.roll]))[0]
        offset = np.subtract(part.pos, bodies[j].pos)
        inverse, turn, moved, turned = np.zeros(4), np.zeros(4), np.zeros(3), np.zeros(4)
        mujoco.mju_negQuat(inverse, rest)
        for k in range(len(pos)):
            mujoco.mju_mulQuat(turn, quat[k, j], inverse)
            mujoco.mju_rotVecQuat(moved, offset, turn)
            mujoco.mju_mulQuat(turned, turn, own)
            pos[k, i], quat[k, i] = pos[k, j] + moved, turned


def orientation(yaw: Floats, roll: Floats) -> Floats:
    """Return quaternions [T, 4] of a turn by `yaw` about z and then by `roll` about the viewer's axis y (degrees, [T])."""
    a, b = np.radians(yaw) / 2, np.radians(roll) / 2
    return np.stack(
        [np.cos(b) * np.cos(a), np.sin(b) * np.sin(a), np.sin(b) * np.cos(a), np.cos(b) * np.sin(a)], axis=1
    )


@dataclass(frozen=True)
class _Job:
    """What rigid bodies move by; jobs of one digest are the same."""

    digest: bytes
    scene: Scene = field(compare=False)
    t_s: Floats = field(compare=False)
    tweaks: Tweaks = field(compare=False)


@dataclass(frozen=True)
class _Motion:
    """Positions [T, N, 3] and quaternions [T, N, 4] of the bodies where they are known [T, N], contacts, and when a body broke."""

    pos: Floats
    quat: Floats
    known: Bools
    events: tuple[Event, ...]
    broken_s: float


@lru_cache(maxsize=64)
def _rigid(job: _Job) -> _Motion:
    """Run the free bodies; a body that breaks hands over to its pieces at its first contact.

    The last ones are kept: the true clip, its tracks and most violations of a case begin with the same motion.
    """
    scene, t_s, tweaks = job.scene, job.t_s, job.tweaks
    pieces = scene.fracture.pieces if scene.fracture else ()
    whole = [b for b in scene.bodies if b.solid and b.name not in pieces]
    index = {b.name: i for i, b in enumerate(scene.bodies)}
    known = np.zeros((len(t_s), len(scene.bodies)), dtype=bool)
    pos, quat = np.zeros((*known.shape, 3)), np.zeros((*known.shape, 4))
    events: list[Event] = []
    run = _Run(scene, whole, tweaks)
    broken_s = np.inf
    for k, t in enumerate(t_s):
        stop = scene.fracture.body if scene.fracture and broken_s == np.inf else None
        events += run.until(float(t), stop)
        if stop and run.touched(stop):
            broken_s = run.time
            events.append(Event("shatter", (stop,), broken_s))
            run = _Run(scene, _handed_over(scene, run), tweaks, start_s=broken_s)
            events += run.until(float(t), None)
        rows = [index[n] for n in run.free]
        pos[k, rows], quat[k, rows] = run.poses()
        known[k, rows] = True
    return _Motion(pos, quat, known, tuple(events), broken_s)


def _handed_over(scene: Scene, run: _Run) -> list[Body]:
    """Return the solids after the break: pieces where the whole was, with its velocity and a kick outwards."""
    assert scene.fracture is not None
    whole = scene.body(scene.fracture.body)
    centre, quat, velocity = run.state(whole.name)
    turn = np.zeros(9)
    mujoco.mju_quat2Mat(turn, quat)
    bodies = []
    for b in scene.bodies:
        if not b.solid or b.name == whole.name:
            continue
        if b.name in scene.fracture.pieces:
            # A piece's own position is where it sits in the unbroken body.
            offset = turn.reshape(3, 3) @ np.array(b.pos)
            out = offset / (np.linalg.norm(offset) + 1e-9)
            speed = 0.15 * velocity + scene.fracture.kick * np.array([out[0], out[1], abs(out[2])])
            place = centre + offset
            bodies.append(replace(b, pos=_vec(place), velocity=_vec(speed), motion="free"))
        elif b.motion == "free":
            p, _, v = run.state(b.name)
            bodies.append(replace(b, pos=_vec(p), velocity=_vec(v)))
        else:
            bodies.append(b)
    return bodies


def _vec(v: Floats) -> tuple[float, float, float]:
    return float(v[0]), float(v[1]), float(v[2])


class _Run:
    """A MuJoCo run over some bodies, stepped to given times."""

    def __init__(self, scene: Scene, bodies: Sequence[Body], tweaks: Tweaks, start_s: float = 0.0) -> None:
        self.bodies = list(bodies)
        # Steps of pieces meet the times of the frames exactly; the others' grid is fine enough.
        self._dull = start_s > 0 and all(b.restitution is None for b in self.bodies)
        self.model = mujoco.MjModel.from_xml_string(_physics_xml(scene, self.bodies, tweaks, rolling=not self._dull))
        self.data = mujoco.MjData(self.model)
        self.start_s = start_s
        self.tweaks = tweaks
        self.touching: dict[_Pair, float] = {}
        self._pairs: dict[bytes, frozenset[_Pair]] = {}
        self._held: frozenset[_Pair] = frozenset()
        self._held_s = 0.0
        self.free = [b.name for b in self.bodies if b.motion == "free"]
        self._ids = [self.model.body(n).id for n in self.free]
        names = {mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_GEOM, b.name): b.name for b in self.bodies}
        self.names: dict[int, str] = {
            **names,
            mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_GEOM, "floor"): "floor",
        }
        for b in self.bodies:
            if b.motion == "free":
                self.data.joint(b.name).qvel[:] = (*b.velocity, *b.spin)
        mujoco.mj_forward(self.model, self.data)

    @property
    def time(self) -> float:
        return float(self.start_s + self.data.time)

    def until(self, t_s: float, stop_at: str | None) -> list[Event]:
        """Step to `t_s` or to the first contact of `stop_at`; return the first touches on the way."""
        events = []
        chunk, left_s = _CHUNK, t_s - self.time
        if self._dull and left_s > 0:
            chunk, self.model.opt.timestep = 1, left_s / np.ceil(left_s / _PIECES_STEP_S)
        step_s = float(self.model.opt.timestep)
        while self.time < t_s - step_s / 2:
            steps = min(chunk, round((t_s - self.time) / step_s))
            mujoco.mj_step(self.model, self.data, max(1, steps))
            events += self._contacts()
            if stop_at and self.touched(stop_at):
                break
        return events

    def touched(self, name: str) -> bool:
        return any(name in pair for pair in self.touching)

    def _contacts(self) -> list[Event]:
        now, new = self._now(), []
        if now != self._held:
            self.touching.update(dict.fromkeys(self._held, self._held_s))
            for pair in sorted(now):
                # Bodies that rest on each other lose contact for a step now and then; that is no new touch.
                if self.time - self.touching.get(pair, -1.0) > 0.05:
                    new.append(Event("contact", pair, self.time))
                self.touching[pair] = self.time
            self._held = now
        self._held_s = self.time
        for body, other, factor in self.tweaks.boost:
            pair_ = (min(body, other), max(body, other))
            if (
                pair_ in self.touching
                and pair_ not in now
                and abs(self.time - self.touching[pair_] - _CHUNK * STEP_S) < STEP_S
            ):
                self.data.joint(body).qvel[:3] *= factor
        return new

    def _now(self) -> frozenset[_Pair]:
        """Return the pairs of bodies in contact."""
        if not self.data.ncon:
            return frozenset()
        geoms = self.data.contact.geom
        # The same contacts as a moment ago, mostly.
        key = geoms.tobytes()
        if key not in self._pairs:
            names = ((self.names[int(a)], self.names[int(b)]) for a, b in geoms)
            self._pairs[key] = frozenset((min(pair), max(pair)) for pair in names)
        return self._pairs[key]

    def poses(self) -> tuple[Floats, Floats]:
        """Return where the free bodies are: positions [F, 3], quaternions [F, 4]."""
        return self.data.xpos[self._ids], self.data.xquat[self._ids]

    def state(self, name: str) -> tuple[Floats, Floats, Floats]:
        d = self.data
        return d.body(name).xpos.copy(), d.body(name).xquat.copy(), d.joint(name).qvel[:3].copy()


def geom_xml(b: Body) -> tuple[str, str]:
    """Return (attributes of the geom, XML of its mesh asset or "") for a body."""
    x, y, z = b.size
    if b.shape in ("cone", "mesh"):
        mesh = b.mesh if b.mesh is not None else shapes.cone(b.size)
        # inertia="convex" tolerates thin shards; positions are given around the mesh's own origin.
        asset = (
            f'<mesh name="{b.name}" inertia="convex" vertex="{_numbers(mesh.vertices)}" face="{_numbers(mesh.faces)}"/>'
        )
        return f'type="mesh" mesh="{b.name}"', asset
    if b.shape == "ball":
        return f'type="sphere" size="{x / 2}"', ""
    if b.shape == "cylinder":
        return f'type="cylinder" size="{x / 2} {z / 2}"', ""
    if b.shape == "capsule":
        return f'type="capsule" size="{x / 2} {z / 2 - x / 2}"', ""
    return f'type="box" size="{x / 2} {y / 2} {z / 2}"', ""


def _numbers(values: NDArray[Any]) -> str:
    return " ".join(f"{v:.6g}" for v in values.ravel())


def _physics_xml(scene: Scene, bodies: Sequence[Body], tweaks: Tweaks, rolling: bool) -> str:
    assets, world, pairs = [], [], []
    for b in bodies:
        geom, asset = geom_xml(b)
        assets.append(asset)
        joint = f'<freejoint name="{b.name}"/>' if b.motion == "free" else ""
        q = orientation(np.array([b.yaw]), np.array([b.roll]))[0]
        world.append(
            f'<body name="{b.name}" pos="{_numbers(np.array(b.pos))}" quat="{_numbers(q)}">{joint}'
            f'<geom name="{b.name}" {geom} mass="{b.mass}" contype="0" conaffinity="0"/></body>'
        )
    names: list[Body | None] = [*bodies, None]
    for i, a in enumerate(bodies):
        for other in names[i + 1 :]:
            if a.motion != "free" and (other is None or other.motion != "free"):
                continue
            pair = (a.name, other.name if other else "floor")
            if pair in tweaks.ignore or pair[::-1] in tweaks.ignore:
                continue
            pairs.append(_pair_xml(a, other, rolling))
    return (
        f'<mujoco><option timestep="{STEP_S}" gravity="0 0 {-scene.gravity}" integrator="implicitfast"/>'
        f"<asset>{''.join(assets)}</asset>"
        '<worldbody><geom name="floor" type="plane" size="100 100 1" contype="0" conaffinity="0"/>'
        f"{''.join(world)}</worldbody><contact>{''.join(pairs)}</contact></mujoco>"
    )


def _pair_xml(a: Body, b: Body | None, rolling: bool) -> str:
    bounce = [x.restitution for x in (a, b) if x is not None and x.restitution is not None]
    slide = min(a.friction, b.friction) if b else a.friction
    contact = f'solref="{-_STIFFNESS} {-damping(min(bounce))}" solimp="0.99 0.99 0.001"' if bounce else ""
    # A small rolling friction lets balls come to rest instead of wandering for ever.
    kind = (
        'condim="1"' if slide == 0 else f'condim="{6 if rolling else 3}" friction="{slide} {slide} 0.005 0.0005 0.0005"'
    )
    return f'<pair geom1="{a.name}" geom2="{b.name if b else "floor"}" {kind} {contact}/>'


def damping(restitution: float) -> float:
    """Return the contact damping (1/s) that gives a restitution between .3 and .95."""
    return float(np.interp(restitution, _RESTITUTION, _DAMPING))
