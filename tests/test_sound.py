"""Sound at the moment of contact, by the way of a clip of a folder: thuds of the true contacts fit, late ones, silence and noise don't."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.generator.folder import Folder
from sora_eval.generator.simulator import true_video
from sora_eval.scoring import score_of
from sora_eval.tracking.world import WorldTracker
from sora_eval.types import Audio, Case, Profile, Score, Video
from sora_eval.video import write_h264
from sora_eval.video.audio import write_with_audio
from sora_eval.world import frame_times, physics, scene_of
from sora_eval.world.sound import contact_times, thuds

SMALL = Profile("small", 64, 64, 17, 8, 5)


def _case(name: str = "free_fall_bounce") -> Case:
    return registry.probe(name).cases(1, SMALL, "t2v", 3)[0]


def _contacts(case: Case) -> tuple[float, ...]:
    times = frame_times(case.frames, case.fps)
    return contact_times(physics.simulate(scene_of(case.scene, float(times[-1])), times))


def _scored(folder: Path, case: Case, audio: Audio | None, fps: float | None = None) -> Score:
    video = true_video(case)
    path = folder / ("a.mkv" if audio else "a.mp4")
    if audio is None:
        write_h264(path, video, crf=1)
    else:
        write_with_audio(path, video, audio)
    rate = ("", "") if fps is None else (",fps", f",{fps}")
    (folder / "manifest.csv").write_text(f"case_id,path{rate[0]}\n{case.id},{path.name}{rate[1]}\n")
    (clip,) = Folder(folder, requested=[case]).generate([case])
    assert isinstance(clip, Video)
    return score_of(case, clip, WorldTracker(), registry.probe(case.probe))


def test_thuds_at_the_true_contacts_fit(tmp_path: Path) -> None:
    case = _case()
    score = _scored(tmp_path, case, thuds(_contacts(case), 2.125))
    assert (score.value or 0) >= 0.97
    assert (score.components["sound_recall"], score.components["sound_precision"], score.components["sound_f1"]) == (
        1,
        1,
        1,
    )
    assert abs(score.components["sound_offset_s"]) < 0.04


@pytest.mark.parametrize("late_s", [-0.3, 0.3])
def test_thuds_at_other_times_do_not(tmp_path: Path, late_s: float) -> None:
    case = _case()
    first = _contacts(case)[0]
    score = _scored(tmp_path, case, thuds([first + late_s], 2.125))
    assert score.components["sound_recall"] == score.components["sound_f1"] == 0
    # One after the contact is beyond what is looked at.
    assert ("sound_precision" in score.components) is (late_s < 0)


@pytest.mark.parametrize("level", [0.0, 0.2])
def test_silence_and_constant_noise_have_no_sound_at_the_contact(tmp_path: Path, level: float) -> None:
    noise = level * np.random.default_rng(0).normal(size=34_000)
    score = _scored(tmp_path, _case(), Audio(noise.clip(-1, 1).astype(np.float32), 16_000.0))
    assert (score.components["sound_recall"], score.components["sound_f1"]) == (0, 0)
    assert "sound_precision" not in score.components


def test_a_sound_every_tenth_of_a_second_has_a_low_precision(tmp_path: Path) -> None:
    score = _scored(tmp_path, _case(), thuds(np.arange(0.1, 2.0, 0.1).tolist(), 2.125))
    assert score.components["sound_recall"] == 1
    assert score.components["sound_precision"] < 0.3


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
