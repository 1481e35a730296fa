"""Who takes part in a leaderboard: run folders read, checked against each other, seeds pooled, references once.

A run holds one model and its references. Runs of one model with different seeds have different cases of the same probes: they are
united, so that the model has one row and more evidence. The same oracle or control in several runs is shown once. Two models of one
name stay apart.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from sora_eval.errors import ConfigError, SoraEvalError
from sora_eval.runs.protocol import Protocol, common, differing, protocol_of, refuse_versions
from sora_eval.runs.reader import Run, read_run
from sora_eval.runs.store import scores_file
from sora_eval.stats.failures import failed, technical, too_many
from sora_eval.stats.samples import per_prompt, prompts, sample_id
from sora_eval.types import ScoreRow

_FOLDER = "sora_eval.generator.folder.Folder"
Answers: TypeAlias = dict[tuple[str, str], tuple[Run, ScoreRow]]
"""Scores by (case id, case hash), each with the run that holds it."""


class MixedProtocolsError(SoraEvalError):
    """Runs that can't stand in one table. lines: what differs, a line each."""

    def __init__(self, lines: Sequence[str]) -> None:
        """Keep the lines."""
        super().__init__("; ".join(lines))
        self.lines = tuple(lines)


@dataclass(frozen=True)
class Entrant:
    """A row of the leaderboard."""

    label: str
    """Name on the page, unique."""
    name: str
    """Name of the generator in its runs."""
    kind: str
    """"model", "oracle", "control" or "violation"."""
    fingerprints: tuple[str, ...]
    """Fingerprints of the generator in its runs."""
    runs: Mapping[str, Run]
    """By seed, as read."""
    rows: tuple[ScoreRow, ...]
    """Scores, all samples of each case, with `label` as their generator; the paths of videos and tracks start with the run's folder."""

    @property
    def cases(self) -> int:
        """How many cases were answered, whatever the number of their samples."""
        return prompts(self.rows)

    @property
    def samples(self) -> int:
        """How many samples of a case there are."""
        return per_prompt(self.rows)


@dataclass(frozen=True)
class Field:
    """The models and references of a leaderboard."""

    entrants: tuple[Entrant, ...]
    """Models first."""
    cases: int
    """Number of cases that are compared."""
    of: int
    """Number of cases in all, more than `cases` only with `common`."""
    seeds: tuple[str, ...]
    """All seeds; those of several are pooled."""
    protocol: Protocol
    """Protocol that the runs share, its cases those of the first run."""
    notes: tuple[str, ...]
    """What was pooled, merged or left out, a line each."""
    problems: tuple[str, ...]
    """Warnings of the runs themselves."""

    @property
    def rows(self) -> list[ScoreRow]:
        """All scores."""
        return [r for e in self.entrants for r in e.rows]

    @property
    def models(self) -> tuple[Entrant, ...]:
        """The entrants that are models."""
        return tuple(e for e in self.entrants if e.kind == "model")


@dataclass
class _Group:
    """A model, or a reference, while its runs are gathered; everything by seed."""

    name: str
    kind: str
    label: str = ""
    runs: dict[str, Run] = field(default_factory=dict)
    answers: dict[str, Answers] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)


