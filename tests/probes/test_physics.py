"""The physics probes reward the law, in words and picture, and notice what breaks it."""

from dataclasses import replace

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.generator.simulator import Control, Oracle, Violation, true_video
from sora_eval.probes.base import Probe
from sora_eval.probes.physics import Collision, FreeFallBounce, Projectile, Ramp, Topple, TwoDrops
from sora_eval.probes.trajectories import hinge, onset
from sora_eval.tracking.world import track
from sora_eval.types import Score, Video
from sora_eval.validity import score_generator
from sora_eval.world import palette

ALL: tuple[Probe, ...] = (FreeFallBounce(), TwoDrops(), Projectile(), Collision(), Ramp(), Topple())
SMALL = registry.profile("small")
by_name = pytest.mark.parametrize("probe", ALL, ids=lambda p: p.name)


@by_name
def test_truth_scores_one_on_both_twins(probe: Probe) -> None:
    cases = probe.cases(2, SMALL, "t2v")
    assert [s.value for s in score_generator(probe, cases, Oracle())] == pytest.approx([1, 1], abs=0.03)


@by_name
def test_violations_score_low(probe: Probe) -> None:
    case = probe.cases(1, SMALL, "t2v")
    for violation in probe.violations:
        (score,) = score_generator(probe, case, Violation(violation))
        assert (score.value or 0) < 0.3, violation


@by_name
@pytest.mark.parametrize("control", ["frozen", "reversed", "mirrored"])
def test_spoilt_clips_score_nothing(probe: Probe, control: str) -> None:
    (score,) = score_generator(probe, probe.cases(1, SMALL, "t2v"), Control(control))
    assert (score.value or 0) < 0.1


@by_name
def test_mirrored_clip_answers_the_mirrored_prompt(probe: Probe) -> None:
    case, twin = probe.cases(2, SMALL, "t2v")
    clip = true_video(case)
    flipped = Video(clip.frames[:, :, ::-1].copy(), clip.fps)
    value = probe.score(twin, flipped, track(flipped)).value
    assert value == pytest.approx(probe.score(case, clip, track(clip)).value, abs=0.03)


@pytest.mark.parametrize("violation", ["gravity", "hovering"])
def test_a_flight_is_as_long_in_a_frame_of_any_width(violation: str) -> None:
    for width in (64, 111):
        case = Projectile().cases(1, replace(SMALL, width=width), "t2v")
        assert [s.value for s in score_generator(Projectile(), case, Oracle())] == pytest.approx([1], abs=0.03)
        (score,) = score_generator(Projectile(), case, Violation(violation))
        assert score.value == pytest.approx(0, abs=0.3)


@pytest.mark.parametrize("probe", [Topple(), Collision()], ids=lambda p: p.name)
def test_a_clip_may_rest_before_it_begins(probe: Probe) -> None:
    for case in probe.cases(2, SMALL, "t2v"):
        clip = true_video(case)
        rests = Video(np.pad(clip.frames, ((6, 0), (0, 0), (0, 0), (0, 0)), mode="edge"), clip.fps)
        assert (probe.score(case, rests, track(rests)).value or 0) >= 0.97


@by_name
def test_five_frames_are_judged_without_a_crash(probe: Probe) -> None:
    case = probe.cases(1, SMALL, "t2v")[0]
    clip = true_video(case)
    short = Video(clip.frames[:5], clip.fps)
    assert (probe.score(case, short, track(short)).value or 0) < 0.5


@pytest.mark.parametrize(("probe", "factor"), [(FreeFallBounce(), 0.5), (Projectile(), 2.0), (Ramp(), 2.0)])
def test_wrong_speed_is_a_wrong_g_although_the_path_is_right(probe: Probe, factor: float) -> None:
    case = probe.cases(1, SMALL, "t2v")[0]
    clip = true_video(case)
    paced = Video(clip.frames, clip.fps * factor)
    score = probe.score(case, paced, track(paced))
    assert score.value == 0
    assert score.components.get("parabola", score.components.get("steady")) == 1


