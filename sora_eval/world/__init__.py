"""The simulated world: scene -> physics -> frames, truth and caption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sora_eval.types import Case, Frames, Video, Window
from sora_eval.world import physics, render
from sora_eval.world.physics import States, Tweaks
from sora_eval.world.render import Renderer, Truth
from sora_eval.world.scene import Scene

__all__ = ["Clip", "States", "Truth", "clip", "conditioning", "frame_times", "scene_of"]

VERSION = 3
"""Raised whenever the same scene gives other pixels, which invalidates stored clips of the world."""


@dataclass(frozen=True)
class Clip:
    """A rendered clip with its ground truth."""

    video: Video
    """The frames."""
    truth: Truth
    """Cameras, states and, where they were rendered, masks, depth and visibility."""
    scene: Scene
    """The scene that was rendered."""


def frame_times(frames: int, fps: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the times of the frames in seconds, [T], the first at 0."""
    return np.arange(frames) / fps


def scene_of(spec: Mapping[str, Any], duration_s: float) -> Scene:
    """Return the scene that {"family": name, "params": {...}} describes, for clips of `duration_s`; with "window" (`Window.to_json`) its
    camera shows that part of the frame.

    Raises:
        ConfigError: the family is unknown, or the parameters are not its own.
    """
    from sora_eval.world.families import family  # the families import this package's parts

    kind = family(spec["family"])
    scene = kind.build(kind.read(spec["params"]), duration_s)
    return replace(scene, window=Window.from_json(spec["window"])) if "window" in spec else scene


def clip(
    scene: Scene,
    size: tuple[int, int],
    fps: float,
    frames: int,
    *,
    tweaks: Tweaks = Tweaks(),
    full_truth: bool = False,
    supersample: int = 2,
) -> Clip:
    """Render a scene. `full_truth` adds masks, depth, amodal masks and visibility, which cost one more cast per body."""
    states = physics.simulate(scene, frame_times(frames, fps), tweaks)
    return from_states(scene, states, size, fps, full_truth=full_truth, supersample=supersample)


def stills(scene: Scene, size: tuple[int, int], fps: float, frames: int, at: Sequence[int]) -> Frames:
    """Return the frames `at` of `clip`, uint8 [len(at), H, W, 3]; the others are not rendered."""
    states = physics.simulate(scene, frame_times(frames, fps), Tweaks())
    camera, renderer = render.camera_of(scene, states.t_s, size), Renderer(scene, size)
    return np.array([renderer.frame(states, camera, k) for k in at])


def from_states(
    scene: Scene, states: States, size: tuple[int, int], fps: float, *, full_truth: bool = False, supersample: int = 2
) -> Clip:
    """Render given states of a scene: the true ones, or ones that a fault has changed."""
    camera = render.camera_of(scene, states.t_s, size)
    renderer = Renderer(scene, size, supersample)
    if full_truth:
        images, truth = renderer.truth(states, camera)
    else:
        images = np.array(list(renderer.video(states, camera)))
        xy, z = camera.project(states.pos)
        truth = Truth(camera, xy, z, states)
    return Clip(Video(images, fps), truth, scene)


def conditioning(case: Case) -> Frames | None:
    """Return the conditioning frames of a case, uint8 [k, H, W, 3], or None for a prompt-only case.

    They are the frames `case.given_at` of the true clip, or, in mode edit, those of its source clip.
    """
    if not case.given:
        return None
    spec = {**case.scene, "params": case.scene["source"]} if case.mode == "edit" else case.scene
    scene = scene_of(spec, (case.frames - 1) / case.fps)
    states = physics.simulate(scene, frame_times(case.frames, case.fps)[: max(case.given_at[-1] + 1, 2)])
    camera = render.camera_of(scene, states.t_s, case.size)
    renderer = Renderer(scene, case.size)
    return np.array([renderer.frame(states, camera, k) for k in case.given_at])
