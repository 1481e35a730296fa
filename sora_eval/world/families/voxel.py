"""The scene family "voxel"."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import Colour, Lamp, Mirrored, Params, Style
from sora_eval.world.families.things import listed
from sora_eval.world.looks import Look, on_water
from sora_eval.world.scene import Body, CameraPath, Scene, Vec3

SIDE = 12
"""Blocks along each side of the world."""
Action = Literal["forward", "turn left", "turn right", "break", "place"]
ACTIONS: tuple[Action, ...] = ("forward", "turn left", "turn right", "break", "place")
Heading = Literal["north", "east", "south", "west"]
HEADINGS: tuple[Heading, ...] = ("north", "east", "south", "west")
_EXCHANGED = {"turn left": "turn right", "turn right": "turn left", "east": "west", "west": "east"}
_UNDOES = {"break": "place", "place": "break"}
_CELL = Mirrored(lambda at: (SIDE - 1 - at[0], at[1]))
_HEADING = Mirrored(lambda heading: _EXCHANGED.get(heading, heading))
_ACTIONS = Mirrored(lambda actions: tuple(_EXCHANGED.get(a, a) for a in actions))
LEVELS = ("sand", "moss", "fern", "grey", "light grey", "light grey")
"""Colours of the ground by level: a beach, meadows, stone."""
_BACK = 9
"""The figure stays in front of this row: behind it, trees would hide it."""
_STEPS = 6
_LIGHTS: tuple[Lamp, ...] = ("noon", "left", "right", "cool")
"""Warm light would push the brown of earth over the saturation at which the tracker starts to see objects."""
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
_PHRASES: dict[Action, Callable[[int], str]] = {
    "forward": lambda n: "walks forward" if n == 1 else f"walks {_NUMBERS[n]} steps forward",
    "turn left": lambda n: (
        "turns left" if n == 1 else "turns left twice" if n == 2 else f"turns left {_NUMBERS[n]} times"
    ),
    "turn right": lambda n: (
        "turns right" if n == 1 else "turns right twice" if n == 2 else f"turns right {_NUMBERS[n]} times"
    ),
    "break": lambda n: "breaks a block" if n == 1 else f"breaks {_NUMBERS[n]} blocks",
    "place": lambda n: "places a block" if n == 1 else f"places {_NUMBERS[n]} blocks",
}
_GLIDES = "The camera glides after the figure without turning."
Cell = tuple[int, int, int]


@dataclass(frozen=True)
class VoxelParams(Params):
    """Parameters of `Voxel`."""

    seed: int
    """Seed of the terrain."""
    mirror: Annotated[bool, Mirrored(operator.not_)]
    """Whether the terrain is mirrored."""
    colour: Colour
    """Colour of the figure."""
    start: Annotated[tuple[int, int], _CELL]
    """The figure's first cell (i, j)."""
    heading: Annotated[Heading, _HEADING]
    """The figure's first direction."""
    actions: Annotated[tuple[Action, ...], _ACTIONS]
    """What the figure does, each in an equal share of the clip."""


