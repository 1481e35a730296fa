"""Technical failures: clips that are missing for a reason outside the model's output: an exception, a service that is down."""

from __future__ import annotations

from collections.abc import Sequence

from sora_eval.errors import SoraEvalError
from sora_eval.types import ScoreRow

MAX_SHARE = 0.02
"""The share of a model's clips that may fail technically before it is compared with none: well below the drops that a gate looks for."""
FAILED = "failed.json"
"""File in the run folder of a sweep's job: why the job failed the last time."""
INTERNAL = "internal error: "
"""Prefix of the reason where judging a clip raised an exception of ours."""


class FailedRunError(SoraEvalError):
    """No clip of a run's model could be judged, for technical reasons."""


def technical(rows: Sequence[ScoreRow]) -> int:
    """Return how many rows failed technically."""
    return sum(r.failure == "technical" for r in rows)


def failed(rows: Sequence[ScoreRow]) -> bool:
    """Return whether rows hold nothing that could be judged, for technical reasons: then their score is no evidence on the model.

    Cases that were refused, and answers without a clip, may be among them.
    """
    return technical(rows) > 0 and not any(answered(r) for r in rows)


def answered(row: ScoreRow) -> bool:
    """Return whether the model gave a clip that was judged, or could have been."""
    return row.value is not None or (row.video != "" and not row.failure)


def first_reason(rows: Sequence[ScoreRow]) -> str:
    """Return the case and the reason of the first technical failure, "" where there is none."""
    return next((f"{r.case}: {r.reason}" for r in rows if r.failure), "")


def why_failed(rows: Sequence[ScoreRow], name: str) -> str:
    """Return why a run has no score of the model `name`, "" where it has one."""
    own = [r for r in rows if r.generator == name]
    if not failed(own):
        return ""
    return f"{name} has no score: {_counted(own)} and no other came back ({first_reason(own)}); the same command retries them"


def too_many(rows: Sequence[ScoreRow], share: float = MAX_SHARE) -> str:
    """Return why rows of one generator are too little evidence to be compared, "" where few or none failed technically.

    Few are at most `share` of all cases, and of each probe at most that share or one.
    """
    probes: dict[tuple[str, str], list[ScoreRow]] = {}
    for row in rows:
        probes.setdefault((row.suite, row.probe), []).append(row)
    beyond = [p for (_, p), of_probe in probes.items() if technical(of_probe) > max(1.0, share * len(of_probe))]
    few = technical(rows) <= share * len(rows)
    if few and not beyond:
        return ""
    where = f", of {beyond[0]} more than {share:g} of its own" if few else ""
    return f"{_counted(rows)}{where}; at most a share of {share:g} may ({first_reason(rows)}); the run's command retries them"


def _counted(rows: Sequence[ScoreRow]) -> str:
    return f"{technical(rows)} of {len(rows)} clips failed technically"
