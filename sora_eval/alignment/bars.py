"""Bars of one colour along a clip's border: letterbox, pillarbox, padding."""

from __future__ import annotations

import numpy as np

from sora_eval.types import Floats, Frames

_SAMPLES = 8
"""Frames that are looked at."""
_EVEN = 10.0
"""Grey levels within which 98% of a bar's pixels lie, in every frame: compression lets an even area tremble by less."""
_STEP = 16.0
"""Grey levels by which the picture differs from the bar at its edge."""
_ALONG = 0.7
"""Share of the edge along which it does."""
_LEAST = 0.25
"""Share of a frame's side that is left between two bars; less is a blank clip."""

Edges = tuple[int, int, int, int]
"""x0, y0, x1, y1 of what lies between the bars, in pixels."""


def content(frames: Frames) -> Edges:
    """Return what lies between the bars of a clip uint8 [T, H, W, 3]; the whole frame where there are none.

    A bar is a strip along one side that has one colour in all frames; an even sky is one too, so a reference has to tell them apart.
    """
    chosen = _chosen(frames)
    height, width = frames.shape[1:3]
    y0, y1 = _between(chosen.swapaxes(1, 2))
    # Above and below, bars reach over the whole width: columns are compared between them.
    x0, x1 = _between(chosen[:, y0:y1])
    # Pillars beside a wide bar may be of another colour.
    if (y0, y1) == (0, height) and (x0, x1) != (0, width):
        y0, y1 = _between(chosen[:, :, x0:x1].swapaxes(1, 2))
    return x0, y0, x1, y1


def letterbox(frames: Frames) -> Edges:
    """Return what lies between two equal bars of one colour on opposite sides, the whole frame where there are none.

    For clips without a reference: both bars are as wide and have the same colour, and the picture sets off from them all along, so that
    an even sky above an even floor is no pair of bars.
    """
    chosen = _chosen(frames)
    height, width = frames.shape[1:3]
    rows = chosen.swapaxes(1, 2)
    y0, y1 = _pair(rows, *_between(rows))
    x0, x1 = _pair(chosen, *_between(chosen))
    return (x0, 0, x1, height) if (x0, x1) != (0, width) else (0, y0, width, y1)


def _chosen(frames: Frames) -> Frames:
    return np.asarray(frames[np.unique(np.linspace(0, len(frames) - 1, _SAMPLES).round().astype(int))])


def _between(frames: Frames) -> tuple[int, int]:
    """Return the first column [S, H, W, 3] that is in no bar, and the one after the last."""
    width = frames.shape[2]
    left = _reach(frames)
    right = _reach(frames[:, :, ::-1])
    return (left, width - right) if width - left - right >= _LEAST * width else (0, width)


def _reach(frames: Frames) -> int:
    """Return how many columns [S, H, W, 3] from the first on have one even colour, the first one's."""
    first: Floats | None = None
    width = int(frames.shape[2])
    for x in range(width):
        low, middle, high = np.percentile(frames[:, :, x], (1, 50, 99), axis=(0, 1))
        first = middle if first is None else first
        if (high - low).max() > _EVEN or np.abs(middle - first).max() > 0.5 * _EVEN:
            return x
    return width


def _pair(frames: Frames, first: int, end: int) -> tuple[int, int]:
    """Return `first` and `end` where the columns before and after are a pair of bars, all columns where they are not."""
    width = frames.shape[2]
    last = width - end
    if min(first, last) < 1 or abs(first - last) > max(2, 0.2 * first):
        return 0, width
    bar = np.median(frames[:, :, 0], axis=(0, 1))
    alike = np.abs(bar - np.median(frames[:, :, -1], axis=(0, 1))).max() <= _EVEN
    # The first column inside may be half bar.
    inside = [frames[:, :, min(first + 1, end - 1)], frames[:, :, max(end - 2, first)]]
    set_off = [(np.abs(column.astype(float) - bar).max(axis=-1) > _STEP).mean() >= _ALONG for column in inside]
    return (first, end) if alike and all(set_off) else (0, width)
