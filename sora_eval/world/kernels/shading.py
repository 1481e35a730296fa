"""The shader of looks: materials, surroundings and gloss in the light that is left. Compiled, on the tables and rays of `raycast`."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Floats
from sora_eval.world.kernels.bvh import Row, Table, called, compiled, inlined
from sora_eval.world.kernels.culling import TILE
from sora_eval.world.kernels.intersection import GLOSSY, MESH, nearest
from sora_eval.world.kernels.materials import COVE, SKY, sky, smooth, surface
from sora_eval.world.kernels.occlusion import darkened, light, open_look, openness
from sora_eval.world.kernels.raycast import FAR_M, SHADOW_BIAS_M, floor_tone, point_on, ray_at, rays_of

__all__ = ["backdrop", "open_look", "paint_look", "wall_depth"]

_Ints = NDArray[np.int64]
_WALL = -2
"""What a ray sees that meets a wall."""
_STEP = 9.0
"""Grey levels between neighbours on one body above which a pixel gets all its rays: an edge or a pattern, no shading of a curve."""


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
    px, py, pz, nx, ny, nz, shade = point_on(b, triangles, v, dist, triangle, dx, dy, dz)
    # The rim of a lamp with a radius is seen a little beyond the terminator.
    facing = max((nx * v.lx + ny * v.ly + nz * v.lz + 0.5 * look.soft) / (1 + 0.5 * look.soft), 0.0)
    m, lit = SHADOW_BIAS_M, 0.0
    own = seen if b.kind != MESH else -1
    if facing > 0:
        lit = light(
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
    opened = openness(bodies, nodes, look, near_start, near_items, seen, px, py, pz, nx, ny, nz, False)
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


@called
def first_of(
    bodies: Table, nodes: Table, triangles: Table, items: _Ints, start: int, stop: int, behind: float,
    dx: float, dy: float, dz: float,
) -> tuple[int, float, int]:  # fmt: skip
    """Return what `nearest` does. Called, not inlined as in the plain world: it takes seconds to compile."""
    return nearest(bodies, nodes, triangles, items, start, stop, behind, dx, dy, dz)


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
    # far stays 0 where there is no sky and no mirror: a floor adds 0 times it, and 0 times what memory happens to hold may be NaN.
    tone, mixed, far = np.empty(width), np.empty(width), np.zeros((width, 3))
    for row in range(height):
        rays_of(v, row, dx, dy, dz, floor)
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
    return float(look.pixel * dist * (1 + look.spot * abs(1 - look.focus_m / max(dist, 0.1))))


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
    plain, m = floor_tone(v, dist, px, py), look.mix
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
    # The plain floor melts into the backdrop.
    fade = m * fade + (1 - m) * min(max((dist - 14) / 26, 0.0), 1.0)
    kept = dim * (1 - graze) * (1 - fade)
    factor[0] = kept * (plain * v.floor_r * (1 - m) + m * tone * (look.f0r + mixed * (look.f1r - look.f0r)))
    factor[1] = kept * (plain * v.floor_g * (1 - m) + m * tone * (look.f0g + mixed * (look.f1g - look.f0g)))
    factor[2] = kept * (plain * v.floor_b * (1 - m) + m * tone * (look.f0b + mixed * (look.f1b - look.f0b)))
    sr, sg, sb = look.hr, look.hg, look.hb
    if look.wall == 0:
        sr, sg, sb = mirrored[0], mirrored[1], mirrored[2]
    graze *= 1 - fade
    level = (1 - m) * (0.98 - 0.12 * max(1.6 * dz, -0.2))
    added[0] = graze * sr + fade * (m * look.dr + level * v.sky_r)
    added[1] = graze * sg + fade * (m * look.dg + level * v.sky_g)
    added[2] = graze * sb + fade * (m * look.db + level * v.sky_b)


@compiled
def paint_look(
    bodies: Table, nodes: Table, triangles: Table, view: Table, looks: Table, start: _Ints, items: _Ints,
    lit_start: _Ints, lit_items: _Ints, near_start: _Ints, near_items: _Ints,
    factor: NDArray[np.float32], added: NDArray[np.float32], side: int, image: NDArray[np.float32],
    seen_ids: NDArray[np.int32], seen_dist: NDArray[np.float32],
) -> None:  # fmt: skip
    """Fill image [H, W, 3] in a look; seen_ids, seen_dist [H, W]: the body in the middle of each pixel, N for none, and its distance, m.

    start, items: bodies by tile; lit_*, near_*: of `open_look`; factor, added: of `backdrop`; side: rays along a pixel at borders.
    """
    height, width, _ = image.shape
    columns, v, look, n = (width + TILE - 1) // TILE, view[0], looks[0], len(bodies)
    look.pixel = 1 / v.fx
    ids = np.empty((height, width), np.int32)
    dx, dy, dz, floor = np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    lights = np.empty((width, 3), np.float32)
    fr, fg, fb = _lit(v, look, v.lz, 1.0, 1.0, 1.0)
    # Lamps light the walls of a room as well as what stands before them, whatever the direction of the strongest one.
    wr, wg, wb = _lit(v, look, 0.75, 1.0, 0.6, 1.0)
    # Where the lamp is all the light there is, what is far away is dark without it.
    glow = np.float32(1.0 if look.sky == SKY else 1 - 0.65 * look.mix * (1 - v.power))
    for y in range(height):
        rays_of(v, y, dx, dy, dz, floor)
        for x in range(width):
            floor[x] = -1.0 if _wall_distance(v, look, dx[x], dy[x]) < floor[x] else floor[x]
            lights[x, 0], lights[x, 1], lights[x, 2] = (fr, fg, fb) if floor[x] >= 0 else (wr, wg, wb)
            ids[y, x] = _WALL if floor[x] < 0 else n if floor[x] < inf else -1
            seen_ids[y, x], seen_dist[y, x] = n, floor[x] if floor[x] >= 0 else _wall_distance(v, look, dx[x], dy[x])
            if 0 <= floor[x] < FAR_M and darkened(
                v, look, lit_start, near_start, v.x + floor[x] * dx[x], v.y + floor[x] * dy[x]
            ):
                lights[x, 0], lights[x, 1], lights[x, 2] = _floor_light(
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
                image[y, x, j] = min(factor[y, x, j] * lights[x, j] + glow * added[y, x, j], np.float32(255))
        for x in range(width):
            tile = y // TILE * columns + x // TILE
            if start[tile] == start[tile + 1]:
                continue
            seen, dist, triangle = first_of(
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
            tile, red, green, blue = y // TILE * columns + x // TILE, 0.0, 0.0, 0.0
            for k in range(many):
                ex, ey, ez, far = ray_at(v, x + (k % side + 0.5) / side - 0.5, y + (k // side + 0.5) / side - 0.5)
                wall = _wall_distance(v, look, ex, ey)
                seen, dist, triangle = first_of(
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
                        and far < FAR_M
                        and darkened(v, look, lit_start, near_start, v.x + far * ex, v.y + far * ey)
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


@called
def _floor_light(
    bodies: Table, nodes: Table, triangles: Table, v: Row, look: Row, start: _Ints, items: _Ints, near_start: _Ints,
    near_items: _Ints, dist: float, dx: float, dy: float,
) -> tuple[float, float, float]:  # fmt: skip
    """Return the light on the floor where a ray meets it."""
    x, y = v.x + dist * dx, v.y + dist * dy
    pixel = 0.7 * look.pixel * dist
    lit = light(bodies, nodes, triangles, v, look.soft, start, items, -1, pixel, x, y, SHADOW_BIAS_M)
    opened = openness(bodies, nodes, look, near_start, near_items, -1, x, y, 0.0, 0.0, 0.0, 1.0, True)
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
        rays_of(v, y, dx, dy, dz, floor)
        for x in range(width):
            if ids[y, x] < 0:
                far = _wall_distance(v, look, dx[x], dy[x])
                if far < floor[x]:
                    depth[y, x] = far * (dx[x] * v.r20 + dy[x] * v.r21 + dz[x] * v.r22)
