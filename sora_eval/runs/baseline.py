"""Baselines: what comparing with a run needs, without its clips, in a folder small enough for a repository.

BASELINE/manifest.json     generator, suite, profile, seed, versions of probes, tracker and world
BASELINE/cases.parquet     the cases, one JSON text each
BASELINE/scores.parquet    one row per case
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from sora_eval.errors import ConfigError, unknown
from sora_eval.files import parse_json, read_json, replacing, write_json
from sora_eval.paths import encodable
from sora_eval.runs.reader import Run, checked_manifest, read_run
from sora_eval.runs.store import SCORES as RUN_SCORES
from sora_eval.runs.store import scores_file
from sora_eval.stats.samples import asked_of
from sora_eval.types import Case, ScoreRow, check_part

FORMAT = 1
CASES, SCORES = "cases.parquet", "scores.parquet"
_RUN_FILES = ("manifest.json", "cases.jsonl", RUN_SCORES)
_COPIED = ("tool_version", "created", "command", "suite", "profile", "seed")
_AGAIN = "save the baseline again"


@dataclass(frozen=True)
class Scored:
    """One generator's scores of a run or a baseline."""

    name: str
    """Name of the generator."""
    run: Run
    """The run with this generator's cases and rows alone."""

    @property
    def rows(self) -> tuple[ScoreRow, ...]:
        """The rows, one per case; samples of a prompt are cases of their own."""
        return self.run.rows


def read_scored(folder: Path, generator: str | None = None) -> Scored:
    """Return a generator's scores from a baseline or a run's folder: the named one, else the one that the run was about.

    Raises:
        ConfigError: the folder is neither, is not finished or broken, or it is not clear which generator is meant.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; name a run's folder or one that `sora-eval baseline save` wrote")
    if any((folder / name).exists() for name in (CASES, SCORES)):
        run = _read_baseline(folder)
    else:
        files = {name: scores_file(folder) if name == RUN_SCORES else folder / name for name in _RUN_FILES}
        missing = [name for name, file in files.items() if not file.exists()]
        if len(missing) == len(_RUN_FILES) and not (folder / "scores").exists():
            raise ConfigError(f"{folder}: neither a run's folder nor a baseline; {_RUN_FILES[0]} is missing")
        if missing:
            raise ConfigError(f"{folder}: an unfinished run, {missing[0]} is missing; run the same command again")
        run = read_run(folder)
    return _of(run, generator)


def save_baseline(scored: Scored, folder: Path) -> Path:
    """Write a generator's scores as a baseline and return the folder; from the same run, the same bytes."""
    pa, _ = _arrow()
    run = scored.run
    manifest: Mapping[str, Any] = run.manifest
    versions = manifest.get("versions") or {}
    about = {
        "format": FORMAT,
        **{key: manifest[key] for key in _COPIED if key in manifest},
        "generators": [g for g in manifest.get("generators", ()) if g.get("name") == scored.name],
        "hashes": {
            "probes": dict(manifest["hashes"]["probes"]),
            **{key: manifest["hashes"][key] for key in ("case_set",) if key in manifest["hashes"]},
        },
        "versions": {key: versions[key] for key in ("tracker", "world", "alignment", "video") if key in versions},
        "problems": [],
    }
    text = [json.dumps(case.to_json(), sort_keys=True, separators=(",", ":")) for case in run.cases]
    _write(folder / CASES, pa.table({"case": text}))
    texts = ("case", "generator", "kind", "reason", "failure")
    columns = {key: [encodable(getattr(row, key)) for row in run.rows] for key in texts}
    numbers = {key: pa.array([getattr(row, key) for row in run.rows], pa.float64()) for key in ("value", "chance")}
    _write(folder / SCORES, pa.table({**columns, **numbers}))
    write_json(folder / "manifest.json", about)
    return folder


def _write(path: Path, table: Any) -> None:
    _, pq = _arrow()
    # Not to a path: pyarrow takes only names in UTF-8.
    with replacing(path) as part, part.open("wb") as file:
        pq.write_table(table, file, compression="zstd", compression_level=19)


def _read(path: Path) -> list[dict[str, Any]]:
    _, pq = _arrow()
    if not path.exists():
        raise ConfigError(f"{path}: not found; {_AGAIN}")
    try:
        # Not by a path: pyarrow would take part of a name such as seed=0 for a column.
        if not path.is_file():
            raise OSError("no plain file")
        with path.open("rb") as file:
            return list(pq.read_table(file).to_pylist())
    except Exception as error:  # whatever pyarrow makes of bytes that are no Parquet
        raise ConfigError(f"{path}: cut off or no Parquet file; {_AGAIN} ({type(error).__name__})") from error