def gather(folders: Sequence[Path], shared: bool = False) -> Field:
    """Return the field of run folders. shared: keep what they have in common instead of refusing what differs.

    Raises:
        MixedProtocolsError: protocols differ.
        ConfigError: a run is broken or unfinished, none is given, or nothing is shared.
    """
    runs = read_runs(folders)
    protocols = {id(run): protocol_of(run) for run in runs}
    if not shared:
        _refuse({str(run.folder): replace(protocols[id(run)], cases={}) for run in runs})
    refuse_versions({str(run.folder): protocols[id(run)] for run in runs})
    notes: list[str] = []
    groups = _groups(runs, protocols, notes)
    seeds = tuple(sorted({seed for g in groups for seed in g.runs}, key=_natural))
    many = len(seeds) > 1
    judged = [g for g in groups if g.kind == "model"] or groups
    pools = [_pool(g, many) for g in judged]
    every = {c.prompt_id for pool in pools for c in pool.cases}
    if shared:
        kept = common(pools)
        notes += _left_out(pools, kept)
    else:
        if lines := list(_other_seeds(judged, seeds)):
            raise MixedProtocolsError(lines)
        _refuse({g.label: replace(protocols[id(runs[0])], cases=_hashes(g, many)) for g in judged})
        kept = pools
    wanted = {c.id for c in kept[0].cases}
    known = {case: key for g in judged for case, key in _hashes(g, many).items() if case in wanted}
    # Models keep what is compared; a reference is shown over these cases, and no others.
    chosen = {id(g): pool.rows for g, pool in zip(judged, kept, strict=True)}
    entrants = [_entrant(g, chosen.get(id(g)) or _matching(g, known, many)) for g in groups]
    count = prompts(kept[0].cases)
    for e in entrants:
        if 0 < e.cases < count:
            notes.append(f"{e.label} was run on {e.cases} of the {count} cases")
    shown = sorted((e for e in entrants if e.rows), key=lambda e: e.kind != "model")
    counts = Counter(problem for run in runs for problem in dict.fromkeys(run.problems))
    problems = tuple(p if n == 1 else f"{p} ({n} runs)" for p, n in counts.items())
    return Field(
        *(tuple(shown), count, len(every), seeds, protocols[id(runs[0])]),
        (*_pooling(shown), *_technical(shown), *notes),
        problems,
    )


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Return finished runs, each once.

    Raises:
        ConfigError: a run is broken or unfinished, or none is given.
    """
    if not folders:
        raise ConfigError("no run is given: name the folders of finished runs, for example runs/smoke-small/*/*/0")
    unique: dict[Path, Path] = {}
    for folder in folders:
        unique.setdefault(Path(folder).resolve(), Path(folder))
    return [_whole(read_run(_finished(folder))) for folder in unique.values()]


def _finished(folder: Path) -> Path:
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; name the folder of a finished run")
    for name in (scores_file(folder).name, "manifest.json"):
        if (folder / "cases.jsonl").is_file() and not (folder / name).is_file():
            raise ConfigError(f"{folder}: the run is not finished ({name} is missing); its command, run again, goes on")
    return folder


def _whole(run: Run) -> Run:
    known = {c.id for c in run.cases}
    if lost := next((r.case for r in run.rows if r.case not in known), None):
        raise ConfigError(f"{run.folder}: {lost} has a score and is not in cases.jsonl; run its command again")
    return run


def _refuse(protocols: Mapping[str, Protocol]) -> None:
    if lines := differing(protocols):
        raise MixedProtocolsError(lines)


def _groups(runs: Sequence[Run], protocols: Mapping[int, Protocol], notes: list[str]) -> list[_Group]:
    """Return the models and references, named; equal answers count once."""
    groups: list[_Group] = []
    for run in runs:
        seed = str(run.manifest.get("seed", ""))
        by_generator: dict[tuple[str, str], Answers] = {}
        hashes = protocols[id(run)].cases
        for row in run.rows:
            by_generator.setdefault((row.generator, row.kind), {})[row.case, hashes[row.case]] = (run, row)
        for (name, kind), answers in by_generator.items():
            print_ = _fingerprint(run, name)
            alike = [
                g for g in groups if (g.name, g.kind) == (name, kind) and (kind != "model" or _same(g, run, print_))
            ]
            if kind != "model" and alike:
                _merge(alike[0], seed, run, answers, notes)
                continue
            twice = next((g for g in alike if seed in g.runs and _equal(g.answers[seed], answers)), None)
            if twice is not None:
                notes.append(f"{name} gave the same answers in {twice.runs[seed].folder} and {run.folder}: shown once")
                continue
            group = next((g for g in alike if seed not in g.runs), None)
            if group is None:
                groups.append(group := _Group(name, kind))
            group.runs[seed], group.answers[seed], group.fingerprints[seed] = run, answers, print_
    _name(groups)
    return groups


def _fingerprint(run: Run, name: str) -> str:
    listed = run.manifest.get("generators")
    entries = [g for g in listed if isinstance(g, Mapping)] if isinstance(listed, list) else []
    return next((str(g.get("fingerprint", "")) for g in entries if g.get("name") == name), "")


def _same(group: _Group, run: Run, fingerprint: str) -> bool:
    """Return whether a run's model is that of a group: by its fingerprint, or by its folder, whose fingerprint covers the videos."""
    if fingerprint and fingerprint in group.fingerprints.values():
        return True
    return _from_folder(run) is not None and any(_from_folder(run) == _from_folder(r) for r in group.runs.values())


