"""Physics: objects fall, bounce, fly, collide, roll and tip over by the laws of mechanics.

Scale comes from the prompt: it states the diameter of the ball in metres and real time, so an acceleration measured in
diameters per second squared is one in metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sora_eval.metrics import physics as laws
from sora_eval.probes import helpers, trajectories
from sora_eval.probes.base import Probe, UnjudgeableError, Verdict
from sora_eval.types import Case, Tracks, Video
from sora_eval.world.families.collision import CollisionParams
from sora_eval.world.families.free_fall_bounce import FreeFallBounceParams
from sora_eval.world.families.params import OPPOSITE, SIGN, Side
from sora_eval.world.families.projectile import ProjectileParams
from sora_eval.world.families.ramp import RampParams
from sora_eval.world.families.topple import ToppleParams
from sora_eval.world.families.two_drops import TwoDropsParams

_G = 9.81
_FACTOR = 1.3
"""By how much a stated height may be missed, either way: less than from one stated height to another kind of scene."""
_DEGREES = 6.0
_TREMBLES = 3.0
"""Pixels that a still object may seem to move in a picture that trembles by one, against its mean place at the start."""
_ONE_SOUND_S = 0.1
"""Seconds between two contacts below which their sounds may be taken for one."""
_MEET = 0.3
"""Gap between two blocks, in lengths of the short one, at which they may seem to be when they hit: -.14 to 0 in true clips."""
_DEEPEST = 0.8
"""Diameters by which a ball may seem to be beyond the face that it hit: up to .5 in true clips, 1 and more where it passes through."""
_REBOUNDS = 0.1
"""Least restitution of a bounce: what stops without one may hang in the air."""
_RIDES_AT = 0.43
"""Height of a ball's centre over a ramp's visible edge, in diameters: half, less what shows of the top behind it."""


class FreeFallBounce(Probe):
    """A ball is dropped: it must fall along a parabola at 9.81 m/s^2 and bounce back, not higher than it fell."""

    suite = "physics"
    continued = True
    name = "free_fall_bounce"
    claim = "a dropped ball falls at 9.81 m/s^2 along a parabola and bounces back no higher than it fell"
    source = "closed form of free fall; restitution e = sqrt(h2 / h1)"
    violations = ("gravity", "hovering", "restitution_over_1")

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the parabola, its acceleration, the start at rest and the bounce."""
        p = FreeFallBounceParams.of(case)
        ball, block = helpers.find_object(tracks, p.ball, "ball"), helpers.find_object(tracks, p.block, "cube", 0.5)
        _require_side(tracks, ball, block, p.side, "ball")
        fall = trajectories.fall(tracks, ball)
        # The block shows where the floor is.
        foot = -float(np.nanmedian(tracks.box[block, :, 3])) / fall.diameter
        over = abs(fall.floor / fall.diameter - 0.5 - foot)
        # From the floor, not from the first contact: a ball that stops in the air is wrong, not unjudgeable.
        _require_height(fall.top / fall.diameter - 0.5 - foot, p.height_m / p.diameter_m, "ball", "diameters")
        parts = {
            "g": _strength(fall.g * p.diameter_m, _G),
            "parabola": fall.fit,
            "dropped": fall.dropped,
            "bounce": fall.bounce,
            "energy": fall.energy,
            "on_the_floor": helpers.ramp_score(over, 0.4, 0.9),
            "alone": _alone(tracks, [ball, block]),
        }
        measured = {"g_m_per_s2": fall.g * p.diameter_m, "restitution": fall.restitution}
        return Verdict(helpers.product(parts), {**parts, **measured})

    def contacts(self, case: Case, tracks: Tracks) -> tuple[float, ...]:
        """Return the time of the first bounce."""
        fall = trajectories.fall(tracks, helpers.find_object(tracks, FreeFallBounceParams.of(case).ball, "ball"))
        if fall.restitution < _REBOUNDS:
            raise UnjudgeableError("the ball does not bounce")
        return (fall.contact_s,)


