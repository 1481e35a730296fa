"""The shader of looks: materials, soft shadows, ambient occlusion, gloss. Compiled, on the tables and rays of `raycast`.

Nothing is sampled at random. A soft shadow is the least of distance by penumbra along the way to the lamp, occlusion is the distance to
what is near at three heights above a surface: both are smooth, and one ray per pixel is enough away from the borders of bodies.
"""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Floats
from sora_eval.world.bvh import Row, Table, called, compiled, inlined
from sora_eval.world.materials import COVE, SKY, sky, smooth, surface
from sora_eval.world.raycast import (
    _CELLS,
    _FAR_M,
    _SHADOW_BIAS_M,
    _TILE,
    BALL,
    BOX,
    CAPSULE,
    CONE,
    CYLINDER,
    GLOSSY,
    MESH,
    PLAIN,
    TILED,
    _binned,
    _bounds,
    _box,
    _floor_tone,
    _meet,
    _nearest,
    _normal,
    _pattern,
    _ray,
    _rays,
    _turned,
)

_Ints = NDArray[np.int64]
_REACH_M = 0.75
"""Farther away nothing darkens a surface by being near."""
_STEPS = 8
"""Of the search along a shadow ray: the bracket shrinks to a fiftieth, where the minimum is flat."""
_STEP = 9.0
"""Grey levels between neighbours on one body above which a pixel gets all its rays: an edge or a pattern, no shading of a curve."""
_GOLD = 0.6180339887498949
_WALL = -2
"""What a ray sees that meets a wall."""
_DISC = np.array([
    (0.92, 0.2), (-0.92, 0.2), (0.2, -0.92), (-0.2, -0.92), (0.92, -0.2), (-0.92, -0.2), (0.2, 0.92), (-0.2, 0.92),
    (0.25, 0.0), (-0.25, 0.0), (0.0, 0.25), (0.0, -0.25), (0.5, 0.45), (-0.5, 0.45), (0.5, -0.45), (-0.5, -0.45),
])  # fmt: skip
"""Where on the lamp's disc rays past a mesh end; the same when left and right are exchanged."""


@inlined
def _radius(b: Row, nodes: Table) -> float:
    """Return the radius of a ball around a body's centre that holds it."""
    if b.kind == BALL:
        return b.hx
    if b.kind == CAPSULE:
        return b.hz + b.hx
    if b.kind == MESH:
        n = nodes[b.node]
        x = max(-n.x0, n.x1) * b.sx
        y = max(-n.y0, n.y1) * b.sy
        z = max(-n.z0, n.z1) * b.sz
        return sqrt(x * x + y * y + z * z)
    return sqrt(b.hx * b.hx + b.hy * b.hy + b.hz * b.hz)


@called
def _distance(b: Row, nodes: Table, x: float, y: float, z: float) -> float:
    """Return the distance of a point, in a body's frame, from its surface, negative inside; a mesh counts as the ellipsoid in its box."""
    if b.kind == BALL:
        return sqrt(x * x + y * y + z * z) - b.hx
    if b.kind == BOX:
        a, c, e = abs(x) - b.hx, abs(y) - b.hy, abs(z) - b.hz
        inside = min(max(a, max(c, e)), 0.0)
        a, c, e = max(a, 0.0), max(c, 0.0), max(e, 0.0)
        return sqrt(a * a + c * c + e * e) + inside
    if b.kind == CYLINDER:
        a, c = sqrt(x * x + y * y) - b.hx, abs(z) - b.hz
        inside = min(max(a, c), 0.0)
        a, c = max(a, 0.0), max(c, 0.0)
        return sqrt(a * a + c * c) + inside
    if b.kind == CAPSULE:
        z -= min(max(z, -b.hz), b.hz)
        return sqrt(x * x + y * y + z * z) - b.hx
    if b.kind == CONE:
        slope = 2 * b.hz / b.hx
        side = (sqrt(x * x + y * y) * slope + z - b.hz) / sqrt(1 + slope * slope)
        return max(side, -b.hz - z)
    hx, hy, hz = b.hx, b.hy, b.hz
    if b.kind == MESH:
        n = nodes[b.node]
        x, y, z = x - 0.5 * (n.x0 + n.x1) * b.sx, y - 0.5 * (n.y0 + n.y1) * b.sy, z - 0.5 * (n.z0 + n.z1) * b.sz
        hx, hy, hz = 0.5 * (n.x1 - n.x0) * b.sx, 0.5 * (n.y1 - n.y0) * b.sy, 0.5 * (n.z1 - n.z0) * b.sz
    x, y, z = x / hx, y / hy, z / hz
    near = sqrt(x * x + y * y + z * z)
    x, y, z = x / hx, y / hy, z / hz
    return near * (near - 1) / max(sqrt(x * x + y * y + z * z), 1e-9)


