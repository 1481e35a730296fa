"""What a fault returns, and helpers to edit states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from sora_eval.types import Bools
from sora_eval.world.physics import States, Tweaks
from sora_eval.world.scene import Body, Scene


@dataclass(frozen=True)
class Broken:
    """A broken world: a changed scene, tweaks to physics, and an edit of the resulting states."""

    scene: Scene
    tweaks: Tweaks = Tweaks()
    edit: Callable[[States], States] = lambda states: states


Fault: TypeAlias = Callable[[Scene, float], Broken]


def index(scene: Scene, name: str) -> int:
    """Return the place of a body in the scene."""
    return [b.name for b in scene.bodies].index(name)


def heroes(scene: Scene) -> list[str]:
    """Return the names of the bodies that the scene is about."""
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
