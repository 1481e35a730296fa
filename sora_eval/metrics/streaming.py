"""Statistics of features that accumulate batch by batch, in memory that does not grow, and merge across processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sora_eval.metrics.frechet import GROUPS, Moments
from sora_eval.types import Floats

MOST = 4096
"""Clips that are kept for kernel distances, which need pairs; of more, an even sample is kept."""


@dataclass
class FeatureStatistics:
    """Statistics of a set of features for distances: moments of GROUPS groups, and at most MOST of the features themselves.

    A clip's position in its set, or the number of the cluster that it depends on, decides its group; its position alone whether it is kept.
    So the order in which clips come, and which process has seen them, changes nothing but rounding.
    """

    n: int = 0
    """Clips seen."""
    moments: dict[int, Moments] = field(default_factory=dict)
    """Moments of each group that has a clip; call `groups` first, for rows may still wait."""
    _waiting: dict[int, list[Floats]] = field(default_factory=dict)
    _kept: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    _group: dict[int, int] = field(default_factory=dict)

    def add(self, features: Floats, first: int, cluster: int | None = None) -> None:
        """Add features [n, d] of the clips at positions first, first + 1, ... of their set.

        cluster: number of the cluster that they are all of; without it each is its own.

        Raises ValueError for NaN or infinity, or another number of features than before.
        """
        x = np.asarray(features, np.float64)
        if x.ndim != 2 or not np.isfinite(x).all():
            raise ValueError(f"features must be finite [n, d], got shape {x.shape}")
        known = self.width
        if known is not None and x.shape[1] != known:
            raise ValueError(f"features must have the same number of columns, got {x.shape[1]} after {known}")
        for row, position in zip(x, range(first, first + len(x)), strict=True):
            group = (position if cluster is None else cluster) % GROUPS
            waiting = self._waiting.setdefault(group, [])
            waiting.append(row)
            # One decomposition for many rows: it costs d^3 whether one comes or d.
            if len(waiting) >= len(row):
                self._settle(group)
            self._kept[position] = row.astype(np.float32)
            self._group[position] = group
        self.n += len(x)
        self._thin()

    @property
    def width(self) -> int | None:
        """How many features a clip has; None before the first."""
        row = next(iter(self._kept.values()), None)
        return None if row is None else len(row)

    def groups(self) -> list[Moments]:
        """Return the moments of every group that has a clip."""
        for group in list(self._waiting):
            self._settle(group)
        return [self.moments[g] for g in sorted(self.moments)]

    def positions(self) -> list[int]:
        """Return the positions of the features that were kept, in order."""
        return sorted(self._kept)

    def at(self, positions: Sequence[int]) -> Floats:
        """Return the features [m, d] of clips that were kept."""
        return np.array([self._kept[p] for p in positions], np.float64)

    def group_of(self, positions: Sequence[int]) -> list[int]:
        """Return the groups of clips that were kept."""
        return [self._group[p] for p in positions]

    def only(self, positions: Sequence[int]) -> FeatureStatistics:
        """Return the statistics of the clips at these positions alone, in the same groups.

        Raises KeyError for a clip that was not kept.
        """
        part = FeatureStatistics()
        for position in positions:
            part.add(self.at([position]), position, self._group[position])
        return part

    def merge(self, other: FeatureStatistics) -> None:
        """Add the statistics of other positions of the same set, from another process."""
        other.groups()
        for group, theirs in other.moments.items():
            self.moments[group] = self.moments[group].merged(theirs) if group in self.moments else theirs
        self._kept.update(other._kept)
        self._group.update(other._group)
        self.n += other.n
        self._thin()

    def _settle(self, group: int) -> None:
        rows = self._waiting.pop(group, [])
        if rows:
            new = Moments.of(np.stack(rows))
            self.moments[group] = self.moments[group].merged(new) if group in self.moments else new

    def _thin(self) -> None:
        if len(self._kept) > MOST:
            # The lowest marks stay, whoever has seen them: a uniform sample that any two processes agree on.
            stay = sorted(self._kept, key=lambda p: (_mark(p), p))[:MOST]
            self._kept = {p: self._kept[p] for p in stay}
            self._group = {p: self._group[p] for p in stay}


def _mark(position: int) -> int:
    """Return a well-mixed number of a position (SplitMix64's finaliser, Steele et al. 2014)."""
    z = (position + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return z ^ (z >> 31)
