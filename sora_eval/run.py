"""`sora-eval run`: generate the cases of a suite, score the videos, write a report; or a part of it (shard=i/n)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sora_eval.config import Call, RunConfig, generator_of, out_folder, tracker_of
from sora_eval.errors import SoraEvalError, is_fatal, line_of, print_error
from sora_eval.fidelity.options import FidelityOptions
from sora_eval.files import lines_of, read_text, remove_parts, write_json
from sora_eval.generator.base import Delivery, Generator, bind, input_problems, samples_of
from sora_eval.probes.base import Probe
from sora_eval.runs import naming, sharding
from sora_eval.runs.identity import claim, list_cases, unfinish
from sora_eval.runs.lock import held
from sora_eval.runs.manifest import manifest, report_key
from sora_eval.runs.store import Store
from sora_eval.stats.failures import FailedRunError, technical, why_failed
from sora_eval.tracking.base import Tracker
from sora_eval.types import Case, ScoreRow, digest
from sora_eval.version import __version__

if TYPE_CHECKING:
    from sora_eval.evaluation import Clips

Say = Callable[[str], None]
SETTINGS = ("generator", "suite", "profile", "references", "seed", "samples", "fidelity", "tracking", "players")
"""The parts of a configuration on which a run's files depend."""


@dataclass(frozen=True)
class Plan:
    """A run before it starts."""

    config: Mapping[str, Any]
    """The configuration as plain values, as manifest.json has it."""
    command: str
    """The command line."""
    probes: Mapping[str, Probe]
    """Probes by name."""
    cases: Sequence[Case]
    """All cases of the run, those of other shards too."""
    generators: Sequence[Any]
    """The model first, then references."""
    choice: Any
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
    """The tracker."""

    @property
    def model(self) -> Any:
        """The generator that is evaluated."""
        return self.generators[0]


@dataclass(frozen=True)
class Result:
    """A run that ended.

    made: clips that had to be scored. fresh: whether its files were written again. missing: shards still to run.
    clips: by generator, how many clips were reused and how many were made.
    """

    rows: Sequence[ScoreRow]
    problems: Sequence[str]
    made: int
    fresh: bool
    missing: Sequence[int] = ()
    clips: Mapping[str, Clips] = field(default_factory=dict)

    @property
    def code(self) -> int:
        """The exit code."""
        return 1 if self.problems else 0


def plan_of(config: RunConfig, call: Call) -> Plan:
    """Return the plan of a run.

    Raises:
        ConfigError: a value can't be used, or the generator can't be made.
    """
    return plan_with(config, call, generator_of(config.generator))


def plan_with(config: RunConfig, call: Call, model: Generator, tracker: Tracker | None = None) -> Plan:
    """Return the plan of a run with a generator that is there already. tracker: None for that of the configuration.

    Raises:
        ConfigError: a value can't be used.
    """
    references = [_reference(name) for name in config.references]
    choice = choice_of(config.fidelity)
    probes, cases = config.suite.select(config.profile, config.seed, config.samples or samples_of(model))
    model = bind(model, cases)
    out = config.out if config.out is not None else naming.run_folder(config, call.generator)
    values = {
        k: v for k, v in replace(config, out=out).values().items() if k in (*SETTINGS, "tracker", "out", "workers")
    }
    generators = [model, *(r for r in references if r.name != model.name)]
    workers = config.workers or call.cores
    return Plan(
        values,
        call.command,
        probes,
        cases,
        generators,
        choice,
        out_folder(out),
        workers,
        config.replace,
        config.part,
        tracker or tracker_of(config.tracker),
    )


def carry_out(plan: Plan, say: Say = print, progress: bool = True) -> Result:
    """Do what is missing of a run in its folder, which no other process writes meanwhile."""
    lock = plan.folder / (".lock" if plan.shard is None else f".lock-{sharding.name(plan.shard)}")
    with held(lock) as alone:
        claim(plan.folder, plan.model, plan.cases, plan.config, plan.replace)
        # Shards hold locks of their own, and may be writing now.
        if alone and plan.shard is None and not (plan.folder / sharding.FOLDER).exists():
            remove_parts(plan.folder)
        return _whole_run(plan, say, progress) if plan.shard is None else _part(plan, plan.shard, say, progress)


def _reference(name: str) -> Any:
    from sora_eval.generator.simulator import Control, Oracle

    return Oracle() if name == "oracle" else Control(name)


