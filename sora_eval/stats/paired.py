"""Paired comparison of the score rows of two models: their differences, and which differences could have been found.

A probe's score is the mean over its cases, a suite's the mean over its probes, the overall score the mean over the suites. So a
difference at any level is one weighted sum over cases, and its error comes from the clusters: cases of one scene. Several samples of a
prompt are one case, with their mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sora_eval.stats.intervals import Interval, cluster_sums, number, t_interval, wilson_error
from sora_eval.stats.multiplicity import holm
from sora_eval.stats.power import detectable_difference
from sora_eval.stats.samples import case_means
from sora_eval.stats.sign_flips import FLIPS, sign_flip_test
from sora_eval.types import Bools, Floats, ScoreRow


@dataclass(frozen=True)
class Difference:
    """How much the first of two models scores above the second over the same cases, at one level."""

    suite: str
    """"" for the overall score."""
    probe: str
    """"" for the overall score or a whole suite."""
    n: int
    """Cases."""
    clusters: int
    """Scenes."""
    first: float
    """Mean counted score of the first model."""
    second: float
    """Mean counted score of the second model."""
    mean: float
    """first - second."""
    low: float
    """Lower end of its 95% interval, clustered by scene."""
    high: float
    """Upper end."""
    p_value: float
    """Two-sided, by sign flips."""
    adjusted: float
    """The p-value after Holm's correction over the rows of the level (overall, suites, probes)."""
    detectable: float
    """The smallest true difference that is found with power 0.8 at this number of scenes and this spread."""
    error: float
    """Standard error of `mean`."""
    freedom: int
    """Its degrees of freedom."""
    max_difference: float
    """The largest difference that there can be."""

    def among(self, comparisons: int, adjusted: float) -> Difference:
        """Return the difference as one of `comparisons`, more than those of its two models, with its p-value adjusted for them."""
        detectable = detectable_difference(self.error, self.freedom, self.max_difference, comparisons)
        return replace(self, adjusted=adjusted, detectable=detectable)


@dataclass(frozen=True)
class Pairs:
    """Counted scores of two models on the same n cases, in the order of the first one's rows."""

    case: tuple[str, ...]
    """n ids."""
    suite: tuple[str, ...]
    """n names."""
    probe: tuple[str, ...]
    """n names."""
    cluster: tuple[str, ...]
    """n names of scenes."""
    first: Floats
    """[n] counted scores of the first model."""
    second: Floats
    """[n] counted scores of the second model."""
    max_difference: Floats
    """[n] the largest difference that a case allows: 1 minus the least counted score."""

    def __len__(self) -> int:
        """Return the number of cases."""
        return len(self.case)

    @property
    def rows(self) -> list[tuple[str, str]]:
        """(suite, probe) of overall ("", ""), then the suites, then the probes, each sorted."""
        return [("", ""), *((suite, "") for suite in sorted(set(self.suite))), *self._probes]

    def weights(self, suite: str = "", probe: str = "") -> Floats:
        """Return [n] weights of the cases, with sum 1: probes weigh the same in a suite, suites in the overall score.

        suite, probe: of which cases, "" for all. Raises ValueError where there is none.
        """
        chosen = np.array([(not suite or s == suite) and (not probe or p == probe) for s, p in self._probes])
        if not chosen.any():
            raise ValueError(f"no case of {suite or 'any suite'}, {probe or 'any probe'}")
        suites = [s for (s, _), take in zip(self._probes, chosen, strict=True) if take]
        share = [1 / (len(set(suites)) * suites.count(s)) if s in suites else 0.0 for s, _ in self._probes]
        return np.asarray((np.array(share) * chosen / np.bincount(self.probe_index))[self.probe_index])

    def sums(self, values: Floats) -> Floats:
        """Return the sums [clusters] of values [n] over the cases of each cluster, in order of first appearance."""
        return cluster_sums(values, self.cluster_index)[0]

    def clusters(self, weights: Floats) -> int:
        """Return how many clusters have a case of weight above 0."""
        return len(set(self.cluster_index[weights > 0]))

    @cached_property
    def difference(self) -> Floats:
        """[n] first - second."""
        return self.first - self.second

    @cached_property
    def cluster_index(self) -> NDArray[np.int64]:
        """[n] number of each case's cluster, by first appearance."""
        return number(self.cluster)

    @cached_property
    def probe_index(self) -> NDArray[np.int64]:
        """[n] number of each case's probe, in the sorted order of (suite, probe)."""
        numbers = {name: i for i, name in enumerate(self._probes)}
        return np.array([numbers[name] for name in zip(self.suite, self.probe, strict=True)], dtype=np.int64)

    @cached_property
    def _probes(self) -> list[tuple[str, str]]:
        return sorted(set(zip(self.suite, self.probe, strict=True)))


def pair(first: Iterable[ScoreRow], second: Iterable[ScoreRow]) -> Pairs:
    """Return the scores of two models on the cases that both answered, matched by id; of several samples of a prompt, the mean.

    Raises ValueError when they share no case, or when a model has two scores for one.
    """
    a, b = by_case(first), by_case(second)
    rows = [row for case, row in a.items() if case in b]
    if not rows:
        raise ValueError("the two have no case in common")
    return Pairs(
        case=tuple(row.case for row in rows),
        suite=tuple(row.suite for row in rows),
        probe=tuple(row.probe for row in rows),
        cluster=tuple(row.cluster for row in rows),
        first=np.array([row.counted for row in rows]),
        second=np.array([b[row.case].counted for row in rows]),
        max_difference=np.array([1 / (1 - row.chance) for row in rows]),
    )


