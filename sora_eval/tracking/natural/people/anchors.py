"""Detectors of one stage with a fixed set of anchors: boxes and keypoints of their raw outputs.

Source: Liu et al. 2016 (SSD); Bazarevsky et al. 2019 (BlazeFace), sections 3.2 and 3.3: anchors of one size, overlapping boxes averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sora_eval.metrics.mot import box_iou
from sora_eval.types import Floats

_SAME = 0.3
"""Overlap from which on two boxes are one object's, as in the published pipelines."""


@dataclass(frozen=True)
class Found:
    """An object of a detector; all places are shares of the picture's side, 0 to 1."""

    score: float
    """Probability, 0 to 1."""
    box: Floats
    """[4] x0, y0, x1, y1."""
    points: Floats
    """[K, 2] keypoints."""


def centres(grids: Sequence[tuple[int, int]]) -> Floats:
    """Return the middles of the anchors [n, 2]. grids: (cells along a side, anchors per cell) of each map of features.

    >>> centres([(2, 1)]).tolist()
    [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]
    """
    maps = []
    for cells, each in grids:
        y, x = np.divmod(np.arange(cells * cells), cells)
        maps.append(np.repeat((np.stack([x, y], axis=1) + 0.5) / cells, each, axis=0))
    return np.concatenate(maps)


def decode(
    raw: NDArray[np.float32], logits: NDArray[np.float32], anchors: Floats, size: int, least: float
) -> list[Found]:
    """Return the objects with a score of `least` and more, the surest first; boxes of one object are averaged, weighed by score.

    Args:
        raw: [n, 4 + 2 K] middle, width and height of the box, and K keypoints, in pixels of the network's input, from the anchor's middle.
        logits: [n, 1].
        anchors: [n, 2] middles of the anchors, 0 to 1.
        size: side of the input, pixels.
        least: probability.

    """
    score = 1 / (1 + np.exp(-np.clip(logits[:, 0].astype(float), -50, 50)))
    kept = np.flatnonzero(score >= least)
    kept = kept[np.argsort(-score[kept], kind="stable")]
    parts = raw[kept].astype(float).reshape(len(kept), raw.shape[1] // 2, 2) / size
    points = parts + anchors[kept, None]
    points[:, 1] = parts[:, 1]
    box = np.concatenate([points[:, 0] - points[:, 1] / 2, points[:, 0] + points[:, 1] / 2], axis=1)
    found, left = [], np.arange(len(kept))
    while len(left):
        same = box_iou(box[left[0]], box[left])[0] > _SAME
        same[0] = True
        group, left = left[same], left[~same]
        weight = score[kept[group]] / score[kept[group]].sum()
        average = np.tensordot(weight, points[group, 2:], 1)
        found.append(Found(float(score[kept[group[0]]]), weight @ box[group], average))
    return found
