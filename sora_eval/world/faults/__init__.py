"""Dialled violations: each takes the true world and breaks one law, by a severity from 0 (nothing) to 1 (blatant).

A fault is a function of scene and severity, decorated with `@fault(...)`. The bodies and times that it acts on stand in
`scene.facts`, written by the scene families.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sora_eval.errors import unknown
from sora_eval.types import Video
from sora_eval.world import frame_times, from_states
from sora_eval.world.faults import (
    camera,
    consistency,
    editing,
    framing,
    interaction,
    left_right,
    long_range,
    outcomes,
    permanence,
    physics,
    play,
    state_changes,
)
from sora_eval.world.faults.base import Broken, Fault
from sora_eval.world.physics import simulate
from sora_eval.world.scene import Scene

_MODULES = (
    consistency,
    permanence,
    physics,
    left_right,
    state_changes,
    camera,
    long_range,
    framing,
    editing,
    play,
    interaction,
    outcomes,
)
FAULTS: dict[str, Fault] = {f.name: f for m in _MODULES for f in vars(m).values() if isinstance(f, Fault)}
"""The faults by name."""


def render_broken(scene: Scene, fault: str, severity: float, size: tuple[int, int], fps: float, frames: int) -> Video:
    """Render a scene with a fault of a severity.

    Raises:
        ConfigError: the fault is unknown.
        ValueError: the fault does not apply to the scene.
    """
    if fault not in FAULTS:
        raise unknown("violation", fault, FAULTS)
    broken = FAULTS[fault](scene, severity)
    states = simulate(broken.scene, frame_times(frames, fps), broken.tweaks)
    video = from_states(broken.scene, broken.edit(states), size, fps).video
    return replace(video, frames=broken.picture(video.frames, np.linspace(0, 1, frames)))


__all__ = ["FAULTS", "Broken", "Fault", "render_broken"]
