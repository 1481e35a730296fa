"""What the leaderboard's page shows, worked out before the template runs, so that the template only lays out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sora_eval import __version__
from sora_eval.reporting.components import plots
from sora_eval.reporting.components.text import BETWEEN_SAMPLES, FIRST_SAMPLES
from sora_eval.reporting.leaderboard.clips import Comparison
from sora_eval.reporting.leaderboard.entrants import Entrant, Field
from sora_eval.reporting.leaderboard.fidelity import Figures
from sora_eval.reporting.leaderboard.standing import ALPHA, Standing, holds
from sora_eval.reporting.leaderboard.tracking import BoardTracking
from sora_eval.stats.intervals import N_BOOT
from sora_eval.stats.paired import Difference
from sora_eval.stats.summary import KINDS, Cell, Sampling

MAX_PLOTTED = 8
"""Models in a plot; more are told apart neither by colour nor by shape. Tables have all of them."""
MAX_DETAILED = 12
"""Up to this many models their differences are listed by probe on the page."""
_GROUPS = {"oracle": "Ceiling", "control": "Controls: the best is the floor", "violation": "Violations"}


@dataclass(frozen=True)
class Item:
    """A cell of a table: its score, ranks, difference from the model that all are compared with, and a bar; None where there is none."""

    cell: Cell | None
    rank: str
    difference: Difference | None
    bar: plots.Bar | None

    @property
    def verdict(self) -> str:
        """Whether the difference holds: "below", "above", "open" or ""."""
        if self.difference is None:
            return ""
        if not holds(self.difference):
            return "open"
        return "below" if self.difference.mean < 0 else "above"

    @property
    def key(self) -> str:
        """What the cell is sorted by."""
        return f"{self.cell.score:.6f}" if self.cell and not self.cell.failed else ""


@dataclass(frozen=True)
class Head:
    """A column: suite and probe, "" for all of them; probes: the most that any generator ran."""

    name: str
    suite: str
    probe: str
    probes: int


@dataclass(frozen=True)
class Row:
    """A line of a table. overall: its counts; ranks: overall, as text and as a number to sort by."""

    label: str
    overall: Cell
    cells: tuple[Item, ...]
    rank: str
    place: str


@dataclass(frozen=True)
class Group:
    """References of one kind."""

    name: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """Models above, references below. sorted_by: the column in whose order the rows stand, -1 for none."""

    heads: tuple[Head, ...]
    rows: tuple[Row, ...]
    groups: tuple[Group, ...]
    sorted_by: int


@dataclass(frozen=True)
class Arm:
    """A difference in a forest plot, positions in per cent."""

    label: str
    difference: Difference
    holds: bool
    at: float
    low: float
    high: float


@dataclass(frozen=True)
class Forest:
    """The differences at one level: name, where the axis is zero, and an arm per model."""

    name: str
    zero: float
    arms: tuple[Arm, ...]


@dataclass(frozen=True)
class Profile:
    """What one model scores on every suite and probe: (level, name, cell, bar), level "suite" or "probe"."""

    label: str
    overall: Cell
    lines: tuple[tuple[str, str, Cell, plots.Bar], ...]


@dataclass(frozen=True)
class Suite:
    """A section: the table of a suite's probes and their dot plot."""

    name: str
    table: Table
    lanes: tuple[plots.Lane, ...]


@dataclass(frozen=True)
class BoardPage:
    """Everything that the template reads."""

    title: str
    lead: str
    command: str
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    against: str
    chosen: bool
    models: int
    oracle: str
    controls: bool
    series: tuple[str, ...]
    axis: plots.Axis
    ranking: Table
    suites: tuple[Suite, ...]
    profiles: tuple[Profile, ...]
    difference_axis: plots.Axis
    forests: tuple[Forest, ...]
    listed: tuple[tuple[str, Difference], ...]
    listed_probes: bool
    fidelity: Figures | None
    comparisons: tuple[Comparison, ...]
    sides: int
    cases: int
    rows: int
    samples: int
    sampling: tuple[Sampling, ...]
    about_sampling: str = BETWEEN_SAMPLES
    first_samples: str = FIRST_SAMPLES
    tracking: BoardTracking | None = None
    version: str = __version__
    n_boot: int = N_BOOT
    alpha: float = ALPHA
    colours: int = plots.COLOURS

    @property
    def probes(self) -> tuple[str, ...]:
        """The probes whose cases are shown."""
        return tuple(dict.fromkeys(f"{c.case.suite}/{c.case.probe}" for c in self.comparisons))

    @property
    def galleries(self) -> tuple[tuple[str, list[Comparison]], ...]:
        """(suite, its cases that are shown)."""
        found = ((s.name, [c for c in self.comparisons if c.case.suite == s.name]) for s in self.suites)
        return tuple((name, some) for name, some in found if some)

    @staticmethod
    def shape(index: int) -> str:
        """Return the marker of a series."""
        return plots.shape(index)