class Voxel(Family[VoxelParams]):
    """A small island of blocks on which a figure walks, turns, breaks blocks and places them, driven by a list of actions.

    It has no probe: it trains generators that take actions. `scene.facts["actions"]` is the truth, [(t_s, action)].
    Left and right in turns are the figure's own. Blocks are cubes of one metre. Rays are slow on meshes and quick on boxes:
    each level of the ground is a few large boxes whose texture shows the blocks, and blocks that change are bodies of
    their own.
    """

    name = "voxel"
    actions_are_given = True

    def sample(self, rng: np.random.Generator) -> VoxelParams:
        seed = int(rng.integers(2**31))
        colour = common.sample_colours(rng, 1)[0]
        style = Style("mist", common.choose(rng, ("white", "cream")), common.choose(rng, _LIGHTS))
        heights, trees = _land(seed, False)
        dry = [(int(i), int(j)) for i, j in np.argwhere(heights >= 1) if j < _BACK and (i, j) not in trees]
        dry.sort(key=lambda c: abs(c[0] - SIDE / 2) + abs(c[1] - SIDE / 3))
        best: tuple[int, tuple[int, int], Heading, list[Action]] | None = None
        for _ in range(12):
            start = dry[int(rng.integers(min(20, len(dry))))]
            heading = int(rng.integers(4))
            actions = _policy(_World(heights.copy(), trees, start, heading), rng)
            worth = len(set(actions))
            if best is None or worth > best[0]:
                best = (worth, start, HEADINGS[heading], actions)
        assert best is not None
        return VoxelParams(
            seed=seed,
            mirror=False,
            colour=colour,
            start=best[1],
            heading=best[2],
            actions=tuple(best[3]),
            style=style,
        )

    def build(self, p: VoxelParams, duration_s: float) -> Scene:
        """Return the scene; the actions share the clip's duration evenly."""
        heights, trees = _land(p.seed, p.mirror)
        world = _World(heights.copy(), trees, p.start, HEADINGS.index(p.heading))
        slot_s = duration_s / max(1, len(p.actions))
        keys: list[tuple[float, ...]] = [(0.0, *_top(world), -90.0 * world.heading)]
        for slot, action in enumerate(p.actions):
            before = keys[-1]
            was = world.heading
            world.act(action, slot)
            turn = (world.heading - was + 1) % 4 - 1
            keys += list(_moved(before, _top(world), -90.0 * turn, slot * slot_s, slot_s))
        way = np.array(keys)
        bodies = [*ground(heights, trees, world.changes), *changing(world.changes, slot_s), *figure(way, p.colour)]
        facts = {
            "hero": "torso",
            "actions": [(slot * slot_s, a) for slot, a in enumerate(p.actions)],
            "per_action": {"forward_m": 1.0, "turn_deg": 90.0},
            "player_view": "third",
        }
        return common.set_up(
            p.style, bodies, _follow(way, duration_s), duration_s, facts=facts, tile_m=0.0, look=_on_water(p.style)
        )

    def phrases(self, p: VoxelParams) -> list[str]:
        done, colour = listed(_in_words(p.actions)), p.colour
        return [
            f"{common.article(f'{colour} figure')} on an island of blocks {done}",
            f"in a world made of blocks, a little figure in {colour} {done}",
            f"on a small island of grass and stone blocks, a little {colour} figure {done}",
        ]

    def details(self, p: VoxelParams) -> str:
        light = common.LIGHT_WORDS[p.style.light]
        return (
            f"Trees stand on the island, and pale water lies around it. At first the figure looks {p.heading},"
            f" where north is away from us. {common.sentence(light)}"
            f" {_GLIDES}"
        )

    def setting(self, p: VoxelParams) -> str:
        """Return what a prompt adds to the short caption: the water around the island, and the camera."""
        look = _on_water(p.style)
        if look is None:
            return f"Pale water lies around the island. {_GLIDES}"
        return f"Pale water lies around the island{look.sky_words}. {common.held(_GLIDES, look)}"


def _on_water(style: Style) -> Look | None:
    look = common.look_of(style)
    return None if look is None else on_water(look)


@dataclass
class Change:
    """A block that comes or goes; times are in slots of the clip, of which each action has one."""

    cell: Cell
    """Its column and level: (i, j, level)."""
    colour: str
    """Its colour."""
    since: float = -np.inf
    """When it comes."""
    until: float = np.inf
    """When it goes."""


