"""What the trials tell: how surely each fault is told from the truth, from which severity on, and how often the truth is called false."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from sora_eval.stats.correlation import auc, spearman
from sora_eval.stats.intervals import Interval, cluster_bootstrap, wilson
from sora_eval.stats.sign_flips import paired_difference
from sora_eval.types import Floats
from sora_eval.validity.trials import SEVERITIES, Trial

ORACLE_LEAST, LOOK_LEAST, AUC_LEAST = 0.97, 0.95, 0.95
CHANCE = 0.5
FIDELITY = "fidelity"
"""The suite of fidelity metrics."""
TRACKING = "tracking"
"""The suite of tracking metrics."""
METRICS = (FIDELITY, TRACKING)
"""Suites whose subjects are metrics: no score is promised for the truth."""
ALPHA = 0.05
NOTICED = (
    f"the lowest severity at which, and at every stronger one, a two-sided paired test against the truth is significant at {ALPHA}, "
    "on the worse side; tests begin at severity 1 and end with the first that fails, so that they need no correction "
    "(a fixed sequence, Maurer, Hothorn and Lehmacher 1995)"
)
_FAULTS = ("violation", "damage")
_HALVINGS = 1000
_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True)
class Subject:
    """A probe or a metric that is tried.

    suite: "fidelity" or "tracking" for a metric. kind: "probe" or "metric". about: its claim, or its protocol. version: of the probe.
    higher: whether more is better. bounds: the least and the greatest value there can be. by_design: by (mode, what), why it can't tell or
    claims nothing.
    unit: what a value is of: "scene", "clip" or "set of 8 clips". missing: why it was not tried, "" where it was.
    """

    name: str
    suite: str
    kind: str
    about: str = ""
    version: int = 1
    higher: bool = True
    bounds: tuple[float, float] = (0.0, 1.0)
    by_design: Mapping[tuple[str, str], str] = field(default_factory=dict)
    unit: str = "scene"
    missing: str = ""


@dataclass(frozen=True)
class Told:
    """How well one subject tells one way of being wrong from the truth, or what one way of looking does to the truth.

    suite, subject, mode, kind, what, severity, look: as in a Trial. n: clips or sets. mean, low, high: their mean value, its 95% interval,
    None where there is none. worst: the worst value. auc: chance that a true one is better than a spoilt one, ties counted half, with its
    95% interval. by_design: why the subject can't tell, where that is declared. reasons: the most frequent ones for not judging.
    """

    suite: str
    subject: str
    mode: str
    kind: str
    what: str
    severity: float
    look: str
    n: int
    mean: float | None
    low: float | None
    high: float | None
    worst: float | None
    auc: float | None
    auc_low: float | None
    auc_high: float | None
    by_design: str
    reasons: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether the subject does what it must here.

        A probe judges single clips: it promises a score for the truth, and an AUC. A metric judges many at once: it must tell them better
        than by chance.
        """
        if self.kind in ("oracle", "look"):
            least = ORACLE_LEAST if self.kind == "oracle" else LOOK_LEAST
            return self.suite in METRICS or (self.worst is not None and self.worst >= least)
        if self.kind == "held" or self.look:
            return True
        if self.suite in METRICS:
            return self.auc_low is not None and self.auc_low > CHANCE
        return self.auc is not None and self.auc >= AUC_LEAST


