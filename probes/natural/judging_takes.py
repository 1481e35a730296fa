"""The probe of long takes for prompts in plain words: what is there stays, and the picture neither stops, repeats itself, cuts nor drifts.

Curves and rules are those of the suite long_range, of the whole picture and of the thing instead of the world's colours. Natural scenes
rest, sway and change their light, and detectors lose things: what may be that is not held against a clip, or it is not judged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from sora_eval.metrics.mot import box_iou
from sora_eval.probes import helpers
from sora_eval.probes.base import UnjudgeableError, Verdict
from sora_eval.probes.long_range.one_take import breaks_s, check_order, curve_changes, one_take, too_short
from sora_eval.probes.natural import named
from sora_eval.probes.natural.judging import FOLLOWED, STEADY, SURE, NaturalProbe, counts_of, found
from sora_eval.probes.natural.takes import LongTake
from sora_eval.stats.change_point import NO_CHANGE, ChangePoint
from sora_eval.tracking.continuity import Continuity, continuity, spans
from sora_eval.tracking.drift import look_curves
from sora_eval.types import Bools, Case, Floats, Frames, Score, Tracks, Video

_PART_S, _PART = 1.5, 0.1
"""Seconds and share of a clip, whichever is longer, in which things are counted at a time, and that what is gone must be gone for at least:
in a clip of a minute the natural tracker looks every 1.5 s."""
_FIRST_S = 1.0
"""Time whose own variation is no drift."""
_EXPLAINED = 0.4
"""Share of a curve's variance that a change must explain, so that it is a drift and no coming and going."""
_EDGE = 0.06
"""Share of the frame's width within which a box is at the edge."""
_SAME_PLACE = 0.3
"""Overlap of boxes, intersection over union, from which on one thing may be what another was taken for."""
_STILL_THERE = 0.75
"""Correlation with the thing's last picture from which on it is still somewhere in a frame, and the tracker lost it."""
_ABRUPT_S = 0.15
"""Time before a freeze in which the clip moves on as ever; what comes to rest slows down."""
_ABRUPT = 0.5
"""Share of the usual change that the change in that time must have at least."""
_LOCAL = 8.0
"""Levels by which a cell of 64 x 64 must change somewhere, so that something moves: codecs change less, a blade of grass more."""
_CELLS = 64
_MOVES, _WIDE = 2.0, 0.15
"""Levels by which a cell must change in the second before a freeze, and the share of the cells that must: where one thing alone moved, that
may have come to rest."""
_SIDE = 32
_TURNED = 1.5
"""Levels (rms) by which the picture must differ half a period earlier, so that it repeats itself and does not just stand."""
_REPEATED, _MAYBE_REPEATED = 0.15, 0.4
"""Share of that difference that is left after a whole period, at most: where it repeats itself, and where it may."""
_ALIKE = 1.0
"""Change in levels (rms at 32 x 32) up to which a frame may repeat an earlier one: what compression of a moving picture changes."""
_RATE = 8.0
"""Frames per second that are looked at, at least: at higher rates frames differ by less than compression changes them."""
_LEAST_MIDDLE = 9.0
"""Pixels of the middle of a box, where the box has as many."""
_UNCLEAR = 0.3
"""Share of a clip that may stand or may repeat itself, up to which the rest is judged."""


