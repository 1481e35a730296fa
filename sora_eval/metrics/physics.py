"""Physics of tracked motion: free fall, bounces and momentum.

Positions may be in any unit of length as long as it is one; accelerations come out in that unit per second squared.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import least_squares

from sora_eval.types import Floats


@dataclass(frozen=True)
class ParabolaFit:
    """`y = y0 + velocity t + acceleration t^2 / 2`, t counted from the first sample."""

    y0: float
    """Position at the first sample, length."""
    velocity: float
    """Velocity there, length per second."""
    acceleration: float
    """Acceleration, length per second squared."""
    r2: float
    """Explained share of the variance of y, [0, 1]; 1 for a perfectly still, perfectly fitted object."""
    residual: float
    """Root mean square over the n - 3 degrees of freedom left, length."""
    acceleration_sd: float
    """The fit's own standard deviation of the acceleration, length per second squared."""


@dataclass(frozen=True)
class FallFit:
    """Two parabolas, one per axis, and what free fall requires of them."""

    x: ParabolaFit
    """Fit of x."""
    y: ParabolaFit
    """Fit of y."""
    residual_per_diameter: float
    """Root mean square distance from the fitted path over the object's diameter."""
    sideways: float
    """|a_x| / |a_y|, about 0 under gravity alone."""


@dataclass(frozen=True)
class BounceFit:
    """A bouncing trajectory."""

    g: float
    """Downward acceleration, length per second squared, > 0."""
    restitution: float
    """Speed after over speed before each contact."""
    contact_s: tuple[float, ...]
    """Times of the contacts within the clip, seconds, in the samples' own clock."""
    residual: float
    """Root mean square distance of the samples from the fit, length."""
    floor: float
    """Height of y at contact, length."""


def fit_parabola(t_s: Floats, y: Floats) -> ParabolaFit:
    """Return the least-squares parabola through samples of one coordinate.

    t_s: [n] seconds; y: [n] length; NaN samples are left out. n >= 4, since three samples always lie on a parabola.
    Raises ValueError for fewer than four samples at distinct times.

    Example:
        >>> t = np.arange(5.0)
        >>> round(fit_parabola(t, 4.9 * t**2).acceleration, 6)
        9.8
    """
    t, y = _samples(t_s, y, need=4)
    start = t[0]
    design = np.stack([np.ones_like(t), t - start, (t - start) ** 2 / 2], axis=1)
    coefficients, *_ = np.linalg.lstsq(design, y, rcond=None)
    rest = y - design @ coefficients
    total = float(((y - y.mean()) ** 2).sum())
    squares = float(rest @ rest)
    residual = np.sqrt(squares / (len(t) - 3))
    spread = np.sqrt(np.linalg.inv(design.T @ design)[2, 2]) * residual
    r2 = max(0.0, 1 - squares / total) if total > 0 else 1.0
    y0, velocity, acceleration = (float(c) for c in coefficients)
    return ParabolaFit(y0, velocity, acceleration, r2, float(residual), float(spread))


def fit_fall(t_s: Floats, xy: Floats, diameter: float, noise: float, limit: float = 0.2) -> FallFit:
    """Return the parabolas of a free flight; refuse a clip too short to tell its acceleration.

    The clip is too short when the sd that `noise` alone gives to the vertical acceleration (`acceleration_sd`)
    exceeds `limit` times the fitted one: whatever number came out would be noise. An object that does not
    accelerate is refused only if the clip could not have shown the acceleration that a fall over the path's own
    extent and duration would have had: a frozen or gliding ball is judged, and judged wrong.

    t_s: [n] seconds, evenly spaced; xy: [n, 2]; diameter, noise: length, noise the sd of one coordinate.
    Raises ValueError for a clip too short to tell, or a diameter <= 0.

    Example:
        >>> t = np.linspace(0, 1, 9)
        >>> round(fit_fall(t, np.stack([2 * t, 4.9 * t**2], axis=1), diameter=0.3, noise=1e-3).y.acceleration, 6)
        9.8
    """
    xy = np.asarray(xy, dtype=np.float64)
    if not diameter > 0:
        raise ValueError(f"diameter must be positive, got {diameter}")
    seen = np.isfinite(xy).all(axis=1)
    t, xy = np.asarray(t_s, dtype=np.float64)[seen], xy[seen]
    x, y = fit_parabola(t, xy[:, 0]), fit_parabola(t, xy[:, 1])
    span = float(np.ptp(t))
    extent = max(float(np.hypot(*np.ptp(xy, axis=0))), diameter)
    expected = max(abs(y.acceleration), 2 * extent / span**2)
    spread = acceleration_sd(noise, (len(t) - 1) / span, len(t))
    if spread > limit * expected:
        raise ValueError(
            f"too short to tell: {len(t)} samples in {span:.3g} s give the acceleration to +-{spread:.3g} only, "
            f"of about {expected:.3g}"
        )
    rest = np.hypot(x.residual, y.residual) * np.sqrt((len(t) - 3) / len(t))
    sideways = abs(x.acceleration) / abs(y.acceleration) if y.acceleration != 0 else np.inf
    return FallFit(x, y, float(rest / diameter), float(sideways))


