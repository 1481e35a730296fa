"""The sign-flip test: where two models are alike, the difference of a cluster is as likely to have the other sign.

Signs of whole clusters flip together. Their sign vectors also serve the joint tests of many hypotheses: `multiplicity.westfall_young`
and `ranks.rank_intervals`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from sora_eval.stats.intervals import SEED, Clusters, checked, cluster_sums, number
from sora_eval.types import Floats

EXACT_FLIPS = 12
"""Up to this many clusters all 2^m flips are made; above, a random sample of them."""
FLIPS = 4999
"""Random flips, the observed signs not counted."""
_PAIRED_FLIPS = 9999


def sign_vectors(clusters: int, flips: int = FLIPS, seed: int = SEED) -> Floats:
    """Return sign vectors [f, clusters] of 1 and -1, the observed one (all ones) first; not to be written to.

    They are all 2^clusters up to 12 clusters, else the observed one and `flips` random ones: counted among them, it makes the share of
    vectors that reach the observed sum a valid p-value (Phipson and Smyth 2010).

    >>> sign_vectors(2)
    array([[ 1.,  1.],
           [ 1., -1.],
           [-1.,  1.],
           [-1., -1.]])
    """
    return _every_sign(clusters) if clusters <= EXACT_FLIPS else _random_signs(clusters, flips, seed)


def sign_flip_test(sums: Floats, flips: int = FLIPS, seed: int = SEED, count_zeros: bool = False) -> Floats:
    """Return two-sided p-values [k]: the share of flips whose absolute sum reaches the observed one.

    All 2^m flips where at most 12 clusters of a row are not 0, else `flips` random ones and the observed one. So no p-value is below
    2^(1 - m), or below 1 / (flips + 1).

    sums: [k, clusters], of k differences the part of each cluster. count_zeros: whether clusters of 0, to which a flip does nothing, count
    among the 12.

    Source: Fisher 1935; Phipson and Smyth 2010 (random flips).

    >>> sign_flip_test(np.array([[1.0, 2.0, 3.0], [1.0, 2.0, -3.0]]))  # Only +++ and --- of 8 reach 6; all reach 0.
    array([0.25, 1.  ])
    """
    p_values = np.ones(len(sums))
    # The slack keeps flips that equal the observed sum from being lost to rounding.
    observed = np.abs(sums.sum(axis=1)) - 1e-12 * np.abs(sums).sum(axis=1)
    sampled = []
    for k, row in enumerate(sums):
        nonzero = row[row != 0]
        if (len(row) if count_zeros else len(nonzero)) > EXACT_FLIPS:
            sampled.append(k)
        else:
            p_values[k] = (np.abs(sign_vectors(len(nonzero)) @ nonzero) >= observed[k]).mean()
    if sampled:
        # Single precision would merge flips that differ; the signs of one table serve all rows.
        flipped = np.abs(sign_vectors(sums.shape[1], flips, seed) @ sums[sampled].T)  # (flips + 1, sampled)
        p_values[sampled] = (flipped >= observed[sampled]).mean(axis=0)
    return p_values


@dataclass(frozen=True)
class PairedDifference:
    """A paired comparison of a and b."""

    mean: float
    """Mean of a - b, in the unit of the values."""
    p_value: float
    """Two-sided, of no difference."""


def paired_difference(a: ArrayLike, b: ArrayLike, clusters: Clusters) -> PairedDifference:
    """Return the mean of a - b over the same cases and its p-value by `sign_flip_test`, 9,999 random flips above 12 clusters.

    a, b: [n] scores of the same cases; clusters: [n] labels.
    Raises ValueError for unequal lengths, no values, NaN or infinity.

    >>> paired_difference([2, 3, 4], [1, 1, 1], "abc")
    PairedDifference(mean=2.0, p_value=0.25)
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"a and b must be scores of the same cases, got shapes {first.shape} and {second.shape}")
    sums, sizes = cluster_sums(checked(first - second, clusters), number(clusters))
    # As the validity card counts them: all clusters, those without a difference as well.
    (p_value,) = sign_flip_test(sums[None], _PAIRED_FLIPS, count_zeros=True)
    return PairedDifference(float(sums.sum() / sizes.sum()), float(p_value))


@lru_cache(maxsize=EXACT_FLIPS + 1)
def _every_sign(clusters: int) -> Floats:
    signs = np.array(list(product((1.0, -1.0), repeat=clusters)))
    signs.flags.writeable = False
    return signs


# Few, for they are large: 24 MB for 600 clusters.
@lru_cache(maxsize=4)
def _random_signs(clusters: int, flips: int, seed: int) -> Floats:
    signs = np.ones((1 + flips, clusters))
    signs[1:] = np.random.default_rng(seed).choice([-1.0, 1.0], size=(flips, clusters))
    signs.flags.writeable = False
    return signs
