"""Writes the report of a run: summary.json for programs, report.md for a pull request, report.html for people."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from functools import cache
from importlib.resources import files
from pathlib import Path

import jinja2
from markupsafe import Markup

from sora_eval.errors import ConfigError
from sora_eval.reporting import fidelity
from sora_eval.reporting.page import Page, command, make_page, title
from sora_eval.reporting.players import choose, choose_references, clips_of, make_players
from sora_eval.reporting.run import read_run
from sora_eval.reporting.summary import summarise
from sora_eval.reporting.text import markdown
from sora_eval.video import replacing


def write_report(run: Path, players_per_probe: int = 3) -> Path:
    """Write summary.json, report.md and report.html into a run folder and return the path of the HTML page.

    run: the folder, with manifest.json, cases.jsonl and scores.jsonl.
    players_per_probe: clips shown of each model and probe, the worst ones; fewer when the page is full (the limits are in
    `sora_eval.reporting.players`), and then the page says so.

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
    sheets = {s: fidelity.sheet(by, summary.generators) for s, by in fidelity.read_measures(run).items()}
    page = make_page(found, summary, *players, sheets)
    tables = {s: fidelity.markdown(some) for s, some in sheets.items()}
    clips = {name: clip.base64 for name, clip in clips_of([*players[0], *players[1]]).items()}
    _write(run / "summary.json", json.dumps(summary.to_json(), indent=1, allow_nan=False) + "\n")
    _write(run / "report.md", markdown(summary, title(summary), command(found.manifest), found.problems, tables))
    _write(run / "report.html", render(page, clips))
    return run / "report.html"


def render(page: Page, clips: dict[str, str]) -> str:
    """Return the page as HTML. clips: base64 MP4 by clip id."""
    environment = _environment()
    style, script = (Markup(_source(name)) for name in ("style.html.j2", "script.html.j2"))
    # The page's own policy lets no other script run, so an escaping bug would stay a bug instead of becoming a hole.
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = environment.get_template("report.html.j2")
    return template.render(page=page, clips=clips, style=style, script=script, script_hash=script_hash)


def _write(path: Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def _source(name: str) -> str:
    return files("sora_eval.reporting").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["score"] = _score
    environment.filters["part"] = _part
    return environment


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _part(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "–"
