"""Edits of a source clip by text that put the same objects and their motion in other surroundings."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import cv2
import numpy as np

from sora_eval.alignment.align import given_frames
from sora_eval.probes import helpers
from sora_eval.probes.base import Draft, UnjudgeableError, Verdict
from sora_eval.probes.editing.shared import Editing, there
from sora_eval.probes.editing.source import against, at, outline_kept, seen_share, source_tracks
from sora_eval.tracking.surroundings import light
from sora_eval.types import Bools, Case, Floats, Frames, Mode, Tracks, Video
from sora_eval.video import resample, resize
from sora_eval.world.families.backgrounds import EDITS, GROUND_FROM, Backgrounds, BackgroundsParams, Ground

_SIDE = 64
"""Shorter side in pixels at which surroundings are looked at."""
_GRID = 8
"""Blocks per side whose mean colours are looked at: leaves and planks are lost in them, a strip that was left out is not."""
_LEAST_SHARE = 0.5
"""Share of a block's pixels in a frame that must lie outside of the objects."""
_AROUND = 0.35
"""Margin around objects, as a share of their width, that is not looked at: edges and shadows."""
_HUES: dict[Ground, tuple[float, float, float, float]] = {
    "grass": (48.0, 56.0, 165.0, 185.0),
    "wood": (4.0, 12.0, 44.0, 52.0),
}
"""Hues in degrees: outside of the first and the last a ground is not of the material; between the second and the third it may be."""
_SATURATED: dict[Ground, tuple[float, float]] = {"grass": (0.10, 0.16), "wood": (0.12, 0.18)}
"""Saturations: below the first a ground is not of the material, from the second on it may be."""
_BARE = (0.15, 0.24)
"""Saturations: up to the first a ground is grey, above the second it is not."""
_DIM = (0.55, 0.80)
"""Brightness as a share of that by day: up to the first it is night, above the second it is not."""
_DARK = 20.0
"""Grey levels below which nothing is said of a hue."""
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
        post = next(iter(tracks.called(p.post.colour, p.post.shape)), None)
        width, post_width = (helpers.width(source, i, source.visible[i]) / min(source.size) for i in (own, beside))
        off, way = against(tracks, hero, source, own)
        post_off = np.inf if post is None else against(tracks, post, source, beside)[0]
        seen, due = (seen_share(t, p.post.colour) for t in (tracks, source))
        given = resample(Video(given_frames(case), case.fps), video.fps, len(video)).frames
        t_s = helpers.times(tracks)
        boxes = [at(t_s, source.box[i], source.fps) / np.tile(source.size[::-1], 2) for i in (own, beside)]
        boxes += [tracks.box[i] / np.tile(tracks.size[::-1], 2) for i in (hero, post) if i is not None]
        asked = _as_asked(p, video, given, boxes, width)
        if (unsure := float(np.isnan(asked).mean())) > _UNSURE:
            raise UnjudgeableError(f"of {unsure:.0%} of the picture it is not known whether it is {_words(p)}")
        share = np.nanmean(asked, axis=1)
        parts = {
            "changed": helpers.ramp_score(1 - float(share.mean()), 0.12, 0.5),
            "all_along": helpers.ramp_score(1 - float((share >= 0.7).mean()), 0.06, 0.4),
            "there": there(tracks, hero, np.ones(len(video), dtype=bool)),
            "same_shape": outline_kept(tracks, hero, source, own),
            "place": helpers.ramp_score(off / width, 0.3, 1.0),
            "motion": helpers.ramp_score(abs(1 - way), 0.25, 1.0),
            "beside": helpers.ramp_score(1 - seen / due, 0.4, 0.8),
            "beside_place": helpers.ramp_score(post_off / post_width, 0.35, 1.0),
        }
        return Verdict(helpers.product(parts), {**parts, "way": way, "as_asked": float(share.mean())})


def _words(p: BackgroundsParams) -> str:
    return "night" if p.background.time == "night" else p.background.ground


def _as_asked(p: BackgroundsParams, video: Video, given: Frames, boxes: list[Floats], width: float) -> Floats:
    """Return whether blocks of frames are as the prompt has them [T, N]: 1 yes, 0 no, NaN where that can't be told.

    given: the source clip [T, H, W, 3] at the same moments; boxes: of the objects in both clips, shares of the frame, [T, 4] each.
    """
    size = video.size
    scale = _SIDE / min(size)
    small = (round(size[0] * scale), round(size[1] * scale))
    outside = np.ones((len(video), *small), dtype=bool)
    for box in boxes:
        for k, edges in enumerate(box * np.tile(small[::-1], 2)):
            if np.isfinite(edges).all():
                x0, y0, x1, y1 = (round(float(v)) for v in edges + _AROUND * width * _SIDE * np.array([-1, -1, 1, 1]))
                outside[k, max(0, y0) : y1 + 1, max(0, x0) : x1 + 1] = False
    clip, source = (_block_means(resize(f, small), outside) for f in (video.frames, given))
    if p.background.time == "night":
        return _as_night(clip, source)
    floor = slice(int(np.ceil(GROUND_FROM * _GRID)), None)
    if p.background.ground != "grass" and light(video.frames) is not None:
        raise UnjudgeableError("the whole picture has one tint, that of wood or of warm light")
    verdict = _as_ground(clip[:, floor].reshape(len(clip), -1, 3), p.background.ground)
    if p.before.time == "night":
        bright = _as_night(source, clip)
        return np.concatenate([verdict, bright], axis=1)
    return verdict


def _as_night(dark: Floats, bright: Floats) -> Floats:
    """Return whether blocks [T, R, C, 3] are darker by as much as night is than day [T, R * C]."""
    ratio = (dark.mean(axis=-1) + 1) / (bright.mean(axis=-1) + 1)
    return _graded(ratio, (-np.inf, -np.inf, *_DIM)).reshape(len(ratio), -1)


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
