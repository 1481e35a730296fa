"""Framing: in a picture of any aspect ratio, of a clip or a single image, the subject is whole, large, and where the prompt wants it.

Every second case is the square twin of the one before: the same prompt and about as many pixels, so that reports show what a model loses in
other shapes of frame ("aspect minus square"). Clips are judged as they came, bars and stretched pictures included.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from sora_eval.alignment.bars import letterbox
from sora_eval.errors import ConfigError
from sora_eval.probes import helpers
from sora_eval.probes.base import Draft, Probe, UnjudgeableError, Verdict
from sora_eval.tracking.continuity import spans
from sora_eval.types import Bools, Case, Floats, Frames, Mode, Profile, Tracks, Video
from sora_eval.world.families.framed import FramedParams
from sora_eval.world.families.framed_mover import FramedMoverParams
from sora_eval.world.families.framed_row import FramedRowParams
from sora_eval.world.families.framed_subject import FramedSubject, FramedSubjectParams, Side
from sora_eval.world.families.framed_tower import FramedTowerParams
from sora_eval.world.families.params import SIGN

SQUARE = "1:1"
_RATIO = re.compile(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)")
_MOST_RATIO = 3.0
"""A cube of the right place at the end of a frame of 4:1 looks a fifth wider than it is high, by perspective alone."""
_GRIDS = (32, 16, 8, 4, 2)
"""Multiples that sides of frames may be of, the one that models need most often first."""
_COARSE = 256
"""Shorter side in pixels from which on sides are multiples of 32: of smaller ones that leaves too few shapes."""
_PLACES: dict[str, tuple[float, float]] = {"left": (0.0, 0.36), "middle": (0.4, 0.6), "right": (0.64, 1.0)}
"""From where to where a subject's centre may be, as shares of the width: in the third of the prompt, or around the middle."""
_MOVED = 0.25
"""Way past the posts that is a motion, as a share of the frame's shorter side; the truth goes about 0.9."""
_STEADY = 0.8
"""Correlation of time and place that a steady motion has."""
_FEWEST = 4
"""Frames in which a post must be seen in its full width for its motion to count."""
_JUMP = 0.6
"""Share of the way past a post that goes by from one frame to the next where the subject jumps: 1 at a cut, a third at most in true clips
that show a post in four frames."""
_SAMPLES = 8
_BLACK = 24
"""Grey level that 95% of a black bar's pixels stay below; right inside of it most of the picture has twice as much."""
_SPREAD = 3
"""Pixels by which compression blurs the edge of a bar."""
_ALIKE = "another case may show a subject of the same colour (one in eight) in the same place"
_NO_TIME = "the subject stands still: nothing in the claim depends on the order of frames"
_NO_SIDE = "the prompt names no side"
_STILL_BLIND = dict.fromkeys(("frozen", "shuffled", "reversed", "cut", "crossfade"), _NO_TIME)


def ratio_of(aspect: str) -> float:
    """Return width over height of an aspect ratio such as "16:9".

    Raises:
        ConfigError: it is none, or beyond 1:3 to 3:1.
    """
    match = _RATIO.fullmatch(aspect)
    sides = [float(v) for v in match.groups()] if match else [0.0]
    if not all(sides) or not 1 / _MOST_RATIO <= sides[0] / sides[1] <= _MOST_RATIO:
        raise ConfigError(f"suite.aspects has {aspect!r}: write width:height from 1:3 to 3:1, for example '16:9'")
    return sides[0] / sides[1]


