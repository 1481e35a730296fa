"""Does one rigid scene explain what a moving camera shows? Bundle adjustment over a handful of landmarks.

Source: Triggs et al. 2000, "Bundle adjustment: a modern synthesis". Every landmark has one fixed place; the camera's six degrees of
freedom are cubics in time, because probes request a smooth move, and a camera that is free in every frame can sway so as to
explain a floor that slides; the focal length is free under a weak prior. What is left over no rigid scene explains.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from sora_eval.types import Bools, Floats

_DEGREE = 3


@dataclass(frozen=True)
class RigidFit:
    """The best rigid explanation of tracks."""

    residual: Floats
    """Distance between observed and explained points [N, T], pixels, NaN where not seen."""
    depth: Floats
    """z of each landmark [N, T], in units of the first guess."""
    moved: Floats
    """Translation of the camera from the first to the last frame [3], in the axes of the first (x right, y down, z forward), in
    units of the landmarks' mean depth."""
    turned: Floats
    """Rotation vector of the camera likewise [3], degrees."""


def fit_rigid(xy: Floats, seen: Bools, size: tuple[int, int], guess: Floats, fov: float = 40.0) -> RigidFit:
    """Fit one rigid scene and a smoothly moving pinhole camera to tracks by least squares.

    xy: [N, T, 2] pixels; seen: [N, T]; size: (height, width); guess: [N, 3] rough places in the axes of the first camera (x right,
    y down, z forward, any unit); fov: degrees across the shorter side, the start for the focal length.

    Raises:
        ValueError: fewer than 4 landmarks, or hardly more observations than unknowns.

    Example:
        >>> guess = np.random.default_rng(0).uniform([-2, -2, 5], [2, 2, 9], (8, 3))
        >>> track = guess[:, None] + [[0.3 * t, 0, 0] for t in range(6)]
        >>> fit = fit_rigid(88 * track[..., :2] / track[..., 2:] + 31.5, np.ones((8, 6), bool), (64, 64), guess)
        >>> bool(fit.residual.max() < 0.1)
        True
    """
    n, frames = seen.shape
    if n < 4 or 2 * seen.sum() < 1.5 * (3 * n + 6 * _DEGREE):
        raise ValueError("too few landmarks are seen long enough")
    centre = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2])
    focal = 0.5 * min(size) / np.tan(np.radians(fov) / 2)
    target = np.where(seen[..., None], (xy - centre) / focal, 0.0)
    unit = float(np.mean(guess[:, 2]))
    u = np.linspace(0, 1, frames)
    basis = np.stack([u ** (d + 1) for d in range(_DEGREE)], axis=1)

    def unpack(x: Floats) -> tuple[Floats, Floats, Floats, float]:
        points = x[: 3 * n].reshape(n, 3)
        path = basis @ x[3 * n : -1].reshape(_DEGREE, 6)
        return points, Rotation.from_rotvec(path[:, :3]).as_matrix(), path[:, 3:], float(np.exp(x[-1]))

    def error(x: Floats) -> Floats:
        points, R, t, zoom = unpack(x)
        cam = np.einsum("tij,nj->nti", R, points) + t[None]
        uv = zoom * cam[..., :2] / np.maximum(cam[..., 2:], 1e-2)
        # Weak priors hold what pictures leave free: overall scale, and the focal length.
        prior = np.concatenate([1e-3 * (points - guess / unit).ravel(), [3e-3 * x[-1]]])
        return np.concatenate([((uv - target) * seen[..., None]).ravel(), prior])

    start = np.concatenate([(guess / unit).ravel(), np.zeros(6 * _DEGREE + 1)])
    x = least_squares(error, start, method="trf", x_scale="jac", max_nfev=60, ftol=1e-6, xtol=1e-7).x
    points, R, t, zoom = unpack(x)
    cam = np.einsum("tij,nj->nti", R, points) + t[None]
    uv = zoom * cam[..., :2] / np.maximum(cam[..., 2:], 1e-2)
    off = (uv - target) * focal
    # A camera that shakes turns the whole view: that is no fault of the scene.
    with warnings.catch_warnings():
        # A frame in which nothing is seen has no median, and needs none.
        warnings.simplefilter("ignore", RuntimeWarning)
        off = off - np.nanmedian(np.where(seen[..., None], off, np.nan), axis=0, keepdims=True)
    residual = np.linalg.norm(off, axis=-1)
    mean = float(points[:, 2].mean())
    moved = -R[-1].T @ t[-1] / mean
    turned = np.degrees(Rotation.from_matrix(R[-1].T).as_rotvec())
    return RigidFit(np.where(seen, residual, np.nan), cam[..., 2] * unit, moved, turned)


