"""The interaction probes: a change with its cause, one step after another, that stays scores 1, and every way to break it doesn't."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.generator.simulator import Control, Violation, true_video
from sora_eval.probes.interaction.stages import CHANGES, as_many, in_turn, lasting, parts_of, stage_of
from sora_eval.probes.selection import select_probes
from sora_eval.tracking.world import named_colours, track
from sora_eval.types import Case, Score, Video
from sora_eval.world import frame_times, physics, scene_of
from sora_eval.world.families import BUNDLED, FAMILIES, staged
from sora_eval.world.faults import FAULTS
from sora_eval.world.palette import COLOURS

NAMES = [name for name, (suite, _) in registry.probe_names(optional=True).items() if suite == "interaction"]
SMALL = registry.profile("small")


def _score(case: Case, video: Video) -> Score:
    return registry.probe(case.probe).score(case, video, track(video, named_colours(case.prompt)))


def _case(name: str, mode: str = "t2v", seed: int = 3) -> Case:
    return registry.probe(name).cases(1, SMALL, mode, seed)[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["t2v", "i2v", "v2v"])
def test_the_truth_scores_full_for_both_twins(name: str, mode: str) -> None:
    for case in registry.probe(name).cases(2, SMALL, mode, 3):  # type: ignore[arg-type]
        score = _score(case, true_video(case))
        assert (score.value or 0) >= 0.97, (case.prompt, score)


@pytest.mark.parametrize("size", [(64, 64), (64, 111)])
def test_in_a_frame_of_any_width_what_is_brought_waits_out_of_sight(size: tuple[int, int]) -> None:
    for case in registry.probe("stacking").cases(2, replace(SMALL, height=size[0], width=size[1]), "t2v", 5):
        score = _score(case, true_video(case))
        assert (score.value or 0) >= 0.97, (case.prompt, score)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", CHANGES)
def test_each_violation_is_found(name: str, fault: str) -> None:
    assert (_score(_case(name), next(Violation(fault, 1.0).generate([_case(name)]))).value or 0) <= 0.1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", CHANGES)
def test_no_severity_is_the_true_clip(name: str, fault: str) -> None:
    scene = scene_of(_case(name).scene, 2.0)
    times = frame_times(17, 8)
    broken = FAULTS[fault](scene, 0.0)
    true, same = physics.simulate(scene, times), broken.edit(physics.simulate(broken.scene, times, broken.tweaks))
    np.testing.assert_allclose(same.pos, true.pos)
    assert (same.shown == true.shown).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("control", ["frozen", "shuffled", "reversed", "mirrored", "noise", "blank"])
def test_controls_earn_nothing(name: str, control: str) -> None:
    assert (_score(_case(name), next(Control(control).generate([_case(name)]))).value or 0) <= 0.1


@pytest.mark.parametrize("name", NAMES)
def test_the_last_state_alone_earns_nothing(name: str) -> None:
    case = _case(name)
    video = true_video(case)
    last = Video(np.repeat(video.frames[-1:], len(video), axis=0), video.fps)
    assert not _score(case, last).value


@pytest.mark.parametrize("name", NAMES)
def test_another_cases_clip_is_not_judged_to_be_right(name: str) -> None:
    case, other = registry.probe(name).cases(3, SMALL, "t2v", 3)[::2]
    assert (_score(case, true_video(other)).value or 0) <= 0.1


@pytest.mark.parametrize("name", NAMES)
def test_a_clip_without_the_actor_is_not_judged(name: str) -> None:
    case = _case(name)
    blank = Video(np.full((17, 64, 64, 3), 200, np.uint8), 8)
    assert _score(case, blank).value is None


@pytest.mark.parametrize("name", NAMES)
def test_a_mirror_changes_the_sides_and_nothing_else(name: str) -> None:
    one, two = registry.probe(name).cases(2, SMALL, "t2v", 5)
    swap = {"left": "right", "right": "left"}
    mirrored = [swap.get(w.strip(",;."), w.strip(",;.")) for w in one.prompt.split()]
    assert mirrored == [w.strip(",;.") for w in two.prompt.split()]
    here, there = (physics.simulate(scene_of(c.scene, 2.0), frame_times(5, 8)) for c in (one, two))
    np.testing.assert_allclose(here.pos[..., 0], -there.pos[..., 0], atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_captions_name_every_colour_and_a_side(name: str) -> None:
    family = BUNDLED[name]
    for seed in range(8):
        p = family.sample(np.random.default_rng(seed))
        for words in family.phrases(p):
            named = [v for v in p.to_json().values() if isinstance(v, str) and v in COLOURS]
            assert all(colour in words for colour in named), words
            assert "left" in words
            assert "right" in words
            assert not any(f" a {c}" in f" {words}" for c in ("orange",)), words


def test_colours_of_a_scene_are_no_neighbours() -> None:
    names = list(COLOURS)
    for seed in range(20):
        for count in (3, 4):
            row = staged.spaced_colours(np.random.default_rng(seed), count, ("yellow", "orange"))
            assert row[0] in ("yellow", "orange")
            spots = sorted(names.index(c) for c in row)
            gaps = np.diff([*spots, spots[0] + len(names)])
            assert gaps.min() >= 2


def test_the_suite_is_chosen_by_name_alone() -> None:
    assert len(NAMES) == 8
    assert not set(NAMES) & set(select_probes())
    assert list(select_probes(["interaction"])) == NAMES
    assert not set(NAMES) & set(FAMILIES)


def test_stages_are_read_where_they_are_uncovered() -> None:
    done = np.zeros((10, 6, 6))
    done[4:, 2:4, 2:4] = 1
    open_ = np.ones(done.shape, dtype=bool)
    open_[3:6, 2:4, 2:4] = False
    region = np.zeros((6, 6))
    region[2:4, 2:4] = 1
    stage = stage_of(done, region, open_, 3)
    assert stage.clear.tolist() == [True] * 3 + [False] * 3 + [True] * 4
    assert stage.done[stage.clear].tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert (lasting(done) == (region > 0)).all()
    assert not lasting(done[:5]).any()


def test_parts_are_counted_from_left_to_right_without_specks() -> None:
    region = np.zeros((10, 20), dtype=bool)
    region[2:6, 12:16] = region[3:7, 1:5] = region[0, 19] = True
    parts = parts_of(region)
    assert [int(np.nonzero(p)[1].min()) for p in parts] == [1, 12]
    assert parts_of(np.zeros((4, 4), dtype=bool)) == []


def test_stages_out_of_turn_and_of_another_number_cost() -> None:
    assert in_turn([2, 5, 9]) == 1
    assert in_turn([9, 5, 2]) == 0
    assert as_many(3, 3) == 1
    assert as_many(2, 3) < 0.05
    assert as_many(5, 3) == 0


def test_a_score_does_not_hang_on_the_frame_rate() -> None:
    case = _case("painter")
    video = true_video(replace(case, frames=33, fps=16.0))
    assert (_score(case, video).value or 0) >= 0.97
