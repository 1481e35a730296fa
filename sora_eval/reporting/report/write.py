"""Writes the report of a run: summary.json for programs, report.md for a pull request, report.html for people."""

from __future__ import annotations

import json
from pathlib import Path

from sora_eval.errors import ConfigError
from sora_eval.files import write_json, write_text
from sora_eval.reporting.components.html import render
from sora_eval.reporting.components.players import choose, choose_references, clips_of, make_players
from sora_eval.reporting.components.text import markdown
from sora_eval.reporting.report import fidelity, tracking
from sora_eval.reporting.report.page import command, make_page, title
from sora_eval.runs.measures import read_measures
from sora_eval.runs.reader import read_run
from sora_eval.runs.tracking import read_tracking
from sora_eval.stats.summary import summarise


def write_report(run: Path, players_per_probe: int = 3) -> Path:
    """Write summary.json, tracking.json, report.md and report.html into a run folder and return the path of the HTML page.

    run: the folder, with manifest.json, cases.jsonl and scores.jsonl.
    players_per_probe: clips shown of each model and probe, the worst ones; fewer when the page is full (the limits are in
    `sora_eval.reporting.components.players`), and then the page says so.

    Raises ConfigError for a broken run folder, naming the file and the line. A missing or broken video is no error: its
    player says that there is no clip.
    """
    if players_per_probe < 0:
        raise ConfigError(f"players_per_probe must be 0 or more, got {players_per_probe}")
    run = Path(run)
    found = read_run(run)
    summary = summarise(found.rows)
    wanted = choose(found.rows, players_per_probe)
    references = choose_references(found.rows) if players_per_probe else []
    players = make_players(run, wanted, references, found.rows)
    sheets = {s: fidelity.sheet(by, summary.generators) for s, by in read_measures(run).items()}
    tracked = tracking.summarise(read_tracking(run))
    about_tracking = tracking.make_page(tracked, summary.generators)
    page = make_page(found, summary, *players, sheets, about_tracking)
    tables = {s: fidelity.markdown(some) for s, some in sheets.items()}
    clips = {name: clip.base64 for name, clip in clips_of([*players[0], *players[1]]).items()}
    write_text(run / "summary.json", json.dumps(summary.to_json(), indent=1, allow_nan=False) + "\n")
    write_json(run / "tracking.json", tracked.to_json())
    texts = (title(summary), command(found.manifest), found.problems, tables)
    write_text(run / "report.md", markdown(summary, *texts, tracking.section(about_tracking)))
    write_text(run / "report.html", render("report.html.j2", page, clips))
    return run / "report.html"
