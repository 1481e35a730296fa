import numpy as np
import pytest

from sora_eval import registry
from sora_eval.generator.simulator import Control, true_video
from sora_eval.probes.base import likeness
from sora_eval.tracking.world import track
from sora_eval.types import Case, Profile, Video

SMALL = Profile("small", 64, 64, 17, 8, 5)
PROBES = [registry.probe(name) for name in registry.probe_names(optional=True)]


@pytest.fixture(params=PROBES, ids=lambda p: p.name)
def probe(request):
    return request.param


def test_the_same_seed_gives_the_same_cases_and_another_gives_others(probe):
    first, again, other = (probe.cases(4, SMALL, "t2v", seed) for seed in (0, 0, 1))
    assert first == again
    assert [c.scene for c in first] != [c.scene for c in other]


def test_cases_survive_json(probe):
    import json

    for case in probe.cases(2, SMALL, "v2v"):
        assert Case.from_json(json.loads(json.dumps(case.to_json()))) == case


def test_twins_name_each_other_and_share_a_cluster(probe):
    a, b = probe.cases(2, SMALL, "t2v")
    assert (a.twin, b.twin) == (b.id, a.id)
    assert a.cluster == b.cluster


def test_a_case_does_not_depend_on_how_many_there_are(probe):
    assert probe.cases(2, SMALL, "t2v") == probe.cases(6, SMALL, "t2v")[:2]


def test_prompts_are_sentences(probe):
    for case in probe.cases(6, SMALL, "t2v"):
        assert case.prompt[0].isupper(), case.prompt
        assert case.prompt.endswith("."), case.prompt
        for vowel in "aeio":
            assert f" a {vowel}" not in f" {case.prompt.lower()}", case.prompt


@pytest.mark.filterwarnings("error")
def test_no_clip_makes_it_stumble(probe):
    case = probe.cases(1, SMALL, "t2v")[0]
    true = true_video(case).frames
    rng = np.random.default_rng(0)
    clips = {
        "noise": rng.integers(0, 256, true.shape, dtype=np.uint8),
        "black": np.zeros_like(true),
        "five frames": true[:5],
        "one frame": true[:1],
        "tiny": true[:, ::8, ::8],
        "wide": np.repeat(true, 3, axis=2),
        "flickering": np.where(np.arange(len(true))[:, None, None, None] % 2, true, 0).astype(np.uint8),
        "cut off": true[:, :, :24],
        "upside down": true[:, ::-1],
    }
    for name, frames in clips.items():
        video = Video(np.ascontiguousarray(frames), 8)
        score = probe.score(case, video, track(video))
        assert score.reason or 0 <= score.value <= 1, name
    assert probe.score(case, Video(true[:1], 8), track(Video(true[:1], 8))).reason.startswith("the clip has 1 frames")


def test_given_frames_must_be_kept():
    probe = registry.probe("pass_behind")
    case = probe.cases(1, SMALL, "i2v")[0]
    other = next(Control("other").generate([case]))
    assert probe.score(case, other, track(other)).reason.startswith("the given frames were not kept")


def test_likeness_sees_colour_and_place_but_not_brightness():
    image = true_video(registry.probe("pass_behind").cases(1, SMALL, "t2v")[0]).frames[0]
    assert likeness(image, image) == pytest.approx(1)
    assert likeness(image, (image * 0.8).astype(np.uint8)) > 0.98
    assert likeness(image, image[:, ::-1]) < 0.8
    assert likeness(image, image[..., ::-1]) < 0.8


def test_the_true_continuation_overlays_itself_and_a_frozen_one_does_not():
    probe = registry.probe("projectile")
    case = probe.cases(1, SMALL, "v2v")[0]
    true = true_video(case)
    parts = probe.score(case, true, track(true)).components
    assert parts["motion_spatial_iou"] == parts["motion_spatiotemporal_iou"] == 1
    assert parts["true_clip_mse"] == 0
    from sora_eval.probes.base import continuation

    frozen = next(Control("frozen").generate([case]))
    assert continuation(case, frozen)["motion_spatiotemporal_iou"] == 0
