"""Measurements of the physics probes on tracks: falls, flights, lines that meet, the edge of a ramp, first motion.

Heights are upwards positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sora_eval.metrics import physics as laws
from sora_eval.probes import helpers
from sora_eval.probes.base import UnjudgeableError
from sora_eval.tracking.world import membership
from sora_eval.types import Bools, Floats, Tracks, Video
from sora_eval.world.palette import COLOURS

MIN_SAMPLES = 5
_STIRS = 0.05
"""Diameters that a ball has to move to count as moving: three times what compression lets a still one wander."""

_REBOUND_S = 0.3
"""Time after a hit in which the ball's motion shows it: a thrown ball touches a toppling block again .3 s later."""
_BEYOND_S = 0.5
"""Time after a hit in which a ball that passes through is well beyond the face."""
_SLOWED = 0.25
"""Share of its speed that a ball loses at least when it hits: .6 to .7 are lost on a block, .4 on a wall of loose blocks."""
_APART_S = 0.12
"""Seconds by which reaching a face and being slowed down there may seem apart; they are up to .05 in true clips."""
_STOPPED = 0.6
"""Share of the last speed below which a fall has ended."""
_WHOLE = 1.3
"""How many times as wide as at the beginning it is at most while it falls."""
_SPREADS, _SPREAD_S = 1.5, 0.5
"""How many times as wide as the whole its pieces lie at least, within how many seconds: 2.2 to 3.4 in true clips."""


@dataclass(frozen=True)
class Fall:
    """A ball let go that falls and bounces."""

    diameter: float
    """Diameter in pixels."""
    g: float
    """Acceleration downwards in diameters per second squared."""
    restitution: float
    """Restitution of the first bounce; 0 without one."""
    top: float
    """Height of the centre at the start in pixels, upwards."""
    floor: float
    """Height of the centre at the contact in pixels, upwards."""
    contact_s: float
    """Time of the first contact in seconds."""
    apex_s: float
    """Time of the top of the parabola before the contact in seconds."""
    fit: float
    """Score of the path, 0 to 1."""
    dropped: float
    """Score of the start at rest, 0 to 1."""
    energy: float
    """Score of no later gain of height, 0 to 1."""

    @property
    def bounce(self) -> float:
        """Score of a visible bounce that returns no more than came in, 0 to 1."""
        return helpers.ramp_score(self.restitution, 1.04, 1.16) * helpers.ramp_score(-self.restitution, -0.25, -0.1)

    @property
    def height(self) -> float:
        """The height of the fall in pixels."""
        return self.top - self.floor


@dataclass(frozen=True)
class Hinge:
    """Two straight lines that meet."""

    at: float
    """Time of their meeting in seconds."""
    origin: float
    """Position of their meeting."""
    before: float
    """Speed before."""
    after: float
    """Speed after."""
    residual: float
    """Rms distance of the samples from the lines."""

    def at_time(self, t_s: float) -> float:
        """Return where the first line is at a time."""
        return self.origin + self.before * (t_s - self.at)


@dataclass(frozen=True)
class Line:
    """A uniform motion: `origin + speed * t`."""

    speed: float
    """Speed, length per second."""
    origin: float
    """Position at time 0."""

    @property
    def zero_s(self) -> float:
        """Time at which the position is 0, in seconds."""
        return -self.origin / self.speed


def hinge(t: Floats, x: Floats) -> Hinge:
    """Return the best two straight lines that meet, through samples x [n] at times t [n]; n >= 5."""
    hinges: list[Hinge] = []
    for at in np.linspace(t[1], t[-2], 240):
        design = np.stack([np.ones_like(t), np.minimum(t - at, 0), np.maximum(t - at, 0)], axis=1)
        fit = np.linalg.lstsq(design, x, rcond=None)[0]
        rest = float(np.sqrt(np.mean((x - design @ fit) ** 2)))
        hinges.append(Hinge(float(at), float(fit[0]), float(fit[1]), float(fit[2]), rest))
    return min(hinges, key=lambda h: h.residual)