def _arrow() -> tuple[Any, Any]:
    """Return pyarrow and its Parquet module, which have no types, when they are needed."""
    return import_module("pyarrow"), import_module("pyarrow.parquet")


def _read_baseline(folder: Path) -> Run:
    manifest = checked_manifest(folder / "manifest.json", read_json(folder / "manifest.json"))
    if manifest.get("format") != FORMAT:
        raise ConfigError(
            f"{folder}: a baseline of format {manifest.get('format')}, this version reads {FORMAT}; {_AGAIN}"
        )
    cases = tuple(_cases(folder / CASES))
    if len({c.id for c in cases}) < len(cases):
        raise ConfigError(f"{folder / CASES}: a case is there twice; {_AGAIN}")
    return Run(folder, manifest, cases, tuple(_rows(folder / SCORES, {c.id: c for c in cases})), ())


def _cases(path: Path) -> Iterable[Case]:
    for number, row in enumerate(_read(path)):
        try:
            yield Case.from_json(parse_json(row["case"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"{path}: row {number} is no case ({error}); {_AGAIN}") from error


def _rows(path: Path, cases: Mapping[str, Case]) -> Iterable[ScoreRow]:
    seen: set[tuple[str, str]] = set()
    for number, row in enumerate(_read(path)):
        where = f"{path}: row {number}"
        try:
            case, value, chance = cases[row["case"]], row["value"], float(row["chance"])
            value = None if value is None else float(value)
            texts = {key: str(row[key]) for key in ("generator", "kind", "reason")}
            # Baselines of earlier versions lack it.
            failure = str(row.get("failure", ""))
            check_part("generator", texts["generator"])
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"{where} is no score of a case ({error}); {_AGAIN}") from error
        if (texts["generator"], case.id) in seen:
            raise ConfigError(f"{where}: {case.id} is scored twice; {_AGAIN}")
        seen.add((texts["generator"], case.id))
        if value is not None and not math.isfinite(value):
            raise ConfigError(f"{where}: value must be a finite number or null, got {value}; {_AGAIN}")
        if not (math.isfinite(chance) and chance < 1) or (value is None) == (texts["reason"] == ""):
            raise ConfigError(f"{where}: chance must be below 1, and a score has either a value or a reason; {_AGAIN}")
        if failure not in ("", "technical") or (failure and value is not None):
            raise ConfigError(f"{where}: failure must be empty or, without a value, 'technical'; {_AGAIN}")
        yield ScoreRow(
            case=case.id,
            suite=case.suite,
            probe=case.probe,
            mode=case.mode,
            generator=texts["generator"],
            kind=texts["kind"],
            value=value,
            reason=texts["reason"],
            components={},
            chance=chance,
            prompt=case.prompt,
            cluster=case.cluster,
            twin=case.twin,
            seed=case.seed,
            video="",
            tracks="",
            sample=case.sample,
            failure="technical" if failure else "",
        )


def _of(run: Run, generator: str | None) -> Scored:
    """Return one generator's part of a run."""
    kinds = {row.generator: row.kind for row in run.rows}
    if generator is not None and generator not in kinds:
        raise unknown(f"generator in {run.folder}", generator, kinds)
    models = [name for name, kind in kinds.items() if kind == "model"]
    listed = [str(g.get("name")) for g in run.manifest.get("generators") or () if isinstance(g, Mapping)]
    if generator is None and len(models) > 1:
        raise ConfigError(f"{run.folder} holds {len(models)} models: add --generator {' or --generator '.join(models)}")
    # A run of no model is about its first generator: the oracle or a control, set beside the others.
    name = generator or next(n for n in [*models, *listed, *kinds] if n in kinds)
    rows = tuple(row for row in run.rows if row.generator == name)
    scored = {row.case for row in rows}
    cases = tuple(asked_of(kinds[name], run.cases))
    if missing := [case.id for case in cases if case.id not in scored]:
        raise ConfigError(
            f"{run.folder}: an unfinished run, {name} has no score of {len(missing)} of {len(cases)} cases, "
            f"such as {missing[0]}; run the same command again"
        )
    known = {case.id for case in run.cases}
    if strange := [row.case for row in rows if row.case not in known]:
        raise ConfigError(
            f"{run.folder}: {strange[0]} has a score and is none of the cases; run the same command again"
        )
    return Scored(name, Run(run.folder, run.manifest, cases, rows, run.problems))
