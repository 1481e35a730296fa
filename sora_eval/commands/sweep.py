"""Sweeps: many runs by one command, through Hydra's launchers; each goes on where it stopped, a failed one stops no other.

A job is a run: RUN/failed.json keeps why it failed the last time, with the traceback, and goes when it succeeds. The sweep's own folder
is hydra.sweep.dir: the leaderboard, the curves, and what a launcher leaves there (.submitit holds the logs of jobs).
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sora_eval import registry
from sora_eval.commands.overrides import quote
from sora_eval.errors import ConfigError, SoraEvalError, line_of
from sora_eval.files import read_json, write_json
from sora_eval.plugins import include
from sora_eval.runs import naming
from sora_eval.stats.failures import FAILED

if TYPE_CHECKING:
    from sora_eval.config import Call, RunConfig

_EXTRAS = {"joblib": "joblib", "submitit_local": "submitit", "submitit_slurm": "submitit", "ray": "ray"}
"""Launchers and the extra of this package that installs each."""
_NOT_OURS = ("--cfg", "-c", "--info", "-i", "--help", "-h", "--hydra-help", "--shell-completion", "-sc")

OUTCOMES = ".outcomes"
"""Folder in that of a sweep: a file per job with its outcome."""


@dataclass(frozen=True)
class Outcome:
    """Outcome of a job."""

    overrides: str
    """Overrides of the job, as typed in a shell."""
    folder: str
    """Run folder, "" when the configuration named none."""
    state: str
    """"done", "nothing to do", "part" (a shard that isn't the last) or "failed"."""
    score: float | None
    """Overall score of the model, None where there is none."""
    seconds: float
    """Wall time, seconds."""
    code: int
    """Exit code that the run alone would have."""
    error: str = ""
    """Why it failed, one line."""
    problems: int = 0
    """Number of problems of the run's input."""
    clips: str = ""
    """Numbers of clips reused and made, in words."""

    @property
    def line(self) -> str:
        """The outcome as one line."""
        score = "" if self.score is None else f"{self.score:.2f}"
        line = f"{self.state:13} {score:>5} {self.seconds:7.1f} s  {self.folder or self.overrides}"
        return f"{line}: {self.error}" if self.error else line


def is_sweep(args: Sequence[str]) -> bool:
    """Return whether the words of a command start a sweep: -m, or a named one."""
    if any(a in _NOT_OURS for a in args):
        return False
    return any(a in ("-m", "--multirun") or a.lstrip("+").startswith("sweep=") for a in args)


def sweep(args: Sequence[str]) -> int:
    """Run all jobs of a sweep, print their outcomes, compare those that are finished; return the highest exit code."""
    start = time.perf_counter()
    command = shlex.join(["sora-eval", "run", *(a for a in args if not a.startswith("hydra.searchpath="))])
    try:
        outcomes, folder = _launch(args)
    except SoraEvalError:
        raise
    except Exception as error:
        known = _ours(error)
        if known is not None:
            raise known from error
        name, text = type(error).__name__, next((x for x in str(error).splitlines() if x.strip()), "")
        if "'generator.checkpoint'" in text:
            raise ConfigError(no_checkpoint(args)) from error
        if isinstance(error, HydraException | OmegaConfBaseException):
            raise ConfigError(text) from error
        raise ConfigError(f"the launcher ended ({name}: {text}); the same command goes on where it stopped") from error
    failed = [o for o in outcomes if o.state == "failed"]
    pages, notes = compare([Path(o.folder) for o in outcomes if o.state in ("done", "nothing to do")], folder, command)
    print(summary(outcomes, time.perf_counter() - start))
    for what, page in pages:
        print(f"{what}: {page}")
    for note in notes:
        print(f"sora-eval: {note}", file=sys.stderr)
    for o in failed:
        where = f"; traceback in {Path(o.folder) / FAILED}" if o.folder and (Path(o.folder) / FAILED).exists() else ""
        print(f"failed: {o.folder or o.overrides}: {o.error}{where}", file=sys.stderr)
    return max(o.code for o in outcomes)


def no_checkpoint(words: Sequence[str]) -> str:
    """Return the message that the chosen generator has no option `checkpoint`. words: overrides."""
    chosen = next((w.partition("=")[2] for w in words if w.startswith("generator=")), "the generator")
    return (
        f"generator={chosen} has no option checkpoint: choose one whose weights it names, such as reference, callable or diffusers, "
        "or give the plug-in a parameter checkpoint"
    )


def summary(outcomes: Sequence[Outcome], seconds: float) -> str:
    """Return the table of all jobs."""
    states = [o.state for o in outcomes]
    counted = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states))
    lines = [f"{'state':13} score    time    run", *(o.line for o in outcomes)]
    jobs = "1 job" if len(outcomes) == 1 else f"{len(outcomes)} jobs"
    again = "; the same command tries what failed again" if "failed" in states else ""
    return "\n".join(["", *lines, f"{jobs} in {seconds:.0f} s: {counted}{again}"])


