"""BlazePose: the people of a frame with 33 keypoints each, named left and right as of the person's own body.

Source: Bazarevsky et al. 2020 (arXiv:2006.10204): a detector gives the middle of the hips and a point above it, as far as the circle around
the person reaches; a second network reads the keypoints from a crop in which the person stands upright.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from sora_eval.metrics.mot import box_iou
from sora_eval.tracking.natural import weights
from sora_eval.tracking.natural.people import litert
from sora_eval.tracking.natural.people.anchors import Found, centres, decode
from sora_eval.tracking.natural.people.crops import Square, upright, whole
from sora_eval.types import Floats, Frames

NOSE, EYES, EARS = 0, (2, 5), (7, 8)
SHOULDERS, ELBOWS, WRISTS, HIPS = (11, 12), (13, 14), (15, 16), (23, 24)
"""Numbers of keypoints, the person's left one first."""
LITTLE, INDEX = (17, 18), (19, 20)
"""Knuckles of the little and of the index finger."""
KEYPOINTS = 33
_DETECTED, _PRESENT = 0.5, 0.5
_INPUT, _CROP = 224, 256
_GRIDS = ((28, 2), (14, 2), (7, 6))
_MARGIN = 1.25
"""How much larger the crop is than the circle, as the network was trained."""
_TWICE = 0.5


@dataclass(frozen=True)
class Person:
    """A person in a frame."""

    score: float
    """Probability that the crop shows a person, 0 to 1."""
    xy: Floats
    """[33, 2] keypoints, pixels of the frame; they may lie outside."""
    visible: Floats
    """[33] probability that a keypoint lies in the frame and isn't hidden."""

    @property
    def torso(self) -> float:
        """Distance between the middles of shoulders and hips, pixels."""
        return float(np.linalg.norm(self.xy[list(SHOULDERS)].mean(axis=0) - self.xy[list(HIPS)].mean(axis=0)))

    @property
    def box(self) -> Floats:
        """[4] x0, y0, x1, y1 around the keypoints, pixels."""
        return np.concatenate([self.xy.min(axis=0), self.xy.max(axis=0)])


@cache
def _anchors() -> Floats:
    return centres(_GRIDS)


def find_people(frame: Frames) -> list[Person]:
    """Return the people of a frame uint8 [H, W, 3] RGB, the surest first.

    Raises:
        AbsentNaturalWeightsError, AbsentRuntimeError: what it needs is not on this machine.
    """
    around = whole(frame)
    raw, logits = litert.run(weights.POSE_DETECTION, 2 * around.cut(frame, _INPUT) - 1)
    people: list[Person] = []
    for found in decode(raw, logits, _anchors(), _INPUT, _DETECTED):
        person = _keypoints(frame, _crop(found, around))
        # Two detections of one person lead to the same keypoints.
        again = any(box_iou(person.box, other.box)[0, 0] > _TWICE for other in people)
        if person.score >= _PRESENT and not again:
            people.append(person)
    return people


def _crop(found: Found, around: Square) -> Square:
    hips, above = around.to_frame(found.points[:2])
    side = 2 * _MARGIN * float(np.linalg.norm(above - hips))
    return Square(float(hips[0]), float(hips[1]), max(side, 1.0), upright(hips, above))


def _keypoints(frame: Frames, crop: Square) -> Person:
    flat, present = litert.run(weights.POSE, crop.cut(frame, _CROP))[:2]
    # x, y, depth in pixels of the crop, and the logits of being visible and of being in the picture.
    rows = flat.reshape(-1, 5)[:KEYPOINTS].astype(float)
    visible = 1 / (1 + np.exp(-np.clip(rows[:, 3], -50, 50)))
    return Person(float(present[0]), crop.to_frame(rows[:, :2] / _CROP), visible)
