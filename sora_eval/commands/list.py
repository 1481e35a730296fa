"""`sora-eval list`: generators, suites, profiles, sweeps, launchers, probes or families."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from sora_eval import registry
from sora_eval.errors import unknown


def main(args: Sequence[str]) -> int:
    """Print names with one line each and return the exit code."""
    parser = argparse.ArgumentParser(prog="sora-eval list", description="List what there is to run.")
    parser.add_argument(
        "what", nargs="?", default="probes", help="generators, suites, profiles, sweeps, launchers, probes or families"
    )
    what = parser.parse_args(args).what
    if what in registry.GROUPS:
        rows = [(name, text) for name, text in registry.names(registry.GROUPS[what]).items()]
    elif what == "probes":
        rows = [(f"{suite}.{name}", text) for name, (suite, text) in registry.probe_names().items()]
    elif what == "families":
        from sora_eval.world.families import FAMILIES

        rows = [(name, (type(f).__doc__ or "").split("\n")[0]) for name, f in FAMILIES.items()]
    else:
        raise unknown("list", what, [*registry.GROUPS, "probes", "families"])
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f"{name:{width}}  {text}")
    return 0
