"""The left-right probes: the right side scores 1, the wrong one 0, and what can't be decided is not judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.generator.simulator import Control, Violation, true_video
from sora_eval.probes import left_right
from sora_eval.probes.base import UnjudgeableError
from sora_eval.tracking.world import track
from sora_eval.types import Case, Score, Tracks, Video

PROBES = [
    left_right.Relation(),
    left_right.Motion(),
    left_right.OppositeMotion(),
    left_right.CameraPan(),
    left_right.Hands(),
]
each = pytest.mark.parametrize("probe", PROBES, ids=lambda p: str(p.name))


def scored(probe: left_right._Sided, case: Case, video: Video) -> Score:
    return probe.score(case, video, track(video))


@each
def test_mirroring_the_clip_flips_the_verdict_and_suits_the_twin(probe: left_right._Sided) -> None:
    case, twin = probe.cases(2, registry.profile("small"), "t2v", seed=4)
    video = true_video(case)
    flipped = Video(video.frames[:, :, ::-1].copy(), video.fps)
    assert scored(probe, case, video).value == 1.0
    assert scored(probe, case, video).components["side"] == 1.0
    assert scored(probe, case, flipped).value == 0.0
    assert scored(probe, case, flipped).components["side"] == -1.0
    assert scored(probe, twin, flipped).value == 1.0


@each
@pytest.mark.parametrize("control", ["frozen", "shuffled"])
def test_a_clip_without_its_time_is_not_judged(probe: left_right._Sided, control: str) -> None:
    cases = probe.cases(2, registry.profile("small"), "t2v", seed=4)
    for case, video in zip(cases, Control(control).generate(cases), strict=True):
        assert isinstance(video, Video)
        assert scored(probe, case, video).value is None


@each
def test_swapped_sides_score_nothing_and_halfway_is_undecided(probe: left_right._Sided) -> None:
    cases = probe.cases(1, registry.profile("small"), "t2v", seed=4)
    (wrong,) = Violation("swapped_sides", 1.0).generate(cases)
    (halfway,) = Violation("swapped_sides", 0.5).generate(cases)
    assert isinstance(wrong, Video)
    assert isinstance(halfway, Video)
    assert scored(probe, cases[0], wrong).value == 0.0
    assert scored(probe, cases[0], halfway).value is None


@each
@pytest.mark.parametrize("frames", [5, 17])
def test_noise_is_refused_without_an_exception(probe: left_right._Sided, frames: int) -> None:
    case = probe.cases(1, registry.profile("small"), "t2v")[0]
    noise = np.random.default_rng(0).integers(0, 256, (frames, 64, 64, 3), dtype=np.uint8)
    assert scored(probe, case, Video(noise, 8.0)).value is None


@pytest.mark.parametrize("probe", [left_right.Motion(), left_right.OppositeMotion()], ids=lambda p: str(p.name))
@pytest.mark.parametrize("fps", [8, 16, 24])
def test_one_jump_is_no_motion_at_any_rate(probe: left_right._Sided, fps: int) -> None:
    case = probe.cases(1, replace(registry.profile("small"), fps=fps, frames=2 * fps + 1), "t2v", seed=1)[0]
    true = true_video(case)
    cut = Video(true.frames[np.where(np.arange(len(true)) < fps, 0, len(true) - 1)], true.fps)
    assert scored(probe, case, true).value == 1
    assert scored(probe, case, cut).value is None


def panned(case: Case, size: tuple[int, int], degrees: float) -> Tracks:
    """Return the tracks of the landmarks of a case under a pan that shows a view 40 degrees high."""
    (height, width), row, count = size, case.scene["params"]["row"], 33
    to = 1 if case.scene["params"]["to"] == "right" else -1
    turned = to * np.radians(degrees) * (np.arange(count) / (count - 1) - 0.5)
    at = np.radians([-12, -4, 4, 12])[:, None]
    x = (width - 1) / 2 + 0.5 * height / np.tan(np.radians(20)) * np.tan(at - turned)
    xy = np.stack([x, np.full(x.shape, 0.6 * height)], axis=2)
    tall = np.array([{"cylinder": 1.35, "cone": 1.25}.get(thing["shape"], 1.0) for thing in row])[:, None]
    pointed = np.array([thing["shape"] == "cone" for thing in row])[:, None]
    half = 0.05 * height * np.stack([np.ones_like(x), np.broadcast_to(tall, x.shape)], axis=2)
    filled = {"aspect": tall, "taper": np.where(pointed, 0.3, 0.9), "extent": np.where(pointed, 0.5, 0.785)}
    return Tracks(
        tuple(thing["colour"] for thing in row), xy, np.ones(x.shape, bool), np.full(x.shape, 0.008 * height**2),
        np.concatenate([xy - half, xy + half], axis=2), size, 16.0,
        {name: np.broadcast_to(values, x.shape) for name, values in filled.items()},
    )  # fmt: skip


@pytest.mark.parametrize("degrees", [7, 10, 15])
def test_the_least_pan_is_the_same_in_frames_of_any_width(degrees: float) -> None:
    probe = left_right.CameraPan()
    case = probe.cases(1, registry.profile("small"), "t2v")[0]
    video = Video(np.zeros((33, 8, 8, 3), np.uint8), 16.0)
    for width in (480, 832, 1120):
        assert probe.judge(case, video, panned(case, (480, width), degrees)).value == 1


def test_a_thing_of_another_shape_is_not_what_was_asked() -> None:
    case = left_right.Relation().cases(1, registry.profile("small"), "t2v", seed=4)[0]
    params = case.scene["params"]
    other = "cylinder" if params["a"]["shape"] == "cone" else "cone"
    made = {**params, "a": {**params["a"], "shape": other}}
    video = true_video(replace(case, scene={**case.scene, "params": made}))
    score = scored(left_right.Relation(), case, video)
    assert score.value is None
    assert f"the {params['a']['colour']} thing is no {params['a']['shape']}" in score.reason


def test_hands_turned_round_are_not_what_was_asked() -> None:
    probe = left_right.Hands()
    case = probe.cases(1, registry.profile("small"), "t2v", seed=4)[0]
    params = case.scene["params"]
    other = "away" if params["facing"] == "us" else "us"
    turned = Case(**{**case.__dict__, "scene": {**case.scene, "params": {**params, "facing": other}}})
    score = scored(probe, case, true_video(turned))
    assert score.value is None
    assert "the figure is" in score.reason


def test_box_sides_follow_genevals_margins() -> None:
    b = np.array([[0.0, 0.0, 10.0, 10.0]])
    beside, below = np.array([1.0, 0, 1, 0]), np.array([0.0, 1, 0, 1])
    # Centres 3 apart, margin .1 * (10 + 10) = 2: (3 - 2) / 3 = 1/3 is no side; 5 apart: (5 - 2) / 5 = .6 is one.
    assert left_right.box_sides(b - beside * 3, b).tolist() == [0.0]
    assert left_right.box_sides(b - beside * 5, b).tolist() == [-1.0]
    assert left_right.box_sides(b + beside * 5, b).tolist() == [1.0]
    # Far below rather than beside.
    assert left_right.box_sides(b + beside * 5 + below * 40, b).tolist() == [0.0]


def test_agreed_wants_four_fifths() -> None:
    assert left_right.agreed(np.array([1.0, 1, 1, 1, -1]), "it") == (1, 0.8)
    with pytest.raises(UnjudgeableError):
        left_right.agreed(np.array([1.0, 1, 1, -1]), "it")
    with pytest.raises(UnjudgeableError):
        left_right.agreed(np.array([1.0, 1]), "it")
