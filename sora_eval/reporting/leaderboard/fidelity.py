"""Fidelity on a leaderboard: columns of their own, and never two protocols in one column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sora_eval.reporting.leaderboard.entrants import Entrant
from sora_eval.runs.measures import read_measures
from sora_eval.types import Measure

ALL = ""


@dataclass(frozen=True)
class Measured:
    """A measure of a generator in one run."""

    label: str
    """Label of its entrant."""
    kind: str
    """"model", "oracle", "control" or "violation"."""
    seed: str
    """Seed of the run."""
    suite: str
    """"" for all of them."""
    measure: Measure
    """The value with its interval and protocol."""


@dataclass(frozen=True)
class Column:
    """A metric by one protocol."""

    metric: str
    """Name of the metric."""
    protocol: str
    """All that the numbers depend on, but the clips."""
    higher_is_better: bool
    """Whether higher values are better."""
    number: int
    """Distinguishes protocols of one metric, 0 where there is only one."""
    clips: bool
    """Whether the number of clips differs."""


@dataclass(frozen=True)
class Figures:
    """The table of fidelity."""

    columns: tuple[Column, ...]
    """Metrics, one per protocol."""
    rows: tuple[tuple[str, str, str], ...]
    """(label, seed, kind) each."""
    cells: Mapping[tuple[str, str, Column], Measure]
    """Measures by (label, seed, column)."""
    absent: tuple[tuple[str, str], ...]
    """(metric, reason) of metrics without a value."""

    @property
    def seeds(self) -> int:
        """How many seeds there are."""
        return len({seed for _, seed, _ in self.rows})


def measured(entrants: Sequence[Entrant]) -> list[Measured]:
    """Return every measure of the entrants' runs. Seeds stay apart: a distance of two sets is no mean over them.

    Raises:
        ConfigError: a file can't be read.
    """
    folders = dict.fromkeys(run.folder for e in entrants for run in e.runs.values())
    by_folder = {folder: read_measures(folder) for folder in folders}
    return [
        Measured(e.label, e.kind, seed, suite, measure)
        for e in entrants
        for seed, run in e.runs.items()
        for suite, by in by_folder[run.folder].items()
        for measure in by.get(e.name, ())
    ]


def figures(values: Sequence[Measured], order: Sequence[str]) -> Figures | None:
    """Return the table over all suites, or the only one; None where nothing was measured. order: labels from the first row to the last."""
    suites = {m.suite for m in values}
    suite = ALL if ALL in suites or not suites else min(suites)
    own = [m for m in values if m.suite == suite]
    columns = tuple(_columns(own))
    if not columns:
        return None
    place = {label: i for i, label in enumerate(order)}
    rows = sorted(dict.fromkeys((m.label, m.seed, m.kind) for m in own), key=lambda r: place.get(r[0], len(place)))
    by = {(c.metric, c.protocol): c for c in columns}
    cells = {
        (m.label, m.seed, by[m.measure.metric, m.measure.protocol]): m.measure
        for m in own
        if (m.measure.metric, m.measure.protocol) in by and m.measure.value is not None
    }
    have = {c.metric for c in columns}
    absent = {m.measure.metric: m.measure.reason for m in own if m.measure.metric not in have}
    return Figures(columns, tuple(rows), cells, tuple(absent.items()))


def _columns(own: Sequence[Measured]) -> Iterator[Column]:
    protocols: dict[str, dict[str, list[Measure]]] = {}
    for m in own:
        if m.measure.value is not None:
            protocols.setdefault(m.measure.metric, {}).setdefault(m.measure.protocol, []).append(m.measure)
    for metric, by in protocols.items():
        for i, (protocol, measures) in enumerate(by.items(), start=1):
            several = len({m.n for m in measures}) > 1
            yield Column(metric, protocol, measures[0].higher_is_better, i if len(by) > 1 else 0, several)
