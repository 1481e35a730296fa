"""The page over several runs: every clip with its outcome, filters, links, and the same case side by side."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sora_eval.commands import cli
from sora_eval.reporting.report.write import write_report
from sora_eval.reporting.view import labels, write_view
from sora_eval.runs.reader import read_run

Open = Callable[[Path, int, str], Any]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, checkpoint_run: Callable[..., Path]) -> list[Path]:
    """Runs of two models on the same cases, and one of the first on another seed, whose cases are others."""
    folder = tmp_path_factory.mktemp("runs & more")
    made = [
        checkpoint_run(folder / name, model, None, i)
        for i, (name, model) in enumerate([("a", "m"), ("b", "n"), ("c", "m")])
    ]
    cases = [json.loads(line) for line in (made[2] / "cases.jsonl").read_text().splitlines()]
    (made[2] / "cases.jsonl").write_text("".join(json.dumps({**c, "fps": 10.0}) + "\n" for c in cases))
    manifest = json.loads((made[2] / "manifest.json").read_text())
    (made[2] / "manifest.json").write_text(json.dumps({**manifest, "seed": 7, "profile": "other"}))
    write_report(made[0])
    return made


@pytest.fixture(scope="module")
def page(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of these runs."""
    return write_view(runs, tmp_path_factory.mktemp("out") / "view.html", "sora-eval view a b c", cases=30)


def test_every_clip_of_every_run_is_listed_with_its_outcome(runs: list[Path], page: Path) -> None:
    lines = re.findall(r'<tr data-run="([^"]*)" data-generator="([^"]*)".*?data-outcome="([^"]*)"', page.read_text())
    rows = [(run.name, r) for run in runs for r in read_run(run).rows]
    expected = [(name, r.generator, "judged" if r.value is not None else "not judged") for name, r in rows]
    assert sorted(lines) == sorted(expected)
    # Models come first, the worst first.
    assert [generator for _, generator, _ in lines[:10]].count("oracle") == 0


def test_the_same_case_stands_side_by_side_and_another_case_of_the_same_id_does_not(page: Path) -> None:
    players = re.findall(r'<article class="player.*?</article>', page.read_text(), flags=re.DOTALL)
    beside = [set(re.findall(r'<figure class="side" data-run="(.)"', player)) for player in players]
    assert beside.count({"a", "b"}) == 12 and beside.count({"c"}) == 12
    assert all("truth" in player for player in players)


def test_page_asks_for_nothing_and_leads_to_reports_that_are_there(runs: list[Path], page: Path) -> None:
    text = page.read_text()
    links = {v for v in re.findall(r'(?:src|href)="([^"]*)"', text) if not v.startswith(("#", "data:"))}
    assert links and all(v.split("#")[0].endswith("runs%20%26%20more0/a/report.html") for v in links)
    report = (runs[0] / "report.html").read_text()
    deep = {v.split("#")[1] for v in links if "#" in v}
    # The report shows the worst clips only; the others lead to its top.
    assert deep and deep <= set(re.findall(r' id="([^"]*)"', report))
    assert any("#" not in v for v in links)
    ids = set(re.findall(r' id="([^"]*)"', text))
    assert {v[1:] for v in re.findall(r'href="(#case[^"]*)"', text)} <= ids


def test_the_list_is_cut_where_it_would_grow_too_long(runs: list[Path], tmp_path: Path) -> None:
    text = write_view(runs, tmp_path / "view.html", "sora-eval view", cases=0, lines=5).read_text()
    assert text.count("<tr data-run=") == 5
    assert "103 further clips are left out" in text and "<video" not in text


def test_labels_tell_folders_apart() -> None:
    assert labels([Path("runs/s/a/0"), Path("runs/s/b/0")]) == ["a/0", "b/0"]
    assert labels([Path("runs/s/a")]) == ["a"]


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_page_fits_and_stays_quiet(
    open_page: Open, axe_faults: Callable[..., list[str]], page: Path, width: int, scheme: str
) -> None:
    opened = open_page(page, width, scheme)
    assert axe_faults(opened.page) == []
    assert opened.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    player = opened.page.locator(".player:visible").filter(has=opened.page.locator("video")).first
    player.scroll_into_view_if_needed()
    player.get_by_role("slider").focus()
    opened.page.keyboard.press("ArrowRight")
    assert player.locator("output").inner_text().startswith("2/")
    assert opened.trouble == []


def test_filters_choose_lines_and_players(open_page: Open, page: Path) -> None:
    opened = open_page(page, 1280, "light").page
    opened.locator("#by-generator").select_option("n")
    opened.locator("#by-outcome").select_option("not judged")
    lines = opened.locator("tr[data-run]:visible")
    tags = {(t.get_attribute("data-generator"), t.get_attribute("data-outcome")) for t in lines.all()}
    assert tags == {("n", "not judged")}
    assert opened.locator("#shown").inner_text() == f"{lines.count()} shown"
    players = opened.locator(".player:visible")
    fitting = '.side[data-generator="n"][data-outcome="not judged"]'
    assert players.count() == opened.locator(f".player:visible:has({fitting})").count() > 0


def test_the_command_writes_the_page(runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep/view.html"
    assert cli.main(["view", *map(str, runs), "--out", str(out), "--players", "1"]) == 0
    assert out.is_file() and str(out) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ([], "no run is given"),
        (["nowhere"], "no such folder"),
        (["RUN", "--out", "."], "is a folder"),
        (["RUN", "--lines", "-1"], "--lines must be 0 or more"),
    ],
)
def test_wrong_arguments_are_one_line(
    args: list[str], text: str, runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["view", *(str(runs[0]) if a == "RUN" else a for a in args)]) == 2
    error = capsys.readouterr().err
    assert text in error and error.count("\n") == 1
