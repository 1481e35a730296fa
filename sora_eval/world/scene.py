"""The description of a scene: bodies, camera path, light, floor, timing. Plain frozen data, no behaviour.

World axes: x to the viewer's right, y away from the viewer, z up; metres, seconds, kilograms. The floor is z = 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Window
from sora_eval.world.looks import Look

Vec3 = tuple[float, float, float]
Shape = Literal["ball", "cube", "box", "cylinder", "cone", "capsule", "mesh"]


@dataclass(frozen=True)
class Mesh:
    """A closed triangle mesh around its own origin."""

    vertices: NDArray[np.float64]
    """Vertices [V, 3] in metres."""
    faces: NDArray[np.int32]
    """Indices of the corners of the faces [F, 3], counterclockwise from outside."""


@dataclass(frozen=True)
class Body:
    """One rigid body."""

    name: str
    """Its name, unique in the scene."""
    shape: Shape
    """Its geometry."""
    size: Vec3
    """Full extents (x, y, z) in metres."""
    colour: str
    """A palette name."""
    pos: Vec3
    """Centre at t = 0 in metres."""
    yaw: float = 0.0
    """Turn about z in degrees."""
    roll: float = 0.0
    """Turn about y in degrees, applied after the yaw."""
    texture: str = "plain"
    """"plain", "striped", "dotted", "glossy" or "tiled" (blocks of one metre, fixed in the world)."""
    motion: Literal["fixed", "free", "path"] = "fixed"
    """"fixed", "free" (moved by physics) or "path" (moved along key frames)."""
    path: tuple[tuple[float, float, float, float], ...] = ()
    """Key frames (t_s, x, y, z) of a "path" body, linear in between and held outside."""
    turns: tuple[tuple[float, float, float], ...] = ()
    """Key frames (t_s, yaw, roll) in degrees, likewise."""
    growth: tuple[tuple[float, float, float, float], ...] = ()
    """Key frames (t_s, sx, sy, sz), factors on `size`, of a "path" body that grows, such as a stroke of paint."""
    velocity: Vec3 = (0.0, 0.0, 0.0)
    """Velocity of a "free" body at t = 0 in m/s."""
    spin: Vec3 = (0.0, 0.0, 0.0)
    """Angular velocity of a "free" body at t = 0 in rad/s."""
    mass: float = 1.0
    """Mass in kilograms."""
    friction: float = 0.6
    """Coefficient of sliding friction."""
    restitution: float | None = None
    """Restitution of contacts with every other body; None for an inelastic contact."""
    shown: tuple[float, float] = (-1e9, 1e9)
    """From and to when it is visible, in seconds."""
    glow: float = 0.0
    """0 for a body lit by the lamp, 1 for one that emits all of its light."""
    solid: bool = True
    """Whether it takes part in physics."""
    tracked: bool = True
    """Whether probes follow it."""
    mesh: Mesh | None = None
    """The geometry of shape "mesh"."""
    part_of: str = ""
    """Name of a "free" body that it is fixed to: it keeps its place on it. Physics knows that body alone, so that a part is not `solid`."""


@dataclass(frozen=True)
class CameraPath:
    """The camera over time: key frames, linear in between."""

    t_s: NDArray[np.float64]
    """Times [K] in seconds."""
    eye: NDArray[np.float64]
    """Positions [K, 3] in metres."""
    target: NDArray[np.float64]
    """Points looked at [K, 3] in metres."""
    fov: NDArray[np.float64]
    """Fields of view [K] in degrees, across the shorter side of the frame."""
    roll: NDArray[np.float64] | None = None
    """Turns [K] about the line of sight in degrees, positive clockwise as seen from behind the camera; None for an upright camera."""


@dataclass(frozen=True)
class Light:
    """A directional lamp with ambient light."""

    azimuth: float = 25.0
    """Direction in degrees: 0 from behind the viewer, positive from the right."""
    elevation: float = 55.0
    """Height in degrees."""
    ambient: float = 0.5
    """Strength of the ambient light."""
    diffuse: float = 0.55
    """Strength of the lamp."""
    tint: Vec3 = (1.0, 1.0, 1.0)
    """Factors on red, green and blue."""


@dataclass(frozen=True)
class Fracture:
    """A body that breaks at its first contact into pieces, which take over its pose and velocity."""

    body: str
    """Name of the body."""
    pieces: tuple[str, ...]
    """Names of the pieces."""
    kick: float = 1.5
    """Speed at which the pieces fly apart in m/s."""


@dataclass(frozen=True)
class Dimming:
    """The strength of the lamp over time."""

    keys: tuple[tuple[float, float], ...] = ()
    """Key frames (t_s, factor), held outside; steps, not ramps."""


@dataclass(frozen=True)
class Event:
    """An event of the scene."""

    kind: str
    """Its kind, such as "contact" or "bite"."""
    bodies: tuple[str, ...]
    """Names of the bodies involved."""
    t_s: float
    """Its time in seconds."""


@dataclass(frozen=True)
class Scene:
    """All that determines a clip, except its frame size."""

    bodies: tuple[Body, ...]
    """The bodies."""
    camera: CameraPath
    """The camera."""
    duration_s: float
    """Duration in seconds."""
    light: Light = Light()
    """The lamp."""
    floor: str = "light grey"
    """Palette name of the floor."""
    tile_m: float = 1.0
    """Side of the floor's tiles in metres; 0 for none."""
    backdrop: str = "white"
    """Palette name of the backdrop."""
    look: Look | None = None
    """Materials, surroundings and lens; None for the plain world."""
    gravity: float = 9.81
    """Gravity in m/s^2."""
    fracture: Fracture | None = None
    """A body that breaks."""
    dimming: Dimming = Dimming()
    """Changes of the lamp."""
    events: tuple[Event, ...] = ()
    """Scripted events; physics adds its own."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Names, places and times that faults act on."""
    window: Window | None = None
    """The part of the camera's frame that is shown; None for all of it."""

    def body(self, name: str) -> Body:
        """Return the body of that name."""
        for b in self.bodies:
            if b.name == name:
                return b
        raise KeyError(f"no body '{name}' in the scene")
