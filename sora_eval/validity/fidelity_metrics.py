"""The fidelity metrics that are validated: where their values come from, their bounds and their known blind spots."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from sora_eval.encoders.names import IMAGE_DISTANCES, TEXT_IMAGE_ENCODERS, VIDEO_ENCODERS
from sora_eval.fidelity.config import FidelityConfig
from sora_eval.fidelity.features import (
    CLIP_FEATURES,
    CONTINUATION,
    MOTION_FEATURES,
    PERCEPTUAL,
    PIXELS,
    TEXT_IMAGE,
    FeatureSet,
)
from sora_eval.fidelity.measures import set_measures
from sora_eval.generator.simulator import OTHER
from sora_eval.metrics.frechet import frechet_distance
from sora_eval.metrics.kernel import KVD, mmd
from sora_eval.metrics.physics_iq import HIGHER_IS_BETTER
from sora_eval.metrics.similarity import PSNR_MOST
from sora_eval.types import Floats
from sora_eval.validity.corruptions import CORRUPTIONS
from sora_eval.validity.detection import FIDELITY, Subject

SETS = 8
"""Sets that the clips are dealt into; a paired test needs six to be significant at .05."""
Distance = Callable[[Floats, Floats], float]
"""Distance of two sets of features [n, d] and [m, d]."""


@dataclass(frozen=True)
class FidelityMetric:
    """A fidelity metric that works with the bundled encoders."""

    name: str
    """As in a report."""
    extractor: str
    """The extractor behind its values."""
    key: str
    """Its key in the values of single clips; "" for a distance of sets."""
    higher_is_better: bool
    """Direction of the value."""
    bounds: tuple[float, float]
    """Least and greatest possible value."""
    blind_spots: Mapping[str, str]
    """Known blind spots: the reason, by condition."""
    distance: Distance | None = None
    """The distance, for a distance of sets."""


_SPACE, _TIME, _LAW = (tuple(c.name for c in CORRUPTIONS if c.kind == kind) for kind in ("space", "time", "law"))
_TRUE_SETS = {
    "mirrored": "a set of mirrored clips is as real: nothing in it has a side",
    OTHER: "a set of other true clips is a true set",
}
_STEADY = "a still picture is the steadiest of all"
_STEADINESS = {
    **dict.fromkeys(("frozen", "blank", "held"), _STEADY),
    **dict.fromkeys(("reversed", "mirrored", "backwards"), "frames have the same neighbours"),
    **dict.fromkeys(
        ("blur", "coarse", "compression"), "every frame is corrupted alike, and stays as similar to the next"
    ),
    **dict.fromkeys((OTHER, *_LAW), "the clip is steady, and steadiness is all that is measured"),
}
_EVENT = {
    "mirrored": "a mirrored event is the same event",
    **dict.fromkeys((*_SPACE, *_LAW), "the event is shown, if badly"),
    OTHER: "another clip of the same event shows it as well",
}
_MOTION = {**_TRUE_SETS, **dict.fromkeys((*_SPACE, "vanishing"), "it measures the motion of points, not appearance")}
_CLIPSIM = {
    **dict.fromkeys(("shuffled", "reversed", "frozen", *_TIME), "it reads single frames, whatever their order"),
    **dict.fromkeys(_LAW, "the prompt's objects are shown, and physics is not in its training signal"),
    "mirrored": "it is at chance on left and right: see the encoders' table",
}
_ABOVE_0, _COSINE, _SHARE = (0.0, float("inf")), (-1.0, 1.0), (0.0, 1.0)
METRICS: tuple[FidelityMetric, ...] = (
    FidelityMetric("world-FVD", CLIP_FEATURES, "", False, _ABOVE_0, _TRUE_SETS, frechet_distance),
    FidelityMetric("world-KVD", CLIP_FEATURES, "", False, _ABOVE_0, _TRUE_SETS, partial(mmd, kernel=KVD)),
    FidelityMetric("motion distance", MOTION_FEATURES, "", False, _ABOVE_0, _MOTION, frechet_distance),
    FidelityMetric("world-clip CLIPSIM", TEXT_IMAGE, "CLIPSIM", True, _COSINE, _CLIPSIM),
    *(
        FidelityMetric(k, TEXT_IMAGE, k, True, _COSINE, _STEADINESS)
        for k in ("temporal consistency", "subject consistency")
    ),
    *(FidelityMetric(k, TEXT_IMAGE, k, True, _COSINE, _EVENT) for k in ("state change", "directional similarity")),
    FidelityMetric("lpips-world", PERCEPTUAL, "perceptual", False, _SHARE, {}),
    FidelityMetric("SSIM", PIXELS, "SSIM", True, _COSINE, {}),
    FidelityMetric("PSNR (dB)", PIXELS, "PSNR (dB)", True, (0.0, PSNR_MOST), {}),
    *(FidelityMetric(k, CONTINUATION, k, higher, _SHARE, {}) for k, higher in HIGHER_IS_BETTER.items()),
)


def fidelity_subjects(protocols: Mapping[str, str], count: int) -> list[Subject]:
    """Return the metrics as subjects of the card, those without weights as well. protocols: by extractor. count: clips per condition."""
    subjects = [
        Subject(
            m.name,
            FIDELITY,
            "metric",
            protocols.get(m.extractor, ""),
            1,
            m.higher_is_better,
            m.bounds,
            {("", condition): reason for condition, reason in m.blind_spots.items()},
            f"set of {count // SETS} clips" if m.distance else "clip",
        )
        for m in METRICS
    ]
    return [*subjects, *unavailable_subjects()]


def fidelity_metric_names() -> list[str]:
    """Return the names of all metrics, those without weights as well."""
    return [*(m.name for m in METRICS), *(s.name for s in unavailable_subjects())]


def unavailable_subjects() -> list[Subject]:
    """Return the metrics of the standard encoders, with the reason why each is not on the card."""
    default = FidelityConfig()
    configs = [
        *(
            FidelityConfig(("frechet", "kernel"), video_encoder=name)
            for name in VIDEO_ENCODERS
            if name != default.video_encoder
        ),
        *(
            FidelityConfig(("text_image",), text_image_encoder=name)
            for name in TEXT_IMAGE_ENCODERS
            if name != default.text_image_encoder
        ),
        *(
            FidelityConfig(("full_reference",), image_distance=name)
            for name in IMAGE_DISTANCES
            if name != default.image_distance
        ),
    ]
    return [subject for config in configs for subject in _unavailable(config)]


def _unavailable(config: FidelityConfig) -> list[Subject]:
    """Return the metrics of a configuration with one standard encoder."""
    (encoder,) = config.encoders
    reason = "; ".join(config.absent()) or f"{encoder} is here, but the card validates the bundled encoders only"
    nothing = FeatureSet(missing=dict.fromkeys(config.extractors, reason))
    validated = {m.name for m in METRICS}
    without_encoder = {m.name for m in METRICS if m.extractor == PIXELS}
    subjects = []
    for row in set_measures(nothing, nothing, config):
        if row.metric not in without_encoder:
            shared = row.metric in validated or row.metric == "CLIPSIM"
            name = f"{row.metric}, {encoder}" if shared else row.metric
            subjects.append(
                Subject(name, FIDELITY, "metric", higher_is_better=row.higher_is_better, unavailable=reason)
            )
    return subjects