def make_page(
    field: Field,
    standing: Standing,
    figures: Figures | None,
    comparisons: Sequence[Comparison],
    shown: Sequence[str],
    command: str,
    sort: str = "",
    against: str = "",
    tracking: BoardTracking | None = None,
) -> BoardPage:
    """Return the page of a leaderboard. shown: the models whose clips are shown. sort, against: what the reader asked for."""
    summary = standing.summary
    scale = plots.axis(summary.cells)
    plotted = (standing.models or standing.shown)[:MAX_PLOTTED]
    reach = plots.Axis(-1.0, 1.0)
    found = [d for (_, _, probe), d in standing.differences.items() if not probe]
    if found:
        ends = [abs(v) for d in found for v in (d.low, d.high) if math.isfinite(v)]
        most = min(2.0, math.ceil(max([0.1, *ends]) * 10) / 10)
        reach = plots.Axis(-most, most)
    # With one suite the overall score repeats it.
    heads = _heads(standing, [("", ""), *((s, "") for s in summary.suites)][len(summary.suites) < 2 :])
    by = next((i for i, h in enumerate(heads) if h.suite == sort), 0)
    detailed = len(standing.models) <= MAX_DETAILED
    return BoardPage(
        title=_title(field, standing),
        lead=_lead(field, standing),
        command=command,
        problems=field.problems,
        notes=field.notes,
        facts=tuple(_facts(field)),
        against=standing.against,
        chosen=bool(against),
        models=len(standing.models) + len(standing.failed),
        oracle=next(iter(summary.of_kind("oracle")), ""),
        controls=bool(summary.of_kind("control")),
        series=plotted,
        axis=scale,
        ranking=_table(standing, heads, scale, by, bars=True),
        suites=tuple(_suite(standing, s, scale, plotted) for s in summary.suites),
        profiles=tuple(_profile(standing, m, scale) for m in plotted),
        difference_axis=reach,
        forests=tuple(_forests(standing, reach)),
        listed=tuple((m, d) for (m, _, p), d in standing.differences.items() if detailed or not p),
        listed_probes=detailed,
        fidelity=figures,
        comparisons=tuple(comparisons),
        sides=len(shown),
        cases=field.cases,
        rows=sum(len(e.rows) for e in field.entrants),
        samples=summary.samples,
        sampling=summary.sampling_by_suite,
        tracking=tracking,
    )


def _title(field: Field, standing: Standing) -> str:
    suites = standing.summary.suites
    what = ", ".join(suites) if len(suites) <= 3 else f"{len(suites)} suites"
    who = ", ".join(standing.models) if 0 < len(standing.models) <= 2 else f"{len(standing.models)} models"
    none = "no model with a score" if standing.failed else "references only"
    return f"Leaderboard: {who if standing.models else none} on {what}"


def _lead(field: Field, standing: Standing) -> str:
    size = field.protocol.facts.get("size", "")
    shape = f" at {size}" if size else ""
    seeds = f"; seeds {', '.join(field.seeds)} pooled" if len(field.seeds) > 1 else ""
    share = f" ({field.cases / field.of:.0%} of all)" if field.cases < field.of else ""
    runs = len({id(run) for e in field.entrants for run in e.runs.values()})
    samples = f"; {standing.summary.samples} samples per prompt" if standing.summary.sampling else ""
    text = f"{_count(runs, 'run')}, {_count(field.cases, 'case')}{share} of {_count(_probes(standing), 'probe')}{shape}{samples}{seeds}."
    if not standing.against:
        return text
    return f"{text} Every model is compared with {standing.against}, case by case."