@dataclass
class _World:
    """The state that actions change: column heights [SIDE, SIDE], the figure's cell and heading."""

    heights: NDArray[np.int_]
    trees: frozenset[tuple[int, int]]
    at: tuple[int, int]
    heading: int
    changes: list[Change] = field(default_factory=list)

    def ahead(self) -> tuple[int, int] | None:
        """Return the cell in front of the figure, None beyond the edge and at trees."""
        i, j = self.at[0] + (0, 1, 0, -1)[self.heading], self.at[1] + (1, 0, -1, 0)[self.heading]
        inside = 0 <= i < SIDE and 0 <= j < _BACK and (i, j) not in self.trees
        return (i, j) if inside else None

    def can(self, action: str) -> bool:
        """Return whether an action has an effect."""
        if action.startswith("turn"):
            return True
        front = self.ahead()
        if front is None or self.heights[front] < 1:
            return False
        step = self.heights[front] - self.heights[self.at]
        if action == "forward":
            return bool(abs(step) <= 1)
        if action == "break":
            return bool(self.heights[front] >= 2 and -1 <= step <= 2)
        return bool(-1 <= step <= 1)

    def act(self, action: str, slot: int) -> None:
        """Carry out an action; one that can't be done changes nothing."""
        if not self.can(action):
            return
        front = self.ahead()
        if action == "turn left":
            self.heading = (self.heading - 1) % 4
        elif action == "turn right":
            self.heading = (self.heading + 1) % 4
        elif front is not None and action == "forward":
            self.at = front
        elif front is not None and action == "break":
            self.heights[front] -= 1
            cell = (*front, int(self.heights[front]))
            placed = [c for c in self.changes if c.cell == cell and c.until == np.inf]
            if placed:
                placed[0].until = slot
            else:
                self.changes.append(Change(cell, LEVELS[cell[2]], until=slot))
        elif front is not None:
            self.changes.append(Change((*front, int(self.heights[front])), "cream", since=slot))
            self.heights[front] += 1


@lru_cache(maxsize=64)
def _terrain(seed: int) -> tuple[NDArray[np.int_], frozenset[tuple[int, int]]]:
    """Return column heights [SIDE, SIDE] (0 is sea) and the cells of trees."""
    rng = np.random.default_rng([seed, 29])
    i, j = np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij")
    middle = (SIDE - 1) / 2
    # Higher at the back, so that nothing stands between the camera and the figure.
    height = 2.0 + 0.1 * (j - middle) - 2.4 * (np.hypot(i - middle, j - middle) / middle) ** 4
    for _ in range(3):
        k, phase = rng.uniform(0.2, 0.6, 2) * rng.choice([-1, 1], 2), rng.uniform(0, 2 * np.pi)
        height += 0.6 * np.cos(k[0] * i + k[1] * j + phase)
    heights = np.clip(np.rint(height), 0, 4).astype(int)
    places = np.argwhere((heights >= 2) & (j >= 8))
    trees: list[tuple[int, int]] = []
    for n in rng.permutation(len(places)):
        a, b = (int(v) for v in places[n])
        if all(max(abs(a - c), abs(b - d)) > 2 for c, d in trees):
            trees.append((a, b))
        if len(trees) == 3:
            break
    return heights, frozenset(trees)


def _land(seed: int, mirror: bool) -> tuple[NDArray[np.int_], frozenset[tuple[int, int]]]:
    heights, trees = _terrain(seed)
    if mirror:
        return heights[::-1].copy(), frozenset((SIDE - 1 - i, j) for i, j in trees)
    return heights.copy(), trees


def _policy(world: _World, rng: np.random.Generator) -> list[Action]:
    liking = {"forward": 4.0, "turn left": 1.0, "turn right": 1.0, "break": 1.6, "place": 1.6}
    actions: list[Action] = []
    for slot in range(_STEPS):
        last = actions[-1] if actions else "forward"
        # No action undoes the one before, and the figure does not turn on the spot.
        turned = last.startswith("turn")
        choice = [
            a for a in ACTIONS if world.can(a) and a != _UNDOES.get(last) and not (turned and a.startswith("turn"))
        ]
        choice = choice or [last if turned else "turn left"]
        weights = np.array([liking[a] for a in choice])
        actions.append(choice[int(rng.choice(len(choice), p=weights / weights.sum()))])
        world.act(actions[-1], slot)
    return actions