def size_of_aspect(aspect: str, profile: Profile) -> tuple[int, int]:
    """Return the (height, width) nearest to an aspect ratio that has about as many pixels as frames of the profile.

    Sides are multiples of 32, 16 or less, whichever the profile's are, since that is what its models can make; the ratio counts twice as
    much as the number of pixels.
    """
    ratio, area = ratio_of(aspect), profile.height * profile.width
    least = min(profile.height, profile.width)
    grids = (g for g in _GRIDS if profile.height % g == profile.width % g == 0 and (g < _GRIDS[0] or least >= _COARSE))
    grid = next(grids, 1)
    most = int(2 * (area * _MOST_RATIO) ** 0.5) // grid
    heights, widths = np.meshgrid(*[grid * np.arange(1, most + 1)] * 2, indexing="ij")
    cost = 2 * np.abs(np.log(widths / heights / ratio)) + np.abs(np.log(widths * heights / area))
    best = np.unravel_index(int(cost.argmin()), cost.shape)
    return int(heights[best]), int(widths[best])


@dataclass(frozen=True)
class _Seen:
    """What a clip shows of the subject."""

    ids: Sequence[int]
    """Tracks of its parts that were found."""
    box: Floats
    """[T, 4] x0, y0, x1, y1 of its visible parts in pixels, NaN where none is visible."""
    whole: Bools
    """[T], whether all parts are in view and none touches the border."""
    size: tuple[int, int]
    """(height, width) of the frames."""

    @property
    def there(self) -> Bools:
        """[T], whether anything of it is visible."""
        return np.isfinite(self.box[:, 0])

    @property
    def extent(self) -> Floats:
        """Median width and height of its box [2] in pixels."""
        return np.asarray(np.nanmedian(self.box[:, 2:] - self.box[:, :2], axis=0))


def _subject(tracks: Tracks, parts: Sequence[tuple[str, str]]) -> _Seen:
    """Return what is seen of a subject. parts: (colour, noun) of each.

    Raises:
        UnjudgeableError: fewer than half of the parts were found.
    """
    ids, missing = [], []
    for colour, noun in parts:
        try:
            ids.append(helpers.find_object(tracks, colour, noun, 0.2, ()))
        except UnjudgeableError as reason:
            missing.append(str(reason))
    if 2 * len(ids) < len(parts):
        raise UnjudgeableError(missing[0])
    boxes = tracks.box[ids]
    lost = ~np.isfinite(boxes[..., 0]).any(axis=0)
    low, high = np.nan_to_num(boxes[..., :2], nan=np.inf), np.nan_to_num(boxes[..., 2:], nan=-np.inf)
    box = np.concatenate([low.min(axis=0), high.max(axis=0)], axis=1)
    box[lost] = np.nan
    clear = np.array([helpers.clear(tracks, i, []) for i in ids])
    return _Seen(ids, box, np.asarray(clear.all(axis=0) & (not missing)), tracks.size)


