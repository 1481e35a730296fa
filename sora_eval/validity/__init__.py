"""Metric validation: oracle, controls, violations, corruptions and nuisance transforms, through the same code as a model."""

from __future__ import annotations

from collections.abc import Sequence

from sora_eval.generator.simulator import Control, Oracle, Violation
from sora_eval.probes.base import Probe
from sora_eval.tracking.world import track
from sora_eval.types import Case, Failure, Score, Video


def score_clip(probe: Probe, case: Case, video: Video | Failure) -> Score:
    """Return the score of a clip; the reason where there is no clip."""
    return Score(None, video.reason) if isinstance(video, Failure) else probe.score(case, video, track(video))


def score_generator(probe: Probe, cases: Sequence[Case], generator: Oracle | Control | Violation) -> list[Score]:
    """Return the scores of a generator's clips."""
    return [score_clip(probe, c, v) for c, v in zip(cases, generator.generate(cases), strict=True)]
