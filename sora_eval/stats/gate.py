"""The gate's decision: whether a candidate has become worse than a baseline, and whether a drop that matters could have been seen.

It rests on differences d = baseline - candidate per case (of several samples of a prompt, the mean), with the cases of a scene (a
cluster) as one observation. Two tests reach it:

- `fixed_test`: all cases are there. Sign flips of whole clusters, joint over the overall score and all probes.
- `eprocess.SequentialTest`: clusters come one after the other, and one may look after each.

Both test that the mean of d is at most the tolerance (its rejection is a regression), and that the mean is at least the drop that
is to be detected (its rejection is "no such drop"). Half of alpha is the overall score's, where a small drop everywhere adds up;
probes share the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from sora_eval.errors import ConfigError, unknown
from sora_eval.settings import Settings, option
from sora_eval.stats.failures import MAX_SHARE
from sora_eval.stats.intervals import t_interval, t_quantile
from sora_eval.stats.multiplicity import alpha_shares, westfall_young
from sora_eval.stats.paired import Pairs, pair, standard_error
from sora_eval.stats.power import minimum_detectable_effect
from sora_eval.types import Floats, ScoreRow

OVERALL = "overall"
FLIPS = 9999
"""Random sign flips, the observed signs not counted."""

Verdict: TypeAlias = Literal["regression", "no such drop", "open"]
PASSED, REGRESSION, INCOMPARABLE, TOO_LITTLE = 0, 1, 2, 3
"""Exit codes."""


@dataclass(frozen=True)
class GatePlan(Settings):
    """sora-eval gate: which drops stop a candidate, and which must be shown to be absent."""

    alpha: float = option(0.05, above=0, below=1)
    """Chance that a candidate as good as the baseline is stopped, whatever the number of probes."""
    power: float = option(0.8, above=0, below=1)
    """1 - the chance that a drop as large as the one to be detected passes."""
    tolerance: float = option(0.0, least=0, below=2)
    """By how much a mean score may fall."""
    tolerances: Mapping[str, float] = option({}, least=0, below=2)
    """The same by probe, or of "overall": tolerances.orbit=0.05."""
    drop: float = option(0.1, above=0, most=2)
    """Drop of the overall score that is to be detected; above its tolerance."""
    drops: Mapping[str, float] = option({}, above=0, most=2)
    """Drops of single probes, each of which must be shown to be free of it."""
    share: float = option(0.5, above=0, below=1)
    """The part of alpha for the overall score, in which a small drop everywhere adds up; the probes share the rest."""
    technical: float = option(MAX_SHARE, least=0, below=1)
    """The share of a model's clips, and of each probe's beyond one clip, that may have failed technically. Such clips are left out of the
    comparison on both sides; with more of them nothing is compared."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: a value is out of range, or no drop that is to be detected exceeds its tolerance.
        """
        super().__post_init__()
        for probe in dict.fromkeys([OVERALL, *self.drops]):
            drop, tolerance = self.drop_of(probe), self.tolerance_of(probe)
            if drop is not None and drop <= tolerance:
                name = "drop" if probe == OVERALL else f"drops.{probe}"
                raise ConfigError(f"{name} must be a number above the tolerance {tolerance:g}, got {drop:g}")

    def tolerance_of(self, name: str) -> float:
        """Return by how much the mean of a probe, or of "overall", may fall."""
        return self.tolerances.get(name, self.tolerance)

    def drop_of(self, name: str) -> float | None:
        """Return the drop of a probe, or of "overall", that is to be detected; None where there is none."""
        return self.drops.get(name, self.drop if name == OVERALL else None)

    def check(self, compared: Iterable[str], known: Iterable[str] = ()) -> None:
        """Refuse names of no probe, and drops of probes that are not compared, which no test would look for.

        compared: the probes that are; known: others that there are, which may have a tolerance.

        Raises:
            ConfigError: with what may have been meant.
        """
        here = {OVERALL, *compared}
        check_names("tolerances", self.tolerances, here | set(known))
        check_names("drops", self.drops, here)


def check_names(option: str, names: Iterable[str], here: Iterable[str]) -> None:
    """Refuse names of an option of the gate that are none of those that are compared.

    Raises:
        ConfigError: with what may have been meant.
    """
    here = set(here)
    for name in names:
        if name not in here:
            raise unknown(f"probe in gate: {option}", name, here)


@dataclass(frozen=True)
class Line:
    """The gate's finding on one probe, or on all ("overall")."""

    suite: str
    """"" for the overall score."""
    probe: str
    """Name of the probe, "overall" for the overall score."""
    n: int
    """Cases."""
    clusters: int
    """Scenes."""
    baseline: float
    """Mean counted score of the baseline."""
    candidate: float
    """Mean counted score of the candidate."""
    drop: float
    """baseline - candidate."""
    low: float
    """Lower end of its 95% interval."""
    high: float
    """Upper end."""
    tolerance: float
    """By how much the mean may fall."""
    evidence: float
    """The adjusted p-value (fixed) or e-value (sequential) of a fall beyond the tolerance."""
    sought: float | None
    """The drop that is to be detected, None where the plan has none."""
    ruled_out: bool
    """Whether that drop can be excluded."""
    detectable: float
    """The smallest drop that is found with the planned power, infinite where none would be."""
    verdict: Verdict
    """"regression", "no such drop" or "open"."""


