"""`sora-eval baseline save` and `show`: a run's scores without its clips, for the gate."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sora_eval.types import ScoreRow

FOLDER = Path("reports") / "baselines"


def main(args: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="sora-eval baseline", description="Keep a run's scores as a baseline for the gate."
    )
    actions = parser.add_subparsers(dest="action", required=True)
    save = actions.add_parser("save", help="write a run's scores, without its clips, to a small folder")
    save.add_argument("run", type=Path, help="the run folder")
    save.add_argument("--generator", help="whose scores, where the run has several models")
    save.add_argument("--out", type=Path, help=f"folder to write ({FOLDER.as_posix()}/GENERATOR-SUITE-PROFILE-SEED)")
    show = actions.add_parser("show", help="print what a baseline holds")
    show.add_argument("baseline", type=Path, help="the baseline's folder")
    options = parser.parse_args(args)
    if options.action == "show":
        return _show(options.baseline)
    return _save(options.run, options.generator, options.out)


def _save(folder: Path, generator: str | None, out: Path | None) -> int:
    from sora_eval.errors import ConfigError
    from sora_eval.files import read_json
    from sora_eval.runs.baseline import FORMAT, read_scored, save_baseline
    from sora_eval.runs.protocol import protocol_of
    from sora_eval.stats.failures import too_many
    from sora_eval.types import check_name

    scored = read_scored(folder, generator)
    # What can't be compared later is no baseline.
    protocol_of(scored.run)
    if why := too_many(scored.rows):
        raise ConfigError(f"{folder}: no baseline, for {why}")
    about = scored.run.manifest
    if out is None:
        if missing := [key for key in ("suite", "profile", "seed") if key not in about]:
            raise ConfigError(f"{folder / 'manifest.json'}: {missing[0]} is missing; add --out FOLDER")
        name = f"{scored.name}-{about['suite']}-{about['profile']}-{about['seed']}"
        try:
            check_name("the baseline", name)
        except ValueError as error:
            raise ConfigError(f"{error}; set --out FOLDER") from error
        out = FOLDER / name
    if out.exists() and any(out.iterdir()):
        kept = out / "manifest.json"
        if not kept.exists() or read_json(kept).get("format") != FORMAT:
            raise ConfigError(f"{out} holds something else than a baseline: name another folder with --out")
        print(f"replacing the baseline in {out}")
    save_baseline(scored, out)
    size = sum(path.stat().st_size for path in out.iterdir())
    print(f"{scored.name}: {_cases(scored.rows)}, {size / 1024:.0f} KiB in {out}")
    print(f"gate a candidate: sora-eval gate --baseline {out} --candidate RUN")
    return 0


def _cases(rows: Sequence[ScoreRow]) -> str:
    from sora_eval.stats.samples import per_prompt, prompts

    k = per_prompt(rows)
    return f"{prompts(rows)} cases" + (f" in {k} samples each" if k > 1 else "")


def _show(folder: Path) -> int:
    from sora_eval.reporting.components.text import table
    from sora_eval.runs.baseline import read_scored
    from sora_eval.runs.protocol import protocol_of

    scored = read_scored(folder)
    protocol, about = protocol_of(scored.run), scored.run.manifest
    clusters = len({row.cluster for row in scored.rows})
    print(f"{scored.name}: {_cases(scored.rows)} of {len(protocol.probes)} probes, {clusters} scenes")
    for key in ("suite", "profile", "seed", "created", "command"):
        print(f"{key:8} {about.get(key, '-')}")
    print("; ".join(f"{name} {value}" for name, value in protocol.facts.items()))
    print()
    print(table(scored.rows))
    return 0
