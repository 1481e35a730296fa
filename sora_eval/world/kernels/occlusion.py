"""Soft shadows and ambient occlusion, from distances of bodies. Compiled.

Nothing is sampled at random. A soft shadow is the least of distance by penumbra along the way to the lamp, occlusion is the distance to
what is near at three heights above a surface: both are smooth, and one ray per pixel is enough away from the borders of bodies.
"""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Floats
from sora_eval.world.kernels.bvh import Row, Table, called, compiled, inlined
from sora_eval.world.kernels.culling import CELLS, binned, bounds
from sora_eval.world.kernels.intersection import BALL, BOX, CAPSULE, CONE, CYLINDER, MESH, meet_box, meet_mesh, turned
from sora_eval.world.kernels.materials import smooth
from sora_eval.world.kernels.raycast import SHADOW_BIAS_M

_Ints = NDArray[np.int64]
_REACH_M = 0.75
"""Farther away nothing darkens a surface by being near."""
_STEPS = 8
"""Of the search along a shadow ray: the bracket shrinks to a fiftieth, where the minimum is flat."""
_GOLD = 0.6180339887498949
_DISC = np.array([
    (0.92, 0.2), (-0.92, 0.2), (0.2, -0.92), (-0.2, -0.92), (0.92, -0.2), (-0.92, -0.2), (0.2, 0.92), (-0.2, 0.92),
    (0.25, 0.0), (-0.25, 0.0), (0.0, 0.25), (0.0, -0.25), (0.5, 0.45), (-0.5, 0.45), (0.5, -0.45), (-0.5, -0.45),
])  # fmt: skip
"""Where on the lamp's disc rays past a mesh end; the same when left and right are exchanged."""


@inlined
def _radius(b: Row, nodes: Table) -> float:
    """Return the radius of a ball around a body's centre that holds it."""
    if b.kind == BALL:
        return float(b.hx)
    if b.kind == CAPSULE:
        return float(b.hz + b.hx)
    if b.kind == MESH:
        n = nodes[b.node]
        x = max(-n.x0, n.x1) * b.sx
        y = max(-n.y0, n.y1) * b.sy
        z = max(-n.z0, n.z1) * b.sz
        return float(sqrt(x * x + y * y + z * z))
    return float(sqrt(b.hx * b.hx + b.hy * b.hy + b.hz * b.hz))


@called
def _distance(b: Row, nodes: Table, x: float, y: float, z: float) -> float:
    """Return the distance of a point, in a body's frame, from its surface, negative inside; a mesh counts as the ellipsoid in its box."""
    if b.kind == BALL:
        return float(sqrt(x * x + y * y + z * z) - b.hx)
    if b.kind == BOX:
        a, c, e = abs(x) - b.hx, abs(y) - b.hy, abs(z) - b.hz
        inside = min(max(a, max(c, e)), 0.0)
        a, c, e = max(a, 0.0), max(c, 0.0), max(e, 0.0)
        return float(sqrt(a * a + c * c + e * e) + inside)
    if b.kind == CYLINDER:
        a, c = sqrt(x * x + y * y) - b.hx, abs(z) - b.hz
        inside = min(max(a, c), 0.0)
        a, c = max(a, 0.0), max(c, 0.0)
        return float(sqrt(a * a + c * c) + inside)
    if b.kind == CAPSULE:
        z -= min(max(z, -b.hz), b.hz)
        return float(sqrt(x * x + y * y + z * z) - b.hx)
    if b.kind == CONE:
        slope = 2 * b.hz / b.hx
        side = (sqrt(x * x + y * y) * slope + z - b.hz) / sqrt(1 + slope * slope)
        return float(max(side, -b.hz - z))
    hx, hy, hz = b.hx, b.hy, b.hz
    if b.kind == MESH:
        n = nodes[b.node]
        x, y, z = x - 0.5 * (n.x0 + n.x1) * b.sx, y - 0.5 * (n.y0 + n.y1) * b.sy, z - 0.5 * (n.z0 + n.z1) * b.sz
        hx, hy, hz = 0.5 * (n.x1 - n.x0) * b.sx, 0.5 * (n.y1 - n.y0) * b.sy, 0.5 * (n.z1 - n.z0) * b.sz
    x, y, z = x / hx, y / hy, z / hz
    near = sqrt(x * x + y * y + z * z)
    x, y, z = x / hx, y / hy, z / hz
    return float(near * (near - 1) / max(sqrt(x * x + y * y + z * z), 1e-9))


