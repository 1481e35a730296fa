"""The one model of a gate's verdict, whichever test reached it: written as text, Markdown, JUnit XML and HTML by `reporting.gate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Problem:
    """Why a row keeps the candidate from passing."""

    kind: Literal["failure", "error"]
    """A failure stops the candidate, an error is a lack of evidence."""
    type: str
    """In a word or two."""
    message: str
    """In a sentence."""


@dataclass(frozen=True)
class VerdictRow:
    """The finding on one probe, or on all."""

    suite: str
    """Its suite, "overall" for all."""
    cells: tuple[str, ...]
    """A text per column; the name of the probe first, the finding last."""
    problem: Problem | None
    """Why it keeps the candidate from passing, None where it does not."""


@dataclass(frozen=True)
class Verdict:
    """A verdict in words."""

    title: str
    """In a word or two."""
    sentence: str
    """With the figures behind it."""
    method: str
    """How it was reached."""
    head: tuple[str, ...]
    """Names of the columns."""
    rows: tuple[VerdictRow, ...]
    """Overall first, then the probes."""


def signed(value: float) -> str:
    """Return a difference to three places; what rounding leaves of nothing has no sign below zero.

    >>> signed(-0.0001)
    '+0.000'
    """
    return f"{round(value, 3) + 0.0:+.3f}"
