"""The probes of editing: the truth scores 1 in every mode, and cuts, cross-fades, open loops and wrong edits don't."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.alignment.align import align, given_frames, kept_at
from sora_eval.alignment.first_frame import first_frame_fidelity
from sora_eval.generator.base import Capabilities
from sora_eval.generator.simulator import Control, Violation, true_video
from sora_eval.probes.editing.shared import generated_frames
from sora_eval.probes.selection import select_probes
from sora_eval.tracking.world import track
from sora_eval.types import ALL_MODES, MODES, Case, Mode, Profile, Score, Video
from sora_eval.validity.nuisances import transformed_case
from sora_eval.world import conditioning

SMALL = Profile("small", 64, 64, 17, 8, 5)
NAMES = [name for name, (suite, _) in registry.probe_names(optional=True).items() if suite == "editing"]
BY_MODE: list[tuple[str, Mode]] = [(name, mode) for name in NAMES for mode in registry.probe(name).modes]


def _score(case: Case, video: Video) -> Score:
    return registry.probe(case.probe).score(case, video, track(video))


def _case(name: str, mode: Mode, seed: int = 1) -> Case:
    return registry.probe(name).cases(1, SMALL, mode, seed)[0]


@pytest.mark.parametrize(("name", "mode"), BY_MODE)
def test_the_truth_scores_full_and_so_does_its_mirrored_twin(name: str, mode: Mode) -> None:
    for case in registry.probe(name).cases(4, SMALL, mode, 1):
        score = _score(case, true_video(case))
        assert (score.value or 0) >= 0.97, (case.prompt, score)


@pytest.mark.parametrize("name", NAMES)
def test_every_fault_is_found_and_scores_fall_as_it_grows(name: str) -> None:
    probe = registry.probe(name)
    case = _case(name, probe.modes[0], 2)
    for fault in probe.violations:
        values = [_score(case, next(Violation(fault, s).generate([case]))).value or 0 for s in (0.0, 0.5, 1.0)]
        assert values[0] >= 0.97, fault
        assert values[0] >= values[1] >= values[2], (fault, values)
        assert values[2] < 0.3, (fault, values)


@pytest.mark.parametrize("fault", ["holds_and_cuts", "cross_fades", "flashes", "turns_into_another"])
@pytest.mark.parametrize("mode", ["extend_back", "interpolate"])
def test_faults_between_given_frames_are_found_in_every_mode(fault: str, mode: Mode) -> None:
    case = _case("extension", mode, 2)
    score = _score(case, next(Violation(fault).generate([case])))
    assert (score.value or 0) < 0.3
    assert "given frames were not kept" not in score.reason


@pytest.mark.parametrize(("name", "mode"), BY_MODE)
@pytest.mark.parametrize("control", ["frozen", "shuffled", "reversed", "mirrored", "noise", "blank", "other"])
def test_controls_earn_nothing(name: str, mode: Mode, control: str) -> None:
    case = _case(name, mode)
    assert (_score(case, next(Control(control).generate([case]))).value or 0) <= 0.1


@pytest.mark.parametrize("mode", ["v2v", "extend_back", "interpolate"])
def test_an_object_that_stays_at_the_given_end_earns_nothing(mode: Mode) -> None:
    case = _case("extension", mode)
    frames = true_video(case).frames.copy()
    generated = generated_frames(case, len(frames), case.fps)
    first = int(np.flatnonzero(generated)[0])
    frames[generated] = frames[first - 1] if first else frames[int(np.flatnonzero(~generated)[0])]
    assert (_score(case, Video(frames, case.fps)).value or 0) <= 0.05


def test_objects_that_come_and_go_at_once_are_no_transition() -> None:
    case = _case("transition", "connect")
    assert _score(case, true_video(case)).components["explained"] == 1
    cut = next(Violation("holds_and_cuts").generate([case]))
    assert _score(case, cut).components["explained"] == 0


def test_the_source_clip_itself_is_no_edit() -> None:
    case = _case("recolour", "edit")
    source = conditioning(case)
    assert source is not None
    assert _score(case, Video(source, case.fps)).value == 0
    assert case.scene["source"]["hero"]["colour"] != case.scene["params"]["hero"]["colour"]
    assert case.scene["params"]["hero"]["colour"] in case.prompt
    assert case.scene["source"]["hero"]["colour"] not in case.prompt


@pytest.mark.parametrize(
    ("mode", "given", "at"),
    [
        ("t2v", 0, ()),
        ("i2v", 1, (0,)),
        ("v2v", 3, (0, 1, 2)),
        ("loop", 2, (0, 1)),
        ("extend_back", 3, (6, 7, 8)),
        ("interpolate", 2, (0, 8)),
        ("connect", 4, (0, 1, 7, 8)),
        ("edit", 9, tuple(range(9))),
    ],
)
def test_given_frames_belong_where_the_mode_says(mode: Mode, given: int, at: tuple[int, ...]) -> None:
    case = replace(_case("extension", "v2v"), mode=mode, given=given, frames=9)
    assert case.given_at == at
    assert case.keeps == (() if mode == "edit" else at)
    generated = generated_frames(case, 9, case.fps)
    assert np.flatnonzero(~generated).tolist() == list(case.keeps)
    # At twice the rate, and one frame longer than it should be.
    twice = kept_at(case, 18, 2 * case.fps)
    assert twice == [2 * k if k == i else 17 - 2 * (8 - k) for i, k in enumerate(case.keeps)]


@pytest.mark.parametrize(("name", "mode"), BY_MODE)
def test_given_frames_are_those_of_the_true_clip_there(name: str, mode: Mode) -> None:
    case = _case(name, mode)
    true, given = true_video(case).frames, given_frames(case)
    assert len(given) == case.given
    if mode != "edit":
        assert np.array_equal(given, true[list(case.given_at)])
        fidelity = first_frame_fidelity(case, true_video(case), align(case, true_video(case)))
        assert fidelity["PSNR"] == 100
        assert ("PSNR drift" in fidelity) == (mode == "v2v")


@pytest.mark.parametrize("mode", ["extend_back", "connect", "interpolate"])
def test_given_frames_in_a_larger_frame_are_found_at_the_end_too(mode: Mode) -> None:
    case = _case("transition" if mode == "connect" else "extension", mode)
    padded = np.zeros((17, 64, 96, 3), np.uint8)
    padded[:, :, 16:80] = true_video(case).frames
    aligned = align(case, Video(padded, case.fps))
    assert aligned.alignment is not None
    assert aligned.video.size == (64, 64)
    assert (_score(aligned.case, aligned.video).value or 0) >= 0.97


def test_a_loop_comes_back_one_frame_after_its_last() -> None:
    case = _case("endless_loop", "loop")
    assert case.scene["params"]["period_s"] == pytest.approx(17 / 8)
    longer = registry.probe("endless_loop").cases(1, Profile("long", 64, 64, 33, 16, 9), "loop")[0]
    assert longer.scene["params"]["period_s"] == pytest.approx(33 / 16, abs=1e-5)
    assert (_score(longer, true_video(longer)).value or 0) >= 0.97


def test_the_source_clip_has_the_light_and_look_of_the_case() -> None:
    case = transformed_case(_case("recolour", "edit"), "light warm", 0)
    assert case.scene["params"]["style"] == case.scene["source"]["style"]
    assert (_score(case, true_video(case)).value or 0) >= 0.97


def test_modes_of_editing_are_for_generators_that_name_them() -> None:
    assert Capabilities().modes == MODES
    case = _case("endless_loop", "loop")
    assert "no mode loop" in Capabilities().refuses(case)
    assert Capabilities(modes=ALL_MODES).refuses(case) == ""
    assert Case.from_json(case.to_json()) == case
    edit = _case("recolour", "edit").to_json()
    with pytest.raises(ValueError, match="source"):
        Case.from_json({**edit, "scene": {k: v for k, v in edit["scene"].items() if k != "source"}})


def test_the_suite_is_chosen_by_name_alone() -> None:
    assert not set(NAMES) & set(select_probes())
    assert list(select_probes(["editing"])) == NAMES
