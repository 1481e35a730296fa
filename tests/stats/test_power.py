"""The smallest detectable difference is found as often as it claims."""

from __future__ import annotations

import pytest
from scipy import stats

from sora_eval.stats.power import detectable_difference, minimum_detectable_effect


def test_at_the_detectable_effect_the_power_is_the_planned_one() -> None:
    """Of a z-test exactly; of a t-test with 20 degrees of freedom, by the noncentral t distribution, within a hundredth."""
    effect = minimum_detectable_effect(0.5, 1e9, 0.025, power=0.9)
    assert stats.norm.sf(stats.norm.ppf(0.975), loc=effect / 0.5) == pytest.approx(0.9, abs=1e-6)
    effect = minimum_detectable_effect(0.5, 20, 0.025, power=0.8)
    assert stats.nct.sf(stats.t.ppf(0.975, 20), 20, effect / 0.5) == pytest.approx(0.8, abs=0.01)


def test_more_comparisons_need_larger_differences_up_to_the_largest() -> None:
    sizes = [detectable_difference(0.1, 30, 0.4, comparisons=k) for k in (1, 5, 300)]
    assert sizes[0] < sizes[1] < sizes[2] == 0.4
