"""Which ranks the scores leave open to each of many models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sora_eval.stats.intervals import LEVEL, cluster_sums, number
from sora_eval.stats.paired import by_case, pair
from sora_eval.stats.sign_flips import sign_vectors
from sora_eval.types import Bools, Floats, ScoreRow

_BATCH = 256


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
    tables = {name: by_case(rows) for name, rows in models.items()}
    shared = [
        row
        for row in tables[names[0]].values()
        if all(row.case in table for table in tables.values())
        and (not suite or row.suite == suite)
        and (not probe or row.probe == probe)
    ]
    if not shared:
        raise ValueError(f"the models have no case of {suite or 'any suite'}, {probe or 'any probe'} in common")
    weights, index = pair(shared, shared).weights(), number(row.cluster for row in shared)
    scores = [np.array([tables[name][row.case].counted for row in shared]) for name in names]
    better = _surely_better(np.stack([cluster_sums(weights * x, index)[0] for x in scores]))
    return {n: (1 + int(better[:, i].sum()), len(names) - int(better[i].sum())) for i, n in enumerate(names)}


def _surely_better(parts: Floats) -> Bools:
    """Return [models, models]: whether the first is above the second beyond doubt, from parts [models, clusters] of their scores."""
    models, clusters = parts.shape
    better = np.zeros((models, models), dtype=bool)
    i, j = np.triu_indices(models, 1)
    squares = np.einsum("ic,ic->i", parts, parts)
    scale = np.sqrt(np.maximum(squares[i] + squares[j] - 2 * (parts @ parts.T)[i, j], 0.0))
    totals = parts.sum(axis=1)
    observed = totals[i] - totals[j]
    differ = scale > 1e-9
    i, j, scale, observed = i[differ], j[differ], scale[differ], observed[differ]
    if not len(i):
        return better
    signs = sign_vectors(clusters)
    largest = np.empty(len(signs))
    # In batches: a hundred models are 5,000 pairs.
    for start in range(0, len(signs), _BATCH):
        flipped = signs[start : start + _BATCH] @ parts.T
        largest[start : start + _BATCH] = (np.abs(flipped[:, i] - flipped[:, j]) / scale).max(axis=1)
    largest.sort()
    reached = len(largest) - np.searchsorted(largest, np.abs(observed) / scale - 1e-9, side="left")
    sure = reached / len(largest) <= 1 - LEVEL
    better[i, j] = sure & (observed > 0)
    better[j, i] = sure & (observed < 0)
    return better
