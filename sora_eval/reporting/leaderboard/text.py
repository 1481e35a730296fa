"""A leaderboard as CSV for programs and as Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from sora_eval.reporting.components.html import figure, p_value, signed
from sora_eval.reporting.components.text import (
    BETWEEN_SAMPLES,
    FIRST_SAMPLES,
    escape,
    fence,
    pipe,
    sampling_table,
    score,
    unjudgeable,
)
from sora_eval.reporting.leaderboard.entrants import Field
from sora_eval.reporting.leaderboard.fidelity import Figures, Measured
from sora_eval.reporting.leaderboard.page import span
from sora_eval.reporting.leaderboard.standing import Standing, holds
from sora_eval.reporting.leaderboard.tracking import BoardTracking, csv_rows, section
from sora_eval.stats.paired import Difference
from sora_eval.stats.summary import Cell
from sora_eval.types import Measure

COLUMNS = (
    *("model", "kind", "level", "suite", "probe", "measure", "value", "low", "high", "higher_is_better"),
    *("n", "judged", "unjudgeable", "unjudgeable_share", "judged_mean", "chance", "rank_best", "rank_worst"),
    *("against", "difference", "difference_low", "difference_high", "p_value", "p_adjusted", "holds", "detectable"),
    *("clusters", "seeds", "samples", "protocol", "reason", "technical"),
)
_LISTED = 40
"""Lines of differences in leaderboard.md; leaderboard.csv has all of them."""


def csv(field: Field, standing: Standing, measures: Sequence[Measured], tracking: BoardTracking | None = None) -> str:
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
            "rank_best": best,
            "rank_worst": worst,
            "seeds": seeds[cell.generator],
        }
        yield {**row, **_difference(standing, standing.difference(cell))}


def _sampling(standing: Standing, seeds: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield what several samples tell beyond their mean, under measures of their own: programs that want scores don't meet them."""
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


def _measure(found: Measured) -> dict[str, Any]:
    m = found.measure
    return {
        "model": found.label,
        "kind": found.kind,
        "level": "fidelity",
        "suite": found.suite,
        "measure": m.metric,
        "value": m.value,
        "low": m.low,
        "high": m.high,
        "higher_is_better": m.higher_is_better,
        "n": "/".join(map(str, m.n)),
        "seeds": found.seed,
        "protocol": m.protocol,
        "reason": m.reason,
    }


def markdown(
    title: str,
    command: str,
    field: Field,
    standing: Standing,
    figures: Figures | None,
    tracking: BoardTracking | None = None,
) -> str:
    """Return the leaderboard as Markdown, the command that made it above."""
    summary = standing.summary
    notes = [*field.notes, *(f"problem: {p}" for p in field.problems)]
    parts = [f"# {escape(title)}", "Made by:", fence(command)]
    if notes:
        parts.append("\n".join(f"- {escape(note)}" for note in notes))
    parts += ["## Scores", _about(standing)]
    levels = [("", ""), *((s, "") for s in summary.suites)][len(summary.suites) < 2 :]
    parts.append(_table(standing, levels, ["rank"], ["unjudged", "mean of judged"]))
    for suite in summary.suites:
        parts += [f"## {escape(suite)}", _table(standing, [(suite, p) for p in summary.probes(suite)], [], [])]
    if standing.differences:
        parts += [f"## Differences from {escape(standing.against)}", *_differences(standing)]
    if summary.sampling:
        parts += ["## Between the samples of a prompt", BETWEEN_SAMPLES, sampling_table(summary)]
    if figures is not None:
        parts += ["## Fidelity", *([FIRST_SAMPLES] if summary.sampling else []), *_fidelity(figures)]
    parts += section(tracking)
    return "\n\n".join(parts) + "\n"


