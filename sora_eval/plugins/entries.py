"""Plug-ins: generators, probes, scene families, trackers and metrics that installed packages declare as entry points.

    [project.entry-points."sora_eval.generators"]
    tiny = "tiny_plugin:TinyGenerator"

Plugin points are read when a name is looked up that may be one, and a plug-in is imported when it is chosen. What each is:

- `sora_eval.generators`: a class or function that returns a `generator.base.Generator`; its parameters are options, `generator.KEY=...`;
- `sora_eval.trackers`: the same for `tracking.base.Tracker`;
- `sora_eval.probes`: a class derived from `probes.base.Probe` whose `name` is the entry's;
- `sora_eval.families`: a scene family;
- `sora_eval.metrics`: a `metrics.plugin.FrameMetric` or `metrics.plugin.FeatureMetric`.

Names of sora-eval's own can't be taken.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from typing import Any

from sora_eval.errors import ConfigError
from sora_eval.plugins import include

KINDS = {
    "generators": "generator",
    "probes": "probe",
    "families": "scene family",
    "trackers": "tracker",
    "metrics": "metric",
}
"""Kinds of plug-ins: the last part of the entry point's group, and what one of them is."""


@dataclass(frozen=True)
class Plugin:
    """A plug-in before it is imported."""

    kind: str
    """Of KINDS."""
    name: str
    """The name by which it is chosen."""
    module: str
    """The module that defines it."""
    attribute: str
    """Its name in the module, with dots where it is nested."""
    origin: str
    """Distribution and version, or the file of an --include folder."""
    rival: str = ""
    """Origin of another plug-in of the same name, "" for none."""
    value: Any = None
    """The plug-in, where declaring it imported it."""

    def load(self) -> Any:
        """Import the plug-in and return it.

        Raises:
            ConfigError: it can't be imported, or two packages declare its name.
        """
        if self.rival:
            raise ConfigError(f"{self._title}: {self.rival} has one of that name too; remove one of the two")
        if self.value is not None:
            return self.value
        try:
            loaded: Any = import_module(self.module)
            for part in self.attribute.split("."):
                loaded = getattr(loaded, part)
        except (Exception, SystemExit) as error:  # importing runs the package's code
            why = " ".join(f"{type(error).__name__}: {error}".split())
            raise ConfigError(f"{self._title} can't be imported ({why})") from error
        return loaded

    @property
    def _title(self) -> str:
        return f"plug-in {self.origin}: {KINDS[self.kind]} {self.name}"


def entries(kind: str, bundled: Collection[str] = ()) -> dict[str, Plugin]:
    """Return the plug-ins of a kind by name, none of them imported.

    bundled: names of sora-eval's own of that kind; a plug-in with one of them is left out, with a line on standard error.
    """
    declared = _declared(kind, include.folders())
    for name in declared.keys() & set(bundled):
        warn(f"{declared[name]._title}: the name is sora-eval's own, the plug-in is not used")
    return {name: entry for name, entry in declared.items() if name not in bundled}


def loaded(kind: str, bundled: Collection[str] = ()) -> dict[str, Any]:
    """Return the plug-ins of a kind by name; one that can't be imported is a line on standard error."""
    plugins = {}
    for name, entry in entries(kind, bundled).items():
        try:
            plugins[name] = entry.load()
        except ConfigError as error:
            warn(str(error))
    return plugins


@lru_cache
def warn(line: str) -> None:
    """Print a line to standard error, once."""
    print(f"sora-eval: warning: {line}", file=sys.stderr)


@lru_cache
def _declared(kind: str, folders: tuple[str, ...]) -> dict[str, Plugin]:
    declared: dict[str, Plugin] = {}
    for entry in [*_installed(kind), *_included(kind)]:
        first = declared.get(entry.name)
        declared[entry.name] = entry if first is None else replace(first, rival=entry.origin)
    return dict(sorted(declared.items()))


def _installed(kind: str) -> Iterator[Plugin]:
    from importlib.metadata import entry_points

    include.activate()
    for point in entry_points(group=f"sora_eval.{kind}"):
        origin = f"{point.dist.name} {point.dist.version}" if point.dist else "without a distribution"
        yield Plugin(kind, point.name, point.module, point.attr, origin)


def _included(kind: str) -> Iterator[Plugin]:
    module = include.module()
    declared = getattr(module, kind, {})
    if not isinstance(declared, dict):
        raise ConfigError(f"{include.MODULE}.{kind} must be a dict of names and {kind}, got {declared!r}")
    for name, value in declared.items():
        module_name, attribute = (getattr(value, key, "") for key in ("__module__", "__qualname__"))
        yield Plugin(kind, str(name), module_name, attribute, f"{include.MODULE}.py", value=value)
