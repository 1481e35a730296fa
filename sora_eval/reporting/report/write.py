"""Writes the report of a run: summary.json and scores.csv for programs, report.md for a pull request, report.html for people."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from sora_eval.errors import ConfigError
from sora_eval.files import write_json, write_text
from sora_eval.reporting.components.html import render
from sora_eval.reporting.components.players import beside_truth, choose, choose_references, clips_of
from sora_eval.reporting.components.text import markdown
from sora_eval.reporting.report import fidelity, tracking
from sora_eval.reporting.report.page import make_page
from sora_eval.runs.measures import read_measures
from sora_eval.runs.reader import read_run
from sora_eval.runs.tracking import read_tracking
from sora_eval.stats.summary import summarise
from sora_eval.types import ScoreRow


def write_report(run: Path, players_per_probe: int = 3) -> Path:
    """Write summary.json, scores.csv, tracking.json, report.md and report.html into a run folder and return the path of the HTML page.

    run: the folder, with manifest.json, cases.jsonl and scores.jsonl.
    players_per_probe: clips shown of each model and probe, the worst ones; fewer when the page is full (the limits are in
    `sora_eval.reporting.components.players`), which the page then states.

    Raises ConfigError for a broken run folder, naming the file and the line. A missing or broken video is no error: its
    player states that there is no clip.
    """
    if players_per_probe < 0:
        raise ConfigError(f"players_per_probe must be 0 or more, got {players_per_probe}")
    run = Path(run)
    read = read_run(run)
    summary = summarise(read.rows)
    references = choose_references(read.rows) if players_per_probe else []
    shown = beside_truth(run, choose(read.rows, players_per_probe), references, read.rows)
    sheets = {s: fidelity.sheet(by, summary.generators) for s, by in read_measures(run).items()}
    tracked = tracking.summarise(read_tracking(run))
    page = make_page(read, summary, shown, sheets, tracked)
    write_text(run / "summary.json", json.dumps(summary.to_json(), indent=1, allow_nan=False) + "\n")
    write_text(run / "scores.csv", scores_csv(read.rows))
    write_json(run / "tracking.json", tracked.to_json())
    write_text(run / "report.md", markdown(page))
    write_text(run / "report.html", render(page, clips_of(sides for beside in shown for _, sides in beside)))
    return run / "report.html"


def scores_csv(rows: Sequence[ScoreRow]) -> str:
    """Return scores.jsonl as CSV, a line per clip: components as JSON, and the counted value (corrected for chance, 0 where not judged)."""
    names = [f.name for f in fields(ScoreRow)]
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow([*names, "counted"])
    for row in rows:
        values = {**vars(row), "components": json.dumps(dict(row.components), ensure_ascii=False)}
        lines.writerow([*(values[n] for n in names), row.counted])
    return out.getvalue()
