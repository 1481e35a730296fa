"""The numbers of a report against numbers worked out by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from sora_eval.reporting import summarise
from sora_eval.stats.intervals import cluster_bootstrap
from sora_eval.types import Mode, ScoreRow


def row(
    value: float | None,
    *,
    generator: str = "m",
    kind: str = "model",
    suite: str = "s",
    probe: str = "p",
    mode: Mode = "t2v",
    number: int = 0,
    cluster: str = "",
    chance: float = 0.0,
) -> ScoreRow:
    """Return a row; only what a test is about is given."""
    return ScoreRow(
        case=f"{suite}.{probe}.{mode}.{number:04d}",
        suite=suite,
        probe=probe,
        mode=mode,
        generator=generator,
        kind=kind,
        value=value,
        reason="" if value is not None else "nothing was found",
        components={},
        chance=chance,
        prompt="",
        cluster=cluster or f"c{number}",
        twin="",
        seed=0,
        video="",
        tracks="",
    )


def test_unjudgeable_counts_as_zero_and_the_judged_mean_stands_beside_it() -> None:
    cell = summarise([row(v, number=i) for i, v in enumerate([1.0, 0.5, None, None])]).get("m", "s", "p")
    assert cell is not None
    assert (cell.n, cell.judged, cell.unjudgeable) == (4, 2, 2)
    assert cell.score == pytest.approx(1.5 / 4)
    assert cell.judged_mean == pytest.approx(0.75)


def test_nothing_judged_has_no_judged_mean_but_a_score() -> None:
    cell = summarise([row(None, number=i) for i in range(3)]).get("m", "s", "p")
    assert cell is not None
    assert cell.score == 0
    assert cell.judged_mean is None


def test_suite_is_the_mean_of_its_probes_and_overall_of_its_suites() -> None:
    rows = [row(1.0, probe="a", number=i) for i in range(9)]
    rows += [row(0.0, probe="b"), row(0.25, suite="t", probe="c")]
    summary = summarise(rows)
    suite, overall = summary.get("m", "s"), summary.get("m")
    assert suite is not None and overall is not None
    assert suite.score == pytest.approx(0.5)  # by clips it would be 0.9
    assert overall.score == pytest.approx((0.5 + 0.25) / 2)
    assert (suite.n, suite.probes, overall.n, overall.probes) == (10, 2, 11, 3)


def test_modes_are_parts_of_their_probe() -> None:
    summary = summarise([row(0.2, mode="t2v"), row(0.6, mode="i2v", number=1), row(1.0, mode="i2v", number=2)])
    probe = summary.get("m", "s", "p")
    modes = [summary.get("m", "s", "p", mode) for mode in summary.modes("s", "p")]
    assert summary.modes("s", "p") == ("t2v", "i2v")
    assert probe is not None
    assert [c.score for c in modes if c] == pytest.approx([0.2, 0.8])
    assert sum(c.score * c.n for c in modes if c) / probe.n == pytest.approx(probe.score)


def test_probe_interval_resamples_clusters() -> None:
    values = [0.0, 0.1, 0.9, 1.0, 0.4, 0.5]
    clusters = ["x", "x", "y", "y", "z", "z"]
    cell = summarise([row(v, number=i, cluster=clusters[i]) for i, v in enumerate(values)]).get("m", "s", "p")
    expected = cluster_bootstrap(values, clusters)
    assert cell is not None
    assert (cell.score, cell.low, cell.high) == pytest.approx((expected.mean, expected.low, expected.high))


def test_suite_of_one_probe_has_the_probe_s_interval() -> None:
    summary = summarise([row(v, number=i) for i, v in enumerate([0.1, 0.9, 0.4, 0.2])])
    found = [summary.get("m"), summary.get("m", "s"), summary.get("m", "s", "p")]
    assert len({(c.low, c.high) for c in found if c}) == 1


def test_suite_interval_narrows_as_independent_probes_are_averaged() -> None:
    """The mean of k independent probes of equal spread has an interval shorter by about sqrt(k)."""
    values = [i / 19 for i in range(20)]
    summary = summarise([row(v, probe=p, number=i) for p in "abcd" for i, v in enumerate(values)])
    suite, probe = summary.get("m", "s"), summary.get("m", "s", "a")
    assert suite is not None and probe is not None
    assert (suite.high - suite.low) / (probe.high - probe.low) == pytest.approx(1 / math.sqrt(4), rel=0.1)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_certain_failure_or_success_still_has_an_interval_that_holds_it(value: float) -> None:
    summary = summarise([row(value, probe=p, number=i) for p in "ab" for i in range(5)])
    for cell in summary.cells:
        assert cell.low <= cell.score <= cell.high
        assert cell.high - cell.low > 0.1


def test_generators_are_ordered_models_best_first_then_references() -> None:
    rows = [row(0.1, generator="weak"), row(0.9, generator="strong")]
    rows += [row(0.5, generator="v", kind="violation"), row(0.2, generator="frozen", kind="control")]
    rows += [row(1.0, generator="oracle", kind="oracle")]
    assert summarise(rows).generators == ("strong", "weak", "oracle", "frozen", "v")


def test_ceiling_is_the_oracle_and_floor_the_best_control() -> None:
    rows = [row(0.5), row(0.97, generator="oracle", kind="oracle")]
    rows += [row(v, generator=g, kind="control") for g, v in [("frozen", 0.3), ("noise", 0.1)]]
    summary = summarise(rows)
    ceiling, floor = summary.ceiling("s"), summary.floor("s")
    assert ceiling is not None and floor is not None
    assert (ceiling.score, floor.score, floor.generator) == (0.97, 0.3, "frozen")


def test_reasons_are_counted_most_frequent_first() -> None:
    summary = summarise([row(None, number=i) for i in range(3)] + [row(None, probe="q")])
    assert [(r.probe, r.reason, r.count) for r in summary.reasons] == [
        ("p", "nothing was found", 3),
        ("q", "nothing was found", 1),
    ]


def test_same_rows_in_another_order_give_the_same_summary() -> None:
    rows = [row((i * 7 % 10) / 10, probe=p, number=i, cluster=f"c{i // 2}") for p in "ab" for i in range(10)]
    assert summarise(rows).to_json() == summarise(rows[::-1]).to_json()


def test_json_has_no_infinity() -> None:
    """A single scene whose values leave [0, 1] has an endless interval, which JSON writes as null."""
    told = summarise([row(7.0)]).to_json()
    assert told["probe"][0]["low"] is None
    json.dumps(told, allow_nan=False)


def test_frame_has_one_line_per_cell() -> None:
    summary = summarise([row(0.5), row(0.7, suite="t")])
    frame = summary.frame()
    assert list(frame["level"]) == [c.level for c in summary.cells]
    assert list(frame["score"]) == [c.score for c in summary.cells]


@pytest.mark.parametrize(("scenes", "truth", "least"), [(1, 0.8, 0.83), (1, 0.5, 0.9), (2, 0.8, 0.88), (4, 0.8, 0.9)])
def test_the_interval_of_many_probes_of_few_scenes_covers_their_mean(scenes: int, truth: float, least: float) -> None:
    """25 probes, each case right or wrong: nominal 95%. Of posteriors per probe, averaged, it was 57% at .8."""
    rng, covered = np.random.default_rng(0), 0
    for _ in range(100):
        values = rng.random((25, scenes)) < truth
        rows = [
            row(float(v), suite=f"s{i % 5}", probe=f"p{i}", number=k, cluster=f"{i}.{k}")
            for i, one in enumerate(values)
            for k, v in enumerate(one)
        ]
        top = summarise(rows, modes=False).get("m")
        assert top is not None
        covered += top.low <= truth <= top.high
    assert covered / 100 >= least
