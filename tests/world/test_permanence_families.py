"""The permanence families: words, mirrors, and that what should be unseen is unseen and what should be seen is seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sora_eval.world import clip, frame_times, physics, render
from sora_eval.world.families import Family, family

NAMES = ("pass_behind", "covered", "leave_and_return", "evolves_unseen", "count", "two_shots")
each = pytest.mark.parametrize("name", NAMES)


def drawn(name: str, seed: int) -> tuple[Family[Any], Any]:
    return family(name), family(name).sample(np.random.default_rng(seed))


@each
def test_mirrored_twice_is_the_identity(name: str) -> None:
    for seed in range(8):
        kind, p = drawn(name, seed)
        assert kind.mirrored(kind.mirrored(p)) == p
        assert kind.mirrored(p) != p


@each
def test_the_mirrored_scene_is_the_mirrored_picture(name: str) -> None:
    kind, p = drawn(name, 3)
    p = replace(p, texture="plain", style=replace(p.style, light="left"))
    # The lamps "left" and "right" mirror each other; the tiles of the floor don't count.
    one = clip(kind.build(p, 2.0), (48, 48), 4, 9).video.frames.astype(int)
    two = clip(kind.build(kind.mirrored(p), 2.0), (48, 48), 4, 9).video.frames.astype(int)
    saturated = (one.max(axis=-1) - one.min(axis=-1)) > 60
    assert np.abs(one - two[:, :, ::-1])[saturated].mean() < 4


@each
def test_words_swap_sides_and_keep_their_article(name: str) -> None:
    for seed in range(12):
        kind, p = drawn(name, seed)
        for long in (False, True):
            words = kind.caption(p, np.random.default_rng(seed), long)
            other = kind.caption(kind.mirrored(p), np.random.default_rng(seed), long)
            swapped = words.replace("left", "\0").replace("right", "left").replace("\0", "right")
            assert other == swapped.replace("blight", "bright").replace("bleft", "bright")
            assert " a orange" not in words.lower()
            assert words[0].isupper()
            assert words.endswith(".")


@each
@pytest.mark.parametrize("size", [(32, 32), (54, 96)])
def test_the_hero_is_seen_first_and_last_and_hidden_when_it_is_said_to_be(name: str, size: tuple[int, int]) -> None:
    kind, p = drawn(name, 1)
    scene = kind.build(p, 2.0)
    full = clip(scene, size, 8, 17, full_truth=True).truth
    assert full.ids is not None
    i = [b.name for b in scene.bodies].index(scene.facts["hero"])
    seen = (full.ids == i).sum(axis=(1, 2))
    assert min(seen[0], seen[-1]) > 4
    a, b = scene.facts["hidden_s"]
    t = full.states.t_s
    inside = (t > a + 1e-6) & (t < b - 1e-6)
    assert name == "two_shots" or inside.any()
    assert (seen[inside] == 0).all(), seen


def test_the_same_parameters_give_the_same_bytes() -> None:
    kind, p = drawn("evolves_unseen", 5)
    a, b = (clip(kind.build(p, 2.0), (32, 32), 4, 5).video.frames for _ in range(2))
    assert np.array_equal(a, b)


def test_the_unseen_ball_keeps_its_speed() -> None:
    kind, p = drawn("evolves_unseen", 2)
    scene = kind.build(p, 2.0)
    x = physics.simulate(scene, frame_times(17, 8)).pos[:, 0, 0]
    assert np.allclose(np.diff(x), (x[-1] - x[0]) / 16)


def test_the_cut_has_nothing_in_between() -> None:
    kind, p = drawn("two_shots", 4)
    scene = kind.build(p, 2.0)
    t = np.linspace(0, 2.0, 2001)
    eye = -np.einsum("tji,tj->ti", (c := render.camera_of(scene, t, (32, 32))).R, c.t)
    assert len(np.unique(eye.round(6), axis=0)) == 2
