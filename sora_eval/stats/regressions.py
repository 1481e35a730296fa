"""Where in a row of checkpoints a score falls: every checkpoint against the best one before it, on the same cases.

The best of several is partly the luckiest, so a test against it alone would raise false alarms. Here every pair of checkpoints counts as a
comparison, those that are not looked at as well: with Holm's correction over all of them no choice among them can go wrong too often.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sora_eval.stats.multiplicity import holm
from sora_eval.stats.paired import Pairs, difference_interval, p_values, pair
from sora_eval.types import ScoreRow

ALPHA = 0.05


@dataclass(frozen=True)
class Change:
    """A checkpoint against the best one before it, at one level."""

    suite: str
    """"" for the overall score."""
    probe: str
    """"" for the overall score or a whole suite."""
    at: int
    """Position of the checkpoint."""
    best: int
    """Position of the best one before it."""
    score: float
    """Mean counted score of the checkpoint."""
    before: float
    """Mean counted score of the best one before it."""
    mean: float
    """score - before."""
    low: float
    """Lower end of its 95% interval, clustered by scene."""
    high: float
    """Upper end."""
    p_value: float
    """Two-sided, by sign flips."""
    adjusted: float
    """The p-value after Holm's correction over all pairs of checkpoints and all rows of the level (overall, suites, probes)."""

    @property
    def regressed(self) -> bool:
        """Whether the checkpoint is worse beyond doubt."""
        return self.mean < 0 and self.adjusted <= ALPHA


def changes(checkpoints: Sequence[Sequence[ScoreRow]]) -> list[Change]:
    """Return a change for every level and every checkpoint but the first: overall, suites, probes, each in the order of checkpoints.

    checkpoints: rows of one generator each, in their order. Raises ValueError when two of them share no case.
    """
    pairs = {
        (at, best): pair(checkpoints[at], checkpoints[best]) for at in range(len(checkpoints)) for best in range(at)
    }
    every: list[Change] = []
    for depth in range(3 if pairs else 0):
        level = [(suite, probe) for suite, probe in pairs[1, 0].rows if bool(suite) + bool(probe) == depth]
        raw = [_change(pairs, at, *row) for row in level for at in range(1, len(checkpoints))]
        adjusted = holm([change.p_value for change in raw], comparisons=len(level) * len(pairs))
        every += [replace(change, adjusted=float(p)) for change, p in zip(raw, adjusted, strict=True)]
    return every


def first_regressions(changes: Sequence[Change]) -> list[Change]:
    """Return the first checkpoint that regressed, of each level and name where one did."""
    firsts: dict[tuple[str, str], Change] = {}
    for change in changes:
        if change.regressed:
            firsts.setdefault((change.suite, change.probe), change)
    return list(firsts.values())


def _change(pairs: Mapping[tuple[int, int], Pairs], at: int, suite: str, probe: str) -> Change:
    scores = [float(pairs[at, k].weights(suite, probe) @ pairs[at, k].second) for k in range(at)]
    best = int(np.argmax(scores))
    against = pairs[at, best]
    weights = against.weights(suite, probe)
    interval = difference_interval(against, weights)
    p = float(p_values(against, [weights])[0])
    score = float(weights @ against.first)
    return Change(suite, probe, at, best, score, scores[best], interval.mean, interval.low, interval.high, p, p)
