"""Dose-response curves of the validity card as line plots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sora_eval.reporting.components.page import Fold
from sora_eval.reporting.components.plots import Axis, LinePlot, LinePlots, Marks, Point, down
from sora_eval.reporting.validity.cells import correlation, number
from sora_eval.validity.card import ValidityCard
from sora_eval.validity.detection import DoseResponse, Subject


def curves(card: ValidityCard, subjects: Sequence[Subject]) -> Iterator[Fold]:
    """Yield the curves of each suite: a row of plots per subject, a plot per fault."""
    for suite in dict.fromkeys(s.suite for s in subjects):
        rows = [
            LinePlots(
                tuple(curve(d, s) for d in doses), True, s.name, f"{s.description} ({s.kind}, value of a {s.unit})"
            )
            for s in subjects
            if s.suite == suite and (doses := [d for d in card.dose_responses if d.subject == s.name])
        ]
        yield Fold(f"Curves: {suite}", tuple(rows), f"{sum(len(r.items) for r in rows)} faults")


def curve(dose: DoseResponse, subject: Subject) -> LinePlot:
    """Return the mean value over severity, with its interval and the detection threshold."""
    lows = [m if v is None else v for v, m in zip(dose.lows, dose.means, strict=True)]
    highs = [m if v is None else v for v, m in zip(dose.highs, dose.means, strict=True)]
    axis = _axis(subject, min(lows), max(highs))
    points = tuple(
        Point(f"{number(mean)} at {s:g}", severity_x(s), down(axis.at(mean)), down(axis.at(low)), down(axis.at(high)))
        for s, mean, low, high in zip(dose.severities, dose.means, lows, highs, strict=True)
    )
    return LinePlot(
        dose.condition,
        points,
        tuple((down(at), label) for at, label in axis.ticks),
        Marks(down(axis.at(0.0)) if subject.kind == "probe" else None),
        "missed" if dose.missed else "",
        tuple((severity_x(s), f"{s:g}") for s in (0.0, 0.5, 1.0)),
        None if dose.threshold is None else severity_x(dose.threshold),
        f"threshold {dose.verdict} · Spearman {correlation(dose)}",
    )


def _axis(subject: Subject, low: float, high: float) -> Axis:
    if subject.kind == "probe":
        return Axis(*subject.bounds)
    return Axis(low, high) if high - low > 1e-9 else Axis(low - 0.5, high + 0.5)


def severity_x(severity: float) -> float:
    """Return where a severity lies on the horizontal axis of a plot, in per cent."""
    # To the left there is room for the labels of the vertical axis.
    return round(20 + 76 * severity, 2)
