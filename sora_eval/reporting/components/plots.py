"""Geometry of the report's plots: everything in per cent of the axis, so that a plot fits any width without scaling its text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sora_eval.stats.summary import Cell, Summary

COLOURS = 8
SHAPES = ("circle", "square", "diamond", "triangle")


@dataclass(frozen=True)
class Axis:
    """A linear axis from low to high, at least 0 to 1."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Return where a value lies, in per cent; an infinite end of an interval lies on the axis' own."""
        return round(100 * (min(max(value, self.low), self.high) - self.low) / (self.high - self.low), 2)

    @property
    def ticks(self) -> tuple[tuple[float, str], ...]:
        """(per cent, label) of five ticks."""
        values = [self.low + (self.high - self.low) * i / 4 for i in range(5)]
        return tuple((self.at(v), f"{v:.2f}") for v in values)


@dataclass(frozen=True)
class Bar:
    """A score from zero with its interval and what to compare it with; per cent, None where there is no such mark."""

    start: float
    width: float
    low: float
    high: float
    chance: float
    ceiling: float | None
    floor: float | None


@dataclass(frozen=True)
class Dot:
    """One generator on one probe; series picks colour and shape."""

    cell: Cell
    series: int
    shape: str
    at: float
    low: float
    high: float


@dataclass(frozen=True)
class Lane:
    """One probe of a dot plot, with its reference marks."""

    probe: str
    dots: tuple[Dot, ...]
    chance: float
    ceiling: float | None
    floor: float | None


def axis(cells: Sequence[Cell]) -> Axis:
    """Return the axis that holds every score and interval; 0 to 1 unless a probe's unit leaves it."""
    ends = [v for c in cells for v in (c.low, c.high, c.score) if math.isfinite(v)]
    return Axis(min(0.0, *ends), max(1.0, *ends))


def bar(summary: Summary, cell: Cell, scale: Axis) -> Bar:
    """Return the bar of a cell."""
    ceiling, floor = summary.ceiling(cell.suite, cell.probe), summary.floor(cell.suite, cell.probe)
    left, right = sorted((scale.at(0.0), scale.at(cell.score)))
    return Bar(
        start=left,
        width=round(right - left, 2),
        low=scale.at(cell.low),
        high=scale.at(cell.high),
        chance=scale.at(0.0),
        ceiling=scale.at(ceiling.score) if ceiling else None,
        floor=scale.at(floor.score) if floor else None,
    )


def series(summary: Summary) -> tuple[str, ...]:
    """Return the generators that get a dot: the models, or everything in a run without models."""
    return summary.of_kind("model") or summary.generators


def shape(index: int) -> str:
    """Return the marker of a series; colour and shape together repeat only after 32."""
    return SHAPES[(index + index // COLOURS) % len(SHAPES)]


def lanes(summary: Summary, suite: str, scale: Axis, names: Sequence[str] = ()) -> tuple[Lane, ...]:
    """Return the dot plot of a suite. names: the generators that get a dot, those of `series` by default."""
    found = []
    for probe in summary.probes(suite):
        every = ((i, summary.get(g, suite, probe)) for i, g in enumerate(names or series(summary)))
        cells = [(i, c) for i, c in every if c and not c.failed]
        if not cells:
            continue
        ceiling, floor = summary.ceiling(suite, probe), summary.floor(suite, probe)
        dots = (Dot(c, i % COLOURS, shape(i), scale.at(c.score), scale.at(c.low), scale.at(c.high)) for i, c in cells)
        found.append(
            Lane(
                probe,
                tuple(dots),
                scale.at(0.0),
                scale.at(ceiling.score) if ceiling else None,
                scale.at(floor.score) if floor else None,
            )
        )
    return tuple(found)
