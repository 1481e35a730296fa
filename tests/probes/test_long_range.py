"""The long-range probes: the truth scores 1 at every length, faults cost the share of the clip that they break, controls earn nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.errors import ConfigError
from sora_eval.generator.simulator import Control, Violation, true_video
from sora_eval.probes.appearances import unexplained
from sora_eval.probes.selection import select_cases, select_probes
from sora_eval.tracking.drift import drift_curves
from sora_eval.tracking.world import track
from sora_eval.types import Case, Profile, Score, Tracks, Video
from sora_eval.validity.nuisances import transformed
from sora_eval.validity.trials import case_of
from sora_eval.world import clip, scene_of
from sora_eval.world.families.long_absence import AWAY_S
from sora_eval.world.palette import COLOURS
from sora_eval.world.scene import Scene

SMALL = Profile("small", 64, 64, 17, 8, 5)
NAMES = [name for name, (suite, _) in registry.probe_names(optional=True).items() if suite == "long_range"]


def _score(name: str, case: Case, video: Video) -> Score:
    return registry.probe(name).score(case, video, track(video))


def _case(name: str, seed: int = 1, length_s: int = 5) -> Case:
    return registry.probe(name).cases(1, SMALL, "t2v", seed, lengths_s=(length_s,))[0]


def _broken(case: Case, fault: str, severity: float) -> Video:
    video = next(Violation(fault, severity).generate([case]))
    assert isinstance(video, Video)
    return video


def test_the_suite_is_chosen_by_name_alone() -> None:
    assert not set(NAMES) & set(select_probes())
    assert list(select_probes(["long_range"])) == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length_s", [5, 10])
def test_the_truth_scores_full_and_so_does_its_twin(name: str, length_s: int) -> None:
    for case in registry.probe(name).cases(2, SMALL, "t2v", 1, lengths_s=(length_s,)):
        assert case.frames == 8 * length_s + 1
        assert (_score(name, case, true_video(case)).value or 0) >= 0.97


@pytest.mark.parametrize("width", [64, 88, 111])
def test_an_object_that_goes_away_leaves_a_frame_of_any_width(width: int) -> None:
    cases = registry.probe("long_absence").cases(6, replace(SMALL, width=width), "t2v", 6, lengths_s=(5,))
    away = [case for case in cases if case.scene["params"]["by"] == "motion"]
    assert away
    for case in away:
        score = _score("long_absence", case, true_video(case))
        assert (score.value or 0) >= 0.97, (case.prompt, score)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("control", ["frozen", "shuffled", "noise", "blank", "other"])
def test_controls_earn_nothing(name: str, control: str) -> None:
    case = _case(name)
    assert not _score(name, case, next(Control(control).generate([case]))).value


@pytest.mark.parametrize("name", NAMES)
def test_every_fault_is_told_from_the_truth(name: str) -> None:
    case = _case(name, 2)
    for fault in registry.probe(name).violations:
        assert (_score(name, case, _broken(case, fault, 1.0)).value or 0) < 0.7, fault


@pytest.mark.parametrize("fault", ["freezes", "loops"])
def test_what_comes_late_costs_less(fault: str) -> None:
    case = _case("slow_look")
    late, early = (_score("slow_look", case, _broken(case, fault, s)) for s in (0.3, 0.9))
    assert (late.value or 0) == pytest.approx(1 - 0.8 * 0.3, abs=0.05)
    assert (early.value or 0) == pytest.approx(1 - 0.8 * 0.9, abs=0.05)
    assert late.components["breaks_at_s"] == pytest.approx(5 * (1 - 0.8 * 0.3), abs=0.4)


def test_a_drift_has_its_component_and_its_change_point() -> None:
    case = _case("slow_look")
    # A stronger tint makes the ground one that objects can't be separated from: not judged, and 0 as well.
    for fault, part, severity in (("colour_drifts", "colour", 0.7), ("blurs", "sharp", 1.0), ("drift", "layout", 1.0)):
        parts = _score("slow_look", case, _broken(case, fault, severity)).components
        assert parts[part] < 0.5
        assert 0.2 < parts["breaks_at_s"] < 3.5


def test_drift_curves_are_the_picture_s_own() -> None:
    grey = np.full((3, 32, 32, 3), 128, np.uint8)
    grey[1] = (150, 128, 128)
    grey[2, :16] = (222, 40, 38)
    curves = drift_curves(grey, ["red"])
    assert curves.ground[0] == pytest.approx([0, 0], abs=1e-9)
    assert curves.ground[1] == pytest.approx([np.log(151 / 129), 0], abs=1e-9)
    assert np.isnan(curves.things[0]).all()
    assert curves.things[2] == pytest.approx([np.log(223 / 41), np.log(39 / 41)], abs=1e-9)


def test_a_brown_floor_is_ground_and_no_object() -> None:
    floor = np.full((8, 32, 32, 3), (150, 100, 50), np.uint8)
    curves = drift_curves(floor, ["orange", "red"])
    assert curves.ground[:, 0] == pytest.approx(np.full(8, np.log(151 / 101)))
    assert np.isnan(curves.things).all()
    floor[:, 10:20, 10:20] = (38, 60, 222)
    assert np.isnan(drift_curves(floor, ["red"]).things).all()
    assert np.isfinite(drift_curves(floor, ["blue"]).things).all()


@pytest.mark.parametrize("name", ["company", "several_shots", "long_absence"])
def test_objects_without_an_outline_are_not_judged(name: str) -> None:
    case = _case(name)
    video = true_video(case)
    tracks = track(video)
    unknown = replace(tracks, shape={k: np.full_like(v, np.nan) for k, v in tracks.shape.items()})
    score = registry.probe(name).score(case, video, unknown)
    assert score.value is None
    assert "outline" in score.reason


def test_a_far_object_hidden_by_another_for_long_is_kept_and_its_double_is_not() -> None:
    # The seeds of the validity card: in the first scene a far ball is behind a cylinder for two seconds, and H.264 leaves nothing of it;
    # in the third the far object is a cone of twenty pixels.
    probe = registry.probe("company")
    hidden, far = (case_of(probe, SMALL, "t2v", 0, i) for i in (0, 2))
    compressed = transformed(true_video(hidden), "H.264 crf 28")
    assert (_score("company", hidden, compressed).value or 0) >= 0.97
    assert (_score("company", far, _broken(far, "duplicates", 1.0)).value or 0) < 0.5


def test_a_blur_lowers_sharpness() -> None:
    case = _case("slow_look")
    curve = drift_curves(_broken(case, "blurs", 1.0).frames, []).sharpness
    assert np.median(curve[-5:]) < np.median(curve[:5]) - 0.7


def test_absences_are_as_long_as_clips_have_room_for() -> None:
    probe = registry.probe("long_absence")
    for length, most in ((5, 2), (10, 5), (30, 10), (60, 30)):
        cases = probe.cases(40, SMALL, "t2v", 0, lengths_s=(length,))
        assert {c.scene["params"]["away_s"] for c in cases} == {s for s in AWAY_S if s <= most}
        assert all(f"{c.scene['params']['away_s']} seconds" in c.prompt for c in cases)


def test_the_time_out_of_sight_is_measured_and_names_the_component() -> None:
    case = next(
        c for c in registry.probe("long_absence").cases(20, SMALL, "t2v", 0) if c.scene["params"]["away_s"] == 5
    )
    score = _score("long_absence", case, true_video(case))
    assert score.components["after_5_s"] == score.value
    assert "after_2_s" not in score.components
    assert score.components["away_s"] == pytest.approx(5, abs=0.8)


def test_an_object_that_never_returns_scores_nothing_and_a_short_absence_is_not_judged() -> None:
    case = registry.probe("long_absence").cases(1, SMALL, "t2v", 1, lengths_s=(10,))[0]
    assert _score("long_absence", case, _broken(case, "vanishes", 1.0)).value == 0
    true = true_video(case).frames
    frame = np.arange(len(true))
    never = Video(true[np.minimum(frame, 3)], 8)
    assert _score("long_absence", case, never).reason.endswith("was never out of sight")


def _returning() -> tuple[Case, Scene]:
    """Return a case of an object that leaves the picture of itself, and its scene."""
    cases = registry.probe("long_absence").cases(12, SMALL, "t2v", 1, lengths_s=(5,))
    case = next(c for c in cases if c.scene["params"]["by"] == "motion")
    return case, scene_of(case.scene, (case.frames - 1) / case.fps)


def test_who_is_back_at_once_has_not_come_the_same_way() -> None:
    case, scene = _returning()
    true = true_video(case).frames.copy()
    gone_s, back_s = scene.facts["hidden_s"]
    # It stands at its last place where it should come in.
    empty, back, end = round((gone_s + back_s) / 2 * case.fps), round((back_s + 0.2) * case.fps), len(true)
    true[empty:back], true[back:] = true[empty], true[end - 1]
    score = _score("long_absence", case, Video(true, case.fps))
    assert score.components["same_way"] == score.value == 0
    assert score.components["place"] == 1


def test_who_comes_back_over_the_other_border_has_not_come_the_same_way() -> None:
    case, scene = _returning()
    hero = scene.bodies[0]
    first, out, far, (t_s, x, y, z), (in_s, edge, *_), last = hero.path
    other = (first, out, far, (t_s - 1e-3, x, y, z), (t_s, -x, y, z), (in_s, -edge, y, z), last)
    moved = replace(scene, bodies=(replace(hero, path=other), *scene.bodies[1:]))
    score = _score("long_absence", case, clip(moved, case.size, case.fps, case.frames).video)
    assert score.components["same_way"] == score.value == 0


def test_what_flickers_on_the_ground_and_specks_are_no_objects() -> None:
    tracks = track(true_video(_case("entries")))
    post = int(np.argmax(tracks.visible.sum(axis=1)))
    seen = np.zeros((1, tracks.frames), dtype=bool)
    seen[:, 10:16] = True

    def with_patch(colour: str, area: float, ground: bool) -> Tracks:
        """Return the tracks and one more, in the middle of the picture for six frames."""
        box = np.where(seen[..., None], [30.0, 8.0, 32.0, 10.0], np.nan)
        xy = np.where(seen[..., None], [31.0, 9.0], np.nan)
        flags = np.zeros(len(tracks), dtype=bool)
        return replace(
            tracks,
            colour=(*tracks.colour, colour),
            xy=np.concatenate([tracks.xy, xy]),
            visible=np.concatenate([tracks.visible, seen]),
            area=np.concatenate([tracks.area, np.where(seen, area, 0.0)]),
            box=np.concatenate([tracks.box, box]),
            shape={k: np.concatenate([v, v[[post]]]) for k, v in tracks.shape.items()},
            ground=np.append(flags, ground),
        )

    named = set(tracks.colour)
    stranger = next(c for c in COLOURS if c not in named)
    assert unexplained(with_patch(stranger, 20.0, ground=False), named, 5.0)[0] == 2
    assert unexplained(with_patch(stranger, 20.0, ground=True), named, 5.0)[0] == 0
    assert unexplained(with_patch(stranger, 4.0, ground=False), named, 5.0)[0] == 0
    # Six frames of 24 per second are a quarter of a second, in which nothing is there.
    assert unexplained(replace(with_patch(stranger, 20.0, ground=False), fps=24.0), named, 5.0)[0] == 0


def test_who_comes_over_the_border_or_from_behind_something_is_explained() -> None:
    case = _case("entries")
    assert unexplained(track(true_video(case)), (), 0.0)[0] == 0
    count, bad = unexplained(track(_broken(case, "enters_from_nowhere", 1.0)), (), 0.0)
    assert count >= 1
    assert 0 < bad.mean() < 0.6


def test_lengths_take_turns_pair_by_pair_and_other_probes_keep_the_profile_s() -> None:
    probes = select_probes(None, ["company", "relation"])
    cases = select_cases(probes, SMALL, ["t2v"], 6, 0, lengths_s=(5, 30))
    assert [c.frames for c in cases if c.probe == "company"] == [41, 41, 241, 241, 41, 41]
    assert {c.frames for c in cases if c.probe == "relation"} == {17}
    with pytest.raises(ConfigError, match="long_range"):
        select_cases(select_probes(None, ["relation"]), SMALL, ["t2v"], 2, 0, lengths_s=(5,))
