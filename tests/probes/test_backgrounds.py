"""Edits of surroundings: other draws of them than the judge was made with pass; other surroundings and parts of the clip don't."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.generator.simulator import true_video
from sora_eval.tracking.world import track
from sora_eval.types import Case, Frames, Profile, Score, Video
from sora_eval.validity.nuisances import with_style
from sora_eval.world import clip, conditioning, scene_of
from sora_eval.world.families.backgrounds import EDITS, Backgrounds
from sora_eval.world.looks import Look, Rgb, at_night, look_of, on_floor
from sora_eval.world.scene import Scene

SMALL = Profile("small", 64, 64, 17, 8, 5)
PROBE = registry.probe("change_background")
CASES = PROBE.cases(10, SMALL, "edit", 3)
GRASS: dict[str, Rgb] = {"lawn": (96, 168, 60), "bluish": (70, 124, 86), "dark": (44, 74, 34), "pale": (150, 176, 120)}
WOOD: dict[str, Rgb] = {
    "mahogany": (112, 60, 42),
    "pine": (222, 184, 132),
    "birch": (214, 196, 168),
    "ebony": (58, 46, 40),
}


def _score(case: Case, frames: Frames) -> Score:
    video = Video(frames, case.fps)
    return PROBE.score(case, video, track(video))


def _value(case: Case, frames: Frames) -> float:
    return _score(case, frames).value or 0.0


def _scene(case: Case, **background: str) -> Scene:
    params: dict[str, Any] = {**case.scene["params"]}
    params["background"] = {**params["background"], **background}
    return scene_of({**case.scene, "params": params}, (case.frames - 1) / case.fps)


def _frames(case: Case, scene: Scene) -> Frames:
    return clip(scene, case.size, case.fps, case.frames).video.frames


def _asked(ground: str, time: str = "day", before: str = "day") -> Case:
    for case in CASES:
        p = case.scene["params"]
        if (p["background"]["ground"], p["background"]["time"], p["before"]["time"]) == (ground, time, before):
            return case
    raise AssertionError(f"no case has {ground} by {time}")


def _floored(look: Look | None, colour: Rgb) -> Look:
    assert look is not None
    second = tuple(0.75 * v for v in colour)
    return replace(look, floor=replace(look.floor, first=colour, second=second))


def _source(case: Case) -> Frames:
    frames = conditioning(case)
    assert frames is not None
    return frames


def test_twins_ask_for_opposite_edits_and_every_edit_has_its_turn() -> None:
    asked = []
    for one, two in zip(CASES[::2], CASES[1::2], strict=True):
        a, b = one.scene["params"], two.scene["params"]
        assert (a["before"], a["background"]) == (b["background"], b["before"])
        assert {a["to"], b["to"]} == {"left", "right"}
        assert one.scene["source"] == {**a, "background": a["before"]}
        asked.append((a["before"]["ground"], a["before"]["time"], a["background"]["ground"], a["background"]["time"]))
    assert set(asked) == {(a.ground, a.time, b.ground, b.time) for a, b in EDITS}


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id[-4:])
def test_each_phrasing_has_the_surroundings_and_not_those_of_the_source_clip(case: Case) -> None:
    p = Backgrounds().read(case.scene["params"])
    words = {"tiles": "tiles", "grass": "grass", "wood": "wooden", "day": "daylight", "night": "night"}
    for phrase in Backgrounds().phrases(p):
        assert words[p.background.ground] in phrase
        if p.before.time != p.background.time:
            assert words[p.background.time] in phrase
            assert words[p.before.time] not in phrase
        else:
            assert words[p.before.ground] not in phrase


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id[-4:])
def test_the_source_clip_itself_earns_nothing(case: Case) -> None:
    assert _value(case, _source(case)) <= 0.05


@pytest.mark.parametrize(
    ("asked", "given"), [("grass", "wood"), ("wood", "grass"), ("wood", "tiles"), ("tiles", "grass")]
)
def test_surroundings_that_nobody_asked_for_earn_nothing(asked: str, given: str) -> None:
    case = _asked(asked)
    assert _value(case, _frames(case, _scene(case, ground=given))) <= 0.05


def test_day_on_another_ground_is_no_night() -> None:
    case = _asked("grass", "night")
    assert _score(case, _frames(case, _scene(case, ground="wood", time="day"))).value == 0


@pytest.mark.parametrize("name", GRASS)
def test_grass_of_another_green_is_grass(name: str) -> None:
    case = _asked("grass")
    scene = _scene(case)
    assert _value(case, _frames(case, replace(scene, look=_floored(scene.look, GRASS[name])))) >= 0.95


@pytest.mark.parametrize("name", WOOD)
def test_wood_of_another_tree_is_wood(name: str) -> None:
    case = _asked("wood")
    scene = _scene(case)
    assert _value(case, _frames(case, replace(scene, look=_floored(scene.look, WOOD[name])))) >= 0.95


@pytest.mark.parametrize(
    ("lamp", "tint"), [(0.22, (1.0, 1.0, 1.0)), (0.35, (1.0, 1.0, 1.15)), (0.5, (1.05, 1.0, 0.95))]
)
def test_a_darker_or_a_paler_night_is_night(lamp: float, tint: Rgb) -> None:
    case = _asked("grass", "night")
    look = _scene(case, time="day").look
    assert look is not None
    dark = replace(at_night(look), lamp=lamp * look.lamp, ambient=lamp * look.ambient, sun=tint, fill=tint)
    assert _value(case, _frames(case, replace(_scene(case), look=dark))) >= 0.95


def test_a_dusk_that_is_neither_is_not_judged() -> None:
    case = _asked("grass", "night")
    frames = np.asarray(0.68 * _source(case).astype(float), dtype=np.uint8)
    score = _score(case, frames)
    assert score.value is None
    assert "night" in score.reason


def test_a_floor_of_a_studio_is_as_bare_as_tiles() -> None:
    case = _asked("tiles")
    look = replace(look_of("studio", 1.0, 1), sway_deg=0.0, balance=(1.0, 1.0, 1.0))
    grey = _floored(look, (150.0, 150.0, 150.0))
    assert _value(case, _frames(case, replace(_scene(case), look=grey))) >= 0.95


def test_one_tint_all_over_is_wood_or_warm_light_and_not_judged() -> None:
    case = _asked("wood")
    frames = np.asarray(_frames(case, _scene(case, ground="tiles")) * np.array([1.0, 0.84, 0.66]), dtype=np.uint8)
    assert _score(case, frames).value is None


def test_some_frames_or_a_cut_to_another_scene_are_no_edit() -> None:
    case, other = _asked("grass"), PROBE.cases(10, SMALL, "edit", 8)[0]
    true = true_video(case).frames
    few = _source(case).copy()
    few[5:9] = true[5:9]
    assert _value(case, few) <= 0.05
    cut = true.copy()
    cut[8:] = true_video(other).frames[8:]
    assert _value(case, cut) <= 0.05


def _recoloured(case: Case, colour: str | None) -> Frames:
    """Return the true clip with what stands behind in another colour, without it where that is None."""
    scene = _scene(case)
    bodies = [b if b.name != "post" else replace(b, colour=colour or b.colour) for b in scene.bodies]
    return _frames(case, replace(scene, bodies=tuple(b for b in bodies if colour or b.name != "post")))


def test_an_object_that_is_gone_is_wrong_and_one_whose_hue_shifts_is_not_judged() -> None:
    case = _asked("wood")
    assert case.scene["params"]["post"]["colour"] in ("cyan", "blue", "green", "purple")
    assert _score(case, _recoloured(case, None)).value == 0
    beside = {"cyan": "blue", "blue": "cyan", "green": "cyan", "purple": "blue"}
    score = _score(case, _recoloured(case, beside[case.scene["params"]["post"]["colour"]]))
    assert score.value is None
    assert "can't be followed" in score.reason


@pytest.mark.parametrize("look", ["studio", "outdoor"])
def test_a_look_of_the_suite_changes_nothing(look: str) -> None:
    case = _asked("wood")
    other = with_style(case, {"look": {"name": look, "severity": 1.0, "seed": 1, "flipped": False}})
    assert np.array_equal(true_video(case).frames, true_video(other).frames)


def test_a_look_on_a_floor_is_seen_from_a_tripod_and_the_same_by_night() -> None:
    for name, kind in (("outdoor", "grass"), ("indoor", "wood")):
        look = on_floor(name, kind, 5)  # type: ignore[arg-type]
        night = at_night(look)
        assert look.floor.kind == kind
        assert not look.hand_held
        assert night.floor == look.floor
        assert night.lamp < 0.5 * look.lamp
