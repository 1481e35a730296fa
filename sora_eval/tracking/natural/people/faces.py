"""BlazeFace: whether a part of a frame shows a face.

Source: Bazarevsky et al. 2019 (arXiv:1907.05047).
"""

from __future__ import annotations

from functools import cache

from sora_eval.tracking.natural import weights
from sora_eval.tracking.natural.people import litert
from sora_eval.tracking.natural.people.anchors import centres, decode
from sora_eval.tracking.natural.people.crops import Square
from sora_eval.types import Floats, Frames

_INPUT = 128
_GRIDS = ((16, 2), (8, 6))


@cache
def _anchors() -> Floats:
    return centres(_GRIDS)


def face_score(frame: Frames, around: Square) -> float:
    """Return the probability of a face in a square of a frame uint8 [H, W, 3] RGB.

    Raises:
        AbsentNaturalWeightsError, AbsentRuntimeError: what it needs is not on this machine.
    """
    raw, logits = litert.run(weights.FACE, 2 * around.cut(frame, _INPUT) - 1)
    return max((face.score for face in decode(raw, logits, _anchors(), _INPUT, 0.1)), default=0.0)
