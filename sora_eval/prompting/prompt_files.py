"""Files of prompts with expectations, YAML or CSV, and the bundled sets of natural scenes: read, checked, and made into cases."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from sora_eval import registry
from sora_eval.errors import ConfigError, unknown
from sora_eval.files import read_text
from sora_eval.probes.natural import probe_for
from sora_eval.probes.natural.expectations import KINDS, read, to_json
from sora_eval.probes.natural.words import Expectation
from sora_eval.prompting import twins
from sora_eval.prompting.contradictions import contradiction
from sora_eval.types import Case, Profile, check_name

BUNDLED = "natural"
"""The name of the bundled sets but those in `_BY_NAME`; natural/SUITE is that of one."""
_BY_NAME = ("state_changes", "long_range")
"""Sets that are asked for by name: state_changes, which only tracker=open_vocab judges, so that elsewhere each of its cases would count as
0, and long_range, whose clips are longer than most models make."""
FIELDS = ("id", "prompt", "expect", "twin")
_TWIN, _SWAPPED = ".twin", ".swapped"
_LONGEST = 2000
_SHOWN = 8


@dataclass(frozen=True)
class PromptRow:
    """A prompt with what must come true in its clip."""

    id: str
    """Id of the case, unique in the file."""
    prompt: str
    """The words that the generator gets."""
    expect: Expectation
    """What must come true."""
    twin: str = ""
    """Id of the mirrored or matched row, "" for none."""
    scene: str = ""
    """Id that this row shares with its twin and with the other order of its things, "" for the row's own."""


def bundled_sets() -> dict[str, str]:
    """Return the texts of the bundled sets by suite."""
    folder = files("sora_eval.probes.natural") / "sets"
    sets = sorted((f for f in folder.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name)
    return {f.name.removesuffix(".yaml"): f.read_text(encoding="utf-8") for f in sets}


def is_bundled(file: str) -> bool:
    """Return whether prompts.file names bundled sets, and no file of that name is there."""
    return file.partition("/")[0] == BUNDLED and not Path(file).exists()


def read_prompts(file: str) -> list[PromptRow]:
    """Return the rows of a file, or of the bundled sets.

    Raises:
        ConfigError: the file can't be read, or rows are wrong, each of which is named with its number and fault.
    """
    if is_bundled(file):
        suite, sets = file.partition("/")[2], bundled_sets()
        if suite and suite not in sets:
            raise unknown("set of prompts", file, [BUNDLED, *(f"{BUNDLED}/{s}" for s in sets)])
        texts = {f"{BUNDLED}/{s}": text for s, text in sets.items() if s == suite or not (suite or s in _BY_NAME)}
        rows = [row for place, text in texts.items() for row in _checked(place, _yaml_rows(place, text))]
        return with_swapped(with_twins(rows))
    path = Path(file)
    if path.suffix.lower() not in (".yaml", ".yml", ".csv"):
        raise ConfigError(
            f"prompts.file={file}: name a .yaml or .csv file, or a bundled set: {BUNDLED}, {BUNDLED}/left_right, ..."
        )
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"prompts.file={file}: {getattr(error, 'strerror', None) or error}") from error
    return _checked(file, (_csv_rows if path.suffix.lower() == ".csv" else _yaml_rows)(file, text))


def _yaml_rows(place: str, text: str) -> Iterator[tuple[int, Any]]:
    try:
        values = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{place}: no YAML ({' '.join(str(error).split())})") from error
    rows = values.get("prompts") if isinstance(values, Mapping) else values
    if not isinstance(rows, list) or not rows:
        raise ConfigError(f"{place}: expected a list of prompts, or one below the key prompts")
    yield from enumerate(rows, start=1)


def _csv_rows(place: str, text: str) -> Iterator[tuple[int, Any]]:
    try:
        lines = list(csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True))
    except csv.Error as error:
        raise ConfigError(f"{place}: no CSV ({error})") from error
    header = [h.strip() for h in lines[0]] if lines else []
    if strange := [h for h in header if h not in ("id", "prompt", "twin", *KINDS)]:
        raise unknown(f"column in {place}", strange[0], ["id", "prompt", "twin", *KINDS])
    if "prompt" not in header or len(lines) < 2:
        raise ConfigError(f"{place}: expected a header with prompt and {', '.join(KINDS)}, and a row per prompt")
    for number, cells in enumerate(lines[1:], start=2):
        if not any(c.strip() for c in cells):
            continue
        if len(cells) != len(header):
            yield number, f"{len(cells)} cells under {len(header)} columns"
            continue
        row: dict[str, Any] = {h: c.strip() for h, c in zip(header, cells, strict=True) if c.strip()}
        yield (
            number,
            {k: v for k, v in row.items() if k in FIELDS}
            | {"expect": {k: v for k, v in row.items() if k not in FIELDS}},
        )


