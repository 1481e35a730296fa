"""The probe suites, one file or room per suite and one class per probe; installed as sora_eval.probes."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sora_eval.probes.base import Probe


@cache
def probe_classes() -> dict[str, type[Probe]]:
    """Return the probes of this package by name, in the order of suites and names: every class in it with a `name`."""
    from importlib import import_module
    from pkgutil import iter_modules

    from sora_eval.probes.base import Probe

    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    classes = [c for m in modules for c in vars(m).values() if isinstance(c, type) and issubclass(c, Probe)]
    named = {c for c in classes if "name" in vars(c)}
    return {c.name: c for c in sorted(named, key=lambda c: (c.suite, c.name))}