@compiled
def open_look(bodies: Table, nodes: Table, view: Table, looks: Table) -> tuple[_Ints, _Ints, _Ints, _Ints]:
    """Return the bodies by cell of the lamp's window, with their penumbras, and by cell of the floor, with what they darken."""
    v, look = view[0], looks[0]
    R = np.empty((3, 3))
    R[0, 0], R[0, 1], R[0, 2], R[1, 0], R[1, 1], R[1, 2] = v.ax, v.ay, v.az, v.bx, v.by, v.bz
    R[2, 0], R[2, 1], R[2, 2] = -v.lx, -v.ly, -v.lz
    lamp, grid = bounds(bodies, nodes, v.ox, v.oy, v.oz, R), np.empty((len(bodies), 4))
    for i in range(len(bodies)):
        b = bodies[i]
        around = _radius(b, nodes)
        # The farthest that its shadow falls is where the floor is.
        wide = look.soft * (max(b.pz, 0.0) + around) / max(v.lz, 0.2) / 36.0 + 0.002
        grid[i, 0], grid[i, 1] = b.px - around - _REACH_M, b.px + around + _REACH_M
        grid[i, 2], grid[i, 3] = b.py - around - _REACH_M, b.py + around + _REACH_M
        for j in range(2):
            lamp[i, 2 * j], lamp[i, 2 * j + 1] = lamp[i, 2 * j] - wide, lamp[i, 2 * j + 1] + wide
        if b.shown == 0:
            grid[i, 0], grid[i, 1] = inf, -inf
    v.u0, v.ud = _fitted(lamp, 0)
    v.v0, v.vd = _fitted(lamp, 1)
    look.grid_x, look.grid_xd = _fitted(grid, 0)
    look.grid_y, look.grid_yd = _fitted(grid, 1)
    start, items = binned(lamp, CELLS, CELLS)
    near_start, near_items = binned(grid, CELLS, CELLS)
    return start, items, near_start, near_items


@called
def _fitted(spans: Floats, j: int) -> tuple[float, float]:
    """Turn an axis of spans [N, 4] into cells of a window around them; return where it starts and cells per unit."""
    low, high = inf, -inf
    for i in range(len(spans)):
        if abs(spans[i, 2 * j]) < inf and spans[i, 2 * j] <= spans[i, 2 * j + 1]:
            low, high = min(low, spans[i, 2 * j]), max(high, spans[i, 2 * j + 1])
    if low > high:
        low, high = 0.0, 0.0
    cell = max(high - low, 1e-6) / (CELLS - 2)
    start, per = low - cell, 1 / cell
    for i in range(len(spans)):
        spans[i, 2 * j] = (spans[i, 2 * j] - start) * per - 0.01
        spans[i, 2 * j + 1] = (spans[i, 2 * j + 1] - start) * per + 0.01
    return start, per


