"""Cells and tables of the validity card in Markdown; no text of users is in them, so they may be bold or emphasised."""

from __future__ import annotations

from collections.abc import Sequence

from sora_eval.validity.detection import MIN_AUC, Detection, DoseResponse


def marked(value: float, least: float) -> str:
    """Return a value, bold where it falls short."""
    return f"{value:.2f}" if value >= least else f"**{value:.2f}**"


def auc_of(row: Detection) -> str:
    """Return an AUC with its interval, bold where it falls short."""
    if row.auc is None or row.auc_low is None or row.auc_high is None:
        return "*unavailable*"
    short = not row.passed or (row.nuisance and row.auc < MIN_AUC)
    return f"{f'**{row.auc:.2f}**' if short else f'{row.auc:.2f}'} [{row.auc_low:.2f}, {row.auc_high:.2f}]"


def hardest(rows: Sequence[Detection]) -> Detection:
    """Return the row with the lowest AUC."""
    return min(rows, key=lambda r: -1.0 if r.auc is None else r.auc)


def cell(rows: Sequence[Detection]) -> str:
    """Return the AUC of the mode in which it is lowest, and the mean value of the clips there."""
    if not rows:
        return ""
    worst = hardest(rows)
    text = auc_of(worst) if worst.mean is None else f"{auc_of(worst)} ({number(worst.mean)})"
    return f"*known blind spot* {text}" if worst.blind_spot and not worst.passed else text


def number(value: float) -> str:
    """Return a value in two decimals, or three digits where it is large."""
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.3g}"


def threshold_of(dose: DoseResponse) -> str:
    """Return the detection threshold; a miss is bold."""
    return f"**{dose.verdict}**" if dose.missed else dose.verdict


def p_text(value: float | None) -> str:
    """Return a p-value."""
    return "" if value is None else f"{value:.3f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose cells may be bold or emphasised: no text of users is in them."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
