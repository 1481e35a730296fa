"""Measurements on tracks that several probes share: the object of a colour, its visibility, look and motion."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from sora_eval.probes.base import UnjudgeableError
from sora_eval.tracking.continuity import spans
from sora_eval.types import Bools, Floats, Tracks

_SHAPES = {"cone", "cylinder", "ball", "cube"}
_LEAST_PIXELS = 30.0
"""Below this area the shape of a silhouette is unknown."""
_POINTED = (1.18, 1.25)
"""Taper plus extent: below the first for sure a cone, above the second for sure none (cones: up to 1.1, others: from 1.3)."""
_TALL = (1.2, 1.25)
"""Aspect: below the first for sure no cylinder, above the second for sure neither ball nor cube."""

_JUMP = 0.5
"""Share of the way of the picture's points between two frames that is a jump: 1 at a cut, a sixth at most in true clips, of eight steps."""

_HIDDEN = 0.04
"""Share of the frames in which something that is hidden is out of sight at least: .18 to .24 in true clips of `pass_behind`."""

RESTS = 0.05
"""Share of its width by which an object may seem to move at rest: three times what compression lets a still one wander."""


def find_object(
    tracks: Tracks, colour: str, what: str, min_share: float = 0.2, shapes: Collection[str] = _SHAPES
) -> int:
    """Return the index of the longest-visible track of a colour, or of a label where colours aren't known.

    shapes: those that the view lets distinguish; others are taken as named.

    Raises:
        UnjudgeableError: none is seen for at least `min_share` of the frames, or `what` names a shape that it doesn't have.
    """
    ids = tracks.called(colour, what)
    if not ids or tracks.visible[ids[0]].mean() < min_share:
        raise UnjudgeableError(f"no {colour} {what} was found")
    if what in shapes and not shape_plausible(tracks, ids[0], what):
        raise UnjudgeableError(f"the {colour} thing is no {what}")
    return ids[0]


