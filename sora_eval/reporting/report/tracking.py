"""Tracking metrics of a run: means with intervals by probe, suite and generator, and as tables.

A probe's value is the mean over its clips on which the metric is defined; a suite's is the mean over its probes that have one, overall is
the mean over suites, as scores are averaged. Intervals are Student's, clustered by scene within each probe.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from sora_eval.reporting.components.numbers import figure
from sora_eval.reporting.components.page import Block, Facts, Fold, Note
from sora_eval.reporting.components.table import Cell, Column, Table, interval, table
from sora_eval.runs.tracking import TrackingRow
from sora_eval.stats.intervals import LEVEL
from sora_eval.stats.paired import against_zero, mean_interval
from sora_eval.stats.summary import KINDS
from sora_eval.tracking.base import HUE_VERSION as TRACKER_VERSION
from sora_eval.tracking.metrics import BY_NAME, METRICS, PROTOCOL, Metric

_CAPTION = (
    "mean [95% interval, clustered by scene]; the oracle's clips are the ceiling of the tracker itself, the controls are the floor. A "
    "clip on which a metric is not defined does not count, and the number of the others is given. With given frames (i2v, v2v) against "
    "the true clip, with words alone (t2v) of the clip by itself."
)
PROTOCOLS = (
    f"tracker: of the run (versions.tracker in its manifest); the world tracker has version {TRACKER_VERSION}",
    *PROTOCOL,
)


@dataclass(frozen=True)
class TrackingCell:
    """One metric of one generator on a probe, a suite or overall."""

    generator: str
    """Name of the generator."""
    kind: str
    """"model", "oracle", "control" or "violation"."""
    suite: str
    """"" for overall."""
    probe: str
    """"" for a suite or overall."""
    metric: str
    """Name of the metric."""
    n: int
    """Clips on which the metric is defined."""
    clips: int
    """All clips of the cell."""
    value: float
    """Mean, in the metric's unit."""
    low: float | None
    """Lower end of its 95% interval, None where the spread is unknown."""
    high: float | None
    """Upper end of its 95% interval, None where the spread is unknown."""

    @property
    def level(self) -> str:
        """Which level the cell is of."""
        return "probe" if self.probe else "suite" if self.suite else "overall"


@dataclass(frozen=True)
class TrackingSummary:
    """Tracking metrics of a run."""

    cells: tuple[TrackingCell, ...]
    """Means by generator, level and metric."""
    clips: Mapping[tuple[str, str], Mapping[str, float]]
    """Metrics of each clip by (generator, case)."""

    @cached_property
    def _index(self) -> dict[tuple[str, str, str, str], TrackingCell]:
        return {(c.generator, c.suite, c.probe, c.metric): c for c in self.cells}

    def get(self, generator: str, metric: str, suite: str = "", probe: str = "") -> TrackingCell | None:
        """Return a cell, None where the metric is defined on no clip there."""
        return self._index.get((generator, suite, probe, metric))

    @property
    def generators(self) -> tuple[str, ...]:
        """Names: models first, then the oracle, controls and violations."""
        kinds = {c.generator: c.kind for c in self.cells}
        return tuple(sorted(kinds, key=lambda g: KINDS.index(kinds[g]) if kinds[g] in KINDS else len(KINDS)))

    @property
    def suites(self) -> tuple[str, ...]:
        """Suite names, sorted."""
        return tuple(sorted({c.suite for c in self.cells if c.suite}))

    def probes(self, suite: str) -> tuple[str, ...]:
        """Return the names of a suite's probes, sorted."""
        return tuple(sorted({c.probe for c in self.cells if c.suite == suite and c.probe}))

    def to_json(self) -> dict[str, Any]:
        """Return JSON values: a list of cells per level, with what the numbers depend on."""
        rows = [(c.level, {k: v for k, v in asdict(c).items() if v != ""}) for c in self.cells]
        return {
            "protocol": list(PROTOCOLS),
            "interval": {"level": LEVEL, "n_boot": 0, "seed": 0, "method": "Student's over clusters"},
            "metrics": [
                {"name": m.name, "higher_is_better": m.higher, "unit": m.unit, "needs_truth": m.truth} for m in METRICS
            ],
            **{level: [row for at, row in rows if at == level] for level in ("overall", "suite", "probe")},
        }


def summarise(rows: Iterable[TrackingRow]) -> TrackingSummary:
    """Return the means and intervals of the clips of a run, or of several."""
    by_generator: dict[str, list[TrackingRow]] = {}
    clips: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        by_generator.setdefault(row.generator, []).append(row)
        clips[row.generator, row.case] = {k: v for k, v in row.values.items() if v is not None}
    cells = [c for own in by_generator.values() for m in METRICS for c in _cells(own, m)]
    order = {"overall": 0, "suite": 1, "probe": 2}
    return TrackingSummary(tuple(sorted(cells, key=lambda c: order[c.level])), clips)


