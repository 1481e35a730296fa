"""Statistics of pictures of labels, against NumPy and OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

from sora_eval import registry
from sora_eval.world import clip, labels, physics, scene_of
from sora_eval.world.render import Renderer, camera_of


def test_statistics_are_those_of_the_masks() -> None:
    rng = np.random.default_rng(0)
    for size, count in (((9, 13), 4), ((1, 7), 2), ((40, 33), 6)):
        coarse = rng.integers(-1, count, (size[0] // 3 + 1, size[1] // 3 + 1))
        ids = np.kron(coarse, np.ones((3, 3), int))[: size[0], : size[1]].astype(np.int16)
        found, touching = np.empty((count, 7), np.int64), np.ones((count, count), bool)
        labels.statistics(ids, found, touching)
        for i in range(count):
            y, x = np.nonzero(ids == i)
            assert found[i, labels.AREA] == len(x)
            if len(x):
                assert found[i, 1:].tolist() == [x.sum(), y.sum(), x.min(), y.min(), x.max(), y.max()]
            grown = cv2.dilate((ids == i).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
            others = [j for j in range(count) if j != i and (grown & (ids == j)).any()]
            assert np.flatnonzero(touching[i]).tolist() == others


def test_labels_are_those_of_the_truth() -> None:
    for probe in ("pass_behind", "shatter", "orbit"):
        case = registry.probe(probe).cases(1, registry.profile("small"), "i2v")[0]
        scene = scene_of(case.scene, (case.frames - 1) / case.fps)
        made = clip(scene, (50, 77), case.fps, case.frames, full_truth=True)
        assert made.truth.ids is not None
        states: physics.States = made.truth.states
        renderer, ids = Renderer(scene, (50, 77)), np.empty((50, 77), np.int16)
        for k in (0, 7, case.frames - 1):
            renderer.labels(states, camera_of(scene, states.t_s, (50, 77)), k, ids)
            assert np.array_equal(ids, made.truth.ids[k])
