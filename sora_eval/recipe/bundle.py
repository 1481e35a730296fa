"""A run in one archive: clips, card, scores, results and the hashes of all files.

The archive is a zip whose files are stored as they are: videos don't get smaller, and no entry can be larger than what was sent.
bundle.json, its last entry, has size and SHA-256 of every other. Clips that are a user's own files are in it as copies.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

from sora_eval.errors import ConfigError, SoraEvalError, VideoError
from sora_eval.files import inside, parse_json, read_json, replacing
from sora_eval.paths import shown
from sora_eval.recipe.card import FILE as CARD
from sora_eval.recipe.card import make_card
from sora_eval.runs.reader import Run, read_run
from sora_eval.version import __version__
from sora_eval.video.sources import SUFFIX, file_of, is_record

INDEX = "bundle.json"
VERSION = 1
"""Version of the format."""
_RESULTS = (
    *("manifest.json", "cases.jsonl", "scores.jsonl", "rows.parquet", "identity.json", "fidelity.json", "tracking.jsonl", "tracking.json"),
    *("summary.json", "scores.csv", "report.md", "report.html"),
)  # fmt: skip
_KINDS = ("videos", "tracks", "scores", "tracking", "prompts")
_TIME = (1980, 1, 1, 0, 0, 0)
"""The time of every entry: the same run is the same archive."""
_MOST_FILES = 4_000_000
_MOST_INDEX = 1 << 30
_PIECE = 1 << 20


class BundleError(ConfigError):
    """An archive is no bundle, or not as it was written."""


@dataclass(frozen=True)
class Bundle:
    """An archive whose files are as its index has them."""

    path: Path
    """The archive."""
    files: dict[str, str]
    """SHA-256 by name."""


def write_bundle(folder: Path, out: Path) -> int:
    """Write the bundle of a finished run and return how many files it has.

    Raises:
        ConfigError: the run is not finished or broken, or a clip is gone. OSError: the archive can't be written.
    """
    run = read_run(folder)
    if out.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(f"out={out} lies in the run's folder: name a file elsewhere")
    index: dict[str, dict[str, Any]] = {}
    with replacing(out) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, content in _content(run):
            if name not in index:
                index[name] = _add(archive, name, content)
        about = {
            "bundle_version": VERSION,
            "tool_version": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": index,
        }
        _add(archive, INDEX, json.dumps(about, indent=1).encode())
    return len(index) + 1


def _content(run: Run) -> Iterator[tuple[str, bytes | Path]]:
    """Yield name and content of each file."""
    yield CARD, json.dumps(make_card(run), indent=1, allow_nan=False).encode()
    for name in _RESULTS:
        if (run.folder / name).is_file():
            yield name, run.folder / name
    for row in run.rows:
        if row.video and not (run.folder / row.video).is_file():
            raise ConfigError(f"{run.folder / row.video}: the clip is gone; run the same command again")
    for kind in _KINDS:
        for path in sorted((run.folder / kind).rglob("[!.]*")):
            name = path.relative_to(run.folder).as_posix()
            if not path.is_file() or inside(run.folder, name) is None:
                continue
            yield from _with_source(path, name) if is_record(path) else [(name, path)]


def _with_source(record: Path, name: str) -> Iterator[tuple[str, bytes | Path]]:
    """Yield the record of a user's file, which names the copy beside it and no place of this machine, and that copy."""
    try:
        file = file_of(record)
        about = read_json(record)
    except SoraEvalError as error:
        raise VideoError(f"{name}: {error}") from error
    copy = f"{about['sha256'][:16]}{file.suffix}"
    changed = {**about, "copy": copy, "path": "", "given": Path(str(about["given"])).name}
    yield name, json.dumps(changed, indent=1).encode()
    yield (PurePosixPath(name).parent / copy).as_posix(), file


