"""Non-inferiority: known answers, and by simulation how often an inferior engine passes and a harmless one does."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from benchmarks.gate_power import Setting, rows_of
from benchmarks.noninferiority import ALL_OR_NOTHING, dropping, largest_drops, rates, scene_drops, verdicts
from scipy import stats

from sora_eval.errors import ConfigError
from sora_eval.stats.gate import PASSED, REGRESSION, TOO_LITTLE
from sora_eval.stats.noninferiority import STAKES, MarginBets, Noninferiority, NoninferiorityPlan, NoninferiorityTest
from sora_eval.stats.paired import Pairs
from sora_eval.types import Floats, ScoreRow


def rows(values: dict[str, Sequence[float | None]], chance: float = 0.0, failed: Sequence[str] = ()) -> list[ScoreRow]:
    """Return score rows of probes of one suite, a scene each. failed: cases that failed technically."""
    found = []
    for probe, some in values.items():
        for i, value in enumerate(some):
            case = f"s.{probe}.t2v.{i:04d}"
            broken = case in failed
            found.append(
                ScoreRow(
                    case=case,
                    suite="s",
                    probe=probe,
                    mode="t2v",
                    generator="m",
                    kind="model",
                    value=None if broken else value,
                    reason="down" if broken else "" if value is not None else "nothing was seen",
                    components={},
                    chance=chance,
                    prompt="",
                    cluster=f"{probe}.{i}",
                    twin="",
                    seed=i,
                    video="",
                    tracks="",
                    failure="technical" if broken else "",
                )
            )
    return found


def walked(
    baseline: list[ScoreRow], candidate: list[ScoreRow], plan: NoninferiorityPlan, to_the_end: bool = False
) -> Noninferiority:
    test, mine = NoninferiorityTest(baseline, plan), {r.case: r for r in candidate}
    for step in test.steps:
        if test.add(step, [mine[c] for c in step.cases]) and not to_the_end:
            break
    assert test.code == test.outcome().code
    return test.outcome()


def scenes_without_a_difference(margin: float, alpha: float = 0.05) -> int:
    """How many of them exclude a drop of the margin, by the definition of the bets: the mean over stakes reaches 1 / alpha."""
    n = 1
    while np.mean((1 + STAKES * margin / (1 - margin)) ** n) < 1 / alpha:
        n += 1
    return n


# Known answers


@pytest.mark.parametrize("margin", [0.05, 0.1, 0.3])
def test_equal_scores_pass_after_as_many_scenes_as_the_margin_needs(margin: float) -> None:
    needed = scenes_without_a_difference(margin)
    # No test can pass sooner: a drop of 1 in a share `margin` of scenes goes unseen with (1 - margin)^n.
    assert math.log(0.05) / math.log(1 - margin) < needed < 1.45 * math.log(0.05) / math.log(1 - margin)
    same = rows({"a": [1.0, 0.5] * 100})
    outcome = walked(same, same, NoninferiorityPlan(margin=margin))
    assert (outcome.code, outcome.cases, outcome.decided_after, outcome.more) == (PASSED, needed, needed, 0)
    short = rows({"a": [1.0] * (needed - 1)})
    assert walked(short, short, NoninferiorityPlan(margin=margin)).code == TOO_LITTLE


@pytest.mark.parametrize("seen", [10, 40, 70])
def test_the_forecast_says_how_many_scenes_are_missing(seen: int) -> None:
    same = rows({"a": [1.0] * seen})
    outcome = walked(same, same, NoninferiorityPlan(margin=0.05))
    assert outcome.more is not None
    assert seen + outcome.more == pytest.approx(scenes_without_a_difference(0.05), abs=1)


def test_a_drop_of_the_margin_itself_would_never_be_decided() -> None:
    outcome = walked(rows({"a": [0.8] * 200}), rows({"a": [0.75] * 200}), NoninferiorityPlan(margin=0.05))
    assert outcome.lines[0].drop == pytest.approx(0.05)
    assert (outcome.code, outcome.more) == (TOO_LITTLE, None)


def test_a_fall_beyond_the_margin_stops_and_names_the_probe() -> None:
    steady = {f"p{i}": [1.0] * 60 for i in range(4)}
    a, b = rows({**steady, "q": [1.0] * 60}), rows({**steady, "q": [0.0] * 60})
    outcome = walked(a, b, NoninferiorityPlan(margin=0.3))
    assert outcome.code == REGRESSION
    assert [line.probe for line in outcome.inferior] == ["q"]
    # The others have no margin of their own: nothing is claimed of them.
    assert {line.verdict for line in outcome.lines if line.probe.startswith("p")} == {"undecided"}


def test_probes_with_margins_of_their_own_must_be_shown_too() -> None:
    same = rows({"a": [1.0] * 100, "b": [1.0] * 100})
    assert walked(same, same, NoninferiorityPlan(margin=0.05)).code == PASSED
    assert walked(same, same, NoninferiorityPlan(margin=0.05, margins={"b": 0.02})).code == TOO_LITTLE
    outcome = walked(same, same, NoninferiorityPlan(margin=0.05, probe_margin=0.1))
    assert outcome.code == PASSED
    assert {line.verdict for line in outcome.lines} == {"non-inferior"}
    fewer = walked(same, same, NoninferiorityPlan(margin=0.05, probe_margin=0.02))
    assert fewer.code == TOO_LITTLE
    assert fewer.lines[0].verdict == "non-inferior"


def test_the_bound_is_what_the_scenes_exclude() -> None:
    """Without a difference in n scenes: the smallest margin that n scenes exclude; for probes at alpha over their number."""
    same = rows({"a": [1.0] * 100, "b": [1.0] * 100})
    outcome = walked(same, same, NoninferiorityPlan(margin=0.01))
    overall, a, _ = outcome.lines
    for line, scenes, alpha in ((overall, 200, 0.05), (a, 100, 0.025)):
        # Bets of equal scenes of several probes are those of one.
        assert scenes_without_a_difference(line.bound, alpha) <= scenes
        assert scenes_without_a_difference(line.bound - 0.006, alpha) > scenes
    # The largest drop that there can be, where nothing speaks against it.
    right, wrong = rows({"a": [1.0] * 9}, chance=0.5), rows({"a": [0.0] * 9}, chance=0.5)
    assert walked(right, wrong, NoninferiorityPlan(margin=0.9), to_the_end=True).lines[0].bound == pytest.approx(2)


def test_an_improvement_passes_and_a_finished_run_is_looked_at_to_its_end() -> None:
    a, b = rows({"a": [0.0] * 60, "b": [1.0] * 60}), rows({"a": [1.0] * 60, "b": [1.0] * 40 + [0.0] * 20})
    plan = NoninferiorityPlan(margin=0.1)
    assert walked(a, b, plan).code == PASSED
    outcome = walked(a, b, plan, to_the_end=True)
    assert outcome.cases == 120
    assert outcome.decided_after is not None and outcome.decided_after < 60
    assert outcome.code == REGRESSION
    assert [line.probe for line in outcome.inferior] == ["b"]


def test_scenes_of_a_round_that_lacks_a_probe_wait_for_the_next_one() -> None:
    """A probe whose clips failed technically weighs in the overall score as soon as it has others."""
    a = rows({"a": [1.0] * 4, "b": [1.0] * 4})
    b = rows({"a": [1.0] * 4, "b": [1.0] * 4}, failed=["s.a.t2v.0000"])
    plan = NoninferiorityPlan(margin=0.1)
    whole, lacking = walked(a, a, plan), walked(a, b, plan)
    assert (whole.cases, lacking.cases) == (8, 7)
    assert lacking.lines[0].n == 7
    # Two scenes of b share the weight of one.
    found = [outcome.lines[0].evidence for outcome in (lacking, whole)]
    assert None not in found and 1 < found[0] < found[1]


def test_a_case_without_a_row_is_an_error() -> None:
    test = NoninferiorityTest(rows({"a": [1.0] * 2}), NoninferiorityPlan(margin=0.1))
    with pytest.raises(ValueError, match=r"s\.a\.t2v\.0000 has no score"):
        test.add(test.steps[0], [])


# What it rests on


@pytest.mark.parametrize("sign", [-1, 1])
def test_wealth_never_grows_on_average_at_the_bound(sign: int) -> None:
    """All 3^6 sequences of a skewed drop whose mean is the bound: the expected wealth is 1."""
    drops, chances = (-0.5, 0.0, 1.0), (0.2, 0.65, 0.15)
    bound = float(np.dot(drops, chances))
    total = 0.0
    for picked in itertools.product(range(3), repeat=6):
        bets = MarginBets(np.array([bound]), 1 if sign > 0 else -1)
        for i in picked:
            bets.bet(np.ones(1), np.array([drops[i]]), np.ones(1))
        total += math.prod(chances[i] for i in picked) * float(bets.value[0])
    assert total == pytest.approx(1)


def test_a_round_of_several_probes_is_fair_if_their_weighted_mean_is_the_bound() -> None:
    """One probe falls by 0.4, another not at all, where 0.2 is the bound: the expected wealth of a round is not above 1."""
    largest: Floats = np.array([1.0, 2.0])
    expected = 0.0
    for (x, p), (y, q) in itertools.product([(1.0, 0.4), (0.0, 0.6)], [(-2.0, 0.1), (2.0, 0.1), (0.0, 0.8)]):
        bets = MarginBets(np.array([0.2]), -1)
        bets.bet(np.full(2, 0.5), np.array([x, y]), largest)
        expected += p * q * float(bets.value[0])
    assert expected <= 1


# By simulation, at a true drop of the margin. A bound is the 0.999 quantile of a binomial with the promised rate: a test that
# keeps its promise fails with one seed in a thousand, and the seed is fixed. docs/gate_power.md has the rates themselves.


def most(n: int, rate: float) -> int:
    return int(stats.binom.ppf(0.999, n, rate))


N = 2000
SMALL = Setting((12,) * 8)
MARGIN = 0.1


def test_the_simulation_is_the_test_itself() -> None:
    """All comparisons at once have the verdicts, after as many rounds, of the test that takes scene after scene."""
    rng, seen = np.random.default_rng(25), set()
    for lost, margin in itertools.product((0.0, 0.3, 0.6), (0.1, 0.3)):
        setting = replace(SMALL, same=0.8, lost=lost)
        drops, largest = scene_drops(setting, 6, rng), largest_drops(setting)
        codes, rounds = verdicts(drops, largest, margin)
        for of_one, code, after in zip(drops, codes, rounds, strict=True):
            probe = np.repeat(np.arange(len(largest)), of_one.shape[1])
            names = tuple(f"p{p:02}" for p in probe)
            scenes = tuple(f"{name}.{i:03}" for i, name in enumerate(names))
            first = of_one.ravel()
            pairs = Pairs(scenes, ("suite",) * len(names), names, scenes, first, np.zeros(len(first)), largest[probe])
            test = NoninferiorityTest(rows_of(pairs, pairs.first), NoninferiorityPlan(margin=margin))
            candidate = {row.case: row for row in rows_of(pairs, pairs.second)}
            taken = 0
            for step in test.steps:
                taken += 1
                if test.add(step, [candidate[step.cases[0]]]):
                    break
            assert (test.code, taken) == (code, after * len(largest))
            seen.add(int(code))
    assert seen == {PASSED, REGRESSION, TOO_LITTLE}


@pytest.mark.parametrize("same", [0.0, 0.4, 0.8, 1.0])
def test_false_passes_and_false_stops_at_the_margin(same: float) -> None:
    found = rates(dropping(replace(SMALL, same=same), MARGIN), MARGIN, N, 20)
    assert found.passed * N <= most(N, 0.05)
    assert found.inferior * N <= most(N, 0.05)


def test_false_passes_where_a_few_scenes_are_lost_and_all_others_are_the_same() -> None:
    """The hardest to see of all drops: what is expected of the mean lies in a tenth of the scenes."""
    found = rates(Setting((60,), (ALL_OR_NOTHING,), MARGIN, twins=1, same=1.0), MARGIN, N, 21)
    assert 0 < found.passed * N <= most(N, 0.05)


def test_the_simulation_notices_a_test_that_peeks() -> None:
    """A t-test of the same hypothesis that may pass after every round breaks the bound: so the tests above can fail."""
    setting = dropping(replace(SMALL, same=0.8), MARGIN)
    drops, passed = scene_drops(setting, N, np.random.default_rng(22)), np.zeros(N, dtype=bool)
    for k in range(2, 13):
        seen = drops[:, :, :k].reshape(N, -1)
        error = np.maximum(seen.std(axis=1, ddof=1), 1e-12) / math.sqrt(seen.shape[1])
        passed |= (seen.mean(axis=1) - MARGIN) / error < stats.t.ppf(0.05, seen.shape[1] - 1)
    assert passed.sum() > most(N, 0.05)


def test_power_for_a_harmless_engine_and_for_a_harmful_one() -> None:
    """96 scenes of which 4 in 5 clips are the same: they pass a margin of .15 with .8, and are stopped at 4 times a margin of .1."""
    n = 60
    harmless = rates(replace(SMALL, same=0.8), 0.15, n, 23)
    assert (1 - harmless.passed) * n <= most(n, 0.2)
    harmful = rates(dropping(replace(SMALL, same=0.8), 0.4), 0.1, n, 24)
    assert (1 - harmful.inferior) * n <= most(n, 0.2)


# Bad plans


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "margin is missing"),
        ({"margin": 0}, "margin must be a number between 0 and 1"),
        ({"margin": 1.0}, "margin must be a number between 0 and 1"),
        ({"margin": "small"}, "margin must be"),
        ({"margin": 0.1, "alpha": 0}, "alpha must be"),
        ({"margin": 0.1, "margins": {"a": 2}}, r"margins\.a must be"),
        ({"margin": 0.1, "probe_margin": -1}, "probe_margin must be"),
        ({"margin": 0.1, "drop": 0.2}, "unknown option 'drop'"),
    ],
)
def test_a_plan_without_meaning_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NoninferiorityPlan.of(values)


def test_margins_of_probes_that_are_not_compared_are_refused() -> None:
    with pytest.raises(ConfigError, match="margins 'orbitt': did you mean orbit"):
        NoninferiorityPlan(margin=0.1, margins={"orbitt": 0.2}).check(["orbit", "bite"])
    with pytest.raises(ConfigError, match="--noninferior MARGIN"):
        NoninferiorityPlan(margin=0.1, margins={"overall": 0.2}).check(["orbit"])
