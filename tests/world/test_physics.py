"""Rigid bodies against the closed form: fall, bounce, roll, collide."""

from dataclasses import replace

import numpy as np
import pytest

from sora_eval.world import frame_times, physics
from sora_eval.world.families import common, family
from sora_eval.world.palette import COLOURS
from sora_eval.world.scene import Body, Scene

G = 9.81
MECHANICS = ("free_fall_bounce", "two_drops", "projectile", "collision", "ramp", "topple")
T = np.linspace(0, 2, 401)


def scene(*bodies: Body) -> Scene:
    return Scene(bodies, common.level_view(2.0), 2.0)


def ball(**more: object) -> Body:
    defaults: dict[str, object] = {"motion": "free", "pos": (0.0, 0.0, 6.75)}
    return Body("ball", "ball", (1.5, 1.5, 1.5), "red", **{**defaults, **more})  # type: ignore[arg-type]


def test_free_fall_is_a_parabola() -> None:
    z = physics.simulate(scene(ball()), T).pos[:, 0, 2]
    falling = T < 1.0
    assert np.abs(z[falling] - (6.75 - G * T[falling] ** 2 / 2)).max() < 0.01


@pytest.mark.parametrize("restitution", [0.55, 0.65, 0.75, 0.8])
def test_rebound_has_the_restitution_asked_for(restitution: float) -> None:
    states = physics.simulate(scene(ball(restitution=restitution)), T)
    assert states.events[0].t_s == pytest.approx(np.sqrt(12 / G), abs=0.003)
    apex = states.pos[np.sqrt(12 / G) + 0.1 < T, 0, 2].max()
    assert np.sqrt((apex - 0.75) / 6) == pytest.approx(restitution, abs=0.015)


@pytest.mark.parametrize("angle", [18, 24])
def test_ball_rolls_at_five_sevenths_of_g_sine(angle: int) -> None:
    params = replace(family("ramp").sample(np.random.default_rng(0)), to="right", angle=angle)
    pos = physics.simulate(family("ramp").build(params, 2.0), T).pos[:, 0]
    a = np.radians(angle)
    along = (pos - pos[0]) @ np.array([np.cos(a), 0, -np.sin(a)])
    off = (pos - pos[0]) @ np.array([np.sin(a), 0, np.cos(a)])
    early = T < 1.5
    assert 2 * np.polyfit(T[early], along[early], 2)[0] == pytest.approx(5 / 7 * G * np.sin(a), rel=0.01)
    assert np.abs(off[early]).max() < 0.01


@pytest.mark.parametrize(("ratio", "restitution"), [(2, 0.5), (3, 0.8)])
def test_collision_keeps_momentum_and_nearly_its_restitution(ratio: int, restitution: float) -> None:
    params = family("collision").sample(np.random.default_rng(0))
    built = family("collision").build(replace(params, to="right", ratio=ratio, restitution=restitution), 2.0)
    x = physics.simulate(built, T).pos[:, :, 0]
    v0, v1, v2 = (x[100, 0] - x[20, 0]) / 0.4, *(x[-1] - x[-101]) / 0.5
    assert ratio * v1 + v2 == pytest.approx(ratio * v0, rel=1e-3)
    # A contact lasts six steps; where in a step it begins moves the restitution a little.
    assert (v2 - v1) / v0 == pytest.approx(restitution, abs=0.08)


def test_toppled_block_lies_flat_within_two_seconds() -> None:
    for seed in range(4):
        params = family("topple").sample(np.random.default_rng(seed))
        states = physics.simulate(family("topple").build(params, 2.0), T)
        assert states.pos[T > 1.8, 1, 2] == pytest.approx(0.55, abs=0.03)


@pytest.mark.parametrize("name", MECHANICS)
def test_mirrored_twice_is_the_identity_and_mirrors_the_motion(name: str) -> None:
    params = family(name).sample(np.random.default_rng(5))
    assert params.mirrored().mirrored() == params
    times = frame_times(9, 8)
    one, other = (physics.simulate(family(name).build(p, 1.0), times).pos for p in (params, params.mirrored()))
    assert one * np.array([-1.0, 1.0, 1.0]) == pytest.approx(other, abs=0.02)


@pytest.mark.parametrize("name", MECHANICS)
def test_caption_names_colours_and_swaps_sides(name: str) -> None:
    for seed in range(6):
        params = family(name).sample(np.random.default_rng(seed))
        words, twin = (family(name).caption(p, np.random.default_rng(seed)) for p in (params, params.mirrored()))
        assert all(v in words.lower() for v in params.to_json().values() if isinstance(v, str) and v in COLOURS)
        swapped = words.replace("left", "#").replace("right", "left").replace("#", "right")
        # "upright" is no side.
        assert twin == swapped.replace("upleft", "upright")
        assert words != twin
