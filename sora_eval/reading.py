"""Reading files that somebody else may have written: texts, JSON of any depth, and paths that may lead out of a folder."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path
from typing import Any


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8.

    Raises:
        OSError: there is none, or it is no plain file: reading a pipe would wait for ever. ValueError: it is no UTF-8.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "no plain file", str(path))
    return path.read_text(encoding="utf-8")


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
    """Return JSON values such that OmegaConf takes them as they are: "${" in a text that was read asks for nothing."""
    if isinstance(value, dict):
        return {key: literal(v) for key, v in value.items()}
    if isinstance(value, list):
        return [literal(v) for v in value]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value


def inside(folder: Path, relative: str) -> Path | None:
    """Return the path of a file of a folder, None when it lies outside: an absolute path, one with "..", or a link that leads out.

    A run folder from elsewhere must not make a report show any other file of this machine.
    """
    path = folder / relative
    try:
        return path if path.resolve().is_relative_to(folder.resolve()) else None
    except (OSError, ValueError, RuntimeError):
        return None
