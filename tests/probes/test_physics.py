"""The physics probes reward the law, in words and picture, and notice what breaks it."""

from dataclasses import replace

import numpy as np
import pytest

from sora_eval.generator.simulator import Control, Oracle, Violation, true_video
from sora_eval.probes.base import PROFILES, Probe
from sora_eval.probes.physics import Collision, FreeFallBounce, Projectile, Ramp, Topple, TwoDrops
from sora_eval.probes.trajectories import hinge
from sora_eval.tracking.world import track
from sora_eval.types import Video
from sora_eval.validity import scores

ALL: tuple[Probe, ...] = (FreeFallBounce(), TwoDrops(), Projectile(), Collision(), Ramp(), Topple())
SMALL = PROFILES["small"]
by_name = pytest.mark.parametrize("probe", ALL, ids=lambda p: p.name)


@by_name
def test_truth_scores_one_on_both_twins(probe: Probe) -> None:
    cases = probe.cases(2, SMALL, "t2v")
    assert [s.value for s in scores(probe, cases, Oracle())] == pytest.approx([1, 1], abs=0.03)


@by_name
def test_violations_score_low(probe: Probe) -> None:
    case = probe.cases(1, SMALL, "t2v")
    for violation in probe.violations:
        (score,) = scores(probe, case, Violation(violation))
        assert (score.value or 0) < 0.3, violation


@by_name
@pytest.mark.parametrize("control", ["frozen", "reversed", "mirrored"])
def test_spoilt_clips_score_nothing(probe: Probe, control: str) -> None:
    (score,) = scores(probe, probe.cases(1, SMALL, "t2v"), Control(control))
    assert (score.value or 0) < 0.1


@by_name
def test_mirrored_clip_answers_the_mirrored_prompt(probe: Probe) -> None:
    case, twin = probe.cases(2, SMALL, "t2v")
    clip = true_video(case)
    flipped = Video(clip.frames[:, :, ::-1].copy(), clip.fps)
    value = probe.score(twin, flipped, track(flipped)).value
    assert value == pytest.approx(probe.score(case, clip, track(clip)).value, abs=0.03)


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
