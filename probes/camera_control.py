"""Camera control: the camera makes the move of the prompt, in its direction, at its speed, smoothly, and no other one.

Each probe is one move. A clip that shows another move, or none, is not what the prompt describes and is not judged; the opposite
direction scores 0, and a blind guess .5. What the clip shows is measured on corners of the picture alone: every move is fitted to them as
the camera of a rigid scene (`tracking/camera_moves.py`), and parallax distinguishes a travelling camera from one that turns or zooms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from sora_eval.probes import helpers
from sora_eval.probes.base import Draft, Probe, UnjudgeableError, Verdict
from sora_eval.tracking.camera_moves import FEWEST, TRAVELS, MoveFit, best_move, fit_moves, motion
from sora_eval.tracking.corners import CornerTracks, corner_tracks
from sora_eval.types import Case, Tracks, Video
from sora_eval.world.families.camera_move import CameraMove, CameraMoveParams
from sora_eval.world.families.room import Placed
from sora_eval.world.families.two_camera_moves import TwoCameraMoves, TwoCameraMovesParams

_STILL = 0.004
"""Motion of the picture, as a share of the focal length, below which the camera does not move: a third of the least slow move's."""
_NOISE = 0.002
"""Residual that tracks of a true clip of 64 pixels have, a fifth of a pixel, which is no motion left over."""
_EXPLAINED = 0.5
"""Share of the motion that the best move may leave over; beyond, it is no camera's."""
_CLEAR = 0.3
"""Share up to which an opposite move is one: a view that wanders may end anywhere."""
_CHANGES = (0.5, 0.42, 0.58)
"""Shares of a clip at which its second move may begin: each is tried until the moves are those of the prompt."""
_UNSURE = 0.74
"""Share of a turn's residual that the fit of a travelling camera leaves of true turns; what leaves less may be either."""
SHOWN: dict[str, tuple[str, str]] = {
    "pan": ("panned left", "panned right"),
    "tilt": ("tilted down", "tilted up"),
    "roll": ("rolled left", "rolled right"),
    "zoom": ("zoomed out", "zoomed in"),
    "truck": ("moved left", "moved right"),
    "crane": ("moved down", "moved up"),
    "dolly": ("moved back", "moved forward"),
    "orbit": ("circled left", "circled right"),
}
"""What a clip shows, in words: the negative direction of each move, and the positive one."""


def shown_move(corners: CornerTracks) -> tuple[str, Mapping[str, MoveFit], float]:
    """Return the move that a clip shows ("still" for none), the fits of all moves, and the share of the motion that the best leaves over.

    Raises:
        UnjudgeableError: too little can be followed, or what moves is no camera's view of a rigid scene.
    """
    _check_enough(corners)
    if not (corners.seen[:, :-1] & corners.seen[:, 1:]).sum(axis=0).min() >= FEWEST // 2:
        raise UnjudgeableError("the picture can't be followed from its first frame to its last")
    moved = motion(corners.xy, corners.seen)
    if moved < _STILL:
        return "still", {}, 0.0
    helpers.check_no_cut(corners.xy, corners.seen)
    fits = fit_moves(corners.xy, corners.seen)
    best = best_move(fits)
    left = max(fits[best].residual ** 2 - _NOISE**2, 0.0) ** 0.5 / moved
    if left > _EXPLAINED:
        raise UnjudgeableError("what moves in the picture is not the view of one camera that makes one move")
    return best, fits, left


def fits_of(move: str, corners: CornerTracks) -> tuple[Mapping[str, MoveFit], float]:
    """Return the fits of all moves to a clip that shows this one, and the share of the motion that it leaves over.

    Either direction will do.

    Raises:
        UnjudgeableError: the clip shows another move, none, or one that can't be distinguished from another.
    """
    best, fits, left = shown_move(corners)
    if best == "still":
        raise UnjudgeableError(f"the camera did not {move}: it did not move")
    if best == move:
        return fits, left
    if left > _CLEAR:
        raise UnjudgeableError("the camera did not keep to one move")
    way = SHOWN[best][fits[best].amount > 0]
    if move in TRAVELS and best not in TRAVELS:
        if fits[move].shape_residual < _UNSURE * fits[best].shape_residual:
            raise UnjudgeableError(f"near and far move too little apart to see whether the camera {way}")
        way += ": near and far things moved alike"
    raise UnjudgeableError(f"the camera {way}")


def check_one_direction(left: float) -> None:
    """Refuse a move whose direction is not clear. left: the share of the motion that its fit leaves over.

    Raises:
        UnjudgeableError: it leaves too much.
    """
    if left > _CLEAR:
        raise UnjudgeableError("the camera did not keep to one direction")


