"""Detection statistics: what counts as detected, as a false alarm and as missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from validity.made_up import METRIC, PROBE, trials_of

from sora_eval.validity.detection import (
    ALPHA,
    detection_threshold,
    detections,
    dose_responses,
    false_alarm_rates,
    noise_floors,
    rejection_rate,
)
from sora_eval.validity.trials import (
    SEVERITIES,
    Trial,
)


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        ([(0.1, 0.01)] * 4, 0.25),
        ([(0.1, 0.01), (0.1, 0.2), (0.1, 0.01), (0.1, 0.01)], 0.75),
        ([(0.1, 0.01), (0.1, 0.01), (0.1, 0.01), (0.1, 0.06)], None),
        ([(0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (0.9, 0.008)], 1.0),
        ([(0.1, 0.01), (-0.1, 0.01), (0.1, 0.01), (0.1, 0.01)], 0.75),
    ],
)
def test_the_threshold_is_a_severity_and_at_every_stronger_one(
    tests: list[tuple[float, float]], expected: float | None
) -> None:
    assert detection_threshold(tests) == expected


def test_a_fault_that_every_scene_shows_is_detected_with_wilsons_interval() -> None:
    rows = detections(
        PROBE, [*trials_of("oracle", "oracle", [1.0] * 8, 0.0), *trials_of("control", "frozen", [0.0] * 8)]
    )
    frozen = next(r for r in rows if r.condition == "frozen")
    assert (frozen.auc, frozen.n, frozen.passed) == (1.0, 8, True)
    assert frozen.auc_low == pytest.approx(8 / (8 + 1.959964**2))
    assert frozen.auc_high == 1.0


def test_twins_of_one_scene_are_no_further_evidence() -> None:
    once = [*trials_of("oracle", "oracle", [1.0] * 8, 0.0), *trials_of("control", "frozen", [0.0] * 8)]
    a, b = (next(r for r in detections(PROBE, rows) if r.condition == "frozen") for rows in (once, once * 2))
    assert (a.n, b.n) == (8, 16)
    assert (a.auc_low, a.auc_high) == (b.auc_low, b.auc_high)


def test_what_falls_short_is_missed_unless_a_known_blind_spot() -> None:
    trials = [*trials_of("oracle", "oracle", [1.0] * 8, 0.0), *trials_of("control", "mirrored", [1.0] * 8)]
    (_, missed) = detections(PROBE, trials)
    assert (missed.auc, missed.passed, missed.blind_spot) == (0.5, False, "")
    (_, excused) = detections(replace(PROBE, blind_spots={("t2v", "mirrored"): "the prompt names no side"}), trials)
    assert excused.blind_spot == "the prompt names no side"
    (_, other_mode) = detections(replace(PROBE, blind_spots={("i2v", "mirrored"): "the prompt names no side"}), trials)
    assert other_mode.blind_spot == ""


def test_less_is_better_for_a_distance() -> None:
    trials = [
        *trials_of("oracle", "oracle", [0.1] * 6, 0.0, "metric"),
        *trials_of("corruption", "blur", [0.5] * 6, 1.0, "metric"),
    ]
    blur = next(r for r in detections(METRIC, trials) if r.condition == "blur")
    assert (blur.auc, blur.worst) == (1.0, 0.5)


def test_a_refused_clip_makes_a_row_without_a_value() -> None:
    refusal = [Trial("metric", "", "corruption", "short", 1.0, "all", None, "it reads 17 frames")]
    row = next(
        r
        for r in detections(METRIC, [*trials_of("oracle", "oracle", [0.1] * 6, 0.0, "metric"), *refusal])
        if r.condition == "short"
    )
    assert (row.mean, row.auc, row.n, row.passed) == (None, None, 0, False)
    assert row.reasons == ("it reads 17 frames",)


def test_dose_of_a_fault_that_grows() -> None:
    steps = {0.25: [0.99, 1.0] * 4, 0.5: [0.5] * 8, 0.75: [0.2] * 8, 1.0: [0.0] * 8}
    trials = trials_of("oracle", "oracle", [1.0] * 8, 0.0)
    for severity, values in steps.items():
        trials += trials_of("violation", "drift", values, severity)
    (dose,) = dose_responses(PROBE, trials)
    assert dose.rho == pytest.approx(1.0)
    assert dose.means == pytest.approx((1.0, 0.995, 0.5, 0.2, 0.0))
    # Half of eight scenes are a little lower at .25: a sign-flip test of 2 x 1/16.
    assert dose.p_values[0] == pytest.approx(0.125)
    assert dose.threshold == 0.5
    assert dose.aucs == (0.75, 1.0, 1.0, 1.0)


def test_dose_of_a_fault_that_nobody_sees() -> None:
    trials = trials_of("oracle", "oracle", [1.0] * 8, 0.0)
    for severity in SEVERITIES[1:]:
        trials += trials_of("violation", "drift", [1.0] * 8, severity)
    (dose,) = dose_responses(PROBE, trials)
    assert (dose.rho, dose.threshold, dose.missed, dose.verdict) == (None, None, True, "never")
    few = [t for t in trials if t.unit in ("scene0", "scene1", "scene2")]
    (dose,) = dose_responses(PROBE, few)
    assert (dose.threshold, dose.missed, dose.verdict) == (None, False, "too few to test")


def test_floor_of_equal_sets_is_zero_with_a_width() -> None:
    (floor,) = noise_floors(
        PROBE, [*trials_of("oracle", "oracle", [1.0] * 8, 0.0), *trials_of("held", "held", [1.0] * 8, 0.0)]
    )
    assert (floor.difference, floor.standard_error, floor.n) == (0.0, 0.0, (8, 8))
    assert floor.low is not None and floor.high is not None
    assert floor.low < 0 < floor.high


def test_the_floors_interval_covers_no_difference() -> None:
    rng = np.random.default_rng(3)
    covered = []
    for _ in range(40):
        first, second = rng.beta(5, 2, size=(2, 30))
        held = [
            replace(t, unit=f"other{i}") for i, t in enumerate(trials_of("held", "other scenes", list(second), 0.0))
        ]
        (floor,) = noise_floors(PROBE, [*trials_of("oracle", "oracle", list(first), 0.0), *held])
        covered.append(floor.low is not None and floor.high is not None and floor.low <= 0 <= floor.high)
    assert np.mean(covered) >= 0.85


def test_true_clips_below_the_bar_are_false_alarms() -> None:
    trials = [
        *trials_of("oracle", "oracle", [1.0] * 7 + [0.9], 0.0),
        *trials_of("nuisance", "light dim", [1.0] * 5 + [0.94], 0.0),
    ]
    plain, dim = false_alarm_rates(PROBE, trials)
    assert (plain.nuisance, plain.clips, plain.false_alarms, plain.p_value) == ("", 8, 1, None)
    assert (dim.nuisance, dim.clips, dim.false_alarms, dim.rejected) == ("light dim", 6, 1, False)


def test_nuisances_are_rejected_at_the_level_at_most() -> None:
    rng = np.random.default_rng(7)
    rows = []
    for _ in range(300):
        true = rng.normal(0.9, 0.05, 8)
        rows += false_alarm_rates(
            replace(METRIC, higher_is_better=True),
            [
                *trials_of("oracle", "oracle", list(true + rng.normal(0, 0.02, 8)), 0.0, "metric"),
                *trials_of("nuisance", "light dim", list(true + rng.normal(0, 0.02, 8)), 0.0, "metric"),
            ],
        )
    rejected, tests, rate = rejection_rate(rows)
    assert tests == 300
    assert rate.low <= ALPHA
    assert rejected / tests <= 0.08
