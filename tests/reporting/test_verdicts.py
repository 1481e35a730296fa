"""Verdicts in words and reasons in sentences: no more than the numbers say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.leaderboard import made_up_cases, made_up_run

from sora_eval.reporting.report.page import grouped
from sora_eval.reporting.report.reasons import why
from sora_eval.reporting.report.verdicts import Verdict, verdicts
from sora_eval.runs.reader import read_run
from sora_eval.stats.summary import summarise
from sora_eval.types import ScoreRow


def said(folder: Path, skill: float, per_mode: int = 6) -> dict[str, Verdict]:
    """Return the verdicts on a made-up model by suite."""
    cases = [c for c in made_up_cases(per_mode) if c.suite in ("physics", "left_right")]
    rows = read_run(made_up_run(folder, "model", skill, cases)).rows
    return {v.suite: v for v in verdicts(rows, summarise(rows))}


def test_a_good_model_is_above_chance_and_controls_and_below_the_oracle(tmp_path: Path) -> None:
    found = said(tmp_path, 0.6)
    assert set(found) == {"", "physics", "left_right"}
    assert all(
        v.style == "good" and "better than a blind guess; above the best control (frozen) by 0." in v.text
        for v in found.values()
    )
    assert all("below the oracle by 0." in v.text for v in found.values())
    assert "Weakest probe: " in found[""].text and "Weakest" not in found["physics"].text


def test_a_model_no_better_than_a_control_is_not_praised(tmp_path: Path) -> None:
    rows = read_run(made_up_run(tmp_path, "model", 0.5, [c for c in made_up_cases(6) if c.suite == "physics"])).rows
    frozen = {r.case: r.value for r in rows if r.generator == "frozen"}
    rows = tuple(replace(r, value=frozen[r.case], reason="") if r.kind == "model" else r for r in rows)
    (only,) = verdicts(rows, summarise(rows))
    assert only.style != "good"
    assert "not distinguishable from the best control (frozen) after correction (0.00 [" in only.text


def test_a_model_below_a_perfect_control_is_not_praised(tmp_path: Path) -> None:
    rows = read_run(made_up_run(tmp_path, "model", 0.6, [c for c in made_up_cases(6) if c.suite == "physics"])).rows
    rows = tuple(replace(r, value=1.0, reason="") if r.generator == "frozen" else r for r in rows)
    (only,) = verdicts(rows, summarise(rows))
    assert "better than a blind guess; below the best control (frozen) by 0." in only.text
    assert only.style == ""


def test_few_scenes_give_no_verdict(tmp_path: Path) -> None:
    cases = [c for c in made_up_cases(2) if c.probe == "physics_0"]
    rows = read_run(made_up_run(tmp_path, "model", 0.9, cases)).rows
    (only,) = verdicts(rows, summarise(rows))
    assert (only.suite, only.style) == ("physics", "")
    assert "too few scenes for a verdict: 1, of at least 6" in only.text


@pytest.fixture
def row(finished_run: Path) -> Callable[..., ScoreRow]:
    """A function that makes a row with some parts."""
    first = next(r for r in read_run(finished_run).rows if r.value is not None)

    def made(
        value: float | None, reason: str = "", failure: str = "", probe: str = "plugged_in", **components: float
    ) -> ScoreRow:
        return ScoreRow(
            **{
                **vars(first),
                "probe": probe,
                "value": value,
                "reason": reason,
                "failure": failure,
                "components": components,
            }
        )

    return made


def test_the_factors_that_lost_are_named_lowest_first(row: Callable[..., ScoreRow]) -> None:
    text = why(row(0.3, place=0.6, alone=0.5, steady=1.0, a_m_per_s2=2.5, a_expected=3.0))
    assert text == (
        "Below 1: no other object 0.50, place 0.60; the other 1 component at 1. "
        "Measured: acceleration 2.5 m/s²; expected 3 m/s²."
    )
    assert why(row(1.0, place=1.0, steady=1.0)) == "All 2 components are 1."


def test_thresholds_and_meanings_of_lost_components_are_named(row: Callable[..., ScoreRow]) -> None:
    lost = row(0.35, probe="pass_behind", place=0.35, steady=1.0)
    assert why(lost) == (
        "Below 1: place 0.35 [1: at most 0.15; 0: 0.6]; the other 1 component at 1. "
        "Place: where it comes out against where its motion takes it, in its widths."
    )
    assert why(lost, thresholds=False) == "Below 1: place 0.35; the other 1 component at 1."


def test_a_name_that_is_a_measurement_in_one_probe_is_a_factor_in_another(row: Callable[..., ScoreRow]) -> None:
    assert why(row(0.5, probe="collision", restitution=0.5, apart=1.0)).startswith("Below 1: restitution 0.50 [")
    assert "Measured: restitution 0.5, " in why(row(1.0, probe="free_fall_bounce", restitution=0.5, g=1.0))


def test_parts_that_do_not_make_the_score_are_only_listed(row: Callable[..., ScoreRow]) -> None:
    assert why(row(0.9, place=0.5)) == "Components: place 0.5."
    assert (
        why(row(0.0, side=-1.0, agreement=0.95))
        == "The side is wrong. Measured: 0.95 of the votes agree, judged from 0.8 on."
    )
    assert why(row(0.5)) == ""


def test_a_technical_failure_is_no_answer_that_is_not_as_asked(row: Callable[..., ScoreRow]) -> None:
    assert why(row(None, "no ball")) == "Not judged, counted as 0: no ball"
    assert why(row(None, "down", "technical")) == "Not judged for a technical reason, counted as 0: down"


def test_equal_problems_of_several_cases_are_one_line() -> None:
    lines = [
        "weights are absent",
        "a.0: no clip",
        "a.1: no clip",
        "oracle on a.0: broke",
        "a.2: no clip",
        "other: no clip",
    ]
    assert grouped(lines, {"a.0", "a.1", "a.2"}) == (
        "weights are absent",
        "no clip (3 cases: a.0, a.1, ...)",
        "oracle: broke (1 case: a.0)",
        "other: no clip",
    )
