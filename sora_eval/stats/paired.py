"""Paired comparisons of score rows: differences of two models with what could have been found, and ranks of many.

A probe's score is the mean over its cases; a suite's is the mean over its probes, overall is the mean over the suites. So
a difference of any level is one weighted sum over cases, and its errors come from the clusters: cases of one scene. Where a prompt was
asked for several samples, its mean over them is the case.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sora_eval.stats.intervals import EXACT_FLIPS, holm, wilson
from sora_eval.stats.samples import case_means
from sora_eval.types import Bools, Floats, ScoreRow

LEVEL = 0.95
POWER = 0.8
FLIPS = 4999
"""Random sign flips above `EXACT_FLIPS` clusters, the observed signs not counted."""


@dataclass(frozen=True)
class Difference:
    """How much the first of two models scores above the second over the same cases.

    suite, probe: "" where the row covers all of them. n: cases; clusters: scenes.
    first, second: mean counted scores. mean, low, high: first - second with its 95% interval, clustered by scene.
    p_value: two-sided sign-flip test. adjusted: Holm over the rows of the same level (overall, suites, probes).
    detectable: the smallest true difference that is found with power 0.8 at this number of scenes and this spread.
    error, freedom: standard error of the mean difference, and its degrees of freedom. reach: the largest difference there can be.
    """

    suite: str
    probe: str
    n: int
    clusters: int
    first: float
    second: float
    mean: float
    low: float
    high: float
    p_value: float
    adjusted: float
    detectable: float
    error: float
    freedom: int
    reach: float

    def among(self, comparisons: int, adjusted: float) -> Difference:
        """Return the difference as one of more comparisons than those of its two models, with its p-value adjusted for them."""
        return replace(self, adjusted=adjusted, detectable=_found(self.error, self.freedom, self.reach, comparisons))


@dataclass(frozen=True)
class Pairs:
    """Counted scores of two models on the same cases, in the order of the first one's rows.

    case, suite, probe, cluster: n names. first, second: [n] counted scores. reach: [n], the largest difference that a case
    allows: 1 minus the least counted score.
    """

    case: tuple[str, ...]
    suite: tuple[str, ...]
    probe: tuple[str, ...]
    cluster: tuple[str, ...]
    first: Floats
    second: Floats
    reach: Floats

    def __len__(self) -> int:
        """Return the number of cases."""
        return len(self.case)

    @property
    def rows(self) -> list[tuple[str, str]]:
        """(suite, probe) of overall ("", ""), then the suites, then the probes, each sorted."""
        probes = sorted(set(zip(self.suite, self.probe, strict=True)))
        return [("", ""), *((s, "") for s in sorted(set(self.suite))), *probes]

    def weights(self, suite: str = "", probe: str = "") -> Floats:
        """Return [n] weights of the cases, with sum 1: probes weigh the same in a suite, suites in overall."""
        names, home = self._homes
        mine = np.array([(not suite or s == suite) and (not probe or p == probe) for s, p in names])
        if not mine.any():
            raise ValueError(f"no case of {suite or 'any suite'}, {probe or 'any probe'}")
        suites = [s for (s, _), chosen in zip(names, mine, strict=True) if chosen]
        share = np.array([1 / (len(set(suites)) * suites.count(s)) if s in suites else 0.0 for s, _ in names]) * mine
        return np.asarray((share / np.bincount(home))[home])

    def sums(self, values: Floats) -> Floats:
        """Return the sums [clusters] of values [n] over the cases of each cluster, in order of first appearance."""
        return np.bincount(self.scene, weights=values).astype(np.float64)

    @cached_property
    def difference(self) -> Floats:
        """[n] first - second."""
        return self.first - self.second

    @cached_property
    def scene(self) -> NDArray[np.int64]:
        """[n] number of each case's cluster, by first appearance."""
        return numbered(self.cluster)

    @cached_property
    def home(self) -> NDArray[np.int64]:
        """[n] number of each case's probe, in the sorted order of (suite, probe)."""
        return self._homes[1]

    @cached_property
    def _homes(self) -> tuple[list[tuple[str, str]], NDArray[np.int64]]:
        where = list(zip(self.suite, self.probe, strict=True))
        names = sorted(set(where))
        number = {name: i for i, name in enumerate(names)}
        return names, np.array([number[at] for at in where], dtype=np.int64)


