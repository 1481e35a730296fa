"""Detection statistics per probe and metric: AUC per fault, dose-response and detection threshold, noise floor, false-alarm rate."""

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
from sora_eval.validity.trials import SEVERITIES, Kind, Trial

MIN_ORACLE, MIN_NUISANCE, MIN_AUC = 0.97, 0.95, 0.95
"""Required of a probe: its score of the truth, of the truth under a nuisance transform, and its AUC per fault."""
CHANCE_AUC = 0.5
FIDELITY = "fidelity"
"""The suite of fidelity metrics."""
TRACKING = "tracking"
"""The suite of tracking metrics."""
METRIC_SUITES = (FIDELITY, TRACKING)
"""Suites whose subjects are metrics: no score is required of the truth."""
ALPHA = 0.05
THRESHOLD_RULE = (
    f"the lowest severity at which, and at every stronger one, a two-sided paired test against the truth is significant at {ALPHA}, "
    "on the worse side; tests begin at severity 1 and end with the first that fails, so that they need no correction "
    "(a fixed sequence, Maurer, Hothorn and Lehmacher 1995)"
)
"""Definition of the detection threshold."""
_FAULTS = ("violation", "corruption")
_HALVINGS = 1000
_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True)
class Subject:
    """A probe or a metric that is validated."""

    name: str
    """Name of the probe or metric."""
    suite: str
    """Suite of the probe; FIDELITY or TRACKING for a metric."""
    kind: str
    """"probe" or "metric"."""
    description: str = ""
    """Claim of the probe, or protocol of the metric."""
    version: int = 1
    """Version of the probe."""
    higher_is_better: bool = True
    """Direction of the value."""
    bounds: tuple[float, float] = (0.0, 1.0)
    """Least and greatest possible value."""
    blind_spots: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Known blind spots: the reason, by mode and condition."""
    unit: str = "scene"
    """What a value is of: "scene", "clip" or "set of 8 clips"."""
    unavailable: str = ""
    """Why it is not validated, "" where it is."""


@dataclass(frozen=True)
class Detection:
    """How well a subject separates one condition from the truth, in one mode."""

    suite: str
    """Suite of the subject."""
    subject: str
    """Name of the probe or metric."""
    mode: str
    """Mode of the cases; "" for a metric."""
    kind: Kind
    """Kind of the condition."""
    condition: str
    """Name of the condition."""
    severity: float
    """0..1."""
    nuisance: str
    """Nuisance transform that both the condition and the truth are under, "" for none."""
    n: int
    """Clips or sets."""
    mean: float | None
    """Mean value; None where a clip has none, as all figures below."""
    low: float | None
    """Lower end of its 95% interval."""
    high: float | None
    """Upper end of its 95% interval."""
    worst: float | None
    """Worst value."""
    auc: float | None
    """Probability that a true one is better than one of this condition, ties counted half."""
    auc_low: float | None
    """Lower end of its 95% interval."""
    auc_high: float | None
    """Upper end of its 95% interval."""
    blind_spot: str
    """Reason for a known blind spot, "" where this is none."""
    reasons: tuple[str, ...]
    """The most frequent reasons for not judging."""

    @property
    def passed(self) -> bool:
        """Whether the requirement holds.

        A probe judges single clips: a score of the truth is required, and an AUC. A metric judges many at once: its AUC must be above
        chance, with the whole interval.
        """
        if self.kind in ("oracle", "nuisance"):
            least = MIN_ORACLE if self.kind == "oracle" else MIN_NUISANCE
            return self.suite in METRIC_SUITES or (self.worst is not None and self.worst >= least)
        if self.kind == "held" or self.nuisance:
            return True
        if self.suite in METRIC_SUITES:
            return self.auc_low is not None and self.auc_low > CHANCE_AUC
        return self.auc is not None and self.auc >= MIN_AUC


@dataclass(frozen=True)
class DoseResponse:
    """A subject's response to a fault of increasing severity, in one mode."""

    suite: str
    """Suite of the subject."""
    subject: str
    """Name of the probe or metric."""
    mode: str
    """Mode of the cases; "" for a metric."""
    kind: Kind
    """"violation" or "corruption"."""
    condition: str
    """Name of the fault."""
    severities: tuple[float, ...]
    """SEVERITIES, the truth first."""
    n: int
    """Scenes, clips or sets."""
    means: tuple[float, ...]
    """Mean value at each severity."""
    lows: tuple[float | None, ...]
    """Lower ends of their 95% intervals."""
    highs: tuple[float | None, ...]
    """Upper ends of their 95% intervals."""
    aucs: tuple[float, ...]
    """AUC at each severity above 0."""
    auc_lows: tuple[float, ...]
    """Lower ends of their 95% intervals."""
    auc_highs: tuple[float, ...]
    """Upper ends of their 95% intervals."""
    p_values: tuple[float, ...]
    """Of the paired tests at each severity above 0."""
    rho: float | None
    """Spearman's correlation of severity and mean, towards worse; None where all means are equal."""
    threshold: float | None
    """Detection threshold, see THRESHOLD_RULE; None where no severity is detected."""
    blind_spot: str
    """Reason for a known blind spot, "" where this is none."""

    @property
    def testable(self) -> bool:
        """Whether there are enough units for any paired test to be significant."""
        return 2.0 ** (1 - self.n) < ALPHA

    @property
    def verdict(self) -> str:
        """The detection threshold, or why there is none."""
        if self.threshold is not None:
            return f"{self.threshold:g}"
        if not self.testable:
            return "too few to test"
        return "never, known blind spot" if self.blind_spot else "never"

    @property
    def missed(self) -> bool:
        """Whether a fault that is no known blind spot goes undetected."""
        return self.threshold is None and self.testable and not self.blind_spot