def _add(archive: zipfile.ZipFile, name: str, content: bytes | Path) -> dict[str, Any]:
    info = zipfile.ZipInfo(name, _TIME)
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    size, digest = 0, hashlib.sha256()
    info.file_size = len(content) if isinstance(content, bytes) else content.stat().st_size
    with archive.open(info, "w") as entry:
        for piece in [content] if isinstance(content, bytes) else _pieces(content):
            entry.write(piece)
            digest.update(piece)
            size += len(piece)
    return {"bytes": size, "sha256": digest.hexdigest()}


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Give an archive for reading; whatever is wrong with it is one line."""
    if not path.is_file():
        raise BundleError(f"{path}: no such archive")
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        EOFError,
        NotImplementedError,
        OverflowError,
        ValueError,
    ) as error:
        raise BundleError(f"{path}: truncated, damaged or no zip archive ({error})") from error


def unpack(path: Path, folder: Path) -> Bundle:
    """Check a bundle and write its files to a folder. No file is written outside of the folder.

    Raises:
        BundleError: it is truncated or damaged; an entry leads outside, is a link, compressed, there twice or not in the index; or a file
            has other bytes than the index has.
    """
    with _opened(path) as archive:
        # First: of a truncated archive, the end of an archive within it (tracks are such) is taken for its own.
        if INDEX not in archive.namelist():
            raise BundleError(f"{path}: truncated, or no bundle of sora-eval: {INDEX} is missing")
        entries = _checked(path, archive)
        index = _index(path, archive, entries)
        if extra := [name for name in entries if name not in index and name != INDEX]:
            raise BundleError(f"{path}: {shown(extra[0])} is not in {INDEX}")
        if absent := [name for name in index if name not in entries]:
            raise BundleError(f"{path}: {shown(absent[0])} is in {INDEX} and not in the archive")
        for name, about in index.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entries[name]) as entry, target.open("xb") as file:
                digest = _copied(entry, file, entries[name].file_size)
            if digest != about["sha256"]:
                raise BundleError(f"{path}: {shown(name)} has other bytes than when the bundle was written")
    return Bundle(path, {name: str(about["sha256"]) for name, about in index.items()})


def _checked(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the entries by name if all are plain files inside, stored as they are, and no larger than the archive."""
    entries: dict[str, zipfile.ZipInfo] = {}
    infos = archive.infolist()
    if len(infos) > _MOST_FILES:
        raise BundleError(f"{path}: {len(infos)} files, at most {_MOST_FILES} can be read")
    for info in infos:
        name = info.filename
        if why := _why_unsafe(info):
            raise BundleError(f"{path}: {shown(name)} {why}")
        if name in entries or any(parent.as_posix() in entries for parent in PurePosixPath(name).parents):
            raise BundleError(f"{path}: {shown(name)} is there twice, or below a file")
        entries[name] = info
    # Of stored files no two can share bytes, unless the archive was made to look larger than it is.
    if (total := sum(info.file_size for info in infos)) > os.stat(path).st_size:
        raise BundleError(f"{path}: its files would take {total} bytes, more than the archive has (a zip bomb)")
    return entries


def _why_unsafe(info: zipfile.ZipInfo) -> str:
    # orig_filename: zipfile cuts a name at a NUL.
    name, mode = info.orig_filename, info.external_attr >> 16
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or ":" in parts[0]:
        return "leads outside of the bundle"
    if PurePosixPath(name).as_posix() != name:
        return "is no plain path"
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "is a link or no plain file"
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
        return f"is compressed ({info.file_size} bytes from {info.compress_size}): a bundle stores files as they are"
    return "is encrypted" if info.flag_bits & 1 else ""


def _index(path: Path, archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]) -> dict[str, dict[str, Any]]:
    if entries[INDEX].file_size > _MOST_INDEX:
        raise BundleError(f"{path}: {INDEX} is too large")
    try:
        about = parse_json(archive.read(INDEX).decode())
        if about["bundle_version"] != VERSION:
            raise BundleError(
                f"{path}: a bundle of version {about['bundle_version']}, this sora-eval reads version {VERSION}"
            )
        files = {
            str(name): {"sha256": str(f["sha256"]), "bytes": int(f["bytes"])} for name, f in about["files"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{path}: {INDEX} can't be read ({error})") from error
    return files


def _copied(entry: IO[bytes], file: IO[bytes], most: int) -> str:
    digest, size = hashlib.sha256(), 0
    while piece := entry.read(_PIECE):
        size += len(piece)
        if size > most:
            raise BundleError("an entry is longer than it says")
        digest.update(piece)
        file.write(piece)
    return digest.hexdigest()


def check_records(folder: Path) -> None:
    """Refuse records of users' files that name any other file than the copy beside them.

    Raises:
        BundleError: one does.
    """
    for record in (folder / "videos").rglob(f"*{SUFFIX}"):
        about = read_json(record)
        copy = str(about.get("copy", "")) if isinstance(about, dict) else ""
        if not copy or PurePosixPath(copy).name != copy or not record.with_name(copy).is_file() or about.get("path"):
            raise BundleError(f"{record.relative_to(folder).as_posix()}: its clip is not in the bundle")
