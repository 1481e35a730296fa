"""What a report shows of clips of several aspect ratios: scores and composition by aspect, and each aspect minus its square twins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sora_eval.probes.framing import SQUARE
from sora_eval.reporting.components.numbers import score, signed, span
from sora_eval.reporting.components.table import Cell, Column, Group, Table, row
from sora_eval.stats.intervals import Interval, cluster_bootstrap
from sora_eval.stats.paired import differences
from sora_eval.types import Case, ScoreRow

MEASURES = ("whole_share", "in_view", "head_room", "subject_share")
"""Components that are shown beside the score."""


@dataclass(frozen=True)
class AspectScores:
    """One generator's clips of one aspect ratio."""

    generator: str
    """Name of the generator."""
    aspect: str
    """The aspect ratio, such as "16:9"."""
    clips: int
    """Clips."""
    score: Interval
    """Mean score, corrected for chance, unjudgeable counted as 0."""
    measures: Mapping[str, float]
    """Means of `MEASURES` over the judged clips that have them."""
    minus_square: tuple[float, float, float] | None
    """Mean of the score minus that of the square twins, and its 95% interval; None for squares and without twins."""


def by_aspect(rows: Sequence[ScoreRow], cases: Iterable[Case], generators: Sequence[str]) -> list[AspectScores]:
    """Return scores by generator and aspect ratio, in the order of the cases; [] unless cases of several aspects were judged."""
    aspects = {case.id: str(case.expect["aspect"]) for case in cases if "aspect" in case.expect}
    names = list(dict.fromkeys(aspects[r.case] for r in rows if r.case in aspects and r.value is not None))
    if len(names) < 2:
        return []
    scores = []
    for generator in generators:
        own = {r.case: r for r in rows if r.generator == generator and r.case in aspects}
        for name in sorted(dict.fromkeys(aspects.values()), key=lambda a: a == SQUARE):
            chosen = [r for r in own.values() if aspects[r.case] == name]
            if chosen:
                scores.append(_of(generator, name, chosen, own))
    return scores


def _of(generator: str, name: str, rows: Sequence[ScoreRow], every: Mapping[str, ScoreRow]) -> AspectScores:
    judged = [r.components for r in rows if r.value is not None]
    values = {m: [c[m] for c in judged if m in c] for m in MEASURES}
    return AspectScores(
        generator=generator,
        aspect=name,
        clips=len(rows),
        score=cluster_bootstrap([r.counted for r in rows], [r.cluster for r in rows], bounds=(0.0, 1.0)),
        measures={m: float(np.mean(v)) for m, v in values.items() if v},
        minus_square=None if name == SQUARE else _minus_square(rows, every),
    )


def _minus_square(rows: Sequence[ScoreRow], every: Mapping[str, ScoreRow]) -> tuple[float, float, float] | None:
    """Return the mean difference of clips and their square twins with its interval, None where there are no twins."""
    pairs = [(r, every[r.twin]) for r in rows if r.twin in every]
    if not pairs:
        return None
    # Of one suite the overall difference is the suite's: the mean over its probes.
    first, second = [r for r, _ in pairs], [replace(twin, case=r.case, twin=r.twin) for r, twin in pairs]
    overall = differences(first, second)[0]
    return overall.mean, overall.low, overall.high


def aspect_table(found: Sequence[AspectScores]) -> Table:
    """Return scores by aspect ratio as a table, generators one below the other."""
    groups = [
        Group(tuple(row(_line(a)) for a in found if a.generator == generator), generator)
        for generator in dict.fromkeys(a.generator for a in found)
    ]
    caption = (
        "Score [95% interval] by aspect ratio, unjudgeable clips counted as 0. Minus square: the same less the score of the twins, which "
        "have the same prompt in a square frame of about as many pixels. "
        "Whole: share of the frames that show the subject whole; in view: that show "
        "anything of it; head-room: room above it as a share of the height; subject: its share of the picture; means over judged clips."
    )
    counts = ("Clips", "Whole", "In view", "Head-room", "Subject")
    columns = (
        Column("Aspect"),
        Column(counts[0], "count"),
        Column("Score", "cell"),
        Column("Minus square", "cell"),
        *(Column(c, "count") for c in counts[1:]),
    )
    return Table("Scores by aspect ratio", caption, columns, tuple(groups))


def _line(a: AspectScores) -> list[Cell | str]:
    measures = [Cell(score(a.measures[m])) if m in a.measures else Cell("–", absent=True) for m in MEASURES]
    if a.minus_square is None:
        difference = Cell("–", absent=True)
    else:
        mean, low, high = a.minus_square
        difference = Cell(signed(mean), span(low, high, signed))
    return [
        a.aspect,
        str(a.clips),
        Cell(score(a.score.mean), span(a.score.low, a.score.high)),
        difference,
        *measures,
    ]
