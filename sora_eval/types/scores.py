"""Answers and what they are worth: failures, scores, rows of scores.jsonl and figures of sets of clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeAlias

import numpy as np

from sora_eval.types.cases import Mode, first_sample
from sora_eval.types.clips import Alignment

FailureKind: TypeAlias = Literal["", "technical"]


@dataclass(frozen=True)
class Failure:
    """Why there is no video."""

    reason: str
    """The cause, one line."""
    technical: bool = False
    """Whether the cause lies outside the model's answer (an exception, a service that is down, out of memory): such a
    case is retried by the next call of the same command, and is no evidence about the model. False for a clip that is
    not as requested."""


@dataclass(frozen=True)
class Score:
    """A probe's score of one clip: a value, or the reason why there is none."""

    value: float | None
    """In the probe's unit; None when the clip could not be judged."""
    reason: str = ""
    """Why there is no value, "" when there is one."""
    components: Mapping[str, float] = field(default_factory=dict)
    """Named parts of the score."""
    failure: FailureKind = ""
    """"technical" where the reason is no evidence about the model (see `Failure`), else ""."""
    alignment: Alignment | None = None
    """How the given frames lie in the clip, None where they were not found or none were given."""
    first_frame: Mapping[str, float] = field(default_factory=dict)
    """How well the first frame was kept (`alignment.measures`), by metric; empty without given frames."""

    def __post_init__(self) -> None:
        """A score has a value or a reason, never both or neither."""
        if (self.value is None) == (self.reason == ""):
            raise ValueError("a score has either a value or a reason")
        if self.value is not None and not np.isfinite(self.value):
            raise ValueError(f"a score must be finite, got {self.value}")
        if self.failure not in ("", "technical") or (self.failure and self.value is not None):
            raise ValueError(f"failure must be '' or, without a value, 'technical', got {self.failure!r}")


@dataclass(frozen=True)
class ScoreRow:
    """One line of scores.jsonl: one clip of one generator judged by one probe."""

    case: str
    """Id of the case."""
    suite: str
    """Suite of the case."""
    probe: str
    """Probe of the case."""
    mode: Mode
    """Mode of the case."""
    generator: str
    """Name of the generator in this run."""
    kind: str
    """"model", "oracle", "control" or "violation"."""
    value: float | None
    """The score in the probe's unit, None when unjudgeable."""
    reason: str
    """Why the clip is unjudgeable, "" when judged."""
    components: Mapping[str, float]
    """Named parts of the score."""
    chance: float
    """Mean value that a blind guess reaches, below 1."""
    prompt: str
    """Prompt of the case."""
    cluster: str
    """Cluster of the case, the unit of resampling."""
    twin: str
    """Id of the mirrored or matched case, "" when there is none."""
    seed: int
    """The generator's seed for this clip."""
    video: str
    """Path of the lossless clip, relative to the run folder, "" when there is none."""
    tracks: str
    """Path of the tracks (npz), relative to the run folder, "" when there are none."""
    sample: int = 0
    """Sample of the case, 0 for the first or only one of its prompt."""
    failure: FailureKind = ""
    """"technical" where there is no value for a reason that is no evidence about the model (see `Failure`), else ""."""
    alignment: Alignment | None = None
    """How the given frames lie in the clip, None where they were not found or none were given."""
    first_frame: Mapping[str, float] = field(default_factory=dict)
    """How well the first frame was kept (`alignment.measures`), by metric; empty without given frames."""

    def __post_init__(self) -> None:
        """Refuse a sample whose case is not one."""
        first_sample(self.case, self.sample)

    @property
    def prompt_id(self) -> str:
        """Id of the case of sample 0, which all samples of one prompt share."""
        return first_sample(self.case, self.sample)

    def values(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        alignment = None if self.alignment is None else asdict(self.alignment)
        mappings = {"components": dict(self.components), "first_frame": dict(self.first_frame)}
        return own | mappings | {"alignment": alignment}

    @property
    def counted(self) -> float:
        """The value corrected for chance, with unjudgeable counted as failed (0).

        1 is right, 0 is what a blind guess reaches on average, and with a chance of one half -1 is always wrong.
        """
        return 0.0 if self.value is None else (self.value - self.chance) / (1 - self.chance)


@dataclass(frozen=True)
class Measure:
    """One figure of a set of clips."""

    metric: str
    """Name of the metric."""
    value: float | None
    """The figure, None where there is none."""
    low: float | None
    """Lower end of its 95% interval, None where there is none."""
    high: float | None
    """Upper end of its 95% interval, None where there is none."""
    n: tuple[int, ...]
    """Clips of the set and of the real one behind it."""
    protocol: str
    """All that the figure depends on, but the clips."""
    higher_is_better: bool
    """Whether higher values are better."""
    reason: str = ""
    """Why there is no value, or a limitation of it."""
    failed: bool = False
    """Whether the reason is a fault (absent weights, clips that can't be read or are too short), and not only too few clips."""
