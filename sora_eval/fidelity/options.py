"""Options of fidelity metrics, without the packages that encoders need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sora_eval.errors import ConfigError, unknown
from sora_eval.metrics.plugin import PluginMetric
from sora_eval.plugins.entries import entries
from sora_eval.settings import Settings, option

DESCRIPTIONS: dict[str, str] = {
    "frechet": "Frechet distance of clip features (FVD with I3D)",
    "kernel": "kernel distance of clip features (KVD with I3D)",
    "motion": "Frechet distance of histograms of point motion",
    "text_image": "text-image similarity and consistency over time (CLIPSIM)",
    "full_reference": "full-reference metrics against the true clip (LPIPS, SSIM, PSNR, Physics-IQ)",
}
METRICS: tuple[str, ...] = tuple(DESCRIPTIONS)
"""Groups of metrics."""
_FORMER_NAMES = {"video": "video_encoder", "words": "text_image_encoder", "distance": "image_distance"}
_FORMER_METRICS = {"words": "text_image", "pairs": "full_reference"}


def plugin_metric(name: str) -> tuple[PluginMetric, str]:
    """Return a metric that is a plug-in, and its origin.

    Raises:
        ConfigError: there is none of that name, or it can't be used.
    """
    declared = entries("metrics", METRICS)
    if name not in declared:
        raise unknown("metric", name, [*METRICS, *declared])
    metric, origin = declared[name].load(), declared[name].origin
    if not isinstance(metric, PluginMetric):
        raise ConfigError(
            f"plug-in {origin}: metric {name} is a {type(metric).__name__}, not a FrameMetric or FeatureMetric"
        )
    return metric, origin


@dataclass(frozen=True)
class FidelityOptions(Settings):
    """Fidelity metrics of a run and the encoders that they use."""

    GROUP: ClassVar[str] = "fidelity"

    metrics: tuple[str, ...] = option(METRICS, example="frechet")
    """Distances to the oracle's clips (frechet, kernel, motion), prompts against frames (text_image), clip against clip (full_reference),
    plug-ins by name; [] for none."""
    video_encoder: str = "world-video"
    """Encoder of clips: world-video, i3d, videomae, vjepa."""
    text_image_encoder: str = "world-clip"
    """Encoder of prompts and frames: world-clip, clip-b-32, clip-l-14."""
    image_distance: str = "lpips-world"
    """Perceptual distance of frames: lpips-world, lpips-alex, lpips-vgg, lpips-squeeze."""
    pair_frames: int | None = option(16, least=2)
    """Frames of a clip, evenly spaced, that perceptual distance, SSIM and PSNR compare with the true clip; null: all."""
    pair_size: int | None = option(256, least=32)
    """Shorter side in pixels to which larger clips are reduced for full-reference metrics; null: full size."""
    pair_references: bool = False
    """Whether controls and violations have full-reference metrics too, beside the model."""
    i3d_eps: float = option(1e-3, above=0)
    """I3D's batch-norm epsilon: 1e-3 as in TensorFlow; 1e-5 to compare with FVD of code that left PyTorch's default (VideoGPT, cd-fvd)."""
    weights: dict[str, Any] = option({})
    """Weight files by name, before all places where they are looked for: +fidelity.weights.i3d=i3d_pretrained_400.pt"""

    @classmethod
    def stored(cls, values: Mapping[str, Any]) -> FidelityOptions:
        """Return the options of a manifest, which may be of a version with other names.

        Raises:
            ConfigError: an option is unknown, or a value can't be used.
        """
        named = {_FORMER_NAMES.get(key, key): value for key, value in values.items()}
        if isinstance(metrics := named.get("metrics"), list):
            named["metrics"] = [_FORMER_METRICS.get(m, m) for m in metrics]
        return cls.of(named)