def _checked(place: str, numbered: Iterator[tuple[int, Any]]) -> list[PromptRow]:
    rows: list[PromptRow] = []
    faults: list[str] = []
    seen: dict[str, int] = {}
    for number, values in numbered:
        try:
            row = _row(number, values)
            if row.id in seen:
                raise ConfigError(f"its id {row.id} is that of row {seen[row.id]}")
            if fault := contradiction(row.prompt, row.expect):
                raise ConfigError(f"its prompt and its expectation don't fit: {fault}")
        except ConfigError as error:
            faults.append(f"row {number}: {error}")
            continue
        seen[row.id] = number
        rows.append(row)
    ids = {row.id: row for row in rows}
    for row in rows:
        if row.twin and (row.twin == row.id or row.twin not in ids or ids[row.twin].twin != row.id):
            faults.append(f"row {seen[row.id]}: its twin {row.twin} does not name it back")
    if faults:
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise ConfigError(f"{place}: {'; '.join(faults[:_SHOWN])}{more}")
    return rows


def _row(number: int, values: Any) -> PromptRow:
    if isinstance(values, str):
        raise ConfigError(values if "cells under" in values else "expected the keys prompt and expect")
    if not isinstance(values, Mapping):
        raise ConfigError("expected the keys prompt and expect")
    if strange := next((key for key in values if key not in FIELDS), None):
        raise unknown("key", str(strange), FIELDS)
    prompt, expect = values.get("prompt"), values.get("expect")
    if not isinstance(prompt, str) or not prompt.strip():
        raise ConfigError("prompt is missing")
    if len(prompt) > _LONGEST:
        raise ConfigError(f"prompt has {len(prompt)} characters, at most {_LONGEST} are read")
    if not isinstance(expect, Mapping) or len(expect) != 1:
        raise ConfigError(f"expect must have one of {', '.join(KINDS)}")
    name = str(values.get("id", f"prompt{number:03d}"))
    try:
        check_name("id", name)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if ending := re.search(r"\.s[1-9]\d*$", name):
        # A folder of videos would take it for a sample of another prompt, which then counts as a failed one.
        raise ConfigError(
            f"its id {name} ends in {ending[0]}, as ids of further samples do: rename it, such as {name[: ending.start()]}_{ending[0][1:]}"
        )
    ((kind, phrase),) = expect.items()
    return PromptRow(name, " ".join(prompt.split()), read(str(kind), phrase), str(values.get("twin") or ""), name)


def with_twins(rows: Sequence[PromptRow]) -> list[PromptRow]:
    """Return rows, each followed by its twin where its words allow one; a row that names its twin keeps that."""
    out: list[PromptRow] = []
    for row in rows:
        words = None if row.twin else twins.mirrored(row.prompt, row.expect)
        if words is None:
            out.append(row)
            continue
        name, mirror = f"{row.id}{_TWIN}", row.expect.mirrored()
        assert mirror is not None
        out += [replace(row, twin=name), replace(row, id=name, prompt=words, expect=mirror, twin=row.id)]
    return out


def with_swapped(rows: Sequence[PromptRow]) -> list[PromptRow]:
    """Return rows, each followed by the same with its two things in the other order, where its words allow that."""
    ids = {row.id for row in rows}
    there = {row.id for row in rows if row.id.endswith(_SWAPPED) or f"{row.id}{_SWAPPED}" in ids}
    swapped = {r.id: words for r in rows if r.id not in there and (words := twins.reordered(r.prompt, r.expect))}
    out: list[PromptRow] = []
    for row in rows:
        out.append(row)
        if row.id in swapped:
            twin = f"{row.twin}{_SWAPPED}" if row.twin in swapped else ""
            out.append(replace(row, id=f"{row.id}{_SWAPPED}", prompt=swapped[row.id], twin=twin))
    return out


def prompt_cases(
    rows: Sequence[PromptRow], profile: Profile, seed: int = 0, twins: bool = False, swapped: bool = False
) -> list[Case]:
    """Return the cases of rows at the size of a profile, of its length unless a row asks for another one.

    twins, swapped: whether `with_twins` and `with_swapped` are applied first.

    Raises:
        ConfigError: two of the cases have one id.
    """
    rows = with_twins(rows) if twins else rows
    rows = with_swapped(rows) if swapped else rows
    if len({row.id for row in rows}) < len(rows):
        raise ConfigError(
            f"two prompts have one id: ids that end in {_TWIN} or {_SWAPPED} are those of prompts that are made"
        )
    probes = [probe_for(row.expect) for row in rows]
    cluster = {row.id: min(row.scene, next((r.scene for r in rows if r.id == row.twin), row.scene)) for row in rows}
    return [
        Case(
            id=row.id,
            suite=registry.probe(probe).suite,
            probe=probe,
            mode="t2v",
            prompt=row.prompt,
            size=(profile.height, profile.width),
            fps=profile.fps,
            frames=_frames(row.expect, profile),
            given=0,
            seed=seed * 100_000 + i,
            scene={},
            expect=to_json(row.expect),
            cluster=f"prompts.{cluster[row.id]}",
            twin=row.twin,
        )
        for i, (row, probe) in enumerate(zip(rows, probes, strict=True))
    ]


def _frames(expectation: Expectation, profile: Profile) -> int:
    """Return the number of frames of a clip, those of the first and the last moment among them."""
    return profile.frames if expectation.length_s is None else round(expectation.length_s * profile.fps) + 1
