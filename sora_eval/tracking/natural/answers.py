"""What a natural clip shows, as answers to a few questions, each with a confidence below which none is given.

A confidence is a product of factors of 0 to 1: how far something goes, how steadily, and on how much evidence. Thresholds are chosen on one
half of real footage and reported on the other (docs/natural.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sora_eval.tracking.natural.camera import CameraPath
from sora_eval.tracking.natural.linking import Track
from sora_eval.types import Finding, Floats

SIDE, ZOOM, MOVES, CUT, REVISIT = "camera side", "camera zoom", "camera moves", "cut", "revisit"
QUESTIONS = (SIDE, ZOOM, MOVES, CUT, REVISIT)
"""Questions about the camera, in the order of the tables."""
PRESENT, HEADING = "object present", "object side"
"""Questions about an object."""
HAND = "hand in use"
"""The question about a person."""
UNPUBLISHED = 1.5
"""A threshold that no confidence reaches: of a question whose answers are wrong too often on real footage."""
THRESHOLDS: Mapping[tuple[str, str], float] = {
    (SIDE, ""): 0.5,
    (ZOOM, ""): 0.75,
    (MOVES, "yes"): 0.35,
    (MOVES, "no"): 0.35,
    (CUT, "yes"): 0.75,
    (CUT, "no"): 0.5,
    (REVISIT, "yes"): 0.3,
    (REVISIT, "no"): 0.5,
    (PRESENT, "yes"): 0.5,
    (PRESENT, "no"): 0.8,
    (HEADING, ""): 0.45,
    (HAND, ""): UNPUBLISHED,
}
"""Published thresholds, by question and answer, "" for both answers of a question that has a mirror."""
_FAR, _GROWN, _WAY = 0.15, 0.2, 0.1
"""Ways that are unmistakable: of the picture's middle and of an object in widths, of the size in its logarithm."""
_MOVED, _STILL = 0.1, 0.02
"""Motion of the picture from which on it surely moves, and below which it may be still, in widths."""
_EXPLAINED = 0.6
"""Share of inliers that is as good as all: people and leaves move by themselves."""
_SEEN_AGAIN = 0.2
"""Share of the first frame's features that are found again, as one, in a frame that surely shows the same."""


@dataclass(frozen=True)
class Guess:
    """The likelier answer to a question, whatever its confidence."""

    answer: str
    """The answer."""
    confidence: float
    """0 to 1."""
    seen: str
    """What was measured, for the reason of an abstention."""


def camera_guesses(path: CameraPath, cut: Floats) -> dict[str, Guess]:
    """Return the guesses on the camera of a clip, by question. cut: [T] probability that a shot ends with a frame."""
    return {
        SIDE: _directed(path.xy[:, 0], _FAR, ("left", "right"), path, "the picture's way to the side"),
        ZOOM: _directed(path.scale, _GROWN, ("in", "out"), path, "the picture's growth"),
        MOVES: _moves(path),
        CUT: _cut(cut),
        REVISIT: _revisit(path),
    }


def decided(question: str, guess: Guess) -> Finding:
    """Return the answer to a question, none below its threshold."""
    least = THRESHOLDS[question, ""] if (question, "") in THRESHOLDS else THRESHOLDS[question, guess.answer]
    if guess.confidence >= least:
        return Finding(guess.answer, guess.confidence)
    return Finding("", guess.confidence, f"{question} is not decided: {guess.seen}")


def decided_camera(guesses: Mapping[str, Guess]) -> dict[str, Finding]:
    """Return the answers on the camera; those on its motion suppose that there is no cut."""
    findings = {question: decided(question, guess) for question, guess in guesses.items()}
    shot = findings[CUT]
    if shot.answer == "no":
        return findings
    why = "the clip has a cut" if shot.answer else "the clip may have a cut"
    return {q: f if q == CUT else Finding("", f.confidence, f"{q} is not decided: {why}") for q, f in findings.items()}


def evidence(path: CameraPath) -> float:
    """Return how well the path was measured, 0 to 1: the share of keyframes with a fit, and the share of matches that agree."""
    measured = path.inliers[1:]
    return float((measured > 0).mean() ** 2 * min(1.0, float(np.quantile(measured, 0.25)) / _EXPLAINED))


def steadiness(x: Floats) -> float:
    """Return how much of all the way that x [T] goes leads from its first value to its last, 0 to 1."""
    total = float(np.abs(np.diff(x)).sum())
    return float(abs(x[-1] - x[0])) / total if total > 0 else 0.0


def _directed(x: Floats, far: float, answers: tuple[str, str], path: CameraPath, what: str) -> Guess:
    """Answer with the first where x [T] grows, with the second where it shrinks."""
    way = float(x[-1] - x[0])
    confidence = min(1.0, abs(way) / far) * steadiness(x) * evidence(path)
    return Guess(answers[0] if way > 0 else answers[1], confidence, f"{what} is {way:+.2f}, {_known(path)}")


