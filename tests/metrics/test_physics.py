"""Physics metrics against closed forms, and fits against simulated truth with noise."""

from __future__ import annotations

import numpy as np
import pytest

from sora_eval.metrics.physics import (
    acceleration_sd,
    fit_bounce,
    fit_fall,
    fit_parabola,
    momentum_error,
    two_drop_ratio,
)
from sora_eval.types import Floats

G = 9.81


def bouncing(t: Floats, height: float, e: float, g: float = G) -> Floats:
    """Return the height of a ball dropped from rest at t = 0, event by event."""
    y = np.zeros_like(t)
    begin, top, speed = 0.0, height, 0.0
    for _ in range(60):
        length = (speed + np.sqrt(speed**2 + 2 * g * top)) / g
        inside = (t >= begin) & (t < begin + length)
        y[inside] = top + speed * (t[inside] - begin) - g * (t[inside] - begin) ** 2 / 2
        begin, speed, top = begin + length, e * np.sqrt(speed**2 + 2 * g * top), 0.0
    return y


def test_parabola_is_recovered_exactly() -> None:
    t = np.arange(8) / 4 + 3
    y = 5 - 2 * (t - 3) + 0.5 * 7 * (t - 3) ** 2
    fit = fit_parabola(t, y)
    assert (fit.y0, fit.velocity, fit.acceleration, fit.r2) == pytest.approx((5, -2, 7, 1))
    assert fit.residual == pytest.approx(0, abs=1e-9)


def test_r2_by_hand() -> None:
    # A cubic's sign pattern (1, -3, 3, -1) is orthogonal to every parabola on four even samples: nothing explained.
    assert fit_parabola(np.arange(4.0), np.array([1.0, -3, 3, -1])).r2 == pytest.approx(0, abs=1e-12)


def test_acceleration_sd_is_what_repeated_fits_show() -> None:
    rng = np.random.default_rng(0)
    t = np.arange(12) / 8
    fits = [fit_parabola(t, 3 * t**2 + rng.normal(0, 0.05, 12)) for _ in range(2000)]
    assert np.std([f.acceleration for f in fits]) == pytest.approx(acceleration_sd(0.05, 8, 12), rel=0.06)
    assert np.mean([f.acceleration_sd for f in fits]) == pytest.approx(acceleration_sd(0.05, 8, 12), rel=0.06)
    # n = 3: a = fps^2 (y0 - 2 y1 + y2), sd sqrt(6) sigma fps^2.
    assert acceleration_sd(1, 2, 3) == pytest.approx(4 * np.sqrt(6))


def test_fall_gives_gravity_and_nothing_sideways() -> None:
    t = np.arange(10) / 10
    xy = np.stack([3 * t, 4 * t - G * t**2 / 2], axis=1)
    fit = fit_fall(t, xy, diameter=0.2, noise=0.002)
    assert fit.y.acceleration == pytest.approx(-G)
    assert fit.sideways == pytest.approx(0, abs=1e-9)
    pushed = fit_fall(t, xy + np.stack([G * t**2 / 4, 0 * t], axis=1), diameter=0.2, noise=0.002)
    assert pushed.sideways == pytest.approx(1 / 2)
    bent = fit_fall(t, xy + np.stack([0 * t, 0.02 * (-1) ** np.arange(10)], axis=1), diameter=0.2, noise=0.002)
    assert bent.residual_per_diameter == pytest.approx(0.1, rel=0.1)


def test_a_clip_too_short_is_refused_but_a_glide_is_judged() -> None:
    t = np.arange(5) / 24
    xy = np.stack([0 * t, G * t**2 / 2], axis=1)
    with pytest.raises(ValueError, match="too short to tell"):
        fit_fall(t, xy, diameter=0.05, noise=0.03)
    long = np.arange(24) / 24
    glide = fit_fall(long, np.stack([0 * long, 2 * long], axis=1), diameter=0.05, noise=0.005)
    assert glide.y.acceleration == pytest.approx(0, abs=1e-9)
    with pytest.raises(ValueError, match="at least 4"):
        fit_fall(t[:3], xy[:3], diameter=0.05, noise=0.001)


def test_two_drops_by_hand() -> None:
    assert two_drop_ratio(np.sqrt(2 * 4 / G), 4, np.sqrt(2 / G), 1) == pytest.approx(1)
    # Twice as high in the same time is half of what it should be.
    assert two_drop_ratio(1, 2, 1, 1) == pytest.approx(1 / 2)
    with pytest.raises(ValueError, match="positive"):
        two_drop_ratio(1, 1, 0, 1)


