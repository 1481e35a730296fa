"""Writes the leaderboard of runs: leaderboard.csv for programs, leaderboard.md for a pull request, leaderboard.html for people."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sora_eval.files import write_text
from sora_eval.reporting.components.html import render
from sora_eval.reporting.components.players import clips_of
from sora_eval.reporting.components.text import markdown
from sora_eval.reporting.leaderboard.clips import MAX_CASES, MAX_SIDES, make_comparisons
from sora_eval.reporting.leaderboard.csv import csv
from sora_eval.reporting.leaderboard.entrants import Field, gather
from sora_eval.reporting.leaderboard.fidelity import figures, measured
from sora_eval.reporting.leaderboard.page import make_page
from sora_eval.reporting.leaderboard.standing import Standing, stand
from sora_eval.reporting.leaderboard.tracking import tracked
from sora_eval.types import ScoreRow


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector from looking through a hundred thousand rows again and again; none of them is in a cycle."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@_uncollected()
def write_leaderboard(
    runs: Sequence[Path],
    out: Path,
    command: str,
    common: bool = False,
    sort: str = "",
    against: str = "",
    players: int = MAX_CASES,
) -> Path:
    """Write leaderboard.md, leaderboard.csv and leaderboard.html into a folder and return the path of the HTML page.

    runs: folders of finished runs. command: what made it, as the page shows it.
    common: compare what the runs share, instead of refusing runs whose protocols differ. sort: the suite by which the models are sorted,
    "" for all of them. against: the model that the others are compared with, "" for the first.
    players: how many cases are shown at most, with the clips of all models; fewer when the page is full.

    Raises:
        MixedProtocolsError: the runs' protocols differ; its lines name the differences.
        ConfigError: a run is broken or unfinished, none is given, nothing is shared, or there is no such suite or model.
    """
    field = gather(runs, common)
    standing = stand(field, sort, against)
    field, measures = (field, measured(field.entrants)) if field.cases == field.of else (_without_fidelity(field), [])
    order = (*standing.models, *standing.summary.generators)
    table, tracking = figures(measures, order), tracked(field)
    shown = standing.models[:MAX_SIDES] or standing.shown[:MAX_SIDES]
    compared = make_comparisons(*_clips(field, standing, shown), players) if players > 0 else {}
    page = make_page(field, standing, table, compared, shown, command, sort, against, tracking)
    write_text(out / "leaderboard.csv", csv(field, standing, measures, tracking))
    write_text(out / "leaderboard.md", markdown(page))
    write_text(
        out / "leaderboard.html",
        render(page, clips_of(p.sides for own in compared.values() for p in own)),
    )
    return out / "leaderboard.html"


def _without_fidelity(field: Field) -> Field:
    note = "fidelity is left out: it was measured over whole runs, which differ"
    return replace(field, notes=(*field.notes, note))


def _clips(
    field: Field, standing: Standing, shown: Sequence[str]
) -> tuple[dict[str, tuple[ScoreRow, ...]], dict[str, ScoreRow]]:
    """Return the rows of those whose clips are shown, and the truth by case."""
    rows = {e.label: e.rows for e in field.entrants}
    truths = {r.case: r for e in field.entrants if e.kind == "oracle" and e.label not in shown for r in e.rows}
    return {label: rows[label] for label in shown}, truths
