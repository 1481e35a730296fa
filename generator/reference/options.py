"""Options of the sampler, without the packages that sampling needs."""

from __future__ import annotations

from dataclasses import dataclass

from sora_eval.settings import Settings, option


@dataclass(frozen=True)
class Options(Settings):
    """Options of the sampler."""

    steps: int = option(16, least=1)
    """Calls of the network (with guidance, of twice the batch)."""
    guidance: float = 3.0
    """Classifier-free guidance scale of text and image conditioning; 1 is none."""
    shift: float = option(3.0, above=0)
    """Timestep shift: above 1, more steps near pure noise, where layout is decided."""
    history: float = 1.0
    """Guidance scale of conditioning frames (history guidance, arXiv:2502.06764); 1 is none. Above 1, errors pile up in long videos, and
    extensions gain nothing."""
