"""`sora-eval report`: the report of a run folder, written again."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from sora_eval.errors import ConfigError


def main(args: Sequence[str]) -> int:
    """Write the report, print its table and return the exit code."""
    from sora_eval.reporting.components.text import table
    from sora_eval.reporting.report.write import write_report
    from sora_eval.runs.reader import read_run

    parser = argparse.ArgumentParser(prog="sora-eval report", description="Write the report of a run folder again.")
    parser.add_argument("run", type=Path, help="the run folder")
    parser.add_argument("--players", type=int, default=3, help="clips shown per probe and model (3)")
    options = parser.parse_args(args)
    if options.players < 0:
        raise ConfigError(f"--players must be 0 or more, got {options.players}")
    page = write_report(options.run, options.players)
    print(table(read_run(options.run).rows))
    print(f"report: {page}")
    return 0
