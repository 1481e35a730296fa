"""The gate tells whether a candidate has become worse than a baseline, and whether a drop that matters could have been seen.

Two ways to ask, on differences d = baseline - candidate per case (of several samples of a prompt, the mean), with the cases of a scene (a
cluster) as one observation:

- `fixed`: all cases are there. Sign flips of whole clusters, joint over the overall score and all probes.
- `Sequential`: clusters come one after the other, and one may look after each. Betting e-processes (Waudby-Smith and Ramdas 2020).

Both test that the mean of d is at most the tolerance (its rejection is a regression), and that the mean is at least the drop that
is to be detected (its rejection is "no such drop"). Half of alpha is the overall score's, where a small drop everywhere adds up;
probes share the rest.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np

from sora_eval.errors import ConfigError, unknown
from sora_eval.stats.failures import SHARE
from sora_eval.stats.intervals import EXACT_FLIPS
from sora_eval.stats.paired import Pairs, detectable, every_sign, interval_of, pair, random_signs, spread, student
from sora_eval.stats.samples import case_means
from sora_eval.types import Floats, ScoreRow

OVERALL = "overall"
FLIPS = 9999
"""Random sign flips above `EXACT_FLIPS` clusters, the observed signs not counted."""
BETS = 0.75 * 2.0 ** (-np.arange(5) / 2)
"""The stakes lambda, of which a process follows the wealth-weighted mean: from 0.75, the most one may lose, down to 0.19. The best one is
mean / (mean^2 + variance), which for drops that matter is seldom less; every further stake would cost all others wealth."""
_WEALTH = 1e100
_ALL = ("", "")

Verdict: TypeAlias = Literal["regression", "no such drop", "open"]
PASSED, REGRESSION, INCOMPARABLE, TOO_LITTLE = 0, 1, 2, 3
"""Exit codes."""


@dataclass(frozen=True)
class Plan:
    """What the gate is to decide.

    alpha: chance that a candidate as good as the baseline is stopped, whatever the number of probes. power: chance that a drop as large as
    the one to be detected does not pass.
    tolerance: by how much the mean may fall; tolerances: by probe or "overall", instead of it.
    drop: of the overall score, that is to be detected; drops: of single probes, where those must be told to be free of it, too.
    share: the part of alpha that the overall score has.
    technical: the share of a model's clips, and of each probe's beyond one clip, that may have failed technically. Such clips are left out
    of the comparison on both sides; with more of them nothing is compared.
    """

    alpha: float = 0.05
    power: float = 0.8
    tolerance: float = 0.0
    tolerances: Mapping[str, float] = field(default_factory=dict)
    drop: float = 0.1
    drops: Mapping[str, float] = field(default_factory=dict)
    share: float = 0.5
    technical: float = SHARE

    def __post_init__(self) -> None:
        """Refuse what has no meaning, naming it."""
        for name in ("alpha", "power", "share"):
            if not (_number(value := getattr(self, name)) and 0 < value < 1):
                raise ConfigError(f"gate: {name} must be a number between 0 and 1, got {value}")
        if not (_number(self.technical) and 0 <= self.technical < 1):
            raise ConfigError(f"gate: technical must be a number from 0 to below 1, got {self.technical}")
        for name in ("tolerances", "drops"):
            if not isinstance(getattr(self, name), Mapping):
                raise ConfigError(f"gate: {name} must map probes to numbers, got {getattr(self, name)}")
        named = {**{f"tolerances.{k}": v for k, v in self.tolerances.items()}, "tolerance": self.tolerance}
        for name, value in named.items():
            if not (_number(value) and 0 <= value < 2):
                raise ConfigError(f"gate: {name} must be a number from 0 to below 2, got {value}")
        for probe in [OVERALL, *(p for p in self.drops if p != OVERALL)]:
            name = "drop" if probe == OVERALL else f"drops.{probe}"
            value, least = self.drop_of(probe), self.tolerance_of(probe)
            if not (value is not None and _number(value) and least < value <= 2):
                raise ConfigError(
                    f"gate: {name} must be a number above the tolerance {least:g} and at most 2, got {value}"
                )

    def tolerance_of(self, name: str) -> float:
        """Return by how much the mean of a probe, or of "overall", may fall."""
        return self.tolerances.get(name, self.tolerance)

    def drop_of(self, name: str) -> float | None:
        """Return the drop of a probe, or of "overall", that is to be detected; None where none is."""
        return self.drops.get(name, self.drop if name == OVERALL else None)

    def check(self, compared: Iterable[str], known: Iterable[str] = ()) -> None:
        """Refuse names of no probe, and drops of probes that are not compared: nobody would look for them.

        compared: the probes that are; known: others that there are, of which a tolerance may speak.

        Raises:
            ConfigError: with what may have been meant.
        """
        here = {OVERALL, *compared}
        for name in self.tolerances:
            if name not in here | set(known):
                raise unknown("probe in gate: tolerances", name, here | set(known))
        for name in self.drops:
            if name not in here:
                raise unknown("probe in gate: drops", name, here)


@dataclass(frozen=True)
class Line:
    """What the gate found of one probe, or of all ("overall").

    n: cases; clusters: scenes. baseline, candidate: mean counted scores. drop, low, high: baseline - candidate with its 95% interval.
    tolerance: how much it may fall. evidence: the adjusted p-value (fixed) or e-value (sequential) of a fall beyond it.
    sought: the drop that is to be detected, None where none was named. ruled_out: whether it can be excluded.
    detectable: the smallest drop that is found with the planned power, infinite where none would be.
    """

    suite: str
    probe: str
    n: int
    clusters: int
    baseline: float
    candidate: float
    drop: float
    low: float
    high: float
    tolerance: float
    evidence: float
    sought: float | None
    ruled_out: bool
    detectable: float
    verdict: Verdict


@dataclass(frozen=True)
class Outcome:
    """The verdict. lines: overall first, then the probes by suite. cases: how many were compared. sequential: by which test."""

    lines: tuple[Line, ...]
    plan: Plan
    cases: int
    sequential: bool

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


def fixed(
    baseline: Sequence[ScoreRow] | Pairs,
    candidate: Sequence[ScoreRow] = (),
    plan: Plan | None = None,
    flips: int = FLIPS,
) -> Outcome:
    """Return the verdict on all cases that two models answered.

    Regression: one-sided sign flips of the cluster sums of d - tolerance, p-values of all hypotheses from the same flips, divided by their
    share of alpha and corrected by the step-down minimum (Westfall and Young 1993): Holm's procedure with the joint distribution in place
    of the worst one, so that probes in which nothing ever differs cost the others nothing. Exact where candidate and baseline are draws
    of one model, at any number of clusters and for any discrete or skewed scores.

    No such drop: the one-sided upper bound mean + t_power x error lies below it, after one more cluster as bad as can be was added;
    so a few clusters that all agree prove little.

    baseline, candidate: rows of one generator each, or the pairs of both. Raises ValueError when they share no case.
    """
    plan = plan or Plan()
    pairs = baseline if isinstance(baseline, Pairs) else pair(baseline, candidate)
    rows = _hypotheses(pairs)
    d = pairs.difference
    weights = [pairs.weights(*row) for row in rows]
    sums = np.stack([pairs.sums(w * (d - plan.tolerance_of(_name(row)))) for w, row in zip(weights, rows, strict=True)])
    evidence = adjusted_p(sums, shares(len(rows), plan.share), flips)
    worse = evidence <= plan.alpha
    found = []
    for row, w, p, alarm in zip(rows, weights, evidence, worse, strict=True):
        sought = plan.drop_of(_name(row))
        excluded = sought is not None and _upper_bound(pairs, w, plan.power) < sought
        found.append(_line(pairs, row, w, plan, float(p), excluded, bool(alarm), len(rows)))
    return Outcome(tuple(found), plan, len(pairs), False)


def shares(count: int, overall: float) -> Floats:
    """Return the shares of alpha of `count` hypotheses, the overall score first; one probe alone is the overall score again."""
    return np.array([overall, *[(1 - overall) / (count - 1)] * (count - 1)])


def adjusted_p(sums: Floats, share: Floats, flips: int = FLIPS, seed: int = 0) -> Floats:
    """Return one-sided p-values of k sums over clusters, adjusted for k: step-down minima of p / share under joint sign flips.

    sums: [k, clusters]; share: [k] parts of alpha, with sum 1. Returns [k].
    """
    live = np.flatnonzero((sums != 0).any(axis=0))
    if not len(live):
        return np.ones(len(sums))
    parts = sums[:, live]
    signs = every_sign(len(live)) if len(live) <= EXACT_FLIPS else random_signs(len(live), flips, seed)
    if len(live) > EXACT_FLIPS:
        signs = np.vstack([np.ones(len(live)), signs])
    totals = signs @ parts.T  # (flips, k)
    # Sums that are equal but for rounding are equal.
    size = np.abs(parts).sum(axis=1)
    totals = np.round(totals / np.where(size > 0, size, 1.0), 9)
    ordered = np.sort(totals, axis=0)
    reached = np.stack(
        [len(totals) - np.searchsorted(ordered[:, k], totals[:, k], side="left") for k in range(len(sums))], axis=1
    )
    scaled = np.round(reached / len(totals) / share, 12)
    order = np.argsort(scaled[0], kind="stable")
    found, highest = np.ones(len(sums)), 0.0
    # From the last to the first, the minimum over those not yet rejected grows by one column at a time.
    least = np.minimum.accumulate(scaled[:, order[::-1]], axis=1)[:, ::-1]
    for place, k in enumerate(order):
        highest = max(highest, float((least[:, place] <= scaled[0, k]).mean()))
        found[k] = highest
    return found


def _upper_bound(pairs: Pairs, weights: Floats, power: float) -> float:
    """Return the bound below which the true drop lies with confidence `power`, one cluster as bad as can be added.

    Where nothing differs in n equal clusters it is (1 + t_power) / (n + 1) times the reach, a little above the exact bound
    1 - (1 - power)^(1 / n).
    """
    clusters = len(set(pairs.scene[weights > 0]))
    if clusters < 2:
        return math.inf
    error, freedom = spread(pairs, weights, doubt=False)
    worst = float(pairs.sums(weights * pairs.reach).max()) * clusters / (clusters + 1)
    return float(weights @ pairs.difference) + worst + student(power, freedom) * math.hypot(error, worst)


def _line(
    pairs: Pairs,
    row: tuple[str, str],
    weights: Floats,
    plan: Plan,
    evidence: float,
    excluded: bool,
    alarm: bool,
    count: int,
) -> Line:
    name = _name(row)
    chosen = weights > 0
    error, freedom = spread(pairs, weights)
    bound = float(weights @ pairs.reach)
    mean, low, high = interval_of(float(weights @ pairs.difference), error, freedom, bound)
    clusters = len(set(pairs.scene[chosen]))
    tail = plan.alpha * float(shares(count, plan.share)[0 if name == OVERALL else 1])
    # Flips can't give a p-value below 2^-clusters.
    possible = 2.0**-clusters <= tail
    least = plan.tolerance_of(name) + detectable(error, freedom, tail, plan.power) if possible else math.inf
    return Line(
        suite=row[0],
        probe=name,
        n=int(chosen.sum()),
        clusters=clusters,
        baseline=float(weights @ pairs.first),
        candidate=float(weights @ pairs.second),
        drop=mean,
        low=low,
        high=high,
        tolerance=plan.tolerance_of(name),
        evidence=evidence,
        sought=plan.drop_of(name),
        ruled_out=excluded,
        detectable=least if least <= bound else math.inf,
        verdict="regression" if alarm else "no such drop" if excluded else "open",
    )


def _hypotheses(pairs: Pairs) -> list[tuple[str, str]]:
    """Return (suite, probe) of overall ("", "") and of the probes."""
    return [row for row in pairs.rows if row[1] or not row[0]]


def _name(row: tuple[str, str]) -> str:
    return row[1] or OVERALL


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class Step:
    """The cases of one scene of a probe, which are one observation. cases: ids of prompts. last: whether a round ends with it."""

    suite: str
    probe: str
    cases: tuple[str, ...]
    last: bool


def schedule(rows: Iterable[ScoreRow]) -> list[Step]:
    """Return the order in which scenes are looked at: in rounds, in each of which every probe has its share of scenes.

    There are as many rounds as the probe with the fewest scenes has; others put several into one.
    """
    scenes: dict[tuple[str, str], dict[str, list[str]]] = {}
    for row in case_means(rows):
        scenes.setdefault((row.suite, row.probe), {}).setdefault(row.cluster, []).append(row.case)
    count = min((len(some) for some in scenes.values()), default=0)
    found: list[Step] = []
    for turn in range(count):
        for (suite, probe), some in sorted(scenes.items()):
            mine = list(some.values())
            chosen = mine[turn * len(mine) // count : (turn + 1) * len(mine) // count]
            found += [Step(suite, probe, tuple(cases), False) for cases in chosen]
        found[-1] = replace(found[-1], last=True)
    return found


class Bets:
    """An e-process: the wealth of one who bets that the mean of numbers in [-1, 1] is above 0, at stakes that never ruin.

    K <- K (1 + lambda x), lambda the mean of `BETS` weighted by what each alone has won so far; so it is known before x is. While the
    mean is at most 0 the expected wealth never grows, and the chance that it ever reaches c is at most 1 / c, whenever one looks.

    Source: Waudby-Smith and Ramdas 2020, "Estimating means of bounded random variables by betting"; Ville 1939.
    """

    def __init__(self) -> None:
        self._wealth = np.ones(len(BETS))
        self.value = 1.0
        """The wealth."""

    def bet(self, *x: float) -> None:
        """Bet on independent numbers at once, each at the stake that was chosen before the first.

        With several, it is enough that the mean of their means is at most 0: prod(1 + lambda m_i) <= (1 + lambda mean(m))^n.
        """
        for value in x:
            self._wealth = np.minimum(self._wealth * (1 + BETS * value), _WEALTH)
        self.value = float(self._wealth.mean())


def adjusted_e(e: Floats, share: Floats) -> Floats:
    """Return e-values [k] adjusted for k hypotheses: each the least weighted mean with any others.

    Rejecting where the adjusted value reaches 1 / alpha keeps the chance of any false alarm below alpha, whatever the dependence.
    Source: Vovk and Wang 2021, "E-values: calibration, combination and applications" (closed test with means).
    """
    order = np.argsort(e, kind="stable")
    found = np.empty(len(e))
    for k in range(len(e)):
        total, weight = share[k] * e[k], share[k]
        for j in order:
            if j != k and e[j] < total / weight:
                total, weight = total + share[j] * e[j], weight + share[j]
        found[k] = total / weight
    return found


class Sequential:
    """The verdict while scenes come in, in the order of `steps`; it may be asked for after each.

    Regression: an e-process per probe, and one for the overall score that bets in rounds of all probes; adjusted for their number,
    they alarm at 1 / alpha at the end of a round. No such drop: an e-process for each drop that is to be detected, that the mean is at
    least that; it needs 1 / (1 - power).
    Valid for any scores of these bounds, and for scenes that are independent of each other.
    """

    def __init__(self, baseline: Iterable[ScoreRow], plan: Plan | None = None) -> None:
        """Begin with the baseline's rows, of one generator; those of the candidate come by `add`."""
        self.plan = plan or Plan()
        self._baseline = {row.case: row for row in case_means(baseline)}
        self.steps = schedule(self._baseline.values())
        every = pair(self._baseline.values(), self._baseline.values())
        self._rows = _hypotheses(every)
        self._reach = {row: float(every.weights(*row) @ every.reach) for row in self._rows}
        overall = every.weights()
        self._weight = {row: float(overall[every.weights(*row) > 0].sum()) for row in self._rows}
        self._worse = {row: Bets() for row in self._rows}
        self._clear = {row: Bets() for row in self._rows if self.plan.drop_of(_name(row)) is not None}
        self._round: list[tuple[tuple[str, str], float]] = []
        self._seen: list[ScoreRow] = []
        self._alarmed: set[tuple[str, str]] = set()
        self._excluded: set[tuple[str, str]] = set()

    @property
    def certain(self) -> bool:
        """Whether no further scene is needed."""
        return bool(self._alarmed) or all(row in self._excluded for row in self._clear)

    def add(self, step: Step, candidate: Iterable[ScoreRow]) -> bool:
        """Take the candidate's rows of the next step, all samples of its prompts; return whether the verdict is certain.

        Cases that failed technically, on either side, are left out.

        Raises:
            ValueError: a case of the step has no row.
        """
        by_case = {row.case: row for row in case_means(candidate)}
        if missing := [case for case in step.cases if case not in by_case]:
            raise ValueError(f"{missing[0]} has no score of the candidate")
        row = (step.suite, step.probe)
        cases = [case for case in step.cases if not (by_case[case].failure or self._baseline[case].failure)]
        if cases:
            d = float(np.mean([self._baseline[case].counted - by_case[case].counted for case in cases]))
            self._seen += [by_case[case] for case in cases]
            self._round.append((row, d))
            self._bet(row, [(row, d)])
        if step.last and self._round:
            self._bet(_ALL, self._round)
            self._round = []
        # Between rounds the process of the overall score stands still, and a mixture with it would be no e-process. No adjusted value is
        # above the largest one.
        if step.last and max(bets.value for bets in self._worse.values()) >= 1 / self.plan.alpha:
            self._alarmed |= {row for row, e in self._evidence().items() if e >= 1 / self.plan.alpha}
        self._excluded |= {row for row, bets in self._clear.items() if bets.value >= 1 / (1 - self.plan.power)}
        return self.certain

    def _bet(self, row: tuple[str, str], found: Sequence[tuple[tuple[str, str], float]]) -> None:
        """Bet on the mean differences of scenes, for a probe or for all; a probe's scenes in a round share its weight."""
        count = Counter(at for at, _ in found)
        weight = {at: self._weight[at] / self._weight[row] / k for at, k in count.items()}
        for bets, bound, sign in self._processes(row):
            widest = max(weight[at] * (self._reach[at] + bound) for at in count)
            bets.bet(*(sign * weight[at] * (d - bound) / widest for at, d in found))

    def _processes(self, row: tuple[str, str]) -> list[tuple[Bets, float, int]]:
        """Return the processes of a row, the bound that each is about, and whether it wins above (1) or below (-1)."""
        found = [(self._worse[row], self.plan.tolerance_of(_name(row)), 1)]
        sought = self.plan.drop_of(_name(row))
        return found if sought is None else [*found, (self._clear[row], sought, -1)]

    def _evidence(self) -> dict[tuple[str, str], float]:
        e = np.array([self._worse[row].value for row in self._rows])
        return dict(zip(self._rows, map(float, adjusted_e(e, shares(len(e), self.plan.share))), strict=True))

    def outcome(self) -> Outcome:
        """Return the verdict on what was seen so far.

        Raises:
            ValueError: nothing was.
        """
        pairs = pair([self._baseline[row.case] for row in self._seen], self._seen)
        seen, evidence = set(_hypotheses(pairs)), self._evidence()
        lines = [
            _line(
                pairs,
                row,
                pairs.weights(*row),
                self.plan,
                evidence[row],
                row in self._excluded,
                row in self._alarmed,
                len(self._rows),
            )
            for row in self._rows
            if row in seen
        ]
        return Outcome(tuple(lines), self.plan, len(pairs), True)
