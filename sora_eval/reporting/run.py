"""Reads a run folder: manifest.json, cases.jsonl and scores.jsonl, with errors that name the file and the line."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from sora_eval.errors import ConfigError
from sora_eval.samples import asked_of
from sora_eval.types import MODES, Case, ScoreRow

T = TypeVar("T")
_TEXT = ("case", "suite", "probe", "generator", "kind", "reason", "prompt", "cluster", "twin", "video", "tracks")
_NAMES = frozenset(f.name for f in fields(ScoreRow))
_NEWER = frozenset(f.name for f in fields(ScoreRow) if f.default is not MISSING)
"""Fields that rows of earlier versions lack; they have a default."""


@dataclass(frozen=True)
class Run:
    """What a run folder holds.

    folder: where it lies; videos and tracks of `rows` are relative to it.
    problems: what a reader must know before trusting the numbers: the manifest's own, and what reading found.
    """

    folder: Path
    manifest: Mapping[str, Any]
    cases: tuple[Case, ...]
    rows: tuple[ScoreRow, ...]
    problems: tuple[str, ...]


def read_run(folder: Path) -> Run:
    """Return the run in `folder`.

    Raises ConfigError, naming the file and the line, when a file is missing, cut off or holds an impossible value.
    """
    manifest = _manifest(folder / "manifest.json")
    cases = tuple(case for _, case in _parsed(folder / "cases.jsonl", _case))
    rows = read_scores(folder / "scores.jsonl")
    told = manifest.get("problems") or []
    problems = [str(p) for p in (told if isinstance(told, list) else [told])]
    return Run(folder, manifest, cases, rows, (*problems, *_unscored(cases, rows)))


def read_scores(path: Path) -> tuple[ScoreRow, ...]:
    """Return the rows of a scores.jsonl file.

    Raises ConfigError when a line is broken, a score is not a finite number, or a clip was scored twice.
    """
    rows: list[ScoreRow] = []
    seen: dict[tuple[str, str], int] = {}
    for number, row in _parsed(path, _score):
        key = (row.generator, row.case)
        if key in seen:
            raise ConfigError(f"{path}:{number}: {row.generator} on {row.case} was already scored in line {seen[key]}")
        seen[key] = number
        rows.append(row)
    if not rows:
        raise ConfigError(f"{path}: there is no score in it; run the evaluation first")
    return tuple(rows)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: not found; is {path.parent} the folder of a run?") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def _manifest(path: Path) -> dict[str, Any]:
    text = _read(path)
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}: broken JSON: {error.msg}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path}:1: expected a JSON object, got {type(value).__name__}")
    return value


def _parsed(path: Path, parse: Callable[[str], T]) -> Iterator[tuple[int, T]]:
    for number, line in _lines(path):
        try:
            value = parse(line)
        except ValueError as error:
            raise ConfigError(f"{path}:{number}: {error}") from error
        yield number, value


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    # Not splitlines(): U+2028 and its kin are legal inside a JSON string and must not end a line.
    return ((number, line) for number, line in enumerate(_read(path).split("\n"), start=1) if line.strip())


def _object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        hint = "cut off or broken JSON; delete the line and run the same command again"
        raise ValueError(f"{hint} ({error.msg}, column {error.colno})") from error
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
    raw = _object(line)
    if wrong := sorted((_NAMES - _NEWER - raw.keys()) | (raw.keys() - _NAMES)):
        raise ValueError(f"missing or unknown fields: {', '.join(wrong)}")
    for name in _TEXT:
        if not isinstance(raw[name], str):
            raise ValueError(f"{name} must be text, got {raw[name]!r}")
    if raw["mode"] not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {raw['mode']!r}")
    if not _finite(raw["chance"]):
        raise ValueError(f"chance must be a finite number, got {raw['chance']!r}")
    if raw["value"] is not None and not _finite(raw["value"]):
        raise ValueError(f"value must be a finite number or null, got {raw['value']!r}")
    if (raw["value"] is None) == (raw["reason"] == ""):
        raise ValueError("a score has either a value or a reason")
    if raw.get("failure", "") not in ("", "technical") or (raw.get("failure") and raw["value"] is not None):
        raise ValueError(f"failure must be empty or, without a value, 'technical', got {raw['failure']!r}")
    if not isinstance(raw["components"], dict) or not all(_number(v) for v in raw["components"].values()):
        raise ValueError("components must map names to numbers")
    return ScoreRow(**raw)


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
