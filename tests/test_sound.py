"""Sound at the moment of contact, by the way of a clip of a folder: thuds of the true contacts fit, late ones, silence and noise don't."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.generator.folder import Folder
from sora_eval.generator.simulator import Violation, true_video
from sora_eval.probes.base import UnjudgeableError
from sora_eval.scoring import score_of
from sora_eval.tracking.world import WorldTracker
from sora_eval.types import Audio, Case, Profile, Score, Video
from sora_eval.video import write_h264
from sora_eval.video.audio import write_with_audio
from sora_eval.world import frame_times, physics, scene_of
from sora_eval.world.sound import contact_times, thuds

SMALL = Profile("small", 64, 64, 17, 8, 5)


PROBES = ("free_fall_bounce", "two_drops", "collision", "topple", "shatter", "knocked_wall")
FIRST = {"two_drops": 2}
"""How many contacts are measured; one where it isn't said."""


def _case(name: str = "free_fall_bounce", profile: Profile = SMALL) -> Case:
    return registry.probe(name).cases(1, profile, "t2v", 3)[0]


def _contacts(case: Case) -> tuple[float, ...]:
    times = frame_times(case.frames, case.fps)
    return contact_times(physics.simulate(scene_of(case.scene, float(times[-1])), times))


def _measured(name: str) -> tuple[float, ...]:
    """Return the true contacts that the probe of a name measures."""
    return _contacts(_case(name))[: FIRST.get(name, 1)]


def _scored(
    folder: Path, case: Case, audio: Audio | None, fps: float | None = None, clip_fps: float | None = None
) -> Score:
    """fps: the rate that the manifest gives. clip_fps: another rate at which the true frames are shown."""
    video = true_video(case)
    video = Video(video.frames, clip_fps or video.fps)
    path = folder / ("a.mkv" if audio else "a.mp4")
    if audio is None:
        write_h264(path, video, crf=1)
    else:
        write_with_audio(path, video, audio)
    rate = ("", "") if fps is None else (",fps", f",{fps}")
    (folder / "manifest.csv").write_text(f"case_id,path{rate[0]}\n{case.id},{path.name}{rate[1]}\n")
    (made,) = Folder(folder, requested=[case]).generate([case])
    assert isinstance(made, Video)
    return score_of(case, made, WorldTracker(), registry.probe(case.probe))


@pytest.mark.parametrize("name", PROBES)
def test_thuds_at_the_true_contacts_fit(tmp_path: Path, name: str) -> None:
    case = _case(name)
    score = _scored(tmp_path, case, thuds(_contacts(case), 2.125))
    assert (score.value or 0) >= 0.97
    assert (score.components["sound_recall"], score.components["sound_precision"], score.components["sound_f1"]) == (
        1,
        1,
        1,
    )
    assert abs(score.components["sound_offset_s"]) < 0.04


@pytest.mark.parametrize("name", PROBES[1:])
def test_thuds_three_frames_late_do_not(tmp_path: Path, name: str) -> None:
    # At 8 frames a second the late sound of the first of two drops would be that of the second one.
    case = _case(name, Profile("smooth", 64, 64, 33, 16, 5))
    late = [t + 3 / case.fps for t in _measured(name)]
    components = _scored(tmp_path, case, thuds(late, 2.5)).components
    assert components["sound_recall"] == components["sound_f1"] == 0


@pytest.mark.parametrize("name", PROBES)
def test_the_contact_is_that_of_the_clip_not_that_of_the_truth(tmp_path: Path, name: str) -> None:
    case, fps = _case(name), 16.0
    earlier = [t * case.fps / fps for t in _measured(name)]
    fits = _scored(tmp_path, case, thuds(earlier, 1.4), clip_fps=fps)
    true = _scored(tmp_path, case, thuds(_measured(name), 1.4), clip_fps=fps)
    assert fits.components["sound_recall"] == 1
    assert true.components["sound_recall"] == 0


