"""The framing probes: whole and in place in every shape of frame scores 1, and a picture made for another shape doesn't."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.config import SuiteConfig
from sora_eval.errors import ConfigError
from sora_eval.generator.simulator import Control, Violation, true_video
from sora_eval.probes.framing import ratio_of, size_of_aspect
from sora_eval.probes.selection import select_cases, select_probes
from sora_eval.scoring import score_of
from sora_eval.tracking.world import WorldTracker, track
from sora_eval.types import Case, Profile, Score, Video
from sora_eval.validity.nuisances import transformed_case
from sora_eval.video import resize
from sora_eval.world import scene_of
from sora_eval.world.families import family

SMALL = Profile("small", 64, 64, 17, 8, 5)
NAMES = [name for name, (suite, _) in registry.probe_names(optional=True).items() if suite == "framing"]
SINGLE = ["framed_image", "framed_middle", "framed_third", "framed_mover"]
SHAPES = ("16:9", "9:16", "21:9", "1:3")


def _score(case: Case, video: Video) -> Score:
    return registry.probe(case.probe).score(case, video, track(video))


def _case(name: str, aspect: str = "16:9", seed: int = 1) -> Case:
    return registry.probe(name).cases(1, SMALL, "t2v", seed, aspects=(aspect,))[0]


@pytest.mark.parametrize("name", NAMES)
def test_the_truth_scores_full_in_every_shape_of_frame_and_in_its_square_twin(name: str) -> None:
    for case in registry.probe(name).cases(8, SMALL, "t2v", 1, aspects=SHAPES):
        score = _score(case, true_video(case))
        assert (score.value or 0) >= 0.97, (case.expect, score)
        assert score.components["whole_share"] == 1


@pytest.mark.parametrize("mode", ["i2v", "v2v"])
def test_the_truth_scores_full_with_given_frames(mode: str) -> None:
    for case in registry.probe("framed_mover").cases(2, SMALL, mode, 1):  # type: ignore[arg-type]
        assert (_score(case, true_video(case)).value or 0) >= 0.97


def test_an_image_is_one_frame() -> None:
    case = _case("framed_image")
    assert case.frames == len(true_video(case)) == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("aspect", ["21:9", "9:16", "1:1"])
def test_every_fault_is_found_in_every_shape_and_scores_fall_as_it_grows(name: str, aspect: str) -> None:
    case = _case(name, aspect, 2)
    for fault in registry.probe(name).violations:
        values = [_score(case, next(Violation(fault, s).generate([case]))).value or 0 for s in (0.0, 0.5, 1.0)]
        assert values[0] >= 0.97, fault
        assert values[0] >= values[1] >= values[2], fault
        assert values[2] < 0.4, (fault, values)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("control", ["frozen", "shuffled", "reversed", "mirrored", "noise", "blank"])
def test_controls_earn_nothing_but_where_a_probe_says_why(name: str, control: str) -> None:
    case, probe = _case(name), registry.probe(name)
    value = _score(case, next(Control(control).generate([case]))).value or 0
    assert (value >= 0.97) if control in probe.blind_to else (value <= 0.1)


def test_a_mirror_exchanges_the_thirds() -> None:
    case = _case("framed_third")
    params = dict(case.scene["params"])
    mirrored = family("framed_subject").read(params).mirrored().to_json()
    assert {params["place"], mirrored["place"]} == {"left", "right"}
    flipped = Video(true_video(case).frames[:, :, ::-1].copy(), case.fps)
    assert _score(case, flipped).value == 0
    assert _score(replace(case, scene={**case.scene, "params": mirrored}), flipped).value == 1


def _shown(case: Case, name: str) -> Video:
    """Return the clip of a model that makes squares alone, in one of the ways to bring it to a frame of another shape."""
    true = true_video(case)
    height, width = case.size
    square = replace(case, size=(64, 64), scene={**case.scene, "params": {**case.scene["params"], "aspect": 1.0}})
    frames = true_video(square).frames
    if name == "square":
        return Video(frames, case.fps)
    if name == "stretched":
        return Video(resize(frames, case.size), case.fps)
    barred = np.zeros_like(true.frames)
    side = min(height, width)
    y, x = (height - side) // 2, (width - side) // 2
    barred[:, y : y + side, x : x + side] = resize(frames, (side, side))
    return Video(barred, case.fps)


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("way", ["square", "stretched", "barred"])
@pytest.mark.parametrize("aspect", ["16:9", "9:16"])
def test_a_square_model_earns_little_in_other_shapes_by_the_way_of_a_run(name: str, way: str, aspect: str) -> None:
    case = _case(name, aspect)
    tracker, probe = WorldTracker(), registry.probe(name)
    assert score_of(case, true_video(case), tracker, probe).value == 1
    # A cube may be wider or higher than it is deep: squeezed by 5 to 3 it still may be one.
    assert (score_of(case, _shown(case, way), tracker, probe).value or 0) <= (0.6 if way == "stretched" else 0.3)


def test_a_larger_clip_of_the_same_shape_is_judged_alike() -> None:
    case = _case("framed_tower")
    larger = Video(resize(true_video(case).frames, (2 * case.size[0], 2 * case.size[1])), case.fps)
    assert _score(case, larger).value == 1


def test_composition_is_measured() -> None:
    case = _case("framed_middle", "1:1")
    frames = np.full((17, 64, 64, 3), 220, dtype=np.uint8)
    colours = {"red": (222, 40, 38)}
    frames[:, 16:48, 16:48] = colours["red"]
    params = {**case.scene["params"], "colour": "red", "shape": "cube"}
    case = replace(case, scene={**case.scene, "params": params})
    score = _score(case, Video(frames, 8))
    assert score.value == 1
    assert score.components["head_room"] == pytest.approx(16 / 64, abs=0.02)
    assert score.components["subject_share"] == pytest.approx(0.25, abs=0.02)
    # The lower half leaves over the border.
    cut = np.full_like(frames, 220)
    cut[:, 48:, 16:48] = colours["red"]
    assert _score(case, Video(cut, 8)).components["whole"] == 0


def test_dark_pictures_have_no_black_bars() -> None:
    case = _case("framed_middle", "1:1")
    frames = true_video(case).frames.astype(float)
    ramp = np.clip(np.minimum(np.arange(64), 63 - np.arange(64)) / 20, 0, 1)
    vignette = Video((frames * ramp[:, None]).astype(np.uint8), case.fps)
    assert _score(case, vignette).components.get("filled", 1.0) == 1


def test_twins_have_the_same_prompt_and_as_many_pixels() -> None:
    for name in NAMES:
        cases = registry.probe(name).cases(12, SMALL, "t2v", 3)
        for one, two in zip(cases[::2], cases[1::2], strict=True):
            assert (one.prompt, one.twin, two.expect["aspect"]) == (two.prompt, two.id, "1:1")
            assert one.expect["aspect"] != "1:1"
            assert abs(np.log(np.prod(one.size) / np.prod(two.size))) < 0.32
            assert one.scene["params"]["aspect"] == pytest.approx(one.size[1] / one.size[0], abs=1e-3)


@pytest.mark.parametrize(
    ("aspect", "size", "profile"),
    [
        ("1:1", (64, 64), (64, 64)),
        ("16:9", (48, 80), (64, 64)),
        ("9:16", (80, 48), (64, 64)),
        ("21:9", (48, 112), (64, 64)),
        ("1:1", (640, 640), (480, 832)),
        ("4:3", (544, 736), (480, 832)),
        ("3:2", (49, 73), (61, 59)),
    ],
)
def test_sizes_are_multiples_that_models_make(aspect: str, size: tuple[int, int], profile: tuple[int, int]) -> None:
    found = size_of_aspect(aspect, Profile("p", *profile, 17, 8, 5))
    assert found == size


@pytest.mark.parametrize("aspect", ["", "16x9", "0:1", "1:9", "a:b", "16:9:1"])
def test_what_is_no_aspect_ratio_is_refused(aspect: str) -> None:
    with pytest.raises(ConfigError, match=r"suite\.aspects"):
        ratio_of(aspect)
    with pytest.raises(ConfigError, match=r"suite\.aspects"):
        SuiteConfig("x", 1, ("t2v",), aspects=(aspect,))


def test_aspects_are_for_this_suite() -> None:
    probes = select_probes(None, ["framed_row", "relation"])
    cases = select_cases(probes, SMALL, ["t2v"], 4, 0, aspects=("2:1",))
    assert {c.expect.get("aspect") for c in cases if c.probe == "framed_row"} == {"2:1", "1:1"}
    assert {c.size for c in cases if c.probe == "relation"} == {(64, 64)}
    with pytest.raises(ConfigError, match="framing"):
        select_cases(select_probes(None, ["relation"]), SMALL, ["t2v"], 2, 0, aspects=("2:1",))


def test_the_suite_is_chosen_by_name_alone() -> None:
    assert not set(NAMES) & set(select_probes())
    assert list(select_probes(["framing"])) == NAMES


def test_larger_nuisances_keep_the_shape() -> None:
    case = _case("framed_row", "21:9")
    height, width = transformed_case(case, "256 px", 0).size
    assert width / height == pytest.approx(case.size[1] / case.size[0], rel=0.02)
    square = registry.probe("relation").cases(1, SMALL, "t2v")[0]
    assert transformed_case(square, "256 px", 0).size == (256, 256)


def test_scenes_are_right_for_extreme_frames() -> None:
    for name in NAMES:
        for aspect in ("3:1", "1:3"):
            case = _case(name, aspect)
            assert scene_of(case.scene, 2.0).facts["out_deg"]
            assert (_score(case, true_video(case)).value or 0) >= 0.9, (name, aspect)
