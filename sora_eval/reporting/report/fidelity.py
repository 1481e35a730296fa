"""Figures of fidelity as tables: of one set, and of a run's generators side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sora_eval.reporting.components.text import escape, pipe
from sora_eval.types import Measure

_NOTHING = 1e-9


@dataclass(frozen=True)
class Line:
    """A metric of several generators. better: which way is good. cells: (value, interval, why there is none), each perhaps ""."""

    metric: str
    better: str
    cells: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Sheet:
    """The measures of a suite.

    generators: columns. lines: a row per metric. missing: metrics without any value, and why. protocols: by metrics. notes: what one has to
    know of metrics with a value.
    """

    generators: tuple[str, ...]
    lines: tuple[Line, ...]
    missing: tuple[tuple[str, str], ...]
    protocols: tuple[tuple[str, str], ...]
    notes: tuple[tuple[str, str], ...] = ()


def sheet(found: Mapping[str, Sequence[Measure]], generators: Sequence[str]) -> Sheet:
    """Return the measures of a suite, with generators in a given order."""
    shown = tuple(g for g in generators if g in found)
    by_name = {g: {m.metric: m for m in found[g]} for g in shown}
    every = {m.metric: m for g in reversed(shown) for m in reversed(found[g])}
    metrics = dict.fromkeys(m.metric for g in shown for m in found[g])
    lines = [
        Line(k, "higher" if every[k].higher_is_better else "lower", tuple(_cell(by_name[g].get(k)) for g in shown))
        for k in metrics
    ]
    kept = tuple(line for line in lines if any(value for value, _, _ in line.cells))
    missing: dict[str, list[str]] = {}
    for line in lines:
        if line not in kept:
            missing.setdefault("; ".join(dict.fromkeys(why for _, _, why in line.cells if why)), []).append(line.metric)
    # Numbers of clips are said with the protocol: a plug-in depends on them.
    said = {m.metric: f"{m.protocol} clips={'/'.join(map(str, m.n))}" for g in shown for m in found[g] if m.protocol}
    names = [line.metric for line in kept]
    absent = tuple((_several(some), why) for why, some in missing.items())
    protocols: dict[str, list[str]] = {}
    for k in names:
        if k in said:
            protocols.setdefault(said[k], []).append(k)
    noted: dict[str, list[str]] = {}
    for k in names:
        whys = dict.fromkeys(m.reason for g in shown if (m := by_name[g].get(k)) and m.value is not None and m.reason)
        # Too few clips for an interval are too few for other metrics, which say so.
        if why := "; ".join(w for w in whys if w not in missing):
            noted.setdefault(why, []).append(k)
    notes = tuple((_several(some), why) for why, some in noted.items())
    return Sheet(shown, kept, absent, tuple((_several(some), how) for how, some in protocols.items()), notes)


def _several(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _cell(measure: Measure | None) -> tuple[str, str, str]:
    if measure is None:
        return "", "", ""
    if measure.value is None:
        return "", "", measure.reason
    span = "" if measure.low is None or measure.high is None else f"[{_number(measure.low)}, {_number(measure.high)}]"
    return _number(measure.value), span, ""


def _number(value: float) -> str:
    # What rounding leaves of nothing is nothing.
    return "0" if abs(value) < _NOTHING else f"{value:.3g}"


def markdown(shown: Sheet) -> str:
    """Return a suite's measures as Markdown."""
    head = ["metric", "better", *shown.generators]
    cells = [
        [x.metric, x.better, *(f"{v} {span}".strip() or "unavailable" for v, span, _ in x.cells)] for x in shown.lines
    ]
    missing = [f"- {escape(names)}: {escape(why)}" for names, why in shown.missing]
    said = [f"- {escape(names)}: `{said}`" for names, said in shown.protocols]
    notes = [f"- {escape(names)}: {escape(why)}" for names, why in shown.notes]
    parts = [
        pipe(head, cells),
        *(["", "Not measured:", "", *missing] if missing else []),
        *(["", "Notes:", "", *notes] if notes else []),
    ]
    return "\n".join([*parts, "", "Protocols:", "", *said])


def table(rows: Sequence[Measure]) -> str:
    """Return measures as Markdown: value, interval, clips and what has to be known, and their protocols below."""
    head = ["metric", "value", "95% interval", "better", "clips", "note"]
    cells = []
    for r in rows:
        value = "unavailable" if r.value is None else f"{r.value:.4g}"
        span = "" if r.low is None or r.high is None else f"{r.low:.4g} to {r.high:.4g}"
        better = "higher" if r.higher_is_better else "lower"
        cells.append([r.metric, value, span, better, " / ".join(map(str, r.n)), r.reason])
    protocols = [f"- {r.metric}: `{r.protocol}`" for r in rows if r.protocol and r.value is not None]
    return "\n".join([pipe(head, cells), "", *protocols])
