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
"""What is said above the table of what samples tell beyond their mean."""
FIRST_SAMPLES = "Of the first sample of each prompt: one clip against each true one."


@dataclass(frozen=True)
class Note:
    """A paragraph. page_only: whether Markdown leaves it out."""

    kind: ClassVar[str] = "note"
    text: str
    page_only: bool = False


@dataclass(frozen=True)
class Items:
    """A list: (head, text) each, "" for no head. styles: "good", "bad" or "" of each, () for none."""

    kind: ClassVar[str] = "items"
    lines: tuple[tuple[str, str], ...]
    styles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """Names and what they are, folded. code: whether the latter are shown as code."""

    kind: ClassVar[str] = "facts"
    title: str
    items: tuple[tuple[str, str], ...]
    code: bool = True


@dataclass(frozen=True)
class Fold:
    """Blocks under a heading that opens them. count: what stands beside the title."""

    kind: ClassVar[str] = "fold"
    title: str
    blocks: tuple[Block, ...]
    count: str = ""


Block: TypeAlias = Note | Items | Facts | Fold | Table | Key | DotPlot | LinePlots | Profiles | Filters | Gallery  # fmt: skip


@dataclass(frozen=True)
class Section:
    """A part of a page that its navigation names. name: how, its title by default."""

    id: str
    title: str
    blocks: tuple[Block, ...]
    name: str = ""


@dataclass(frozen=True)
class Page:
    """A page. made: title of the facts. whose: what its problems are of. links: (file beside the page, label). footer: its last lines."""

    title: str
    lead: str
    command: str
    problems: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    made: str
    whose: str
    sections: tuple[Section, ...]
    footer: str
    links: tuple[tuple[str, str], ...] = ()
    version: str = __version__


def sampling_sections(summary: Summary) -> tuple[Section, ...]:
    """Return the section on several samples per prompt, if there are any."""
    if not summary.sampling:
        return ()
    blocks = Note(BETWEEN_SAMPLES), sampling_table(summary.sampling_by_suite)
    return (Section("samples", "Between the samples of a prompt", blocks, "Samples"),)
