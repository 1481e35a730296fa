"""Faults of camera moves: another move than the one of the prompt, or one that is not kept to.

`scene.facts["view"]` is the camera's path; "opposite_view", "other_view" and "swapped_view" are those of other moves with the same key
times.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sora_eval.world import cameras
from sora_eval.world.faults.base import Broken, fault
from sora_eval.world.scene import CameraPath, Scene

_JOLT_DEG, _WANDER_DEG = 5.0, 9.0


def _filmed(scene: Scene, camera: CameraPath) -> Broken:
    return Broken(replace(scene, camera=camera))


def _share(path: CameraPath) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(path.t_s / max(float(path.t_s[-1]), 1e-9))


@fault("view", "opposite_view")
def camera_reversed(scene: Scene, severity: float) -> Broken:
    """The camera moves the opposite way: not at all at severity .5, fully at 1."""
    return _filmed(scene, cameras.blend(scene.facts["view"], scene.facts["opposite_view"], severity))


@fault("view", "other_view")
def camera_moves_otherwise(scene: Scene, severity: float) -> Broken:
    """The camera makes the most similar other move: a truck for a pan, a zoom for a dolly; a mixture of both below severity 1."""
    return _filmed(scene, cameras.blend(scene.facts["view"], scene.facts["other_view"], severity))


@fault("view", "swapped_view")
def camera_swaps_moves(scene: Scene, severity: float) -> Broken:
    """The camera makes the second move first and the first one after it; a mixture of both below severity 1."""
    return _filmed(scene, cameras.blend(scene.facts["view"], scene.facts["swapped_view"], severity))


@fault("view", "opposite_view")
def camera_stays(scene: Scene, severity: float) -> Broken:
    """The camera makes less and less of its move, and none at severity 1."""
    view: CameraPath = scene.facts["view"]
    first = replace(view, eye=view.eye[:1] + 0 * view.eye, target=view.target[:1] + 0 * view.target)
    first = replace(first, fov=view.fov[:1] + 0 * view.fov, roll=None)
    return _filmed(scene, cameras.blend(view, first, severity))


@fault("view")
def camera_jerks(scene: Scene, severity: float) -> Broken:
    """The view jolts four times for an eighth of the clip each, by up to 5 degrees upwards or to the side."""
    view: CameraPath = scene.facts["view"]
    u = _share(view)
    # Half sines: a jolt has as large a share of clips of every length. None begins at u = k / 8: every other frame of 17 shows them too.
    bump = np.maximum(np.sin(8 * np.pi * u - np.pi / 4), 0.0)
    number = np.minimum((4 * u).astype(int), 3)
    up, right = np.array([1.0, -0.6, 0.3, -1.0])[number], np.array([0.3, 0.8, -1.0, -0.3])[number]
    jolt = severity * _JOLT_DEG * bump
    return _filmed(scene, cameras.turned(view, jolt * right, jolt * up))


@fault("view")
def camera_wanders(scene: Scene, severity: float) -> Broken:
    """The view drifts to and fro meanwhile, by up to 9 degrees sideways and upwards."""
    view: CameraPath = scene.facts["view"]
    u, most = _share(view), severity * _WANDER_DEG
    return _filmed(scene, cameras.turned(view, most * np.sin(2.5 * np.pi * u), 0.7 * most * np.sin(3.5 * np.pi * u)))
