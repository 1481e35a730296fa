"""Fidelity of a run's videos: of every generator against the world's own clips of the same cases, by suite and overall."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

from sora_eval.errors import ConfigError, SoraEvalError, is_fatal, line_of, print_error
from sora_eval.fidelity.config import FidelityConfig
from sora_eval.fidelity.features import FROZEN, PERCEPTUAL, PIXELS, TEXT_IMAGE, ClipEntry, FeatureSet
from sora_eval.fidelity.measures import continuation_measures, set_measures
from sora_eval.files import inside
from sora_eval.processes import WorkerKilledError, completed
from sora_eval.runs.reader import Run
from sora_eval.runs.store import reference_cache
from sora_eval.runs.tracking import is_shared
from sora_eval.types import MODES, Case, Measure, ScoreRow, digest
from sora_eval.world.families import StateChange, family

ALL = ""
"""The suite that is all suites together."""
_CLIPS_PER_JOB = 64
_PIXELS_PER_JOB = 1 << 29
"""Of large clips, which take seconds each, fewer make a job: a worker that is left with the last one must not be long behind the others."""
_SHARED: Mapping[str, tuple[str, ...]] = {
    TEXT_IMAGE: ("open_clip",),
    PERCEPTUAL: ("torchmetrics", "lpips"),
    PIXELS: ("torchmetrics",),
}
"""Modules that worker processes share, hundreds of megabytes, by the extractor that needs them."""
_Group = tuple[str, str]
"""Suite and generator."""
MeasuresBySuite: TypeAlias = dict[str, dict[str, list[Measure]]]
"""Measures by suite, `ALL` first, and generator."""


def measure_fidelity(
    run: Run, config: FidelityConfig, workers: int, say: Callable[[str], None]
) -> tuple[MeasuresBySuite, list[str]]:
    """Return the fidelity measures of a run, and a line where they failed as a whole."""
    say(f"measuring the fidelity of {len(run.rows)} clips")
    try:
        measures = of_run(run.cases, run.rows, run.folder, config, workers)
    except Exception as error:
        if isinstance(error, SoraEvalError) or is_fatal(error):
            raise
        # The scores are there, and their report can be written.
        print_error(error)
        return {}, [f"no fidelity: {line_of(error)}"]
    if not measures:
        say("no fidelity: it is measured against the oracle's clips, and the oracle is not among the references")
    return measures, []


def of_run(
    cases: Sequence[Case], rows: Iterable[ScoreRow], folder: Path, config: FidelityConfig, workers: int = 1
) -> MeasuresBySuite:
    """Return measures by suite, ALL first, and generator; the real set is the oracle's clips, without which there are none.

    cases, rows: of the run in `folder`. Clips that no generator delivered are left out. Of several samples of a prompt, the first is
    measured: one clip against each true one, as many as in a run with a single sample, so that its figures may be set beside these.
    """
    rows = [
        r for r in rows if not r.sample and r.video and (path := inside(folder, r.video)) is not None and path.is_file()
    ]
    oracle = next((r.generator for r in rows if r.kind == "oracle"), None)
    if oracle is None or not config.metrics:
        return {}
    groups = _entries_by_group(cases, rows, folder, config.pair_references)
    sets: dict[_Group, FeatureSet] = {}
    for (suite, generator), part in _feature_sets(groups, config, workers, _clips_per_job(cases)):
        for key in ((ALL, generator), (suite, generator)):
            sets.setdefault(key, FeatureSet()).merge(part)
    suites = list(dict.fromkeys([ALL, *(s for s, _ in groups)]))
    if len(suites) == 2:
        # Of one suite, all suites together are the same again.
        suites.remove(ALL)
    return {
        suite: {
            g: [
                *set_measures(sets[suite, oracle], c, config, paired=True),
                # With pairs of references, the frozen control has a column of its own.
                *([] if config.pair_references else continuation_measures(c, FROZEN)),
            ]
            for (s, g), c in sets.items()
            if s == suite
        }
        for suite in suites
    }


def _entries_by_group(
    cases: Sequence[Case], rows: Sequence[ScoreRow], folder: Path, pair_references: bool
) -> dict[_Group, list[ClipEntry]]:
    by_id = {c.id: (i, c) for i, c in enumerate(cases)}
    references = {r.case: r for r in rows if r.kind == "oracle"}
    cache = reference_cache()
    clusters: dict[str, int] = {}
    for case in cases:
        clusters.setdefault(case.cluster, len(clusters))
    groups: dict[_Group, list[ClipEntry]] = {}
    for row in rows:
        position, case = by_id[row.case]
        states = _states(case)
        reference = references.get(row.case)
        if row.kind == "oracle" or not (row.kind == "model" or pair_references):
            reference = None
        shared = cache is not None and all(is_shared(cache, r) for r in (row, reference or row))
        decides = [row.video, row.prompt, states, reference.video if reference else "", case.given, case.keeps]
        entry = ClipEntry(
            folder / row.video,
            position,
            row.prompt,
            folder / reference.video if reference else None,
            states,
            clusters[case.cluster],
            # Metrics of what follows given frames: of a clip that ends with them, or has them at both ends, there are none.
            (case.given or None) if case.mode in MODES else None,
            row.alignment,
            () if case.mode in MODES else case.keeps,
            digest(decides) if shared else "",
        )
        groups.setdefault((row.suite, row.generator), []).append(entry)
    return groups


def _clips_per_job(cases: Sequence[Case]) -> int:
    largest = max((c.frames * c.size[0] * c.size[1] for c in cases), default=1)
    return min(_CLIPS_PER_JOB, max(1, _PIXELS_PER_JOB // largest))


def _feature_sets(
    groups: Mapping[_Group, Sequence[ClipEntry]], config: FidelityConfig, workers: int, per_job: int
) -> Iterator[tuple[_Group, FeatureSet]]:
    """Yield feature sets of parts of each group, in order, extracted in parallel, `per_job` clips at a time."""
    jobs = [
        (group, entries[i : i + per_job]) for group, entries in groups.items() for i in range(0, len(entries), per_job)
    ]
    calls = [partial(_extract, entries, config) for _, entries in jobs]
    if min(workers, len(jobs)) > 1:
        results: Iterable[tuple[int, FeatureSet | WorkerKilledError]] = completed(
            workers, calls, tries=2, preload=_shared(config)
        )
    else:
        results = ((i, call()) for i, call in enumerate(calls))
    for i, result in sorted(results, key=itemgetter(0)):
        group, entries = jobs[i]
        if isinstance(result, WorkerKilledError):
            # What is missing of a set is missing of its measures: those of the rest would be of another set.
            result = FeatureSet(len(entries), missing=dict.fromkeys(config.extractors, str(result)))
        yield group, result


def _shared(config: FidelityConfig) -> list[str]:
    needed = (module for name in config.extractors for module in _SHARED.get(name, ()))
    return list(dict.fromkeys(["sora_eval.fidelity.extractors", *needed]))


def _extract(entries: Sequence[ClipEntry], config: FidelityConfig) -> FeatureSet:
    # The process that only shares out the work does without torch, which takes a quarter of a gigabyte and seconds to load.
    from sora_eval.fidelity.extractors import extract

    return extract(entries, config)


def _states(case: Case) -> tuple[str, str] | None:
    # A case of another version's family has a clip all the same.
    try:
        scenes = family(case.scene.get("family", ""))
    except ConfigError:
        return None
    return scenes.states(scenes.read(case.scene["params"])) if isinstance(scenes, StateChange) else None
