"""Which hand the person in a clip uses: the one that moves, or is held up, while the other hangs.

Two networks have to agree on what is left. The pose network names the wrists; it errs where it sees no face (it mirrors a man whose face is
blurred). So a name counts where the network of hands, or a face that looks at the camera, confirms it. All is measured on the mirrored clip
too, and the weaker of both answers stands: mirroring a clip turns the answer round, by construction.
"""

from __future__ import annotations

import numpy as np

from sora_eval.tracking.natural.answers import Guess
from sora_eval.tracking.natural.people.bodies import Bodies, bodies
from sora_eval.types import Bools, Floats, Frames

LOOKED = 16
"""Frames in which people are looked for, at most, twice: mirrored too."""
_HANDS = ("left", "right")
_SEEN = 0.7
"""Least share of the frames with a person."""
_SEVERAL = 0.25
"""Share of the frames with a second person from which on there are several."""
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
"""Share of the frames in which a name of the wrists is confirmed that is as good as all."""
_CONTRADICTED = 3.0
"""How many confirmations a contradiction outweighs."""


def hand_guess(frames: Frames, people: int = 1) -> Guess:
    """Return the guess which hand is used, of the only person in a clip; frames: uint8 [T, H, W, 3]. people: how many another detector sees.

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
    use = np.array([_use(found, side) for side in (0, 1)])
    side = int(np.argmax(use))
    margin = float(np.clip((use[side] - 2 * use[1 - side]) / _USED, 0, 1))
    agree, against = _names(found)
    confirmed = min(1.0, float(agree.mean()) / _CONFIRMED)
    trusted = max(0.0, 1 - _CONTRADICTED * float(against.mean()))
    seen = (
        f"the left hand is used by {use[0]:.2f} and the right one by {use[1]:.2f} torso lengths, "
        f"which is which is confirmed in {100 * agree.mean():.0f}% of the frames and contradicted in {100 * against.mean():.0f}%"
    )
    return Guess(_HANDS[side], margin * confirmed * trusted, seen)


def _use(found: Bodies, side: int) -> float:
    """Return how far a wrist moves, about the body, and how high it is held, in torso lengths; 0 of a hand that is hardly seen."""
    there = np.isfinite(found.wrist[:, side, 0])
    if there.mean() < 0.5:
        return 0.0
    low, high = np.quantile(found.wrist[there, side], [0.1, 0.9], axis=0)
    return float(np.linalg.norm(high - low)) + max(0.0, float(np.median(found.height[there, side])) - _HANGS)


def _names(found: Bodies) -> tuple[Bools, Bools]:
    """Return in which frames [K] the names of the wrists are confirmed, by one witness and against none, and contradicted by one."""
    votes = [_vote(1 - found.right[:, 0]), _vote(found.right[:, 1])]
    face = found.facing >= _SURE
    votes.append(np.where(face & (np.abs(found.order) >= _TURNED), np.sign(np.nan_to_num(found.order)), 0.0))
    each = np.stack(votes)
    against = np.asarray((each < 0).any(axis=0), dtype=bool)
    return np.asarray((each > 0).any(axis=0) & ~against, dtype=bool), against


def _vote(probability: Floats) -> Floats:
    """Return 1 where a probability is large, -1 where it is small, 0 where it is neither or unknown."""
    known = np.nan_to_num(probability, nan=0.5)
    return np.where(known >= _SURE, 1.0, np.where(known <= 1 - _SURE, -1.0, 0.0))
