"""`sora-eval weights`: weight files of the standard encoders and of the natural tracker."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sora_eval.errors import ConfigError

NATURAL = "natural"
"""Name of the natural tracker's weights, all files together."""


def main(args: Sequence[str]) -> int:
    """List, verify, fetch or locate weights and return 1 where a file is wrong."""
    from sora_eval.encoders import weights

    about = "The weights of the standard encoders and of the natural tracker."
    parser = argparse.ArgumentParser(prog="sora-eval weights", description=about)
    parser.add_argument("action", choices=["list", "verify", "fetch", "path"])
    parser.add_argument("names", nargs="*", metavar="name", help="which ones; all of them for list and verify")
    options = parser.parse_args(args)
    every = [*weights.ENCODERS, *(e.name for e in weights.ENTRIES), NATURAL]
    names = options.names or (every if options.action in ("list", "verify") else [])
    if not names:
        raise ConfigError(f"name them: sora-eval weights {options.action} NAME; sora-eval weights list shows the names")
    wrong = 0
    for name in names:
        if name in weights.ENCODERS:
            wrong += _bundled(name, options.action)
            continue
        if name == NATURAL:
            wrong += _natural(options.action)
            continue
        entry = weights.entry(name)
        path: Path | None = None
        try:
            path = weights.fetch(name) if options.action == "fetch" else weights.locate(name)
            digest = weights.verify(name, path) if options.action == "verify" else ""
        except weights.AbsentWeightsError:
            if options.action == "path":
                raise
        except ConfigError as error:
            print(f"sora-eval: {error}", file=sys.stderr)
            wrong += 1
            continue
        if options.action == "list":
            print(
                f"{name:14} {'here' if path else 'absent':6} {entry.megabytes:6} MB  {entry.licence:12}  {entry.used_for}"
            )
            print(f"{'':14} {path or entry.source}")
        elif options.action == "verify":
            pinned = "" if entry.sha256 else ", no hash is published to compare it with"
            print(f"{name:14} {f'sha256 {digest}{pinned}' if path else 'absent'}")
        else:
            print(path)
    return 1 if wrong else 0


def _bundled(name: str, action: str) -> int:
    """List, verify or locate the weights of an encoder that comes with the package."""
    from sora_eval.encoders import state_dicts, weights

    try:
        path = weights.bundled(name)
    except weights.AbsentWeightsError as error:
        print(f"{name:14} absent\n{'':14} {error}" if action == "list" else f"{name:14} absent")
        return int(action in ("path", "fetch"))
    if action == "list":
        size = path.stat().st_size / 1e6
        print(f"{name:14} {'here':6} {size:6.1f} MB  {'Apache-2.0':12}  {weights.ENCODERS[name]}\n{'':14} {path}")
    elif action == "verify":
        try:
            print(f"{name:14} {state_dicts.load_bundled(name)[2]}, whole")
        except ConfigError as error:
            print(f"sora-eval: {error}", file=sys.stderr)
            return 1
    else:
        print(path)
    return 0


def _natural(action: str) -> int:
    """List, verify, fetch or locate the weights of the natural tracker and return how many are wrong, or absent where one is needed."""
    from sora_eval.tracking.natural import weights

    wrong = 0
    for file in weights.FILES:
        path: Path | None = None
        try:
            path = weights.fetch(file) if action == "fetch" else weights.locate(file)
        except weights.AbsentNaturalWeightsError:
            if action == "path":
                raise
        except ConfigError as error:
            print(f"sora-eval: {error}", file=sys.stderr)
            wrong += 1
            continue
        if action == "list":
            state = "here" if path else "absent"
            print(f"{NATURAL:14} {state:6} {file.megabytes:6} MB  {file.licence:13} tracker=natural: {file.used_for}")
            print(f"{'':14} {path or f'in {file.release}'}")
        elif action == "verify":
            print(f"{NATURAL:14} {f'sha256 {file.sha256} {file.file}' if path else f'absent: {file.file}'}")
        else:
            print(path)
    return wrong
