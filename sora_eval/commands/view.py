"""`sora-eval view RUN...`: one offline page over several runs."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from sora_eval.errors import ConfigError


def main(args: Sequence[str]) -> int:
    """Write the page of several runs and print where it is."""
    from sora_eval.reporting.view import CASES, LINES, write_view

    parser = argparse.ArgumentParser(
        prog="sora-eval view",
        description="One offline page over several runs of any suites and models: every clip with its outcome and value, filters, and the "
        "same case of all runs side by side. At most 24 MB of video are embedded (32 MB in the page); nothing is fetched.",
    )
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument(
        "--out", type=Path, default=Path("view.html"), metavar="FILE", help="where to write (view.html)"
    )
    parser.add_argument(
        "--players", type=int, default=CASES, metavar="N", help=f"cases shown with their clips at most ({CASES})"
    )
    parser.add_argument("--lines", type=int, default=LINES, metavar="N", help=f"clips listed at most ({LINES})")
    options = parser.parse_args(args)
    if options.out.is_dir():
        raise ConfigError(f"--out {options.out} is a folder: name a file, such as {options.out / 'view.html'}")
    for name in ("players", "lines"):
        if getattr(options, name) < 0:
            raise ConfigError(f"--{name} must be 0 or more, got {getattr(options, name)}")
    command = shlex.join(["sora-eval", "view", *args])
    print(f"page: {write_view(options.runs, options.out, command, options.players, options.lines)}")
    return 0
