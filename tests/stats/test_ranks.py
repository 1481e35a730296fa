"""Ranks of clear and of equal models, and how often equal ones get different ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from sora_eval.stats.ranks import rank_intervals
from sora_eval.types import ScoreRow


def rows(values: dict[str, Sequence[float]]) -> list[ScoreRow]:
    """Return score rows of probes "suite.probe", each case of a scene of its own."""
    table = []
    for name, scores in values.items():
        suite, probe = name.split(".")
        for i, value in enumerate(scores):
            case = f"{name}.{i}"
            table.append(ScoreRow(case, suite, probe, "t2v", "m", "model", value, "", {}, 0.0, "", case, "", i, "", ""))
    return table


def test_ranks_of_clear_and_of_equal_models() -> None:
    good, bad = [1.0] * 30, [0.0, 0.0, 1.0] * 10
    rng = np.random.default_rng(6)
    equal = {n: rows({"s.p": rng.integers(0, 2, 30).astype(float).tolist()}) for n in "abc"}
    assert set(rank_intervals(equal).values()) == {(1, 3)}
    models = {"good": rows({"s.p": good}), "bad": rows({"s.p": bad}), "worse": rows({"s.p": [0.0] * 30})}
    assert rank_intervals(models) == {"good": (1, 1), "bad": (2, 2), "worse": (3, 3)}
    assert rank_intervals({"one": models["good"]}) == {"one": (1, 1)}
    assert rank_intervals({}) == {}


def test_ranks_of_a_suite_are_of_its_cases_only() -> None:
    a = rows({"s.p": [1.0] * 12, "t.q": [0.0] * 12})
    b = rows({"s.p": [0.0] * 12, "t.q": [1.0] * 12})
    assert rank_intervals({"a": a, "b": b}, suite="s") == {"a": (1, 1), "b": (2, 2)}
    assert rank_intervals({"a": a, "b": b}, "t", "q") == {"a": (2, 2), "b": (1, 1)}
    assert rank_intervals({"a": a, "b": b}) == {"a": (1, 2), "b": (1, 2)}
    with pytest.raises(ValueError, match="no case of u"):
        rank_intervals({"a": a, "b": b}, suite="u")


def test_equal_models_seldom_get_different_ranks() -> None:
    """At most 5% of the time; 300 tries with more than 27 would have P < 0.001."""
    rng = np.random.default_rng(7)
    template = rows({"s.p": [0.0] * 20})
    wrong = 0
    for _ in range(300):
        hard = rng.beta(0.5, 0.5, 20)
        models = {
            n: [replace(r, value=float(v)) for r, v in zip(template, rng.random(20) < hard, strict=True)]
            for n in "abcd"
        }
        wrong += set(rank_intervals(models).values()) != {(1, 4)}
    assert wrong <= 27
