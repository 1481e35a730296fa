"""JSON values of what flows through sora-eval, their hash, and names that may be part of a path."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import numpy as np

_NAME = re.compile(r"\w[\w.@+-]*")
_LONGEST_NAME = 160
"""File systems take 255 bytes, of which a hash and an ending follow an id."""


def check_name(what: str, value: Any) -> None:
    """Refuse what can't be part of a file's name: ids of cases, names of suites, probes and generators, wherever they come from.

    Raises:
        ValueError: it is no short text of letters, digits, and . _ @ + - that begins with a letter, a digit or _ and has no "..".
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value) or ".." in value or len(value.encode()) > _LONGEST_NAME:
        shown = repr(value) if len(repr(value)) <= 80 else f"{repr(value)[:80]}..."
        raise ValueError(f"{what}={shown} is no file name: use letters, digits, and . _ @ + -")


def check_part(what: str, value: Any) -> None:
    """Refuse what is no single part of a path: a generator's name that was read may be any words, but must not lead out of a folder.

    Raises:
        ValueError: it is no text, empty, too long, a step upwards, or has a separator.
    """
    if (
        not isinstance(value, str)
        or value in ("", ".", "..")
        or set(value) & set("/\\\0")
        or len(value) > _LONGEST_NAME
    ):
        raise ValueError(f"{what} {repr(value)[:80]} is no name")


def digest(value: Any, length: int = 16) -> str:
    """Return the first `length` hex digits of the SHA-256 of a JSON value, keys sorted."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=plain)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def plain(value: Any) -> Any:
    """Return a NumPy number or array as a JSON value: the `default` of json.dumps.

    Raises:
        TypeError: there is no JSON for it.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"no JSON for {type(value).__name__}")