@dataclass(frozen=True)
class NoiseFloor:
    """Two disjoint sets of true clips against each other.

    For a distance of sets, the first mean is the unbiased distance of both, and the second 0, its true value.
    """

    suite: str
    """Suite of the subject."""
    subject: str
    """Name of the probe or metric."""
    mode: str
    """Mode of the cases; "" for a metric."""
    n: tuple[int, int]
    """Clips or sets of either."""
    first: float
    """Mean value of the first set."""
    second: float
    """Mean value of the second set."""
    difference: float
    """first - second."""
    low: float | None
    """Lower end of the difference's 95% interval."""
    high: float | None
    """Upper end of the difference's 95% interval."""
    standard_error: float
    """Standard deviation of the difference over random halvings of both sets together."""


@dataclass(frozen=True)
class FalseAlarmRate:
    """How often a subject calls true clips false, plain or under a nuisance transform."""

    suite: str
    """Suite of the subject."""
    subject: str
    """Name of the probe or metric."""
    nuisance: str
    """Nuisance transform, "" for plain true clips."""
    clips: int
    """True clips."""
    false_alarms: int | None
    """Those of a probe that score below MIN_ORACLE, or MIN_NUISANCE under a nuisance transform; None for a metric."""
    low: float | None
    """Lower end of the rate's 95% interval, by scenes."""
    high: float | None
    """Upper end of the rate's 95% interval, by scenes."""
    difference: float | None
    """Mean of plain minus transformed over the same scenes; None for plain."""
    p_value: float | None
    """Of the paired test of that difference; None for plain."""

    @property
    def rejected(self) -> bool:
        """Whether the paired test rejects that the nuisance transform changes nothing."""
        return self.p_value is not None and self.p_value < ALPHA


