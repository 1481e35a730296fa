"""Coloured light and coloured grounds neither hide objects nor make new ones."""

from __future__ import annotations

import numpy as np
import pytest

from sora_eval.generator.simulator import true_video
from sora_eval.probes.selection import select_cases, select_probes
from sora_eval.registry import profile
from sora_eval.tracking.surroundings import ground, light, neutral
from sora_eval.tracking.world import WorldTracker, named_colours, track
from sora_eval.types import Case, Frames, Score, Tracks, Video
from sora_eval.world.palette import COLOURS

_PROBES = ("relation", "two_drops", "covered")
_GRASS, _WOOD = (110, 150, 50), (120, 72, 40)


def cases() -> list[Case]:
    return select_cases(select_probes(None, _PROBES), profile("small"), ("t2v",), 1, 3, 1)


def scored(case: Case, video: Video) -> Score:
    probe = select_probes(None, (case.probe,))[case.probe]
    return probe.score(case, video, WorldTracker().track(video, case))


def painted(colours: dict[str, tuple[int, int]], material: tuple[int, int, int], frames: int = 12) -> Video:
    """Return squares of 12 px at (x, y), which move to the right, on a ground with grain."""
    rng = np.random.default_rng(0)
    grain = rng.uniform(0.75, 1.2, (64, 64, 1)) * material
    video = np.repeat(np.clip(grain, 0, 255).astype(np.uint8)[None], frames, axis=0)
    for name, (x, y) in colours.items():
        for k in range(frames):
            video[k, y : y + 12, x + k : x + k + 12] = COLOURS[name]
    return Video(video, 8.0)


def tinted(frames: Frames, tint: tuple[float, float, float]) -> Frames:
    return (frames * np.array(tint)).round().astype(np.uint8)


def test_white_light_is_left_alone() -> None:
    for case in cases():
        video = true_video(case)
        assert light(video.frames) is None
        assert neutral(video) is video


@pytest.mark.parametrize("tint", [(1.0, 0.86, 0.65), (1.0, 0.9, 0.72), (0.7, 0.85, 1.0)])
def test_coloured_light_changes_no_score(tint: tuple[float, float, float]) -> None:
    for case in cases():
        video = true_video(case)
        score = scored(case, Video(tinted(video.frames, tint), video.fps))
        assert score.value == pytest.approx(1.0, abs=0.05), (case.id, score)


@pytest.mark.parametrize("material", [_GRASS, _WOOD])
def test_a_coloured_ground_is_neither_light_nor_an_object(material: tuple[int, int, int]) -> None:
    video = painted({"blue": (4, 20), "purple": (4, 40)}, material)
    if material == _GRASS:
        assert neutral(video) is video
    tracks = track(video, ("blue", "purple"))
    assert sorted(c for c in tracks.colour if tracks.visible[tracks.of(c)[0]].all()) == ["blue", "purple"]


def test_an_object_of_the_grounds_hue_is_found_where_it_is_brighter() -> None:
    video = painted({"yellow": (4, 20)}, (120, 130, 40))
    assert ground(video.frames).like.any()
    tracks = track(video, ("yellow",))
    assert "yellow" in tracks.ground_colours
    (i,) = tracks.of("yellow")[:1]
    assert tracks.visible[i].all()
    assert np.ptp(tracks.xy[i, :, 0]) == pytest.approx(11, abs=1.5)


def test_what_fails_on_a_ground_of_the_asked_hue_is_not_judged() -> None:
    (case,) = select_cases(select_probes(None, ("relation",)), profile("small"), ("t2v",), 1, 3, 1)[:1]
    asked = named_colours(case.prompt)
    colour = next(c for c in asked if c in ("orange", "yellow", "green", "red", "purple", "pink", "blue", "cyan"))
    material = tuple(int(0.55 * v + 20) for v in COLOURS[colour])
    score = scored(case, painted({}, material, case.frames))  # type: ignore[arg-type]
    assert score.value is None


def test_a_part_in_shadow_belongs_to_its_object() -> None:
    video = painted({"yellow": (4, 20)}, (190, 190, 190))
    frames = video.frames.copy()
    for k in range(len(frames)):
        frames[k, 28:32, 4 + k : 16 + k] = (150, 96, 12)  # in shadow it looks orange
    split, whole = track(Video(frames, 8.0)), track(Video(frames, 8.0), ("yellow",))
    assert set(split.colour) == {"yellow", "orange"}
    assert set(whole.colour) == {"yellow"}
    assert np.median(whole.area[0]) == pytest.approx(144, rel=0.12)


def test_what_stays_from_first_to_last_may_belong_to_the_surroundings() -> None:
    video = painted({"blue": (4, 20)}, (190, 190, 190))
    frames = video.frames.copy()
    frames[:, 44:54, 40:50] = COLOURS["red"]
    frames[4:, 4:12, 40:50] = COLOURS["green"]
    tracks = track(Video(frames, 8.0), ("blue",))
    assert tracks.ground is not None
    assert {c: bool(g) for c, g in zip(tracks.colour, tracks.ground, strict=True)} == {
        "blue": False,
        "red": True,
        "green": False,
    }


_WARM_PINK = (200, 60, 90)
"""Half way from the palette's pink to its red."""


def beside_red(shades: dict[tuple[int, int], tuple[int, int, int]], named: tuple[str, ...]) -> Tracks:
    """Track moving squares of given shades at (x, y) beside a red one on a pale ground."""
    frames = painted({"red": (4, 20)}, (190, 190, 190)).frames.copy()
    for (x, y), shade in shades.items():
        for k in range(len(frames)):
            frames[k, y : y + 12, x + k : x + k + 12] = shade
    return track(Video(frames, 8.0), named)


def test_a_hue_half_way_is_the_named_colour_that_is_missing() -> None:
    assert sorted(beside_red({(4, 44): _WARM_PINK}, ("pink", "red")).colour) == ["pink", "red"]


def test_a_hue_half_way_stays_where_nobody_named_the_other_or_the_other_is_there() -> None:
    unnamed = beside_red({(4, 44): _WARM_PINK}, ("red",))
    both = beside_red({(4, 44): _WARM_PINK, (30, 44): COLOURS["pink"]}, ("pink", "red"))
    assert sorted(unnamed.colour) == sorted(beside_red({(4, 44): _WARM_PINK}, ()).colour)
    assert sorted(both.colour) == sorted(unnamed.colour + ("pink",))


def test_a_named_colour_that_is_nowhere_is_not_found_in_another() -> None:
    assert set(beside_red({}, ("pink", "red", "orange")).colour) == {"red"}


def shaded_ball(apart: bool) -> Tracks:
    """Track a yellow object with an orange shade and an orange one elsewhere, on wood; apart: the shade goes its own way."""
    frames = painted({"yellow": (4, 14), "orange": (30, 44)}, _WOOD, 16).frames.copy()
    for k in range(len(frames)):
        x = 4 + k + (24 if apart and k >= 6 else 0)
        frames[k, 20:28, x : x + 12] = (235, 130, 10)
    return track(Video(frames, 8.0), ("yellow", "orange"))


def test_a_shade_of_another_named_colour_is_no_thing_of_its_own() -> None:
    together = shaded_ball(apart=False)
    assert len(together.of("orange")) == 1, together.colour
    assert np.nanmedian(together.xy[together.of("orange")[0], :, 1]) == pytest.approx(49.5, abs=1.5)
    assert len(shaded_ball(apart=True).of("orange")) >= 2
