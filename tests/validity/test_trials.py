"""Trials of probes: scenes, cache, nuisance transforms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from validity.made_up import SMALL, trials_of

from sora_eval import registry
from sora_eval.generator.simulator import CONTROLS, OTHER
from sora_eval.types import Video
from sora_eval.validity import trials as trials_module
from sora_eval.validity.nuisances import ALL_AT_ONCE, NUISANCES, transformed, transformed_case
from sora_eval.validity.trials import (
    SEVERITIES,
    Trial,
    TrialPlan,
    cached_scene_trials,
    case_of,
    code_hash,
    scene_trials,
)


@pytest.fixture
def plan(tmp_path: Path) -> TrialPlan:
    return TrialPlan(SMALL, ("i2v",), 1, 0, tmp_path, "abc")


def test_scenes_are_independent_and_take_both_sides() -> None:
    cases = [case_of(registry.probe("relation"), SMALL, "t2v", 0, i) for i in range(6)]
    assert len({c.cluster for c in cases}) == 6
    assert [int(c.id[-1]) % 2 for c in cases] == [0, 1, 0, 1, 0, 1]


def test_one_scene_of_a_real_probe(plan: TrialPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nuisance transforms render large, which takes seconds.
    monkeypatch.setattr(trials_module, "NUISANCE_SCENES", 0)
    probe, plan = registry.probe("relation"), replace(plan, modes=("t2v",))
    found = scene_trials(probe, plan, 0)
    by_name = {(t.kind, t.condition, t.severity): t for t in found}
    assert len(by_name) == len(found) == 1 + len(CONTROLS) + 1 + 4
    assert by_name["oracle", "oracle", 0.0].value == 1.0
    # Corrected for chance, the wrong side is -1 and no side is 0.
    assert by_name["violation", "swapped_sides", 1.0].value == -1.0
    assert by_name["control", "blank", 1.0].value == 0.0
    assert by_name["control", "blank", 1.0].reason
    assert {what for kind, what, _ in by_name if kind == "control"} == {*CONTROLS, OTHER}
    assert plan.clip(probe, "oracle", 0.0).is_file()
    assert all(plan.clip(probe, "swapped_sides", s).is_file() for s in SEVERITIES[1:])


def test_finished_scenes_are_cached_and_broken_ones_made_again(
    plan: TrialPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []

    def fake(probe: object, plan: TrialPlan, scene: int) -> list[Trial]:
        computed.append(scene)
        return trials_of("oracle", "oracle", [float(scene)], 0.0)

    monkeypatch.setattr(trials_module, "scene_trials", fake)
    probe = registry.probe("relation")
    first = cached_scene_trials(probe, plan, 0)
    assert cached_scene_trials(probe, plan, 0) == first
    assert computed == [0]
    (path,) = plan.folder.glob("*.json")
    path.write_text(path.read_text()[:20])
    assert cached_scene_trials(probe, plan, 0) == first
    assert computed == [0, 0]
    # Other code or another profile is another question.
    for other in (replace(plan, code="def"), replace(plan, profile=replace(SMALL, fps=16)), replace(plan, seed=1)):
        cached_scene_trials(probe, other, 0)
    assert computed == [0] * 5


def test_the_codes_hash_is_one_and_the_same() -> None:
    assert code_hash() == code_hash()
    assert len(code_hash()) == 16


def test_nuisance_transforms_change_what_they_name() -> None:
    case = case_of(registry.probe("relation"), SMALL, "t2v", 0, 0)
    assert transformed_case(case, "256 px", 0).size == (256, 256)
    assert transformed_case(case, "light dim", 0).scene["params"]["style"]["light"] == "dim"
    assert transformed_case(case, "H.264 crf 28", 0) == case
    assert transformed_case(case, ALL_AT_ONCE, 1).scene["params"]["style"]["light"] == "warm"
    video = Video(np.arange(17 * 16 * 16 * 3, dtype=np.int64).reshape(17, 16, 16, 3).astype(np.uint8), 8.0)
    half = transformed(video, "half the frame rate")
    assert (len(half), half.fps) == (9, 4.0)
    assert "256 px" in NUISANCES and transformed(video, "light dim") is video
