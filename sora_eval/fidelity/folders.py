"""Folders of videos: the clips in one, and their prompts from a CSV file."""

from __future__ import annotations

import csv
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from io import StringIO
from pathlib import Path

from sora_eval.errors import ConfigError
from sora_eval.paths import listed, same, separator, shown, special

ENDINGS = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".gif", ".m4v")
"""Endings of video files, whatever their case."""
_CLUTTER = (".DS_Store", "Thumbs.db", "desktop.ini")
"""What file managers leave behind; nobody misses it."""
_NAMED = 10
"""Rows without a clip that are named one by one."""


def list_videos(folder: Path) -> dict[str, Path]:
    """Return the video files of a folder by their names without ending (NFC), in order; `ignored_files` names the rest.

    Symbolic links to files are followed: whoever names a folder here knows it. Hidden files are no clips.

    Raises:
        ConfigError: there is no such folder, no video in it, two of one name, or a link to nothing.
    """
    clips, _ = _classify(folder)
    if not clips:
        inside = [p.name for p in _entries(folder) if p.is_dir() and any(map(_is_clip, _entries(p)))]
        more = f"; its subfolder '{shown(inside[0])}' holds some: name that" if inside else ""
        raise ConfigError(f"{folder}: there is no video in it ({', '.join(ENDINGS)}){more}")
    by_name: dict[str, Path] = {}
    for path in clips:
        if not path.exists():
            raise ConfigError(
                f"{folder}: '{shown(path.name)}' is a link to '{shown(os.readlink(path))}', which is not there: mend or remove it"
            )
        if (other := by_name.setdefault(same(path.stem), path)) is not path:
            raise ConfigError(f"{folder}: {shown(path.name)} and {shown(other.name)} have one name")
    return by_name


def ignored_files(folder: Path) -> list[str]:
    """Return a line for each kind of thing in a folder that is not read as a clip: a count and the first names."""
    return [f"{folder}: {line}" for line in _classify(folder)[1]]


