"""`sora-eval run`: evaluate a generator on the cases of a suite, measure fidelity and tracking, write the report; or a shard of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sora_eval import registry
from sora_eval.config import Call, RunConfig, out_folder, with_cases, without_truth
from sora_eval.cost.estimates import warnings
from sora_eval.cost.references import choose_references
from sora_eval.evaluation import Loop, evaluate
from sora_eval.fidelity.config import FidelityConfig
from sora_eval.generator.base import Generator, beyond_capabilities, bind, samples_of
from sora_eval.generator.devices import devices_of
from sora_eval.generator.simulator import reference
from sora_eval.prompting.rewriting import prepare, prompted
from sora_eval.runs import naming, sharding
from sora_eval.runs.folder import content_key, finished, open_run, write_run
from sora_eval.runs.identity import invalidate
from sora_eval.runs.lock import held
from sora_eval.runs.manifest import manifest
from sora_eval.runs.plan import Plan, RunResult, count_line, fidelity_config, recorded
from sora_eval.runs.problems import problem_lines
from sora_eval.runs.reader import Run
from sora_eval.runs.tracking import measure_tracking, unmeasured
from sora_eval.stats.failures import FailedRunError, why_failed
from sora_eval.tracking.base import Tracker
from sora_eval.types import Measure


def plan_run(config: RunConfig, call: Call, model: Generator | None = None, tracker: Tracker | None = None) -> Plan:
    """Return the plan of a run. model, tracker: None for the one that is configured.

    Raises:
        ConfigError: a value can't be used, or the generator or tracker can't be made.
    """
    model = registry.generator(config.generator) if model is None else registry.checked_generator(model)
    tracker = registry.tracker(config.tracker) if tracker is None else registry.checked_tracker(tracker)
    typed, (config, asked) = config, with_cases(config, samples_of(model))
    cases, fidelity = asked.cases, fidelity_config(config.fidelity)
    model = prompted(bind(model, cases), config.prompts)
    out = config.out if config.out is not None else naming.run_folder(config, call.generator)
    names, notes = choose_references(config, model, cases, Loop(Path(out), asked.probes, tracker, config.video))
    notes = [*notes, *without_truth(typed, config), *beyond_capabilities(model, cases)]
    references = [r for r in map(reference, names) if r.name != model.name]
    folder, workers = out_folder(out), config.workers or call.cores
    return Plan(
        config=recorded(replace(config, out=out, references=names).values()),
        command=call.command,
        probes=asked.probes,
        cases=cases,
        generators=[model, *references],
        fidelity=fidelity,
        folder=folder,
        workers=workers,
        replace=config.replace,
        shard=config.part,
        tracker=tracker,
        video=config.video,
        devices=devices_of(model, config.devices),
        case_set=asked,
        notes=(*notes, *warnings(config, cases, model, references, folder, workers)),
    )


def run(plan: Plan, say: Callable[[str], None] = print, progress: bool = True) -> RunResult:
    """Carry out what is missing of a run in its folder.
    say: receives a line per step. progress: whether to show a progress bar.

    Raises:
        ForeignRunError: the folder holds a run of something else.
        FailedRunError: no clip of the model could be judged, for technical reasons.
    """
    for note in plan.notes:
        say(note)
    with open_run(plan):
        prepare(plan.model, plan.folder, plan.part, say)
        start = time.perf_counter()
        how = (plan.workers, progress, plan.tracker, plan.video, plan.devices)
        evaluated = evaluate(plan.part, plan.probes, plan.generators, plan.folder, *how)
        say(count_line(plan.model.name, evaluated.clips))
        found = problem_lines(plan.folder, plan.model, plan.cases, evaluated.rows)
        problems = [*plan.case_set.left_out, *found, *evaluated.problems]
        about = manifest(plan, problems, time.perf_counter() - start, evaluated.clips)
        scored = Run(plan.folder, about, tuple(plan.cases), tuple(evaluated.rows), tuple(problems))
        if plan.shard is None:
            result = finish(scored, plan.fidelity, plan.workers, say, evaluated.scored > 0)
        else:
            result = _finish_shard(plan, plan.shard, scored, evaluated.scored > 0, say)
    return replace(result, clips=evaluated.clips)


def _finish_shard(
    plan: Plan, shard: tuple[int, int], scored: Run, changed: bool, say: Callable[[str], None]
) -> RunResult:
    """Write the scores of a shard; the last shard of a folder finishes the whole run."""
    if failure := why_failed(scored.rows, plan.model.name):
        # Not written: a shard without scores counts as one that has not been run.
        raise FailedRunError(failure)
    # Stored clip by clip in the folder, where the last shard finds them.
    measure_tracking(scored, plan.workers, say)
    sharding.write(scored, shard)
    if missing := sharding.missing(plan.folder, shard[1], scored.manifest):
        return RunResult(scored.rows, scored.problems, written=True, missing=missing)
    with held(plan.folder / ".lock"):
        return finish(sharding.merged(plan.folder, plan.cases, shard[1]), plan.fidelity, plan.workers, say, changed)


def finish(
    scored: Run, fidelity: FidelityConfig | None, workers: int, say: Callable[[str], None] = print, changed: bool = True
) -> RunResult:
    """Measure fidelity and tracking of a scored run, write its files and its report; nothing where all of that is there.
    changed: whether a clip was scored now.

    Raises:
        FailedRunError: no clip of the model could be judged, for technical reasons; the report is written all the same.
    """
    model = scored.manifest["generators"][0]["name"]
    problems = [*dict.fromkeys([*scored.problems, *(fidelity.absent() if fidelity else [])])]
    key = content_key(scored, problems, fidelity.fingerprint() if fidelity else "")
    failure = why_failed(scored.rows, model)
    if not changed and not failure and (stored := finished(scored, key)) is not None:
        return RunResult(stored.rows, stored.problems, written=False)
    invalidate(scored.folder)
    tracking = measure_tracking(scored, workers, say)
    measures, breakdown = dict[str, dict[str, list[Measure]]](), list[str]()
    if fidelity is not None:
        # Imports torch, which a run without it does not need; its processes keep that in memory, so tracking comes first.
        from sora_eval.fidelity.of_run import measure_fidelity

        measures, breakdown = measure_fidelity(scored, fidelity, workers, say)
    failed = [m.reason for by in measures.values() for m in by.get(model, ()) if m.failed]
    problems = [*dict.fromkeys([*problems, *breakdown, *failed, *unmeasured(tracking, scored.rows)])]
    # Without a key the same command measures fidelity again after a breakdown.
    hashes = {**scored.manifest["hashes"], "report": "" if breakdown else key}
    about = {**scored.manifest, "hashes": hashes, "problems": problems}
    complete = replace(scored, manifest=about, problems=tuple(problems))
    write_run(complete, measures, tracking)
    say(f"writing the report of {len(scored.rows)} clips")
    from sora_eval.reporting.report.write import write_report_of

    # The page is written last: its presence marks the run as finished.
    write_report_of(complete, measures, tracking, about["config"]["players"], workers)
    if failure:
        raise FailedRunError(failure)
    return RunResult(scored.rows, problems, written=True)
