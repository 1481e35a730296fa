"""Onsets of sounds in an audio track, and how well they fit the times of events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter1d, median_filter, uniform_filter1d

from sora_eval.types import Floats

_WINDOW_S, _HOP_S = 0.032, 0.004
"""Length of a frame and step from one to the next in seconds."""
_QUIET = 1e-4
"""Root mean square below which a frame is silence: -80 dB of full scale, under the noise floor of 14 bits."""
_AROUND_S = 0.8
"""Length of the median that a rise is compared with, in seconds."""
_SHARP = 8.0
"""Rise over the median, in median absolute deviations, that is an onset. White noise has one above 7 in ten
minutes."""
_LEAST_RISE = 0.15
"""Mean rise of log magnitudes over the frequencies that is an onset, whatever the deviations."""
_GAP_S = 0.06
"""Onsets nearer than that are one."""
_ATTACK = 0.2
"""Share of the rise of the envelope at which a sound begins."""


def onset_times(samples: Floats, rate: float) -> tuple[float, ...]:
    """Return the times of onsets in seconds after the first sample, in order.

    The detection function is the spectral flux: the rise of the logarithm of the magnitudes, log(1 + |X| / quiet), from one frame to the
    one half a window later, negative changes left out, mean over frequencies. An onset is its local maximum, above the running median by
    8 median absolute deviations; its time is where the envelope has risen by a fifth. Constant noise and silence have none, nor does a
    tone that lasts. What fades in over more than 0.1 s is no onset, and the first and last 16 ms have none.

    samples: [N], -1 to 1, one channel. rate: samples per second.
    Raises ValueError for samples that are not [N] or not finite, or a rate below 1000.

    Source: Bello et al. 2005, A tutorial on onset detection in music signals, section III; Dixon 2006, Onset detection revisited
    (half-wave rectified flux); Boeck et al. 2012, Evaluating the online capabilities of onset detection methods (logarithm).

    Example:
        >>> samples = np.zeros(16000); samples[8000:8200] = np.hanning(200) * np.sin(np.arange(200))
        >>> [round(t, 2) for t in onset_times(samples, 16000)]
        [0.5]
    """
    x = np.asarray(samples, dtype=float)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise ValueError(f"samples must be finite numbers [N], got {x.shape}")
    if not rate >= 1000:
        raise ValueError(f"a rate must be at least 1000 samples per second, got {rate}")
    length, hop = round(_WINDOW_S * rate), max(1, round(_HOP_S * rate))
    if len(x) < length:
        return ()
    # Not padded: the ends of a track are no sounds.
    starts = np.arange(0, len(x) - length + 1, hop)
    frames = np.lib.stride_tricks.sliding_window_view(x, length)[starts]
    window = np.hanning(length)
    loud = np.sqrt((frames**2).mean(axis=1)) > _QUIET
    magnitudes = np.log1p(np.abs(np.fft.rfft(frames * window, axis=1)) / (_QUIET * window.sum()))
    lag = max(1, round(_WINDOW_S / _HOP_S / 2))
    flux = np.zeros(len(frames))
    flux[lag:] = np.maximum(magnitudes[lag:] - magnitudes[:-lag], 0).mean(axis=1)
    around = 2 * round(_AROUND_S / _HOP_S / 2) + 1
    middle = median_filter(flux, size=around, mode="reflect")
    deviation = np.maximum(median_filter(np.abs(flux - middle), size=around, mode="reflect"), 1e-9)
    rise = flux - middle
    peak = flux == maximum_filter1d(flux, size=2 * round(_GAP_S / _HOP_S / 2) + 1)
    chosen = np.flatnonzero(peak & loud & (rise > _SHARP * deviation) & (rise > _LEAST_RISE))
    times: list[float] = []
    for k in chosen:
        time = _attack(x, rate, starts[k] / rate, (starts[k] + length) / rate)
        if time is not None and (not times or time - times[-1] > _GAP_S):
            times.append(time)
    return tuple(times)


def _attack(x: Floats, rate: float, low_s: float, high_s: float) -> float | None:
    """Return when the envelope begins to rise between two times, None where the rise lies at the very start of the track."""
    a, b = max(0, round((low_s - _WINDOW_S) * rate)), min(len(x), round(high_s * rate))
    envelope = np.sqrt(np.maximum(uniform_filter1d(x[a:b] ** 2, size=max(1, round(0.002 * rate)), mode="nearest"), 0))
    if len(envelope) < 2:
        return None
    top = int(envelope.argmax())
    before = float(np.median(envelope[: max(1, top)]))
    level = before + _ATTACK * (float(envelope[top]) - before)
    first = int((envelope[: top + 1] >= level).argmax())
    # Back from the maximum: noise before it may touch the level as well.
    below = np.flatnonzero(envelope[: top + 1] < level)
    first = int(below[-1]) + 1 if len(below) else first
    return None if a + first == 0 else (a + first) / rate


@dataclass(frozen=True)
class OnsetMatch:
    """How onsets fit the times of events."""

    precision: float | None
    """Share of the onsets that belong to an event, None without onsets."""
    recall: float
    """Share of the events that have an onset."""
    f1: float
    """Harmonic mean of both, 0 without onsets."""
    offset_s: float | None
    """Median of onset minus event over the matched ones in seconds, positive where the sound is late; None where none is."""


def match_onsets(onsets: Sequence[float], events: Sequence[float], tolerance_s: float) -> OnsetMatch:
    """Return precision and recall of onsets for events, each matched once and within a tolerance, as many as possible.

    onsets, events: seconds. Raises ValueError without events or for a negative tolerance.

    Source: the onset F-measure of MIREX, as in Raffel et al. 2014, mir_eval.

    >>> match_onsets([0.1, 0.52, 0.9], [0.5], 0.05)
    OnsetMatch(precision=0.3333333333333333, recall=1.0, f1=0.5, offset_s=0.020000000000000018)
    """
    if not len(events) or tolerance_s < 0:
        raise ValueError(
            f"at least one event and a tolerance of at least 0 are needed, got {len(events)}, {tolerance_s}"
        )
    found, true = sorted(onsets), sorted(events)
    offsets: list[float] = []
    i = j = 0
    # Of intervals of one length, taking the earliest pair each time matches the most.
    while i < len(found) and j < len(true):
        offset = found[i] - true[j]
        if abs(offset) <= tolerance_s + 1e-9:
            offsets.append(offset)
            i, j = i + 1, j + 1
        elif offset < 0:
            i += 1
        else:
            j += 1
    n = len(offsets)
    return OnsetMatch(
        precision=n / len(found) if found else None,
        recall=n / len(true),
        f1=2 * n / (len(found) + len(true)),
        offset_s=float(np.median(offsets)) if offsets else None,
    )
