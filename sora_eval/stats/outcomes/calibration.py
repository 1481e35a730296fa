"""Calibration and coverage of random outcomes: the outcomes of a prompt's samples against their true probabilities.

Of a prompt with true probabilities p [J] and n judged samples, counts c [J] and the rest impossible, with q the generator's own
probabilities:

- total variation, TV = sum |c / n - p| / 2, the impossible ones as an outcome of probability 0. It is above 0 for n samples of the truth
  itself, by `chance_level`, the mean over draws of n from p;
- calibration error, an unbiased estimate of sum (q - p)^2: sum (f - p)^2 - f (1 - f) / (n - 1) with f = c / n. Its mean for the truth is 0,
  and it may be below 0. The correction is that of Ferro and Fricker 2012, A bias-corrected decomposition of the Brier score;
- coverage: share of the outcomes with p >= 1/20 that at least one sample shows, against the share 1 - (1 - p)^n of samples of the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sora_eval.stats.intervals import Interval, cluster_bootstrap
from sora_eval.types import Floats

IMPOSSIBLE = -1
"""Number of an outcome that never comes in the true world."""
LEAST_SHARE = 0.05
"""Probability from which on an outcome counts for coverage: rarer ones are easily missed by 32 samples of the truth."""
LEAST_JUDGED = 4
"""Judged samples of a prompt from which on it counts."""
N_TRUE = 4000
"""Draws from the truth behind `chance_level`."""


@dataclass(frozen=True)
class PromptOutcomes:
    """The outcomes of one prompt's samples."""

    truth: tuple[float, ...]
    """True probabilities [J], which sum to 1."""
    counts: tuple[int, ...]
    """How many samples showed each outcome, [J]."""
    impossible: int
    """How many showed one that never comes."""
    unjudged: int
    """How many could not be judged."""
    cluster: str
    """Prompts of one cluster are resampled together."""

    def __post_init__(self) -> None:
        """Refuse what are no probabilities and counts.

        Raises:
            ValueError: lengths differ, or the probabilities don't sum to 1.
        """
        if len(self.truth) != len(self.counts):
            raise ValueError(f"{len(self.truth)} probabilities have {len(self.counts)} counts")
        if abs(sum(self.truth) - 1) > 1e-6 or min(self.truth) < 0:
            raise ValueError(f"probabilities must sum to 1, got {self.truth}")

    @property
    def judged(self) -> int:
        """Judged samples."""
        return sum(self.counts) + self.impossible


@dataclass(frozen=True)
class Calibration:
    """The outcomes of a generator over several prompts."""

    prompts: int
    """Prompts with at least `LEAST_JUDGED` judged samples."""
    judged: int
    """Judged samples of these."""
    unjudged: int
    """Samples of all prompts that could not be judged."""
    total_variation: Interval
    """Mean total variation with its 95% interval."""
    chance_level: tuple[float, float]
    """Mean total variation that as many samples of the truth have, and its 95% quantile: from there on the generator is no such one."""
    error: Interval
    """Mean calibration error, unbiased, with its 95% interval."""
    coverage: Interval
    """Mean share of the outcomes that are shown, with its 95% interval."""
    true_coverage: float
    """The same of as many samples of the truth, on average."""
    impossible: Interval
    """Share of judged samples with an impossible outcome, mean over the prompts, with its 95% interval."""

    @property
    def differs(self) -> bool:
        """Whether the outcomes differ from the truth's at a level of 5%, one-sided."""
        return self.total_variation.mean > self.chance_level[1]


def total_variation(p: PromptOutcomes) -> float:
    """Return the total variation of a prompt's outcomes from the truth, 0 to 1.

    >>> total_variation(PromptOutcomes((0.5, 0.5), (8, 0), 0, 0, "a"))
    0.5
    """
    shares = np.array([*p.counts, p.impossible]) / p.judged
    return float(np.abs(shares - np.array([*p.truth, 0.0])).sum() / 2)


def calibration_error(p: PromptOutcomes) -> float:
    """Return the unbiased estimate of the squared distance of a generator's probabilities from the true ones, at least two judged samples.

    >>> calibration_error(PromptOutcomes((0.5, 0.5), (8, 0), 0, 0, "a"))
    0.5
    """
    shares, n = np.array([*p.counts, p.impossible]) / p.judged, p.judged
    return float(((shares - np.array([*p.truth, 0.0])) ** 2 - shares * (1 - shares) / (n - 1)).sum())


def coverage(p: PromptOutcomes) -> tuple[float, float]:
    """Return the share of the likely outcomes that are shown, and its mean for as many samples of the truth."""
    likely = np.array(p.truth) >= LEAST_SHARE
    seen = np.array(p.counts)[likely] > 0
    return float(seen.mean()), float((1 - (1 - np.array(p.truth)[likely]) ** p.judged).mean())


def calibration(prompts: Sequence[PromptOutcomes]) -> Calibration | None:
    """Return calibration and coverage over several prompts, None where none has `LEAST_JUDGED` judged samples."""
    counted = [p for p in prompts if p.judged >= LEAST_JUDGED]
    if not counted:
        return None
    clusters = [p.cluster for p in counted]
    covered = [coverage(p) for p in counted]
    chance = np.mean([_true_variations(p.truth, p.judged, k) for k, p in enumerate(counted)], axis=0)
    return Calibration(
        prompts=len(counted),
        judged=sum(p.judged for p in counted),
        unjudged=sum(p.unjudged for p in prompts),
        total_variation=cluster_bootstrap([total_variation(p) for p in counted], clusters),
        chance_level=(float(chance.mean()), float(np.quantile(chance, 0.95))),
        error=cluster_bootstrap([calibration_error(p) for p in counted], clusters, bounds=(-2.0, 2.0)),
        coverage=cluster_bootstrap([seen for seen, _ in covered], clusters),
        true_coverage=float(np.mean([true for _, true in covered])),
        impossible=cluster_bootstrap([p.impossible / p.judged for p in counted], clusters),
    )


def _true_variations(truth: tuple[float, ...], n: int, seed: int) -> Floats:
    """Return the total variation [N_TRUE] of n samples of the truth; prompts have draws of their own, by the seed."""
    rng = np.random.default_rng([*b"outcomes", seed])
    shares = rng.multinomial(n, np.array(truth) / sum(truth), size=N_TRUE) / n
    return np.asarray(np.abs(shares - np.array(truth)).sum(axis=1) / 2)


def prompt_outcomes(truth: Mapping[str, float], shown: Iterable[int | None], cluster: str) -> PromptOutcomes:
    """Return the outcomes of a prompt's samples.

    truth: probabilities by outcome. shown: for each sample the number of its outcome among these, `IMPOSSIBLE`, or None where it could not
    be judged. An outcome of probability 0 is impossible as well.
    """
    numbers = list(shown)
    counts = [sum(k == j for k in numbers) for j in range(len(truth))]
    never = [p <= 0 for p in truth.values()]
    impossible = sum(k == IMPOSSIBLE for k in numbers) + sum(c for c, no in zip(counts, never, strict=True) if no)
    possible = tuple(c for c, no in zip(counts, never, strict=True) if not no)
    return PromptOutcomes(
        tuple(p for p in truth.values() if p > 0), possible, impossible, sum(k is None for k in numbers), cluster
    )
