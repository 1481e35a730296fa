"""fidelity.json of a run folder: fidelity measures by suite and generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sora_eval.errors import ConfigError
from sora_eval.files import read_json, write_json
from sora_eval.types import Measure

FILE = "fidelity.json"


def write_measures(folder: Path, measures: Mapping[str, Mapping[str, Sequence[Measure]]]) -> None:
    """Write the measures of a run, by suite and generator, into its folder."""
    rows = {s: {g: [asdict(m) for m in row] for g, row in by.items()} for s, by in measures.items()}
    write_json(folder / FILE, rows)


def read_measures(folder: Path) -> dict[str, dict[str, list[Measure]]]:
    """Return the measures in a run's folder, {} where there are none.

    Raises:
        ConfigError: they can't be read.
    """
    path = folder / FILE
    if not path.exists():
        return {}
    stored: dict[str, Any] = read_json(path)
    try:
        return {s: {g: [_measure(m) for m in row] for g, row in by.items()} for s, by in stored.items()}
    except (TypeError, AttributeError, KeyError, ValueError, OverflowError) as error:
        raise ConfigError(f"{path}: no measures of fidelity ({error}); run the same command again") from error


def _measure(values: Mapping[str, Any]) -> Measure:
    measure = Measure(**{**values, "n": tuple(values["n"])})
    numbers = [v for v in (measure.value, measure.low, measure.high, *measure.n) if v is not None]
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in numbers):
        raise ValueError("a value that is no number")
    if not all(isinstance(v, str) for v in (measure.metric, measure.protocol, measure.reason)):
        raise ValueError("a name, protocol or reason that is no text")
    return measure
