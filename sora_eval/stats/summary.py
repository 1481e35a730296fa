"""Score rows to means, intervals and counts: per mode, probe, suite and overall, for each generator.

Nothing is dropped: the score counts an unjudgeable clip as 0, and the mean over the judged ones stands beside it.
A probe's score is the mean over its cases, a case's the mean over its samples; a suite's is the mean over its probes, and the
overall score is the mean over the suites, so that a probe with many cases does not drown its neighbours.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from sora_eval.stats.failures import answered, technical
from sora_eval.stats.intervals import LEVEL, N_BOOT, SEED, cluster_bootstrap
from sora_eval.stats.paired import against_zero, mean_interval
from sora_eval.stats.samples import best_of, by_prompt, case_means, deviation_of, per_prompt, widest_deviation
from sora_eval.types import ALL_MODES, Floats, ScoreRow

Level: TypeAlias = Literal["overall", "suite", "probe", "mode"]
KINDS = ("model", "oracle", "control", "violation")
_COUNTS = ("n", "judged", "unjudgeable", "technical", "answered", "probes")


@dataclass(frozen=True)
class Cell:
    """Score of one generator on one mode of a probe, a probe, a suite, or overall."""

    generator: str
    """Name of the generator."""
    kind: str
    """"model", "oracle", "control" or "violation"."""
    suite: str
    """"" where the cell covers all suites."""
    probe: str
    """"" where the cell covers all probes."""
    mode: str
    """"" where the cell covers all modes."""
    n: int
    """Number of clips: `judged` + `unjudgeable`."""
    judged: int
    """Clips with a value."""
    unjudgeable: int
    """Clips without a value."""
    technical: int
    """Clips among the unjudgeable whose reason is no evidence about the model."""
    answered: int
    """Clips that came back."""
    probes: int
    """Number of probes that the cell covers."""
    score: float
    """Mean, corrected for chance, unjudgeable counted as 0."""
    low: float
    """Lower end of its 95% interval."""
    high: float
    """Upper end of its 95% interval."""
    judged_mean: float | None
    """The same mean over judged clips only, None when no clip (or, above a probe, no probe) was judged."""
    chance: float
    """Mean of a blind guess before the correction; after it, 0."""
    samples: int
    """Clips per prompt that were requested of the generator."""

    @property
    def failed(self) -> bool:
        """Whether nothing came back, for technical reasons: the score is no evidence on the model."""
        return self.technical > 0 and self.answered == 0

    @property
    def level(self) -> Level:
        """Which level the cell is of."""
        return "mode" if self.mode else "probe" if self.probe else "suite" if self.suite else "overall"


@dataclass(frozen=True)
class Reason:
    """How often one generator's clips of one probe could not be judged for one reason."""

    generator: str
    """Name of the generator."""
    suite: str
    """Suite of the probe."""
    probe: str
    """Name of the probe."""
    reason: str
    """Why the clips have no value."""
    failure: str
    """"technical" as in a score's row, or ""."""
    count: int
    """Number of clips."""

    @property
    def text(self) -> str:
        """The reason, marked where it is technical."""
        return f"{self.failure}: {self.reason}" if self.failure else self.reason


@dataclass(frozen=True)
class Sampling:
    """Spread and best of several samples of a prompt, of one generator on a probe, a suite, or overall.

    In the unit of scores, an unjudgeable clip counted as 0, with 95% intervals clustered by scene.
    """

    generator: str
    """Name of the generator."""
    suite: str
    """"" where it covers all suites."""
    probe: str
    """"" where it covers all probes."""
    samples: int
    """K, clips per prompt."""
    cases: int
    """Prompts that have several samples."""
    deviation: float
    """Standard deviation between the samples of a prompt (K - 1 in the denominator), averaged as scores are."""
    deviation_low: float
    """Lower end of its interval."""
    deviation_high: float
    """Upper end of its interval."""
    best: float
    """Mean over prompts of the best of K samples, averaged as scores are. It grows with K and picks by the truth, so
    that it is no score: it stands beside no mean, and nothing is ranked or compared by it."""
    best_low: float
    """Lower end of its interval."""
    best_high: float
    """Upper end of its interval."""


