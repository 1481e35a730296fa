import json
from dataclasses import replace

import numpy as np
import pytest
from alignment.changes import ASPECTS, CHANGES, crop, letterbox, pad, shift, stretch, zoom

from sora_eval import registry
from sora_eval.alignment.align import align, in_clip, true_in_clip, windowed
from sora_eval.evaluation import Loop
from sora_eval.generator.simulator import Control, Violation, true_video
from sora_eval.tracking.truth import true_tracks
from sora_eval.tracking.world import WorldTracker, track
from sora_eval.types import Alignment, Profile, Video, Window
from sora_eval.world import conditioning

KINDS = {
    "none": "identity", "crop": "crop", "pad": "pad", "letterbox": "letterbox", "shift": "shift", "zoom": "zoom", "resize": "resize",
}  # fmt: skip


def case_of(probe, aspect="16:9", mode="i2v"):
    height, width = ASPECTS[aspect]
    return registry.probe(probe).cases(1, Profile("x", height, width, 17, 8, 5), mode)[0]


def loop(tmp_path, *probes):
    return Loop(tmp_path, {p: registry.probe(p) for p in probes}, WorldTracker())


class Model:
    name, kind = "model", "model"

    def fingerprint(self, case):
        return "model"


@pytest.mark.parametrize("aspect", ASPECTS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_clip_of_the_oracle_keeps_its_score(change, aspect, tmp_path):
    for probe, mode in (("relation", "i2v"), ("collision", "v2v")):
        case = case_of(probe, aspect, mode)
        score = loop(tmp_path, probe).judged(Model(), case, CHANGES[change](true_video(case)))
        assert score.alignment.kind == KINDS[change]
        assert score.value >= 0.97


def test_a_clip_that_fits_is_judged_as_it_is():
    case = case_of("orbit")
    video = true_video(case)
    aligned = align(case, video)
    assert aligned.video is video
    assert aligned.case is case
    assert aligned.alignment.kind == "identity"
    assert aligned.alignment.residual == 0


def test_twice_the_size_and_a_little_noise_are_no_change_of_geometry():
    case = case_of("orbit")
    large = np.kron(true_video(case).frames, np.ones((1, 2, 2, 1), np.uint8))
    noisy = (large + np.random.default_rng(0).normal(0, 3, large.shape)).clip(0, 255).astype(np.uint8)
    video = Video(noisy, case.fps)
    aligned = align(case, video)
    assert aligned.video is video
    assert aligned.case is case


def test_padding_is_cut_to_the_pixels_that_were_padded():
    case = case_of("orbit")
    video = true_video(case)
    for changed in (pad(video), letterbox(video, (case.size[0] + 40, case.size[1]))):
        aligned = align(case, changed)
        assert np.array_equal(aligned.video.frames, video.frames)
        assert aligned.case is case


@pytest.mark.parametrize(
    ("change", "box"),
    [
        (lambda v: crop(v, 0.25), (14, 0, 98, 64)),
        (lambda v: crop(v, 0.25, (0, 0)), (0, 0, 84, 64)),
        (zoom, (5.09, 2.91, 106.91, 61.09)),
        (shift, (0, 0, 107.52, 61.44)),
        (stretch, (0, 0, 112, 64)),
    ],
)
def test_the_window_is_where_it_was_cut(change, box):
    case = case_of("truck")
    assert align(case, change(true_video(case))).alignment.given.box == pytest.approx(box, abs=0.8)


def test_a_stretched_clip_gets_its_aspect_back():
    case = case_of("truck")
    aligned = align(case, stretch(true_video(case), 1.5))
    assert aligned.video.size == (96, 168)
    narrow = align(case, stretch(true_video(case), 0.7))
    assert narrow.video.size[1] / narrow.video.size[0] == pytest.approx(112 / 64, rel=0.02)


def test_true_frames_and_tracks_are_those_of_the_window():
    case = case_of("orbit")
    cut = windowed(
        case, Alignment("crop", Window((54, 90), (0, 0, 90, 54)), Window(case.size, (10, 5, 100, 59)), (54, 90), 0)
    )
    assert cut.size == (54, 90)
    off = conditioning(cut)[0].astype(int) - conditioning(case)[0][5:59, 10:100]
    # Edges are sampled twice as densely from the corner of the frame on, which is another one.
    assert np.abs(off).mean() < 0.5
    whole, part = true_tracks(case), true_tracks(cut)
    both = whole.visible & part.visible
    inside = both & (np.array([[10, 0]]) < whole.xy).all(axis=-1)
    assert inside.any()
    moved = np.nanmedian((whole.xy - part.xy)[inside], axis=0)
    assert moved == pytest.approx([10, 5], abs=0.2)


@pytest.mark.parametrize("control", ["other", "mirrored", "noise", "blank"])
def test_what_does_not_begin_with_the_given_frames_is_refused_with_a_remedy(control, tmp_path):
    for probe in ("ramp", "covered"):
        case = case_of(probe)
        (video,) = Control(control).generate([case])
        for change in (lambda v: v, pad, crop):
            score = loop(tmp_path, probe).judged(Model(), case, change(video))
            assert score.value is None
            assert score.alignment is None
            assert "the given frames were not kept" in score.reason
            assert "profile.width" in score.reason


def test_another_probes_scene_is_refused(tmp_path):
    case = case_of("hands")
    score = loop(tmp_path, "hands").judged(Model(), case, zoom(true_video(case_of("bite"))))
    assert score.value is None


@pytest.mark.parametrize("change", ["crop", "letterbox", "shift"])
def test_a_fault_is_a_fault_in_any_geometry(change, tmp_path):
    case = case_of("pass_behind", mode="v2v")
    for generator in (Control("frozen"), Violation("vanishes"), Violation("teleports")):
        (video,) = generator.generate([case])
        plain = loop(tmp_path, "pass_behind").judged(Model(), case, video)
        changed = loop(tmp_path, "pass_behind").judged(Model(), case, CHANGES[change](video))
        assert (changed.value or 0) <= (plain.value or 0) + 0.03


def test_what_a_window_leaves_out_is_not_judged_rather_than_wrong(tmp_path):
    case = case_of("relation")
    video = true_video(case)
    tracks = track(video)
    # One of the two things lies outside.
    left = float(np.nanmin(tracks.box[..., 2][:, 0]))
    share = (left + 2) / case.size[1]
    assert share < 0.6
    score = loop(tmp_path, "relation").judged(Model(), case, crop(video, share, (1.0, 0.5)))
    assert score.value is None
    assert "the true clip can't be judged" in score.reason


def test_bars_of_a_clip_without_given_frames_are_cut_off():
    case = case_of("relation", mode="t2v")
    video = true_video(case)
    assert align(case, video).alignment is None
    boxed = letterbox(video, (case.size[0] + 40, case.size[1]))
    aligned = align(case, boxed)
    assert np.array_equal(aligned.video.frames, video.frames)
    assert aligned.case is case
    assert aligned.alignment.given is None


def test_no_true_clip_has_bars():
    for probe in ("relation", "candle", "orbit", "free_fall_bounce", "two_shots", "bite"):
        for aspect in ("16:9", "9:16"):
            case = case_of(probe, aspect, "t2v")
            assert align(case, true_video(case)).alignment is None


def test_tracks_are_drawn_where_the_clip_shows_them():
    case = case_of("relation")
    video = true_video(case)
    aligned = align(case, pad(video))
    tracks = track(aligned.video)
    drawn, truth = in_clip(tracks, aligned.alignment), true_in_clip(track(video), aligned.alignment)
    x, y = aligned.alignment.part.box[:2]
    assert drawn.size == truth.size == pad(video).size
    assert np.allclose(drawn.xy, tracks.xy + [x, y], equal_nan=True)
    assert np.allclose(drawn.xy, truth.xy, equal_nan=True)


def test_an_alignment_survives_json_and_a_wrong_one_is_refused():
    from dataclasses import asdict

    alignment = Alignment(
        "crop", Window((54, 90), (0, 0, 90, 54)), Window((64, 112), (10.5, 5, 100, 59)), (54, 90), 0.01
    )
    values = json.loads(json.dumps(asdict(alignment)))
    again = Alignment.from_json(values)
    assert again == replace(alignment, part=again.part)
    for wrong in ({**values, "kind": "bent"}, {**values, "part": {"frame": [1, 1], "box": [0, 0, 0, 1]}}):
        with pytest.raises(ValueError, match=r"kind|empty"):
            Alignment.from_json(wrong)
