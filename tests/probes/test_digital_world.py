"""The probes of the played world: the truth scores 1, what is ignored or reversed earns nothing, and what can't be seen is not guessed."""

from __future__ import annotations

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.generator.simulator import Control, Violation, true_video
from sora_eval.probes.digital_world.actions import agreement
from sora_eval.probes.selection import select_probes
from sora_eval.tracking.world import track
from sora_eval.types import Case, Profile, Score, Video

SMALL = Profile("small", 64, 64, 17, 8, 5)
NAMES = [name for name, (suite, _) in registry.probe_names(optional=True).items() if suite == "digital_world"]
each = pytest.mark.parametrize("name", NAMES)


def _score(case: Case, video: Video) -> Score:
    return registry.probe(case.probe).score(case, video, track(video))


def _pair(name: str, seed: int) -> list[Case]:
    return registry.probe(name).cases(2, SMALL, "t2v", seed)


@each
def test_the_truth_scores_full_and_so_does_its_twin(name: str) -> None:
    for case in _pair(name, 1):
        assert (_score(case, true_video(case)).value or 0) >= 0.97


@pytest.mark.parametrize("name", [n for n in NAMES if n != "view_returns"])
@pytest.mark.parametrize("control", ["frozen", "noise", "blank", "shuffled", "reversed"])
def test_controls_earn_nothing(name: str, control: str) -> None:
    case = _pair(name, 1)[0]
    score = _score(case, next(Control(control).generate([case])))
    assert score.value is None or score.value <= registry.probe(name).chance


@each
def test_violations_at_full_strength_score_low(name: str) -> None:
    probe = registry.probe(name)
    for case in _pair(name, 2):
        for violation in probe.violations:
            broken = next(Violation(violation).generate([case]))
            assert isinstance(broken, Video), broken
            assert (_score(case, broken).value or probe.chance) <= max(0.5, probe.chance), violation


def test_the_opposite_of_every_action_earns_nothing() -> None:
    case, _ = _pair("follows_actions", 3)
    mirrored = Video(true_video(case).frames[:, :, ::-1].copy(), 8)
    score = _score(case, mirrored)
    assert score.value == 0
    # Both turns, of the actions that could be followed.
    assert score.components["opposite"] >= 0.5


def test_a_still_picture_ignores_every_action() -> None:
    case, _ = _pair("follows_actions", 1)
    still = Video(np.repeat(true_video(case).frames[:1], 33, axis=0), 8)
    score = _score(case, still)
    assert (score.value, score.components["ignored"]) == (0, 1)


def test_the_mirrored_twin_turns_to_the_other_side() -> None:
    one, two = (c.scene["params"]["actions"] for c in _pair("follows_actions", 5))
    exchanged = {"turn left": "turn right", "turn right": "turn left"}
    assert [exchanged.get(a, a) for a in one] == two
    assert set(exchanged) & set(one)


def test_the_twin_of_a_broken_block_is_one_that_is_put() -> None:
    one, two = (c.scene["params"]["actions"] for c in _pair("blocks_stay", 5))
    assert {one[0], two[0]} == {"break", "place"}


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (("turn left", "jump"), 1.0),
        (("turn right", "jump"), 0.0),
        (("turn right", "none"), -0.5),
        (("none", "none"), 0.0),
        (("jump", "turn left"), 0.0),
    ],
)
def test_agreement(shown: tuple[str, ...], expected: float) -> None:
    assert agreement(("turn left", "jump"), shown) == expected


def test_a_first_person_clip_is_the_other_view_of_a_third_person_one() -> None:
    case = next(
        c for c in registry.probe("players_view").cases(12, SMALL, "t2v") if c.scene["params"]["view"] == "third"
    )
    params = {**case.scene["params"], "view": "first"}
    other = Case.from_json({**case.to_json(), "scene": {**case.scene, "params": params}})
    assert _score(case, true_video(other)).value == 0
    assert _score(other, true_video(case)).value == 0
    assert (_score(other, true_video(other)).value or 0) >= 0.97


def test_trees_that_pass_by_are_no_figure() -> None:
    case = next(
        c
        for c in registry.probe("players_view").cases(20, SMALL, "t2v")
        if c.scene["params"]["view"] == "first" and c.scene["params"]["actions"][0] == "turn left"
    )
    height, width, count = 128, 224, 33
    world = np.full((height, 3 * width, 3), (200, 215, 225), np.uint8)
    grain = np.random.default_rng(0).integers(-8, 8, (height - 70, 3 * width, 1))
    world[70:] = (np.array([150, 150, 148]) + grain).astype(np.uint8)
    for x in range(20, 3 * width - 40, 70):
        world[30:59, x : x + 35] = (50, 160, 40)
        world[58:85, x + 14 : x + 21] = (110, 100, 95)
    starts = np.rint(1.8 * width * np.linspace(1, 0, count)).astype(int)
    frames = np.array([world[:, s : s + width] for s in starts])
    assert (_score(case, Video(frames, 8)).value or 0) >= 0.97
    # With a figure that stays in the middle it is the other view.
    frames[:, 60:105, 102:122] = (40, 90, 220)
    assert _score(case, Video(frames, 8)).value == 0


def test_the_suite_is_chosen_by_name_alone() -> None:
    assert not set(NAMES) & set(select_probes())
    assert list(select_probes(["digital_world"])) == NAMES