def acceleration_sd(sigma: float, fps: float, n: int) -> float:
    """Return the sd of a parabola's fitted acceleration, `2 sigma fps^2 sqrt(180 / (n (n^2 - 1) (n^2 - 4)))`.

    sigma: sd of a position; fps: samples per second, evenly spaced; n: samples, at least 3.
    It follows from the orthogonal quadratic on n even steps, whose squared norm is n (n^2 - 1) (n^2 - 4) / 180.
    Raises ValueError for n < 3, where no acceleration is determined.

    Example:
        >>> round(acceleration_sd(sigma=0.01, fps=10, n=9), 4)
        0.114
    """
    if n < 3:
        raise ValueError(f"need at least 3 samples for an acceleration, got {n}")
    return float(2 * sigma * fps**2 * np.sqrt(180 / (n * (n**2 - 1) * (n**2 - 4))))


def two_drop_ratio(t1_s: float, h1: float, t2_s: float, h2: float) -> float:
    """Return `(t1^2 / t2^2) / (h1 / h2)`, 1 for two falls from rest in one field of gravity, whatever its strength.

    It needs neither scale nor true frame rate, with which the value of g alone is confounded.
    t1_s, t2_s: times of fall, any one unit, > 0; h1, h2: heights, any one unit, > 0. Raises ValueError otherwise.

    Example:
        >>> round(two_drop_ratio(t1_s=2.0, h1=8.0, t2_s=1.0, h2=2.0), 6)
        1.0
    """
    if not (t1_s > 0 and t2_s > 0 and h1 > 0 and h2 > 0):
        raise ValueError(f"times and heights must be positive, got {(t1_s, h1, t2_s, h2)}")
    return (t1_s / t2_s) ** 2 / (h1 / h2)


def momentum_error(mass: Floats, before: Floats, after: Floats) -> float:
    """Return `|sum_i m_i (v'_i - v_i)| / sum_i m_i |v_i|`, 0 where momentum is conserved in a collision.

    mass: [n] any one unit, > 0; before, after: [n, d] velocities.
    Raises ValueError for mismatched shapes, masses <= 0, or nothing moving before.

    Example:
        >>> momentum_error(np.array([3.0, 1.0]), before=np.array([[1.0], [0.0]]), after=np.array([[0.5], [1.5]]))
        0.0
    """
    m, v, w = (np.asarray(value, dtype=np.float64) for value in (mass, before, after))
    if v.ndim != 2 or v.shape != w.shape or m.shape != v.shape[:1] or not (m > 0).all():
        raise ValueError(f"need masses [n] > 0 and velocities [n, d], got {m.shape}, {v.shape}, {w.shape}")
    scale = float((m * np.linalg.norm(v, axis=1)).sum())
    if scale == 0:
        raise ValueError("nothing moves before the collision, so its momentum gives no scale")
    return float(np.linalg.norm(m @ (w - v))) / scale


def fit_bounce(t_s: Floats, y: Floats) -> BounceFit:
    """Fit a ball that falls, bounces once or more on a level floor, and flies on.

    With u the time from the first contact, tau = v / g the fall time to the speed v of impact, and e the restitution,
    `y = floor + g f(u; tau, e)`: f = -tau u - u^2 / 2 before the contact, and after it flights of 2 tau e^k seconds,
    f = tau e^k s - s^2 / 2 in flight k, s counted from its start; 0 at rest. Given (contact, tau, e), floor and g are
    linear; those three are searched on a grid and then refined with a soft-L1 loss, so that one bad sample does
    not carry the fit. All bounces share one e. g is not assumed.

    t_s: [n] seconds; y: [n] height, upward positive, any length; NaN samples are left out; n >= 6 with at least two
    before and two after the first contact. The first contact after the first sample must be in the clip.
    Raises ValueError for fewer samples, or when no bounce explains them better than a single parabola.

    Example:
        >>> t = np.arange(-10, 16) / 10; y = np.where(t < 0, -5 * t - 5 * t**2, 4 * t - 5 * t**2).clip(0)
        >>> round(fit_bounce(t[:18], y[:18]).restitution, 2)
        0.8
    """
    t, y = _samples(t_s, y, need=6)
    height = float(np.ptp(y))
    if height == 0:
        raise ValueError("no bounce found: the height never changes")
    z = (y - y.min()) / height

    best: tuple[float, Floats] | None = None
    for start in _bounce_starts(t, z):
        fit = least_squares(
            _bounce_rest, start, args=(t, z), loss="soft_l1", f_scale=0.01, x_scale=(0.1, 0.1, 0.1), max_nfev=200
        )
        if _allowed(fit.x, t) and (best is None or fit.cost < best[0]):
            best = (float(fit.cost), fit.x)
    if best is None:
        raise ValueError("no bounce found: no fall and rise share one downward acceleration")
    contact, tau, e = (float(v) for v in best[1])
    floor, g = _linear(_flight(t - contact, tau, e), z)
    rest = float(np.sqrt(np.mean(_bounce_rest(best[1], t, z) ** 2)))
    smooth = fit_parabola(t, z)
    # Both residuals per degree of freedom left, or the two parameters more would find a bounce in noise.
    if g <= 0 or smooth.residual < 2 * rest * np.sqrt(len(t) / (len(t) - 5)) or smooth.residual < 0.01:
        raise ValueError("no bounce found: one parabola explains the heights as well")
    if rest > _MAX_REST:
        raise ValueError(f"no bounce found: the best one leaves {rest:.0%} of the height unexplained")
    contacts, flight = [contact], 2 * tau * e
    while contacts[-1] + flight <= t[-1] and flight > 0.05 * tau:
        contacts.append(contacts[-1] + flight)
        flight *= e
    return BounceFit(float(g * height), e, tuple(contacts), rest * height, float(floor * height + y.min()))


