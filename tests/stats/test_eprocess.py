"""What the sequential test rests on: betting on nothing wins nothing, whenever one looks. Its decisions: test_gate.py."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from sora_eval.stats.eprocess import EProcess


def test_wealth_never_grows_on_average_when_the_mean_is_none() -> None:
    """All 3^7 sequences of a skewed discrete variable of mean 0, by enumeration: the expected wealth is 1."""
    values, chances = (-1 / 4, 0.0, 1.0), (0.4, 0.5, 0.1)
    total = 0.0
    for picked in itertools.product(range(3), repeat=7):
        process = EProcess()
        for i in picked:
            process.bet(values[i])
        total += math.prod(chances[i] for i in picked) * process.value
    assert total == pytest.approx(1)


def test_a_round_of_several_probes_is_fair_if_their_weighted_mean_is_none() -> None:
    """One probe falls by 0.3, the other rises by 0.3: the expected wealth of a round is not above 1."""
    expected = 0.0
    for (x, p), (y, q) in itertools.product([(1.0, 0.3), (0.0, 0.7)], [(-1.0, 0.3), (0.0, 0.7)]):
        process = EProcess()
        process.bet(x, y)
        expected += p * q * process.value
    assert expected <= 1


def test_wealth_seldom_reaches_its_bound_whenever_one_looks() -> None:
    """Ville: P(wealth ever >= c) <= 1 / c. Of 400 walks of 300 fair bets, 100 at c = 4 and four standard errors more at the most."""
    rng, reached = np.random.default_rng(0), 0
    for _ in range(400):
        process, highest = EProcess(), 0.0
        for x in rng.choice([-1.0, 1.0], size=300):
            process.bet(x)
            highest = max(highest, process.value)
        reached += highest >= 4
    assert 0 < reached <= 100 + 4 * math.sqrt(400 * 0.25 * 0.75)
