"""Cells and tables of the validity card: the same text on the page and in Markdown, bold where it falls short."""

from __future__ import annotations

from collections.abc import Sequence

from sora_eval.reporting.components.marked import Marked
from sora_eval.reporting.components.table import Cell, Table, table
from sora_eval.validity.card import ValidityCard
from sora_eval.validity.detection import MIN_AUC, Detection, DoseResponse, Subject

_LEVELS = (MIN_AUC, 0.8, 0.6, 0.4)
"""Steps of the colours of AUC cells, h4 to h0."""


def marked(value: float, least: float) -> Marked:
    """Return a value, bold where it falls short."""
    return Marked(f"{value:.2f}" if value >= least else f"**{value:.2f}**")


def auc_of(row: Detection) -> Marked:
    """Return an AUC with its interval, bold where it falls short."""
    if row.auc is None or row.auc_low is None or row.auc_high is None:
        return Marked("*unavailable*")
    short = not row.passed or (row.nuisance and row.auc < MIN_AUC)
    return Marked(f"{f'**{row.auc:.2f}**' if short else f'{row.auc:.2f}'} [{row.auc_low:.2f}, {row.auc_high:.2f}]")


def hardest(rows: Sequence[Detection]) -> Detection:
    """Return the row with the lowest AUC."""
    return min(rows, key=lambda r: -1.0 if r.auc is None else r.auc)


def detection(rows: Sequence[Detection]) -> Cell:
    """Return the AUC of the mode in which it is lowest, and the mean value of the clips there; empty without rows."""
    if not rows:
        return Cell()
    worst = hardest(rows)
    text = auc_of(worst) if worst.mean is None else f"{auc_of(worst)} ({number(worst.mean)})"
    if worst.blind_spot and not worst.passed:
        text = f"*known blind spot* {text}"
    return Cell(Marked(text), style=f"h{sum((worst.auc or 0.0) >= least for least in _LEVELS)}")


def controls(card: ValidityCard, subjects: Sequence[Subject], head: Sequence[str], caption: str) -> Table:
    """Return the AUC of every control, a line per subject. head: columns before them, its name and for a metric its unit."""
    rows = [r for r in card.detections if r.kind == "control" and r.subject in {s.name for s in subjects}]
    names = list(dict.fromkeys(r.condition for r in rows))
    lines: list[list[str | Cell]] = []
    for s in subjects:
        cells = (detection([r for r in rows if (r.subject, r.condition) == (s.name, name)]) for name in names)
        lines.append([*(s.name, s.unit)[: len(head)], *cells])
    return table(
        f"AUC of controls: {', '.join(dict.fromkeys(s.suite for s in subjects))}", caption, [*head, *names], lines
    )


def number(value: float) -> str:
    """Return a value in two decimals, or three digits where it is large."""
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.3g}"


def correlation(dose: DoseResponse) -> str:
    """Return Spearman's correlation of severity and value."""
    return "flat" if dose.rho is None else f"{dose.rho:.2f}"


def threshold_of(dose: DoseResponse) -> Marked:
    """Return the detection threshold; a miss is bold."""
    return Marked(f"**{dose.verdict}**" if dose.missed else dose.verdict)


def p_text(value: float | None) -> str:
    """Return a p-value."""
    return "" if value is None else f"{value:.3f}"
