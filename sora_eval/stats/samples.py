"""Several samples per prompt: the same case sampled again with other seeds, and the mean of a case's samples.

The samples of a prompt share its scene, expectation and given frames, and its cluster: they are no further evidence about other scenes.
So every estimate averages over the samples of a prompt first, and treats the mean as one case of its cluster.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from sora_eval.types import Case, ScoreRow, digest

MOST = 1000
"""The largest number of samples per prompt."""


def sample_id(prompt_id: str, sample: int) -> str:
    """Return the id of a sample: the prompt's own for sample 0, else with the ending `.sK`; "" of "".

    >>> sample_id("physics.fall.t2v.0003", 2)
    'physics.fall.t2v.0003.s2'
    """
    return f"{prompt_id}.s{sample}" if sample and prompt_id else prompt_id


def sampled(cases: Iterable[Case], count: int) -> list[Case]:
    """Return `count` samples of every case, next to each other; sample 0 is the case itself.

    cases: samples 0. A further sample differs in its seed, its id and its twin's id, so that twins are of the same sample.
    """
    return [_sample(case, k) for case in cases for k in range(count)]


def _sample(case: Case, k: int) -> Case:
    if not k:
        return case
    # 31 bits are a seed for every framework. Hashed, for seed + k is the seed of the next case.
    seed = int(digest(["sample", case.seed, k], 8), 16) >> 1
    return replace(case, id=sample_id(case.id, k), seed=seed, twin=sample_id(case.twin, k), sample=k)


def asked_of(kind: str, cases: Sequence[Case]) -> list[Case]:
    """Return the cases for a generator of a kind: all for a model; samples 0 with a scene for references, whose answers know no noise.

    Where the outcome is left to chance (`expect["outcomes"]`), further samples are other draws: the oracle's answers differ as well.
    """
    return [c for c in cases if kind == "model" or (c.scene and (not c.sample or _is_drawn(kind, c)))]


def _is_drawn(kind: str, case: Case) -> bool:
    return kind == "oracle" and "outcomes" in case.expect


def per_prompt(cases: Iterable[Case | ScoreRow]) -> int:
    """Return how many samples the prompts have: the most that one has; 0 without cases."""
    return max((c.sample for c in cases), default=-1) + 1


def prompts(cases: Iterable[Case | ScoreRow]) -> int:
    """Return how many different prompts there are."""
    return len({c.prompt_id for c in cases})


def by_prompt(rows: Iterable[ScoreRow]) -> list[list[ScoreRow]]:
    """Return the rows of each generator and prompt, in order of first appearance.

    Raises:
        ValueError: a sample has two scores.
    """
    groups: dict[tuple[str, str], dict[int, ScoreRow]] = {}
    for row in rows:
        samples = groups.setdefault((row.generator, row.prompt_id), {})
        if row.sample in samples:
            raise ValueError(f"{row.case} has two scores: compare rows of one generator")
        samples[row.sample] = row
    return [list(samples.values()) for samples in groups.values()]


def case_means(rows: Iterable[ScoreRow]) -> list[ScoreRow]:
    """Return one row per generator and prompt: its value is the mean over the samples, so that `counted` is the mean of theirs.

    A sample that could not be judged counts as 0, a blind guess; only where none could be judged has the row no value. The case is that
    of sample 0. Rows of a single sample come back as they are.

    Raises:
        ValueError: a sample has two scores.
    """
    rows = list(rows)
    if not any(row.sample for row in rows):
        return rows
    return [_mean(samples) for samples in by_prompt(rows)]


def best_of(samples: Sequence[ScoreRow]) -> ScoreRow:
    """Return a row of one prompt whose value is that of its best sample."""
    return _row_of(samples, max(_value_or_guess(row) for row in samples), samples[0].chance)


def deviation_of(samples: Sequence[ScoreRow], widest: float) -> ScoreRow:
    """Return a row of one prompt whose value is the standard deviation of its samples' counted values, as a share of `widest`.

    The denominator is K - 1, for K >= 2 samples.
    """
    return _row_of(samples, float(np.std([row.counted for row in samples], ddof=1)) / widest, 0.0)


def widest_deviation(rows: Iterable[ScoreRow]) -> float:
    """Return the largest standard deviation that samples can have: of two at the ends of the scale, (1 - least) / sqrt(2).

    As a share of it, deviations are numbers from 0 to 1 like scores, and their intervals where nothing varies are theirs.
    """
    return max(1 / (1 - row.chance) for row in rows) / math.sqrt(2)


def _row_of(samples: Sequence[ScoreRow], value: float, chance: float) -> ScoreRow:
    first = samples[0]
    return replace(first, case=first.prompt_id, sample=0, value=value, reason="", chance=chance)


def _value_or_guess(row: ScoreRow) -> float:
    return row.chance if row.value is None else row.value


def _mean(samples: Sequence[ScoreRow]) -> ScoreRow:
    first = min(samples, key=lambda row: row.sample)
    if len(samples) == 1 and not first.sample:
        return first
    judged = any(row.value is not None for row in samples)
    return replace(
        first,
        case=first.prompt_id,
        twin=first.twin if not first.sample else first.twin.removesuffix(f".s{first.sample}"),
        sample=0,
        value=float(np.mean([_value_or_guess(row) for row in samples])) if judged else None,
        reason="" if judged else first.reason,
        failure="technical" if not judged and all(row.failure for row in samples) else "",
        components={},
    )
