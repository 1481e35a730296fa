"""Edits of a source clip by text: what the prompt changes is changed, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from sora_eval.alignment.align import given_frames
from sora_eval.probes import helpers
from sora_eval.probes.base import Draft, UnjudgeableError, Verdict
from sora_eval.probes.editing.shared import Editing, there
from sora_eval.tracking.surroundings import neutral
from sora_eval.tracking.world import track
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
        source = _source_tracks(_key(case))
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
        off, way = _against(tracks, hero, source, own)
        boxes = _boxes(video, tracks, hero), _at(np.arange(len(video)) / video.fps, source.box[own], source.fps)
        rest = _surroundings(neutral_frames(case, video), video.frames, boxes, source.size, width)
        beside, due = (_seen_share(t, p.post.colour) for t in (tracks, source))
        if due < 0.3:
            raise UnjudgeableError(f"the {p.post.noun} can't be followed in the source clip")
        parts = {
            "changed": helpers.ramp_score(unedited, 0.05, 0.4),
            "there": there(tracks, hero, np.ones(len(video), dtype=bool)),
            "same_shape": _outline_kept(tracks, hero, source, own),
            "place": helpers.ramp_score(off / width, 0.3, 1.0),
            "motion": helpers.ramp_score(abs(1 - way), 0.25, 1.0),
            "beside": helpers.ramp_score(1 - beside / due, 0.3, 0.8),
            "rest_kept": helpers.ramp_score(rest, 12.0, 40.0),
        }
        return Verdict(helpers.product(parts), {**parts, "way": way, "rest_off": rest})


def _key(case: Case) -> str:
    return json.dumps(replace(case, id="any", twin="", seed=0, sample=0).to_json())


@lru_cache(maxsize=16)
def _source_tracks(case_json: str) -> Tracks:
    case = Case.from_json(json.loads(case_json))
    return track(Video(given_frames(case), case.fps))


def neutral_frames(case: Case, video: Video) -> Frames:
    """Return the source clip in white light at the moments of a clip's frames [T, H, W, 3]."""
    source = neutral(Video(given_frames(case), case.fps))
    return resample(source, video.fps, len(video)).frames


def _at(t_s: Floats, values: Floats, fps: float) -> Floats:
    """Return rows of values [T, n] at moments [m] in seconds: those of the nearest frame."""
    return np.asarray(values[np.clip(np.rint(t_s * fps).astype(int), 0, len(values) - 1)])


def _against(tracks: Tracks, i: int, source: Tracks, j: int) -> tuple[float, float]:
    """Return the distance of two tracks as a share of the shorter side that a quarter of the frames exceeds, and the ratio of their ways
    along x.

    Raises:
        UnjudgeableError: they are not seen in the same frames.
    """
    t_s = helpers.times(tracks)
    own = (tracks.xy[i] + 0.5) / np.array(tracks.size[::-1])
    other = (_at(t_s, source.xy[j], source.fps) + 0.5) / np.array(source.size[::-1])
    both = np.isfinite(own[:, 0]) & np.isfinite(other[:, 0])
    if both.sum() < 4:
        raise UnjudgeableError("the object is not seen in four of the frames that show it in the source clip")
    scale = np.array(source.size[::-1]) / min(source.size)
    off = float(np.percentile(np.linalg.norm((own - other)[both] * scale, axis=1), 75))
    slopes = [float(np.polyfit(t_s[both], v[both, 0], 1)[0]) for v in (own, other)]
    return off, slopes[0] / slopes[1] if slopes[1] else 0.0


def _seen_share(tracks: Tracks, colour: str) -> float:
    """Return the share of frames that show a colour's most visible track, 0 without one."""
    ids = tracks.of(colour)
    return float(tracks.visible[ids[0]].mean()) if ids else 0.0


def _outline_kept(tracks: Tracks, i: int, source: Tracks, j: int) -> float:
    """Return how alike the outlines of two tracks are: aspect and extent, medians over the frames in which they are whole.

    Raises:
        UnjudgeableError: an outline is not known.
    """
    looks = []
    for track_set, k in ((tracks, i), (source, j)):
        whole = helpers.clear(track_set, k, [])
        values = [track_set.shape[name][k][whole] for name in ("aspect", "extent")]
        if not all(np.isfinite(v).any() for v in values):
            raise UnjudgeableError("the outline of the object is not known")
        looks.append([float(np.nanmedian(v)) for v in values])
    (aspect, extent), (other_aspect, other_extent) = looks
    off = max(abs(float(np.log(aspect / other_aspect))), 2.5 * abs(extent - other_extent))
    return helpers.ramp_score(off, 0.45, 0.75)


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
