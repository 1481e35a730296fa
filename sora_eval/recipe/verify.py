"""Verification of a bundle: hashes, cases, summaries, and a random share of the clips scored again."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sora_eval.errors import ConfigError, SoraEvalError
from sora_eval.files import read_json
from sora_eval.probes.selection import select_cases, select_probes
from sora_eval.prompting.case_sets import prompt_digest, prompt_set, stored_digest
from sora_eval.prompting.options import PromptFile
from sora_eval.prompting.prompt_files import is_bundled
from sora_eval.recipe.bundle import check_records, unpack
from sora_eval.recipe.card import FILE as CARD
from sora_eval.recipe.card import read_card
from sora_eval.recipe.rescoring import Judge, judge_of, rescore
from sora_eval.runs.reader import Run, read_run
from sora_eval.stats.samples import per_prompt
from sora_eval.stats.summary import summarise
from sora_eval.tracking.base import WORLD, described
from sora_eval.types import Case, Profile, Score, ScoreRow
from sora_eval.world import VERSION as WORLD_VERSION
from sora_eval.world.looks import LookOptions

TOLERANCE = 0.01
"""Largest difference of a score that passes for the same: other processors and builds of FFmpeg round otherwise."""
_FEW = 0.05
"""Share of manipulated clips of which is said how surely some would be found."""


@dataclass(frozen=True)
class Finding:
    """What is wrong with a bundle."""

    text: str
    """One line."""


@dataclass(frozen=True)
class Verification:
    """What came of the verification of a bundle."""

    rescored: int
    """Clips that were scored again."""
    of: int
    """Clips of models that have a score."""
    seed: int
    """Seed of the choice."""
    tolerance: float
    """Largest difference of a score that passes."""
    largest: float
    """The largest difference that was found."""
    findings: tuple[Finding, ...]
    """What is wrong."""
    notes: tuple[str, ...]
    """What could not be checked, or is not as here."""

    @property
    def code(self) -> int:
        """The exit code."""
        return 1 if self.findings else 0

    @property
    def sureness(self) -> float:
        """Probability that at least one of 5% manipulated clips would have been among those scored again."""
        bad = max(1, round(_FEW * self.of)) if self.of else 0
        if not bad or self.rescored > self.of - bad:
            return 1.0 if bad else 0.0
        return 1 - math.comb(self.of - bad, self.rescored) / math.comb(self.of, self.rescored)

    @property
    def verdict(self) -> str:
        """One line."""
        done = f"{self.rescored} of {self.of} clips scored again (seed {self.seed})"
        if self.findings:
            more = f", and {len(self.findings) - 1} more" if len(self.findings) > 1 else ""
            return f"NOT VERIFIED: {self.findings[0].text}{more}; {done}"
        return (
            f"VERIFIED: all hashes hold, {done}, largest difference {self.largest:.2g}, tolerance {self.tolerance:g}; were 5% of the clips "
            f"manipulated, this would have been found with probability {self.sureness:.2f}"
        )


def verify(
    path: Path,
    folder: Path,
    share: float = 0.1,
    seed: int | None = None,
    tolerance: float = TOLERANCE,
    workers: int = 1,
    trust: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Verification:
    """Verify a bundle.

    folder: an empty folder, to which its files are written. share: of the clips of models, at least one. seed: of the choice, None for one
    that nobody can foresee. workers: processes. trust: whether a tracker that is not sora-eval's own may be imported.

    Raises:
        ConfigError: an option can't be used, or there is no such archive. Whatever is wrong with the archive is a finding.
    """
    if not 0 < share <= 1:
        raise ConfigError(f"share must be above 0 and at most 1, got {share:g}")
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise ConfigError(f"tolerance must be a number of at least 0, got {tolerance:g}")
    if not path.is_file():
        raise ConfigError(f"{path}: no such archive")
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    try:
        unpack(path, folder)
        check_records(folder)
        run = read_run(folder)
        findings = list(_results(run))
        own, notes = _cases(run)
        judge = judge_of(run, trust)
    except SoraEvalError as error:
        return _only(seed, tolerance, str(error).replace(f"{folder}/", ""))
    findings += own
    notes += _versions(run, judge)
    clips = _clips(run)
    chosen = sorted(random.Random(seed).sample(range(len(clips)), min(len(clips), math.ceil(share * len(clips)))))
    say(f"scoring {len(chosen)} of {len(clips)} clips again")
    scores = rescore(judge, folder, [clips[i] for i in chosen], workers)
    largest = 0.0
    for (row, _), score in zip((clips[i] for i in chosen), scores, strict=True):
        difference = _difference(row, score)
        largest = max(largest, difference)
        if difference > tolerance:
            findings.append(Finding(_mismatch(row, score)))
    return Verification(len(chosen), len(clips), seed, tolerance, largest, tuple(findings), tuple(notes))


def _only(seed: int, tolerance: float, text: str) -> Verification:
    return Verification(0, 0, seed, tolerance, 0.0, (Finding(" ".join(text.split())),), ())


def _clips(run: Run) -> list[tuple[ScoreRow, Case]]:
    """Return the clips of models; of a run without a model, those of its first generator."""
    first = run.rows[0].generator
    models = any(row.kind == "model" for row in run.rows)
    by_id = {case.id: case for case in run.cases}
    return [(r, by_id[r.case]) for r in run.rows if r.video and (r.kind == "model" if models else r.generator == first)]


def _results(run: Run) -> Iterator[Finding]:
    """Yield what in a bundle contradicts its own scores."""
    cases = {case.id: case for case in run.cases}
    for row in run.rows:
        case = cases.get(row.case)
        where = f"{row.generator} on {row.case}"
        if case is None or (row.suite, row.probe, row.mode, row.cluster) != (
            case.suite,
            case.probe,
            case.mode,
            case.cluster,
        ):
            yield Finding(f"{where}: scores.jsonl and cases.jsonl are of other cases")
        elif row.value is not None and not row.video:
            yield Finding(f"{where} has a score of {row.value:g} and no clip")
        elif row.video and not (run.folder / row.video).is_file():
            yield Finding(f"{where}: its clip is not in the bundle")
    if run.problems and (unscored := [p for p in run.problems if "have no score" in p]):
        yield Finding(unscored[0])
    stored = read_json(run.folder / "summary.json") if (run.folder / "summary.json").is_file() else None
    if not _same(json.loads(json.dumps(summarise(run.rows).to_json())), stored):
        yield Finding("summary.json is not the summary of scores.jsonl")
    card = read_card(run.folder / CARD)
    scores = {(r.generator, r.case): r.value for r in run.rows}
    if any(scores.get((s.generator, s.case), math.nan) != s.value for s in card.scores):
        yield Finding("the card has other scores than scores.jsonl")


def _same(made: Any, stored: Any) -> bool:
    """Return whether JSON values are equal, numbers up to rounding: another processor sums in another order."""
    if isinstance(made, dict) and isinstance(stored, dict):
        return made.keys() == stored.keys() and all(_same(made[k], stored[k]) for k in made)
    if isinstance(made, list) and isinstance(stored, list):
        return len(made) == len(stored) and all(map(_same, made, stored))
    if isinstance(made, float) and isinstance(stored, int | float):
        return math.isclose(made, stored, rel_tol=1e-9, abs_tol=1e-9)
    return bool(made == stored)


def _cases(run: Run) -> tuple[list[Finding], list[str]]:
    """Return whether the cases are those that were to be run: with another expectation there would be no test.

    Those of a suite or a bundled set are made again from profile and seed; those of a file must have the hash that the manifest has of it.
    """
    config = run.manifest.get("config")
    config = config if isinstance(config, Mapping) else {}
    hashes: Any = run.manifest.get("hashes")
    case_set = hashes.get("case_set") if isinstance(hashes, Mapping) else None
    prompts = config.get("prompts")
    prompts = prompts if isinstance(prompts, Mapping) else {}
    file = str(config.get("cases") or prompts.get("file") or "")
    bundled = not config.get("cases") and is_bundled(file)
    if case_set and not bundled:
        return _cases_of_file(run, file, str(case_set), bool(config.get("cases")))
    try:
        expected = _bundled_cases(run, config, prompts) if bundled else _suite_cases(run, config)
    except (SoraEvalError, KeyError, TypeError, ValueError) as error:
        return [Finding(f"the cases can't be made again from the configuration ({' '.join(str(error).split())})")], []
    return _compared_cases(run, expected)


def _cases_of_file(run: Run, file: str, stored: str, cases: bool) -> tuple[list[Finding], list[str]]:
    """Return whether cases have the hash that the manifest has of their file. cases: whether it is one of cases, not of prompts."""
    first = [case for case in run.cases if not case.sample]
    # A file of cases has further samples of its own, or the run made them.
    hashes = {stored_digest(run.cases), stored_digest(first)} if cases else {prompt_digest(first)}
    name = Path(file).name or "a file"
    if stored in hashes:
        return [], [
            f"the cases are those of {name}: compare its hash with {stored}, hashes.case_set of an own run of the file"
        ]
    if left_out := sum(" is left out: " in line for line in run.problems):
        return [], [
            f"{left_out} lines of {name} were left out of the run: the hash of the file can't be computed from its cases"
        ]
    return [Finding(f"the cases are not those of {name}: their hash differs from hashes.case_set in manifest.json")], []


def _bundled_cases(run: Run, config: Mapping[str, Any], prompts: Mapping[str, Any]) -> Sequence[Case]:
    """Return the cases of a bundled set of prompts as this version makes them."""
    options = PromptFile(prompts["file"], prompts["twins"], prompts["swapped"])
    return prompt_set(options, Profile.of(config["profile"]), config["seed"], per_prompt(run.cases)).cases


def _suite_cases(run: Run, config: Mapping[str, Any]) -> Sequence[Case]:
    """Return the cases of a suite as this version makes them."""
    suite, look = config["suite"], LookOptions.of(config.get("world") or {})
    probes = select_probes(suite["suites"], suite["probes"])
    samples = per_prompt(run.cases)
    turns = [suite.get(name) or () for name in ("lengths_s", "aspects")]
    profile = Profile.of(config["profile"])
    return select_cases(probes, profile, suite["modes"], suite["count"], config["seed"], samples, look, *turns)


def _compared_cases(run: Run, expected: Sequence[Case]) -> tuple[list[Finding], list[str]]:
    """Return how the cases of a run differ from those that this version makes."""
    here = {case.id: case.hash_without_twin for case in expected}
    there = {case.id: case.hash_without_twin for case in run.cases}
    if here == there:
        return [], []
    if other := [c for c in there if here.get(c) != there[c]]:
        text = f"{len(other)} of {len(there)} cases are not those of the suite, such as {other[0]}"
        if _of(run, "world") != str(WORLD_VERSION):
            return [], [f"{text}: they are of world {_of(run, 'world')}, and here is world {WORLD_VERSION}"]
        return [Finding(text)], []
    absent = [c for c in here if c not in there]
    return [Finding(f"{len(absent)} of {len(here)} cases of the suite are left out, such as {absent[0]}")], []


def _of(run: Run, name: str) -> str:
    versions = run.manifest.get("versions")
    return str(versions.get(name, "unknown")) if isinstance(versions, Mapping) else "unknown"


def _versions(run: Run, judge: Judge) -> list[str]:
    """Return what judges otherwise here than where the bundle was made."""
    lines = []
    there, here = _of(run, "tracker"), described(judge.tracker)
    if there != here:
        lines.append(
            f"judged with tracker {_tracker(there)}, and here is another one, {_tracker(here)}: scores may differ for that"
        )
    hashes: Any = run.manifest.get("hashes")
    versions = hashes.get("probes") if isinstance(hashes, Mapping) else None
    for name, probe in judge.probes.items():
        if isinstance(versions, Mapping) and versions.get(name) != probe.version:
            lines.append(
                f"probe {name}: version {versions.get(name)} there, {probe.version} here: scores may differ for that"
            )
    return lines


def _tracker(identity: str) -> str:
    return f"{WORLD} {identity}" if identity.isdigit() else identity


def _difference(row: ScoreRow, score: Score) -> float:
    if (row.value is None) != (score.value is None):
        return math.inf
    return 0.0 if row.value is None or score.value is None else abs(row.value - score.value)


def _mismatch(row: ScoreRow, score: Score) -> str:
    then = "not judged" if row.value is None else f"{row.value:.4g}"
    now = f"not judged ({score.reason})" if score.value is None else f"{score.value:.4g}"
    return f"{row.generator} on {row.case}: the stored score is {then}, the clip's is {now}"
