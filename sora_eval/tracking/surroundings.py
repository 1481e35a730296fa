"""What surrounds the objects of a clip: the colour of its light, and the hues of its ground.

Both are read from a band along the frame's border, where ground, walls and sky lie whatever the prompt; objects that reach into it are
outvoted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from sora_eval.types import Floats, Frames, Video
from sora_eval.world.palette import COLOURS

SATURATED = 0.24
"""Below this saturation a pixel is background; floors, walls and skies of the plain world stay under .2."""
_SAMPLES = 8
"""Frames that are looked at."""
_BAND = 0.12
"""Width of the band, share of the shorter side."""
_DARK = 24.0
_CAST = (0.2, 0.5)
"""Saturation of a border that may be a grey one in coloured light: less is a pale floor, more is paint, grass or wood."""
_EVEN = 0.05
"""Largest spread of log(R/G) and of log(B/G) in such a border (80% of its pixels): light tints everything alike, materials do not."""
_GROUND_SHARE = 0.06
"""Share of the band from which on a hue belongs to the ground."""
_STEADY = 0.5
"""Share of the frames in which a place that has a ground's hue has it, on average: what comes and goes is noise."""
_SIDE_SHARE = 0.15
"""Share of the band along one side from which on the hue lies along it."""
_BESIDE_SHARE = 0.002
"""The same for a hue next to one of the ground's: materials scatter around their hue."""
_STRONG = 0.4
"""Saturation from which on a ground's hue scatters into the ones beside it."""
_FULL = 0.75
"""Share of a colour's own saturation from which on a pixel may be an object that reaches into the band."""
_COVERS = 0.35
"""Share of the band from which on a hue is the ground's, however saturated."""
_LIKE = 0.6
"""Share of a colour's own saturation from which on a ground of its hue can't be separated from it."""
_MARGIN = 0.05
_USUAL = 17
"""Frames that show what lies at a place most of the time."""
_BESIDE = 0.25
"""Share of an object's longer side up to which a piece is beside it."""
_CHANGED = 24
"""Levels by which a pixel differs from what lies there most of the time: more than noise and compression."""
_HUE_MARGIN, _VALUE_MARGIN = 5.0, 0.08
"""Degrees and brightness by which an object must differ from a ground of its own colour."""
_BINS = 40
"""Of the hues between two colours of the palette."""
_BEYOND = 0.4
"""Share of the angle between two colours, beyond either of them, up to which hues are looked at."""
_SMOOTH = 2.0
"""Standard deviation of the filter on these, in bins: a painted object scatters by two or three around its hue."""
_AT = 0.2
"""Share of the angle between two colours within which a group of hues is one of them."""
_HALFWAY = (0.3, 0.7)
"""Shares of that angle between which a group of hues is neither."""
_GROUP = 0.05
"""Least height of a group of hues beside the highest."""
_VALLEY = 0.5
"""Height of the valley between two groups beside the lower one, at most."""


def hues() -> Floats:
    """Return the hues [8] of the palette's colours in degrees."""
    rgb = np.array([[c] for c in COLOURS.values()], dtype=np.float32) / 255
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)[:, 0, 0], dtype=float)


def saturations() -> Floats:
    """Return the saturations [8] of the palette's colours, 0..1."""
    rgb = np.array(list(COLOURS.values()), dtype=float)
    return np.asarray((rgb.max(axis=1) - rgb.min(axis=1)) / rgb.max(axis=1))


def nearest_hue(hue: NDArray[Any]) -> NDArray[np.int64]:
    """Return the palette index [...] of the colour whose hue is nearest to each of `hue` [...], degrees."""
    return np.asarray(_apart(np.asarray(hue[..., None], dtype=np.float64), hues()).argmin(axis=-1), dtype=np.int64)


