"""The description of a scene: bodies, camera path, light, floor, timing. Plain frozen data, no behaviour.

World axes: x to the viewer's right, y away from the viewer, z up; metres, seconds, kilograms. The floor is z = 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Vec3 = tuple[float, float, float]
Shape = Literal["ball", "cube", "box", "cylinder", "cone", "capsule", "mesh"]


@dataclass(frozen=True)
class Mesh:
    """A closed triangle mesh around its own origin: vertices [V, 3] in metres, faces [F, 3], outward."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int32]


@dataclass(frozen=True)
class Body:
    """One rigid object.

    name: unique in the scene.
    shape: what it is; size: full extents (x, y, z) in metres.
    colour: a palette name; texture: "plain", "striped", "dotted", "glossy" or "tiled" (blocks of one metre, fixed in the world).
    pos: centre at t = 0; yaw: turn about z in degrees; roll: turn about y in degrees, applied after the yaw.
    motion: "fixed", "free" (physics decides) or "path" (key frames decide).
    path: key frames (t_s, x, y, z), linear in between and held outside; used by "path".
    turns: key frames (t_s, yaw, roll) in degrees, likewise.
    velocity: m/s at t = 0 and spin: rad/s at t = 0, used by "free".
    mass: kg. friction: sliding coefficient. restitution: of contacts with everything, None for a dull contact.
    shown: (from_s, to_s) when it can be seen. glow: 0 is lit by the lamp, 1 shines by itself.
    growth: key frames (t_s, sx, sy, sz), factors on `size`, for "path" bodies that grow, such as a stroke of paint.
    solid: whether physics knows it. tracked: whether probes follow it.
    """

    name: str
    shape: Shape
    size: Vec3
    colour: str
    pos: Vec3
    yaw: float = 0.0
    roll: float = 0.0
    texture: str = "plain"
    motion: Literal["fixed", "free", "path"] = "fixed"
    path: tuple[tuple[float, float, float, float], ...] = ()
    turns: tuple[tuple[float, float, float], ...] = ()
    growth: tuple[tuple[float, float, float, float], ...] = ()
    velocity: Vec3 = (0.0, 0.0, 0.0)
    spin: Vec3 = (0.0, 0.0, 0.0)
    mass: float = 1.0
    friction: float = 0.6
    restitution: float | None = None
    shown: tuple[float, float] = (-1e9, 1e9)
    glow: float = 0.0
    solid: bool = True
    tracked: bool = True
    mesh: Mesh | None = None


@dataclass(frozen=True)
class CameraPath:
    """Where the camera is: key frames, linear in between.

    t_s: [K]; eye: [K, 3]; target: [K, 3] the point looked at; fov: [K] degrees, across the shorter side of the frame.
    """

    t_s: NDArray[np.float64]
    eye: NDArray[np.float64]
    target: NDArray[np.float64]
    fov: NDArray[np.float64]


@dataclass(frozen=True)
class Light:
    """A far lamp: azimuth (degrees, 0 from behind the viewer, positive from the right), elevation, strengths, tint."""

    azimuth: float = 25.0
    elevation: float = 55.0
    ambient: float = 0.5
    diffuse: float = 0.55
    tint: Vec3 = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Fracture:
    """`body` breaks into `pieces` at its first contact: they take over its pose and velocity, kicked apart by `kick` m/s."""

    body: str
    pieces: tuple[str, ...]
    kick: float = 1.5


@dataclass(frozen=True)
class Dimming:
    """The lamp's strength as a factor over time: key frames (t_s, factor), held outside; steps, not ramps."""

    keys: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Event:
    """Something that happened: what, to which bodies, when (seconds)."""

    kind: str
    bodies: tuple[str, ...]
    t_s: float


@dataclass(frozen=True)
class Scene:
    """Everything that decides a clip, except its frame size.

    events: those that are known from the script; physics adds its own.
    facts: words and numbers for the caption.
    """

    bodies: tuple[Body, ...]
    camera: CameraPath
    duration_s: float
    light: Light = Light()
    floor: str = "light grey"
    tile_m: float = 1.0
    backdrop: str = "white"
    gravity: float = 9.81
    fracture: Fracture | None = None
    dimming: Dimming = Dimming()
    events: tuple[Event, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def body(self, name: str) -> Body:
        """Return the body of that name."""
        for b in self.bodies:
            if b.name == name:
                return b
        raise KeyError(f"no body '{name}' in the scene")
