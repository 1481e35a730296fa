"""When each frame of a clip is shown, and the clip of constant rate that shows the same.

A clip's moments count from its first frame on. At each moment the last frame is shown whose time has come, as players do it and
`ffmpeg -fps_mode cfr`. Containers round times (Matroska and WebM to 1/1000 s, GIF to 1/100 s), so the same clip has other times in
each; therefore the lowest rate is taken of which all times are multiples, to within that rounding. Then the
same content gives the same frames at the same moments in every container.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np

from sora_eval.types import Floats, Frames

MIN_FPS, MAX_FPS = 0.1, 1000.0
"""Rates that can be read and judged: a frame every 10 s, and the finest that Matroska's milliseconds can hold."""
_COMMON = tuple(
    sorted({float(n) for n in range(1, 61)} | {n * 1000 / 1001 for n in (24, 30, 60)} | {72, 90, 100, 120, 240})
)
_JITTER = 0.45
"""Largest distance of a frame from its place, in frames, at which it is still taken for that place."""
_SAME_RATE = 0.005
"""Rates are called the same up to this share: 24 and 24000/1001 are."""
_NOISE = 2.0
"""Change between two frames, in grey levels as a mean over 8 x 8 pixels, that is none."""
_REPEATED = 4.0
"""Median change off the beat up to which frames there are repeats. Of frames that x264 coded again it is 0 to 3 at crf 18, to 4 at crf 23
(preset ultrafast too), to 6 at crf 28, and to 2 of VP9 (24 clips of the world, 416 x 240, 8 and 12 frames a second in files of 16 and 24).
True clips of 64 x 64 in jerks (steps of 1, 1, 1, 9 at 24 frames per second) have 5 to 36, but for a slow orbit with 3."""
_CLEAR, _PLAIN = 1.5, 4.0
"""How many times as much as any repeated frame the others must change, at a beat of whole numbers and at a mixed one."""
_OVERSAMPLED = 4
"""How many times the rate that is wanted unevenly spaced frames may have and keep it. At a lower rate that is no divisor, even motion gets
steps of one and of two frames in turns: a held frame of a clip of 24 frames per second, wanted at 16, was judder all through."""
_LEAST_CHANGES = 4
_MOST_REPEATS = 8


@dataclass(frozen=True)
class Schedule:
    """A clip of constant rate."""

    index: np.ndarray[tuple[int], np.dtype[np.intp]]
    """int [T], index of the decoded frame that each frame shows."""
    fps: float
    """Frames per second."""
    variable: bool
    """Whether the decoded frames were not evenly spaced, so that some are repeated or left out."""


def same_rate(a: float, b: float) -> bool:
    """Whether two rates are the same but for how they are written."""
    return abs(a - b) <= _SAME_RATE * max(a, b)


def schedule(times: Floats, end: float, nominal: float, tick: float, max_fps: float | None = None) -> Schedule:
    """Return the clip of constant rate that shows frames at their times.

    Frames that are evenly spaced are all taken, once each. Otherwise the rate is the one of which all times are multiples, or else that
    of most frames. Where that is far above `max_fps` (more than 4 times, or at all without a rate that all times are multiples of), frames
    are taken at the moments of `max_fps`; so they are where that shows each of them once.

    Args:
        times: [N] seconds at which frames are shown, ascending, the first 0.
        end: seconds at which the last frame ends; before its beginning when that isn't known.
        nominal: the container's rate.
        tick: seconds to which the container rounds times.
        max_fps: frames per second that are wanted; None for any.

    """
    n = len(times)
    straight = np.arange(n)
    if n == 1 or not np.all(np.diff(times) >= 0):
        return Schedule(straight, nominal, False)
    rounding = 1.05 * tick
    off = np.abs(times * nominal - straight).max()
    held = end - times[-1] > 1.5 / nominal + tick
    if off <= max(rounding * nominal, 1e-3) and off <= _JITTER and not held:
        return Schedule(straight, nominal, False)
    lattice = _lattice(times, tick, nominal, max_fps)
    native = lattice or 1 / float(np.median(np.diff(times)[np.diff(times) > 0]))
    place = np.round(times * native).astype(int)
    tail = max(1, round((end - times[-1]) * native)) if (end - times[-1]) * native > 1.5 else 1
    if np.array_equal(place, straight) and tail == 1:
        return Schedule(straight, native, False)
    if lattice is None and not held and off <= _JITTER:
        return Schedule(straight, nominal, False)
    if max_fps is not None and max_fps < native and not same_rate(max_fps, native):
        exact = place / native if lattice else times
        moments = np.arange(max(1, np.ceil((exact[-1] + tail / native) * max_fps - 1e-6))) / max_fps
        shown = np.searchsorted(exact, moments + (1e-6 if lattice else rounding), side="right") - 1
        # Of a clip from which repeats were dropped (16 frames per second in a file of 24), the rate that is wanted shows each frame once.
        if not lattice or native > _OVERSAMPLED * max_fps or np.array_equal(shown, straight):
            return Schedule(shown, max_fps, True)
    slots = np.arange(place[-1] + tail)
    return Schedule(np.searchsorted(place, slots, side="right") - 1, native, True)