def _whole_run(plan: Plan, say: Say, progress: bool) -> Result:
    start = time.perf_counter()
    rows, made, clips = _scored(plan, plan.cases, say, progress)
    problems = _problems(plan, rows)
    about = _about(plan, problems, time.perf_counter() - start, clips)
    done = finish(plan.folder, plan.cases, rows, about, plan.choice, problems, plan.workers, made, say)
    return replace(done, clips=clips)


def _scored(
    plan: Plan, cases: Sequence[Case], say: Say, progress: bool
) -> tuple[list[ScoreRow], int, Mapping[str, Clips]]:
    """Score cases of the run; return their rows, how many of them are new, and where the clips of each generator came from."""
    from sora_eval.evaluation import evaluate

    list_cases(plan.folder, plan.cases)
    clips: dict[str, Clips] = {}
    rows, made = evaluate(cases, plan.probes, plan.generators, plan.folder, plan.workers, progress, clips, plan.tracker)
    say(reused(plan.model.name, clips))
    return rows, made, clips


def _part(plan: Plan, shard: tuple[int, int], say: Say, progress: bool) -> Result:
    """Score a shard; the last one of a folder puts all of them together."""
    start = time.perf_counter()
    cases = sharding.part(plan.cases, shard)
    rows, made, clips = _scored(plan, cases, say, progress)
    if why := why_failed(rows, plan.model.name):
        # Not written: as one that is not run yet it is waited for.
        raise FailedRunError(why)
    # What is measured now is found again by whoever puts the shards together.
    _tracking_of(plan.config, cases, rows, plan.folder, plan.workers, say)
    about = _about(plan, _problems(plan, rows), time.perf_counter() - start, clips)
    sharding.write(plan.folder, shard, rows, about)
    missing = sharding.missing(plan.folder, shard[1], about)
    if missing:
        return Result(rows, about["problems"], made, True, missing, clips)
    with held(plan.folder / ".lock"):
        whole = sharding.merged(plan.folder, plan.cases, shard[1])
        problems = whole.about["problems"]
        done = finish(plan.folder, plan.cases, whole.rows, whole.about, plan.choice, problems, plan.workers, made, say)
        return replace(done, clips=clips)


def finish(
    folder: Path,
    cases: Sequence[Case],
    rows: Sequence[ScoreRow],
    about: dict[str, Any],
    choice: Any,
    problems: Sequence[str],
    workers: int,
    made: int,
    say: Say = print,
) -> Result:
    """Write scores, fidelity, manifest and report of all rows of a run, unless they are there and of just these.

    about: what the manifest says. choice: of fidelity. problems: of the input; those of fidelity are added. made: clips that are new.

    Raises:
        FailedRunError: nothing came back from the model, for technical reasons; the report is written all the same.
    """
    from sora_eval.reporting.report.write import write_report
    from sora_eval.runs.measures import write_measures
    from sora_eval.runs.tracking import read_tracking, unmeasured, write_tracking

    config, model = about["config"], about["generators"][0]["name"]
    problems = list(dict.fromkeys([*problems, *(choice.absent() if choice else [])]))
    # Shards of earlier versions lack some.
    settings = {k: config.get(k) for k in SETTINGS}
    measured = choice.fingerprint() if choice else ""
    lines = [asdict(r) for r in rows]
    key = digest([lines, settings, problems, measured, __version__])
    # What could not be measured is tried again.
    if (
        not made
        and report_key(folder) == key
        and _is_whole(folder, lines)
        and not why_failed(rows, model)
        and not unmeasured(read_tracking(folder), rows)
    ):
        return Result(rows, _faults(folder, model, problems, rows), made, False)
    # The page comes last: its presence says that the rest is there and of this run.
    unfinish(folder)
    Store(folder).write_rows(rows)
    known = len(problems)
    write_measures(folder, _fidelity_of(choice, cases, rows, folder, workers, say, problems))
    # Without a key the same command tries again what broke down.
    hashes = {**about["hashes"], "report": key if len(problems) == known else ""}
    write_tracking(folder, _tracking_of(config, cases, rows, folder, workers, say))
    problems = _faults(folder, model, problems, rows)
    write_json(folder / "manifest.json", {**about, "hashes": hashes, "problems": problems})
    say(f"writing the report of {len(rows)} clips")
    write_report(folder, config["players"])
    if why := why_failed(rows, model):
        raise FailedRunError(why)
    return Result(rows, problems, made, True)


