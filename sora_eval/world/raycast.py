"""The compiled ray caster and shader: Numba kernels over tables. `render` is its only user and imports it at the first picture.

The same bytes on every processor: no fast-math, so that nothing is reordered and no product and sum are fused; of the functions
that libraries compute differently none but the square root, which IEEE 754 rounds exactly. One thread.

Rays come from two points, the eye and the lamp, so each body keeps both in its own frame. What a ray can meet is looked up: by
tiles of 8 x 8 pixels for the eye, by cells of a window towards the scene for the lamp. Where the list is empty there is only floor.
"""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Bools, Floats
from sora_eval.world.bvh import Row, Table, compiled, fields, inlined

_Ints = NDArray[np.int64]

BALL, BOX, CYLINDER, CAPSULE, CONE, ELLIPSOID, MESH = range(7)
PLAIN, STRIPED, DOTTED, GLOSSY, TILED = range(5)

_TILE = 8
_CELLS = 32
_LAMP_M = 40.0
"""Shadow rays come from one point this far away, towards the lamp."""
_SHADOW_BIAS_M = 0.01
_FAR_M = 60.0
"""The floor ends here; behind it is the backdrop."""
_EDGE = 3.0
"""Grey levels between neighbours above which a pixel gets all its rays."""


BODY = fields(
    "px py pz  t00 t01 t02 t10 t11 t12 t20 t21 t22  hx hy hz  sx sy sz  top  ex ey ez  lx ly lz  red green blue"
    " wx wy wz rise glow",
    "shown kind texture node end",
)
"""A body at one time. p: centre, m; t: rotation, body to world; h: half extents in its frame with the factors applied, m (round
shapes: radius twice, half length); s: factors on the size; top: height of a box's highest corner, m, inf for others; e, l: eye and
lamp in its frame; colour: 0..255; w: extents that patterns are measured by; rise: height, m, of the pattern's middle below the
centre; node, end: of its mesh."""
VIEW = fields(
    "x y z  r00 r01 r02 r10 r11 r12 r20 r21 r22  fx fy cx cy  ox oy oz  ax ay az  bx by bz  u0 ud v0 vd"
    " lx ly lz  ambient diffuse tint_r tint_g tint_b  floor_r floor_g floor_b  sky_r sky_g sky_b  tile power slide_x slide_y"
)
"""Camera, lamp and surroundings. x y z: the eye, m; r: rotation, world to camera; f, c: focal lengths and principal point,
pixels; o: the lamp's place, m; a, b: unit vectors across its light; u0, v0: where its window begins; ud, vd: cells per unit;
l: unit vector towards it; tint: factors; floor, sky: colours in 0..255; tile: m, 0 for none; power: factor; slide: m."""
RAY = fields("dx dy dz floor  red green blue", "x tile seen")
"""A ray from the eye: unit direction, how far away the floor is, m (inf: never); its pixel's column and tile; what it sees: a
colour in 0..255, and a body, N for the floor, N + 1 for the floor in a shadow, -1 for nothing."""


