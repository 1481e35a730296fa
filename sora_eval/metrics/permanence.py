"""Object permanence: how many objects there are, and where and when a hidden one comes out again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sora_eval.types import Bools, Floats


@dataclass(frozen=True)
class Motion:
    """Straight motion at constant velocity, `xy(t) = xy0 + velocity (t - t0_s)`."""

    xy0: Floats
    """Position at t0_s [2], pixels."""
    velocity: Floats
    """Velocity [2], pixels per second."""
    t0_s: float
    """Time of xy0, seconds."""

    def at(self, t_s: float) -> Floats:
        """Return the position [2] in pixels at `t_s` seconds."""
        return np.asarray(self.xy0 + self.velocity * (t_s - self.t0_s))


@dataclass(frozen=True)
class Exit:
    """Where and when an object reappears."""

    t_s: float
    """Time, seconds."""
    xy: Floats
    """Position [2], pixels."""


@dataclass(frozen=True)
class ExitError:
    """Difference of an exit from the expected one."""

    time_s: float
    """Observed minus expected time, seconds; positive is too late."""
    place_px: float
    """Distance, pixels."""


def count_consistency(counts: ArrayLike, expected: ArrayLike) -> float:
    """Return `max(0, 1 - mean_t |n_t - n*_t| / mean_t n*_t)`, 1 when every frame shows the expected number of objects.

    counts: [T] objects found in each frame; expected: n*, one number for all frames or [T], above 0 in the mean.
    Clipped at 0, so that one clip full of false objects cannot outweigh many good ones in a mean.
    Raises ValueError for no frames, negative counts, or where nothing is expected.

    Example:
        >>> count_consistency([2, 2, 1, 2], expected=2)
        0.875
    """
    n, wanted = np.asarray(counts, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if n.ndim != 1 or n.size == 0 or not (n >= 0).all():
        raise ValueError(f"counts must be [T] numbers >= 0 with T >= 1, got shape {n.shape}")
    if wanted.shape not in ((), n.shape) or not (wanted >= 0).all() or not wanted.mean() > 0:
        raise ValueError(f"expected must be a number above 0, or [T] with a mean above 0, got shape {wanted.shape}")
    return max(0.0, 1.0 - float(np.abs(n - wanted).mean()) / float(wanted.mean()))


def prompted_count_consistency(counts: ArrayLike, prompted: int) -> float:
    """Return `max(0, 1 - (mean_t max(0, n_t - N) + max(0, N - max_t n_t)) / N)`: 1 where N objects are shown at once, and never more.

    A prompt does not say when an object is hidden or out of the picture, so fewer than N in a frame are no error where some frame shows N.

    counts: [T] objects found in each frame; prompted: N, the number that the prompt names.
    Raises ValueError for no frames, negative counts, or N below 1.

    Example:
        >>> prompted_count_consistency([2, 1, 2, 3], prompted=2)
        0.875
    """
    n = np.asarray(counts, dtype=np.float64)
    if n.ndim != 1 or n.size == 0 or not (n >= 0).all() or prompted < 1:
        raise ValueError(
            f"counts must be [T] numbers >= 0 with T >= 1 and prompted >= 1, got shape {n.shape} and {prompted}"
        )
    excess, shortfall = np.maximum(n - prompted, 0).mean(), max(0.0, prompted - n.max())
    return max(0.0, 1.0 - float(excess + shortfall) / prompted)


def fit_constant_velocity(t_s: Floats, xy: Floats) -> Motion:
    """Return the least-squares straight motion through positions seen before an object was hidden.

    t_s: [n] seconds; xy: [n, 2] pixels, n >= 2, NaN rows ignored.
    Leave out frames in which the object is partly covered: the centroid of what is left lags behind.
    Raises ValueError with fewer than two distinct times.

    Example:
        >>> motion = fit_constant_velocity(np.array([0.0, 1.0]), np.array([[0.0, 5.0], [2.0, 5.0]]))
        >>> motion.at(3.0).tolist()
        [6.0, 5.0]
    """
    t, xy = np.asarray(t_s, dtype=np.float64), np.asarray(xy, dtype=np.float64)
    seen = np.isfinite(xy).all(axis=1) & np.isfinite(t)
    t, xy = t[seen], xy[seen]
    if len(t) < 2 or np.ptp(t) == 0:
        raise ValueError(f"need positions at two times at least to fit a velocity, got {len(np.unique(t))}")
    t0 = float(t.mean())
    velocity = (t - t0) @ (xy - xy.mean(axis=0)) / ((t - t0) ** 2).sum()
    return Motion(xy.mean(axis=0), velocity, t0)


def observed_exit(t_s: Floats, xy: Floats, visible: Bools) -> Exit:
    """Return the first sighting after the longest hidden span that has sightings on both sides.

    t_s: [T] seconds; xy: [T, 2] pixels; visible: [T] bool.
    Raises ValueError when the object is never hidden, or never seen again.

    Example:
        >>> t, xy = np.arange(4.0), np.stack([np.arange(4.0), np.zeros(4)], axis=1)
        >>> observed_exit(t, xy, np.array([True, False, False, True])).t_s
        3.0
    """
    seen = np.flatnonzero(np.asarray(visible, dtype=bool))
    gaps = np.diff(seen)
    if not (gaps > 1).any():
        raise ValueError("the object is never hidden between two sightings")
    frame = int(seen[int(np.argmax(gaps)) + 1])
    return Exit(float(t_s[frame]), np.asarray(xy[frame], dtype=np.float64))


def exit_error(expected: Exit, seen: Exit) -> ExitError:
    """Return the time (s) and place (px) by which an exit differs from the expected one (true or straight motion).

    Example:
        >>> exit_error(Exit(1.0, np.array([3.0, 4.0])), Exit(1.5, np.zeros(2)))
        ExitError(time_s=0.5, place_px=5.0)
    """
    return ExitError(seen.t_s - expected.t_s, float(np.linalg.norm(seen.xy - expected.xy)))
