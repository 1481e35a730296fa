"""Score rows of a model, without clips."""

from __future__ import annotations

from sora_eval.types import Case, ScoreRow


def row_of(case: Case, value: float | None, **components: float) -> ScoreRow:
    """Return the row of a case that a model called "m" has with a value, None for a clip that is not judged."""
    return ScoreRow(
        case=case.id,
        suite=case.suite,
        probe=case.probe,
        mode=case.mode,
        generator="m",
        kind="model",
        value=value,
        reason="" if value is not None else "not found",
        components=components,
        chance=0.0,
        prompt=case.prompt,
        cluster=case.cluster,
        twin=case.twin,
        seed=0,
        video="",
        tracks="",
        sample=case.sample,
    )
