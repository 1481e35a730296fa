"""The natural tracker: everyday objects with labels, and findings on the camera, from any clip."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from sora_eval.tracking.labelled import labelled_tracks
from sora_eval.tracking.natural import answers, weights
from sora_eval.tracking.natural.camera import CameraPath, camera_path
from sora_eval.tracking.natural.cuts import cut_probability
from sora_eval.tracking.natural.detector import detect
from sora_eval.tracking.natural.linking import Track, filled, link
from sora_eval.tracking.natural.people import litert
from sora_eval.tracking.natural.people.use import hand_guess
from sora_eval.types import Box, Case, Finding, Tracks, Video, digest

_ABOUT_HANDS = re.compile(r"\bhands?\b", re.IGNORECASE)
"""Prompts of clips in which hands are looked for, which takes longer than all the rest."""
_TOGETHER, _BESIDES = 0.25, 0.35
"""Share of the frames in which two people have to be seen to be two, and least area of the smaller, of the larger one's."""
_LOOKED = 41
"""Frames in which objects are looked for, at most: .07 s each on a core."""


@dataclass(frozen=True)
class Objects:
    """The objects of a clip, before they are tracks of every frame."""

    tracks: tuple[Track, ...]
    """The longest first."""
    best: dict[str, list[float]]
    """{label: the largest score of each frame that has a box of it}."""
    looked: int
    """Frames that were looked at."""
    step: int
    """Their distance."""


@dataclass(frozen=True)
class NaturalTracker:
    """Boxes of 80 COCO classes by YOLOv3-tiny, linked by overlap and look; the camera by XFeat; cuts by TransNetV2; hands by MediaPipe's.

    Raises:
        AbsentRuntimeError: ai-edge-litert is not installed.
        AbsentNaturalWeightsError: weights are not on this machine.
        ConfigError: they are other files than those that were measured.
    """

    name: ClassVar[str] = "natural"
    version: ClassVar[int] = 2

    def __post_init__(self) -> None:
        """Fail early where a package or weights are missing."""
        litert.check()
        for file in weights.FILES:
            weights.locate(file)

    @property
    def fingerprint(self) -> str:
        """Names and hashes of the weights, and a hash of the thresholds."""
        files = " ".join(f"{file.name}@{file.sha256[:8]}" for file in weights.FILES)
        return f"{files} thresholds@{digest(sorted([*k, v] for k, v in answers.THRESHOLDS.items()))[:8]}"

    def track(self, video: Video, case: Case | None) -> Tracks:
        """Return the objects of the classes that the network knows, whatever the case, and the findings on the clip.

        Which hand is used is found where the case's prompt speaks of a hand.
        """
        objects = find_objects(video)
        box = [filled(track, len(video), objects.step) for track in objects.tracks]
        labels = [track.label for track in objects.tracks]
        tracks = labelled_tracks(labels, np.array(box).reshape(len(box), len(video), 4), video.size, video.fps)
        # An orange is a fruit here, not a colour.
        unknown = ("",) * len(labels)
        path = camera_path(video.frames) if len(video) > 1 else None
        found = {} if path is None else findings(video, path, objects)
        if found and case is not None and _ABOUT_HANDS.search(case.prompt):
            found[answers.HAND] = hand_finding(video, objects, found[answers.CUT])
        return replace(tracks, colour=unknown, findings=found)


def hand_finding(video: Video, objects: Objects, cut: Finding) -> Finding:
    """Return which hand the only person of a clip uses."""
    if cut.answer != "no":
        why = "has a cut" if cut.answer else "may have a cut"
        return Finding("", 0.0, f"{answers.HAND} is not decided: the clip {why}")
    return answers.decided(answers.HAND, hand_guess(video.frames, people_together(objects)))


def people_together(objects: Objects) -> int:
    """Return how many people of similar size are seen at a time, in a quarter of the frames that were looked at or more; 2 for any more."""
    own = [track.boxes for track in objects.tracks if track.label == "person"]
    several = 0
    for frame in {k for boxes in own for k in boxes}:
        areas = sorted((_area(boxes[frame]) for boxes in own if frame in boxes), reverse=True)
        several += len(areas) > 1 and areas[1] > _BESIDES * areas[0]
    return 2 if several > _TOGETHER * objects.looked else min(1, len(own))


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def find_objects(video: Video) -> Objects:
    """Return the objects of a clip, looked for in evenly spaced frames."""
    step = max(1, -(-len(video) // _LOOKED))
    found = {k: detect(video.frames[k]) for k in range(0, len(video), step)}
    best: dict[str, list[float]] = {}
    for detections in found.values():
        for label in {d.label for d in detections}:
            best.setdefault(label, []).append(max(d.score for d in detections if d.label == label))
    return Objects(tuple(link(video.frames, found, video.fps)), best, len(found), step)


def findings(video: Video, path: CameraPath, objects: Objects) -> dict[str, Finding]:
    """Return the answers to the questions on the camera, and to which side each kind of object goes ("person side")."""
    camera = answers.decided_camera(answers.camera_guesses(path, cut_probability(video.frames)))
    for label in dict.fromkeys(track.label for track in objects.tracks):
        guess = answers.heading(label, objects.tracks, path, len(video), video.size[1])
        camera[f"{label} side"] = answers.decided(answers.HEADING, guess)
    return camera