def pair(first: Iterable[ScoreRow], second: Iterable[ScoreRow]) -> Pairs:
    """Return the scores of two models on the cases that both answered, matched by id; of several samples of a prompt, the mean.

    Raises ValueError when they share no case, or when a model has two scores for one.
    """
    a, b = _by_case(first), _by_case(second)
    shared = [case for case in a if case in b]
    if not shared:
        raise ValueError("the two have no case in common")
    rows = [a[case] for case in shared]
    return Pairs(
        tuple(shared),
        tuple(r.suite for r in rows),
        tuple(r.probe for r in rows),
        tuple(r.cluster for r in rows),
        np.array([r.counted for r in rows]),
        np.array([b[case].counted for case in shared]),
        np.array([1 / (1 - r.chance) for r in rows]),
    )


def differences(first: Sequence[ScoreRow], second: Sequence[ScoreRow]) -> list[Difference]:
    """Return first - second over the shared cases: overall, then suites, then probes.

    The interval is Student's on the linearised sums of clusters, stratified by probe (`spread`). The p-value flips the signs
    of whole clusters: exact where the two are exchangeable, as two draws of one model are, and that of a t-test in the limit.

    first, second: rows of one generator each. Raises ValueError when they share no case.
    Source: Cochran 1977, section 9 (clusters); Miller 2024, "Adding error bars to evals".
    """
    pairs = pair(first, second)
    every = [pairs.weights(*row) for row in pairs.rows]
    flipped = flip_p(np.stack([pairs.sums(weights * pairs.difference) for weights in every]))
    p_values = np.array([beyond_flips(float(p), pairs, w) for p, w in zip(flipped, every, strict=True)])
    found = []
    for i, (suite, probe) in enumerate(pairs.rows):
        weights = every[i]
        error, freedom = spread(pairs, weights)
        reach = float(weights @ pairs.reach)
        mean, low, high = interval_of(float(weights @ pairs.difference), error, freedom, reach)
        level = [i] if i == 0 else [k for k, row in enumerate(pairs.rows) if k and bool(row[1]) == bool(probe)]
        found.append(
            Difference(
                suite=suite,
                probe=probe,
                n=int((weights > 0).sum()),
                clusters=len(set(pairs.scene[weights > 0])),
                first=float(weights @ pairs.first),
                second=float(weights @ pairs.second),
                mean=mean,
                low=low,
                high=high,
                p_value=float(p_values[i]),
                adjusted=float(holm(p_values[level])[level.index(i)]),
                detectable=_found(error, freedom, reach, len(level)),
                error=error,
                freedom=freedom,
                reach=reach,
            )
        )
    return found


def _found(error: float, freedom: int, reach: float, comparisons: int) -> float:
    return min(detectable(error, freedom, (1 - LEVEL) / 2 / comparisons, POWER), reach)


def interval(pairs: Pairs, weights: Floats) -> tuple[float, float, float]:
    """Return the weighted mean difference and its 95% interval, Student's with the error of `spread`, within what is possible."""
    return interval_of(float(weights @ pairs.difference), *spread(pairs, weights), float(weights @ pairs.reach))


def interval_of(mean: float, error: float, freedom: int, bound: float) -> tuple[float, float, float]:
    """Return a mean and its 95% interval, Student's, within -bound to bound."""
    half = student(0.5 + LEVEL / 2, freedom) * error
    return mean, max(mean - half, -bound), min(mean + half, bound)


def student(p: float, freedom: int) -> float:
    """Return the quantile of Student's distribution."""
    return float(special.stdtrit(freedom, p))