@compiled
def open_look(bodies: Table, nodes: Table, view: Table, looks: Table) -> tuple[_Ints, _Ints, _Ints, _Ints]:
    """Return the bodies by cell of the lamp's window, with their penumbras, and by cell of the floor, with what they darken."""
    v, look = view[0], looks[0]
    R = np.empty((3, 3))
    R[0, 0], R[0, 1], R[0, 2], R[1, 0], R[1, 1], R[1, 2] = v.ax, v.ay, v.az, v.bx, v.by, v.bz
    R[2, 0], R[2, 1], R[2, 2] = -v.lx, -v.ly, -v.lz
    lamp, grid = _bounds(bodies, nodes, v.ox, v.oy, v.oz, R), np.empty((len(bodies), 4))
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
    start, items = _binned(lamp, _CELLS, _CELLS)
    near_start, near_items = _binned(grid, _CELLS, _CELLS)
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
    cell = max(high - low, 1e-6) / (_CELLS - 2)
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
        return (sqrt(max(square, 0.0)) - radius) / (soft * along + pixel)
    ox, oy, oz = _turned(b, -px, -py, -pz)
    dx, dy, dz = _turned(b, lx, ly, lz)
    wide -= radius
    if (
        _box(b.hx + wide, b.hy + wide, (b.hz + b.hx if b.kind == CAPSULE else b.hz) + wide, ox, oy, oz, dx, dy, dz)
        == inf
    ):
        return 1.0
    if b.kind == BOX and min(b.hx, min(b.hy, b.hz)) > wide:
        if _box(b.hx - wide, b.hy - wide, b.hz - wide, ox, oy, oz, dx, dy, dz) < inf:
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
    return min(fa, fc)


@called
def _past_mesh(b: Row, nodes: Table, triangles: Table, v: Row, soft: float, x: float, y: float, z: float) -> float:
    """Return the share of rays from a point to the lamp's disc that pass a mesh."""
    ox, oy, oz = _turned(b, x - b.px, y - b.py, z - b.pz)
    dx, dy, dz = v.ox - x, v.oy - y, v.oz - z
    wide = soft * sqrt(dx * dx + dy * dy + dz * dz)
    free = 0
    for k in range(len(_DISC)):
        # Most points lie in full light or full shadow, where four of the disc's rim say the same.
        if k == 4 and (free == 0 or free == 4):
            return free / 4
        p, q = wide * _DISC[k, 0], wide * _DISC[k, 1]
        t, _ = _meet(
            b, nodes, triangles, 1.0, True, ox, oy, oz,
            dx + p * v.ax + q * v.bx, dy + p * v.ay + q * v.by, dz + p * v.az + q * v.bz,
        )  # fmt: skip
        free += t > 1.0
    return free / len(_DISC)


