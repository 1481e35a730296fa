"""The leaderboard in a real browser, and all pages under axe-core: wide and narrow, light and dark."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sora_eval.reporting.leaderboard.write import write_leaderboard
from sora_eval.reporting.sweep.page import write_curves

LOOKS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
Open = Callable[[Path, int, str], Any]
Faults = Callable[..., list[str]]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory, checkpoint_run: Callable[..., Path]) -> Path:
    """The leaderboard of three models with clips."""
    folder = tmp_path_factory.mktemp("board")
    runs = [checkpoint_run(folder / name, name, None, seed) for seed, name in enumerate(("early", "middle", "late"))]
    for run in runs:
        manifest = json.loads((run / "manifest.json").read_text())
        manifest["hashes"]["probes"] = dict.fromkeys(("behind_wall", "count", "two_drops"), 1)
        (run / "manifest.json").write_text(json.dumps(manifest))
    return write_leaderboard(runs, folder / "out", "sora-eval leaderboard early middle late", players=4)


@pytest.fixture(params=LOOKS, ids=lambda p: f"{p[0]}-{p[1]}")
def look(request: pytest.FixtureRequest) -> tuple[int, str]:
    """A width and a scheme."""
    found: tuple[int, str] = request.param
    return found


@pytest.fixture(scope="module")
def curves(tmp_path_factory: pytest.TempPathFactory, checkpoint_run: Callable[..., Path]) -> Path:
    """The curves over three checkpoints."""
    folder = tmp_path_factory.mktemp("curves")
    runs = [checkpoint_run(folder / name, name, 10.0**i, i) for i, name in enumerate(("small", "medium", "large"))]
    page = write_curves(runs, folder / "out", "sora-eval run +sweep=checkpoints")
    assert page is not None
    return page


@pytest.mark.slow
@pytest.mark.parametrize("name", ["leaderboard", "report", "curves"])
@pytest.mark.parametrize("look", [LOOKS[0], LOOKS[3]], ids=["1280-light", "390-dark"])
def test_axe_finds_nothing(
    open_page: Open,
    axe_faults: Faults,
    board: Path,
    finished_run: Path,
    curves: Path,
    look: tuple[int, str],
    name: str,
) -> None:
    page = {"leaderboard": board, "report": finished_run / "report.html", "curves": curves}[name]
    found = open_page(page, *look)
    assert axe_faults(found.page) == []
    assert found.trouble == []


def test_axe_would_find_a_fault(open_page: Open, axe_faults: Faults, board: Path) -> None:
    page = open_page(board, 1280, "light").page
    page.evaluate("document.querySelector('.lead').style.color = '#ccc'")
    page.evaluate("document.querySelector('#copy').textContent = ''")
    assert {line.split(":")[0] for line in axe_faults(page, ".head")} == {"color-contrast", "button-name"}


def test_board_fits_and_stays_quiet(open_page: Open, board: Path, look: tuple[int, str]) -> None:
    found = open_page(board, *look)
    page = found.page
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.wait_for_function("[...document.querySelectorAll('video')].some((v) => v.readyState >= 2)")
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("window.innerWidth")
    assert found.trouble == []


def models(page: Any) -> list[str]:
    """Return the models of the first table, from above."""
    found: list[str] = page.locator("table.sortable").first.locator("tbody.ranked th").all_inner_texts()
    return found


def test_table_is_sorted_by_keyboard(open_page: Open, board: Path) -> None:
    page = open_page(board, 1280, "light").page
    table = page.locator("table.sortable").first
    before = models(page)
    overall = table.locator("th", has_text="Overall")
    assert overall.get_attribute("aria-sort") == "descending"
    overall.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert overall.get_attribute("aria-sort") == "ascending"
    assert models(page) == before[::-1]
    table.get_by_role("button", name="Model").focus()
    page.keyboard.press("Space")
    assert models(page) == ["early", "late", "middle"]
    assert table.locator("[aria-sort]").count() == 1
    # References stay below, whatever the order.
    assert table.locator("tbody").last.locator("th[scope=row]").all_inner_texts() == ["frozen"]


def test_clips_of_a_case_play_in_step(open_page: Open, board: Path, look: tuple[int, str]) -> None:
    found = open_page(board, *look)
    page = found.page
    player = page.locator(".player:visible").filter(has=page.locator("video")).first
    player.scroll_into_view_if_needed()
    player.get_by_role("slider").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    fps = float(player.locator("video").first.get_attribute("data-fps") or 0)
    times = player.evaluate("(p) => [...p.querySelectorAll('video')].map((v) => v.currentTime)")
    assert len(times) >= 3
    assert times == pytest.approx([3.5 / fps] * len(times), abs=1e-3)
    assert player.locator("output").inner_text().startswith("4/")
    assert found.trouble == []


def test_cases_are_filtered_by_probe(open_page: Open, board: Path) -> None:
    page = open_page(board, 1280, "light").page
    page.locator("#by-probe").select_option("physics/two_drops")
    shown = page.locator(".player:visible")
    assert {p.get_attribute("data-probe") for p in shown.all()} == {"physics/two_drops"}
    assert page.locator("#shown").inner_text() == f"{shown.count()} shown"


def test_tables_read_without_javascript(plain_page: Callable[[Path], Any], board: Path) -> None:
    page = plain_page(board)
    assert page.locator("table").first.is_visible()
    assert page.locator("th button").count() == 0
    assert page.locator(".needs-js:visible").count() == 0
