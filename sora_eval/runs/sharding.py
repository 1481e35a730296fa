"""Parts of one large run: which cases belong to a shard, what it leaves behind, and all of them put together again.

RUN/shards/I-of-N.json holds the manifest and the scores of a shard; clips and tracks lie where those of the unsplit run would.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sora_eval.errors import ConfigError
from sora_eval.fidelity.options import FidelityOptions
from sora_eval.files import read_json, write_json
from sora_eval.runs.reader import FIRST_ALIGNMENT, Run, checked_manifest, score_row
from sora_eval.runs.store import MANY, read_parquet, write_parquet
from sora_eval.stats.samples import asked_of
from sora_eval.types import Case, ScoreRow
from sora_eval.video.options import LOSSLESS

FOLDER = "shards"


def parse(text: str) -> tuple[int, int]:
    """Return (i, n) of "i/n", with i from 1 to n.

    Raises:
        ConfigError: it is no such text.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(f"shard={text}: write shard=I/N with I from 1 to N, for example shard=1/4")
    return int(match[1]), int(match[2])


def name(shard: tuple[int, int]) -> str:
    """Return a shard's name in a folder."""
    return f"{shard[0]}-of-{shard[1]}"


def part(cases: Sequence[Case], shard: tuple[int, int]) -> list[Case]:
    """Return the cases of a shard, in their order. Scenes are dealt out in turn, each whole, so that what they share is made once.

    Samples of one prompt are of one scene, and stay together.
    """
    i, n = shard
    scenes = {cluster: k for k, cluster in enumerate(dict.fromkeys(c.cluster for c in cases))}
    return [c for c in cases if scenes[c.cluster] % n == i - 1]


def write(run: Run, shard: tuple[int, int]) -> None:
    """Write the manifest and scores of a shard; the JSON file marks the shard as finished. Many rows are in a Parquet file beside it."""
    path, rows = _path(run.folder, shard), None
    if len(run.rows) < MANY:
        rows = [r.values() for r in run.rows]
    else:
        write_parquet(path.with_suffix(".parquet"), run.rows)
    write_json(path, {"about": run.manifest, "rows": rows})


def missing(folder: Path, n: int, like: Mapping[str, Any] | None = None) -> list[int]:
    """Return the numbers of the shards that a folder lacks. like: a manifest; shards of another run than its count as lacking."""
    paths = {i: _path(folder, (i, n)) for i in range(1, n + 1)}
    return [i for i, path in paths.items() if not (path.exists() if like is None else _is_of(path, like))]


def written(folder: Path, n: int) -> float:
    """Return when the last of n shards in a folder was written, in seconds since the epoch; 0 where there is none."""
    return max((p.stat().st_mtime for p in (folder / FOLDER).glob(f"*-of-{n}.json")), default=0.0)


def counts(folder: Path) -> list[int]:
    """Return the n of all shards in a folder, the smallest first."""
    matches = [re.fullmatch(r"\d+-of-(\d+)\.json", p.name) for p in (folder / FOLDER).glob("*.json")]
    return sorted({int(m[1]) for m in matches if m})


def merged(folder: Path, cases: Sequence[Case], n: int) -> Run:
    """Return all n shards of a folder as the unsplit run: generators in their order, and of each the cases in theirs.

    Raises:
        ConfigError: a shard is missing, broken or of another run; a case has no score, or two.
    """
    if absent := missing(folder, n):
        raise ConfigError(f"{folder}: shard {', '.join(f'{i}/{n}' for i in absent)} is missing; run it first")
    abouts: list[dict[str, Any]] = []
    rows: dict[tuple[str, str], ScoreRow] = {}
    for i in range(1, n + 1):
        about, scored = _read(_path(folder, (i, n)))
        if abouts and _what(about) != _what(abouts[0]):
            raise ConfigError(f"{_path(folder, (i, n))}: a shard of another run than 1/{n}; run shard={i}/{n} again")
        abouts.append(about)
        for row in scored:
            if (row.generator, row.case) in rows:
                raise ConfigError(f"{folder}: {row.generator} on {row.case} was scored in two shards")
            rows[row.generator, row.case] = row
    order = [(g["name"], c.id) for g in abouts[0]["generators"] for c in asked_of(g["kind"], cases)]
    if lost := [key for key in order if key not in rows]:
        raise ConfigError(f"{folder}: no shard scored {lost[0][0]} on {lost[0][1]}; run the shards again")
    seconds = round(sum(a["timings"]["seconds"] for a in abouts), 1)
    problems = list(dict.fromkeys(p for a in abouts for p in a["problems"]))
    command = re.sub(r" '?shard=\d+/\d+'?", "", abouts[0]["command"])
    timings = {"seconds": seconds}
    manifest = {
        **abouts[0],
        "command": command,
        "timings": timings,
        "problems": problems,
        **_clips(abouts),
        **_prompts(abouts),
    }
    return Run(folder, manifest, tuple(cases), tuple(rows[key] for key in order), tuple(problems))


