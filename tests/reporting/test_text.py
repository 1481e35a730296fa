"""Tables for a terminal and for Markdown."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from sora_eval.reporting import summarise, table
from sora_eval.reporting.components.text import escape, fence, markdown
from sora_eval.reporting.report.page import make_page
from sora_eval.runs.reader import read_run


def test_terminal_table_shows_every_score_within_100_columns(finished_run: Path) -> None:
    rows = read_run(finished_run).rows
    text = table(rows)
    assert max(map(len, text.splitlines())) <= 100
    for cell in summarise(rows).cells:
        if cell.level in ("suite", "overall"):
            assert f"{cell.score:.2f} [{cell.low:.2f}, {cell.high:.2f}]" in text


def test_many_suites_and_a_long_name_still_fit(finished_run: Path) -> None:
    rows = read_run(finished_run).rows
    many = [
        replace(r, suite=f"suite_with_a_long_name_{i}", generator=f"{r.generator}\n{'x' * 90}")
        for r in rows
        for i in range(7)
    ]
    text = table(many)
    assert max(map(len, text.splitlines())) <= 100
    assert text.count("unjudged") == 3


def test_markdown_has_the_command_and_every_probe_score(finished_run: Path) -> None:
    run = read_run(finished_run)
    text = (finished_run / "report.md").read_text()
    assert f"```sh\n{run.manifest['command']}\n```" in text
    for cell in summarise(run.rows).cells:
        assert f"{cell.score:.2f} [{cell.low:.2f}, {cell.high:.2f}]" in text


def test_markdown_tables_survive_hostile_names(finished_run: Path) -> None:
    run = read_run(finished_run)
    rows = tuple(replace(r, reason="a | b\nc <img>" if r.reason else "") for r in run.rows)
    text = markdown(make_page(replace(run, rows=rows, manifest={}, problems=()), summarise(rows), name="t"))
    assert "<" not in text
    assert r"a \| b c &lt;img&gt;" in text
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_escape_and_fence() -> None:
    assert escape("*a* [b](c) `d`") == r"\*a\* [b]\(c) \`d\`"
    assert fence("x ``` y").startswith("````sh\n")