@dataclass(frozen=True)
class Dose:
    """How a subject answers to more and more of one fault, in one mode.

    n: scenes, clips or sets. means, lows, highs: at each of SEVERITIES, the truth first. aucs: at each but the first, and its interval.
    p_values: of the paired tests there. rho: Spearman's correlation of severity and mean, towards worse; None where all means are equal.
    noticed: see NOTICED; None where no severity is.
    """

    suite: str
    subject: str
    mode: str
    kind: str
    what: str
    severities: tuple[float, ...]
    n: int
    means: tuple[float, ...]
    lows: tuple[float | None, ...]
    highs: tuple[float | None, ...]
    aucs: tuple[float, ...]
    auc_lows: tuple[float, ...]
    auc_highs: tuple[float, ...]
    p_values: tuple[float, ...]
    rho: float | None
    noticed: float | None
    by_design: str

    @property
    def testable(self) -> bool:
        """Whether there are enough units for any paired test to be significant."""
        return 2.0 ** (1 - self.n) < ALPHA

    @property
    def verdict(self) -> str:
        """What is noticed, in words."""
        if self.noticed is not None:
            return f"{self.noticed:g}"
        if not self.testable:
            return "too few to test"
        return "never, by design" if self.by_design else "never"

    @property
    def bad(self) -> bool:
        """Whether a fault goes unnoticed that should not."""
        return self.noticed is None and self.testable and not self.by_design


@dataclass(frozen=True)
class Floor:
    """Two disjoint sets of true clips against each other. first, second: their means; difference: first - second, with its 95% interval.

    Of a distance of sets, first is the distance of both, without bias, and second 0: what it is in truth.
    spread: the standard deviation of that difference over random halvings of both sets together; n: clips or sets of either.
    """

    suite: str
    subject: str
    mode: str
    n: tuple[int, int]
    first: float
    second: float
    difference: float
    low: float | None
    high: float | None
    spread: float


@dataclass(frozen=True)
class Alarm:
    """How often a subject calls the truth false, plain or under a look.

    clips, failing: true clips, and those below what the card calls failing (of probes); low, high: the 95% interval of
    that rate, by scenes. difference: mean of plain minus look over the same scenes; p_value: of the paired test; None for plain.
    """

    suite: str
    subject: str
    look: str
    clips: int
    failing: int | None
    low: float | None
    high: float | None
    difference: float | None
    p_value: float | None

    @property
    def rejected(self) -> bool:
        """Whether the paired test calls the truth and the truth under the look different."""
        return self.p_value is not None and self.p_value < ALPHA


def told(subject: Subject, trials: Iterable[Trial]) -> list[Told]:
    """Return a row per mode, kind, name and look of one subject's trials; of faults the strongest."""
    by_look = _grouped(trials, lambda t: (t.mode, t.kind, t.what, t.severity, t.look))
    rows = []
    for (mode, kind, what, severity, look), some in by_look.items():
        if kind in _FAULTS and severity < 1:
            # Those are in the doses.
            continue
        # A violation through a look is told from the truth through the same look; some damages have a truth of their own families.
        truth = by_look.get((mode, "look", look, 0.0, "") if look else (mode, kind, what, 0.0, ""))
        truth = truth or by_look.get((mode, "oracle", "oracle", 0.0, ""), [])
        rows.append(_row(subject, mode, kind, what, severity, look, some, truth))
    return rows


def _row(
    subject: Subject,
    mode: str,
    kind: str,
    what: str,
    severity: float,
    look: str,
    some: Sequence[Trial],
    truth: Sequence[Trial],
) -> Told:
    row = Told(
        suite=subject.suite,
        subject=subject.name,
        mode=mode,
        kind=kind,
        what=what,
        severity=severity,
        look=look,
        n=0,
        mean=None,
        low=None,
        high=None,
        worst=None,
        auc=None,
        auc_low=None,
        auc_high=None,
        by_design=subject.by_design.get((mode, what), ""),
        reasons=tuple(r for r, _ in Counter(t.reason for t in some if t.reason).most_common(3)),
    )
    values = [t.value for t in some if t.value is not None]
    if len(values) < len(some) or not values:
        return row
    mean, worst = _mean(subject, some), min(values) if subject.higher else max(values)
    row = replace(row, n=len(some), mean=mean.mean, low=_finite(mean.low), high=_finite(mean.high), worst=worst)
    apart = _auc(subject, truth, some)
    return row if apart is None else replace(row, auc=apart.mean, auc_low=apart.low, auc_high=apart.high)


