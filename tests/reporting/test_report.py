"""The HTML page: the same numbers as summary.json, and nothing of the data becomes markup."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from sora_eval.commands import cli
from sora_eval.errors import ConfigError
from sora_eval.reporting import write_report
from sora_eval.reporting.components.plots import COLOURS, shape
from sora_eval.runs.reader import read_run


class Reader(HTMLParser):
    """Collects text, tags and table cells of a page."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag."""
        self.tags.append((tag, dict(attrs)))
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        """Note the text."""
        self.text.append(data)
        if self.cells:
            self.cells[-1] += data


@pytest.fixture(scope="module")
def page(finished_run: Path) -> Reader:
    """The parsed page."""
    reader = Reader()
    reader.feed((finished_run / "report.html").read_text(encoding="utf-8"))
    return reader


def test_every_score_of_summary_json_is_on_the_page(finished_run: Path, page: Reader) -> None:
    summary = json.loads((finished_run / "summary.json").read_text())
    assert {len(summary[level]) for level in ("overall", "suite", "probe", "mode")} == {4, 8, 12, 24}
    for level in ("overall", "suite", "probe", "mode"):
        for cell in summary[level]:
            # A probe of one mode is shown once.
            shown = f"{cell['score']:.2f}[{cell['low']:.2f}, {cell['high']:.2f}]"
            assert any(text.startswith(shown) for text in page.cells), cell


def test_counts_of_summary_json_are_those_of_the_rows(finished_run: Path) -> None:
    summary = json.loads((finished_run / "summary.json").read_text())
    rows = read_run(finished_run).rows
    for cell in summary["overall"]:
        mine = [r for r in rows if r.generator == cell["generator"]]
        assert cell["n"] == len(mine)
        assert cell["unjudgeable"] == sum(r.value is None for r in mine)
    assert sum(r["count"] for r in summary["reasons"]) == sum(r.value is None for r in rows)


def test_hostile_text_stays_text(finished_run: Path, page: Reader) -> None:
    run = read_run(finished_run)
    prompt = next(r.prompt for r in run.rows if "onerror" in r.prompt)
    name = next(r.generator for r in run.rows if "onclick" in r.generator)
    assert prompt in page.text
    assert "Not judged, counted as 0: the generator returned <nothing>" in page.text
    assert "<b>bold</b> claim" in page.text
    assert any(attrs.get("data-generator") == name for _, attrs in page.tags)
    assert not [tag for tag, attrs in page.tags if tag in ("img", "b") or "onclick" in attrs or "onerror" in attrs]
    assert sum(tag == "script" for tag, _ in page.tags) == 2


def test_page_asks_for_nothing_outside_itself(finished_run: Path, page: Reader) -> None:
    links = [
        v for _, attrs in page.tags for k, v in attrs.items() if k in ("src", "href", "poster", "srcset", "data") and v
    ]
    # Files beside the page are followed by a click, nothing is fetched.
    beside = {
        str(attrs.get("href")) for tag, attrs in page.tags if tag == "a" and not str(attrs["href"]).startswith("#")
    }
    assert beside == {"card.json", "scores.csv", "scores.jsonl", "summary.json"}
    assert all((finished_run / name).is_file() for name in beside)
    assert all(link.startswith(("#", "data:")) or link in beside for link in links)
    assert "url(" not in (finished_run / "report.html").read_text()
    policy = next(attrs["content"] for tag, attrs in page.tags if tag == "meta" and "http-equiv" in attrs)
    assert policy is not None and policy.startswith("default-src 'none'")


def test_structure_for_assistive_technology(page: Reader) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    names = [tag for tag, _ in page.tags]
    assert names.count("caption") == names.count("table") > 0
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert all(attrs["aria-labelledby"] in ids for _, attrs in page.tags if "aria-labelledby" in attrs)


def test_command_and_manifest_are_shown(finished_run: Path, page: Reader) -> None:
    manifest = read_run(finished_run).manifest
    assert manifest["command"] in page.text
    assert {"sha256:0123" in t for t in page.text} == {True, False}
    assert manifest["versions"]["numpy"] in page.text


def test_same_run_gives_the_same_bytes(small_run: Path) -> None:
    first = write_report(small_run, players_per_probe=1).read_bytes()
    assert write_report(small_run, players_per_probe=1).read_bytes() == first


def test_a_run_of_references_only_and_without_players_still_reports(small_run: Path) -> None:
    path = small_run / "scores.jsonl"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if '"model"' not in line))
    html = write_report(small_run, players_per_probe=0).read_text()
    assert "<video" not in html
    assert "oracle, frozen on permanence, physics" in html


def test_a_model_alone_reports_without_ceiling_floor_or_truth(small_run: Path) -> None:
    path = small_run / "scores.jsonl"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if '"model"' in line))
    html = write_report(small_run, players_per_probe=1).read_text()
    assert "<video" in html
    assert "ceiling:" not in html and "floor:" not in html and "<figcaption>truth" not in html


def test_players_of_a_probe_are_shown_worst_first(finished_run: Path, page: Reader) -> None:
    values = {(r.generator, r.case): r.counted for r in read_run(finished_run).rows}
    labels = [str(attrs["aria-label"]).rsplit(" on ", 1) for tag, attrs in page.tags if tag == "article"]
    models = [(name, case) for name, case in labels if name.startswith("model")]
    for probe in ("behind_wall", "count", "two_drops"):
        shown = [values[key] for key in models if f".{probe}." in key[1]]
        assert len(shown) == 6
        assert shown == sorted(shown)


def test_series_are_told_apart_by_colour_and_shape() -> None:
    assert len({(i % COLOURS, shape(i)) for i in range(32)}) == 32


def test_missing_video_file_is_no_error(small_run: Path) -> None:
    for row in read_run(small_run).rows:
        (small_run / row.video).unlink() if row.video else None
    html = write_report(small_run).read_text()
    assert "no clip: the file is missing" in html
    assert "<video" not in html


def test_negative_player_count_is_refused(small_run: Path) -> None:
    with pytest.raises(ConfigError, match="players_per_probe"):
        write_report(small_run, players_per_probe=-1)


def test_the_command_names_its_own_option(small_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", str(small_run), "--players", "-1"]) == 2
    assert "--players must be 0 or more, got -1" in capsys.readouterr().err


def test_scores_are_a_table_for_programs_as_well(finished_run: Path) -> None:
    rows = read_run(finished_run).rows
    with (finished_run / "scores.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(r.generator, r.case, r.reason, r.prompt) for r in rows] == [
        (v["generator"], v["case"], v["reason"], v["prompt"]) for v in lines
    ]
    assert [float(v["counted"]) for v in lines] == [r.counted for r in rows]
    assert all(set(json.loads(v["components"])) == set(r.components) for v, r in zip(lines, rows, strict=True))
