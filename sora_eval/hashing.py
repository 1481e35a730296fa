"""Hashes of files and folders by their content."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, of a folder of the names and bytes of all files below it, in hex.

    Raises:
        OSError: there is no such file or folder, or it can't be read.
    """
    if not path.is_dir():
        return _bytes_hash(path)
    found = hashlib.sha256()
    # Folders of checkpoints hold links into a cache; what is linked counts, whatever it is called there.
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        found.update(f"{file.relative_to(path).as_posix()}\n{_bytes_hash(file)}\n".encode())
    return found.hexdigest()


def _bytes_hash(path: Path) -> str:
    stat = path.stat()
    return _hash_of(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=256)
def _hash_of(path: Path, size: int, changed_ns: int) -> str:
    # Size and time are part of the key: a file that is written again is read again.
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
