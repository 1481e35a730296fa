"""Which camera move explains how the points of a picture go: each move of a rigid scene is fitted, and the residuals are compared.

A move is a family of camera paths with one amount s(t), a cubic in time, and at most two fixed angles. Every point has a direction, and for
moves that change the camera's place a depth too; given the camera these follow by linear least squares, so that only a handful of numbers
are sought (variable projection, Golub and Pereyra 1973). Turns and zooms shift near and far points alike; a move that shifts them
differently must have changed the camera's place. The angle of view is not known from a clip: 40 degrees are assumed, and amounts are what
is seen, as shares of the focal length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from sora_eval.types import Bools, Floats

TURNS = ("pan", "tilt", "roll", "zoom")
"""Moves that leave the camera where it is."""
TRAVELS = ("truck", "crane", "dolly", "orbit")
"""Moves that change its place, and so show parallax."""
FEWEST = 12
"""Points below which no move is fitted."""
_FOCAL = 0.5 / np.tan(np.radians(20.0))
"""Focal length as a share of the shorter side, at 40 degrees."""
_DEGREE = 3
_OUTLIER = 0.01
"""Residual from which a point counts less, as a share of the focal length: 0.9 pixels of 64."""
_DEPTH_PRIOR = 0.004
_PARALLAX, _LEAST_PARALLAX = 0.62, 0.0015
"""Share of a turn's residual that a travelling camera must get below, and the root of the difference of their squares, as a share of the
focal length. With a depth for each point it always fits a little better: on true zooms at 64 pixels a share of .74 is left, on true dollies
.52 at most."""
_NEAR, _FAR = 0.4, 2.5
"""Least and greatest median inverse depth of points that a camera circles round: a circle round what is much nearer is a pan."""


@dataclass(frozen=True)
class MoveFit:
    """The best path of one kind of move."""

    move: str
    """Its name, of TURNS or TRAVELS."""
    way: Floats
    """[T] the amount since the first frame: radians, the logarithm of the magnification, or the way as a share of the points' typical
    distance; positive to the right, upwards, inwards."""
    residual: float
    """Robust rms distance of the points from where the path puts them, as a share of the focal length; infinite where the best fit is no
    such move."""
    shape_residual: float
    """The same less the shift that all points of a frame share: what a camera that shakes does not add to."""
    off: Floats
    """[N, T, 2] this distance by point and frame, NaN where not seen."""

    @property
    def amount(self) -> float:
        """The amount from the first to the last frame."""
        return float(self.way[-1])


@dataclass(frozen=True)
class Camera:
    """Cameras in the axes of the first one (x right, y down, z forward), T of them."""

    R: Floats
    """[T, 3, 3] from the first camera's axes to each one's."""
    C: Floats
    """[T, 3] centres, in units of the points' mean distance."""
    zoom: Floats
    """[T] magnifications."""


def camera(move: str, way: Floats, lean: Floats) -> Camera:
    """Return the cameras of a move with amounts way [T].

    lean: [2], radians by which the world's vertical leans forward, or the two slopes of a dolly's way.

    Example:
        >>> bool(np.allclose(camera("truck", np.array([0, 0.5]), np.zeros(2)).C, [[0, 0, 0], [0.5, 0, 0]]))
        True
    """
    n = len(way)
    down = np.array([0.0, np.cos(lean[0]), np.sin(lean[0])])
    axes = {"pan": down, "orbit": -down, "tilt": np.array([1.0, 0, 0]), "roll": np.array([0, 0, 1.0])}
    ways = {"truck": np.array([1.0, 0, 0]), "crane": -down, "dolly": np.array([lean[1], lean[0], 1.0])}
    turned = Rotation.from_rotvec(way[:, None] * axes.get(move, np.zeros(3))).as_matrix()
    centre = way[:, None] * ways.get(move, np.zeros(3))
    if move == "orbit":
        # Round the point at unit distance ahead.
        ahead = np.array([0, 0, 1.0])
        centre = ahead - turned @ ahead
    return Camera(np.swapaxes(turned, 1, 2), centre, np.exp(way) if move == "zoom" else np.ones(n))