class NaturalLongTake(NaturalProbe):
    """In one shot of 5 to 60 s a named thing is there to the end, as many of it as at first; nothing stops, repeats itself or drifts.

    Each component but `no_cut` is the share of the clip for which it holds, or 1 less a drift.
    """

    suite = "long_range"
    name = "natural_long_take"
    claim = "in one long shot a named thing stays there, alone or as many, and the picture keeps its colours and its sharpness"
    source = (
        "early against late quality of long rollouts (FramePack, Zhang and Agrawala 2025); change point, Hinkley 1971"
    )
    unit = "share of the claim that holds, 0 to 1"
    expects = LongTake

    def score(self, case: Case, video: Video, tracks: Tracks) -> Score:
        """Return the score of a clip; one that is much shorter than the case is not judged: what lasts long is the claim."""
        if reason := too_short(case, video):
            return Score(None, reason)
        return super().score(case, video, tracks)

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge presence and number, cuts, freezes and repetitions, and drifts of colour and sharpness."""
        p = self.expected(case)
        assert isinstance(p, LongTake)
        video, tracks = _thinned(video, tracks)
        counts = counts_of(tracks, p.thing)
        seen = counts > 0
        part = max(1, round(max(_PART_S * tracks.fps, _PART * tracks.frames)))
        if seen[:part].mean() < 0.5:
            raise UnjudgeableError(f"no {p.thing} was found at first")
        take = continuity(video.frames, video.fps, _ALIKE)
        check_order(take)
        cut_at = _cut(tracks, take)
        end = int(np.flatnonzero(seen)[-1]) + 1
        if seen[:end].mean() < FOLLOWED:
            raise UnjudgeableError(f"the tracker did not follow the {p.thing} well enough to say where it is")
        # What is not seen in the last moment may have been missed there.
        end = end if tracks.frames - end >= part else tracks.frames
        if end < tracks.frames and cut_at is None:
            _check_gone(p.thing, video.frames, tracks, end)
        other = _other_number(p, counts[:end], part)
        frozen, (looped, unclear) = _frozen(video, take), _looped(video, take)
        _check_moving(video, take.frozen & ~frozen, unclear)
        judged = seen & (np.arange(len(video)) < (end if cut_at is None else min(end, cut_at)))
        drift = _drift(video, _boxes(tracks, p.thing), judged, p.thing)
        parts = {
            "there": end / tracks.frames,
            "same_number": 1 - float(other.mean()),
            "no_cut": float(cut_at is None),
            "no_freeze": 1 - float(frozen.mean()),
            "no_loop": 1 - float(looped.mean()),
            "colour": min(
                helpers.ramp_score(drift.colour, 0.12, 0.3), helpers.ramp_score(abs(drift.saturation), 0.3, 0.9)
            ),
            "sharp": helpers.ramp_score(abs(drift.sharpness), 0.25, 0.7),
        }
        cuts = () if cut_at is None else (cut_at,)
        holds = one_take(replace(take, frozen=frozen, looped=looped, cuts=cuts))
        holds[end:] = False
        holds[: len(other)] &= ~other
        late = [drift.at / tracks.fps] if min(parts["colour"], parts["sharp"]) < 1 else []
        measured = {
            "colour_drift": drift.colour,
            "saturation_drift": drift.saturation,
            "sharpness_drift": drift.sharpness,
            "breaks_at_s": min([breaks_s(holds, tracks.fps), *late]),
        }
        return Verdict(helpers.product(parts), {**parts, **measured})


def _thinned(video: Video, tracks: Tracks) -> tuple[Video, Tracks]:
    """Return every n-th frame of a clip and its tracks, with the largest n that leaves `_RATE` frames per second."""
    step = max(1, int(video.fps / _RATE))
    fps = video.fps / step
    arrays = {name: getattr(tracks, name)[:, ::step] for name in ("xy", "visible", "area", "box")}
    shape = {name: values[:, ::step] for name, values in tracks.shape.items()}
    return Video(video.frames[::step], fps), replace(tracks, **arrays, shape=shape, fps=fps)


def _cut(tracks: Tracks, take: Continuity) -> int | None:
    """Return the frame that begins another shot, None without one; the first frame where it is not known which.

    Raises:
        UnjudgeableError: the tracker does not know whether there is a cut.
    """
    finding = found(tracks, "cut")
    if finding is None:
        return take.cuts[0] if take.cuts else None
    if finding.answer == "no":
        # A flash or a fast turn is a jump of the picture as well.
        return None
    return take.cuts[0] if take.cuts else 0


def _check_gone(thing: str, frames: Frames, tracks: Tracks, end: int) -> None:
    """Check that a thing that is seen no more from frame `end` on is gone, in the middle of the picture.

    Raises:
        UnjudgeableError: it left over the edge, is taken for something else, or looks as if it were still there.
    """
    ids = named.tracks_of(tracks, thing)
    x0, y0, x1, y1 = box = _boxes(tracks, thing)[end - 1]
    height, width = tracks.size
    near = _EDGE * width
    if x0 < near or y0 < near or x1 > width - 1 - near or y1 > height - 1 - near:
        raise UnjudgeableError(f"the {thing} was last seen at the edge of the picture, which it may have left")
    after = slice(end, end + max(2, round(_PART_S * tracks.fps)))
    for i in range(len(tracks.labels)):
        if i not in ids and box_iou(tracks.box[i, after], box).max(initial=0.0) > _SAME_PLACE:
            raise UnjudgeableError(f"the tracker takes the {thing} for a {tracks.labels[i]}, or it turned into one")
    seen = frames[end - 1, max(0, round(y0)) : round(y1), max(0, round(x0)) : round(x1)]
    looked_at = np.unique(np.linspace(end, len(frames) - 1, 6).round().astype(int))
    if min(seen.shape[:2]) > 3 and any(_likeness(frames[k], seen) > _STILL_THERE for k in looked_at):
        raise UnjudgeableError(f"the tracker lost the {thing}, but a part of the picture goes on looking like it")


def _likeness(frame: Frames, part: Frames) -> float:
    """Return the largest correlation of a picture [h, w, 3] with any place in a frame [H, W, 3]."""
    return float(cv2.matchTemplate(frame, part, cv2.TM_CCOEFF_NORMED).max())


def _other_number(p: LongTake, counts: NDArray[np.int64], part: int) -> Bools:
    """Return the frames [T] of the parts of a clip in which another number of things is seen all the time.

    counts: [T], of frames up to the last that shows one; part: frames of a part.

    Raises:
        UnjudgeableError: at first it is another number already, or there is none that lasts in most parts.
    """
    edges = np.linspace(0, len(counts), max(1, round(len(counts) / part)) + 1).round().astype(int)
    other, unknown = np.zeros(len(counts), dtype=bool), np.zeros(len(counts), dtype=bool)
    for a, b in pairwise(edges):
        own = counts[a:b]
        number = int(np.bincount(own).argmax())
        right = number == p.number
        # Where none is seen for a while, the tracker missed it: it was seen again.
        sure = number > 0 and float((own == number).mean()) >= (STEADY if right else SURE)
        if a == 0 and not (sure and right):
            raise UnjudgeableError(
                f"at first it is not {p.number} {p.thing}{'s' if p.number > 1 else ''} that are seen"
            )
        unknown[a:b] = not sure
        other[a:b] = sure and not right
    if unknown.mean() > 0.5:
        raise UnjudgeableError(f"from {counts.min()} to {counts.max()} {p.thing}s are seen, never one number for long")
    for a, b in spans(unknown):
        # The number changes in this part: the next one, or the one before, has another number throughout.
        if other[a - 1] or other[min(b, len(other) - 1)]:
            other[a:b] = (counts[a:b] != p.number) & (counts[a:b] > 0)
    return other


def _frozen(video: Video, take: Continuity) -> Bools:
    """Return the frames [T] of freezes: a picture that moves in many places stands from one frame to the next, in all of them."""
    frozen = np.zeros(len(video), dtype=bool)
    moving = take.change[~take.frozen[1:]]
    usual = float(np.median(moving)) if len(moving) else 0.0
    steps, second = max(2, round(_ABRUPT_S * video.fps)), max(2, round(_FIRST_S * video.fps))
    for a, b in spans(take.frozen):
        before = take.change[max(0, a - 1 - steps) : a - 1]
        abrupt = len(before) > 0 and float(np.median(before)) >= _ABRUPT * usual
        frozen[a:b] = (
            abrupt
            and float((_largest_change(video.frames[max(0, a - second) : a]) > _MOVES).mean()) >= _WIDE
            and not _anything_moves(video.frames[a - 1 : b])
        )
    return frozen


def _anything_moves(frames: Frames) -> bool:
    """Return whether a cell of some frames [T, H, W, 3] differs clearly from the first one's."""
    return bool((_largest_change(frames) > _LOCAL).any())