def _check_enough(corners: CornerTracks) -> None:
    if len(corners.xy) < FEWEST:
        raise UnjudgeableError(f"only {len(corners.xy)} points of the picture could be followed, {FEWEST} are needed")


def _named_things(things: Sequence[Placed], tracks: Tracks) -> None:
    """Check that the objects of the prompt are there.

    Raises:
        UnjudgeableError: fewer than two of them were found.
    """
    missing = []
    for thing in things:
        try:
            helpers.find_object(tracks, thing.colour, thing.shape, 0.1)
        except UnjudgeableError as reason:
            missing.append(str(reason))
    if len(things) - len(missing) < 2:
        raise UnjudgeableError(missing[0])


def _shake(fit: MoveFit) -> float:
    """Return the rms over frames of how far the whole picture is off the smooth move, as a share of the focal length."""
    common = np.nanmedian(fit.off, axis=0)
    return float(np.sqrt(np.mean(np.sum(common**2, axis=1))))


def _compare_move(move: str, amount: float, corners: CornerTracks) -> dict[str, float]:
    """Return the shares of the claim that hold for one move, its side, and the shown amount as a share of the asked one.

    Raises:
        UnjudgeableError: the clip shows another move, none, or no clear one.
    """
    fits, left = fits_of(move, corners)
    fit = fits[move]
    ratio = float(abs(fit.amount / amount))
    if np.sign(fit.amount) != np.sign(amount):
        check_one_direction(left)
        return {"side": -1.0, "relative_amount": ratio}
    return {
        "amount": helpers.ramp_score(abs(float(np.log(max(ratio, 1e-3)))), 0.5, 1.4),
        "smooth": helpers.ramp_score(_shake(fit), 0.006, 0.03),
        "pure": helpers.ramp_score(left, 0.15, 0.45),
        "side": 1.0,
        "relative_amount": ratio,
    }


def _value_of_moves(moves: Sequence[Mapping[str, float]]) -> float:
    """Return the value of moves as `_compare_move` compares them: 0 where one went the opposite way."""
    if any(parts["side"] < 0 for parts in moves):
        return 0.0
    return 0.5 + 0.5 * float(np.prod([parts[k] for parts in moves for k in ("amount", "smooth", "pure")]))


