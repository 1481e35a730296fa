"""The checkpoints of a sweep in their order, and a curve per probe over what came before each: compute, steps, time, or files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sora_eval.reporting.components.numbers import score, signed
from sora_eval.reporting.components.plots import Axis, LinePlot, Marks, Point, down
from sora_eval.reporting.leaderboard.entrants import Entrant
from sora_eval.runs.naming import natural
from sora_eval.stats.regressions import Change
from sora_eval.stats.summary import Summary
from sora_eval.training.checkpoint_files import step_in_name


@dataclass(frozen=True)
class Checkpoint:
    """A model of the sweep and its place on the axis."""

    entrant: Entrant
    """The model with its scores."""
    at: float
    """Its value on the axis, in the unit of the line."""

    @property
    def label(self) -> str:
        """Its name on the page."""
        return self.entrant.label


@dataclass(frozen=True)
class Line:
    """A row of checkpoints."""

    checkpoints: tuple[Checkpoint, ...]
    """In order of `at`."""
    axis: str
    """Label of the axis."""
    unit: str
    """Name of the unit of `at`."""
    log: bool
    """Whether the axis is logarithmic."""

    def x(self, at: float) -> float:
        """Return where a checkpoint is drawn, in per cent of the width; a margin is left on both sides."""
        values = [math.log(c.at) if self.log else c.at for c in self.checkpoints]
        value = math.log(at) if self.log else at
        low, high = min(values), max(values)
        return round(50.0 if high == low else 8 + 87 * (value - low) / (high - low), 2)


def in_line(models: Sequence[Entrant]) -> Line | None:
    """Return the models of a sweep in the order of their training; None where it is unknown.

    By compute where all manifests have it, by step where manifests or names of checkpoints do, by the time when their files were written
    where manifests have that, else by the names of files in one folder.
    """
    if len(models) < 2:
        return None
    for axis, unit, read, log in (
        ("training compute (log scale)", "operations", _compute, True),
        ("training step", "step", _step, False),
    ):
        values = [v for m in models if (v := read(m)) is not None]
        if len(values) == len(models) == len(set(values)) and (not log or min(values) > 0):
            places = [Checkpoint(m, v) for m, v in zip(models, values, strict=True)]
            return Line(tuple(sorted(places, key=lambda c: c.at)), axis, unit, log)
    times = [v for m in models if (v := _written(m)) is not None]
    if len(times) == len(models) == len(set(times)):
        hours = [(v - min(times)) / 3600 for v in times]
        places = [Checkpoint(m, v) for m, v in zip(models, hours, strict=True)]
        return Line(tuple(sorted(places, key=lambda c: c.at)), "hours after the first checkpoint", "hours", False)
    paths = [_path(m) for m in models]
    if all(paths) and len(set(paths)) == len(paths) and len({str(Path(p).parent) for p in paths}) == 1:
        ordered = sorted(zip(paths, models, strict=True), key=lambda item: natural(item[0]))
        return Line(
            tuple(Checkpoint(m, float(i + 1)) for i, (_, m) in enumerate(ordered)),
            "checkpoint, by name",
            "place",
            False,
        )
    return None


def curve(
    line: Line, summary: Summary, name: str, suite: str, probe: str, changes: Sequence[Change], axis: Axis
) -> LinePlot:
    """Return the curve of one level. axis: of scores, from 0 to 1 unless scores leave it."""
    changed = {c.at: c for c in changes if (c.suite, c.probe) == (suite, probe)}
    points, flag = [], ""
    for i, checkpoint in enumerate(line.checkpoints):
        cell = summary.get(checkpoint.label, suite, probe)
        if cell is None or cell.failed:
            continue
        fell = i in changed and changed[i].regressed
        flag = flag or (f"▼ {checkpoint.label} {signed(changed[i].mean)}" if fell else "")
        text = f"{checkpoint.label} {score(cell.score)}, interval {score(cell.low)} to {score(cell.high)}"
        y, low, high = (down(axis.at(v)) for v in (cell.score, cell.low, cell.high))
        text = f"{text}{', worse than before' if fell else ''}"
        points.append(Point(text, line.x(checkpoint.at), y, low, high, fell))
    ends = summary.ceiling(suite, probe), summary.floor(suite, probe)
    marks = Marks(down(axis.at(0.0)), *(down(axis.at(c.score)) if c else None for c in ends))
    return LinePlot(name, tuple(points), tuple((down(at), label) for at, label in axis.ticks), marks, flag)


def _settings(model: Entrant) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the generator's entry and its configuration in a model's first manifest."""
    manifest = next(iter(model.runs.values())).manifest
    about: Mapping[str, Any] = next((g for g in manifest.get("generators", ()) if g.get("name") == model.name), {})
    config = manifest.get("config", {})
    return about, config.get("generator", {}) if isinstance(config, Mapping) else {}


def _compute(model: Entrant) -> float | None:
    value = _settings(model)[0].get("compute")
    return float(value) if isinstance(value, int | float) else None


def _step(model: Entrant) -> float | None:
    value = _settings(model)[0].get("step")
    return float(value) if isinstance(value, int | float) else step_in_name(_path(model)) if _path(model) else None


def _written(model: Entrant) -> float | None:
    value = _settings(model)[0].get("written")
    return float(value) if isinstance(value, int | float) else None


def _path(model: Entrant) -> str:
    return str(_settings(model)[1].get("checkpoint") or "")