@inlined
def _turned(b: Row, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Turn a vector into a body's frame."""
    return b.t00 * x + b.t10 * y + b.t20 * z, b.t01 * x + b.t11 * y + b.t21 * z, b.t02 * x + b.t12 * y + b.t22 * z


@inlined
def _turned_back(b: Row, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Turn a vector out of a body's frame."""
    return b.t00 * x + b.t01 * y + b.t02 * z, b.t10 * x + b.t11 * y + b.t12 * z, b.t20 * x + b.t21 * y + b.t22 * z


@compiled
def place(bodies: Table, half: Floats, pos: Floats, quat: Floats, scale: Floats, shown: Bools, rgb: Floats) -> None:
    """Put the bodies where they are: half extents [N, 3], pos [N, 3], quat [N, 4], scale [N, 3], shown [N], rgb [N, 3]."""
    for i in range(len(bodies)):
        b = bodies[i]
        w, x, y, z = quat[i, 0], quat[i, 1], quat[i, 2], quat[i, 3]
        b.t00, b.t01, b.t02 = w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)
        b.t10, b.t11, b.t12 = 2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)
        b.t20, b.t21, b.t22 = 2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z
        b.px, b.py, b.pz = pos[i, 0], pos[i, 1], pos[i, 2]
        b.sx, b.sy, b.sz = scale[i, 0], scale[i, 1], scale[i, 2]
        b.hx, b.hy, b.hz = half[i, 0] * b.sx, half[i, 1] * b.sy, half[i, 2] * b.sz
        b.red, b.green, b.blue = rgb[i, 0], rgb[i, 1], rgb[i, 2]
        b.shown = shown[i]
        b.top = inf
        if b.kind == BOX:
            b.top = b.pz + abs(b.t20) * b.hx + abs(b.t21) * b.hy + abs(b.t22) * b.hz


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
        px, py, pz = _turned_back(b, x1 if corner & 1 else x0, y1 if corner & 2 else y0, z1 if corner & 4 else z0)
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
def _bounds(bodies: Table, nodes: Table, x: float, y: float, z: float, R: Floats) -> Floats:
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
def _binned(spans: Floats, rows: int, columns: int) -> tuple[_Ints, _Ints]:
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
    spans = _bounds(bodies, nodes, v.x, v.y, v.z, R)
    for i in range(len(bodies)):
        b = bodies[i]
        b.ex, b.ey, b.ez = _turned(b, v.x - b.px, v.y - b.py, v.z - b.pz)
        # A pixel more on each side: rays of a pixel's rim belong to its tile.
        for j in range(2):
            f, c = (v.fy, v.cy) if j else (v.fx, v.cx)
            spans[i, 2 * j] = (spans[i, 2 * j] * f + c - 1) / _TILE
            spans[i, 2 * j + 1] = (spans[i, 2 * j + 1] * f + c + 1) / _TILE
    return _binned(spans, (height + _TILE - 1) // _TILE, (width + _TILE - 1) // _TILE)


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
    spans = _bounds(bodies, nodes, v.ox, v.oy, v.oz, R)
    for i in range(len(bodies)):
        b = bodies[i]
        b.lx, b.ly, b.lz = _turned(b, v.ox - b.px, v.oy - b.py, v.oz - b.pz)
    for j in range(2):
        low, high = inf, -inf
        for i in range(len(bodies)):
            if abs(spans[i, 2 * j]) < inf:
                low, high = min(low, spans[i, 2 * j]), max(high, spans[i, 2 * j + 1])
        if low > high:
            low, high = 0.0, 0.0
        # A cell more on each side: rounding may put the rim of a shadow beside its own.
        cell = max(high - low, 1e-6) / (_CELLS - 2)
        start, per = low - cell, 1 / cell
        if j:
            v.v0, v.vd = start, per
        else:
            v.u0, v.ud = start, per
        for i in range(len(bodies)):
            spans[i, 2 * j] = (spans[i, 2 * j] - start) * per - 0.01
            spans[i, 2 * j + 1] = (spans[i, 2 * j + 1] - start) * per + 0.01
    return _binned(spans, _CELLS, _CELLS)


@inlined
def _ball(r: float, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> float:
    """Return where a ray o + t d meets a ball of radius r: the least t >= 0, inf where there is none. So do the others."""
    a, b, c = dx * dx + dy * dy + dz * dz, ox * dx + oy * dy + oz * dz, ox * ox + oy * oy + oz * oz - r * r
    square = b * b - a * c
    if square < 0:
        return inf
    root = sqrt(square)
    t = (-b - root) / a
    if t < 0:
        t = (root - b) / a
    return t if t >= 0 else inf


@inlined
def _slab(h: float, o: float, d: float, near: float, far: float) -> tuple[float, float]:
    """Return the part of a ray's interval [near, far] that lies in |x| <= h; near > far where nothing does."""
    if d == 0:
        return (near, far) if abs(o) <= h else (inf, -inf)
    slope = 1 / d
    a, b = (-h - o) * slope, (h - o) * slope
    return max(near, min(a, b)), min(far, max(a, b))


@inlined
def _first(near: float, far: float) -> float:
    if near > far or far < 0:
        return inf
    return near if near >= 0 else far


@inlined
def _box(hx: float, hy: float, hz: float, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> float:
    near, far = _slab(hx, ox, dx, -inf, inf)
    near, far = _slab(hy, oy, dy, near, far)
    near, far = _slab(hz, oz, dz, near, far)
    return _first(near, far)


@inlined
def _cylinder(r: float, h: float, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> float:
    a, b, c = dx * dx + dy * dy, ox * dx + oy * dy, ox * ox + oy * oy - r * r
    square = b * b - a * c
    if square < 0 or (a == 0 and c > 0):
        return inf
    near, far = _slab(h, oz, dz, -inf, inf)
    if a > 0:
        root = sqrt(square)
        near, far = max(near, (-b - root) / a), min(far, (root - b) / a)
    return _first(near, far)


@inlined
def _capsule(r: float, h: float, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> float:
    a, b, c = dx * dx + dy * dy, ox * dx + oy * dy, ox * ox + oy * oy - r * r
    square = b * b - a * c
    if square < 0 or (a == 0 and c > 0):
        return inf
    best = inf
    if a > 0:
        root = sqrt(square)
        for k in range(2):
            t = (root - b) / a if k else (-b - root) / a
            if 0 <= t < best and abs(oz + t * dz) <= h:
                best = t
    full = a + dz * dz
    for end in range(2):
        side = 1.0 if end else -1.0
        z = oz - side * h
        along = b + z * dz
        square = along * along - full * (c + z * z)
        if square >= 0:
            root = sqrt(square)
            for k in range(2):
                t = (root - along) / full if k else (-along - root) / full
                # Only the half of the ball beyond the cylinder's end is a surface.
                if 0 <= t < best and (z + t * dz) * side >= 0:
                    best = t
    return best


@inlined
def _cone(r: float, h: float, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> float:
    k = r * r / (4 * h * h)
    w = h - oz
    a, b, c = dx * dx + dy * dy - k * dz * dz, ox * dx + oy * dy + k * w * dz, ox * ox + oy * oy - k * w * w
    best = inf
    square = b * b - a * c
    if square >= 0:
        root = sqrt(square)
        # Written so that it stays exact where the ray is parallel to the side, a = 0.
        q = -b - root if b >= 0 else root - b
        for j in range(2):
            t = c / q if j else q / a
            if 0 <= t < best and 0 <= w - t * dz <= 2 * h:
                best = t
    t = (-h - oz) / dz
    if 0 <= t < best:
        x, y = ox + t * dx, oy + t * dy
        if x * x + y * y <= r * r:
            best = t
    return best


@inlined
def _triangle(c: Row, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> float:
    # Moeller and Trumbore, from both sides.
    px, py, pz = dy * c.bz - dz * c.by, dz * c.bx - dx * c.bz, dx * c.by - dy * c.bx
    det = c.ax * px + c.ay * py + c.az * pz
    if det == 0:
        return inf
    sx, sy, sz = ox - c.x, oy - c.y, oz - c.z
    u = (sx * px + sy * py + sz * pz) / det
    if u < -1e-9 or u > 1 + 1e-9:
        return inf
    qx, qy, qz = sy * c.az - sz * c.ay, sz * c.ax - sx * c.az, sx * c.ay - sy * c.ax
    v = (dx * qx + dy * qy + dz * qz) / det
    if v < -1e-9 or u + v > 1 + 1e-9:
        return inf
    t = (c.bx * qx + c.by * qy + c.bz * qz) / det
    return t if t >= 0 else inf


@inlined
def _enters(n: Row, ox: float, oy: float, oz: float, ix: float, iy: float, iz: float, limit: float) -> bool:
    """Return whether a ray with inverse direction i meets a node's box before `limit`. Boxes have a margin: rounding is harmless."""
    a, b = (n.x0 - ox) * ix, (n.x1 - ox) * ix
    near, far = min(a, b), max(a, b)
    a, b = (n.y0 - oy) * iy, (n.y1 - oy) * iy
    near, far = max(near, min(a, b)), min(far, max(a, b))
    a, b = (n.z0 - oz) * iz, (n.z1 - oz) * iz
    near, far = max(near, min(a, b)), min(far, max(a, b))
    return bool(far >= max(near, 0.0) and near < limit)


@compiled
def _mesh(
    b: Row, nodes: Table, triangles: Table, limit: float, any_hit: bool,
    ox: float, oy: float, oz: float, dx: float, dy: float, dz: float,
) -> tuple[float, int]:  # fmt: skip
    """Return where the ray meets a mesh before `limit`, and the triangle; any triangle will do for `any_hit`."""
    best, which = limit, -1
    ox, oy, oz, dx, dy, dz = ox / b.sx, oy / b.sy, oz / b.sz, dx / b.sx, dy / b.sy, dz / b.sz
    # A ray along an axis gets a huge slope instead of an infinite one: infinity times zero is no number.
    ix, iy, iz = 1 / (dx if dx != 0 else 1e-300), 1 / (dy if dy != 0 else 1e-300), 1 / (dz if dz != 0 else 1e-300)
    node = b.node
    while node < b.end:
        n = nodes[node]
        if not _enters(n, ox, oy, oz, ix, iy, iz, best):
            node = n.skip
            continue
        for f in range(n.first, n.first + n.count):
            t = _triangle(triangles[f], ox, oy, oz, dx, dy, dz)
            if t < best:
                best, which = t, f
                if any_hit:
                    return best, which
        node += 1
    return (best, which) if which >= 0 else (inf, -1)


@inlined
def _meet(
    b: Row, nodes: Table, triangles: Table, limit: float, any_hit: bool,
    ox: float, oy: float, oz: float, dx: float, dy: float, dz: float,
) -> tuple[float, int]:  # fmt: skip
    """Return where a ray from o, in the body's frame, along d, in the world's, meets a body, and the triangle of a mesh."""
    dx, dy, dz = _turned(b, dx, dy, dz)
    if b.kind == BALL:
        return _ball(b.hx, ox, oy, oz, dx, dy, dz), -1
    if b.kind == BOX:
        return _box(b.hx, b.hy, b.hz, ox, oy, oz, dx, dy, dz), -1
    if b.kind == CYLINDER:
        return _cylinder(b.hx, b.hz, ox, oy, oz, dx, dy, dz), -1
    if b.kind == CONE:
        return _cone(b.hx, b.hz, ox, oy, oz, dx, dy, dz), -1
    if b.kind == CAPSULE:
        return _capsule(b.hx, b.hz, ox, oy, oz, dx, dy, dz), -1
    if b.kind == ELLIPSOID:
        return _ball(1.0, ox / b.hx, oy / b.hy, oz / b.hz, dx / b.hx, dy / b.hy, dz / b.hz), -1
    return _mesh(b, nodes, triangles, limit, any_hit, ox, oy, oz, dx, dy, dz)


@inlined
def _nearest(
    bodies: Table, nodes: Table, triangles: Table, items: _Ints, start: int, stop: int, floor: float,
    dx: float, dy: float, dz: float,
) -> tuple[int, float, int]:  # fmt: skip
    """Return the body that a ray from the eye meets first (N: floor, at a given distance, -1: none), the distance and the triangle."""
    seen, best, which = len(bodies) if floor < inf else -1, floor, -1
    for k in range(start, stop):
        b = bodies[items[k]]
        t, triangle = _meet(b, nodes, triangles, best, False, b.ex, b.ey, b.ez, dx, dy, dz)
        if t < best:
            seen, best, which = items[k], t, triangle
    return seen, best, which


@inlined
def _normal(b: Row, triangles: Table, triangle: int, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Return the unit normal, in the world, at a point on a body, given in its frame."""
    if b.kind == MESH:
        n = triangles[triangle]
        x, y, z = n.nx / b.sx, n.ny / b.sy, n.nz / b.sz
    elif b.kind == BOX:
        a, c, e = abs(x) - b.hx, abs(y) - b.hy, abs(z) - b.hz
        if a >= c and a >= e:
            y, z = 0.0, 0.0
        elif c >= e:
            x, z = 0.0, 0.0
        else:
            x, y = 0.0, 0.0
    elif b.kind == CYLINDER:
        if abs(z) - b.hz > sqrt(x * x + y * y) - b.hx:
            x, y = 0.0, 0.0
        else:
            z = 0.0
    elif b.kind == CAPSULE:
        z -= min(max(z, -b.hz), b.hz)
    elif b.kind == CONE:
        far, slope = sqrt(x * x + y * y), b.hx / (2 * b.hz)
        if -b.hz - z > far - slope * (b.hz - z):
            x, y = 0.0, 0.0
        else:
            z = far * slope
    elif b.kind == ELLIPSOID:
        x, y, z = x / (b.hx * b.hx), y / (b.hy * b.hy), z / (b.hz * b.hz)
    x, y, z = _turned_back(b, x, y, z)
    scale = 1 / sqrt(x * x + y * y + z * z)
    return x * scale, y * scale, z * scale


@inlined
def _in_light(
    bodies: Table, nodes: Table, triangles: Table, v: Row, start: _Ints, items: _Ints, own: int,
    x: float, y: float, z: float,
) -> bool:  # fmt: skip
    """Return whether nothing stands between the lamp and a point; own: a body that is left out, for instance -1."""
    x, y, z = x - v.ox, y - v.oy, z - v.oz
    ahead = -(x * v.lx + y * v.ly + z * v.lz)
    if ahead <= 0:
        return True
    near = 1 / ahead
    across = ((x * v.ax + y * v.ay + z * v.az) * near - v.u0) * v.ud
    down = ((x * v.bx + y * v.by + z * v.bz) * near - v.v0) * v.vd
    if not (0 <= across < _CELLS and 0 <= down < _CELLS):
        return True
    cell = int(down) * _CELLS + int(across)
    if start[cell] == start[cell + 1]:
        return True
    limit = 1 - _SHADOW_BIAS_M / sqrt(x * x + y * y + z * z)
    for k in range(start[cell], start[cell + 1]):
        b = bodies[items[k]]
        # Most blocks near a point lie lower, and the light comes from above.
        if items[k] == own or (b.top < v.oz + z and z < 0):
            continue
        t, _ = _meet(b, nodes, triangles, limit, True, b.lx, b.ly, b.lz, x, y, z)
        if t <= limit:
            return False
    return True


@inlined
def _pattern(texture: int, x: float, y: float, z: float) -> float:
    """Return the factor of a texture on the brightness, never the hue: the colour is the object's name."""
    if texture == STRIPED:
        # A little inside: the ends of a body lie on the border of a stripe.
        return 0.72 if int(np.floor(z * (5 - 1e-6) + 0.5)) & 1 else 1.0
    if texture == DOTTED:
        x, y, z = 4 * x - np.floor(4 * x) - 0.5, 4 * y - np.floor(4 * y) - 0.5, 4 * z - np.floor(4 * z) - 0.5
        return 0.7 if x * x + y * y + z * z < 0.12 else 1.0
    if texture == TILED:
        return 0.91 if (int(np.floor(x)) + int(np.floor(y)) + int(np.floor(z))) & 1 else 1.0
    return 1.0


@inlined
def _floor_tone(v: Row, dist: float, px: float, py: float) -> float:
    """Return the factor of the floor's tiles on its brightness, for a point `dist` metres away."""
    if v.tile <= 0:
        return 1.0
    # A tile is centred on x = 0, so that a mirrored scene has a mirrored floor.
    odd = int(np.floor((px - v.slide_x) / v.tile + 0.5)) + int(np.floor((py - v.slide_y) / v.tile))
    contrast = 0.10 * min(max(1 - (dist - 6) / 14, 0.0), 1.0)
    return 1 + contrast if odd & 1 else 1 - contrast


@inlined
def _floor_colour(v: Row, dist: float, dz: float, tone: float, lit: bool) -> tuple[float, float, float]:
    """Return the colour of the floor, or, infinitely far away, of the backdrop."""
    # The floor melts into the backdrop far away: no aliasing at the horizon.
    fade = min(max((dist - 14) / 26, 0.0), 1.0)
    sky = fade * (0.98 - 0.12 * min(max(1.6 * dz, -0.2), 1.0))
    level = v.ambient * (0.55 + 0.45 * v.power)
    if lit:
        level += v.diffuse * v.power * v.lz
    level *= (1 - fade) * tone
    return (
        min(level * v.floor_r * v.tint_r + sky * v.sky_r, 255.0),
        min(level * v.floor_g * v.tint_g + sky * v.sky_g, 255.0),
        min(level * v.floor_b * v.tint_b + sky * v.sky_b, 255.0),
    )


@inlined
def _body_colour(
    bodies: Table, nodes: Table, triangles: Table, v: Row, start: _Ints, items: _Ints,
    seen: int, dist: float, triangle: int, dx: float, dy: float, dz: float,
) -> tuple[float, float, float]:  # fmt: skip
    """Return the colour of a body where a ray from the eye meets it. start, items: bodies by cell of the lamp's window."""
    b = bodies[seen]
    px, py, pz = v.x + dist * dx, v.y + dist * dy, v.z + dist * dz
    x, y, z = _turned(b, px - b.px, py - b.py, pz - b.pz)
    nx, ny, nz = _normal(b, triangles, triangle, x, y, z)
    if nx * dx + ny * dy + nz * dz > 0:
        nx, ny, nz = -nx, -ny, -nz
    shade = 1.0
    if b.texture == TILED:
        # A little inside the cell that a face belongs to: faces lie on whole metres.
        shade = _pattern(TILED, px - 0.01, py - 0.01, pz - 0.01)
    elif b.texture != PLAIN:
        shade = _pattern(b.texture, x / (b.wx * b.sx), y / (b.wy * b.sy), (z + b.rise) / (b.wz * b.sz))
    facing = nx * v.lx + ny * v.ly + nz * v.lz
    m = _SHADOW_BIAS_M
    # A convex body casts no shadow on its own lit side.
    own = seen if b.kind != MESH else -1
    if facing <= 0 or not _in_light(
        bodies, nodes, triangles, v, start, items, own, px + m * nx, py + m * ny, pz + m * nz
    ):
        facing = 0.0
    level = v.ambient * (0.55 + 0.45 * v.power) + v.diffuse * v.power * facing
    level = shade * ((1 - b.glow) * level + b.glow * 1.08)
    spark = 0.0
    if b.texture == GLOSSY and facing > 0:
        x, y, z = v.lx - dx, v.ly - dy, v.lz - dz
        spark = max((nx * x + ny * y + nz * z) / sqrt(x * x + y * y + z * z), 0.0)
        spark *= spark
        spark *= spark
        eighth = spark * spark
        spark = eighth * eighth
        spark = 90 * spark * spark * eighth
    return (
        min(b.red * level * v.tint_r + spark, 255.0),
        min(b.green * level * v.tint_g + spark, 255.0),
        min(b.blue * level * v.tint_b + spark, 255.0),
    )


@compiled
def _trace(
    bodies: Table, nodes: Table, triangles: Table, v: Row, start: _Ints, items: _Ints, lit_start: _Ints, lit_items: _Ints,
    rays: Table,
) -> None:  # fmt: skip
    """Fill in what the rays see."""
    for k in range(len(rays)):
        ray = rays[k]
        first, last = start[ray.tile], start[ray.tile + 1]
        seen, dist, which = _nearest(bodies, nodes, triangles, items, first, last, ray.floor, ray.dx, ray.dy, ray.dz)
        ray.seen = seen
        if 0 <= seen < len(bodies):
            ray.red, ray.green, ray.blue = _body_colour(
                bodies, nodes, triangles, v, lit_start, lit_items, seen, dist, which, ray.dx, ray.dy, ray.dz
            )
            continue
        lit, tone = True, 1.0
        if dist < _FAR_M:
            px, py = v.x + dist * ray.dx, v.y + dist * ray.dy
            tone = _floor_tone(v, dist, px, py)
            lit = _in_light(bodies, nodes, triangles, v, lit_start, lit_items, -1, px, py, _SHADOW_BIAS_M)
        ray.red, ray.green, ray.blue = _floor_colour(v, dist, ray.dz, tone, lit)
        if not lit:
            ray.seen += 1


@compiled
def _rays(v: Row, y: float, dx: Floats, dy: Floats, dz: Floats, dist: Floats) -> None:
    """Fill the unit directions dx, dy, dz [W] through row y, and how far away the floor is, inf above the horizon."""
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = v.r00, v.r01, v.r02, v.r10, v.r11, v.r12, v.r20, v.r21, v.r22
    slope, cx, b, height = 1 / v.fx, v.cx, (y - v.cy) / v.fy, v.z
    for x in range(len(dx)):
        a = (x - cx) * slope
        n = 1 / sqrt(a * a + b * b + 1)
        dx[x] = (a * r00 + b * r10 + r20) * n
        dy[x] = (a * r01 + b * r11 + r21) * n
        down = (a * r02 + b * r12 + r22) * n
        dz[x] = down
        far = -height / down
        dist[x] = far if far >= 0 and down < 0 else inf


@compiled
def _tones(v: Row, dx: Floats, dy: Floats, floor: Floats, tone: Floats) -> None:
    """Fill tone [W]: the factor of the floor's tiles on its brightness along a row of rays."""
    if v.tile <= 0:
        for x in range(len(tone)):
            tone[x] = 1.0
        return
    x0, y0, size = v.x - v.slide_x, v.y - v.slide_y, v.tile
    for x in range(len(tone)):
        dist = min(floor[x], _FAR_M)
        # A tile is centred on x = 0, so that a mirrored scene has a mirrored floor.
        half = 0.5 * (np.floor((x0 + dist * dx[x]) / size + 0.5) + np.floor((y0 + dist * dy[x]) / size))
        contrast = 0.10 * min(max(1 - (dist - 6) / 14, 0.0), 1.0)
        tone[x] = 1 + contrast if half != np.floor(half) else 1 - contrast


@compiled
def _cells(v: Row, dx: Floats, dy: Floats, floor: Floats, cell: NDArray[np.int32]) -> None:
    """Fill cell [W]: of the lamp's window, -1 outside, where a row of rays meets the floor."""
    x0, y0, z0 = v.x - v.ox, v.y - v.oy, _SHADOW_BIAS_M - v.oz
    lx, ly, lz, ax, ay, az, bx, by, bz = v.lx, v.ly, v.lz, v.ax, v.ay, v.az, v.bx, v.by, v.bz
    u0, ud, v0, vd = v.u0, v.ud, v.v0, v.vd
    for k in range(len(cell)):
        dist = min(floor[k], _FAR_M)
        x, y = x0 + dist * dx[k], y0 + dist * dy[k]
        ahead = -(x * lx + y * ly + z0 * lz)
        near = 1 / ahead
        across, down = ((x * ax + y * ay + z0 * az) * near - u0) * ud, ((x * bx + y * by + z0 * bz) * near - v0) * vd
        inside = (ahead > 0) & (across >= 0) & (across < _CELLS) & (down >= 0) & (down < _CELLS) & (floor[k] < _FAR_M)
        across, down = across if inside else 0.0, down if inside else 0.0
        number = np.int32(down) * np.int32(_CELLS) + np.int32(across)
        cell[k] = number if inside else np.int32(-1)


@inlined
def _ray(v: Row, x: float, y: float) -> tuple[float, float, float, float]:
    """Return the unit direction through a pixel position, and how far away the floor is."""
    a, b = (x - v.cx) / v.fx, (y - v.cy) / v.fy
    n = 1 / sqrt(a * a + b * b + 1)
    dx, dy = (a * v.r00 + b * v.r10 + v.r20) * n, (a * v.r01 + b * v.r11 + v.r21) * n
    dz = (a * v.r02 + b * v.r12 + v.r22) * n
    return dx, dy, dz, -v.z / dz if dz < 0 and v.z >= 0 else inf


@compiled
def look(
    bodies: Table, nodes: Table, triangles: Table, view: Table, start: _Ints, items: _Ints,
    ids: NDArray[np.int16], depth: NDArray[np.float32],
) -> None:  # fmt: skip
    """Fill ids [H, W] with the body seen in the middle of each pixel, -1 for none, and depth [H, W] in metres, inf for nothing."""
    height, width = ids.shape
    columns, v = (width + _TILE - 1) // _TILE, view[0]
    dx, dy, dz, floor = np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    for y in range(height):
        _rays(v, y, dx, dy, dz, floor)
        for x in range(width):
            tile = y // _TILE * columns + x // _TILE
            seen, dist, _ = _nearest(
                bodies, nodes, triangles, items, start[tile], start[tile + 1], floor[x], dx[x], dy[x], dz[x]
            )
            ids[y, x] = seen if seen < len(bodies) else -1
            depth[y, x] = dist * (dx[x] * v.r20 + dy[x] * v.r21 + dz[x] * v.r22)


@compiled
def silhouettes(
    bodies: Table, nodes: Table, triangles: Table, view: Table, start: _Ints, items: _Ints, masks: Bools
) -> None:
    """Set masks [N, H, W] where each shown body would be seen if it were alone."""
    _, height, width = masks.shape
    columns, v = (width + _TILE - 1) // _TILE, view[0]
    for y in range(height):
        for x in range(width):
            tile = y // _TILE * columns + x // _TILE
            if start[tile] == start[tile + 1]:
                continue
            dx, dy, dz, _ = _ray(v, x, y)
            for k in range(start[tile], start[tile + 1]):
                b = bodies[items[k]]
                t, _ = _meet(b, nodes, triangles, inf, True, b.ex, b.ey, b.ez, dx, dy, dz)
                if t < inf:
                    masks[items[k], y, x] = True


@compiled
def cast_rays(
    bodies: Table, nodes: Table, triangles: Table, origin: Floats, directions: Floats, ids: _Ints, dist: Floats
) -> None:
    """Fill ids [R] with the body met first (N: floor, -1: none) and dist [R] (metres, -1: none), for unit directions [R, 3]."""
    shown = np.empty(len(bodies), np.int64)
    count = 0
    for i in range(len(bodies)):
        b = bodies[i]
        b.ex, b.ey, b.ez = _turned(b, origin[0] - b.px, origin[1] - b.py, origin[2] - b.pz)
        shown[count] = i
        count += b.shown
    for r in range(len(directions)):
        dx, dy, dz = directions[r, 0], directions[r, 1], directions[r, 2]
        floor = -origin[2] / dz if dz < 0 and origin[2] >= 0 else inf
        seen, t, _ = _nearest(bodies, nodes, triangles, shown, 0, count, floor, dx, dy, dz)
        ids[r], dist[r] = seen, t if seen >= 0 else -1.0


@compiled
def paint(
    bodies: Table, nodes: Table, triangles: Table, view: Table, start: _Ints, items: _Ints,
    lit_start: _Ints, lit_items: _Ints, side: int, image: NDArray[np.float32],
) -> None:  # fmt: skip
    """Fill image [H, W, 3], in 0..255. start, items: bodies by tile; lit_*: by cell of the lamp's window; side: rays along a pixel.

    One ray through the middle of each pixel; then all side x side rays where a neighbour differs in body, shadow or brightness:
    only there do more rays change anything. Where all around is floor in one light, they need to look at its tiles only.
    """
    height, width, _ = image.shape
    columns, n, v = (width + _TILE - 1) // _TILE, len(bodies), view[0]
    ids, grey = np.empty((height, width), np.int32), np.empty((height, width), np.float32)
    dx, dy, dz, floor, tone = np.empty(width), np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    cell, rays, third = np.empty(width, np.int32), np.empty(width * side * side, RAY), np.float32(3)
    for y in range(height):
        _rays(v, y, dx, dy, dz, floor)
        _tones(v, dx, dy, floor, tone)
        _cells(v, dx, dy, floor, cell)
        count = 0
        for x in range(width):
            tile, c = y // _TILE * columns + x // _TILE, cell[x]
            if start[tile] == start[tile + 1] and (c < 0 or lit_start[c] == lit_start[c + 1]):
                r, g, b = _floor_colour(v, floor[x], dz[x], tone[x], True)
                image[y, x, 0], image[y, x, 1], image[y, x, 2] = r, g, b
                ids[y, x] = n if floor[x] < inf else -1
            else:
                ray = rays[count]
                ray.dx, ray.dy, ray.dz, ray.floor, ray.x, ray.tile = dx[x], dy[x], dz[x], floor[x], x, tile
                count += 1
        _trace(bodies, nodes, triangles, v, start, items, lit_start, lit_items, rays[:count])
        for k in range(count):
            ray = rays[k]
            image[y, ray.x, 0], image[y, ray.x, 1], image[y, ray.x, 2] = ray.red, ray.green, ray.blue
            ids[y, ray.x] = ray.seen
        for x in range(width):
            grey[y, x] = (image[y, x, 0] + image[y, x, 1] + image[y, x, 2]) / third
    if side < 2:
        return
    many = side * side
    for y in range(height):
        count = 0
        for x in range(width):
            edge = _edge(ids, grey, y, x)
            if edge == 0:
                continue
            plain, red, green, blue = edge == 1 and ids[y, x] >= n, 0.0, 0.0, 0.0
            for k in range(many):
                ax, ay, az, dist = _ray(v, x + (k % side + 0.5) / side - 0.5, y + (k // side + 0.5) / side - 0.5)
                if plain:
                    near = min(dist, _FAR_M)
                    shade = _floor_tone(v, near, v.x + near * ax, v.y + near * ay)
                    r, g, b = _floor_colour(v, dist, az, shade, ids[y, x] == n)
                    red, green, blue = red + r, green + g, blue + b
                else:
                    ray = rays[count]
                    ray.dx, ray.dy, ray.dz, ray.floor, ray.x = ax, ay, az, dist, x
                    ray.tile = y // _TILE * columns + x // _TILE
                    count += 1
            if plain:
                image[y, x, 0], image[y, x, 1], image[y, x, 2] = red / many, green / many, blue / many
        _trace(bodies, nodes, triangles, v, start, items, lit_start, lit_items, rays[:count])
        for k in range(0, count, many):
            red, green, blue = 0.0, 0.0, 0.0
            for j in range(many):
                ray = rays[k + j]
                red, green, blue = red + ray.red, green + ray.green, blue + ray.blue
            x = rays[k].x
            image[y, x, 0], image[y, x, 1], image[y, x, 2] = red / many, green / many, blue / many


@inlined
def _edge(ids: NDArray[np.int32], grey: NDArray[np.float32], y: int, x: int) -> int:
    """Return 2 where a neighbour of a pixel shows another thing or light, 1 where only another brightness, 0 elsewhere."""
    height, width = ids.shape
    own, level, edge = ids[y, x], grey[y, x], 0
    for k in range(4):
        i, j = y + (k == 1) - (k == 0), x + (k == 3) - (k == 2)
        if 0 <= i < height and 0 <= j < width:
            if ids[i, j] != own:
                return 2
            if abs(grey[i, j] - level) > _EDGE:
                edge = 1
    return edge


@compiled
def to_bytes(image: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    """Round an image, a flat array, to bytes."""
    for k in range(len(image)):
        out[k] = np.uint8(np.rint(image[k]))


@compiled
def label(
    bodies: Table, nodes: Table, triangles: Table, view: Table, start: _Ints, items: _Ints, ids: NDArray[np.int16]
) -> None:
    """Fill ids [H, W] as `look` does; rays are cast only where a tile has a body."""
    height, width = ids.shape
    columns, v = (width + _TILE - 1) // _TILE, view[0]
    dx, dy, dz, floor = np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    for y in range(height):
        row = y // _TILE * columns
        if start[row] == start[row + columns]:
            ids[y] = -1
            continue
        _rays(v, y, dx, dy, dz, floor)
        for x in range(width):
            first, last, seen = start[row + x // _TILE], start[row + x // _TILE + 1], -1
            if first < last:
                seen, _, _ = _nearest(bodies, nodes, triangles, items, first, last, floor[x], dx[x], dy[x], dz[x])
            ids[y, x] = seen if seen < len(bodies) else -1
