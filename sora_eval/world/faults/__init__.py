"""Dialled violations: each takes the true world and breaks one law, by a severity from 0 (nothing) to 1 (blatant).

A fault is a function (scene, severity) -> Broken. It reads which bodies it concerns from `scene.facts`; the scene families say there
who the hero is and when it is hidden.
"""

from __future__ import annotations

from sora_eval.errors import unknown
from sora_eval.types import Video
from sora_eval.world import frame_times, from_states
from sora_eval.world.faults import consistency, left_right, permanence, physics, state_changes
from sora_eval.world.faults.base import Broken, Fault
from sora_eval.world.physics import simulate
from sora_eval.world.scene import Scene

FAULTS: dict[str, Fault] = {
    **consistency.FAULTS,
    **permanence.FAULTS,
    **physics.FAULTS,
    **left_right.FAULTS,
    **state_changes.FAULTS,
}


def render_broken(scene: Scene, fault: str, severity: float, size: tuple[int, int], fps: float, frames: int) -> Video:
    """Render a scene with a fault of some severity.

    Raises:
        ConfigError: the fault is unknown or the severity is not in 0..1.
    """
    if fault not in FAULTS:
        raise unknown("violation", fault, FAULTS)
    broken = FAULTS[fault](scene, severity)
    states = simulate(broken.scene, frame_times(frames, fps), broken.tweaks)
    return from_states(broken.scene, broken.edit(states), size, fps).video


__all__ = ["FAULTS", "Broken", "Fault", "render_broken"]
