"""What explains the difference of the scores of two runs: the settings in which they differ, and how much of it goes with each.

Cases that both runs have are grouped by what differs for them: prompt as written, prompt as sent, scene, seed, size asked, size made.
A score is a weighted mean over cases, so that the difference is the sum of what each group adds. Where clips of both are there, both are
scored again with the present code: what is left of the difference goes with generating, the rest with judging (another tracker, probe or
machine).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from sora_eval.errors import ConfigError
from sora_eval.prompting.rewriting import read_rewritten
from sora_eval.recipe.rescoring import Judge, rescore
from sora_eval.recipe.settings import SettingDifference, differences
from sora_eval.runs.baseline import Scored
from sora_eval.runs.problems import made_clip
from sora_eval.stats.paired import Difference, Pairs, difference_interval, pair
from sora_eval.stats.paired import differences as score_differences
from sora_eval.types import Bools, Case, ScoreRow

SAME = "nothing of the case"
"""Name of the group of cases that are the same in both: what is left is the model, its sampling, chance, or the judging."""

_EVERYWHERE = ("model", "sampling", "tracker", "versions", "hardware")


@dataclass(frozen=True)
class Share:
    """What a group of cases adds to the difference of the overall score."""

    what: str
    """What differs in these cases, such as "prompt as sent, size made"."""
    cases: int
    """Cases."""
    part: float
    """What they add to the overall difference, first - second."""
    mean: float
    """Their own mean difference."""
    low: float
    """Lower end of its 95% interval, clustered by scene."""
    high: float
    """Upper end."""


@dataclass(frozen=True)
class Judging:
    """The difference over the cases whose clips were scored again, split into generating and judging."""

    cases: int
    """Cases."""
    stored: float
    """Difference of the stored scores, first - second."""
    generating: float
    """Difference of the clips' scores by the present code: what goes with the clips."""
    generating_low: float
    """Lower end of its 95% interval."""
    generating_high: float
    """Upper end."""
    judging: float
    """The rest: what goes with how the two were judged then."""
    changed_first: int
    """Clips of the first run whose stored score is another one now."""
    changed_second: int
    """Clips of the second, likewise."""


