"""Sets of cases that are read from a file: stored ones, as cases.jsonl of a run folder or of an export holds them, and a user's prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sora_eval import registry
from sora_eval.errors import ConfigError
from sora_eval.files import parse_json, text_lines
from sora_eval.probes.base import Probe
from sora_eval.probes.natural.judging import NaturalProbe
from sora_eval.prompting.options import PromptFile
from sora_eval.prompting.prompt_files import prompt_cases, read_prompts
from sora_eval.stats.samples import per_prompt, sampled
from sora_eval.types import ALL_MODES, Case, Mode, Profile, digest
from sora_eval.world.families import family

_CASES = "cases.jsonl"
_HASH = 6
_AT = "@"
"""Stands in the name of a set between the file's stem and its hash, and in no name of conf/suite."""


@dataclass(frozen=True)
class CaseSet:
    """The cases of a run and the probes that judge them."""

    probes: Mapping[str, Probe]
    """Probes by name."""
    cases: Sequence[Case]
    """The cases, further samples too."""
    name: str = ""
    """Stem and short hash of the file that the cases come from, "" for a suite."""
    digest: str = ""
    """Hash of what the file says, whatever its layout; "" for a suite."""
    left_out: tuple[str, ...] = ()
    """A line for each case of the file that this version can't ask for, with its reason."""

    @property
    def profile(self) -> Profile:
        """The largest size and the longest clip of the cases, which the cost of a run depends on."""
        height, width = (max(c.size[i] for c in self.cases) for i in (0, 1))
        frames = max(c.frames for c in self.cases)
        given = max(1, *(c.given for c in self.cases))
        return Profile(f"{width}x{height}x{frames}", height, width, frames, float(self.cases[0].fps), given)

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes of the cases, in the order of `ALL_MODES`."""
        return tuple(m for m in ALL_MODES if any(c.mode == m for c in self.cases))

    @property
    def count(self) -> int:
        """The most prompts that a probe has in a mode."""
        return max(Counter((c.probe, c.mode) for c in self.cases if not c.sample).values(), default=1)


def is_of_file(suite: str) -> bool:
    """Return whether a suite's name is that of a set of cases from a file."""
    return _AT in suite


def stored_digest(cases: Iterable[Case], others: Iterable[Mapping[str, Any]] = ()) -> str:
    """Return the hash of a file of cases: of the cases, in any order, and of others, its rows that are no case of this version."""
    rows = [*(case.to_json() for case in cases), *others]
    return digest(sorted(digest(row, 64) for row in rows), 64)


def prompt_digest(cases: Iterable[Case]) -> str:
    """Return the hash of a file of prompts, of the cases of its rows; samples beside the first are left out."""
    return digest([[c.id, c.prompt, dict(c.expect), c.twin] for c in cases if not c.sample], 64)


def stored_set(file: str, samples: int | None = None, otherwise: int = 1) -> CaseSet:
    """Return the cases of a cases.jsonl, or of the one in a folder, where the file has one sample of each `samples` or `otherwise`.

    Raises:
        ConfigError: the file can't be read, holds no case of this version, or has another number of samples of its own.
    """
    path = Path(file) / _CASES if Path(file).is_dir() else Path(file)
    rows = _rows(path)
    probes: dict[str, Probe] = {}
    cases: list[Case] = []
    left_out: list[str] = []
    others: list[dict[str, Any]] = []
    seen: set[str] = set()
    for number, row in rows:
        try:
            case = _known(row, probes)
        except ConfigError as error:
            left_out.append(f"{path}:{number}: case {row.get('id')} is left out: {error}")
            others.append(row)
        else:
            if case.id in seen:
                raise ConfigError(f"{path}:{number}: case {case.id} is there already")
            seen.add(case.id)
            cases.append(case)
    if not cases:
        raise ConfigError(
            f"{path}: no case of it is known to this version; {left_out[0] if left_out else 'it is empty'}"
        )
    own, hashed = per_prompt(cases), stored_digest(cases, others)
    if own > 1 and samples not in (None, own):
        raise ConfigError(f"{path} has {own} samples per prompt of its own: leave samples={samples} out")
    cases = cases if own > 1 else sampled(cases, samples or otherwise)
    return CaseSet(probes, cases, _name(path.stem, path.resolve().parent.name, hashed), hashed, tuple(left_out))


def prompt_set(options: PromptFile, profile: Profile, seed: int, samples: int) -> CaseSet:
    """Return the cases of a file of prompts, or of a bundled set, at the size of a profile.

    Raises:
        ConfigError: the file can't be read, or rows of it are wrong; each is named.
    """
    assert options.file is not None
    rows = read_prompts(options.file)
    cases = prompt_cases(rows, profile, seed, options.twins, options.swapped)
    probes = {name: registry.probe(name) for name in dict.fromkeys(c.probe for c in cases)}
    hashed = prompt_digest(cases)
    return CaseSet(probes, sampled(cases, samples), _name(Path(options.file).stem, "", hashed), hashed)


def _name(stem: str, folder: str, hashed: str) -> str:
    # Every export and run folder calls its file cases.jsonl.
    plain = "".join(c if c.isalnum() or c in "_-." else "_" for c in (folder if stem == "cases" and folder else stem))
    return f"{plain or 'cases'}{_AT}{hashed[:_HASH]}"


def _rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    rows: list[tuple[int, dict[str, Any]]] = []
    number = 0
    try:
        for number, line in enumerate(text_lines(path), start=1):
            row = parse_json(line) if line.strip() else {}
            if not isinstance(row, dict):
                raise ValueError(f"expected a JSON object, got a {type(row).__name__}")
            rows += [(number, row)] if row else []
    except OSError as error:
        remedy = "name a cases.jsonl, or a folder that holds one"
        raise ConfigError(f"cases={path}: {error.strerror or error}; {remedy}") from error
    except ValueError as error:
        raise ConfigError(f"{path}:{max(1, number)}: no line of a list of cases ({error})") from error
    return rows


def _known(row: Mapping[str, Any], probes: dict[str, Probe]) -> Case:
    """Return the case of a row if this version can ask for it and judge it.

    Raises:
        ConfigError: it can't.
    """
    try:
        case = Case.from_json(row)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"not a case of this version: {error}") from error
    probe = probes.get(case.probe) or registry.probe(case.probe)
    if isinstance(probe, NaturalProbe):
        probe.expected(case)
    else:
        _check_scene(case, probe)
    probes[case.probe] = probe
    return case


def _check_scene(case: Case, probe: Probe) -> None:
    name = case.scene.get("family")
    if not isinstance(name, str) or not isinstance(case.scene.get("params"), Mapping):
        raise ConfigError("it has no scene to be judged against")
    scenes = family(name)
    if name != probe.family.name:
        raise ConfigError(f"its scene is a {name}, probe {case.probe} judges a {probe.family.name}")
    scenes.read(case.scene["params"])