def shape_plausible(tracks: Tracks, i: int, shape: str) -> bool:
    """Return whether a track may be a "cone", "cylinder", "ball" or "cube" at first; other words and unclear views pass.

    A label that names one of them decides.

    Three classes are distinguishable at 64 px: pointed, tall, and neither. Only the beginning of the first time in which it is
    visible counts, so that a later change of shape is judged as one.
    """
    if shape not in _SHAPES:
        return True
    if tracks.labels and (named := _SHAPES & set(tracks.labels[i].split())):
        return shape in named
    others = [j for j in range(len(tracks)) if j != i]
    whole = np.flatnonzero(clear(tracks, i, others) & (tracks.area[i] >= _LEAST_PIXELS))
    if not len(whole):
        return True
    end = next(b for a, b in spans(tracks.visible[i]) if a <= whole[0] < b)
    first = whole[whole < end][: max(3, tracks.frames // 3)]
    if len(first) < 2:
        return True
    pointed, aspect = (
        float(np.median(v[i][first])) for v in (tracks.shape["taper"] + tracks.shape["extent"], tracks.shape["aspect"])
    )
    if not np.isfinite(pointed + aspect):
        return True
    if shape == "cone":
        return pointed < _POINTED[1]
    return pointed > _POINTED[0] and (aspect > _TALL[0] if shape == "cylinder" else aspect < _TALL[1])


def times(tracks: Tracks) -> Floats:
    """Return the times of the frames in seconds [T]."""
    return np.arange(tracks.frames) / tracks.fps


def ramp_score(error: float, good: float, bad: float) -> float:
    """Return 1 up to `good`, 0 from `bad` on, linear in between."""
    return float(np.clip((bad - error) / (bad - good), 0, 1))


def product(parts: Mapping[str, float]) -> float:
    """Return the product of the parts: one broken part breaks the claim."""
    return float(np.prod(list(parts.values())))


def clear(tracks: Tracks, i: int, others: list[int], gap: float = 1.0) -> Bools:
    """Return the frames [T] in which track i is whole: off the frame's edge and off the boxes of `others` by `gap` pixels."""
    height, width = tracks.size
    b = tracks.box[i]
    with np.errstate(invalid="ignore"):
        ok = tracks.visible[i] & (b[:, 0] > 0) & (b[:, 1] > 0) & (b[:, 2] < width - 1) & (b[:, 3] < height - 1)
        for j in others:
            o = tracks.box[j]
            apart = (
                (b[:, 2] + gap < o[:, 0])
                | (o[:, 2] + gap < b[:, 0])
                | (b[:, 3] + gap < o[:, 1])
                | (o[:, 3] + gap < b[:, 1])
            )
            ok &= apart | ~tracks.visible[j]
    return np.asarray(ok, dtype=bool)


def crowded(
    tracks: Tracks, expected: Mapping[str, int], least_area: float, least_areas: Mapping[str, float] | None = None
) -> Bools:
    """Return the frames [T] that show more objects of a colour than `expected`, which maps colours to counts.

    least_area: of an object that counts, in pixels. least_areas: the same of single colours.
    """
    too_many = np.zeros(tracks.frames, dtype=bool)
    for colour in set(tracks.colour):
        # What stays where it is from first to last, in a colour that nobody named, is part of the surroundings.
        counted = [i for i in tracks.of(colour) if colour in expected or tracks.ground is None or not tracks.ground[i]]
        if not counted:
            continue
        least = (least_areas or {}).get(colour, least_area)
        shown = np.array([tracks.visible[i] & (tracks.area[i] >= least) for i in counted])
        # Tracks of unknown colour may be any of the objects.
        too_many |= shown.sum(axis=0) > (expected.get(colour, 0) if colour else sum(expected.values()))
    return too_many


def extras(tracks: Tracks, expected: Mapping[str, int], least_area: float) -> float:
    """Return the share of frames that show more objects of a colour than `expected`."""
    return float(crowded(tracks, expected, least_area).mean())


def grown(tracks: Tracks, i: int, beside: int, first: Bools, second: Bools) -> float:
    """Return how much a track has grown or shrunk next to another one between two sets of frames, as an absolute log of lengths.

    first, second: [T], at least one frame each in which track i is seen.
    """
    a, b = (np.median(np.log(tracks.area[i][w] / np.maximum(tracks.area[beside][w], 1.0))) for w in (first, second))
    return 0.5 * abs(float(b - a))


def same_look(tracks: Tracks, i: int, before: Bools, after: Bools) -> tuple[float, float]:
    """Return how alike a track's silhouette is in two sets of frames: (shape, size), 1 alike, 0 not.

    Shape compares aspect and extent, size the square root of the area; medians, so that single frames don't count.

    Raises:
        UnjudgeableError: the outline is not known in any frame of one of the sets.
    """
    if not all(np.isfinite(tracks.shape[name][i][w]).any() for name in ("aspect", "extent") for w in (before, after)):
        raise UnjudgeableError("the outline of an object is not known")

    def median(values: Floats, which: Bools) -> float:
        return float(np.nanmedian(values[i][which]))

    aspect = abs(np.log(median(tracks.shape["aspect"], after) / median(tracks.shape["aspect"], before)))
    extent = abs(median(tracks.shape["extent"], after) - median(tracks.shape["extent"], before))
    size = 0.5 * abs(np.log(median(tracks.area, after) / median(tracks.area, before)))
    return ramp_score(max(aspect, 2.5 * extent), 0.3, 0.6), ramp_score(size, 0.2, 0.45)


def width(tracks: Tracks, i: int, which: Bools) -> float:
    """Return the square root of a track's median area in the frames `which`, pixels."""
    return float(np.sqrt(np.median(tracks.area[i][which])))


def shift(values: Floats, before: Bools, after: Bools) -> float:
    """Return how far the median place [2] of positions [T, 2] lies from one set of frames to another, pixels."""
    return float(np.linalg.norm(np.median(values[after], axis=0) - np.median(values[before], axis=0)))


def longest_unseen(seen: Bools) -> tuple[int, int] | None:
    """Return the longest run (first, last + 1) of unseen frames that starts after a seen one, None if there is none."""
    runs = [s for s in spans(~seen) if seen[: s[0]].any()]
    return max(runs, key=lambda s: s[1] - s[0]) if runs else None


def steady_across(t: Floats, x: Floats, before: Bools, after: Bools) -> tuple[float, float, float]:
    """Fit x = a + v t + d [after] by least squares: one speed for both sides of the gap, and a jump d across it.

    t: [T] seconds, x: [T] pixels. Returns speed v, jump d and the largest residual. The speed comes from both sides,
    because a few frames on one of them don't give it well enough to foretell the other.
    """
    which = before | after
    columns = np.stack([np.ones(int(which.sum())), t[which], after[which].astype(float)], axis=1)
    fit, *_ = np.linalg.lstsq(columns, x[which], rcond=None)
    return float(fit[1]), float(fit[2]), float(np.abs(columns @ fit - x[which]).max())


def without_rests(tracks: Tracks, i: int, x: Floats, before: Bools, after: Bools) -> tuple[Bools, Bools]:
    """Return the frames `before` and `after` something [T] without those in which track i, at x [T], still rests at the beginning of a clip
    or rests again at its end; two frames are left on either side.

    Clips may rest before and after what they show; a halt in between stays what it is.
    """
    before, after = before.copy(), after.copy()
    for which, order in ((before, 1), (after, -1)):
        k = np.flatnonzero(which)[::order]
        if len(k) > 2:
            which[k[: min(leading_rest(x[k], RESTS * width(tracks, i, which)), len(k) - 2)]] = False
    return before, after


def leading_rest(x: Floats, slack: float) -> int:
    """Return after how many samples of x [n] it sets out: it is off the first one by more than `slack` from the next sample on."""
    moved = np.flatnonzero(np.abs(x - x[:1]) > slack)
    return int(moved[0]) - 1 if len(moved) else 0


def is_hidden(away: Bools, frames: int) -> bool:
    """Return whether something is away in enough of a clip's frames to be hidden: a tracker may lose a single one. away: [any] of them."""
    return int(away.sum()) >= max(1, round(_HIDDEN * frames))


def check_no_cut(xy: Floats, seen: Bools) -> None:
    """Check that the picture moves frame by frame. xy: [N, T, 2] places of points of it; seen: [N, T]. Of few frames nothing is said.

    Raises:
        UnjudgeableError: half of its way goes by from one frame to the next.
    """
    both = seen[:, :-1] & seen[:, 1:]
    if both.shape[1] < 8 or not both.any(axis=0).all():
        return
    ways = np.linalg.norm(np.diff(xy, axis=1), axis=2)
    steps = np.array([np.median(ways[there, k]) for k, there in enumerate(both.T)])
    if steps.max() > _JUMP * steps.sum():
        raise UnjudgeableError("the picture jumps")


def touching(boxes: Floats, home: Floats) -> Bools:
    """Return the frames [T] in which boxes [T, 4] touch the box `home` [4]; both x0, y0, x1, y1 in pixels."""
    with np.errstate(invalid="ignore"):
        over = (
            (boxes[:, 0] <= home[2] + 1)
            & (boxes[:, 2] >= home[0] - 1)
            & (boxes[:, 1] <= home[3] + 1)
            & (boxes[:, 3] >= home[1] - 1)
        )
    return np.asarray(over, dtype=bool)