def ball(tracks: Tracks, i: int, least: int = MIN_SAMPLES) -> tuple[Floats, Floats, Bools, float]:
    """Return times [T], centres [T, 2] (pixels, y upwards), the frames in which the ball is whole, its diameter.

    Raises:
        UnjudgeableError: it is whole in fewer than `least` frames.
    """
    whole = helpers.clear(tracks, i, [])
    if whole.sum() < least:
        raise UnjudgeableError("the ball was not seen whole long enough")
    diameter = float(np.median(np.sqrt(4 * tracks.area[i][whole] / np.pi)))
    return helpers.times(tracks), tracks.xy[i] * np.array([1.0, -1.0]), whole, diameter


def smooth(residual: float, diameter: float) -> float:
    """Return the score of the rms residual of a path, in diameters, of an object `diameter` pixels wide.

    A picture that trembles by a pixel is no broken law, however coarse it is.
    """
    good = max(0.06, 1 / diameter)
    return helpers.ramp_score(residual, good, good + 0.14)


def farthest(off: Floats) -> float:
    """Return the largest distance [n] from zero that is no single frame's: a running median of three."""
    middle = np.median(np.stack([off[:-2], off[1:-1], off[2:]]), axis=0) if len(off) > 2 else off
    return float(np.abs(middle).max())


def released(xy: Floats, ok: Bools) -> int:
    """Return the last of the `ok` frames before an object at xy [T, 2] (diameters) has left its first place."""
    seen = np.flatnonzero(ok)
    gone = np.linalg.norm(xy[seen] - xy[seen[0]], axis=1) > _STIRS
    return int(seen[max(0, int(np.argmax(gone)) - 1)] if gone.any() else seen[-1])


def fall(tracks: Tracks, i: int) -> Fall:
    """Return how a ball falls and bounces.

    Raises:
        UnjudgeableError: it does not fall.
    """
    t, xy, whole, diameter = ball(tracks, i)
    y = xy[:, 1] / diameter
    start = released(xy / diameter, whole)
    top = float(np.median(y[: start + 1][whole[: start + 1]]))
    later = np.flatnonzero(whole & (np.arange(len(t)) >= start))
    drop = top - float(y[later].min())
    if len(later) < MIN_SAMPLES or drop < 0.5:
        raise UnjudgeableError(f"the {tracks.colour[i]} ball did not fall")
    rough = later[int(np.argmax(y[later] < y[later].min() + 0.15 * drop))]
    # The first bounce is the most precise; small errors of the others would add up.
    until = t[start] + 2.6 * (t[rough] - t[start])
    window = later[t[later] <= until]
    try:
        fit = laws.fit_bounce(t[window], y[window])
    except ValueError:
        falling, ends = later[later <= rough], (top * diameter, float(y[later].min()) * diameter)
        if len(falling) < 4:
            return Fall(diameter, 0.0, 0.0, *ends, float(t[rough]), float(t[start]), 0.0, 1.0, 1.0)
        parabola = laws.fit_parabola(t[falling], y[falling])
        steady = smooth(parabola.residual, diameter)
        return Fall(diameter, -parabola.acceleration, 0.0, *ends, float(t[rough]), float(t[start]), steady, 1.0, 1.0)
    contact, height = fit.contact_s[0], top - fit.floor
    taken = contact - t[start]
    rise = (y[start] - fit.floor) / fit.g
    apex = contact - (rise + taken**2 / 2) / taken if taken > 0 else contact
    # When it was let go is known to a frame, or to the time that a fall takes to be noticed.
    unsure = max(1 / tracks.fps, float(np.sqrt(2 * _STIRS / fit.g)))
    dropped = helpers.ramp_score(abs(apex - t[start]) - unsure, 0.12 * taken, 0.4 * taken) if taken > 0 else 0.0
    after = y[later[t[later] > until]]
    gained = (float(after.max()) - fit.floor) / height - fit.restitution**2 if len(after) and height > 0 else 0.0
    return Fall(
        diameter, fit.g, fit.restitution, top * diameter, fit.floor * diameter, contact, apex,
        smooth(fit.residual, diameter), dropped, helpers.ramp_score(gained, 0.06, 0.25),
    )  # fmt: skip


