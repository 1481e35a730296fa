"""Long takes: a right clip scores full, each fault costs its own component, and what may be the tracker's fault is not judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest

from sora_eval import registry
from sora_eval.generator.simulator import Violation, true_video
from sora_eval.probes.natural import probe_for
from sora_eval.probes.natural.expectations import to_json
from sora_eval.probes.natural.takes import LongTake
from sora_eval.reporting.report.score_components import score_components
from sora_eval.tracking.drift import look_curves
from sora_eval.tracking.labelled import labelled_tracks
from sora_eval.tracking.truth import true_tracks
from sora_eval.types import Case, Finding, Floats, Profile, Score, Tracks, Video
from sora_eval.world.looks import LookOptions

FPS, LENGTH_S, SIDE = 8, 10, 96
PROFILE = Profile("natural", SIDE, SIDE, LENGTH_S * FPS + 1, FPS, 5)
LOOKS = ["studio", "indoor", "outdoor"]
PARTS = ("there", "same_number", "no_cut", "no_freeze", "no_loop", "colour", "sharp")
T = PROFILE.frames
ONE_DOG = LongTake("dog", 1, LENGTH_S)


@cache
def _case(look: str, seed: int = 1) -> Case:
    """A camera that looks about, so that the picture moves everywhere."""
    return registry.probe("slow_look").cases(1, PROFILE, "t2v", seed, LookOptions(look), lengths_s=(LENGTH_S,))[0]


@cache
def _clip(look: str, seed: int = 1) -> tuple[Video, Floats]:
    """A true clip and the boxes [N, T, 4] of its things."""
    case = _case(look, seed)
    found = true_tracks(case).boxes
    boxes = np.full((1 + max(int(i) for ids in found.ids for i in ids), T, 4), np.nan)
    for k, (ids, own) in enumerate(zip(found.ids, found.boxes, strict=True)):
        boxes[list(ids), k] = own
    return true_video(case), boxes


def _tracks(boxes: Floats, cut: str = "no", labels: tuple[str, ...] = ("dog",)) -> Tracks:
    """What a detector would find; cut: the natural tracker's answer, "" for an abstention, "none" for a tracker without that question."""
    there = labelled_tracks(labels, boxes, (SIDE, SIDE), FPS)
    finding = Finding(cut, 0.9, "" if cut else "cut is not decided: the probability of a cut is 0.60")
    return there if cut == "none" else replace(there, findings={"cut": finding})


def _judged(video: Video, tracks: Tracks, expected: LongTake = ONE_DOG) -> Score:
    probe = registry.probe(probe_for(expected))
    case = replace(_case("studio"), probe=probe.name, scene={}, expect=to_json(expected), prompt="A dog, in one shot.")
    return probe.score(case, video, tracks)


def _low(score: Score, *parts: str) -> None:
    """Check that a score is low, by these components alone."""
    assert score.value is not None, score.reason
    assert score.value <= 0.51
    assert {name for name in PARTS if score.components[name] < 0.9} == set(parts)


def _drifting(change: Callable[[Floats, float], Floats]) -> Callable[[Video], Video]:
    def changed(video: Video) -> Video:
        shares = np.clip((np.linspace(0, 1, len(video)) - 0.15) / 0.85, 0, 1)
        frames = [change(f.astype(float), float(u)) for f, u in zip(video.frames, shares, strict=True)]
        return Video(np.clip(np.rint(frames), 0, 255).astype(np.uint8), video.fps)

    return changed


fading = _drifting(lambda f, u: (1 - u) * f + u * f.mean(axis=-1, keepdims=True))
reddening = _drifting(lambda f, u: f * np.exp(1.8 * u * np.array([0.3, -0.06, -0.3])))
blurring = _drifting(lambda f, u: np.asarray(cv2.GaussianBlur(f, (0, 0), 0.01 + 3 * u)))


@pytest.mark.parametrize("look", LOOKS)
def test_a_right_clip_scores_full_as_does_one_whose_boxes_jitter_and_flicker(look: str) -> None:
    video, boxes = _clip(look)
    score = _judged(video, _tracks(boxes[:1]))
    assert score.value == 1.0
    assert {name for name in PARTS if score.components[name] == 1.0} == set(PARTS)
    assert set(score.components) == {c.name for c in score_components()["natural_long_take"]}
    assert ONE_DOG.seen(score.components) == ONE_DOG.sentence
    jittered = boxes[:1] + np.random.default_rng(1).normal(0, 0.7, boxes[:1].shape)
    jittered[:, np.random.default_rng(2).random(T) < 0.12] = np.nan
    assert _judged(video, _tracks(jittered)).value == 1.0