@pytest.mark.parametrize("name", PROBES)
@pytest.mark.parametrize("size", [(64, 64), (80, 144)])
@pytest.mark.parametrize("fps", [8, 16])
def test_a_contact_is_measured_within_a_third_of_a_frame(name: str, size: tuple[int, int], fps: int) -> None:
    profile = Profile("measured", *size, 2 * fps + 1, fps, 5)
    probe = registry.probe(name)
    for case in probe.cases(2, profile, "t2v", 7):
        measured = probe.contacts(case, WorldTracker().track(true_video(case), case))
        true = _contacts(case)[: FIRST.get(name, 1)]
        assert measured == pytest.approx(true, abs=0.34 / fps)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("collision", "passes_through"),
        ("topple", "passes_through"),
        ("shatter", "effect_before_cause"),
        ("shatter", "never_happens"),
        ("two_drops", "hovering"),
    ],
)
def test_without_a_contact_in_the_picture_there_is_none(name: str, fault: str) -> None:
    case, probe = _case(name), registry.probe(name)
    (video,) = Violation(fault).generate([case])
    assert isinstance(video, Video)
    with pytest.raises(UnjudgeableError):
        probe.contacts(case, WorldTracker().track(video, case))


@pytest.mark.parametrize("late_s", [-0.3, 0.3])
def test_thuds_at_other_times_do_not(tmp_path: Path, late_s: float) -> None:
    case = _case()
    first = _contacts(case)[0]
    score = _scored(tmp_path, case, thuds([first + late_s], 2.125))
    assert score.components["sound_recall"] == score.components["sound_f1"] == 0
    # One after the contact is beyond what is looked at.
    assert ("sound_precision" in score.components) is (late_s < 0)


@pytest.mark.parametrize("name", PROBES)
@pytest.mark.parametrize("level", [0.0, 0.2])
def test_silence_and_constant_noise_have_no_sound_at_the_contact(tmp_path: Path, level: float, name: str) -> None:
    noise = level * np.random.default_rng(0).normal(size=34_000)
    score = _scored(tmp_path, _case(name), Audio(noise.clip(-1, 1).astype(np.float32), 16_000.0))
    assert (score.components["sound_recall"], score.components["sound_f1"]) == (0, 0)
    assert "sound_precision" not in score.components


@pytest.mark.parametrize("name", PROBES)
def test_a_sound_every_tenth_of_a_second_has_a_low_precision(tmp_path: Path, name: str) -> None:
    score = _scored(tmp_path, _case(name), thuds(np.arange(0.1, 2.0, 0.1).tolist(), 2.125))
    assert score.components["sound_recall"] == 1
    assert score.components["sound_precision"] <= 0.3


def test_what_sounds_after_the_last_contact_counts_neither_way(tmp_path: Path) -> None:
    case = _case("shatter")
    (broken,) = _measured("shatter")
    score = _scored(tmp_path, case, thuds([broken, broken + 0.1, broken + 0.5], 2.125))
    assert score.components["sound_precision"] == score.components["sound_recall"] == 1


def test_without_a_track_or_a_contact_or_times_nothing_is_measured(tmp_path: Path) -> None:
    case = _case()
    silent = _scored(tmp_path, case, None)
    assert (silent.value or 0) >= 0.97
    assert not any(name.startswith("sound") for name in silent.components)
    other = _case("relation")
    assert not any(name.startswith("sound") for name in _scored(tmp_path, other, thuds([0.5], 2.0)).components)
    # A rate that the manifest gives is not the rate of the sound.
    audio = thuds(_contacts(case), 2.125)
    assert not any(name.startswith("sound") for name in _scored(tmp_path, case, audio, 8.0).components)


def test_the_world_has_contacts_of_bounces_and_of_what_breaks() -> None:
    for name in ("free_fall_bounce", "collision", "shatter"):
        contacts = _contacts(_case(name))
        assert contacts
        assert list(contacts) == sorted(contacts)
        assert contacts[0] > 0.1
