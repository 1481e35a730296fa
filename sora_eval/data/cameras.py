"""Camera poses as conditioning: numbers per frame, relative to the first one, so that they mean the same in every scene."""

from __future__ import annotations

import cv2
import numpy as np

from sora_eval.data.shards import FPS, IMAGE_SCENE_S, Item
from sora_eval.types import Camera, Floats
from sora_eval.world.families import family
from sora_eval.world.render import camera_of

POSE = 8
"""Numbers per frame: rotation vector (radians), translation (of _METRES), logarithm of the zoom, and 1: all 0 where no pose is given."""
POSE_VERSION = 1
"""Raised whenever the numbers change: those of a training set are kept beside its latents."""
_METRES = 4.0
"""Length that counts as 1: most moves are shorter."""


def pose_features(camera: Camera) -> Floats:
    """Return the poses [T, 8] of a camera relative to its first frame, in the axes of the first (x right, y down, z forward)."""
    centres = -np.einsum("tji,tj->ti", camera.R, camera.t)
    moved = np.einsum("ij,tj->ti", camera.R[0], centres - centres[0]) / _METRES
    turned = np.stack([cv2.Rodrigues(rotation @ camera.R[0].T)[0][:, 0] for rotation in camera.R])
    zoom = np.log(camera.K[:, 1, 1] / camera.K[0, 1, 1])
    return np.concatenate([turned, moved, zoom[:, None], np.ones((len(zoom), 1))], axis=1)


def mirrored_poses(poses: Floats) -> Floats:
    """Return poses [..., 8] of the clip seen in a mirror: left and right exchanged."""
    mirrored: Floats = poses * (1, -1, -1, -1, 1, 1, 1, 1)
    return mirrored


def item_poses(item: Item, frames: int, size: tuple[int, int]) -> Floats:
    """Return the poses [T, 8] of a training clip; nothing is rendered."""
    scenes = family(item.family)
    scene = scenes.build(scenes.read(item.params), IMAGE_SCENE_S if frames == 1 else (frames - 1) / FPS)
    return pose_features(camera_of(scene, np.arange(frames) / FPS, size))