class CameraControl(Probe):
    """What all moves share: twins with the opposite move, and the comparison of moves."""

    suite = "camera_control"
    version = 2
    scenes = "camera_move"
    source = "camera motion classes of VBench++ (Huang et al. 2024) and CameraCtrl (He et al. 2024); fits by variable projection"
    unit = "0 opposite direction; else 0.5 and half of the share of the claim that holds"
    chance = 0.5
    violations: ClassVar[tuple[str, ...]] = (
        "camera_reversed",
        "camera_moves_otherwise",
        "camera_stays",
        "camera_jerks",
        "camera_wanders",
    )
    move: ClassVar[str]

    def sample(self, rng: np.random.Generator) -> CameraMoveParams:
        """Return a scene with this probe's move."""
        return CameraMove().sample(rng, self.move)

    def draft(self, rng: np.random.Generator, flip: bool) -> Draft:
        """Return a random case; with `flip` its twin: mirrored where the move goes to a side, else the opposite move in the same scene."""
        p = self.sample(rng)
        if flip:
            p = self.family.mirrored(p) if p.sided else p.opposite()
        return Draft(self.family.name, p, self.family.caption(p, rng))

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge move, direction, amount, smoothness, and what else the camera does."""
        p = CameraMoveParams.of(case)
        _named_things(p.things, tracks)
        parts = _compare_move(self.move, p.amount, corner_tracks(video.frames))
        return Verdict(_value_of_moves([parts]), parts)


class MovePan(CameraControl):
    """The camera turns to one side on the spot."""

    name = "move_pan"
    move = "pan"
    claim = "asked to pan to one side, the camera turns to that side on the spot"


class MoveTruck(CameraControl):
    """The camera travels to one side without turning."""

    name = "move_truck"
    move = "truck"
    claim = "asked to travel sideways, the camera moves to that side, and near things shift more than far ones"


class MoveOrbit(CameraControl):
    """The camera circles to one side around the objects."""

    name = "move_orbit"
    move = "orbit"
    claim = "asked to circle things to one side, the camera moves to that side and keeps facing them"


class MoveRoll(CameraControl):
    """The camera turns about its line of sight."""

    name = "move_roll"
    move = "roll"
    claim = "asked to roll to one side, the camera turns about its line of sight to that side"


class _UnsidedMove(CameraControl):
    """A move without a side: a mirrored clip shows the same one."""

    blind_to: ClassVar[dict[str, str]] = {
        "mirrored": "nothing in the prompt has a side, so a mirrored clip shows the same move"
    }


class MoveTilt(_UnsidedMove):
    """The camera turns upwards or downwards on the spot."""

    name = "move_tilt"
    move = "tilt"
    claim = "asked to tilt up or down, the camera turns that way on the spot"


class MoveCrane(_UnsidedMove):
    """The camera rises or sinks without tilting."""

    name = "move_crane"
    move = "crane"
    claim = "asked to rise or sink, the camera moves that way, and near things shift more than far ones"


class MoveDolly(_UnsidedMove):
    """The camera travels towards the objects or away from them."""

    name = "move_dolly"
    move = "dolly"
    claim = "asked to travel forward or back, the camera moves that way, and near things grow faster than far ones"


class MoveZoom(_UnsidedMove):
    """The lens zooms in or out while the camera stays in its place."""

    name = "move_zoom"
    move = "zoom"
    claim = "asked to zoom, the picture grows or shrinks as a whole, without parallax"


class MoveStill(CameraControl):
    """The camera does not move while a ball rolls past."""

    name = "move_still"
    move = "still"
    claim = "asked to stay still while a ball rolls to one side, the camera does not move"
    violations = ("camera_moves_otherwise", "camera_jerks", "camera_wanders")

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the direction of the ball, then how still the picture is around it."""
        p = CameraMoveParams.of(case)
        _named_things(p.things, tracks)
        ball = helpers.find_object(tracks, p.rolling[0], "ball", 0.5)
        seen = np.flatnonzero(tracks.visible[ball])
        quarter = max(2, len(seen) // 4)
        x = tracks.xy[ball, :, 0] / min(tracks.size)
        way = float(np.median(x[seen[-quarter:]]) - np.median(x[seen[:quarter]]))
        if abs(way) < 0.08 or abs(float(np.corrcoef(seen, x[seen])[0, 1])) < 0.9:
            raise UnjudgeableError("the ball did not roll past")
        corners = corner_tracks(video.frames)
        _check_enough(corners)
        if np.sign(way) != p.sign:
            return Verdict(0.0, {"side": -1.0})
        still = helpers.ramp_score(motion(corners.xy, corners.seen), 0.006, 0.03)
        calm = helpers.ramp_score(_largest_step(corners), 0.012, 0.04)
        return Verdict(0.5 + 0.5 * still * calm, {"still": still, "calm": calm, "side": 1.0})


class TwoMoves(CameraControl):
    """The camera makes two moves in a row."""

    name = "two_moves"
    scenes = "two_camera_moves"
    claim = "asked for two camera moves in a row, the camera makes the first in the first half of the clip and then the second"
    unit = "0 one opposite direction; else 0.5 and half of the share of the claim that holds"
    violations = (*CameraControl.violations, "camera_swaps_moves")

    def draft(self, rng: np.random.Generator, flip: bool) -> Draft:
        """Return a random case; with `flip` its twin: the same scene with both moves the other way."""
        p = TwoCameraMoves().sample(rng)
        if flip:
            p = replace(p, steps=(p.steps[0].opposite(), p.steps[1].opposite()))
        return Draft(self.family.name, p, self.family.caption(p, rng))

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge both moves as a single one is judged, each on its half of the clip."""
        p = TwoCameraMovesParams.of(case)
        _named_things(p.things, tracks)
        reasons: list[UnjudgeableError] = []
        verdicts: list[Verdict] = []
        for at in _CHANGES:
            k = round(at * (len(video.frames) - 1))
            try:
                moves = [
                    _compare_move(step.move, step.amount(p.speed), corner_tracks(frames))
                    for step, frames in zip(p.steps, (video.frames[: k + 1], video.frames[k:]), strict=True)
                ]
            except UnjudgeableError as reason:
                reasons.append(reason)
                continue
            value = _value_of_moves(moves)
            verdicts.append(Verdict(value, _of_both(moves)))
            if value > 0.99 or value == 0:
                break
        if not verdicts:
            raise reasons[0]
        return max(verdicts, key=lambda v: v.value)


def _of_both(moves: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the components of two moves, those of the second by the names that they have there."""
    names = {
        "amount": "second_amount",
        "smooth": "second_smooth",
        "pure": "second_pure",
        "side": "second_side",
        "relative_amount": "second_relative_amount",
    }
    first, second = moves
    return {**first, **{names[name]: value for name, value in second.items()}}


def _largest_step(corners: CornerTracks) -> float:
    """Return how far the picture at most is from its first place: the median over its points, as a share of the shorter side."""
    home = np.array([np.median(path[there][:3], axis=0) for path, there in zip(corners.xy, corners.seen, strict=True)])
    off = np.linalg.norm(corners.xy - home[:, None], axis=2)
    medians = [float(np.median(off[there, k])) for k, there in enumerate(corners.seen.T) if there.any()]
    return max(medians, default=0.0)
