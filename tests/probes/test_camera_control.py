"""The camera probes: the move of the prompt scores 1, the opposite 0, another one is not judged, and what can't be seen is not guessed."""

from __future__ import annotations

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.generator.simulator import Control, Violation, true_video
from sora_eval.probes.base import Probe
from sora_eval.tracking.world import track
from sora_eval.types import Case, Profile, Score, Video
from sora_eval.world import clip, scene_of

SMALL = Profile("small", 64, 64, 17, 8, 5)
NAMES = [name for name, (suite, _) in registry.probe_names(optional=True).items() if suite == "camera_control"]
MOVES = [name for name in NAMES if name not in ("move_still", "two_moves")]
each_move = pytest.mark.parametrize("name", MOVES)
SIDED = ["move_pan", "move_truck", "move_orbit", "move_roll", "move_still"]


def _score(name: str, case: Case, video: Video) -> Score:
    return registry.probe(name).score(case, video, track(video))


def _pair(name: str, seed: int) -> list[Case]:
    return registry.probe(name).cases(2, SMALL, "t2v", seed)


@pytest.mark.parametrize("name", NAMES)
def test_the_truth_scores_full_in_both_directions(name: str) -> None:
    for case in _pair(name, 1):
        assert (_score(name, case, true_video(case)).value or 0) >= 0.985


@each_move
def test_the_opposite_move_scores_nothing(name: str) -> None:
    case, twin = _pair(name, 2)
    # Of moves without a side, twins show the same scene; the others' is mirrored, and its clip is the mirrored clip.
    wrong = true_video(twin)
    if name in SIDED:
        wrong = Video(true_video(case).frames[:, :, ::-1].copy(), wrong.fps)
    score = _score(name, case, wrong)
    assert (score.value, score.components["side"]) == (0, -1)
    assert (_score(name, twin, wrong).value or 0) >= 0.985


@pytest.mark.parametrize(
    ("name", "other", "shown"),
    [
        ("move_dolly", "zoom", "zoomed"),
        ("move_truck", "pan", "panned"),
        ("move_pan", "truck", "moved"),
        ("move_zoom", "dolly", "moved"),
    ],
)
def test_a_similar_move_is_another_one(name: str, other: str, shown: str) -> None:
    for case in _pair(name, 3):
        params = {**case.scene["params"], "move": other}
        video = clip(scene_of({**case.scene, "params": params}, 2.0), SMALL_SIZE, 8, 17).video
        score = _score(name, case, video)
        assert score.value is None
        assert f"the camera {shown}" in score.reason


SMALL_SIZE = (64, 64)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("control", ["frozen", "noise", "blank", "shuffled"])
def test_controls_earn_nothing(name: str, control: str) -> None:
    case = _pair(name, 1)[0]
    score = _score(name, case, next(Control(control).generate([case])))
    assert score.value is None or score.value <= 0.5


@pytest.mark.parametrize("name", ["move_truck", "move_zoom", "move_still"])
def test_scores_fall_as_a_fault_grows(name: str) -> None:
    probe: Probe = registry.probe(name)
    case = _pair(name, 4)[0]
    for fault in probe.violations:
        found = [_score(name, case, next(Violation(fault, s).generate([case]))).value or 0.5 for s in (0.0, 0.5, 1.0)]
        assert found[0] >= 0.985
        assert found[0] > found[2]
        assert found[1] >= found[2]
        assert found[2] < 0.8


def test_without_texture_no_move_is_guessed() -> None:
    case = _pair("move_truck", 1)[0]
    true = true_video(case)
    flat = np.full_like(true.frames, 200)
    for k, frame in enumerate(flat):
        frame[20:30, 10 + k : 20 + k] = (222, 40, 38)
    assert _score("move_truck", case, Video(flat, 8)).value is None


def test_twins_have_the_opposite_move() -> None:
    for name in MOVES:
        one, two = (c.scene["params"] for c in _pair(name, 5))
        assert (one["move"], one["speed"]) == (two["move"], two["speed"])
        assert {one["to"], two["to"]} in ({"left", "right"}, {"up", "down"}, {"in", "out"})


def test_the_suite_is_chosen_by_name_alone() -> None:
    from sora_eval.probes.selection import select_probes

    assert not set(NAMES) & set(select_probes())
    assert list(select_probes(["camera_control"])) == NAMES
    assert list(select_probes(None, ["move_pan", "relation"])) == ["move_pan", "relation"]


def test_of_two_moves_each_has_its_half_of_the_clip() -> None:
    probe = registry.probe("two_moves")
    for case, twin in zip(*[iter(probe.cases(6, SMALL, "t2v", 7))] * 2, strict=True):
        steps, opposite = (c.scene["params"]["steps"] for c in (case, twin))
        assert [s["move"] for s in steps] == [s["move"] for s in opposite]
        wrong = _score("two_moves", case, true_video(twin))
        assert (wrong.value, wrong.components["side"], wrong.components["second_side"]) == (0, -1, -1)
        swapped = _score("two_moves", case, next(Violation("camera_swaps_moves", 1.0).generate([case])))
        assert swapped.value is None
        assert "the camera" in swapped.reason


def test_the_second_move_may_begin_a_little_late() -> None:
    case = next(
        c for c in registry.probe("two_moves").cases(8, SMALL, "t2v", 7) if c.scene["params"]["speed"] == "quickly"
    )
    true = clip(scene_of(case.scene, 2.0), SMALL_SIZE, 16, 33).video.frames
    # Frames 0, 2, ... of the first half and a rest after it: the second move begins at three fifths.
    late = np.concatenate([true[:17:2], true[16:17], true[18::2]])
    assert (_score("two_moves", case, Video(late, 8)).value or 0) >= 0.9