def doses(subject: Subject, trials: Iterable[Trial]) -> list[Dose]:
    """Return how a subject answers to each fault that was tried at every severity."""
    by_mode = _grouped(trials, lambda t: t.mode)
    found = []
    for mode, mine in by_mode.items():
        plain = [t for t in mine if not t.look and t.value is not None]
        faults = _grouped((t for t in plain if t.kind in _FAULTS), lambda t: (t.kind, t.what))
        for (kind, what), some in faults.items():
            steps = _grouped(some, lambda t: t.severity)
            # Some damages are tried on clips of their own families, with a truth of their own.
            truth = steps.get(0.0) or [t for t in plain if t.kind == "oracle"]
            if truth and all(s in steps for s in SEVERITIES[1:]):
                found.append(_dose(subject, mode, kind, what, [truth, *(steps[s] for s in SEVERITIES[1:])]))
    return found


def _dose(subject: Subject, mode: str, kind: str, what: str, steps: Sequence[Sequence[Trial]]) -> Dose:
    means = [_mean(subject, some) for some in steps]
    aucs = [found for some in steps[1:] if (found := _auc(subject, steps[0], some)) is not None]
    tests = [_paired(steps[0], some) for some in steps[1:]]
    worse = -1.0 if subject.higher else 1.0
    values = [m.mean for m in means]
    rho = spearman(SEVERITIES, [worse * v for v in values]) if np.ptp(values) > 0 else None
    return Dose(
        subject.suite,
        subject.name,
        mode,
        kind,
        what,
        SEVERITIES,
        len(_by_unit(steps[-1])),
        tuple(values),
        tuple(_finite(m.low) for m in means),
        tuple(_finite(m.high) for m in means),
        tuple(a.mean for a in aucs),
        tuple(a.low for a in aucs),
        tuple(a.high for a in aucs),
        tuple(p for _, p in tests),
        rho,
        noticed([(-worse * d, p) for d, p in tests]),
        subject.by_design.get((mode, what), ""),
    )


def noticed(tests: Sequence[tuple[float, float]], severities: Sequence[float] = SEVERITIES[1:]) -> float | None:
    """Return the smallest severity that is noticed, as NOTICED has it, None where not even the strongest is.

    tests: at each severity, weakest first, how much better the truth is, and the p-value.
    """
    found = None
    for severity, (better, p) in reversed(list(zip(severities, tests, strict=True))):
        if better <= 0 or p >= ALPHA:
            break
        found = severity
    return found


def floors(subject: Subject, trials: Iterable[Trial]) -> list[Floor]:
    """Return what two disjoint sets of true clips are to each other, by mode."""
    found = []
    for mode, mine in _grouped(trials, lambda t: t.mode).items():
        first, second = ([t for t in mine if t.kind == kind] for kind in ("oracle", "held"))
        if subject.unit.startswith("set") and first:
            found.append(_distance_floor(subject, mode, first))
            continue
        if not first or not second or any(t.value is None for t in [*first, *second]):
            continue
        a, b = _mean(subject, first), _mean(subject, second)
        # The interval of a difference from those of its two parts (Newcombe 1998; Zou and Donner 2008): each keeps its width where
        # all values are equal.
        gap = a.mean - b.mean
        low = gap - float(np.hypot(a.mean - a.low, b.high - b.mean))
        high = gap + float(np.hypot(a.high - a.mean, b.mean - b.low))
        sizes, spread = (len(first), len(second)), _spread(_by_unit(first), _by_unit(second))
        ends = (gap, _finite(low), _finite(high), spread)
        found.append(Floor(subject.suite, subject.name, mode, sizes, a.mean, b.mean, *ends))
    return found


