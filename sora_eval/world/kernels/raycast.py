"""The compiled ray caster and the plain look's shader: Numba kernels over tables. `render` imports it at the first picture.

The same bytes on every processor: no fast-math, so that nothing is reordered and no product and sum are fused; of the functions
that libraries compute differently none but the square root, which IEEE 754 rounds exactly. One thread.

Rays come from two points, the eye and the lamp, so each body keeps both in its own frame. What a ray can meet is looked up
(`culling`); where the list is empty there is only floor.
"""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Bools, Floats
from sora_eval.world.kernels.bvh import Row, Table, compiled, fields, inlined
from sora_eval.world.kernels.culling import CELLS, TILE
from sora_eval.world.kernels.intersection import (
    DOTTED,
    GLOSSY,
    MESH,
    PLAIN,
    STRIPED,
    TILED,
    meet,
    nearest,
    normal_at,
    turned,
)

_Ints = NDArray[np.int64]
SHADOW_BIAS_M = 0.01
FAR_M = 60.0
"""The floor ends here; behind it is the backdrop."""
_EDGE = 3.0
"""Grey levels between neighbours above which a pixel gets all its rays."""
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
    if not (0 <= across < CELLS and 0 <= down < CELLS):
        return True
    cell = int(down) * CELLS + int(across)
    if start[cell] == start[cell + 1]:
        return True
    limit = 1 - SHADOW_BIAS_M / sqrt(x * x + y * y + z * z)
    for k in range(start[cell], start[cell + 1]):
        b = bodies[items[k]]
        # Most blocks near a point lie lower, and the light comes from above.
        if items[k] == own or (b.top < v.oz + z and z < 0):
            continue
        t, _ = meet(b, nodes, triangles, limit, True, b.lx, b.ly, b.lz, x, y, z)
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
def floor_tone(v: Row, dist: float, px: float, py: float) -> float:
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
def point_on(
    b: Row, triangles: Table, v: Row, dist: float, triangle: int, dx: float, dy: float, dz: float
) -> tuple[float, float, float, float, float, float, float]:
    """Return where a ray from the eye meets a body: the point, the unit normal towards the eye, and the brightness of its pattern."""
    px, py, pz = v.x + dist * dx, v.y + dist * dy, v.z + dist * dz
    x, y, z = turned(b, px - b.px, py - b.py, pz - b.pz)
    nx, ny, nz = normal_at(b, triangles, triangle, x, y, z)
    if nx * dx + ny * dy + nz * dz > 0:
        nx, ny, nz = -nx, -ny, -nz
    shade = 1.0
    if b.texture == TILED:
        # A little inside the cell that a face belongs to: faces lie on whole metres.
        shade = _pattern(TILED, px - 0.01, py - 0.01, pz - 0.01)
    elif b.texture != PLAIN:
        shade = _pattern(b.texture, x / (b.wx * b.sx), y / (b.wy * b.sy), (z + b.rise) / (b.wz * b.sz))
    return px, py, pz, nx, ny, nz, shade


@inlined
def _body_colour(
    bodies: Table, nodes: Table, triangles: Table, v: Row, start: _Ints, items: _Ints,
    seen: int, dist: float, triangle: int, dx: float, dy: float, dz: float,
) -> tuple[float, float, float]:  # fmt: skip
    """Return the colour of a body where a ray from the eye meets it. start, items: bodies by cell of the lamp's window."""
    b = bodies[seen]
    px, py, pz, nx, ny, nz, shade = point_on(b, triangles, v, dist, triangle, dx, dy, dz)
    facing = nx * v.lx + ny * v.ly + nz * v.lz
    m = SHADOW_BIAS_M
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
        seen, dist, which = nearest(bodies, nodes, triangles, items, first, last, ray.floor, ray.dx, ray.dy, ray.dz)
        ray.seen = seen
        if 0 <= seen < len(bodies):
            ray.red, ray.green, ray.blue = _body_colour(
                bodies, nodes, triangles, v, lit_start, lit_items, seen, dist, which, ray.dx, ray.dy, ray.dz
            )
            continue
        lit, tone = True, 1.0
        if dist < FAR_M:
            px, py = v.x + dist * ray.dx, v.y + dist * ray.dy
            tone = floor_tone(v, dist, px, py)
            lit = _in_light(bodies, nodes, triangles, v, lit_start, lit_items, -1, px, py, SHADOW_BIAS_M)
        ray.red, ray.green, ray.blue = _floor_colour(v, dist, ray.dz, tone, lit)
        if not lit:
            ray.seen += 1


@compiled
def rays_of(v: Row, y: float, dx: Floats, dy: Floats, dz: Floats, dist: Floats) -> None:
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
        dist = min(floor[x], FAR_M)
        # A tile is centred on x = 0, so that a mirrored scene has a mirrored floor.
        half = 0.5 * (np.floor((x0 + dist * dx[x]) / size + 0.5) + np.floor((y0 + dist * dy[x]) / size))
        contrast = 0.10 * min(max(1 - (dist - 6) / 14, 0.0), 1.0)
        tone[x] = 1 + contrast if half != np.floor(half) else 1 - contrast