@called
def _light(
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
    if not (0 <= across < _CELLS and 0 <= down < _CELLS):
        return 1.0
    cell = int(down) * _CELLS + int(across)
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
def _openness(
    bodies: Table, nodes: Table, look: Row, start: _Ints, items: _Ints, own: int,
    x: float, y: float, z: float, nx: float, ny: float, nz: float, floor: bool,
) -> float:  # fmt: skip
    """Return how little of the sky is hidden by what is near a point with normal n, 0 to 1, for each of three heights above it."""
    across, down = (x - look.grid_x) * look.grid_xd, (y - look.grid_y) * look.grid_yd
    first, last = 0, 0
    if 0 <= across < _CELLS and 0 <= down < _CELLS:
        cell = int(down) * _CELLS + int(across)
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
        ox, oy, oz = _turned(b, px, py, pz)
        mx, my, mz = _turned(b, nx, ny, nz)
        far = _distance(b, nodes, ox + h2 * mx, oy + h2 * my, oz + h2 * mz)
        # A distance grows no faster than the way: what does not reach the highest point reaches none.
        if far >= h2:
            continue
        d2 = min(d2, far)
        d0 = min(d0, _distance(b, nodes, ox + h0 * mx, oy + h0 * my, oz + h0 * mz))
        d1 = min(d1, _distance(b, nodes, ox + h1 * mx, oy + h1 * my, oz + h1 * mz))
    hidden = 0.35 * min(max(1 - d0 / h0, 0.0), 1.0) + 0.35 * min(max(1 - d1 / h1, 0.0), 1.0)
    hidden += 0.30 * min(max(1 - d2 / h2, 0.0), 1.0)
    return 1 - look.ambient_shade * hidden


@inlined
def _wall_distance(v: Row, look: Row, dx: float, dy: float) -> float:
    """Return how far away the wall is that a ray meets, inf where there is none. The walls have no top."""
    if look.wall == 0:
        return inf
    far = inf
    if dx != 0:
        far = ((look.wall_x if dx > 0 else -look.wall_x) - v.x) / dx
    if dy != 0:
        far = min(far, ((look.wall_y1 if dy > 0 else look.wall_y0) - v.y) / dy)
    return far if far > 0 else inf


@called
def _lit(v: Row, look: Row, facing: float, lit: float, up: float, opened: float) -> tuple[float, float, float]:
    """Return the light on a surface, a factor on each colour. up: height of its normal; opened: share of the ambient light left."""
    lamp = look.lamp * v.diffuse * v.power * facing * lit
    # Less comes from below, and that from the ground.
    fill = look.fill * v.ambient * (0.55 + 0.45 * v.power) * opened * (1 + look.mix * (0.13 * up - 0.13))
    return (
        v.tint_r * (lamp * look.sun_r + fill * look.fill_r),
        v.tint_g * (lamp * look.sun_g + fill * look.fill_g),
        v.tint_b * (lamp * look.sun_b + fill * look.fill_b),
    )


@called
def _body_tone(
    bodies: Table, nodes: Table, triangles: Table, v: Row, look: Row, start: _Ints, items: _Ints, near_start: _Ints,
    near_items: _Ints, seen: int, dist: float, triangle: int, dx: float, dy: float, dz: float,
) -> tuple[float, float, float]:  # fmt: skip
    """Return the colour of a body where a ray from the eye meets it."""
    b = bodies[seen]
    px, py, pz = v.x + dist * dx, v.y + dist * dy, v.z + dist * dz
    x, y, z = _turned(b, px - b.px, py - b.py, pz - b.pz)
    nx, ny, nz = _normal(b, triangles, triangle, x, y, z)
    if nx * dx + ny * dy + nz * dz > 0:
        nx, ny, nz = -nx, -ny, -nz
    shade = 1.0
    if b.texture == TILED:
        shade = _pattern(TILED, px - 0.01, py - 0.01, pz - 0.01)
    elif b.texture != PLAIN:
        shade = _pattern(b.texture, x / (b.wx * b.sx), y / (b.wy * b.sy), (z + b.rise) / (b.wz * b.sz))
    # The rim of a lamp with a radius is seen a little beyond the terminator.
    facing = max((nx * v.lx + ny * v.ly + nz * v.lz + 0.5 * look.soft) / (1 + 0.5 * look.soft), 0.0)
    m, lit = _SHADOW_BIAS_M, 0.0
    own = seen if b.kind != MESH else -1
    if facing > 0:
        lit = _light(
            bodies,
            nodes,
            triangles,
            v,
            look.soft,
            start,
            items,
            own,
            look.pixel * dist,
            px + m * nx,
            py + m * ny,
            pz + m * nz,
        )
    opened = _openness(bodies, nodes, look, near_start, near_items, seen, px, py, pz, nx, ny, nz, False)
    r, g, c = _lit(v, look, facing, lit, nz, opened)
    r, g, c = (1 - b.glow) * r + 1.08 * b.glow, (1 - b.glow) * g + 1.08 * b.glow, (1 - b.glow) * c + 1.08 * b.glow
    r, g, c = b.red * shade * r, b.green * shade * g, b.blue * shade * c
    gloss = look.gloss * (1.0 if b.texture == GLOSSY else 0.4) * (1 - b.glow)
    if gloss > 0 or b.texture == GLOSSY:
        x, y, z = v.lx - dx, v.ly - dy, v.lz - dz
        spark = max((nx * x + ny * y + nz * z) / sqrt(x * x + y * y + z * z), 0.0)
        spark *= spark
        spark *= spark
        spark *= spark
        broad = spark * spark
        spark = broad * broad
        spark *= spark
        spark = lit * v.power * (90 * spark * (gloss if b.texture != GLOSSY else 1.0) + 26 * gloss * broad)
        # What is seen at a grazing angle mirrors the surroundings (Schlick).
        facing = nx * dx + ny * dy + nz * dz
        graze = 1 + facing
        graze = graze * graze
        graze = gloss * (0.03 + 0.45 * graze * graze) * opened
        up = smooth(-0.3, 0.3, dz - 2 * facing * nz)
        r += spark + graze * (look.f0r + up * (look.hr - look.f0r) - r)
        g += spark + graze * (look.f0g + up * (look.hg - look.f0g) - g)
        c += spark + graze * (look.f0b + up * (look.hb - look.f0b) - c)
    return r, g, c


@compiled
def backdrop(view: Table, looks: Table, factor: NDArray[np.float32], added: NDArray[np.float32]) -> None:
    """Fill factor, added [H, W, 3] for the floor, the walls and the sky in every pixel: their colour is factor * light + added.

    They depend on the camera, not on the bodies: a camera that stands still needs them once.
    """
    height, width, _ = factor.shape
    v, look = view[0], looks[0]
    look.pixel = 1 / v.fx
    # Focused on the middle of the scene, where the bodies are.
    look.focus_m, look.spot = (
        sqrt(v.x * v.x + v.y * v.y + (v.z - 1) * (v.z - 1)),
        2 * look.aperture * min(height, width),
    )
    dx, dy, dz, floor, wall = np.empty(width), np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    x, y, ax, ay = np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    tone, mixed, far = np.empty(width), np.empty(width), np.empty((width, 3))
    for row in range(height):
        _rays(v, row, dx, dy, dz, floor)
        walls, floors, skies = 0, 0, 0
        for k in range(width):
            wall[k] = _wall_distance(v, look, dx[k], dy[k])
            behind = wall[k] < floor[k]
            walls += behind
            floors += not behind and floor[k] < inf
            skies += not behind and floor[k] == inf
        if skies > 0:
            sky(look, dx, dy, dz, far)
            m = look.mix
            for k in range(width):
                level = (1 - m) * (0.98 - 0.12 * min(max(1.6 * dz[k], -0.2), 1.0))
                factor[row, k, 0], factor[row, k, 1], factor[row, k, 2] = 0.0, 0.0, 0.0
                added[row, k, 0] = m * far[k, 0] + level * v.sky_r
                added[row, k, 1] = m * far[k, 1] + level * v.sky_g
                added[row, k, 2] = m * far[k, 2] + level * v.sky_b
        if walls > 0:
            for k in range(width):
                _on_wall(v, look, k, wall, floor, dx, dy, dz, x, y, ax, ay)
            surface(look.wall, x, y, ax, ay, look.seed + 50, tone, mixed)
            for k in range(width):
                if wall[k] < floor[k]:
                    _wall_parts(v, look, tone[k], mixed[k], wall[k], dx[k], dy[k], dz[k], factor[row, k], added[row, k])
        if floors > 0:
            for k in range(width):
                _on_floor(v, look, k, floor, dx, dy, dz, x, y, ax, ay)
            surface(look.floor, x, y, ax, ay, look.seed, tone, mixed)
            if look.mirror > 0 and look.wall == 0:
                for k in range(width):
                    ax[k] = abs(dz[k])
                sky(look, dx, dy, ax, far)
            for k in range(width):
                if floor[k] < inf and floor[k] <= wall[k]:
                    _floor_parts(
                        v, look, tone[k], mixed[k], floor[k], dx[k], dy[k], dz[k], far[k], factor[row, k], added[row, k]
                    )


@inlined
def _out_of_focus(look: Row, dist: float) -> float:
    """Return the width, m, that a pixel covers of what is `dist` away: a pattern that is out of focus is that of a larger pixel."""
    return look.pixel * dist * (1 + look.spot * abs(1 - look.focus_m / max(dist, 0.1)))


@inlined
def _on_floor(
    v: Row,
    look: Row,
    k: int,
    floor: Floats,
    dx: Floats,
    dy: Floats,
    dz: Floats,
    x: Floats,
    y: Floats,
    ax: Floats,
    ay: Floats,
) -> None:
    """Set where on the floor ray k of a row ends, and the extents of its pixel there."""
    # Patterns have long faded there.
    dist = min(floor[k], 300.0)
    x[k], y[k] = look.flip * (v.x + dist * dx[k] - v.slide_x), v.y + dist * dy[k] - v.slide_y
    across = _out_of_focus(look, dist)
    long = across / max(abs(dz[k]), 1e-3)
    flat = 1 / max(dx[k] * dx[k] + dy[k] * dy[k], 1e-9)
    ex, ey = dx[k] * dx[k] * flat, dy[k] * dy[k] * flat
    ax[k] = sqrt(long * long * ex + across * across * ey)
    ay[k] = sqrt(long * long * ey + across * across * ex)


@inlined
def _on_wall(
    v: Row, look: Row, k: int, wall: Floats, floor: Floats, dx: Floats, dy: Floats, dz: Floats,
    x: Floats, y: Floats, ax: Floats, ay: Floats,
) -> None:  # fmt: skip
    """Set where on the walls ray k of a row ends, along the wall and upwards, and the extents of its pixel there."""
    dist = min(wall[k], 300.0)
    px, py = look.flip * (v.x + dist * dx[k]), v.y + dist * dy[k]
    side = abs(px) >= look.wall_x - 1e-6
    x[k], y[k] = py if side else px, v.z + dist * dz[k]
    ay[k] = _out_of_focus(look, dist)
    ax[k] = ay[k] / max(abs(dx[k]) if side else abs(dy[k]), 0.05)


@called
def _wall_parts(
    v: Row, look: Row, tone: float, mixed: float, dist: float, dx: float, dy: float, dz: float,
    factor: NDArray[np.float32], added: NDArray[np.float32],
) -> None:  # fmt: skip
    """Fill the parts [3] of a wall's colour: a material, a skirting board, darker towards floor and corners."""
    px, py, pz = v.x + dist * dx, v.y + dist * dy, v.z + dist * dz
    side = abs(px) >= look.wall_x - 1e-6
    pixel = _out_of_focus(look, dist)
    r, g, b = (
        tone * (look.w0r + mixed * (look.w1r - look.w0r)),
        tone * (look.w0g + mixed * (look.w1g - look.w0g)),
        tone * (look.w0b + mixed * (look.w1b - look.w0b)),
    )
    board = min(max((0.24 - pz) / pixel + 0.5, 0.0), 1.0)
    white = 225.0 - 40 * board * min(max((pz - 0.21) / pixel + 0.5, 0.0), 1.0)
    r, g, b = r + board * (white - r), g + board * (white - 2 - g), b + board * (white - 6 - b)
    corner = max(min(look.wall_x - abs(px), min(look.wall_y1 - py, py - look.wall_y0) if side else inf), 0.0)
    dim = 1 - look.ambient_shade * (0.30 / (1 + 4 * max(pz, 0.0)) + 0.20 / (1 + 1.5 * corner))
    # The light of a room gathers below its lamps.
    dim *= look.mix * (1 - 0.20 * smooth(4.0, 14.0, pz))
    factor[0], factor[1], factor[2] = dim * r, dim * g, dim * b
    rest = 1 - look.mix
    added[0], added[1], added[2] = rest * v.sky_r, rest * v.sky_g, rest * v.sky_b


@called
def _floor_parts(
    v: Row, look: Row, tone: float, mixed: float, dist: float, dx: float, dy: float, dz: float, mirrored: Floats,
    factor: NDArray[np.float32], added: NDArray[np.float32],
) -> None:  # fmt: skip
    """Fill the parts [3] of the floor's colour: a material, what it mirrors [3] of the sky, and haze."""
    px, py = v.x + dist * dx, v.y + dist * dy
    plain, m = _floor_tone(v, dist, px, py), look.mix
    dim = 1.0
    if look.wall != 0:
        near = max(min(look.wall_x - abs(px), look.wall_y1 - py), 0.0)
        dim = 1 - look.ambient_shade * 0.30 / (1 + 4 * near)
    elif look.sky == COVE:
        # The light of a studio falls on its middle.
        square = px * px + py * py
        dim = 1 - 0.20 * m * square / (square + 90)
    graze = max(1 - abs(dz), 0.0)
    graze *= graze
    graze = look.mirror * (0.06 + 0.5 * graze * graze)
    fade = 0.0
    if look.haze_m > 0:
        square = dist * dist
        fade = square / (square + look.haze_m * look.haze_m)
        fade *= fade if look.sky != COVE else 1.0
    kept = dim * (1 - graze) * (1 - fade)
    factor[0] = kept * (plain * v.floor_r * (1 - m) + m * tone * (look.f0r + mixed * (look.f1r - look.f0r)))
    factor[1] = kept * (plain * v.floor_g * (1 - m) + m * tone * (look.f0g + mixed * (look.f1g - look.f0g)))
    factor[2] = kept * (plain * v.floor_b * (1 - m) + m * tone * (look.f0b + mixed * (look.f1b - look.f0b)))
    sr, sg, sb = look.hr, look.hg, look.hb
    if look.wall == 0:
        sr, sg, sb = mirrored[0], mirrored[1], mirrored[2]
    graze *= 1 - fade
    added[0], added[1], added[2] = graze * sr + fade * look.dr, graze * sg + fade * look.dg, graze * sb + fade * look.db


@compiled
def paint_look(
    bodies: Table, nodes: Table, triangles: Table, view: Table, looks: Table, start: _Ints, items: _Ints,
    lit_start: _Ints, lit_items: _Ints, near_start: _Ints, near_items: _Ints,
    factor: NDArray[np.float32], added: NDArray[np.float32], side: int, image: NDArray[np.float32],
    seen_ids: NDArray[np.int32], seen_dist: NDArray[np.float32],
) -> None:  # fmt: skip
    """Fill image [H, W, 3] in a look, and for the middle of each pixel the body [H, W], N for none, and how far away it is, m, inf for the sky.

    start, items: bodies by tile; lit_*, near_*: of `open_look`; factor, added: of `backdrop`; side: rays along a pixel at borders.
    """
    height, width, _ = image.shape
    columns, v, look, n = (width + _TILE - 1) // _TILE, view[0], looks[0], len(bodies)
    look.pixel = 1 / v.fx
    ids = np.empty((height, width), np.int32)
    dx, dy, dz, floor = np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    light = np.empty((width, 3), np.float32)
    fr, fg, fb = _lit(v, look, v.lz, 1.0, 1.0, 1.0)
    # Lamps light the walls of a room as well as what stands before them, whatever the direction of the strongest one.
    wr, wg, wb = _lit(v, look, 0.75, 1.0, 0.6, 1.0)
    # Where the lamp is all the light there is, what is far away is dark without it.
    glow = np.float32(1.0 if look.sky == SKY else 1 - 0.65 * look.mix * (1 - v.power))
    for y in range(height):
        _rays(v, y, dx, dy, dz, floor)
        for x in range(width):
            floor[x] = -1.0 if _wall_distance(v, look, dx[x], dy[x]) < floor[x] else floor[x]
            light[x, 0], light[x, 1], light[x, 2] = (fr, fg, fb) if floor[x] >= 0 else (wr, wg, wb)
            ids[y, x] = _WALL if floor[x] < 0 else n if floor[x] < inf else -1
            seen_ids[y, x], seen_dist[y, x] = n, floor[x] if floor[x] >= 0 else _wall_distance(v, look, dx[x], dy[x])
            if 0 <= floor[x] < _FAR_M and _darkened(
                v, look, lit_start, near_start, v.x + floor[x] * dx[x], v.y + floor[x] * dy[x]
            ):
                light[x, 0], light[x, 1], light[x, 2] = _floor_light(
                    bodies,
                    nodes,
                    triangles,
                    v,
                    look,
                    lit_start,
                    lit_items,
                    near_start,
                    near_items,
                    floor[x],
                    dx[x],
                    dy[x],
                )
        for x in range(width):
            for j in range(3):
                image[y, x, j] = min(factor[y, x, j] * light[x, j] + glow * added[y, x, j], np.float32(255))
        for x in range(width):
            tile = y // _TILE * columns + x // _TILE
            if start[tile] == start[tile + 1]:
                continue
            seen, dist, triangle = _nearest(
                bodies, nodes, triangles, items, start[tile], start[tile + 1],
                floor[x] if floor[x] >= 0 else _wall_distance(v, look, dx[x], dy[x]), dx[x], dy[x], dz[x],
            )  # fmt: skip
            if 0 <= seen < n:
                ids[y, x], seen_ids[y, x], seen_dist[y, x] = seen, seen, dist
                r, g, b = _body_tone(
                    bodies, nodes, triangles, v, look, lit_start, lit_items, near_start, near_items, seen, dist, triangle,
                    dx[x], dy[x], dz[x],
                )  # fmt: skip
                image[y, x, 0], image[y, x, 1], image[y, x, 2] = min(r, 255.0), min(g, 255.0), min(b, 255.0)
    if side < 2:
        return
    border = _borders(n, ids, image)
    many = side * side
    for y in range(height):
        for x in range(width):
            if not border[y, x]:
                continue
            tile, red, green, blue = y // _TILE * columns + x // _TILE, 0.0, 0.0, 0.0
            for k in range(many):
                ex, ey, ez, far = _ray(v, x + (k % side + 0.5) / side - 0.5, y + (k // side + 0.5) / side - 0.5)
                wall = _wall_distance(v, look, ex, ey)
                seen, dist, triangle = _nearest(
                    bodies, nodes, triangles, items, start[tile], start[tile + 1], min(far, wall), ex, ey, ez
                )
                if 0 <= seen < n:
                    r, g, b = _body_tone(
                        bodies, nodes, triangles, v, look, lit_start, lit_items, near_start, near_items, seen, dist, triangle,
                        ex, ey, ez,
                    )  # fmt: skip
                else:
                    r, g, b = (wr, wg, wb) if wall < far else (fr, fg, fb)
                    if (
                        far <= wall
                        and far < _FAR_M
                        and _darkened(v, look, lit_start, near_start, v.x + far * ex, v.y + far * ey)
                    ):
                        r, g, b = _floor_light(
                            bodies, nodes, triangles, v, look, lit_start, lit_items, near_start, near_items, far, ex, ey
                        )
                    # Behind a border lies the same as in the middle of the pixel: its pattern is that of the whole pixel.
                    r, g, b = (
                        factor[y, x, 0] * r + glow * added[y, x, 0],
                        factor[y, x, 1] * g + glow * added[y, x, 1],
                        factor[y, x, 2] * b + glow * added[y, x, 2],
                    )
                red, green, blue = red + min(r, 255.0), green + min(g, 255.0), blue + min(b, 255.0)
            image[y, x, 0], image[y, x, 1], image[y, x, 2] = red / many, green / many, blue / many


@inlined
def _darkened(v: Row, look: Row, lit_start: _Ints, near_start: _Ints, x: float, y: float) -> bool:
    """Return whether a body may darken the floor at (x, y)."""
    across, down = (x - look.grid_x) * look.grid_xd, (y - look.grid_y) * look.grid_yd
    if 0 <= across < _CELLS and 0 <= down < _CELLS:
        cell = int(down) * _CELLS + int(across)
        if near_start[cell] < near_start[cell + 1]:
            return True
    lx, ly, lz = v.ox - x, v.oy - y, v.oz - _SHADOW_BIAS_M
    near = 1 / max(lx * v.lx + ly * v.ly + lz * v.lz, 1e-9)
    across = (-(lx * v.ax + ly * v.ay + lz * v.az) * near - v.u0) * v.ud
    down = (-(lx * v.bx + ly * v.by + lz * v.bz) * near - v.v0) * v.vd
    if 0 <= across < _CELLS and 0 <= down < _CELLS:
        cell = int(down) * _CELLS + int(across)
        return bool(lit_start[cell] < lit_start[cell + 1])
    return False


@called
def _floor_light(
    bodies: Table, nodes: Table, triangles: Table, v: Row, look: Row, start: _Ints, items: _Ints, near_start: _Ints,
    near_items: _Ints, dist: float, dx: float, dy: float,
) -> tuple[float, float, float]:  # fmt: skip
    """Return the light on the floor where a ray meets it."""
    x, y = v.x + dist * dx, v.y + dist * dy
    pixel = 0.7 * look.pixel * dist
    lit = _light(bodies, nodes, triangles, v, look.soft, start, items, -1, pixel, x, y, _SHADOW_BIAS_M)
    opened = _openness(bodies, nodes, look, near_start, near_items, -1, x, y, 0.0, 0.0, 0.0, 1.0, True)
    return _lit(v, look, v.lz, lit, 1.0, opened)


@called
def _borders(n: int, ids: NDArray[np.int32], image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return [H, W] where a neighbour of a pixel shows another body, or another brightness of the same one."""
    height, width = ids.shape
    out = np.zeros((height, width), np.bool_)
    for y in range(height):
        for x in range(width):
            own = ids[y, x]
            for k in range(2):
                i, j = y + (k == 0), x + (k == 1)
                if i == height or j == width:
                    continue
                other = ids[i, j]
                if not (0 <= own < n or 0 <= other < n):
                    continue
                step = np.float32(0)
                for c in range(3):
                    step += image[i, j, c] - image[y, x, c]
                if own != other or abs(step) > 3 * _STEP:
                    out[y, x], out[i, j] = True, True
    return out


@compiled
def wall_depth(view: Table, looks: Table, ids: NDArray[np.int16], depth: NDArray[np.float32]) -> None:
    """Lower depth [H, W], metres, to the walls where no body is seen."""
    height, width = ids.shape
    v, look = view[0], looks[0]
    dx, dy, dz, floor = np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    for y in range(height):
        _rays(v, y, dx, dy, dz, floor)
        for x in range(width):
            if ids[y, x] < 0:
                far = _wall_distance(v, look, dx[x], dy[x])
                if far < floor[x]:
                    depth[y, x] = far * (dx[x] * v.r20 + dy[x] * v.r21 + dz[x] * v.r22)
