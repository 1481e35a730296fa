"""The one model of plots: everything in per cent of the axis, so that a plot fits any width without scaling its text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from sora_eval.reporting.components import numbers
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
        return tuple((self.at(v), f"{v:.2f}".replace("-", "−")) for v in values)


@dataclass(frozen=True)
class Marks:
    """Where a blind guess, the oracle and the best control are, in per cent of an axis; None where there is no such mark."""

    chance: float
    ceiling: float | None = None
    floor: float | None = None


@dataclass(frozen=True)
class Bar:
    """A score from zero with its interval, in per cent."""

    start: float
    width: float
    low: float
    high: float
    marks: Marks


@dataclass(frozen=True)
class Key:
    """What symbols mean: (symbol, text, series) each. symbol: of `marks` in dots.html.j2; series: -1 where no colour stands for it."""

    kind: ClassVar[str] = "key"
    entries: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True)
class Dot:
    """A value with its interval. text: in words. series: picks the colour; shape: of `marks` in dots.html.j2."""

    text: str
    at: float
    low: float
    high: float
    series: int
    shape: str


@dataclass(frozen=True)
class Lane:
    """A line of a dot plot, one below the other; without dots it is a heading. note: below its name."""

    name: str
    dots: tuple[Dot, ...] = ()
    marks: Marks | None = None
    note: str = ""


@dataclass(frozen=True)
class DotPlot:
    """Lanes over one axis. axis: what it counts."""

    kind: ClassVar[str] = "dots"
    axis: str
    ticks: tuple[tuple[float, str], ...]
    lanes: tuple[Lane, ...]
    key: Key


@dataclass(frozen=True)
class Profile:
    """What one model scores, as bars: (level, name, score, interval in words, bar), level "suite" or "probe". note: its overall score."""

    name: str
    note: str
    lines: tuple[tuple[str, str, str, str, Bar], ...]


@dataclass(frozen=True)
class Profiles:
    """Profiles beside each other."""

    kind: ClassVar[str] = "profiles"
    items: tuple[Profile, ...]


@dataclass(frozen=True)
class Point:
    """A point of a line plot, in per cent of the width and of the height, downwards. fell: whether it is worse than before."""

    text: str
    x: float
    y: float
    low: float
    high: float
    fell: bool


@dataclass(frozen=True)
class LinePlot:
    """Scores over training. one, marks: heights in per cent. flag: what fell first, "" for nothing."""

    name: str
    points: tuple[Point, ...]
    one: float
    marks: Marks
    flag: str


@dataclass(frozen=True)
class LinePlots:
    """Line plots beside each other."""

    kind: ClassVar[str] = "lines"
    items: tuple[LinePlot, ...]


def axis(cells: Sequence[Cell]) -> Axis:
    """Return the axis that holds every score and interval; 0 to 1 unless a probe's unit leaves it."""
    ends = [v for c in cells for v in (c.low, c.high, c.score) if math.isfinite(v)]
    return Axis(min(0.0, *ends), max(1.0, *ends))


def marks(summary: Summary, scale: Axis, suite: str = "", probe: str = "") -> Marks:
    """Return the reference marks of a probe, a suite or overall."""
    ends = summary.ceiling(suite, probe), summary.floor(suite, probe)
    return Marks(scale.at(0.0), *(scale.at(c.score) if c else None for c in ends))


def bar(summary: Summary, cell: Cell, scale: Axis) -> Bar:
    """Return the bar of a cell."""
    left, right = sorted((scale.at(0.0), scale.at(cell.score)))
    ends = scale.at(cell.low), scale.at(cell.high)
    return Bar(left, round(right - left, 2), *ends, marks(summary, scale, cell.suite, cell.probe))


def series(summary: Summary) -> tuple[str, ...]:
    """Return the generators that get a dot: the models, or everything in a run without models."""
    return summary.of_kind("model") or summary.generators


def shape(index: int) -> str:
    """Return the marker of a series; colour and shape together repeat only after 32."""
    return SHAPES[(index + index // COLOURS) % len(SHAPES)]


def key(summary: Summary, names: Sequence[str] = ()) -> Key:
    """Return what the reference marks mean, and which generator has which dot."""
    entries = [("chance", "0: what a blind guess scores, after correction for it", -1)]
    entries += [("ceiling", f"ceiling: {name}", -1) for name in summary.of_kind("oracle")[:1]]
    entries += [("floor", "floor: best control", -1)] if summary.of_kind("control") else []
    return Key((*entries, *((shape(i), name, i % COLOURS) for i, name in enumerate(names))))


def dot_plot(summary: Summary, suite: str, scale: Axis, names: Sequence[str]) -> DotPlot:
    """Return the dot plot of a suite: a lane per probe, a dot per generator."""
    lanes = []
    for probe in summary.probes(suite):
        every = ((i, name, summary.get(name, suite, probe)) for i, name in enumerate(names))
        dots = tuple(
            Dot(
                f"{name} {numbers.score(c.score)}, interval {numbers.score(c.low)} to {numbers.score(c.high)}",
                *(scale.at(c.score), scale.at(c.low), scale.at(c.high), i % COLOURS, shape(i)),
            )
            for i, name, c in every
            if c and not c.failed
        )
        if dots:
            lanes.append(Lane(probe, dots, marks(summary, scale, suite, probe)))
    return DotPlot("score, 95% interval", scale.ticks, tuple(lanes), key(summary, names))
