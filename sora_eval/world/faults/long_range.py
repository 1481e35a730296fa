"""Faults of long clips: time that stands still or repeats itself, a cut, a picture that drifts, and things that enter from nowhere.

`severity` says for how much of the clip, or how strongly. `scene.facts["long"]` marks the scenes in which something moves all the time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Floats, Frames
from sora_eval.world import cameras
from sora_eval.world.faults.base import Broken, fault, index
from sora_eval.world.physics import States
from sora_eval.world.scene import CameraPath, Scene

_SHARE = 0.8
"""Share of the clip in which time stands still or repeats itself at severity 1."""
_REPEATED_S = 1.0
_CUT_DEG = 24.0
_SINCE = 0.15
"""Share of the clip from which on the picture drifts."""
_TINT = (0.30, -0.06, -0.30)
"""Logarithms of the gains of red, green and blue at the end of a clip that drifts in colour."""
_BLUR = 0.03
"""Standard deviation of the blur at the end of a clip that loses its sharpness, as a share of the shorter side."""


def _retimed(scene: Scene, of_frame: Callable[[NDArray[np.int64], float], NDArray[np.int64]]) -> Broken:
    """Show other frames' states, the camera's included. of_frame: (numbers of the frames [T], their rate) -> frames shown [T]."""

    def edit(states: States) -> States:
        frames = np.arange(len(states.t_s))
        return states.at_frames(of_frame(frames, 1 / float(states.t_s[1] - states.t_s[0])))

    return Broken(scene, edit=edit)


@fault("long")
def freezes(scene: Scene, severity: float) -> Broken:
    """Everything stands still in the last `severity` share of four fifths of the clip, the camera too."""
    return _retimed(scene, lambda k, fps: np.minimum(k, round((1 - _SHARE * severity) * k[-1])))


@fault("long")
def loops(scene: Scene, severity: float) -> Broken:
    """The last `severity` share of four fifths of the clip repeats the second before it again and again."""

    def shown(k: NDArray[np.int64], fps: float) -> NDArray[np.int64]:
        first, period = round((1 - _SHARE * severity) * len(k)), max(2, round(_REPEATED_S * fps))
        first = max(first, min(period, len(k)))
        return np.where(k < first, k, first - period + (k - first) % period)

    return _retimed(scene, shown)


@fault("long")
def cuts_away(scene: Scene, severity: float) -> Broken:
    """In the middle of the clip there is a cut to a view that is turned by up to 24 degrees, and stays so."""
    path = scene.camera
    at_s = 0.5 * scene.duration_s
    turned = np.full(len(path.t_s), severity * _CUT_DEG)
    return Broken(replace(scene, camera=_cut(path, cameras.turned(path, turned, 0 * turned), at_s)))


def _cut(first: CameraPath, second: CameraPath, at_s: float) -> CameraPath:
    return first if np.array_equal(first.target, second.target) else cameras.cut(first, second, at_s)


def _amount(u: Floats) -> Floats:
    return np.clip((u - _SINCE) / (1 - _SINCE), 0, 1)


@fault("long")
def colour_drifts(scene: Scene, severity: float) -> Broken:
    """The picture turns reddish little by little: red gains up to 35%, blue loses up to 26%."""

    def picture(frames: Frames, u: Floats) -> Frames:
        gains = np.exp(severity * _amount(u)[:, None] * np.array(_TINT))
        shown = (np.clip(np.rint(f * g), 0, 255).astype(np.uint8) for f, g in zip(frames, gains, strict=True))
        return np.array(list(shown))

    return Broken(scene, picture=picture)


@fault("long")
def blurs(scene: Scene, severity: float) -> Broken:
    """The picture loses its sharpness little by little, up to a blur with a standard deviation of 3% of the shorter side."""

    def picture(frames: Frames, u: Floats) -> Frames:
        sigmas = severity * _BLUR * min(frames.shape[1:3]) * _amount(u)
        shown = (f if s < 0.05 else cv2.GaussianBlur(f, (0, 0), s) for f, s in zip(frames, sigmas, strict=True))
        return np.array(list(shown), dtype=np.uint8)

    return Broken(scene, picture=picture)


@fault("visitor")
def enters_from_nowhere(scene: Scene, severity: float) -> Broken:
    """A visitor is not there before it has gone three fifths of `severity` of its way across the picture; then it is, at once."""
    name = scene.facts["visitor"]
    there_s, gone_s = scene.facts["crosses_s"]

    def edit(states: States) -> States:
        shown = states.shown.copy()
        if severity > 0:
            shown[states.t_s < there_s + 0.6 * severity * (gone_s - there_s), index(scene, name)] = False
        return replace(states, shown=shown)

    return Broken(scene, edit=edit)
