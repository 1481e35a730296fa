"""The families of left and right, and the world of blocks: twins, words, and actions replayed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sora_eval.world import clip
from sora_eval.world.families import Family, family, hands, voxel
from sora_eval.world.faults.left_right import swapped_sides
from sora_eval.world.physics import simulate
from sora_eval.world.scene import Scene

SIDED = [family(name) for name in ("relation", "motion", "opposite_motion", "camera_pan", "hands")]
each = pytest.mark.parametrize("family", [*SIDED, family("voxel")], ids=lambda f: f.name)
T_S = np.arange(9) / 4.0


def members(family: Family[Any], count: int = 5) -> list[Any]:
    return [family.sample(np.random.default_rng([i, 5])) for i in range(count)]


@each
def test_mirrored_twice_is_the_identity_and_once_is_not(family: Family[Any]) -> None:
    for params in members(family):
        assert family.mirrored(family.mirrored(params)) == params
        assert family.mirrored(params) != params
        assert family.read(json.loads(json.dumps(params.to_json()))) == params


def places(scene: Scene, sign: int) -> set[tuple[str, float, float, float, int]]:
    """Return (colour, x, y, z, frame) of all tracked bodies, x times `sign`."""
    states = simulate(scene, T_S)
    return {
        (b.colour, round(sign * float(x), 3) + 0.0, round(float(y), 3), round(float(z), 3), k)
        for n, b in enumerate(scene.bodies)
        if b.tracked
        for k, (x, y, z) in enumerate(states.pos[:, n])
    }


@each
def test_twins_are_mirror_images_in_space(family: Family[Any]) -> None:
    for params in members(family, 3):
        scene, twin = family.build(params, 2.0), family.build(family.mirrored(params), 2.0)
        assert places(scene, -1) == places(twin, 1)
        assert scene.camera.eye * (-1, 1, 1) == pytest.approx(twin.camera.eye)


@each
def test_same_seed_same_bytes(family: Family[Any]) -> None:
    first, second = (clip(family.build(members(family, 1)[0], 2.0), (32, 32), 4, 5).video.frames for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("family", SIDED, ids=lambda f: f.name)
def test_captions_name_sides_and_swap_them_under_mirroring(family: Family[Any]) -> None:
    swap = {"left": "right", "right": "left"}
    for i, params in enumerate(members(family)):
        words = family.caption(params, np.random.default_rng(i))
        twin = family.caption(family.mirrored(params), np.random.default_rng(i))
        assert "left" in words or "right" in words
        assert " ".join(swap.get(w.strip(",.;"), w.strip(",.;")) for w in words.split()) == " ".join(
            w.strip(",.;") for w in twin.split()
        )


def test_a_figure_that_faces_us_has_its_left_hand_on_our_right() -> None:
    assert hands.picture_side("left", "us") == "right"
    assert hands.picture_side("left", "away") == "left"
    figure = hands.Hands()
    scene = figure.build(replace(members(figure, 1)[0], hand="left", facing="us", place=0.0), 2.0)
    states = simulate(scene, T_S)
    names = [b.name for b in scene.bodies]
    left, right = states.pos[:, names.index("hand_left")], states.pos[:, names.index("hand_right")]
    assert right[-1, 2] - right[0, 2] > 1.0
    assert np.ptp(left[:, 2]) == 0.0
    assert right[-1, 0] > 0 > left[-1, 0]


def test_swapped_sides_at_full_strength_is_the_twin() -> None:
    for kind in (f for f in SIDED if f.name != "camera_pan"):
        params = members(kind, 1)[0]
        broken = swapped_sides(kind.build(params, 2.0), 1.0)
        states = broken.edit(simulate(broken.scene, T_S))
        twin = kind.build(params.mirrored(), 2.0)
        true = simulate(twin, T_S)
        for name in twin.facts["sided"]:
            axis = 2 * float(getattr(params, "place", 0.0))
            n = [b.name for b in twin.bodies].index(name)
            assert states.pos[:, n] - (axis, 0, 0) == pytest.approx(true.pos[:, n], abs=1e-9), (kind.name, name)


def test_voxel_actions_do_what_they_say() -> None:
    flat = voxel._World(np.full((voxel.SIDE, voxel.SIDE), 2), frozenset(), (5, 5), 0)
    for slot, action in enumerate(("forward", "turn right", "place", "forward", "turn left", "break")):
        assert flat.can(action)
        flat.act(action, slot)
    # North once, then on to the block that it placed in the east; the last one dug is north of that.
    assert flat.at == (6, 6)
    assert voxel.HEADINGS[flat.heading] == "north"
    assert flat.heights[6, 6] == 3
    assert flat.heights[6, 7] == 1
    assert flat.heights.sum() == 2 * voxel.SIDE**2


def test_voxel_states_its_actions_and_the_figure_follows_them() -> None:
    for params in members(voxel.Voxel(), 8):
        actions = params.actions
        scene = voxel.Voxel().build(params, 3.0)
        assert [a for _, a in scene.facts["actions"]] == list(actions)
        assert np.diff([t for t, _ in scene.facts["actions"]]) == pytest.approx(0.5)
        torso = [b.name for b in scene.bodies].index("torso")
        at = simulate(scene, np.arange(7) / 2.0).pos[:, torso, :2]
        steps = np.linalg.norm(np.diff(at, axis=0), axis=1)
        assert steps == pytest.approx([1.0 if a == "forward" else 0.0 for a in actions], abs=1e-6)
