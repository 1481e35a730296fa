"""The protocol that every generator follows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from sora_eval.settings import Settings, option
from sora_eval.stats.samples import MOST
from sora_eval.types import ALL_MODES, MODES, Case, Failure, Mode, Video
from sora_eval.video import Source
from sora_eval.world import VERSION as WORLD_VERSION

CONTROL_NAMES = ("frozen", "shuffled", "reversed", "mirrored", "cut", "crossfade", "noise", "blank", "other")
"""Names of the controls; with "oracle" those that no model may have."""


def file_safe(text: str) -> str:
    """Return a name that can be a file's: what is neither letter, digit, `_`, `.` nor `-` becomes `-`."""
    return re.sub(r"[^\w.-]+", "-", text).lstrip(".-") or "model"


@dataclass(frozen=True)
class Capabilities(Settings):
    """Which cases a generator can answer.

    Raises:
        ConfigError: a mode is unknown, or the limit is no number of frames.
    """

    GROUP: ClassVar[str] = "generator"

    modes: tuple[Mode, ...] = option(MODES, choices=ALL_MODES, example="t2v")
    """The modes that it supports: those of editing (extend_back, loop, connect, interpolate, edit) where they are named."""
    max_frames: int | None = option(None, least=1)
    """The longest clip, None for no limit."""
    processes: bool = False
    """Whether copies of it may work in several processes; False for whatever holds large weights."""

    def refuses(self, case: Case) -> str:
        """Return why the generator can't answer a case, "" when it can."""
        if case.mode not in self.modes:
            return f"the generator has no mode {case.mode}"
        if self.max_frames is not None and case.frames > self.max_frames:
            return f"the generator makes at most {self.max_frames} frames, {case.frames} were requested"
        return ""


@dataclass(frozen=True)
class Delivery:
    """The answer to a case, without its frames."""

    case: Case
    """The case."""
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

    - `compute`, floating-point operations of its training, and `step`, its training step: the axis of a sweep's curves;
    - `batch`, how many cases it works on at once: a call has at least as many, where there are so many left;
    - `samples`, how many clips it has of each case, where that is given (a folder of videos);
    - `source(case)`, which returns the file that the clip of a case is read from, None where there is none: a run folder then keeps a
      record of the file in place of the clip;
    - `on_device(device)`, which returns the generator on a device such as "cuda:1", or a dataclass field `device`: a run can then have it
      on several devices, in a process each, to which it is sent before its weights are loaded;
    - `recipe`, plain values by name that say how clips are made (sampler, steps, guidance, scheduler, hashes of weights), for the
      reproduction card;
    - `sent(case)`, which returns the prompt that it works from, where that is not the case's;
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
        """Return which cases it can answer."""

    def fingerprint(self, case: Case) -> str:
        """Return a hash of all that the answer to `case` depends on besides the case (weights, options)."""

    def generate(self, cases: Sequence[Case]) -> Iterator[Video | Failure]:
        """Yield one video, or the reason why there is none, per case and in order.

        An exception costs the cases that have no answer yet: they are tried again one by one, and the one that raises by itself has failed
        technically. Which cases are in one call changes when a run resumes: an answer must not depend on it.
        """


def bind(generator: Generator, cases: Sequence[Case]) -> Generator:
    """Return a generator for the cases of a run; one without `bind` as it is."""
    method = getattr(generator, "bind", None)
    bound: Generator = generator if method is None else method(cases)
    return bound


def source_of(generator: Generator, case: Case) -> Source | None:
    """Return the file that a generator's clip of a case is read from, None for a clip that is generated."""
    method = getattr(generator, "source", None)
    source: Source | None = None if method is None else method(case)
    return source


@dataclass(frozen=True)
class Named:
    """Stand-in for a generator, without its weights, in processes that score: what the names of clip and score files depend on."""

    name: str
    """Name of the generator."""
    kind: str
    """"model", "oracle", "control" or "violation"."""
    prints: str
    """Its fingerprint for a case."""
    prompt: str
    """The prompt that it works from."""

    def fingerprint(self, case: Case) -> str:
        """Return the fingerprint."""
        return self.prints

    def sent(self, case: Case) -> str:
        """Return the prompt that the generator works from."""
        return self.prompt


@dataclass(frozen=True)
class _NamedFile(Named):
    """The same of a generator whose clips are files."""

    file: Source | None

    def source(self, case: Case) -> Source | None:
        return self.file


def named(generator: Generator, case: Case) -> Any:
    """Return what stands for a generator where its clip of a case is judged in another process; it can't generate."""
    parts = (generator.name, generator.kind, generator.fingerprint(case), sent_prompt(generator, case))
    return _NamedFile(*parts, source_of(generator, case)) if hasattr(generator, "source") else Named(*parts)


def sent_prompt(generator: Generator, case: Case) -> str:
    """Return the prompt that a generator works from: the case's, unless it is rewritten before."""
    method = getattr(generator, "sent", None)
    return case.prompt if method is None else str(method(case))


def clip_inputs(generator: Generator, case: Case) -> list[str]:
    """Return all that a clip depends on: case, generator, the version of the world that drew given frames, and a prompt sent in place
    of the case's.
    """
    sent = sent_prompt(generator, case)
    world = [f"world {WORLD_VERSION}"] if case.given else []
    return [case.hash, generator.fingerprint(case), *world, *([f"prompt {sent}"] if sent != case.prompt else [])]


def batch_of(generator: Generator) -> int:
    """Return how many cases a generator works on at once, 1 where it doesn't say."""
    return max(1, int(getattr(generator, "batch", 1)))


def samples_of(generator: Generator) -> int:
    """Return how many clips per case a generator has, at most `MOST`; 1 where it makes as many as are requested."""
    return min(int(getattr(generator, "samples", 1)), MOST)


def beyond_capabilities(generator: Generator, cases: Sequence[Case]) -> list[str]:
    """Return a line, with the remedy, where cases are of a mode or a length that the generator does not make: they score 0."""
    can, cases = generator.capabilities, list({c.id: c for c in cases}.values())
    lacking = Counter(c.mode for c in cases if c.mode not in can.modes)
    too_long = sum(c.mode in can.modes and bool(can.refuses(c)) for c in cases)
    lines = []
    if lacking:
        counts = ", ".join(f"{mode} {count}" for mode, count in lacking.items())
        own = [mode for mode in dict.fromkeys(c.mode for c in cases) if mode in can.modes]
        remedy = f"'suite.modes=[{','.join(own)}]' leaves them out" if own else "choose a suite of its modes"
        lines.append(
            f"{generator.name}: {lacking.total()} of {len(cases)} cases are of modes that it lacks ({counts}) and score 0; {remedy}"
        )
    if too_long:
        lines.append(
            f"{generator.name}: {too_long} of {len(cases)} cases are longer than the {can.max_frames} frames that it makes, and score 0; "
            "choose a profile of shorter clips"
        )
    return lines


def input_problems(generator: Generator, deliveries: Sequence[Delivery]) -> list[str]:
    """Return a line for each fault of a generator's input; without `input_problems`, those in its
    `problems` and one for each case without a clip.
    """
    method = getattr(generator, "input_problems", None)
    if method is not None:
        return list(method(deliveries))
    problems = list(getattr(generator, "problems", ()))
    return [*problems, *(f"{d.case.id}: {d.reason}" for d in deliveries if d.reason and d.reason not in problems)]
