"""The protocol that every tracker follows."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from sora_eval.types import Case, Tracks, Video

WORLD = "world"
"""Name of the bundled tracker."""
HUE_VERSION = 5
"""Version of the world tracker, its membership of pixels in a hue, and what counts as ground; raised whenever one of them changes."""


@runtime_checkable
class Tracker(Protocol):
    """Finds objects in a clip and follows them.

    It is copied to worker processes, which pickles it: load weights at first use.
    """

    @property
    def name(self) -> str:
        """Return the name, file-name safe."""

    @property
    def version(self) -> int:
        """Return the version, raised whenever the tracks of a clip change."""

    @property
    def fingerprint(self) -> str:
        """Return a hash of all that tracks depend on besides clip and version (weights, options), "" for nothing."""

    def track(self, video: Video, case: Case | None) -> Tracks:
        """Return the tracks of a clip. case: the question that it answers, None where there is none.

        A tracker may use the case's prompt, as an open-vocabulary detector does, but not its scene, which is the right answer.
        """


def identity(tracker: Tracker) -> tuple[str | int, ...]:
    """Return what tracks and scores depend on: name, version and fingerprint; of the world tracker its version alone.

    It was the only one when the first runs were written, whose files are named after hashes of that version. Some probes measure
    pixels by hue whatever the tracker is, so the version of that is part of the others' identity too.
    """
    version = tracker.version
    return (version,) if tracker.name == WORLD else (tracker.name, version, tracker.fingerprint, f"hue {HUE_VERSION}")


def described(tracker: Tracker) -> str:
    """Return the identity of a tracker as manifests and protocols have it."""
    return " ".join(str(part) for part in identity(tracker) if part != "")
