"""The Fault class, its result, and helpers to edit states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sora_eval.types import Bools, Floats, Frames
from sora_eval.world.physics import States, Tweaks
from sora_eval.world.scene import Body, Scene


@dataclass(frozen=True)
class Broken:
    """A broken world: physics runs on `scene` with `tweaks`, then `edit` changes the states."""

    scene: Scene
    """The changed scene."""
    tweaks: Tweaks = Tweaks()
    """Changes of physics."""
    edit: Callable[[States], States] = lambda states: states
    """The change of the simulated states."""
    picture: Callable[[Frames, Floats], Frames] = lambda frames, u: frames
    """The change of the rendered frames [T, H, W, 3], given the time of each as a share of the clip [T]."""


@dataclass(frozen=True)
class Fault:
    """A violation of one law, with a severity from 0 (none) to 1 (blatant)."""

    name: str
    """Its name in `Probe.violations` and on the command line."""
    group: str
    """The module that it is defined in: camera, consistency, editing, framing and so on."""
    needs: tuple[str, ...]
    """The keys of `scene.facts` that it reads; it applies to the scenes that have them all."""
    function: Callable[[Scene, float], Broken]
    """(scene, severity) -> broken world."""

    @property
    def doc(self) -> str:
        """The first line of the function's docstring."""
        return (self.function.__doc__ or "").split("\n")[0]

    def __call__(self, scene: Scene, severity: float) -> Broken:
        """Return the scene broken by a severity.

        Raises:
            ValueError: the fault does not apply to the scene.
        """
        if missing := [key for key in self.needs if key not in scene.facts]:
            raise ValueError(f"its facts have no {', '.join(missing)}")
        return self.function(scene, severity)


def fault(*needs: str) -> Callable[[Callable[[Scene, float], Broken]], Fault]:
    """Return the decorator that makes a function the fault of its name; needs: see `Fault`."""

    def decorate(function: Callable[[Scene, float], Broken]) -> Fault:
        return Fault(function.__name__, function.__module__.rpartition(".")[2], needs, function)

    return decorate


def index(scene: Scene, name: str) -> int:
    """Return the place of a body in the scene."""
    return [b.name for b in scene.bodies].index(name)


def heroes(scene: Scene) -> list[str]:
    """Return the names of the scene's main bodies."""
    hero = scene.facts["hero"]
    return [hero] if isinstance(hero, str) else list(hero)


def after(states: States, t_s: float) -> Bools:
    """Return which frames [T] are at or after a moment."""
    return np.asarray(states.t_s >= t_s - 1e-9)


def with_body(scene: Scene, body: Body) -> Scene:
    """Return the scene with one more body."""
    return replace(scene, bodies=(*scene.bodies, body))


def with_changed(scene: Scene, name: str, **changes: object) -> Scene:
    """Return the scene with fields of one body changed."""
    return replace(scene, bodies=tuple(replace(b, **changes) if b.name == name else b for b in scene.bodies))  # type: ignore[arg-type]
