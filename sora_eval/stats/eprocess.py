"""The sequential test: scenes come one after the other, and the verdict may be read after each.

Betting e-processes: the wealth of one who bets against a hypothesis, which seldom grows where that is true.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from sora_eval.stats.gate import GatePlan, Outcome, hypotheses, line_of, name_of
from sora_eval.stats.multiplicity import adjust_e_values, alpha_shares
from sora_eval.stats.paired import pair
from sora_eval.stats.samples import case_means
from sora_eval.types import ScoreRow

STAKES = 0.75 * 2.0 ** (-np.arange(5) / 2)
"""The stakes lambda, of which a process follows the wealth-weighted mean: from 0.75, the most one may lose, down to 0.19. The best one is
mean / (mean^2 + variance), which for drops that matter is seldom less; every further stake would cost all others wealth."""
_WEALTH = 1e100
_ALL = ("", "")

_Row: TypeAlias = tuple[str, str]
"""(suite, probe) of a hypothesis."""


@dataclass(frozen=True)
class Step:
    """The cases of one scene of a probe, which are one observation."""

    suite: str
    """Suite of the probe."""
    probe: str
    """Name of the probe."""
    cases: tuple[str, ...]
    """Ids of prompts."""
    last: bool
    """Whether a round ends with it."""


def schedule(rows: Iterable[ScoreRow]) -> list[Step]:
    """Return the order in which scenes are looked at: in rounds, in each of which every probe has its share of scenes.

    There are as many rounds as the probe with the fewest scenes has; others put several into one.
    """
    scenes: dict[_Row, dict[str, list[str]]] = {}
    for row in case_means(rows):
        scenes.setdefault((row.suite, row.probe), {}).setdefault(row.cluster, []).append(row.case)
    rounds = min((len(of_probe) for of_probe in scenes.values()), default=0)
    steps: list[Step] = []
    for turn in range(rounds):
        for (suite, probe), of_probe in sorted(scenes.items()):
            cases = list(of_probe.values())
            share = cases[turn * len(cases) // rounds : (turn + 1) * len(cases) // rounds]
            steps += [Step(suite, probe, tuple(of_scene), False) for of_scene in share]
        steps[-1] = replace(steps[-1], last=True)
    return steps


def scene_drop(
    step: Step, baseline: Mapping[str, ScoreRow], candidate: Iterable[ScoreRow]
) -> tuple[list[ScoreRow], float]:
    """Return the candidate's rows of a step that can be compared, a prompt each, and the mean drop baseline - candidate over them.

    baseline: rows by case; candidate: those of the step, all samples of its prompts. Cases that failed technically, on either side, are
    left out; without any other case the drop is 0.

    Raises:
        ValueError: a case of the step has no row.
    """
    by_case = {row.case: row for row in case_means(candidate)}
    if missing := [case for case in step.cases if case not in by_case]:
        raise ValueError(f"{missing[0]} has no score of the candidate")
    rows = [by_case[case] for case in step.cases if not (by_case[case].failure or baseline[case].failure)]
    return rows, float(np.mean([baseline[row.case].counted - row.counted for row in rows])) if rows else 0.0


class EProcess:
    """The wealth of one who bets that the mean of numbers in [-1, 1] is above 0, at stakes that never ruin.

    K <- K (1 + lambda x), lambda the mean of `STAKES` weighted by what each alone has won so far; so it is known before x is. While the
    mean is at most 0 the expected wealth never grows, and the chance that it ever reaches c is at most 1 / c, whenever one looks.

    Source: Waudby-Smith and Ramdas 2020, "Estimating means of bounded random variables by betting"; Ville 1939.

    >>> process = EProcess()
    >>> process.bet(1.0, -1.0)  # The mean of 1 - lambda^2
    >>> round(process.value, 3)
    0.782
    """

    def __init__(self) -> None:
        self._wealth = np.ones(len(STAKES))
        self.value = 1.0
        """The wealth, an e-value."""

    def bet(self, *x: float) -> None:
        """Bet on independent numbers at once, each at the stake that was chosen before the first.

        With several, it is enough that the mean of their means is at most 0: prod(1 + lambda m_i) <= (1 + lambda mean(m))^n.
        """
        for value in x:
            self._wealth = np.minimum(self._wealth * (1 + STAKES * value), _WEALTH)
        self.value = float(self._wealth.mean())


class SequentialTest:
    """The verdict while scenes come in, in the order of `steps`; it may be read after each.

    Regression: an e-process per probe, and one for the overall score that bets in rounds of all probes; adjusted for their number,
    they alarm at 1 / alpha at the end of a round. A round that lacks a probe waits for the next one, so that without any scene of a
    probe no drop of the overall score is excluded. No such drop: an e-process for each drop that is to be detected, that the mean is at
    least that; it needs 1 / (1 - power).
    Valid for any scores of these bounds, and for scenes that are independent of each other.
    """

    def __init__(self, baseline: Iterable[ScoreRow], plan: GatePlan | None = None) -> None:
        """Begin with the baseline's rows, of one generator; those of the candidate come by `add`."""
        self.plan = plan or GatePlan()
        self._baseline = {row.case: row for row in case_means(baseline)}
        self.steps = schedule(self._baseline.values())
        pairs = pair(self._baseline.values(), self._baseline.values())
        self._rows = hypotheses(pairs)
        weights, overall = {row: pairs.weights(*row) for row in self._rows}, pairs.weights()
        self._largest = {row: float(w @ pairs.max_difference) for row, w in weights.items()}
        self._weight = {row: float(overall[w > 0].sum()) for row, w in weights.items()}
        self._worse = {row: EProcess() for row in self._rows}
        self._clear = {row: EProcess() for row in self._rows if self.plan.drop_of(name_of(row)) is not None}
        self._round: list[tuple[_Row, float]] = []
        self._seen: list[ScoreRow] = []
        self._alarmed: set[_Row] = set()
        self._excluded: set[_Row] = set()

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
        row = (step.suite, step.probe)
        seen, d = scene_drop(step, self._baseline, candidate)
        if seen:
            self._seen += seen
            self._round.append((row, d))
            self._bet(row, [(row, d)])
        # A round that lacks a probe says nothing about the mean over all of them.
        if step.last and {row for row, _ in self._round} == set(self._rows) - {_ALL}:
            self._bet(_ALL, self._round)
            self._round = []
        # Between its bets the process of the overall score stands still, and a mixture with it would be no e-process: where the round waits
        # it counts as 0, which is never too much. No adjusted value is above the largest one.
        if step.last and max(process.value for process in self._worse.values()) >= 1 / self.plan.alpha:
            evidence = self._evidence(without=_ALL if self._round else None)
            self._alarmed |= {row for row, e in evidence.items() if e >= 1 / self.plan.alpha}
        self._excluded |= {row for row, process in self._clear.items() if process.value >= 1 / (1 - self.plan.power)}
        return self.certain

    def outcome(self) -> Outcome:
        """Return the verdict on what was seen so far.

        Raises:
            ValueError: nothing was.
        """
        pairs = pair([self._baseline[row.case] for row in self._seen], self._seen)
        seen, evidence, count = set(hypotheses(pairs)), self._evidence(), len(self._rows)
        lines = [
            line_of(pairs, row, self.plan, count, evidence[row], row in self._excluded, row in self._alarmed)
            for row in self._rows
            if row in seen
        ]
        return Outcome(tuple(lines), self.plan, len(pairs), True)

    def _bet(self, row: _Row, differences: Sequence[tuple[_Row, float]]) -> None:
        """Bet on the mean differences of scenes, for a probe or for all; a probe's scenes in a round share its weight."""
        count = Counter(at for at, _ in differences)
        weight = {at: self._weight[at] / self._weight[row] / k for at, k in count.items()}
        for process, bound, sign in self._processes(row):
            widest = max(weight[at] * (self._largest[at] + bound) for at in count)
            process.bet(*(sign * weight[at] * (d - bound) / widest for at, d in differences))

    def _processes(self, row: _Row) -> list[tuple[EProcess, float, int]]:
        """Return the processes of a row, the bound that each is about, and whether it wins above (1) or below (-1)."""
        worse = (self._worse[row], self.plan.tolerance_of(name_of(row)), 1)
        sought = self.plan.drop_of(name_of(row))
        return [worse] if sought is None else [worse, (self._clear[row], sought, -1)]

    def _evidence(self, without: _Row | None = None) -> dict[_Row, float]:
        e = np.array([0.0 if row == without else self._worse[row].value for row in self._rows])
        adjusted = adjust_e_values(e, alpha_shares(len(e), self.plan.share))
        return dict(zip(self._rows, map(float, adjusted), strict=True))
