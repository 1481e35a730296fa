"""`sora-eval watch 'ckpts/*.safetensors'`: score each checkpoint of a training as it appears.

It looks at the files every `poll_s` seconds. Notifications of the system (inotify and its like) would come sooner, but never for what
another machine writes to a network drive, where the checkpoints of a cluster lie; nor do they tell when a file is whole.

A checkpoint is a run, in the folder that `sora-eval run` gives it, named by the hash of its bytes: a watch that was killed resumes in the
midst of one, and what is scored stays so under any command. The watch's own folder is runs/watch/..., with its pages and a journal.
"""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from glob import glob
from pathlib import Path
from typing import Any

from sora_eval.commands.overrides import as_typed
from sora_eval.commands.sweep import Outcome, carry_out, compare, failure
from sora_eval.config import Call, RunConfig, WatchConfig, with_cases
from sora_eval.errors import ConfigError, SoraEvalError
from sora_eval.files import content_hash, read_json, write_json, write_text
from sora_eval.processes import WorkerKilledError, completed
from sora_eval.runs import naming
from sora_eval.runs.identity import ForeignRunError
from sora_eval.stats.failures import FAILED
from sora_eval.training.checkpoint_files import Signature, fault, signature

JOURNAL = "watch.json"
"""File in the watch's folder: what became of each checkpoint."""
REGRESSION, NOT_DONE = 1, 2
"""Exit codes."""


@dataclass(frozen=True)
class Entry:
    """What became of a checkpoint."""

    path: str
    """Its file or folder, as the pattern gave it."""
    signature: Signature
    """Signature of its files when it was scored."""
    hash: str = ""
    """Hash of its bytes."""
    run: str = ""
    """Run folder, "" where there is none."""
    state: str = "done"
    """"done", "same" (as another one that is scored), or "failed"."""
    error: str = ""
    """Why it failed, one line."""


def main(config: WatchConfig, call: Call) -> int:
    """Watch; return 0, 1 where the gate stopped it, 2 where a checkpoint could not be scored or compared, 3 for too little evidence."""
    from sora_eval.runs.lock import held

    words = _words(call)
    folder = _folder(config, call)
    baseline = None if config.baseline is None else _checked_baseline(config, Path(config.baseline))
    with held(folder / ".lock"):
        watch = Watch(config, call, words, folder, baseline)
        print(f"watching {', '.join(config.patterns)}; pages and journal: {folder}", flush=True)
        code = watch.run()
    for what, page in watch.pages:
        print(f"{what}: {page}")
    return code


