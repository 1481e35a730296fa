"""Files: written whole or not at all, read though somebody else may have written them, and hashed by their content."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from sora_eval.errors import ConfigError
from sora_eval.paths import encodable


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of a new file beside `path` that takes its place when all went well, and is removed otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all, with the same bytes on every system; what is no Unicode in a name is written as an escape."""
    with replacing(path) as part:
        part.write_text(encodable(text), encoding="utf-8", newline="\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object from a file.

    Raises:
        ConfigError: the file is no JSON object.
    """
    try:
        value = parse_json(read_text(path))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: a JSON object was expected")
    return value


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object, whole or not at all."""
    with replacing(path) as part:
        part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON lines, whole or not at all."""
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def lines_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return JSON lines."""
    return "".join(json.dumps(r) + "\n" for r in rows)


def link_or_copy(source: Path, target: Path) -> None:
    """Put a file at another place: a hard link where the file system can, else a copy; whole or not at all."""
    with replacing(target) as part:
        try:
            os.link(source, part)
        except OSError:
            shutil.copyfile(source, part)


class FileCache:
    """Files that are shared by runs, within a limit of bytes; the least recently used are removed.

    They are hard links of the files in run folders where the file system can, so that shared files take no more disk. Files in a run
    folder are replaced, never changed in place, and so are those of the cache.
    """

    def __init__(self, folder: Path, version: str, max_bytes: int) -> None:
        """Use a folder, which is created at the first file. version: of the files' format; those of others only count to the limit."""
        self._folder, self._files, self._max_bytes = folder, folder / version, max_bytes

    def fetch(self, name: str, path: Path) -> bool:
        """Put a cached file at `path`; return whether there is one."""
        cached = self._files / name
        try:
            link_or_copy(cached, path)
            os.utime(cached, (time.time(), cached.stat().st_mtime))
        except OSError:
            return False
        return True

    def add(self, name: str, path: Path) -> None:
        """Cache the file at `path`; a cache that can't be written is none."""
        with suppress(OSError):
            link_or_copy(path, self._files / name)

    def __contains__(self, name: str) -> bool:
        """Return whether there is a file of that name."""
        return (self._files / name).is_file()

    def read(self, name: str) -> bytes | None:
        """Return the content of a cached file, None where there is none."""
        cached = self._files / name
        try:
            content = cached.read_bytes()
            os.utime(cached, (time.time(), cached.stat().st_mtime))
        except OSError:
            return None
        return content

    def write(self, name: str, content: bytes) -> None:
        """Cache some content; a cache that can't be written is none."""
        with suppress(OSError), replacing(self._files / name) as part:
            part.write_bytes(content)

    def trim(self) -> None:
        """Remove the least recently used files beyond the limit."""
        files = []
        for path in self._folder.rglob("*"):
            # Another run may remove a file meanwhile.
            with suppress(OSError):
                about = path.stat()
                if stat.S_ISREG(about.st_mode):
                    files.append((about.st_atime, about.st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self._max_bytes:
                return
            with suppress(OSError):
                path.unlink()
            total -= size


def remove_parts(folder: Path) -> None:
    """Remove what a killed process left half written. Only for who holds the folder's lock: others may be writing such a file now."""
    for part in folder.rglob(".*.part"):
        part.unlink(missing_ok=True)


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8.

    Raises:
        OSError: there is none, or it is no plain file: reading a pipe would wait for ever. ValueError: it is no UTF-8.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "no plain file", str(path))
    return path.read_text(encoding="utf-8")


def text_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file in UTF-8, without having all of it in memory. Only a line feed ends one: U+2028 may be part of a JSON text.

    Raises:
        OSError, ValueError: as `read_text`.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "no plain file", str(path))
    with path.open(encoding="utf-8", newline="\n") as file:
        yield from file


def parse_json(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is no JSON (json.JSONDecodeError, with line and column), or nested too deeply for Python's reader.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def literal(value: Any) -> Any:
    """Return JSON values such that OmegaConf takes them as they are: "${" in a text that was read is not resolved."""
    if isinstance(value, dict):
        return {key: literal(v) for key, v in value.items()}
    if isinstance(value, list):
        return [literal(v) for v in value]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value


_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
_LEAST_SECRET = 8


def without_secrets(value: Any) -> Any:
    """Return JSON values with *** in place of every secret of the environment that stands in a text of them.

    A secret is the value, of at least 8 characters, of a variable whose name holds KEY, TOKEN, SECRET, PASSW or CREDENTIAL.
    """
    held = (v for name, v in os.environ.items() if _SECRET.search(name) and len(v) >= _LEAST_SECRET)
    # The longest first: one may be part of another.
    secrets = sorted(held, key=len, reverse=True)
    return _masked(value, secrets) if secrets else value


def _masked(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, Mapping):
        return {_masked(key, secrets): _masked(v, secrets) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(v, secrets) for v in value]
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, "***")
    return value


def inside(folder: Path, relative: str) -> Path | None:
    """Return the path of a file of a folder, None when it lies outside: an absolute path, one with "..", or a link that leads out.

    A run folder from elsewhere must not make a report show any other file of this machine.
    """
    path = folder / relative
    try:
        return path if path.resolve().is_relative_to(folder.resolve()) else None
    except (OSError, ValueError, RuntimeError):
        return None


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, of a folder of the names and bytes of all files below it, in hex.

    Raises:
        OSError: there is no such file or folder, or it can't be read.
    """
    if not path.is_dir():
        return _bytes_hash(path)
    digest = hashlib.sha256()
    # Folders of checkpoints hold links into a cache; what is linked counts, whatever it is called there.
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\n{_bytes_hash(file)}\n".encode())
    return digest.hexdigest()


def _bytes_hash(path: Path) -> str:
    about = path.stat()
    return _hash_of(path, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=256)
def _hash_of(path: Path, size: int, changed_ns: int) -> str:
    # Size and time are part of the key: a file that is written again is read again.
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
