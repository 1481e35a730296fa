"""A folder of somebody's videos with a manifest that says which video answers which case."""

from __future__ import annotations

import codecs
import csv
import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PureWindowsPath
from typing import Any

from sora_eval.errors import ManifestError, VideoError
from sora_eval.generator.base import Capabilities
from sora_eval.types import MODES, Case, Failure, Mode, Video, digest
from sora_eval.video import read_video

MANIFESTS = ("manifest.csv", "manifest.jsonl")
MAX_ASPECT_ERROR = 0.1
"""A video whose width / height is further off than this share is noted in `Folder.problems`."""


@dataclass(frozen=True)
class Row:
    """One usable line of a manifest.

    number: as an editor or a spreadsheet counts it (the header of a CSV is row 1).
    case_id, path, seed, fps: as written; path is relative to the folder.
    fault: why the row's video can't be used, "" when it can.
    """

    number: int
    case_id: str
    path: str
    seed: int | None
    fps: float | None
    fault: str


class Folder:
    """Videos that were made elsewhere.

    The manifest, `manifest.csv` (UTF-8, comma separated, with a header) or `manifest.jsonl` (an object per line),
    has the columns

    - `case_id`: which case the video answers;
    - `path`: the video, relative to the folder and inside it;
    - `seed` (optional): for several videos per case; the one with the case's seed is taken, or the only one;
    - `fps` (optional): frames per second, overriding the container's.

    Other columns are ignored. A video of any size, rate and length is taken as it is, but one frame where several
    were asked is no video. Nothing in the folder is renamed or written.

    A faulty row costs its own case and no other: it becomes a line in `problems` that names the manifest and the
    row, and the case a `Failure`, so that it stays in the denominator.
    """

    kind = "model"

    def __init__(
        self,
        path: str | Path,
        name: str | None = None,
        manifest: str | Path | None = None,
        cases: Iterable[str] | None = None,
        modes: Sequence[Mode] = MODES,
    ) -> None:
        """Read the manifest; videos are read when they are asked for.

        Args:
            path: the folder.
            name: of the generator; None takes the folder's.
            manifest: another place for the manifest; its paths are still relative to the folder.
            cases: all case ids that exist, to find misspelt ones; None when they aren't known.
            modes: the modes that the videos were made for.

        Raises:
            ManifestError: there is no folder or manifest, it isn't UTF-8 or CSV, or it lacks a column.

        """
        self.path = Path(path)
        self.name = name or re.sub(r"[^\w.-]+", "-", self.path.resolve().name) or "folder"
        self.capabilities = Capabilities(modes=tuple(modes))
        self.problems: list[str] = []
        """One line per fault found so far, naming the manifest and the row."""
        if not self.path.is_dir():
            raise ManifestError(f"{self.path}: no such folder")
        self.manifest = self._find(manifest)
        self._rows: dict[str, list[Row]] = {}
        for number, values in self._read():
            self._add(number, values)
        if cases is not None:
            self._check_known(set(cases))

    def fingerprint(self, case: Case) -> str:
        """Return a hash of the video's bytes and of the rate that the manifest gives it."""
        row = self._row(case)
        if isinstance(row, Failure):
            return digest(["no video", row.reason])
        sha = hashlib.sha256()
        try:
            with (self.path / row.path).open("rb") as file:
                while block := file.read(1 << 20):
                    sha.update(block)
        except OSError as err:
            return digest(["no video", err.strerror])
        return digest([sha.hexdigest(), row.fps])

    def generate(self, cases: Sequence[Case]) -> Iterator[Video | Failure]:
        """Yield each case's video, or why there is none."""
        for case in cases:
            yield self._video(case)

    def _video(self, case: Case) -> Video | Failure:
        if refusal := self.capabilities.refuses(case):
            return Failure(refusal)
        row = self._row(case)
        if isinstance(row, Failure):
            return row
        try:
            video = read_video(self.path / row.path)
        except VideoError as err:
            self._note(row.number, str(err))
            return Failure(str(err))
        if row.fps is not None:
            video = Video(video.frames, row.fps)
        if len(video) == 1 < case.frames:
            reason = f"{row.path!r} has 1 frame, {case.frames} were asked"
            self._note(row.number, reason)
            return Failure(reason)
        (height, width), (asked_height, asked_width) = video.size, case.size
        ratio = (width * asked_height) / (height * asked_width)
        if max(ratio, 1 / ratio) > 1 + MAX_ASPECT_ERROR:
            self._note(
                row.number,
                f"{row.path!r} is {width}x{height}, {asked_width}x{asked_height} were asked: another aspect ratio; "
                "it is scored as it is",
            )
        return video

    def _row(self, case: Case) -> Row | Failure:
        rows = self._rows.get(case.id, [])
        if not rows:
            return Failure(f"no video for this case in {self.manifest.name}")
        matching = [row for row in rows if row.seed == case.seed] or (rows if len(rows) == 1 else [])
        if not matching:
            return Failure(f"no video for seed {case.seed} of this case in {self.manifest.name}")
        row = matching[0]
        return Failure(f"{self.manifest.name}, row {row.number}: {row.fault}") if row.fault else row

    def _find(self, manifest: str | Path | None) -> Path:
        if manifest is not None:
            if not Path(manifest).is_file():
                raise ManifestError(f"{manifest}: no such manifest")
            return Path(manifest)
        found = [self.path / name for name in MANIFESTS if (self.path / name).is_file()]
        if not found:
            raise ManifestError(f"{self.path}: no {' or '.join(MANIFESTS)}; one row per video: case_id, path")
        if len(found) > 1:
            self.problems.append(f"{self.path}: both {' and '.join(MANIFESTS)} are there; {MANIFESTS[0]} is used")
        return found[0]

    def _read(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield row number and columns of each readable row."""
        data = self.manifest.read_bytes()
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise ManifestError(f"{self.manifest}: UTF-16; save it as UTF-8")
        lines: list[str] = []
        # Excel begins a UTF-8 file with a byte order mark.
        for number, raw in enumerate(data.removeprefix(codecs.BOM_UTF8).splitlines(), start=1):
            try:
                lines.append(raw.decode("utf-8"))
            except UnicodeDecodeError as err:
                self._note(number, f"not UTF-8 at byte {err.start}; the row is left out")
                lines.append("")
        yield from self._read_jsonl(lines) if self.manifest.suffix == ".jsonl" else self._read_csv(lines)

    def _read_csv(self, lines: list[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        reader = csv.reader((f"{line}\n" for line in lines), strict=True, skipinitialspace=True)
        header: list[str] = []
        try:
            for fields in reader:
                if not any(field.strip() for field in fields):
                    continue
                if not header:
                    header = [field.strip() for field in fields]
                    if missing := [column for column in ("case_id", "path") if column not in header]:
                        raise ManifestError(
                            f"{self.manifest}, row {reader.line_num}: no column {' and '.join(missing)}; "
                            f"the header has {', '.join(header)}"
                        )
                elif len(fields) > len(header):
                    self._note(
                        reader.line_num,
                        f"{len(fields)} fields, the header has {len(header)} (a comma in a path needs quotes around "
                        "the path); the row is left out",
                    )
                else:
                    yield reader.line_num, dict(zip(header, fields, strict=False))
        except csv.Error as err:
            raise ManifestError(f"{self.manifest}, row {reader.line_num}: not CSV ({err})") from err
        if not header:
            raise ManifestError(f"{self.manifest}: empty; it needs a header with case_id and path")

    def _read_jsonl(self, lines: list[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        lacking = 0
        read = 0
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except (ValueError, RecursionError) as err:
                self._note(number, f"not JSON ({err}); the row is left out")
                continue
            if not isinstance(values, dict):
                self._note(number, f"a JSON object is needed, got {type(values).__name__}; the row is left out")
                continue
            read += 1
            if missing := [column for column in ("case_id", "path") if column not in values]:
                lacking += 1
                self._note(number, f"no {' and '.join(missing)}; the row is left out")
                continue
            yield number, values
        if lacking == read:
            raise ManifestError(f"{self.manifest}: no row has both case_id and path")

    def _add(self, number: int, values: Mapping[str, Any]) -> None:
        case_id, path = (_text(values.get(column)) for column in ("case_id", "path"))
        if not case_id:
            self._note(number, "no case_id; the row is left out")
            return
        seed, seed_fault = _seed(values.get("seed"))
        fps, fps_fault = _fps(values.get("fps"))
        fault = seed_fault or fps_fault or self._path_fault(path)
        if fault:
            self._note(number, f"{fault} (case {case_id!r})")
        rows = self._rows.setdefault(case_id, [])
        if first := next((row for row in rows if row.seed == seed), None):
            again = f"{case_id!r}" if seed is None else f"{case_id!r} with seed {seed}"
            self._note(number, f"{again} is there already in row {first.number}, which is used")
            return
        rows.append(Row(number, case_id, path, seed, fps, fault))

    def _path_fault(self, path: str) -> str:
        if not path:
            return "no path"
        if Path(path).is_absolute() or PureWindowsPath(path).is_absolute():
            return f"the path {path!r} is absolute; it must be relative to the folder"
        try:
            target = (self.path / path).resolve()
            # A manifest from elsewhere must not make us read, hash and show any file of this machine.
            if not target.is_relative_to(self.path.resolve()):
                return f"the path {path!r} leads out of the folder"
            if not target.is_file():
                return f"no file {path!r}"
        except (OSError, ValueError, RuntimeError) as err:
            return f"the path {path!r} can't be used ({err})"
        return ""

    def _check_known(self, known: set[str]) -> None:
        for case_id, rows in self._rows.items():
            if case_id not in known:
                near = get_close_matches(case_id, sorted(known), n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                for row in rows:
                    self._note(row.number, f"unknown case {case_id!r}{hint}")

    def _note(self, number: int, text: str) -> None:
        line = f"{self.manifest}, row {number}: {text}"
        if line not in self.problems:
            self.problems.append(line)


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _seed(value: Any) -> tuple[int | None, str]:
    text = _text(value)
    try:
        return (int(text) if text else None), ""
    except ValueError:
        return None, f"the seed {text!r} is no whole number"


def _fps(value: Any) -> tuple[float | None, str]:
    text = _text(value)
    if not text:
        return None, ""
    try:
        fps = float(text)
    except ValueError:
        return None, f"the fps {text!r} is no number"
    if not (math.isfinite(fps) and fps > 0):
        return None, f"the fps {text!r} is not positive"
    return fps, ""