def _largest_change(frames: Frames) -> Floats:
    """Return how far each cell of some frames [T, H, W, 3] goes from the first one's, [_CELLS, _CELLS] levels, in nine of them."""
    looked_at = np.unique(np.linspace(0, len(frames) - 1, 9).round().astype(int))
    first, *others = (_cells(frames[k], _CELLS) for k in looked_at)
    away = [np.abs(other - first).mean(axis=-1) for other in others]
    return np.asarray(np.max(away, axis=0)) if away else np.zeros((_CELLS, _CELLS))


def _cells(frame: Frames, side: int) -> Floats:
    """Return a frame as [side, side, 3] means of its parts, in levels."""
    return np.asarray(cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA), dtype=np.float64)


def _looped(video: Video, take: Continuity) -> tuple[Bools, Bools]:
    """Return the frames [T] of repetitions of a picture that was another one in between, and those that may be some."""
    looped, unclear = np.zeros(len(video), dtype=bool), np.zeros(len(video), dtype=bool)
    period, piece = take.period, max(2, round(_FIRST_S * video.fps))
    for a, b in spans(take.looped):
        for k in range(max(a, period), b, piece):
            looked_at = np.arange(k, min(k + piece, b))
            small = {
                lag: np.array([_cells(video.frames[n - lag], _SIDE) for n in looked_at])
                for lag in (0, period // 2, period)
            }
            between, after = (np.sqrt(np.mean((small[0] - small[lag]) ** 2)) for lag in (period // 2, period))
            looped[looked_at] = between >= _TURNED and after <= _REPEATED * between
            unclear[looked_at] = after <= _MAYBE_REPEATED * between
    return looped, unclear & ~looped


def _check_moving(video: Video, at_rest: Bools, unclear: Bools) -> None:
    """Refuse a clip that stands for long. at_rest: [T], frames that hardly differ from the one before and are no freeze; unclear: [T],
    those that may be a repetition.

    Raises:
        UnjudgeableError: it does, so that a scene at rest can't be distinguished from a freeze.
    """
    unclear, piece = unclear.copy(), max(2, round(_FIRST_S * video.fps))
    for a, b in spans(at_rest):
        for k in range(a, b, piece):
            end = min(k + piece, b)
            unclear[k:end] |= not _anything_moves(video.frames[max(0, k - 1) : end])
    if unclear.mean() > _UNCLEAR:
        raise UnjudgeableError("hardly anything moves: a freeze can't be distinguished from a scene at rest")


@dataclass(frozen=True)
class _Drift:
    """What changes of the picture's look and of the thing's alike: the smaller of both, without what the first second varies by."""

    colour: float
    """Of log(R / G) and log(B / G) together."""
    saturation: float
    """Of the log of the saturation, negative where it fades."""
    sharpness: float
    """Of the log of the share of fine detail, negative where it blurs."""
    at: int
    """The frame in which the largest of them begins."""


def _drift(video: Video, box: Floats, judged: Bools, thing: str) -> _Drift:
    """Return the drift in the frames `judged` [T]. box: [T, 4], of the thing.

    What changes in the picture alone is what the camera looks at, what changes of the thing alone is how it turns: a drift is in both.
    Sharpness is that of the whole box, for a smooth thing has details at its outline alone.

    Raises:
        UnjudgeableError: the thing is too small for its look to be known.
    """
    whole, around, inside = (look_curves(video.frames, b) for b in (None, box, _middle(box)))
    first = max(2, round(_FIRST_S * video.fps))
    # red, blue, saturation, sharpness
    curves = (
        [*whole.chroma.T, whole.saturation, whole.sharpness],
        [*inside.chroma.T, inside.saturation, around.sharpness],
    )
    if any((np.isfinite(c) & judged).sum() <= 6 for c in curves[1]):
        raise UnjudgeableError(
            f"the {thing} is too small, or seen too briefly, for its colours and its sharpness to be measured"
        )
    picture, own = ([_beyond_first(c, judged, first) for c in each] for each in curves)
    alike = [
        NO_CHANGE if a.size * b.size <= 0 else min(a, b, key=lambda c: abs(c.size))
        for a, b in zip(picture, own, strict=True)
    ]
    red, blue, saturation, sharpness = alike
    largest = max(alike, key=lambda c: abs(c.size))
    return _Drift(float(np.hypot(red.size, blue.size)), saturation.size, sharpness.size, largest.at)


def _beyond_first(curve: Floats, judged: Bools, first: int) -> ChangePoint:
    """Return the change of a curve [T] in the frames `judged` [T], less its range in the `first` ones; none that explains too little."""
    (change,) = curve_changes([curve], judged)
    early = curve[:first][np.isfinite(curve[:first]) & judged[:first]]
    left = abs(change.size) - float(np.ptp(early)) if len(early) > 1 else 0.0
    if change.explained < _EXPLAINED or left <= 0:
        return NO_CHANGE
    return replace(change, size=left * float(np.sign(change.size)))


def _boxes(tracks: Tracks, thing: str) -> Floats:
    """Return a thing's box [T, 4], of several the largest one's; NaN where none is seen."""
    ids = np.array(named.tracks_of(tracks, thing))
    best = ids[np.argmax(np.where(tracks.visible[ids], tracks.area[ids], -1.0), axis=0)]
    return np.asarray(tracks.box[best, np.arange(tracks.frames)])


def _middle(box: Floats) -> Floats:
    """Return the middle of boxes [T, 4], half as wide and high, which shows little of what is around; all of a box that is small."""
    middle, sides = (box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]
    kept = np.minimum(np.maximum(sides / 2, _LEAST_MIDDLE), sides) / 2
    return np.concatenate([middle - kept, middle + kept], axis=1)
