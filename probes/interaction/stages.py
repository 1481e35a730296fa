"""Lasting changes in stages: what is there before, when each cause comes, when its effect does, and what else changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.base import Probe, UnjudgeableError, Verdict
from sora_eval.probes.changes import near, read_change, steady
from sora_eval.types import Bools, Floats, Tracks
from sora_eval.world.families.params import SIGN, Side

CHANGES = ("change_reverts", "effect_before_cause", "never_happens", "bystander_changes")
"""The faults that every probe of the suite must detect."""
_IN_SIGHT = 0.5
"""Share of a region that must be uncovered for its state to be read."""


@dataclass(frozen=True)
class Stage:
    """One step of a change: a part of the picture that goes from a first state to a last one."""

    done: Floats
    """How far it has changed [T], 0 not at all, 1 as it is in the end."""
    clear: Bools
    """Where that is clear to see [T]."""
    cause: int
    """The first frame in which its cause is there."""


class LastingChange(Probe):
    """A probe of a change with a cause, in one or several stages, beside a block that has no part in it."""

    suite = "interaction"
    version = 2
    continued = True
    source = "effects of interactions that persist: Brooks et al. 2024; state change read as order, place, permanence and isolation"
    violations = CHANGES
    slack: ClassVar[float] = 0.05
    """Time that each stage of the change may take of itself, as a share of the clip."""

    def verdict(self, stages: Sequence[Stage], bystander: float, tracks: Tracks, **more: float) -> Verdict:
        """Return the product of what holds of all stages, of the bystander's steadiness and of the further parts `more`.

        Raises:
            UnjudgeableError: a stage is not clear to see both before and after its cause.
        """
        parts = self.stage_parts(stages, tracks.fps) | {"rest": bystander} | more
        return Verdict(helpers.product(parts), parts)

    def stage_parts(self, stages: Sequence[Stage], fps: float) -> dict[str, float]:
        """Return the parts of the score that the stages give, each that of its worst stage."""
        changes = [read_change(s.done, s.clear, s.cause, fps, self.slack * len(s.done) / fps) for s in stages]
        before = [float(np.median(s.done[np.flatnonzero(s.clear[: s.cause])[:3]])) for s in stages]
        return {
            "before": helpers.ramp_score(max(before), 0.25, 0.6),
            "order": min(c.ordered for c in changes),
            "happened": min(c.happened for c in changes),
            "prompt": min(c.prompt for c in changes),
            "kept": min(c.kept for c in changes),
        }


def bystander_stays(tracks: Tracks, colour: str, *actors: int) -> float:
    """Return the score of a block of a colour that keeps its place and size and stays in view, 0 to 1.

    actors: tracks that may hide it; frames in which one of them is before it do not count.

    Raises:
        UnjudgeableError: there is no such block, or it is hidden in most frames.
    """
    i = helpers.find_object(tracks, colour, "block", 0.3)
    return stays(tracks, i, *actors)


def stays(tracks: Tracks, i: int, *actors: int) -> float:
    """Return the score of a track that keeps its place and size and stays in view, 0 to 1; actors: as in `bystander_stays`.

    Raises:
        UnjudgeableError: it is hidden in most frames.
    """
    home = np.nanmedian(tracks.box[i], axis=0)
    free = np.ones(tracks.frames, dtype=bool)
    for j in actors:
        free &= ~(near(tracks.box[j], home, 1.0) & tracks.visible[j])
    if free.mean() < 0.5:
        raise UnjudgeableError("what must not change is hidden in most frames")
    seen = tracks.visible[i] & free
    return steady(tracks, i, seen) * helpers.ramp_score(1 - float(tracks.visible[i][free].mean()), 0.05, 0.3)


def on_side(tracks: Tracks, colour: str, side: Side, what: str = "block") -> None:
    """Check that an object is on a side of the frame.

    Raises:
        UnjudgeableError: it is on the other one.
    """
    i = helpers.find_object(tracks, colour, what, 0.3)
    x = float(np.nanmedian(tracks.xy[i, :, 0])) - tracks.size[1] / 2
    if x * SIGN[side] < 0:
        raise UnjudgeableError(f"the {colour} {what} does not stand on the {side}")


def stage_of(done: Floats, region: Floats, open_: Bools, cause: int, there: Bools | None = None) -> Stage:
    """Return a stage from the degree of change of each pixel.

    done: [T, h, w], 0 to 1; region: weights [h, w] of the stage's pixels; open_: [T, h, w] where nothing covers them.
    there: [T] while the cause is there, and the change may come at any moment; None where it must follow at once.
    """
    seen = (region * open_).sum(axis=(1, 2))
    degree = (done * region * open_).sum(axis=(1, 2)) / np.maximum(seen, 1e-6)
    clear = seen > _IN_SIGHT * float(region.sum())
    return Stage(np.clip(degree, 0, 1), clear if there is None else clear & ~there, cause)


def box_of(region: Bools) -> tuple[int, int, int, int]:
    """Return the box (x0, y0, x1, y1) of a region [h, w], its last pixels included."""
    ys, xs = np.nonzero(region)
    return int(xs.min()), int(ys.min()), int(xs.max()), int(ys.max())


def dilated(region: Bools, pixels: int) -> Bools:
    """Return a region [h, w] grown by some pixels on every side."""
    return cv2.dilate(region.astype(np.uint8), np.ones((2 * pixels + 1,) * 2, np.uint8)).astype(bool)


def lasting(done: Floats, share: float = 0.15) -> Bools:
    """Return the pixels [h, w] that are changed (done [T, h, w] above a half) for a share of the clip, two frames at least."""
    return np.asarray((done > 0.5).sum(axis=0) >= max(2.0, share * len(done)))


def parts_of(region: Bools, least: float = 0.2) -> list[Bools]:
    """Return the connected parts of a region [h, w] from left to right: those of at least a share of the largest one's area."""
    count, labels, stats, centres = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)
    if count < 2:
        return []
    area = stats[1:, cv2.CC_STAT_AREA]
    kept = [i for i in range(1, count) if area[i - 1] >= max(least * area.max(), 4)]
    return [np.asarray(labels == i) for i in sorted(kept, key=lambda i: float(centres[i][0]))]


