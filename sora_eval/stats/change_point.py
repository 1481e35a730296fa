"""The change point of a curve: when it begins to differ from what it was at first, at once or little by little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

CANDIDATES = 60
"""Places at which a change is tried: finer ones differ less than a curve's noise."""


@dataclass(frozen=True)
class ChangePoint:
    """The change that explains a curve best."""

    at: int
    """Index of the first changed value, or where the change begins."""
    size: float
    """The fitted curve's last value less its first one."""
    kind: Literal["step", "slope"]
    """Whether it changes at once or little by little."""
    explained: float
    """Share of the curve's variance that the change explains, 0..1."""


NO_CHANGE = ChangePoint(0, 0.0, "step", 0.0)
"""That of a curve that is constant, or not known."""


def change_point(values: ArrayLike) -> ChangePoint:
    """Return the best fit of `a + b [t >= k]` (a step) or `a + b max(0, t - k)` (a slope from k on), by least squares over b and k.

    values: [T], T >= 6, finite. Raises ValueError for fewer or others.

    Source: Page 1954 (a change of the mean); Hinkley 1971 (two-phase regression).

    >>> change_point([1, 1, 1, 1, 5, 5, 5, 5])
    ChangePoint(at=4, size=4.0, kind='step', explained=1.0)
    >>> change_point([0, 0, 0, 0, 1, 2, 3, 4]).kind
    'slope'
    """
    y = np.asarray(values, dtype=np.float64)
    if y.ndim != 1 or len(y) < 6 or not np.isfinite(y).all():
        raise ValueError(f"need at least 6 finite values, got {y.shape}")
    t = np.arange(len(y))
    total = float(np.sum((y - y.mean()) ** 2))
    best = NO_CHANGE
    if total <= 1e-18:
        return best
    # Two values on either side at least: one alone is an outlier.
    for k in np.unique(np.linspace(2, len(y) - 2, CANDIDATES).round().astype(int)):
        shapes = {"step": (t >= k).astype(float), "slope": np.maximum(0.0, t - (k - 1))}
        for kind, x in shapes.items():
            away = x - x.mean()
            slope = float(away @ y / (away @ away))
            explained = slope * float(away @ y) / total
            if explained > best.explained + 1e-9:
                size = slope * float(x[-1] - x[0])
                best = ChangePoint(int(k), size, "step" if kind == "step" else "slope", min(1.0, explained))
    return best
