"""Tracking metrics on a leaderboard: a table of its own, a row per metric and a column per model, seeds pooled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from sora_eval.reporting.leaderboard.entrants import Entrant, Field, pooled_id
from sora_eval.reporting.report.tracking import PROTOCOLS, TrackingSummary, summarise
from sora_eval.runs.tracking import TrackingRow, read_tracking
from sora_eval.tracking.metrics import BY_NAME


def tracked(field: Field) -> TrackingSummary:
    """Return the tracking metrics of the field's clips, those that are compared alone.

    Raises:
        ConfigError: a run's file can't be read.
    """
    return summarise(row for e in field.entrants for row in _rows(e, len(field.seeds) > 1))


def _rows(entrant: Entrant, many: bool) -> Iterator[TrackingRow]:
    """Yield the rows of an entrant on the cases of its scores; many: whether seeds are pooled."""
    wanted = {r.case: r for r in entrant.rows}
    for seed, run in entrant.runs.items():
        # A line of tracking.jsonl names its case alone, whose number of the sample cases.jsonl has.
        ids = {c.id: pooled_id(c.id, seed, many, c.sample) for c in run.cases}
        for row in read_tracking(run.folder):
            score = wanted.get(ids.get(row.case, ""))
            if row.generator == entrant.name and score is not None:
                yield replace(row, case=score.case, cluster=score.cluster, generator=entrant.label)


def csv_rows(tracked: TrackingSummary) -> Iterator[dict[str, Any]]:
    """Yield the lines of leaderboard.csv."""
    for c in tracked.cells:
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