@called
def _past(b: Row, nodes: Table, radius: float, soft: float, pixel: float, x: float, y: float, z: float,
          lx: float, ly: float, lz: float) -> float:  # fmt: skip
    """Return the least of distance by half penumbra along a ray from a point towards the lamp past a convex body: -1 dark, 1 lit.

    The distance from a convex body is a convex function along a ray, so its ratio to a growing length has one minimum.
    """
    px, py, pz = b.px - x, b.py - y, b.pz - z
    along = px * lx + py * ly + pz * lz
    if along < -radius:
        return 1.0
    square = px * px + py * py + pz * pz - along * along
    wide = radius + soft * (along + radius) + pixel
    if square > wide * wide:
        return 1.0
    if b.kind == BALL:
        if along <= 0:
            return 1.0
        return float((sqrt(max(square, 0.0)) - radius) / (soft * along + pixel))
    ox, oy, oz = turned(b, -px, -py, -pz)
    dx, dy, dz = turned(b, lx, ly, lz)
    wide -= radius
    if (
        meet_box(b.hx + wide, b.hy + wide, (b.hz + b.hx if b.kind == CAPSULE else b.hz) + wide, ox, oy, oz, dx, dy, dz)
        == inf
    ):
        return 1.0
    thick = b.kind == BOX and min(b.hx, min(b.hy, b.hz)) > wide
    if thick and meet_box(b.hx - wide, b.hy - wide, b.hz - wide, ox, oy, oz, dx, dy, dz) < inf:
        return -1.0
    near, far = max(along - radius, 0.0), along + radius
    a, c = far - _GOLD * (far - near), near + _GOLD * (far - near)
    fa = _distance(b, nodes, ox + a * dx, oy + a * dy, oz + a * dz) / (soft * a + pixel)
    fc = _distance(b, nodes, ox + c * dx, oy + c * dy, oz + c * dz) / (soft * c + pixel)
    for _ in range(_STEPS):
        if fa < -1 or fc < -1:
            return -1.0
        if fa < fc:
            far, c, fc = c, a, fa
            a = far - _GOLD * (far - near)
            fa = _distance(b, nodes, ox + a * dx, oy + a * dy, oz + a * dz) / (soft * a + pixel)
        else:
            near, a, fa = a, c, fc
            c = near + _GOLD * (far - near)
            fc = _distance(b, nodes, ox + c * dx, oy + c * dy, oz + c * dz) / (soft * c + pixel)
    return float(min(fa, fc))


@called
def _past_mesh(b: Row, nodes: Table, triangles: Table, v: Row, soft: float, x: float, y: float, z: float) -> float:
    """Return the share of rays from a point to the lamp's disc that pass a mesh."""
    ox, oy, oz = turned(b, x - b.px, y - b.py, z - b.pz)
    dx, dy, dz = v.ox - x, v.oy - y, v.oz - z
    wide = soft * sqrt(dx * dx + dy * dy + dz * dz)
    free = 0
    for k in range(len(_DISC)):
        # Most points lie in full light or full shadow, where four of the disc's rim say the same.
        if k == 4 and (free == 0 or free == 4):
            return free / 4
        p, q = wide * _DISC[k, 0], wide * _DISC[k, 1]
        px, py, pz = turned(b, dx + p * v.ax + q * v.bx, dy + p * v.ay + q * v.by, dz + p * v.az + q * v.bz)
        t, _ = meet_mesh(b, nodes, triangles, 1.0, True, ox, oy, oz, px, py, pz)
        free += t > 1.0
    return free / len(_DISC)


@called
def light(
    bodies: Table, nodes: Table, triangles: Table, v: Row, soft: float, start: _Ints, items: _Ints, own: int, pixel: float,
    x: float, y: float, z: float,
) -> float:  # fmt: skip
    """Return how much of the lamp is seen from a point, 0 to 1; own: a body that is left out, or -1; pixel: its size there, m."""
    lx, ly, lz = v.ox - x, v.oy - y, v.oz - z
    ahead = lx * v.lx + ly * v.ly + lz * v.lz
    if ahead <= 0:
        return 1.0
    near = 1 / ahead
    across = (-(lx * v.ax + ly * v.ay + lz * v.az) * near - v.u0) * v.ud
    down = (-(lx * v.bx + ly * v.by + lz * v.bz) * near - v.v0) * v.vd
    if not (0 <= across < CELLS and 0 <= down < CELLS):
        return 1.0
    cell = int(down) * CELLS + int(across)
    if start[cell] == start[cell + 1]:
        return 1.0
    scale = 1 / sqrt(lx * lx + ly * ly + lz * lz)
    lx, ly, lz = lx * scale, ly * scale, lz * scale
    seen = 1.0
    for k in range(start[cell], start[cell + 1]):
        b = bodies[items[k]]
        if items[k] == own or b.top < z or b.glow > 0.5:
            continue
        if b.kind == MESH:
            seen *= _past_mesh(b, nodes, triangles, v, soft, x, y, z)
        else:
            seen *= smooth(-1.0, 1.0, _past(b, nodes, _radius(b, nodes), soft, pixel, x, y, z, lx, ly, lz))
        if seen <= 0:
            return 0.0
    return seen