def spread(pairs: Pairs, weights: Floats, doubt: bool = True) -> tuple[float, int]:
    """Return the standard error of the weighted mean difference of `pairs`, and its degrees of freedom.

    With r_c the sum over a cluster of weight times (difference - its probe's mean), a probe of m clusters adds
    m / (m - 1) sum r_c^2. Probes of a single cluster have no spread of their own and are taken together, against their common
    mean. Where nothing varies the sample would claim certainty: such probes together add what makes their interval Wilson's at 0
    of their m clusters, times the reach of a score.

    weights: [n], 0 for cases that don't belong to it. doubt: whether to add this last part.
    """
    z = float(special.ndtri(0.5 + LEVEL / 2))
    chosen = np.flatnonzero(weights > 0)
    d, w, reach = pairs.difference[chosen], weights[chosen], pairs.reach[chosen]
    scene, home = pairs.scene[chosen], pairs.home[chosen].copy()
    for probe in set(home):
        if len(set(scene[home == probe])) == 1:
            home[home == probe] = -1
    variance, freedom, still = 0.0, 0, np.zeros(len(d), dtype=bool)
    for probe in sorted(set(home)):
        mine = home == probe
        r = np.bincount(numbered(scene[mine]), weights=w[mine] * (d[mine] - np.average(d[mine], weights=w[mine])))
        m = len(r)
        freedom += m - 1
        if m > 1 and np.ptp(d[mine]) > 0:
            variance += m / (m - 1) * float(r @ r)
        else:
            still |= mine
    if doubt and still.any():
        m = len(set(scene[still]))
        variance += (float(w[still] @ reach[still]) * wilson(0, m, LEVEL).high / z) ** 2
    return math.sqrt(variance), max(1, freedom)


def detectable(error: float, freedom: int, tail: float, power: float) -> float:
    """Return the smallest true difference that a test finds with a given power: (t_tail + t_power) x error.

    error: standard error; freedom: its degrees of freedom; tail: the test's error on that side, corrected for how many are made.
    Source: Bloom 1995, "Minimum detectable effects".
    """
    return (student(1 - tail, freedom) + student(power, freedom)) * error


def flip_p(sums: Floats, seed: int = 0) -> Floats:
    """Return two-sided p-values of k weighted sums over clusters, flipping the signs of whole clusters.

    All 2^m flips where at most 12 clusters of a row are not 0, else 4999 random ones with the observed one counted.
    sums: [k, clusters] parts of k sums. Returns [k].

    Source: Fisher 1935; Phipson and Smyth 2010 (random flips).
    """
    found = np.ones(len(sums))
    totals = np.abs(sums.sum(axis=1))
    slack = 1e-12 * np.abs(sums).sum(axis=1)
    many = []
    for k, row in enumerate(sums):
        live = row[row != 0]
        if len(live) > EXACT_FLIPS:
            many.append(k)
        elif len(live):
            found[k] = float((np.abs(every_sign(len(live)) @ live) >= totals[k] - slack[k]).mean())
    if many:
        # Single precision would merge flips that differ; the signs of one table serve all rows.
        flipped = np.abs(random_signs(sums.shape[1], FLIPS, seed) @ sums[many].T)
        found[many] = ((flipped >= (totals - slack)[many]).sum(axis=0) + 1) / (FLIPS + 1)
    return found


def beyond_flips(p: float, pairs: Pairs, weights: Floats) -> float:
    """Return the p-value of `flip_p`; where all random flips fell short of the observed sum, Student's if it is smaller.

    The flips know no p-value below 1 in 5,000, and the correction over a long sweep or many models needs smaller ones.
    """
    if p > 1.5 / (FLIPS + 1):
        return p
    error, freedom = spread(pairs, weights)
    if error == 0:
        return p
    return min(p, float(2 * special.stdtr(freedom, -abs(float(weights @ pairs.difference)) / error)))


