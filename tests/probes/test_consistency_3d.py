from dataclasses import replace

import cv2
import numpy as np
import pytest

from sora_eval.generator.simulator import Control, Violation, true_video
from sora_eval.probes.consistency_3d import Dolly, Orbit, Revisit, Truck, flicker, staying
from sora_eval.tracking.world import track
from sora_eval.types import Profile, Video
from sora_eval.world.families.room import RoomParams
from sora_eval.world.palette import COLOURS

SMALL = Profile("small", 64, 64, 17, 8, 5)
PROBES = [Orbit(), Dolly(), Truck(), Revisit()]


def _score(probe, case, video):
    return probe.score(case, video, track(video))


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: p.name)
def test_the_truth_scores_full_in_both_directions(probe):
    for case in probe.cases(2, SMALL, "t2v", seed=1):
        assert _score(probe, case, true_video(case)).value >= 0.97


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: p.name)
def test_a_frozen_clip_earns_nothing_and_says_why(probe):
    case = probe.cases(1, SMALL, "t2v", seed=1)[0]
    score = _score(probe, case, next(Control("frozen").generate([case])))
    assert score.value is None
    assert "camera did not" in score.reason


@pytest.mark.parametrize("fault", Orbit.violations)
def test_scores_fall_as_the_fault_grows(fault):
    case = Orbit().cases(1, SMALL, "t2v", seed=2)[0]
    found = [_score(Orbit(), case, next(Violation(fault, s).generate([case]))).value or 0.0 for s in (0.0, 0.5, 1.0)]
    assert found[0] >= 0.97
    # Half-way to another colour is still the same hue.
    assert found[0] >= found[1] >= found[2] if fault == "changes_colour" else found[0] > found[1] >= found[2]
    assert found[2] < 0.7


@pytest.mark.parametrize("fault", ["vanishes", "changes_colour", "appears_from_nowhere"])
def test_what_changes_while_nobody_looks_is_noticed_on_the_return(fault):
    case = Revisit().cases(1, SMALL, "t2v", seed=2)[0]
    assert _score(Revisit(), case, next(Violation(fault, 1.0).generate([case]))).value < 0.5


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: p.name)
def test_surroundings_are_no_further_objects(probe):
    case = probe.cases(1, SMALL, "t2v", seed=1)[0]
    video = true_video(case)
    true_tracks = track(video)
    free = next(c for c in COLOURS if c not in true_tracks.colour and c not in case.prompt)

    def more(values, last):
        return np.concatenate([values, np.broadcast_to(last, (1, *values.shape[1:])).astype(values.dtype)])

    for surroundings in (True, False):
        tracks = replace(
            true_tracks,
            colour=(*true_tracks.colour, free),
            xy=more(true_tracks.xy, [30.0, 8.0]),
            visible=more(true_tracks.visible, True),
            area=more(true_tracks.area, 60.0),
            box=more(true_tracks.box, [26.0, 4.0, 34.0, 12.0]),
            shape={name: more(values, 1.0) for name, values in true_tracks.shape.items()},
            ground=np.append(true_tracks.ground, surroundings),
        )
        value = probe.score(case, video, tracks).value
        assert value >= 0.97 if surroundings else value < 0.5


@pytest.mark.parametrize("probe", [Orbit(), Truck(), Revisit()], ids=lambda p: p.name)
def test_the_mirrored_clip_answers_the_twin(probe):
    case, twin = probe.cases(2, SMALL, "t2v", seed=3)
    video = true_video(case)
    flipped = Video(video.frames[:, :, ::-1].copy(), video.fps)
    assert _score(probe, case, flipped).value is None
    assert _score(probe, twin, flipped).value >= 0.97


def test_a_pan_is_no_truck():
    from sora_eval.world import clip, scene_of

    case = Truck().cases(1, SMALL, "t2v", seed=1)[0]
    params = {**case.scene["params"], "move": "pan"}
    video = clip(scene_of({"family": "room", "params": params}, 2.0), (64, 64), 8, 17).video
    assert _score(Truck(), case, video).value is None


