"""Figures of fidelity as tables: of one set, and of a run's generators side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sora_eval.reporting.components.numbers import figure, several, span
from sora_eval.reporting.components.page import Block, Facts
from sora_eval.reporting.components.table import Cell, Column, interval
from sora_eval.reporting.components.table import table as made_table
from sora_eval.reporting.components.text import blocks, pipe
from sora_eval.types import Measure

_CAPTION = (
    "realism, text alignment and consistency, against the oracle's clips of the same cases; value [95% interval]. Clips of one case "
    "are compared as pairs. A plug-in can only be set beside one of as many clips."
)


@dataclass(frozen=True)
class Sheet:
    """The measures of a suite."""

    generators: tuple[str, ...]
    """Names, a column each."""
    lines: tuple[tuple[str | Cell, ...], ...]
    """A row per metric that has a value: name, better direction, then a cell per generator."""
    missing: tuple[tuple[str, str], ...]
    """(metrics, reason) of metrics without any value."""
    protocols: tuple[tuple[str, str], ...]
    """(metrics, protocol with numbers of clips); with the generators where these differ in them."""
    notes: tuple[tuple[str, str], ...]
    """(metrics, limitation) of metrics with a value."""

    def blocks(self, name: str) -> tuple[Block, ...]:
        """Return what a page shows, `name` being what was measured."""
        columns = (Column("Metric"), Column("Better"), *(Column(g, "cell") for g in self.generators))
        return (
            made_table(f"{name}: fidelity", f"{name}: {_CAPTION}", columns, self.lines),
            *((Facts("Not measured", self.missing, code=False),) if self.missing else ()),
            *((Facts("Notes", self.notes, code=False),) if self.notes else ()),
            Facts("Protocols: what each number depends on", self.protocols),
        )


def sheet(measures: Mapping[str, Sequence[Measure]], generators: Sequence[str]) -> Sheet:
    """Return the measures of a suite, with generators in a given order."""
    shown = tuple(g for g in generators if g in measures)
    by_name = {g: {m.metric: m for m in measures[g]} for g in shown}
    every = [m for g in shown for m in measures[g]]
    metrics = {m.metric: m for m in reversed(every)}
    order = dict.fromkeys(m.metric for m in every)
    missing: dict[str, list[str]] = {}
    noted: dict[str, list[str]] = {}
    protocols: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    kept = [k for k in order if any(m.value is not None for m in every if m.metric == k)]
    for k in order:
        whys = dict.fromkeys(m.reason for m in every if m.metric == k and m.reason)
        if k not in kept:
            missing.setdefault("; ".join(whys), []).append(k)
    for k in kept:
        valued = [m for m in every if m.metric == k and m.value is not None]
        # Too few clips for an interval are too few for other metrics, which give that reason.
        if why := "; ".join(dict.fromkeys(m.reason for m in valued if m.reason and m.reason not in missing)):
            noted.setdefault(why, []).append(k)
        # Numbers of clips are part of the protocol: a plug-in depends on them.
        used: dict[str, list[str]] = {}
        for g in shown:
            if (m := by_name[g].get(k)) and m.value is not None and m.protocol:
                used.setdefault(f"{m.protocol} clips={_clips(m)}", []).append(g)
        for protocol, of in used.items():
            protocols.setdefault((protocol, tuple(of) if len(used) > 1 else ()), []).append(k)
    lines = [
        (k, "higher" if metrics[k].higher_is_better else "lower", *_cells([by_name[g].get(k) for g in shown]))
        for k in kept
    ]
    of_metrics = tuple(
        (f"{several(names)}{f' of {several(of)}' if of else ''}", protocol)
        for (protocol, of), names in protocols.items()
    )
    by_reason = [tuple((several(names), why) for why, names in reasons.items()) for reasons in (missing, noted)]
    return Sheet(shown, tuple(lines), by_reason[0], of_metrics, by_reason[1])


def _cells(measures: Sequence[Measure | None]) -> list[Cell]:
    """Return the cells of a row, with the numbers of clips where they differ."""
    differ = len({m.n for m in measures if m and m.value is not None}) > 1
    return [
        replace(measured(m), notes=(f"{_clips(m)} clips",)) if differ and m and m.value is not None else measured(m)
        for m in measures
    ]


def _clips(m: Measure) -> str:
    return "/".join(map(str, m.n))


def measured(m: Measure | None) -> Cell:
    """Return a measure as a cell."""
    if m is None or m.value is None:
        return Cell((m.reason if m else "") or "–", absent=True)
    return interval(m.value, m.low, m.high, figure)


def markdown(shown: Sheet) -> str:
    """Return a suite's measures as Markdown."""
    return "\n\n".join(blocks(shown.blocks("Fidelity")))


def table(rows: Sequence[Measure]) -> str:
    """Return measures of one set as Markdown: value, interval, clips and limitations, and their protocols below."""
    head = ["metric", "value", "95% interval", "better", "clips", "note"]
    cells = []
    for r in rows:
        value = "unavailable" if r.value is None else f"{r.value:.4g}"
        ends = span(r.low, r.high, lambda v: f"{v:.4g}").strip("[]").replace(", ", " to ")
        better = "higher" if r.higher_is_better else "lower"
        cells.append([r.metric, value, ends, better, " / ".join(map(str, r.n)), r.reason])
    protocols = [f"- {r.metric}: `{r.protocol}`" for r in rows if r.protocol and r.value is not None]
    return "\n".join([pipe(head, cells), "", *protocols])
