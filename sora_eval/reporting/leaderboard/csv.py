"""A leaderboard as CSV for programs: a row per model and cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from sora_eval.reporting.leaderboard.entrants import Field
from sora_eval.reporting.leaderboard.fidelity import Measured
from sora_eval.reporting.leaderboard.standing import Standing, holds
from sora_eval.reporting.leaderboard.tracking import csv_rows
from sora_eval.reporting.report.tracking import TrackingSummary
from sora_eval.stats.paired import Difference

COLUMNS = (
    *("model", "kind", "level", "suite", "probe", "measure", "value", "low", "high", "higher_is_better"),
    *("n", "judged", "unjudgeable", "unjudgeable_share", "judged_mean", "chance", "rank_best", "rank_worst"),
    *("against", "difference", "difference_low", "difference_high", "p_value", "p_adjusted", "holds", "detectable"),
    *("clusters", "seeds", "samples", "protocol", "reason", "technical"),
)


def csv(field: Field, standing: Standing, measures: Sequence[Measured], tracking: TrackingSummary) -> str:
    """Return one row per model and cell: scores of every level first, then the measures of fidelity, then tracking metrics."""
    seeds = {e.label: ", ".join(s for s in e.runs if s) for e in field.entrants}
    rows = [
        *_scores(standing, seeds),
        *_sampling(standing, seeds),
        *(_measure(m) for m in measures),
        *csv_rows(tracking),
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    # Whole numbers with gaps would become 1.0.
    counts = ("judged", "unjudgeable", "technical", "rank_best", "rank_worst", "clusters", "samples")
    whole = dict.fromkeys(counts, "Int64")
    return table.astype(whole).to_csv(index=False, lineterminator="\n", na_rep="")


def _scores(standing: Standing, seeds: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for cell in standing.summary.cells:
        best, worst = standing.rank(cell) or (None, None)
        row = {
            **vars(cell),
            "model": cell.generator,
            "level": cell.level,
            "measure": "score",
            "value": None if cell.failed else cell.score,
            "higher_is_better": True,
            "unjudgeable_share": cell.unjudgeable / cell.n,
            **({"low": None, "high": None, "reason": "failed technically"} if cell.failed else {}),
            **({"reason": f"not ranked: {why}"} if (why := standing.unranked.get(cell.generator)) else {}),
            "rank_best": best,
            "rank_worst": worst,
            "seeds": seeds[cell.generator],
        }
        yield {**row, **_difference(standing, standing.difference(cell))}


def _sampling(standing: Standing, seeds: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield deviation and best of K of several samples per prompt, as measures of their own: they are no scores."""
    summary = standing.summary
    for s in summary.sampling:
        row: dict[str, Any] = {
            "model": s.generator,
            "kind": summary.kind(s.generator),
            "level": "samples",
            "suite": s.suite,
            "probe": s.probe,
        }
        row |= {"n": s.cases * s.samples, "seeds": seeds[s.generator], "samples": s.samples}
        spread = {"value": s.deviation, "low": s.deviation_low, "high": s.deviation_high}
        yield {**row, "measure": "deviation between samples", **spread}
        top = {"value": s.best, "low": s.best_low, "high": s.best_high, "higher_is_better": True}
        yield {**row, "measure": f"best of {s.samples}", **top}


def _difference(standing: Standing, d: Difference | None) -> dict[str, Any]:
    if d is None:
        return {}
    return {
        "against": standing.against,
        "difference": d.mean,
        "difference_low": d.low,
        "difference_high": d.high,
        "p_value": d.p_value,
        "p_adjusted": d.adjusted,
        "holds": holds(d),
        "detectable": d.detectable,
        "clusters": d.clusters,
    }


def _measure(measured: Measured) -> dict[str, Any]:
    m = measured.measure
    return {
        "model": measured.label,
        "kind": measured.kind,
        "level": "fidelity",
        "suite": measured.suite,
        "measure": m.metric,
        "value": m.value,
        "low": m.low,
        "high": m.high,
        "higher_is_better": m.higher_is_better,
        "n": "/".join(map(str, m.n)),
        "seeds": measured.seed,
        "protocol": m.protocol,
        "reason": m.reason,
    }
