"""The picture follows a player's actions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.base import UnjudgeableError, Verdict
from sora_eval.probes.digital_world.shared import DigitalWorld, followed_motion
from sora_eval.tracking.view.actions import STILL, UNKNOWN, ShownAction, kind_of, shown_actions
from sora_eval.types import Case, Tracks, Video
from sora_eval.world.families import common
from sora_eval.world.families.played import Played, PlayedParams
from sora_eval.world.families.player import OPPOSITE_ACTION, PlayAction


def _script(rng: np.random.Generator) -> tuple[PlayAction, ...]:
    """Return four actions, two of them turns, that read backwards in time are others."""
    turns: tuple[PlayAction, ...] = ("turn left", "turn right")
    rest: tuple[PlayAction, ...] = ("forward", "look up", "look down", "jump")
    while True:
        two = [rest[int(i)] for i in rng.permutation(4)[:2]]
        actions = [common.choose(rng, turns), common.choose(rng, turns), *two]
        script = tuple(actions[int(i)] for i in rng.permutation(4))
        again = [OPPOSITE_ACTION.get(a, "walk back" if a == "forward" else a) for a in reversed(script)]
        # "Each action takes the same time" must hold of what a reader counts as one action.
        if agreement(script, again) <= 0 and all(a != b for a, b in pairwise(script)):
            return script


def agreement(asked: Sequence[str], shown: Sequence[str]) -> float:
    """Return the share of actions that are shown less the share whose opposite is."""
    right = sum(a == b for a, b in zip(asked, shown, strict=True))
    wrong = sum(kind_of(a)[0] == kind_of(b)[0] != "" and a != b for a, b in zip(asked, shown, strict=True))
    return (right - wrong) / len(asked)


class FollowsActions(DigitalWorld):
    """A player walks, turns, looks up or down and jumps."""

    name = "follows_actions"
    version = 2
    claim = "the picture follows the player's actions one after the other: walk, turn, look up or down, jump"
    source = "inverse dynamics of played worlds (Genie, Bruce et al. 2024), without a network: the motion of the picture by flow"
    unit = "share of actions shown less share of opposite ones, 0 to 1"
    # The mean over pairs of scripts, and over actions drawn at random; it is above 0, as negative differences count as 0.
    chance = 0.125
    violations: ClassVar[tuple[str, ...]] = ("action_ignored", "action_opposite", "action_delayed")

    def sample(self, rng: np.random.Generator) -> PlayedParams:
        """Return a scene with four actions, in first person."""
        # Behind a player that turns, near ground stands almost still: two of twelve such turns were taken for other actions.
        return Played().sample(rng, _script(rng), "first")

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge each action by the motion of the picture in its time."""
        p = PlayedParams.of(case)
        shown = shown_actions(followed_motion(video), len(p.actions))
        looks = [sign if kind == "look" else 0.0 for kind, sign in map(kind_of, p.actions)]
        level = [sum(looks[:k]) == 0 for k in range(len(looks))]
        known = [(a, s, flat) for a, s, flat in zip(p.actions, shown, level, strict=True) if s.name != UNKNOWN]
        if 2 * len(known) < len(shown) + 1:
            raise UnjudgeableError("the picture can't be followed in half of the actions' time")
        values = [_follows(*each) for each in known]
        parts = {
            "right": float(np.mean([a == s.name for a, s, _ in known])),
            "opposite": float(np.mean([v < 0 for v in values])),
            "ignored": float(np.mean([s.name == STILL for _, s, _ in known])),
        }
        return Verdict(max(0.0, float(np.mean(values))), parts)


def _follows(action: str, shown: ShownAction, level: bool) -> float:
    """Return 1 for the action alone, less with other motion beside it, -1 for its opposite, 0 for another one.

    level: whether the view is neither up nor down. Where it is one of them, a walk shifts the picture upwards or downwards as well.
    """
    kind, sign = kind_of(action)
    if shown.name == action:
        besides = "look" if kind == "walk" and not level else ""
        return helpers.ramp_score(1 - shown.purity(kind, besides), 0.35, 0.6)
    return -1.0 if kind_of(shown.name) == (kind, -sign) else 0.0