# With eight samples, a bounce fits a quarter of pure noise better than a parabola, but hardly any of it this well.
_MAX_REST = 0.05
_MAX_FLIGHTS = 24


def _flight(u: Floats, tau: Floats | float, e: Floats | float) -> Floats:
    """Return f(u; tau, e) of `fit_bounce`; arguments broadcast."""
    u, tau, e = np.broadcast_arrays(np.asarray(u, dtype=np.float64), tau, e)
    out = np.where(u < 0, -tau * u - u**2 / 2, 0.0)
    begin, speed = np.zeros_like(u), tau * e
    for _ in range(_MAX_FLIGHTS):
        s = u - begin
        inside = (s >= 0) & (s < 2 * speed)
        out = np.where(inside, speed * s - s**2 / 2, out)
        begin, speed = begin + 2 * speed, speed * e
        if not (begin < u).any():
            break
    return np.asarray(out)


def _linear(f: Floats, z: Floats) -> tuple[Floats, Floats]:
    """Return floor and g that minimise |z - floor - g f|^2 along the last axis."""
    centred = f - f.mean(axis=-1, keepdims=True)
    power = (centred**2).sum(axis=-1)
    g = np.divide(centred @ (z - z.mean()), power, out=np.zeros_like(power), where=power > 1e-12)
    return np.asarray(z.mean() - g * f.mean(axis=-1)), np.asarray(g)


def _bounce_rest(parameters: Floats, t: Floats, z: Floats) -> Floats:
    contact, tau, e = parameters
    f = _flight(t - contact, abs(tau), abs(e))
    floor, g = _linear(f, z)
    return np.asarray(z - floor - g * f)


def _allowed(parameters: Floats, t: Floats) -> bool:
    contact, tau, e = parameters
    split = int((t < contact).sum())
    return bool(2 <= split <= len(t) - 2 and tau > 0 and 0 < e <= 1.5 and contact - t[0] <= 2 * tau)


def _bounce_starts(t: Floats, z: Floats, keep: int = 5) -> list[Floats]:
    """Return the best grid points (contact, tau, e), no two of them neighbours."""
    span = float(np.ptp(t))
    contacts = np.linspace(t[1], t[-2], 6 * (len(t) - 3) + 1 if len(t) <= 16 else 80)
    taus = np.geomspace(span / 20, 4 * span, 36)
    es = np.array([0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95, 1.05, 1.2, 1.4])
    c, tau, e = (axis.ravel() for axis in np.meshgrid(contacts, taus, es, indexing="ij"))
    reach = c - t[0] <= 2 * tau
    c, tau, e = c[reach], tau[reach], e[reach]
    # Long clips are thinned here only: the grid needs shape, the refinement uses every sample.
    pick = np.unique(np.linspace(0, len(t) - 1, min(len(t), 32)).round().astype(int))
    f = _flight(t[None, pick] - c[:, None], tau[:, None], e[:, None])
    floor, g = _linear(f, z[pick])
    error = ((z[pick] - floor[:, None] - g[:, None] * f) ** 2).sum(axis=1)
    error[g <= 0] = np.inf
    starts: list[Floats] = []
    for k in np.argsort(error)[:4000]:
        point = np.array([c[k], tau[k], e[k]])
        near = [
            abs(point[0] - p[0]) < 0.06 * span and abs(np.log(point[1] / p[1])) < 0.3 and abs(point[2] - p[2]) < 0.15
            for p in starts
        ]
        if not any(near) and np.isfinite(error[k]):
            starts.append(point)
        if len(starts) == keep:
            break
    return starts


def _samples(t_s: Floats, y: Floats, need: int) -> tuple[Floats, Floats]:
    t, y = np.asarray(t_s, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if t.shape != y.shape or t.ndim != 1:
        raise ValueError(f"need times and positions [n], got shapes {t.shape} and {y.shape}")
    seen = np.isfinite(t) & np.isfinite(y)
    t, y = t[seen], y[seen]
    if any(b <= a for a, b in pairwise(t)):
        raise ValueError("times must increase")
    if len(t) < need:
        raise ValueError(f"too short to tell: {len(t)} samples, at least {need} are needed")
    return t, y
