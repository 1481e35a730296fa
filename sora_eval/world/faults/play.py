"""Faults of a played world: actions that are ignored, reversed or late, blocks that do not stay, a world made anew, another view.

`scene.facts` has what the family "played" writes: "replay", the scene with something else in it, and "away_s", when what was in view at
first is out of view.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sora_eval.world.families.played import Replay
from sora_eval.world.families.voxel import Change, changing
from sora_eval.world.faults.base import Broken, fault
from sora_eval.world.scene import Body, Scene

_ASIDE_M = 1.6
"""How far a block has moved to the side at severity 1: it is in view, and clear of its old place."""


def _amounts(scene: Scene, later: float) -> list[float]:
    """Return the amounts of the actions: the first as it should be, since given frames may show it, unless it is the only one."""
    count = len(scene.facts["actions"])
    return [1.0] + [later] * (count - 1) if count > 1 else [later]


@fault("replay")
def action_ignored(scene: Scene, severity: float) -> Broken:
    """Every action but the first goes less far, and nowhere at severity 1; blocks stay as they are from .5 on."""
    return Broken(scene.facts["replay"].scene(_amounts(scene, 1 - severity)))


@fault("replay")
def action_opposite(scene: Scene, severity: float) -> Broken:
    """Every action but the first goes the opposite way: nowhere at severity .5, fully backwards at 1."""
    return Broken(scene.facts["replay"].scene(_amounts(scene, 1 - 2 * severity)))


@fault("replay")
def action_delayed(scene: Scene, severity: float) -> Broken:
    """Every action but the first comes late, by its whole time at severity 1."""
    return Broken(scene.facts["replay"].scene(_amounts(scene, 1.0), delay=severity))


@fault("replay", "away_s")
def returns_elsewhere(scene: Scene, severity: float) -> Broken:
    """The view does not come back all the way: after its last turns it is still 60 degrees off at severity 1."""
    turns = [i for i, (_, a) in enumerate(scene.facts["actions"]) if a.startswith("turn")]
    back = turns[len(turns) // 2 :]
    way = len(back) * scene.facts["per_action"]["turn_deg"]
    amounts = [1.0 - severity * 60.0 / way if i in back else 1.0 for i in range(len(scene.facts["actions"]))]
    return Broken(scene.facts["replay"].scene(amounts))


@fault("replay", "away_s")
def world_made_anew(scene: Scene, severity: float) -> Broken:
    """While the view is turned away the island becomes another one: each of its columns with a probability of the severity."""
    replay: Replay = scene.facts["replay"]
    at = scene.facts["away_s"]
    bodies = [replace(b, shown=(b.shown[0], at)) if _is_land(b) else b for b in scene.bodies]
    new = [replace(b, name=f"new_{b.name}", shown=(at, 1e9)) for b in replay.elsewhere(severity)]
    return Broken(replace(scene, bodies=(*bodies, *new)))


def _is_land(body: Body) -> bool:
    return body.name.startswith(("level", "trunk", "crown", "tip"))


@fault("block", "away_s")
def block_reverts(scene: Scene, severity: float) -> Broken:
    """While out of sight, the broken block comes back, or the new one goes: at severity 1 wholly, below that by a part of its size."""
    at, block = scene.facts["away_s"], scene.facts["block"]
    broken = np.isfinite(block.until)
    size = severity if broken else 1 - severity
    bodies = list(scene.bodies) if broken else _until(scene, at)
    return Broken(replace(scene, bodies=(*bodies, *_block(block, at, size, 0.0, scene))))


@fault("block", "away_s")
def block_moves(scene: Scene, severity: float) -> Broken:
    """While out of sight, the new block moves aside by up to 1.6 m; of a broken one, the hole moves: it stands beside its old place."""
    at, block = scene.facts["away_s"], scene.facts["block"]
    broken = np.isfinite(block.until)
    bodies = list(scene.bodies) if broken else _until(scene, at)
    size = min(1.0, 2 * severity) if broken else 1.0
    return Broken(replace(scene, bodies=(*bodies, *_block(block, at, size, severity * _ASIDE_M, scene))))


def _until(scene: Scene, at: float) -> list[Body]:
    """Return the bodies, blocks that change until a moment only."""
    return [
        replace(b, shown=(b.shown[0], min(b.shown[1], at))) if b.name.startswith("block") else b for b in scene.bodies
    ]


def _block(block: Change, at: float, size: float, aside_m: float, scene: Scene) -> list[Body]:
    """Return a block as it is seen after a moment: of a part of its size, on the ground, moved to the viewer's right."""
    if size < 0.02:
        return []
    (body,) = changing([replace(block, since=-np.inf, until=np.inf)], 1.0)
    line = scene.camera.target[0] - scene.camera.eye[0]
    right = np.array([line[1], -line[0]]) / np.hypot(line[0], line[1])
    x, y, z = body.pos
    place = (x + aside_m * float(right[0]), y + aside_m * float(right[1]), z - 0.5 + size / 2)
    return [replace(body, name="after", size=(size,) * 3, pos=place, texture="plain", shown=(at, 1e9), growth=())]


@fault("replay", "player_view")
def view_switches(scene: Scene, severity: float) -> Broken:
    """After the beginning the view goes over to the other person's: from the eyes to behind the figure, or into its head."""
    path, figure = scene.facts["replay"].view(severity)
    names = {b.name for b in figure}
    bodies = [b for b in scene.bodies if b.name not in names]
    return Broken(replace(scene, bodies=(*bodies, *figure), camera=path))
