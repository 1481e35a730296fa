"""Where in a row of checkpoints a score falls: every checkpoint against the best one before it, on the same cases.

The best of several is partly the luckiest, so a test against it alone would raise false alarms. Here every pair of checkpoints counts as a
comparison, those that are not looked at as well: with Holm's correction over all of them no choice among them can go wrong too often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sora_eval.stats.paired import Pairs, beyond_flips, flip_p, interval, pair
from sora_eval.types import Floats, ScoreRow

ALPHA = 0.05


@dataclass(frozen=True)
class Change:
    """A checkpoint against the best one before it, at one level.

    suite, probe: "" where the row covers all. at, best: positions of the two checkpoints. score, before: their mean counted scores.
    mean, low, high: score - before with its 95% interval, clustered by scene. p_value: two-sided. adjusted: Holm over all pairs of
    checkpoints and all rows of the level (overall, suites, probes).
    """

    suite: str
    probe: str
    at: int
    best: int
    score: float
    before: float
    mean: float
    low: float
    high: float
    p_value: float
    adjusted: float

    @property
    def regressed(self) -> bool:
        """Whether the checkpoint is worse beyond doubt."""
        return self.mean < 0 and self.adjusted <= ALPHA


def changes(checkpoints: Sequence[Sequence[ScoreRow]]) -> list[Change]:
    """Return a change for every level and every checkpoint but the first: overall, suites, probes, each in the order of checkpoints.

    checkpoints: rows of one generator each, in their order. Raises ValueError when two of them share no case.
    """
    found: list[Change] = []
    pairs = {
        (at, best): pair(checkpoints[at], checkpoints[best]) for at in range(len(checkpoints)) for best in range(at)
    }
    if not pairs:
        return found
    rows = pairs[1, 0].rows
    levels = [[(s, p) for s, p in rows if bool(s) + bool(p) == depth] for depth in range(3)]
    for level in levels:
        mine = [_change(pairs, at, suite, probe) for suite, probe in level for at in range(1, len(checkpoints))]
        comparisons = len(level) * len(pairs)
        adjusted = holm_among(np.array([c.p_value for c in mine]), comparisons)
        found += [replace(c, adjusted=float(p)) for c, p in zip(mine, adjusted, strict=True)]
    return found


def first_regressions(found: Sequence[Change]) -> list[Change]:
    """Return the first checkpoint that regressed of every level and name where one did."""
    firsts: dict[tuple[str, str], Change] = {}
    for change in found:
        if change.regressed:
            firsts.setdefault((change.suite, change.probe), change)
    return list(firsts.values())


def holm_among(p_values: Floats, comparisons: int) -> Floats:
    """Return Holm's adjusted p-values of some of `comparisons` tests, whichever were picked.

    The i-th smallest of those picked is at best the i-th smallest of all, so that its factor, comparisons - i + 1, is at least Holm's own.
    """
    order = np.argsort(p_values, kind="stable")
    factors = comparisons - np.arange(len(p_values))
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * p_values[order]))
    return adjusted


def _change(pairs: dict[tuple[int, int], Pairs], at: int, suite: str, probe: str) -> Change:
    scores = [float(pairs[at, b].weights(suite, probe) @ pairs[at, b].second) for b in range(at)]
    best = int(np.argmax(scores))
    found = pairs[at, best]
    weights = found.weights(suite, probe)
    mean, low, high = interval(found, weights)
    p = beyond_flips(float(flip_p(found.sums(weights * found.difference)[None])[0]), found, weights)
    return Change(suite, probe, at, best, float(weights @ found.first), scores[best], mean, low, high, p, p)