class TwoDrops(Probe):
    """Two balls are released together from different heights: times of fall squared must be as the heights."""

    suite = "physics"
    continued = True
    name = "two_drops"
    claim = "the squared times of fall of two balls released together are as their heights, at any scale and speed"
    source = "Galilei: t1^2 / t2^2 = h1 / h2, free of scale and frame rate"
    violations = ("uneven_gravity", "hovering", "restitution_over_1")

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge times against heights, the common release, both paths and both bounces."""
        p = TwoDropsParams.of(case)
        high, low = helpers.find_object(tracks, p.high, "ball"), helpers.find_object(tracks, p.low, "ball")
        _require_side(tracks, low, high, p.side, f"{p.low} ball")
        a, b = trajectories.fall(tracks, high), trajectories.fall(tracks, low)
        if a.top - b.top < 0.2 * b.height:
            raise UnjudgeableError(f"the {p.high} ball was not let go from higher up than the {p.low} one")
        # Either ball may hang in the air: the one that came lower shows where the floor is.
        floor = min(a.floor, b.floor)
        times_low = f"times the height of the {p.low} one"
        _require_height((a.top - floor) / (b.top - floor), p.high_m / p.low_m, f"{p.high} ball", times_low)
        parts = {
            "parabola": min(a.fit, b.fit),
            "dropped": min(a.dropped, b.dropped),
            "bounce": min(a.bounce, b.bounce),
            "energy": min(a.energy, b.energy),
            "one_floor": helpers.ramp_score(abs(a.floor - b.floor) / b.diameter, 0.3, 0.8),
            "alone": _alone(tracks, [high, low]),
            "ratio": 0.0,
            "together": 0.0,
        }
        # One clock for both: a ball that is let go later than the other is not falling slower.
        start = (a.apex_s + b.apex_s) / 2
        t_a, t_b = a.contact_s - start, b.contact_s - start
        if min(t_a, t_b) > 0:
            ratio = laws.two_drop_ratio(t_a, a.height, t_b, b.height)
            parts["ratio"] = helpers.ramp_score(abs(float(np.log(ratio))), 0.12, 0.5)
            parts["together"] = helpers.ramp_score(abs(a.apex_s - b.apex_s) / t_b, 0.15, 0.5)
            return Verdict(helpers.product(parts), {**parts, "times_to_heights": ratio})
        return Verdict(0.0, parts)

    def contacts(self, case: Case, tracks: Tracks) -> tuple[float, ...]:
        """Return the times of the first bounces of both balls; of the lower one alone where it bounces again before the other one comes."""
        p = TwoDropsParams.of(case)
        falls = [trajectories.fall(tracks, helpers.find_object(tracks, colour, "ball")) for colour in (p.high, p.low)]
        if any(fall.restitution < _REBOUNDS for fall in falls):
            raise UnjudgeableError("a ball does not bounce")
        first, last = sorted(falls, key=lambda fall: fall.contact_s)
        if last.contact_s - first.contact_s < _ONE_SOUND_S:
            raise UnjudgeableError("both balls bounce at once")
        # Two heights of fall, in diameters, are between two bounces, up and down.
        again_s = first.contact_s + 2 * first.restitution * float(np.sqrt(2 * first.height / first.diameter / first.g))
        both = last.contact_s + 1 / tracks.fps < again_s
        return (first.contact_s, last.contact_s) if both else (first.contact_s,)


class Projectile(Probe):
    """A thrown ball must fly along a parabola, at 9.81 m/s^2 downwards and without any acceleration sideways."""

    suite = "physics"
    continued = True
    name = "projectile"
    version = 2
    claim = "a thrown ball flies along a parabola at 9.81 m/s^2 downwards and at a constant speed sideways"
    source = "closed form of projectile motion"
    violations = ("gravity", "hovering", "swerves")

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge direction, path and both accelerations, up to the landing."""
        p = ProjectileParams.of(case)
        way = SIGN[p.to]
        ball = helpers.find_object(tracks, p.ball, "ball")
        t, xy, whole, diameter = trajectories.ball(tracks, ball)
        flight = trajectories.flight(xy / diameter, whole)
        across = way * float(xy[flight[-1], 0] - xy[flight[0], 0])
        if across < 0.25 * min(tracks.size):
            raise UnjudgeableError(f"the ball did not fly to the {p.to}")
        try:
            fit = laws.fit_fall(t[flight], xy[flight] / diameter, 1.0, 0.02)
        except ValueError as error:
            raise UnjudgeableError(f"the flight cannot be measured: {error}") from error
        g = -fit.y.acceleration * p.diameter_m
        parts = {
            "g": _strength(g, _G),
            # Off in two directions, hence the root of two.
            "parabola": trajectories.smooth(fit.residual_per_diameter, diameter / 2**0.5),
            "no_force_sideways": helpers.ramp_score(fit.sideways, 0.1, 0.4),
            "alone": _alone(tracks, [ball]),
        }
        return Verdict(helpers.product(parts), {**parts, "g_m_per_s2": g})