def approach(t: Floats, ahead: Floats, whole: Bools, diameter: float) -> Line | None:
    """Return how a ball comes to a face, None where it is not seen coming, at first .8 diameters away at least.

    t: [T] seconds. ahead: [T] from the ball's front to the face. whole: [T] where it is seen whole. ahead and diameter in one unit.
    """
    coming = whole & (ahead > 0.05 * diameter) & (np.cumsum(ahead <= 0.05 * diameter) == 0)
    # A clip may rest before the ball sets out.
    coming[np.flatnonzero(coming)[: helpers.leading_rest(ahead[coming], helpers.RESTS * diameter)]] = False
    if coming.sum() < 2 or ahead[coming][0] < 0.8 * diameter:
        return None
    speed, origin = np.polyfit(t[coming], ahead[coming], 1)
    return Line(float(speed), float(origin))


def to_face(xy: Floats, diameter: float, box: Floats, way: float) -> Floats:
    """Return how far the front of a ball at xy [T, 2] is from the face of boxes [n, 4] that it flies against, [T] in pixels.

    way: 1 where it flies to the right, -1 to the left.
    """
    face = way * float(np.median(box[:, 0 if way > 0 else 2])) - diameter / 2
    return np.asarray(face - way * xy[:, 0])


@dataclass(frozen=True)
class Hit:
    """A ball that hits an upright face."""

    reach_s: float
    """Time at which its front comes to the face, by its way until then, in seconds."""
    rebound_s: float
    """Time at which its speed changes, in seconds."""
    deepest: float
    """How far its front seems to come beyond the face within half a second, in diameters."""


def hit(tracks: Tracks, i: int, box: Floats, way: float) -> Hit:
    """Return when a ball hits the face of boxes [n, 4] that it flies against; way: as in `to_face`.

    Raises:
        UnjudgeableError: it is not seen to come, goes on as if nothing were there, or is slowed down elsewhere.
    """
    t, xy, whole, diameter = ball(tracks, i)
    ahead = to_face(xy, diameter, box, way)
    coming = approach(t, ahead, whole, diameter)
    if coming is None or coming.speed >= 0:
        raise UnjudgeableError("the ball was not seen coming")
    reach_s = coming.zero_s
    # What comes later are further contacts.
    near = whole & (t <= reach_s + max(_REBOUND_S, 2 / tracks.fps))
    if near.sum() < MIN_SAMPLES:
        raise UnjudgeableError("the ball was not seen whole long enough")
    lines = hinge(t[near], ahead[near])
    if lines.before >= 0 or lines.after < (1 - _SLOWED) * lines.before:
        raise UnjudgeableError("the ball is not slowed down where it hits")
    if abs(lines.at - reach_s) > max(_APART_S, 1.5 / tracks.fps):
        raise UnjudgeableError("the ball is slowed down elsewhere than where it hits")
    beyond = whole & (t <= reach_s + _BEYOND_S)
    return Hit(reach_s, lines.at, -float(ahead[beyond].min()) / diameter)


def breaking(tracks: Tracks, ids: Sequence[int]) -> float:
    """Return when something that falls is stopped and breaks, in seconds: where the parabola of its fall comes to its next place.

    ids: the tracks of its colour, pieces included, together one object.

    Raises:
        UnjudgeableError: it is not seen to fall, is not stopped, or has not spread soon after.
    """
    t = helpers.times(tracks)
    area = tracks.area[ids].sum(axis=0)
    seen = np.flatnonzero(area > 0)
    centre = (tracks.area[ids][..., None] * np.nan_to_num(tracks.xy[ids])).sum(axis=0)[seen] / area[seen, None]
    box = tracks.box[ids][:, seen]
    wide = np.nanmax(box[..., 2], axis=0) - np.nanmin(box[..., 0], axis=0)
    if len(seen) < MIN_SAMPLES + 1:
        raise UnjudgeableError("it was not seen long enough")
    size = float(np.median(np.sqrt(area[seen[:2]])))
    t, place = t[seen], centre / size
    start = released(place, np.ones(len(seen), dtype=bool))
    down = np.diff(place[:, 1]) / np.diff(t)
    fallen = place[:, 1] - place[start, 1]
    # Four frames of the fall make a parabola.
    stopped = [k for k in range(start + 3, len(down)) if fallen[k] > 0.5 and down[k] < _STOPPED * down[k - 1]]
    if not stopped:
        raise UnjudgeableError("no fall that ends was seen")
    k = stopped[0]
    if wide[: k + 1].max() > _WHOLE * float(np.median(wide[:2])):
        raise UnjudgeableError("it broke before its fall was stopped")
    fall_ = np.polyfit(t[start : k + 1] - t[k], place[start : k + 1, 1], 2)
    between = np.linspace(0.0, t[k + 1] - t[k], 101)
    below = np.flatnonzero(np.polyval(fall_, between) >= place[k + 1, 1])
    at = float(t[k] + between[below[0] if len(below) else -1])
    after = wide[(t > at) & (t <= at + _SPREAD_S)]
    if not len(after) or after.max() < _SPREADS * float(np.median(wide[:2])):
        raise UnjudgeableError("it was not seen to break")
    return at


