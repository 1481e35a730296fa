"""3D consistency: a moving camera shows one rigid scene, and the scene is still there when the camera comes back."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import cv2
import numpy as np

from sora_eval.metrics.rigidity import RigidFit, fit_rigid, flat_residual, floor_guess, similarity
from sora_eval.probes import helpers
from sora_eval.probes.base import Probe, UnjudgeableError, Verdict
from sora_eval.tracking.continuity import spans
from sora_eval.types import Bools, Case, Floats, Tracks, Video
from sora_eval.world.families.room import Room, RoomParams

# The camera of the scenes: the first guess of the fit.
_EYE_M, _PITCH, _HEIGHT_M = 3.9, 18.0, 0.3
_MAX_FRAMES = 33
# Shares of the shorter side: a negligible residual, and the least depth that must show.
_GOOD, _LEAST_DEPTH = 0.004, 0.002


def landmarks(p: RoomParams, tracks: Tracks, share: float = 0.6) -> list[int]:
    """Return the tracks of the objects and spots of the scene.

    Raises:
        UnjudgeableError: fewer than five of the seven are seen in this share of the frames, or their shapes differ.
    """
    colours = colours_of(p)
    seen = [tracks.of(c)[0] for c in colours if tracks.of(c)]
    seen = [i for i in seen if tracks.visible[i].mean() > share]
    if len(seen) < 5:
        raise UnjudgeableError(f"only {len(seen)} of {len(colours)} things asked for were found")
    # Flat spots, objects as high as wide, tall objects: distinguishable even at 64 pixels, with an uncertain zone in between.
    aspects = {s.colour: (0.0, 0.75) for s in p.spots}
    aspects |= {o.colour: (0.68, 1.3) if o.shape in ("ball", "cube") else (1.05, np.inf) for o in p.objects}
    right = []
    for i in seen:
        clear = whole(tracks, i, [j for j in seen if j != i])
        if clear.any():
            least, most = aspects[tracks.colour[i]]
            right.append(least < np.median(tracks.shape["aspect"][i][clear]) < most)
    if not right or np.mean(right) < 0.75:
        raise UnjudgeableError("the things are not those asked for: shapes and colours don't match")
    return seen


def whole(tracks: Tracks, i: int, others: list[int]) -> Bools:
    """Return the frames [T] in which an object is visible as a whole.

    Where its box meets another's, it counts as whole if it still has its usual outline: boxes meet long before objects do.
    """
    inside = helpers.clear(tracks, i, [])
    apart = helpers.clear(tracks, i, others, gap=0.0)
    usual = apart if apart.sum() >= 3 else inside
    alike = inside.copy()
    if usual.any():
        for values, slack in (
            (np.log(np.maximum(tracks.area[i], 1e-3)), 0.22),
            (np.log(tracks.shape["aspect"][i]), 0.15),
        ):
            with np.errstate(invalid="ignore"):
                alike &= np.abs(values - np.nanmedian(values[usual])) < slack
    return np.asarray(apart | alike, dtype=bool)


def flicker(video: Video) -> float:
    """Return how much pixels come and go from frame to frame, in grey levels.

    The median over pixels of the second difference in time: edges that move touch few pixels, boiling touches all. Frames are
    brought near 8 per second first, so that the rate doesn't count.
    """
    step = max(1, round(video.fps / 8))
    frames = video.frames[::step].astype(np.float32).mean(axis=-1)
    if len(frames) < 3:
        return 0.0
    bend = np.abs(frames[2:] - 2 * frames[1:-1] + frames[:-2])
    return float(np.median(bend) / np.sqrt(6))


def swelling(tracks: Tracks, ids: list[int], seen: Bools, fit: RigidFit) -> float:
    """Return the typical change of an object's size that its distance does not explain, as a share of its width.

    A turning cube changes its outline slowly; what is left after a quadratic in time is a pulse.
    """
    worst = []
    u = np.linspace(-1, 1, tracks.frames)
    for k, i in enumerate(ids):
        if seen[k].sum() < 6:
            continue
        size = 0.5 * np.log(tracks.area[i][seen[k]]) + np.log(np.maximum(fit.depth[k][seen[k]], 1e-3))
        left = size - np.polyval(np.polyfit(u[seen[k]], size, 2), u[seen[k]])
        worst.append(float(np.sqrt(np.mean(left**2))))
    return float(np.median(worst)) if worst else 0.0


class CameraMove(Probe):
    """What orbit, dolly and truck share: the move was made, and one rigid scene explains the picture."""

    suite = "consistency_3d"
    scenes = "room"
    version = 2
    source = "bundle adjustment residual, Triggs et al. 2000; parallax gate against frozen clips"
    violations = (
        "drift",
        "texture_swims",
        "pulse",
        "boiling",
        "jumps",
        "vanishes",
        "changes_colour",
        "appears_from_nowhere",
    )

    def sample(self, rng: np.random.Generator) -> RoomParams:
        """Return a room with this probe's camera move."""
        return Room().sample(rng, self.name)

    def has_moved(self, fit: RigidFit, near: float, far: float, to: str) -> bool:
        """Return whether the fitted camera made the move; near, far: ways of near and far objects in x, in frame widths."""
        raise NotImplementedError

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the camera's move and what is left over of a rigid fit."""
        p = RoomParams.of(case)
        start, end = moving_part(video)
        video, tracks = Video(video.frames[start:end], video.fps), _cut(tracks, start, end, 1)
        ids = landmarks(p, tracks)
        thin = _cut(tracks, 0, tracks.frames, max(1, tracks.frames // _MAX_FRAMES))
        seen = np.array([whole(thin, i, [j for j in ids if j != i]) for i in ids])
        xy = thin.xy[ids]
        helpers.check_no_cut(tracks.xy[ids], tracks.visible[ids])
        guess = floor_guess(_first(xy, seen), thin.size, np.full(len(ids), _HEIGHT_M), _EYE_M, _PITCH)
        try:
            fit = fit_rigid(xy, seen, thin.size, guess)
        except ValueError as refusal:
            raise UnjudgeableError(str(refusal)) from None
        error, flat = (
            float(np.sqrt(np.nanmean(r**2))) / min(thin.size) for r in (fit.residual, flat_residual(xy, seen))
        )
        if not self.has_moved(fit, *_ways(xy, seen, thin.size[1]), p.to):
            raise UnjudgeableError(f"the camera did not {self.name} {p.to}")
        # A slide or a zoom of one flat picture is rigid as well: there must be depth in what is seen.
        if flat < max(_LEAST_DEPTH, 1.5 * min(error, _GOOD)):
            raise UnjudgeableError("the picture is flat: near and far things move alike")
        rigid = helpers.ramp_score(float(np.log(max(error, 1e-9))), float(np.log(_GOOD)), float(np.log(0.03)))
        steady = helpers.ramp_score(swelling(thin, ids, seen, fit), 0.03, 0.12)
        calm = helpers.ramp_score(flicker(video), 2.5, 9.0)
        stay = staying(p, tracks)
        alone = 1 - min(1.0, 3 * helpers.extras(tracks, dict.fromkeys(colours_of(p), 1), _least_area(tracks, ids)))
        parts = {"rigid": rigid, "size_steady": steady, "no_boiling": calm, "things_stay": stay, "alone": alone}
        shares = {"residual_percent": 100 * error, "flat_percent": 100 * flat}
        return Verdict(rigid * steady * calm * stay * alone, {**parts, **shares})


def colours_of(p: RoomParams) -> list[str]:
    """Return the colours of the objects and of the spots."""
    return [o.colour for o in p.objects] + [s.colour for s in p.spots]


def _least_area(tracks: Tracks, ids: list[int]) -> float:
    """Return the area from which something counts as one more object: a third of a typical one."""
    return 0.33 * float(np.median([np.median(tracks.area[i][tracks.visible[i]]) for i in ids]))


def moving_part(video: Video) -> tuple[int, int]:
    """Return the first frame and the end of the part of a clip in which anything moves; all of it when little else is left.

    A clip may rest before and after the move of the prompt; its duration is free.
    """
    small = np.array([cv2.resize(f, (32, 32), interpolation=cv2.INTER_AREA) for f in video.frames]).astype(float)
    change = np.abs(np.diff(small, axis=0)).mean(axis=(1, 2, 3))
    live = np.flatnonzero(change > max(0.25 * float(np.quantile(change, 0.9)), 0.05))
    if not len(live) or live[-1] - live[0] < 6:
        return 0, len(video)
    return int(live[0]), int(live[-1]) + 2


def staying(p: RoomParams, tracks: Tracks) -> float:
    """Return the share of the objects seen in the first frames that are seen in the last as well, as a score.

    Objects at the frame's edge may leave it as the camera moves.
    """
    early, late = slice(0, max(2, tracks.frames // 5)), slice(-max(2, tracks.frames // 5), None)
    kept = []
    for colour in colours_of(p):
        # Of a clip without its rests: an object that was seen only in those is not there.
        ids = [i for i in tracks.of(colour) if tracks.visible[i].any()]
        if not tracks.visible[ids, early].any():
            continue
        last = max(ids, key=lambda i: int(np.flatnonzero(tracks.visible[i])[-1]))
        frame = int(np.flatnonzero(tracks.visible[last])[-1])
        kept.append(bool(tracks.visible[ids, late].any() or tracks.shape["edge"][last, frame] > 0))
    return helpers.ramp_score(1 - float(np.mean(kept)), 0.0, 0.25) if kept else 0.0


def _cut(tracks: Tracks, start: int, end: int, step: int) -> Tracks:
    part = slice(start, end, step)
    return replace(
        tracks,
        xy=tracks.xy[:, part],
        visible=tracks.visible[:, part],
        area=tracks.area[:, part],
        box=tracks.box[:, part],
        fps=tracks.fps / step,
        shape={name: values[:, part] for name, values in tracks.shape.items()},
    )


def _ways(xy: Floats, seen: Bools, width: int) -> tuple[float, float]:
    """Return how far near (lower) and far (higher) objects go in x from the first to the last quarter, in frame widths."""
    quarter = max(2, xy.shape[1] // 4)
    ways, heights = [], []
    for path, there in zip(xy, seen, strict=True):
        a, b = path[:quarter][there[:quarter]], path[-quarter:][there[-quarter:]]
        if len(a) and len(b):
            ways.append(float(b[:, 0].mean() - a[:, 0].mean()) / width)
            heights.append(float(np.concatenate([a, b])[:, 1].mean()))
    if len(ways) < 2:
        return 0.0, 0.0
    low = np.array(heights) > np.median(heights)
    if low.all() or not low.any():
        return float(np.mean(ways)), float(np.mean(ways))
    return float(np.mean(np.array(ways)[low])), float(np.mean(np.array(ways)[~low]))


def _first(xy: Floats, seen: Bools) -> Floats:
    """Return where each landmark is first seen, [N, 2]; the middle of all for one that never is."""
    middle = np.nanmean(xy[seen], axis=0)
    return np.array([x[np.flatnonzero(s)[0]] if s.any() else middle for x, s in zip(xy, seen, strict=True)])


class Orbit(CameraMove):
    """The camera circles to one side around objects that stand still."""

    name = "orbit"
    claim = "circling round things shows one rigid scene from several sides"

    def has_moved(self, fit: RigidFit, near: float, far: float, to: str) -> bool:
        """Return whether the camera turned back towards the objects while near ones went against its way and far ones with it."""
        sign = 1.0 if to == "right" else -1.0
        return bool(fit.turned[1] * sign < -8 and (far - near) * sign > 0.05)


class Dolly(CameraMove):
    """The camera travels towards or away from objects that stand still."""

    name = "dolly"
    claim = "travelling towards things or away from them makes near ones grow faster than far ones"
    blind_to: ClassVar[dict[str, str]] = {
        "mirrored": "nothing in the prompt has a side, so a mirrored room is as good a room"
    }

    def has_moved(self, fit: RigidFit, near: float, far: float, to: str) -> bool:
        """Return whether the camera moved along its view."""
        return bool(fit.moved[2] * (1.0 if to == "in" else -1.0) > 0.1)


class Truck(CameraMove):
    """The camera travels sideways past objects that stand still."""

    name = "truck"
    claim = "travelling sideways shifts near things more than far ones"

    def has_moved(self, fit: RigidFit, near: float, far: float, to: str) -> bool:
        """Return whether everything went the other way, near objects farther than far ones, without much turning."""
        sign = 1.0 if to == "right" else -1.0
        return bool(near * sign < -0.06 and far * sign < -0.04 and near / far > 1.1 and abs(fit.turned[1]) < 25)


class Revisit(Probe):
    """The camera turns away until all is out of sight and comes back: everything must be where it was, as it was."""

    suite = "consistency_3d"
    scenes = "room"
    name = "revisit"
    version = 4
    claim = "after looking away and back the same things, and no others, are at the same places"
    source = "revisit consistency: layout after pan-and-return against the first frames, up to a similarity"
    violations = CameraMove.violations
    blind_to: ClassVar[dict[str, str]] = {"reversed": "looking away and back is the same thing backwards"}
    # The first frame is the last one as well.
    blind_modes = ("t2v", "i2v")

    def sample(self, rng: np.random.Generator) -> RoomParams:
        """Return a room that the camera turns away from."""
        return Room().sample(rng, self.name)

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the layout after the return against the layout before."""
        p = RoomParams.of(case)
        present = landmarks(p, tracks, 0.15)
        count = tracks.visible[present].sum(axis=0)
        away = np.flatnonzero(count <= 1)
        if not len(away) or away[0] == 0:
            raise UnjudgeableError("the camera did not look away")
        before, after = np.arange(away[0]), np.arange(away[-1] + 1, tracks.frames)
        if len(after) < 2:
            raise UnjudgeableError("the camera did not come back")
        if any(count[k] >= len(present) - 1 for k in away) or _breaks(count) > 0:
            raise UnjudgeableError("the view jumps instead of turning")
        shift = _slide(tracks, present, before)
        if shift * (1.0 if p.to == "right" else -1.0) > -0.1 * tracks.size[1]:
            raise UnjudgeableError(f"the camera did not turn {p.to} first")
        look = _compared(tracks, present, before, after, video)
        least, back = _least_area(tracks, present), _cut(tracks, int(after[0]), tracks.frames, 1)
        alone = 1 - min(1.0, 3 * helpers.extras(back, dict.fromkeys(colours_of(p), 1), least))
        return Verdict(look.value * alone, {**look.components, "alone": alone})


def _breaks(count: Floats) -> int:
    """Return how often objects vanish and return besides the one time of the prompt."""
    low = count <= count.max() / 2
    return max(0, len(spans(np.asarray(low, dtype=bool))) - 1)


def _slide(tracks: Tracks, ids: list[int], frames: Floats) -> float:
    """Return the median way in x, in pixels, that objects go between their first and last sight in `frames`."""
    ways = []
    for i in ids:
        x = tracks.xy[i, frames, 0]
        x = x[~np.isnan(x)]
        if len(x) >= 2:
            ways.append(x[-1] - x[0])
    return float(np.median(ways)) if ways else 0.0


def _compared(tracks: Tracks, ids: list[int], before: Floats, after: Floats, video: Video) -> Verdict:
    """Compare each object's place and size in the fullest frames before and after, up to one similarity for the whole view."""
    seen = np.array([whole(tracks, i, [j for j in ids if j != i]) for i in ids])
    first = before[int(np.argmax(seen[:, before].sum(axis=0)))]
    errors, growths = [], []
    for last in after:
        both = seen[:, first] & seen[:, last]
        if both.sum() < 4:
            continue
        pick = [ids[k] for k in np.flatnonzero(both)]
        a, b = tracks.xy[pick, first], tracks.xy[pick, last]
        # While it still turns, perspective shifts objects; only the views that look the same way can be compared.
        if np.abs((b - a).mean(axis=0)).max() > 0.06 * tracks.size[1]:
            continue
        moved, _ = similarity(a, b)
        factor = np.linalg.norm(moved - moved.mean(axis=0)) / max(float(np.linalg.norm(a - a.mean(axis=0))), 1e-9)
        errors.append(float(np.sqrt(np.mean(np.sum((moved - b) ** 2, axis=1)))) / min(tracks.size))
        growths.append(
            float(np.abs(0.5 * np.log(tracks.area[pick, last] / tracks.area[pick, first]) - np.log(factor)).max())
        )
    if not errors:
        raise UnjudgeableError("the camera did not come back to the same view")
    place = helpers.ramp_score(max(errors), 0.012, 0.06)
    # While the camera comes to rest, motion blur takes from small objects.
    size = helpers.ramp_score(float(np.median(growths)), 0.1, 0.3)
    back = helpers.ramp_score(1 - float(tracks.visible[ids][:, after[-1]].mean()), 0.0, 0.25)
    calm = helpers.ramp_score(flicker(video), 2.5, 9.0)
    return Verdict(
        place * size * back * calm, {"same_places": place, "same_sizes": size, "all_back": back, "no_boiling": calm}
    )