@dataclass(frozen=True)
class LookShare:
    """How a probe judges true clips in a look of the world."""

    suite: str
    """Suite of the probe."""
    subject: str
    """Name of the probe."""
    look: str
    """Name of the look."""
    severity: float
    """Its severity, above 0 up to 1."""
    scenes: int
    """True clips, one of each scene."""
    right: int
    """Those that score at least MIN_NUISANCE."""
    wrong: int
    """Those that are judged and score less."""
    unjudged: int
    """Those that could not be judged."""
    reasons: tuple[str, ...]
    """Why not, the most frequent ones first."""

    @property
    def borne(self) -> bool:
        """Whether every clip is judged right."""
        return self.right == self.scenes


def look_shares(subject: Subject, trials: Iterable[Trial]) -> list[LookShare]:
    """Return how a subject judges true clips in each look and severity. A look is a condition on the pictures, no score is required."""
    rows = []
    looks = _grouped((t for t in trials if t.kind == "look"), lambda t: (t.condition, t.severity))
    for (look, severity), group in looks.items():
        unjudged = sum(bool(t.reason) for t in group)
        right = sum(not t.reason and _value(t) >= MIN_NUISANCE for t in group)
        reasons = tuple(r for r, _ in Counter(t.reason for t in group if t.reason).most_common(3))
        counts = (len(group), right, len(group) - right - unjudged, unjudged)
        rows.append(LookShare(subject.suite, subject.name, look, severity, *counts, reasons))
    return rows


def detections(subject: Subject, trials: Iterable[Trial]) -> list[Detection]:
    """Return a row per mode, condition and nuisance transform of one subject's trials; of faults, at severity 1."""
    groups = _grouped(
        (t for t in trials if t.kind != "look"), lambda t: (t.mode, t.kind, t.condition, t.severity, t.nuisance)
    )
    rows = []
    for (mode, kind, condition, severity, nuisance), group in groups.items():
        if kind in _FAULTS and severity < 1:
            # Those are in the dose-responses.
            continue
        # A violation under a nuisance transform stands against the truth under it; some corruptions have a truth of their own families.
        truth = groups.get((mode, "nuisance", nuisance, 0.0, "") if nuisance else (mode, kind, condition, 0.0, ""))
        rows.append(_detection(subject, group, truth or groups.get((mode, "oracle", "oracle", 0.0, ""), [])))
    return rows


def _detection(subject: Subject, group: Sequence[Trial], truth: Sequence[Trial]) -> Detection:
    """Return the row of trials of one mode, condition and nuisance transform."""
    trial = group[0]
    row = Detection(
        suite=subject.suite,
        subject=subject.name,
        mode=trial.mode,
        kind=trial.kind,
        condition=trial.condition,
        severity=trial.severity,
        nuisance=trial.nuisance,
        n=0,
        mean=None,
        low=None,
        high=None,
        worst=None,
        auc=None,
        auc_low=None,
        auc_high=None,
        blind_spot=subject.blind_spots.get((trial.mode, trial.condition), ""),
        reasons=tuple(r for r, _ in Counter(t.reason for t in group if t.reason).most_common(3)),
    )
    values = [t.value for t in group if t.value is not None]
    if len(values) < len(group):
        return row
    mean, worst = _mean(subject, group), min(values) if subject.higher_is_better else max(values)
    row = replace(row, n=len(group), mean=mean.mean, low=_finite(mean.low), high=_finite(mean.high), worst=worst)
    area = _auc(subject, truth, group)
    return row if area is None else replace(row, auc=area.mean, auc_low=area.low, auc_high=area.high)


def dose_responses(subject: Subject, trials: Iterable[Trial]) -> list[DoseResponse]:
    """Return a subject's response to each fault that was tried at every severity."""
    rows = []
    for of_mode in _grouped(trials, lambda t: t.mode).values():
        plain = [t for t in of_mode if not t.nuisance and t.value is not None]
        faults = _grouped((t for t in plain if t.kind in _FAULTS), lambda t: (t.kind, t.condition))
        for fault in faults.values():
            steps = _grouped(fault, lambda t: t.severity)
            # Some corruptions are tried on clips of their own families, with a truth of their own.
            truth = steps.get(0.0) or [t for t in plain if t.kind == "oracle"]
            if truth and all(s in steps for s in SEVERITIES[1:]):
                rows.append(_dose_response(subject, [truth, *(steps[s] for s in SEVERITIES[1:])]))
    return rows


