"""Sounds of the world: a thud where something hits something, at the simulated moment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sora_eval.types import Audio
from sora_eval.world.physics import States

_PEAK = 0.6
_DECAY_S = 0.06
_PITCH_HZ = (180.0, 950.0)
"""Low and high partial of a thud."""


def contact_times(states: States) -> tuple[float, ...]:
    """Return when bodies touch, or one breaks, in seconds, in order; those that touch from the start on are left out."""
    return tuple(e.t_s for e in states.events if e.kind in ("contact", "shatter") and e.t_s > 0.01)


def thuds(times_s: Sequence[float], duration_s: float, rate: float = 16_000.0, seed: int = 0) -> Audio:
    """Return a track of a thud at each time: a burst of noise and two partials that die away within a tenth of a second."""
    rng = np.random.default_rng(seed)
    samples = np.zeros(round(duration_s * rate))
    t = np.arange(round(6 * _DECAY_S * rate)) / rate
    for at in times_s:
        tone = sum(np.sin(2 * np.pi * f * t) for f in _PITCH_HZ) / 2 + 0.5 * rng.normal(size=len(t)) * np.exp(-t / 0.01)
        thud = _PEAK / 2 * tone * np.exp(-t / _DECAY_S)
        first = round(at * rate)
        room = max(0, min(len(thud), len(samples) - first))
        samples[first : first + room] += thud[:room]
    return Audio(np.clip(samples, -1, 1).astype(np.float32), rate)
