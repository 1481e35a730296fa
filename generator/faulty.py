"""A stand-in for somebody else's model: the world with random faults, at a size and a rate of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from sora_eval.generator.base import Capabilities
from sora_eval.generator.simulator import WORLD, Control, Violation, true_video
from sora_eval.registry import probe
from sora_eval.settings import Settings, option
from sora_eval.types import Case, Failure, Video
from sora_eval.video import frames_at


@dataclass(frozen=True)
class RandomFaults(Settings):
    """Breaks one of the laws that a case is about with probability `rate`, half-way or fully; now and then it makes a control.

    It is for demonstrations: what a report looks like for a model that is neither perfect nor useless.
    """

    GROUP: ClassVar[str] = "generator"
    kind: ClassVar[Literal["model"]] = "model"
    capabilities: ClassVar[Capabilities] = Capabilities(processes=True)

    rate: float = option(0.5, least=0, most=1)
    """Probability of a fault."""
    name: str = "careless"
    """Name of the model."""

    def fingerprint(self, case: Case) -> str:
        """Return the rate and the world's version."""
        return f"careless:{self.rate:g}:{WORLD}"

    def generate(self, cases: Sequence[Case]) -> Iterator[Video | Failure]:
        """Yield the clips: at 1.5 times the height and width of the case, at 12 fps."""
        for case in cases:
            rng = np.random.default_rng([case.seed, 99, *case.id.encode()])
            height, width = case.size
            # Given frames stay what they are: size changes, content and moments don't.
            resized = replace(
                case,
                size=(height * 3 // 2, width * 3 // 2),
                fps=12.0,
                frames=frames_at(case.frames, case.fps, 12),
            )
            yield self._answer(resized, rng)

    def _answer(self, case: Case, rng: np.random.Generator) -> Video | Failure:
        if rng.random() >= self.rate:
            return true_video(case)
        if rng.random() < 0.2:
            return next(Control(str(rng.choice(["frozen", "mirrored", "shuffled"]))).generate([case]))
        laws = probe(case.probe).violations
        if not laws:
            return next(Control("mirrored").generate([case]))
        return next(Violation(str(rng.choice(laws)), float(rng.choice([0.4, 0.7, 1.0]))).generate([case]))