@dataclass(frozen=True)
class Explanation:
    """Two runs compared."""

    first: str
    """Name of the first model."""
    second: str
    """Name of the second."""
    settings: tuple[SettingDifference, ...]
    """Settings that differ."""
    scores: tuple[Difference, ...]
    """Differences of the scores over the shared cases, first - second: overall, suites, probes."""
    everywhere: tuple[str, ...]
    """Groups of settings that differ for all cases alike: model, sampling, tracker, versions or hardware."""
    shares: tuple[Share, ...]
    """What goes with which difference of the cases; the parts add up to the overall difference."""
    judging: Judging | None
    """Generating and judging, None where no clip of both is there."""
    notes: tuple[str, ...]
    """Cases that only one has, clips that are gone."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        values: dict[str, Any] = asdict(self)
        return {**values, "judging": None if self.judging is None else asdict(self.judging)}


def explain(
    first: Scored, second: Scored, judge: Judge, most: int = 200, seed: int = 0, workers: int = 1
) -> Explanation:
    """Return what explains the difference of two runs' scores.

    judge: present tracker and probes. most: cases that are scored again at most, a random choice by `seed`. workers: processes.

    Raises:
        ConfigError: they share no case.
    """
    try:
        scores = score_differences(first.rows, second.rows)
    except ValueError as error:
        raise ConfigError(f"nothing to explain: {error}") from error
    pairs = pair(first.rows, second.rows)
    settings = differences(first.run.manifest, second.run.manifest)
    return Explanation(
        first.name,
        second.name,
        tuple(settings),
        tuple(scores),
        tuple(dict.fromkeys(d.group for d in settings if d.group in _EVERYWHERE)),
        tuple(_shares(pairs, _differing(first, second))),
        _judging(first, second, judge, most, seed, workers),
        tuple(_notes(first, second)),
    )


def _notes(first: Scored, second: Scored) -> Iterable[str]:
    a, b = ({row.case for row in side.rows} for side in (first, second))
    for mine, other, name in ((a, b, "first"), (b, a, "second")):
        if only := mine - other:
            yield f"{len(only)} cases of the {name} run are not in the other one and are left out"


def _differing(first: Scored, second: Scored) -> dict[str, str]:
    """Return what differs for each shared prompt; of several samples that of any."""
    rows = {row.case: row for row in second.rows}
    cases = ({c.id: c for c in side.run.cases} for side in (first, second))
    a, b = cases
    found: dict[str, list[str]] = {}
    for row in first.rows:
        other = rows.get(row.case)
        if other is not None and row.case in a and row.case in b:
            what = _of_case(first, second, a[row.case], b[row.case], row, other)
            found.setdefault(row.prompt_id, []).extend(what)
    return {case: ", ".join(dict.fromkeys(what)) or SAME for case, what in found.items()}


def _of_case(first: Scored, second: Scored, a: Case, b: Case, row: ScoreRow, other: ScoreRow) -> list[str]:
    sent = [_sent(side, case) for side, case in ((first, a), (second, b))]
    made = [_made(side, r) for side, r in ((first, row), (second, other))]
    facts = {
        "scene": (a.scene, a.expect) != (b.scene, b.expect),
        "prompt as written": a.prompt != b.prompt,
        "prompt as sent": a.prompt == b.prompt and sent[0] != sent[1],
        "seed": a.seed != b.seed,
        "size asked": (a.size, a.frames, a.fps, a.given) != (b.size, b.frames, b.fps, b.given),
        # A size that is not known, of a clip that is not there, is no difference of sizes.
        "size made": None not in made and made[0] != made[1],
    }
    return [name for name, differs in facts.items() if differs]


def _sent(side: Scored, case: Case) -> str:
    rewritten = read_rewritten(side.run.folder, case.id)
    if rewritten is None:
        return case.prompt
    prompts = side.run.manifest.get("prompts")
    return rewritten.sent(str(prompts.get("on_lost", "keep")) if isinstance(prompts, Mapping) else "keep")


def _made(side: Scored, row: ScoreRow) -> Any:
    return made_clip(side.run.folder / row.tracks, row.alignment) if row.tracks else None


def _shares(pairs: Pairs, differing: Mapping[str, str]) -> list[Share]:
    weights = pairs.weights()
    groups: dict[str, list[int]] = {}
    for i, case in enumerate(pairs.case):
        groups.setdefault(differing.get(case, SAME), []).append(i)
    shares = []
    for what, members in groups.items():
        chosen: Bools = np.isin(np.arange(len(pairs)), members)
        part = float(weights[chosen] @ pairs.difference[chosen])
        interval = difference_interval(pairs, weights * chosen / weights[chosen].sum())
        shares.append(Share(what, len(members), part, interval.mean, interval.low, interval.high))
    return sorted(shares, key=lambda s: -abs(s.part))


def _judging(first: Scored, second: Scored, judge: Judge, most: int, seed: int, workers: int) -> Judging | None:
    """Score the clips of both runs again, of as many shared cases as wanted."""
    rows = {row.case: row for row in second.rows}
    both = [
        (r, rows[r.case]) for r in first.rows if r.case in rows and _there(first, r) and _there(second, rows[r.case])
    ]
    if not both or not most:
        return None
    if len(both) > most:
        both = [both[i] for i in sorted(random.Random(seed).sample(range(len(both)), most))]
    a, b = ([pair_[k] for pair_ in both] for k in (0, 1))
    again_a, again_b = (_again(side, own, judge, workers) for side, own in ((first, a), (second, b)))
    stored, now = pair(a, b), pair(again_a, again_b)
    weights = now.weights()
    interval = difference_interval(now, weights)
    then = float(stored.weights() @ stored.difference)
    return Judging(
        len(both),
        then,
        interval.mean,
        interval.low,
        interval.high,
        then - interval.mean,
        _changed(a, again_a),
        _changed(b, again_b),
    )


def _there(side: Scored, row: ScoreRow) -> bool:
    return bool(row.video) and (side.run.folder / row.video).is_file()


def _again(side: Scored, rows: Sequence[ScoreRow], judge: Judge, workers: int) -> list[ScoreRow]:
    cases = {case.id: case for case in side.run.cases}
    scores = rescore(judge, side.run.folder, [(row, cases[row.case]) for row in rows], workers)
    return [
        replace(r, value=s.value, reason=s.reason, components=dict(s.components), failure=s.failure)
        for r, s in zip(rows, scores, strict=True)
    ]


def _changed(then: Sequence[ScoreRow], now: Sequence[ScoreRow]) -> int:
    return sum(a.value != b.value for a, b in zip(then, now, strict=True))