@called
def openness(
    bodies: Table, nodes: Table, look: Row, start: _Ints, items: _Ints, own: int,
    x: float, y: float, z: float, nx: float, ny: float, nz: float, floor: bool,
) -> float:  # fmt: skip
    """Return how little of the sky is hidden by what is near a point with normal n, 0 to 1, for each of three heights above it."""
    across, down = (x - look.grid_x) * look.grid_xd, (y - look.grid_y) * look.grid_yd
    first, last = 0, 0
    if 0 <= across < CELLS and 0 <= down < CELLS:
        cell = int(down) * CELLS + int(across)
        first, last = start[cell], start[cell + 1]
    d0, d1, d2 = inf, inf, inf
    h0, h1, h2 = 0.10, 0.28, 0.70
    if not floor:
        d0, d1, d2 = z + h0 * nz, z + h1 * nz, z + h2 * nz
    for k in range(first, last):
        b = bodies[items[k]]
        if items[k] == own:
            continue
        px, py, pz = x - b.px, y - b.py, z - b.pz
        reach = _radius(b, nodes) + _REACH_M
        if px * px + py * py + pz * pz > reach * reach:
            continue
        ox, oy, oz = turned(b, px, py, pz)
        mx, my, mz = turned(b, nx, ny, nz)
        far = _distance(b, nodes, ox + h2 * mx, oy + h2 * my, oz + h2 * mz)
        # A distance grows no faster than the way: what does not reach the highest point reaches none.
        if far >= h2:
            continue
        d2 = min(d2, far)
        d0 = min(d0, _distance(b, nodes, ox + h0 * mx, oy + h0 * my, oz + h0 * mz))
        d1 = min(d1, _distance(b, nodes, ox + h1 * mx, oy + h1 * my, oz + h1 * mz))
    hidden = 0.35 * min(max(1 - d0 / h0, 0.0), 1.0) + 0.35 * min(max(1 - d1 / h1, 0.0), 1.0)
    hidden += 0.30 * min(max(1 - d2 / h2, 0.0), 1.0)
    return float(1 - look.ambient_shade * hidden)


@inlined
def darkened(v: Row, look: Row, lit_start: _Ints, near_start: _Ints, x: float, y: float) -> bool:
    """Return whether a body may darken the floor at (x, y)."""
    across, down = (x - look.grid_x) * look.grid_xd, (y - look.grid_y) * look.grid_yd
    if 0 <= across < CELLS and 0 <= down < CELLS:
        cell = int(down) * CELLS + int(across)
        if near_start[cell] < near_start[cell + 1]:
            return True
    lx, ly, lz = v.ox - x, v.oy - y, v.oz - SHADOW_BIAS_M
    near = 1 / max(lx * v.lx + ly * v.ly + lz * v.lz, 1e-9)
    across = (-(lx * v.ax + ly * v.ay + lz * v.az) * near - v.u0) * v.ud
    down = (-(lx * v.bx + ly * v.by + lz * v.bz) * near - v.v0) * v.vd
    if 0 <= across < CELLS and 0 <= down < CELLS:
        cell = int(down) * CELLS + int(across)
        return bool(lit_start[cell] < lit_start[cell + 1])
    return False