def _probes(standing: Standing) -> int:
    return sum(len(standing.summary.probes(s)) for s in standing.summary.suites)


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _facts(field: Field) -> Iterator[tuple[str, str]]:
    yield from ((name, str(value)) for name, value in field.protocol.facts.items())
    versions = ", ".join(f"{name} {version}" for name, version in sorted(field.protocol.probes.items()))
    yield "probe versions", versions
    for e in field.entrants:
        yield f"{e.kind} {e.label}", "; ".join(_told_of(e))


def _told_of(entrant: Entrant) -> Iterator[str]:
    for seed, run in entrant.runs.items():
        yield f"seed {seed}: {shown_path(run.folder)}" if seed else shown_path(run.folder)
    if prints := [p for p in entrant.fingerprints if p]:
        yield f"fingerprint {', '.join(prints)}"


def shown_path(folder: Path) -> str:
    """Return a folder as a page may name it: nothing of the machine that made it."""
    return folder.name if folder.is_absolute() else folder.as_posix()


def _heads(standing: Standing, levels: Sequence[tuple[str, str]]) -> tuple[Head, ...]:
    found = []
    for suite, probe in levels:
        cells = [c for g in standing.summary.generators if (c := standing.summary.get(g, suite, probe))]
        found.append(Head(probe or suite or "Overall", suite, probe, max(c.probes for c in cells)))
    return tuple(found)


def _table(standing: Standing, heads: Sequence[Head], scale: plots.Axis, by: int, bars: bool = False) -> Table:
    summary = standing.summary
    groups = []
    for kind in KINDS[1:]:
        if names := summary.of_kind(kind):
            rows = tuple(_row(standing, g, heads, scale, bars) for g in names)
            groups.append(Group(_GROUPS[kind], rows))
    rows = tuple(_row(standing, m, heads, scale, bars) for m in (*standing.models, *standing.failed))
    return Table(tuple(heads), rows, tuple(groups), by)


def _row(standing: Standing, label: str, heads: Sequence[Head], scale: plots.Axis, bars: bool) -> Row:
    overall = standing.summary.get(label)
    assert overall is not None
    first, last = standing.rank(overall) or (0, 0)
    place = f"{first + last / 1000:.3f}" if first else ""
    items = tuple(_item(standing, label, head, scale, bars) for head in heads)
    return Row(label, overall, items, span(first, last), place)


def _item(standing: Standing, label: str, head: Head, scale: plots.Axis, bars: bool) -> Item:
    cell = standing.summary.get(label, head.suite, head.probe)
    if cell is None:
        return Item(None, "", None, None)
    rank = standing.rank(cell) if len(standing.models) > 1 else None
    bar = plots.bar(standing.summary, cell, scale) if bars and not cell.failed else None
    return Item(cell, span(*rank) if rank else "", standing.difference(cell), bar)


def span(first: int, last: int) -> str:
    """Return an interval of ranks as text."""
    return "" if not first else str(first) if first == last else f"{first}–{last}"


def _suite(standing: Standing, name: str, scale: plots.Axis, plotted: Sequence[str]) -> Suite:
    probes = standing.summary.probes(name)
    heads = _heads(standing, [(name, ""), *((name, p) for p in probes)])
    return Suite(name, _table(standing, heads, scale, -1), plots.lanes(standing.summary, name, scale, plotted))


def _profile(standing: Standing, label: str, scale: plots.Axis) -> Profile:
    summary = standing.summary
    lines = []
    for suite in summary.suites:
        for probe in ("", *summary.probes(suite)):
            if cell := summary.get(label, suite, probe):
                lines.append(("probe" if probe else "suite", probe or suite, cell, plots.bar(summary, cell, scale)))
    overall = summary.get(label)
    assert overall is not None
    return Profile(label, overall, tuple(lines))


def _forests(standing: Standing, scale: plots.Axis) -> Iterator[Forest]:
    shown = [m for m in standing.models if m != standing.against][:MAX_DETAILED]
    for suite in ("", *standing.summary.suites):
        arms = []
        for label in shown:
            d = standing.differences.get((label, suite, ""))
            if d is not None:
                arms.append(Arm(label, d, holds(d), scale.at(d.mean), scale.at(d.low), scale.at(d.high)))
        # With one suite overall repeats it.
        if arms and not (suite == "" and len(standing.summary.suites) == 1):
            yield Forest(suite or "Overall", scale.at(0.0), tuple(arms))
