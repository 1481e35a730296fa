"""Exact camera paths of cases as files: RealEstate10K text, JSON, and the keys that a player would press."""

from __future__ import annotations

from typing import Any

import numpy as np

from sora_eval.types import Camera, Case, Floats
from sora_eval.world import cameras, frame_times, scene_of
from sora_eval.world.families import family

_LEAST = 0.4
"""Share of the largest part of a step from which another part of it is a key too: travel along a view that looks down is no climb."""
_NOTHING = 1e-6
_TRAVEL = (("A", "D"), ("S", "W"))
_VIEW = (("ArrowLeft", "ArrowRight"), ("ArrowUp", "ArrowDown"))


def trajectory(case: Case) -> Camera | None:
    """Return the camera of each frame of a case, None where its family doesn't make the camera's path part of the case."""
    if not case.scene or not family(case.scene["family"]).camera_is_given:
        return None
    scene = scene_of(case.scene, (case.frames - 1) / case.fps)
    return cameras.at(scene.camera, frame_times(case.frames, case.fps), case.size)


def realestate10k(camera: Camera, case: Case) -> str:
    """Return a camera in the format of RealEstate10K: a line for the source (the case's id), then one per frame.

    Each has a time in microseconds, fx and cx as shares of the width, fy and cy of the height, two zeros, and the 3 x 4 matrix from world
    to camera by rows, in metres.

    Source: Zhou et al. 2018.
    """
    height, width = case.size
    lines = [case.id]
    for k in range(case.frames):
        K, pose = camera.K[k], np.concatenate([camera.R[k], camera.t[k][:, None]], axis=1)
        # Pixel centres are at whole numbers here, at halves there.
        shares = [K[0, 0] / width, K[1, 1] / height, (K[0, 2] + 0.5) / width, (K[1, 2] + 0.5) / height, 0.0, 0.0]
        lines.append(" ".join([str(round(k / case.fps * 1e6)), *(f"{v:.9f}" for v in [*shares, *pose.ravel()])]))
    return "\n".join(lines) + "\n"


def as_json(camera: Camera, case: Case) -> dict[str, Any]:
    """Return a camera as JSON values: matrices per frame, and `keys` as in `keys`."""
    poses = np.concatenate([camera.R, camera.t[:, :, None]], axis=2)
    return {
        "case": case.id,
        "size": list(case.size),
        "fps": case.fps,
        "axes": "x right, y down, z forward; metres",
        "intrinsics": camera.K.round(6).tolist(),
        "world_to_camera": poses.round(9).tolist(),
        "keys": keys(camera),
    }


def keys(camera: Camera) -> list[list[str]] | None:
    """Return the keys held from the frame before until each frame [T], none for the first: W and S travel forward and back, A and D to the
    left and right, arrows turn the view. None for a camera that rises, rolls or zooms, for which there is no key.
    """
    eye = -np.einsum("tji,tj->ti", camera.R, camera.t)
    moved = np.einsum("tij,tj->ti", camera.R[:-1], np.diff(eye, axis=0))
    forward = np.einsum("tij,tj->ti", camera.R[:-1], camera.R[1:, 2])
    turned = np.stack([forward[:, 0], forward[:, 1]], axis=1)
    rolled = np.einsum("tij,tj->ti", camera.R[:-1], camera.R[1:, 0])[:, 1]
    if np.ptp(camera.K[:, 0, 0]) > _NOTHING or _largest(moved) == 1:
        return None
    if np.abs(rolled).max(initial=0.0) > max(np.abs(turned).max(initial=0.0), _NOTHING):
        return None
    travel, view = _pressed(moved[:, [0, 2]], _TRAVEL), _pressed(turned, _VIEW)
    return [[], *([*a, *b] for a, b in zip(travel, view, strict=True))]


def _largest(moved: Floats) -> int:
    """Return the axis of the largest part of steps [T - 1, 3], -1 where there is none."""
    parts = np.abs(moved).max(axis=0, initial=0.0)
    return int(parts.argmax()) if parts.max() > _NOTHING else -1


def _pressed(steps: Floats, names: tuple[tuple[str, str], ...]) -> list[list[str]]:
    """Return the keys of steps [T - 1, 2]; names: the negative and the positive one of each part."""
    least = max(_LEAST * float(np.abs(steps).max(initial=0.0)), _NOTHING)
    return [[n[int(v > 0)] for v, n in zip(step, names, strict=True) if abs(v) > least] for step in steps]