def corner(i: float, j: float) -> tuple[float, float]:
    """Return where a place on the grid is: whole numbers are the corners of cells, halves their centres (m)."""
    return float(i - SIDE / 2), float(j - SIDE / 2)


def _top(world: _World) -> Vec3:
    """Return where the figure's feet are."""
    return (*corner(world.at[0] + 0.5, world.at[1] + 0.5), float(world.heights[world.at]))


def _moved(
    before: tuple[float, ...], to: Vec3, turn: float, start_s: float, slot_s: float
) -> Iterator[tuple[float, ...]]:
    """Yield key frames (t_s, x, y, z, yaw) of one action: a glide, with a hop over a step, or a turn."""
    a, b = np.array(before[1:4]), np.array(to)
    hop = 0.25 * float(np.abs(b - a).max() > 0) + 0.3 * abs(float(b[2] - a[2]))
    for u in np.linspace(0.0, 1.0, 7):
        smooth = u * u * (3 - 2 * u)
        place = a + smooth * (b - a) + np.array([0.0, 0.0, hop * np.sin(np.pi * u)])
        yield (start_s + slot_s * (0.05 + 0.85 * float(u)), *(float(v) for v in place), before[4] + smooth * turn)


def _follow(way: NDArray[np.float64], duration_s: float) -> CameraPath:
    """Return a camera that glides after the figure without turning."""
    t = np.linspace(0.0, duration_s, 65)
    place = np.stack([np.interp(t, way[:, 0], way[:, k]) for k in (1, 2, 3)], axis=1)
    near = np.exp(-0.5 * ((t[:, None] - t[None]) / (0.16 * duration_s)) ** 2)
    calm = (near / near.sum(axis=1, keepdims=True)) @ place
    target = calm + np.array([0.0, 0.4, 0.6])
    return CameraPath(t, target + np.array([0.0, -7.8, 7.2]), target, np.full(len(t), 39.0))


def figure(way: NDArray[np.float64], colour: str) -> list[Body]:
    """Return a small figure in a coat and cap of one colour; offsets are given for a figure that looks north."""
    parts: list[tuple[str, Vec3, str, Vec3]] = [
        ("legs", (0.44, 0.34, 0.4), "dark grey", (0.0, 0.0, 0.2)),
        ("torso", (0.78, 0.5, 0.66), colour, (0.0, 0.0, 0.7)),
        ("head", (0.6, 0.6, 0.42), "cream", (0.0, 0.0, 1.22)),
        ("cap", (0.68, 0.68, 0.26), colour, (0.0, 0.0, 1.54)),
        ("eye_left", (0.12, 0.06, 0.14), "dark grey", (-0.15, 0.3, 1.24)),
        ("eye_right", (0.12, 0.06, 0.14), "dark grey", (0.15, 0.3, 1.24)),
        ("peak", (0.5, 0.22, 0.09), colour, (0.0, 0.42, 1.46)),
    ]
    bodies = []
    for name, size, paint, (dx, dy, dz) in parts:
        yaw = np.radians(way[:, 4])
        x, y = way[:, 1] + np.cos(yaw) * dx - np.sin(yaw) * dy, way[:, 2] + np.sin(yaw) * dx + np.cos(yaw) * dy
        path = tuple(
            (float(a), float(b), float(c), float(d)) for a, b, c, d in zip(way[:, 0], x, y, way[:, 3] + dz, strict=True)
        )
        turns = tuple((float(a), float(b), 0.0) for a, b in way[:, (0, 4)])
        more: dict[str, Any] = {
            "motion": "path",
            "path": path,
            "turns": turns,
            "solid": False,
            "tracked": name == "torso",
        }
        bodies.append(Body(name, "box", size, paint, path[0][1:], **more))
    return bodies


