"""`sora-eval list`: names that can be chosen, those of plug-ins with the package that they come from."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sora_eval import registry
from sora_eval.errors import ConfigError, unknown
from sora_eval.plugins import entries

OTHERS = ("probes", "families", "metrics")
"""Kinds that are no configuration groups."""


def main(args: Sequence[str]) -> int:
    """Print names with one line each and return the exit code."""
    kinds = (*registry.GROUPS, *OTHERS)
    parser = argparse.ArgumentParser(prog="sora-eval list", description="List the names that can be chosen.")
    parser.add_argument("kind", nargs="?", default="probes", help=", ".join(kinds))
    kind = parser.parse_args(args).kind
    if kind not in kinds:
        raise unknown("list", kind, kinds)
    bundled = _bundled(kind)
    rows = [*bundled.items(), *_outside(kind, [name.rpartition(".")[2] for name in bundled])]
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f"{name:{width}}  {text}")
    return 0


def _bundled(kind: str) -> Mapping[str, str]:
    if kind in registry.GROUPS:
        plugins = registry.plugins(registry.GROUPS[kind])
        return {name: text for name, text in registry.names(registry.GROUPS[kind]).items() if name not in plugins}
    if kind == "probes":
        return {f"{suite}.{name}": text for name, (suite, text) in registry.probe_names(optional=True).items()}
    if kind == "metrics":
        from sora_eval.fidelity.options import DESCRIPTIONS

        return DESCRIPTIONS
    from sora_eval.world.families import BUNDLED

    return {name: _first_line(family) for name, family in sorted(BUNDLED.items())}


def _outside(kind: str, bundled: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the plug-ins of a kind; one that can't be imported is a line on standard error."""
    for name, entry in entries.entries(kind, tuple(bundled)).items() if kind in entries.KINDS else ():
        try:
            plugin = entry.load()
        except ConfigError as error:
            entries.warn(str(error))
            continue
        suite = f"{plugin.suite}." if kind == "probes" else ""
        yield f"{suite}{name}", f"{getattr(plugin, 'claim', '') or _first_line(plugin)} ({entry.origin})"


def _first_line(thing: Any) -> str:
    return (thing.__doc__ or "").strip().split("\n")[0]
