"""Edits of a source clip by text: what the prompt changes is changed, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from sora_eval.alignment.align import given_frames
from sora_eval.probes import helpers
from sora_eval.probes.base import Draft, UnjudgeableError, Verdict
from sora_eval.probes.editing.shared import Editing, there
from sora_eval.probes.editing.source import against, at, outline_kept, seen_share, source_tracks
from sora_eval.tracking.surroundings import neutral
from sora_eval.types import Bools, Case, Floats, Frames, Mode, Tracks, Video
from sora_eval.video import resample, resize
from sora_eval.world.families.edited import EditedParams

_SIDE = 64
"""Shorter side in pixels at which surroundings are compared."""
_GRID = 8
"""Blocks per side of which the one that differs most counts: a small thing that was redrawn is lost in the mean of a picture."""
_LEAST_SHARE = 0.25
"""Share of a block's pixels, over all frames, that must lie outside of what was to be changed."""
_AROUND = 0.35
"""Margin around the object, as a share of its width, in which pixels are not compared: its edges and its shadow."""


class Recolour(Editing):
    """A source clip in which one object is to get another colour."""

    name = "recolour"
    scenes = "edited"
    claim = "edited by a prompt that gives an object another colour, a clip has that colour, the same motion, and all else as it was"
    modes: ClassVar[tuple[Mode, ...]] = ("edit",)
    violations: ClassVar[tuple[str, ...]] = ("half_edited", "moves_otherwise", "recolours_another", "redraws_all")

    def draft(self, rng: np.random.Generator, flip: bool) -> Draft:
        """Return a random case; the prompt describes the clip as it is to be."""
        drawn = super().draft(rng, flip)
        assert isinstance(drawn.params, EditedParams)
        return replace(drawn, source=drawn.params.source)

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the change, and place, motion and surroundings against the source clip."""
        p = EditedParams.of(case)
        if case.mode != "edit":
            raise UnjudgeableError("there is no source clip")
        source = source_tracks(case)
        own = helpers.find_object(source, p.before, p.hero.shape, 0.2, ())
        width = helpers.width(source, own, source.visible[own]) / min(source.size)
        old = tracks.of(p.before)
        least = 0.3 * (width * min(video.size)) ** 2
        unedited = (
            float(np.any([tracks.visible[i] & (tracks.area[i] >= least) for i in old], axis=0).mean()) if old else 0.0
        )
        if not tracks.called(p.hero.colour, p.hero.shape) and unedited > 0.5:
            return Verdict(0.0, {"changed": 0.0})
        hero = helpers.find_object(tracks, p.hero.colour, p.hero.shape, 0.3, ())
        off, way = against(tracks, hero, source, own)
        boxes = _boxes(video, tracks, hero), at(np.arange(len(video)) / video.fps, source.box[own], source.fps)
        rest = _surroundings(neutral_frames(case, video), video.frames, boxes, source.size, width)
        beside, due = (seen_share(t, p.post.colour) for t in (tracks, source))
        if due < 0.3:
            raise UnjudgeableError(f"the {p.post.noun} can't be followed in the source clip")
        parts = {
            "changed": helpers.ramp_score(unedited, 0.05, 0.4),
            "there": there(tracks, hero, np.ones(len(video), dtype=bool)),
            "same_shape": outline_kept(tracks, hero, source, own),
            "place": helpers.ramp_score(off / width, 0.3, 1.0),
            "motion": helpers.ramp_score(abs(1 - way), 0.25, 1.0),
            "beside": helpers.ramp_score(1 - beside / due, 0.3, 0.8),
            "rest_kept": helpers.ramp_score(rest, 12.0, 40.0),
        }
        return Verdict(helpers.product(parts), {**parts, "way": way, "rest_off": rest})


def neutral_frames(case: Case, video: Video) -> Frames:
    """Return the source clip in white light at the moments of a clip's frames [T, H, W, 3]."""
    source = neutral(Video(given_frames(case), case.fps))
    return resample(source, video.fps, len(video)).frames


def _boxes(video: Video, tracks: Tracks, i: int) -> Floats:
    """Return the boxes [T, 4] of a track as shares of the frame."""
    height, width = video.size
    return np.asarray((tracks.box[i] + 0.5) / np.array([width, height, width, height]))


def _surroundings(
    source: Frames, frames: Frames, boxes: tuple[Floats, Floats], size: tuple[int, int], width: float
) -> float:
    """Return the mean difference in levels of the block that differs most of two clips [T, H, W, 3], outside of what was to be changed.

    boxes: of it in the clip, as shares of the frame, and in the source clip, in pixels of `size`, [T, 4] each.
    """
    scale = _SIDE / min(size)
    small = (round(size[0] * scale), round(size[1] * scale))
    a, b = (_blurred(resize(f, small)) for f in (source, frames))
    outside = np.ones(a.shape[:3], dtype=bool)
    sides = np.array([size[1], size[0], size[1], size[0]])
    margin = _AROUND * width * _SIDE
    for box in (boxes[0], (boxes[1] + 0.5) / sides):
        for k, edges in enumerate(box * np.array([small[1], small[0], small[1], small[0]])):
            if np.isfinite(edges).all():
                x0, y0, x1, y1 = (round(float(v)) for v in edges + margin * np.array([-1, -1, 1, 1]))
                outside[k, max(0, y0) : y1 + 1, max(0, x0) : x1 + 1] = False
    difference = np.abs(a - b).mean(axis=3)
    return max(_blocks(difference, outside), default=0.0)


def _blocks(difference: NDArray[np.float32], outside: Bools) -> list[float]:
    """Return the mean difference of each block of a grid, of those that lie outside for long enough."""
    means = []
    rows, columns = (np.array_split(np.arange(n), _GRID) for n in difference.shape[1:])
    for y in rows:
        for x in columns:
            inside = outside[:, y[0] : y[-1] + 1, x[0] : x[-1] + 1]
            if inside.mean() >= _LEAST_SHARE:
                means.append(float(difference[:, y[0] : y[-1] + 1, x[0] : x[-1] + 1][inside].mean()))
    return means


def _blurred(frames: Frames) -> NDArray[np.float32]:
    return np.array([cv2.GaussianBlur(f.astype(np.float32), (0, 0), 0.8) for f in frames])