@dataclass(frozen=True)
class Summary:
    """Every number of a report."""

    cells: tuple[Cell, ...]
    """Overall first, then suites, probes and modes; generators in the order of `generators`."""
    reasons: tuple[Reason, ...]
    """Most frequent first."""
    sampling: tuple[Sampling, ...] = ()
    """Of generators that gave several samples per prompt, overall first, then suites and probes."""

    @cached_property
    def _index(self) -> dict[tuple[str, str, str, str], Cell]:
        return {(c.generator, c.suite, c.probe, c.mode): c for c in self.cells}

    def get(self, generator: str, suite: str = "", probe: str = "", mode: str = "") -> Cell | None:
        """Return the cell at these coordinates, None when the generator has no clip there."""
        return self._index.get((generator, suite, probe, mode))

    @cached_property
    def generators(self) -> tuple[str, ...]:
        """Names, models first (best first), then the oracle, controls and violations."""
        return tuple(c.generator for c in self.cells if c.level == "overall")

    @property
    def suites(self) -> tuple[str, ...]:
        """Suite names, sorted."""
        return tuple(sorted({suite for suite, _, _ in self._places if suite}))

    def probes(self, suite: str) -> tuple[str, ...]:
        """Return the names of a suite's probes, sorted."""
        return tuple(sorted({probe for s, probe, _ in self._places if s == suite and probe}))

    def modes(self, suite: str, probe: str) -> tuple[str, ...]:
        """Return the modes that a probe was run in, in the order of `ALL_MODES`."""
        return tuple(m for m in ALL_MODES if (suite, probe, m) in self._places)

    @cached_property
    def _places(self) -> frozenset[tuple[str, str, str]]:
        return frozenset((c.suite, c.probe, c.mode) for c in self.cells)

    def kind(self, generator: str) -> str:
        """Return the kind of a generator of this run."""
        cell = self.get(generator)
        return cell.kind if cell else ""

    def of_kind(self, *kinds: str) -> tuple[str, ...]:
        """Return the generators of the given kinds."""
        return tuple(g for g in self.generators if self.kind(g) in kinds)

    def ceiling(self, suite: str = "", probe: str = "") -> Cell | None:
        """Return what the oracle, whose videos are right by construction, scores here."""
        return next((c for g in self.of_kind("oracle") if (c := self.get(g, suite, probe)) and not c.failed), None)

    def floor(self, suite: str = "", probe: str = "") -> Cell | None:
        """Return the best control here: a model has to beat it before its score means anything."""
        cells = [c for g in self.of_kind("control") if (c := self.get(g, suite, probe)) and not c.failed]
        return max(cells, key=lambda c: c.score, default=None)

    @property
    def samples(self) -> int:
        """How many samples per prompt the generator with the most has."""
        return max((c.samples for c in self.cells), default=1)

    @property
    def sampling_by_suite(self) -> tuple[Sampling, ...]:
        """The part of `sampling` that a page shows: overall and by suite, of each generator; of one suite, overall repeats it."""
        shown = [s for s in self.sampling if not s.probe and (s.suite or len(self.suites) > 1)]
        return tuple(sorted(shown, key=lambda s: self.generators.index(s.generator)))

    def frame(self) -> pd.DataFrame:
        """Return the cells as a table, one row per cell, with the column `level` in front."""
        return pd.DataFrame([{"level": c.level, **asdict(c)} for c in self.cells])

    def to_json(self) -> dict[str, Any]:
        """Return JSON values: one list per level, and the reasons."""
        rows = [(c.level, {k: _json(v) for k, v in _unscored(c).items() if v != ""}) for c in self.cells]
        levels: tuple[Level, ...] = ("overall", "suite", "probe", "mode")
        interval = {
            "level": LEVEL,
            "n_boot": N_BOOT,
            "seed": SEED,
            "method": "percentile bootstrap over clusters; Student's above a probe",
        }
        return {
            "interval": interval,
            **{level: [row for at, row in rows if at == level] for level in levels},
            "reasons": [asdict(r) for r in self.reasons],
            "between_samples": [{k: _json(v) for k, v in asdict(s).items() if v != ""} for s in self.sampling],
        }


def summarise(rows: Iterable[ScoreRow], modes: bool = True) -> Summary:
    """Return the means, intervals and counts of `rows`; without `modes`, none below a probe.

    Mode and probe intervals resample clusters of cases; those of suites and of the overall score are `mean_interval`: resampling says
    nothing of a probe with one scene.
    """
    rows = list(rows)
    by_generator = _group(rows, lambda r: r.generator)
    columns = [_generator_cells(own, modes) for own in by_generator.values()]
    columns.sort(key=lambda cells: (_rank(cells[0].kind), -cells[0].score, cells[0].generator))
    sampling = [s for cells in columns for s in _sampling(by_generator[cells[0].generator])]
    depth = {"overall": 0, "suite": 1, "probe": 2, "mode": 3}
    cells = sorted((c for column in columns for c in column), key=lambda c: depth[c.level])
    counts = Counter((r.generator, r.suite, r.probe, r.reason, r.failure) for r in rows if r.value is None)
    reasons = (Reason(*key, count) for key, count in counts.items())
    return Summary(
        tuple(cells),
        tuple(sorted(reasons, key=lambda r: (-r.count, r.suite, r.probe, r.generator, r.reason))),
        tuple(sorted(sampling, key=lambda s: bool(s.suite) + bool(s.probe))),
    )


def _unscored(cell: Cell) -> dict[str, Any]:
    """Return a cell's values, without a score where there is none."""
    return asdict(cell) | (dict.fromkeys(("score", "low", "high")) if cell.failed else {})


def _json(value: Any) -> Any:
    # A probe of one scene whose values leave [0, 1] has no interval: infinity, which JSON lacks.
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _rank(kind: str) -> int:
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


