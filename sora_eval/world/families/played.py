"""The scene family "played"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Annotated

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.base import Family
from sora_eval.world.families.params import Colour, Mirrored, Mirroring, Params, Style
from sora_eval.world.families.player import (
    JUMP_M,
    LOOK_DEG,
    PLAY_ACTIONS,
    WALK_M,
    PlayAction,
    View,
    Way,
    camera,
    land,
    play,
)
from sora_eval.world.families.things import listed
from sora_eval.world.families.voxel import HEADINGS, SIDE, Heading, changing, figure, ground
from sora_eval.world.looks import on_water
from sora_eval.world.scene import Body, CameraPath, Scene

_EXCHANGED = {"turn left": "turn right", "turn right": "turn left", "east": "west", "west": "east"}
_CELL = Mirrored(lambda at: (SIDE - 1 - at[0], at[1]))
_HEADING = Mirrored(lambda heading: _EXCHANGED.get(heading, heading))
_ACTIONS = Mirrored(lambda actions: tuple(_EXCHANGED.get(a, a) for a in actions))
_WORDS: dict[str, tuple[str, str]] = {
    "wait": ("waits", "waits a while"),
    "forward": ("walks straight forward", "walks straight forward for a while"),
    "turn left": ("turns to the left", "turns far to the left"),
    "turn right": ("turns to the right", "turns far to the right"),
    "look up": ("looks up", "looks far up"),
    "look down": ("looks down", "looks far down"),
    "jump": ("jumps up", "jumps again and again"),
    "break": ("breaks the {block} block in front", "breaks the {block} block in front"),
    "place": ("puts {a_block} block in front", "puts {a_block} block in front"),
}
_VIEWS: dict[View, tuple[str, ...]] = {
    "first": (
        "in a world made of blocks, seen in first person through the eyes of the player, the player {does}",
        "a first-person view of a world made of blocks: the player {does}",
    ),
    "third": (
        "in a world made of blocks, seen in third person from behind, {figure}, the player, {does}",
        "a third-person view from behind {figure} in a world made of blocks: the player {does}",
    ),
}

_TURNS_BACK = np.array([1.0, 1.0, 1.0, 1.0, -1.0])
"""A figure's yaw goes counterclockwise, a player's clockwise."""
_INSIDE = 0.35
"""Share of the way from the eyes to the camera behind, up to which the camera is in the figure."""


@dataclass(frozen=True)
class PlayedParams(Params):
    """Parameters of `Played`."""

    seed: int
    """Seed of the island."""
    mirror: Mirroring
    """Whether the island is mirrored."""
    view: View
    """Whether the player's own eyes see, or a camera behind the player."""
    colour: Colour
    """Colour of the figure, seen in third person."""
    block: Colour
    """Colour of the block that is broken or put."""
    start: Annotated[tuple[int, int], _CELL]
    """The player's first cell (i, j)."""
    heading: Annotated[Heading, _HEADING]
    """The player's first direction."""
    actions: Annotated[tuple[PlayAction, ...], _ACTIONS]
    """What the player does, each in an equal share of the clip."""
    turn_deg: float
    """How far one turn goes."""

    def way(self, duration_s: float, amounts: Sequence[float] = (), delay: float = 0.0) -> Way:
        """Return what the player does over time; arguments as in `player.play`."""
        yaw = 90.0 * HEADINGS.index(self.heading)
        slot_s = duration_s / len(self.actions)
        return play(self.actions, self.start, yaw, self.turn_deg, slot_s, self.block, amounts, delay)


@dataclass(frozen=True)
class Replay:
    """A played scene with something else in it: what faults are made of."""

    params: PlayedParams
    """The scene."""
    duration_s: float
    """Its length."""

    def scene(self, amounts: Sequence[float], delay: float = 0.0) -> Scene:
        """Return the scene in which actions go so far and come so late; see `player.play`."""
        return _scene(self.params, self.duration_s, self.params.way(self.duration_s, amounts, delay))

    def elsewhere(self, share: float) -> Sequence[Body]:
        """Return the ground and trees of the same place with so many of its columns as another island has them."""
        way = self.params.way(self.duration_s)
        return ground(*land(self.params.seed, self.params.mirror, way, other=share), ())

    def view(self, share: float) -> tuple[CameraPath, Sequence[Body]]:
        """Return the view `share` of the way to the other person's, from a third of the clip on, and the figure where it is in the way."""
        p, way = self.params, self.params.way(self.duration_s)
        other: View = "third" if p.view == "first" else "first"
        one, two = (camera(way, view, self.duration_s) for view in (p.view, other))
        amount = share * np.clip((one.t_s / self.duration_s - 0.15) / 0.15, 0, 1)[:, None]
        path = replace(
            one, eye=(1 - amount) * one.eye + amount * two.eye, target=(1 - amount) * one.target + amount * two.target
        )
        behind = (1 - share) if p.view == "third" else share
        # From inside its head the figure would fill the picture.
        seen = behind > _INSIDE
        start = 0.15 * self.duration_s if p.view == "first" else 0.0
        bodies = figure(way.pose[:, :5] * _TURNS_BACK, p.colour) if seen or p.view == "third" else []
        stop = 1e9 if seen else 0.15 * self.duration_s
        return path, [replace(b, shown=(start if start else -1e9, stop)) for b in bodies]