def _is_whole(folder: Path, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether the scores and measures that a run's folder holds are those of `rows`, and readable."""
    from sora_eval.runs.measures import read_measures

    try:
        read_measures(folder)
        return read_text(folder / "scores.jsonl") == lines_of(rows)
    except (SoraEvalError, OSError, ValueError):
        return False


def choice_of(options: FidelityOptions | None) -> Any:
    """Return the fidelity metrics and encoders of a run, None for none; the weight files that are named are used from now on."""
    if options is None or not options.metrics:
        return None
    from sora_eval.encoders import weights
    from sora_eval.fidelity.extractors import FidelityConfig

    weights.use({str(name): str(path) for name, path in options.weights.items()})
    return FidelityConfig(options.metrics, options.video, options.words, options.distance, options.i3d_eps)


def _about(plan: Plan, problems: Sequence[str], seconds: float, clips: Mapping[str, Clips]) -> dict[str, Any]:
    about = manifest(
        plan.config, plan.command, plan.generators, plan.cases, plan.probes, problems, seconds, plan.tracker
    )
    return {**about, "clips": {name: asdict(some) for name, some in clips.items()}}


def reused(model: str, clips: Mapping[str, Clips]) -> str:
    """Return how many clips of a run were there already and how many it made, those of the model apart from its references'."""
    from sora_eval.evaluation import Clips

    others = [c for name, c in clips.items() if name != model]
    parts = [f"{model}: {clips.get(model, Clips()).line}"]
    return "; ".join([*parts, *([f"references: {sum(others, Clips()).line}"] if others else [])])


def _faults(folder: Path, model: str, problems: Sequence[str], rows: Sequence[ScoreRow]) -> list[str]:
    """Return problems, why a measure of fidelity of the model failed and what could not be tracked, each once."""
    from sora_eval.runs.measures import read_measures
    from sora_eval.runs.tracking import read_tracking, unmeasured

    some = [m for by in read_measures(folder).values() for m in by.get(model, ()) if m.failed]
    return list(dict.fromkeys([*problems, *(m.reason for m in some), *unmeasured(read_tracking(folder), rows)]))


def _fidelity_of(
    choice: Any,
    cases: Sequence[Case],
    rows: Sequence[ScoreRow],
    folder: Path,
    workers: int,
    say: Say,
    problems: list[str],
) -> Any:
    if choice is None:
        return {}
    from sora_eval.fidelity.of_run import of_run

    say(f"measuring the fidelity of {len(rows)} clips")
    try:
        found = of_run(cases, rows, folder, choice, workers)
    except Exception as error:
        if isinstance(error, SoraEvalError) or is_fatal(error):
            raise
        # The scores are there, and so can their report be.
        print_error(error)
        problems.append(f"no fidelity: {line_of(error)}")
        return {}
    if not found:
        say("no fidelity: it is measured against the oracle's clips, and the oracle is not among the references")
    return found


def _tracking_of(
    config: Mapping[str, Any], cases: Sequence[Case], rows: Sequence[ScoreRow], folder: Path, workers: int, say: Say
) -> Any:
    # Shards of an older version say nothing of tracking.
    if not config.get("tracking", True):
        return []
    from sora_eval.runs.tracking import of_run

    say(f"measuring the tracking metrics of {len(rows)} clips")
    return of_run(cases, rows, folder, workers)


def _problems(plan: Plan, rows: Sequence[ScoreRow]) -> list[str]:
    """Return a line for all that was wrong with the input, from what is stored: the same in a first run and a later one."""
    from sora_eval.evaluation import INTERNAL

    model = plan.model
    by_id = {c.id: c for c in plan.cases}
    own = [r for r in rows if r.generator == model.name]
    deliveries = [
        Delivery(by_id[r.case], "" if r.video else r.reason, _clip(plan.folder / r.tracks) if r.tracks else None)
        for r in own
        if model.kind == "model" and not r.reason.startswith(INTERNAL) and not model.capabilities.refuses(by_id[r.case])
    ]
    lines = input_problems(model, deliveries)
    if broken := technical(own):
        lines.append(
            f"{model.name}: {broken} of {len(own)} clips failed technically; the same command asks for them again"
        )
    lines += [
        f"{r.generator} on {r.case}: {r.reason}"
        for r in rows
        if r.reason.startswith(INTERNAL) or (r.failure and r.generator != model.name)
    ]
    return [line for line in dict.fromkeys(lines) if line]


def _clip(tracks: Path) -> tuple[tuple[int, int], int, float] | None:
    """Return size (height, width), frames and rate of the clip that was tracked, None where the tracks can't be read."""
    from sora_eval.runs.tracking import read_tracks

    try:
        read = read_tracks(tracks)
    except SoraEvalError:
        return None
    return read.size, read.visible.shape[1], read.fps