def _distance_floor(subject: Subject, mode: str, true: Sequence[Trial]) -> Floor:
    """Return a true set's distance from the real one, which is 0 in truth."""
    mean = _mean(subject, true)
    spread = float(np.std([_value(t) for t in true], ddof=1) / np.sqrt(len(true)))
    ends = (_finite(mean.low), _finite(mean.high), spread)
    return Floor(subject.suite, subject.name, mode, (len(true), len(true)), mean.mean, 0.0, mean.mean, *ends)


def alarms(subject: Subject, trials: Iterable[Trial]) -> list[Alarm]:
    """Return how often the truth is called false: plain in all modes together, then under each look."""
    mine = [t for t in trials if t.kind in ("oracle", "held", "look")]
    plain = [t for t in mine if t.kind != "look"]
    rows = [_alarm(subject, "", plain, ORACLE_LEAST)] if plain else []
    truth = [t for t in plain if t.kind == "oracle"]
    for (mode, look), some in _grouped((t for t in mine if t.kind == "look"), lambda t: (t.mode, t.what)).items():
        if any(t.value is None for t in some):
            continue
        gap, p = _paired([t for t in truth if t.mode == mode], some)
        rows.append(replace(_alarm(subject, look, some, LOOK_LEAST), difference=gap, p_value=p))
    return rows


def _alarm(subject: Subject, look: str, some: Sequence[Trial], least: float) -> Alarm:
    if subject.kind != "probe":
        return Alarm(subject.suite, subject.name, look, len(some), None, None, None, None, None)
    failed = [(t.value or 0.0) < least for t in some]
    rate = cluster_bootstrap(np.array(failed, float), [t.unit for t in some])
    return Alarm(subject.suite, subject.name, look, len(some), sum(failed), rate.low, rate.high, None, None)


def rejection_rate(rows: Iterable[Alarm]) -> tuple[int, int, Interval]:
    """Return how many paired tests of the truth against the truth called them different, of how many, and the rate with its interval."""
    tests = [r.rejected for r in rows if r.p_value is not None]
    return sum(tests), len(tests), wilson(sum(tests), len(tests)) if tests else Interval(0.0, 0.0, 1.0)


def _mean(subject: Subject, some: Sequence[Trial]) -> Interval:
    return cluster_bootstrap([_value(t) for t in some], [t.unit for t in some], bounds=subject.bounds)


def _auc(subject: Subject, truth: Sequence[Trial], some: Sequence[Trial]) -> Interval | None:
    if not truth or any(t.value is None for t in truth):
        return None
    sign = 1.0 if subject.higher else -1.0
    positive, negative = (sign * np.array(list(_by_unit(group).values())) for group in (truth, some))
    return auc(positive, negative)


def _paired(truth: Sequence[Trial], some: Sequence[Trial]) -> tuple[float, float]:
    """Return the mean of truth - some over the units that both have, and the p-value of no difference."""
    a, b = _by_unit(truth), _by_unit(some)
    units = [u for u in b if u in a]
    if not units:
        raise ValueError("the truth and what is compared with it share no scene")
    found = paired_difference([a[u] for u in units], [b[u] for u in units], units)
    return found.mean, found.p_value


def _by_unit(some: Iterable[Trial]) -> dict[str, float]:
    """Return the mean value of each unit."""
    return {u: float(np.mean([_value(t) for t in mine])) for u, mine in _grouped(some, lambda t: t.unit).items()}


def _spread(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    every: Floats = np.array([*first.values(), *second.values()])
    half = len(first)
    orders = np.random.default_rng(0).permuted(np.tile(every, (_HALVINGS, 1)), axis=1)
    return float(np.std(orders[:, :half].mean(axis=1) - orders[:, half:].mean(axis=1)))


def _value(trial: Trial) -> float:
    assert trial.value is not None
    return trial.value


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _grouped(some: Iterable[Trial], key: Callable[[Trial], _Key]) -> dict[_Key, list[Trial]]:
    found: dict[_Key, list[Trial]] = {}
    for trial in some:
        found.setdefault(key(trial), []).append(trial)
    return found