class Played(Family[PlayedParams]):
    """An island of blocks, played: the view follows a list of actions, in first or third person."""

    name = "played"
    camera = ""
    in_training = False
    actions_are_given = True

    def sample(
        self,
        rng: np.random.Generator,
        actions: Sequence[PlayAction] | None = None,
        view: View | None = None,
        turn_deg: float = 30.0,
    ) -> PlayedParams:
        """Return the parameters of a random member, with given actions and view or any."""
        script = (
            tuple(actions) if actions is not None else tuple(common.choose(rng, PLAY_ACTIONS[1:7]) for _ in range(4))
        )
        views: tuple[View, ...] = ("first", "third")
        seen: View = common.choose(rng, views) if view is None else view
        heading = int(rng.integers(4))
        colours = common.sample_colours(rng, 2)
        middle = SIDE // 2
        # With room ahead, and for the camera behind.
        back = [(0, -2), (-2, 0), (0, 2), (2, 0)][heading]
        spread = rng.integers(-1, 1, 2)
        return PlayedParams(
            seed=int(rng.integers(2**31)),
            mirror=False,
            view=seen,
            colour=colours[0],
            block=colours[1],
            start=(int(middle + back[0] + spread[0]), int(middle + back[1] + spread[1])),
            heading=HEADINGS[heading],
            actions=script,
            turn_deg=turn_deg,
            style=Style(
                "mist", common.choose(rng, ("white", "cream")), common.choose(rng, ("noon", "left", "right", "cool"))
            ),
        )

    def build(self, p: PlayedParams, duration_s: float) -> Scene:
        """Return the scene; the actions share the clip's duration evenly."""
        return _scene(p, duration_s, p.way(duration_s))

    def phrases(self, p: PlayedParams) -> list[str]:
        does = listed([_WORDS[a][len(list(run)) > 1] for a, run in groupby(p.actions)])
        does = does.format(block=p.block, a_block=common.article(p.block))
        who = common.article(f"{p.colour} figure")
        return [words.format(does=does, figure=who) for words in _VIEWS[p.view]]

    def details(self, p: PlayedParams) -> str:
        return f"Trees and pillars of blocks stand around. {common.sentence(common.LIGHT_WORDS[p.style.light])}"

    def setting(self, p: PlayedParams) -> str:
        look = common.look_of(p.style)
        view = (
            "Nothing of the player is in the picture."
            if p.view == "first"
            else "The camera follows behind the player, who stays in the picture."
        )
        runs = len(list(groupby(p.actions)))
        said = f"{view} Each action takes the same time." if runs == len(p.actions) else view
        return said if look is None else common.held(said, on_water(look))


def _scene(p: PlayedParams, duration_s: float, way: Way) -> Scene:
    truth = p.way(duration_s)
    slot_s = duration_s / len(p.actions)
    heights, trees = land(p.seed, p.mirror, truth)
    bodies = [*ground(heights, trees, way.changes), *changing(way.changes, slot_s)]
    if p.view == "third":
        bodies += figure(way.pose[:, :5] * _TURNS_BACK, p.colour)
    facts = {
        "actions": [(slot * slot_s, a) for slot, a in enumerate(p.actions)],
        "per_action": {"forward_m": WALK_M, "turn_deg": p.turn_deg, "look_deg": LOOK_DEG, "jump_m": JUMP_M},
        "player_view": p.view,
        "replay": Replay(p, duration_s),
        **({"hero": "torso"} if p.view == "third" else {}),
        **({} if truth.away_s is None else {"away_s": truth.away_s}),
        **({} if not truth.changes else {"block": truth.changes[0]}),
    }
    look = common.look_of(p.style)
    over = None if look is None else on_water(look)
    return common.set_up(
        p.style, bodies, camera(way, p.view, duration_s), duration_s, facts=facts, tile_m=0.0, look=over
    )
