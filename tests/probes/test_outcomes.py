"""The probes of random outcomes: a true clip shows a possible outcome, the oracle's samples have the world's distribution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from jumps import JUMPS, jump

from sora_eval import registry
from sora_eval.generator.simulator import Control, Violation, true_video
from sora_eval.probes.base import UnjudgeableError
from sora_eval.probes.outcomes.random_outcome import check_order
from sora_eval.probes.selection import select_cases, select_probes
from sora_eval.stats.outcomes.calibration import calibration, prompt_outcomes
from sora_eval.stats.samples import asked_of
from sora_eval.tracking.world import track
from sora_eval.types import Case, Profile, Score, Tracks, Video
from sora_eval.world import conditioning, frame_times, physics, scene_of
from sora_eval.world.families import family
from sora_eval.world.families.draws import DrawParams
from sora_eval.world.families.ridge_drop import WIDTH_M, RidgeDropParams
from sora_eval.world.families.toppling_stack import TopplingStackParams

SMALL = Profile("small", 64, 64, 17, 8, 5)
NAMES = [name for name, (suite, _) in registry.probe_names(optional=True).items() if suite == "outcomes"]


def _score(case: Case, video: Video) -> Score:
    return registry.probe(case.probe).score(case, video, track(video))


def _samples(name: str, samples: int, mode: str = "t2v", count: int = 1, seed: int = 1) -> list[Case]:
    return select_cases({name: registry.probe(name)}, SMALL, [mode], count, seed, samples)  # type: ignore[list-item]


def test_the_suite_is_chosen_by_name() -> None:
    assert list(select_probes(["outcomes"])) == NAMES
    assert not set(NAMES) & set(select_probes())


@pytest.mark.parametrize("name", NAMES)
def test_the_truth_shows_a_possible_outcome(name: str) -> None:
    for case in registry.probe(name).cases(4, SMALL, "t2v", 1):
        score = _score(case, true_video(case))
        assert (score.value or 0) >= 0.97, (case.id, score)
        assert score.components["possible"] == 1
        assert case.expect["outcomes"][list(case.expect["outcomes"])[round(score.components["outcome"])]] > 0


@pytest.mark.parametrize("name", NAMES)
def test_every_fault_is_found(name: str) -> None:
    case = registry.probe(name).cases(1, SMALL, "t2v", 3)[0]
    for fault in registry.probe(name).violations:
        values = [_score(case, next(Violation(fault, s).generate([case]))).value or 0 for s in (0.0, 1.0)]
        assert values[0] >= 0.97, fault
        assert values[1] < 0.5, (fault, values)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("control", ["frozen", "shuffled", "reversed", "cut", "crossfade", "noise", "blank"])
def test_controls_earn_nothing(name: str, control: str) -> None:
    case = registry.probe(name).cases(1, SMALL, "t2v", 3)[0]
    assert _score(case, next(Control(control).generate([case]))).value is None


@pytest.mark.parametrize("name", ["thrown_die", "toppling_stack"])
@pytest.mark.parametrize("way", JUMPS)
def test_an_end_without_a_way_to_it_is_not_judged(name: str, way: str) -> None:
    for case in registry.probe(name).cases(2, SMALL, "t2v", 1):
        assert not _score(case, jump(true_video(case), way)).value


def test_jitter_of_places_counts_alike_at_every_frame_rate() -> None:
    way = np.stack([np.linspace(0, 20, 241), np.zeros(241)], axis=1)
    jitter = np.random.default_rng(0).normal(0, 0.3, way.shape)
    for step in (1, 5, 15):
        check_order((way + jitter)[::step], "die")
    with pytest.raises(UnjudgeableError, match="to and fro"):
        check_order(np.random.default_rng(1).permutation(way), "die")


def resting(tracks: Tracks, fps: float, drift: float, last_s: float = 0.35) -> Tracks:
    """Return tracks at another rate, in which what moves goes on in the time at the end by `drift` pixels per second to the side."""
    at = np.arange(0, (tracks.frames - 1) / tracks.fps + 1e-9, 1 / fps)
    near = np.round(at * tracks.fps).astype(int)
    far = (drift * np.clip(at - at[-1] + last_s, 0, None))[None, :, None] * [1, 0]
    rows = {"visible": tracks.visible[:, near], "area": tracks.area[:, near]}
    shape = {name: values[:, near] for name, values in tracks.shape.items()}
    box = tracks.box[:, near] + np.concatenate([far, far], axis=2)
    return replace(tracks, xy=tracks.xy[:, near] + far, box=box, fps=fps, shape=shape, **rows)


@pytest.mark.parametrize("name", ["toppling_stack", "ridge_drop"])
@pytest.mark.parametrize("fps", [8.0, 24.0, 60.0])
def test_what_hangs_in_the_air_must_hang_there_for_as_long_at_every_rate(name: str, fps: float) -> None:
    case = registry.probe(name).cases(1, SMALL, "t2v", 3)[0]
    video = next(Violation("never_lands", 1.0).generate([case]))
    assert isinstance(video, Video)
    true_tracks = track(video)
    colour = case.scene["params"]["colours"][2] if name == "toppling_stack" else case.scene["params"]["ball"]
    area = true_tracks.area[true_tracks.of(colour)[0]]
    size = float(np.sqrt(np.median(area[area > 0])))
    judged = [
        registry.probe(name).score(case, video, resting(true_tracks, fps, drift * size)).value is not None
        for drift in (0.0, 1.0)
    ]
    assert judged == [True, False]


@pytest.mark.parametrize("name", NAMES)
def test_samples_differ_in_their_draw_alone(name: str) -> None:
    first, second, third = _samples(name, 3, "i2v")
    assert len({c.scene["params"]["draw"] for c in (first, second, third)}) == 3
    assert first.prompt == second.prompt
    assert first.expect == second.expect
    params = {**second.scene["params"], "draw": first.scene["params"]["draw"]}
    assert params == first.scene["params"]
    # The first frame gives nothing away.
    given = [conditioning(c) for c in (first, second)]
    assert given[0] is not None
    assert given[1] is not None
    assert np.array_equal(*given)
    assert not np.array_equal(true_video(first).frames, true_video(second).frames)


def test_the_oracle_answers_every_sample_and_controls_the_first() -> None:
    cases = _samples("ridge_drop", 3)
    assert asked_of("oracle", cases) == cases
    assert asked_of("control", cases) == cases[:1]
    others = _samples("relation", 3)
    assert asked_of("oracle", others) == others[:1]


def _end(case: Case, draw: int) -> physics.States:
    made = replace(case, scene={**case.scene, "params": {**case.scene["params"], "draw": draw}})
    return physics.simulate(scene_of(made.scene, 2.0), frame_times(5, 2.0))


@pytest.mark.slow
def test_simulated_draws_of_the_ridge_and_the_stack_have_the_probabilities_of_the_probe() -> None:
    prompts = []
    for name, body, cases in (("ridge_drop", 0, 6), ("toppling_stack", 2, 6)):
        for case in registry.probe(name).cases(cases, SMALL, "t2v", 0):
            divide = scene_of(case.scene, 2.0).facts["divide"]
            shown = [int(_end(case, draw).pos[-1, body, 0] > divide) for draw in range(40)]
            prompts.append(prompt_outcomes(case.expect["outcomes"], shown, case.cluster))
    found = calibration(prompts)
    assert found is not None
    assert not found.differs
    assert found.impossible.mean == 0


def test_where_the_ball_falls_is_uniform_and_mirrored_in_the_twin() -> None:
    p = family("ridge_drop").sample(np.random.default_rng(0))
    assert isinstance(p, RidgeDropParams)
    places = np.array([replace(p, draw=k).drop_m for k in range(4000)]) / WIDTH_M + 0.5
    assert np.histogram(places, bins=4, range=(0, 1))[0] == pytest.approx(1000, abs=4 * 28)
    assert p.mirrored().drop_m == -p.drop_m
    assert p.mirrored().edge == 1 - p.edge


def test_an_upright_stack_falls_to_either_side_and_a_leaning_one_to_its_own() -> None:
    p = family("toppling_stack").sample(np.random.default_rng(0))
    assert isinstance(p, TopplingStackParams)
    pushes = [replace(p, lean="none", draw=k).push for k in range(400)]
    assert sum(push > 0 for push in pushes) == pytest.approx(200, abs=40)
    assert replace(p, lean="left", flipped=False).mirrored().lean == "right"
    for lean, expected in (("none", [0.5, 0.5]), ("left", [1.0, 0.0]), ("right", [0.0, 1.0])):
        probe = registry.probe("toppling_stack")
        assert list(probe.outcomes(replace(p, lean=lean)).values()) == expected  # type: ignore[attr-defined]


def test_a_stack_that_falls_against_its_lean_is_impossible() -> None:
    cases = registry.probe("toppling_stack").cases(12, SMALL, "t2v", 0)
    case = next(c for c in cases if c.scene["params"]["lean"] == "left")
    score = _score(case, next(Violation("changes_sides", 1.0).generate([case])))
    assert (score.value or 0) == 0


def test_parts_keep_their_place_on_the_die() -> None:
    case = registry.probe("thrown_die").cases(1, SMALL, "t2v", 1)[0]
    scene = scene_of(case.scene, 2.0)
    states = physics.simulate(scene, frame_times(5, 2.0))
    assert np.allclose(states.pos[:, 1:], states.pos[:, :1])
    assert np.allclose(states.quat[:, 1:], states.quat[:, :1])
    assert isinstance(family("thrown_die").read(case.scene["params"]), DrawParams)
    assert list(case.expect["outcomes"].values()) == sorted(case.expect["outcomes"].values(), reverse=True)
    assert sum(case.expect["outcomes"].values()) == pytest.approx(1)
