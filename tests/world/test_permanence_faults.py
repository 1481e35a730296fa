"""The permanence faults: nothing at severity 0, nothing before the hero is hidden, and what their names say."""

from __future__ import annotations

import numpy as np
import pytest

from sora_eval.world import clip, frame_times, physics
from sora_eval.world.families import family
from sora_eval.world.faults import FAULTS, render_broken
from sora_eval.world.physics import States
from sora_eval.world.scene import Scene

each = pytest.mark.parametrize("fault", [f.name for f in FAULTS.values() if f.group == "permanence"])


def scene(name: str = "pass_behind") -> Scene:
    return family(name).build(family(name).sample(np.random.default_rng(1)), 2.0)


def states(world: Scene, fault: str, severity: float) -> States:
    broken = FAULTS[fault](world, severity)
    return broken.edit(physics.simulate(broken.scene, frame_times(17, 8)))


@each
def test_no_severity_is_the_truth(fault: str) -> None:
    for name in ("pass_behind", "two_shots"):
        world = scene(name)
        true = clip(world, (32, 32), 8, 17).video.frames
        assert np.array_equal(render_broken(world, fault, 0.0, (32, 32), 8, 17).frames, true)


@each
def test_all_is_well_until_the_hero_is_hidden(fault: str) -> None:
    world = scene()
    true = clip(world, (32, 32), 8, 17).video.frames
    wrong = render_broken(world, fault, 1.0, (32, 32), 8, 17).frames
    hidden = int(np.ceil(world.facts["hidden_s"][0] * 8))
    assert np.array_equal(wrong[:hidden], true[:hidden])
    assert np.abs(wrong[hidden:].astype(int) - true[hidden:]).max() > 60


def test_stopped_loses_just_the_hidden_time() -> None:
    world = scene()
    a, b = world.facts["hidden_s"]
    true, half = states(world, "stopped", 0.0).pos[:, 0, 0], states(world, "stopped", 0.5).pos[:, 0, 0]
    speed = (true[1] - true[0]) * 8
    assert np.isclose(true[-1] - half[-1], speed * 0.5 * (b - a))


def test_teleports_is_off_by_what_the_scene_has_room_for() -> None:
    world = scene()
    off = states(world, "teleports", 0.5).pos[-1, 0] - states(world, "teleports", 0.0).pos[-1, 0]
    assert np.allclose(off, 0.5 * np.array(world.facts["elsewhere"]))


def test_the_flattened_stays_on_its_ground() -> None:
    world = scene()
    flat = FAULTS["changes_shape"](world, 1.0)
    low = flat.scene.bodies[-1]
    z = flat.edit(physics.simulate(flat.scene, frame_times(17, 8))).pos[-1, -1, 2]
    assert np.isclose(z - low.size[2] / 2, world.bodies[0].pos[2] - world.bodies[0].size[2] / 2)


@pytest.mark.parametrize(("fault", "more"), [("vanishes", -1), ("duplicates", 1), ("appears_from_nowhere", 1)])
def test_the_number_of_things_changes_by_one_for_the_share_of_time_that_was_asked(fault: str, more: int) -> None:
    world = scene()
    for severity in (0.25, 0.5, 1.0):
        shown = states(world, fault, severity).shown.sum(axis=1) - len(world.bodies)
        late = 2.0 - world.facts["hidden_s"][1] / 2 - world.facts["hidden_s"][0] / 2
        assert set(shown) == {0, more}
        assert abs((shown == more).sum() / 8 - severity * late) <= 1 / 8