def _known(path: CameraPath) -> str:
    return f"{100 * float(np.median(path.inliers[1:])):.0f}% of the matches move as one"


def _moves(path: CameraPath) -> Guess:
    motion = np.linalg.norm(path.xy, axis=1) + 0.5 * np.abs(path.scale) + 0.5 * np.abs(path.angle)
    most = float(np.quantile(motion, 0.9))
    # Where most of the matches stay in place it is something else that moves, however large.
    moving = min(1.0, most / _MOVED) * evidence(path) * (1 - float(np.median(path.still[1:])))
    resting = float(np.quantile(path.still[1:], 0.1)) * max(0.0, 1 - most / _STILL)
    seen = f"the picture moves by {most:.3f} of its width, {_known(path)}"
    return Guess("yes", moving, seen) if moving > resting else Guess("no", resting, seen)


def _cut(probability: Floats) -> Guess:
    # The clip's own end is no cut.
    most = float(probability[:-1].max())
    seen = f"the probability of a cut is {most:.2f}"
    return Guess("yes", most, seen) if most > 0.5 else Guess("no", 1 - most, seen)


def _revisit(path: CameraPath) -> Guess:
    """Answer whether the first frame's view leaves the picture, by half at least, and is there again at the end."""
    farthest = int(np.nanargmin(path.overlap))
    away = float(path.overlap[farthest])
    found = np.minimum(1.0, path.back / _SEEN_AGAIN)
    here = float(found[-1])
    known = np.isfinite(path.overlap).all()
    seen = f"{100 * away:.0f}% of the first view stays in the picture, {100 * float(path.back[-1]):.0f}% is found again"
    # What never went out of the picture is found again as well.
    yes = max(0.0, here - float(found[farthest])) * min(1.0, 2 * (1 - away))
    stayed = min(1.0, max(0.0, 2 * away - 0.8))
    gone = (1 - here) * (1 - min(1.0, 2 * float(path.overlap[-1]))) if known else 0.0
    no = max(stayed, gone) * evidence(path) if known else 0.0
    if away > 0.5:
        yes = 0.0
    return Guess("yes", yes, seen) if yes > no else Guess("no", no, seen)


def presence(label: str, tracks: Sequence[Track], best: Mapping[str, Sequence[float]], looked: int) -> Guess:
    """Return the guess whether an object is there. best: largest scores of frames that have a box, by label; looked: number of frames."""
    scores = np.sort(np.concatenate([np.zeros(looked), np.array(best.get(label, []))]))[-looked:]
    sure = float(np.quantile(scores, 0.75)) if any(t.label == label for t in tracks) else 0.0
    absent = 1 - float(scores.max())
    seen = f"the largest score of {label} is {float(scores.max()):.2f}, {sure:.2f} in a quarter of the frames"
    return Guess("yes", sure, seen) if sure >= absent / 2 else Guess("no", absent, seen)


def heading(label: str, tracks: Sequence[Track], path: CameraPath, frames: int, width: int) -> Guess:
    """Return the guess to which side the object of a label goes, against the background.

    Of several, all that are seen nearly as long must go to the same side.
    """
    own = [t for t in tracks if t.label == label]
    if not own:
        return Guess("left", 0.0, f"no {label} was found")
    longest = len(own[0].boxes)
    guesses = [_heading(t, path, frames, width) for t in own if len(t.boxes) >= 0.5 * longest]
    first = guesses[0]
    against = [g for g in guesses if g.answer != first.answer and g.confidence > 0.05]
    if against:
        return Guess(first.answer, 0.0, f"several things called {label} go to both sides")
    return first


def _heading(track: Track, path: CameraPath, frames: int, width: int) -> Guess:
    seen = np.array(sorted(track.boxes))
    if len(seen) < 4:
        return Guess("left", 0.0, f"a {track.label} is seen in {len(seen)} frames")
    box = np.array([track.boxes[k] for k in seen])
    x = (box[:, 0] + box[:, 2]) / 2 / width - np.interp(seen, path.frame, path.xy[:, 0])
    # A box jitters by some hundredths of its width.
    smooth = np.convolve(np.pad(x, 2, mode="edge"), np.full(5, 0.2), mode="valid") if len(x) >= 5 else x
    way = float(smooth[-1] - smooth[0])
    sure = float(np.mean(list(track.scores.values())))
    share = min(1.0, 2 * (seen[-1] - seen[0]) / max(frames - 1, 1))
    confidence = min(1.0, abs(way) / _WAY) * steadiness(smooth) * min(1.0, 2 * sure) * share * evidence(path)
    return Guess("right" if way > 0 else "left", confidence, f"the {track.label} goes {way:+.2f} of the width")
