"""Metrics with a state are the pure functions of all features together: in batches, across processes, after a reset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics import Metric

from sora_eval.metrics.frechet import frechet_distance
from sora_eval.metrics.kernel import JEDI, KVD, mmd
from sora_eval.metrics.modules import CLIPSIM, FrechetVideoDistance, KernelVideoDistance
from sora_eval.metrics.similarity import clip_similarity

REAL, FAKE = np.random.default_rng(0).normal(size=(2, 60, 5))
FAKE = FAKE[:50] * 1.3 + 0.4
FRAMES, TEXTS = np.random.default_rng(1).normal(size=(6, 4, 5)), np.random.default_rng(2).normal(size=(6, 5))

Feed = Callable[[Any, slice], None]


def feed_sets(metric: Any, part: slice) -> None:
    metric.update(torch.from_numpy(REAL[part]), real=True)
    metric.update(torch.from_numpy(FAKE[part]), real=False)


def feed_clips(metric: Any, part: slice) -> None:
    metric.update(torch.from_numpy(FRAMES[part]), torch.from_numpy(TEXTS[part]))


CASES = [
    pytest.param(lambda: FrechetVideoDistance(5), feed_sets, 20, frechet_distance(FAKE, REAL), id="frechet"),
    pytest.param(KernelVideoDistance, feed_sets, 20, mmd(FAKE, REAL, KVD), id="kernel"),
    pytest.param(lambda: KernelVideoDistance(JEDI), feed_sets, 20, mmd(FAKE, REAL, JEDI), id="jedi"),
    pytest.param(
        CLIPSIM,
        feed_clips,
        2,
        np.mean([clip_similarity(f, t) for f, t in zip(FRAMES, TEXTS, strict=True)]),
        id="clipsim",
    ),
]
every_metric = pytest.mark.parametrize(("make", "feed", "half", "expected"), CASES)


def connect(metric: Metric, other: Metric) -> None:
    """Let `compute` synchronise a metric with that of another process, as it does under torch.distributed."""
    theirs = iter([torch.cat(v) if isinstance(v, list) else v for v in other.metric_state.values()])

    def gather(state: Tensor, group: object) -> list[Tensor]:
        return [state, next(theirs)]

    metric.dist_sync_fn, metric.distributed_available_fn = gather, lambda: True


@every_metric
def test_batches_are_the_whole(make: Callable[[], Metric], feed: Feed, half: int, expected: float) -> None:
    metric = make()
    for part in (slice(half), slice(half, None)):
        feed(metric, part)
    assert metric.compute().item() == pytest.approx(expected, rel=1e-9)


@every_metric
def test_processes_are_the_whole(make: Callable[[], Metric], feed: Feed, half: int, expected: float) -> None:
    first, second = make(), make()
    feed(first, slice(half))
    feed(second, slice(half, None))
    connect(first, second)
    assert first.compute().item() == pytest.approx(expected, rel=1e-9)


@every_metric
def test_a_reset_metric_is_a_new_one(make: Callable[[], Metric], feed: Feed, half: int, expected: float) -> None:
    metric = make()
    feed(metric, slice(half))
    metric.reset()
    feed(metric, slice(None))
    assert metric.compute().item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("make", [lambda: FrechetVideoDistance(5), KernelVideoDistance])
def test_too_few_clips_are_refused(make: Callable[[], Metric]) -> None:
    metric = make()
    metric.update(torch.from_numpy(REAL), real=True)
    metric.update(torch.from_numpy(FAKE[:1]), real=False)
    with pytest.raises(ValueError, match="at least 2"):
        metric.compute()


def test_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be features \[n, 5\], got shape \(2, 4\)"):
        FrechetVideoDistance(5).update(torch.zeros(2, 4), real=True)
