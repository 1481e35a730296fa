"""Tracks from labelled boxes, such as a detector with an assignment over time gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sora_eval.types import Bools, Floats, Tracks
from sora_eval.world.palette import COLOURS


def labelled_tracks(
    labels: Sequence[str], box: Floats, size: tuple[int, int], fps: float, area: Floats | None = None
) -> Tracks:
    """Return tracks of labelled boxes.

    A label that contains a colour of the palette ("red ball") gives the track that colour. Without masks an object's area is that of its
    box and its place the box's centre; of the silhouette descriptors only aspect, extent and edge are known.

    Args:
        labels: N labels.
        box: [N, T, 4] x0, y0, x1, y1 in pixels, NaN where an object isn't visible.
        size: (height, width) of the frames.
        fps: frames per second.
        area: [N, T] visible area in pixels, None for that of the boxes.

    Raises:
        ValueError: the shapes don't match.

    """
    box = np.asarray(box, dtype=float)
    if box.ndim != 3 or box.shape[::2] != (len(labels), 4):
        raise ValueError(f"box must be [N, T, 4] for {len(labels)} labels, got {box.shape}")
    visible: Bools = np.asarray(np.isfinite(box).all(axis=2), dtype=bool)
    box = np.where(visible[..., None], box, np.nan)
    sides = box[..., 2:] - box[..., :2]
    whole = np.nan_to_num(sides.prod(axis=2))
    area = whole if area is None else np.where(visible, area, 0.0)
    height, width = size
    with np.errstate(invalid="ignore", divide="ignore"):
        edge = (box[..., :2] <= 0).any(axis=2) | (box[..., 2] >= width - 1) | (box[..., 3] >= height - 1)
        known = {
            "aspect": sides[..., 1] / sides[..., 0],
            "extent": area / whole,
            "edge": np.where(visible, edge, np.nan),
        }
    unknown = {name: np.full(visible.shape, np.nan) for name in ("taper", "solidity", "spread", "shade")}
    colour = tuple(next((word for word in label.lower().split() if word in COLOURS), "") for label in labels)
    xy = (box[..., :2] + box[..., 2:]) / 2
    return Tracks(colour, xy, visible, area, box, size, fps, known | unknown, tuple(labels))
