"""How the frames of a clip follow each other: cuts, freezes, loops and disorder. Frames are compared at 32 x 32 pixels.

Memory grows with the number of frames, not with its square, and not with their size. A freeze under noise that is new in every frame
is not seen where the noise is stronger than what stored clips lose.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Bools, Floats, Frames

_SIDE = 32
_BLOCK = 128
"""Frames that are compared with all others at once."""
_LEAST = 0.3
"""Change between frames, in levels (rms), below which nothing moves: what stored clips lose."""
_STILL = 0.1
"""Share of the clip's usual change below which a frame is a repetition of the one before."""
_ALIKE = 0.3
"""The same for a frame that repeats an earlier one."""
_CUT = 2.5
"""A cut changes the picture by so many times the largest change around it; cuts of true clips by 6 degrees do by 3.3 and more."""
_AROUND = 6
_LEAST_CUT = 2.0
"""Levels that a cut changes at least."""
_NEARER = 0.9
"""Share of the change to the next frame below which another frame is more like a frame than that: noise alone makes no difference."""
_ROWS = 128
"""Frames over which the disorder is the median."""
_HELD_S = 0.7
"""Seconds for which a freeze or a loop lasts at least."""
_SHORTEST_S = 0.4
"""Shortest period of a loop in seconds."""


@dataclass(frozen=True)
class Continuity:
    """How the T frames of a clip follow each other."""

    change: Floats
    """[T - 1], change of each frame to the next, rms in levels."""
    cuts: tuple[int, ...]
    """The frames that begin another shot."""
    frozen: Bools
    """[T], frames that belong to a freeze: a run of repetitions of one frame."""
    looped: Bools
    """[T], frames that repeat earlier ones, run by run."""
    period: int
    """Period in frames of the longest such repetition, 0 without one."""
    disorder: float
    """Share of the frames that are clearly more like a frame than the next one is, median over the frames that belong to no freeze and no
    loop: near 0 in order, up to .5 for shuffled ones; 0 where few frames are left."""


def continuity(frames: Frames, fps: float, least_alike: float = _LEAST) -> Continuity:
    """Return how frames uint8 [T, H, W, 3], T >= 3, follow each other at `fps` frames per second.

    least_alike: change between frames, in levels (rms), up to which one may repeat another, however small the clip's usual change is.

    Raises:
        ValueError: there are fewer than three frames.
    """
    if len(frames) < 3:
        raise ValueError(f"need at least 3 frames, got {len(frames)}")
    small = np.array([cv2.resize(f, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for f in frames], dtype=np.float32)
    flat = small.reshape(len(small), -1)
    change = np.sqrt(np.mean(np.diff(flat, axis=0) ** 2, axis=1)).astype(np.float64)
    usual = float(np.percentile(change, 90))
    still = change < max(_STILL * usual, _LEAST)
    held = max(2, round(_HELD_S * fps))
    frozen = _long_runs(np.append(False, still), held)
    alike = max(_ALIKE * float(np.median(change[~still])) if (~still).any() else 0.0, least_alike)
    shortest = max(2, round(_SHORTEST_S * fps))
    looped, period = _repetitions(flat, ~frozen, alike, shortest, held)
    rest = flat[~(frozen | looped)]
    # Before a loop of a very short period is noticed, it has been shown for up to twice the shortest period.
    disorder = _disorder(rest) if len(rest) > 2 * max(held, shortest) else 0.0
    return Continuity(change, _cuts(flat), frozen, looped, period, disorder)


def spans(true: Bools) -> list[tuple[int, int]]:
    """Return the runs of true values [T] as (first, last + 1)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], true.astype(int), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _disorder(flat: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> float:
    """Return the share of frames [n, P] that are more like a frame than the next one is, median over up to `_ROWS` frames."""
    rows = np.unique(np.linspace(0, len(flat) - 2, _ROWS).round().astype(int))
    apart = _distances(flat - flat.mean(axis=0), rows)
    following = apart[np.arange(len(rows)), rows + 1]
    return float(np.median(np.mean(apart < _NEARER * following[:, None] - 1e-6, axis=1)))


def _distances(
    centred: np.ndarray[tuple[int, int], np.dtype[np.float32]], rows: NDArray[np.int64] | slice
) -> NDArray[np.float64]:
    """Return how much [R, n] frames `rows` of n frames [n, P] differ from each of them, rms in levels."""
    exact = centred.astype(np.float64)
    norms = np.einsum("tp,tp->t", exact, exact)
    squares = norms[rows, None] + norms[None] - 2 * exact[rows] @ exact.T
    return np.asarray(np.sqrt(np.maximum(squares, 0) / centred.shape[1]))


def _long_runs(true: Bools, least: int) -> Bools:
    """Return the true values [T] that stand in runs of at least `least`."""
    kept = np.zeros(len(true), dtype=bool)
    for start, end in spans(true):
        kept[start:end] = end - start >= least
    return kept


def _cuts(flat: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> tuple[int, ...]:
    """Return the frames that begin another shot.

    Changes are means of square roots: an object that moves changes few pixels by much, a cut changes all of them.
    """

    def changed(a: int, b: int) -> float:
        return float(np.mean(np.sqrt(np.abs(flat[b] - flat[a])))) ** 2

    steps = np.array([changed(k, k + 1) for k in range(len(flat) - 1)])
    found = []
    for k, step in enumerate(steps):
        around = np.concatenate([steps[max(0, k - _AROUND) : k], steps[k + 1 : k + 1 + _AROUND]])
        # What is there for a frame or two is a flash: the frames before and after it are alike.
        passes = changed(max(0, k - 1), min(k + 3, len(flat) - 1)) < 0.5 * step
        if step > max(_CUT * float(np.max(around)), _LEAST_CUT) and not passes:
            found.append(k + 1)
    return tuple(found)


def _repetitions(
    flat: np.ndarray[tuple[int, int], np.dtype[np.float32]],
    live: Bools,
    alike: float,
    shortest: int,
    held: int,
) -> tuple[Bools, int]:
    """Return the frames [T] that repeat earlier ones, and the period of the longest repetition."""
    total = len(flat)
    centred = flat - flat.mean(axis=0)
    runs = np.zeros(total, dtype=np.int64)  # by lag
    looped, longest, period = np.zeros(total, dtype=bool), 0, 0
    for start in range(0, total, _BLOCK):
        for k, row in enumerate(_distances(centred, slice(start, start + _BLOCK)), start):
            earlier = row[: max(0, k - shortest + 1)][::-1]  # lags from the shortest on
            same = np.zeros(total, dtype=bool)
            same[shortest : shortest + len(earlier)] = (earlier < alike) & live[k]
            runs = np.where(same, runs + 1, 0)
            # A repetition lasts for a period at least, or two seconds: a swing passes its middle twice as well.
            lags = np.flatnonzero(runs >= np.maximum(held, np.minimum(np.arange(total), 3 * held)))
            if len(lags):
                most = int(runs[lags].max())
                looped[k - most + 1 : k + 1] = True
                if most > longest:
                    longest, period = most, int(lags[np.argmax(runs[lags])])
    return looped, period