def fit_move(move: str, xy: Floats, seen: Bools) -> MoveFit:
    """Fit a move to points by robust least squares.

    xy: [N, T, 2] places from the frame's middle, x right and y down, as shares of its shorter side; seen: [N, T].

    Raises:
        ValueError: fewer than `FEWEST` points or 3 frames.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> points = rng.uniform([-0.5, -0.5, 2], [0.5, 0.5, 4], (20, 3))
        >>> seen_from = [points - [0.1 * t, 0, 0] for t in range(6)]  # the camera moves to the right
        >>> xy = np.stack([p[:, :2] / p[:, 2:] for p in seen_from], axis=1)
        >>> fit = fit_move("truck", xy, np.ones((20, 6), bool))
        >>> fit.residual < 1e-3, fit.amount > 0
        (True, True)
    """
    n, frames = seen.shape
    if n < FEWEST or frames < 3:
        raise ValueError(f"{n} points in {frames} frames are too few to fit a camera to")
    x = np.where(seen[..., None], xy, 0.0) / _FOCAL
    u = np.linspace(0, 1, frames)
    basis = np.stack([u ** (d + 1) for d in range(_DEGREE)], axis=1)
    free = {"pan": 1, "orbit": 1, "crane": 1, "dolly": 2}.get(move, 0)

    def path(q: Floats) -> tuple[Floats, Camera]:
        way = basis @ q[:_DEGREE]
        most = 0.35 if move == "dolly" else 0.8
        lean = np.zeros(2)
        lean[:free] = most * np.tanh(q[_DEGREE:])
        return way, camera(move, way, lean)

    def error(q: Floats) -> Floats:
        _, view = path(q)
        points = _structure(x, seen, view, depth=move in TRAVELS)
        return np.asarray(((_projected(points, view) - x) * seen[..., None]).ravel())

    # A circle the other way round a scene turned inside out looks alike at first (Necker's cube): both are tried.
    starts = np.zeros((2 if move == "orbit" else 1, _DEGREE + free))
    starts[:, 0] = (-0.3, 0.3) if move == "orbit" else 0.0
    found = [
        least_squares(error, q, loss="soft_l1", f_scale=_OUTLIER, max_nfev=25, xtol=1e-5, ftol=1e-5) for q in starts
    ]
    q = min(found, key=lambda f: float(f.cost)).x
    way, view = path(q)
    points = _structure(x, seen, view, depth=move in TRAVELS)
    off = np.where(seen[..., None], _projected(points, view) - x, np.nan)
    unknown = (3 if move in TRAVELS else 2) * n + len(q)
    shared = np.array([np.median(off[there, k], axis=0) if there.any() else (0, 0) for k, there in enumerate(seen.T)])
    residuals = [_robust(v, seen, unknown) for v in (off, off - shared)]
    nearness = float(np.median(points[:, 2])) if move in TRAVELS else 1.0
    if move == "orbit":
        residuals = residuals if _NEAR < nearness < _FAR else [np.inf, np.inf]
    scale = 1.0 if move == "orbit" else nearness
    return MoveFit(move, way * scale, residuals[0], residuals[1], off)


def fit_moves(xy: Floats, seen: Bools) -> dict[str, MoveFit]:
    """Return the fit of every move by its name; arguments and errors as in `fit_move`."""
    return {move: fit_move(move, xy, seen) for move in (*TURNS, *TRAVELS)}


def best_move(fits: Mapping[str, MoveFit]) -> str:
    """Return the name of the move that explains the points: a turn or zoom, unless a travelling camera explains clearly more.

    fits: of all moves, as `fit_moves` returns them.
    """
    turn, travel = (min(moves, key=lambda m: fits[m].residual) for moves in (TURNS, TRAVELS))
    a, b = fits[turn].shape_residual, fits[travel].shape_residual
    return travel if b < _PARALLAX * a and a**2 - b**2 > _LEAST_PARALLAX**2 else turn


def motion(xy: Floats, seen: Bools) -> float:
    """Return the robust rms distance of points from their own mean places, as a share of the focal length; arguments as in `fit_move`."""
    x = np.where(seen[..., None], xy, 0.0) / _FOCAL
    mean = x.sum(axis=1) / np.maximum(seen.sum(axis=1), 1)[:, None]
    off = np.where(seen[..., None], x - mean[:, None], np.nan)
    typical = np.sqrt(np.nanmean((off**2).sum(axis=2), axis=1))
    return float(np.median(typical)) if len(typical) else 0.0


def _structure(x: Floats, seen: Bools, view: Camera, depth: bool) -> Floats:
    """Return for each point its direction and inverse depth [N, 3] in the first camera, by linear least squares."""
    R, T = view.R, -np.einsum("tij,tj->ti", view.R, view.C)
    rows, right = [], []
    for axis in (0, 1):
        z, g = x[..., axis], view.zoom
        columns = [z * R[:, 2, k] - g * R[:, axis, k] for k in (0, 1)]
        rows.append(np.stack([*columns, z * T[:, 2] - g * T[:, axis]], axis=-1))
        right.append(g * R[:, axis, 2] - z * R[:, 2, 2])
    a, b = np.concatenate(rows, axis=1), np.concatenate(right, axis=1)
    weight = np.concatenate([seen, seen], axis=1)[..., None]
    normal = np.einsum("nti,ntj->nij", a * weight, a)
    target = np.einsum("nti,nt->ni", a * weight, b)
    # Depths near 1 where nothing tells them: this also fixes the scale.
    prior = _DEPTH_PRIOR**2 if depth else 1e6
    normal[:, [0, 1, 2], [0, 1, 2]] += [1e-9, 1e-9, prior]
    target[:, 2] += prior if depth else 0.0
    return np.asarray(np.linalg.solve(normal, target[..., None])[..., 0])


def _projected(points: Floats, view: Camera) -> Floats:
    """Return where the cameras see the points, [N, T, 2]."""
    rays = np.concatenate([points[:, :2], np.ones((len(points), 1))], axis=1)
    T = -np.einsum("tij,tj->ti", view.R, view.C)
    cam = np.einsum("tij,nj->nti", view.R, rays) + points[:, 2, None, None] * T
    return np.asarray(view.zoom[None, :, None] * cam[..., :2] / np.maximum(cam[..., 2:], 0.1))


def _robust(off: Floats, seen: Bools, unknown: int) -> float:
    """Return the robust rms of off [N, T, 2] where seen, corrected for the unknowns that were fitted to it."""
    squares = np.where(seen, (off**2).sum(axis=2), 0.0)[seen] / _OUTLIER**2
    cost = _OUTLIER**2 * float(np.sum(2 * (np.sqrt(1 + squares) - 1)))
    return float(np.sqrt(cost / max(2 * int(seen.sum()) - unknown, 1)))
