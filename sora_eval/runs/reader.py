"""Reads a run folder: manifest.json, cases.jsonl and scores.jsonl, with errors that name the file and the line."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from sora_eval.errors import ConfigError
from sora_eval.files import parse_json, read_text, text_lines
from sora_eval.runs.store import read_parquet, scores_file
from sora_eval.stats.samples import asked_of
from sora_eval.types import ALL_MODES, Alignment, Case, ScoreRow, check_name, check_part

FIRST_ALIGNMENT = "1"
"""Version of the alignment of runs and baselines that don't record it."""
T = TypeVar("T")
_TEXT = ("case", "suite", "probe", "generator", "kind", "reason", "prompt", "cluster", "twin", "video", "tracks")
_FEW = frozenset(("suite", "probe", "mode", "generator", "kind", "reason", "failure", "cluster"))
_PARTS = {
    "config": dict,
    "hashes": dict,
    "versions": dict,
    "generators": list,
    "command": str,
    "suite": str,
    "profile": str,
}
_KINDS = {dict: "JSON object", list: "list", str: "text"}
_AGAIN = "run the same command again"
_NAMES = frozenset(f.name for f in fields(ScoreRow))
_NEWER = frozenset(f.name for f in fields(ScoreRow) if f.default is not MISSING or f.default_factory is not MISSING)
"""Fields that rows of earlier versions lack; they have a default."""


@dataclass(frozen=True)
class Run:
    """A run folder, read."""

    folder: Path
    """Its path; videos and tracks of `rows` are relative to it."""
    manifest: Mapping[str, Any]
    """Values of manifest.json."""
    cases: tuple[Case, ...]
    """Cases of cases.jsonl."""
    rows: tuple[ScoreRow, ...]
    """Rows of scores.jsonl."""
    problems: tuple[str, ...]
    """What a reader must know before trusting the numbers: the manifest's own problems, and those found while reading."""


def read_run(folder: Path) -> Run:
    """Return the run in `folder`.

    Raises ConfigError, naming the file and the line, when a file is missing, cut off or holds an impossible value.
    """
    manifest = _manifest(folder / "manifest.json")
    cases = tuple(_each_once(folder / "cases.jsonl"))
    rows = read_scores(scores_file(folder))
    stored = manifest.get("problems") or []
    problems = [str(p) for p in (stored if isinstance(stored, list) else [stored])]
    return Run(folder, manifest, cases, rows, (*problems, *_unscored(cases, rows)))


def read_scores(path: Path) -> tuple[ScoreRow, ...]:
    """Return the rows of a scores.jsonl or rows.parquet file.

    Raises ConfigError when a line is broken, a score is not a finite number, or a clip was scored twice.
    """
    rows: list[ScoreRow] = []
    seen: dict[tuple[str, str], int] = {}
    for number, row in _stored_rows(path) if path.suffix == ".parquet" else _parsed(path, _score):
        key = (row.generator, row.case)
        if key in seen:
            raise ConfigError(f"{path}:{number}: {row.generator} on {row.case} was already scored in line {seen[key]}")
        seen[key] = number
        rows.append(row)
    if not rows:
        raise ConfigError(f"{path}: there is no score in it; run the evaluation first")
    return tuple(rows)


def _stored_rows(path: Path) -> Iterator[tuple[int, ScoreRow]]:
    for number, raw in enumerate(read_parquet(path), start=1):
        try:
            yield number, score_row(raw)
        except ValueError as error:
            raise ConfigError(f"{path}:{number}: {error}") from error


def _each_once(path: Path) -> Iterator[Case]:
    seen: dict[str, int] = {}
    for number, case in _parsed(path, _case):
        if case.id in seen:
            raise ConfigError(f"{path}:{number}: case {case.id} is there already in line {seen[case.id]}")
        seen[case.id] = number
        yield case


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ConfigError(f"{path}: not found; is {path.parent} the folder of a run?") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def _manifest(path: Path) -> dict[str, Any]:
    with _reading(path):
        text = read_text(path)
    try:
        value = parse_json(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}: broken JSON: {error.msg}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: broken JSON: {error}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path}:1: expected a JSON object, got {type(value).__name__}")
    return checked_manifest(path, value)


