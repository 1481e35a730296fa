"""True tracks: boxes of what is seen, one thing where bodies are never apart, points where the surface goes."""

from __future__ import annotations

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.tracking.truth import POINTS, TrueTracks, true_tracks
from sora_eval.types import Case
from sora_eval.world import clip, scene_of

SMALL = registry.profile("small")


def case_of(probe: str) -> Case:
    return registry.probe(probe).cases(1, SMALL, "i2v")[0]


@pytest.fixture(scope="module")
def passing() -> TrueTracks:
    return true_tracks(case_of("pass_behind"))


def test_a_hidden_thing_has_no_box_and_comes_back(passing: TrueTracks) -> None:
    hero = passing.visible[0]
    assert not hero.all()
    assert hero[[0, -1]].all()
    assert passing.counts.tolist() == passing.visible.sum(axis=0).tolist()
    for k, (ids, boxes) in enumerate(zip(passing.boxes.ids, passing.boxes.boxes, strict=True)):
        assert ids.tolist() == np.flatnonzero(passing.visible[:, k]).tolist()
        inside = (boxes[:, :2] <= passing.xy[ids, k]) & (passing.xy[ids, k] <= boxes[:, 2:])
        assert inside.all()


def test_boxes_are_those_of_the_renderers_masks() -> None:
    case = case_of("relation")
    truth = true_tracks(case)
    made = clip(scene_of(case.scene, (case.frames - 1) / case.fps), case.size, case.fps, case.frames, full_truth=True)
    assert made.truth.ids is not None
    for k in (0, case.frames - 1):
        for i, box in zip(truth.boxes.ids[k], truth.boxes.boxes[k], strict=True):
            y, x = np.nonzero(made.truth.ids[k] == i)
            assert box.tolist() == [x.min() - 0.5, y.min() - 0.5, x.max() + 0.5, y.max() + 0.5]


def test_points_begin_where_they_are_chosen_and_stay_on_what_they_belong_to(passing: TrueTracks) -> None:
    start = passing.points[:, 0]
    assert len(start) == POINTS
    assert start == pytest.approx(np.rint(start), abs=1e-5)
    assert passing.points_visible[:, 0].all()
    for k in range(passing.points.shape[1]):
        boxes = passing.boxes.boxes[k]
        for xy in passing.points[passing.points_visible[:, k], k]:
            # A thing that shows a few pixels has no box.
            near = ((boxes[:, :2] - 1 <= xy) & (xy <= boxes[:, 2:] + 1)).all(axis=1)
            assert near.any() or not passing.visible[:, k].all()


def test_points_of_what_passes_behind_are_hidden_and_seen_again(passing: TrueTracks) -> None:
    seen = passing.points_visible
    moved = np.ptp(passing.points[..., 0], axis=1) > 10
    assert moved.any()
    assert not moved.all()
    again = [row for row in seen[moved] if row[0] and row[-1] and not row.all()]
    assert again


def test_a_point_of_a_resting_thing_moves_as_the_camera_says() -> None:
    truth = true_tracks(case_of("truck"))
    assert truth.rigid
    y, x = (truth.points[:, 0, ::-1].round().astype(int)).T
    rays = np.stack([x, y, np.ones(len(x))], axis=1) @ np.linalg.inv(truth.camera.K[0]).T
    world = (rays * truth.depth[y, x, None] - truth.camera.t[0]) @ truth.camera.R[0]
    frames = truth.points.shape[1]
    expected, _ = truth.camera.project(np.repeat(world[None], frames, axis=0))
    assert np.moveaxis(expected, 0, 1) == pytest.approx(truth.points, abs=1e-6)


def test_bodies_that_are_never_apart_are_one_thing() -> None:
    figure = true_tracks(case_of("hands"))
    # A coat with its sleeves is one, two hands are two.
    assert sorted(figure.colours.count(c) for c in set(figure.colours)) == [1, 1, 2]
    assert len(set(true_tracks(case_of("count")).colours)) == 2
    assert len(true_tracks(case_of("count")).colours) >= 4


def test_what_breaks_is_not_known() -> None:
    truth = true_tracks(case_of("shatter"))
    assert len(truth.unknown) == 1
    assert truth.unknown[0] not in truth.colours
