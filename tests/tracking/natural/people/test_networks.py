"""Anchors, decoding and crops against known answers; the networks on a real picture where their weights are here."""

import importlib.util

import numpy as np
import pytest

from sora_eval.metrics.mot import box_iou
from sora_eval.tracking.natural import weights
from sora_eval.tracking.natural.people import anchors, litert
from sora_eval.tracking.natural.people.crops import Square, upright, whole
from sora_eval.tracking.natural.people.faces import face_score
from sora_eval.tracking.natural.people.pose import NOSE, SHOULDERS, find_people

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("grids", "n"),
    [(((28, 2), (14, 2), (7, 6)), 2254), (((24, 2), (12, 6)), 2016), (((16, 2), (8, 6)), 896)],
)
def test_there_are_as_many_anchors_as_outputs_of_the_networks(grids, n):
    assert anchors.centres(grids).shape == (n, 2)


def raw_of(box, points, anchor, size):
    """What a network says of a box x0, y0, x1, y1 and keypoints, all 0 to 1."""
    middle, sides = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    return np.concatenate([middle - anchor, sides, (points - anchor).ravel()]) * size


def test_known_boxes_and_keypoints_come_back_averaged_by_score():
    at = anchors.centres(((4, 2),))
    boxes = np.array([[0.1, 0.1, 0.5, 0.4], [0.12, 0.1, 0.52, 0.4], [0.6, 0.6, 0.8, 0.9]])
    points = RNG.uniform(0, 1, (3, 4, 2))
    points[1] = points[0]
    raw, logits = np.zeros((32, 12), np.float32), np.full((32, 1), -200, np.float32)
    for k, (i, score) in enumerate(((4, 0.9), (5, 0.6), (30, 0.8))):
        raw[i], logits[i] = raw_of(boxes[k], points[k], at[i], 192), np.log(score / (1 - score))
    first, second = anchors.decode(raw, logits, at, 192, 0.5)
    assert [first.score, second.score] == pytest.approx([0.9, 0.8], abs=1e-5)
    assert first.box == pytest.approx((0.9 * boxes[0] + 0.6 * boxes[1]) / 1.5, abs=1e-5)
    assert first.points == pytest.approx(points[0], abs=1e-5)
    assert second.box == pytest.approx(boxes[2], abs=1e-5)
    assert anchors.decode(raw, logits, at, 192, 0.95) == []


def test_overlap_of_known_boxes():
    others = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [2, 2, 3, 3]], float)
    assert box_iou(np.array([0.0, 0, 2, 2]), others)[0] == pytest.approx([1, 1 / 3, 0])


def test_points_go_into_a_turned_square_and_back():
    square = Square(120, 80, 60, 0.7)
    points = RNG.uniform(0, 200, (20, 2))
    assert square.to_frame(square.from_frame(points)) == pytest.approx(points)
    assert square.to_frame(np.array([[0.5, 0.5]]))[0] == pytest.approx([120, 80])


def test_a_crop_shows_what_lies_at_its_place_upright():
    frame = np.zeros((200, 240, 3), np.uint8)
    base, above = np.array([100.0, 120.0]), np.array([140.0, 80.0])
    frame[76:85, 136:145] = 255
    square = Square(*base, 160, upright(base, above))
    assert upright(base, above) == pytest.approx(np.pi / 4)
    bright = np.argwhere(square.cut(frame, 80)[..., 0] > 0.5).mean(axis=0)[::-1] + 0.5
    assert bright / 80 == pytest.approx(square.from_frame(above[None])[0], abs=0.02)
    assert bright[0] == pytest.approx(40, abs=1) and bright[1] < 40


def test_a_crop_is_black_outside_of_the_frame():
    frame = np.full((50, 100, 3), 255, np.uint8)
    cut = whole(frame).cut(frame, 40)
    assert (cut[:8] == 0).all() and (cut[-8:] == 0).all() and cut[12:28].min() == 1


def test_an_absent_package_is_one_line(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(litert.AbsentRuntimeError, match=r"pip install 'sora-eval\[natural\]'") as error:
        litert.check()
    assert "\n" not in str(error.value)


def test_absent_weights_of_people_are_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(weights.FOLDER, raising=False)
    with pytest.raises(weights.AbsentNaturalWeightsError, match=r"people.*weights fetch natural") as error:
        weights.locate(weights.POSE)
    assert "\n" not in str(error.value)


def test_a_real_picture_and_its_mirror_image():
    try:
        litert.check()
        weights.locate(weights.POSE), weights.locate(weights.FACE)
    except (weights.AbsentNaturalWeightsError, litert.AbsentRuntimeError) as absent:
        pytest.skip(str(absent))
    from matplotlib import cbook
    from PIL import Image

    with cbook.get_sample_data("grace_hopper.jpg") as file:
        frame = np.asarray(Image.open(file).convert("RGB"))
    for picture in (frame, np.ascontiguousarray(frame[:, ::-1])):
        (person,) = find_people(picture)
        left, right = person.xy[list(SHOULDERS)]
        # She faces the camera, so that her left is on the viewer's right, in a mirror too.
        assert left[0] > right[0] + 100
        x, y = person.xy[NOSE]
        assert face_score(picture, Square(x, y, 300)) > 0.75
        assert face_score(picture, Square(x, y + 400, 150)) < 0.75
