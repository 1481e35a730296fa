"""Fidelity of a run's videos: of every generator against the world's own clips of the same cases, by suite and in all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path

from sora_eval.fidelity.extractors import Choice, Clip, Collected, collect
from sora_eval.fidelity.measures import measures
from sora_eval.files import inside
from sora_eval.processes import WorkerKilledError, completed
from sora_eval.types import Case, Measure, ScoreRow
from sora_eval.world.families import FAMILIES

ALL = ""
"""The suite that is all suites together."""
_AT_ONCE = 64


def of_run(
    cases: Sequence[Case], rows: Iterable[ScoreRow], folder: Path, choice: Choice, workers: int = 1
) -> dict[str, dict[str, list[Measure]]]:
    """Return measures by suite, ALL first, and generator; the real set are the oracle's clips, without which there is none.

    cases, rows: of the run in `folder`. Clips that no generator delivered are left out. Of several samples of a prompt, the first is
    measured: one clip against each true one, as many as in a run with a single sample, so that its figures may be set beside these.
    """
    by_id = {c.id: (i, c) for i, c in enumerate(cases)}
    rows = [
        r for r in rows if not r.sample and r.video and (path := inside(folder, r.video)) is not None and path.is_file()
    ]
    true = {r.case: folder / r.video for r in rows if r.kind == "oracle"}
    if not true or not choice.metrics:
        return {}
    groups: dict[tuple[str, str], list[Clip]] = {}
    clusters: dict[str, int] = {}
    for case in cases:
        clusters.setdefault(case.cluster, len(clusters))
    for row in rows:
        position, case = by_id[row.case]
        cluster = clusters[case.cluster]
        clip = Clip(
            folder / row.video, position, row.prompt, true.get(row.case), _states(case), cluster, case.given or None
        )
        groups.setdefault((row.suite, row.generator), []).append(clip)
    parts = [(key, some[i : i + _AT_ONCE]) for key, some in groups.items() for i in range(0, len(some), _AT_ONCE)]
    found: dict[tuple[str, str], Collected] = {}
    work = partial(collect, choice=choice)
    calls = [partial(work, clips) for _, clips in parts]
    if min(workers, len(parts)) > 1:
        done: Iterable[tuple[int, Collected | WorkerKilledError]] = completed(workers, calls, tries=2)
    else:
        done = ((i, call()) for i, call in enumerate(calls))
    for i, part in sorted(done, key=itemgetter(0)):
        (suite, generator), clips = parts[i]
        if isinstance(part, WorkerKilledError):
            # What is missing of a set is missing of its measures: those of the rest would be of another set.
            part = Collected(len(clips), missing=dict.fromkeys(choice.kinds, str(part)))
        for key in ((ALL, generator), (suite, generator)):
            found.setdefault(key, Collected()).merge(part)
    oracle = next(r.generator for r in rows if r.kind == "oracle")
    suites = list(dict.fromkeys([ALL, *(s for s, _ in groups)]))
    if len(suites) == 2:
        # Of one suite, all suites together are the same again.
        suites.remove(ALL)
    return {
        suite: {g: measures(found[suite, oracle], c, choice, paired=True) for (s, g), c in found.items() if s == suite}
        for suite in suites
    }


def _states(case: Case) -> tuple[str, str] | None:
    family = FAMILIES[case.scene["family"]] if case.scene.get("family") in FAMILIES else None
    if family is None or not hasattr(family, "states"):
        return None
    before, after = family.states(case.scene["params"])
    return before, after
