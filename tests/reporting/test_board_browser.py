"""The leaderboard in a real browser, and both pages under axe-core: wide and narrow, light and dark."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sora_eval.reporting.leaderboard import write_leaderboard

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright (the dev extra) is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe (the dev extra) is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]
LOOKS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


@dataclass
class Opened:
    """An open page and what went wrong on it."""

    page: sync_api.Page
    trouble: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    """Chromium, once for this file."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


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


def opened(browser: sync_api.Browser, address: Path, width: int, scheme: str) -> Opened:
    """Return a page that was opened at one size and in one scheme."""
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    found = Opened(context.new_page())
    found.page.on("console", lambda message: found.trouble.append(message.text))
    found.page.on("pageerror", lambda error: found.trouble.append(str(error)))
    found.page.on(
        "request",
        lambda asked: asked.url.startswith(("file:", "data:", "blob:")) or found.trouble.append(asked.url[:200]),
    )
    found.page.goto(address.as_uri())
    return found


@pytest.fixture(params=LOOKS, ids=lambda p: f"{p[0]}-{p[1]}")
def look(request: pytest.FixtureRequest) -> tuple[int, str]:
    """A width and a scheme."""
    found: tuple[int, str] = request.param
    return found


def faults(page: sync_api.Page, part: str | None = None) -> list[str]:
    """Return what axe-core finds on a page, or a part of it, with everything unfolded."""
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    found = axe.Axe().run(page, context=part).response["violations"]
    return [f"{v['id']}: {v['help']}: {node['html'][:120]}" for v in found for node in v["nodes"]]


@pytest.mark.parametrize("name", ["leaderboard", "report"])
@pytest.mark.parametrize("look", [LOOKS[0], LOOKS[3]], ids=["1280-light", "390-dark"])
def test_axe_finds_nothing(
    browser: sync_api.Browser, board: Path, finished_run: Path, look: tuple[int, str], name: str
) -> None:
    found = opened(browser, board if name == "leaderboard" else finished_run / "report.html", *look)
    assert faults(found.page) == []
    assert found.trouble == []
    found.page.context.close()


def test_axe_would_find_a_fault(browser: sync_api.Browser, board: Path) -> None:
    page = opened(browser, board, 1280, "light").page
    page.evaluate("document.querySelector('.lead').style.color = '#ccc'")
    page.evaluate("document.querySelector('#copy').textContent = ''")
    assert {line.split(":")[0] for line in faults(page, ".head")} == {"color-contrast", "button-name"}
    page.context.close()


def test_board_fits_and_stays_quiet(browser: sync_api.Browser, board: Path, look: tuple[int, str]) -> None:
    found = opened(browser, board, *look)
    page = found.page
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.wait_for_function("[...document.querySelectorAll('video')].some((v) => v.readyState >= 2)")
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("window.innerWidth")
    assert found.trouble == []
    page.context.close()


def models(page: sync_api.Page) -> list[str]:
    """Return the models of the first table, from above."""
    found: list[str] = page.locator("table.sortable").first.locator("tbody.ranked th").all_inner_texts()
    return found


def test_table_is_sorted_by_keyboard(browser: sync_api.Browser, board: Path) -> None:
    page = opened(browser, board, 1280, "light").page
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
    page.context.close()


def test_clips_of_a_case_play_in_step(browser: sync_api.Browser, board: Path, look: tuple[int, str]) -> None:
    found = opened(browser, board, *look)
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
    page.context.close()


def test_cases_are_filtered_by_probe(browser: sync_api.Browser, board: Path) -> None:
    page = opened(browser, board, 1280, "light").page
    page.locator("#by-probe").select_option("physics/two_drops")
    shown = page.locator(".player:visible")
    assert {p.get_attribute("data-probe") for p in shown.all()} == {"physics/two_drops"}
    assert page.locator("#shown").inner_text() == f"{shown.count()} shown"
    page.context.close()


def test_tables_read_without_javascript(browser: sync_api.Browser, board: Path) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(board.as_uri())
    assert page.locator("table").first.is_visible()
    assert page.locator("th button").count() == 0
    assert page.locator(".needs-js:visible").count() == 0
    context.close()