def rank_intervals(
    models: Mapping[str, Sequence[ScoreRow]], suite: str = "", probe: str = ""
) -> dict[str, tuple[int, int]]:
    """Return the best and the worst rank, from 1, that the scores leave to each model, over the cases that all answered.

    A model's best rank is one more than the number of models surely better than it, its worst the number of models less
    those surely worse. "Surely" holds for all pairs at once with 95%: the largest of the studentised differences
    |sum of clusters| / root of the sum of squares, over all pairs, is compared with itself under sign flips.

    models: rows by name. suite, probe: "" for all. Raises ValueError when they share no such case.
    Source: Westfall and Young 1993 (single-step max-T); Mogstad, Romano, Shaikh and Wilhelm 2024, "Inference for ranks".
    """
    names = list(models)
    if not names:
        return {}
    tables = {name: _by_case(rows) for name, rows in models.items()}
    shared = [
        r
        for r in tables[names[0]].values()
        if all(r.case in t for t in tables.values())
        and (not suite or r.suite == suite)
        and (not probe or r.probe == probe)
    ]
    if not shared:
        raise ValueError(f"the models have no case of {suite or 'any suite'}, {probe or 'any probe'} in common")
    weights = pair(shared, shared).weights()
    scene = numbered([r.cluster for r in shared])
    counted = [np.array([tables[n][r.case].counted for r in shared]) for n in names]
    parts = np.stack([np.bincount(scene, weights=weights * x).astype(np.float64) for x in counted])
    better = _surely_better(parts)
    return {n: (1 + int(better[:, i].sum()), len(names) - int(better[i].sum())) for i, n in enumerate(names)}


def _surely_better(parts: Floats) -> Bools:
    """Return [models, models]: whether the first is above the second beyond doubt, from parts [models, clusters]."""
    k, m = parts.shape
    i, j = np.triu_indices(k, 1)
    better = np.zeros((k, k), dtype=bool)
    squares = np.einsum("ic,ic->i", parts, parts)
    scale = np.sqrt(np.maximum(squares[i] + squares[j] - 2 * (parts @ parts.T)[i, j], 0.0))
    totals = parts.sum(axis=1)
    observed = totals[i] - totals[j]
    told = scale > 1e-9
    i, j, scale, observed = i[told], j[told], scale[told], observed[told]
    if not len(i):
        return better
    signs = every_sign(m) if m <= EXACT_FLIPS else random_signs(m, FLIPS, 0)
    largest = np.empty(len(signs))
    for start in range(0, len(signs), 256):
        flipped = signs[start : start + 256] @ parts.T
        largest[start : start + 256] = (np.abs(flipped[:, i] - flipped[:, j]) / scale).max(axis=1)
    extra = 0 if m <= EXACT_FLIPS else 1
    largest.sort()
    reached = len(largest) - np.searchsorted(largest, np.abs(observed) / scale - 1e-9, side="left")
    sure = (reached + extra) / (len(largest) + extra) <= 1 - LEVEL
    better[i, j] = sure & (observed > 0)
    better[j, i] = sure & (observed < 0)
    return better


@lru_cache(maxsize=4)
def random_signs(clusters: int, flips: int, seed: int) -> Floats:
    """Return [flips, clusters] signs, 1 or -1, the same for the same arguments."""
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(flips, clusters))
    signs.flags.writeable = False
    return signs


@lru_cache(maxsize=EXACT_FLIPS + 1)
def every_sign(clusters: int) -> Floats:
    """Return all [2^clusters, clusters] signs, 1 or -1; the first row is all ones."""
    signs = np.array(list(product((1.0, -1.0), repeat=clusters)))
    signs.flags.writeable = False
    return signs


def _by_case(rows: Iterable[ScoreRow]) -> dict[str, ScoreRow]:
    found: dict[str, ScoreRow] = {}
    for row in case_means(rows):
        if row.case in found:
            raise ValueError(f"{row.case} has two scores: compare rows of one generator")
        found[row.case] = row
    return found


def numbered(labels: Iterable[object]) -> NDArray[np.int64]:
    """Return each label's number, counted by first appearance."""
    number: dict[object, int] = {}
    return np.array([number.setdefault(label, len(number)) for label in labels], dtype=np.int64)
