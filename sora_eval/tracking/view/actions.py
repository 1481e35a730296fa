"""Which action of a player the motion of the picture shows: an inverse-dynamics judge without a network.

A turn shifts the whole picture to the other side, a look up or down shifts it downwards or upwards and leaves it there, a walk widens
it, and a jump shifts its near parts down and back again. The distance of things is not known, so what counts is which of the four is
the largest beside what one action of the world of blocks typically shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sora_eval.tracking.view.motion import FEWEST, ViewMotion
from sora_eval.types import Bools, Floats

STILL = "none"
"""The name of no action."""
UNKNOWN = "unknown"
"""The name where the picture can't be followed."""
KINDS: Mapping[str, tuple[str, str]] = {
    "turn": ("turn left", "turn right"),
    "look": ("look down", "look up"),
    "walk": ("walk back", "forward"),
    "jump": ("duck", "jump"),
}
"""Kinds of motion: the names of the negative and of the positive direction."""
_TYPICAL: Mapping[str, float] = {"turn": 0.3, "look": 0.25, "walk": 0.42, "jump": 0.12}
"""What one action of the world shows, as shares of the shorter side, or as growth of the width, between first and third person."""
_LEAST = 0.25
"""Share of the typical amount below which nothing is done."""
_FOLLOWED = 0.6
"""Share of a slot's steps that must be followed."""


@dataclass(frozen=True)
class ShownAction:
    """What a part of a clip shows."""

    name: str
    """The action, `STILL` or `UNKNOWN`."""
    amounts: Mapping[str, float]
    """The signed amount of each kind of motion, 1 for a typical action of the world; {} where unknown."""

    def purity(self, kind: str, besides: str = "") -> float:
        """Return the share of a kind of motion in all motion, 0 to 1, that of the kind `besides` left out."""
        total = sum(abs(v) for k, v in self.amounts.items() if k != besides)
        return abs(self.amounts[kind]) / total if total > 0 else 0.0


def kind_of(action: str) -> tuple[str, float]:
    """Return the kind of motion of an action and its sign; ("", 0) for what moves no view."""
    for kind, names in KINDS.items():
        if action in names:
            return kind, 1.0 if action == names[1] else -1.0
    return "", 0.0


def shown_actions(motion: ViewMotion, count: int) -> list[ShownAction]:
    """Return what each of `count` equal parts of a clip shows."""
    steps = len(motion.right)
    middles = (np.arange(steps) + 0.5) / max(steps, 1)
    return [_shown(motion, np.asarray(np.floor(middles * count) == k)) for k in range(count)]


def _shown(motion: ViewMotion, part: Bools) -> ShownAction:
    known = part & (motion.points >= FEWEST)
    if not part.any() or known.sum() < _FOLLOWED * part.sum():
        return ShownAction(UNKNOWN, {})
    amounts = _amounts(*(v[part] for v in (motion.right, motion.down, motion.widen, motion.stretch)))
    kind = max(amounts, key=lambda k: abs(amounts[k]))
    if abs(amounts[kind]) < _LEAST:
        return ShownAction(STILL, amounts)
    return ShownAction(KINDS[kind][int(amounts[kind] > 0)], amounts)


def _amounts(right: Floats, down: Floats, widen: Floats, stretch: Floats) -> dict[str, float]:
    """Return the signed amounts of the kinds of motion in a part of a clip."""
    way = np.r_[0.0, np.cumsum(down)]
    chord = np.linspace(0.0, way[-1], len(way))
    bow = way - chord
    hop = float(bow[np.abs(bow).argmax()])
    # A look is a bow too, as it starts and stops softly: half of it before its chord, half behind.
    hop = hop if abs(hop) > 0.5 * abs(way[-1]) else 0.0
    walk = float(widen.sum())
    found = {"turn": -float(right.sum()), "look": float(way[-1]), "walk": walk, "jump": hop}
    return {kind: v / _TYPICAL[kind] for kind, v in found.items()}


def turned(motion: ViewMotion) -> Floats:
    """Return how far the view is turned to the right since the first frame [T], in shares of the shorter side."""
    return np.concatenate([[0.0], -np.cumsum(motion.right)])


def followed(motion: ViewMotion, least: Sequence[int] | int = FEWEST) -> float:
    """Return the share of steps in which the picture could be followed."""
    return float((motion.points >= least).mean()) if len(motion.points) else 0.0