def _clips(abouts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the clip counts of all shards by generator; {} where a shard has none, as those of earlier versions."""
    if not all("clips" in a for a in abouts):
        return {}
    first = abouts[0]["clips"]
    return {
        "clips": {
            name: {key: sum(a["clips"][name][key] for a in abouts) for key in counts} for name, counts in first.items()
        }
    }


def _prompts(abouts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the rewriting of prompts with the counts of all shards; {} where there is none."""
    parts = [a["prompts"] for a in abouts if isinstance(a.get("prompts"), dict)]
    if not parts or len(parts) < len(abouts):
        return {}
    return {"prompts": {**parts[0], **{k: sum(int(p.get(k, 0)) for p in parts) for k in ("cases", "changed", "lost")}}}


def _what(about: Mapping[str, Any]) -> Any:
    """Return what all shards of one run share."""
    names = [(g["name"], g["fingerprint"]) for g in about["generators"]]
    versions = about["versions"]
    alignment = versions.get("alignment", FIRST_ALIGNMENT)
    return names, about["hashes"], versions["tracker"], versions["world"], alignment, versions.get("video", LOSSLESS)


def _is_of(path: Path, about: Mapping[str, Any]) -> bool:
    try:
        return bool(_what(_read(path)[0]) == _what(about))
    except ConfigError:
        return False


def _read(path: Path) -> tuple[dict[str, Any], list[ScoreRow]]:
    stored = read_json(path)
    try:
        raw = stored["rows"] if stored["rows"] is not None else read_parquet(path.with_suffix(".parquet"))
        about, rows = _checked(path, stored["about"]), [score_row(row) for row in raw]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ConfigError(f"{path}: not a shard's scores ({error}); run that shard again") from error
    return about, rows


def _checked(path: Path, about: dict[str, Any]) -> dict[str, Any]:
    """Return a shard's manifest if all fields that a merged run takes from it are there and of the right type.

    Raises:
        ConfigError, KeyError, TypeError, ValueError: it is not.
    """
    if not isinstance(about, dict):
        raise ValueError("about is no JSON object")
    checked_manifest(path, about)
    _what(about)
    if not about["generators"]:
        raise ValueError("generators is empty")
    config = about["config"]
    for key in ("generator", "suite", "profile"):
        if not isinstance(config[key], dict):
            raise ValueError(f"config.{key} is no JSON object")
    fidelity = config["fidelity"]
    if fidelity is not None:
        options = FidelityOptions.stored(fidelity)
        if not all(isinstance(v, str) and v != "???" for v in options.weights.values()):
            raise ValueError("config.fidelity.weights holds a value that is no path")
    if isinstance(config["players"], bool) or not isinstance(config["players"], int) or config["players"] < 0:
        raise ValueError("config.players is no whole number")
    if not (isinstance(about["problems"], list) and all(isinstance(p, str) for p in about["problems"])):
        raise ValueError("problems is no list of lines")
    if not all(isinstance(v, str) for v in (about["command"], about["suite"], about["profile"])):
        raise ValueError("command, suite or profile is no text")
    seconds = about["timings"]["seconds"]
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < float("inf"):
        raise ValueError("timings.seconds is no time")
    # Shards of earlier versions have no counts.
    counts = [about["clips"][g["name"]] for g in about["generators"]] if "clips" in about else []
    if any(sorted(c) != ["failed", "made", "reused"] or any(type(n) is not int for n in c.values()) for c in counts):
        raise ValueError("clips holds no counts")
    return {**about, "config": {**config, "references": config["references"], "seed": config["seed"]}}


def _path(folder: Path, shard: tuple[int, int]) -> Path:
    return folder / FOLDER / f"{name(shard)}.json"
