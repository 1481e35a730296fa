"""What makes scores comparable: the same cases, probe versions, sizes, tracker, world and encoders."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sora_eval.errors import ConfigError
from sora_eval.runs.measures import read_measures
from sora_eval.runs.reader import FIRST_ALIGNMENT, Run
from sora_eval.stats.samples import per_prompt
from sora_eval.types import Case, digest
from sora_eval.video.options import LOSSLESS

ALIGNMENT = "alignment"
"""The name of a fact: the version of the alignment of clips with given frames, which decides tracks and scores of models."""
SAMPLES = "samples per prompt"
"""The name of a fact: with other numbers of samples, means over them have other distributions."""
CASE_SET = "set of cases"
"""The name of a fact: the hash of the file that the cases come from; runs of a suite lack it. It says where cases that differ come from;
of runs with the same cases by hash it makes no difference."""
ENCODER = "encoder "
"""How the name of a fact begins on which the measures of fidelity depend, and no score."""
_OF_CASES = ("size", "fps", "frames")
_UNKNOWN = "unknown"
_ENCODER = re.compile(r"(?<!\S)([\w.+-]+)@([0-9a-f]{6,})(?!\S)")
_NAMED = 3


@dataclass(frozen=True)
class Protocol:
    """All that the scores of a run depend on, besides the generator."""

    cases: Mapping[str, str]
    """{case id: hash}."""
    probes: Mapping[str, int]
    """{name: version}."""
    facts: Mapping[str, str]
    """{"size": "64x64", "fps": "8", "frames": "17", "tracker": identity (of the world tracker its version), "world": version,
    "alignment": version, "video": how generated clips were encoded before they were judged, "lossless" or "h264-crf10",
    "samples per prompt": "1" (of the model), "set of cases": hash of the file that they come from, absent for those of a suite,
    "encoder world-video": hash of its weights}; several sizes, rates or lengths stand with
    commas between."""


def protocol_of(run: Run) -> Protocol:
    """Return the protocol of a run.

    Raises:
        ConfigError: its manifest lacks the versions of its probes, or its measures of fidelity can't be read.
    """
    try:
        versions = {str(name): int(version) for name, version in run.manifest["hashes"]["probes"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        path = run.folder / "manifest.json"
        raise ConfigError(f"{path}: hashes.probes, the versions of the probes, is missing; run again") from None
    tools = run.manifest.get("versions")
    tools = tools if isinstance(tools, Mapping) else {}
    facts = {
        "size": _several({f"{c.size[0]}x{c.size[1]}" for c in run.cases}),
        "fps": _several({f"{c.fps:g}" for c in run.cases}),
        "frames": _several({str(c.frames) for c in run.cases}),
        "tracker": str(tools.get("tracker", _UNKNOWN)),
        "world": str(tools.get("world", _UNKNOWN)),
        ALIGNMENT: str(tools.get("alignment", FIRST_ALIGNMENT)),
        "video": str(tools.get("video", LOSSLESS)),
    }
    if case_set := run.manifest["hashes"].get("case_set"):
        facts[CASE_SET] = str(case_set)[:16]
    # References answer each prompt once, whatever the samples of the model.
    if models := [r for r in run.rows if r.kind == "model"]:
        facts[SAMPLES] = str(per_prompt(models))
    used = {c.probe for c in run.cases}
    return Protocol(
        {c.id: c.hash_without_twin for c in run.cases},
        {name: version for name, version in versions.items() if name in used},
        {**facts, **_encoders(run.folder)},
    )


def protocol_hash(protocol: Protocol) -> str:
    """Return a hash that runs share whose scores may be compared.

    It is of cases, versions of probes, and facts but those of encoders and the file of the cases, whose cases are hashed themselves.
    """
    facts = {k: v for k, v in protocol.facts.items() if not k.startswith(ENCODER) and k != CASE_SET}
    if facts.get(ALIGNMENT) == FIRST_ALIGNMENT:
        # Published hashes are those of before it was a fact.
        del facts[ALIGNMENT]
    return digest([sorted(protocol.cases.items()), sorted(protocol.probes.items()), sorted(facts.items())])


def differing(protocols: Mapping[str, Protocol]) -> list[str]:
    """Return a line for each thing in which some protocols differ, [] when the scores may be compared.

    Runs without a model agree with any number of samples. Encoders differ where two runs have another hash for one, or each has one that
    the other lacks; a run without fidelity agrees with every other. Where the cases come from matters only where they are not the same.
    protocols: by the names of the runs in these lines.
    """
    lines = []
    facts = list(dict.fromkeys(name for p in protocols.values() for name in p.facts if not name.startswith(ENCODER)))
    same_cases = len({digest(sorted(p.cases.items())) for p in protocols.values()}) < 2
    for name in facts:
        if name == CASE_SET and same_cases:
            continue
        having = {
            who: p.facts.get(name, "those of a suite" if name == CASE_SET else _UNKNOWN)
            for who, p in protocols.items()
            if name != SAMPLES or name in p.facts
        }
        remedy = "; run with the same samples=K, or let --common compare the samples that all have" * (name == SAMPLES)
        lines += [f"{line}{remedy}" for line in _disagreement(name, having)]
    lines += _encoder_disagreements(protocols)
    probes = list(dict.fromkeys(name for p in protocols.values() for name in p.probes))
    for name in probes:
        versions = {who: str(p.probes[name]) for who, p in protocols.items() if name in p.probes}
        lines += _disagreement(f"version of probe {name}", versions)
    return [*lines, *_case_disagreements(protocols)]


def common(runs: Sequence[Run]) -> list[Run]:
    """Return runs restricted to what all of them share: cases of equal hash, of probes of equal version.

    Raises:
        ConfigError: nothing is left, or they differ in what no restriction mends: the version of tracker, world or alignment, or the
            encoding.
    """
    protocols = [protocol_of(run) for run in runs]
    named = dict(zip(_names(runs), protocols, strict=True))
    refuse_versions(named)
    if not runs:
        return []
    ids = {case for case, _ in set.intersection(*(set(p.cases.items()) for p in protocols))}
    probes = {name for name, _ in set.intersection(*(set(p.probes.items()) for p in protocols))}
    kept = [_restricted(run, ids, probes) for run in runs]
    if not kept[0].cases:
        why = differing(named)
        raise ConfigError(f"these runs share nothing that can be compared: {'; '.join(why)}")
    return kept


def refuse_versions(protocols: Mapping[str, Protocol]) -> None:
    """Refuse runs of different trackers, worlds, alignments or encodings of clips, which no restriction mends. protocols: by name.

    Raises:
        ConfigError: they differ.
    """
    for fact in ("tracker", "world", ALIGNMENT, "video"):
        if lines := _disagreement(fact, {who: p.facts[fact] for who, p in protocols.items()}):
            raise ConfigError(f"no part of these runs can be compared: {lines[0]}; run them again with one {fact}")


def _restricted(run: Run, ids: Collection[str], probes: Collection[str]) -> Run:
    cases: tuple[Case, ...] = tuple(c for c in run.cases if c.id in ids and c.probe in probes)
    kept = {c.id for c in cases}
    return replace(run, cases=cases, rows=tuple(r for r in run.rows if r.case in kept))


def _names(runs: Sequence[Run]) -> list[str]:
    names = [run.folder.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.folder) for run in runs]


def _several(values: set[str]) -> str:
    return ", ".join(sorted(values)) or _UNKNOWN


def _encoders(folder: Path) -> dict[str, str]:
    """Return the hashes of the encoders' weights that a run's measures of fidelity name."""
    measures = [m for by in read_measures(folder).values() for group in by.values() for m in group]
    hashes = {name: digest for m in measures for name, digest in _ENCODER.findall(m.protocol)}
    return {f"{ENCODER}{name}": digest for name, digest in sorted(hashes.items())}


def _disagreement(name: str, values: Mapping[str, str]) -> list[str]:
    """Return "NAME: VALUE in A, B; VALUE in C", nothing when all values are equal."""
    by_value: dict[str, list[str]] = {}
    for who, value in values.items():
        # The world tracker stands as its version alone.
        text = f"world {value}" if name == "tracker" and value.isdigit() else value
        by_value.setdefault(text, []).append(who)
    if len(by_value) < 2:
        return []
    return [f"{name}: " + "; ".join(f"{value} in {_list(who)}" for value, who in by_value.items())]


def _encoder_disagreements(protocols: Mapping[str, Protocol]) -> list[str]:
    having = {who: {k: v for k, v in p.facts.items() if k.startswith(ENCODER)} for who, p in protocols.items()}
    having = {who: encoders for who, encoders in having.items() if encoders}
    lines = []
    for name in dict.fromkeys(k for encoders in having.values() for k in encoders):
        lines += _disagreement(name, {who: encoders[name] for who, encoders in having.items() if name in encoders})
    sets = {who: set(encoders) for who, encoders in having.items()}
    if any(a - b and b - a for a in sets.values() for b in sets.values()):
        named = {who: ", ".join(k.removeprefix(ENCODER) for k in sorted(encoders)) for who, encoders in sets.items()}
        lines += _disagreement("encoders", named)
    return lines


def _case_disagreements(protocols: Mapping[str, Protocol]) -> list[str]:
    """Return lines on ids that some runs lack, and on ids whose cases differ although size, rate and length do not."""
    lines = []
    every = list(dict.fromkeys(case for p in protocols.values() for case in p.cases))
    lacking = {who: [c for c in every if c not in p.cases] for who, p in protocols.items()}
    if any(lacking.values()):
        examples = [
            f"{who} lacks {len(absent)} of {len(every)}, such as {absent[0]}"
            for who, absent in lacking.items()
            if absent
        ]
        lines.append(f"cases: {'; '.join(examples[:_NAMED])}")
    if any(len({p.facts.get(fact, _UNKNOWN) for p in protocols.values()}) > 1 for fact in _OF_CASES):
        return lines
    changed = [c for c in every if len({p.cases[c] for p in protocols.values() if c in p.cases}) > 1]
    if changed:
        lines.append(
            f"cases: {len(changed)} of {len(every)} have the same id and ask for something else, such as {changed[0]}; "
            "another seed gives other cases, another version of sora-eval may word them otherwise"
        )
    return lines


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= _NAMED else f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"
