"""A stand-in for somebody else's model: the world with random faults, at a size and a rate of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from sora_eval.errors import ConfigError
from sora_eval.generator.base import Capabilities
from sora_eval.generator.simulator import WORLD, Control, Violation, true_video
from sora_eval.registry import probe
from sora_eval.types import Case, Failure, Video


@dataclass(frozen=True)
class Careless:
    """Breaks one of the laws that a case is about with probability `rate`, half-way or fully; now and then it makes a control.

    It is for demonstrations: what a report looks like for a model that is neither perfect nor useless.
    """

    rate: float = 0.5
    name: str = "careless"
    kind: Literal["model"] = "model"
    capabilities: Capabilities = Capabilities(processes=True)

    def __post_init__(self) -> None:
        """Reject a rate that is no probability."""
        if isinstance(self.rate, bool) or not isinstance(self.rate, int | float) or not 0 <= self.rate <= 1:
            raise ConfigError(f"generator.rate must be a number from 0 to 1, got {self.rate}")

    def fingerprint(self, case: Case) -> str:
        """Return the rate and the world's version."""
        return f"careless:{self.rate:g}:{WORLD}"

    def generate(self, cases: Sequence[Case]) -> Iterator[Video | Failure]:
        """Yield the clips: half as large again as requested, at 12 fps."""
        for case in cases:
            rng = np.random.default_rng([case.seed, 99, *case.id.encode()])
            height, width = case.size
            # Given frames stay what they are: size changes, content and moments don't.
            wanted = replace(
                case,
                size=(height * 3 // 2, width * 3 // 2),
                fps=12.0,
                frames=round((case.frames - 1) / case.fps * 12) + 1,
            )
            yield self._answer(wanted, rng)

    def _answer(self, case: Case, rng: np.random.Generator) -> Video | Failure:
        if rng.random() >= self.rate:
            return true_video(case)
        if rng.random() < 0.2:
            return next(Control(str(rng.choice(["frozen", "mirrored", "shuffled"]))).generate([case]))
        laws = probe(case.probe).violations
        if not laws:
            return next(Control("mirrored").generate([case]))
        return next(Violation(str(rng.choice(laws)), float(rng.choice([0.4, 0.7, 1.0]))).generate([case]))
