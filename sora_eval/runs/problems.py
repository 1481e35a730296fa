"""Problem lines of a run: faults of the input, technical failures and internal errors, from its rows and stored tracks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sora_eval.errors import SoraEvalError
from sora_eval.generator.base import Delivery, Generator, beyond_capabilities, input_problems
from sora_eval.runs.tracking import read_tracks
from sora_eval.stats.failures import INTERNAL, technical
from sora_eval.types import Alignment, Case, ScoreRow


def problem_lines(folder: Path, model: Generator, cases: Sequence[Case], rows: Sequence[ScoreRow]) -> list[str]:
    """Return a line for each fault of a run's input and each technical failure; a resumed run has the same lines.

    model: the generator that is evaluated; of references only internal errors and failures are listed.
    """
    by_id = {c.id: c for c in cases}
    own = [r for r in rows if r.generator == model.name]
    deliveries = [
        Delivery(
            by_id[r.case], "" if r.video else r.reason, made_clip(folder / r.tracks, r.alignment) if r.tracks else None
        )
        for r in own
        if model.kind == "model" and not r.reason.startswith(INTERNAL) and not model.capabilities.refuses(by_id[r.case])
    ]
    lines = beyond_capabilities(model, [by_id[r.case] for r in own]) if model.kind == "model" else []
    lines += input_problems(model, deliveries)
    lines += _moved(model, own)
    if broken := technical(own):
        lines.append(f"{model.name}: {broken} of {len(own)} clips failed technically; the same command retries them")
    lines += [
        f"{r.generator} on {r.case}: {r.reason}"
        for r in rows
        if r.reason.startswith(INTERNAL) or (r.failure and r.generator != model.name)
    ]
    return [line for line in dict.fromkeys(lines) if line]


def _moved(model: Generator, rows: Sequence[ScoreRow]) -> list[str]:
    """Return a line where clips of the model do not show the given frames as they were."""
    kinds = Counter(r.alignment.kind for r in rows if r.alignment is not None and r.alignment.kind != "identity")
    if model.kind != "model" or not kinds:
        return []
    found = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
    return [
        f"{model.name}: {kinds.total()} of {len(rows)} clips have another geometry than requested ({found}): the part that shows the "
        "given frames is judged, or what lies between the bars; return clips of the case's size to have all of it judged"
    ]


def made_clip(tracks: Path, alignment: Alignment | None) -> tuple[tuple[int, int], int, float] | None:
    """Return size (height, width), frames and rate of a clip, a part of which was tracked; None where the tracks can't be read."""
    try:
        stored = read_tracks(tracks)
    except SoraEvalError:
        return None
    size = stored.size if alignment is None else alignment.part.frame
    return size, stored.visible.shape[1], stored.fps