@compiled
def _cells(v: Row, dx: Floats, dy: Floats, floor: Floats, cell: NDArray[np.int32]) -> None:
    """Fill cell [W]: of the lamp's window, -1 outside, where a row of rays meets the floor."""
    x0, y0, z0 = v.x - v.ox, v.y - v.oy, SHADOW_BIAS_M - v.oz
    lx, ly, lz, ax, ay, az, bx, by, bz = v.lx, v.ly, v.lz, v.ax, v.ay, v.az, v.bx, v.by, v.bz
    u0, ud, v0, vd = v.u0, v.ud, v.v0, v.vd
    for k in range(len(cell)):
        dist = min(floor[k], FAR_M)
        x, y = x0 + dist * dx[k], y0 + dist * dy[k]
        ahead = -(x * lx + y * ly + z0 * lz)
        near = 1 / ahead
        across, down = ((x * ax + y * ay + z0 * az) * near - u0) * ud, ((x * bx + y * by + z0 * bz) * near - v0) * vd
        inside = (ahead > 0) & (across >= 0) & (across < CELLS) & (down >= 0) & (down < CELLS) & (floor[k] < FAR_M)
        across, down = across if inside else 0.0, down if inside else 0.0
        number = np.int32(down) * np.int32(CELLS) + np.int32(across)
        cell[k] = number if inside else np.int32(-1)


@inlined
def ray_at(v: Row, x: float, y: float) -> tuple[float, float, float, float]:
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
    columns, v = (width + TILE - 1) // TILE, view[0]
    dx, dy, dz, floor = np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    for y in range(height):
        rays_of(v, y, dx, dy, dz, floor)
        for x in range(width):
            tile = y // TILE * columns + x // TILE
            seen, dist, _ = nearest(
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
    columns, v = (width + TILE - 1) // TILE, view[0]
    for y in range(height):
        for x in range(width):
            tile = y // TILE * columns + x // TILE
            if start[tile] == start[tile + 1]:
                continue
            dx, dy, dz, _ = ray_at(v, x, y)
            for k in range(start[tile], start[tile + 1]):
                b = bodies[items[k]]
                t, _ = meet(b, nodes, triangles, inf, True, b.ex, b.ey, b.ez, dx, dy, dz)
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
        b.ex, b.ey, b.ez = turned(b, origin[0] - b.px, origin[1] - b.py, origin[2] - b.pz)
        shown[count] = i
        count += b.shown
    for r in range(len(directions)):
        dx, dy, dz = directions[r, 0], directions[r, 1], directions[r, 2]
        floor = -origin[2] / dz if dz < 0 and origin[2] >= 0 else inf
        seen, t, _ = nearest(bodies, nodes, triangles, shown, 0, count, floor, dx, dy, dz)
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
    columns, n, v = (width + TILE - 1) // TILE, len(bodies), view[0]
    ids, grey = np.empty((height, width), np.int32), np.empty((height, width), np.float32)
    dx, dy, dz, floor, tone = np.empty(width), np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    cell, rays, third = np.empty(width, np.int32), np.empty(width * side * side, RAY), np.float32(3)
    for y in range(height):
        rays_of(v, y, dx, dy, dz, floor)
        _tones(v, dx, dy, floor, tone)
        _cells(v, dx, dy, floor, cell)
        count = 0
        for x in range(width):
            tile, c = y // TILE * columns + x // TILE, cell[x]
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
                ax, ay, az, dist = ray_at(v, x + (k % side + 0.5) / side - 0.5, y + (k // side + 0.5) / side - 0.5)
                if plain:
                    near = min(dist, FAR_M)
                    shade = floor_tone(v, near, v.x + near * ax, v.y + near * ay)
                    r, g, b = _floor_colour(v, dist, az, shade, ids[y, x] == n)
                    red, green, blue = red + r, green + g, blue + b
                else:
                    ray = rays[count]
                    ray.dx, ray.dy, ray.dz, ray.floor, ray.x = ax, ay, az, dist, x
                    ray.tile = y // TILE * columns + x // TILE
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
    columns, v = (width + TILE - 1) // TILE, view[0]
    dx, dy, dz, floor = np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    for y in range(height):
        row = y // TILE * columns
        if start[row] == start[row + columns]:
            ids[y] = -1
            continue
        rays_of(v, y, dx, dy, dz, floor)
        for x in range(width):
            first, last, seen = start[row + x // TILE], start[row + x // TILE + 1], -1
            if first < last:
                seen, _, _ = nearest(bodies, nodes, triangles, items, first, last, floor[x], dx[x], dy[x], dz[x])
            ids[y, x] = seen if seen < len(bodies) else -1
