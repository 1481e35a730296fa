"""Tracking metrics on a leaderboard: a table of its own, a row per metric and a column per model, seeds pooled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sora_eval.reporting.components.text import escape
from sora_eval.reporting.leaderboard.entrants import Entrant, Field
from sora_eval.reporting.report.tracking import (
    PROTOCOLS,
    TrackingPage,
    TrackingSummary,
    legend,
    make_page,
    markdown,
    summarise,
)
from sora_eval.runs.tracking import TrackingRow, read_tracking
from sora_eval.tracking.metrics import BY_NAME


@dataclass(frozen=True)
class BoardTracking:
    """Every cell, and the page's table. absent: models without tracking metrics."""

    summary: TrackingSummary
    page: TrackingPage
    absent: tuple[str, ...]


def tracked(field: Field, order: Sequence[str]) -> BoardTracking | None:
    """Return the tracking metrics of the field's clips, those that are compared alone; None where no run measured any.

    order: labels from the first column to the last.

    Raises:
        ConfigError: a run's file can't be read.
    """
    by = {e.label: list(_rows(e)) for e in field.entrants}
    summary = summarise(row for rows in by.values() for row in rows)
    page = make_page(summary, order)
    absent = tuple(e.label for e in field.models if not by[e.label])
    return None if page is None else BoardTracking(summary, page, absent)


def _rows(entrant: Entrant) -> Iterator[TrackingRow]:
    wanted = {r.case: r for r in entrant.rows}
    for seed, run in entrant.runs.items():
        for row in read_tracking(run.folder):
            # Cases of several seeds are told apart by the seed behind their id, as scores are.
            found = wanted.get(row.case) or wanted.get(f"{row.case}@{seed}")
            if row.generator == entrant.name and found is not None:
                yield replace(row, case=found.case, cluster=found.cluster, generator=entrant.label)


def csv_rows(found: BoardTracking | None) -> Iterator[dict[str, Any]]:
    """Yield the lines of leaderboard.csv."""
    for c in () if found is None else found.summary.cells:
        yield {
            "model": c.generator,
            "kind": c.kind,
            "level": f"tracking {c.level}",
            "suite": c.suite,
            "probe": c.probe,
            "measure": c.metric,
            "value": c.value,
            "low": c.low,
            "high": c.high,
            "higher_is_better": BY_NAME[c.metric].higher,
            "n": f"{c.n}/{c.clips}",
            # Once per model and metric: it is long.
            "protocol": "" if c.suite else "; ".join(PROTOCOLS),
        }


def section(found: BoardTracking | None) -> list[str]:
    """Return the parts of leaderboard.md."""
    if found is None:
        return []
    absent = [f"Not measured: {', '.join(escape(a) for a in found.absent)}."] if found.absent else []
    return ["## Tracking", markdown(found.page, found.page.whole.suite), *absent, legend(found.page)]
