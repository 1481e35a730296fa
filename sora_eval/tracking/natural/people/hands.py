"""MediaPipe Hands: the hand in a part of a frame, and whether it is a left or a right one.

Source: Zhang et al. 2020 (arXiv:2006.10214): a detector of palms gives the wrist and the knuckles, a second network reads 21 keypoints, the
presence of a hand and its handedness from a crop in which the fingers point up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from sora_eval.tracking.natural import weights
from sora_eval.tracking.natural.people import litert
from sora_eval.tracking.natural.people.anchors import Found, centres, decode
from sora_eval.tracking.natural.people.crops import Square, upright
from sora_eval.types import Floats, Frames

_DETECTED, _PRESENT = 0.5, 0.5
_INPUT, _CROP = 192, 224
_GRIDS = ((24, 2), (12, 6))
_WRIST, _KNUCKLE = 0, 2
"""Keypoints of a palm: the wrist, and the knuckle of the middle finger."""
_LARGER, _AHEAD = 2.6, 0.5
"""The hand's crop, of the palm's box: how much larger, and how far it lies ahead towards the fingers; as the network was trained."""


@dataclass(frozen=True)
class Hand:
    """A hand in a frame."""

    score: float
    """Probability that the crop shows a hand, 0 to 1."""
    xy: Floats
    """[21, 2] keypoints, pixels of the frame."""
    right: float
    """Probability that it is a right hand, 0 to 1."""


@cache
def _anchors() -> Floats:
    return centres(_GRIDS)


def find_hand(frame: Frames, around: Square) -> Hand | None:
    """Return the surest hand in a square of a frame uint8 [H, W, 3] RGB, None where there is none.

    Raises:
        AbsentNaturalWeightsError, AbsentRuntimeError: what it needs is not on this machine.
    """
    raw, logits = litert.run(weights.PALM, around.cut(frame, _INPUT))
    palms = decode(raw, logits, _anchors(), _INPUT, _DETECTED)
    hands = [_hand(frame, _crop(palm, around)) for palm in palms[:2]]
    return max((hand for hand in hands if hand.score >= _PRESENT), key=lambda hand: hand.score, default=None)


def _crop(palm: Found, around: Square) -> Square:
    wrist, knuckle = around.to_frame(palm.points[[_WRIST, _KNUCKLE]])
    angle = upright(wrist, knuckle)
    side = float(max(palm.box[2:] - palm.box[:2])) * around.side
    x, y = around.to_frame((palm.box[None, :2] + palm.box[None, 2:]) / 2)[0]
    ahead = _AHEAD * side * np.array([np.sin(angle), -np.cos(angle)])
    return Square(float(x + ahead[0]), float(y + ahead[1]), _LARGER * side, angle)


def _hand(frame: Frames, crop: Square) -> Hand:
    flat, present, right, _ = litert.run(weights.HAND, crop.cut(frame, _CROP))
    return Hand(float(present[0]), crop.to_frame(flat.reshape(-1, 3)[:, :2] / _CROP), float(right[0]))