def _lattice(times: Floats, tick: float, nominal: float, max_fps: float | None) -> float | None:
    """Return the lowest rate of which all times are multiples to within the container's rounding, None when there is none."""
    gaps = np.diff(times)
    gaps = gaps[gaps > 0]
    if not len(gaps):
        return None
    likely = [nominal, 1 / float(np.median(gaps)), 1 / float(gaps.min()), *([max_fps] if max_fps else [])]
    likely = [rate for rate in likely if not any(abs(rate - common) < 1e-6 * rate for common in _COMMON)]
    # Of times in 1/100 s, everything would be a multiple of 1/50 s, give or take one.
    rates = sorted({rate for rate in (*_COMMON, *likely) if MIN_FPS <= rate <= min(MAX_FPS, 0.34 / tick)})
    fits: list[tuple[float, float]] = []
    for rate in rates:
        if fits and rate > 1.15 * fits[0][1]:
            break
        place = np.round(times * rate)
        off = times - place / rate
        if np.ptp(off) <= max(1.1 * tick, 2e-4 / rate) and np.all(np.diff(place) > 0):
            fits.append((round(float(np.std(off)) / tick, 1), rate))
    # Neighbours of the lowest fit a short clip too; of equals, the rate that is wanted and common rates come first.
    order = {rate: i for i, rate in enumerate([*([max_fps] if max_fps else []), 24.0, 25.0, 30.0])}
    return min(fits, key=lambda fit: (fit[0], order.get(fit[1], 9), fit[1]))[1] if fits else None


def without_repeats(frames: Frames, fps: float) -> tuple[Frames, float] | None:
    """Return the frames of a clip whose frames repeat at a steady beat (8 frames per second in a file of 24) once each, with their rate.

    None when they don't: a thing that rests or is out of sight repeats frames too, but not at a beat through the whole clip; and motion
    in jerks changes every frame.

    Args:
        frames: uint8 [T, H, W, 3].
        fps: of the file.

    """
    change = np.concatenate([[0.0], _changes(frames)])
    if len(change) < 2 * _LEAST_CHANGES or not len(np.flatnonzero(change > _NOISE)):
        return None
    ratios = {Fraction(n) for n in range(2, _MOST_REPEATS + 1)}
    ratios |= {Fraction(fps / c).limit_denominator(12) for c in (8, 10, 12, 15, 16, 20, 24, 25, 30) if fps > 1.1 * c}
    best: tuple[float, Fraction, list[int]] | None = None
    for ratio in sorted(ratio for ratio in ratios if ratio <= _MOST_REPEATS):
        whole = ratio.denominator == 1
        for phase in range(ratio.numerator):
            beats = [int(j * ratio + Fraction(phase, ratio.denominator)) for j in range(int(len(frames) / ratio) + 2)]
            beats = [b for b in beats if b < len(frames)]
            between = np.delete(change, beats)[1:] if beats[0] else np.delete(change, beats)
            if len(between) < _LEAST_CHANGES:
                continue
            # A mixed beat (1, 2, 1, 2) has few repeats, which have to be plain, and changes at its every step.
            limit = max(_NOISE, (_CLEAR if whole else _PLAIN) * between.max())
            changed = np.flatnonzero(change > limit)
            if len(changed) < _LEAST_CHANGES:
                continue
            within = [b for b in beats if changed[0] <= b <= changed[-1]]
            # The median, for a keyframe codes a repeated frame anew now and then. What moves there too is judder, and to be seen.
            off = change[np.setdiff1d(np.arange(changed[0], changed[-1] + 1), beats)]
            if len(off) and np.median(off) > _REPEATED:
                continue
            share = len(changed) / len(within)
            if share >= (0.5 if whole else 0.9) and (best is None or (share, ratio) > best[:2]):
                best = share, ratio, beats if beats[0] == 0 else [0, *beats]
    if best is None:
        return None
    return np.ascontiguousarray(frames[best[2]]), fps / float(best[1])


def _changes(frames: Frames) -> Floats:
    """Return how much each frame differs from the one before [T - 1]: the largest mean over 8 x 8 pixels, in grey levels."""
    height, width = frames.shape[1:3]
    coarse = (max(1, width // 8), max(1, height // 8))
    return np.array(
        [cv2.resize(cv2.absdiff(a, b), coarse, interpolation=cv2.INTER_AREA).max() for a, b in pairwise(frames)],
        dtype=np.float64,
    )


def common_moments(lengths: tuple[int, int], rates: tuple[float, float]) -> tuple[list[int], list[int]]:
    """Return the frames of two clips that show the same moments, by number: all common ones at one rate, else those where both have one.

    Frames count as of one moment when they are less than a twentieth of a frame of the faster clip apart. There are none at all where the
    last common moment comes before the middle of what both show: the rest of the clips would go unseen.
    """
    if same_rate(*rates):
        both = list(range(min(lengths)))
        return both, both
    first = np.arange(lengths[0])
    at = first * (rates[1] / rates[0])
    second = np.round(at).astype(int)
    tolerance = 0.05 * rates[1] / max(rates)
    met = (np.abs(at - second) <= tolerance) & (second < lengths[1])
    both_s = min((n - 1) / rate for n, rate in zip(lengths, rates, strict=True))
    if first[met][-1] / rates[0] < both_s / 2:
        return [], []
    return first[met].tolist(), second[met].tolist()
