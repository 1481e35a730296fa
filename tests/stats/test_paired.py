"""Differences against known answers, and how often they are wrong on data without any."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from sora_eval.stats.intervals import LEVEL, wilson
from sora_eval.stats.paired import differences, pair, standard_error
from sora_eval.stats.sign_flips import paired_difference
from sora_eval.types import ScoreRow


def rows(values: dict[str, Sequence[float | None]], chance: float = 0.0, per_scene: int = 1) -> list[ScoreRow]:
    """Return score rows of probes "suite.probe", cases of one scene next to each other."""
    found = []
    for name, some in values.items():
        suite, probe = name.split(".")
        for i, value in enumerate(some):
            reason = "" if value is not None else "nothing was seen"
            scene = f"{name}.{i // per_scene}"
            row = ScoreRow(
                f"{name}.{i}", suite, probe, "t2v", "m", "model", value, reason, {}, chance, "", scene, "", i, "", ""
            )
            found.append(row)
    return found


def test_probes_weigh_the_same_in_a_suite_and_suites_in_overall() -> None:
    a = rows({"s.p": [1, 1, 1, 1], "s.q": [0, 1], "t.r": [1, 0, 0]})
    b = rows({"s.p": [0, 1, 1, 1], "s.q": [0, 1], "t.r": [0, 0, 0]})
    found = {(d.suite, d.probe): d for d in differences(a, b)}
    assert list(found) == [("", ""), ("s", ""), ("t", ""), ("s", "p"), ("s", "q"), ("t", "r")]
    assert found["s", "p"].mean == pytest.approx(1 / 4)
    assert found["s", ""].mean == pytest.approx(1 / 8)
    assert found["t", ""].mean == pytest.approx(1 / 3)
    assert found["", ""].mean == pytest.approx((1 / 8 + 1 / 3) / 2)
    assert found["", ""].first == pytest.approx((3 / 4 + 1 / 3) / 2)
    assert (found["", ""].n, found["", ""].clusters) == (9, 9)


def test_interval_of_one_probe_is_students_of_the_differences() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random(12), rng.random(12)
    found = differences(rows({"s.p": x.tolist()}), rows({"s.p": y.tolist()}))[-1]
    known = stats.ttest_rel(x, y).confidence_interval(LEVEL)
    assert (found.low, found.high) == pytest.approx((known.low, known.high))
    power_of = (stats.t.ppf(0.975, 11) + stats.t.ppf(0.8, 11)) * np.std(x - y, ddof=1) / np.sqrt(12)
    assert found.detectable == pytest.approx(power_of)


def test_p_value_is_that_of_the_paired_comparison() -> None:
    rng = np.random.default_rng(1)
    x, y, scene = rng.random(16), rng.random(16) * 0.8, np.arange(16) // 2
    found = differences(rows({"s.p": x.tolist()}, per_scene=2), rows({"s.p": y.tolist()}, per_scene=2))[-1]
    assert found.clusters == 8
    assert found.p_value == paired_difference(x, y, scene).p_value


def test_a_clear_difference_holds_among_many_models() -> None:
    """Random flips know no p-value below 1 in 5,000; times 25 probes and 12 models, nothing would ever hold."""
    first, second = ([1.0] * 38 + [0.5, 0.0], [0.0] * 40)
    (found, *_) = differences(rows({"s.a": first}), rows({"s.a": second}))
    assert found.p_value < 1e-9
    assert found.among(300, 1.0).detectable > found.among(1, 1.0).detectable


def test_twins_are_one_observation() -> None:
    x = np.random.default_rng(3).random(10)
    once = differences(rows({"s.p": x.tolist()}), rows({"s.p": [0.5] * 10}))[-1]
    twice = differences(rows({"s.p": np.repeat(x, 2).tolist()}, per_scene=2), rows({"s.p": [0.5] * 20}, per_scene=2))[
        -1
    ]
    assert (twice.clusters, twice.low, twice.p_value) == (once.clusters, pytest.approx(once.low), once.p_value)


def test_unjudgeable_counts_as_zero_after_the_correction_for_chance() -> None:
    found = differences(rows({"s.p": [1, None]}, chance=0.5), rows({"s.p": [0, 0]}, chance=0.5))[-1]
    assert (found.first, found.second) == (0.5, -1.0)


def test_without_any_difference_the_interval_is_wilsons() -> None:
    same = rows({"s.p": [0, 1, 1, 0, 1, 0, 0, 1] * 40})
    found = differences(same, same)[-1]
    assert found.high == pytest.approx(wilson(0, 320).high, rel=0.01)
    assert (found.mean, found.low, found.p_value) == (0, -found.high, 1)


def test_one_scene_says_nothing() -> None:
    found = differences(rows({"s.p": [1, 1]}, per_scene=2), rows({"s.p": [0, 1]}, per_scene=2))[0]
    assert (found.low, found.high, found.p_value) == (-1, 1, 1)
    assert found.detectable == 1


def test_probes_of_one_scene_each_have_a_spread_together() -> None:
    """As in the smoke suite: one difference per probe, so overall is a sample of probes."""
    d = np.random.default_rng(4).random(20)
    names = [f"s.p{i:02}" for i in range(20)]
    found = differences(rows({n: [x] for n, x in zip(names, d, strict=True)}), rows({n: [0] for n in names}))[0]
    known = stats.ttest_1samp(d, 0).confidence_interval(LEVEL)
    assert (found.low, found.high) == pytest.approx((known.low, known.high))


def test_holm_is_over_the_rows_of_a_level() -> None:
    a = rows({"s.p": [1] * 6, "s.q": [1, 0] * 3})
    b = rows({"s.p": [0] * 6, "s.q": [0, 1] * 3})
    overall, suite, p, q = differences(a, b)
    assert p.p_value == 2 / 2**6
    assert p.adjusted == pytest.approx(2 * p.p_value)
    assert (overall.adjusted, suite.adjusted, q.adjusted) == (overall.p_value, suite.p_value, 1)


def test_interval_covers_and_the_detectable_drop_is_detected() -> None:
    """Of 300 simulated comparisons at least 270 intervals hold the truth (fewer: P < 1e-4 at 95%), and the share that is found is 0.8."""
    rng = np.random.default_rng(5)
    true, covered, sizes = 0.1, 0, []
    for _ in range(300):
        x = (rng.random(80) < np.repeat(rng.beta(0.5, 0.5, 40), 2)).astype(float)
        y = np.where(rng.random(80) < 2 * true, 0.0, x)
        found = differences(rows({"s.p": x.tolist()}, per_scene=2), rows({"s.p": y.tolist()}, per_scene=2))[0]
        covered += found.low <= true <= found.high
        sizes.append((found.detectable, found.p_value))
    assert covered >= 270
    # Of the comparisons that claim to find 0.09 to 0.11 with power 0.8, 0.8 do, give or take four standard errors.
    claimed = [p for size, p in sizes if 0.09 <= size <= 0.11]
    error = math.sqrt(0.16 / len(claimed))
    assert np.mean([p <= 0.05 for p in claimed]) == pytest.approx(0.8, abs=4 * error)


def test_standard_error_takes_what_never_varies_together() -> None:
    """Twenty probes without a difference are one large sample without one, not twenty small ones."""
    names = [f"s.p{i:02}" for i in range(20)]
    same = pair(rows({n: [0] * 10 for n in names}), rows({n: [0] * 10 for n in names}))
    assert standard_error(same, same.weights())[0] == pytest.approx(wilson(0, 200).high / stats.norm.ppf(0.975))


def test_rows_that_cannot_be_paired_are_refused() -> None:
    a = rows({"s.p": [1, 0]})
    with pytest.raises(ValueError, match="no case in common"):
        differences(a, rows({"s.q": [1]}))
    with pytest.raises(ValueError, match="two scores"):
        differences([*a, a[0]], a)
    # Cases that one lacks are left out.
    assert differences(a, a[:1])[0].n == 1
