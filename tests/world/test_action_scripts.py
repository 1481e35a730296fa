"""Exported actions are those of the true clip, one per frame, as tokens, keys and words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.data.shards import ACTIONS, actions_of
from sora_eval.files import read_json
from sora_eval.runs.case_export import export_cases
from sora_eval.types import Case, Profile
from sora_eval.world import scene_of
from sora_eval.world.action_scripts import KEYS, NONE, WORDS, action_script
from sora_eval.world.families import family
from sora_eval.world.families.player import PLAY_ACTIONS

SMALL = Profile("small", 64, 64, 17, 8, 5)


def _case(name: str = "follows_actions", seed: int = 1) -> Case:
    return registry.probe(name).cases(1, SMALL, "i2v", seed)[0]


def test_every_frame_has_the_action_that_leads_to_it() -> None:
    case = _case()
    script = action_script(case)
    assert script is not None
    first, *rest = script.tokens
    assert first == NONE
    assert len(rest) == case.frames - 1 == 32
    assert tuple(rest[4::8]) == tuple(case.scene["params"]["actions"])
    assert all(len(set(rest[k : k + 8])) == 1 for k in range(0, 32, 8))


def test_at_another_rate_the_same_seconds_have_other_frames() -> None:
    case = _case()
    slow = action_script(case, 4.0)
    assert slow is not None
    assert len(slow.tokens) == 17
    assert tuple(slow.tokens[3::4]) == tuple(case.scene["params"]["actions"])


def test_waiting_is_no_action() -> None:
    script = action_script(_case("breaks_and_places"))
    assert script is not None
    assert set(script.tokens) <= {NONE, "break", "place"}


def test_every_action_has_keys_and_words() -> None:
    assert {NONE, *PLAY_ACTIONS} - {"wait"} == set(KEYS) == set(WORDS)


def test_cases_without_a_player_have_none() -> None:
    assert action_script(registry.probe("relation").cases(1, SMALL, "t2v")[0]) is None


def test_a_figure_in_the_training_world_has_the_actions_that_generators_were_trained_on() -> None:
    params = family("voxel").sample(np.random.default_rng(0))
    scene = {"family": "voxel", "params": params.to_json()}
    case = Case("a", "a", "a", "i2v", "", SMALL_SIZE, 8.0, 17, 1, 0, scene, {}, "a")
    script = action_script(case)
    assert script is not None
    assert [ACTIONS.index(token) for token in script.tokens] == actions_of(scene_of(scene, 2.0), 17)


SMALL_SIZE = (64, 64)


@pytest.mark.parametrize("name", ["follows_actions", "blocks_stay"])
def test_they_are_written_with_the_cases(name: str, tmp_path: Path) -> None:
    case, plain = _case(name), registry.probe("relation").cases(1, SMALL, "t2v")[0]
    export_cases([case, plain], tmp_path, lambda c: np.zeros((1, 64, 64, 3), np.uint8), actions=action_script)
    written = read_json(tmp_path / "actions" / f"{case.id}.json")
    script = action_script(case)
    assert script is not None
    assert written["tokens"] == list(script.tokens)
    assert written["keys"] == [list(KEYS[token]) for token in script.tokens]
    assert written["words"][1] == WORDS[script.tokens[1]]
    assert written["per_action"]["turn_deg"] == case.scene["params"]["turn_deg"]
    assert not (tmp_path / "actions" / f"{plain.id}.json").exists()
    assert "actions/" in (tmp_path / "README.txt").read_text()
