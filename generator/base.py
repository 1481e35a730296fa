"""The protocol that every generator follows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sora_eval.errors import ConfigError
from sora_eval.stats.samples import MOST
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


@dataclass(frozen=True)
class Delivery:
    """What came back for a case."""

    case: Case
    reason: str = ""
    """Why there is no clip, "" where there is one."""
    clip: tuple[tuple[int, int], int, float] | None = None
    """Size (height, width), frames and rate of the clip as it was scored, None where they are not known."""


@runtime_checkable
class Generator(Protocol):
    """Makes one video per case.

    name: unique within a run, file-name safe.
    kind: "model", "oracle", "control" or "violation".
    A model may also have

    - `compute`, the operations that its training took, and `step`, how far it had come: the axis of a sweep's curves;
    - `samples`, how many clips it has of each case, where that is given (a folder of videos);
    - `bind(cases)`, which returns the generator for the cases of a run, where it has to know all of them before the first;
    - `input_problems(deliveries)`, which returns a line for each fault of its input, given what came back for each case.
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


def bind(generator: Generator, cases: Sequence[Case]) -> Generator:
    """Return a generator for the cases of a run; one without `bind` as it is."""
    method = getattr(generator, "bind", None)
    bound: Generator = generator if method is None else method(cases)
    return bound


def samples_of(generator: Generator) -> int:
    """Return how many clips per case a generator has, at most `MOST`; 1 where it makes as many as are requested."""
    return min(int(getattr(generator, "samples", 1)), MOST)


def input_problems(generator: Generator, deliveries: Sequence[Delivery]) -> list[str]:
    """Return a line for each fault of a generator's input; without `input_problems`, those in its
    `problems` and one for each case without a clip.
    """
    method = getattr(generator, "input_problems", None)
    if method is not None:
        return list(method(deliveries))
    problems = list(getattr(generator, "problems", ()))
    return [*problems, *(f"{d.case.id}: {d.reason}" for d in deliveries if d.reason and d.reason not in problems)]