def test_another_models_layout_is_as_good():
    # The camera of another model stands elsewhere and sees under another angle: only the move is asked for.
    from dataclasses import replace

    from sora_eval.world import clip, scene_of

    case = Orbit().cases(1, SMALL, "t2v", seed=4)[0]
    scene = scene_of(case.scene, 2.0)
    path = scene.camera
    other = replace(scene, camera=replace(path, eye=path.eye * [1.12, 1.12, 1.3], fov=path.fov * 1.05))
    assert _score(Orbit(), case, clip(other, (64, 64), 8, 17).video).value >= 0.9


def _zoomed(frame, k):
    turn = cv2.getRotationMatrix2D((31.5, 31.5), 0, 1 + 0.3 * k / 16)
    return cv2.warpAffine(frame, turn, (64, 64), borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("probe", [Dolly(), Truck(), Orbit()], ids=lambda p: p.name)
def test_a_flat_picture_that_is_zoomed_or_slid_earns_nothing(probe):
    for case in probe.cases(4, SMALL, "t2v", seed=5):
        first = true_video(case).frames[0]
        zoomed = np.array([_zoomed(first, k) for k in range(17)])
        slid = np.array([np.roll(first, round(0.16 * 64 * k / 16), 1) for k in range(17)])
        for frames in (zoomed, zoomed[::-1].copy(), slid, slid[:, :, ::-1].copy()):
            assert _score(probe, case, Video(frames, 8)).value in (None, 0)


@pytest.mark.parametrize("probe", [Dolly(), Truck(), Orbit()], ids=lambda p: p.name)
def test_a_shaking_camera_is_no_fault_of_the_scene(probe):
    rng = np.random.default_rng(0)
    for case in probe.cases(2, SMALL, "t2v", seed=6):
        shaken = np.array([np.roll(f, tuple(rng.integers(-1, 2, 2)), (0, 1)) for f in true_video(case).frames])
        assert _score(probe, case, Video(shaken, 8)).value > 0.8


def test_a_rest_before_and_after_the_move_does_no_harm():
    case = Orbit().cases(1, SMALL, "t2v", seed=7)[0]
    frames = true_video(case).frames
    rested = np.concatenate([np.repeat(frames[:1], 12, 0), frames, np.repeat(frames[-1:], 20, 0)])
    assert _score(Orbit(), case, Video(rested, 8)).value >= 0.97


def test_what_was_seen_only_before_the_move_is_judged_too():
    # A track of which no frame is left once the rests are cut off: here a red thing that is gone when the camera starts.
    case = Dolly().cases(1, SMALL, "t2v", seed=7)[0]
    tracks = track(true_video(case))
    whole = staying(RoomParams.of(case), tracks)
    gone = replace(tracks, visible=np.zeros_like(tracks.visible))
    more = replace(
        tracks,
        colour=(*tracks.colour, *gone.colour),
        **{k: np.concatenate([getattr(tracks, k), getattr(gone, k)]) for k in ("xy", "visible", "area", "box")},
        shape={k: np.concatenate([v, v]) for k, v in tracks.shape.items()},
    )
    assert staying(RoomParams.of(case), more) == whole == 1
    assert staying(RoomParams.of(case), gone) == 0


def test_flicker_is_the_noise_and_no_motion():
    case = Truck().cases(1, SMALL, "t2v", seed=1)[0]
    video = true_video(case)
    rng = np.random.default_rng(0)
    noisy = Video(np.clip(video.frames + rng.normal(0, 12, video.frames.shape), 0, 255).astype(np.uint8), 8)
    assert flicker(video) < 0.5
    # Three independent channels average to 1/sqrt(3); the median of a normal's absolute value is 0.6745 of its deviation.
    assert flicker(noisy) == pytest.approx(0.6745 * 12 / np.sqrt(3), rel=0.15)
