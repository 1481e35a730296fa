"""`sora-eval merge FOLDER...`: shards of one run, from one folder or from several, to the run that was never split."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sora_eval.types import Case


def main(args: Sequence[str]) -> int:
    """Merge shards and print the table; the clips are linked where the file system can, else copied."""
    from sora_eval.errors import ConfigError
    from sora_eval.fidelity.options import FidelityOptions
    from sora_eval.processes import cores
    from sora_eval.reporting.components.text import table
    from sora_eval.run import finish
    from sora_eval.runs import sharding
    from sora_eval.runs.lock import held
    from sora_eval.runs.plan import fidelity_config

    parser = argparse.ArgumentParser(prog="sora-eval merge", description="Put the shards of one run together.")
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="folders in which shards were run")
    parser.add_argument("--out", type=Path, help="where the whole run goes; the folder itself when there is only one")
    parser.add_argument("--replace", action="store_true", help="let it take the place of another run in --out")
    options = parser.parse_args(args)
    folders: list[Path] = list(dict.fromkeys(options.folders))
    if len(folders) > 1 and options.out is None:
        raise ConfigError("several folders are merged into another one: set --out FOLDER")
    out: Path = options.out or folders[0]
    for folder in folders:
        if not sharding.counts(folder):
            raise ConfigError(f"{folder}: no shard was run there; name folders of runs with shard=I/N")
    n = _common_count(folders)
    with held(out / ".lock"):
        cases = _cases(folders)
        others = [folder for folder in folders if folder.resolve() != out.resolve()]
        if len(others) == len(folders) and not options.replace:
            _refuse_another(out, folders[0], cases)
        for folder in others:
            _bring(folder, out, n)
        run = sharding.merged(out, cases, n)
        config = {**run.manifest["config"], "out": str(out)}
        metrics = config.get("fidelity")
        fidelity = fidelity_config(None if metrics is None else FidelityOptions.stored(metrics))
        scored = replace(run, manifest={**run.manifest, "config": config})
        result = finish(scored, fidelity, cores(), changed=False)
    print(table(result.rows))
    for problem in result.problems:
        print(f"problem: {problem}")
    print(f"report: {out / 'report.html'}")
    return result.code


def _common_count(folders: Sequence[Path]) -> int:
    """Return the number of shards that all folders have and that is complete in all of them together; of several the last run.

    Raises:
        ConfigError: there is none.
    """
    from sora_eval.errors import ConfigError
    from sora_eval.runs import sharding

    counts = [n for n in sharding.counts(folders[0]) if all(n in sharding.counts(f) for f in folders)]
    if not counts:
        raise ConfigError("these folders hold shards of different numbers: split all with the same shard=I/N")
    lacking = {n: set.intersection(*(set(sharding.missing(f, n)) for f in folders)) for n in counts}
    whole = [n for n in counts if not lacking[n]]
    if not whole:
        n = counts[0]
        left = ", ".join(f"{i}/{n}" for i in sorted(lacking[n]))
        raise ConfigError(f"shard {left} is in none of these folders: run it first")
    return max(whole, key=lambda n: max(sharding.written(f, n) for f in folders))


def _refuse_another(out: Path, folder: Path, cases: Sequence[Case]) -> None:
    """Raise ConfigError where a folder holds a run of something else than a shard's folder."""
    from sora_eval.errors import ConfigError
    from sora_eval.files import read_json
    from sora_eval.runs.identity import FILE, read_cases

    if not (out / FILE).exists():
        return
    if read_json(out / FILE) != read_json(folder / FILE) or read_cases(out) != cases:
        raise ConfigError(f"{out} holds another run than {folder}: name another folder with --out, or add --replace")


def _cases(folders: Sequence[Path]) -> list[Case]:
    """Return the cases that all shards were dealt from.

    Raises:
        ConfigError: the folders hold shards of other cases.
    """
    from sora_eval.errors import ConfigError
    from sora_eval.runs.identity import read_cases

    first = read_cases(folders[0])
    for folder in folders[1:]:
        if read_cases(folder) != first:
            raise ConfigError(f"{folder} holds a shard of other cases than {folders[0]}: they are no parts of one run")
    return first


def _bring(folder: Path, out: Path, n: int) -> None:
    """Link or copy what a folder has, in place of what `out` may have."""
    from sora_eval.files import link_or_copy
    from sora_eval.video.sources import bring_record, is_record

    for path in _files(folder, n):
        there = out / path.relative_to(folder)
        if there.exists() and there.samefile(path):
            continue
        (bring_record if is_record(path) else link_or_copy)(path, there)


def _files(folder: Path, n: int) -> Iterator[Path]:
    from sora_eval.files import inside
    from sora_eval.runs import sharding

    paths: list[Path] = []
    for kind in ("videos", "tracks", "scores", "tracking", "prompts"):
        paths += sorted((folder / kind).rglob("[!.]*"))
    paths += [folder / name for name in ("cases.jsonl", "identity.json")]
    # Rows come before the file that says that they are there.
    paths += sorted((folder / sharding.FOLDER).glob(f"*-of-{n}.parquet"))
    paths += sorted((folder / sharding.FOLDER).glob(f"*-of-{n}.json"))
    # A link that leads out of the folder would bring a file that is no part of the run.
    yield from (p for p in paths if p.is_file() and inside(folder, p.relative_to(folder).as_posix()) is not None)
