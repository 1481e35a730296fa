"""The natural tracker's parts: rules on known paths, and the networks on panned textures where their weights are here."""

import numpy as np
import pytest

from sora_eval.tracking.natural import answers, weights
from sora_eval.tracking.natural.camera import CameraPath, camera_path


def path(x, inliers=0.9):
    n, ones = len(x), np.full(len(x), inliers)
    xy = np.stack([x, np.zeros(n)], axis=1)
    return CameraPath(tuple(range(n)), xy, np.zeros(n), np.zeros(n), ones, ones, np.zeros(n), ones, 1 - np.abs(x))


def test_the_camera_goes_against_the_picture_and_a_mirror_turns_it_round():
    x = np.linspace(0, 0.4, 12)
    cut = np.zeros(12)
    assert answers.decided_camera(answers.camera_guesses(path(x), cut))[answers.SIDE].answer == "left"
    assert answers.decided_camera(answers.camera_guesses(path(-x), cut))[answers.SIDE].answer == "right"


def test_no_side_without_evidence_or_across_a_cut():
    x, cut = np.linspace(0, 0.4, 12), np.zeros(12)
    for guesses in (
        answers.camera_guesses(path(x, inliers=0.1), cut),
        answers.camera_guesses(path(x), np.eye(12)[5]),
        answers.camera_guesses(path(0 * x), cut),
    ):
        finding = answers.decided_camera(guesses)[answers.SIDE]
        assert finding.answer == "" and finding.reason


def test_absent_weights_are_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(weights.FOLDER, raising=False)
    with pytest.raises(weights.AbsentNaturalWeightsError, match="weights fetch natural"):
        weights.locate(weights.YOLO)


def test_a_panned_texture_and_its_mirror():
    try:
        weights.locate(weights.XFEAT)
    except weights.AbsentNaturalWeightsError as absent:
        pytest.skip(str(absent))
    import cv2

    noise = np.random.default_rng(0).integers(0, 255, (22, 60, 3)).astype(np.uint8)
    wide = cv2.resize(noise, (960, 352), interpolation=cv2.INTER_CUBIC)
    frames = np.stack([wide[:, 20 * k : 20 * k + 640] for k in range(8)])
    right, left = camera_path(frames), camera_path(np.ascontiguousarray(frames[:, :, ::-1]))
    assert right.xy[-1, 0] == pytest.approx(-140 / 640, abs=0.01)
    assert left.xy[-1, 0] == pytest.approx(140 / 640, abs=0.01)
