"""Damages of clips: nothing at severity 0, more and more after it; a response that grows is called one."""

from __future__ import annotations

import numpy as np
import pytest

from sora_eval import dose
from sora_eval.dose import DAMAGES, SEVERITIES, Response


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.name)
def test_damages_grow(damage: dose.Damage) -> None:
    some = dose.true_clips(damage.families[:4], 6, 60_000)
    changes = []
    for severity in SEVERITIES:
        made = [dose.damaged(m, damage, severity) for m in some]
        assert all(c.shape == m.frames.shape and c.dtype == np.uint8 for c, m in zip(made, some, strict=True))
        changes.append(np.mean([np.abs(c.astype(int) - m.frames).mean() for c, m in zip(made, some, strict=True)]))
    assert changes[0] == 0
    assert changes[-1] > max(0, changes[1])
    again = dose.damaged(some[0], damage, 0.5)
    assert np.array_equal(again, dose.damaged(some[0], damage, 0.5))


def test_orders_of_frames() -> None:
    rng = np.random.default_rng(0)
    assert dose.order_of("held", 0.5, 8, rng) == [0, 1, 2, 3, 4, 4, 4, 4]
    assert sorted(dose.order_of("shuffled", 1.0, 8, rng)) == list(range(8))
    assert dose.order_of("backwards", 1.0, 4, rng) == [3, 2, 1, 0]
    backwards = [dose.order_of("backwards", 0.25, 4, rng)[0] == 3 for _ in range(400)]
    assert 0.15 < np.mean(backwards) < 0.35


def test_a_claim_that_does_not_hold_is_a_miss() -> None:
    blur = DAMAGES[0]
    good = Response("a", "m", blur, (0.0, 0.1, 0.2, 0.4, 0.8), 1.0, True)
    bad = Response("b", "m", blur, (0.0, 0.5, 0.2, 0.4, 0.8), 0.7, True)
    free = Response("c", "m", blur, (0.0, 0.5, 0.2, 0.4, 0.8), 0.7, False)
    lines = dose.table([good, bad, free]).splitlines()
    assert lines[2] == "| a | blur (space) | 0 | 0.1 | 0.2 | 0.4 | 0.8 | 1.00 |  |"
    assert lines[3].endswith("| missed |")
    assert lines[4].endswith("| not claimed |")
