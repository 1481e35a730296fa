"""The same case's clips of all models beside each other, for the cases where the models differ most."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path

from sora_eval.reporting.components.players import ClipStore, Player, make_sides, verdict
from sora_eval.types import ScoreRow

MAX_CASES = 24
MAX_SIDES = 8
"""Models beside each other; more are too small to be looked at."""


def contested(
    rows: Mapping[str, Sequence[ScoreRow]], case: Callable[[ScoreRow], str] = attrgetter("case")
) -> list[tuple[ScoreRow, ...]]:
    """Return cases, each with all models' rows: those first where models differ most, of every probe in turn.

    rows: by model, in the order of the table; of several samples of a prompt, sample 0 stands for all. Of one model alone the worst cases
    come first. case: what rows of the same case share.
    """
    cases: dict[str, list[ScoreRow]] = {}
    for own in rows.values():
        for row in own:
            if not row.sample:
                cases.setdefault(case(row), []).append(row)
    probes: dict[tuple[str, str], list[tuple[ScoreRow, ...]]] = {}
    for same in cases.values():
        probes.setdefault((same[0].suite, same[0].probe), []).append(tuple(same))
    ranked = [(rank, same) for own in probes.values() for rank, same in enumerate(sorted(own, key=_by_spread))]
    return [same for _, same in sorted(ranked, key=lambda item: (item[0], *_by_spread(item[1])))]


def spread(rows: Sequence[ScoreRow]) -> float:
    """Return how far scores of one case lie apart."""
    counted = [r.counted for r in rows]
    return max(counted) - min(counted)


def _by_spread(rows: Sequence[ScoreRow]) -> tuple[float, float, bool, str]:
    # Of equals, the one that is worst, and then one with a clip.
    return -spread(rows), min(r.counted for r in rows), not any(r.video for r in rows), rows[0].case


def make_comparisons(
    rows: Mapping[str, Sequence[ScoreRow]], truths: Mapping[str, ScoreRow], limit: int = MAX_CASES
) -> dict[str, list[Player]]:
    """Return the players of a page until it is full, by suite. rows: of the models to show; truths: by case."""
    store = ClipStore(Path())
    shown: list[tuple[ScoreRow, ...]] = []
    players: dict[str, Player] = {}
    for same in contested(rows)[:limit]:
        if store.full(1.0):
            break
        shown.append(same)
        players[same[0].case] = comparison(store, same, truths.get(same[0].prompt_id))
    shown.sort(key=lambda s: (s[0].suite, s[0].probe, -spread(s), s[0].case))
    by_suite: dict[str, list[Player]] = {}
    for same in shown:
        by_suite.setdefault(same[0].suite, []).append(players[same[0].case])
    return by_suite


def comparison(store: ClipStore, rows: Sequence[ScoreRow], truth: ScoreRow | None) -> Player:
    """Return the player of one case: the clips of its rows, then the truth where it is known."""
    case = rows[0]
    return Player(
        case=case.case,
        label=f"All models on {case.case}",
        title=case.probe,
        detail=f"{case.mode} · {case.case}",
        prompt=case.prompt,
        sides=make_sides(store, {f"{r.generator}: {verdict(r)}": r for r in rows}, truth),
        verdict=f"{spread(rows):.2f} apart" if len(rows) > 1 else "",
        lines=tuple(f"{r.generator}: {r.reason}" for r in rows if r.reason),
        tags=(("probe", f"{case.suite}/{case.probe}"),),
        id=f"case-{case.case}".replace("@", "-seed"),
        wide=True,
    )
