"""`sora-eval run`: ask a generator for the cases of a suite, score its videos, write a report; or a part of it (shard=i/n)."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from sora_eval import __version__
from sora_eval.commands import console
from sora_eval.config import chosen_cases, chosen_probes, flag, generator_of, names_of, out_folder, values_of, whole
from sora_eval.errors import ConfigError, SoraEvalError, is_fatal
from sora_eval.files import lines_of, read_text, remove_parts, write_json
from sora_eval.probes.base import Probe
from sora_eval.processes import cores
from sora_eval.runs import sharding
from sora_eval.runs.identity import claim, list_cases, unfinish
from sora_eval.runs.lock import held
from sora_eval.runs.manifest import manifest, report_key
from sora_eval.runs.store import Store
from sora_eval.stats.failures import FailedRunError, technical, why_failed
from sora_eval.types import Case, ScoreRow, digest

if TYPE_CHECKING:
    from sora_eval.evaluate import Clips

Say = Callable[[str], None]
SETTINGS = ("generator", "suite", "profile", "references", "seed", "samples", "fidelity", "tracking", "players")
"""The parts of a configuration on which a run's files depend."""
_PRINTED = 10


@dataclass(frozen=True)
class Plan:
    """A run before it starts: what is asked, of whom, and where the answers go.

    config: the configuration, plain. generators: the model first. choice: what fidelity measures, None for nothing.
    replace: whether a run of something else in `folder` may be replaced. shard: (i, n) for a part of the cases, None for all.
    """

    config: Mapping[str, Any]
    command: str
    probes: Mapping[str, Probe]
    cases: Sequence[Case]
    generators: Sequence[Any]
    choice: Any
    folder: Path
    workers: int
    replace: bool
    shard: tuple[int, int] | None

    @property
    def model(self) -> Any:
        """The generator that is asked."""
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


def main(config: DictConfig) -> int:
    """Carry out a run, tell of it, and return its exit code."""
    plan = plan_of(config)
    result = carry_out(plan)
    _tell(plan, result)
    return result.code


