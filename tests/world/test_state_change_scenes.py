import numpy as np
import pytest

from sora_eval.world import frame_times, physics, shapes
from sora_eval.world.families import bite, family
from sora_eval.world.faults import FAULTS
from sora_eval.world.faults.base import index
from sora_eval.world.palette import COLOURS

NAMES = ("bite", "candle", "shatter", "brush")
T_S = frame_times(33, 16)


def scene(name, seed=4, duration_s=2.0):
    return family(name).build(family(name).sample(np.random.default_rng(seed)), duration_s)


def broken(name, fault, severity):
    b = FAULTS[fault](scene(name), severity)
    return b.scene, b.edit(physics.simulate(b.scene, T_S, b.tweaks))


@pytest.mark.parametrize("name", NAMES)
def test_mirrored_twice_is_the_same_scene(name):
    params = family(name).sample(np.random.default_rng(0))
    assert params.mirrored() != params
    assert params.mirrored().mirrored() == params


@pytest.mark.parametrize("name", NAMES)
def test_the_mirror_moves_every_body_to_the_other_side(name):
    params = family(name).sample(np.random.default_rng(0))
    one, two = (family(name).build(p, 2.0) for p in (params, params.mirrored()))
    here, there = (physics.simulate(s, T_S[:8]) for s in (one, two))
    shown = here.shown
    assert (shown == there.shown).all()
    np.testing.assert_allclose(here.pos[..., 0][shown], -there.pos[..., 0][shown], atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_the_caption_names_every_colour_and_the_side(name):
    for seed in range(12):
        params = family(name).sample(np.random.default_rng(seed))
        words = family(name).caption(params, np.random.default_rng(seed))
        assert all(value in words for value in params.to_json().values() if isinstance(value, str) and value in COLOURS)
        assert getattr(params, "side", getattr(params, "to", "")) in words or name == "shatter"
        assert "left" in words or "right" in words
        assert "a orange" not in words.lower()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", ["effect_before_cause", "never_happens"])
def test_no_severity_is_the_true_world(name, fault):
    truth = physics.simulate(scene(name), T_S)
    _, states = broken(name, fault, 0)
    assert (states.shown == truth.shown).all()
    np.testing.assert_allclose(states.pos, truth.pos)


def test_a_bite_takes_the_lens_of_two_discs():
    size, radius = (1.5, 0.01, 1.5), 0.5
    # A thin disc: the ball cuts it like a disc of its own radius. Area of the lens by the two circular segments.
    far = 0.75
    a, b = (far**2 + radius**2 - 0.75**2) / (2 * far * radius), (far**2 + 0.75**2 - radius**2) / (2 * far * 0.75)
    segments = radius**2 * (np.arccos(a) - a * np.sqrt(1 - a**2)) + 0.75**2 * (np.arccos(b) - b * np.sqrt(1 - b**2))
    left = shapes.from_mesh(bite.bitten(size, 2 * radius, (-far, 0.0, 0.0))).volume() / size[1]
    assert left == pytest.approx(np.pi * 0.75**2 - segments, rel=0.02)


def test_the_glass_breaks_when_a_free_fall_reaches_the_floor():
    s = scene("shatter")
    at_s = next(e.t_s for e in physics.simulate(s, T_S).events if e.kind == "shatter")
    # A tilted glass reaches a little lower than an upright one.
    assert at_s == pytest.approx(np.sqrt(2 * s.facts["drop_m"] / 9.81), abs=0.02)


def test_a_glass_that_breaks_too_early_breaks_in_the_air():
    times = []
    for severity in (0.0, 0.5, 1.0):
        b, states = broken("shatter", "effect_before_cause", severity)
        first = int(np.argmax(states.shown[:, index(b, "piece0")]))
        times.append(first)
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == 3


def test_shards_end_where_they_sat_in_the_glass():
    b, states = broken("shatter", "shards_rejoin", 1.0)
    i, j = index(b, "piece0"), index(b, "piece1")
    offset = np.array(b.body("piece1").pos) - np.array(b.body("piece0").pos)
    np.testing.assert_allclose(states.pos[-1, j] - states.pos[-1, i], offset, atol=1e-6)


def test_a_glass_that_never_breaks_stays_whole():
    b, states = broken("shatter", "never_happens", 1.0)
    assert states.shown[:, index(b, "glass")].all()
    assert not states.shown[:, index(b, "piece0")].any()


def test_the_room_goes_dark_with_the_flame_and_not_without():
    s = scene("candle")
    states = physics.simulate(s, T_S)
    burning = states.shown[:, index(s, "flame")]
    assert (states.lamp[burning] == 1).all()
    assert (states.lamp[~burning] < 0.5).all()
    _, never = broken("candle", "never_happens", 1.0)
    assert (never.lamp == 1).all()


def test_the_stroke_ends_under_the_brush_and_runs_ahead_only_when_broken():
    def lead(b, states):
        i = index(b, "stroke")
        way = np.sign(-b.body("stroke").path[0][1])
        front = way * states.pos[:, i, 0] + b.body("stroke").size[0] / 2 * states.scale[:, i, 0]
        brush = way * states.pos[:, index(b, "tip"), 0]
        return (front - brush)[states.shown[:, i]].max()

    s = scene("brush")
    assert abs(lead(s, physics.simulate(s, T_S))) < 0.1
    assert lead(*broken("brush", "effect_before_cause", 0.5)) > 0.7
