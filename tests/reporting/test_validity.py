"""The validity card as Markdown, JSON and a page: what is missed shows as missed, and the page reads in a browser, wide and narrow."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.reporting.validity.curves import curve
from sora_eval.reporting.validity.write import markdown, to_json, write_validity
from sora_eval.types import Video
from sora_eval.validity.card import ValidityCard, make_card
from sora_eval.validity.detection import (
    Subject,
    detections,
    dose_responses,
    false_alarm_rates,
    noise_floors,
)
from sora_eval.validity.fidelity_metrics import unavailable_subjects
from sora_eval.validity.nuisances import NUISANCES, POST_RENDER
from sora_eval.validity.tracker import TrackerAccuracy
from sora_eval.validity.trials import SEVERITIES, Kind, Trial, TrialPlan
from sora_eval.video import write_ffv1

SCENES = 8
COMMAND = "sora-eval validate"
PROBES = [registry.probe(name) for name in ("dolly", "relation")]
BLIND = "changes_colour"
"""The violation of dolly that this card's trials leave undetected."""


def trials() -> list[Trial]:
    """Return made-up trials of two probes; dolly misses one violation, and relation scores badly under one nuisance transform."""
    found = []
    for p in PROBES:
        for mode in ("t2v", "i2v"):
            for i in range(SCENES):
                at = (p.name, mode), f"scene{i}"
                found.append(trial(*at, "oracle", "oracle", 0.0, 1.0))
                found.append(replace(trial(*at, "held", "held", 0.0, 1.0 - 0.01 * i), unit=f"other{i}"))
                for control in ("frozen", "mirrored"):
                    same = control == "mirrored" and p.name == "dolly"
                    found.append(trial(*at, "control", control, 1.0, 1.0 if same and mode == "t2v" else 0.0))
                for violation in p.violations:
                    steps = SEVERITIES[1:] if mode == "t2v" else (1.0,)
                    found += [
                        trial(*at, "violation", violation, s, 1.0 if violation == BLIND else max(0.0, 1 - 1.2 * s))
                        for s in steps
                    ]
                if mode == "t2v":
                    found += [
                        trial(*at, "nuisance", k, 0.0, 0.9 if (k, p.name) == ("light dim", "relation") else 1.0)
                        for k in NUISANCES
                    ]
                    found += [
                        replace(trial(*at, "violation", p.violations[0], 1.0, 0.2), nuisance=k) for k in POST_RENDER
                    ]
    return found


def trial(at: tuple[str, str], unit: str, kind: Kind, condition: str, severity: float, value: float) -> Trial:
    """Return a trial; low scores have a reason."""
    return Trial(*at, kind, condition, severity, unit, value, "" if value > 0 else "the camera did not <dolly> in")


def metric_parts() -> tuple[Subject, list[Trial]]:
    """Return a metric that detects one corruption and refuses a control."""
    subject = Subject("SSIM", "fidelity", "metric", "torchmetrics", bounds=(-1.0, 1.0), unit="clip")
    found = []
    for i in range(SCENES):
        one = Trial("SSIM", "", "oracle", "oracle", 0.0, f"clip{i}", 1.0)
        found += [one, replace(one, kind="nuisance", condition="light dim", value=0.7 + 0.01 * i)]
        found += [
            replace(one, kind="corruption", condition="blur", severity=s, value=1 - s / 2) for s in SEVERITIES[1:]
        ]
    found.append(replace(one, kind="control", condition="noise", severity=1.0, value=None, reason="it reads 17 frames"))
    return subject, found


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> TrialPlan:
    """Where the clips of the first scene lie."""
    plan = TrialPlan(registry.profile("small"), ("t2v", "i2v"), SCENES, 0, tmp_path_factory.mktemp("validity"), "abc")
    rng = np.random.default_rng(0)
    for p in PROBES:
        for what, severity in [("oracle", 0.0), *((v, s) for v in p.violations[:2] for s in SEVERITIES[1:])]:
            frames = np.repeat(rng.integers(0, 256, (17, 8, 8, 3), dtype=np.uint8), 4, axis=1).repeat(4, axis=2)
            write_ffv1(plan.clip(p, what, severity), Video(frames, 8.0))
    return plan


@pytest.fixture(scope="module")
def card(plan: TrialPlan) -> ValidityCard:
    """A card of two probes, a metric, and the metrics whose weights are absent."""
    trackers = [TrackerAccuracy("clean", 0.95, 0.94, 0.99, 1, 4)]
    made = make_card(COMMAND, "8 scenes per probe", PROBES, plan, 0, trials(), {}, trackers)
    subject, found = metric_parts()
    return replace(
        made,
        clips=SCENES,
        subjects=(*made.subjects, subject, *unavailable_subjects()),
        detections=(*made.detections, *detections(subject, found)),
        dose_responses=(*made.dose_responses, *dose_responses(subject, found)),
        noise_floors=(*made.noise_floors, *noise_floors(subject, found)),
        false_alarms=(*made.false_alarms, *false_alarm_rates(subject, found)),
    )


def test_a_miss_is_shown_and_never_hidden(card: ValidityCard) -> None:
    text = markdown(card)
    assert {(r.subject, r.condition) for r in card.missed} == {
        ("dolly", BLIND),
        ("relation", "light dim"),
        ("SSIM", "noise"),
    }
    assert f"- dolly t2v, {BLIND}, missed: worst 1.00, AUC 0.50." in text
    assert "- dolly, mirrored, known blind spot: nothing in the prompt has a side" in text
    assert f"| dolly | {BLIND} | 1.00, 1.00, 1.00, 1.00, 1.00 | flat |" in text
    assert "- SSIM, noise, missed: unavailable. it reads 17 frames" in text
    assert "| FVD | the weights of FVD, KVD (I3D, Kinetics-400) are not on this machine" in text


