"""Simulated outcomes against the probabilities of the probes: `PYTHONPATH=tests python -m benchmarks.outcome_draws [draws]`, else 1,000.

A line per setting: how often each outcome came, its probability, and the p-value of a chi-squared test. Settings that are mirror images
share one: of the ridge the edge left of the middle, of the stack the lean to the left; the die is thrown from the left, its faces in the
order of `thrown_die.FACES`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from scipy.stats import chisquare

from sora_eval.world import physics
from sora_eval.world.families import family
from sora_eval.world.families.ridge_drop import EDGES, WIDTH_M, RidgeDropParams
from sora_eval.world.families.thrown_die import ThrownDieParams, up_face
from sora_eval.world.families.toppling_stack import TopplingStackParams
from sora_eval.world.physics import States
from sora_eval.world.scene import Scene

DRAWS = 1000
_SECONDS = 2.0


def _end(scene: Scene) -> States:
    return physics.simulate(scene, np.linspace(0.0, _SECONDS, 5))


def face(draw: int) -> int:
    """Return which of a die's faces ends on top."""
    p = family("thrown_die").sample(np.random.default_rng(0))
    assert isinstance(p, ThrownDieParams)
    return up_face(_end(family("thrown_die").build(replace(p, start="left", draw=draw), _SECONDS)).quat[-1, 0])[0]


def side_of_ridge(edge: float) -> Callable[[int], int]:
    """Return the function of a draw that returns 0 where the ball ends on the left of the ridge, 1 on the right."""

    def side(draw: int) -> int:
        p = family("ridge_drop").sample(np.random.default_rng(draw))
        assert isinstance(p, RidgeDropParams)
        states = _end(family("ridge_drop").build(replace(p, edge=edge, draw=draw, flipped=False), _SECONDS))
        return int(states.pos[-1, 0, 0] > (edge - 0.5) * WIDTH_M)

    return side


def side_of_stack(lean: str) -> Callable[[int], int]:
    """Return the function of a draw that returns 0 where the stack falls to the left, 1 to the right."""

    def side(draw: int) -> int:
        p = family("toppling_stack").sample(np.random.default_rng(0))
        assert isinstance(p, TopplingStackParams)
        made = replace(p, lean=lean, draw=draw, flipped=False)
        states = _end(family("toppling_stack").build(made, _SECONDS))
        return int(states.pos[-1, 2, 0] > states.pos[0, 0, 0])

    return side


def count(outcome: Callable[[int], int], outcomes: int, draws: int) -> list[int]:
    """Return how often each of `outcomes` comes in the draws 0 to `draws` - 1."""
    return [int(n) for n in np.bincount([outcome(draw) for draw in range(draws)], minlength=outcomes)]


def settings() -> Iterator[tuple[str, Callable[[int], int], tuple[float, ...]]]:
    """Yield name, outcome of a draw, and probabilities of each setting."""
    for edge in EDGES:
        if edge <= 0.5:
            yield f"ridge_drop, edge {edge:g}", side_of_ridge(edge), (edge, 1 - edge)
    yield "toppling_stack, upright", side_of_stack("none"), (0.5, 0.5)
    yield "toppling_stack, leaning to the left", side_of_stack("left"), (1.0, 0.0)
    yield "thrown_die, faces", face, (1 / 6,) * 6


def agreement(counts: list[int], probabilities: tuple[float, ...]) -> float:
    """Return the p-value of counts under probabilities, 0 where an outcome came that never should."""
    likely = [(n, p) for n, p in zip(counts, probabilities, strict=True) if p > 0]
    if sum(n for n, _ in likely) < sum(counts):
        return 0.0
    if len(likely) < 2:
        return 1.0
    return float(chisquare([n for n, _ in likely], [p * sum(counts) for _, p in likely]).pvalue)


if __name__ == "__main__":
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else DRAWS
    for name, outcome, probabilities in settings():
        counts = count(outcome, len(probabilities), draws)
        print(
            f"{name}: {counts}, probabilities {[round(p, 3) for p in probabilities]}, p = {agreement(counts, probabilities):.3f}",
            flush=True,
        )
