"""Faults of framing: a subject cut off, too small or off its place, and a picture that was made for another shape of frame.

`scene.facts` has what `world.families.framed.facts` returns; "framed" is whether a fault sets in within the first half of the clip.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from sora_eval.types import Floats, Frames
from sora_eval.world import cameras
from sora_eval.world.faults.base import Broken, fault
from sora_eval.world.scene import Scene

_SMALLER = 4.0
_STRETCH = 16 / 9
_BARS = 0.22
"""Share of a side that each of two bars takes at severity 1: what a square picture leaves of a frame of 16:9."""


def _amount(scene: Scene) -> Floats:
    """Return the share of the fault that is there at each key of the camera's path, [K]."""
    t_s = scene.camera.t_s
    if not scene.facts["framed"]:
        return np.ones(len(t_s))
    return np.asarray(np.minimum(2 * t_s / max(scene.duration_s, 1e-9), 1.0))


def _turned(scene: Scene, right_deg: float, up_deg: float) -> Broken:
    amount = _amount(scene)
    return Broken(replace(scene, camera=cameras.turned(scene.camera, amount * right_deg, amount * up_deg)))


@fault("framed", "out_deg")
def cut_off(scene: Scene, severity: float) -> Broken:
    """The subject moves towards the border until half of it is out of the picture: a tower's roof, one end of a row, a side of others."""
    right, up = scene.facts["out_deg"]
    return _turned(scene, severity * right, severity * up)


@fault("framed", "elsewhere_deg")
def off_place(scene: Scene, severity: float) -> Broken:
    """The subject is at another place than the prompt's: a quarter from the border for the middle, the other third for a third."""
    return _turned(scene, severity * scene.facts["elsewhere_deg"], 0.0)


@fault("framed")
def too_small(scene: Scene, severity: float) -> Broken:
    """The subject is seen from ever farther off, at a quarter of its size at severity 1."""
    camera = scene.camera
    wider = np.tan(np.radians(camera.fov / 2)) * (1 + severity * (_SMALLER - 1) * _amount(scene))
    return Broken(replace(scene, camera=replace(camera, fov=2 * np.degrees(np.arctan(wider)))))


@fault("stretch")
def stretched(scene: Scene, severity: float) -> Broken:
    """The picture is stretched along one axis by up to 16/9, as one that was made for another frame; the subject keeps its place."""
    axis, at = scene.facts["stretch"]
    factor = _STRETCH**severity

    def picture(frames: Frames, u: Floats) -> Frames:
        height, width = frames.shape[1:3]
        # Pixel centres are at whole numbers: the place that stays is at `at` of the side.
        middle = at * (width if axis == "x" else height) - 0.5
        scale, shift = (factor, middle * (1 - factor))
        matrix = np.array([[scale, 0, shift], [0, 1, 0]] if axis == "x" else [[1, 0, 0], [0, scale, shift]])
        return np.array([cv2.warpAffine(f, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE) for f in frames])

    return Broken(scene, picture=picture)


@fault("bars")
def letterboxed(scene: Scene, severity: float) -> Broken:
    """Two black bars hide up to 22% of a side each, as around a square picture in a frame of 16:9."""
    axis = scene.facts["bars"]

    def picture(frames: Frames, u: Floats) -> Frames:
        barred = frames.copy()
        along = barred if axis == "y" else barred.swapaxes(1, 2)
        wide = round(severity * _BARS * along.shape[1])
        along[:, :wide] = 0
        along[:, along.shape[1] - wide :] = 0
        return barred

    return Broken(scene, picture=picture)
