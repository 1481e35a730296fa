"""Which bodies a ray can meet: by tiles of 8 x 8 pixels for the eye, by cells of a window towards the scene for the lamp. Kernels."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Floats
from sora_eval.world.kernels.bvh import Row, Table, compiled, inlined
from sora_eval.world.kernels.intersection import BALL, CAPSULE, MESH, turned, turned_back

_Ints = NDArray[np.int64]
TILE = 8
"""Side of a tile, pixels."""
CELLS = 32
"""Cells of the lamp's window along each side."""
_LAMP_M = 40.0
"""Shadow rays come from one point this far away, towards the lamp."""


@compiled
def _corner_bounds(b: Row, nodes: Table, x: float, y: float, z: float, R: Floats) -> tuple[float, float, float, float]:
    x0, y0, z0, x1, y1, z1 = -b.hx, -b.hy, -b.hz, b.hx, b.hy, b.hz
    if b.kind == MESH:
        n = nodes[b.node]
        x0, y0, z0, x1, y1, z1 = n.x0 * b.sx, n.y0 * b.sy, n.z0 * b.sz, n.x1 * b.sx, n.y1 * b.sy, n.z1 * b.sz
    elif b.kind == CAPSULE:
        z0, z1 = z0 - b.hx, z1 + b.hx
    u0, u1, v0, v1 = inf, -inf, inf, -inf
    for corner in range(8):
        px, py, pz = turned_back(b, x1 if corner & 1 else x0, y1 if corner & 2 else y0, z1 if corner & 4 else z0)
        px, py, pz = px + b.px - x, py + b.py - y, pz + b.pz - z
        ahead = px * R[2, 0] + py * R[2, 1] + pz * R[2, 2]
        if ahead < 0.05:
            return -inf, inf, -inf, inf
        u = (px * R[0, 0] + py * R[0, 1] + pz * R[0, 2]) / ahead
        v = (px * R[1, 0] + py * R[1, 1] + pz * R[1, 2]) / ahead
        u0, u1, v0, v1 = min(u0, u), max(u1, u), min(v0, v), max(v1, v)
    return u0, u1, v0, v1


@inlined
def _tangents(radius: float, x: float, z: float) -> tuple[float, float]:
    """Return between which x / z a ball is seen whose centre lies at (x, z)."""
    if z < radius + 0.05:
        return -inf, inf
    s = sqrt(x * x + z * z - radius * radius)
    return (x * s - radius * z) / (z * s + radius * x), (x * s + radius * z) / (z * s - radius * x)


@compiled
def bounds(bodies: Table, nodes: Table, x: float, y: float, z: float, R: Floats) -> Floats:
    """Return the bounds (u0, u1, v0, v1) [N, 4] of the bodies seen from (x, y, z), at distance 1 along the view R [3, 3].

    Infinite where a part of a body may lie beside or behind the view point; u1 < u0 where it is not shown.
    """
    out = np.empty((len(bodies), 4))
    for i in range(len(bodies)):
        b = bodies[i]
        if b.shown == 0:
            u0, u1, v0, v1 = inf, -inf, inf, -inf
        elif b.kind == BALL:
            px, py, pz = b.px - x, b.py - y, b.pz - z
            ahead = px * R[2, 0] + py * R[2, 1] + pz * R[2, 2]
            u0, u1 = _tangents(b.hx, px * R[0, 0] + py * R[0, 1] + pz * R[0, 2], ahead)
            v0, v1 = _tangents(b.hx, px * R[1, 0] + py * R[1, 1] + pz * R[1, 2], ahead)
        else:
            u0, u1, v0, v1 = _corner_bounds(b, nodes, x, y, z, R)
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = u0, u1, v0, v1
    return out


@compiled
def binned(spans: Floats, rows: int, columns: int) -> tuple[_Ints, _Ints]:
    """Sort bodies into the cells of a grid: `items[start[c] : start[c + 1]]` are those in cell c, row by row.

    spans: [N, 4] the bodies' bounds along columns and rows, in cells; the second below the first, or no number, for none.
    """
    whole = np.zeros((len(spans), 4), np.int64)
    start = np.zeros(rows * columns + 1, np.int64)
    for i in range(len(spans)):
        whole[i, 3] = -1
        if not (spans[i, 0] <= spans[i, 1] and spans[i, 2] <= spans[i, 3]):
            continue
        for j in range(2):
            count = rows if j else columns
            whole[i, 2 * j] = int(min(max(np.floor(spans[i, 2 * j]), 0.0), float(count)))
            whole[i, 2 * j + 1] = int(max(min(np.floor(spans[i, 2 * j + 1]), count - 1.0), -1.0))
        for r in range(whole[i, 2], whole[i, 3] + 1):
            for c in range(whole[i, 0], whole[i, 1] + 1):
                start[r * columns + c + 1] += 1
    for k in range(rows * columns):
        start[k + 1] += start[k]
    items, at = np.empty(start[rows * columns], np.int64), start.copy()
    for i in range(len(spans)):
        for r in range(whole[i, 2], whole[i, 3] + 1):
            for c in range(whole[i, 0], whole[i, 1] + 1):
                items[at[r * columns + c]] = i
                at[r * columns + c] += 1
    return start, items