def test_two_drops_need_no_scale_and_no_clock() -> None:
    probe = TwoDrops()
    case = probe.cases(1, SMALL, "t2v")[0]
    clip = true_video(case)
    slow = Video(clip.frames, clip.fps / 2)
    assert probe.score(case, slow, track(slow)).value == pytest.approx(1, abs=0.03)


def test_measured_g_is_near_the_true_one() -> None:
    probe = FreeFallBounce()
    for case in probe.cases(2, replace(SMALL, height=128, width=128), "t2v"):
        clip = true_video(case)
        parts = probe.score(case, clip, track(clip)).components
        assert parts["g_m_per_s2"] == pytest.approx(9.81, rel=0.04)
        assert parts["restitution"] == pytest.approx(case.scene["params"]["restitution"], abs=0.03)


def test_hinge_finds_the_bend() -> None:
    t = np.arange(9) / 4
    found = hinge(t, np.where(t < 0.9, 3 * t, 2.7 + 0.5 * (t - 0.9)))
    assert (found.at, found.before, found.after) == pytest.approx((0.9, 3, 0.5), abs=0.02)


def _made_otherwise(probe: Probe, seed: int = 0, **params: object) -> Score:
    """Return the score of a world that differs from what the prompt says in some parameters."""
    case = probe.cases(1, SMALL, "t2v", seed)[0]
    made = true_video(replace(case, scene={**case.scene, "params": {**case.scene["params"], **params}}))
    return probe.score(case, made, track(made))


@pytest.mark.parametrize(
    ("probe", "params", "reason"),
    [
        (FreeFallBounce(), {"height_m": 2.0}, "diameters above the floor"),
        (TwoDrops(), {"high_m": 3.0, "low_m": 2.0}, "times the height"),
    ],
)
def test_another_height_than_the_prompt_says_is_unjudgeable(
    probe: Probe, params: dict[str, object], reason: str
) -> None:
    score = _made_otherwise(probe, **params)
    assert score.value is None
    assert reason in score.reason


def test_another_angle_than_the_prompt_says_is_unjudgeable() -> None:
    seeds = [s for s in range(12) if "degrees" in Ramp().cases(1, SMALL, "t2v", s)[0].prompt]
    score = _made_otherwise(Ramp(), seeds[0], angle=32)
    assert score.value is None
    assert "falls at 32 degrees" in score.reason


@by_name
def test_a_thing_that_pops_up_is_not_ignored(probe: Probe) -> None:
    case = probe.cases(1, SMALL, "t2v")[0]
    frames = true_video(case).frames.copy()
    named = case.scene["params"].values()
    rgb = next(palette.COLOURS[c] for c in palette.COLOURS if c not in named)
    frames[5:, 2:13, 27:38] = rgb
    spoilt = Video(frames, case.fps)
    score = probe.score(case, spoilt, track(spoilt))
    assert score.components["alone"] == 0
    assert score.value == 0


def _trembling(video: Video, seed: int) -> Video:
    """Return the clip with every frame shifted by -1, 0 or 1 pixels in both directions."""
    height, width = video.size
    by = np.random.default_rng(seed).integers(0, 3, (len(video), 2))
    wide = np.pad(video.frames, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    frames = [f[y : y + height, x : x + width] for f, (y, x) in zip(wide, by, strict=True)]
    return Video(np.array(frames), video.fps)


@pytest.mark.parametrize("probe", [FreeFallBounce(), Projectile(), Ramp(), Topple()], ids=lambda p: p.name)
def test_a_trembling_picture_breaks_no_law(probe: Probe) -> None:
    case = probe.cases(3, SMALL, "t2v")[2]
    clips = [_trembling(true_video(case), seed) for seed in range(4)]
    assert np.mean([probe.score(case, v, track(v)).value or 0 for v in clips]) > 0.8


def test_onset_needs_two_samples_in_a_row() -> None:
    t = np.arange(8) / 8
    moved = np.array([0, 0.07, 0, 0.02, 0.06, 0.2, 0.4, 0.6])
    assert onset(t, moved, moved > 0.05) == pytest.approx(t[4] - 0.06 / 0.14 / 8)
    assert onset(t, moved, np.arange(8) % 2 == 0) is None
