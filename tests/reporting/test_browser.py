"""The page in a real browser, from file://, wide and narrow, light and dark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sora_eval.runs.reader import read_run


@pytest.fixture(params=[(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")], ids=lambda p: f"{p[0]}-{p[1]}")
def opened(request: pytest.FixtureRequest, open_page: Callable[..., Any], finished_run: Path) -> Any:
    """The report of a finished run at one size and in one scheme."""
    return open_page(finished_run / "report.html", *request.param)


def test_page_fits_and_stays_quiet(opened: Any) -> None:
    page = opened.page
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.wait_for_function("[...document.querySelectorAll('video')].some((v) => v.readyState >= 2)")
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("window.innerWidth")
    assert opened.trouble == []


def test_clips_play_in_step(opened: Any) -> None:
    page = opened.page
    player = page.locator(".player:visible").filter(has=page.locator("video + svg")).first
    player.scroll_into_view_if_needed()
    player.get_by_role("button", name="Play").focus()
    page.keyboard.press("Enter")
    root = player.element_handle()
    ready = "(p) => [...p.querySelectorAll('video')].every((v) => v.readyState >= 2 && v.currentTime > 0.3)"
    page.wait_for_function(ready, arg=root)
    page.keyboard.press("Enter")
    times = player.evaluate("(p) => [...p.querySelectorAll('video')].map((v) => v.currentTime)")
    rate = float(player.locator("video").first.get_attribute("data-fps") or 0)
    assert max(times) - min(times) <= 1 / rate
    assert opened.trouble == []


def test_scrubber_moves_every_clip_and_its_marks(opened: Any) -> None:
    page = opened.page
    player = page.locator(".player:visible").filter(has=page.locator(".now")).first
    player.scroll_into_view_if_needed()
    player.get_by_role("slider").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    fps = float(player.locator("video").first.get_attribute("data-fps") or 0)
    times = player.evaluate("(p) => [...p.querySelectorAll('video')].map((v) => v.currentTime)")
    assert times == pytest.approx([3.5 / fps] * len(times), abs=1e-3)
    for mark in player.locator(".now").all():
        point = (mark.get_attribute("data-points") or "").split(";")[3]
        assert mark.get_attribute("transform") == f"translate({' '.join(f'{float(v):g}' for v in point.split(','))})"


def test_filter_leaves_only_what_was_asked_for(opened: Any) -> None:
    page = opened.page
    page.locator("#by-generator").select_option("model-a")
    page.locator("#by-probe").select_option("physics/two_drops")
    shown = page.locator(".gallery:not(#references) .player:visible")
    assert shown.count() == 3
    assert {p.get_attribute("data-generator") for p in shown.all()} == {"model-a"}
    assert {p.get_attribute("data-probe") for p in shown.all()} == {"physics/two_drops"}
    assert page.locator("#shown").inner_text() == "3 shown"


def test_hostile_prompt_is_read_not_run(opened: Any, finished_run: Path) -> None:
    prompt = next(r.prompt for r in read_run(finished_run).rows if "onerror" in r.prompt)
    assert prompt in opened.page.locator(".prompt").all_text_contents()
    assert opened.page.locator("img, main b").count() == 0
    assert opened.page.title() != "owned"


def test_tables_read_without_javascript(plain_page: Callable[[Path], Any], finished_run: Path) -> None:
    page = plain_page(finished_run / "report.html")
    assert page.locator("table").first.is_visible()
    # What is folded opens without JavaScript.
    page.get_by_text("By probe and mode").first.click()
    assert page.locator("#suite-1 table").first.is_visible()
    assert page.locator(".needs-js:visible").count() == 0


def test_text_has_enough_contrast(opened: Any) -> None:
    """WCAG AA: 4.5 between every text colour and the surface it stands on."""
    ratios = opened.page.evaluate(
        """() => {
          const style = getComputedStyle(document.documentElement);
          const probe = document.body.appendChild(document.createElement('i'));
          const light = (name) => {
            probe.style.color = style.getPropertyValue(name);
            const rgb = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255);
            const [r, g, b] = rgb.map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
          const pairs = ['--page', '--card', '--fill'].flatMap((s) => ['--ink', '--soft'].map((t) => [t, s]));
          pairs.push(['--accent', '--page'], ['--bad', '--card'], ['--warn-ink', '--warn']);
          return Object.fromEntries(pairs.map(([t, s]) => [`${t} on ${s}`, ratio(t, s)]));
        }"""
    )
    assert min(ratios.values()) >= 4.5, ratios


def test_an_address_shows_its_clip_folded_or_filtered(open_page: Callable[..., Any], finished_run: Path) -> None:
    page = open_page(finished_run / "report.html", 1280, "light").page
    player = page.locator("[id^='case-model-a-physics']").first
    anchor = player.get_attribute("id")
    assert not player.is_visible()
    page.locator("#by-generator").select_option(index=2)
    page.evaluate("(id) => { location.hash = id; }", anchor)
    player.wait_for(state="visible")
    assert page.evaluate("document.activeElement.id") == anchor
    # The same address, opened anew.
    page.goto(f"{(finished_run / 'report.html').as_uri()}#{anchor}")
    page.reload()
    assert page.locator(f"[id='{anchor}']").is_visible()
    assert player.get_by_role("link").get_attribute("href") == f"#{anchor}"


def test_clips_that_were_not_judged_can_be_chosen(open_page: Callable[..., Any], finished_run: Path) -> None:
    page = open_page(finished_run / "report.html", 1280, "light").page
    page.locator("#by-outcome").select_option("not judged")
    shown = page.locator(".gallery:not(#references) .player:visible")
    assert shown.count() > 0
    assert page.locator(".gallery:not(#references) .player:visible .verdict.none").count() == shown.count()
