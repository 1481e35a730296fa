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
MOST_TICKS = 6


@dataclass(frozen=True)
class Axis:
    """A linear axis."""

    low: float
    """Its lower end."""
    high: float
    """Its upper end."""

    def at(self, value: float) -> float:
        """Return where a value lies, in per cent; an infinite end of an interval lies on the axis' own."""
        return round(100 * (min(max(value, self.low), self.high) - self.low) / (self.high - self.low), 2)

    @property
    def ticks(self) -> tuple[tuple[float, str], ...]:
        """(per cent, label) of at most six ticks, at multiples of 1, 2 or 5 times a power of ten.

        Example:
            >>> Axis(-0.89, 1.0).ticks
            ((20.63, '−0.5'), (47.09, '0'), (73.54, '0.5'), (100.0, '1'))
        """
        power = 10.0 ** math.floor(math.log10((self.high - self.low) / MOST_TICKS))
        steps = (power * m for m in (1, 2, 5, 10, 20))
        step, first, last = next(
            (step, first, last)
            for step in steps
            # Ends that rounding left just short of a tick have it.
            for first, last in [(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9))]
            if last - first < MOST_TICKS
        )
        return tuple((self.at(i * step), f"{i * step:.6g}".replace("-", "−")) for i in range(first, last + 1))


@dataclass(frozen=True)
class Marks:
    """Reference values in per cent of an axis, None where there is none."""

    chance: float | None = None
    """A blind guess."""
    ceiling: float | None = None
    """The oracle."""
    floor: float | None = None
    """The best control."""


@dataclass(frozen=True)
class Bar:
    """A score from zero with its interval, in per cent of an axis."""

    start: float
    """Left end of the bar."""
    width: float
    """Its length."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    marks: Marks
    """Reference values."""


@dataclass(frozen=True)
class Key:
    """The meaning of symbols."""

    kind: ClassVar[str] = "key"
    entries: tuple[tuple[str, str, int], ...]
    """(symbol of dots.html.j2, text, series) each; series -1 has no colour."""


@dataclass(frozen=True)
class Dot:
    """A value with its interval, in per cent of an axis."""

    text: str
    """The same in words."""
    at: float
    """The value."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    series: int
    """Number of the colour."""
    shape: str
    """A symbol of dots.html.j2."""


@dataclass(frozen=True)
class Lane:
    """A row of a dot plot; without dots it is a heading."""

    name: str
    """What it shows."""
    dots: tuple[Dot, ...] = ()
    """Its values, one below the other."""
    marks: Marks | None = None
    """Reference values."""
    note: str = ""
    """Text below its name."""


@dataclass(frozen=True)
class DotPlot:
    """Lanes over one axis."""

    kind: ClassVar[str] = "dots"
    axis: str
    """Label of the axis."""
    ticks: tuple[tuple[float, str], ...]
    """(per cent, label) each."""
    lanes: tuple[Lane, ...]
    """Its rows."""
    key: Key
    """The meaning of its symbols."""


@dataclass(frozen=True)
class Profile:
    """Scores of one model as bars."""

    name: str
    """The model."""
    note: str
    """Its overall score."""
    lines: tuple[tuple[str, str, str, str, Bar], ...]
    """(level, name, score, interval in words, bar) each; level is "suite" or "probe"."""


@dataclass(frozen=True)
class Profiles:
    """Profiles beside each other."""

    kind: ClassVar[str] = "profiles"
    items: tuple[Profile, ...]
    """One per model, in the order of the table."""


@dataclass(frozen=True)
class Point:
    """A point of a line plot, in per cent of its width and, downwards, of its height."""

    text: str
    """The same in words."""
    x: float
    """Place on the horizontal axis."""
    y: float
    """The value."""
    low: float
    """Lower end of its interval."""
    high: float
    """Upper end of its interval."""
    fell: bool = False
    """Whether it is worse than the best before it."""


@dataclass(frozen=True)
class LinePlot:
    """Values over training, or over severities."""

    name: str
    """What it shows."""
    points: tuple[Point, ...]
    """From left to right."""
    ticks: tuple[tuple[float, str], ...]
    """(height in per cent, label) of the vertical axis."""
    marks: Marks = Marks()
    """Reference values, heights in per cent."""
    flag: str = ""
    """Warning beside the name."""
    x_ticks: tuple[tuple[float, str], ...] = ()
    """(per cent, label) of the horizontal axis."""
    upright: float | None = None
    """A dashed vertical line, in per cent."""
    note: str = ""
    """Text below."""


@dataclass(frozen=True)
class LinePlots:
    """Line plots beside each other."""

    kind: ClassVar[str] = "lines"
    items: tuple[LinePlot, ...]
    """The plots."""
    small: bool = False
    """Whether many stand in a row."""
    title: str = ""
    """Heading above them, "" for none."""
    note: str = ""
    """Text below the heading."""


def down(share: float) -> float:
    """Return the height of a value in a line plot, in per cent downwards, with room for marks. share: per cent of its axis."""
    return round(6 + 0.88 * (100 - share), 2)


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
