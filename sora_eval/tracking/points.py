"""Point tracks for any natural video, without learned weights."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sora_eval.tracking.twoview import enlarge
from sora_eval.types import Bools, Floats, Frames

WORKING_SIDE = 256
"""Frames are enlarged to at least this many pixels on the shorter side; all pixel limits below are at that size."""

_RADIUS = 8
_HOLD = 0.6
_REGAIN = 0.75
_MAYBE = 0.55
_ALONE = 0.92
_MODELS = 6
_SEARCHED = 16
_FLAT = 4.0
_SHIFTS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))
_OFFSET = np.stack(np.meshgrid(*[np.arange(-_RADIUS, _RADIUS + 1, dtype=np.float64)] * 2), axis=-1).reshape(-1, 2)
"""Places (x, y) of a patch from its centre, row by row."""
_Model = tuple[Floats, Bools]


def track_points(frames: Frames, queries: Floats, regain: bool = True) -> tuple[Floats, Bools]:
    """Follow points through a clip, through occlusion too, forwards and backwards from their query frames.

    Frame to frame: pyramidal Lucas-Kanade, kept if following back ends within a pixel. Points of one query frame that
    moved alike are gathered by sequential RANSAC into similarities (query frame to now). A point is visible while its
    patch, moved by its own similarity, still correlates with the patch at the query. A lost point is looked for where
    each similarity puts it; when a whole object was hidden and no similarity is left, by correlating its patches with
    the whole frame and asking at least three neighbours to agree on one similarity, or one to be unmistakable.

    A patch is compared with the one at the query only: a point whose look changes for good is given up.

    frames: uint8 [T, H, W, 3]; queries: [N, 3], (frame, x, y), x and y in pixels. regain: look for lost points; without it, motion alone
    is found in a tenth of the time.
    Returns xy [N, T, 2] in pixels, held at the last place while not visible, and visible [N, T].
    Raises ValueError for queries of another shape or outside the clip.

    Source: Bouguet 2001 (pyramidal Lucas-Kanade); Kalal et al. 2010 (forward-backward check); Kalal et al. 2012
    (tracking with re-detection).
    """
    queries = np.asarray(queries, dtype=np.float64)
    if queries.ndim != 2 or queries.shape[1] != 3 or not np.isfinite(queries).all():
        raise ValueError(f"queries must be finite [N, 3] (frame, x, y), got shape {queries.shape}")
    length, height, width = frames.shape[:3]
    outside = (queries < 0) | (queries > (length - 1, width - 1, height - 1))
    if outside.any():
        raise ValueError(f"query {int(outside.any(axis=1).argmax())} lies outside the clip of {length} frames")
    factor = enlarge(frames[0], WORKING_SIDE)[1]
    large = [enlarge(frame, WORKING_SIDE)[0] for frame in frames]
    xy = np.repeat(queries[:, None, 1:], length, axis=1)
    visible = np.zeros((len(queries), length), dtype=bool)
    for start in np.unique(queries[:, 0].astype(int)):
        own = np.flatnonzero(queries[:, 0].astype(int) == start)
        place = (queries[own, 1:] + 0.5) * factor - 0.5
        for order in (list(range(start, length)), list(range(start, -1, -1))):
            found, seen = _follow([large[t] for t in order], place, regain)
            xy[own[:, None], order] = (found + 0.5) / factor - 0.5
            visible[own[:, None], order] = seen
    return xy, visible


def _follow(frames: list[Frames], start: Floats, regain: bool) -> tuple[Floats, Bools]:
    """Follow points [n, 2] from the first frame on; returns [n, T, 2] and [n, T]."""
    n = len(start)
    if len(frames) == 1:
        return start[:, None], np.ones((n, 1), dtype=bool)
    height, width = frames[0].shape[:2]
    still = np.eye(3)[:2]
    looks = _Looks.of(_patches(frames[0], start, np.repeat(still[None], n, axis=0)))
    grey = [np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), dtype=np.uint8) for frame in frames]
    xy, visible = [start], [np.ones(n, dtype=bool)]
    place, alive = start.copy(), np.ones(n, dtype=bool)
    pose = np.repeat(np.eye(2)[None], n, axis=0)
    # Which points a search could find again.
    textured = np.array([regain and _posed(grey[0], point, np.eye(2)).std() > _FLAT for point in start], dtype=bool)
    for t in range(1, len(frames)):
        moved, followed = _lucas_kanade(grey[t - 1], grey[t], place, alive)
        models = _similarities(start, moved, followed)
        warp, grouped = np.repeat(still[None], n, axis=0), np.zeros(n, dtype=bool)
        for matrix, members in models:
            warp[members], grouped = matrix, grouped | members
        warp[:, :, 2] = moved - np.einsum("nij,nj->ni", warp[:, :, :2], start)
        likeness = looks.likeness(_patches(frames[t], start, warp))
        alive = followed & (likeness > np.where(grouped, _HOLD, _REGAIN))
        place = np.where(alive[:, None], moved, place)
        pose = np.where((alive & grouped)[:, None, None], warp[:, :, :2], pose)

        if regain and not alive.all():
            place, alive = _regain(frames[t], start, looks, models, place, alive)
        if regain and (~alive).any():
            models = _search(grey[0], grey[t], start, place, pose, np.flatnonzero(~alive & textured), t)
            place, alive = _regain(frames[t], start, looks, models, place, alive)
        alive &= ((place >= 0) & (place <= (width - 1, height - 1))).all(axis=1)
        xy.append(place.copy())
        visible.append(alive.copy())
    return np.stack(xy, axis=1), np.stack(visible, axis=1)


def _lucas_kanade(a: Frames, b: Frames, place: Floats, alive: Bools) -> tuple[Floats, Bools]:
    moved, good = place.copy(), np.zeros(len(place), dtype=bool)
    if not alive.any():
        return moved, good
    begin = place[alive].astype(np.float32)[:, None]
    end, there, _ = cv2.calcOpticalFlowPyrLK(a, b, begin, None, winSize=(15, 15), maxLevel=3)  # type: ignore[call-overload]
    back, again, _ = cv2.calcOpticalFlowPyrLK(b, a, end, None, winSize=(15, 15), maxLevel=3)  # type: ignore[call-overload]
    moved[alive] = end[:, 0]
    good[alive] = (there.ravel() == 1) & (again.ravel() == 1) & (np.linalg.norm(back - begin, axis=2).ravel() < 1)
    return moved, good


def _similarities(start: Floats, end: Floats, use: Bools, fewest: int = 4) -> list[_Model]:
    """Return similarities [2, 3] from start to end, the most common first, with the points [n] that obey each."""
    models: list[_Model] = []
    left = use.copy()
    while len(models) < _MODELS and left.sum() >= fewest:
        index = np.flatnonzero(left)
        matrix, inside = cv2.estimateAffinePartial2D(
            start[index], end[index], method=cv2.RANSAC, ransacReprojThreshold=2.0, maxIters=500
        )
        if matrix is None or inside is None or inside.sum() < fewest:
            break
        members = np.zeros_like(use)
        members[index[inside.ravel() == 1]] = True
        if not 0.4 < np.linalg.norm(matrix[:, 0]) < 2.5:
            break
        models.append((np.asarray(matrix, dtype=np.float64), members))
        left &= ~members
    return models


def _regain(
    frame: Frames, start: Floats, looks: _Looks, models: list[_Model], place: Floats, alive: Bools
) -> tuple[Floats, Bools]:
    """Bring lost points back where a similarity puts them and the picture looks as it did at the query."""
    place, alive = place.copy(), alive.copy()
    lost = np.flatnonzero(~alive)
    best = np.full(len(lost), _REGAIN)
    for matrix, _ in models:
        fair = np.arange(len(lost))
        # A similarity found by whole-pixel correlation is off by up to a pixel: near misses may move that far.
        for shifts in (_SHIFTS[:1], _SHIFTS[1:]):
            points = lost[fair]
            moved = np.repeat(matrix[None], len(shifts), axis=0)
            moved[:, :, 2] += shifts
            patches = _patches(frame, np.tile(start[points], (len(shifts), 1)), np.repeat(moved, len(fair), axis=0))
            likeness = looks.of_points(np.tile(points, len(shifts))).likeness(patches).reshape(len(shifts), len(fair))
            nearest = likeness.argmax(axis=0) if len(fair) else np.zeros(0, dtype=np.intp)
            top = likeness[nearest, np.arange(len(fair))]
            better = top > best[fair]
            best[fair[better]] = top[better]
            shift = np.array(shifts, dtype=np.float64)[nearest[better]]
            place[points[better]] = start[points[better]] @ matrix[:, :2].T + matrix[:, 2] + shift
            alive[points[better]] = True
            fair = fair[top > _MAYBE]
    return place, alive


def _search(
    first: Frames, now: Frames, start: Floats, place: Floats, pose: Floats, lost: NDArray[np.intp], t: int
) -> list[_Model]:
    """Return similarities on which lost points (their numbers) agree, each looked for in the whole frame by correlation.

    A patch is looked for as it was turned and scaled (pose [n, 2, 2]) when last seen. Only a few neighbours are looked
    for per frame, around another lost point each time, to bound the cost.
    """
    if not len(lost):
        return []
    seed = lost[(t * 7919) % len(lost)]
    near = lost[np.argsort(np.linalg.norm(start[lost] - start[seed], axis=1), kind="stable")][:_SEARCHED]
    found, scores = {}, {}
    for i in near:
        response = cv2.matchTemplate(now, _posed(first, start[i], pose[i]), cv2.TM_CCOEFF_NORMED)
        _, peak, _, (x, y) = cv2.minMaxLoc(response)
        # Agreement of several and the check in _regain decide, so a weak peak may still have its say.
        if peak < _MAYBE:
            continue
        found[i] = np.array([x, y], dtype=np.float64) + _RADIUS
        response[max(0, y - 4) : y + 5, max(0, x - 4) : x + 5] = -1
        scores[i] = (peak, cv2.minMaxLoc(response)[1])
    if not found:
        return []
    index = np.array(list(found))
    use, end = np.zeros(len(start), dtype=bool), place.copy()
    use[index], end[index] = True, np.array(list(found.values()))
    models = _similarities(start, end, use, fewest=3)
    for i, (peak, second) in scores.items():
        if peak > _ALONE and second < 0.8 * peak and not any(members[i] for _, members in models):
            shift = np.hstack([pose[i], (end[i] - pose[i] @ start[i])[:, None]])
            models.append((shift, np.arange(len(start)) == i))
    return models


def _posed(frame: Frames, centre: Floats, pose: Floats) -> Frames:
    """Return the patch [S, S] around centre [2], turned and scaled by pose [2, 2]."""
    step = np.arange(-_RADIUS, _RADIUS + 1, dtype=np.float64)
    places = centre + np.stack(np.meshgrid(step, step), axis=-1) @ np.linalg.inv(pose).T
    x, y = places[..., 0].astype(np.float32), places[..., 1].astype(np.float32)
    patch = cv2.remap(frame, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(patch, dtype=np.uint8)


def _patches(frame: Frames, centre: Floats, warp: Floats) -> Frames:
    """Return patches [n, S * S, 3] around centre [n, 2] as each warp [n, 2, 3] moves them into the frame."""
    if len(centre) == 0:
        return np.zeros((0, len(_OFFSET), 3), dtype=np.uint8)
    x, y = centre[:, :1] + _OFFSET[:, 0], centre[:, 1:] + _OFFSET[:, 1]  # [n, S * S] each
    u, v = ((w[:, :1] * x + w[:, 1:2] * y + w[:, 2:]).astype(np.float32) for w in (warp[:, 0], warp[:, 1]))
    # remap takes at most 32767 rows.
    parts = [
        cv2.remap(frame, u[i : i + 30000], v[i : i + 30000], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for i in range(0, len(u), 30000)
    ]
    return np.asarray(np.concatenate(parts) if len(parts) > 1 else parts[0], dtype=np.uint8)


@dataclass(frozen=True)
class _Looks:
    """The patches of points at their query, and what every comparison needs of them."""

    patches: Frames
    """[n, S * S, 3]."""
    centred: Floats
    """[n, S * S, 3], less the mean of each channel."""
    power: Floats
    """[n], sum of squares of what is centred."""

    @classmethod
    def of(cls, patches: Frames) -> _Looks:
        centred = patches - patches.mean(axis=1, keepdims=True)
        return cls(patches, centred, _dot(centred, centred))

    def of_points(self, index: NDArray[np.intp]) -> _Looks:
        """Return those of some points."""
        return _Looks(self.patches[index], self.centred[index], self.power[index])

    def likeness(self, other: Frames) -> Floats:
        """Return the normalised correlation [n] with patches [n, S * S, 3]; for flat ones, how close their colours are."""
        # The centred patch sums to 0, so the other's mean drops out of the product.
        values = other.astype(np.float64)
        size = other.shape[1]
        power = np.maximum(_dot(values, values) - (values.sum(axis=1) ** 2).sum(axis=1) / size, 0.0)
        # A patch of one colour has no power, which is exact for whole numbers, and is like nothing.
        product = np.where(power > 0, _dot(self.centred, values), 0.0)
        correlation = product / np.maximum(np.sqrt(self.power * power), 1e-9)
        flat = self.power < _FLAT**2 * 3 * size
        if flat.any():
            correlation[flat] = (
                1 - np.abs(self.patches[flat].astype(np.float64) - values[flat]).mean(axis=(1, 2)) / 25.0
            )
        return np.asarray(correlation, dtype=np.float64)


def _dot(a: Floats, b: Floats) -> Floats:
    """Return the sum of products [n] of patches [n, S * S, 3]."""
    return np.asarray(np.einsum("nsc,nsc->n", a, b))
