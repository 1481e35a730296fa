"""3D consistency: a moving camera shows one rigid scene, and the scene is still there when the camera comes back."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from sora_eval.metrics.rigidity import RigidFit, fit_rigid, floor_guess
from sora_eval.probes import helpers
from sora_eval.probes.base import Draft, Probe, UnjudgeableError, Verdict, family_draft
from sora_eval.types import Bools, Case, Floats, Tracks, Video
from sora_eval.world.families import room

# Where the world's own camera stands; only the first guess of the fit, which then finds its own.
_EYE_M, _PITCH, _HEIGHT_M = 3.9, 18.0, 0.3
_MAX_FRAMES = 33


def landmarks(case: Case, tracks: Tracks, share: float = 0.6) -> list[int]:
    """Return the tracks of the objects and spots that were asked for.

    Raises:
        UnjudgeableError: fewer than five of the seven are seen in this share of the frames, or they are other things.
    """
    p = case.scene["params"]
    asked = [o["colour"] for o in p["objects"]] + [s["colour"] for s in p["spots"]]
    found = [tracks.of(c)[0] for c in asked if tracks.of(c)]
    found = [i for i in found if tracks.visible[i].mean() > share]
    if len(found) < 5:
        raise UnjudgeableError(f"only {len(found)} of {len(asked)} things asked for were found")
    kind = {s["colour"]: 0 for s in p["spots"]} | {
        o["colour"]: 1 if o["shape"] in ("ball", "cube") else 2 for o in p["objects"]
    }
    # Flat spots, things as high as wide, tall things: what can be told of a shape even at 64 pixels.
    seen = [int(np.digitize(np.nanmedian(tracks.shape["aspect"][i]), (0.68, 1.17))) for i in found]
    if np.mean([k == kind[tracks.colour[i]] for k, i in zip(seen, found, strict=True)]) < 0.75:
        raise UnjudgeableError("the things are not those asked for: shapes and colours don't match")
    return found


def whole(tracks: Tracks, i: int, others: list[int]) -> Bools:
    """Return the frames [T] in which a thing is to be seen as a whole.

    Where its box meets another's, it counts as whole if it still has its usual outline: boxes meet long before things do.
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


def swelling(tracks: Tracks, found: list[int], seen: Bools, fit: RigidFit) -> float:
    """Return the typical change of an object's size that its distance does not explain, as a share of its width.

    A turning cube changes its outline slowly; what is left after a quadratic in time is a pulse.
    """
    worst = []
    u = np.linspace(-1, 1, tracks.frames)
    for k, i in enumerate(found):
        if seen[k].sum() < 6:
            continue
        size = 0.5 * np.log(tracks.area[i][seen[k]]) + np.log(np.maximum(fit.depth[k][seen[k]], 1e-3))
        left = size - np.polyval(np.polyfit(u[seen[k]], size, 2), u[seen[k]])
        worst.append(float(np.sqrt(np.mean(left**2))))
    return float(np.median(worst)) if worst else 0.0


