"""Problem lines of a run: faults of the input, technical failures and internal errors, from its rows and stored tracks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sora_eval.errors import SoraEvalError
from sora_eval.generator.base import Delivery, Generator, input_problems
from sora_eval.runs.tracking import read_tracks
from sora_eval.stats.failures import INTERNAL, technical
from sora_eval.types import Case, ScoreRow


def problem_lines(folder: Path, model: Generator, cases: Sequence[Case], rows: Sequence[ScoreRow]) -> list[str]:
    """Return a line for each fault of a run's input and each technical failure; a resumed run has the same lines.

    model: the generator that is evaluated; of references only internal errors and failures are listed.
    """
    by_id = {c.id: c for c in cases}
    own = [r for r in rows if r.generator == model.name]
    deliveries = [
        Delivery(by_id[r.case], "" if r.video else r.reason, made_clip(folder / r.tracks) if r.tracks else None)
        for r in own
        if model.kind == "model" and not r.reason.startswith(INTERNAL) and not model.capabilities.refuses(by_id[r.case])
    ]
    lines = input_problems(model, deliveries)
    if broken := technical(own):
        lines.append(f"{model.name}: {broken} of {len(own)} clips failed technically; the same command retries them")
    lines += [
        f"{r.generator} on {r.case}: {r.reason}"
        for r in rows
        if r.reason.startswith(INTERNAL) or (r.failure and r.generator != model.name)
    ]
    return [line for line in dict.fromkeys(lines) if line]


def made_clip(tracks: Path) -> tuple[tuple[int, int], int, float] | None:
    """Return size (height, width), frames and rate of the clip that was tracked, None where the tracks can't be read."""
    try:
        stored = read_tracks(tracks)
    except SoraEvalError:
        return None
    return stored.size, stored.visible.shape[1], stored.fps
