"""Checkpoints as files: the training step and time of one, and whether it is whole."""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

_STEP = re.compile(
    r"(?:^|[^a-z])(?:steps?|iters?|iterations?|it|updates?|ckpt|checkpoint|global_step)[-_=.]?(\d+)([km]?)(?![a-z0-9])"
)
_TRAILING = re.compile(r"(\d+)([km]?)$")
_METADATA = ("step", "steps", "global_step", "training_step", "ss_steps")
"""Names of the training step in the metadata of safetensors files; the last is kohya's."""
_LARGEST_HEADER = 100_000_000
"""Bytes; safetensors itself reads no larger header."""
_ZIPPED = (".pt", ".pth", ".ckpt", ".zip", ".npz")
"""Endings of what `torch.save` writes: ZIP archives, whose directory comes last."""

Signature: TypeAlias = tuple[tuple[str, int, int], ...]
"""(path within the checkpoint, bytes, time of the last change in ns) of each of its files; "" is the path of a single file."""


def training_point(checkpoint: str | Path) -> dict[str, float]:
    """Return {"step": of its metadata or name, "written": seconds since 1970} of a checkpoint, what of it is known."""
    path = Path(checkpoint)
    files = signature(path)
    if files is None:
        return {}
    step = step_in_metadata(path)
    step = step_in_name(path.name) if step is None else step
    written = max(changed_ns for _, _, changed_ns in files) / 1e9
    return {**({} if step is None else {"step": step}), "written": written}


def step_in_name(name: str) -> float | None:
    """Return the training step in a checkpoint's name: step_2000, iter-10k, epoch=3-step=500, model-000100."""
    text = Path(name).stem.lower()
    match = _STEP.search(text) or _TRAILING.search(text)
    if match is None:
        return None
    return float(match[1]) * {"": 1, "k": 1e3, "m": 1e6}[match[2]]


def step_in_metadata(path: Path) -> float | None:
    """Return the training step in the metadata of a safetensors file, None where there is none."""
    if path.suffix != ".safetensors":
        return None
    try:
        metadata = _header(path).get("__metadata__", {})
        value = next((metadata[key] for key in _METADATA if key in metadata), None)
        step = None if value is None else float(value)
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return step if step is not None and 0 <= step < 1e18 else None


def signature(path: Path) -> Signature | None:
    """Return what changes whenever a checkpoint, a file or a folder of files, is written; None where there is none.

    Files are opened: a client of a network drive may show the size of a minute ago until then (NFS checks attributes at open).
    """
    try:
        if not path.is_dir():
            return (("", *_state(path)),)
        files = sorted(p for p in path.rglob("*") if p.is_file())
        return tuple((p.relative_to(path).as_posix(), *_state(p)) for p in files) or None
    except OSError:
        return None


def fault(path: Path) -> str:
    """Return why a checkpoint can't be whole, "" where it is, or where its format does not tell.

    A safetensors file states its length, an archive of `torch.save` ends with its directory; of a folder every file is looked at.
    """
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        if why := _fault(file):
            return why if file == path else f"{file.relative_to(path)}: {why}"
    return ""


def _state(path: Path) -> tuple[int, int]:
    with path.open("rb") as file:
        about = os.fstat(file.fileno())
    return about.st_size, about.st_mtime_ns


def _fault(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size == 0 and path.suffix in (".safetensors", *_ZIPPED):
            return "the file is empty"
        if path.suffix == ".safetensors":
            return _safetensors_fault(path, size)
        with path.open("rb") as file:
            zipped = path.suffix in _ZIPPED and file.read(4) == b"PK\x03\x04"
        return "a cut off archive, its directory is missing" if zipped and not zipfile.is_zipfile(path) else ""
    except OSError as error:
        return f"not readable ({error.strerror or error})"


def _safetensors_fault(path: Path, size: int) -> str:
    try:
        header = _header(path)
        length = max((int(v["data_offsets"][1]) for k, v in header.items() if k != "__metadata__"), default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return "no safetensors file, or a cut off one"
    with path.open("rb") as file:
        needed = 8 + int.from_bytes(file.read(8), "little") + length
    return "" if size == needed else f"{size} of {needed} bytes are there"


def _header(path: Path) -> Mapping[str, Any]:
    """Return the header of a safetensors file: 8 bytes with its length, then JSON.

    Raises:
        ValueError: it is none. OSError: the file can't be read.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= _LARGEST_HEADER:
            raise ValueError("no header")
        try:
            header = json.loads(file.read(length))
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
    if not isinstance(header, dict):
        raise ValueError("no header")
    return header
