"""Edits of a source clip by text that put the same objects and their motion in other surroundings."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import ClassVar

import cv2
import numpy as np

from sora_eval.alignment.align import given_frames
from sora_eval.probes import helpers
from sora_eval.probes.base import Draft, UnjudgeableError, Verdict
from sora_eval.probes.changes import near
from sora_eval.probes.editing.shared import Editing
from sora_eval.probes.editing.source import against, at, outline_kept, source_tracks
from sora_eval.tracking.surroundings import light
from sora_eval.types import Bools, Case, Floats, Frames, Mode, Tracks, Video
from sora_eval.video import resample, resize
from sora_eval.world.families.backgrounds import EDITS, GROUND_FROM, Backgrounds, BackgroundsParams, Ground
from sora_eval.world.palette import COLOURS, hues_apart

_SIDE = 64
"""Shorter side in pixels at which surroundings are looked at."""
_GRID = 8
"""Blocks per side whose mean colours are looked at: leaves and planks are lost in them, a strip that was left out is not."""
_LEAST_SHARE = 0.5
"""Share of a block's pixels in a frame that must lie outside of the objects."""
_AROUND = 0.35
"""Margin around objects, as a share of their width, that is not looked at: edges and shadows."""
_HUES: dict[Ground, tuple[float, float, float, float]] = {
    "grass": (38.0, 56.0, 165.0, 185.0),
    "wood": (4.0, 12.0, 44.0, 60.0),
}
"""Hues in degrees: outside of the first and the last a ground is not of the material; between the second and the third it may be."""
_SATURATED: dict[Ground, tuple[float, float]] = {"grass": (0.10, 0.16), "wood": (0.12, 0.18)}
"""Saturations: below the first a ground is not of the material, from the second on it may be."""
_BARE = (0.15, 0.32)
"""Saturations: up to the first a ground is grey, above the second it is not, in no light."""
_UNCHANGED = 8.0
"""Mean difference in levels from the source clip up to which a ground is that of the source clip."""
_NIGHT = (0.55, 0.80)
"""Brightness as a share of that of the source clip by day: up to the first it is night, above the second it is not."""
_DAY = (0.70, 0.95)
"""Brightness of the source clip at night as a share of the clip's: up to the first it is day, above the second it is not."""
_DARK = 20.0
"""Grey levels below which nothing is said of a hue."""
_CONTRAST = (6.0, 0.2)
"""Difference in levels of a place from what is around it from which on there is something: the first, and the second times the levels."""
_FAR_HUE = 2
"""Places in the circle of hues from which on something has another colour than it should: light shifts it by one."""
_FLOOR = slice(int(np.ceil(GROUND_FROM * _GRID)), None)
"""Rows of blocks that show ground."""
_MOST = 0.7
"""Share of the blocks of a frame that must be as asked for the frame to be."""
_PART = 0.8
"""Width as a share of that in the source clip below which an object with another outline is taken to be hidden in part by the dark."""
_UNSURE = 0.35
"""Share of the picture of which it is not known what it shows, from which on a clip is not judged."""


