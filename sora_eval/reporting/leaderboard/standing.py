"""The numbers of a leaderboard: scores, ranks, and which differences hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sora_eval.errors import ConfigError, unknown
from sora_eval.reporting.leaderboard.entrants import Field
from sora_eval.stats.failures import too_many, why_failed
from sora_eval.stats.multiplicity import holm
from sora_eval.stats.paired import Difference, differences
from sora_eval.stats.ranks import rank_intervals
from sora_eval.stats.summary import Cell, Summary, summarise
from sora_eval.types import ScoreRow

ALPHA = 0.05
OVERALL = ""


@dataclass(frozen=True)
class Standing:
    """The scores of a leaderboard."""

    summary: Summary
    """Means, intervals and counts."""
    models: tuple[str, ...]
    """Labels of the ranked models, in the order of the table."""
    against: str
    """Label of the model that the others are compared with, "" where there is only one."""
    ranks: Mapping[tuple[str, str], Mapping[str, tuple[int, int]]]
    """By (suite, probe), "" for all of them, then by label: the best and the worst rank that the model may have."""
    differences: Mapping[tuple[str, str, str], Difference]
    """By (label, suite, probe), the model minus `against`; `adjusted` is corrected over all comparisons of a level, so
    over models and probes."""
    unranked: Mapping[str, str]
    """By label the reason why a model has no rank and nothing is compared with it: too many of its clips failed technically."""

    @property
    def shown(self) -> tuple[str, ...]:
        """All with a score, as the summary orders them."""
        return tuple(g for g in self.summary.generators if not ((c := self.summary.get(g)) and c.failed))

    def rank(self, cell: Cell) -> tuple[int, int] | None:
        """Return the ranks that a cell's model may have there; None for references."""
        return self.ranks.get((cell.suite, cell.probe), {}).get(cell.generator)

    def difference(self, cell: Cell) -> Difference | None:
        """Return a cell's model minus `against`; None where there is nothing to compare."""
        return self.differences.get((cell.generator, cell.suite, cell.probe))


def holds(difference: Difference) -> bool:
    """Return whether a difference is there, after correction for all comparisons of its level."""
    return difference.adjusted <= ALPHA


def stand(field: Field, sort: str = OVERALL, against: str = "") -> Standing:
    """Return the standing of the models of a field.

    Models of which more clips failed technically than `stats.failures.too_many` allows are not ranked. Of the others such cases are left
    out of ranks and differences, as a gate does; in the scores they count as 0.

    sort: the suite by which the table is sorted. against: the model that the others are compared with, "" for the first.

    Raises:
        ConfigError: there is no such suite or model, or that model has no rank.
    """
    # Modes are for the report of each run: over a hundred runs they would be most of the work.
    summary = summarise(field.rows, modes=False)
    if sort and sort not in summary.suites:
        raise unknown("suite", sort, summary.suites)
    # A few failures may be all that was no refusal: then there is no score either.
    reasons = {e.label: too_many(e.rows) or why_failed(e.rows, e.label) for e in field.models}
    unranked = {m: reasons[m] for m in summary.of_kind("model") if reasons[m]}
    labels = [m for m in summary.of_kind("model") if m not in unranked]
    # Of equals, those first that are better overall: sorting keeps the order of the summary.
    models = tuple(sorted(labels, key=lambda m: -_score(summary, m, sort)))
    if against in unranked:
        raise ConfigError(f"nothing can be compared with {against}: {unranked[against]}")
    if against and against not in models:
        raise unknown("model", against, models)
    rows = {e.label: [r for r in e.rows if not r.failure] for e in field.models if e.label not in unranked}
    ranks = _ranks(dict(zip(rows, _shared(*rows.values()), strict=True)), summary)
    if len(models) < 2:
        return Standing(summary, models, "", ranks, {}, unranked)
    against = against or models[0]
    compared = {m: differences(*pair) for m in models if m != against and all(pair := _shared(rows[m], rows[against]))}
    return Standing(summary, models, against, ranks, _corrected(compared), unranked)


def _shared(*models: Sequence[ScoreRow]) -> list[list[ScoreRow]]:
    """Return the rows of each model on the cases that all of them have; samples of a prompt are cases of their own."""
    cases = set.intersection(*({r.case for r in rows} for rows in models)) if models else set()
    return [[r for r in rows if r.case in cases] for rows in models]


def _score(summary: Summary, model: str, suite: str) -> float:
    cell = summary.get(model, suite)
    return cell.score if cell else float("-inf")


def _ranks(
    rows: Mapping[str, Sequence[ScoreRow]], summary: Summary
) -> dict[tuple[str, str], dict[str, tuple[int, int]]]:
    if not rows:
        return {}
    # Every level gets its own rows only: a hundred models times thirty levels are many rows to scan.
    parts: dict[tuple[str, str], dict[str, list[ScoreRow]]] = {}
    for model, own in rows.items():
        for row in own:
            for level in ((OVERALL, ""), (row.suite, ""), (row.suite, row.probe)):
                parts.setdefault(level, {}).setdefault(model, []).append(row)
    every = [(OVERALL, "")] + [(s, p) for s in summary.suites for p in ("", *summary.probes(s))]
    return {level: rank_intervals(parts[level]) for level in every if level in parts}


def _corrected(compared: Mapping[str, Sequence[Difference]]) -> dict[tuple[str, str, str], Difference]:
    """Correct every comparison for all others of its level, which a reader sees at once."""
    flat = [(model, d) for model, own in compared.items() for d in own]
    corrected: dict[tuple[str, str, str], Difference] = {}
    for level in range(3):
        at_level = [(model, d) for model, d in flat if bool(d.suite) + bool(d.probe) == level]
        for (model, d), p in zip(at_level, holm([d.p_value for _, d in at_level]), strict=True):
            corrected[model, d.suite, d.probe] = d.among(len(at_level), float(p))
    return corrected