@dataclass(frozen=True)
class Outcome:
    """The verdict."""

    lines: tuple[Line, ...]
    """Overall first, then the probes by suite."""
    plan: GatePlan
    """Options of the test."""
    cases: int
    """How many were compared."""
    sequential: bool
    """Whether by the sequential test."""

    @property
    def regressions(self) -> tuple[Line, ...]:
        """The lines that fell beyond their tolerance."""
        return tuple(line for line in self.lines if line.verdict == "regression")

    @property
    def code(self) -> int:
        """The exit code: 1 for a regression, 0 when all drops that were to be detected are excluded, else 3."""
        if self.regressions:
            return REGRESSION
        return PASSED if all(line.ruled_out for line in self.lines if line.sought is not None) else TOO_LITTLE


def fixed_test(
    baseline: Sequence[ScoreRow] | Pairs,
    candidate: Sequence[ScoreRow] = (),
    plan: GatePlan | None = None,
    flips: int = FLIPS,
) -> Outcome:
    """Return the verdict on all cases that two models answered.

    Regression: one-sided sign flips of the cluster sums of d - tolerance, joint over all hypotheses (`westfall_young`). Exact where
    candidate and baseline are draws of one model, at any number of clusters and for any discrete or skewed scores.

    No such drop: the one-sided upper bound mean + t_power x error lies below it, after one more cluster as bad as can be was added;
    so a few clusters that all agree prove little.

    baseline, candidate: rows of one generator each, or the pairs of both. Raises ValueError when they share no case.
    """
    plan = plan or GatePlan()
    pairs = baseline if isinstance(baseline, Pairs) else pair(baseline, candidate)
    rows = hypotheses(pairs)
    weights = [pairs.weights(*row) for row in rows]
    beyond = [pairs.difference - plan.tolerance_of(name_of(row)) for row in rows]
    sums = np.stack([pairs.sums(w * d) for w, d in zip(weights, beyond, strict=True)])
    adjusted = westfall_young(sums, alpha_shares(len(rows), plan.share), flips)
    lines = []
    for row, w, p in zip(rows, weights, adjusted, strict=True):
        sought = plan.drop_of(name_of(row))
        excluded = sought is not None and _upper_bound(pairs, w, plan.power) < sought
        lines.append(line_of(pairs, row, plan, len(rows), float(p), excluded, bool(p <= plan.alpha)))
    return Outcome(tuple(lines), plan, len(pairs), False)


def hypotheses(pairs: Pairs) -> list[tuple[str, str]]:
    """Return (suite, probe) of each hypothesis: the overall score ("", ""), then the probes."""
    return [row for row in pairs.rows if row[1] or not row[0]]


def name_of(row: tuple[str, str]) -> str:
    """Return the name of a hypothesis: its probe, or "overall"."""
    return row[1] or OVERALL


def line_of(
    pairs: Pairs, row: tuple[str, str], plan: GatePlan, count: int, evidence: float, excluded: bool, alarm: bool
) -> Line:
    """Return the line of one of `count` hypotheses from its test: evidence, whether the drop is excluded, whether it regressed."""
    name, weights = name_of(row), pairs.weights(*row)
    error, freedom = standard_error(pairs, weights)
    largest = float(weights @ pairs.max_difference)
    interval = t_interval(float(weights @ pairs.difference), error, freedom, largest)
    clusters = pairs.clusters(weights)
    tail = plan.alpha * float(alpha_shares(count, plan.share)[0 if name == OVERALL else 1])
    # Flips can't give a p-value below 2^-clusters.
    possible = 2.0**-clusters <= tail
    detectable = plan.tolerance_of(name) + minimum_detectable_effect(error, freedom, tail, plan.power)
    return Line(
        suite=row[0],
        probe=name,
        n=int((weights > 0).sum()),
        clusters=clusters,
        baseline=float(weights @ pairs.first),
        candidate=float(weights @ pairs.second),
        drop=interval.mean,
        low=interval.low,
        high=interval.high,
        tolerance=plan.tolerance_of(name),
        evidence=evidence,
        sought=plan.drop_of(name),
        ruled_out=excluded,
        detectable=detectable if possible and detectable <= largest else math.inf,
        verdict="regression" if alarm else "no such drop" if excluded else "open",
    )


def _upper_bound(pairs: Pairs, weights: Floats, power: float) -> float:
    """Return the bound below which the true drop lies with confidence `power`, one cluster as bad as can be added.

    Where nothing differs in n equal clusters it is (1 + t_power) / (n + 1) times the largest difference, a little above the exact bound
    1 - (1 - power)^(1 / n).
    """
    clusters = pairs.clusters(weights)
    if clusters < 2:
        return math.inf
    error, freedom = standard_error(pairs, weights, small_samples=False)
    worst = float(pairs.sums(weights * pairs.max_difference).max()) * clusters / (clusters + 1)
    return float(weights @ pairs.difference) + worst + t_quantile(power, freedom) * math.hypot(error, worst)