def checked_manifest(path: Path, value: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest if each part that others rely on is of the right type, where it is there.

    Raises:
        ConfigError: one is not.
    """
    hashes = value.get("hashes")
    parts = [(name, value.get(name), kind) for name, kind in _PARTS.items()]
    parts += [("hashes.probes", hashes.get("probes"), dict)] if isinstance(hashes, dict) else []
    for name, found, kind in parts:
        if found is not None and not isinstance(found, kind):
            raise ConfigError(f"{path}: {name} must be a {_KINDS[kind]}, got a {type(found).__name__}; {_AGAIN}")
    for number, generator in enumerate(value.get("generators") or ()):
        try:
            check_part("name", generator["name"])
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"{path}: generators[{number}] is no generator ({error}); {_AGAIN}") from error
    return value


def _parsed(path: Path, parse: Callable[[str], T]) -> Iterator[tuple[int, T]]:
    for number, line in _lines(path):
        try:
            value = parse(line)
        except ValueError as error:
            raise ConfigError(f"{path}:{number}: {error}") from error
        yield number, value


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with _reading(path):
        for number, line in enumerate(text_lines(path), start=1):
            if line.strip():
                yield number, line.rstrip("\n")


def _object(line: str) -> dict[str, Any]:
    try:
        value = parse_json(line)
    except ValueError as error:
        hint = "cut off or broken JSON; delete the line and run the same command again"
        detail = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise ValueError(f"{hint} ({detail})") from error
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, got {type(value).__name__}")
    return value


# Runs that are compared share their cases and their references' scores, line by line: each is read once.
@lru_cache(maxsize=1 << 14)
def _case(line: str) -> Case:
    raw = _object(line)
    try:
        return Case.from_json(raw)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a case: {error}") from error


@lru_cache(maxsize=1 << 14)
def _score(line: str) -> ScoreRow:
    return score_row(_object(line))


def score_row(raw: Mapping[str, Any]) -> ScoreRow:
    """Return the row of a JSON object as scores.jsonl and shards have them; fields with a default may be missing.

    Raises:
        ValueError: a field is missing or unknown, a value impossible, a name no name, or a path leads out of the run folder.
    """
    if not isinstance(raw, Mapping):
        raise ValueError(f"expected a JSON object, got {type(raw).__name__}")
    if wrong := sorted((_NAMES - _NEWER - raw.keys()) | (raw.keys() - _NAMES)):
        raise ValueError(f"missing or unknown fields: {', '.join(wrong)}")
    for name in _TEXT:
        if not isinstance(raw[name], str):
            raise ValueError(f"{name} must be text, got {raw[name]!r}")
    for name in ("case", "suite", "probe", *(["twin"] if raw["twin"] else [])):
        check_name(name, raw[name])
    check_part("generator", raw["generator"])
    for name in ("video", "tracks"):
        folder = "videos" if name == "video" else name
        if raw[name] and not _lies_in(folder, raw[name]):
            raise ValueError(
                f"{name} must be a path such as {folder}/GENERATOR/FILE in the run folder, got {raw[name]!r}"
            )
    if isinstance(raw["seed"], bool) or not isinstance(raw["seed"], int):
        raise ValueError(f"seed must be a whole number, got {raw['seed']!r}")
    if raw["mode"] not in ALL_MODES:
        raise ValueError(f"mode must be one of {', '.join(ALL_MODES)}, got {raw['mode']!r}")
    if not _finite(raw["chance"]) or raw["chance"] >= 1:
        raise ValueError(f"chance must be a finite number below 1, got {raw['chance']!r}")
    if raw["value"] is not None and not _finite(raw["value"]):
        raise ValueError(f"value must be a finite number or null, got {raw['value']!r}")
    if (raw["value"] is None) == (raw["reason"] == ""):
        raise ValueError("a score has either a value or a reason")
    if raw.get("failure", "") not in ("", "technical") or (raw.get("failure") and raw["value"] is not None):
        raise ValueError(f"failure must be empty or, without a value, 'technical', got {raw['failure']!r}")
    if not isinstance(raw["components"], dict) or not all(_number(v) for v in raw["components"].values()):
        raise ValueError("components must map names to numbers")
    metrics = raw.get("first_frame", {})
    if not isinstance(metrics, dict) or not all(_finite(v) for v in metrics.values()):
        raise ValueError("first_frame must map names to finite numbers")
    try:
        alignment = Alignment.from_json(raw.get("alignment"))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"alignment is none: {error}") from error
    # Of many rows these are the same few texts.
    values: dict[str, Any] = {k: sys.intern(v) if k in _FEW else v for k, v in raw.items()}
    return ScoreRow(**{**values, "alignment": alignment})


def _lies_in(folder: str, path: str) -> bool:
    """Return whether a path is that of a file in FOLDER/GENERATOR. Where links lead is seen when the file is read."""
    parts = PurePosixPath(path).parts
    return len(parts) == 3 and parts[0] == folder and ".." not in parts and "\\" not in path and "\0" not in path


def _number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _finite(value: Any) -> bool:
    return _number(value) and not isinstance(value, bool) and math.isfinite(value)


def _unscored(cases: tuple[Case, ...], rows: tuple[ScoreRow, ...]) -> list[str]:
    """Name the generators that lack a score for some case: silence would let half a run pass for a whole one."""
    scored: dict[str, set[str]] = {}
    for row in rows:
        scored.setdefault(row.generator, set()).add(row.case)
    problems = []
    kinds = {row.generator: row.kind for row in rows}
    for generator, done in sorted(scored.items()):
        known = {case.id for case in asked_of(kinds[generator], cases)}
        missing = sorted(known - done)
        if missing:
            problems.append(
                f"{generator}: {len(missing)} of {len(known)} cases have no score, the first is {missing[0]}"
            )
    return problems
