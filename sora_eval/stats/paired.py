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
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sora_eval.stats.intervals import (
    LEVEL,
    Interval,
    cluster_sums,
    number,
    t_interval,
    t_quantile,
    wilson,
    wilson_error,
)
from sora_eval.stats.multiplicity import holm
from sora_eval.stats.power import detectable_difference
from sora_eval.stats.samples import case_means
from sora_eval.stats.sign_flips import FLIPS, sign_flip_test
from sora_eval.types import Bools, Floats, ScoreRow

_EVEN = 0.05
"""Scores of a probe within this range say nothing of its spread: nine scenes at 0 and one at .01 would have an interval of 0 to .01."""


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


class Placed(Protocol):
    """A row of a case."""

    @property
    def case(self) -> str:
        """Return the id."""

    @property
    def suite(self) -> str:
        """Return the suite's name."""

    @property
    def probe(self) -> str:
        """Return the probe's name."""

    @property
    def cluster(self) -> str:
        """Return the scene's name."""


def against_zero(rows: Sequence[Placed], values: Floats, max_difference: Floats) -> Pairs:
    """Return values [n] of one model on the cases of rows, paired with 0 throughout, for `mean_interval`.

    max_difference: [n] 1 minus the least value that there can be.
    """
    return Pairs(
        case=tuple(row.case for row in rows),
        suite=tuple(row.suite for row in rows),
        probe=tuple(row.probe for row in rows),
        cluster=tuple(row.cluster for row in rows),
        first=values,
        second=np.zeros_like(values),
        max_difference=max_difference,
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


def mean_interval(pairs: Pairs, weights: Floats, scaled: bool = True) -> Interval:
    """Return the weighted mean of the first model's scores with its 95% interval; the second one's are 0 throughout.

    Student's, with `standard_error`; probes that show no spread have Wilson's, with a trial per cluster, on their scale from
    1 - max_difference to 1. The half widths of both parts are combined in quadrature, and cut to the scale.

    weights: [n]. scaled: False where values have no such scale: probes without spread then add nothing.

    Source: Zou and Donner 2008 (MOVER).
    """
    error, freedom = standard_error(pairs, weights, small_samples=False)
    below = above = t_quantile((1 + LEVEL) / 2, freedom) * error
    mean = float(weights @ pairs.first)
    if not scaled:
        return Interval(mean, mean - below, mean + above)
    if (constant := _unvaried(pairs, weights, _strata(pairs, weights), _EVEN)).any():
        w, n = weights[constant], len(set(pairs.cluster_index[constant]))
        share, part = float(w.sum()), float(w @ pairs.first[constant] / w.sum())
        least = float(w @ (1 - pairs.max_difference[constant]) / share)
        rate = wilson(n * min(max((part - least) / (1 - least), 0.0), 1.0), n)
        below = math.hypot(below, share * (1 - least) * (rate.mean - rate.low))
        above = math.hypot(above, share * (1 - least) * (rate.high - rate.mean))
    lowest = float(weights @ (1 - pairs.max_difference))
    return Interval(mean, max(mean - below, lowest), min(mean + above, 1.0))


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


def _strata(pairs: Pairs, weights: Floats) -> NDArray[np.int64]:
    """Return [n] number of each case's probe; -1 of all probes that have a single cluster among the cases of weight above 0."""
    strata = pairs.probe_index.copy()
    for k in set(strata[weights > 0]):
        inside = pairs.probe_index == k
        if len(set(pairs.cluster_index[inside & (weights > 0)])) == 1:
            strata[inside] = -1
    return strata


def _unvaried(pairs: Pairs, weights: Floats, strata: NDArray[np.int64], tolerance: float = 1e-9) -> Bools:
    """Return [n], True for cases of weight above 0 in strata that show no spread: mean differences of clusters are equal, or there is one.

    tolerance: the largest range of means that count as equal; rounding alone leaves some.
    """
    constant = np.zeros(len(pairs), dtype=bool)
    for k in set(strata[weights > 0]):
        inside = (strata == k) & (weights > 0)
        of = number(pairs.cluster_index[inside])
        sums, _ = cluster_sums(weights[inside] * pairs.difference[inside], of)
        if np.ptp(sums / cluster_sums(weights[inside], of)[0]) <= tolerance:
            constant |= inside
    return constant


def standard_error(pairs: Pairs, weights: Floats, small_samples: bool = True) -> tuple[float, int]:
    """Return the standard error of the weighted mean difference of `pairs`, and its degrees of freedom.

    With r_c the sum over a cluster of weight times (difference - its probe's mean), a probe of m clusters adds
    m / (m - 1) sum r_c^2. Probes of a single cluster have no spread of their own and are taken together, against their common
    mean. Where nothing varies the sample would claim certainty: such probes together add `wilson_error` at 0 of their m clusters.

    weights: [n], 0 for cases that don't belong to it. small_samples: whether to add this last part.
    """
    d, strata = pairs.difference, _strata(pairs, weights)
    constant = _unvaried(pairs, weights, strata)
    variance, freedom = 0.0, 0
    for k in sorted(set(strata[weights > 0])):
        inside: Bools = (strata == k) & (weights > 0)
        residuals = weights[inside] * (d[inside] - np.average(d[inside], weights=weights[inside]))
        r = cluster_sums(residuals, number(pairs.cluster_index[inside]))[0]
        freedom += len(r) - 1
        if not constant[inside].any():
            variance += len(r) / (len(r) - 1) * float(r @ r)
    if small_samples and constant.any():
        largest = float(weights[constant] @ pairs.max_difference[constant])
        variance += wilson_error(len(set(pairs.cluster_index[constant])), largest) ** 2
    return math.sqrt(variance), max(1, freedom)