class Collision(Probe):
    """A heavy block slides into a light one at rest: momentum is kept, and nothing moves unless it is hit."""

    suite = "physics"
    continued = True
    name = "collision"
    version = 2
    claim = "a heavy block that glides into a light one pushes it off: momentum is kept, after contact and not before"
    source = "conservation of momentum; Newton's restitution in 0..1"
    violations = ("lost_momentum", "passes_through", "effect_precedes_cause")

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge momentum, restitution, order of cause and effect, and that the blocks stay outside each other."""
        p = CollisionParams.of(case)
        met = _meeting(p, tracks)
        h, s = met.heavy, met.light
        error = laws.momentum_error(
            np.array([p.ratio, 1.0]), np.array([[h.before], [s.before]]), np.array([[h.after], [s.after]])
        )
        bounce = (s.after - h.after) / h.before
        # The gap when the first of the two changes its speed, by their paths until then: finer than frames.
        early = met.gap(min([q.at for q in met.struck], default=s.at))
        parts = {
            "momentum": helpers.ramp_score(error, 0.12, 0.5),
            "restitution": helpers.ramp_score(max(bounce - 1, -bounce), 0.1, 0.35),
            "order": helpers.ramp_score(early, 0.1, 0.4) if s in met.struck else 0.0,
            "apart": helpers.ramp_score(-met.least_gap, 0.22, 0.5),
            "at_rest_before": helpers.ramp_score(abs(s.before) / h.before, 0.12, 0.4),
            "steady": helpers.ramp_score(max(h.residual, s.residual), 0.06, 0.25),
            "alone": _alone(tracks, list(met.tracks)),
        }
        return Verdict(helpers.product(parts), {**parts, "momentum_error": error, "restitution_found": bounce})

    def contacts(self, case: Case, tracks: Tracks) -> tuple[float, ...]:
        """Return the time at which a block that is struck changes its speed, while the two touch."""
        met = _meeting(CollisionParams.of(case), tracks)
        if not met.struck:
            raise UnjudgeableError("neither block changes its speed")
        # The light one's change is the larger one by far, and gives the time best.
        at = max(met.struck, key=lambda q: abs(q.after - q.before)).at
        if abs(met.gap(at)) > _MEET or met.least_gap < -_MEET:
            raise UnjudgeableError("the blocks do not touch when their speeds change, or go on into each other")
        return (at,)


@dataclass(frozen=True)
class _Meeting:
    """How two blocks meet; lengths are those of the light block."""

    tracks: tuple[int, int]
    """Tracks of the heavy and the light block."""
    heavy: trajectories.Hinge
    light: trajectories.Hinge
    reach: float
    """Distance of the centres of blocks that touch."""
    least_gap: float
    """Least gap in any frame, negative where they overlap."""

    @property
    def struck(self) -> list[trajectories.Hinge]:
        """The motions that change their speed."""
        both = (self.heavy, self.light)
        return [q for q in both if abs(q.after - q.before) > 0.15 * self.heavy.before]

    def gap(self, t_s: float) -> float:
        """Return the gap at a time, by the paths before the changes of speed."""
        return self.light.at_time(t_s) - self.heavy.at_time(t_s) - self.reach


def _meeting(p: CollisionParams, tracks: Tracks) -> _Meeting:
    """Return how the two blocks of a collision meet.

    Raises:
        UnjudgeableError: they don't, or are not seen to.
    """
    way = SIGN[p.to]
    heavy = helpers.find_object(tracks, p.heavy, "heavy block")
    light = helpers.find_object(tracks, p.light, "light block")
    t = helpers.times(tracks)
    both = helpers.clear(tracks, heavy, []) & helpers.clear(tracks, light, [])
    if both.sum() < trajectories.MIN_SAMPLES + 1:
        raise UnjudgeableError("the two blocks were not seen together long enough")
    first = np.flatnonzero(both)[:2]
    long, short = (float(np.median(tracks.box[i][first, 2] - tracks.box[i][first, 0])) for i in (heavy, light))
    xh, xl = (way * tracks.xy[i, :, 0] / short for i in (heavy, light))
    reach = (long / short + 1) / 2
    gap = xl - xh - reach
    if gap[first[0]] < 0.3:
        raise UnjudgeableError(f"the {p.heavy} block did not start on the {OPPOSITE[p.to]} of the {p.light} one")
    # A clip may rest before the block sets out.
    both[np.flatnonzero(both)[: helpers.leading_rest(xh[both], helpers.RESTS)]] = False
    if both.sum() < trajectories.MIN_SAMPLES:
        raise UnjudgeableError("the two blocks were not seen together long enough")
    h, s = trajectories.hinge(t[both], xh[both]), trajectories.hinge(t[both], xl[both])
    if h.before * (t[-1] - t[0]) * short < 0.12 * min(tracks.size):
        raise UnjudgeableError(f"the {p.heavy} block did not slide to the {p.to}")
    if float(np.min(gap[both])) > 0.4:
        raise UnjudgeableError("the two blocks never met")
    return _Meeting((heavy, light), h, s, reach, float(np.min(gap[both])))


class Ramp(Probe):
    """A ball rolls down a ramp: it must stay on it and speed up at five sevenths of g times the sine of the slope."""

    suite = "physics"
    continued = True
    name = "ramp"
    version = 2
    claim = "a ball let go on a ramp stays on it and speeds up steadily, at 5/7 g sin(slope)"
    source = "closed form of a solid ball rolling without slipping"
    violations = ("gravity", "hovering", "passes_through")

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge direction, contact with the ramp, and the acceleration along it."""
        p = RampParams.of(case)
        way = SIGN[p.to]
        ramp, ball = helpers.find_object(tracks, p.ramp, "ramp", 0.5), helpers.find_object(tracks, p.ball, "ball")
        t, xy, whole, diameter = trajectories.ball(tracks, ball)
        edge, low_end = trajectories.upper_edge(video, p.ramp, way)
        slope = float(np.arctan(edge[0]))
        if -way * slope < np.radians(5):
            raise UnjudgeableError(f"the ramp does not fall to the {p.to}")
        # Some phrasings leave the angle open.
        if "degrees" in case.prompt and abs(-way * np.degrees(slope) - p.angle) > _DEGREES:
            raise UnjudgeableError(
                f"the ramp falls at {abs(np.degrees(slope)):.0f} degrees, not at {p.angle} as the prompt says"
            )
        # On the level floor beyond the ramp other laws hold.
        on = whole & (way * (low_end - xy[:, 0]) > 0.8 * diameter)
        if on.sum() < trajectories.MIN_SAMPLES:
            raise UnjudgeableError("the ball was not seen on the ramp long enough")
        on[: trajectories.released(xy / diameter, on)] = False
        if on.sum() < trajectories.MIN_SAMPLES:
            raise UnjudgeableError("the ball did not roll down the ramp")
        place = xy[on] - xy[on][0]
        along = way * (place @ np.array([np.cos(slope), np.sin(slope)])) / diameter
        off = (xy[on, 1] - np.polyval(edge, xy[on, 0])) * np.cos(slope) / diameter
        if along.max() < 0.7:
            raise UnjudgeableError(f"the ball did not roll down to the {p.to}")
        fit = laws.fit_parabola(t[on], along)
        a, expected = fit.acceleration * p.diameter_m, 5 / 7 * _G * float(np.sin(abs(slope)))
        parts = {
            "acceleration": _strength(a, expected),
            "steady": trajectories.smooth(fit.residual, diameter),
            "on_the_ramp": helpers.ramp_score(trajectories.farthest(off - _RIDES_AT), max(0.12, 1 / diameter), 0.4),
            "alone": _alone(tracks, [ball, ramp]),
        }
        return Verdict(helpers.product(parts), {**parts, "a_m_per_s2": a, "a_expected": expected})


