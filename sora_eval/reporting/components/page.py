"""The one model of a page: sections of blocks, drawn as HTML by one template and written as Markdown by one function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from sora_eval.reporting.components.players import Filters, Gallery
from sora_eval.reporting.components.plots import DotPlot, Key, LinePlots, Profiles
from sora_eval.reporting.components.table import Table, sampling_table
from sora_eval.stats.summary import Summary
from sora_eval.version import __version__

BETWEEN_SAMPLES = (
    "Deviation: standard deviation between the samples of a prompt, averaged as scores are. Best of K: the mean of the best sample of "
    "each prompt; it grows with K and is no score: it is compared with no mean and ranks nothing. [95% interval], clustered by scene."
)
"""Note above the table of deviations between samples."""
FIRST_SAMPLES = "Of the first sample of each prompt: one clip against each true one."


@dataclass(frozen=True)
class Note:
    """A paragraph."""

    kind: ClassVar[str] = "note"
    text: str
    """The paragraph; may be `Marked`."""
    page_only: bool = False
    """Whether Markdown leaves it out."""


@dataclass(frozen=True)
class Items:
    """A list."""

    kind: ClassVar[str] = "items"
    lines: tuple[tuple[str, str], ...]
    """(head, text) each, "" for no head."""
    styles: tuple[str, ...] = ()
    """"good", "bad" or "" for each line, () for none."""


@dataclass(frozen=True)
class Tiles:
    """Key figures in boxes; Markdown leaves them out."""

    kind: ClassVar[str] = "tiles"
    items: tuple[tuple[str, str, str], ...]
    """(name, value, definition) each."""


@dataclass(frozen=True)
class Facts:
    """A folded list of definitions."""

    kind: ClassVar[str] = "facts"
    title: str
    """Its heading."""
    items: tuple[tuple[str, str], ...]
    """(name, value) each."""
    code: bool = True
    """Whether values are shown as code."""


@dataclass(frozen=True)
class Fold:
    """Blocks under a heading that opens them."""

    kind: ClassVar[str] = "fold"
    title: str
    """The heading."""
    blocks: tuple[Block, ...]
    """What it opens."""
    count: str = ""
    """Text beside the heading."""
    inline: bool = False
    """Whether Markdown shows the blocks without the heading."""


Block: TypeAlias = Note | Items | Tiles | Facts | Fold | Table | Key | DotPlot | LinePlots | Profiles | Filters | Gallery  # fmt: skip


@dataclass(frozen=True)
class Section:
    """A part of a page, listed in its navigation."""

    id: str
    """Anchor."""
    title: str
    """Heading."""
    blocks: tuple[Block, ...]
    """Content."""
    name: str = ""
    """Name in the navigation, the title by default."""


@dataclass(frozen=True)
class Page:
    """A page."""

    title: str
    """Heading."""
    lead: str
    """Paragraph below the heading."""
    command: str
    """Command that made it."""
    problems: tuple[str, ...]
    """Warnings, a line each."""
    facts: tuple[tuple[str, str], ...]
    """How it was made, (name, value) each; folded."""
    made: str
    """Heading of the facts."""
    whose: str
    """Subject of the problems, such as "this run"."""
    sections: tuple[Section, ...]
    """Its content."""
    footer: str
    """Last lines."""
    links: tuple[tuple[str, str], ...] = ()
    """(file beside the page, label) each."""
    version: str = __version__
    """Version of sora-eval."""


def sampling_sections(summary: Summary) -> tuple[Section, ...]:
    """Return the section on several samples per prompt, if there are any."""
    if not summary.sampling:
        return ()
    blocks = Note(BETWEEN_SAMPLES), sampling_table(summary.sampling_by_suite)
    return (Section("samples", "Between the samples of a prompt", blocks, "Samples"),)
