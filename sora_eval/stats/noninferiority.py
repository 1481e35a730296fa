"""Non-inferiority of an engine (quantised, cached, compiled) to the original, on the same cases and seeds: a sequential paired test.

The drop of a case is d = baseline - candidate, of counted scores. Scenes come in rounds, in each of which every probe has its share, and
after each round the verdict may be read. Two betting e-processes per row, the overall score and each probe:

- "the mean drop is at least the margin" is bet against; once that wins 1 / alpha, the row is non-inferior.
- "the mean drop is at most the margin" is bet against; once that wins 1 / alpha, adjusted for all rows, the row is inferior.

Source: Waudby-Smith and Ramdas 2023, "Estimating means of bounded random variables by betting", JRSS B 86(1), sections 4 and 5.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from sora_eval.errors import ConfigError
from sora_eval.settings import Settings, option
from sora_eval.stats.eprocess import Step, scene_drop, schedule
from sora_eval.stats.failures import MAX_SHARE
from sora_eval.stats.gate import OVERALL, PASSED, REGRESSION, TOO_LITTLE, check_names, hypotheses, name_of
from sora_eval.stats.multiplicity import adjust_e_values, alpha_shares
from sora_eval.stats.paired import pair
from sora_eval.stats.samples import case_means
from sora_eval.types import Floats, ScoreRow

STAKES = np.array([0.98, 0.5, 0.2])
"""Shares of the largest stake that can't ruin. Most scenes of a harmless engine don't differ at all, where the largest stake is the best:
n such scenes win (1 - margin)^-n, what an exact binomial test has. Between 2 and 5 stakes power differed by .03 at the most."""
STEP = 0.005
"""Spacing of the drops among which the bound is looked for."""
FORESEEN = 100.0
"""How many times as many cases as were seen a forecast may need; beyond that the drop is as good as at the margin."""
_ALL = ("", "")

_Row: TypeAlias = tuple[str, str]
"""(suite, probe) of a hypothesis."""
Verdict: TypeAlias = Literal["non-inferior", "inferior", "undecided"]


@dataclass(frozen=True)
class NoninferiorityPlan(Settings):
    """sora-eval gate --noninferior MARGIN: by how much an engine may fall behind the original, and how surely that must be shown."""

    margin: float = option(above=0, below=1)
    """The mean drop of the overall score, on its scale of 0 to 1, that must be excluded. A probe without a margin of its own can't pass,
    but stops a candidate that is shown to fall by more than this one."""
    margins: Mapping[str, float] = option({}, above=0, below=1)
    """Margins of single probes, each of which must then be shown to be non-inferior too: margins.orbit=0.2."""
    probe_margin: float | None = option(None, above=0, below=1)
    """A margin of every probe: all of them must be shown to be non-inferior. With the 12 scenes that a probe has in suite=gate
    none below .3 can be shown, whatever the clips."""
    alpha: float = option(0.05, above=0, below=1)
    """Chance, at most, that a candidate passes that is inferior in anything that must be shown; and that one is stopped that is inferior
    in nothing. Both hold however often one looks."""
    share: float = option(0.5, above=0, below=1)
    """The part of alpha for the overall score where a candidate is stopped; the probes share the rest."""
    technical: float = option(MAX_SHARE, least=0, below=1)
    """The share of a model's clips, and of each probe's beyond one clip, that may have failed technically; left out on both sides."""

    def margin_of(self, name: str) -> float:
        """Return the margin of a probe, or of "overall"."""
        if name == OVERALL:
            return self.margin
        return self.margins.get(name, self.margin if self.probe_margin is None else self.probe_margin)

    def must_show(self, name: str) -> bool:
        """Return whether a candidate passes only if this probe, or "overall", is shown to be non-inferior."""
        return name == OVERALL or self.probe_margin is not None or name in self.margins

    def check(self, compared: Iterable[str], known: Iterable[str] = ()) -> None:
        """Refuse names of no probe, or of one that is not compared, which no test would look for.

        Raises:
            ConfigError: with what may have been meant.
        """
        if OVERALL in self.margins:
            raise ConfigError("the margin of the overall score is `margin`, or --noninferior MARGIN")
        check_names("margins", self.margins, compared)


@dataclass(frozen=True)
class NoninferiorityLine:
    """The finding on one probe, or on all ("overall")."""

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
    bound: float
    """What the true drop is below: for the overall score with confidence 1 - alpha; for all probes together with the same (Bonferroni).
    Holds whenever one looks. The largest possible drop where nothing is excluded."""
    margin: float
    """The drop that is to be excluded."""
    must_show: bool
    """Whether a candidate passes only if that is shown."""
    evidence: float | None
    """The e-value against "the drop is at least the margin", None where that need not be shown."""
    against: float
    """The e-value against "the drop is at most the margin", adjusted for all rows."""
    verdict: Verdict
    """"undecided" where neither is shown."""


@dataclass(frozen=True)
class Noninferiority:
    """The verdict."""

    lines: tuple[NoninferiorityLine, ...]
    """Overall first, then the probes by suite."""
    plan: NoninferiorityPlan
    """Options of the test."""
    cases: int
    """How many were compared."""
    of: int
    """How many there are."""
    decided_after: int | None
    """Cases after which the verdict was certain, None where it never was."""
    more: int | None
    """How many more cases would decide if they went as those seen did; 0 where the verdict is certain, None where not even `FORESEEN` times
    as many would."""

    @property
    def inferior(self) -> tuple[NoninferiorityLine, ...]:
        """The lines that are shown to have fallen by more than their margin."""
        return tuple(line for line in self.lines if line.verdict == "inferior")

    @property
    def code(self) -> int:
        """The exit code: 1 where anything is inferior, 0 when all that must be shown is, else 3."""
        if self.inferior:
            return REGRESSION
        shown = all(line.verdict == "non-inferior" for line in self.lines if line.must_show)
        return PASSED if shown else TOO_LITTLE


class MarginBets:
    """The wealth of one who bets on which side of some bounds a mean drop lies, at stakes that never ruin.

    K <- K prod_i (1 + lambda u_i) with u_i = w_i (bound - d_i) / max_i w_i (largest_i - bound), which is at least -1, for bets below the
    bound; lambda is the mean of `STAKES` weighted by what each has won, so that it is known before the round is. Where the weighted
    mean of the means of d is at least the bound, the expected wealth of a round does not grow, by the inequality of arithmetic and
    geometric means, and Ville's inequality bounds the chance that it ever reaches c by 1 / c.

    >>> bets = MarginBets(np.array([0.05]), -1)
    >>> for _ in range(80):
    ...     bets.bet(np.ones(1), np.zeros(1), np.ones(1))  # scenes without a difference
    >>> bool(bets.value[0] > 20)
    True
    """

    def __init__(self, bounds: Floats, sign: Literal[-1, 1]) -> None:
        """Begin with a wealth of 1. bounds: [k]; sign: 1 bets that the mean is above each bound, -1 that it is below."""
        self._bounds, self._sign = bounds, sign
        self.log_wealth = np.zeros((len(STAKES), len(bounds)))
        """[stakes, k] natural logarithm of what each stake alone has won."""

    @property
    def value(self) -> Floats:
        """The wealth [k] of an equal share at each stake: an e-value for each bound."""
        return np.asarray(np.exp(np.minimum(self.log_wealth, 200.0)).sum(axis=0) / len(STAKES))

    def bet(self, weight: Floats, drop: Floats, largest: Floats) -> None:
        """Bet on independent drops [n] of a round at once, that the sum of weight times mean is on the side of the bound.

        weight: [n], with sum 1; largest: [n] the largest drop that there can be, above some of the bounds.
        """
        worst = (weight[:, None] * (largest[:, None] + self._sign * self._bounds)).max(axis=0)
        gain = self._sign * weight[:, None] * (drop[:, None] - self._bounds) / worst
        self.log_wealth += np.log1p(STAKES[:, None, None] * gain).sum(axis=1)


_Round: TypeAlias = tuple[Floats, Floats, Floats]
"""Weights, drops and largest drops [n] of a round's scenes."""


