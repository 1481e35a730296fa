"""Reading the manifest of a folder of videos: CSV or JSON lines to rows, and the fields of a row."""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from sora_eval.errors import ManifestError
from sora_eval.paths import separator, shown
from sora_eval.types import Case
from sora_eval.video.timestamps import MAX_FPS, MIN_FPS

BY_PROFILE = ("size", "fps", "frames", "given")
"""Fields of a case that depend on the profile."""
BY_VERSION = ("prompt", "scene")
"""Fields of a case that depend on seed and version."""
Note: TypeAlias = Callable[[int, str], None]
"""Takes the number of a row and what is wrong with it."""


def read_cases(folder: Path, remedy: str) -> dict[str, Mapping[str, Any]]:
    """Return the cases that the videos in a folder were made for, rows of its cases.jsonl by id; {} where it has none.

    Raises:
        ManifestError: the file can't be read; the message ends with the remedy.
    """
    path = folder / "cases.jsonl"
    if not path.is_file():
        return {}
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return {str(row["id"]): row for row in rows}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as err:
        raise ManifestError(f"{path}: not readable ({err}); {remedy}") from err


def differing_fields(row: Mapping[str, Any], case: Case) -> dict[str, Any]:
    """Return the fields of a case, with its values, in which a row of `read_cases` asks for another video.

    Not by hash: a video depends neither on what a probe expects nor on the number of twins.
    """
    here = json.loads(json.dumps(case.to_json()))
    return {name: here[name] for name in ("seed", *BY_PROFILE, *BY_VERSION) if row.get(name) != here[name]}


def read_rows(manifest: Path, note: Note) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield row number and columns of each readable row of a manifest, CSV or JSON lines; note: is called for each row that is left out.

    Raises:
        ManifestError: the file isn't UTF-8 or CSV, or it lacks a column.
    """
    data = manifest.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ManifestError(f"{manifest}: UTF-16; save it as UTF-8")
    lines: list[str] = []
    # Excel begins a UTF-8 file with a byte order mark.
    for number, raw in enumerate(data.removeprefix(codecs.BOM_UTF8).splitlines(), start=1):
        try:
            lines.append(raw.decode("utf-8"))
        except UnicodeDecodeError as err:
            note(number, f"not UTF-8 at byte {err.start}; the row is left out")
            lines.append("")
    yield from _jsonl_rows(manifest, lines, note) if manifest.suffix == ".jsonl" else _csv_rows(manifest, lines, note)


def _csv_rows(manifest: Path, lines: list[str], note: Note) -> Iterator[tuple[int, Mapping[str, Any]]]:
    header: list[str] = []
    at = 0
    while at < len(lines):
        reader = csv.reader((f"{lines[i]}\n" for i in range(at, len(lines))), strict=True, skipinitialspace=True)
        try:
            fields = next(reader)
        except csv.Error as err:
            at += 1
            if not header:
                raise ManifestError(f"{manifest}, row {at}: not CSV ({err})") from err
            # A quote that is not closed takes in the rows that follow: they are read again.
            note(at, f"not CSV ({err}): is a quote not closed?; the row is left out")
            continue
        number = at + reader.line_num
        if not any(field.strip() for field in fields):
            pass
        elif not header:
            header = _header(manifest, number, fields)
        elif len(fields) > len(header):
            note(
                number,
                f"{len(fields)} fields, the header has {len(header)} (a comma in a path needs quotes around "
                "the path); the row is left out",
            )
        else:
            values = dict(zip(header, fields, strict=False))
            if any("\n" in values.get(column, "") for column in ("case_id", "path")):
                at += 1
                note(at, "a line break in a path or id: is a quote not closed?; the row is left out")
                continue
            yield number, values
        at = number
    if not header:
        raise ManifestError(f"{manifest}: empty; it needs a header with case_id and path")


def _header(manifest: Path, number: int, fields: Sequence[str]) -> list[str]:
    header = [field.strip() for field in fields]
    if missing := [column for column in ("case_id", "path") if column not in header]:
        other = separator(header)
        raise ManifestError(
            f"{manifest}, row {number}: no column {' and '.join(missing)}; "
            f"the header has {shown(', '.join(header))}" + f": separate columns by commas, not by {other}" * bool(other)
        )
    return header


def _jsonl_rows(manifest: Path, lines: list[str], note: Note) -> Iterator[tuple[int, Mapping[str, Any]]]:
    lacking = 0
    read = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except RecursionError:
            note(number, "JSON that is nested too deeply; the row is left out")
            continue
        except ValueError as err:
            note(number, f"not JSON ({shown(str(err))}); the row is left out")
            continue
        if not isinstance(values, dict):
            note(number, f"a JSON object is needed, got {type(values).__name__}; the row is left out")
            continue
        read += 1
        if missing := [column for column in ("case_id", "path") if column not in values]:
            lacking += 1
            note(number, f"no {' and '.join(missing)}; the row is left out")
            continue
        yield number, values
    if lacking == read:
        raise ManifestError(f"{manifest}: no row has both case_id and path")


def text_of(value: Any) -> str:
    """Return a field as text without surrounding blanks, "" for none."""
    return "" if value is None or isinstance(value, (dict, list)) else str(value).strip()


def type_fault(values: Mapping[str, Any]) -> str:
    """Return what is no text or number in a row of JSON; its text could be as deep as the JSON."""
    wrong = [c for c in ("path", "sample", "seed", "fps") if isinstance(values.get(c), (dict, list))]
    return f"the {wrong[0]} is a JSON {'object' if isinstance(values[wrong[0]], dict) else 'array'}" if wrong else ""


def sample_number(case_id: str, value: Any) -> tuple[int, str]:
    """Return the number of a row's sample and what is wrong with it, "" if nothing is; an id may say it as well."""
    text, ending = text_of(value), re.search(r"\.s([1-9]\d{0,8})$", case_id)
    written = int(ending[1]) if ending else 0
    if not text:
        return written, ""
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        return 0, f"the sample {text!r} is no whole number from 0"
    if ending and int(text) != written:
        return 0, f"the sample is {int(text)} and the id ends in {ending[0]}"
    return int(text), ""


def seed_number(value: Any) -> tuple[int | None, str]:
    """Return the seed of a row, None for none, and what is wrong with it, "" if nothing is."""
    text = text_of(value)
    if not re.fullmatch(r"(?:[+-]?[0-9]{1,20})?", text):
        return None, f"the seed '{shown(text)}' is no whole number"
    return (int(text) if text else None), ""


def frame_rate(value: Any) -> tuple[float | None, str]:
    """Return the frames per second of a row, None for none, and what is wrong with them, "" if nothing is."""
    text = text_of(value)
    if not text:
        return None, ""
    try:
        # Python would take 1_000.
        fps = float(text.replace("_", "?"))
    except ValueError:
        return None, f"the fps '{shown(text)}' is no number"
    # Also false for NaN.
    if not MIN_FPS <= fps <= MAX_FPS:
        return None, f"the fps '{shown(text)}' is not between {MIN_FPS:g} and {MAX_FPS:g} frames per second"
    return fps, ""
