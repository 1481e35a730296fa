"""Exported camera paths are those of the true clip, and the keys are those of the move."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.files import read_json
from sora_eval.runs.case_export import export_cases
from sora_eval.types import Case, Profile
from sora_eval.world import clip, scene_of
from sora_eval.world.trajectories import trajectory

WIDE = Profile("wide", 48, 80, 9, 8, 5)
KEYS = {
    "move_pan": {"left": ["ArrowLeft"], "right": ["ArrowRight"]},
    "move_tilt": {"up": ["ArrowUp"], "down": ["ArrowDown"]},
    "move_truck": {"left": ["A"], "right": ["D"]},
    "move_dolly": {"in": ["W"], "out": ["S"]},
    "move_orbit": {"left": ["A", "ArrowRight"], "right": ["D", "ArrowLeft"]},
}


def _cases(name: str) -> list[Case]:
    return registry.probe(name).cases(2, WIDE, "t2v")


@pytest.mark.parametrize("name", KEYS)
def test_keys_are_those_of_the_move(name: str, tmp_path: Path) -> None:
    cases = _cases(name)
    export_cases(cases, tmp_path, lambda case: None, trajectory=trajectory)
    for case in cases:
        first, *held = read_json(tmp_path / "cameras" / f"{case.id}.json")["keys"]
        assert first == []
        assert held == [KEYS[name][case.scene["params"]["to"]]] * 8


@pytest.mark.parametrize(("name", "expected"), [("move_crane", None), ("move_zoom", None), ("move_roll", None)])
def test_moves_without_a_key_have_none(name: str, expected: None, tmp_path: Path) -> None:
    cases = [*_cases(name), *_cases("move_still")]
    export_cases(cases, tmp_path, lambda case: None, trajectory=trajectory)
    assert read_json(tmp_path / "cameras" / f"{cases[0].id}.json")["keys"] is expected
    assert read_json(tmp_path / "cameras" / f"{cases[2].id}.json")["keys"] == [[]] * 9


def test_the_text_projects_points_to_where_the_true_clip_shows_them(tmp_path: Path) -> None:
    case = _cases("move_roll")[0]
    export_cases([case], tmp_path, lambda case: None, trajectory=trajectory)
    truth = clip(scene_of(case.scene, 1.0), case.size, case.fps, case.frames).truth
    source, *lines = (tmp_path / "cameras" / f"{case.id}.txt").read_text().splitlines()
    assert (source, len(lines)) == (case.id, case.frames)
    for k, line in enumerate(lines):
        time, fx, fy, cx, cy, _, _, *pose = (float(v) for v in line.split())
        assert time == pytest.approx(k / 8 * 1e6)
        seen = np.reshape(pose, (3, 4)) @ np.append(truth.states.pos[k, 0], 1.0)
        xy = [fx * 80 * seen[0] / seen[2] + cx * 80 - 0.5, fy * 48 * seen[1] / seen[2] + cy * 48 - 0.5]
        assert xy == pytest.approx(truth.xy[k, 0].tolist(), abs=1e-4)


def test_other_suites_have_no_camera_files(tmp_path: Path) -> None:
    cases = registry.probe("relation").cases(2, WIDE, "t2v")
    export_cases(cases, tmp_path, lambda case: None, trajectory=trajectory)
    assert not (tmp_path / "cameras").exists()
    assert "cameras" not in (tmp_path / "README.txt").read_text()
