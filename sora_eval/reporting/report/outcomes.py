"""What a report shows of random outcomes: calibration and coverage of each generator's samples, by probe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sora_eval.reporting.components.numbers import score, signed, span
from sora_eval.reporting.components.table import Cell, Column, Group, Table, row
from sora_eval.stats.intervals import Interval
from sora_eval.stats.outcomes.calibration import LEAST_JUDGED, Calibration, calibration, prompt_outcomes
from sora_eval.stats.samples import by_prompt
from sora_eval.types import Case, ScoreRow


@dataclass(frozen=True)
class OutcomeScores:
    """One generator's outcomes of one probe, or of all."""

    generator: str
    """Name of the generator."""
    probe: str
    """Name of the probe, "" for all of them."""
    calibration: Calibration
    """Calibration and coverage."""


def outcome_scores(rows: Sequence[ScoreRow], cases: Iterable[Case], generators: Sequence[str]) -> list[OutcomeScores]:
    """Return calibration by generator and probe, in their order, the last of several probes all together; [] where no prompt has
    `LEAST_JUDGED` judged samples.
    """
    truths = {c.id: c.expect["outcomes"] for c in cases if "outcomes" in c.expect}
    scores = []
    for generator in generators:
        own = [r for r in rows if r.generator == generator and r.case in truths]
        probes = list(dict.fromkeys(r.probe for r in own))
        for probe in (*probes, *([""] if len(probes) > 1 else [])):
            found = _of([r for r in own if probe in ("", r.probe)], truths)
            if found:
                scores.append(OutcomeScores(generator, probe, found))
    return scores


def _of(rows: Sequence[ScoreRow], truths: Mapping[str, Mapping[str, float]]) -> Calibration | None:
    prompts = [
        prompt_outcomes(truths[samples[0].case], [_outcome(r) for r in samples], samples[0].cluster)
        for samples in by_prompt(rows)
    ]
    return calibration(prompts)


def _outcome(row_: ScoreRow) -> int | None:
    return None if row_.value is None else round(row_.components["outcome"])


def outcome_table(found: Sequence[OutcomeScores]) -> Table:
    """Return calibration and coverage as a table, generators one below the other."""
    groups = [
        Group(tuple(row(_line(s)) for s in found if s.generator == generator), generator)
        for generator in dict.fromkeys(s.generator for s in found)
    ]
    caption = (
        "Outcomes of the samples of a prompt against the true probabilities, mean over the prompts with at least "
        f"{LEAST_JUDGED} judged samples [95% interval over clusters of prompts]. Total variation: 0 the same distribution, 1 nothing in "
        "common. Truth: the mean of as many samples of the true distribution (95% of them at most the one in brackets); a generator above "
        "the latter is marked: its outcomes differ from the world's. Calibration error: squared distance of the probabilities, corrected "
        "for the number of samples, 0 for the truth. Coverage: share of the outcomes of at least 5% that come at all, beside that of as "
        "many samples of the truth. Impossible: share of judged samples with an outcome that never comes."
    )
    columns = (
        Column("Probe"),
        Column("Prompts", "count"),
        Column("Samples", "count"),
        Column("Not judged", "count"),
        Column("Total variation", "cell"),
        Column("Truth", "cell"),
        Column("Calibration error", "cell"),
        Column("Coverage", "cell"),
        Column("Impossible", "cell"),
    )
    return Table("Random outcomes", caption, columns, tuple(groups))


def _line(s: OutcomeScores) -> list[Cell | str]:
    c = s.calibration
    differs = ("differs from the truth",) if c.differs else ()
    return [
        s.probe or "all",
        str(c.prompts),
        str(c.judged),
        str(c.unjudged),
        Cell(score(c.total_variation.mean), _span(c.total_variation), differs),
        Cell(f"{score(c.chance_level[0])} ({score(c.chance_level[1])})"),
        Cell(signed(c.error.mean), span(c.error.low, c.error.high, signed)),
        Cell(score(c.coverage.mean), _span(c.coverage), (f"truth {score(c.true_coverage)}",)),
        Cell(score(c.impossible.mean), _span(c.impossible)),
    ]


def _span(interval: Interval) -> str:
    return span(interval.low, interval.high)