def changing(changes: Sequence[Change], slot_s: float) -> list[Body]:
    """Return the blocks that come or go: they swell and shrink in the middle of the action's time."""
    bodies = []
    for n, c in enumerate(changes):
        keys = []
        first, last = -1e9, 1e9
        if np.isfinite(c.since):
            first = (c.since + 0.25) * slot_s
            keys += [(first, 0.2), ((c.since + 0.7) * slot_s, 1.0)]
        if np.isfinite(c.until):
            last = (c.until + 0.8) * slot_s
            keys += [((c.until + 0.25) * slot_s, 1.0), (last, 0.1)]
        growth = tuple((t, s, s, s) for t, s in keys)
        pos = (*corner(c.cell[0] + 0.5, c.cell[1] + 0.5), c.cell[2] + 0.5)
        more: dict[str, Any] = {
            "shown": (first, last),
            "growth": growth,
            "texture": "tiled",
            "solid": False,
            "tracked": False,
        }
        bodies.append(Body(f"block{n}", "cube", (1.0, 1.0, 1.0), c.colour, pos, **more))
    return bodies


def ground(heights: NDArray[np.int_], trees: frozenset[tuple[int, int]], changes: Sequence[Change]) -> list[Body]:
    """Return the blocks that never change: every level of the ground as a few boxes, and trees."""
    bodies = []
    for level in range(int(heights.max())):
        there = heights > level
        for c in changes:
            if c.cell[2] == level and c.until < np.inf:
                there[c.cell[0], c.cell[1]] = False
        for n, (i0, i1, j0, j1) in enumerate(_rectangles(there)):
            bodies.append(box(f"level{level}.{n}", LEVELS[level], (i0, i1), (j0, j1), (level, level + 1)))
    for n, (i, j) in enumerate(sorted(trees)):
        base = int(heights[i, j])
        bodies.append(box(f"trunk{n}", "bark", (i + 0.2, i + 0.8), (j + 0.2, j + 0.8), (base, base + 1.5)))
        bodies.append(box(f"crown{n}", "leaf", (i - 1, i + 2), (j - 1, j + 2), (base + 1.5, base + 3)))
        bodies.append(box(f"tip{n}", "leaf", (i - 0.25, i + 1.25), (j - 0.25, j + 1.25), (base + 3, base + 3.75)))
    return bodies


def box(name: str, colour: str, i: tuple[float, float], j: tuple[float, float], z: tuple[float, float]) -> Body:
    """Return a box over ranges of cells and levels."""
    (x0, y0), (x1, y1) = (corner(i[k], j[k]) for k in (0, 1))
    size, pos = (x1 - x0, y1 - y0, z[1] - z[0]), ((x0 + x1) / 2, (y0 + y1) / 2, (z[0] + z[1]) / 2)
    return Body(name, "box", size, colour, pos, texture="tiled", solid=False, tracked=False)


def _rectangles(there: NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
    """Return few rectangles (i0, i1, j0, j1) that cover a set of cells: runs along one axis, grown along the other."""

    def grown(cells: NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
        left, out = cells.copy(), []
        for i, j in np.argwhere(cells):
            if not left[i, j]:
                continue
            j1 = j + 1
            while j1 < left.shape[1] and left[i, j1]:
                j1 += 1
            i1 = i + 1
            while i1 < left.shape[0] and left[i1, j:j1].all():
                i1 += 1
            left[i:i1, j:j1] = False
            out.append((int(i), int(i1), int(j), int(j1)))
        return out

    rows, columns = grown(there), [(c, d, a, b) for a, b, c, d in grown(there.T)]
    return rows if len(rows) <= len(columns) else columns


def _in_words(actions: Sequence[Action]) -> list[str]:
    """Return the actions in words, runs of the same action counted."""
    return [_PHRASES[action](len(list(run))) for action, run in groupby(actions)]
