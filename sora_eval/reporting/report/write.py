"""Writes the report of a run: summary.json and scores.csv for programs, report.md for a pull request, report.html for people."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from sora_eval.errors import ConfigError
from sora_eval.files import write_json, write_text
from sora_eval.recipe.card import FILE, make_card
from sora_eval.reporting.components.html import render
from sora_eval.reporting.components.players import beside_truth, choose, choose_references, clips_of
from sora_eval.reporting.components.text import markdown
from sora_eval.reporting.report import fidelity, tracking
from sora_eval.reporting.report.page import make_page
from sora_eval.runs.measures import read_measures
from sora_eval.runs.reader import Run, read_run
from sora_eval.runs.tracking import TrackingRow, read_tracking
from sora_eval.stats.summary import summarise
from sora_eval.types import Measure, ScoreRow


def write_report(folder: Path, players_per_probe: int = 3) -> Path:
    """Write the report of the run in a folder and return the path of its HTML page. See `write_report_of`.

    Raises:
        ConfigError: a file of the run is missing or broken; the file and the line are named.
    """
    folder = Path(folder)
    return write_report_of(read_run(folder), read_measures(folder), read_tracking(folder), players_per_probe)


def write_report_of(
    run: Run,
    measures: Mapping[str, Mapping[str, Sequence[Measure]]],
    tracking_rows: Sequence[TrackingRow],
    players_per_probe: int = 3,
    workers: int = 1,
) -> Path:
    """Write summary.json, scores.csv, tracking.json, card.json, report.md and report.html into a run's folder; return the path of the last.

    measures: fidelity by suite and generator. tracking_rows: tracking metrics, clip by clip.
    players_per_probe: clips shown of each model and probe, the worst ones; fewer when the page is full (the limits are in
    `sora_eval.reporting.components.players`), with a note on the page. The player of a missing or broken video has a note as well.
    workers: processes that encode large clips for the page.

    Raises:
        ConfigError: `players_per_probe` is negative.
    """
    if players_per_probe < 0:
        raise ConfigError(f"players_per_probe must be 0 or more, got {players_per_probe}")
    folder = run.folder
    summary = summarise(run.rows)
    references = choose_references(run.rows) if players_per_probe else []
    shown = beside_truth(folder, choose(run.rows, players_per_probe), references, run.rows, workers)
    sheets = {suite: fidelity.sheet(by, summary.generators) for suite, by in measures.items()}
    tracked = tracking.summarise(tracking_rows)
    card = make_card(run)
    page = make_page(run, summary, shown, sheets, tracked, card=card)
    clips = clips_of(sides for part in shown for _, sides in part)
    write_text(folder / "summary.json", json.dumps(summary.to_json(), indent=1, allow_nan=False) + "\n")
    write_text(folder / "scores.csv", scores_csv(run.rows))
    write_json(folder / "tracking.json", tracked.to_json())
    write_json(folder / FILE, card)
    write_text(folder / "report.md", markdown(page))
    write_text(folder / "report.html", render(page, clips))
    return folder / "report.html"


def scores_csv(rows: Sequence[ScoreRow]) -> str:
    """Return scores.jsonl as CSV, a line per clip: components as JSON, and the counted value (corrected for chance, 0 where not judged)."""
    names = [f.name for f in fields(ScoreRow)]
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow([*names, "counted"])
    for row in rows:
        alignment = "" if row.alignment is None else json.dumps(asdict(row.alignment))
        values = {**vars(row), "components": json.dumps(dict(row.components), ensure_ascii=False)}
        values |= {"alignment": alignment, "first_frame": json.dumps(dict(row.first_frame))}
        lines.writerow([*(values[n] for n in names), row.counted])
    return out.getvalue()
