"""Things in plain words among tracks: by colour where the tracker gives one, by label where it gives labels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sora_eval.probes.base import UnjudgeableError
from sora_eval.types import Bools, Floats, Tracks
from sora_eval.world.palette import COLOURS

_SAME = {
    "person": (
        "man",
        "woman",
        "child",
        "boy",
        "girl",
        "runner",
        "cyclist",
        "skier",
        "surfer",
        "waiter",
        "chef",
        "player",
        "walker",
    ),
    "bicycle": ("bike",),
    "motorcycle": ("motorbike", "scooter"),
    "airplane": ("plane", "aeroplane", "jet"),
    "car": ("taxi", "cab"),
    "truck": ("lorry", "van"),
    "boat": ("ship", "sailboat", "ferry"),
    "bird": ("pigeon", "duck", "swan", "seagull", "goose", "parrot"),
    "dog": ("puppy",),
    "cat": ("kitten",),
    "cow": ("bull", "calf"),
    "sheep": ("lamb",),
    "cup": ("mug", "teacup"),
    "sports ball": ("ball", "football", "basketball"),
    "tennis racket": ("racket",),
    "couch": ("sofa",),
    "tv": ("television", "tvmonitor", "monitor"),
    "cell phone": ("phone", "smartphone"),
    "potted plant": ("pottedplant", "plant"),
    "dining table": ("diningtable", "table"),
    "donut": ("doughnut",),
    "teddy bear": ("teddy",),
    "wine glass": ("glass",),
    "handbag": ("bag",),
}
"""Classes of everyday detectors (COCO's) and other words for them."""
_CLASS = {word: name for name, words in _SAME.items() for word in words}
_LEAST = 0.35
_DOUBLED = 0.25


@dataclass(frozen=True)
class Seen:
    """A thing over time, whatever tracks it was found in."""

    ids: tuple[int, ...]
    """Its tracks."""
    visible: Bools
    """[T]."""
    box: Floats
    """[T, 4] x0, y0, x1, y1 in pixels, NaN where not visible."""
    area: Floats
    """[T] pixels, 0 where not visible."""

    @property
    def middle(self) -> Floats:
        """[T, 2] the middle of its box in pixels, NaN where not visible."""
        return np.asarray((self.box[:, :2] + self.box[:, 2:]) / 2)


def tracks_of(tracks: Tracks, thing: str) -> list[int]:
    """Return the tracks of a thing such as "red ball", "dog" or "traffic light".

    A track of the thing's colour is one, as in the world; so is one whose label has all words of the thing's noun, or is its class.

    Raises:
        UnjudgeableError: the tracker knows colours alone, and the thing has none of these.
    """
    *before, _ = words = thing.split()
    colour = next((w for w in words if w in COLOURS), "")
    if colour and (coloured := tracks.of(colour)):
        return coloured
    if not tracks.labels:
        # A tracker that answers questions on the clip knows labels, also where it detects nothing.
        if not colour and not tracks.findings:
            raise UnjudgeableError(f"the tracker knows colours alone, and no {thing}: set tracker=natural")
        return []
    # The longest run of words from the end that a label has: "small brown dog" is a dog.
    for k in range(len(before) + 1):
        noun = " ".join(words[k:])
        if ids := [i for i, label in enumerate(tracks.labels) if _is(label, noun)]:
            return ids
    return []


def _is(label: str, noun: str) -> bool:
    label = label.lower()
    return set(noun.split()) <= set(label.split()) or _CLASS.get(noun, noun) == _CLASS.get(label, label)


def is_person(thing: str) -> bool:
    """Return whether a thing such as "young woman" is a person."""
    noun = thing.split()[-1]
    return _CLASS.get(noun, noun) == "person"


def find(tracks: Tracks, thing: str, least: float = 0.5) -> Seen:
    """Return the only thing of its kind in a clip.

    Raises:
        UnjudgeableError: it is seen in fewer than the share `least` of the frames, or there is a second one.
    """
    ids = tracks_of(tracks, thing)
    there = tracks.visible[ids]
    if not ids or there.any(axis=0).mean() < least:
        raise UnjudgeableError(f"no {thing} was found" if not there.any() else f"the {thing} was hardly seen")
    usual = float(np.median(tracks.area[ids][there]))
    large = there & (tracks.area[ids] > _LEAST * usual)
    if (large.sum(axis=0) > 1).mean() > _DOUBLED:
        raise UnjudgeableError(f"there is more than one {thing}")
    best = np.array(ids)[np.argmax(np.where(there, tracks.area[ids], -1.0), axis=0)]
    frame = np.arange(tracks.frames)
    seen = np.asarray(there.any(axis=0), dtype=bool)
    box = np.where(seen[:, None], tracks.box[best, frame], np.nan)
    return Seen(tuple(ids), seen, box, np.where(seen, tracks.area[best, frame], 0.0))


def on_its_side(tracks: Tracks) -> Tracks:
    """Return tracks with x and y exchanged: what is above is on the left there, so that one judge serves both."""
    height, width = tracks.size
    return replace(tracks, xy=tracks.xy[..., ::-1], box=tracks.box[..., [1, 0, 3, 2]], size=(width, height))
