"""Rows of the evaluation, and their table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

GOALS: Mapping[tuple[str, str], str] = {
    ("autoencoder", "PSNR, videos (dB, mean over frames)"): ">= 32",
    ("autoencoder", "shape, seen by the tracker"): ">= .95",
    ("text to video", "colour"): ">= .98",
    ("text to video", "one object"): ">= .98",
    ("text to video", "direction"): ">= .92",
    ("text to video", "shape"): ">= .92",
    ("text to video, two things", "side"): ">= .9",
    ("image and text to video", "first frame (dB)"): ">= 28",
    ("image to video, no text", "first frame (dB)"): ">= 28",
    ("extend forward", "seam"): "near 1",
    ("extend backward", "seam"): "near 1",
    ("loop", "worst_step"): "< 3",
    ("connect", "seam"): "< 3",
    ("variations by seed", "PSNR between seeds (dB, mean over frames)"): "< 30",
    ("one minute by extension", "mean colour drift (levels)"): "near 0",
    ("actions (walk, turn, break, place)", "PSNR to the true clip (dB, mean over frames)"): ">= frozen + 2",
    ("actions (walk, turn, break, place)", "better than with another's actions"): ">= .9",
}
"""Targets by task and measure. Not part of what is measured: tables of earlier measures show those of today."""


@dataclass(frozen=True)
class Row:
    """A measure of a task, NaN where it doesn't apply."""

    task: str
    """Name of the task."""
    measure: str
    """Name of the measure."""
    model: float
    """Value on the model's clips."""
    oracle: float
    """Value on the world's own clips."""
    frozen: float
    """Value on the first frames of the world's own clips, held."""
    goal: str = ""
    """Target of GOALS; "" without one."""
    n: int = 0
    """Clips that the model's mean is over."""
    error: float = math.nan
    """Standard error of that mean; of a ratio of means, with the denominator taken as known."""

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON values, NaN as null."""
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(self).items()}


def relative_rows(
    task: str, keys: Sequence[str], usual: Sequence[float], model: Any, oracle: Any, frozen: Any
) -> Iterator[Row]:
    """Yield rows of frame-to-frame changes over `usual`, those of the true clips.

    A ratio of means: the ratio of a clip that stands still would divide by 0. Generated clips don't enter the denominator.
    """
    whole = float(np.mean(usual))
    trio = [[{k: c[k] / whole for k in keys} for c in clips] for clips in (model, oracle, frozen)]
    yield from mean_rows(task, keys, *trio)


def mean_rows(task: str, keys: Iterable[str], model: Any, oracle: Any, frozen: Any) -> Iterator[Row]:
    """Yield a row per measure of `keys`: the means over clips, of which each has its measures by name."""
    for key in keys:
        made, true, held = (
            [v[key] for v in values if key in v and np.isfinite(v[key])] for values in (model, oracle, frozen)
        )
        error = float(np.std(made, ddof=1) / len(made) ** 0.5) if len(made) > 1 else math.nan
        yield Row(task, key, _mean(made), _mean(true), _mean(held), goal(task, key), len(made), error)


def goal(task: str, measure: str) -> str:
    """Return the target of a measure, "" without one."""
    return GOALS.get((task, measure), "")


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows, as `Row.to_json` gives them, as a Markdown table."""
    lines = [
        "| task | measure | model | ± standard error | n | oracle | frozen | goal |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for r in rows:
        model, error, oracle, frozen = (cell(r[k]) for k in ("model", "error", "oracle", "frozen"))
        lines.append(
            f"| {r['task']} | {r['measure']} | {model} | {error} | {r['n']} | {oracle} | {frozen} | {r['goal']} |"
        )
    return "\n".join(lines)


def cell(value: float | None) -> str:
    """Return a number as tables print it."""
    return "" if value is None else f"{value:.2f}"
