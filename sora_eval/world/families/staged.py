"""What the families of lasting changes share: colours that no edge mixes up, a block that must not change, and the facts of a change."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from sora_eval.world import palette
from sora_eval.world.families import common
from sora_eval.world.families.params import SIGN, Side
from sora_eval.world.scene import Body

BYSTANDER = "bystander"
BYSTANDER_M = 0.55


def spaced_colours(rng: np.random.Generator, count: int, first: Sequence[str] = ()) -> list[str]:
    """Return up to four colours at random, no two of them neighbours in hue: where they meet, no edge has the hue of another.

    first: the colours that the first one is chosen from, () for all.
    """
    names = list(palette.COLOURS)
    rows = [
        [names[i] for i in row]
        for row in combinations(range(len(names)), count)
        if all((b - a) % len(names) not in (1, len(names) - 1) for a, b in combinations(row, 2))
    ]
    rows = [row for row in rows if not first or set(row) & set(first)]
    row = [str(c) for c in rng.permutation(common.choose(rng, rows))]
    head = next(c for c in row if not first or c in first)
    return [head, *(c for c in row if c != head)]


def bystander(colour: str, side: Side, x: float = 1.35, y: float = 0.5, wide_m: float = BYSTANDER_M) -> Body:
    """Return a block that stands on a side and has no part in what happens; x, y: metres from the middle."""
    return Body(BYSTANDER, "box", (wide_m,) * 3, colour, (SIGN[side] * x, y, wide_m / 2))


def beside(colour: str, side: Side) -> str:
    """Return the words for the bystander, such as "a red block stands on the left"."""
    return f"{common.article(f'{colour} block')} stands on the {side}"


def change(effect: Sequence[str], begin_s: float, done_s: float, lead_s: float, lamp: bool = False) -> dict[str, Any]:
    """Return the facts that faults of changes act on: see `world.faults.state_changes`.

    effect: the bodies that show the change. begin_s, done_s: when the first of its causes is there and when the last has left.
    lead_s: how much earlier the change may come at most.
    """
    return {"cause_s": begin_s, "effect": list(effect), "lead_s": lead_s, "done_s": done_s, "lamp": lamp}
