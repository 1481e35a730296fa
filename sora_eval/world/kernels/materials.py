"""Procedural materials and skies: compiled functions of a place or a direction, without images and without libraries' functions.

Noise comes from hashes of whole numbers. Loops over a row have no branches, so that a processor takes several pixels at once: the same
operations in the same order, so the same numbers. Every pattern takes the size of a pixel there and fades what is finer into its mean, so
that one ray per pixel shows no moire and nothing swims when the camera moves.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from sora_eval.types import Floats
from sora_eval.world.kernels.bvh import Row, called, fields, inlined

WOOD, CONCRETE, GRAVEL, GRASS, BRICK, FABRIC, PLASTER, PAPER, WATER = range(1, 10)
COVE, SKY = range(2)

LOOK = fields(
    "mix soft ambient_shade gloss mirror  f0r f0g f0b f1r f1g f1b  w0r w0g w0b w1r w1g w1b  zr zg zb  hr hg hb  dr dg db"
    " sun_r sun_g sun_b  fill_r fill_g fill_b  lamp fill  wall_x wall_y0 wall_y1  haze_m  cloud  flip  pixel aperture spot focus_m"
    " grid_x grid_y grid_xd grid_yd",
    "floor wall sky seed",
)
"""A look for the kernels. mix: share of the materials against the plain floor and backdrop; soft: tangent of the lamp's radius;
ambient_shade, gloss, mirror: strengths; f, w: two colours of floor and walls, 0..255; z, h, d: colours of the sky at its top, of the
horizon, and of the floor far away; sun, fill: factors on the colours of the lamp's and the ambient light; lamp, fill: on their strength;
wall: where the walls stand, m (wall = 0: there are none); haze_m: scale of the haze; flip: -1 for a mirrored look; pixel: size of a pixel
at distance 1; aperture: blur of what is infinitely far away, radius as a share of the frame's shorter side; spot: its diameter in pixels;
focus_m: the sharp distance; grid: where the cells of the floor begin, m, and cells per metre."""
_Whole = Any
"""NumPy's whole numbers of 32 bits, which are no `int` to mypy."""


@inlined
def _hash(i: _Whole, j: _Whole, seed: int) -> _Whole:
    """Return a number in [0, 1) for a point of the lattice, by arithmetic of 32 bits that wraps around."""
    h = np.uint32(np.uint32(i) * np.uint32(374761393))
    h = np.uint32(h + np.uint32(np.uint32(j) * np.uint32(668265263)))
    h = np.uint32(h + np.uint32(np.uint32(seed) * np.uint32(974634541)))
    h = np.uint32((h ^ (h >> np.uint32(15))) * np.uint32(2246822519))
    h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(3266489917))
    h = np.uint32(h ^ (h >> np.uint32(16)))
    return float(np.float64(np.int32(h >> np.uint32(8))) * (1.0 / 16777216.0))


@inlined
def _noise(x: float, y: float, seed: int) -> float:
    """Return smooth noise in [-0.5, 0.5) with features of size 1."""
    i, j = np.floor(x), np.floor(y)
    u, v = x - i, y - j
    u, v = u * u * u * (u * (u * 6 - 15) + 10), v * v * v * (v * (v * 6 - 15) + 10)
    a, b = np.int32(i), np.int32(j)
    c, d = np.int32(i + 1), np.int32(j + 1)
    p, q = _hash(a, b, seed), _hash(a, d, seed)
    p, q = p + u * (_hash(c, b, seed) - p), q + u * (_hash(c, d, seed) - q)
    return float(p + v * (q - p) - 0.5)


@inlined
def _kept(size: float, pixel: float) -> float:
    """Return how much of a pattern with features of a size is to be shown where a pixel has another: 0 where it would alias."""
    return min(max(1.5 - 1.5 * pixel / size, 0.0), 1.0)


@inlined
def _grain(x: float, y: float, wide: float, long: float, ax: float, ay: float, seed: int) -> float:
    """Return noise around 0, of features `wide` along x and `long` along y, faded by the size of a pixel (ax, ay)."""
    return _kept(wide, ax) * _kept(long, ay) * _noise(x / wide, y / long, seed)


@inlined
def _line(d: float, half: float, pixel: float) -> float:
    """Return how much of a pixel, d from the middle of a line of half width `half`, lies on it."""
    return min(max((half + 0.5 * pixel - d) / pixel, 0.0), min(1.0, 2 * half / pixel))