def _classify(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the clips of a folder in order, and a line per kind of other entries."""
    if not folder.is_dir():
        raise ConfigError(f"{folder}: there is no such folder")
    kinds: dict[str, list[str]] = {}
    clips = []
    for path in sorted(_entries(folder), key=lambda p: (p.stem, p.name)):
        if path.name in _CLUTTER:
            continue
        if path.name.startswith("."):
            kind = "hidden"
        elif path.is_dir():
            kind = "a subfolder: only the folder itself is read"
        elif not _is_clip(path):
            kind = f"no video by its ending ({', '.join(ENDINGS)})"
        elif path.exists() and (what := special(path)):
            kind = f"{what}, not a file"
        else:
            clips.append(path)
            continue
        kinds.setdefault(kind, []).append(path.name)
    return clips, [f"{len(names)} left out, {kind}: {listed(names)}" for kind, names in kinds.items()]


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"{folder}: can't be read ({error.strerror})") from error


def _is_clip(path: Path) -> bool:
    return not path.name.startswith(".") and path.suffix.lower() in ENDINGS


@dataclass(frozen=True)
class Prompts:
    """The prompts of a set of clips."""

    by_clip: Mapping[str, str]
    """Prompts by the name of the clip."""
    problems: tuple[str, ...]
    """A line per row or clip without a prompt."""


def read_prompts(path: Path, names: Collection[str]) -> Prompts:
    """Return the prompts of clips from a CSV file with the columns `name` and `prompt`, or the prompts.csv of `sora-eval cases`.

    A name is that of the clip's file, with or without ending; `case_id` may stand for `name`. A clip without a row, with an empty prompt or
    with two different ones has none, and is listed as a problem.

    Raises:
        ConfigError: it can't be read as CSV in UTF-8, a row has more fields than the header (a prompt with a comma and without quotes would
            be cut), or it names none of the clips.
    """
    rows, problems = _prompt_rows(path)
    prompts: dict[str, str] = {}
    row_of: dict[str, int] = {}
    unmatched: list[tuple[int, str]] = []
    for number, written, prompt in rows:
        clip = _clip_of(written, names)
        if clip is None:
            unmatched.append((number, written))
        elif clip not in prompts:
            prompts[clip], row_of[clip] = prompt, number
        elif prompts[clip] != prompt:
            prompts[clip] = ""
            problems.append(
                f"{path}, row {number}: '{shown(clip)}' has another prompt in row {row_of[clip]}; neither is used: keep one of them"
            )
        else:
            problems.append(
                f"{path}, row {number}: '{shown(clip)}' has the same prompt in row {row_of[clip]}: remove one of them"
            )
    if not prompts:
        raise ConfigError(f"{path}: none of its names is that of a clip, such as {shown(min(names))}")
    known = sorted(names)
    for number, written in unmatched[:_NAMED]:
        near = get_close_matches(written, known, n=1)
        hint = f": did you mean '{shown(near[0])}'?" if near else ": remove the row, or add the clip"
        problems.append(f"{path}, row {number}: there is no clip '{shown(written)}'{hint}")
    if more := unmatched[_NAMED:]:
        problems.append(
            f"{path}, row {more[0][0]} and later: {len(more)} more name no clip: {listed([name for _, name in more])}"
        )
    if without := [name for name in known if name not in prompts]:
        problems.append(f"{path}: no row for {len(without)} of {len(known)} clips: {listed(without)}; add them")
    return Prompts({name: prompt for name, prompt in prompts.items() if prompt}, tuple(problems))


def _prompt_rows(path: Path) -> tuple[list[tuple[int, str, str]], list[str]]:
    """Return number, name and prompt of each row of a table, and what is wrong with single ones."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: can't be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: can't be read as CSV in UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from error
    rows: list[tuple[int, str, str]] = []
    problems: list[str] = []
    # Not the lines of str.splitlines: a prompt may hold U+2028.
    reader = csv.reader(StringIO(text, newline=""), strict=True, skipinitialspace=True)
    try:
        header = _prompt_header(path, next(reader, []))
        name_at, prompt_at = header.index("name" if "name" in header else "case_id"), header.index("prompt")
        for fields in reader:
            number = reader.line_num
            if not any(field.strip() for field in fields):
                continue
            if len(fields) > len(header):
                raise ConfigError(
                    f"{path}, row {number}: {len(fields)} fields, the header has {len(header)}: put a prompt that has commas in quotes"
                )
            name, prompt = ((fields[i] if i < len(fields) else "").strip() for i in (name_at, prompt_at))
            if not name:
                problems.append(f"{path}, row {number}: no name")
            else:
                rows.append((number, name, prompt))
                if not prompt:
                    short = f" ({len(fields)} of {len(header)} fields)" if len(fields) < len(header) else ""
                    problems.append(f"{path}, row {number}: '{shown(name)}' has no prompt{short}: add it")
    except csv.Error as error:
        raise ConfigError(f"{path}, row {reader.line_num}: not CSV ({error}): is a quote not closed?") from error
    return rows, problems


def _prompt_header(path: Path, fields: Sequence[str]) -> list[str]:
    header = [field.strip() for field in fields]
    if not {"name", "case_id"} & set(header) or "prompt" not in header:
        other = separator(header)
        raise ConfigError(
            f"{path}: the columns name (or case_id) and prompt are needed, the header has {shown(', '.join(header)) or 'none'}"
            + f": separate columns by commas, not by {other}" * bool(other)
        )
    if twice := [column for column in ("name", "case_id", "prompt") if header.count(column) > 1]:
        raise ConfigError(f"{path}: the column {twice[0]} is there twice")
    return header


def _clip_of(written: str, names: Collection[str]) -> str | None:
    """Return the clip that a row names: by its name, its file's, or its file's path."""
    name = same(written)
    last = name.replace("\\", "/").rpartition("/")[2]
    stems = [text[: -len(e)] for text in (name, last) for e in ENDINGS if text.lower().endswith(e)]
    return next((n for n in (name, *stems, last) if n in names), None)
