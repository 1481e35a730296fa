"""A player in a world of blocks: actions -> pose over time, blocks that come and go, and the view in first or third person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Floats
from sora_eval.world.families.voxel import SIDE, Change
from sora_eval.world.scene import CameraPath

PlayAction = Literal["wait", "forward", "turn left", "turn right", "look up", "look down", "jump", "break", "place"]
PLAY_ACTIONS: tuple[PlayAction, ...] = (
    "wait", "forward", "turn left", "turn right", "look up", "look down", "jump", "break", "place",
)  # fmt: skip
"""What a player can do."""
OPPOSITE_ACTION: dict[str, PlayAction] = {
    "turn left": "turn right",
    "turn right": "turn left",
    "look up": "look down",
    "look down": "look up",
    "break": "place",
    "place": "break",
}
"""The actions that have an opposite among the others."""
View = Literal["first", "third"]
WALK_M, LOOK_DEG, JUMP_M = 2.0, 20.0, 1.1
"""How far one action goes: a walk, a look up or down, a jump."""
FOV = 70.0
"""Field of view in degrees, that of the best-known game of blocks."""
BASE = 2
"""Level of the ground that the player stands on, metres above the water."""
BEGINS, ENDS = 0.1, 0.85
"""From when to when a view moves, as shares of its action's time."""
REACH = 2
"""Cells from the player to the block that it breaks or puts there."""
AWAY_DEG = 80.0
"""Turn from which on nothing is in view that was at first, block and shadow included."""
_EYE_M, _PITCH = 1.6, -14.0
_BEHIND_M, _ABOVE_M = 3.3, 2.7
_KEYS = 9
_FREE_M = 3.2
"""Way from the player and the camera behind to trees: their crowns reach 1.5 cells to each side."""
Cell = tuple[int, int]


@dataclass(frozen=True)
class Way:
    """What a player does over time."""

    pose: Floats
    """[K, 6] key frames (t_s, x, y, z, yaw, pitch): the feet's place in metres, yaw clockwise from north and pitch upwards in degrees."""
    changes: tuple[Change, ...]
    """The blocks that come or go, times in slots."""
    targets: tuple[Cell, ...]
    """Cells where the player breaks blocks, or puts them."""

    @property
    def away_s(self) -> float | None:
        """The middle of the time in which the view is turned away from its first direction by `AWAY_DEG` or more, None without any."""
        yaw = self.pose[:, 4]
        away = self.pose[np.abs(yaw - yaw[0]) >= AWAY_DEG - 1e-6, 0]
        return float((away[0] + away[-1]) / 2) if len(away) else None

    def at(self, t_s: Floats) -> Floats:
        """Return the pose at times [T], [T, 5]."""
        return np.stack([np.interp(t_s, self.pose[:, 0], self.pose[:, k]) for k in range(1, 6)], axis=1)


def play(
    actions: Sequence[str],
    start: Cell,
    yaw: float,
    turn_deg: float,
    slot_s: float,
    block: str,
    amounts: Sequence[float] = (),
    delay: float = 0.0,
) -> Way:
    """Return what a player does from a cell on level ground; where blocks are broken, one stands there at first.

    turn_deg: how far one turn goes. block: colour of blocks. amounts: a factor per action, 1 by default; below 0 the opposite is done.
    delay: by how many slots every action but the first comes late.
    """
    scales = list(amounts) or [1.0] * len(actions)
    pose = np.array([start[0] + 0.5 - SIDE / 2, start[1] + 0.5 - SIDE / 2, float(BASE), yaw, _PITCH])
    keys = [np.r_[0.0, pose]]
    changes: list[Change] = []
    targets: list[Cell] = []
    for slot, (action, scale) in enumerate(zip(actions, scales, strict=True)):
        late = slot + (delay if slot else 0.0)
        step = _step(action, scale, pose, turn_deg)
        hop = scale * JUMP_M if action == "jump" else 0.0
        for u in np.linspace(0.0, 1.0, _KEYS):
            smooth = u * u * (3 - 2 * u)
            lift = np.array([0, 0, hop * np.sin(np.pi * u), 0, 0])
            keys.append(np.r_[(late + BEGINS + (ENDS - BEGINS) * u) * slot_s, pose + smooth * step + lift])
        pose = pose + step
        if action in ("break", "place"):
            cell = _ahead(pose)
            targets.append(cell)
            if action == "break" and not changes:
                changes.append(Change((*cell, BASE), block))
            done = action if scale > 0.5 else OPPOSITE_ACTION[action] if scale < -0.5 else ""
            _change(changes, cell, block, done, late)
    return Way(np.array(keys), tuple(changes), tuple(targets))


def _step(action: str, scale: float, pose: Floats, turn_deg: float) -> Floats:
    a = np.radians(pose[3])
    steps = {
        "forward": (WALK_M * np.sin(a), WALK_M * np.cos(a), 0, 0, 0),
        "turn left": (0, 0, 0, -turn_deg, 0),
        "turn right": (0, 0, 0, turn_deg, 0),
        "look up": (0, 0, 0, 0, LOOK_DEG),
        "look down": (0, 0, 0, 0, -LOOK_DEG),
    }
    return scale * np.array(steps.get(action, (0.0,) * 5), dtype=float)