class Watch:
    """The state of a watch."""

    def __init__(
        self, config: WatchConfig, call: Call, words: Sequence[str], folder: Path, baseline: Path | None
    ) -> None:
        """Read the journal; what failed is tried again. words: overrides of each run. folder: for journal and pages."""
        self.pages: list[tuple[str, Path]] = []
        self._config, self._call, self._words, self._folder, self._baseline = config, call, words, folder, baseline
        self._entries = [e for e in _journal(folder) if e.state != "failed" and _is_finished(Path(e.run))]
        self._seen: dict[str, tuple[Signature, float]] = {}
        self._verdict: int | None = None
        self._noted: set[str] = set()
        self._loaded: set[str] = set()

    def run(self) -> int:
        """Score checkpoints until something ends the watch; return the exit code."""
        news = time.monotonic()
        if self._entries:
            self._write_pages()
        while True:
            due, waiting, changed = self._look()
            if due:
                self._score(*due[0])
                if self._stopped():
                    return REGRESSION
            elif not waiting and self._verdict is None and self._compare_newest() and self._stopped():
                return REGRESSION
            if due or changed:
                news = time.monotonic()
            if due:
                continue
            if self._config.once and not waiting:
                if not self._entries and not self._seen:
                    raise ConfigError(f"no file matches '{', '.join(self._config.patterns)}'")
                return self._code()
            if self._config.idle_s is not None and time.monotonic() - news >= self._config.idle_s:
                print(f"no new checkpoint for {self._config.idle_s:g} s", flush=True)
                return self._code()
            time.sleep(self._config.poll_s)

    def _look(self) -> tuple[list[tuple[Path, Signature]], bool, bool]:
        """Return the checkpoints to score now, the oldest first; whether some may still be written; whether one is new or changed."""
        due: list[tuple[Path, Signature]] = []
        known = {(e.path, e.signature) for e in self._entries}
        unsettled = changed = False
        for path in _matching(self._config.patterns):
            now = signature(path)
            if now is None or (str(path), now) in known:
                continue
            if self._seen.get(str(path), ((), 0.0))[0] != now:
                self._seen[str(path)] = now, time.monotonic()
                unsettled = changed = True
            elif time.monotonic() - self._seen[str(path)][1] < self._config.poll_s:
                unsettled = True
            elif why := fault(path):
                self._keep(Entry(str(path), now, state="failed", error=why))
                print(f"failed: {path}: {why}; it is left until it changes", file=sys.stderr, flush=True)
            else:
                due.append((path, now))
        return sorted(due, key=lambda item: (_written(item[1]), naming.natural(str(item[0])))), unsettled, changed

    def _score(self, path: Path, before: Signature) -> None:
        """Carry out the run of a checkpoint, unless its bytes are scored under another name."""
        try:
            digest = content_hash(path)
        except OSError as error:
            self._fail(Entry(str(path), before, state="failed", error=f"not readable ({error.strerror or error})"))
            return
        twin = next((e for e in self._entries if e.hash == digest and e.state == "done"), None)
        if twin is not None:
            print(f"{path}: the same bytes as {twin.path}, not scored again", flush=True)
            self._keep(Entry(str(path), before, digest, twin.run, "same"))
            return
        outcome = self._carried_out(path, digest)
        # Gone is not changed: trainings remove old checkpoints.
        if outcome.state != "nothing to do" and signature(path) not in (before, None):
            if outcome.folder:
                # Some of its clips may be of other weights than its name says.
                shutil.rmtree(outcome.folder, ignore_errors=True)
            self._seen.pop(str(path), None)
            print(f"{path} changed while it was scored: its scores are dropped", file=sys.stderr, flush=True)
            return
        entry = Entry(str(path), before, digest, outcome.folder)
        if outcome.state == "failed":
            self._fail(replace(entry, state="failed", error=outcome.error))
            return
        print(outcome.line, flush=True)
        self._keep(entry)
        self._write_pages()
        self._compare_newest()

    def _carried_out(self, path: Path, digest: str) -> Outcome:
        start = time.perf_counter()
        settings = _settings(self._config, path)
        words = [*self._words, as_typed(f"generator.checkpoint={path}")]
        place = naming.run_folder(settings, self._call.generator)
        # A run is named by the bytes of a file, but by the path of a folder.
        if path.is_dir() and any(e.run == place and e.hash != digest for e in self._entries):
            place = f"{Path(place).parent}-{digest[:6]}/{settings.seed}"
            words.append(as_typed(f"out={place}"))
        call = replace(self._call, command=shlex.join(["sora-eval", "run", *words]))
        # Generators keep what they have loaded by its path, so that a run has one set of weights.
        carried_out = _in_new_process if str(path) in self._loaded else carry_out
        self._loaded.add(str(path))
        try:
            outcome = carried_out(replace(settings, out=place), call, shlex.join(words))
        except ForeignRunError as error:
            outcome = failure("", error, shlex.join(words))
        except Exception as error:
            outcome = failure(place, error, shlex.join(words))
        return replace(outcome, seconds=time.perf_counter() - start)

    def _fail(self, entry: Entry) -> None:
        self._keep(entry)
        record = Path(entry.run) / FAILED
        where = f"; traceback in {record}" if entry.run and record.exists() else ""
        print(f"failed: {entry.path}: {entry.error}{where}; it is left until it changes", file=sys.stderr, flush=True)

    def _keep(self, entry: Entry) -> None:
        """Add an entry in place of earlier failures of its path, and write the journal."""
        self._entries = [e for e in self._entries if (e.path, e.state) != (entry.path, "failed")]
        self._entries.append(entry)
        write_json(self._folder / JOURNAL, {"checkpoints": [asdict(e) for e in self._entries]})

    @property
    def _scored(self) -> list[Entry]:
        return [e for e in self._entries if e.state == "done"]

    def _write_pages(self) -> None:
        # A folder may have been removed meanwhile.
        runs = [run for e in self._scored if _is_finished(run := Path(e.run))]
        try:
            self.pages, notes = compare(runs, self._folder, self._call.command)
        except SoraEvalError as error:
            notes = [f"pages are not up to date: {error}"]
        for note in notes:
            if note not in self._noted:
                self._noted.add(note)
                print(f"sora-eval: {note}", file=sys.stderr, flush=True)

    def _compare_newest(self) -> bool:
        """Compare the checkpoint that was scored last with the baseline; return whether that was done."""
        if self._baseline is None or not self._scored:
            return False
        from sora_eval.commands import gate

        plan = self._folder / "gate.yaml"
        write_text(plan, _yaml(self._config.gate.values()))
        run = self._scored[-1].run
        self._verdict = gate.main(["--baseline", str(self._baseline), "--candidate", run, "--config", str(plan)])
        return True

    def _stopped(self) -> bool:
        if self._config.stop_on != "gate" or self._verdict != REGRESSION:
            return False
        print(f"stopped: {self._scored[-1].path} is worse than {self._baseline}", flush=True)
        return True

    def _code(self) -> int:
        """Return the exit code of a watch that nothing stopped."""
        if any(e.state == "failed" for e in self._entries):
            return NOT_DONE
        return self._verdict if self._config.stop_on == "gate" and self._verdict is not None else 0


