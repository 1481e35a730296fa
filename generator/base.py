"""The protocol that every generator follows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sora_eval.errors import ConfigError
from sora_eval.types import MODES, Case, Failure, Mode, Video


def file_safe(text: str) -> str:
    """Return a name that can be a file's: what is neither letter, digit, `_`, `.` nor `-` becomes `-`."""
    return re.sub(r"[^\w.-]+", "-", text).lstrip(".-") or "model"


@dataclass(frozen=True)
class Capabilities:
    """What a generator can be asked for.

    modes: the modes it supports.
    max_frames: the longest clip, None for no limit.
    processes: whether copies of it may work in several processes; False for whatever holds large weights.
    """

    modes: tuple[Mode, ...] = MODES
    max_frames: int | None = None
    processes: bool = False

    def __post_init__(self) -> None:
        """Reject a limit that is no number of frames."""
        most = self.max_frames
        if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
            raise ConfigError(f"max_frames must be a whole number of at least 1, or null for no limit, got {most}")

    def refuses(self, case: Case) -> str:
        """Return why this case can't be asked, "" when it can."""
        if case.mode not in self.modes:
            return f"the generator has no mode {case.mode}"
        if self.max_frames is not None and case.frames > self.max_frames:
            return f"the generator makes at most {self.max_frames} frames, {case.frames} were asked"
        return ""


@runtime_checkable
class Generator(Protocol):
    """Makes one video per case.

    name: unique within a run, file-name safe.
    kind: "model", "oracle", "control" or "violation".
    A model may also have `compute`, the operations that its training took, and `step`, how far it had come: the axis of a sweep's curves.
    """

    @property
    def name(self) -> str:
        """Return the name, unique within a run and file-name safe."""

    @property
    def kind(self) -> str:
        """Return "model", "oracle", "control" or "violation"."""

    @property
    def capabilities(self) -> Capabilities:
        """Return what can be asked."""

    def fingerprint(self, case: Case) -> str:
        """Return a hash of all that the answer to `case` depends on besides the case (weights, options)."""

    def generate(self, cases: Sequence[Case]) -> Iterator[Video | Failure]:
        """Yield one video, or the reason why there is none, per case and in order.

        An exception costs the cases that have no answer yet: they are asked again one by one, and the one that raises by itself has failed
        technically. Which cases are asked together changes when a run goes on: an answer must not depend on it.
        """