def _cells(rows: Sequence[TrackingRow], metric: Metric) -> Iterator[TrackingCell]:
    """Yield one metric's cells of one generator."""
    due = [r for r in rows if (r.mode in ("i2v", "v2v")) == metric.truth]
    defined = [(r, v) for r in due if (v := r.values.get(metric.name)) is not None]
    if not defined:
        return
    of, values = [r for r, _ in defined], np.array([v for _, v in defined])
    pairs = against_zero(of, values, np.ones_like(values))
    for suite, probe in pairs.rows:
        weights = pairs.weights(suite, probe)
        clips = sum((not suite or r.suite == suite) and (not probe or r.probe == probe) for r in due)
        scaled = metric.bounds == (0.0, 1.0)
        mean, low, high = astuple(mean_interval(pairs, weights, scaled))
        ends = _within(metric, mean, low, high) if scaled or low < high else (None, None)
        n = int((weights > 0).sum())
        yield TrackingCell(of[0].generator, of[0].kind, suite, probe, metric.name, n, clips, mean, *ends)


def _within(metric: Metric, mean: float, low: float, high: float) -> tuple[float, float]:
    """Return the ends of an interval that are possible for a metric, around the mean."""
    least, greatest = metric.bounds or (-np.inf, np.inf)
    return min(max(low, least), mean), max(min(high, greatest), mean)


def blocks(summary: TrackingSummary, generators: Sequence[str] = (), absent: Sequence[str] = ()) -> tuple[Block, ...]:
    """Return what a page shows, generators in a given order; () where nothing was measured. absent: models without tracking metrics."""
    shown = tuple(g for g in dict.fromkeys(generators or summary.generators) if g in summary.generators)
    if not shown:
        return ()
    several = len(summary.suites) > 1
    have = {c.metric for c in summary.cells}
    legend = [
        (f"{m.name} ({_better(m)} is better)", f"{m.meaning}{'' if m.truth else '; needs no true clip'}")
        for m in METRICS
        if m.name in have
    ]
    folds = [
        Fold(
            f"{suite}: tracking metrics",
            (
                *([_table(summary, shown, suite)] if several else []),
                _table(summary, shown, suite, summary.probes(suite)),
            ),
        )
        for suite in summary.suites
    ]
    return (
        # Of one suite, all suites together are the same again.
        _table(summary, shown, "" if several else summary.suites[0]),
        *([Note(f"Not measured: {', '.join(absent)}.")] if absent else []),
        Facts("Definitions of the tracking metrics", tuple(legend), code=False),
        Facts("Protocol of the tracking metrics", tuple(("protocol", p) for p in PROTOCOLS)),
        *folds,
    )


def _table(summary: TrackingSummary, generators: Sequence[str], suite: str, probes: Sequence[str] = ()) -> Table:
    """Return the metrics of a suite, "" for all suites, or of each of its probes."""
    rows = []
    for probe in probes or [""]:
        for m in METRICS:
            cells = [summary.get(g, m.name, suite, probe) for g in generators]
            if any(cells):
                unit = f" ({m.unit})" if m.unit else ""
                texts = [f"{m.name}{unit}", *([probe] if probes else []), _better(m)]
                rows.append([*map(Cell, texts), *map(_shown, cells)])
    name = f"{suite or 'All suites'}{' by probe' if probes else ''}"
    caption = f"{name}: {_CAPTION}" if not probes else f"{name}: mean [95% interval]."
    texts = ["Tracking metric", *(["Probe"] if probes else []), "Better"]
    columns = (*map(Column, texts), *(Column(g, "cell") for g in generators))
    shown = table(f"{name}: tracking metrics", caption, columns, rows)
    # By probe it is too long for a pull request; tracking.json and leaderboard.csv have it.
    return replace(shown, page_only=bool(probes))


def _better(metric: Metric) -> str:
    return "higher" if metric.higher else "lower"


def _shown(cell: TrackingCell | None) -> Cell:
    """Return a cell of a table, with the number of clips where the metric is not defined on all."""
    if cell is None:
        return Cell("–", absent=True)
    notes = (f"{cell.n} of {cell.clips} clips",) if cell.n < cell.clips else ()
    return replace(interval(cell.value, cell.low, cell.high, figure), notes=notes)


def scalars(summary: TrackingSummary, generator: str) -> Iterator[tuple[str, float]]:
    """Yield what an experiment tracker gets: "tracking/SUITE/PROBE/METRIC" with its interval's ends; "all" where a name is left out."""
    for c in summary.cells:
        if c.generator == generator:
            where = "/".join(part for part in (c.suite, c.probe or "all") if part)
            name = BY_NAME[c.metric].name.replace(",", "").replace(" ", "_")
            yield f"tracking/{where}/{name}", c.value
            if c.low is not None and c.high is not None:
                yield f"tracking_low/{where}/{name}", c.low
                yield f"tracking_high/{where}/{name}", c.high
