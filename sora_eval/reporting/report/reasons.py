"""Why a clip has its score, in a sentence: the components below 1, and the measured values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from sora_eval.errors import ConfigError
from sora_eval.probes.natural.expectations import from_json
from sora_eval.reporting.components.numbers import count, part
from sora_eval.reporting.report.score_components import Component, score_components
from sora_eval.types import Case, ScoreRow

_MEASURED = {
    "g_m_per_s2": "acceleration {} m/s², 9.81 on Earth",
    "a_m_per_s2": "acceleration {} m/s²",
    "a_expected": "expected {} m/s²",
    "restitution": "restitution {}, at most 1 by energy",
    "restitution_found": "restitution {}, from 0 to 1 by energy",
    "momentum_error": "relative error of the momentum {}",
    "times_to_heights": "squared times of fall over heights {}, 1 by Galilei",
    "residual_percent": "residual of a rigid scene {}% of the shorter side",
    "flat_percent": "residual of a flat scene {}% of the shorter side",
    "notch": "{} of the cookie is missing",
    "agreement": "{} of the votes agree, judged from 0.8 on",
    "counted": "{} of them were seen in most frames",
    "log_size": "its size changed by {} (log)",
    "confidence": "the tracker's confidence is {}",
    "left_over": "{} of the motion is not explained by one camera",
    "halves": "the first half of the way down took {} times as long as the second, 1.6 from rest",
    "rise": "it rises {} of the height that it fell",
    "arc": "its path arches by {} of the frame's height",
    "moved": "it moved by {} of its size",
    **dict.fromkeys(("faster", "still", "bounces", "cut"), ""),
    "growth": "the layout grew by {}, judged from 0.04 on",
    **dict.fromkeys(
        ("motion_spatial_iou", "motion_spatiotemporal_iou", "motion_weighted_spatial_iou", "true_clip_mse"), ""
    ),
}
"""Sentences for components that are measurements and no factor of the score."""
_PARTS = {
    "alone": "no other object",
    "g": "strength of gravity",
    "kept": "lasting to the end",
    "prompt": "prompt after the cause",
    "rest": "the rest unchanged",
    "returns": "reappearance",
    "together": "simultaneous release",
}
"""Names of factors that are too short in the row."""


def why(row: ScoreRow, thresholds: bool = True) -> str:
    """Return why a clip has its score, "" where it has no components.

    thresholds: name what each component below 1 measures and where it is 1 and 0; those of plug-in probes aren't known.
    """
    if row.value is None:
        return f"Not judged{' for a technical reason' if row.failure else ''}, counted as 0: {row.reason}"
    described = {c.name: c for c in score_components().get(row.probe, ())}
    measured = {
        k: v for k, v in row.components.items() if (described[k].measured if k in described else k in _MEASURED)
    }
    factors = {k: v for k, v in row.components.items() if k not in measured and k != "side"}
    sentences = []
    if "side" in row.components:
        sentences.append("The side is right." if row.components["side"] > 0 else "The side is wrong.")
    elif factors and all(0 <= v <= 1 for v in factors.values()) and _is_product(factors, row.value):
        sentences.append(_factors(factors, described if thresholds else {}))
    elif factors:
        sentences.append(f"Components: {', '.join(f'{_name(k)} {part(v)}' for k, v in factors.items())}.")
    if measurements := list(_measurements(measured)):
        sentences.append(f"Measured: {'; '.join(measurements)}.")
    return " ".join(sentences)


def expected(case: Case, row: ScoreRow) -> str:
    """Return what a prompt in plain words expects, and what was seen, "" for a case of the world."""
    try:
        expectation = from_json(case.expect)
    except ConfigError:
        return ""
    wanted = f"Expected: {expectation.sentence}."
    return wanted if row.value is None else f"{wanted} Seen: {expectation.seen(row.components)}."


def _is_product(factors: Mapping[str, float], value: float) -> bool:
    return math.isclose(math.prod(factors.values()), value, abs_tol=1e-6)


def _factors(factors: Mapping[str, float], described: Mapping[str, Component]) -> str:
    """Return which factors of a score are below 1, the lowest first, with their thresholds and meanings."""
    lost = sorted((k for k, v in factors.items() if v < 1 - 1e-9), key=lambda k: factors[k])
    if not lost:
        return (
            f"All {len(factors)} components are 1."
            if len(factors) > 1
            else f"Component {_name(next(iter(factors)))}: 1."
        )
    limits = {k: f" [1: {c.full}; 0: {c.zero}]" if (c := described.get(k)) else "" for k in lost}
    names = ", ".join(f"{_name(k)} {factors[k]:.2f}{limits[k]}" for k in lost)
    rest = f"; the other {count(len(factors) - len(lost), 'component')} at 1" if len(lost) < len(factors) else ""
    meanings = (f"{_name(k).capitalize()}: {described[k].means}." for k in lost if k in described)
    return " ".join((f"Below 1: {names}{rest}.", *meanings))


def _measurements(components: Mapping[str, float]) -> Iterator[str]:
    for key, value in components.items():
        if template := _MEASURED.get(key):
            yield template.format(f"{value:.3g}" if math.isfinite(value) else "–")


def _name(key: str) -> str:
    return _PARTS.get(key, key.replace("_", " "))