def _dose_response(subject: Subject, steps: Sequence[Sequence[Trial]]) -> DoseResponse:
    """Return the response to one fault from its trials at each of SEVERITIES."""
    fault = steps[-1][0]
    means = [_mean(subject, step) for step in steps]
    aucs = [area for step in steps[1:] if (area := _auc(subject, steps[0], step)) is not None]
    tests = [_paired_test(steps[0], step) for step in steps[1:]]
    worse = -1.0 if subject.higher_is_better else 1.0
    values = [m.mean for m in means]
    return DoseResponse(
        subject.suite,
        subject.name,
        fault.mode,
        fault.kind,
        fault.condition,
        SEVERITIES,
        len(_by_unit(steps[-1])),
        tuple(values),
        tuple(_finite(m.low) for m in means),
        tuple(_finite(m.high) for m in means),
        tuple(a.mean for a in aucs),
        tuple(a.low for a in aucs),
        tuple(a.high for a in aucs),
        tuple(p for _, p in tests),
        spearman(SEVERITIES, [worse * v for v in values]) if np.ptp(values) > 0 else None,
        detection_threshold([(-worse * d, p) for d, p in tests]),
        subject.blind_spots.get((fault.mode, fault.condition), ""),
    )


def detection_threshold(
    tests: Sequence[tuple[float, float]], severities: Sequence[float] = SEVERITIES[1:]
) -> float | None:
    """Return the smallest severity that is detected, by THRESHOLD_RULE; None where not even the strongest is.

    tests: at each severity, weakest first, how much better the truth is, and the p-value.
    """
    threshold = None
    for severity, (better, p) in reversed(list(zip(severities, tests, strict=True))):
        if better <= 0 or p >= ALPHA:
            break
        threshold = severity
    return threshold


def noise_floors(subject: Subject, trials: Iterable[Trial]) -> list[NoiseFloor]:
    """Return the difference of two disjoint sets of true clips, by mode."""
    rows = []
    for mode, of_mode in _grouped(trials, lambda t: t.mode).items():
        first, second = ([t for t in of_mode if t.kind == kind] for kind in ("oracle", "held"))
        if subject.unit.startswith("set") and first:
            rows.append(_distance_floor(subject, mode, first))
        elif first and second and all(t.value is not None for t in [*first, *second]):
            rows.append(_floor(subject, mode, first, second))
    return rows


def _floor(subject: Subject, mode: str, first: Sequence[Trial], second: Sequence[Trial]) -> NoiseFloor:
    a, b = _mean(subject, first), _mean(subject, second)
    # The interval of a difference from those of its two parts (Newcombe 1998; Zou and Donner 2008): each keeps its width where
    # all values are equal.
    gap = a.mean - b.mean
    low = gap - float(np.hypot(a.mean - a.low, b.high - b.mean))
    high = gap + float(np.hypot(a.high - a.mean, b.mean - b.low))
    sizes, error = (len(first), len(second)), _halving_error(_by_unit(first), _by_unit(second))
    ends = (gap, _finite(low), _finite(high), error)
    return NoiseFloor(subject.suite, subject.name, mode, sizes, a.mean, b.mean, *ends)


def _distance_floor(subject: Subject, mode: str, true: Sequence[Trial]) -> NoiseFloor:
    """Return a true set's distance from the real one, whose true value is 0."""
    mean = _mean(subject, true)
    error = float(np.std([_value(t) for t in true], ddof=1) / np.sqrt(len(true)))
    ends = (_finite(mean.low), _finite(mean.high), error)
    return NoiseFloor(subject.suite, subject.name, mode, (len(true), len(true)), mean.mean, 0.0, mean.mean, *ends)


