"""What the steps of a run hand on: the plan before it, the scored clips, and the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sora_eval.fidelity.config import FidelityConfig
from sora_eval.fidelity.options import FidelityOptions
from sora_eval.files import without_secrets
from sora_eval.generator.base import Generator
from sora_eval.probes.base import Probe
from sora_eval.prompting.case_sets import CaseSet
from sora_eval.prompting.options import NONE
from sora_eval.runs import sharding
from sora_eval.tracking.base import Tracker
from sora_eval.types import Case, ScoreRow
from sora_eval.video import VideoOptions
from sora_eval.world.looks import PLAIN

RESULT_OPTIONS = (
    "generator",
    "suite",
    "profile",
    "references",
    "seed",
    "samples",
    "fidelity",
    "tracking",
    "players",
    "video",
    "prompts",
    "cases",
)
"""The options of a run on which its files depend."""


def recorded(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a run that its manifest records."""
    kept = without_secrets({k: v for k, v in options.items() if k in (*RESULT_OPTIONS, "tracker", "out", "workers")})
    # Left out where runs of earlier versions have none: for prompts as written, cases of a suite, and the plain world.
    kept = {k: v for k, v in kept.items() if k != "prompts" or v["expander"] != NONE or v["file"] is not None}
    kept = {k: v for k, v in kept.items() if k != "cases" or v is not None}
    return kept if options["world"]["look"] == PLAIN else {**kept, "world": options["world"]}


def fidelity_config(options: FidelityOptions | None) -> FidelityConfig | None:
    """Return the fidelity metrics and encoders of a run, None for none; ConfigError for an unknown name."""
    if options is None or not options.metrics:
        return None
    return FidelityConfig.of(options)


@dataclass(frozen=True)
class Plan:
    """A run before it starts."""

    config: Mapping[str, Any]
    """The configuration as plain values, as in manifest.json."""
    command: str
    """The command line."""
    probes: Mapping[str, Probe]
    """Probes by name."""
    cases: Sequence[Case]
    """All cases of the run, those of other shards too."""
    generators: Sequence[Generator]
    """The model first, then references."""
    fidelity: FidelityConfig | None
    """Fidelity metrics and encoders, None for none."""
    folder: Path
    """The run folder."""
    workers: int
    """Processes."""
    replace: bool
    """Whether another run in `folder` may be replaced."""
    shard: tuple[int, int] | None
    """(i, n) for a part of the cases, None for all."""
    tracker: Tracker
    """The tracker that all clips are judged with."""
    video: VideoOptions = VideoOptions()
    """How clips are stored."""
    devices: tuple[str, ...] = ()
    """Devices that the model runs on, in a process each; () for this process."""
    case_set: CaseSet = CaseSet({}, ())
    """Where the cases come from: a suite, or a file with its hash and what of it is left out."""
    notes: tuple[str, ...] = ()
    """What is printed before the first clip: references that are left out, memory or disk that may not suffice."""

    @property
    def model(self) -> Generator:
        """The generator that is evaluated."""
        return self.generators[0]

    @property
    def part(self) -> Sequence[Case]:
        """The cases of this shard; all cases where there is none."""
        return self.cases if self.shard is None else sharding.part(self.cases, self.shard)


@dataclass(frozen=True)
class ClipCounts:
    """Where the clips of a generator came from."""

    reused: int = 0
    """Clips that were stored already."""
    made: int = 0
    """Clips generated now."""
    failed: int = 0
    """Cases that were sent to the generator now and have no clip."""

    def __add__(self, other: ClipCounts) -> ClipCounts:
        """Return the sum, count by count."""
        return ClipCounts(self.reused + other.reused, self.made + other.made, self.failed + other.failed)

    def __str__(self) -> str:
        """Return the counts in words."""
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.reused} clips reused, {self.made} made{failed}"


def count_line(model: str, clips: Mapping[str, ClipCounts]) -> str:
    """Return the clip counts of a run in one line: the model's, then those of all references together."""
    references = [count for name, count in clips.items() if name != model]
    parts = [f"{model}: {clips.get(model, ClipCounts())}"]
    return "; ".join([*parts, *([f"references: {sum(references, ClipCounts())}"] if references else [])])


@dataclass(frozen=True)
class RunResult:
    """A run that ended."""

    rows: Sequence[ScoreRow]
    """A score per clip: the model's first, then those of references."""
    problems: Sequence[str]
    """Faults of the input, of fidelity and of tracking, a line each."""
    written: bool
    """Whether the files of the run were written now; False where all of them were there."""
    missing: Sequence[int] = ()
    """Shards still to be run."""
    clips: Mapping[str, ClipCounts] = field(default_factory=dict)
    """Clip counts by generator."""

    @property
    def code(self) -> int:
        """The exit code."""
        return 1 if self.problems else 0
