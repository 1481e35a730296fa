"""The same case's clips of all models beside each other, for the cases where the models differ most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sora_eval.reporting.components.players import ClipStore, Side, make_side
from sora_eval.types import ScoreRow

MAX_CASES = 24
MAX_SIDES = 8
"""Models beside each other; more are too small to be looked at."""


@dataclass(frozen=True)
class Comparison:
    """One case. rows: of the models, in the order of the table. sides: their clips in that order, then the truth where it is known.

    spread: the highest counted score of the models minus the lowest.
    """

    rows: tuple[ScoreRow, ...]
    sides: tuple[Side, ...]
    spread: float

    @property
    def case(self) -> ScoreRow:
        """A row that says what the case is."""
        return self.rows[0]

    @property
    def playable(self) -> bool:
        """Whether any of its sides has a clip."""
        return any(side.clip for side in self.sides)


def contested(rows: Mapping[str, Sequence[ScoreRow]]) -> list[tuple[ScoreRow, ...]]:
    """Return the cases of some models, each with all models' rows: those first where models differ most, of every probe in turn.

    rows: by model, in the order of the table; of several samples of a prompt, sample 0 stands for all. Of one model alone the worst cases
    come first.
    """
    cases: dict[str, list[ScoreRow]] = {}
    for some in rows.values():
        for row in some:
            if not row.sample:
                cases.setdefault(row.case, []).append(row)
    probes: dict[tuple[str, str], list[tuple[ScoreRow, ...]]] = {}
    for mine in cases.values():
        probes.setdefault((mine[0].suite, mine[0].probe), []).append(tuple(mine))
    ranked = [(rank, mine) for some in probes.values() for rank, mine in enumerate(sorted(some, key=_telling))]
    return [mine for _, mine in sorted(ranked, key=lambda item: (item[0], *_telling(item[1])))]


def spread(rows: Sequence[ScoreRow]) -> float:
    """Return how far scores of one case lie apart."""
    counted = [r.counted for r in rows]
    return max(counted) - min(counted)


def _telling(rows: Sequence[ScoreRow]) -> tuple[float, float, bool, str]:
    # Of equals, the one that is worst, and then one with something to look at.
    return -spread(rows), min(r.counted for r in rows), not any(r.video for r in rows), rows[0].case


def make_comparisons(
    rows: Mapping[str, Sequence[ScoreRow]], truths: Mapping[str, ScoreRow], limit: int = MAX_CASES
) -> list[Comparison]:
    """Return the comparisons of a page until it is full, by suite and probe. rows: of the models to show; truths: by case."""
    store = ClipStore(Path())
    found: list[Comparison] = []
    for mine in contested(rows)[:limit]:
        if store.full(1.0):
            break
        truth = truths.get(mine[0].prompt_id)
        expected = store.overlay(truth.tracks) if truth else None
        sides = [make_side(store, r, f"{r.generator}: {_verdict(r)}", expected) for r in mine]
        if truth:
            sides.append(make_side(store, truth, "truth", None))
        found.append(Comparison(mine, tuple(sides), spread(mine)))
    return sorted(found, key=lambda c: (c.case.suite, c.case.probe, -c.spread, c.case.case))


def _verdict(row: ScoreRow) -> str:
    return "not judged" if row.value is None else f"{row.value:.2f}"
