"""Camera paths: still, orbit, dolly, truck, crane, pan, tilt, zoom, roll, look away and back, cut. Angles in degrees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Camera, Floats
from sora_eval.world.looks import Look
from sora_eval.world.scene import CameraPath, Vec3

_KEYS = 65
_KEYS_PER_S = 30.0
_SWAYS_HZ = (0.35, 0.8, 1.7)
"""Frequencies of a hand: breathing, swaying, trembling."""


def _path(
    duration_s: float,
    pose: Callable[[float], tuple[NDArray[np.float64], NDArray[np.float64], float]],
) -> CameraPath:
    u = np.linspace(0.0, 1.0, _KEYS)
    eye, target, fov = zip(*(pose(float(x)) for x in u), strict=True)
    return CameraPath(u * duration_s, np.array(eye), np.array(target), np.array(fov, dtype=float))


def still(duration_s: float, eye: Vec3, target: Vec3, fov: float = 40.0) -> CameraPath:
    """Return a camera that stays where it is."""
    return _path(duration_s, lambda u: (np.array(eye), np.array(target), fov))


def orbit(
    duration_s: float, centre: Vec3, radius: float, height: float, degrees: float, fov: float = 40.0
) -> CameraPath:
    """Return a camera that circles `centre`; positive degrees move the camera to its own right."""

    def pose(u: float) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        a = np.radians((u - 0.5) * degrees)
        eye = np.array([centre[0] + radius * np.sin(a), centre[1] - radius * np.cos(a), height])
        return eye, np.array(centre), fov

    return _path(duration_s, pose)


def circle(duration_s: float, eye: Vec3, centre: Vec3, degrees: float, fov: float = 40.0) -> CameraPath:
    """Return a camera that starts at `eye` and circles `centre` at its height; positive degrees move it to its own right."""
    arm = np.subtract(eye, centre)

    def pose(u: float) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        a = np.radians(u * degrees)
        x, y = np.cos(a) * arm[0] - np.sin(a) * arm[1], np.sin(a) * arm[0] + np.cos(a) * arm[1]
        return np.array(centre) + np.array([x, y, arm[2]]), np.array(centre), fov

    return _path(duration_s, pose)


def move(
    duration_s: float, eye: Vec3, target: Vec3, shift: Vec3, fov: float = 40.0, *, about_middle: bool = True
) -> CameraPath:
    """Return a camera that moves by `shift` metres without turning: truck (x), dolly (y), crane (z)."""
    start = -0.5 if about_middle else 0.0

    def pose(u: float) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        d = (u + start) * np.array(shift)
        return np.array(eye) + d, np.array(target) + d, fov

    return _path(duration_s, pose)


def turn(
    duration_s: float,
    eye: Vec3,
    target: Vec3,
    pan: Callable[[float], float],
    tilt: Callable[[float], float],
    fov: float = 40.0,
) -> CameraPath:
    """Return a camera that turns on the spot; pan to the right and tilt upwards are positive, as functions of u in [0, 1]."""
    base = np.array(target, dtype=float) - np.array(eye, dtype=float)
    length = float(np.linalg.norm(base))
    yaw0, pitch0 = np.arctan2(base[0], base[1]), np.arcsin(base[2] / length)

    def pose(u: float) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        yaw, pitch = yaw0 + np.radians(pan(u)), pitch0 + np.radians(tilt(u))
        ray = np.array([np.sin(yaw) * np.cos(pitch), np.cos(yaw) * np.cos(pitch), np.sin(pitch)])
        return np.array(eye, dtype=float), np.array(eye) + length * ray, fov

    return _path(duration_s, pose)


def zoom(duration_s: float, eye: Vec3, target: Vec3, fov_from: float, fov_to: float) -> CameraPath:
    """Return a camera that only changes its field of view."""
    return _path(duration_s, lambda u: (np.array(eye), np.array(target), fov_from + (fov_to - fov_from) * u))


def roll(duration_s: float, eye: Vec3, target: Vec3, degrees: float, fov: float = 40.0) -> CameraPath:
    """Return a camera that turns about its line of sight from upright to `degrees`, positive clockwise as seen from behind it."""
    upright = still(duration_s, eye, target, fov)
    return replace(upright, roll=np.linspace(0.0, degrees, len(upright.t_s)))


def blend(one: CameraPath, other: CameraPath, share: float) -> CameraPath:
    """Return the path that lies at `share` of the way from one path to another one with the same key times."""

    def mixed(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        return (1 - share) * a + share * b

    upright = np.zeros(len(one.t_s))
    rolls = [upright if path.roll is None else path.roll for path in (one, other)]
    return CameraPath(
        one.t_s, mixed(one.eye, other.eye), mixed(one.target, other.target), mixed(one.fov, other.fov), mixed(*rolls)
    )


def turned(path: CameraPath, right: NDArray[np.float64], up: NDArray[np.float64]) -> CameraPath:
    """Return the path with its view turned at each key by [K] degrees to the right and upwards."""
    ray = path.target - path.eye
    far = np.linalg.norm(ray, axis=1)
    yaw = np.arctan2(ray[:, 0], ray[:, 1]) + np.radians(right)
    pitch = np.arcsin(ray[:, 2] / far) + np.radians(up)
    level = np.cos(pitch)
    ray = np.stack([np.sin(yaw) * level, np.cos(yaw) * level, np.sin(pitch)], axis=1)
    return replace(path, target=path.eye + far[:, None] * ray)


def cut(first: CameraPath, second: CameraPath, at_s: float) -> CameraPath:
    """Return `first` until `at_s`, then `second`, with nothing in between."""
    a, b = first.t_s < at_s, second.t_s > at_s

    # Both sides get a key at the cut, or the path would glide from one to the other until its next key.
    def joined(one: NDArray[np.float64], two: NDArray[np.float64]) -> NDArray[np.float64]:
        before = [np.interp(at_s, first.t_s, v) for v in one.T]
        after = [np.interp(at_s, second.t_s, v) for v in two.T]
        return np.concatenate([one[a], np.array([before, after]), two[b]])

    t_s = np.concatenate([first.t_s[a], np.array([at_s - 1e-6, at_s]), second.t_s[b]])
    fov = joined(first.fov[:, None], second.fov[:, None])[:, 0]
    return CameraPath(t_s, joined(first.eye, second.eye), joined(first.target, second.target), fov)


def chained(first: CameraPath, second: CameraPath) -> CameraPath:
    """Return an upright path that goes on with a second one, which begins when and where the first one ends."""
    joined = (np.concatenate([getattr(first, k), getattr(second, k)[1:]]) for k in ("t_s", "eye", "target", "fov"))
    return CameraPath(*joined)


def away_and_back(
    peak: float, out: tuple[float, float] = (0.05, 0.35), back: tuple[float, float] = (0.55, 0.85), rest: float = 0.0
) -> Callable[[float], float]:
    """Return u -> angle that goes to `peak` while u is in `out`, stays, goes to `rest` in `back` and stays; smoothly."""

    def angle(u: float) -> float:
        rise, fall = (_smooth(float(np.clip((u - a) / (b - a), 0, 1))) for a, b in (out, back))
        return peak * rise + (rest - peak) * fall

    return angle


def _smooth(x: float) -> float:
    return x * x * (3 - 2 * x)


def shaken(path: CameraPath, look: Look, duration_s: float) -> CameraPath:
    """Return a camera path as a hand holds the camera: it turns and moves a little, without a rest. A cut stays one."""
    keys = np.union1d(path.t_s, np.linspace(0.0, duration_s, int(np.ceil(duration_s * _KEYS_PER_S)) + 1))
    rng = np.random.default_rng([look.seed, *b"hand"])
    sway = [_sway(keys, rng) for _ in range(5)]
    side = -1.0 if look.flipped else 1.0
    eye, target = (np.stack([np.interp(keys, path.t_s, v) for v in xyz.T], axis=1) for xyz in (path.eye, path.target))
    forward = target - eye
    far = np.linalg.norm(forward, axis=1, keepdims=True)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    up = np.cross(right, forward) / far
    # A hand moves by about a centimetre for each tenth of a degree that it turns.
    moved = (
        0.1
        * look.sway_deg
        * (side * sway[0][:, None] * np.array([1.0, 0.0, 0.0]) + np.stack([0 * keys, sway[1], sway[2]], axis=1))
    )
    sideways = np.tan(np.radians(look.sway_deg)) * far * (side * sway[3][:, None] * right + sway[4][:, None] * up)
    rolled = None if path.roll is None else np.interp(keys, path.t_s, path.roll)
    return CameraPath(keys, eye + moved, target + moved + sideways, np.interp(keys, path.t_s, path.fov), rolled)


def _sway(t_s: Floats, rng: np.random.Generator) -> Floats:
    """Return [T] numbers within about -1 and 1 that waver smoothly, from 0 at the beginning."""
    total = np.zeros(len(t_s))
    for hz, share in zip(_SWAYS_HZ, (0.6, 0.3, 0.1), strict=True):
        phase = float(rng.uniform(0, 2 * np.pi))
        total += share * (np.sin(2 * np.pi * hz * t_s + phase) - np.sin(phase))
    return total


def at(path: CameraPath, t_s: Floats, size: tuple[int, int]) -> Camera:
    """Return the cameras at times [T] for frames of (height, width) pixels."""
    height, width = size

    def along(values: Floats) -> Floats:
        return np.interp(t_s, path.t_s, values)

    eye = np.stack([along(path.eye[:, i]) for i in range(3)], axis=1)
    target = np.stack([along(path.target[:, i]) for i in range(3)], axis=1)
    fov = along(path.fov)
    forward = target - eye
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    right = np.cross(forward, np.array([0.0, 0.0, 1.0]))
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    down = np.cross(forward, right)
    if path.roll is not None:
        cosine, sine = (f(np.radians(along(path.roll)))[:, None] for f in (np.cos, np.sin))
        right, down = cosine * right + sine * down, cosine * down - sine * right
    R = np.stack([right, down, forward], axis=1)
    t = -np.einsum("tij,tj->ti", R, eye)
    focal = 0.5 * min(height, width) / np.tan(np.radians(fov) / 2)
    K = np.zeros((len(t_s), 3, 3))
    K[:, 0, 0] = K[:, 1, 1] = focal
    K[:, 0, 2], K[:, 1, 2], K[:, 2, 2] = (width - 1) / 2, (height - 1) / 2, 1.0
    return Camera(K, R, t)