def by_case(rows: Iterable[ScoreRow]) -> dict[str, ScoreRow]:
    """Return the rows of one generator by case, of several samples of a prompt their mean.

    Raises ValueError for a case with two scores.
    """
    table: dict[str, ScoreRow] = {}
    for row in case_means(rows):
        if row.case in table:
            raise ValueError(f"{row.case} has two scores: compare rows of one generator")
        table[row.case] = row
    return table


def differences(first: Sequence[ScoreRow], second: Sequence[ScoreRow]) -> list[Difference]:
    """Return first - second over the shared cases: overall, then suites, then probes.

    The interval is Student's on the linearised sums of clusters, stratified by probe (`standard_error`). The p-value flips the signs
    of whole clusters: exact where the two are exchangeable, as two draws of one model are, and that of a t-test in the limit.

    first, second: rows of one generator each. Raises ValueError when they share no case.

    Source: Cochran 1977, section 9 (clusters); Miller 2024, "Adding error bars to evals".
    """
    pairs = pair(first, second)
    weights = [pairs.weights(*row) for row in pairs.rows]
    p = p_values(pairs, weights)
    depth = np.array([bool(suite) + bool(probe) for suite, probe in pairs.rows])
    adjusted = np.concatenate([holm(p[depth == level]) for level in range(3)])
    return [
        _difference(pairs, row, w, float(p[i]), float(adjusted[i]), int((depth == depth[i]).sum()))
        for i, (row, w) in enumerate(zip(pairs.rows, weights, strict=True))
    ]


def _difference(
    pairs: Pairs, row: tuple[str, str], weights: Floats, p_value: float, adjusted: float, comparisons: int
) -> Difference:
    error, freedom = standard_error(pairs, weights)
    largest = float(weights @ pairs.max_difference)
    interval = t_interval(float(weights @ pairs.difference), error, freedom, largest)
    return Difference(
        suite=row[0],
        probe=row[1],
        n=int((weights > 0).sum()),
        clusters=pairs.clusters(weights),
        first=float(weights @ pairs.first),
        second=float(weights @ pairs.second),
        mean=interval.mean,
        low=interval.low,
        high=interval.high,
        p_value=p_value,
        adjusted=adjusted,
        detectable=detectable_difference(error, freedom, largest, comparisons),
        error=error,
        freedom=freedom,
        max_difference=largest,
    )


def difference_interval(pairs: Pairs, weights: Floats) -> Interval:
    """Return the weighted mean difference with its 95% interval, Student's with `standard_error`, within what is possible."""
    error, freedom = standard_error(pairs, weights)
    return t_interval(float(weights @ pairs.difference), error, freedom, float(weights @ pairs.max_difference))


def p_values(pairs: Pairs, weights: Sequence[Floats]) -> Floats:
    """Return two-sided p-values [k] of no difference by `sign_flip_test`, for each of k weightings [n] of the cases.

    Random flips know no p-value below 1 in 5,000, and the correction over a long sweep or many models needs smaller ones: where all of
    them fell short of the observed sum, it is Student's if that is smaller.
    """
    p = sign_flip_test(np.stack([pairs.sums(w * pairs.difference) for w in weights]))
    for i, w in enumerate(weights):
        if p[i] > 1.5 / (FLIPS + 1):
            continue
        error, freedom = standard_error(pairs, w)
        if error > 0:
            p[i] = min(p[i], 2 * special.stdtr(freedom, -abs(float(w @ pairs.difference)) / error))
    return p


def standard_error(pairs: Pairs, weights: Floats, small_samples: bool = True) -> tuple[float, int]:
    """Return the standard error of the weighted mean difference of `pairs`, and its degrees of freedom.

    With r_c the sum over a cluster of weight times (difference - its probe's mean), a probe of m clusters adds
    m / (m - 1) sum r_c^2. Probes of a single cluster have no spread of their own and are taken together, against their common
    mean. Where nothing varies the sample would claim certainty: such probes together add `wilson_error` at 0 of their m clusters.

    weights: [n], 0 for cases that don't belong to it. small_samples: whether to add this last part.
    """
    chosen = np.flatnonzero(weights > 0)
    d, w, cluster = pairs.difference[chosen], weights[chosen], pairs.cluster_index[chosen]
    probe = pairs.probe_index[chosen].copy()
    for k in set(probe):
        if len(set(cluster[probe == k])) == 1:
            probe[probe == k] = -1
    variance, freedom, constant = 0.0, 0, np.zeros(len(d), dtype=bool)
    for k in sorted(set(probe)):
        inside: Bools = probe == k
        residuals = w[inside] * (d[inside] - np.average(d[inside], weights=w[inside]))
        r = cluster_sums(residuals, number(cluster[inside]))[0]
        m = len(r)
        freedom += m - 1
        if m > 1 and np.ptp(d[inside]) > 0:
            variance += m / (m - 1) * float(r @ r)
        else:
            constant |= inside
    if small_samples and constant.any():
        largest = float(w[constant] @ pairs.max_difference[chosen][constant])
        variance += wilson_error(len(set(cluster[constant])), largest) ** 2
    return math.sqrt(variance), max(1, freedom)