def _from_folder(run: Run) -> Any:
    config = run.manifest.get("config")
    generator = config.get("generator") if isinstance(config, Mapping) else None
    return generator if isinstance(generator, Mapping) and generator.get("_target_") == _FOLDER else None


def _equal(first: Answers, second: Answers) -> bool:
    return first.keys() == second.keys() and all(_score(first[k][1]) == _score(second[k][1]) for k in first)


def _score(row: ScoreRow) -> tuple[float | None, str]:
    return row.value, row.reason


def _merge(group: _Group, seed: str, run: Run, answers: Answers, notes: list[str]) -> None:
    """Add a reference's answers of a further run; the first ones count."""
    known = group.answers.setdefault(seed, {})
    group.runs.setdefault(seed, run)
    group.fingerprints.setdefault(seed, _fingerprint(run, group.name))
    other = [k for k in answers if k in known and _score(known[k][1]) != _score(answers[k][1])]
    if other:
        first = known[other[0]][0].folder
        notes.append(
            f"{group.name} scored otherwise in {run.folder} than in {first} on {len(other)} cases: {first} counts"
        )
    for key, answer in answers.items():
        known.setdefault(key, answer)


def _name(groups: Sequence[_Group]) -> None:
    """Give every group a label: its name, and where several have it the part of their folders that differs, or a hash."""
    for group in groups:
        twins = [g for g in groups if g.name == group.name]
        group.label = group.name if len(twins) == 1 else f"{group.name} ({_distinct(group, twins)})"


def _distinct(group: _Group, twins: Sequence[_Group]) -> str:
    parts = {id(g): [p for p in next(iter(g.runs.values())).folder.parts if p not in g.runs] for g in twins}
    for depth in range(1, max(map(len, parts.values())) + 1):
        tails = {key: "/".join(p[-depth:]) for key, p in parts.items()}
        if len(set(tails.values())) == len(twins):
            return tails[id(group)]
    hashes = {id(g): next(iter(g.fingerprints.values()))[:6] for g in twins}
    return hashes[id(group)] if len(set(hashes.values())) == len(twins) else str(list(parts).index(id(group)) + 1)


def pooled_id(case: str, seed: str, many: bool, sample: int = 0) -> str:
    """Return the id that a case, or a cluster, of one seed has among those of several; `many`: whether there are several.

    Every seed counts its cases from 0: united, their ids need the seed, and that of a sample still ends in its number.
    """
    return sample_id(f"{case.removesuffix(f'.s{sample}')}@{seed}", sample) if many and case else case


def _pool(group: _Group, many: bool) -> Run:
    """Return the runs of a group as one, with only its own answers."""
    first = next(iter(group.runs.values()))
    cases, rows = [], []
    for seed, run in group.runs.items():
        answers = {case: row for (case, _), (_, row) in group.answers[seed].items()}
        own = [c for c in run.cases if c.id in answers]
        rows += [_row(group, seed, run, answers[c.id], many) for c in own]
        cases += [replace(c, id=pooled_id(c.id, seed, many, c.sample)) for c in own] if many else own
    return Run(first.folder, _agreed(group), tuple(cases), tuple(rows), ())