def in_turn(causes: Sequence[int]) -> float:
    """Return the share of neighbouring stages whose causes come in their order."""
    return float(np.mean(np.diff(causes) > 0)) if len(causes) > 1 else 1.0


def as_many(found: int, asked: int) -> float:
    """Return the score of a number of stages: 1 for the number asked for, 0 from one in three too many or too few on."""
    return helpers.ramp_score(abs(found - asked) / asked, 0.0, 0.34)


def at_first(tracks: Tracks, colour: str, what: str) -> Floats:
    """Return the box [4] of the largest object of a colour in the first frame.

    Raises:
        UnjudgeableError: there is none.
    """
    ids = [i for i in tracks.called(colour, what) if tracks.visible[i, 0]]
    if not ids:
        raise UnjudgeableError(f"no {colour} {what} is to be seen at the beginning")
    return np.asarray(tracks.box[max(ids, key=lambda i: float(tracks.area[i, 0])), 0])


def within(size: tuple[int, ...], box: Floats, pixels: int = 2) -> Bools:
    """Return a mask [h, w] of a box and some pixels on every side of it."""
    x0, y0, x1, y1 = (round(float(v)) for v in box)
    mask = np.zeros(size, dtype=bool)
    mask[max(y0 - pixels, 0) : y1 + pixels + 1, max(x0 - pixels, 0) : x1 + pixels + 1] = True
    return mask


def apart_from_ground(first: Floats, box: Floats, what: str) -> None:
    """Check that a colour, by its weights [h, w] in the first frame, is that of an object in a box and not of its surroundings too.

    Raises:
        UnjudgeableError: what is behind the object would be taken for it: beside it there is a quarter as much of its colour and more,
            or close around it a tenth of all.
    """
    inside = within(first.shape, box)
    close = within(first.shape, box, 6) & ~inside
    if first[~inside].sum() > 0.25 * first[inside].sum() or (close.any() and first[close].mean() > 0.1):
        raise UnjudgeableError(f"the surroundings have the hue of the {what}")