def plan_of(config: DictConfig) -> Plan:
    """Return what a configuration asks for.

    Raises:
        ConfigError: a value is out of range, or the generator can't be had.
    """
    probes = chosen_probes(config)
    cases = chosen_cases(config, probes)
    workers = processes(config)
    whole(config, "players", 0)
    flag(config, "tracking")
    references = [_reference(name) for name in names_of(config, "references", "frozen")]
    choice = choice_of(config)
    shard = None if config.shard is None else sharding.parse(str(config.shard))
    model = generator_of(config, cases)
    generators = [model, *(r for r in references if r.name != model.name)]
    plain = {str(k): v for k, v in values_of(config).items() if k in (*SETTINGS, "out", "workers")}
    return Plan(
        *(plain, _command(config), probes, cases, generators, choice, out_folder(config), workers),
        replace=flag(config, "replace"),
        shard=shard,
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


def processes(config: DictConfig) -> int:
    """Return how many processes a run may use: `workers`, else its share of the cores that this process may use."""
    if config.workers is not None:
        return whole(config, "workers", 1)
    return _share(HydraConfig.get().launcher, cores()) if _in_sweep() else cores()


def _in_sweep() -> bool:
    cfg: Any = HydraConfig.instance().cfg
    # A plain run has no number.
    return cfg is not None and OmegaConf.select(cfg, "hydra.job.num") is not None


def _share(launcher: Any, cores: int) -> int:
    """Return the cores of one job, of a launcher that runs several on one machine."""
    if launcher.get("n_jobs") is not None:
        at_once = cores if launcher.n_jobs < 0 else launcher.n_jobs
    elif launcher.get("cpus_per_task"):
        return int(launcher.cpus_per_task)
    elif launcher.get("ray") is not None:
        return max(1, int(launcher.ray.remote.get("num_cpus") or 1))
    else:
        at_once = 1
    return max(1, cores // max(1, at_once))


def _reference(name: str) -> Any:
    from sora_eval.generator.simulator import Control, Oracle

    return Oracle() if name == "oracle" else Control(name)


def _command(config: DictConfig) -> str:
    """Return the command of this run alone: of a sweep, the values that it took; a named sweep is not part of it."""
    hydra = HydraConfig.get()
    words = [w for w in map(str, hydra.overrides.task) if not w.startswith("+launcher=")]
    named = [w for w in words if w.lstrip("+").startswith("sweep=")]
    if named:
        said = {w.partition("=")[0].lstrip("+") for w in words}
        own = {"sweep", *(str(k) for k in config if k not in (*SETTINGS, "out", "workers", "replace", "shard"))}
        words = [w for w in words if w.partition("=")[0].lstrip("+") not in own]
        groups = {k: str(hydra.runtime.choices[k]) for k in ("generator", "suite", "profile")}
        words = [*(f"{k}={v}" for k, v in groups.items() if k not in said and k == "generator"), *words]
    return shlex.join(["sora-eval", "run", *words])


def _whole_run(plan: Plan, say: Say, progress: bool) -> Result:
    from sora_eval.evaluate import evaluate

    start = time.perf_counter()
    list_cases(plan.folder, plan.cases)
    clips: dict[str, Clips] = {}
    rows, made = evaluate(plan.cases, plan.probes, plan.generators, plan.folder, plan.workers, progress, clips)
    say(reused(plan.model.name, clips))
    problems = _problems(plan, rows)
    about = _about(plan, problems, time.perf_counter() - start, clips)
    done = finish(plan.folder, plan.cases, rows, about, plan.choice, problems, plan.workers, made, say)
    return replace(done, clips=clips)


def _part(plan: Plan, shard: tuple[int, int], say: Say, progress: bool) -> Result:
    """Score a shard; the last one of a folder puts all of them together."""
    from sora_eval.evaluate import evaluate

    start = time.perf_counter()
    list_cases(plan.folder, plan.cases)
    mine = sharding.part(plan.cases, shard)
    clips: dict[str, Clips] = {}
    rows, made = evaluate(mine, plan.probes, plan.generators, plan.folder, plan.workers, progress, clips)
    say(reused(plan.model.name, clips))
    if why := why_failed(rows, plan.model.name):
        # Not written: as one that is not run yet it is waited for.
        raise FailedRunError(why)
    # What is measured now is found again by whoever puts the shards together.
    _tracking_of(plan.config, mine, rows, plan.folder, plan.workers, say)
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


def choice_of(config: DictConfig) -> Any:
    """Return what fidelity measures, by a configuration, None for nothing; the files of weights that it names are used from now on.

    Raises:
        ConfigError: `fidelity` is neither null nor a mapping of its options.
    """
    if config.fidelity is None:
        return None
    if not isinstance(config.fidelity, DictConfig):
        raise ConfigError(f"fidelity={config.fidelity}: set fidelity.metrics=[...], or fidelity=null for none")
    if not names_of(config, "fidelity.metrics", "frechet"):
        return None
    from sora_eval.encoders import weights
    from sora_eval.fidelity.extractors import FidelityConfig

    if not isinstance(config.fidelity.weights, DictConfig):
        raise ConfigError(f"fidelity.weights must be {{NAME: FILE}}, got {config.fidelity.weights}")
    weights.use({str(name): str(path) for name, path in config.fidelity.weights.items()})
    return FidelityConfig(
        tuple(names_of(config, "fidelity.metrics", "frechet")),
        video_encoder=str(config.fidelity.video),
        text_image_encoder=str(config.fidelity.words),
        image_distance=str(config.fidelity.distance),
        i3d_eps=config.fidelity.get("i3d_eps", FidelityConfig.i3d_eps),  # shards of earlier versions lack it
    )


def _about(plan: Plan, problems: Sequence[str], seconds: float, clips: Mapping[str, Clips]) -> dict[str, Any]:
    about = manifest(plan.config, plan.command, plan.generators, plan.cases, plan.probes, problems, seconds)
    return {**about, "clips": {name: asdict(some) for name, some in clips.items()}}


def _tell(plan: Plan, result: Result) -> None:
    from sora_eval.reporting.components.text import table

    folder = plan.folder
    if not result.fresh:
        print(f"nothing to do: all {len(result.rows)} clips are scored")
    if result.rows:
        print(table(result.rows))
    for problem in result.problems[:_PRINTED]:
        print(f"problem: {problem}", file=sys.stderr)
    if len(result.problems) > _PRINTED:
        more = len(result.problems) - _PRINTED
        print(f"problem: {more} more, listed in {folder / 'manifest.json'}", file=sys.stderr)
    mine = [r for r in result.rows if r.generator == plan.model.name]
    unjudged = sum(r.value is None for r in mine)
    if unjudged:
        print(
            f"{unjudged} of {len(mine)} clips of {plan.model.name} could not be judged and count as failed; the report says why"
        )
    if broken := technical(mine):
        print(
            f"{broken} of them failed technically, which says nothing about the model; the same command asks for them again"
        )
    if plan.shard is not None:
        print(f"shard {plan.shard[0]}/{plan.shard[1]}: {len(mine)} of {len(plan.cases)} cases are scored")
    if result.missing and plan.shard is not None:
        left = ", ".join(f"{i}/{plan.shard[1]}" for i in result.missing)
        print(f"not yet in {folder}: shard {left}; the last one writes the report, or sora-eval merge does")
    else:
        print(f"report: {folder / 'report.html'}")


def reused(model: str, clips: Mapping[str, Clips]) -> str:
    """Return how many clips of a run were there already and how many it made, those of the model apart from its references'."""
    from sora_eval.evaluate import Clips

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
        console.failed(error)
        problems.append(f"no fidelity: {console.line_of(error)}")
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
    from sora_eval.evaluate import INTERNAL
    from sora_eval.generator.folder import Folder

    model = plan.model
    found = list(model.manifest_problems if isinstance(model, Folder) else getattr(model, "problems", ()))
    mine = [r for r in rows if r.generator == model.name]
    if broken := technical(mine):
        found.append(
            f"{model.name}: {broken} of {len(mine)} clips failed technically; the same command asks for them again"
        )
    by_id = {c.id: c for c in plan.cases}
    read: list[tuple[Case, tuple[int, int], int, float]] = []
    for row in rows:
        case = by_id[row.case]
        if row.reason.startswith(INTERNAL) or (row.failure and row.generator != model.name):
            found.append(f"{row.generator} on {row.case}: {row.reason}")
        elif row.generator != model.name or model.kind != "model" or model.capabilities.refuses(case):
            continue
        elif not row.video and row.reason not in found:
            found.append(
                model.problem_of(case, row.reason) if isinstance(model, Folder) else f"{row.case}: {row.reason}"
            )
        elif isinstance(model, Folder) and row.tracks:
            read += [(case, *about) for about in _read_as(plan.folder / row.tracks)]
    if isinstance(model, Folder):
        found += model.reading_problems(read)
    return [line for line in dict.fromkeys(found) if line]


def _read_as(tracks: Path) -> list[tuple[tuple[int, int], int, float]]:
    """Return the size (height, width), the frames and the rate of the clip that was tracked, [] where the tracks can't be read."""
    from sora_eval.runs.tracking import read_tracks

    try:
        read = read_tracks(tracks)
    except SoraEvalError:
        return []
    return [(read.size, read.visible.shape[1], read.fps)]
