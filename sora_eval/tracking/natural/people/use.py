"""Which hand the person in a clip uses: the one that moves, or is held up, while the other hangs.

Two networks have to agree on what is left. The pose network names the wrists; it errs where it sees no face (it mirrors a man whose face is
blurred). So a name counts where the network of hands, or a face that looks at the camera, confirms it. All is measured on the mirrored clip
too, and the weaker of both answers stands: mirroring a clip turns the answer round, by construction.
"""

from __future__ import annotations

import numpy as np

from sora_eval.tracking.natural.answers import Guess
from sora_eval.tracking.natural.people.bodies import Bodies, bodies
from sora_eval.types import Floats, Frames

LOOKED = 16
"""Frames in which people are looked for, at most, twice: mirrored too."""
_HANDS = ("left", "right")
_SEEN = 0.7
"""Least share of the frames with a person."""
_SEVERAL = 0.25
"""Share of the frames with a second person from which on there are several."""
_BOTH = 0.5
"""Least share of these frames in which each wrist is visible: what is hidden may be used as well."""
_JUMP = 1.5
"""How far the shoulders of one person go between two of the frames, at most, in torso lengths."""
_HANGS = 0.3
"""Height over the hips up to which a wrist hangs, in torso lengths."""
_USED = 0.5
"""Motion and height of a hand that is surely used, beyond twice those of the other, in torso lengths."""
_SURE = 0.75
"""Probability from which on the network of hands, or of faces, has an answer."""
_TURNED = 0.25
"""Distance of the shoulders, across the body, from which on somebody doesn't stand sideways, in torso lengths."""
_CONFIRMED = 0.5
"""Confirmations less twice the contradictions, per frame, that are as good as any more. A single hand of 20 pixels is called by the wrong
side in a fifth of the frames."""
_CONTRADICTED = 2.0
"""How many confirmations a contradiction outweighs."""
_SWAPPED = 0.1
"""Share of the frames in which the shoulders are in the other order from which on the pose network changes its mind, or somebody turns."""


def hand_guess(frames: Frames, people: int = 1) -> Guess:
    """Return the guess which hand the only person in a clip uses; frames: uint8 [T, H, W, 3]. people: how many another detector sees.

    Raises:
        AbsentNaturalWeightsError, AbsentRuntimeError: what it needs is not on this machine.
    """
    if people > 1:
        return Guess("left", 0.0, "there is more than one person")
    index = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), LOOKED)).round().astype(int))
    chosen = frames[index]
    as_it_is = of_bodies(bodies(chosen))
    # The second pass is for nothing where the first has no answer.
    if not as_it_is.confidence:
        return as_it_is
    return both_ways(as_it_is, of_bodies(bodies(np.ascontiguousarray(chosen[:, :, ::-1]))))


def both_ways(as_it_is: Guess, mirrored: Guess) -> Guess:
    """Return the weaker of the guesses on a clip and on its mirror image, none where they don't contradict each other."""
    if as_it_is.answer == mirrored.answer:
        return Guess(as_it_is.answer, 0.0, "the mirrored clip gets the same hand")
    return Guess(as_it_is.answer, min(as_it_is.confidence, mirrored.confidence), as_it_is.seen)


def of_bodies(found: Bodies) -> Guess:
    """Return the guess of one pass over the frames."""
    if found.seen.mean() < _SEEN:
        return Guess("left", 0.0, f"a person is seen in {100 * found.seen.mean():.0f}% of the frames")
    if found.several.mean() > _SEVERAL:
        return Guess("left", 0.0, "there is more than one person")
    way = np.linalg.norm(np.diff(found.middle[found.seen], axis=0), axis=1)
    if (way > _JUMP).any():
        return Guess("left", 0.0, "the person isn't followed from frame to frame")
    if (np.isfinite(found.wrist[found.seen, :, 0]).mean(axis=0) < _BOTH).any():
        return Guess("left", 0.0, "one of the hands is hidden")
    use = np.array([_use(found, side) for side in (0, 1)])
    side = int(np.argmax(use))
    margin = float(np.clip((use[side] - 2 * use[1 - side]) / _USED, 0, 1))
    order = np.sign(found.order[np.abs(np.nan_to_num(found.order)) >= _TURNED])
    if len(order) and min((order > 0).mean(), (order < 0).mean()) > _SWAPPED:
        return Guess(_HANDS[side], 0.0, "the shoulders change places")
    votes = _votes(found)
    agree, against = int((votes > 0).sum()), int((votes < 0).sum())
    confirmed = float(np.clip((agree - _CONTRADICTED * against) / (_CONFIRMED * len(found.seen)), 0, 1))
    seen = (
        f"the left hand is used by {use[0]:.2f} and the right one by {use[1]:.2f} torso lengths; "
        f"which is which is confirmed {agree} times and contradicted {against} times in {len(found.seen)} frames"
    )
    return Guess(_HANDS[side], margin * confirmed, seen)


def _use(found: Bodies, side: int) -> float:
    """Return how far a wrist moves, about the body, and how high it is held, in torso lengths."""
    there = np.isfinite(found.wrist[:, side, 0])
    low, high = np.quantile(found.wrist[there, side], [0.1, 0.9], axis=0)
    return float(np.linalg.norm(high - low)) + max(0.0, float(np.median(found.height[there, side])) - _HANGS)


def _votes(found: Bodies) -> Floats:
    """Return votes [3, K] on the left and right labels of the wrists: 1 they are correct, -1 they are swapped, 0 no vote.

    The left hand's handedness, the right one's, and of a face that looks at the camera the order of the shoulders.
    """
    facing = (found.facing >= _SURE) & (np.abs(np.nan_to_num(found.order)) >= _TURNED)
    order = np.where(facing, np.sign(np.nan_to_num(found.order)), 0.0)
    return np.stack([_vote(1 - found.right[:, 0]), _vote(found.right[:, 1]), order])


def _vote(probability: Floats) -> Floats:
    """Return 1 where a probability is large, -1 where it is small, 0 where it is neither or unknown."""
    known = np.nan_to_num(probability, nan=0.5)
    return np.where(known >= _SURE, 1.0, np.where(known <= 1 - _SURE, -1.0, 0.0))