class CameraMove(Probe):
    """What orbit, dolly and truck share: the move was made, and one rigid scene explains the picture."""

    suite = "consistency_3d"
    source = "bundle adjustment residual, Triggs et al. 2000; parallax gate against frozen clips"
    violations = ("drift", "texture_swims", "pulse", "boiling", "jumps")

    def draft(self, rng: np.random.Generator, flip: bool) -> Draft:
        """Return a room with this probe's camera move."""
        return family_draft("room", room.sample(rng, self.name), rng, flip)

    def as_asked(self, fit: RigidFit, to: str) -> bool:
        """Return whether the fitted camera made the move."""
        raise NotImplementedError

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the camera's move and what is left over of a rigid fit."""
        found = landmarks(case, tracks)
        step = max(1, tracks.frames // _MAX_FRAMES)
        seen = np.array([whole(tracks, i, [j for j in found if j != i]) for i in found])[:, ::step]
        xy = tracks.xy[found][:, ::step]
        try:
            fit = fit_rigid(
                xy,
                seen,
                tracks.size,
                floor_guess(_first(xy, seen), tracks.size, np.full(len(found), _HEIGHT_M), _EYE_M, _PITCH),
            )
        except ValueError as refusal:
            raise UnjudgeableError(str(refusal)) from None
        to = case.scene["params"]["to"]
        if not self.as_asked(fit, to):
            raise UnjudgeableError(f"the camera did not {self.name} {to}")
        error = float(np.sqrt(np.nanmean(fit.residual**2))) / min(tracks.size)
        rigid = helpers.credit(float(np.log(max(error, 1e-9))), float(np.log(0.004)), float(np.log(0.03)))
        thinned = Tracks(
            tracks.colour,
            tracks.xy[:, ::step],
            tracks.visible[:, ::step],
            tracks.area[:, ::step],
            tracks.box[:, ::step],
            tracks.size,
            tracks.fps / step,
        )
        steady = helpers.credit(swelling(thinned, found, seen, fit), 0.03, 0.12)
        calm = helpers.credit(flicker(video), 2.5, 9.0)
        there = float(tracks.visible[found].mean())
        kept = helpers.credit(there, 0.97, 0.6) if there < 1 else 1.0
        return Verdict(
            rigid * steady * calm * kept,
            {
                "rigid": rigid,
                "size_steady": steady,
                "no_boiling": calm,
                "things_stay": kept,
                "residual_percent": 100 * error,
            },
        )


def _first(xy: Floats, seen: Bools) -> Floats:
    """Return where each landmark is first seen, [N, 2]; the middle of all for one that never is."""
    middle = np.nanmean(xy[seen], axis=0)
    return np.array([x[np.flatnonzero(s)[0]] if s.any() else middle for x, s in zip(xy, seen, strict=True)])


class Orbit(CameraMove):
    """The camera circles to one side around things that stand still."""

    name = "orbit"
    claim = "circling round things shows one rigid scene from several sides"

    def as_asked(self, fit: RigidFit, to: str) -> bool:
        """Return whether the camera moved to the side and turned back towards the things."""
        sign = 1.0 if to == "right" else -1.0
        return bool(fit.moved[0] * sign > 0.15 and fit.turned[1] * sign < -8)


class Dolly(CameraMove):
    """The camera travels towards or away from things that stand still."""

    name = "dolly"
    claim = "travelling towards things or away from them makes near ones grow faster than far ones"
    blind_to: ClassVar[dict[str, str]] = {
        "mirrored": "nothing in the prompt has a side, so a mirrored room is as good a room"
    }

    def as_asked(self, fit: RigidFit, to: str) -> bool:
        """Return whether the camera moved along its view."""
        return bool(fit.moved[2] * (1.0 if to == "in" else -1.0) > 0.1)


class Truck(CameraMove):
    """The camera travels sideways past things that stand still."""

    name = "truck"
    claim = "travelling sideways shifts near things more than far ones"

    def as_asked(self, fit: RigidFit, to: str) -> bool:
        """Return whether the camera moved to the side without turning far."""
        sign = 1.0 if to == "right" else -1.0
        return bool(fit.moved[0] * sign > 0.05 and abs(fit.turned[1]) < 20)


class Revisit(Probe):
    """The camera turns away until all is out of sight and comes back: everything must be where it was, as it was."""

    suite = "consistency_3d"
    name = "revisit"
    claim = "after looking away and back the same things are at the same places"
    source = "revisit consistency: layout after pan-and-return against the first frames, up to a similarity"
    violations: ClassVar[tuple[str, ...]] = ("drift", "texture_swims", "pulse", "boiling", "jumps")
    blind_to: ClassVar[dict[str, str]] = {"reversed": "looking away and back is the same thing backwards"}

    def draft(self, rng: np.random.Generator, flip: bool) -> Draft:
        """Return a room that the camera turns away from."""
        return family_draft("room", room.sample(rng, self.name), rng, flip)

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the layout after the return against the layout before."""
        p = case.scene["params"]
        present = landmarks(case, tracks, 0.15)
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
        if shift * (1.0 if p["to"] == "right" else -1.0) > -0.1 * tracks.size[1]:
            raise UnjudgeableError(f"the camera did not turn {p['to']} first")
        return _compared(tracks, present, before, after, video)


def _breaks(count: Floats) -> int:
    """Return how often things vanish and return besides the one time asked for."""
    low = count <= count.max() / 2
    return max(0, len(helpers.spans(np.asarray(low, dtype=bool))) - 1)


def _slide(tracks: Tracks, found: list[int], frames: Floats) -> float:
    """Return the median way in x, in pixels, that things go between their first and last sight in some frames."""
    ways = []
    for i in found:
        x = tracks.xy[i, frames, 0]
        x = x[~np.isnan(x)]
        if len(x) >= 2:
            ways.append(x[-1] - x[0])
    return float(np.median(ways)) if ways else 0.0


def _compared(tracks: Tracks, found: list[int], before: Floats, after: Floats, video: Video) -> Verdict:
    """Compare each thing's place and size in the fullest frames before and after, up to one similarity for the whole view."""
    seen = np.array([whole(tracks, i, [j for j in found if j != i]) for i in found])
    first = before[int(np.argmax(seen[:, before].sum(axis=0)))]
    errors, growths = [], []
    for last in after:
        both = seen[:, first] & seen[:, last]
        if both.sum() < 4:
            continue
        pick = [found[k] for k in np.flatnonzero(both)]
        a, b = tracks.xy[pick, first], tracks.xy[pick, last]
        # While it still turns, perspective shifts things; only the views that look the same way can be compared.
        if np.abs((b - a).mean(axis=0)).max() > 0.06 * tracks.size[1]:
            continue
        moved, factor = _similarity(a, b)
        errors.append(float(np.sqrt(np.mean(np.sum((moved - b) ** 2, axis=1)))) / min(tracks.size))
        growths.append(
            float(np.abs(0.5 * np.log(tracks.area[pick, last] / tracks.area[pick, first]) - np.log(factor)).max())
        )
    if not errors:
        raise UnjudgeableError("the camera did not come back to the same view")
    place = helpers.credit(max(errors), 0.012, 0.06)
    size = helpers.credit(max(growths), 0.1, 0.3)
    back = float(tracks.visible[found][:, after[-1]].mean())
    calm = helpers.credit(flicker(video), 2.5, 9.0)
    return Verdict(
        place * size * back * calm, {"same_places": place, "same_sizes": size, "all_back": back, "no_boiling": calm}
    )


def _similarity(a: Floats, b: Floats) -> tuple[Floats, float]:
    """Return points a [N, 2] moved onto b by the best shift, turn and scale (Umeyama 1991), and the scale."""
    ca, cb = a.mean(axis=0), b.mean(axis=0)
    z, w = (a - ca) @ np.array([1, 1j]), (b - cb) @ np.array([1, 1j])
    k = np.vdot(z, w) / max(float(np.vdot(z, z).real), 1e-9)
    out = k * z
    return np.stack([out.real, out.imag], axis=1) + cb, float(abs(k))
