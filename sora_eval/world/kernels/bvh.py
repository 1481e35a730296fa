"""What the compiled kernels share, and bounding volume hierarchies of triangles: tables with named columns, how they are compiled.

Numba notices a change of a cached kernel's own file only, and its cache is looked up by the kernel's name: so each bears a hash of all
the files that kernels stand in, and may call those of another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

_F = TypeVar("_F", bound=Callable[..., Any])
# Rows of the tables below: NumPy's structured scalars, which mypy knows nothing about.
Row = Any
Table = NDArray[np.void]

_LEAF = 4
_KERNELS = ("bvh", "intersection", "culling", "raycast", "materials", "occlusion", "shading", "lens")
"""The files that kernels stand in."""
_SOURCES = hashlib.sha256(b"".join(Path(__file__).with_name(f"{n}.py").read_bytes() for n in _KERNELS)).hexdigest()[:12]


def fields(numbers: str, whole: str = "") -> np.dtype[np.void]:
    """Return a type of tables: columns of floats and of whole numbers, by name."""
    return np.dtype([(n, np.float64) for n in numbers.split()] + [(n, np.int64) for n in whole.split()])


NODE = fields("x0 y0 z0 x1 y1 z1", "first count skip")
"""A node of a mesh's tree: its box, the triangles of a leaf (count 0 for others), and the node after its subtree."""
TRIANGLE = fields("x y z  ax ay az  bx by bz  nx ny nz")
"""A corner, the two edges from it, and the unit normal."""


def compiled(function: _F) -> _F:
    """Compile a kernel and cache it beside this file, in the user's cache folder, or, where neither can be written, not at all."""
    function.__qualname__ += f"_{_SOURCES}"
    try:
        return cast(_F, numba.njit(cache=True, error_model="numpy")(function))
    except RuntimeError:
        return cast(_F, numba.njit(error_model="numpy")(function))


def inlined(function: _F) -> _F:
    """Compile a part of a kernel into those that call it: a call passes seven numbers for every table."""
    return cast(_F, numba.njit(error_model="numpy", forceinline=True)(function))


def called(function: _F) -> _F:
    """Compile a part of kernels that call it, and cache it with them."""
    return cast(_F, numba.njit(error_model="numpy")(function))


@compiled
def tree(triangles: Table) -> tuple[NDArray[np.int64], Table]:
    """Return a bounding volume hierarchy: the order [F] of the triangles and the nodes [M].

    Split at the middle of the longest side; nodes stand in the order in which a ray that misses nothing visits them.
    """
    n = len(triangles)
    low, high = np.empty((n, 3)), np.empty((n, 3))
    for f in range(n):
        c = triangles[f]
        low[f, 0], high[f, 0] = c.x + min(0.0, c.ax, c.bx), c.x + max(0.0, c.ax, c.bx)
        low[f, 1], high[f, 1] = c.y + min(0.0, c.ay, c.by), c.y + max(0.0, c.ay, c.by)
        low[f, 2], high[f, 2] = c.z + min(0.0, c.az, c.bz), c.z + max(0.0, c.az, c.bz)
    order, nodes = np.arange(n), np.empty(2 * n, NODE)
    box, middle = np.empty((3, 4)), 0.0
    todo, depth, count = np.empty((2 * n + 2, 2), np.int64), 1, 0
    todo[0, 0], todo[0, 1] = 0, n
    while depth > 0:
        depth -= 1
        a, b = todo[depth, 0], todo[depth, 1]
        axis, widest = 0, -1.0
        for j in range(3):
            box[j, 0], box[j, 1], box[j, 2], box[j, 3] = inf, -inf, inf, -inf
            for k in range(a, b):
                f = order[k]
                box[j, 0], box[j, 1] = min(box[j, 0], low[f, j]), max(box[j, 1], high[f, j])
                centre = low[f, j] + high[f, j]
                box[j, 2], box[j, 3] = min(box[j, 2], centre), max(box[j, 3], centre)
            if box[j, 3] - box[j, 2] > widest:
                axis, widest, middle = j, box[j, 3] - box[j, 2], 0.5 * (box[j, 2] + box[j, 3])
        node = nodes[count]
        # Rounding of rays stays within the margin.
        node.x0, node.y0, node.z0 = box[0, 0] - 1e-9, box[1, 0] - 1e-9, box[2, 0] - 1e-9
        node.x1, node.y1, node.z1 = box[0, 1] + 1e-9, box[1, 1] + 1e-9, box[2, 1] + 1e-9
        node.first, node.count = a, b - a
        if b - a > _LEAF:
            i, k = a, b
            while i < k:
                if low[order[i], axis] + high[order[i], axis] < middle:
                    i += 1
                else:
                    k -= 1
                    order[i], order[k] = order[k], order[i]
            half = i if a < i < b else (a + b) // 2
            node.count = 0
            todo[depth, 0], todo[depth, 1], todo[depth + 1, 0], todo[depth + 1, 1] = half, b, a, half
            depth += 2
        count += 1
    for k in range(count - 1, -1, -1):
        nodes[k].skip = k + 1 if nodes[k].count > 0 else nodes[nodes[k + 1].skip].skip
    return order, nodes[:count].copy()