class NoninferiorityTest:
    """The verdict while scenes come in, in the order of `steps`; it is read after each round.

    Passing needs every row that must be shown, each at 1 / alpha: an intersection-union test (Berger 1982), in which no correction is
    needed. Stopping is a closed test with means of e-values over all rows (`adjust_e_values`). Valid for any scores of these
    bounds, and for scenes that are independent of each other.
    """

    def __init__(self, baseline: Iterable[ScoreRow], plan: NoninferiorityPlan) -> None:
        """Begin with the baseline's rows, of one generator; those of the candidate come by `add`."""
        self.plan = plan
        self._baseline = {row.case: row for row in case_means(baseline)}
        self.steps = schedule(self._baseline.values())
        pairs = pair(self._baseline.values(), self._baseline.values())
        weights, overall = {row: pairs.weights(*row) for row in hypotheses(pairs)}, pairs.weights()
        self._rows = list(weights)
        self._largest = {row: float(w @ pairs.max_difference) for row, w in weights.items()}
        self._weight = {row: float(overall[w > 0].sum()) for row, w in weights.items()}
        margins = {row: np.array([plan.margin_of(name_of(row))]) for row in self._rows}
        self._below = {row: MarginBets(margins[row], -1) for row in self._rows if plan.must_show(name_of(row))}
        self._above = {row: MarginBets(margins[row], 1) for row in self._rows}
        self._rounds: dict[_Row, list[_Round]] = {row: [] for row in self._rows}
        self._waiting: list[tuple[_Row, float]] = []
        self._seen: list[ScoreRow] = []
        self._shown: set[_Row] = set()
        self._inferior: set[_Row] = set()
        self._decided_after: int | None = None

    @property
    def certain(self) -> bool:
        """Whether no further scene is needed."""
        return bool(self._inferior) or len(self._shown) == len(self._below)

    @property
    def code(self) -> int:
        """The exit code of what was seen so far."""
        return REGRESSION if self._inferior else PASSED if self.certain else TOO_LITTLE

    def add(self, step: Step, candidate: Iterable[ScoreRow]) -> bool:
        """Take the candidate's rows of the next step, all samples of its prompts; return whether the verdict is certain.

        Cases that failed technically, on either side, are left out.

        Raises:
            ValueError: a case of the step has no row.
        """
        rows, drop = scene_drop(step, self._baseline, candidate)
        if rows:
            self._seen += rows
            row = (step.suite, step.probe)
            self._waiting.append((row, drop))
            self._bet(row, [(row, drop)])
        # A round that lacks a probe says nothing about the mean over all of them; its scenes wait for the next one.
        if step.last and {row for row, _ in self._waiting} == set(self._rows) - {_ALL}:
            self._bet(_ALL, self._waiting)
            self._waiting = []
        if step.last:
            self._look()
        return self.certain

    def outcome(self) -> Noninferiority:
        """Return the verdict on what was seen so far.

        Raises:
            ValueError: nothing was.
        """
        pairs = pair([self._baseline[row.case] for row in self._seen], self._seen)
        against, lines = self._against(), []
        for row in hypotheses(pairs):
            weights, name = pairs.weights(*row), name_of(row)
            line = NoninferiorityLine(
                suite=row[0],
                probe=name,
                n=int((weights > 0).sum()),
                clusters=pairs.clusters(weights),
                baseline=float(weights @ pairs.first),
                candidate=float(weights @ pairs.second),
                drop=float(weights @ pairs.difference),
                bound=self._bound(row),
                margin=self.plan.margin_of(name),
                must_show=row in self._below,
                evidence=float(self._below[row].value[0]) if row in self._below else None,
                against=against[row],
                verdict=self._verdict(row),
            )
            lines.append(line)
        of, more = len(self._baseline), 0 if self.certain else self._more(len(pairs))
        return Noninferiority(tuple(lines), self.plan, len(pairs), of, self._decided_after, more)

    def _bet(self, row: _Row, drops: Sequence[tuple[_Row, float]]) -> None:
        """Bet on the drops of scenes, for a probe or for all; a probe's scenes in a round share its weight."""
        count = Counter(at for at, _ in drops)
        weight = np.array([self._weight[at] / self._weight[row] / count[at] for at, _ in drops])
        bets = weight, np.array([d for _, d in drops]), np.array([self._largest[at] for at, _ in drops])
        self._rounds[row].append(bets)
        # What is shown stays shown: the process ends there, which keeps all rows at 1 / alpha at once.
        if row in self._below and row not in self._shown:
            self._below[row].bet(*bets)
        self._above[row].bet(*bets)

    def _look(self) -> None:
        self._shown |= {row for row, bets in self._below.items() if bets.value[0] >= 1 / self.plan.alpha}
        # No adjusted value is above the largest one.
        if max(bets.value[0] for bets in self._above.values()) >= 1 / self.plan.alpha:
            self._inferior |= {row for row, e in self._against().items() if e >= 1 / self.plan.alpha}
        if self.certain and self._decided_after is None:
            self._decided_after = len(self._seen)

    def _verdict(self, row: _Row) -> Verdict:
        if row in self._inferior:
            return "inferior"
        return "non-inferior" if row in self._shown else "undecided"

    def _against(self) -> dict[_Row, float]:
        e = np.array([self._above[row].value[0] for row in self._rows])
        shares = alpha_shares(len(e), self.plan.share)
        return dict(zip(self._rows, map(float, adjust_e_values(e, shares)), strict=True))

    def _bound(self, row: _Row) -> float:
        """Return the smallest drop such that it and all larger ones were excluded at some time: an upper confidence sequence."""
        drops = np.arange(STEP, self._largest[row] - STEP / 2, STEP)
        bets, highest = MarginBets(drops, -1), np.zeros(len(drops))
        for scenes in self._rounds[row]:
            bets.bet(*scenes)
            highest = np.maximum(highest, bets.value)
        alpha = self.plan.alpha / (1 if row == _ALL else len(self._rows) - 1)
        open_ = np.flatnonzero(highest < 1 / alpha)
        first = int(open_[-1]) + 1 if len(open_) else 0
        return float(drops[first]) if first < len(drops) else self._largest[row]

    def _more(self, seen: int) -> int | None:
        """Return how many further cases would decide, or None where not even `FORESEEN` times as many would.

        After f times as many scenes that go as those did, each stake has won W^f; passing takes the slowest of the rows that must be shown,
        stopping the fastest of all.
        """
        shares = dict(zip(self._rows, alpha_shares(len(self._rows), self.plan.share), strict=True))
        passing = max(_growth(bets, self.plan.alpha) for bets in self._below.values())
        stopping = min(_growth(self._above[row], self.plan.alpha * shares[row]) for row in self._rows)
        factor = min(passing, stopping)
        return None if factor > FORESEEN else max(1, math.ceil((factor - 1) * seen))


def _growth(bets: MarginBets, alpha: float) -> float:
    """Return the least factor f >= 1 at which the mean of W^f over stakes reaches 1 / alpha; infinite where no stake has won."""
    logs = bets.log_wealth[:, 0]
    if logs.max() <= 0:
        return 1.0 if float(bets.value[0]) >= 1 / alpha else math.inf
    low, high = 1.0, 1.0 + math.log(len(STAKES) / alpha) / float(logs.max())
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if np.exp(np.minimum(middle * logs, 200)).mean() >= 1 / alpha else (middle, high)
    return high
