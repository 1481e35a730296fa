"""3D consistency: epipolar errors that unrelated frames cannot pass, and reprojection with true cameras."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Bools, Camera, Floats

MIN_PARALLAX_PX = 1.0
"""Below this, any F fits: a frozen clip or a pure rotation would score like a perfect scene."""


@dataclass(frozen=True)
class TwoView:
    """How far two frames are views of one rigid scene."""

    median_sampson_px: float
    """Median Sampson distance over all matches, inliers and not, in pixels."""
    support: float
    """Matches below the inlier limit per feature, [0, 1]."""
    parallax_px: float
    """Distance that no homography explains, in pixels, see `parallax`."""
    judgeable: bool
    """Whether parallax is large enough for the other figures to mean anything."""


def sampson_distance(f: Floats, a: Floats, b: Floats) -> Floats:
    """Return `|b^T F a| / sqrt((F a)_1^2 + (F a)_2^2 + (F^T b)_1^2 + (F^T b)_2^2)` in pixels, [n].

    To first order the distance that a match has to move, in both frames together, to obey F.
    f: [3, 3]; a, b: [n, 2] pixels. Raises ValueError for other shapes.

    Source: Sampson 1982; Hartley and Zisserman 2004, section 11.4.3.

    Example:
        >>> sideways = np.array([[0.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # a camera that moves along x keeps y
        >>> sampson_distance(sideways, np.array([[5.0, 3.0]]), np.array([[9.0, 5.0]])).round(3).tolist()
        [1.414]
    """
    if np.shape(f) != (3, 3) or np.shape(a) != np.shape(b) or np.ndim(a) != 2 or np.shape(a)[1] != 2:
        raise ValueError(f"need F [3, 3] and points [n, 2], got {np.shape(f)}, {np.shape(a)}, {np.shape(b)}")
    one = np.ones((len(a), 1))
    ha, hb = np.hstack([a, one]), np.hstack([b, one])
    line_b, line_a = ha @ f.T, hb @ f
    product = np.abs((hb * line_b).sum(axis=1))
    slope = np.sqrt((line_b[:, :2] ** 2).sum(axis=1) + (line_a[:, :2] ** 2).sum(axis=1))
    return np.asarray(np.divide(product, slope, out=np.full(len(product), np.inf), where=slope > 0))


def parallax(f: Floats, a: Floats, b: Floats, inlier_px: float = 1.0) -> float:
    """Return the 80th percentile of the distance (px) from the best homography, over matches that obey F.

    A frozen clip, a zoom, a pure rotation and a flat picture panned all obey a homography and give about 0, and F is
    then arbitrary. Only matches that obey F count, so that false matches do not pass for parallax; 0 for fewer than 8.

    Example:
        >>> sideways, points = np.array([[0.0, 0, 0], [0, 0, -1], [0, 1, 0]]), np.random.default_rng(0).uniform(0, 64, (40, 2))
        >>> round(parallax(sideways, points, points + [3, 0]), 3)  # all points at one depth
        0.0
    """
    good = sampson_distance(f, a, b) < inlier_px
    if good.sum() < 8:
        return 0.0
    try:
        h, _ = cv2.findHomography(a[good], b[good], cv2.USAC_MAGSAC, 2.0)
    except cv2.error:
        return 0.0
    if h is None:
        return 0.0
    mapped = cv2.perspectiveTransform(np.asarray(a[good], dtype=np.float64)[None], h)[0]
    return float(np.percentile(np.linalg.norm(mapped - b[good], axis=1), 80))


def two_view_consistency(f: Floats | None, a: Floats, b: Floats, features: int, inlier_px: float = 1.0) -> TwoView:
    """Return the epipolar scores of one pair of frames.

    The published practice, errors over RANSAC's own inliers, scores unrelated frames like perfect ones. Here the
    median runs over all ratio-test matches, and support is the verified share of all features.

    f: from `tracking.twoview.fundamental_matrix`, None when there was none: an infinite median and no support.
    a, b: [n, 2] pixels, all ratio-test matches; features: features in the frame with fewer of them.
    `judgeable` is False only for lack of parallax. Without F it is True: two frames of which nothing matches are
    inconsistent, not unknown, unless `features` is below 8, where there was nothing to match.
    Raises ValueError for matches of no features.

    Example:
        >>> points = np.zeros((0, 2))
        >>> two_view_consistency(None, points, points, features=100).support
        0.0
    """
    # Several features of one frame may match the same one of the other, so there may be more matches than features.
    if features < 0 or (len(a) > 0 and features == 0):
        raise ValueError(f"{len(a)} matches cannot come from {features} features")
    if f is None:
        return TwoView(float("inf"), 0.0, 0.0, features >= 8)
    error = sampson_distance(f, a, b)
    apart = parallax(f, a, b, inlier_px)
    support = min(1.0, int((error < inlier_px).sum()) / max(features, 1))
    return TwoView(float(np.median(error)), support, apart, apart >= MIN_PARALLAX_PX)


def reproject(depth: Floats, camera: Camera, frame: int, source: int = 0) -> tuple[Floats, Floats]:
    """Return where each pixel of frame `source` lies in frame `frame`, for a scene that does not move.

    depth: [H, W] z-depth (m) of frame `source`, not finite or <= 0 where there is nothing.
    Returns xy [H, W, 2] in pixels, NaN where there is nothing or it is behind the camera, and z-depth [H, W] (m).

    Example:
        >>> camera = Camera(np.array([np.diag([10.0, 10, 1])] * 2), np.array([np.eye(3)] * 2), np.array([[0.0, 0, 0], [1, 0, 0]]))
        >>> reproject(np.full((1, 1), 5.0), camera, frame=1)[0].tolist()
        [[[2.0, 0.0]]]
    """
    height, width = depth.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    xy, z = _moved(x.ravel(), y.ravel(), depth.ravel(), camera, frame, source)
    return xy.reshape(height, width, 2), z.reshape(height, width)


def _moved(
    x: Floats, y: Floats, depth: Floats | NDArray[np.float32], camera: Camera, frame: int, source: int
) -> tuple[Floats, Floats]:
    """Return places [n, 2] and z-depth [n] in `frame` of the pixels x, y [n] of `source` with their depth [n]."""
    rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ np.linalg.inv(camera.K[source]).T
    flat = np.where(np.isfinite(depth) & (depth > 0), depth, np.nan)[:, None]
    world = (rays * flat - camera.t[source]) @ camera.R[source]
    seen = world @ camera.R[frame].T + camera.t[frame]
    z = np.where(seen[:, 2] > 1e-9, seen[:, 2], np.nan)
    pixel = (seen / z[:, None]) @ camera.K[frame].T
    return pixel[:, :2], z


def match_reprojection_error(
    a: Floats, b: Floats, depth: Floats | NDArray[np.float32], camera: Camera, frame: int, source: int = 0
) -> tuple[Floats, Bools]:
    """Return how far (px) each match b in `frame` is from where true geometry puts a, [n], and where that is defined.

    a, b: [n, 2] pixels, a match each; depth: [H, W] true z-depth (m) of `source`, taken at the nearest pixel to a.
    The distance is infinite where the depth is missing or the point is behind the camera.

    Example:
        >>> camera = Camera(np.array([np.diag([10.0, 10, 1])] * 2), np.array([np.eye(3)] * 2), np.array([[0.0, 0, 0], [1, 0, 0]]))
        >>> match_reprojection_error(np.zeros((1, 2)), np.array([[2.0, 3.0]]), np.full((1, 1), 5.0), camera, frame=1)[0].tolist()
        [3.0]
    """
    height, width = depth.shape
    column = np.clip(np.rint(a[:, 0]).astype(int), 0, width - 1)
    row = np.clip(np.rint(a[:, 1]).astype(int), 0, height - 1)
    # The part of a that rounding took away moves along, to first order.
    rounding = a - np.stack([column, row], axis=1)
    xy, _ = _moved(column.astype(np.float64), row.astype(np.float64), depth[row, column], camera, frame, source)
    distance = np.linalg.norm(xy + rounding - b, axis=1)
    known = np.isfinite(distance)
    return np.where(known, distance, np.inf), known
