"""Where a row of checkpoints falls: a drop is found at its place, and none where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.leaderboard import made_up_cases, made_up_run

from sora_eval.files import read_json, write_json
from sora_eval.reporting.sweep.page import lost_most, write_curves
from sora_eval.stats.regressions import changes, first_regressions
from sora_eval.types import ScoreRow


def checkpoint(skills: dict[str, float], rng: np.random.Generator, scenes: int = 30) -> list[ScoreRow]:
    """Rows of a model: two cases a scene, whose difficulty all models share."""
    rows = []
    for probe, skill in skills.items():
        hard = np.random.default_rng([*probe.encode()]).normal(0, 0.1, scenes)
        for i in range(2 * scenes):
            value = float(np.clip(skill + hard[i // 2] + rng.normal(0, 0.1), 0, 1))
            rows.append(
                ScoreRow(
                    f"{probe}.{i}",
                    "s",
                    probe,
                    "t2v",
                    "m",
                    "model",
                    value,
                    "",
                    {},
                    0.0,
                    "",
                    f"{probe}.{i // 2}",
                    "",
                    0,
                    "",
                    "",
                )
            )
    return rows


def test_a_drop_is_found_where_it_is() -> None:
    rng = np.random.default_rng(0)
    levels = [{"a": 0.3, "b": 0.5}, {"a": 0.5, "b": 0.5}, {"a": 0.35, "b": 0.5}, {"a": 0.6, "b": 0.5}]
    found = changes([checkpoint(skills, rng) for skills in levels])
    # A level, and within it a name, has a change for every checkpoint but the first.
    assert [(c.suite, c.probe, c.at) for c in found[:6]] == [
        *(("", "", k) for k in (1, 2, 3)),
        *(("s", "", k) for k in (1, 2, 3)),
    ]
    firsts = {(c.suite, c.probe): c for c in first_regressions(found)}
    assert set(firsts) == {("", ""), ("s", ""), ("s", "a")}
    drop = firsts["s", "a"]
    assert (drop.at, drop.best) == (2, 1)
    assert drop.mean == pytest.approx(-0.15, abs=0.05) and drop.low < drop.mean < drop.high < 0
    assert drop.score - drop.before == pytest.approx(drop.mean)


def test_equal_checkpoints_raise_few_false_alarms() -> None:
    # The best of the ones before is the luckiest: with all pairs counted, any alarm in a whole sweep stays below 5% of sweeps.
    rng = np.random.default_rng(1)
    sweeps, alarms = 60, 0
    for _ in range(sweeps):
        alarms += bool(first_regressions(changes([checkpoint({"a": 0.5}, rng, 8) for _ in range(4)])))
    # Three levels of one probe, each at 5%; seven or more of sixty would have probability below 0.03 at that.
    assert alarms <= 6


def test_one_checkpoint_has_no_change_and_the_order_of_two_matters() -> None:
    rng = np.random.default_rng(2)
    low, high = checkpoint({"a": 0.2}, rng), checkpoint({"a": 0.6}, rng)
    assert changes([low]) == []
    assert first_regressions(changes([low, high])) == []
    assert len(first_regressions(changes([high, low]))) == 3


def test_evidence_are_the_cases_that_lost_most() -> None:
    rng = np.random.default_rng(3)
    before = checkpoint({"a": 0.5}, rng)
    after = [replace(r, value=(r.value or 0) * (0.1 if r.case == "a.7" else 0.9)) for r in before]
    (change, *_) = changes([before, after])
    worst = lost_most(before, after, change, 2)
    assert worst[0][1].case == "a.7" and len(worst) == 2
    assert lost_most(before, before, change) == []


def test_the_page_marks_the_first_regression_and_shows_clips_side_by_side(tmp_path: Path) -> None:
    cases = made_up_cases(2)
    runs = []
    for k, skill in enumerate((0.3, 0.6, 0.25)):
        step = (9, 10, 11)[k] * 1000
        run = made_up_run(tmp_path / f"m{k}", f"step-{step}", skill, cases, clips=k > 0)
        manifest = read_json(run / "manifest.json")
        manifest["config"]["generator"]["checkpoint"] = f"ckpt/step-{step}.safetensors"
        write_json(run / "manifest.json", manifest)
        runs.append(run)
    # Folders in any order: the steps decide.
    page = write_curves([runs[2], runs[0], runs[1]], tmp_path / "out", "sora-eval run +sweep=checkpoints")
    assert page is not None
    html, text = page.read_text(), (tmp_path / "out" / "curves.md").read_text()
    assert "- overall: step-11000 scores" in text and "of step-10000: -0." in text
    assert text.index("| step-9000") < text.index("| step-10000") < text.index("| step-11000")
    assert "▼ step-11000" in html
    assert html.count("<video") >= 2 * 3 and "step-10000: " in html
    assert html.count('class="profile"') == 1 + 4 + 25
    # One checkpoint is no curve; models in no order are none either.
    assert write_curves(runs[:1], tmp_path / "one", "c") is None
