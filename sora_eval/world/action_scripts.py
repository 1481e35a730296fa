"""The actions of a case, frame by frame: what an adapter sends to a model that is played, as tokens, keys or words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sora_eval.types import Case
from sora_eval.world import frame_times, scene_of
from sora_eval.world.families import family

NONE = "none"
"""The token of a frame before which nothing is done."""
KEYS: Mapping[str, tuple[str, ...]] = {
    NONE: (),
    "forward": ("W",),
    "turn left": ("ArrowLeft",),
    "turn right": ("ArrowRight",),
    "look up": ("ArrowUp",),
    "look down": ("ArrowDown",),
    "jump": ("Space",),
    "break": ("MouseLeft",),
    "place": ("MouseRight",),
}
"""What a player holds for each action, by the names of keys in browsers; A, S and D stay free, no script walks sideways or back."""
WORDS: Mapping[str, str] = {
    NONE: "do nothing",
    "forward": "walk forward",
    "turn left": "turn left",
    "turn right": "turn right",
    "look up": "look up",
    "look down": "look down",
    "jump": "jump",
    "break": "break the block in front",
    "place": "place a block in front",
}


@dataclass(frozen=True)
class ActionScript:
    """What is done until each of T frames."""

    tokens: tuple[str, ...]
    """[T] the action from the frame before until each frame, keys of `KEYS`; "none" for the first frame."""
    per_action: Mapping[str, float]
    """How far one whole action goes: forward_m and jump_m in metres, turn_deg and look_deg in degrees."""
    view: str
    """"first" or "third": whose view the clip is to show."""

    @property
    def keys(self) -> list[list[str]]:
        """The keys and mouse buttons held until each frame [T]."""
        return [list(KEYS[token]) for token in self.tokens]

    @property
    def words(self) -> list[str]:
        """The actions in words [T]."""
        return [WORDS[token] for token in self.tokens]


def action_script(case: Case, fps: float | None = None) -> ActionScript | None:
    """Return the actions of a case per frame, None where its family makes none part of the case.

    fps: of the frames, by default the case's; at another rate the same seconds have other frames.
    """
    if not case.scene or not family(case.scene["family"]).actions_are_given:
        return None
    duration_s = (case.frames - 1) / case.fps
    scene = scene_of(case.scene, duration_s)
    rate = fps or case.fps
    frames = round(duration_s * rate) + 1
    starts = np.array([t for t, _ in scene.facts["actions"]])
    names = [name for _, name in scene.facts["actions"]]
    # In the middle of the step that leads to a frame; nothing leads to the first.
    at = np.searchsorted(starts, frame_times(frames, rate) - 0.5 / rate, side="right") - 1
    tokens = tuple(NONE if k < 0 or names[k] == "wait" else names[k] for k in at)
    return ActionScript(tokens, dict(scene.facts["per_action"]), str(scene.facts["player_view"]))


def as_json(script: ActionScript, case: Case) -> dict[str, Any]:
    """Return a script as JSON values: one token, list of keys and phrase per frame."""
    return {
        "case": case.id,
        "fps": case.fps,
        "view": script.view,
        "per_action": dict(script.per_action),
        "tokens": list(script.tokens),
        "keys": script.keys,
        "words": script.words,
    }
