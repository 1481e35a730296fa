"""Why a clip has its score, in a sentence: the components below 1, and the measured values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from sora_eval.reporting.components.numbers import count, part
from sora_eval.types import ScoreRow

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
    "agreement": "{} of the votes agree",
    "growth": "the layout grew by {}",
    **dict.fromkeys(
        ("motion_spatial_iou", "motion_spatiotemporal_iou", "motion_weighted_spatial_iou", "true_clip_mse"), ""
    ),
}
"""Components that are measurements and no factor of the score; expected values where a law gives them or the row holds them. Other
thresholds are in the code of their probe."""
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


def why(row: ScoreRow) -> str:
    """Return why a clip has its score, or none."""
    if row.value is None:
        return f"Not judged{' for a technical reason' if row.failure else ''}, counted as 0: {row.reason}"
    parts = {k: v for k, v in row.components.items() if k not in _MEASURED and k != "side"}
    factors = bool(parts) and all(0 <= v <= 1 for v in parts.values())
    sentences = []
    if "side" in row.components:
        sentences.append("The side is right." if row.components["side"] > 0 else "The side is wrong.")
    elif factors and math.isclose(math.prod(parts.values()), row.value, abs_tol=1e-6):
        sentences.append(_factors(parts))
    elif parts:
        sentences.append(f"Components: {', '.join(f'{_name(k)} {part(v)}' for k, v in parts.items())}.")
    if measured := list(_measurements(row.components)):
        sentences.append(f"Measured: {'; '.join(measured)}.")
    return " ".join(sentences)


def _factors(parts: Mapping[str, float]) -> str:
    """Return which factors of a score are below 1, the lowest first."""
    lost = sorted((k for k, v in parts.items() if v < 1 - 1e-9), key=lambda k: parts[k])
    if not lost:
        return f"All {len(parts)} components are 1." if len(parts) > 1 else f"Component {_name(next(iter(parts)))}: 1."
    names = ", ".join(f"{_name(k)} {parts[k]:.2f}" for k in lost)
    rest = count(len(parts) - len(lost), "component")
    return f"Below 1: {names}; the other {rest} at 1." if len(lost) < len(parts) else f"Below 1: {names}."


def _measurements(components: Mapping[str, float]) -> Iterator[str]:
    for key, value in components.items():
        if template := _MEASURED.get(key):
            yield template.format(f"{value:.3g}" if math.isfinite(value) else "–")


def _name(key: str) -> str:
    return _PARTS.get(key, key.replace("_", " "))
