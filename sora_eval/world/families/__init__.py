"""Scene families by name. Every module of this package is searched for families; see base.py."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import numpy as np

from sora_eval.errors import ConfigError, unknown
from sora_eval.plugins.entries import entries as plugin_entries
from sora_eval.world.families.base import Family, StateChange
from sora_eval.world.families.params import Params

__all__ = ["BUNDLED", "FAMILIES", "Family", "Params", "StateChange", "draw", "family"]


def _families() -> dict[str, Family[Any]]:
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    classes = [c for m in modules for c in vars(m).values() if isinstance(c, type) and c.__module__ == m.__name__]
    return {c.name: c() for c in classes if issubclass(c, Family) and "name" in vars(c)}


BUNDLED: dict[str, Family[Any]] = _families()
"""The families of this package, by name in alphabetical order."""
FAMILIES: dict[str, Family[Any]] = {name: kind for name, kind in BUNDLED.items() if kind.in_training}
"""Those of them that training sets, the vocabulary and corrupted sets of clips are made of."""


def family(name: str) -> Family[Any]:
    """Return a scene family by its name, of the bundle or of a plug-in.

    Raises:
        ConfigError: there is none of that name, or it can't be imported.
    """
    if name in BUNDLED:
        return BUNDLED[name]
    declared = plugin_entries("families", BUNDLED)
    if name not in declared:
        raise unknown("scene family", name, [*BUNDLED, *declared])
    loaded = declared[name].load()
    plugin = loaded() if isinstance(loaded, type) else loaded
    if not isinstance(plugin, Family):
        raise ConfigError(
            f"plug-in {declared[name].origin}: scene family {name} is a {type(plugin).__name__}, not a Family"
        )
    if plugin.name != name:
        raise ConfigError(f"plug-in {declared[name].origin}: scene family {name} calls itself {plugin.name}")
    return plugin


def draw(name: str, number: int, seed: int, stream: str = "training") -> tuple[Any, np.random.Generator]:
    """Return the parameters of member `number` of a family in a stream, and the generator for its caption.

    Streams ("training", "heldout") are disjoint, also from the probes', whose seeds begin with the word "probe".
    """
    rng = np.random.default_rng([seed, *stream.encode(), *name.encode(), number])
    return family(name).sample(rng), rng
