"""Each fault of mechanics breaks the law that it names, and nothing at severity 0."""

from dataclasses import replace

import numpy as np
import pytest

from sora_eval.world import frame_times, physics
from sora_eval.world.families import family
from sora_eval.world.faults import FAULTS
from sora_eval.world.physics import States
from sora_eval.world.scene import Scene

TIMES = frame_times(17, 8)
WHERE = {
    "gravity": "free_fall_bounce",
    "uneven_gravity": "two_drops",
    "hovering": "free_fall_bounce",
    "restitution_over_1": "two_drops",
    "swerves": "projectile",
    "lost_momentum": "collision",
    "passes_through": "collision",
    "effect_precedes_cause": "topple",
    "falls_against_push": "topple",
}


def scene(fault: str) -> Scene:
    params = family(WHERE[fault]).sample(np.random.default_rng(1))
    way = "to" if hasattr(params, "to") else "side"
    return family(WHERE[fault]).build(replace(params, **{way: "right"}), 2.0)


def broken(fault: str, severity: float) -> States:
    b = FAULTS[fault](scene(fault), severity)
    return b.edit(physics.simulate(b.scene, TIMES, b.tweaks))


@pytest.mark.parametrize("fault", list(WHERE))
def test_severity_zero_changes_nothing_and_one_does(fault: str) -> None:
    assert set(WHERE) == {f.name for f in FAULTS.values() if f.group == "physics"}
    true = physics.simulate(scene(fault), TIMES).pos
    assert broken(fault, 0.0).pos == pytest.approx(true, abs=1e-2)
    assert np.abs(broken(fault, 1.0).pos - true).max() > 0.5


def test_gravity_is_a_quarter() -> None:
    z = broken("gravity", 1.0).pos[:, 0, 2]
    assert z[0] - z[8] == pytest.approx(9.81 / 4 / 2, rel=0.01)


def test_hovering_thing_stays_where_it_stopped() -> None:
    z = broken("hovering", 1.0).pos[:, 0, 2]
    assert np.ptp(z[8:]) < 1e-6
    assert z[-1] > 2.5


def test_bounce_goes_higher_than_the_drop() -> None:
    z = broken("restitution_over_1", 1.0).pos[:, 1, 2]
    assert z[8:].max() > 1.3 * z[0]


def test_momentum_is_gone_after_the_contact() -> None:
    x = broken("lost_momentum", 1.0).pos[:, :, 0]
    assert np.abs(x[-1] - x[-5]).max() < 1e-6


def test_mover_passes_the_struck_thing() -> None:
    x = broken("passes_through", 1.0).pos[:, :, 0]
    assert x[-1, 0] > x[0, 1]
    assert np.ptp(x[:, 1]) < 1e-6


def test_block_moves_before_the_ball_arrives() -> None:
    states = broken("effect_precedes_cause", 1.0)
    true = broken("effect_precedes_cause", 0.0)
    touch = next(e.t_s for e in true.events if e.bodies == ("ball", "block"))
    before = int(np.searchsorted(TIMES, touch)) - 1
    assert abs(states.pos[before, 1, 0] - states.pos[0, 1, 0]) > 0.3
    assert abs(true.pos[before, 1, 0] - true.pos[0, 1, 0]) < 0.01


def test_block_falls_towards_the_ball() -> None:
    x = broken("falls_against_push", 1.0).pos[:, 1, 0]
    assert x[-1] < x[0] - 1.5
