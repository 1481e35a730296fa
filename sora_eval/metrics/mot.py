"""Multi-object tracking: HOTA, MOTA, IDF1, and identity switches across occlusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sora_eval.types import Floats

Ids = NDArray[np.int64]

HOTA_THRESHOLDS: tuple[float, ...] = tuple(round(0.05 * k, 2) for k in range(1, 20))
"""IoU thresholds .05, .10, ... .95 over which HOTA is averaged."""

_SLACK = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class BoxTracks:
    """Boxes with identities, frame by frame."""

    ids: Sequence[Ids]
    """T arrays [n_t] of integers, unique within a frame."""
    boxes: Sequence[Floats]
    """T arrays [n_t, 4], x0, y0, x1, y1 in pixels."""

    def __post_init__(self) -> None:
        """Reject frames in which ids and boxes do not belong together."""
        if len(self.ids) != len(self.boxes):
            raise ValueError(f"need ids and boxes for the same frames, got {len(self.ids)} and {len(self.boxes)}")
        for frame, (ids, boxes) in enumerate(zip(self.ids, self.boxes, strict=True)):
            if np.shape(boxes) != (len(ids), 4):
                raise ValueError(f"frame {frame}: {len(ids)} ids need boxes [{len(ids)}, 4], got {np.shape(boxes)}")
            if len(np.unique(ids)) != len(ids):
                raise ValueError(f"frame {frame}: an id occurs twice")


@dataclass(frozen=True)
class ClearMot:
    """CLEAR-MOT counts."""

    mota: float
    """MOTA, in (-inf, 1]."""
    true_positives: int
    """Matched boxes."""
    false_positives: int
    """Predicted boxes without a match."""
    false_negatives: int
    """True boxes without a match."""
    id_switches: int
    """Identity switches."""


@dataclass(frozen=True)
class Identity:
    """Identity F1 and the boxes that it counts."""

    idf1: float
    """IDF1, in [0, 1]."""
    true_positives: int
    """IDTP, boxes of matched trajectories that overlap."""
    false_positives: int
    """IDFP, other predicted boxes."""
    false_negatives: int
    """IDFN, other true boxes."""


@dataclass(frozen=True)
class Hota:
    """HOTA and its parts, each in [0, 1], averaged over `HOTA_THRESHOLDS`."""

    hota: float
    """HOTA."""
    detection: float
    """DetA."""
    association: float
    """AssA."""
    localisation: float
    """LocA, mean IoU of matches."""


@dataclass(frozen=True)
class OcclusionSwitches:
    """Identity switches across occlusion."""

    spans: int
    """Times that a true object was hidden and came back; spans = kept + switched + lost."""
    kept: int
    """Spans with the same predicted identity before and after."""
    switched: int
    """Spans with another identity after."""
    lost: int
    """Spans without a predicted identity before or after."""


def box_iou(a: Floats, b: Floats) -> Floats:
    """Return the intersection over union [n, m] of boxes a [n, 4] and b [m, 4], x0, y0, x1, y1; 0 for empty boxes.

    Example:
        >>> box_iou(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2]])).round(3).tolist()
        [[0.333]]
    """
    a, b = np.asarray(a, dtype=np.float64).reshape(-1, 4), np.asarray(b, dtype=np.float64).reshape(-1, 4)
    corner = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    shared = np.maximum(corner, 0).prod(axis=-1)
    area_a = np.maximum(a[:, 2:] - a[:, :2], 0).prod(axis=1)
    area_b = np.maximum(b[:, 2:] - b[:, :2], 0).prod(axis=1)
    union = area_a[:, None] + area_b[None, :] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def clear_mot(truth: BoxTracks, predicted: BoxTracks, threshold: float = 0.5) -> ClearMot:
    """Return MOTA = 1 - (FN + FP + IDSW) / (number of true boxes).

    In each frame boxes are matched one to one at IoU >= threshold; pairs that were matched in the frame before are
    kept first, then as many pairs as possible with the largest IoU. Frames in which the truth or the prediction has no
    box match nothing and are passed over: pairs of the last frame with both are kept, as in TrackEval 1.3.0 and
    motmetrics 1.4.0. A switch is counted when a true object's match has another id than its last match, however long ago.

    Raises ValueError for unequal frame counts or no true box.

    Source: Bernardin and Stiefelhagen 2008 (CLEAR MOT), section 2.

    Example:
        >>> ids, boxes = [np.array([k]) for k in (1, 1, 2)], [np.array([[0.0, 0, 8, 8]])] * 3
        >>> clear_mot(BoxTracks(ids[:1] * 3, boxes), BoxTracks(ids, boxes)).id_switches
        1
    """
    n_true, n_predicted = _check(truth, predicted)
    matches = _matches(truth, predicted, threshold)
    last: dict[int, int] = {}
    switches = 0
    for pairs in matches:
        switches += sum(last.get(true_id, predicted_id) != predicted_id for true_id, predicted_id in pairs.items())
        last.update(pairs)
    hits = sum(len(pairs) for pairs in matches)
    mota = (hits - (n_predicted - hits) - switches) / n_true
    return ClearMot(mota, hits, n_predicted - hits, n_true - hits, switches)


def identity_f1(truth: BoxTracks, predicted: BoxTracks, threshold: float = 0.5) -> Identity:
    """Return IDF1 = 2 IDTP / (true boxes + predicted boxes).

    True and predicted trajectories are matched one to one for the whole clip, so that as many boxes as possible
    (IDTP) overlap at IoU >= threshold.

    Raises ValueError for unequal frame counts or no true box.

    Source: Ristani et al. 2016 (IDF1).

    Example:
        >>> ids, boxes = [np.array([k]) for k in (1, 1, 2)], [np.array([[0.0, 0, 8, 8]])] * 3
        >>> round(identity_f1(BoxTracks(ids[:1] * 3, boxes), BoxTracks(ids, boxes)).idf1, 3)
        0.667
    """
    n_true, n_predicted = _check(truth, predicted)
    true_index, found_index = _index(truth), _index(predicted)
    together = np.zeros((len(true_index), len(found_index)))
    for frame in range(len(truth.ids)):
        rows, columns = np.nonzero(box_iou(truth.boxes[frame], predicted.boxes[frame]) >= threshold - _SLACK)
        together[_numbers(truth, frame, true_index)[rows], _numbers(predicted, frame, found_index)[columns]] += 1
    hits = int(together[linear_sum_assignment(-together)].sum())
    return Identity(2 * hits / (n_true + n_predicted), hits, n_predicted - hits, n_true - hits)


def hota(truth: BoxTracks, predicted: BoxTracks) -> Hota:
    """Return HOTA = mean over IoU thresholds a of sqrt(DetA_a AssA_a).

    `DetA = TP / (TP + FN + FP)`. For a match c of true id i with predicted id j, `A(c) = TPA / (TPA + FNA + FPA)`:
    the frames in which i and j are matched, over the frames in which either exists (counted by boxes); AssA is its
    mean over matches. Localisation is the mean IoU of matches, averaged over a (1 where there are none). Each
    frame's matching maximises IoU weighted by how well the two trajectories align in the whole clip, as the
    paper requires of a matching that maximises the final score.

    Raises ValueError for unequal frame counts or no true box.

    Source: Luiten et al. 2020 (HOTA).

    Example:
        >>> tracks = BoxTracks([np.array([1])] * 3, [np.array([[0.0, 0, 8, 8]])] * 3)
        >>> hota(tracks, tracks).hota
        1.0
    """
    n_true, n_predicted = _check(truth, predicted)
    true_index, found_index = _index(truth), _index(predicted)
    true_count, found_count = np.zeros((len(true_index), 1)), np.zeros((1, len(found_index)))
    shared = np.zeros((len(true_index), len(found_index)))
    frames = []
    for frame in range(len(truth.ids)):
        rows, columns = _numbers(truth, frame, true_index), _numbers(predicted, frame, found_index)
        similarity = box_iou(truth.boxes[frame], predicted.boxes[frame])
        true_count[rows, 0] += 1
        found_count[0, columns] += 1
        rivals = similarity.sum(axis=0, keepdims=True) + similarity.sum(axis=1, keepdims=True) - similarity
        share = np.divide(similarity, rivals, out=np.zeros_like(similarity), where=rivals > 0)
        shared[np.ix_(rows, columns)] += share
        frames.append((rows, columns, similarity))
    alignment = shared / (true_count + found_count - shared)

    matched: list[tuple[int, int, float]] = []
    for rows, columns, similarity in frames:
        for r, c in zip(*linear_sum_assignment(-alignment[np.ix_(rows, columns)] * similarity), strict=True):
            matched.append((int(rows[r]), int(columns[c]), float(similarity[r, c])))
    pairs = np.array(matched, dtype=np.float64).reshape(-1, 3)

    parts = []
    for threshold in HOTA_THRESHOLDS:
        kept = pairs[pairs[:, 2] >= threshold - _SLACK]
        hits = len(kept)
        together = np.zeros_like(shared)
        np.add.at(together, (kept[:, 0].astype(int), kept[:, 1].astype(int)), 1)
        association = float((together**2 / (true_count + found_count - together)).sum()) / max(hits, 1)
        detection = hits / (n_true + n_predicted - hits)
        located = float(kept[:, 2].mean()) if hits else 1.0
        parts.append((np.sqrt(detection * association), detection, association, located))
    return Hota(*(float(value) for value in np.mean(parts, axis=0)))


def id_switches_across_occlusion(truth: BoxTracks, predicted: BoxTracks, threshold: float = 0.5) -> OcclusionSwitches:
    """Return how many true objects had another predicted identity after they were hidden than before.

    An object is hidden in a span of frames in which the truth has no box for it, between two in which it has: leave
    hidden objects out of `truth`. For each span, the last match in the visible stretch just before is compared with
    the first match in the visible stretch just after; matching is that of `clear_mot`. Switches while the object is
    in view do not count here.

    Raises ValueError for unequal frame counts or no true box.

    Example:
        >>> boxes, none = np.array([[0.0, 0, 8, 8]]), (np.zeros(0, int), np.zeros((0, 4)))
        >>> truth = BoxTracks([np.array([1]), none[0], np.array([1])], [boxes, none[1], boxes])
        >>> id_switches_across_occlusion(truth, truth).kept
        1
    """
    _check(truth, predicted)
    matches = _matches(truth, predicted, threshold)
    present = [{int(i) for i in ids} for ids in truth.ids]
    kept = switched = lost = 0
    for true_id in sorted(set().union(*present)):
        seen = np.flatnonzero([true_id in ids for ids in present])
        stretches = [
            [matches[frame][true_id] for frame in stretch if true_id in matches[frame]]
            for stretch in np.split(seen, np.flatnonzero(np.diff(seen) > 1) + 1)
        ]
        for before, after in pairwise(stretches):
            if not before or not after:
                lost += 1
            elif before[-1] == after[0]:
                kept += 1
            else:
                switched += 1
    return OcclusionSwitches(kept + switched + lost, kept, switched, lost)


def _check(truth: BoxTracks, predicted: BoxTracks) -> tuple[int, int]:
    """Return the numbers of true and predicted boxes."""
    if len(truth.ids) != len(predicted.ids):
        raise ValueError(f"truth has {len(truth.ids)} frames and the prediction {len(predicted.ids)}: give as many")
    n_true = sum(len(ids) for ids in truth.ids)
    if n_true == 0:
        raise ValueError("the truth has no box, so no tracking score is defined")
    return n_true, sum(len(ids) for ids in predicted.ids)


def _matches(truth: BoxTracks, predicted: BoxTracks, threshold: float) -> list[dict[int, int]]:
    """Return for each frame {true id: predicted id}; pairs of the last frame with boxes of both are kept where they still overlap."""
    matches: list[dict[int, int]] = []
    previous: dict[int, int] = {}
    for frame in range(len(truth.ids)):
        true_ids, found_ids = truth.ids[frame], predicted.ids[frame]
        if not len(true_ids) or not len(found_ids):
            matches.append({})
            continue
        similarity = box_iou(truth.boxes[frame], predicted.boxes[frame])
        allowed = similarity >= threshold - _SLACK
        stays = np.array([[previous.get(int(i)) == int(j) for j in found_ids] for i in true_ids], dtype=bool)
        # Weights put old pairs before the number of pairs, and that before the IoU.
        size = 1 + min(similarity.shape)
        weight = np.where(allowed, similarity + size + size**2 * stays.reshape(similarity.shape), 0)
        rows, columns = linear_sum_assignment(-weight)
        pairs = {int(true_ids[r]): int(found_ids[c]) for r, c in zip(rows, columns, strict=True) if allowed[r, c]}
        matches.append(pairs)
        previous = pairs
    return matches


def _index(tracks: BoxTracks) -> dict[int, int]:
    return {identity: k for k, identity in enumerate(sorted({int(i) for ids in tracks.ids for i in ids}))}


def _numbers(tracks: BoxTracks, frame: int, index: dict[int, int]) -> NDArray[np.intp]:
    return np.array([index[int(i)] for i in tracks.ids[frame]], dtype=np.intp)
