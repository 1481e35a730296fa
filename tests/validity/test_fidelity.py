"""Trials of fidelity metrics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from sora_eval.fidelity.config import FidelityConfig
from sora_eval.fidelity.features import CLIP_FEATURES, FeatureSet
from sora_eval.fidelity.measures import set_measures
from sora_eval.metrics.frechet import frechet_distance
from sora_eval.metrics.physics_iq import HIGHER_IS_BETTER
from sora_eval.validity.corruptions import (
    ALL_FAMILIES,
    Condition,
    ConditionFeatures,
    conditions,
    real_set,
    true_set,
)
from sora_eval.validity.detection import (
    detections,
    dose_responses,
)
from sora_eval.validity.fidelity import _pseudo_values, fidelity_trials, set_distances
from sora_eval.validity.fidelity_metrics import (
    METRICS,
    SETS,
    fidelity_metric_names,
    fidelity_subjects,
    unavailable_subjects,
)
from sora_eval.validity.trials import (
    SEVERITIES,
)


def features(shift: float, seed: int, count: int = 24) -> ConditionFeatures:
    """Return what a set of clips might read, some way from the others."""
    rng = np.random.default_rng(seed)
    values = {m.key: {i: float(rng.normal(shift)) for i in range(count)} for m in METRICS if m.key}
    return ConditionFeatures(rng.normal(shift, 1, (count, 5)), rng.normal(0, 1, (count, 4)), values, {}, {})


@pytest.fixture(scope="module")
def reads() -> dict[Condition, ConditionFeatures]:
    found = {}
    for t in conditions():
        moved = 2.0 * t.severity if t.kind == "corruption" else 0.0
        found[t] = features(moved, seed=1 if t.kind == "held" else 2)
    short = Condition("nuisance", "half the frame rate", 0.0, ALL_FAMILIES)
    found[short] = replace(found[short], missing={CLIP_FEATURES: "it reads 17 frames"})
    return found


def test_a_distance_is_tried_by_sets_and_a_refusal_is_a_row(reads: dict[Condition, ConditionFeatures]) -> None:
    trials = [t for t in fidelity_trials(reads) if t.subject == "world-FVD"]
    subject = next(s for s in fidelity_subjects({}, 24) if s.name == "world-FVD")
    assert subject.unit == "set of 3 clips"
    rows = {(r.kind, r.condition, r.severity): r for r in detections(subject, trials)}
    blur = rows["corruption", "blur", 1.0]
    assert (blur.n, blur.auc) == (SETS, 1.0)
    assert rows["nuisance", "half the frame rate", 0.0].reasons == ("it reads 17 frames",)
    dose = next(d for d in dose_responses(subject, trials) if d.condition == "blur")
    assert dose.rho == pytest.approx(1.0)
    assert dose.threshold is not None and dose.threshold <= 0.5


def test_the_mean_of_pseudo_values_is_a_distance_without_bias() -> None:
    rng = np.random.default_rng(5)
    biased, free = [], []
    for _ in range(60):
        x, y = rng.normal(0, 1, (2, 48, 5))
        biased.append(frechet_distance(x, y))
        free.append(_pseudo_values(frechet_distance, x, y).mean())
    # Of one distribution, the distance is 0; half of the plug-in's bias is that of x.
    assert np.mean(biased) > 0.2
    assert abs(np.mean(free)) < 0.6 * np.mean(biased)


def test_distances_at_full_size_stand_beside_their_floor(reads: dict[Condition, ConditionFeatures]) -> None:
    found = {(d.metric, d.condition, d.severity): d for d in set_distances(reads)}
    blur, gravity = found["world-FVD", "blur", 1.0], found["world-FVD", "gravity", 1.0]
    true, real = reads[true_set(ALL_FAMILIES)], reads[real_set(ALL_FAMILIES)]
    assert blur.floor == pytest.approx(frechet_distance(true.clip_features, real.clip_features))
    assert blur.low > 0
    assert gravity.value == gravity.floor
    assert (gravity.low, gravity.high) == (0.0, 0.0)
    assert ("world-FVD", "half the frame rate", 0.0) not in found


def test_laws_are_detected_against_a_truth_of_their_own_families(reads: dict[Condition, ConditionFeatures]) -> None:
    trials = [t for t in fidelity_trials(reads) if t.subject == "SSIM" and t.condition == "gravity"]
    assert {t.severity for t in trials} == set(SEVERITIES)
    units = {s: {t.unit for t in trials if t.severity == s} for s in SEVERITIES}
    assert all(u == units[0.0] for u in units.values())


def every_metric() -> Iterator[str]:
    """Yield the names of all that fidelity measures with the bundled encoders, from the code that measures a run."""
    found = FeatureSet(clips=5, protocols=dict.fromkeys(FidelityConfig().extractors, ""))
    for key in ("state change", "directional similarity", *HIGHER_IS_BETTER):
        found.add_value(key, 0, 0.5)
    for row in set_measures(found, found, FidelityConfig()):
        if row.metric.count(",") == 0:
            yield row.metric


def test_the_card_knows_every_metric() -> None:
    assert {m.name for m in METRICS} == set(every_metric())
    assert {"FVD", "KVD", "JEDi", "lpips-alex", "CLIPSIM, clip-b-32"} <= set(fidelity_metric_names())


def test_absent_encoders_are_rows_with_a_reason() -> None:
    for subject in unavailable_subjects():
        assert subject.unavailable, subject.name
