"""Options of fidelity metrics, without the packages that encoders need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from sora_eval.settings import Settings, option

METRICS: tuple[str, ...] = ("frechet", "kernel", "motion", "words", "pairs")
"""Groups of metrics: Frechet and kernel distances of clip features, Frechet distance of motion features, text-image similarity and
consistency ("words"), full-reference metrics against the clip of the same name ("pairs")."""


@dataclass(frozen=True)
class FidelityOptions(Settings):
    """Fidelity metrics of a run and the encoders that they use."""

    GROUP: ClassVar[str] = "fidelity"

    metrics: tuple[str, ...] = option(METRICS, example="frechet")
    """Distances to the oracle's clips (frechet, kernel, motion), prompts against frames (words), clip against clip (pairs); [] for none."""
    video: str = "world-video"
    """Encoder of clips: world-video, i3d, videomae, vjepa."""
    words: str = "world-clip"
    """Encoder of prompts and frames: world-clip, clip-b-32, clip-l-14."""
    distance: str = "lpips-world"
    """Distance of pairs of frames: lpips-world, lpips-alex, lpips-vgg, lpips-squeeze."""
    i3d_eps: float = option(1e-3, above=0)
    """I3D's batch-norm epsilon: 1e-3 as in TensorFlow; 1e-5 to compare with FVD of code that left PyTorch's default (VideoGPT, cd-fvd)."""
    weights: dict[str, Any] = option({})
    """Weight files by name, before all places where they are looked for: +fidelity.weights.i3d=i3d_pretrained_400.pt"""