@dataclass(frozen=True)
class Ground:
    """The hues of a clip's ground."""

    least: Floats
    """[8], saturation from which on a pixel has a colour of the palette, by colour."""
    like: NDArray[np.bool_]
    """[8], whether the ground can't be separated from an object of the colour."""
    present: NDArray[np.bool_]
    """[8], whether the ground has the colour, or one whose hue is next to that of the ground."""
    hue: Floats
    """[8], hue of the ground within the colour in degrees, NaN where it can be separated from an object by saturation."""
    value: Floats
    """[8], brightness of the ground's bright parts there, 0..1, NaN likewise."""
    boundary: Floats = field(default_factory=lambda: np.full(len(COLOURS), 0.5))
    """[8], where one colour ends and the next in hue begins, as share of the angle between the two."""

    def nearest(self, hue: Floats) -> NDArray[np.int64]:
        """Return the palette index [...] of hues [...] in degrees, by the clip's boundaries."""
        own, index = hues(), nearest_hue(hue)
        for c in map(int, np.flatnonzero(self.boundary != 0.5)):
            after = (c + 1) % len(own)
            share = (hue - own[c]) % 360 / _angle(c)
            index = np.where(share <= 1, np.where(share < self.boundary[c], c, after), index)
        return np.asarray(index, dtype=np.int64)

    def hides(self, index: NDArray[np.int64], hsv: Floats) -> NDArray[np.bool_]:
        """Return which pixels [H, W] may be ground, by hue and brightness, among those of a colour that the ground has as well.

        index: [H, W], colours; hsv: [H, W, 3], hue in degrees, saturation and brightness 0..1.
        """
        if not self.like.any():
            return np.zeros(index.shape, dtype=bool)
        own, ground = hues()[index], self.hue[index]
        nearer = _apart(hsv[..., 0], ground) <= _apart(hsv[..., 0], own) + _HUE_MARGIN
        return np.asarray(self.like[index] & nearer & (hsv[..., 2] <= self.value[index] + _VALUE_MARGIN))


def neutral(video: Video) -> Video:
    """Return a clip in white light; the clip itself where its light is white already, or nothing says what is grey in it.

    Where the whole border has one tint between warm and cool, that tint is the light's (von Kries 1902: channels are scaled).
    """
    gains = light(video.frames)
    if gains is None:
        return video
    table = np.clip(np.arange(256)[:, None] * gains, 0, 255).round().astype(np.uint8)
    return Video(np.stack([cv2.LUT(video.frames[..., c], table[:, c]) for c in range(3)], axis=-1), video.fps)


def light(frames: Frames) -> Floats | None:
    """Return factors [3] on red, green and blue that make the light of a clip white, None where it is, or isn't known."""
    band = _border(frames)
    pixels = band[band.max(axis=-1) >= _DARK].astype(float) + 1.0
    if not len(pixels):
        return None
    red, blue = np.log(pixels[:, 0] / pixels[:, 1]), np.log(pixels[:, 2] / pixels[:, 1])
    tint = np.array([np.median(red), 0.0, np.median(blue)])
    spread = max(np.percentile(np.abs(red - tint[0]), 80), np.percentile(np.abs(blue - tint[2]), 80))
    colour = np.exp(tint)
    saturation = 1 - colour.min() / colour.max()
    # Lamps and daylight lie between orange and blue: what is greener or more purple than grey is no light.
    on_axis = tint[0] * tint[2] < 0
    if spread > _EVEN or not on_axis or not _CAST[0] <= saturation <= _CAST[1]:
        return None
    # The same brightness as before.
    return np.asarray(colour.mean() / colour / (colour.mean() / colour).max())


