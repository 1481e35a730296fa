"""Figures of fidelity as a table."""

from __future__ import annotations

from collections.abc import Sequence

from sora_eval.dose import SEVERITIES, Response
from sora_eval.fidelity import Measure
from sora_eval.reporting.text import pipe


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


def dose_table(rows: Sequence[Response]) -> str:
    """Return responses as Markdown: a row per encoder and damage, the value at each severity, and how steadily it grows."""
    head = ["encoder", "damage", *(f"{s:g}" for s in SEVERITIES), "Spearman", ""]
    cells = []
    for r in rows:
        told = ("" if r.claimed else "not claimed") if r.good else "missed"
        values = [f"{v:.3g}" for v in r.values]
        cells.append([r.encoder, f"{r.damage.name} ({r.damage.kind})", *values, f"{r.rho:.2f}", told])
    return pipe(head, cells)
