"""The one model of a table: a page draws it, Markdown and a terminal write it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from sora_eval.reporting.components import numbers
from sora_eval.reporting.components.plots import Bar
from sora_eval.stats.summary import Cell as Score
from sora_eval.stats.summary import Sampling

Order: TypeAlias = Literal["", "ascending", "descending"]


@dataclass(frozen=True)
class Mark:
    """Direction of a difference."""

    symbol: str
    """Such as an arrow."""
    text: str
    """The same for screen readers."""
    title: str = ""
    """Tooltip."""
    style: str = ""
    """CSS class: "below", "above" or ""."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    text: str = ""
    """Its value; may be `Marked`."""
    span: str = ""
    """The interval behind the value."""
    notes: tuple[str, ...] = ()
    """Small lines below."""
    key: float | str | None = None
    """What it is sorted by, the text by default."""
    hidden: str = ""
    """What a screen reader and Markdown add to the text."""
    bar: Bar | None = None
    """A score's bar, below."""
    mark: Mark | None = None
    """A score's difference, below."""
    rank: str = ""
    """A score's rank, below."""
    absent: bool = False
    """Whether there is no value; the text gives the reason."""
    style: str = ""
    """CSS class."""
    href: str = ""
    """Address that the text links to; pages only."""

    @property
    def sort_key(self) -> float | str:
        """What the cell is sorted by; "" stands last."""
        return self.key if self.key is not None else "" if self.absent else self.text


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    """Its head."""
    kind: Literal["text", "count", "cell", "wide"] = "text"
    """Text, a count (to the right), a cell with a value (wide enough for its interval) or wide text."""
    first: Order = ""
    """Order of the first click, "" where the table is not sorted."""
    sorted: bool = False
    """Whether the rows stand in that order."""


@dataclass(frozen=True)
class Row:
    """A line of a table."""

    cells: tuple[Cell, ...]
    """The first one is the head."""
    minor: bool = False
    """Whether it is a part of the line above."""
    tags: tuple[tuple[str, str], ...] = ()
    """What filters choose by, (name, value) each."""


@dataclass(frozen=True)
class Group:
    """Lines under a name."""

    rows: tuple[Row, ...]
    """The lines."""
    name: str = ""
    """A heading above them, "" for none."""
    kind: str = ""
    """What Markdown adds to the head of each, "" for nothing."""
    ranked: bool = False
    """Whether sorting moves them."""


@dataclass(frozen=True)
class Table:
    """A table of a page."""

    kind: ClassVar[str] = "table"
    name: str
    """Name for screen readers."""
    caption: str
    """Definition of its numbers; may be `Marked`."""
    columns: tuple[Column, ...]
    """Its columns."""
    groups: tuple[Group, ...]
    """Its lines."""
    most: int = 0
    """Lines that Markdown shows, 0 for all."""
    rest: str = ""
    """Where the other lines are."""
    terse: bool = False
    """Whether Markdown leaves out the notes of cells."""
    page_only: bool = False
    """Whether Markdown leaves out the table."""
    bounded: bool = False
    """Whether it scrolls in a box of limited height."""

    @property
    def sortable(self) -> bool:
        """Whether its headers sort it."""
        return any(c.first for c in self.columns)

    @property
    def rows(self) -> tuple[Row, ...]:
        """All lines."""
        return tuple(r for g in self.groups for r in g.rows)


def table(
    name: str, caption: str, columns: Iterable[Column | str], rows: Iterable[Sequence[Cell | str]], sort: bool = False
) -> Table:
    """Return a table of one group. sort: whether its headers sort it, ascending where a column has no order."""
    heads = [Column(c) if isinstance(c, str) else c for c in columns]
    if sort:
        heads = [Column(c.name, c.kind, c.first or "ascending", c.sorted) for c in heads]
    return Table(name, caption, tuple(heads), (Group(tuple(map(row, rows)), ranked=sort),))


def row(cells: Sequence[Cell | str], minor: bool = False) -> Row:
    """Return a line; text alone is a cell."""
    return Row(tuple(Cell(c) if isinstance(c, str) else c for c in cells), minor)


def interval(value: float, low: float | None, high: float | None, show: Callable[[float], str] = numbers.score) -> Cell:
    """Return a value with its interval."""
    return Cell(show(value), numbers.span(low, high, show), key=value)


def not_judged(cell: Score) -> str:
    """Return `3 of 120`, or `3 of 120 (2 technical)`."""
    return f"{cell.unjudgeable} of {cell.n}" + (f" ({cell.technical} technical)" if cell.technical else "")


def scored(
    cell: Score | None,
    bar: Bar | None = None,
    probes: int = 0,
    counts: bool = True,
    mark: Mark | None = None,
    rank: str = "",
) -> Cell:
    """Return a score as a cell. probes: how many it should cover. counts: whether clips that were not judged are counted below."""
    if cell is None:
        return Cell("not run", absent=True)
    notes = []
    if counts and cell.unjudgeable:
        technical = f", {cell.technical} technically" if cell.technical else ""
        notes.append(f"{cell.unjudgeable}/{cell.n} not judged{technical}")
    if cell.probes < probes:
        notes.append(f"{cell.probes} of {probes} probes")
    if cell.failed:
        return Cell("failed technically", notes=tuple(notes), absent=True)
    span = numbers.span(cell.low, cell.high)
    return Cell(numbers.score(cell.score), span, tuple(notes), cell.score, bar=bar, mark=mark, rank=rank)


def sampling_table(sampling: Sequence[Sampling]) -> Table:
    """Return deviation and best of K over the samples of a prompt, in a table of its own: best of K is compared with no mean."""
    counts = Column("Samples per prompt", "count"), Column("Cases", "count")
    rows = [
        (
            *(s.generator, s.suite or "overall", str(s.samples), str(s.cases)),
            interval(s.deviation, s.deviation_low, s.deviation_high),
            interval(s.best, s.best_low, s.best_high),
        )
        for s in sampling
    ]
    caption = "Several samples per prompt: their spread, and the best of them."
    columns = Column("Generator"), Column("Suite"), *counts, Column("Deviation", "cell"), Column("Best of K", "cell")
    return table("Between the samples of a prompt", caption, columns, rows)