def job(config: DictConfig) -> None:
    """Carry out one job wherever a launcher put it, and leave its outcome in the sweep's folder; whatever goes wrong is its outcome."""
    from hydra.core.hydra_config import HydraConfig

    from sora_eval.config import read
    from sora_eval.processes import end_with_parent

    end_with_parent()
    hydra = HydraConfig.get()
    # Relative paths mean the place where the sweep was started in a worker of a cluster too.
    if Path(hydra.runtime.cwd).is_dir() and Path.cwd() != Path(hydra.runtime.cwd):
        os.chdir(hydra.runtime.cwd)
    start = time.perf_counter()
    words = [w for w in map(str, hydra.overrides.task) if not w.startswith("+launcher=")]
    try:
        carried_out = carry_out(*read("run", config, hydra), shlex.join(words))
    except Exception as error:
        carried_out = failure(_folder_of(config), error, shlex.join(words))
    outcome = replace(carried_out, seconds=time.perf_counter() - start)
    write_json(Path(hydra.sweep.dir) / OUTCOMES / f"{hydra.job.num}.json", asdict(outcome))
    print("\n".join([outcome.line, *([outcome.clips] if outcome.clips else [])]), flush=True)


def compare(runs: Sequence[Path], folder: Path, command: str) -> tuple[list[tuple[str, Path]], list[str]]:
    """Write the leaderboard of finished runs and their curves into a folder; runs of different cases apart from each other.

    Returns the pages with what each is, and a line for each thing that could not be shown.
    """
    from sora_eval.runs.reader import read_run

    groups: dict[str, list[Path]] = {}
    shown = False
    for run in dict.fromkeys(runs):
        manifest = read_run(run).manifest
        shown |= manifest["config"].get("players") != 0
        groups.setdefault(_asks(manifest), []).append(run)
    pages: list[tuple[str, Path]] = []
    notes: list[str] = []
    for name, folders in groups.items():
        out = folder if len(groups) == 1 else folder / name
        for what, write in (("leaderboard", _leaderboard), ("curves", _curves), ("scores over compute", _scaling)):
            try:
                page = write(folders, out, command, shown)
            except Exception as error:
                known = isinstance(error, SoraEvalError | ValueError)
                notes.append(f"no {what} of {name}: {error if known else line_of(error)}")
                continue
            if page is not None:
                pages.append((what, page))
    return pages, notes


def _asks(manifest: Mapping[str, Any]) -> str:
    """Return a name for the cases of a run and their tracker; runs of one name may stand in one table, if their protocols agree."""
    suite, profile, tracker, world = (manifest["config"].get(k) for k in ("suite", "profile", "tracker", "world"))
    if isinstance(suite, Mapping) and isinstance(profile, Mapping):
        more = (node if isinstance(node, Mapping) else None for node in (tracker, world))
        return naming.question(suite, profile, *more)
    return f"{manifest.get('suite')}-{manifest.get('profile')}"


def _leaderboard(runs: Sequence[Path], out: Path, command: str, clips: bool) -> Path | None:
    from sora_eval.reporting.leaderboard.clips import MAX_CASES
    from sora_eval.reporting.leaderboard.write import write_leaderboard

    return write_leaderboard(runs, out, command, players=MAX_CASES if clips else 0)


def _curves(runs: Sequence[Path], out: Path, command: str, clips: bool) -> Path | None:
    from sora_eval.reporting.sweep.page import write_curves

    return write_curves(runs, out, command, clips)


def _scaling(runs: Sequence[Path], out: Path, command: str, clips: bool) -> Path | None:
    from sora_eval.reporting.sweep.scaling import points, write_scaling

    # Several seeds are several groups; the page of curves pools them.
    groups = points(runs)
    return write_scaling(groups[0], out, command) if clips and len(groups) == 1 else None


def _launch(args: Sequence[str]) -> tuple[list[Outcome], Path]:
    """Run a sweep through Hydra; return the outcomes of its jobs and the sweep's folder.

    Hydra drops what jobs return, so each leaves its outcome as a file in the sweep's folder.
    """
    import hydra

    words = [a for a in args if not a.startswith("-")]
    _check_required(words)
    given = next((w for w in words if w.startswith("hydra.sweep.dir=")), None)
    folder = _folder(words) if given is None else Path(str(OverridesParser.create().parse_override(given).value()))
    shutil.rmtree(folder / OUTCOMES, ignore_errors=True)
    rest = _with_presets([a for a in args if a not in ("-m", "--multirun")])
    # Among the other overrides, for argparse takes them only in one piece.
    at = next((i for i, a in enumerate(rest) if "=" in a and not a.startswith("-")), len(rest))
    added = [] if given is not None else [f"hydra.sweep.dir={quote(str(folder))}"]
    sys.argv = ["sora-eval run", "--multirun", *rest[:at], *added, *rest[at:]]
    with _full_errors():
        hydra.main(version_base="1.3", config_path="pkg://sora_eval.conf", config_name="run")(job)()
    files = sorted((folder / OUTCOMES).glob("*.json"), key=lambda path: naming.natural(path.name))
    if not files:
        raise ConfigError(f"no job left an outcome in {folder}; the same command resumes")
    return [Outcome(**read_json(path)) for path in files], folder


