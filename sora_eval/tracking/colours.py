"""Where each of the palette's colours is, frame by frame: what networks are taught from, without links over time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sora_eval.tracking.world import membership
from sora_eval.types import Floats, Frames
from sora_eval.world.palette import COLOURS


def states_of(frames: Frames) -> Floats:
    """Return for each palette colour and frame [8, T, 3]: the root of the frame's share that it covers, and its centre x, y in 0..1."""
    t, h, w, _ = frames.shape
    index, weight = membership(np.asarray(frames).reshape(t * h, w, 3))
    one: NDArray[np.bool_] = index[None] == np.arange(len(COLOURS))[:, None, None]
    mass = np.where(one, weight, 0.0).reshape(len(COLOURS), t, h, w)
    total = mass.sum(axis=(2, 3))
    safe = np.maximum(total, 1e-9)
    x = (mass.sum(axis=2) * ((np.arange(w) + 0.5) / w)).sum(axis=2) / safe
    y = (mass.sum(axis=3) * ((np.arange(h) + 0.5) / h)).sum(axis=2) / safe
    there = total > 2
    return np.stack([np.sqrt(total / (h * w)) * there, x * there, y * there], axis=-1)