def _about(standing: Standing) -> str:
    text = (
        "Score [95% interval]; a clip that could not be judged counts as 0. A suite is the mean over its probes, overall is the mean "
        "over the suites. In (): the ranks that the scores leave to a model, all pairs at once with 95%."
    )
    if standing.summary.sampling:
        text += f" {standing.summary.samples} samples per prompt: a case's score is their mean."
    if not standing.against:
        return text
    marks = f"▼ ▲: below or above {escape(standing.against)}, ≈: no difference from it is shown"
    return f"{text} {marks} (paired by case, clustered by scene, Holm over all models and columns of a level)."


def _table(standing: Standing, levels: Sequence[tuple[str, str]], first: Sequence[str], last: Sequence[str]) -> str:
    summary = standing.summary
    head = ["model", *first, *(probe or suite or "overall" for suite, probe in levels), *last]
    order = [*standing.models, *standing.failed, *(g for g in summary.generators if summary.kind(g) != "model")]
    rows = []
    for label in order:
        overall = summary.get(label)
        assert overall is not None
        kind = "" if overall.kind == "model" or overall.kind == label else f" ({overall.kind})"
        ranks = standing.rank(overall)
        start = [span(*ranks) if ranks else ""] if first else []
        judged = "-" if overall.judged_mean is None else f"{overall.judged_mean:.2f}"
        end = [unjudgeable(overall), judged] if last else []
        rows.append([label + kind, *start, *(_cell(standing, summary.get(label, *level)) for level in levels), *end])
    return pipe(head, rows)


def _cell(standing: Standing, cell: Cell | None) -> str:
    if cell is None:
        return "-"
    d, ranks = standing.difference(cell), standing.rank(cell)
    mark = "" if d is None else " ≈" if not holds(d) else " ▼" if d.mean < 0 else " ▲"
    rank = f" ({span(*ranks)})" if ranks and (cell.suite or cell.probe) and len(standing.models) > 1 else ""
    return f"{score(cell)}{mark}{rank}"


def _differences(standing: Standing) -> Iterator[str]:
    head = ["model", "suite", "probe", "difference", "p, corrected", "holds", "detectable", "cases", "scenes"]
    # What matters most first: all suites, then a suite, then those probes whose difference holds.
    every = [(m, d) for (m, _, _), d in standing.differences.items() if not d.probe or holds(d)]
    every.sort(key=lambda item: bool(item[1].suite) + bool(item[1].probe))
    rows = [
        [
            *(model, d.suite or "overall", d.probe or "all"),
            f"{signed(d.mean)} [{signed(d.low)}, {signed(d.high)}]",
            *(p_value(d.adjusted), "yes" if holds(d) else "no", f"{d.detectable:.2f}", str(d.n), str(d.clusters)),
        ]
        for model, d in every[:_LISTED]
    ]
    yield pipe(head, rows)
    more = f" {len(every) - _LISTED} further lines are left out." if len(every) > _LISTED else ""
    yield f"Of probes, only differences that hold.{more} leaderboard.csv has all of them."


def _fidelity(figures: Figures) -> Iterator[str]:
    names = [
        f"{c.metric}{f' (protocol {c.number})' if c.number else ''}, {'higher' if c.higher_is_better else 'lower'} is better"
        for c in figures.columns
    ]
    rows = [
        [
            f"{label} (seed {seed})" if figures.seeds > 1 else label,
            *(_figure(figures.cells.get((label, seed, c))) for c in figures.columns),
        ]
        for label, seed, _ in figures.rows
    ]
    yield pipe(["model", *names], rows)
    if figures.absent:
        yield "Not measured: " + "; ".join(
            f"{escape(m)} ({escape(why)})" if why else escape(m) for m, why in figures.absent
        )
    lines = (
        f"- {escape(name.partition(', ')[0])}: `{c.protocol}`" for name, c in zip(names, figures.columns, strict=True)
    )
    yield "Protocols:\n\n" + "\n".join(lines)


def _figure(m: Measure | None) -> str:
    if m is None or m.value is None:
        return "-"
    return figure(m.value) + (
        f" [{figure(m.low)}, {figure(m.high)}]" if m.low is not None and m.high is not None else ""
    )
