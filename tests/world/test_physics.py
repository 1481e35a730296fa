"""Rigid bodies against the closed form: fall, bounce, roll, collide."""

import numpy as np
import pytest

from sora_eval.world import frame_times, physics
from sora_eval.world.families import FAMILIES, common
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
    params = {**FAMILIES["ramp"].sample(np.random.default_rng(0)), "to": "right", "angle": angle}
    pos = physics.simulate(FAMILIES["ramp"].build(2.0, **params), T).pos[:, 0]
    a = np.radians(angle)
    along = (pos - pos[0]) @ np.array([np.cos(a), 0, -np.sin(a)])
    off = (pos - pos[0]) @ np.array([np.sin(a), 0, np.cos(a)])
    early = T < 1.5
    assert 2 * np.polyfit(T[early], along[early], 2)[0] == pytest.approx(5 / 7 * G * np.sin(a), rel=0.01)
    assert np.abs(off[early]).max() < 0.01


@pytest.mark.parametrize(("ratio", "restitution"), [(2, 0.5), (3, 0.8)])
def test_collision_keeps_momentum_and_nearly_its_restitution(ratio: int, restitution: float) -> None:
    params = {**FAMILIES["collision"].sample(np.random.default_rng(0)), "to": "right"}
    built = FAMILIES["collision"].build(2.0, **{**params, "ratio": ratio, "restitution": restitution})
    x = physics.simulate(built, T).pos[:, :, 0]
    v0, v1, v2 = (x[100, 0] - x[20, 0]) / 0.4, *(x[-1] - x[-101]) / 0.5
    assert ratio * v1 + v2 == pytest.approx(ratio * v0, rel=1e-3)
    # A contact lasts six steps; where in a step it begins moves the restitution a little.
    assert (v2 - v1) / v0 == pytest.approx(restitution, abs=0.08)


def test_toppled_block_lies_flat_within_two_seconds() -> None:
    for seed in range(4):
        params = FAMILIES["topple"].sample(np.random.default_rng(seed))
        states = physics.simulate(FAMILIES["topple"].build(2.0, **params), T)
        assert states.pos[T > 1.8, 1, 2] == pytest.approx(0.55, abs=0.03)


@pytest.mark.parametrize("family", MECHANICS)
def test_mirrored_twice_is_the_identity_and_mirrors_the_motion(family: str) -> None:
    module = FAMILIES[family]
    params = module.sample(np.random.default_rng(5))
    assert module.mirrored(module.mirrored(params)) == params
    times = frame_times(9, 8)
    one, other = (physics.simulate(module.build(1.0, **p), times).pos for p in (params, module.mirrored(params)))
    assert one * np.array([-1.0, 1.0, 1.0]) == pytest.approx(other, abs=0.02)


@pytest.mark.parametrize("family", MECHANICS)
def test_caption_names_colours_and_swaps_sides(family: str) -> None:
    module = FAMILIES[family]
    for seed in range(6):
        params = module.sample(np.random.default_rng(seed))
        told, twin = (module.caption(p, np.random.default_rng(seed)) for p in (params, module.mirrored(params)))
        for key in {"ball", "block", "high", "low", "heavy", "light", "ramp"} & set(params):
            assert params[key] in told.lower()
        swapped = told.replace("left", "#").replace("right", "left").replace("#", "right")
        # "upright" is no side.
        assert twin == swapped.replace("upleft", "upright")
        assert told != twin
