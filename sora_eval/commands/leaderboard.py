"""`sora-eval leaderboard RUN...`: models of several runs in one table."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from sora_eval.errors import ConfigError


def main(args: Sequence[str]) -> int:
    """Write the leaderboard of some runs and print where it is; 2 when their protocols differ."""
    from sora_eval.reporting.leaderboard.entrants import MixedProtocolsError
    from sora_eval.reporting.leaderboard.write import write_leaderboard

    parser = argparse.ArgumentParser(
        prog="sora-eval leaderboard", description="Compare the models of several runs: Markdown, CSV and one HTML page."
    )
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--out", type=Path, default=Path("leaderboard"), help="where to write (leaderboard)")
    parser.add_argument(
        "--common", action="store_true", help="compare only what all runs share; the page states how much that is"
    )
    parser.add_argument("--sort", default="", metavar="SUITE", help="sort by this suite instead of overall")
    parser.add_argument("--against", default="", metavar="MODEL", help="compare with this model instead of the first")
    parser.add_argument("--players", type=int, default=24, metavar="N", help="cases shown with their clips (24)")
    options = parser.parse_args(args)
    command = shlex.join(["sora-eval", "leaderboard", *args])
    runs = [run for run in options.runs if not _skipped(run)]
    if options.runs and not runs:
        raise ConfigError("every run that was named is a failed job: run their commands again")
    try:
        page = write_leaderboard(
            runs, options.out, command, options.common, options.sort, options.against, options.players
        )
    except MixedProtocolsError as error:
        print("sora-eval: these runs can't stand in one table; --common compares what they share", file=sys.stderr)
        for line in error.lines:
            print(f"sora-eval: {line}", file=sys.stderr)
        return 2
    print(f"leaderboard: {page}")
    return 0


def _skipped(run: Path) -> bool:
    """Return whether a folder is of a failed job, and print it: one of a sweep that left no scores, or none of its model."""
    from sora_eval.files import read_json
    from sora_eval.runs.reader import read_run
    from sora_eval.runs.store import scores_file
    from sora_eval.stats.failures import FAILED, why_failed

    failed = run / FAILED
    if not failed.is_file():
        return False
    if (run / "manifest.json").is_file() and scores_file(run).is_file():
        scored = read_run(run)
        listed = scored.manifest.get("generators")
        name = listed[0].get("name") if isinstance(listed, list) and listed and isinstance(listed[0], dict) else ""
        if not why_failed(scored.rows, str(name)):
            return False
    try:
        why = str(read_json(failed).get("error", ""))
    except ConfigError:
        why = ""
    print(
        f"sora-eval: {run} is left out, its job failed{f': {why}' if why else ''}",
        file=sys.stderr,
    )
    return True
