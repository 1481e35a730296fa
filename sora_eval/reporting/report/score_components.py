"""Components of scores: their meaning and thresholds, by probe."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

_CONTINUED = ("motion_spatial_iou", "motion_spatiotemporal_iou", "motion_weighted_spatial_iou", "true_clip_mse")


@dataclass(frozen=True)
class Component:
    """A named part of a score."""

    name: str
    """Key in `components` of scores.jsonl."""
    means: str
    """What it measures."""
    full: str = ""
    """Where it is 1."""
    zero: str = ""
    """Where it is 0."""
    measured: bool = False
    """Whether it is a measurement and no factor of the score."""
    code: Sequence[Sequence[float]] = ()
    """Pairs of limits as the probe's code has them."""


@lru_cache(maxsize=1)
def score_components() -> dict[str, list[Component]]:
    """Return the components of every bundled probe by its name, factors before measurements.

    Example:
        >>> place = next(c for c in score_components()["covered"] if c.name == "place")
        >>> place.full, place.zero
        ('at most 0.15', '0.6')
    """
    table = tomllib.loads((files(__package__) / "score_components.toml").read_text(encoding="utf-8"))
    shared = table["shared"]
    by_probe = {}
    for probe, described in table["probes"].items():
        pairs = [word.partition("=")[::2] for word in described["use"]]
        components = [Component(name, **shared[key or name]) for name, key in pairs]
        components += [Component(name, **values) for name, values in described.get("own", {}).items()]
        components += [Component(name, **shared[name]) for name in _CONTINUED if described.get("continued")]
        by_probe[probe] = sorted(components, key=lambda c: c.measured)
    return by_probe