@pytest.mark.parametrize("look", LOOKS)
def test_each_fault_costs_its_component(look: str) -> None:
    video, boxes = _clip(look)
    k = np.arange(T)
    stopped = np.minimum(k, T // 2)
    again = np.where(k < T // 2, k, T // 2 - 2 * FPS + (k - T // 2) % (2 * FPS))
    for order, part in ((stopped, "no_freeze"), (again, "no_loop")):
        score = _judged(Video(video.frames[order], FPS), _tracks(boxes[:1, order]))
        _low(score, part)
        assert score.components["breaks_at_s"] == pytest.approx(LENGTH_S / 2, abs=0.3)
    for change, part in ((fading, "colour"), (reddening, "colour"), (blurring, "sharp")):
        _low(_judged(change(video), _tracks(boxes[:1])), part)


@pytest.mark.parametrize("cut", ["yes", "none"])
def test_a_cut_to_another_scene_breaks_the_shot(cut: str) -> None:
    (video, boxes), (other, _) = _clip("outdoor"), _clip("indoor", 5)
    spliced = Video(np.concatenate([video.frames[: T // 2], other.frames[T // 2 :]]), FPS)
    score = _judged(spliced, _tracks(boxes[:1], cut))
    _low(score, "no_cut")
    assert score.components["breaks_at_s"] == pytest.approx(LENGTH_S / 2, abs=0.2)
    gone = np.where(np.arange(T)[:, None] < T // 2, boxes[:1], np.nan)
    _low(_judged(spliced, _tracks(gone, cut)), "no_cut", "there")


def test_frames_are_looked_at_eight_times_a_second() -> None:
    video, boxes = _clip("indoor")
    order = np.minimum(np.arange(T), T // 2)
    thrice = Video(np.repeat(video.frames[order], 3, axis=0), 3.0 * FPS)
    fast = replace(_tracks(np.repeat(boxes[:1, order], 3, axis=1)), fps=3.0 * FPS)
    slow = _judged(Video(video.frames[order], FPS), _tracks(boxes[:1, order]))
    assert _judged(thrice, fast).components == slow.components


def test_shuffled_frames_are_not_judged() -> None:
    video, boxes = _clip("indoor")
    order = np.random.default_rng(0).permutation(T)
    assert "in no order" in _judged(Video(video.frames[order], FPS), _tracks(boxes[:1, order])).reason


def test_where_the_tracker_does_not_know_of_a_cut_nothing_is_judged() -> None:
    video, boxes = _clip("outdoor")
    assert "is not decided" in _judged(video, _tracks(boxes[:1], "")).reason


@pytest.mark.parametrize("look", LOOKS)
def test_what_vanishes_costs_the_rest_of_the_clip(look: str) -> None:
    video, boxes = _clip(look)
    broken = next(Violation("vanishes").generate([_case(look)]))
    assert isinstance(broken, Video)
    differs = np.abs(broken.frames.astype(int) - video.frames).max(axis=(1, 2, 3)) > 30
    since = int(np.argmax(differs))
    assert 0 < since < T - 1
    # Which of the things it is: the picture changes there.
    change = np.abs(broken.frames[since].astype(int) - video.frames[since]).max(axis=-1)
    places = np.nan_to_num(boxes[:, since]).astype(int)
    which = int(np.argmax([change[y0 : y1 + 1, x0 : x1 + 1].mean() for x0, y0, x1, y1 in places]))
    gone = np.where(np.arange(T)[:, None] < since, boxes[[which]], np.nan)
    score = _judged(broken, _tracks(gone))
    _low(score, "there")
    assert score.components["there"] == pytest.approx(since / T)
    assert score.components["breaks_at_s"] == pytest.approx(since / FPS)
    # The same tracks, while the thing is there to be seen.
    assert "the tracker lost the dog" in _judged(video, _tracks(gone)).reason


def _from(boxes: Floats, first: int, end: int = T) -> Floats:
    frame = np.arange(T)[:, None]
    return np.where((frame >= first) & (frame < end), boxes, np.nan)


def test_a_number_that_changes_costs_the_time_of_the_other_number() -> None:
    video, boxes = _clip("outdoor")
    two, dogs = LongTake("dog", 2, LENGTH_S), ("dog", "dog")
    assert _judged(video, _tracks(boxes[:2], labels=dogs), two).value == 1.0
    fewer = np.stack([boxes[0], _from(boxes[1], 0, T // 2)])
    _low(_judged(video, _tracks(fewer, labels=dogs), two), "same_number")
    more = np.stack([boxes[0], _from(boxes[1], T // 2)])
    score = _judged(video, _tracks(more, labels=dogs))
    _low(score, "same_number")
    assert ONE_DOG.seen(score.components).startswith("the number of dogs changes, from 5")
    # A second one that is seen now and then may be a detector's slip.
    slips = np.stack([boxes[0], np.where(np.arange(T)[:, None] % 5 < 2, boxes[1], np.nan)])
    assert _judged(video, _tracks(slips, labels=dogs)).value is None
    assert "at first it is not 2 dogs" in _judged(video, _tracks(boxes[:1]), two).reason


def test_what_is_not_found_at_first_or_followed_too_badly_is_not_judged() -> None:
    video, boxes = _clip("outdoor")
    assert _judged(video, _tracks(np.full((0, T, 4), np.nan), labels=())).reason == "no dog was found"
    assert _judged(video, _tracks(_from(boxes[:1], T // 3))).reason == "no dog was found at first"
    patchy = np.where(np.arange(T)[:, None] % 3 < 2, boxes[:1], np.nan)
    assert "did not follow" in _judged(video, _tracks(patchy)).reason
    small = np.concatenate([boxes[:1, :, :2], boxes[:1, :, :2] + 5], axis=2)
    assert "too small" in _judged(video, _tracks(small)).reason
    assert "the clip lasts 4." in _judged(Video(video.frames[:36], FPS), _tracks(boxes[:1, :36])).reason


def test_what_leaves_or_is_taken_for_something_else_is_not_judged() -> None:
    video, boxes = _clip("outdoor")
    half = _from(boxes[:1], 0, T // 2)
    at_the_edge = half - half[:, [T // 2 - 1]][..., [0, 1, 0, 1]]
    assert "at the edge" in _judged(video, _tracks(at_the_edge)).reason
    sheep = np.concatenate([half, _from(boxes[:1], T // 2)])
    assert "takes the dog for a sheep" in _judged(video, _tracks(sheep, labels=("dog", "sheep"))).reason


def test_a_scene_at_rest_is_not_called_a_freeze() -> None:
    video, boxes = _clip("outdoor")
    order = np.zeros(T, dtype=int)
    still, tracks = video.frames[order].copy(), _tracks(boxes[:1, order])
    assert "hardly anything moves" in _judged(Video(still, FPS), tracks).reason
    # A blade of grass sways.
    sway = (20 + 3 * np.sin(np.arange(T) / 5)).astype(int)
    for frame, x in zip(still, sway, strict=True):
        frame[60:90, x : x + 2] = (40, 200, 40)
    score = _judged(Video(still, FPS), tracks)
    assert score.value == 1.0


def test_one_thing_that_stops_is_not_called_a_freeze() -> None:
    video, boxes = _clip("outdoor")
    frames = video.frames[np.zeros(T, dtype=int)].copy()
    for k, frame in enumerate(frames):
        x = 5 + min(k, T // 2)
        frame[80:90, x : x + 8] = (200, 40, 40)
    score = _judged(Video(frames, FPS), _tracks(boxes[:1, np.zeros(T, dtype=int)]))
    assert score.value is None
    assert "hardly anything moves" in score.reason


def test_a_drift_of_the_picture_alone_is_a_camera_that_looks_elsewhere() -> None:
    video, boxes = _clip("outdoor")
    frames = reddening(video).frames.copy()
    for frame, own, box in zip(frames, video.frames, boxes[0], strict=True):
        x0, y0, x1, y1 = (int(v) for v in (*(box[:2] - 1), *(box[2:] + 2)))
        frame[y0:y1, x0:x1] = own[y0:y1, x0:x1]
    assert _judged(Video(frames, FPS), _tracks(boxes[:1])).value == 1.0


def test_the_look_of_a_picture() -> None:
    frames = np.full((3, 32, 32, 3), 128, np.uint8)
    frames[1] = (150, 128, 128)
    frames[2, 8:24, 8:24] = (200, 100, 100)
    curves = look_curves(frames)
    assert curves.chroma[1] == pytest.approx([np.log(151 / 129), 0])
    assert curves.saturation[:2] == pytest.approx([np.log(0.05), np.log(22 / 151 + 0.05)])
    assert curves.sharpness[2] != curves.sharpness[0]
    box = np.array([[8.0, 8, 24, 24], [np.nan] * 4, [8, 8, 24, 24]])
    parts = look_curves(frames, box)
    assert np.isnan([parts.saturation[1], parts.sharpness[1], *parts.chroma[1]]).all()
    assert parts.chroma[2] == pytest.approx([np.log(201 / 101), 0])
    assert np.isnan(look_curves(frames, np.array([[0.0, 0, 5, 32]] * 3)).sharpness).all()
