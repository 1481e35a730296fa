"""Point tracking: the TAP-Vid scores, and the same from a point's reappearance on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sora_eval.types import Bools, Floats

SCALE_PX = 256.0
"""Coordinates are scaled so that the frame is this high and wide before any distance is taken."""

THRESHOLDS_PX: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)


@dataclass(frozen=True)
class TapVid:
    """The three TAP-Vid scores, each in [0, 1]."""

    occlusion_accuracy: float
    """OA, share of frames whose visible flag is right."""
    delta_avg: float
    """Share of visible truth within D pixels, mean over D."""
    average_jaccard: float
    """AJ, position and visibility together."""


@dataclass(frozen=True)
class Reidentification:
    """How many occlusions ended with the point found again."""

    rate: float
    """found / spans."""
    found: int
    """Hidden spans after which the point is found again."""
    spans: int
    """Hidden spans."""


def tapvid(
    true_xy: Floats,
    true_visible: Bools,
    xy: Floats,
    visible: Bools,
    size: tuple[int, int],
    evaluated: Bools | None = None,
) -> TapVid:
    """Return OA, delta_avg and AJ over all evaluated points and frames.

    Distances are taken at 256 px scale (x by 256 / W, y by 256 / H), for D in 1, 2, 4, 8, 16 px, strictly less.
    `OA = |visible = truth| / |all|`; `delta_D = |within_D and truth visible| / |truth visible|`;
    `AJ_D = TP / (|truth visible| + FP)`, TP = both visible and within D, FP = predicted visible, and the truth hidden
    or not within D. Averages are over D.

    true_xy, xy: [N, T, 2] pixels, NaN allowed where hidden; true_visible, visible: [N, T]; size: (H, W) in pixels.
    evaluated: [N, T], which entries count, default all; `after_query` gives TAP-Vid's "first" mode.
    Raises ValueError for unequal shapes, or when no evaluated truth is visible.

    Source: Doersch et al. 2022 (TAP-Vid), "metrics".

    Example:
        >>> xy, visible = np.zeros((1, 4, 2)), np.ones((1, 4), bool)
        >>> tapvid(xy, visible, xy + [3, 0], visible, size=(256, 256)).delta_avg  # below 4, 8 and 16 px
        0.6
    """
    count = _evaluated(true_xy, true_visible, xy, visible, evaluated)
    seen, predicted = true_visible & count, visible & count
    n_seen = int(seen.sum())
    if n_seen == 0:
        raise ValueError("the truth is visible in no evaluated frame, so no point score is defined")
    distance = _distance(true_xy, xy, size)
    delta, jaccard = [], []
    for threshold in THRESHOLDS_PX:
        within = distance < threshold
        hits = int((seen & predicted & within).sum())
        false = int((predicted & ~(seen & within)).sum())
        delta.append(int((seen & within).sum()) / n_seen)
        jaccard.append(hits / (n_seen + false))
    agree = float((true_visible == visible)[count].mean())
    return TapVid(agree, float(np.mean(delta)), float(np.mean(jaccard)))


def after_query(query_frames: NDArray[np.integer], frames: int) -> Bools:
    """Return [N, frames], True strictly after each point's query frame: TAP-Vid's "first" mode.

    Example:
        >>> after_query(np.array([1]), frames=4).tolist()
        [[False, False, True, True]]
    """
    return np.asarray(np.arange(frames)[None, :] > np.asarray(query_frames)[:, None])


def after_reappearance(true_visible: Bools, given: int = 1) -> Bools:
    """Return [N, T], True from the frame on in which a point is first seen again after it was hidden.

    true_visible: [N, T]. given: frames from the first on that the clip was given; a return within them does not count. A point that is
    never seen, hidden and seen again has no such frame.

    Example:
        >>> after_reappearance(np.array([[True, False, True, True]])).tolist()
        [[False, False, True, True]]
        >>> after_reappearance(np.array([[True, False, True, False, True]]), given=3).tolist()
        [[False, False, False, False, True]]
    """
    seen = _without_given_returns(true_visible, given)
    was_seen = np.logical_or.accumulate(seen, axis=1)
    was_hidden = np.logical_or.accumulate(was_seen & ~seen, axis=1)
    return np.asarray(np.logical_or.accumulate(was_hidden & seen, axis=1))


def _without_given_returns(true_visible: Bools, given: int) -> Bools:
    """Return [N, T] visibility in which a point that was seen is so up to the last given frame but one: its first return is after them."""
    seen: Bools = np.array(true_visible, dtype=bool)
    last = max(0, given - 1)
    seen[:, :last] = np.logical_or.accumulate(seen, axis=1)[:, :last]
    return seen


def jaccard_after_reappearance(
    true_xy: Floats, true_visible: Bools, xy: Floats, visible: Bools, size: tuple[int, int], given: int = 1
) -> float:
    """Return AJ over the frames from each point's reappearance to the end of the clip.

    It measures what plain AJ hides: a tracker that gives up at the first occlusion keeps most of its AJ and none of this.
    given: as in `after_reappearance`; other arguments and distances as in `tapvid`. Raises ValueError when no point reappears.

    Source: the re-detection AJ of TAPNext++, with `tapvid`'s definition of AJ.

    Example:
        >>> xy, visible = np.zeros((1, 4, 2)), np.array([[True, False, True, True]])
        >>> jaccard_after_reappearance(xy, visible, xy, visible, size=(64, 64))
        1.0
    """
    evaluated = after_reappearance(true_visible, given)
    if not evaluated.any():
        raise ValueError("no point reappears after it was hidden")
    return tapvid(true_xy, true_visible, xy, visible, size, evaluated).average_jaccard


def reidentification_rate(
    true_xy: Floats,
    true_visible: Bools,
    xy: Floats,
    visible: Bools,
    size: tuple[int, int],
    within_px: float = 8.0,
    given: int = 1,
) -> Reidentification:
    """Return the share of hidden spans after which the point is found again.

    A span runs between two visible stretches of the truth. It counts as found when, in at least half of the frames of
    the stretch that follows, the point is predicted visible and lies within `within_px` (256 px scale, strictly
    less): a lucky frame is not a find, and a late one only counts if it is not very late.

    given: as in `after_reappearance`; other arguments as in `tapvid`. Raises ValueError when no point reappears.

    Example:
        >>> xy, visible = np.zeros((1, 4, 2)), np.array([[True, False, True, True]])
        >>> reidentification_rate(xy, visible, xy, visible & [True, True, False, False], size=(64, 64)).rate
        0.0
    """
    _evaluated(true_xy, true_visible, xy, visible, None)
    good = visible & (_distance(true_xy, xy, size) < within_px)
    found = spans = 0
    for seen, right in zip(_without_given_returns(true_visible, given), good, strict=True):
        frames = np.flatnonzero(seen)
        stretches = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)[1:]
        spans += len(stretches)
        found += sum(bool(right[stretch].mean() >= 0.5) for stretch in stretches)
    if spans == 0:
        raise ValueError("no point reappears after it was hidden")
    return Reidentification(found / spans, found, spans)


def _distance(true_xy: Floats, xy: Floats, size: tuple[int, int]) -> Floats:
    height, width = size
    gap = (np.asarray(xy) - np.asarray(true_xy)) * (SCALE_PX / width, SCALE_PX / height)
    distance = np.hypot(gap[..., 0], gap[..., 1])
    return np.asarray(np.where(np.isnan(distance), np.inf, distance))


def _evaluated(true_xy: Floats, true_visible: Bools, xy: Floats, visible: Bools, evaluated: Bools | None) -> Bools:
    shape = np.shape(true_visible)
    wanted = {"true_xy": (*shape, 2), "xy": (*shape, 2), "visible": shape, "evaluated": shape}
    given = {"true_xy": true_xy, "xy": xy, "visible": visible, "evaluated": evaluated}
    for name, value in given.items():
        if value is not None and np.shape(value) != wanted[name]:
            raise ValueError(f"{name} must have shape {wanted[name]} like true_visible, got {np.shape(value)}")
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"true_visible must be [N, T] and not empty, got shape {shape}")
    return np.ones(shape, dtype=bool) if evaluated is None else np.asarray(evaluated, dtype=bool)