def ground(frames: Frames) -> Ground:
    """Return the hues of a clip's ground; frames uint8 [T, H, W, 3]."""
    full = saturations()
    least, like = np.full(len(full), SATURATED), np.zeros(len(full), dtype=bool)
    nothing = np.full(len(full), np.nan)
    hue, value = nothing.copy(), nothing.copy()
    band = _border(frames)
    lit = band.max(axis=-1) >= _DARK
    if not lit.any():
        return Ground(least, like, like, nothing, nothing)
    hsv = cv2.cvtColor(band.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    index = np.where(lit, nearest_hue(hsv[..., 0]), -1)
    pixels = int(lit.sum())
    coloured = hsv[..., 1] >= SATURATED
    pale = [_of_ground(hsv[(index == c) & coloured, 1], full[c], pixels) for c in range(len(full))]
    shares = np.array([len(p) / pixels for p in pale])
    sides = _sides(frames.shape[1:3])
    there = [(index == c) & coloured for c in range(len(full))]
    own = (shares >= _GROUND_SHARE) & [_is_steady(t) and _is_wide(t, sides) for t in there]
    beside = np.roll(own, 1) | np.roll(own, -1)
    tops = np.array([np.percentile(p, 95) + _MARGIN if len(p) else 0.0 for p in pale])
    # A hue beside the ground's is as saturated as that at most; what is more so is an object. A pale ground scatters into no other hue.
    strong = np.where(own & (tops >= _STRONG), tops, 0)
    around = np.maximum(np.roll(strong, 1), np.roll(strong, -1))
    beside &= around > 0
    for c in np.flatnonzero(own | (beside & (shares >= _BESIDE_SHARE))):
        top = float(tops[c] if own[c] else min(tops[c], around[c]))
        least[c] = max(SATURATED, min(top, _LIKE * full[c]))
        like[c] = own[c] and top > _LIKE * full[c]
        if like[c]:
            here = hsv[(index == c) & coloured]
            hue[c], value[c] = np.median(here[:, 0]), np.percentile(here[:, 2], 95)
    return Ground(least, like, own | beside, hue, value)


def boundaries(frames: Frames, around: Ground, wanted: NDArray[np.bool_]) -> Floats:
    """Return where each colour ends and the next in hue begins in a clip, [8] as `Ground.boundary` has it.

    Half way, but for two colours that the prompt names of which one has its hue in the clip, nothing has that of the other, and a group
    of hues lies half way between: warm light turns pink towards red. That group is the other colour then, and the boundary lies in
    the valley between the groups. A colour of the ground decides nothing. frames: uint8 [T, H, W, 3]; wanted: [8], whether the prompt
    names a colour.
    """
    found = np.full(len(wanted), 0.5)
    pairs = [c for c in range(len(wanted)) if wanted[c] and wanted[(c + 1) % len(wanted)]]
    if not pairs:
        return found
    hsv = cv2.cvtColor(np.vstack([*_sampled(frames)]).astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    hue: Floats = np.asarray(hsv[..., 0], dtype=np.float64)
    hue = hue[(hsv[..., 1] >= around.least[around.nearest(hue)]) & (hsv[..., 2] >= _DARK / 255)]
    for c in pairs:
        share = ((hue - hues()[c] + 180) % 360 - 180) / _angle(c)
        counts, _ = np.histogram(share, bins=round((1 + 2 * _BEYOND) * _BINS), range=(-_BEYOND, 1 + _BEYOND))
        found[c] = _valley(gaussian_filter1d(counts.astype(float), _SMOOTH))
    return found


def _valley(density: Floats) -> float:
    """Return the share of the angle at which one colour ends; density: [72] of hues, by share."""
    share = (np.arange(len(density)) + 0.5) / _BINS - _BEYOND
    peaks, _ = find_peaks(density, height=_GROUP * density.max())
    first, second = (peaks[np.abs(share[peaks] - end) <= _AT] for end in (0, 1))
    halfway = peaks[(share[peaks] >= _HALFWAY[0]) & (share[peaks] <= _HALFWAY[1])]
    if bool(len(first)) == bool(len(second)) or len(halfway) != 1:
        return 0.5
    own = max(first if len(first) else second, key=lambda peak: density[peak])
    low, high = sorted((int(own), int(halfway[0])))
    lowest = low + int(density[low:high].argmin())
    return float(share[lowest]) if density[lowest] <= _VALLEY * min(density[low], density[high]) else 0.5


def taken_for_ground(frames: Frames, boxes: Floats, colour: str) -> Floats:
    """Return the area [T] in pixels, at and beside an object, of what has a ground's colour but is not what lies there most of the time.

    Where the camera moves, all that has the colour counts. frames: uint8 [T, H, W, 3]; boxes: [T, 4], of the object, NaN where it is not
    visible: 0 there; colour: of the palette.
    """
    usual = np.median(frames[:: max(1, len(frames) // _USUAL)], axis=0).astype(np.int16)
    wanted = list(COLOURS).index(colour)
    found = np.zeros(len(frames))
    for k in np.flatnonzero(np.isfinite(boxes).all(axis=1)):
        x0, y0, x1, y1 = boxes[k]
        grow = _BESIDE * max(x1 - x0, y1 - y0)
        here = (slice(max(0, int(y0 - grow)), int(y1 + grow) + 1), slice(max(0, int(x0 - grow)), int(x1 + grow) + 1))
        new = np.abs(frames[k][here].astype(np.int16) - usual[here]).max(axis=-1) > _CHANGED
        hsv = cv2.cvtColor(frames[k][here].astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
        nearest = nearest_hue(hsv[..., 0])
        found[k] = (new & (nearest == wanted) & (hsv[..., 1] >= SATURATED)).sum()
    return found


def _is_steady(there: NDArray[np.bool_]) -> bool:
    """Return whether a hue stays where it is; there: [S, P], the samples and places that have it."""
    share = there.mean(axis=0)
    return bool(share[share > 0].mean() >= _STEADY) if share.any() else False


def _is_wide(there: NDArray[np.bool_], sides: NDArray[np.int64]) -> bool:
    """Return whether a hue lies along two sides of the frame or more, as a floor or a sky does; an object reaches into one.

    there: [S, P]; sides: [P], the side of each place.
    """
    return sum(float(there[:, sides == side].mean()) >= _SIDE_SHARE for side in range(4)) >= 2


def _of_ground(saturation: Floats, full: float, pixels: int) -> Floats:
    """Return the saturations of a colour's pixels in the band without those of objects that reach into it; none of these covers it."""
    return saturation if len(saturation) >= _COVERS * pixels else saturation[saturation < _FULL * full]


def _apart(a: Floats, b: Floats) -> Floats:
    """Return the angle between hues in degrees."""
    gap = np.abs(a - b)
    return np.asarray(np.minimum(gap, 360 - gap))


def _angle(c: int) -> float:
    """Return the angle in degrees from a colour of the palette to the next in hue."""
    own = hues()
    return float((own[(c + 1) % len(own)] - own[c]) % 360)


def _sides(size: tuple[int, int]) -> NDArray[np.int64]:
    """Return the side [P] of each place in the band: 0 above, 1 below, 2 left, 3 right."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    nearest = np.stack([y, height - 1 - y, x, width - 1 - x]).argmin(axis=0)
    return np.asarray(nearest[_in_band(size)], dtype=np.int64)


def _in_band(size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which pixels [H, W] lie in the band along the border."""
    band = max(2, round(_BAND * min(size)))
    there = np.ones(size, dtype=bool)
    there[band:-band, band:-band] = False
    return there


def _border(frames: Frames) -> Frames:
    """Return the pixels [S, P, 3] of the band along the border, of S frames spread over the clip."""
    return np.asarray(_sampled(frames)[:, _in_band(frames.shape[1:3])], dtype=np.uint8)


def _sampled(frames: Frames) -> Frames:
    """Return S frames spread over the clip."""
    return np.asarray(frames[np.unique(np.linspace(0, len(frames) - 1, _SAMPLES).round().astype(int))], dtype=np.uint8)
