"""Run identity: which model and cases a run folder belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sora_eval.errors import ConfigError, SoraEvalError
from sora_eval.files import parse_json, read_json, text_lines, write_json, write_lines
from sora_eval.generator.base import Generator
from sora_eval.runs.manifest import fingerprint
from sora_eval.tracking.base import WORLD, Tracker, described
from sora_eval.types import Case

FILE = "identity.json"
CASES = "cases.jsonl"


class ForeignRunError(ConfigError):
    """A folder holds a run of something else."""


def adopt_or_refuse(
    folder: Path, model: Generator, cases: Sequence[Case], source: Mapping[str, Any], tracker: Tracker, replace: bool
) -> None:
    """Write identity.json, before the first clip, if the run may go into this folder.

    A folder takes the run that it holds, or more of it: the same model by name and weights (for a folder of videos, where clips may come
    later, by its path), and at least the same cases. The tracker stays; references and metrics may change.

    source: the options of the generator. replace: whether a run of something else may be replaced.

    Raises:
        ForeignRunError: the folder holds a run of something else, and `replace` is false.
    """
    stored = _read(folder)
    if stored is not None and not replace:
        why = _why_foreign(folder, stored, model, cases, source) or _why_other_tracker(stored, tracker)
        if why:
            raise ForeignRunError(f"{folder} holds {why}: name another folder with out=..., or set replace=true")
    about = {"name": model.name, "kind": model.kind, "fingerprint": fingerprint(model, cases)}
    identity: dict[str, Any] = {"generator": about, "source": dict(source)}
    if tracker.name != WORLD:
        # Left out for the world tracker, which runs of earlier versions were judged with.
        identity["tracker"] = described(tracker)
    if stored is not None and {k: stored.get(k) for k in identity} != identity:
        invalidate(folder)
    write_json(folder / FILE, identity)


def write_cases(folder: Path, cases: Sequence[Case]) -> None:
    """Write cases.jsonl; a finished run of other cases is invalidated."""
    stored = _stored_cases(folder)
    if len(stored) != len(cases) or any(a.to_json() != b.to_json() for a, b in zip(stored, cases, strict=True)):
        invalidate(folder)
    write_lines(folder / CASES, (c.to_json() for c in cases))


def invalidate(folder: Path) -> None:
    """Remove the files that mark a run as finished, before its scores change: ids of cases are the same for every seed."""
    for name in ("report.html", "manifest.json"):
        (folder / name).unlink(missing_ok=True)


def read_cases(folder: Path) -> list[Case]:
    """Return the cases of the run in a folder.

    Raises:
        ConfigError: cases.jsonl is missing or broken.
    """
    path = folder / CASES
    try:
        cases = [Case.from_json(parse_json(line)) for line in text_lines(path) if line.strip()]
        if len({c.id for c in cases}) < len(cases):
            raise ValueError("a case is there twice")
        return cases
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: no list of cases ({error}); run the same command again") from error


def _why_foreign(
    folder: Path, stored: Mapping[str, Any], model: Generator, cases: Sequence[Case], source: Mapping[str, Any]
) -> str:
    """Return what a folder's run is that it can't be continued as this one, "" where it can."""
    before = _stored_cases(folder)
    now = {c.id: c for c in cases}
    name = stored["generator"].get("name")
    if name != model.name:
        return f"a run of {name}, not of {model.name}"
    if changed := [c.id for c in before if c.id in now and c.hash_without_twin != now[c.id].hash_without_twin]:
        return f"a run with other cases, of another seed, profile or version ({changed[0]} among {len(changed)})"
    if more := [c.id for c in before if c.id not in now]:
        return f"a run with cases that are not in this one ({more[0]} among {len(more)})"
    grows = source.get("path") is not None and dict(source) == stored.get("source")
    if (
        before
        and not grows
        and stored["generator"].get("fingerprint") != fingerprint(model, [now[c.id] for c in before])
    ):
        return f"a run of another {name}: its weights or options differ"
    return ""


def _why_other_tracker(stored: Mapping[str, Any], tracker: Tracker) -> str:
    before, now = stored.get("tracker", WORLD), WORLD if tracker.name == WORLD else described(tracker)
    return "" if before == now else f"a run that was judged with tracker {before}, not with {now}"


def _read(folder: Path) -> Mapping[str, Any] | None:
    """Return the identity of the run in a folder, None when it holds none."""
    for name in (FILE, "manifest.json"):
        if not (folder / name).exists():
            continue
        try:
            stored = read_json(folder / name)
            if name == FILE:
                return stored if isinstance(stored["generator"], dict) else None
            return {"generator": dict(stored["generators"][0]), "source": dict(stored["config"]["generator"])}
        except (SoraEvalError, KeyError, IndexError, TypeError, ValueError):
            continue
    return None


def _stored_cases(folder: Path) -> list[Case]:
    # A list that can't be read does not show what was run; it is written again.
    try:
        return read_cases(folder)
    except ConfigError:
        return []