def _in_new_process(settings: RunConfig, call: Call, words: str) -> Outcome:
    ((_, outcome),) = completed(1, [partial(carry_out, settings, call, words)])
    if isinstance(outcome, WorkerKilledError):
        raise outcome
    return outcome


def _matching(patterns: Sequence[str]) -> Iterator[Path]:
    for name in dict.fromkeys(name for pattern in patterns for name in sorted(glob(pattern, recursive=True))):
        yield Path(name)


def _written(files: Signature) -> int:
    return max(changed_ns for _, _, changed_ns in files)


def _words(call: Call) -> list[str]:
    """Return the words of the command that each run takes too."""
    own = {f.name for f in fields(WatchConfig)} - {f.name for f in fields(RunConfig)}
    words = shlex.split(call.command)[2:]
    return [w for w in words if w.lstrip("+").partition("=")[0].partition(".")[0] not in own]


def _settings(config: WatchConfig, path: Path) -> RunConfig:
    """Return the settings of the run of a checkpoint."""
    values = {f.name: getattr(config, f.name) for f in fields(RunConfig)}
    return RunConfig(**{**values, "generator": {**config.generator, "checkpoint": str(path)}})


def _folder(config: WatchConfig, call: Call) -> Path:
    """Return the watch's folder: the same for the same runs, so that it resumes there."""
    from sora_eval.types import digest

    settings = _settings(config, Path("CHECKPOINT"))
    runs = {key: value for key, value in settings.values().items() if key not in ("workers", "devices", "players")}
    name = f"{call.generator}-{config.suite.name}-{config.profile.name}"
    return Path("runs", "watch", f"{name}-{digest([list(config.patterns), runs])[:6]}")


def _journal(folder: Path) -> list[Entry]:
    """Return the entries of the journal; [] where there is none that can be read, for the runs themselves resume too."""
    try:
        return [_entry(e) for e in read_json(folder / JOURNAL)["checkpoints"]]
    except (SoraEvalError, KeyError, TypeError, ValueError):
        return []


def _entry(read: Mapping[str, Any]) -> Entry:
    files = tuple((str(name), int(size), int(changed_ns)) for name, size, changed_ns in read["signature"])
    return Entry(**{**read, "signature": files})


def _is_finished(run: Path) -> bool:
    return (run / "report.html").is_file()


def _yaml(values: Mapping[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump(dict(values)))


def _checked_baseline(config: WatchConfig, folder: Path) -> Path:
    """Return a baseline that the runs can be compared with: days of a training later would be too late to find that out.

    Raises:
        ConfigError: it is none, or asks for other cases.
    """
    from sora_eval.runs.baseline import read_scored

    wanted = read_scored(folder).run.cases
    cases = with_cases(config)[1].cases
    own = {case.id: case.hash_without_twin for case in cases}
    other = [case.id for case in wanted if own.get(case.id) != case.hash_without_twin]
    if other:
        raise ConfigError(
            f"baseline={folder} can't be compared: {len(other)} of its {len(wanted)} cases are not those of this watch, such as "
            f"{other[0]}; set the suite, profile, seed and samples that it was made with"
        )
    return folder