class ChangeBackground(Editing):
    """A source clip whose objects are to be in other surroundings: on grass, on wood or on bare tiles, by day or at night."""

    name = "change_background"
    scenes = "backgrounds"
    claim = "edited by a prompt with other surroundings, a clip is all over in these, with the same objects in the same places and motion"
    modes: ClassVar[tuple[Mode, ...]] = ("edit",)
    violations: ClassVar[tuple[str, ...]] = (
        "changes_in_part", "changes_back", "changes_faintly", "moves_otherwise", "recolours_another", "displaces_another",
    )  # fmt: skip
    in_white_light = False

    def drafts(self, count: int, seed: int) -> list[Draft]:
        """Return the drafts of `count` cases, in pairs of twins whose edits are opposite; the kinds of edits take turns."""
        return [self._of_edit(self._rng(seed, i // 2), bool(i % 2), seed + i // 2) for i in range(count)]

    def draft(self, rng: np.random.Generator, flip: bool) -> Draft:
        """Return a random case; the prompt describes the clip as it is to be."""
        return self._of_edit(rng, flip, None)

    def _of_edit(self, rng: np.random.Generator, flip: bool, kind: int | None) -> Draft:
        p = Backgrounds().sample(rng, None if kind is None else EDITS[kind % len(EDITS)])
        if flip:
            p = replace(p.mirrored(), before=p.background, background=p.before)
        return Draft(self.family.name, p, self.family.caption(p, rng), source=p.source)

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the surroundings by their colours and brightness, and places and motion of the objects against the source clip."""
        p = BackgroundsParams.of(case)
        if case.mode != "edit":
            raise UnjudgeableError("there is no source clip")
        source = source_tracks(case)
        own, beside = (helpers.find_object(source, t.colour, t.shape, 0.3, ()) for t in (p.hero, p.post))
        hero = helpers.find_object(tracks, p.hero.colour, p.hero.shape, 0.3, ())
        t_s = helpers.times(tracks)
        boxes = [at(t_s, _box(source, i), source.fps) for i in ([own], source.of(p.post.colour))]
        width, post_width = (helpers.width(source, i, source.visible[i]) / min(source.size) for i in (own, beside))
        off, way = against(tracks, hero, source, own)
        missing, lost = (
            _missing(video, tracks, t.noun, t.colour, box, other)
            for t, box, other in ((p.hero, boxes[0], None), (p.post, boxes[1], boxes[0]))
        )
        posts = tracks.of(p.post.colour)
        post_off = _off(tracks, posts, source, source.of(p.post.colour)) if lost < 1 else np.inf
        boxes += [_box(tracks, [i]) for i in (hero, *posts)]
        given = resample(Video(given_frames(case), case.fps), video.fps, len(video)).frames
        asked, outside = _as_asked(p, video, given, boxes, width)
        if not outside.any(axis=1).all():
            raise UnjudgeableError("objects take up the whole picture")
        if (unsure := float(np.isnan(asked[outside]).mean())) > _UNSURE:
            what = "it is night" if p.background.time == "night" else f"the ground is {p.background.ground}"
            raise UnjudgeableError(f"in {unsure:.0%} of the picture it is unclear whether {what}")
        outline = outline_kept(tracks, hero, source, own)
        if outline < 0.5 and helpers.width(tracks, hero, tracks.visible[hero]) / min(tracks.size) < _PART * width:
            raise UnjudgeableError(f"a part of the {p.hero.noun} can't be distinguished from the surroundings")
        share = np.nan_to_num(np.nanmean(np.where(outside, asked, np.nan), axis=1))
        parts = {
            "changed": helpers.ramp_score(1 - float(share.mean()), 0.12, 0.5),
            "all_along": helpers.ramp_score(1 - float((share >= _MOST).mean()), 0.06, 0.4),
            "there": helpers.ramp_score(missing, 0.05, 0.4),
            "same_shape": outline,
            "place": helpers.ramp_score(off / width, 0.3, 1.0),
            "motion": helpers.ramp_score(abs(1 - way), 0.25, 1.0),
            "beside": helpers.ramp_score(lost, 0.3, 0.7),
            "beside_place": helpers.ramp_score(post_off / post_width, 0.35, 1.0),
        }
        return Verdict(helpers.product(parts), {**parts, "way": way, "as_asked": float(share.mean())})


def _box(tracks: Tracks, ids: list[int]) -> Floats:
    """Return the boxes [T, 4] of an object as shares of the frame, of the first of its tracks that is seen; NaN where none is."""
    box = np.full((tracks.frames, 4), np.nan)
    for i in reversed(ids):
        box = np.where(tracks.visible[i][:, None], tracks.box[i], box)
    return np.asarray((box + 0.5) / np.tile(tracks.size[::-1], 2))


def _off(tracks: Tracks, ids: list[int], source: Tracks, others: list[int]) -> float:
    """Return the least of the distances of tracks of an object from those in the source clip, as `against` has it: one that was hidden for
    a while may have several.

    Raises:
        UnjudgeableError: none are seen in the same frames.
    """
    found: list[float] = []
    for i, j in product(ids, others):
        with suppress(UnjudgeableError):
            found.append(against(tracks, i, source, j)[0])
    if not found:
        raise UnjudgeableError("what stands behind is never seen in the frames that show it in the source clip")
    return min(found)


def _missing(video: Video, tracks: Tracks, noun: str, colour: str, boxes: Floats, before: Floats | None) -> float:
    """Return the share of frames in which an object is not there any more, of those that tell.

    A frame in which the tracker doesn't find it, but something is where it should be, tells nothing: its hue may be lost in the new
    light. If that has quite another colour, the object is not there. boxes: [T, 4], where the source clip shows it, shares of the frame,
    NaN where it doesn't; before: the same of what may hide it.

    Raises:
        UnjudgeableError: too few frames tell.
    """
    names = list(COLOURS)
    k_own, sides = names.index(colour), np.tile(video.size[::-1], 2)
    centre = (tracks.xy + 0.5) / np.array(tracks.size[::-1])
    seen = (
        np.any([tracks.visible[i] for i in tracks.of(colour)], axis=0)
        if tracks.of(colour)
        else np.zeros(tracks.frames, bool)
    )
    far = [i for i, c in enumerate(tracks.colour) if c in names and hues_apart(names.index(c), k_own) >= _FAR_HUE]
    told: list[bool] = []
    due = np.isfinite(boxes).all(axis=1)
    if before is not None:
        due &= seen | ~near(boxes, before, 0.0)
    for k in np.flatnonzero(due):
        x0, y0, x1, y1 = boxes[k]
        other = any(tracks.visible[i, k] and x0 <= centre[i, k, 0] <= x1 and y0 <= centre[i, k, 1] <= y1 for i in far)
        if seen[k] or other or not _stands_out(video.frames[k], boxes[k] * sides):
            told.append(not seen[k])
    if 2 * len(told) < due.sum() or len(told) < 4:
        raise UnjudgeableError(f"the {noun} can't be followed in the clip, or not in the source clip")
    return float(np.mean(told))


def _stands_out(frame: Frames, box: Floats) -> bool:
    """Return whether there is something in a box x0, y0, x1, y1 of a frame [H, W, 3]: its middle differs from both sides.

    Above and below it may not: there a floor may end.
    """
    x0, y0, x1, y1 = (float(v) for v in box)
    dx, dy = x1 - x0, y1 - y0
    rows = frame[max(0, round(y0 + 0.25 * dy)) : max(0, round(y1 - 0.25 * dy)) + 1]
    x = np.arange(frame.shape[1]) + 0.5
    far = (x - (x0 + x1) / 2) / dx
    parts = [
        rows[:, np.abs(far) <= 0.25],
        rows[:, (far >= -1.0) & (far <= -0.65)],
        rows[:, (far >= 0.65) & (far <= 1.0)],
    ]
    if not parts[0].size:
        return True
    middle, *sides = (np.median(part, axis=(0, 1)) for part in parts if part.size)
    least, share = _CONTRAST
    # What passes on one side is no surroundings.
    return all(np.abs(middle - side).max() > max(least, share * max(middle.max(), side.max())) for side in sides)


def _as_asked(
    p: BackgroundsParams, video: Video, given: Frames, boxes: list[Floats], width: float
) -> tuple[Floats, Bools]:
    """Return whether blocks of frames are as the prompt has them [T, N], 1 yes, 0 no, NaN where that can't be told, and which lie outside
    of the objects [T, N].

    given: the source clip [T, H, W, 3] at the same moments; boxes: of the objects in both clips, shares of the frame, [T, 4] each.

    Raises:
        UnjudgeableError: the clip's light may be its ground's colour.
    """
    scale = _SIDE / min(video.size)
    small = (round(video.size[0] * scale), round(video.size[1] * scale))
    outside = np.ones((len(video), *small), dtype=bool)
    for box in boxes:
        for k, edges in enumerate(box * np.tile(small[::-1], 2)):
            if np.isfinite(edges).all():
                x0, y0, x1, y1 = (round(float(v)) for v in edges + _AROUND * width * _SIDE * np.array([-1, -1, 1, 1]))
                outside[k, max(0, y0) : y1 + 1, max(0, x0) : x1 + 1] = False
    clip, source = (_block_means(resize(f, small), outside) for f in (video.frames, given))
    known = np.isfinite(clip[..., 0])
    dark, bright = known.reshape(len(clip), -1), known[:, _FLOOR].reshape(len(clip), -1)
    if p.background.time == "night":
        return _darker(clip, source, _NIGHT), dark
    ground = p.background.ground
    if ground != "grass" and light(video.frames) is not None:
        raise UnjudgeableError("the whole picture has one tint, that of wood or of warm light")
    verdict = _as_ground(clip[:, _FLOOR].reshape(len(clip), -1, 3), ground)
    if p.before.time == "day":
        unchanged = np.abs(clip - source).mean(axis=-1)[:, _FLOOR] <= _UNCHANGED
        return np.where(unchanged.reshape(verdict.shape), 0.0, verdict), bright
    lit = _darker(source, clip, _DAY).reshape(known.shape)
    # A dark floor by day is no brighter than a pale one at night.
    lit[:, _FLOOR][lit[:, _FLOOR] == 0] = np.nan
    return np.concatenate([verdict, lit.reshape(dark.shape)], axis=1), np.concatenate([bright, dark], axis=1)


def _darker(dark: Floats, bright: Floats, limits: tuple[float, float]) -> Floats:
    """Return whether blocks [T, R, C, 3] are darker than others [T, R * C]: yes up to the first limit of the ratio, no above the second."""
    ratio = (dark.mean(axis=-1) + 1) / (bright.mean(axis=-1) + 1)
    return _graded(ratio, (-np.inf, -np.inf, *limits)).reshape(len(ratio), -1)


def _as_ground(means: Floats, ground: Ground) -> Floats:
    """Return whether mean colours [T, N, 3] are those of a ground [T, N]."""
    hsv = cv2.cvtColor((np.nan_to_num(means) / 255).astype(np.float32), cv2.COLOR_RGB2HSV)
    hue, saturation = hsv[..., 0].astype(float), hsv[..., 1].astype(float)
    if ground == "tiles":
        told = _graded(saturation, (-np.inf, -np.inf, *_BARE))
    else:
        # NaN, unsure, is passed on unless the other says no.
        each = [_graded(hue, _HUES[ground]), _graded(saturation, (*_SATURATED[ground], np.inf, np.inf))]
        told = np.where(np.any([e == 0 for e in each], axis=0), 0.0, each[0] + each[1] - 1)
    told[~np.isfinite(means[..., 0]) | (means.max(axis=-1) < _DARK)] = np.nan
    return told


def _graded(values: Floats, limits: tuple[float, float, float, float]) -> Floats:
    """Return 1 between the second and the third limit, 0 beyond the first and the last, NaN in between and for NaN."""
    no_low, low, high, no_high = limits
    graded = np.full(values.shape, np.nan)
    graded[(values < no_low) | (values > no_high)] = 0
    graded[(values >= low) & (values <= high)] = 1
    return graded


def _block_means(frames: Frames, outside: Bools) -> Floats:
    """Return the mean colours [T, R, C, 3] of a grid of blocks outside of the objects, NaN where too little is."""
    starts = [(np.arange(_GRID) * n // _GRID) for n in frames.shape[1:3]]

    def summed(values: Floats) -> Floats:
        return np.add.reduceat(np.add.reduceat(values, starts[0], axis=1), starts[1], axis=2)

    inside = outside.astype(float)
    count, every = summed(inside), summed(np.ones_like(inside))
    total = summed(frames * inside[..., None])
    return np.where((count >= _LEAST_SHARE * every)[..., None], total / np.maximum(count, 1)[..., None], np.nan)
