"""Which fidelity metrics are computed, with which encoders; without the packages that the encoders need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sora_eval.encoders import weights
from sora_eval.encoders.names import IMAGE_DISTANCES, TEXT_IMAGE_ENCODERS, VIDEO_ENCODERS
from sora_eval.encoders.weights import AbsentWeightsError
from sora_eval.errors import ConfigError, unknown
from sora_eval.fidelity.features import (
    CLIP_FEATURES,
    CONTINUATION,
    MOTION_FEATURES,
    PERCEPTUAL,
    PIXELS,
    PLUGIN,
    TEXT_IMAGE,
)
from sora_eval.fidelity.options import METRICS, FidelityOptions, plugin_metric
from sora_eval.metrics.plugin import FeatureMetric
from sora_eval.types import digest

VERSION = 3
"""Version of the measures, part of the fingerprint; raised whenever a figure changes."""
_FULL_REFERENCE_VERSION = 3
"""Version of the full-reference metrics alone."""
_EXTRACTORS_OF: Mapping[str, tuple[str, ...]] = {
    "frechet": (CLIP_FEATURES,),
    "kernel": (CLIP_FEATURES,),
    "motion": (MOTION_FEATURES,),
    "text_image": (TEXT_IMAGE,),
    "full_reference": (PERCEPTUAL, PIXELS, CONTINUATION),
}
COMMON = "frames=common-moments resize=true-to-other"
"""Part of the protocol of full-reference metrics: how a clip and its reference are aligned in time and size."""


@dataclass(frozen=True)
class FidelityConfig:
    """Which fidelity metrics are computed, with which encoders.

    Raises:
        ConfigError: a metric or an encoder is unknown, or `i3d_eps` is no number above 0 and below 1.
    """

    metrics: tuple[str, ...] = METRICS
    """Groups of metrics, of METRICS or plug-ins."""
    video_encoder: str = FidelityOptions.video_encoder
    """Encoder of clip features."""
    text_image_encoder: str = FidelityOptions.text_image_encoder
    """Encoder of prompts and frames."""
    image_distance: str = FidelityOptions.image_distance
    """Perceptual distance of two frames."""
    pair_frames: int | None = FidelityOptions.pair_frames
    """Frames of a clip that perceptual distance and pixel metrics compare, evenly spaced; None for all."""
    pair_size: int | None = FidelityOptions.pair_size
    """Shorter side in pixels to which larger clips are reduced for full-reference metrics; None for full size."""
    pair_references: bool = FidelityOptions.pair_references
    """Whether controls and violations have full-reference metrics too."""
    i3d_eps: float = FidelityOptions.i3d_eps
    """Epsilon of I3D's batch norm: 1e-3 as in TensorFlow, or 1e-5 as in code that left PyTorch's default."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        for metric in self.metrics:
            if metric not in METRICS:
                plugin_metric(metric)
        for kind, name, known in (
            ("video encoder", self.video_encoder, VIDEO_ENCODERS),
            ("text and image encoder", self.text_image_encoder, TEXT_IMAGE_ENCODERS),
            ("perceptual distance", self.image_distance, IMAGE_DISTANCES),
        ):
            if name not in known:
                raise unknown(kind, name, known)
        if isinstance(self.i3d_eps, bool) or not isinstance(self.i3d_eps, int | float) or not 0 < self.i3d_eps < 1:
            raise ConfigError(f"i3d_eps must be a number above 0 and below 1, such as 1e-3 or 1e-5, got {self.i3d_eps}")

    @property
    def extractors(self) -> tuple[str, ...]:
        """The extractors that these metrics need."""
        return tuple(dict.fromkeys(name for m in self.metrics for name in _extractors_of(m)))

    @property
    def encoders(self) -> list[str]:
        """The encoders that these metrics need."""
        names = {
            CLIP_FEATURES: self.video_encoder,
            TEXT_IMAGE: self.text_image_encoder,
            PERCEPTUAL: self.image_distance,
        }
        return [names[extractor] for extractor in self.extractors if extractor in names]

    @classmethod
    def of(cls, options: FidelityOptions) -> FidelityConfig:
        """Return the configuration for the options of a command; the weight files that they name are used from now on."""
        weights.use({str(name): str(path) for name, path in options.weights.items()})
        return cls(
            options.metrics,
            options.video_encoder,
            options.text_image_encoder,
            options.image_distance,
            options.pair_frames,
            options.pair_size,
            options.pair_references,
            options.i3d_eps,
        )

    @property
    def alignment(self) -> str:
        """Part of the protocol of full-reference metrics: how a clip and its reference are aligned in time and size, and reduced."""
        return COMMON if self.pair_size is None else f"{COMMON} shorter-side<={self.pair_size}"

    def for_real_set(self) -> FidelityConfig:
        """Return the configuration for the real set: distances between sets need its features, nothing else of it is measured."""
        metrics = tuple(m for m in self.metrics if {CLIP_FEATURES, MOTION_FEATURES} & set(_extractors_of(m)))
        return FidelityConfig(metrics, self.video_encoder, i3d_eps=self.i3d_eps)

    def absent(self) -> list[str]:
        """Return a line for each encoder whose weights are absent, with the command that fetches them; [] when all are here."""
        lines = []
        for name in self.encoders:
            try:
                weights.files_of(name)
            except AbsentWeightsError as error:
                lines.append(str(error))
        return lines

    def fingerprint(self) -> str:
        """Return a hash of all that decides the measures of given clips."""
        files = [] if self.absent() else [p.stat() for name in self.encoders for p in weights.files_of(name)]
        # The keys of run folders that exist: another spelling would have them all measured again.
        settings = {
            "metrics": self.metrics,
            "video": self.video_encoder,
            "words": self.text_image_encoder,
            "distance": self.image_distance,
            "i3d_eps": self.i3d_eps,
        }
        # Left out where there are none, for the same reason.
        plugins = [
            [m, found[0].version, found[1]] for m in self.metrics if m not in METRICS for found in [plugin_metric(m)]
        ]
        more: list[object] = [plugins] if plugins else []
        # Plug-in metrics of frames compare the same pairs.
        if any(name == PERCEPTUAL or name.startswith(PLUGIN) for name in self.extractors):
            more.append([self.pair_frames, self.pair_size, self.pair_references, _FULL_REFERENCE_VERSION])
        return digest([VERSION, settings, [(s.st_size, s.st_mtime_ns) for s in files], *more])

    def cache_version(self) -> str:
        """Return the fingerprint as part of the names in the cache of references; "" with plug-ins, whose code is in no hash."""
        return self.fingerprint() if all(m in METRICS for m in self.metrics) else ""


def _extractors_of(metric: str) -> tuple[str, ...]:
    if metric in METRICS:
        return _EXTRACTORS_OF[metric]
    return (CLIP_FEATURES,) if isinstance(plugin_metric(metric)[0], FeatureMetric) else (f"{PLUGIN}{metric}",)