def flight(xy: Floats, ok: Bools) -> list[int]:
    """Return the frames of a free flight: from the throw to just before the landing; xy [T, 2] in diameters.

    Raises:
        UnjudgeableError: there are too few of them.
    """
    seen = [k for k in np.flatnonzero(ok) if k >= released(xy, ok)]
    y = xy[seen, 1]
    # The last frame of a clip may show the rebound already.
    end = len(seen) - int(y[-1] <= y[0] + 0.3)
    for k in range(int(np.argmax(y)) + 1, len(seen) - 1):
        # A landing is the first turning point as low as the throw; a halt high up in the air is none.
        if y[k] <= y[k - 1] and y[k] <= y[k + 1] and y[k] <= y[0] + 0.3:
            end = k
            break
    if end < MIN_SAMPLES:
        raise UnjudgeableError("the ball did not fly long enough")
    return [int(k) for k in seen[:end]]


def upper_edge(video: Video, colour: str, way: float) -> tuple[Floats, float]:
    """Return the line (slope, offset; y upwards) along a ramp's upper edge, and the x of its lower end, in pixels.

    Raises:
        UnjudgeableError: there is no such edge.
    """
    name = list(COLOURS).index(colour)
    tops = []
    for k in sorted({round(u * (len(video) - 1)) for u in (0, 0.25, 0.5, 0.75, 1)}):
        index, weight = membership(video.frames[k])
        soft = np.where(index == name, weight, 0.0)
        core = soft > 0.5
        row = core.argmax(axis=0)
        above = soft[np.maximum(row - 1, 0), np.arange(soft.shape[1])] * (row > 0)
        tops.append(np.where(core.any(axis=0), row - 0.5 - above, np.nan))
    columns = np.flatnonzero(np.isfinite(tops).any(axis=0))
    if len(columns) < 0.25 * min(video.size):
        raise UnjudgeableError("no ramp was found")
    # The ball hides a part of the edge in every frame, another one in each; the median doesn't tremble with the picture.
    x, y = columns.astype(float), -np.nanmedian(np.array(tops)[:, columns], axis=0)
    low_end = float(x.max() if way > 0 else x.min())
    for _ in range(3):
        line = np.polyfit(x, y, 1)
        off = np.abs(np.polyval(line, x) - y)
        keep = off <= max(2.5 * float(np.median(off)), 0.5)
        x, y = x[keep], y[keep]
    return np.asarray(line), low_end


def onset(t: Floats, moved: Floats, away: Bools) -> float | None:
    """Return when an object begins to move, from how far it has moved [n] and whether that is surely so [n], or None.

    Two samples in a row must be sure: one alone is a picture that trembles.
    """
    gone = np.flatnonzero(away & np.append(away[1:], True))
    if not len(gone) or gone[0] == 0:
        return None
    k = int(gone[0])
    if k + 1 >= len(t) or moved[k + 1] <= moved[k]:
        return float(t[k])
    back = moved[k] * (t[k + 1] - t[k]) / (moved[k + 1] - moved[k])
    return float(np.clip(t[k] - back, t[k - 1], t[k]))


def never_hangs(t: Floats, shift: Floats, down: Floats) -> float:
    """Return the score of a fall without a halt: shift and down [n] are the block's centre, in its heights."""
    full = float(np.median(down[-2:]))
    if len(t) < 4 or full < 0.1:
        return 0.0
    tipped = np.abs(shift[1:] + shift[:-1]) / 2 / max(float(np.abs(shift).max()), 0.1)
    lying = (down[1:] + down[:-1]) / 2 / full
    speed = np.hypot(np.diff(shift), np.diff(down)) / np.diff(t)
    halted = (tipped > 0.08) & (lying < 0.85) & (speed < 0.12)
    return helpers.ramp_score(float(np.diff(t)[halted].sum()), 0.05, 0.4)
