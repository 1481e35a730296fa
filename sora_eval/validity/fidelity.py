"""Trials of fidelity metrics, from the features of clips under every condition.

A metric of single clips has a trial per clip. A distance of sets has no value of one clip, so the clips are dealt into a few sets, and the
value of each is its pseudo-value: its contribution to the distance at full size (Tukey 1958; Miller 1974). Their mean is the distance
without the bias that comes of these clips; that of the real ones is the same for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from sora_eval.fidelity.features import CLIP_FEATURES
from sora_eval.stats.intervals import jackknife_variance, pseudo_values, t_quantile
from sora_eval.types import Floats, digest
from sora_eval.validity.corruptions import (
    ALL_FAMILIES,
    CORRUPTIONS,
    Condition,
    ConditionFeatures,
    real_set,
    true_set,
)
from sora_eval.validity.fidelity_metrics import METRICS, SETS, Distance, FidelityMetric
from sora_eval.validity.trials import Trial

Features = Mapping[Condition, ConditionFeatures]
"""Features of clips under every condition."""


@dataclass(frozen=True)
class SetDistance:
    """A distance of sets at full size under a condition, beside its floor."""

    metric: str
    """Name of the distance."""
    kind: str
    """Kind of the condition."""
    condition: str
    """Name of the condition."""
    severity: float
    """0..1."""
    n: int
    """Clips of either set."""
    value: float
    """Distance of n clips under the condition from n real ones."""
    floor: float
    """Distance of n true clips from the same real ones."""
    low: float
    """Lower end of the 95% interval of value - floor (a delete-a-group jackknife with Student's t)."""
    high: float
    """Upper end of that interval."""


def fidelity_trials(features: Features) -> list[Trial]:
    """Return the trials of every metric: of clips, or of sets against the real clips."""
    return [
        trial
        for condition in features
        for metric in METRICS
        for labelled in _labels(condition)
        for trial in _trials(metric, condition, labelled, features)
    ]


def _labels(condition: Condition) -> list[Condition]:
    """Return the conditions that features of a condition count for."""
    if condition.families == ALL_FAMILIES:
        return [condition]
    if condition.kind == "oracle":
        # The truth of the violations that are tried on clips of their own families.
        return [
            replace(condition, kind="violation", name=c.name) for c in CORRUPTIONS if c.families == condition.families
        ]
    return [] if condition.kind == "held" else [condition]


def _trials(metric: FidelityMetric, condition: Condition, labelled: Condition, features: Features) -> Iterator[Trial]:
    # Trials of the same clip, corrupted and not, are of one unit; those of the real set are of others.
    prefix = f"{'held' if condition.kind == 'held' else 'card'}.{digest(condition.families, 4)}"

    def trial(unit: str, value: float | None, reason: str = "") -> Trial:
        at = (labelled.kind, labelled.name, labelled.severity)
        return Trial(metric.name, "", *at, f"{prefix}.{unit}", value, reason)

    own = features[condition]
    if metric.extractor in own.missing:
        yield trial("all", None, own.missing[metric.extractor])
    elif metric.distance is None:
        for i, value in sorted(own.values.get(metric.key, {}).items()):
            yield trial(str(i), value)
    elif condition.kind != "held":
        # Between true sets, the distance of the truth is itself what is to be compared.
        real = features.get(real_set(condition.families))
        if real is not None and metric.extractor not in real.missing:
            values = _pseudo_values(metric.distance, _rows(metric, own), _rows(metric, real))
            for k, value in enumerate(values):
                yield trial(f"set{k}", float(value))


def _pseudo_values(distance: Distance, x: Floats, y: Floats) -> Floats:
    """Return the jackknife's pseudo-values [SETS] of the sets of x: `K theta - (K - 1) theta without k`."""
    without = np.array([distance(_without(x, k), y) for k in range(SETS)])
    return pseudo_values(distance(x, y), without)


def set_distances(features: Features) -> list[SetDistance]:
    """Return the distances of sets at full size against their floor, for all but true sets."""
    rows = []
    for condition, own in features.items():
        real, true = features.get(real_set(condition.families)), features.get(true_set(condition.families))
        if condition.kind in ("held", "oracle") or real is None or true is None:
            continue
        for metric in METRICS:
            if metric.distance is not None and metric.extractor not in own.missing:
                rows.append(_set_distance(metric, metric.distance, condition, own, true, real))
    return rows


def _set_distance(
    metric: FidelityMetric,
    distance: Distance,
    condition: Condition,
    own: ConditionFeatures,
    true: ConditionFeatures,
    real: ConditionFeatures,
) -> SetDistance:
    x, x_true, y = (_rows(metric, features) for features in (own, true, real))
    value, floor = distance(x, y), distance(x_true, y)
    half_width = _half_width(distance, x, x_true, y)
    ends = (value - floor - half_width, value - floor + half_width)
    return SetDistance(metric.name, condition.kind, condition.name, condition.severity, len(x), value, floor, *ends)


def _half_width(distance: Distance, x: Floats, true: Floats, y: Floats) -> float:
    """Return half the width of the 95% interval of distance(x, y) - distance(true, y).

    Rows of x and true are of the same scenes and leave together, rows of y by themselves (a two-sample delete-a-group jackknife).
    """
    of_fake = np.array([distance(_without(x, k), y) - distance(_without(true, k), y) for k in range(SETS)])
    of_real = np.array([distance(x, _without(y, k)) - distance(true, _without(y, k)) for k in range(SETS)])
    variance = jackknife_variance(of_fake) + jackknife_variance(of_real)
    return float(t_quantile(0.975, SETS - 1) * np.sqrt(variance))


def _without(rows: Floats, k: int) -> Floats:
    return np.delete(rows, np.s_[k::SETS], axis=0)


def _rows(metric: FidelityMetric, features: ConditionFeatures) -> Floats:
    return features.clip_features if metric.extractor == CLIP_FEATURES else features.motion_features