class Topple(Probe):
    """A ball hits a tall block: it must tip over the way it was pushed, after the hit, and come to lie on the floor."""

    suite = "physics"
    continued = True
    name = "topple"
    version = 2
    claim = "a tall block that a ball hits tips over in the direction of the push, after the hit, and lies on the floor"
    source = "order of cause and effect; support: nothing hangs in the air"
    violations = ("hovering", "passes_through", "effect_precedes_cause", "falls_against_push")

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge order, direction, an uninterrupted fall, and rest on the floor."""
        p = ToppleParams.of(case)
        way = SIGN[p.to]
        block = helpers.find_object(tracks, p.block, "block", 0.6)
        ball = helpers.find_object(tracks, p.ball, "ball")
        t, xy, whole, diameter = trajectories.ball(tracks, ball, least=2)
        seen = np.flatnonzero(tracks.visible[block])
        box = tracks.box[block]
        tall, wide = box[:, 3] - box[:, 1], box[:, 2] - box[:, 0]
        start = seen[:2]
        height = float(np.median(tall[start]))
        if height < 1.5 * float(np.median(wide[start])):
            raise UnjudgeableError("the block did not stand upright at the beginning")
        ahead = trajectories.to_face(xy, diameter, box[start], way)
        coming = trajectories.approach(t, ahead, whole, diameter)
        if coming is None:
            raise UnjudgeableError(f"the ball was not seen coming from the {OPPOSITE[p.to]}")
        speed = coming.speed
        if -speed * (t[-1] - t[0]) < 0.8 * diameter or float(np.min(ahead[whole])) > 0.5 * diameter:
            raise UnjudgeableError("the ball never reached the block")
        x, fallen = way * tracks.xy[block, :, 0], tracks.xy[block, :, 1]
        shift = (x - np.median(x[start])) / height
        late = seen[-max(2, len(seen) // 8) :]
        down = (fallen - np.median(fallen[start])) / height
        # What tips grows wide by twice what its centre moves, and a picture that trembles makes nothing wider.
        wider = (wide - np.median(wide[start])) / 2 / height
        moved = np.hypot(shift, down)
        # Compression may widen what stands, but not move it as well.
        away = np.fmin(wider, moved) > max(0.03, 0.8 / height)
        away |= moved > max(0.05, _TREMBLES / height)
        onset = trajectories.onset(t[seen], ((wider + moved) / 2)[seen], away[seen])
        lies = helpers.ramp_score(float(np.median(tall[late])) / height, 0.45, 0.75)
        if onset is None:
            return Verdict(0.0, {"falls": 0.0})
        lead = (coming.zero_s - onset) * -speed / diameter
        parts = {
            # Neither may it wait: a ball that is halfway in has not pushed.
            "order": helpers.ramp_score(lead, 0.35, 0.9) * helpers.ramp_score(-lead, 0.9, 1.5),
            "direction": helpers.ramp_score(-float(np.median(shift[late])), -0.25, -0.05),
            "lies": lies,
            "on_the_floor": helpers.ramp_score(
                abs(float(np.median(box[late, 3]) - np.median(box[start, 3]))) / height, 0.08, 0.2
            ),
            "never_hangs": trajectories.never_hangs(t[seen], shift[seen], down[seen]),
            "alone": _alone(tracks, [ball, block]),
        }
        return Verdict(helpers.product(parts), {"falls": 1.0, **parts})

    def contacts(self, case: Case, tracks: Tracks) -> tuple[float, ...]:
        """Return the time at which the ball hits the block."""
        p = ToppleParams.of(case)
        block = helpers.find_object(tracks, p.block, "block", 0.6)
        at_first = tracks.box[block][np.flatnonzero(tracks.visible[block])[:2]]
        hit = trajectories.hit(tracks, helpers.find_object(tracks, p.ball, "ball"), at_first, SIGN[p.to])
        if hit.deepest > _DEEPEST:
            raise UnjudgeableError("the ball goes on into the block")
        return (hit.rebound_s,)


def _require_side(tracks: Tracks, i: int, j: int, side: Side, what: str) -> None:
    both = tracks.visible[i] & tracks.visible[j]
    apart = SIGN[side] * (tracks.xy[i, :, 0] - tracks.xy[j, :, 0])[both]
    if not both.any() or float((apart > 0).mean()) < 0.8:
        raise UnjudgeableError(f"the {what} was not on the {side}")


def _require_height(measured: float, stated: float, what: str, unit: str) -> None:
    if not stated / _FACTOR <= measured <= stated * _FACTOR:
        raise UnjudgeableError(
            f"the {what} started {measured:.1f} {unit} above the floor, not {stated:.1f} as the prompt says"
        )


def _alone(tracks: Tracks, expected: list[int]) -> float:
    """Return 1 when no object but the expected tracks is visible, 0 when one is for a third of the clip."""
    smallest = min(float(np.median(tracks.area[i][tracks.visible[i]])) for i in expected)
    more = helpers.extras(tracks, {tracks.colour[i]: 1 for i in expected}, 0.3 * smallest)
    return helpers.ramp_score(more, 0.07, 0.33)


def _strength(measured: float, expected: float) -> float:
    """Return the score of an acceleration: 1 within 12%, 0 from a factor of 1.7 on."""
    return helpers.ramp_score(abs(float(np.log(measured / expected))), 0.12, 0.55) if measured > 0 else 0.0