def test_summary_has_a_line_of_every_subject(card: ValidityCard) -> None:
    text = markdown(card)
    first = text[text.index("| suite |") :].split("\n\n")[0]
    lines = {line.split(" | ")[1]: line for line in first.splitlines()[2:]}
    assert set(lines) == {s.name for s in card.subjects if not s.unavailable}
    assert f"| {BLIND} **0.50** [" in lines["dolly"]
    assert "(*known blind spot* mirrored)" in lines["dolly"]
    assert f"**never** {BLIND}" in lines["dolly"]
    # A made-up score of .9 under a dim light is below the requirement.
    assert "| 1.00 | **0.90** |" in lines["relation"]
    assert "Unavailable, without weights on the machine that made this: FVD; KVD" in text


def test_json_has_one_line_per_row_and_every_number(card: ValidityCard) -> None:
    text = to_json(card)
    record = json.loads(text)
    for table in (
        "subjects",
        "detections",
        "dose_responses",
        "noise_floors",
        "false_alarms",
        "set_distances",
        "trackers",
    ):
        assert len(record[table]) == len(getattr(card, table))
    assert sum(line.startswith("  {") for line in text.splitlines()) == sum(
        len(v) for v in record.values() if isinstance(v, list)
    )
    assert record["command"] == COMMAND
    dose = next(d for d in record["dose_responses"] if (d["subject"], d["condition"]) == ("relation", "swapped_sides"))
    assert dose["means"] == pytest.approx([1, 0.7, 0.4, 0.1, 0])
    assert dose["threshold"] == 0.25


@pytest.fixture(scope="module")
def page(card: ValidityCard, plan: TrialPlan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of that card."""
    return write_validity(card, PROBES, plan, tmp_path_factory.mktemp("page"))


def test_page_fetches_nothing_and_shows_every_curve(page: Path, card: ValidityCard) -> None:
    text = page.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    links = re.findall(r"""(?:src|href)=["'](?!data:|#)([^"']*)""", text)
    assert links and all((page.parent / name).is_file() for name in links)
    assert len(re.findall(r'<figure class="profile">', text)) == len(card.dose_responses)
    assert "did not &lt;dolly&gt; in" in text or "<dolly>" not in text
    assert page.with_suffix(".md").is_file() and page.with_suffix(".json").is_file()


def test_page_plays_the_truth_beside_the_violation(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    clips = json.loads(re.findall(r'<script type="application/json" id="clips">(.*?)</script>', text, re.DOTALL)[0])
    # dolly's undetected violation has no clips here: the truth is all there is to play, and the page says so.
    assert set(clips) == {"dolly-truth", "relation-truth", "relation-0.5", "relation-1"}
    assert text.count("no clip") == 2
    assert text.count("data:image/webp;base64,") == 3


def test_curves_stay_inside_their_panels(card: ValidityCard) -> None:
    for d in card.dose_responses:
        plot = curve(d, next(s for s in card.subjects if s.name == d.subject))
        assert all(0 <= v <= 100 for p in plot.points for v in (p.x, p.y, p.low, p.high))
        assert all(0 <= y <= 100 for y, _ in plot.ticks)


def test_the_threshold_is_where_its_line_stands(card: ValidityCard) -> None:
    doses = {d.condition: d for d in card.dose_responses if d.subject == "dolly"}
    plots = {name: curve(d, card.subjects[0]) for name, d in doses.items()}
    assert plots[BLIND].flag == "missed" and plots[BLIND].upright is None
    assert doses["drift"].threshold == 0.25
    assert plots["drift"].upright == plots["drift"].points[1].x


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_page_fits_plays_and_stays_quiet(open_page: Callable[..., Any], page: Path, width: int, scheme: str) -> None:
    found = open_page(page, width, scheme)
    opened = found.page
    opened.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert opened.evaluate("document.documentElement.scrollWidth") <= opened.evaluate("window.innerWidth")
    player = opened.locator(".player").last
    player.scroll_into_view_if_needed()
    player.get_by_role("slider").focus()
    for _ in range(3):
        opened.keyboard.press("ArrowRight")
    times = player.evaluate("(p) => [...p.querySelectorAll('video')].map((v) => v.currentTime)")
    assert times == pytest.approx([3.5 / 8] * 3, abs=1e-3)
    assert opened.evaluate("[...document.images].every((i) => i.complete && i.naturalWidth > 0)")
    assert found.trouble == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_nothing(
    open_page: Callable[..., Any], axe_faults: Callable[..., list[str]], page: Path, width: int, scheme: str
) -> None:
    assert axe_faults(open_page(page, width, scheme).page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_heat_map_text_has_enough_contrast(open_page: Callable[..., Any], page: Path, scheme: str) -> None:
    """WCAG AA: 4.5 between the text of every cell and its colour."""
    ratios = open_page(page, 1280, scheme).page.evaluate(
        """() => {
          // A canvas turns whatever form a colour has into its bytes.
          const pen = Object.assign(document.createElement('canvas'), {width: 1, height: 1}).getContext('2d');
          const light = (colour) => {
            pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
            const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => v / 255)
              .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const found = {};
          for (const cell of document.querySelectorAll('td[class^="h"]')) {
            for (const text of [cell, ...cell.children]) {
              const [a, b] = [getComputedStyle(cell).backgroundColor, getComputedStyle(text).color].map(light);
              found[`${cell.className} ${text.tagName}`] = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            }
          }
          return found;
        }"""
    )
    assert len(ratios) >= 3
    assert min(ratios.values()) >= 4.5, ratios