class Framing(Probe):
    """What all probes share: cases of several aspect ratios with square twins, and composition measures."""

    suite = "framing"
    source = "native aspect ratios and framing in Brooks et al. 2024 (Sora), section on variable durations, resolutions, aspect ratios"
    modes: ClassVar[tuple[Mode, ...]] = ("t2v",)
    aspects: ClassVar[tuple[str, ...]] = ("16:9", "9:16", "4:3", "21:9", "3:4", "11:7")
    whole_frame = True
    violations: ClassVar[tuple[str, ...]] = ("cut_off", "off_place", "too_small", "stretched", "letterboxed")

    def draft(self, rng: np.random.Generator, flip: bool) -> Draft:
        """Return a random case of a square frame; its twin is the same one."""
        p = self.sample(rng)
        return Draft(self.family.name, p, self.family.caption(p, rng))

    def of_aspects(
        self, drafts: Sequence[Draft], profile: Profile, aspects: Sequence[str]
    ) -> tuple[list[Draft], list[tuple[int, int]]]:
        """Return drafts for frames of `aspects`, pair by pair in turn, and the (height, width) of each; twins are square."""
        names = [SQUARE if i % 2 else aspects[i // 2 % len(aspects)] for i in range(len(drafts))]
        sizes = {name: size_of_aspect(name, profile) for name in dict.fromkeys(names)}
        fitted = []
        for draft, name in zip(drafts, names, strict=True):
            assert isinstance(draft.params, FramedParams)
            params = replace(draft.params, aspect=round(sizes[name][1] / sizes[name][0], 4))
            fitted.append(replace(draft, params=params, expect={**draft.expect, "aspect": name}))
        return fitted, [sizes[name] for name in names]

    @abstractmethod
    def parts(self, case: Case) -> list[tuple[str, str]]:
        """Return colour and noun of each part of the subject."""

    @abstractmethod
    def composed(self, case: Case, seen: _Seen) -> dict[str, float]:
        """Return the factors of place, size and proportions."""

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge whether the subject is whole, large, in its place and in proportion, and whether the picture fills the case's frame."""
        seen = _subject(tracks, self.parts(case))
        (height, width), (asked_height, asked_width) = video.size, case.size
        filled = min(_filled(video.frames), *(1 - _black_bars(f) for f in (video.frames, video.frames.swapaxes(1, 2))))
        off = abs(float(np.log(width / height * asked_height / asked_width)))
        factors = {
            "whole": helpers.ramp_score(1 - float(seen.whole.mean()), 0.04, 0.5),
            **self.composed(case, seen),
            "filled": helpers.ramp_score(1 - filled, 0.06, 0.3),
            "aspect": helpers.ramp_score(off, 0.1, 0.25),
        }
        area = np.nansum(tracks.area[list(seen.ids)], axis=0)
        measured = {
            "whole_share": float(seen.whole.mean()),
            "in_view": float(seen.there.mean()),
            "head_room": float(np.nanmedian(seen.box[:, 1]) + 0.5) / height,
            "subject_share": float(np.median(area[seen.there])) / (width * height),
        }
        return Verdict(helpers.product(factors), {**factors, **measured})


def _filled(frames: Frames) -> float:
    """Return the share of a clip's frames [T, H, W, 3] between two bars of one colour, 1 where there are none."""
    x0, y0, x1, y1 = letterbox(frames)
    return float((x1 - x0) * (y1 - y0) / (frames.shape[1] * frames.shape[2]))


def _black_bars(frames: Frames) -> float:
    """Return the share of frames [T, H, W, 3] that two black bars on the left and the right take, 0 where there are none.

    Compression spreads the picture by a few pixels into a bar, on one side more than on the other, where `letterbox` wants an even pair.
    """
    light = frames[:: max(1, len(frames) // _SAMPLES)].max(axis=3)
    width = light.shape[2]
    picture = np.flatnonzero(np.percentile(light, 95, axis=(0, 1)) > _BLACK)
    if not len(picture):
        return 0.0
    bars = int(picture[0]), int(width - 1 - picture[-1])
    if min(bars) < 1 or abs(bars[0] - bars[1]) > max(_SPREAD, 0.25 * max(bars)):
        return 0.0
    # A dark picture ends in no edge.
    edges = (light[:, :, bars[0] : bars[0] + _SPREAD], light[:, :, width - bars[1] - _SPREAD : width - bars[1]])
    return sum(bars) / width if all((e.max(axis=2) > 2 * _BLACK).mean() >= 0.7 for e in edges) else 0.0


def _large(seen: _Seen) -> float:
    """Return the score of a subject that is to be large."""
    return helpers.ramp_score(-float(seen.extent.max() / min(seen.size)), -0.28, -0.15)


def _fills(seen: _Seen, axis: Literal[0, 1]) -> float:
    """Return the score of a subject that is to take up most of the width (axis 0) or the height (axis 1) of the picture."""
    return helpers.ramp_score(-float(seen.extent[axis] / seen.size[1 - axis]), -0.5, -0.25)


def _placed(seen: _Seen, place: str) -> float:
    """Return the mean score of a subject's place over the frames that show it."""
    low, high = _PLACES[place]
    x = (seen.box[seen.there][:, [0, 2]].mean(axis=1) + 0.5) / seen.size[1]
    return float(np.mean([helpers.ramp_score(error, 0.02, 0.12) for error in np.maximum(low - x, x - high)]))


def _proportions(seen: _Seen) -> dict[str, float]:
    """Return the score of a ball's or cube's proportions, {} where none of the frames shows it whole."""
    if not seen.whole.any():
        return {}
    wide, high = (seen.box[:, k + 2] - seen.box[:, k] for k in (0, 1))
    error = abs(float(np.median(np.log(high[seen.whole] / wide[seen.whole]))))
    return {"proportions": helpers.ramp_score(error, 0.25, 0.5)}


class FramedMiddle(Framing):
    """A single subject in the middle."""

    name = "framed_middle"
    scenes = "framed_subject"
    claim = (
        "asked for a large subject in the middle of the picture, it is there, whole, in frames of every aspect ratio"
    )
    blind_to: ClassVar[dict[str, str]] = {**_STILL_BLIND, "mirrored": _NO_SIDE, "other": _ALIKE}
    places: ClassVar[tuple[Side, ...]] = ("middle",)

    def sample(self, rng: np.random.Generator) -> FramedSubjectParams:
        """Return a scene with a subject in one of the places."""
        return FramedSubject().sample(rng, self.places)

    def parts(self, case: Case) -> list[tuple[str, str]]:
        """Return colour and noun of each part of the subject."""
        p = FramedSubjectParams.of(case)
        return [(p.colour, p.shape)]

    def composed(self, case: Case, seen: _Seen) -> dict[str, float]:
        """Return the factors of place, size and proportions."""
        place = _placed(seen, FramedSubjectParams.of(case).place)
        return {"large": _large(seen), "place": place, **_proportions(seen)}


class FramedThird(FramedMiddle):
    """A single subject in the left or right third."""

    name = "framed_third"
    claim = "asked for a large subject in the left or right third of the picture, it is there, whole, in frames of every aspect ratio"
    blind_to: ClassVar[dict[str, str]] = {**_STILL_BLIND, "other": _ALIKE}
    places: ClassVar[tuple[Side, ...]] = ("left", "right")


class FramedImage(FramedThird):
    """The same in a single image."""

    name = "framed_image"
    claim = "asked for one image with a large subject in the left or right third, it is there, whole, in images of every aspect ratio"
    single_image = True


class FramedTower(Framing):
    """A tall subject."""

    name = "framed_tower"
    claim = "asked for a tall tower that fills most of the height, it is whole from foot to roof in frames of every aspect ratio"
    violations: ClassVar[tuple[str, ...]] = ("cut_off", "off_place", "too_small", "letterboxed")
    blind_to: ClassVar[dict[str, str]] = {**_STILL_BLIND, "mirrored": _NO_SIDE}

    def parts(self, case: Case) -> list[tuple[str, str]]:
        """Return colour and noun of each part of the subject."""
        p = FramedTowerParams.of(case)
        return [(p.colour, "tower"), (p.roof, "roof")]

    def composed(self, case: Case, seen: _Seen) -> dict[str, float]:
        """Return the factors of place, size and proportions."""
        return {"fills": _fills(seen, 1), "place": _placed(seen, "middle")}


class FramedRow(Framing):
    """A wide row of things."""

    name = "framed_row"
    claim = "asked for a row of things that fills most of the width, all are whole in frames of every aspect ratio"
    violations: ClassVar[tuple[str, ...]] = ("cut_off", "too_small", "letterboxed")
    blind_to: ClassVar[dict[str, str]] = {**_STILL_BLIND, "mirrored": _NO_SIDE}

    def parts(self, case: Case) -> list[tuple[str, str]]:
        """Return colour and noun of each part of the subject."""
        return [(thing.colour, thing.shape) for thing in FramedRowParams.of(case).row]

    def composed(self, case: Case, seen: _Seen) -> dict[str, float]:
        """Return the factors of place, size and proportions."""
        return {"fills": _fills(seen, 0)}


class FramedMover(Framing):
    """A subject that moves, with a camera that goes along."""

    name = "framed_mover"
    version = 2
    modes: ClassVar[tuple[Mode, ...]] = ("t2v", "i2v", "v2v")
    claim = "asked for a camera that goes along with a moving subject, it stays whole in the middle of frames of every aspect ratio"

    def parts(self, case: Case) -> list[tuple[str, str]]:
        """Return colour and noun of each part of the subject."""
        p = FramedMoverParams.of(case)
        return [(p.colour, p.shape)]

    def composed(self, case: Case, seen: _Seen) -> dict[str, float]:
        """Return the factors of place, size and proportions."""
        return {"large": _large(seen), "place": _placed(seen, "middle"), **_proportions(seen)}

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the framing of a subject that moves past the posts of the prompt, to its side."""
        p = FramedMoverParams.of(case)
        (hero,) = _subject(tracks, self.parts(case)).ids
        way = _way_past(tracks, hero, p.pillars)
        if abs(way) < _MOVED:
            raise UnjudgeableError(f"the {p.shape} did not move past the pillars")
        if np.sign(way) != SIGN[p.to]:
            return Verdict(0.0, {"way": way, "side": -1.0})
        verdict = super().judge(case, video, tracks)
        return replace(verdict, components={**verdict.components, "way": way, "side": 1.0})


def _way_past(tracks: Tracks, hero: int, colours: Sequence[str]) -> float:
    """Return how far a track moves to the right of posts in a whole clip, as a share of the frame's shorter side.

    Each post counts in the frames that show its whole width: beside the subject, or above it.

    Raises:
        UnjudgeableError: a post is not there, none can be followed, or the motion is not steady or a jump.
    """
    t = np.linspace(0.0, 1.0, tracks.frames)
    fits: list[tuple[int, float, float]] = []
    for colour in colours:
        post = helpers.find_object(tracks, colour, "pillar", 0.1, ())
        # Middles of boxes: the subject hides a lower part of a post, and with it shifts the centroid.
        middle = tracks.box[[hero, post]][..., [0, 2]].mean(axis=-1) / min(tracks.size)
        for a, b in spans(_in_full_width(tracks, post, hero)):
            if b - a >= _FEWEST:
                x = middle[0, a:b] - middle[1, a:b]
                steps = np.abs(np.diff(x))
                if abs(x[-1] - x[0]) >= _MOVED / 2 and steps.max() > _JUMP * steps.sum():
                    raise UnjudgeableError("the motion past the pillars is a jump")
                steady = abs(float(np.corrcoef(t[a:b], x)[0, 1])) if np.ptp(x) > 0 else 1.0
                fits.append((b - a, float(np.polyfit(t[a:b], x, 1)[0]), steady))
    if not fits:
        raise UnjudgeableError("no pillar can be followed past which anything could move")
    weights, slopes, steady = np.array(fits).T
    way = float(np.average(slopes, weights=weights))
    if abs(way) >= _MOVED and np.average(steady, weights=weights) < _STEADY:
        raise UnjudgeableError("the motion past the pillars is not steady")
    return way


def _in_full_width(tracks: Tracks, post: int, hero: int) -> Bools:
    """Return the frames [T] that show a post clear of the left and right border, and beside the subject or reaching higher than it."""
    box, other = tracks.box[post], tracks.box[hero]
    with np.errstate(invalid="ignore"):
        inside = (box[:, 0] > 0) & (box[:, 2] < tracks.size[1] - 1)
        apart = (box[:, 2] + 1 < other[:, 0]) | (other[:, 2] + 1 < box[:, 0])
        apart |= box[:, 1] < other[:, 1] - 0.05 * min(tracks.size)
    return np.asarray(tracks.visible[post] & tracks.visible[hero] & inside & apart)
