"""Tracking metrics of a clip: the truth passes, each fault shows where it must, other rates and sizes change nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.generator.simulator import Control, Violation, true_video
from sora_eval.metrics.geometry import two_view_consistency
from sora_eval.tracking.metrics import (
    BY_NAME,
    METRICS,
    PROTOCOL,
    at_moments,
    moments,
    switches_by_motion,
    tracking_metrics,
)
from sora_eval.tracking.truth import true_tracks
from sora_eval.tracking.twoview import frame_pairs, fundamental_matrix, match
from sora_eval.tracking.world import track
from sora_eval.types import Case, Tracks, Video
from sora_eval.validity.tracking import with_swapped_identities
from sora_eval.video import resize

SMALL = registry.profile("small")
PROBE = registry.probe("pass_behind")
GIVEN = PROBE.cases(1, SMALL, "i2v")[0]
WORDS = PROBE.cases(1, SMALL, "t2v")[0]


def measured(video: Video, case: Case = GIVEN) -> dict[str, float | None]:
    return tracking_metrics(case, video, track(video), true_tracks(case))


def spoilt(name: str, case: Case = GIVEN) -> Video:
    made = next((Control if name == "frozen" else Violation)(name).generate([case]))
    assert isinstance(made, Video)
    return made


@pytest.fixture(scope="module")
def truth() -> dict[str, float]:
    found = measured(true_video(GIVEN))
    return {name: -1.0 if value is None else value for name, value in found.items()}


def test_every_metric_is_named_and_told_apart_by_what_it_needs(truth: dict[str, float]) -> None:
    assert list(truth) == [m.name for m in METRICS if m.truth]
    assert list(measured(true_video(WORDS), WORDS)) == [m.name for m in METRICS if not m.truth]
    assert all(m.meaning and BY_NAME[m.name] is m for m in METRICS)
    assert "0.05 to 0.95" in PROTOCOL[0]
    assert "1, 2, 4, 8, 16 px" in PROTOCOL[1]


def test_the_truth_reaches_the_trackers_ceiling(truth: dict[str, float]) -> None:
    assert min(truth[n] for n in ("HOTA", "DetA", "AssA", "MOTA")) > 0.9
    assert truth["IDF1"] == truth["re-identification rate"] == truth["count consistency"] == 1
    assert truth["ID switches"] == truth["ID switches across occlusion"] == truth["exit error, time"] == 0
    assert truth["exit error, place"] < 2
    assert truth["point AJ"] > 0.3


@pytest.mark.parametrize(
    ("fault", "changed"),
    [
        ("vanishes", {"re-identification rate": 0.0, "ID switches": 0.0, "exit error, place": None}),
        ("changes_colour", {"ID switches": 1.0, "ID switches across occlusion": 1.0, "re-identification rate": 0.0}),
        ("frozen", {"re-identification rate": 0.0, "exit error, time": None}),
    ],
)
def test_a_fault_shows_where_it_must(truth: dict[str, float], fault: str, changed: dict[str, float | None]) -> None:
    found = measured(spoilt(fault))
    assert {name: found[name] for name in changed} == changed
    assert found["HOTA"] is not None
    assert found["HOTA"] < truth["HOTA"] - 0.05


def test_what_is_late_or_elsewhere_has_an_exit_error(truth: dict[str, float]) -> None:
    late, away = measured(spoilt("stopped")), measured(spoilt("teleports"))
    assert (late["exit error, time"] or 0) > 0.1
    assert (away["exit error, place"] or 0) > truth["exit error, place"] + 5
    assert away["ID switches"] == 0


def test_an_exchange_of_identities_is_switched_and_nothing_is_missed(truth: dict[str, float]) -> None:
    found = measured(with_swapped_identities(GIVEN, 1.0))
    assert found["ID switches"] == 2
    assert (found["DetA"] or 0) > 0.8
    assert (found["AssA"] or 1) < 0.6


def test_other_rates_and_sizes_are_compared_at_the_same_moments(truth: dict[str, float]) -> None:
    true = true_video(GIVEN)
    double = Video(resize(np.repeat(true.frames, 2, axis=0), (128, 128)), 2 * true.fps)
    found = measured(double)
    for name in ("HOTA", "IDF1", "re-identification rate", "point AJ", "exit error, place"):
        assert found[name] == pytest.approx(truth[name], abs=0.1 if name != "exit error, place" else 3), name
    assert found["ID switches"] == 0


def test_moments_after_the_clips_end_show_nothing() -> None:
    true = true_video(GIVEN)
    half = Video(true.frames[:9], true.fps)
    assert moments(9, 8.0, GIVEN).tolist() == list(range(17))
    assert not at_moments(track(half), GIVEN).visible[:, 9:].any()
    found = measured(half)
    assert (found["DetA"] or 1) < 0.6
    assert found["re-identification rate"] == 0


def test_words_ask_for_a_number_and_colours_may_not_change_on_the_way() -> None:
    true = measured(true_video(WORDS), WORDS)
    more = measured(spoilt("duplicates", WORDS), WORDS)
    name = "count consistency with the words"
    assert true[name] == 1
    assert (more[name] or 0) < 1
    still = Video(np.repeat(true_video(WORDS).frames[:1], 17, axis=0), 8.0)
    assert measured(still, WORDS)[name] == 1
    assert true["identity switches by motion"] == 0
    assert (measured(spoilt("changes_colour", WORDS), WORDS)["identity switches by motion"] or 0) > 0


TURNED = registry.probe("orbit")


def test_pairs_of_frames_that_are_no_views_of_one_scene_count_in_the_median() -> None:
    """Of 17 frames there are 9 pairs: a foreign last frame is in 3 of them, two foreign frames are in 6."""
    case = TURNED.cases(1, SMALL, "t2v")[0]
    frames = true_video(case).frames.copy()
    whole = measured(Video(frames, 8.0), case)["epipolar error"]
    foreign = np.random.default_rng(0).integers(0, 256, (2, *frames.shape[1:]), dtype=np.uint8)
    frames[16] = foreign[0]
    errors = []
    for i, j in frame_pairs(17):
        found = match(frames[i], frames[j])
        view = two_view_consistency(fundamental_matrix(found.a, found.b), found.a, found.b, found.features)
        errors += [view.median_sampson_px] * view.judgeable
    assert sum(map(np.isinf, errors)) == 3
    broken = measured(Video(frames, 8.0), case)["epipolar error"]
    assert broken == pytest.approx(np.median(errors) * 256 / 64)
    assert broken > (whole or 0)
    frames[12] = foreign[1]
    assert measured(Video(frames, 8.0), case)["epipolar error"] is None


def test_given_frames_are_no_merit_of_the_clip() -> None:
    case = TURNED.cases(1, SMALL, "v2v")[0]
    video, truth = true_video(case), true_tracks(case)
    assert case.given == 5
    other = video.frames.copy()
    other[4] = other[0]
    error = measured(video, case)["reprojection error"]
    assert error is not None
    assert measured(Video(other, 8.0), case)["reprojection error"] == error
    other[8] = other[0]
    assert measured(Video(other, 8.0), case)["reprojection error"] != error
    # Points that come back within the given frames did so in the input; after them it is the clip's doing.
    for gone, defined in ((slice(2, 4), False), (slice(2, 6), True)):
        visible = np.ones_like(truth.points_visible)
        visible[:, gone] = False
        found = tracking_metrics(case, video, track(video), replace(truth, points_visible=visible))
        names = ("point AJ after reappearance", "point re-identification rate")
        assert [found[name] is not None for name in names] == [defined] * 2


def paths(*colours_and_x: tuple[str, Callable[[int], float | None]]) -> Tracks:
    """Return tracks of squares 8 px wide over 12 frames; x None where a square is not seen."""
    x = np.array([[np.nan if (v := f(k)) is None else v for k in range(12)] for _, f in colours_and_x])
    xy = np.stack([x, np.full_like(x, 30.0)], axis=-1)
    seen = np.isfinite(x)
    box = np.concatenate([xy - 4, xy + 4], axis=-1)
    return Tracks(tuple(c for c, _ in colours_and_x), xy, seen, np.where(seen, 64.0, 0.0), box, (64, 64), 8.0)


@pytest.mark.parametrize(
    ("tracks", "switches"),
    [
        # One path that goes on in another colour.
        ([("red", lambda k: 10 + 3 * k if k < 6 else None), ("blue", lambda k: 10 + 3 * k if k >= 6 else None)], 1),
        # The same across a gap of two frames.
        ([("red", lambda k: 10 + 3 * k if k < 5 else None), ("blue", lambda k: 10 + 3 * k if k >= 7 else None)], 1),
        # Two that cross.
        ([("red", lambda k: 10 + 4 * k), ("blue", lambda k: 54 - 4 * k)], 0),
        # Two that exchange their colours, apart from each other.
        ([("red", lambda k: 15 if k < 6 else 45), ("blue", lambda k: 45 if k < 6 else 15)], 2),
        # One that jumps to where nothing was.
        ([("red", lambda k: 15 if k < 6 else 45)], 0),
        # One that left over the edge, and another that is there long after.
        ([("red", lambda k: 2 if k < 3 else None), ("blue", lambda k: 2 if k > 8 else None)], 0),
    ],
)
def test_switches_by_motion_by_hand(tracks: list[tuple[str, Callable[[int], float | None]]], switches: int) -> None:
    assert switches_by_motion(paths(*tracks)) == switches


def test_a_clip_without_anything_has_no_track_and_misses_all() -> None:
    grey = Video(np.full((17, 64, 64, 3), 128, np.uint8), 8.0)
    found = measured(grey)
    assert (found["HOTA"], found["MOTA"], found["IDF1"]) == (0, 0, 0)
    assert found["exit error, place"] is None
    assert measured(grey, WORDS)["fragments"] is None
    assert measured(grey, replace(WORDS))["count consistency with the words"] == 0


def test_the_docs_list_every_metric_with_its_direction() -> None:
    text = (Path(__file__).parents[2] / "docs" / "tracking.md").read_text(encoding="utf-8")
    for m in METRICS:
        name = f"{m.name} ({m.unit})" if m.unit else m.name
        assert f"| {name} | {'higher' if m.higher else 'lower'} |" in text, m.name
        assert m.meaning in text
