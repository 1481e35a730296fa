"""Whose a run folder is: which model answered which cases there. A folder takes a run that is the same or more of the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sora_eval.errors import ConfigError, SoraEvalError
from sora_eval.files import parse_json, read_json, read_text, write_json, write_lines
from sora_eval.runs.manifest import fingerprint
from sora_eval.types import Case

FILE = "identity.json"


class ForeignRunError(ConfigError):
    """A folder holds a run of something else."""


def claim(folder: Path, model: Any, cases: Sequence[Case], config: Mapping[str, Any], replace_it: bool) -> None:
    """Note whose folder it is, before the first clip.

    A run there may be gone on with by the same model: by name and weights, or, for a folder of videos, where clips may come later, by
    its path. The cases may be the same, or those and more. References and metrics may change.

    Raises:
        ForeignRunError: the folder holds a run of something else, and `replace_it` is false.
    """
    before = _read(folder)
    if before is not None and not replace_it:
        why = _why_not(folder, before, model, cases, config)
        if why:
            raise ForeignRunError(f"{folder} holds {why}: name another folder with out=..., or say replace=true")
    mine = {"generator": _about(model, cases), "source": _source(config)}
    if before is not None and {k: before.get(k) for k in mine} != mine:
        unfinish(folder)
    write_json(folder / FILE, mine)


def list_cases(folder: Path, cases: Sequence[Case]) -> None:
    """Write the list of a run's cases. Where it was another one, the run that was there is no finished one any more."""
    if [c.to_json() for c in _cases(folder)] != [c.to_json() for c in cases]:
        unfinish(folder)
    write_lines(folder / "cases.jsonl", (c.to_json() for c in cases))


def unfinish(folder: Path) -> None:
    """Take from a run what says that it is finished, before its scores become others: ids of cases are the same for every seed."""
    for name in ("report.html", "manifest.json"):
        (folder / name).unlink(missing_ok=True)


def _why_not(
    folder: Path, before: Mapping[str, Any], model: Any, cases: Sequence[Case], config: Mapping[str, Any]
) -> str:
    old = _cases(folder)
    mine = {c.id: c for c in cases}
    name = before["generator"].get("name")
    if name != model.name:
        return f"a run of {name}, not of {model.name}"
    if changed := [c.id for c in old if c.id in mine and c.alone != mine[c.id].alone]:
        return f"a run with other cases, of another seed, profile or version ({changed[0]} among {len(changed)})"
    if more := [c.id for c in old if c.id not in mine]:
        return f"a run with cases that this one does not ask for ({more[0]} among {len(more)})"
    grows = _source(config).get("path") is not None and _source(config) == before.get("source")
    if old and not grows and before["generator"].get("fingerprint") != fingerprint(model, [mine[c.id] for c in old]):
        return f"a run of another {name}: its weights or options differ"
    return ""


def _read(folder: Path) -> Mapping[str, Any] | None:
    """Return what a folder says of its run, None when it holds none."""
    for name in (FILE, "manifest.json"):
        if not (folder / name).exists():
            continue
        try:
            found = read_json(folder / name)
            if name == FILE:
                return found if isinstance(found["generator"], dict) else None
            return {"generator": dict(found["generators"][0]), "source": dict(found["config"]["generator"])}
        except (SoraEvalError, KeyError, IndexError, TypeError, ValueError):
            continue
    return None


def read_cases(folder: Path) -> list[Case]:
    """Return the cases of the run in a folder.

    Raises:
        ConfigError: cases.jsonl is missing or broken.
    """
    path = folder / "cases.jsonl"
    try:
        lines = read_text(path).split("\n")
        cases = [Case.from_json(parse_json(line)) for line in lines if line.strip()]
        if len({c.id for c in cases}) < len(cases):
            raise ValueError("a case is there twice")
        return cases
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: no list of cases ({error}); run the same command again") from error


def _cases(folder: Path) -> list[Case]:
    # A list that can't be read says nothing of what was run; it is written again.
    try:
        return read_cases(folder)
    except ConfigError:
        return []


def _about(model: Any, cases: Sequence[Case]) -> dict[str, Any]:
    return {"name": model.name, "kind": model.kind, "fingerprint": fingerprint(model, cases)}


def _source(config: Mapping[str, Any]) -> dict[str, Any]:
    return {str(k): v for k, v in config["generator"].items()}