@compiled
def open_eye(
    bodies: Table, nodes: Table, view: Table, K: Floats, R: Floats, t: Floats, height: int, width: int
) -> tuple[_Ints, _Ints]:
    """Set up a camera K, R [3, 3], t [3] of height x width pixels; return the bodies by tile, as start and items."""
    v = view[0]
    v.x = -(R[0, 0] * t[0] + R[1, 0] * t[1] + R[2, 0] * t[2])
    v.y = -(R[0, 1] * t[0] + R[1, 1] * t[1] + R[2, 1] * t[2])
    v.z = -(R[0, 2] * t[0] + R[1, 2] * t[1] + R[2, 2] * t[2])
    v.r00, v.r01, v.r02, v.r10, v.r11, v.r12 = R[0, 0], R[0, 1], R[0, 2], R[1, 0], R[1, 1], R[1, 2]
    v.r20, v.r21, v.r22 = R[2, 0], R[2, 1], R[2, 2]
    v.fx, v.fy, v.cx, v.cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    spans = bounds(bodies, nodes, v.x, v.y, v.z, R)
    for i in range(len(bodies)):
        b = bodies[i]
        b.ex, b.ey, b.ez = turned(b, v.x - b.px, v.y - b.py, v.z - b.pz)
        # A pixel more on each side: rays of a pixel's rim belong to its tile.
        for j in range(2):
            f, c = (v.fy, v.cy) if j else (v.fx, v.cx)
            spans[i, 2 * j] = (spans[i, 2 * j] * f + c - 1) / TILE
            spans[i, 2 * j + 1] = (spans[i, 2 * j + 1] * f + c + 1) / TILE
    return binned(spans, (height + TILE - 1) // TILE, (width + TILE - 1) // TILE)


@compiled
def open_lamp(bodies: Table, nodes: Table, view: Table) -> tuple[_Ints, _Ints]:
    """Set up the lamp's view, given its direction; return the bodies by cell of its window, as start and items."""
    v = view[0]
    v.ox, v.oy, v.oz = _LAMP_M * v.lx, _LAMP_M * v.ly, _LAMP_M * v.lz
    # Two axes at right angles to the light, starting from the one of the world that is across it.
    x, y, z = (-v.ly, v.lx, 0.0) if abs(v.lz) < 0.9 else (0.0, -v.lz, v.ly)
    scale = 1 / sqrt(x * x + y * y + z * z)
    v.ax, v.ay, v.az = x * scale, y * scale, z * scale
    v.bx, v.by, v.bz = v.ly * v.az - v.lz * v.ay, v.lz * v.ax - v.lx * v.az, v.lx * v.ay - v.ly * v.ax
    R = np.empty((3, 3))
    R[0, 0], R[0, 1], R[0, 2], R[1, 0], R[1, 1], R[1, 2] = v.ax, v.ay, v.az, v.bx, v.by, v.bz
    R[2, 0], R[2, 1], R[2, 2] = -v.lx, -v.ly, -v.lz
    spans = bounds(bodies, nodes, v.ox, v.oy, v.oz, R)
    for i in range(len(bodies)):
        b = bodies[i]
        b.lx, b.ly, b.lz = turned(b, v.ox - b.px, v.oy - b.py, v.oz - b.pz)
    for j in range(2):
        low, high = inf, -inf
        for i in range(len(bodies)):
            if abs(spans[i, 2 * j]) < inf:
                low, high = min(low, spans[i, 2 * j]), max(high, spans[i, 2 * j + 1])
        if low > high:
            low, high = 0.0, 0.0
        # A cell more on each side: rounding may put the rim of a shadow beside its own.
        cell = max(high - low, 1e-6) / (CELLS - 2)
        start, per = low - cell, 1 / cell
        if j:
            v.v0, v.vd = start, per
        else:
            v.u0, v.ud = start, per
        for i in range(len(bodies)):
            spans[i, 2 * j] = (spans[i, 2 * j] - start) * per - 0.01
            spans[i, 2 * j + 1] = (spans[i, 2 * j + 1] - start) * per + 0.01
    return binned(spans, CELLS, CELLS)