def flat_residual(xy: Floats, seen: Bools) -> Floats:
    """Return what the best shift, turn and scale of a flat picture leaves over, [N, T] pixels, NaN where not seen.

    xy: [N, T, 2] pixels; seen: [N, T]. Each frame is explained by one similarity of one flat layout, which starts as the first
    frame with most landmarks and is refined once. A slide, a pan over little depth and a zoom leave nothing; parallax does.

    Example:
        >>> layout = np.array([[0.0, 0], [9, 0], [0, 9], [9, 9]])
        >>> bool(flat_residual(np.stack([layout, 2 * layout + 1], axis=1), np.ones((4, 2), bool)).max() < 1e-9)
        True
    """
    n, frames = seen.shape
    layout = np.full((n, 2), np.nan)
    base = int(np.argmax(seen.sum(axis=0)))
    layout[seen[:, base]] = xy[seen[:, base], base]
    out = np.full((n, frames), np.nan)
    for _ in range(2):
        back = np.full((n, frames, 2), np.nan)
        for k in range(frames):
            both = seen[:, k] & ~np.isnan(layout[:, 0])
            if both.sum() < 3:
                continue
            moved, inverse = similarity(layout[both], xy[both, k])
            out[both, k] = np.linalg.norm(moved - xy[both, k], axis=1)
            back[seen[:, k], k] = inverse(xy[seen[:, k], k])
        with np.errstate(invalid="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            layout = np.nanmean(back, axis=1)
    return out


def similarity(a: Floats, b: Floats) -> tuple[Floats, Callable[[Floats], Floats]]:
    """Return points a [N, 2] moved onto b by the best shift, turn and scale, and the way back (Umeyama 1991).

    Example:
        >>> a = np.array([[0.0, 0], [1, 0], [0, 1]])
        >>> bool(np.allclose(similarity(a, 2 * a + 5)[0], 2 * a + 5))
        True
    """
    ca, cb = a.mean(axis=0), b.mean(axis=0)
    z, w = (a - ca) @ np.array([1, 1j]), (b - cb) @ np.array([1, 1j])
    k = complex(np.vdot(z, w) / max(float(np.vdot(z, z).real), 1e-9))
    out = k * z

    def back(points: Floats) -> Floats:
        there = (points - cb) @ np.array([1, 1j]) / (k if abs(k) > 1e-9 else 1.0)
        return np.asarray(np.stack([there.real, there.imag], axis=1) + ca)

    return np.stack([out.real, out.imag], axis=1) + cb, back


def floor_guess(
    xy: Floats, size: tuple[int, int], heights: Floats, eye_m: float, pitch: float, fov: float = 40.0
) -> Floats:
    """Return rough places [N, 3] of objects that stand on a floor, from where they are seen in one frame.

    xy: [N, 2] pixels; heights: [N] of the seen point over the floor (m); eye_m: height of the eye (m); pitch: of the view downwards
    (degrees). Lower in the picture is nearer; depths are kept between 2 and 40 m.

    Example:
        >>> floor_guess(np.array([[31.5, 31.5]]), (64, 64), np.zeros(1), eye_m=1.0, pitch=30.0).round(3).tolist()  # eye_m / sin(pitch)
        [[0.0, 0.0, 2.0]]
    """
    focal = 0.5 * min(size) / np.tan(np.radians(fov) / 2)
    rays = np.concatenate([(xy - [(size[1] - 1) / 2, (size[0] - 1) / 2]) / focal, np.ones((len(xy), 1))], axis=1)
    a = np.radians(pitch)
    sink = rays[:, 1] * np.cos(a) + rays[:, 2] * np.sin(a)
    depth = (eye_m - heights) / np.maximum(sink, 0.02)
    return np.asarray(rays * np.clip(depth, 2, 40)[:, None])
