from dataclasses import replace

import numpy as np
import pytest

from sora_eval.metrics.mot import BoxTracks, clear_mot, identity_f1
from sora_eval.tracking.world import track
from sora_eval.types import Video
from sora_eval.video import compress
from sora_eval.world import clip
from sora_eval.world.families import family


def _clip(name, seed=1, size=(64, 64), **fixed):
    params = replace(family(name).sample(np.random.default_rng(seed)), **fixed)
    return clip(family(name).build(params, 2.0), size, 8, 17, full_truth=True)


def _noisy(video):
    rng = np.random.default_rng(0)
    return Video(np.clip(video.frames + rng.normal(0, 10, video.frames.shape), 0, 255).astype(np.uint8), video.fps)


def _blurred(video):
    import cv2

    return Video(np.array([cv2.GaussianBlur(f, (0, 0), 0.8) for f in video.frames]), video.fps)


SPOILERS = {"clean": lambda v: v, "noisy": _noisy, "blurred": _blurred, "crf 28": lambda v: compress(v, 28)}


@pytest.mark.parametrize("spoilt", sorted(SPOILERS))
@pytest.mark.parametrize("seed", [1, 2])
def test_every_thing_of_a_room_is_found_and_followed(spoilt, seed):
    made = _clip("room", seed, move="truck", to="left")
    tracks = track(SPOILERS[spoilt](made.video))
    for i, body in enumerate(made.scene.bodies):
        found = tracks.of(body.colour)
        assert found, body.colour
        ids = made.truth.ids == i
        errors = []
        for k in range(17):
            ys, xs = np.nonzero(ids[k])
            whole = made.truth.visible[k, i] == 1 and xs.min() > 0 and xs.max() < 63
            if whole and tracks.visible[found[0], k]:
                errors.append(np.hypot(xs.mean() - tracks.xy[found[0], k, 0], ys.mean() - tracks.xy[found[0], k, 1]))
        assert len(errors) >= 8
        assert np.median(errors) < 0.8


def test_the_shrunk_frame_gives_places_in_original_pixels():
    made = _clip("room", 3, (400, 400), move="still", to="still")
    tracks = track(made.video)
    for i, body in enumerate(made.scene.bodies):
        ys, xs = np.nonzero(made.truth.ids[0] == i)
        if made.truth.visible[0, i] == 1:
            assert (
                np.hypot(
                    xs.mean() - tracks.xy[tracks.of(body.colour)[0], 0, 0],
                    ys.mean() - tracks.xy[tracks.of(body.colour)[0], 0, 1],
                )
                < 1.2
            )


def test_an_object_is_the_same_one_after_the_wall():
    made = _clip("pass_behind", 4)
    tracks = track(made.video)
    hero = made.scene.body("hero")
    index = [b.name for b in made.scene.bodies].index("hero")
    truth_ids, truth_boxes, ids, boxes = [], [], [], []
    for k in range(17):
        ys, xs = np.nonzero(made.truth.ids[k] == index)
        seen = len(xs) >= 6
        truth_ids.append(np.array([0] if seen else [], dtype=int))
        truth_boxes.append(
            np.array([[xs.min() - 0.5, ys.min() - 0.5, xs.max() + 0.5, ys.max() + 0.5]] if seen else np.zeros((0, 4)))
        )
        mine = [i for i in tracks.of(hero.colour) if tracks.visible[i, k]]
        ids.append(np.array(mine, dtype=int))
        boxes.append(np.array([tracks.box[i, k] for i in mine]).reshape(-1, 4))
    truth, found = BoxTracks(truth_ids, truth_boxes), BoxTracks(ids, boxes)
    result = clear_mot(truth, found, threshold=0.3)
    assert result.id_switches == 0
    assert result.false_positives <= 1
    assert identity_f1(truth, found, threshold=0.3).idf1 > 0.9


@pytest.mark.parametrize("frames", [np.full((6, 64, 64, 3), 128, np.uint8), np.zeros((6, 64, 64, 3), np.uint8)])
def test_it_says_when_it_finds_nothing(frames):
    assert len(track(Video(frames, 8))) == 0


def test_mirrored_video_gives_mirrored_tracks():
    made = _clip("room", 6, move="truck", to="right")
    a, b = track(made.video), track(Video(made.video.frames[:, :, ::-1].copy(), 8))
    for colour in set(a.colour):
        x, y = a.xy[a.of(colour)[0]], b.xy[b.of(colour)[0]]
        both = a.visible[a.of(colour)[0]] & b.visible[b.of(colour)[0]]
        assert np.allclose(x[both, 0], 63 - y[both, 0], atol=0.05)


SKY, WOOD, VIVID = (110, 150, 184), (180, 140, 108), (60, 90, 220)


def _coloured(made, tint, upper):
    """The clip with its backdrop (or its floor) in a colour."""
    rows = np.arange(made.video.frames.shape[1])[None, :, None]
    bare = (made.truth.ids < 0) & ((rows < 29) if upper else (rows >= 29))
    grey = made.video.frames.mean(axis=-1, keepdims=True) / max(tint) * np.array(tint)
    return Video(np.where(bare[..., None], grey, made.video.frames).clip(0, 255).astype(np.uint8), made.video.fps)


@pytest.mark.parametrize(("tint", "upper"), [(SKY, True), (VIVID, True), (WOOD, False)])
def test_a_coloured_sky_or_floor_is_background(tint, upper):
    made = _clip("pass_behind", 4, colour="red", wall="green")
    tracks = track(_coloured(made, tint, upper))
    assert sorted(tracks.colour) == ["green", "red"]
    plain = track(made.video)
    for colour in ("red", "green"):
        a, b = plain.of(colour)[0], tracks.of(colour)[0]
        both = plain.visible[a] & tracks.visible[b]
        assert both.sum() >= 0.9 * plain.visible[a].sum()
        assert np.abs(plain.xy[a][both] - tracks.xy[b][both]).max() < 1.0


def test_an_object_before_a_pale_sky_of_its_own_hue_is_found():
    made = _clip("pass_behind", 4, colour="cyan", wall="green")
    tracks = track(_coloured(made, SKY, upper=True))
    assert sorted(tracks.colour) == ["cyan", "green"]


def test_a_large_object_at_one_border_is_none_of_the_background():
    frame = np.full((64, 64, 3), 180, np.uint8)
    frame[10:40, :30] = (222, 40, 38)
    assert track(Video(np.array([frame] * 4), 8.0)).colour == ("red",)
