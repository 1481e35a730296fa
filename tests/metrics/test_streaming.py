"""Streaming statistics: the same whatever the batches, the order and the processes, in constant memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from sora_eval.metrics import streaming
from sora_eval.metrics.frechet import distance, estimate, grouped, merge
from sora_eval.metrics.streaming import FeatureStatistics
from sora_eval.types import Floats


def features(n: int, d: int = 6, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(2, 3, size=(n, d))


def test_batches_order_and_processes_change_nothing() -> None:
    x = features(157)
    whole = FeatureStatistics()
    whole.add(x, 0)
    parts = [FeatureStatistics() for _ in range(3)]
    for start in range(150, -10, -10):
        parts[start // 10 % 3].add(x[start : start + 10], start)
    for other in parts[1:]:
        parts[0].merge(other)
    assert parts[0].n == whole.n == 157
    assert np.array_equal(parts[0].at(parts[0].positions()), whole.at(whole.positions()))
    assert distance(merge(parts[0].groups()), merge(grouped(x))) < 1e-9
    y = grouped(features(157, seed=1))
    assert estimate(parts[0].groups(), y).corrected == pytest.approx(estimate(grouped(x), y).corrected, rel=1e-9)


def test_memory_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "MOST", 200)
    found = FeatureStatistics()
    peaks = []
    tracemalloc.start()
    for i in range(60):
        found.add(features(50, 32, i), 50 * i)
        if i in (19, 59):
            peaks.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert len(found.at(found.positions())) == 200
    assert peaks[1] < 1.2 * peaks[0]


def test_the_sample_is_even_and_agreed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "MOST", 100)
    x = np.arange(2000.0)[:, None]
    one, two, late = FeatureStatistics(), FeatureStatistics(), FeatureStatistics()
    one.add(x, 0)
    two.add(x[:900], 0)
    late.add(x[900:], 900)
    two.merge(late)
    assert np.array_equal(one.at(one.positions()), two.at(two.positions()))
    assert abs(one.at(one.positions()).mean() - 1000) < 3 * 2000 / 12**0.5 / 10


def test_bad_features_are_refused() -> None:
    found = FeatureStatistics()
    found.add(features(3), 0)
    with pytest.raises(ValueError, match="got 5 after 6"):
        found.add(features(3, 5), 3)
    with pytest.raises(ValueError, match="finite"):
        found.add(np.full((1, 6), np.nan), 3)
