"""Motion blur: the picture of a frame is smeared along the way that everything goes while the shutter is open. Compiled.

The ways come from the poses of bodies and camera in the frames before and after, so rotation and the camera's own motion are in them.
"""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Floats
from sora_eval.world.kernels.bvh import Row, Table, called, compiled
from sora_eval.world.kernels.intersection import turned
from sora_eval.world.kernels.raycast import rays_of

_TILE = 16
_MOST_TAPS = 33
_LONGEST = 0.12
"""Share of the frame's width: what seems to go farther in a frame has jumped, as at a cut, and is not smeared."""
_LEAST = 0.6
"""Ways in pixels below this leave a picture as it is."""


@called
def _projected(b: Row, K: Floats, R: Floats, t: Floats, x: float, y: float, z: float) -> tuple[float, float]:
    """Return the pixel of a place in a body's frame seen by a camera."""
    px = b.px + b.t00 * x + b.t01 * y + b.t02 * z
    py = b.py + b.t10 * x + b.t11 * y + b.t12 * z
    pz = b.pz + b.t20 * x + b.t21 * y + b.t22 * z
    ahead = R[2, 0] * px + R[2, 1] * py + R[2, 2] * pz + t[2]
    if ahead < 0.05:
        return inf, inf
    u = (R[0, 0] * px + R[0, 1] * py + R[0, 2] * pz + t[0]) / ahead
    v = (R[1, 0] * px + R[1, 1] * py + R[1, 2] * pz + t[1]) / ahead
    return K[0, 0] * u + K[0, 2], K[1, 1] * v + K[1, 2]


@compiled
def ways(
    bodies: Table, before: Table, after: Table, view: Table, K: Floats, R: Floats, t: Floats, share: float,
    ids: NDArray[np.int32], dist: NDArray[np.float32], way: NDArray[np.float32],
) -> bool:  # fmt: skip
    """Fill way [H, W, 2], pixels, that what is seen goes while the shutter is open; return whether anything goes far enough to show.

    bodies, before, after: poses now and in the frames around, the last row a body that rests in the world; K, R [2, 3, 3], t [2, 3]: the
    cameras of those frames; share: of the time between them; ids, dist [H, W]: body seen, the last row's number for none, and how far away.
    """
    height, width = ids.shape
    v, longest, moving = view[0], _LONGEST * width, False
    steady = np.array_equal(K[0], K[1]) and np.array_equal(R[0], R[1]) and np.array_equal(t[0], t[1])
    rests = np.empty(len(bodies), np.bool_)
    for i in range(len(bodies)):
        a, b = before[i], after[i]
        rests[i] = a.shown == 0 or b.shown == 0 or (steady and _same_pose(a, b))
    way[:] = 0
    if rests.all():
        return False
    dx, dy, dz, floor = np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    for y in range(height):
        rays_of(v, y, dx, dy, dz, floor)
        for x in range(width):
            i = ids[y, x]
            if rests[i]:
                continue
            b, d = bodies[i], min(float(dist[y, x]), 1000.0)
            px, py, pz = turned(b, v.x + d * dx[x] - b.px, v.y + d * dy[x] - b.py, v.z + d * dz[x] - b.pz)
            u0, v0 = _projected(before[i], K[0], R[0], t[0], px, py, pz)
            u1, v1 = _projected(after[i], K[1], R[1], t[1], px, py, pz)
            u1, v1 = share * (u1 - u0), share * (v1 - v0)
            far = u1 * u1 + v1 * v1
            if far < longest * longest:
                way[y, x, 0], way[y, x, 1] = u1, v1
                moving = moving or far > _LEAST * _LEAST
    return moving


@called
def _same_pose(a: Row, b: Row) -> bool:
    place = a.px == b.px and a.py == b.py and a.pz == b.pz
    turn = a.t00 == b.t00 and a.t01 == b.t01 and a.t10 == b.t10 and a.t12 == b.t12 and a.t20 == b.t20 and a.t22 == b.t22
    return bool(place and turn)


@compiled
def smear(
    image: NDArray[np.float32], dist: NDArray[np.float32], way: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Smear the image [H, W, 3], of which `out` is a copy, into it along its ways [H, W, 2], also over what lies behind.

    After McGuire et al. 2012: a tile takes the longest way in and around it.
    """
    height, width = dist.shape
    rows, columns = (height + _TILE - 1) // _TILE, (width + _TILE - 1) // _TILE
    longest = np.zeros((rows, columns, 3))
    for y in range(height):
        for x in range(width):
            u, v = float(way[y, x, 0]), float(way[y, x, 1])
            a = longest[y // _TILE, x // _TILE]
            if u * u + v * v > a[2]:
                a[0], a[1], a[2] = u, v, u * u + v * v
    for row in range(rows):
        for column in range(columns):
            u, v, most = 0.0, 0.0, _LEAST * _LEAST
            for i in range(max(row - 1, 0), min(row + 2, rows)):
                for j in range(max(column - 1, 0), min(column + 2, columns)):
                    if longest[i, j, 2] > most:
                        u, v, most = longest[i, j, 0], longest[i, j, 1], longest[i, j, 2]
            if u == 0 and v == 0:
                continue
            for y in range(row * _TILE, min((row + 1) * _TILE, height)):
                for x in range(column * _TILE, min((column + 1) * _TILE, width)):
                    _smeared(image, dist, way, u, v, sqrt(most), y, x, out[y, x])


@called
def _smeared(
    image: NDArray[np.float32], dist: NDArray[np.float32], way: NDArray[np.float32], u: float, v: float, length: float,
    y: int, x: int, out: NDArray[np.float32],
) -> None:  # fmt: skip
    """Fill out [3] with the colour of a pixel, smeared along (u, v)."""
    height, width = dist.shape
    own = 0.5 * sqrt(way[y, x, 0] * way[y, x, 0] + way[y, x, 1] * way[y, x, 1])
    taps = min(2 * int(0.5 * length) + 3, _MOST_TAPS)
    red, green, blue = 0.0, 0.0, 0.0
    for k in range(taps):
        at = (k + 0.5) / taps - 0.5
        i, j = int(np.floor(y + at * v + 0.5)), int(np.floor(x + at * u + 0.5))
        w = 0.0
        if 0 <= i < height and 0 <= j < width:
            # Who is in front smears over who is behind; behind itself shows as far as what was in front has moved.
            other = 0.5 * sqrt(way[i, j, 0] * way[i, j, 0] + way[i, j, 1] * way[i, j, 1])
            reach = other if dist[i, j] <= dist[y, x] else own
            w = min(max(reach - abs(at) * length + 0.5, 0.0), 1.0)
        else:
            i, j = y, x
        red += w * image[i, j, 0] + (1 - w) * image[y, x, 0]
        green += w * image[i, j, 1] + (1 - w) * image[y, x, 1]
        blue += w * image[i, j, 2] + (1 - w) * image[y, x, 2]
    out[0], out[1], out[2] = red / taps, green / taps, blue / taps