def test_momentum_by_hand() -> None:
    mass, before = np.array([1.0, 3.0]), np.array([[4.0, 0], [0, 0]])
    elastic = np.array([[-2.0, 0], [2, 0]])
    assert momentum_error(mass, before, elastic) == pytest.approx(0)
    # The light one bounces back and the heavy one stays: |-2 - 4| / 4.
    assert momentum_error(mass, before, np.array([[-2.0, 0], [0, 0]])) == pytest.approx(6 / 4)
    assert momentum_error(mass, before, before[::-1]) == pytest.approx(8 / 4)
    with pytest.raises(ValueError, match="nothing moves"):
        momentum_error(mass, 0 * before, elastic)


def test_bounce_without_noise_is_exact() -> None:
    t = np.arange(8) / 4
    fit = fit_bounce(t, bouncing(t, 4.0, 0.7))
    assert (fit.g, fit.restitution, fit.floor) == pytest.approx((G, 0.7, 0), rel=1e-3, abs=1e-3)
    first = np.sqrt(2 * 4 / G)
    assert fit.contact_s == pytest.approx([first], rel=1e-3)
    assert fit.residual < 1e-4


@pytest.mark.parametrize("e", [0.4, 0.6, 0.8, 0.95])
def test_one_bounce_from_eight_noisy_samples(e: float) -> None:
    rng = np.random.default_rng(7)
    t = np.arange(8) / 4
    errors = []
    for height in (3.0, 4.5, 6.0):
        fit = fit_bounce(t, bouncing(t, height, e) + rng.normal(0, 0.003 * height, 8))
        errors.append((fit.g / G - 1, fit.restitution - e, fit.contact_s[0] - np.sqrt(2 * height / G)))
    g, restitution_error, contact = np.abs(errors).max(axis=0)
    assert g < 0.06
    assert restitution_error < 0.02
    assert contact < 0.02


def test_bounces_are_counted_and_units_do_not_matter() -> None:
    t = np.arange(36) / 24
    y = bouncing(t, 1.0, 0.6)
    fit, pixels = fit_bounce(t, y), fit_bounce(t + 5, 37 * y - 200)
    first = np.sqrt(2 / G)
    assert fit.contact_s[:3] == pytest.approx([first, first * 2.2, first * (2.2 + 2 * 0.36)], abs=2e-3)
    assert pixels.g == pytest.approx(37 * fit.g, rel=1e-3)
    assert pixels.contact_s[0] == pytest.approx(fit.contact_s[0] + 5, abs=1e-3)
    assert (pixels.restitution, pixels.floor) == pytest.approx((fit.restitution, 37 * fit.floor - 200), rel=1e-3)


def test_a_bounce_that_gains_is_measured_not_clipped() -> None:
    t = np.arange(16) / 12
    assert fit_bounce(t, bouncing(t, 1.5, 1.25)).restitution == pytest.approx(1.25, abs=0.01)


def test_one_bad_sample_does_not_carry_the_fit() -> None:
    t = np.arange(24) / 12
    y = bouncing(t, 4.0, 0.6)
    y[20] += 0.8
    fit = fit_bounce(t, y)
    assert (fit.g, fit.restitution) == pytest.approx((G, 0.6), rel=0.05)


@pytest.mark.parametrize("kind", ["fall", "throw", "line", "still", "noise"])
def test_no_bounce_is_said_so(kind: str) -> None:
    rng = np.random.default_rng(8)
    t = np.arange(10) / 8
    y = {
        "fall": -G * t**2 / 2,
        "throw": 6 * t - G * t**2 / 2,
        "line": 3 * t,
        "still": np.ones(10),
        "noise": 50 * rng.normal(size=10),
    }[kind]
    with pytest.raises(ValueError, match="no bounce found"):
        fit_bounce(t, y if kind == "still" else y + rng.normal(0, 0.003, 10))


def test_bad_samples_are_named() -> None:
    with pytest.raises(ValueError, match="too short to tell: 5 samples"):
        fit_bounce(np.arange(7.0), np.array([1, 2, 3, np.nan, 4, np.nan, 1]))
    with pytest.raises(ValueError, match="increase"):
        fit_parabola(np.array([0.0, 1, 1, 2]), np.ones(4))