@inlined
def smooth(low: float, high: float, x: float) -> float:
    """Return 0 below `low`, 1 above `high`, and a smooth step in between."""
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3 - 2 * t)


@inlined
def _clip(x: float) -> float:
    return min(max(x, 0.0), 1.0)


@inlined
def _wood(x: float, y: float, ax: float, ay: float, seed: int) -> tuple[float, float]:
    """Return (brightness, share of the second colour) of boards along y."""
    wide, long = 0.30, 2.6
    i = np.floor(x / wide)
    shifted = y / long + _hash(np.int32(i), np.int32(7), seed)
    j = np.floor(shifted)
    own = _hash(np.int32(i), np.int32(j), seed + 1)
    board = _kept(wide, 0.5 * ax)
    across, along = x - i * wide, (shifted - j) * long
    gap = _line(min(across, wide - across), 0.006, ax)
    gap = max(gap, _line(min(along, long - along), 0.006, ay))
    off = 31 * own
    rings = _grain(x + off, y + off + 0.05 * own, 0.055, 1.1, ax, ay, seed + 2)
    fine = _grain(x + off, y, 0.012, 0.35, ax, ay, seed + 3)
    knots = _grain(x + off, y + off, 0.16, 0.9, ax, ay, seed + 4)
    tone = 1 + board * 0.22 * (own - 0.5) + 0.30 * rings + 0.16 * fine
    return tone * (1 - 0.5 * gap), _clip(0.5 + board * 0.7 * (own - 0.5) + 1.1 * knots + 0.5 * rings)


@inlined
def _concrete(x: float, y: float, ax: float, ay: float, seed: int) -> tuple[float, float]:
    a = max(ax, ay)
    patches = _grain(x, y, 1.7, 1.7, a, a, seed) + 0.6 * _grain(x, y, 0.55, 0.55, a, a, seed + 1)
    fine = _grain(x, y, 0.12, 0.12, a, a, seed + 2) + _grain(x, y, 0.025, 0.025, a, a, seed + 3)
    side = 2.5
    dx, dy = abs(x / side - np.floor(x / side + 0.5)) * side, abs(y / side - np.floor(y / side) - 0.5) * side
    joint = max(_line(dx, 0.012, ax), _line(dy, 0.012, ay))
    return (1 + 0.14 * patches + 0.14 * fine) * (1 - 0.35 * joint), _clip(0.5 + 0.9 * patches)