@contextmanager
def _full_errors() -> Iterator[None]:
    """Let Hydra raise what goes wrong, where it would print it and exit."""
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


def _folder(overrides: Sequence[str]) -> Path:
    """Return the folder of a sweep: the same for the same words, so that its pages are written again when it goes on."""
    from sora_eval.types import digest

    named = [w.partition("=")[2] for w in overrides if w.lstrip("+").startswith("sweep=")]
    # Where jobs run is no part of what they are.
    what = sorted(w for w in overrides if not w.startswith(("hydra", "workers=")))
    return Path("runs", "sweeps", "-".join([*named, digest(what)[:6]]))


def _with_presets(overrides: Sequence[str]) -> list[str]:
    """Return overrides with our preset of a launcher (conf/launcher) in place of its plain choice: hydra/launcher=joblib.

    A file of ours in Hydra's own group would clash with the entry of the same name that the launcher's package brings.

    Raises:
        ConfigError: the launcher is unknown, or its package is missing; the remedy is the command that installs it.
    """
    words = []
    for word in overrides:
        key, _, name = word.partition("=")
        if key == "hydra/launcher" and name in registry.names("launcher"):
            extra = _EXTRAS.get(name)
            if extra is not None and not _installed(f"hydra_plugins.hydra_{extra}_launcher"):
                raise ConfigError(f"{word} needs a package that is not here: pip install 'sora-eval[{extra}]'")
            word = f"+launcher={name}"
        words.append(word)
    return words


def _check_required(overrides: Sequence[str]) -> None:
    """Refuse a named sweep of which a value is missing that only its user knows.

    Raises:
        ConfigError: it is missing.
    """
    given = {w.partition("=")[0].lstrip("+"): w.partition("=")[2] for w in overrides}
    places = (f / "sweep" / f"{given.get('sweep')}.yaml" for f in (files("sora_eval.conf"), *include.configurations()))
    file = next((place for place in places if place.is_file()), None)
    node = OmegaConf.create("" if file is None else file.read_text(encoding="utf-8"))
    for key in map(str, node):
        if OmegaConf.is_missing(node, key) and key not in given:
            raise ConfigError(f"{key} is missing: set {key}=...")


def _installed(package: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def carry_out(settings: RunConfig, call: Call, words: str) -> Outcome:
    """Carry out a run and return its outcome, the time left out; whatever goes wrong is raised. words: overrides of the job."""
    from sora_eval.run import plan_run, run
    from sora_eval.runs.plan import count_line
    from sora_eval.stats.summary import summarise

    plan = plan_run(settings, call)
    result = run(plan, say=lambda line: None, progress=sys.stderr.isatty())
    # What another shard of the folder failed with stays until all of them are done.
    if not result.missing or _failed_words(plan.folder) == words:
        (plan.folder / FAILED).unlink(missing_ok=True)
    cell = summarise(result.rows).get(plan.model.name, "") if result.rows else None
    state = "part" if result.missing else "done" if result.written else "nothing to do"
    score = None if cell is None else cell.score
    problems, clips = len(result.problems), count_line(plan.model.name, result.clips)
    return Outcome(words, str(plan.folder), state, score, 0.0, result.code, problems=problems, clips=clips)


def _failed_words(folder: Path) -> str:
    """Return which job the record of a failure in a folder is of; "" where there is none, or none that can be read."""
    try:
        return str(read_json(folder / FAILED).get("overrides", ""))
    except SoraEvalError:
        return ""


def failure(folder: str, error: Exception, words: str) -> Outcome:
    """Return the outcome of a job that raised, and keep the traceback in its folder, unless that is another run's.

    folder: the run folder, "" where it is unknown. words: overrides of the job.
    """
    from sora_eval.runs.identity import ForeignRunError

    known = _ours(error)
    text = next((line for line in str(known or error).splitlines() if line.strip()), type(error).__name__)
    if known is None and not isinstance(error, OSError):
        text = f"{type(error).__name__}: {text}"
    outcome = Outcome(words, folder, "failed", None, 0.0, 2, text)
    if folder and not isinstance(known, ForeignRunError):
        kept: dict[str, Any] = {
            "error": text,
            "overrides": words,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "traceback": "".join(traceback.format_exception(error)),
        }
        # The disk may be what failed; the sweep's last lines have the error all the same.
        with suppress(OSError):
            write_json(Path(folder) / FAILED, kept)
    return outcome


def _folder_of(config: DictConfig) -> str:
    from hydra.core.hydra_config import HydraConfig

    from sora_eval.config import read

    try:
        settings, call = read("run", config, HydraConfig.get())
        return str(settings.out or naming.run_folder(settings, call.generator))
    except Exception:
        # What makes the name may be what is wrong with the configuration.
        return str(config.get("out") or "")


def _ours(error: BaseException | None) -> SoraEvalError | None:
    """Return the error of ours that an error wraps, as Hydra's and OmegaConf's do."""
    while error is not None:
        if isinstance(error, SoraEvalError):
            return error
        error = error.__cause__ or error.__context__
    return None
