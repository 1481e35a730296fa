"""What families of random outcomes share: parameters of a draw, and the numbers that it consists of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sora_eval.world.families.params import Mirroring, Params

MOST_DRAWS = 2**31
"""Draws are numbered below this."""


@dataclass(frozen=True, kw_only=True)
class DrawParams(Params):
    """Base of the parameters of a scene whose outcome is random."""

    draw: int
    """Number of the draw: the same scene with another one differs in what no prompt and no first frame determines."""
    flipped: Mirroring = False
    """Whether left and right are exchanged in what is drawn."""


def draw_number(rng: np.random.Generator) -> int:
    """Return the number of a random draw."""
    return int(rng.integers(MOST_DRAWS))


def numbers_of(draw: int) -> np.random.Generator:
    """Return the random numbers of a draw."""
    return np.random.default_rng([*b"draw", draw])
