"""Things followed through a clip: detections linked, sure ones kept, and what makes the rest doubtful."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from sora_eval.tracking.natural.detector import Detection
from sora_eval.tracking.natural.linking import Track, filled, link
from sora_eval.tracking.open_vocab.detectors import overlap
from sora_eval.tracking.open_vocab.segmenter import measured
from sora_eval.types import Bools, Box, Floats, Video

_AGREES = 0.5
"""Overlap from which on a mask's box and a detector's box are of one thing."""
_SEEN_TOO = 0.3
"""The same where the detector may be unsure: a thing half hidden."""
_DISAGREES = 0.2
"""Share of the frames looked at in which mask and boxes may disagree."""
_FOLLOWED_TOO = 0.8
"""Share of a track's boxes that another track's mask must follow, so that both are one thing."""

MaskFrom: TypeAlias = Callable[[int, Box], Bools]
"""(frame, box) -> masks [T, H, W] of the thing that is there."""


@dataclass(frozen=True)
class Thing:
    """A thing through a clip of T frames, NaN where it isn't seen."""

    label: str
    """The phrase that names it."""
    box: Floats
    """[T, 4] x0, y0, x1, y1 in pixels."""
    xy: Floats
    """[T, 2] centroid in pixels."""
    area: Floats
    """[T] pixels."""


@dataclass(frozen=True)
class Followed:
    """All that was found."""

    things: tuple[Thing, ...]
    """The longest-visible first."""
    doubt: str
    """Why it isn't known what is there, "" where it is."""


def linked(video: Video, found: Mapping[int, Sequence[Detection]], sure: float) -> tuple[list[Track], str]:
    """Return the tracks of detections, and why they can't be relied on, "" where they can.

    A box with a score below `sure` counts only between frames in which the same thing is sure: in a row of frames without a gap that
    has a sure one. One sure box alone, in a clip of which more frames were looked at, is no thing yet.
    """
    tracks = link(video.frames, found, video.fps, begins=0.0, least=1)
    place = {frame: i for i, frame in enumerate(sorted(found))}
    for track in tracks:
        best = max(track.scores.values())
        if best < sure:
            return [], f"there may be a {track.label}: a score of {best:.2f} is not sure, {sure:.2f} is"
        if len(track.boxes) < 2 <= len(found):
            return [], f"a {track.label} is seen in a single frame, with a score of {best:.2f}"
        frames = sorted(track.boxes)
        runs = np.split(frames, 1 + np.flatnonzero(np.diff([place[k] for k in frames]) > 1))
        for run in runs:
            if (most := max(track.scores[int(k)] for k in run)) < sure:
                return [], f"the {track.label} may be seen again: a score of {most:.2f} is not sure, {sure:.2f} is"
    return tracks, ""


def with_boxes(tracks: Sequence[Track], frames: int, step: int) -> Followed:
    """Return tracks as things whose mask is their box, interpolated between frames that were looked at. step: their distance."""
    things = []
    for track in tracks:
        box = filled(track, frames, step)
        sides = box[:, 2:] - box[:, :2]
        things.append(Thing(track.label, box, (box[:, :2] + box[:, 2:]) / 2, np.nan_to_num(sides.prod(axis=1))))
    return Followed(_longest_first(things), "")


def with_masks(
    tracks: Sequence[Track], found: Mapping[int, Sequence[Detection]], sure: float, mask_from: MaskFrom
) -> Followed:
    """Return tracks as things with the masks that follow from their surest box; doubtful where these leave the detector's boxes.

    A track whose boxes another one's mask follows is the same thing, lost in between.
    """
    things: list[Thing] = []
    for track in sorted(tracks, key=lambda t: -len(t.boxes)):
        own = [t for t in things if t.label == track.label]
        if any(_follows(t, track) for t in own):
            continue
        at = max(track.scores, key=lambda k: (track.scores[k], -k))
        box, xy, area = measured(mask_from(at, track.boxes[at]))
        things.append(Thing(track.label, box, xy, area))
    for thing in things:
        against = [k for k, detections in found.items() if _contradicted(thing, things, k, detections, sure)]
        if len(against) > _DISAGREES * len(found):
            share = 100 * len(against) / len(found)
            return Followed((), f"the mask of the {thing.label} and its boxes disagree in {share:.0f}% of the frames")
    return Followed(_longest_first(things), "")


def _follows(thing: Thing, track: Track) -> bool:
    return float(np.mean([overlap(thing.box[k], b) >= _AGREES for k, b in track.boxes.items()])) >= _FOLLOWED_TOO


def _contradicted(thing: Thing, things: Sequence[Thing], k: int, detections: Sequence[Detection], sure: float) -> bool:
    """Return whether the detector says otherwise in frame k: nothing is where the mask is, or a sure box is where no mask is."""
    own = [d for d in detections if d.label == thing.label]
    seen = bool(np.isfinite(thing.box[k]).all())
    if seen and not any(overlap(thing.box[k], d.box) >= _SEEN_TOO for d in own):
        return True
    masks = [t.box[k] for t in things if t.label == thing.label]
    return any(d.score >= sure and not any(overlap(m, d.box) >= _AGREES for m in masks) for d in own)


def _longest_first(things: Sequence[Thing]) -> tuple[Thing, ...]:
    return tuple(sorted(things, key=lambda t: -int(np.isfinite(t.box).all(axis=1).sum())))