@inlined
def _gravel(x: float, y: float, ax: float, ay: float, seed: int) -> tuple[float, float]:
    """Return (brightness, share of the second colour) of pebbles: cells around jittered points."""
    size, a = 0.075, max(ax, ay)
    patches = _grain(x, y, 1.4, 1.4, a, a, seed + 5) + 0.8 * _grain(x, y, 0.4, 0.4, a, a, seed + 6)
    kept = _kept(size, a)
    u, v = x / size, y / size
    i, j = np.floor(u), np.floor(v)
    first, second, own = 9.0, 9.0, 0.0
    for k in range(9):
        p, q = i + (k % 3 - 1), j + (k // 3 - 1)
        h = _hash(np.int32(p), np.int32(q), seed)
        # One hash gives both coordinates of the point, and the stone's tone.
        w = 64 * h - np.floor(64 * h)
        du, dv = p + 0.15 + 0.7 * h - u, q + 0.15 + 0.7 * w - v
        far = du * du + dv * dv
        second = min(max(first, far), second)
        own = 4096 * h - np.floor(4096 * h) if far < first else own
        first = min(first, far)
    between = sqrt(second) - sqrt(first)
    stone = (0.66 + 0.34 * smooth(0.0, 0.22, between)) * (0.76 + 0.48 * own) * (1.12 - 0.30 * first)
    return 0.93 + 0.16 * patches + kept * (stone - 0.93), 0.5 + 0.5 * patches + kept * 0.7 * (own - 0.5)


@inlined
def _grass(x: float, y: float, ax: float, ay: float, seed: int) -> tuple[float, float]:
    a = max(ax, ay)
    patches = _grain(x, y, 2.3, 2.3, a, a, seed) + 0.7 * _grain(x, y, 0.6, 0.6, a, a, seed + 1)
    tufts = _grain(x + 0.4 * y, y - 0.3 * x, 0.22, 0.18, a, a, seed + 2) + 0.6 * _grain(
        x, y, 0.09, 0.07, a, a, seed + 5
    )
    blades = _grain(x + 0.12 * y, y, 0.016, 0.08, ax, ay, seed + 3) + _grain(
        x - 0.2 * y, y, 0.022, 0.09, ax, ay, seed + 4
    )
    return 1 + 0.25 * patches + 0.40 * tufts + 0.50 * blades, _clip(0.5 + patches + 0.4 * tufts + 0.6 * blades)


@inlined
def _brick(x: float, y: float, ax: float, ay: float, seed: int) -> tuple[float, float]:
    wide, tall = 0.46, 0.16
    j = np.floor(y / tall)
    shifted = x / wide + 0.5 * (j - 2 * np.floor(0.5 * j))
    i = np.floor(shifted)
    own = _hash(np.int32(i), np.int32(j), seed)
    across, up = (shifted - i) * wide, y - j * tall
    mortar = max(_line(min(across, wide - across), 0.010, ax), _line(min(up, tall - up), 0.010, ay))
    a = max(ax, ay)
    rough = _grain(x, y, 0.03, 0.03, a, a, seed + 1) + _grain(x, y, 0.9, 0.9, a, a, seed + 2)
    kept = _kept(tall, 0.5 * a)
    # Mortar is paler than the bricks and greyer: the second colour is its own.
    tone = (1 + kept * 0.28 * (own - 0.5)) * (1 + 0.16 * rough)
    return tone, mortar


@inlined
def _fabric(x: float, y: float, ax: float, ay: float, seed: int) -> tuple[float, float]:
    a = max(ax, ay)
    size = 0.05
    u, v = x / size, y / size
    half = 0.5 * (np.floor(u) + np.floor(v))
    over = half != np.floor(half)
    u, v = abs(u - np.floor(u) - 0.5), abs(v - np.floor(v) - 0.5)
    thread = 1 - 2.2 * (u * u if over else v * v)
    kept = _kept(size, a)
    worn = _grain(x, y, 1.3, 1.3, a, a, seed) + _grain(x, y, 0.02, 0.02, a, a, seed + 1)
    return 0.95 + kept * 0.35 * (thread - 0.82) + 0.10 * worn, _clip(0.5 + 0.8 * worn + kept * (0.3 if over else -0.3))


@inlined
def _plaster(x: float, y: float, ax: float, ay: float, seed: int) -> tuple[float, float]:
    a = max(ax, ay)
    rough = _grain(x, y, 0.05, 0.05, a, a, seed) + 0.4 * _grain(x, y, 0.9, 0.9, a, a, seed + 1)
    return 1 + 0.05 * rough, 0.0


@inlined
def _water(x: float, y: float, ax: float, ay: float, seed: int) -> tuple[float, float]:
    a = max(ax, ay)
    waves = _grain(x, y, 0.9, 0.35, a, a, seed) + 0.5 * _grain(x, y, 0.3, 0.12, a, a, seed + 1)
    return 1 + 0.10 * waves, _clip(0.5 + 0.8 * waves)


@called
def surface(kind: int, x: Floats, y: Floats, ax: Floats, ay: Floats, seed: int, tone: Floats, mixed: Floats) -> None:
    """Fill tone [W], brightness around 1, and mixed [W], the share of the second colour, of a material along a row of pixels.

    x, y [W]: places, m; ax, ay [W]: the pixels' extents along x and y, m.
    """
    if kind == WOOD:
        for k in range(len(x)):
            tone[k], mixed[k] = _wood(x[k], y[k], ax[k], ay[k], seed)
    elif kind == CONCRETE:
        for k in range(len(x)):
            tone[k], mixed[k] = _concrete(x[k], y[k], ax[k], ay[k], seed)
    elif kind == GRAVEL:
        for k in range(len(x)):
            tone[k], mixed[k] = _gravel(x[k], y[k], ax[k], ay[k], seed)
    elif kind == GRASS:
        for k in range(len(x)):
            tone[k], mixed[k] = _grass(x[k], y[k], ax[k], ay[k], seed)
    elif kind == BRICK:
        for k in range(len(x)):
            tone[k], mixed[k] = _brick(x[k], y[k], ax[k], ay[k], seed)
    elif kind == FABRIC:
        for k in range(len(x)):
            tone[k], mixed[k] = _fabric(x[k], y[k], ax[k], ay[k], seed)
    elif kind == PLASTER:
        for k in range(len(x)):
            tone[k], mixed[k] = _plaster(x[k], y[k], ax[k], ay[k], seed)
    elif kind == WATER:
        for k in range(len(x)):
            tone[k], mixed[k] = _water(x[k], y[k], ax[k], ay[k], seed)
    else:
        for k in range(len(x)):
            tone[k], mixed[k] = 1.0, 0.0


@inlined
def _sky(look: Row, dx: float, dy: float, dz: float) -> tuple[float, float, float]:
    up = 1.3 - 1.3 / (1 + 3.2 * max(dz, 0.0))
    r, g, b = look.hr + up * (look.zr - look.hr), look.hg + up * (look.zg - look.hg), look.hb + up * (look.zb - look.hb)
    near = 1 / (max(dz, 0.0) + 0.22)
    u, v, fine = look.flip * dx * near, dy * near, look.pixel * (1 + look.spot) * near * near
    p, q = 0.8 * u - 0.6 * v, 0.6 * u + 0.8 * v
    seed = look.seed
    field = 0.5 + _noise(1.1 * u, 1.1 * v, seed + 20) + 0.7 * _grain(p, q, 0.42, 0.42, fine, fine, seed + 21)
    field += 0.4 * _grain(u, v, 0.19, 0.19, fine, fine, seed + 22) + 0.24 * _grain(
        p, q, 0.08, 0.08, fine, fine, seed + 23
    )
    field += 0.12 * _grain(u, v, 0.035, 0.035, fine, fine, seed + 28)
    white = look.cloud * smooth(0.48, 0.90, field) * smooth(0.02, 0.14, dz)
    under = 252.0 - 24.0 * smooth(0.75, 1.1, field)
    return r + white * (under - r), g + white * (under - g), b + white * (under + 2 - b)


@inlined
def _hills(look: Row, dx: float, dy: float, dz: float, r: float, g: float, b: float) -> tuple[float, float, float]:
    """Put two ranges of hills, the farther one paler, before a colour of the sky, and the floor's haze at the horizon itself."""
    flat = 1 / (sqrt(dx * dx + dy * dy) + 1e-9)
    u, v, slope = look.flip * dx * flat, dy * flat, dz * flat
    for k in range(2):
        rough = 0.675 + _noise(2.2 * u + 9 * k, 2.2 * v, look.seed + 24 + k)
        rough += 0.35 * _noise(9 * u, 9 * v, look.seed + 26 + k)
        top = (0.075 if k == 0 else 0.025) * rough - (0.012 if k == 0 else 0.004)
        soft = 0.7 * look.pixel * (1 + look.spot)
        there = smooth(-soft, soft, top - slope)
        pale = 0.72 if k == 0 else 0.45
        r += there * (84 + pale * (look.hr - 84) - r)
        g += there * (104 + pale * (look.hg - 104) - g)
        b += there * (92 + pale * (look.hb - 92) - b)
    low = smooth(0.010, 0.0, slope)
    return r + low * (look.dr - r), g + low * (look.dg - g), b + low * (look.db - b)


@called
def sky(look: Row, dx: Floats, dy: Floats, dz: Floats, out: Floats) -> None:
    """Fill out [W, 3] with the colour, 0..255, of what is infinitely far away in directions [W]: a studio's cove, or hills, sky, clouds."""
    if look.sky == COVE:
        for k in range(len(dx)):
            up = smooth(-0.1, 0.75, dz[k])
            out[k, 0], out[k, 1] = look.hr + up * (look.zr - look.hr), look.hg + up * (look.zg - look.hg)
            out[k, 2] = look.hb + up * (look.zb - look.hb)
        return
    lowest = 1.0
    for k in range(len(dx)):
        lowest = min(lowest, abs(dz[k]))
        out[k, 0], out[k, 1], out[k, 2] = _sky(look, dx[k], dy[k], dz[k])
    # Hills rise to a ninth of their distance.
    if lowest < 0.12:
        for k in range(len(dx)):
            out[k, 0], out[k, 1], out[k, 2] = _hills(look, dx[k], dy[k], dz[k], out[k, 0], out[k, 1], out[k, 2])
