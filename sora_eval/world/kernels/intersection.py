"""Where rays meet bodies: closed forms of the shapes, and meshes through their trees. Kernels, see `raycast`."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Bools, Floats
from sora_eval.world.kernels.bvh import Row, Table, compiled, fields, inlined

_Ints = NDArray[np.int64]

BALL, BOX, CYLINDER, CAPSULE, CONE, ELLIPSOID, MESH = range(7)
PLAIN, STRIPED, DOTTED, GLOSSY, TILED = range(5)

BODY = fields(
    "px py pz  t00 t01 t02 t10 t11 t12 t20 t21 t22  hx hy hz  sx sy sz  top  ex ey ez  lx ly lz  red green blue"
    " wx wy wz rise glow",
    "shown kind texture node end",
)
"""A body at one time. p: centre, m; t: rotation, body to world; h: half extents in its frame with the factors applied, m (round
shapes: radius twice, half length); s: factors on the size; top: height of a box's highest corner, m, inf for others; e, l: eye and
lamp in its frame; colour: 0..255; w: extents that patterns are measured by; rise: height, m, of the pattern's middle below the
centre; node, end: of its mesh."""


@inlined
def turned(b: Row, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Turn a vector into a body's frame."""
    return b.t00 * x + b.t10 * y + b.t20 * z, b.t01 * x + b.t11 * y + b.t21 * z, b.t02 * x + b.t12 * y + b.t22 * z


@inlined
def turned_back(b: Row, x: float, y: float, z: float) -> tuple[float, float, float]:
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


@inlined
def meet_ball(r: float, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> float:
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
def meet_slab(h: float, o: float, d: float, near: float, far: float) -> tuple[float, float]:
    """Return the part of a ray's interval [near, far] that lies in |x| <= h; near > far where nothing does."""
    if d == 0:
        return (near, far) if abs(o) <= h else (inf, -inf)
    slope = 1 / d
    a, b = (-h - o) * slope, (h - o) * slope
    return max(near, min(a, b)), min(far, max(a, b))


@inlined
def first_of(near: float, far: float) -> float:
    """Return where a ray enters a slab, or leaves it if it begins inside; inf where it misses."""
    if near > far or far < 0:
        return inf
    return near if near >= 0 else far


@inlined
def meet_box(
    hx: float, hy: float, hz: float, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float
) -> float:
    """Return where a ray meets a box of half extents hx, hy, hz."""
    near, far = meet_slab(hx, ox, dx, -inf, inf)
    near, far = meet_slab(hy, oy, dy, near, far)
    near, far = meet_slab(hz, oz, dz, near, far)
    return first_of(near, far)


@inlined
def meet_cylinder(r: float, h: float, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> float:
    """Return where a ray meets an upright cylinder of radius r and half height h."""
    a, b, c = dx * dx + dy * dy, ox * dx + oy * dy, ox * ox + oy * oy - r * r
    square = b * b - a * c
    if square < 0 or (a == 0 and c > 0):
        return inf
    near, far = meet_slab(h, oz, dz, -inf, inf)
    if a > 0:
        root = sqrt(square)
        near, far = max(near, (-b - root) / a), min(far, (root - b) / a)
    return first_of(near, far)


@inlined
def meet_capsule(r: float, h: float, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> float:
    """Return where a ray meets an upright capsule of radius r whose axis has half length h."""
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
def meet_cone(r: float, h: float, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> float:
    """Return where a ray meets an upright cone: radius r at the bottom, -h, and its tip at h."""
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
def meet_triangle(c: Row, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> float:
    """Return where a ray meets a triangle."""
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
def enters(n: Row, ox: float, oy: float, oz: float, ix: float, iy: float, iz: float, limit: float) -> bool:
    """Return whether a ray with inverse direction i meets a node's box before `limit`. Boxes have a margin: rounding is harmless."""
    a, b = (n.x0 - ox) * ix, (n.x1 - ox) * ix
    near, far = min(a, b), max(a, b)
    a, b = (n.y0 - oy) * iy, (n.y1 - oy) * iy
    near, far = max(near, min(a, b)), min(far, max(a, b))
    a, b = (n.z0 - oz) * iz, (n.z1 - oz) * iz
    near, far = max(near, min(a, b)), min(far, max(a, b))
    return bool(far >= max(near, 0.0) and near < limit)


@compiled
def meet_mesh(
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
        if not enters(n, ox, oy, oz, ix, iy, iz, best):
            node = n.skip
            continue
        for f in range(n.first, n.first + n.count):
            t = meet_triangle(triangles[f], ox, oy, oz, dx, dy, dz)
            if t < best:
                best, which = t, f
                if any_hit:
                    return best, which
        node += 1
    return (best, which) if which >= 0 else (inf, -1)


@inlined
def meet(
    b: Row, nodes: Table, triangles: Table, limit: float, any_hit: bool,
    ox: float, oy: float, oz: float, dx: float, dy: float, dz: float,
) -> tuple[float, int]:  # fmt: skip
    """Return where a ray from o, in the body's frame, along d, in the world's, meets a body, and the triangle of a mesh."""
    dx, dy, dz = turned(b, dx, dy, dz)
    if b.kind == BALL:
        return meet_ball(b.hx, ox, oy, oz, dx, dy, dz), -1
    if b.kind == BOX:
        return meet_box(b.hx, b.hy, b.hz, ox, oy, oz, dx, dy, dz), -1
    if b.kind == CYLINDER:
        return meet_cylinder(b.hx, b.hz, ox, oy, oz, dx, dy, dz), -1
    if b.kind == CONE:
        return meet_cone(b.hx, b.hz, ox, oy, oz, dx, dy, dz), -1
    if b.kind == CAPSULE:
        return meet_capsule(b.hx, b.hz, ox, oy, oz, dx, dy, dz), -1
    if b.kind == ELLIPSOID:
        return meet_ball(1.0, ox / b.hx, oy / b.hy, oz / b.hz, dx / b.hx, dy / b.hy, dz / b.hz), -1
    return meet_mesh(b, nodes, triangles, limit, any_hit, ox, oy, oz, dx, dy, dz)


@inlined
def nearest(
    bodies: Table, nodes: Table, triangles: Table, items: _Ints, start: int, stop: int, floor: float,
    dx: float, dy: float, dz: float,
) -> tuple[int, float, int]:  # fmt: skip
    """Return the body that a ray from the eye meets first (N: floor, at a given distance, -1: none), the distance and the triangle."""
    seen, best, which = len(bodies) if floor < inf else -1, floor, -1
    for k in range(start, stop):
        b = bodies[items[k]]
        t, triangle = meet(b, nodes, triangles, best, False, b.ex, b.ey, b.ez, dx, dy, dz)
        if t < best:
            seen, best, which = items[k], t, triangle
    return seen, best, which


@inlined
def normal_at(b: Row, triangles: Table, triangle: int, x: float, y: float, z: float) -> tuple[float, float, float]:
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
    x, y, z = turned_back(b, x, y, z)
    scale = 1 / sqrt(x * x + y * y + z * z)
    return x * scale, y * scale, z * scale
