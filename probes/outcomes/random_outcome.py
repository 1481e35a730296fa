"""What the probes of random outcomes share: draws, the true distribution, and how one clip's outcome is read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np

from sora_eval.probes.base import Draft, Probe, UnjudgeableError, Verdict
from sora_eval.stats.outcomes.calibration import IMPOSSIBLE
from sora_eval.types import Case, Floats, Mode, digest
from sora_eval.world.families.draws import MOST_DRAWS, DrawParams

_STRAY = 1.7
"""Way that something goes in all, as a multiple of the way from its first to its last place, above which frames are in no order."""
_SLACK = 0.25
"""Share of that way by which measured places may jitter."""

_PLACES = 17
"""Places at which a way is measured: the frames of two seconds at 8 frames per second, on which the shares above were."""
_JUMP, _JUMP_S, _MOST = 0.49, 0.125, 0.9
"""Share of the way from the first to the last place that goes by in a time in seconds at most: up to .37 of true throws (.48 of one whose
coloured faces turn away at once), .24 of true stacks; .5 to .6 where the first frame fades to the last in a fifth of the clip, 1 where it
is cut. In proportion more where frames are farther apart, up to a share that only a cut has."""


class RandomOutcome(Probe):
    """A probe of a scene that has several possible outcomes; a clip's score says whether it shows one of them, reached in a lawful way.

    How often each comes, over the samples of a prompt, is a matter of the report: `stats.outcomes`.
    """

    suite = "outcomes"
    source = "our own; calibration of a distribution after Ferro and Fricker 2012, A bias-corrected decomposition of the Brier score"
    modes: ClassVar[tuple[Mode, ...]] = ("t2v", "i2v")
    random: ClassVar[bool] = True

    def draft(self, rng: np.random.Generator, flip: bool) -> Draft:
        """Return a random case; with `flip` its mirrored twin. `expect` has the probability of each outcome."""
        drawn = super().draft(rng, flip)
        assert isinstance(drawn.params, DrawParams)
        return replace(drawn, expect={"outcomes": self.outcomes(drawn.params)})

    def of_sample(self, case: Case) -> Case:
        """Return a further sample of a case with another draw: the same prompt and first frame, another true outcome."""
        draw = int(digest(["draw", case.seed, case.prompt_id, case.sample], 8), 16) % MOST_DRAWS
        return replace(case, scene={**case.scene, "params": {**case.scene["params"], "draw": draw}})

    @abstractmethod
    def outcomes(self, params: DrawParams) -> dict[str, float]:
        """Return the probabilities of the outcomes by name, those that never come included.

        They follow from symmetry or from the geometry of the draw; `tests/benchmarks/outcome_draws.py` compares them with 1,000 simulated
        draws.
        """


def outcome_verdict(case: Case, name: str, factors: Mapping[str, float]) -> Verdict:
    """Return the verdict on a clip that shows the outcome `name`, which the case need not have: then it is impossible.

    factors: further conditions, 0 to 1.
    """
    outcomes = case.expect["outcomes"]
    possible = float(outcomes.get(name, 0.0) > 0)
    number = list(outcomes).index(name) if name in outcomes else IMPOSSIBLE
    value = possible * float(np.prod(list(factors.values())))
    return Verdict(value, {"possible": possible, **factors, "outcome": float(number)})


def check_order(places: Floats, what: str) -> None:
    """Check that places [T, D] of something seen in order lie on a way, not all over it.

    Raises:
        UnjudgeableError: they don't.
    """
    net = float(np.linalg.norm(places[-1] - places[0]))
    # Places jitter from frame to frame: the more frames, the longer a way, if it were not for the same number of places.
    places = places[np.unique(np.linspace(0, len(places) - 1, min(len(places), _PLACES)).round().astype(int))]
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    span = float(np.ptp(places, axis=0).max())
    if steps.sum() > _STRAY * net + _SLACK * span:
        raise UnjudgeableError(f"the {what} goes to and fro: the frames may be in no order")


def check_no_jump(places: Floats, fps: float, what: str) -> None:
    """Check that something at places [T, D] goes from the first of them to the last, frame by frame.

    Raises:
        UnjudgeableError: it is there at once.
    """
    lag = min(max(1, round(_JUMP_S * fps)), len(places) - 1)
    net = max(float(np.linalg.norm(places[-1] - places[0])), 1e-6)
    most = min(_JUMP * max(1.0, lag / fps / _JUMP_S), _MOST)
    if float(np.linalg.norm(places[lag:] - places[:-lag], axis=1).max()) > most * net:
        raise UnjudgeableError(f"the {what} jumps")