def false_alarm_rates(subject: Subject, trials: Iterable[Trial]) -> list[FalseAlarmRate]:
    """Return how often the truth is called false: plain in all modes together, then under each nuisance transform."""
    true = [t for t in trials if t.kind in ("oracle", "held", "nuisance")]
    plain = [t for t in true if t.kind != "nuisance"]
    rows = [_false_alarms(subject, "", plain, MIN_ORACLE)] if plain else []
    by_nuisance = _grouped((t for t in true if t.kind == "nuisance"), lambda t: (t.mode, t.condition))
    for (mode, nuisance), group in by_nuisance.items():
        if any(t.value is None for t in group):
            continue
        gap, p = _paired_test([t for t in plain if t.kind == "oracle" and t.mode == mode], group)
        rows.append(replace(_false_alarms(subject, nuisance, group, MIN_NUISANCE), difference=gap, p_value=p))
    return rows


def _false_alarms(subject: Subject, nuisance: str, group: Sequence[Trial], least: float) -> FalseAlarmRate:
    if subject.kind != "probe":
        return FalseAlarmRate(subject.suite, subject.name, nuisance, len(group), None, None, None, None, None)
    failed = [(t.value or 0.0) < least for t in group]
    rate = cluster_bootstrap(np.array(failed, float), [t.unit for t in group])
    counts = (len(group), sum(failed))
    return FalseAlarmRate(subject.suite, subject.name, nuisance, *counts, rate.low, rate.high, None, None)


def rejection_rate(rows: Iterable[FalseAlarmRate]) -> tuple[int, int, Interval]:
    """Return how many paired tests of nuisance transforms reject, of how many, and the rate with its interval."""
    tests = [r.rejected for r in rows if r.p_value is not None]
    return sum(tests), len(tests), wilson(sum(tests), len(tests)) if tests else Interval(0.0, 0.0, 1.0)


def _mean(subject: Subject, group: Sequence[Trial]) -> Interval:
    return cluster_bootstrap([_value(t) for t in group], [t.unit for t in group], bounds=subject.bounds)


def _auc(subject: Subject, truth: Sequence[Trial], group: Sequence[Trial]) -> Interval | None:
    if not truth or any(t.value is None for t in truth):
        return None
    sign = 1.0 if subject.higher_is_better else -1.0
    positive, negative = (sign * np.array(list(_by_unit(trials).values())) for trials in (truth, group))
    return auc(positive, negative)


def _paired_test(truth: Sequence[Trial], group: Sequence[Trial]) -> tuple[float, float]:
    """Return the mean of truth - group over the units that both have, and the p-value of no difference."""
    a, b = _by_unit(truth), _by_unit(group)
    units = [u for u in b if u in a]
    if not units:
        raise ValueError("the truth and the trials that are compared with it share no scene")
    difference = paired_difference([a[u] for u in units], [b[u] for u in units], units)
    return difference.mean, difference.p_value


def _by_unit(trials: Iterable[Trial]) -> dict[str, float]:
    """Return the mean value of each unit."""
    return {u: float(np.mean([_value(t) for t in group])) for u, group in _grouped(trials, lambda t: t.unit).items()}


def _halving_error(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    every: Floats = np.array([*first.values(), *second.values()])
    half = len(first)
    orders = np.random.default_rng(0).permuted(np.tile(every, (_HALVINGS, 1)), axis=1)
    return float(np.std(orders[:, :half].mean(axis=1) - orders[:, half:].mean(axis=1)))


def _value(trial: Trial) -> float:
    assert trial.value is not None
    return trial.value


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _grouped(trials: Iterable[Trial], key: Callable[[Trial], _Key]) -> dict[_Key, list[Trial]]:
    groups: dict[_Key, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(key(trial), []).append(trial)
    return groups