def _agreed(group: _Group) -> Mapping[str, Any]:
    """Return the first manifest of a group, with the probes whose version is the same in all of its runs."""
    manifests = [run.manifest for run in group.runs.values()]
    hashes = manifests[0].get("hashes")
    if len(manifests) == 1 or not isinstance(hashes, Mapping):
        return manifests[0]
    versions = [dict(m.get("hashes", {}).get("probes", {})) for m in manifests]
    same = {p: v for p, v in versions[0].items() if all(other.get(p) == v for other in versions)}
    return {**manifests[0], "hashes": {**hashes, "probes": same}}


def _row(group: _Group, seed: str, run: Run, row: ScoreRow, many: bool) -> ScoreRow:
    # dataclasses.replace takes twice as long, and there may be a hundred thousand rows.
    return ScoreRow(
        **{
            **vars(row),
            "generator": group.label,
            "case": pooled_id(row.case, seed, many, row.sample),
            "twin": pooled_id(row.twin, seed, many, row.sample),
            "cluster": pooled_id(row.cluster, seed, many),
            "video": (run.folder / row.video).as_posix() if row.video else "",
            "tracks": (run.folder / row.tracks).as_posix() if row.tracks else "",
        }
    )


def _hashes(group: _Group, many: bool) -> dict[str, str]:
    return {
        pooled_id(case, seed, many, row.sample): key
        for seed, own in group.answers.items()
        for (case, key), (_, row) in own.items()
    }


def _matching(group: _Group, known: Mapping[str, str], many: bool) -> tuple[ScoreRow, ...]:
    return tuple(
        _row(group, seed, run, row, many)
        for seed, own in group.answers.items()
        for (case, key), (run, row) in own.items()
        if known.get(pooled_id(case, seed, many, row.sample)) == key
    )


def _entrant(group: _Group, rows: tuple[ScoreRow, ...]) -> Entrant:
    prints = tuple(dict.fromkeys(group.fingerprints.values()))
    return Entrant(group.label, group.name, group.kind, prints, dict(group.runs), rows)


def _other_seeds(groups: Sequence[_Group], seeds: Sequence[str]) -> Iterator[str]:
    for g in groups:
        if missing := [s for s in seeds if s not in g.runs]:
            yield f"seed: {g.label} has no run of seed {', '.join(missing)}, another model has"


def _left_out(pools: Sequence[Run], kept: Sequence[Run]) -> Iterator[str]:
    every = {c.prompt_id for pool in pools for c in pool.cases}
    count = prompts(kept[0].cases)
    most = [max(per_prompt(pool.cases) for pool in own) for own in (kept, pools)]
    if most[0] < most[1]:
        yield f"compared on the samples that are shared: {most[0]} per prompt, of up to {most[1]}"
    yield f"compared on what is shared: {count} of {len(every)} cases ({count / len(every):.0%})"
    names = [dict.fromkeys(f"{c.suite}/{c.probe}" for run in own for c in run.cases) for own in (pools, kept)]
    if gone := [name for name in names[0] if name not in names[1]]:
        yield f"nothing is shared of {', '.join(gone)}"


def _pooling(entrants: Sequence[Entrant]) -> Iterator[str]:
    seeds = {e.label: tuple(e.runs) for e in entrants if e.kind == "model" and len(e.runs) > 1}
    for own in dict.fromkeys(seeds.values()):
        names = [label for label, own_seeds in seeds.items() if own_seeds == own]
        models = names[0] if len(names) == 1 else f"{len(names)} models"
        yield f"{models}: the cases of seeds {', '.join(own)} are pooled"


def _technical(entrants: Sequence[Entrant]) -> Iterator[str]:
    for e in entrants:
        if failed(e.rows):
            yield f"{e.label}: no clip came back, {technical(e.rows)} of {len(e.rows)} for technical reasons; it has no score and no rank"
        elif e.kind == "model" and (why := too_many(e.rows)):
            yield f"{e.label} is not ranked: {why}"
        elif n := technical(e.rows):
            yield (
                f"{e.label}: {n} of {len(e.rows)} clips failed technically; they count as 0 in its scores and are left out of ranks and "
                "differences; its command, run again, generates them again"
            )


def _natural(seed: str) -> tuple[int, str]:
    return (int(seed), "") if re.fullmatch(r"\d{1,18}", seed) else (10**18, seed)