def _group(rows: Iterable[ScoreRow], key: Callable[[ScoreRow], str]) -> dict[str, list[ScoreRow]]:
    groups: dict[str, list[ScoreRow]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return dict(sorted(groups.items()))


def _generator_cells(rows: list[ScoreRow], modes: bool) -> list[Cell]:
    """Return every cell of one generator, the overall one first."""
    suites, lower = list[Cell](), list[Cell]()
    for suite_rows in _group(rows, lambda r: r.suite).values():
        probes: list[Cell] = []
        for probe_rows in _group(suite_rows, lambda r: r.probe).values():
            probe = _cell(probe_rows)
            probes.append(probe)
            by_mode = _group(probe_rows, lambda r: r.mode) if modes else {}
            lower += [probe, *(replace(_cell(by_mode[m]), mode=m) for m in ALL_MODES if m in by_mode)]
        suites.append(_average(probes, suite_rows, suite=probes[0].suite))
    return [_average(suites, rows, suite=""), *suites, *lower]


def _cell(rows: Sequence[ScoreRow]) -> Cell:
    """Return the cell of rows of one generator and one probe."""
    first = rows[0]
    judged = [r for r in rows if r.value is not None]
    interval = cluster_bootstrap(*_values(rows), bounds=_bounds(rows))
    return Cell(
        generator=first.generator,
        kind=first.kind,
        suite=first.suite,
        probe=first.probe,
        mode="",
        n=len(rows),
        judged=len(judged),
        unjudgeable=len(rows) - len(judged),
        technical=technical(rows),
        answered=sum(answered(r) for r in rows),
        probes=1,
        score=interval.mean,
        low=interval.low,
        high=interval.high,
        judged_mean=float(np.mean([r.counted for r in case_means(judged)])) if judged else None,
        chance=float(np.mean([r.chance for r in case_means(rows)])),
        samples=per_prompt(rows),
    )


def _sampling(rows: Sequence[ScoreRow]) -> list[Sampling]:
    """Return the spread between samples of one generator, and the best of them; [] where there is one per prompt."""
    several = [samples for samples in by_prompt(rows) if len(samples) > 1] if per_prompt(rows) > 1 else []
    if not several:
        return []
    widest = widest_deviation(rows)
    deviations = _generator_cells([deviation_of(samples, widest) for samples in several], modes=False)
    best = _generator_cells([best_of(samples) for samples in several], modes=False)
    return [
        Sampling(
            generator=top.generator,
            suite=top.suite,
            probe=top.probe,
            samples=max(map(len, several)),
            cases=top.n,
            deviation=deviation.score * widest,
            deviation_low=deviation.low * widest,
            deviation_high=deviation.high * widest,
            best=top.score,
            best_low=top.low,
            best_high=top.high,
        )
        for deviation, top in zip(deviations, best, strict=True)
    ]


def _average(cells: Sequence[Cell], rows: Sequence[ScoreRow], suite: str) -> Cell:
    """Return the cell above `cells`, each weighing the same; rows: those of all of them."""
    score = float(np.mean([c.score for c in cells]))
    if len(cells) == 1:
        low, high = cells[0].low, cells[0].high
    elif not all(math.isfinite(c.low) and math.isfinite(c.high) for c in cells):
        low, high = -math.inf, math.inf
    else:
        low, high = _mean_interval(rows, score)
    judged = [c.judged_mean for c in cells if c.judged_mean is not None]
    return replace(
        cells[0],
        suite=suite,
        probe="",
        mode="",
        **{name: sum(getattr(c, name) for c in cells) for name in _COUNTS},
        score=score,
        low=low,
        high=high,
        judged_mean=float(np.mean(judged)) if judged else None,
        chance=float(np.mean([c.chance for c in cells])),
        samples=max(c.samples for c in cells),
    )


def _mean_interval(rows: Sequence[ScoreRow], score: float) -> tuple[float, float]:
    """Return the 95% interval of the score of rows of several probes, within what is possible."""
    # In one order, so that sums round alike.
    own = sorted(case_means(rows), key=lambda row: (row.suite, row.probe, row.case))
    counted = np.array([row.counted for row in own])
    pairs = against_zero(own, counted, np.array([1 / (1 - row.chance) for row in own]))
    interval = mean_interval(pairs, pairs.weights())
    return min(interval.low, score), max(interval.high, score)


def _values(rows: Sequence[ScoreRow]) -> tuple[Floats, list[str]]:
    """Return the counted values [cases] of rows of one probe and their clusters.

    Every case weighs the same, however many of its samples there are; and samples of one scene are no further scenes.
    """
    means = case_means(rows)
    return np.array([row.counted for row in means]), [row.cluster for row in means]


def _bounds(rows: Sequence[ScoreRow]) -> tuple[float, float]:
    """Return the ends of the scale of rows of one probe: the least is below 0 where a guess earns something."""
    return min(-row.chance / (1 - row.chance) for row in rows), 1.0
