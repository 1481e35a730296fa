"""Statistics of pictures of labels, by a compiled kernel: one pass over the pixels, whatever the number of labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Bools
from sora_eval.world.kernels.bvh import compiled

AREA, SUM_X, SUM_Y, LEFT, TOP, RIGHT, BOTTOM = range(7)
"""Columns of the statistics: number of pixels, sums of their columns and rows, and the least and greatest column and row."""


@compiled
def statistics(ids: NDArray[np.int16], out: NDArray[np.int64], touching: Bools) -> None:
    """Fill out [N, 7] with the statistics of labels 0 to N - 1 in ids [H, W]; others, such as -1, are background.

    Rows of labels that are not there have an area of 0 and no box. touching [N, N]: set where a pixel of one label is among the
    eight neighbours of one of the other, false elsewhere.
    """
    height, width = ids.shape
    n = len(out)
    out[:] = 0
    touching[:] = False
    for i in range(n):
        out[i, LEFT], out[i, TOP], out[i, RIGHT], out[i, BOTTOM] = width, height, -1, -1
    for y in range(height):
        x = 0
        while x < width:
            i, begin = ids[y, x], x
            # A run of one label at a time: most neighbours are equal.
            while x < width and ids[y, x] == i:
                if y > 0 and 0 <= i < n:
                    for k in range(max(x - 1, 0), min(x + 2, width)):
                        j = ids[y - 1, k]
                        if 0 <= j < n and j != i:
                            touching[i, j] = touching[j, i] = True
                x += 1
            if not 0 <= i < n:
                continue
            count = x - begin
            row = out[i]
            row[AREA] += count
            row[SUM_X] += count * (begin + x - 1) // 2
            row[SUM_Y] += count * y
            row[LEFT], row[RIGHT] = min(row[LEFT], begin), max(row[RIGHT], x - 1)
            row[TOP], row[BOTTOM] = min(row[TOP], y), max(row[BOTTOM], y)
            if begin > 0 and 0 <= ids[y, begin - 1] < n:
                touching[i, ids[y, begin - 1]] = touching[ids[y, begin - 1], i] = True
