"""Probes of the camera for prompts in plain words: its move, a view that is seen again, cuts.

The natural tracker's findings decide where it has some, and abstain below their thresholds; else fits of every move to the picture's
corners, as in camera control. Where both can judge they must agree.
"""

from __future__ import annotations

import numpy as np

from sora_eval.probes.base import UnjudgeableError, Verdict
from sora_eval.probes.camera_control import check_one_direction, fits_of, shown_move
from sora_eval.probes.left_right import way
from sora_eval.probes.natural.judging import (
    SIGN,
    TRUSTED,
    NaturalProbe,
    check_one_shot,
    found,
    measured_background,
    sided_verdict,
)
from sora_eval.probes.natural.views import STILL, Camera, Revisit, Shot
from sora_eval.tracking.camera_moves import TRAVELS
from sora_eval.tracking.corners import corner_tracks
from sora_eval.types import Case, Tracks, Video

_FINDINGS = {"pan": "camera side", "truck": "camera side", "zoom": "camera zoom", "dolly": "camera zoom"}
"""Findings on the direction of a move. They know the picture's way alone: in natural clips things that move by themselves look like
parallax, so that a pan is not distinguished from a truck there, nor a zoom from a dolly."""
_ALIKE = 0.6
"""Share of another move's residual that the fit of a travelling camera must be below: at most .36 in true circles of the world; .82 in
street footage where the camera pans behind passing cars, which fits a circle best."""
_AWAY = 0.15
"""Share of the width that the picture must have moved by where the first view is left, so that its side is known."""


class NaturalCamera(NaturalProbe):
    """The camera pans, tilts or travels to a side: what is seen goes the other way."""

    suite = "left_right"
    name = "natural_camera"
    claim = "the camera makes the move that the prompt names, the way that it names"
    source = "VBench++ camera motion (Huang et al. 2024)"
    version = 3
    unit = "right way, 0 or 1"
    chance = 0.5
    expects = Camera

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge the move and its direction."""
        p = self.expected(case)
        assert isinstance(p, Camera)
        check_one_shot(tracks)
        if p.kind == STILL:
            return _still(video, tracks)
        if finding := found(tracks, _FINDINGS.get(p.kind, "")):
            right = finding.answer == p.to
            return Verdict(float(right), {"side": 1.0 if right else -1.0, "confidence": finding.confidence})
        if p.kind in ("pan", "tilt"):
            return _turned(p, video, tracks)
        return _fitted(p, video, tracks)


class NaturalCameraInSpace(NaturalCamera):
    """The camera goes in or out, circles, rolls, zooms, or stands still."""

    suite = "consistency_3d"
    name = "natural_camera_3d"

    @classmethod
    def judges(cls, expectation: object) -> bool:
        """Return whether an expectation is for this probe: every move that is not to a side or upwards."""
        return isinstance(expectation, Camera) and expectation.kind not in ("pan", "tilt", "truck")


def _turned(p: Camera, video: Video, tracks: Tracks) -> Verdict:
    """Judge the common motion of the background."""
    seen = measured_background(video)
    trusted = seen.inliers >= TRUSTED
    axis = int(p.kind == "tilt")
    rates, across = -seen.displacement[trusted, axis], seen.displacement[trusted, 1 - axis]
    if abs(across.mean()) > abs(rates.mean()):
        raise UnjudgeableError(f"the camera did not {p.kind}")
    side, share = way(rates, tracks.frames, tracks.size[1 - axis], "the camera")
    return sided_verdict(side, p.to, agreement=share)


def _fitted(p: Camera, video: Video, tracks: Tracks) -> Verdict:
    """Judge the move that explains how the picture's corners go.

    Raises:
        UnjudgeableError: it is another move, or can't be distinguished from one; or the tracker does not find that the camera moves.
    """
    # Things that move by themselves may look like parallax before a camera that stands.
    if (finding := found(tracks, "camera moves")) and finding.answer == "no":
        raise UnjudgeableError(f"the camera did not {p.kind}: it did not move")
    fits, left = fits_of(p.kind, corner_tracks(video.frames))
    check_one_direction(left)
    if p.kind in TRAVELS and any(f.residual * _ALIKE < fits[p.kind].residual for m, f in fits.items() if m != p.kind):
        raise UnjudgeableError(f"the camera's motion is no clearer {p.kind} than another move")
    right = np.sign(fits[p.kind].amount) == p.sign
    return Verdict(float(right), {"side": 1.0 if right else -1.0, "left_over": left})


def _still(video: Video, tracks: Tracks) -> Verdict:
    if finding := found(tracks, "camera moves"):
        still = float(finding.answer == "no")
        return Verdict(still, {"still": still})
    best, _, left = shown_move(corner_tracks(video.frames))
    if best != STILL:
        check_one_direction(left)
    still = float(best == STILL)
    return Verdict(still, {"still": still})


class NaturalRevisit(NaturalProbe):
    """The camera turns away from its first view and comes back to it."""

    suite = "consistency_3d"
    name = "natural_revisit"
    claim = "a camera that turns away and back shows its first view again"
    source = "matches of learned features, XFeat (Potje et al. 2024)"
    unit = "seen again, 0 or 1"
    expects = Revisit

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge whether the first view is left and seen again, and the side to which it is left."""
        p = self.expected(case)
        assert isinstance(p, Revisit)
        check_one_shot(tracks)
        finding = found(tracks, "revisit")
        if finding is None:
            raise UnjudgeableError("only tracker=natural knows a view again that was left")
        if finding.answer == "no":
            return Verdict(0.0, {"returns": 0.0})
        if not p.to:
            return Verdict(1.0, {"returns": 1.0})
        x = measured_background(video).path()[:, 0] / video.size[1]
        farthest = float(x[np.abs(x).argmax()])
        if abs(farthest) < _AWAY:
            raise UnjudgeableError("the side to which the camera turns away can't be measured")
        side = 1.0 if -np.sign(farthest) == SIGN[p.to] else -1.0
        return Verdict(float(side > 0), {"returns": 1.0, "side": side})


class NaturalShot(NaturalProbe):
    """The clip is one shot, or has a cut, as the prompt says."""

    suite = "consistency_3d"
    name = "natural_shot"
    claim = "a clip of one shot has no cut, and one of two shots has one"
    source = "TransNetV2 (Souček and Lokoč 2020)"
    unit = "right, 0 or 1"
    chance = 0.5
    expects = Shot

    def judge(self, case: Case, video: Video, tracks: Tracks) -> Verdict:
        """Judge whether there is a cut."""
        p = self.expected(case)
        assert isinstance(p, Shot)
        finding = found(tracks, "cut")
        if finding is None:
            raise UnjudgeableError("only tracker=natural detects cuts")
        cut = finding.answer == "yes"
        return Verdict(float(cut == (p.shots == "two")), {"cut": float(cut), "confidence": finding.confidence})
