"""The one person of a clip over time: wrists relative to the body, and what else says which of them is the left one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sora_eval.tracking.natural.people.crops import Square, upright
from sora_eval.tracking.natural.people.faces import face_score
from sora_eval.tracking.natural.people.hands import Hand, find_hand
from sora_eval.tracking.natural.people.pose import EARS, ELBOWS, HIPS, NOSE, SHOULDERS, WRISTS, Person, find_people
from sora_eval.types import Bools, Floats, Frames

_BESIDES = 0.5
"""Size, of the largest person's torso, from which on somebody else is more than a passer-by in the background."""
_HEAD, _HAND, _FOREARM = 1.2, 1.2, 1.8
"""Sides of the squares in which face and hand are looked for: in torsos, and in forearms."""
_BEYOND = 0.3
"""How far beyond the wrist the middle of a hand is, in forearms."""
_AT_WRIST = 0.35
"""Greatest distance of a hand's wrist from the pose's, in torsos."""


@dataclass(frozen=True)
class Bodies:
    """The largest person in each of K frames; the left hand comes first, as the pose network names it."""

    seen: Bools
    """[K], whether there is a person."""
    several: Bools
    """[K], whether there is a second one of similar size."""
    middle: Floats
    """[K, 2] middle of the shoulders in torso lengths of all frames, x right and y down, NaN where there is nobody."""
    wrist: Floats
    """[K, 2 hands, 2] place of the wrist from the middle of the shoulders in torso lengths, x right and y down; NaN where not visible."""
    height: Floats
    """[K, 2 hands] height of the wrist over the hips, in torso lengths; NaN where it isn't visible."""
    right: Floats
    """[K, 2 hands] probability of being a right hand by the network of hands, NaN where it sees none."""
    facing: Floats
    """[K] probability of a face that looks at the camera."""
    order: Floats
    """[K] how far the left shoulder lies to the person's left as the viewer of a face sees it, in torso lengths: negative from behind."""


def bodies(frames: Frames) -> Bodies:
    """Return the largest person of each frame. frames: uint8 [K, H, W, 3].

    Raises:
        AbsentNaturalWeightsError, AbsentRuntimeError: what it needs is not on this machine.
    """
    n = len(frames)
    people = [sorted(find_people(frame), key=lambda p: -p.torso) for frame in frames]
    first = [found[0] if found and found[0].torso > 1 else None for found in people]
    several = [len(found) > 1 and found[1].torso > _BESIDES * found[0].torso for found in people]
    middle, wrist = np.full((n, 2), np.nan), np.full((n, 2, 2), np.nan)
    height, right = np.full((n, 2), np.nan), np.full((n, 2), np.nan)
    facing, order = np.zeros(n), np.full(n, np.nan)
    usual = float(np.median([p.torso for p in first if p])) if any(first) else 1.0
    for k, person in enumerate(first):
        if person is None:
            continue
        axis = _across(person)
        shoulders, hips = person.xy[list(SHOULDERS)], person.xy[list(HIPS)].mean(axis=0)
        middle[k] = shoulders.mean(axis=0) / usual
        order[k] = (shoulders[0] - shoulders[1]) @ axis / person.torso
        facing[k] = face_score(frames[k], _head(person))
        up = np.array([axis[1], -axis[0]])
        for side in (0, 1):
            if person.visible[WRISTS[side]] < 0.5:
                continue
            place = person.xy[WRISTS[side]]
            wrist[k, side] = (place - shoulders.mean(axis=0)) / person.torso
            height[k, side] = (place - hips) @ up / person.torso
            hand = _at_wrist(frames[k], person, side)
            right[k, side] = hand.right if hand else np.nan
    seen = np.array([person is not None for person in first], dtype=bool)
    return Bodies(seen, np.array(several, dtype=bool), middle, wrist, height, right, facing, order)


def _across(person: Person) -> Floats:
    """Return the unit vector [2] to the side of the person that is the left one of somebody who faces the camera."""
    angle = upright(person.xy[list(HIPS)].mean(axis=0), person.xy[list(SHOULDERS)].mean(axis=0))
    return np.array([np.cos(angle), np.sin(angle)])


def _head(person: Person) -> Square:
    x, y = person.xy[[NOSE, *EARS]].mean(axis=0)
    across = _across(person)
    return Square(float(x), float(y), _HEAD * person.torso, float(np.arctan2(across[1], across[0])))


def _at_wrist(frame: Frames, person: Person, side: int) -> Hand | None:
    """Return the hand at a wrist, None where there is none or where it could as well be the other one's."""
    own, other = person.xy[WRISTS[side]], person.xy[WRISTS[1 - side]]
    forearm = own - person.xy[ELBOWS[side]]
    x, y = own + _BEYOND * forearm
    size = max(_FOREARM * float(np.linalg.norm(forearm)), _HAND * person.torso)
    hand = find_hand(frame, Square(float(x), float(y), size))
    if hand is None:
        return None
    near = float(np.linalg.norm(hand.xy[0] - own))
    far = float(np.linalg.norm(hand.xy[0] - other))
    return hand if near < _AT_WRIST * person.torso and 2 * near < far else None