def _ahead(pose: Floats) -> Cell:
    a = np.radians(pose[3])
    x, y = pose[0] + REACH * np.sin(a), pose[1] + REACH * np.cos(a)
    return int(np.floor(x + SIDE / 2)), int(np.floor(y + SIDE / 2))


def _change(changes: list[Change], cell: Cell, block: str, done: str, slot: float) -> None:
    """Break the block of a column, or put one on what is there."""
    there = [c for c in changes if c.until == np.inf]
    if done == "place":
        changes.append(Change((*cell, BASE + len(there)), block, since=slot))
    elif done == "break" and there:
        there[-1].until = slot


def camera(way: Way, view: View, duration_s: float) -> CameraPath:
    """Return what the player sees: from the eyes, or from behind and above the head."""
    inside = way.pose[:, 0] <= duration_s
    t_s = np.unique(np.r_[0.0, way.pose[inside, 0], duration_s])
    x, y, z, yaw, pitch = way.at(t_s).T
    a = np.radians(yaw)
    ahead = np.stack([np.sin(a), np.cos(a), np.zeros(len(a))], axis=1)
    feet = np.stack([x, y, z], axis=1)
    up = np.array([0.0, 0.0, 1.0])
    eye = feet + _EYE_M * up if view == "first" else feet - _BEHIND_M * ahead + _ABOVE_M * up
    down = np.radians(pitch - (0.0 if view == "first" else 4.0))
    ray = np.cos(down)[:, None] * ahead + np.sin(down)[:, None] * up
    return CameraPath(t_s, eye, eye + 4.0 * ray, np.full(len(t_s), FOV))


@lru_cache(maxsize=64)
def wild(seed: int) -> NDArray[np.int_]:
    """Return column heights [SIDE, SIDE] of an island of terraces, hills and pillars."""
    rng = np.random.default_rng([seed, 31])
    i, j = np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij")
    swell = np.zeros((SIDE, SIDE))
    for _ in range(4):
        k, phase = rng.uniform(0.35, 1.0, 2) * rng.choice([-1, 1], 2), rng.uniform(0, 2 * np.pi)
        swell += np.cos(k[0] * i + k[1] * j + phase)
    heights = np.where(swell > 1.1, BASE + 1, BASE) + (swell > 2.2)
    edge = np.minimum(np.minimum(i, j), np.minimum(SIDE - 1 - i, SIDE - 1 - j))
    heights = np.where((edge == 0) & (rng.random((SIDE, SIDE)) < 0.35), BASE - 1, heights)
    # Landmarks: no direction looks like another one.
    heights = heights + rng.choice([0, 1, 2], (SIDE, SIDE), p=[0.86, 0.08, 0.06]) * (edge > 0)
    return np.asarray(np.clip(heights, 1, BASE + 3), dtype=int)


def land(seed: int, mirror: bool, way: Way, other: float = 0.0) -> tuple[NDArray[np.int_], frozenset[Cell]]:
    """Return column heights [SIDE, SIDE] and cells of trees, with level ground around the player's way and its targets.

    other: share of the columns and trees that are another island's.
    """
    heights = wild(seed)[::-1].copy() if mirror else wild(seed).copy()
    rng = np.random.default_rng([seed, 37])
    trees = {(int(i), int(j)) for i, j in rng.integers(1, SIDE - 1, (5, 2))}
    if other > 0:
        strange = wild(seed + 1)[::-1] if mirror else wild(seed + 1)
        taken = rng.random((SIDE, SIDE)) < other
        heights = np.where(
            taken[::-1] if mirror else taken, np.where(strange == heights, strange + 1, strange), heights
        )
        trees = {t if u >= other else (t[1], t[0]) for t, u in zip(sorted(trees), rng.random(len(trees)), strict=True)}
    if mirror:
        trees = {(SIDE - 1 - i, j) for i, j in trees}
    centres = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij"), axis=-1) + 0.5 - SIDE / 2
    # Room for the one who stands there, and for what is seen of a block from there.
    yaw = np.radians(way.pose[:, 4])
    behind = way.pose[:, 1:3] - _BEHIND_M * np.stack([np.sin(yaw), np.cos(yaw)], axis=1)
    places = np.concatenate([way.pose[:, 1:3], behind])
    off = np.linalg.norm(centres[:, :, None] - places, axis=-1).min(axis=2)
    heights[off < (2.3 if way.targets else 1.6)] = BASE
    for i, j in way.targets:
        heights[i, j] = BASE
        off = np.minimum(off, np.hypot(centres[..., 0] - i - 0.5 + SIDE / 2, centres[..., 1] - j - 0.5 + SIDE / 2))
    apart = {c for c in trees if off[c] > _FREE_M}
    kept = {c for c in apart if all(max(abs(c[0] - d[0]), abs(c[1] - d[1])) > 2 for d in apart if d < c)}
    for c in kept:
        heights[c] = max(heights[c], BASE)
    return heights, frozenset(kept)
