"""Calibration of random outcomes: samples of the truth are calibrated, one outcome always is not, nor are impossible ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from sora_eval.stats.outcomes.calibration import (
    IMPOSSIBLE,
    PromptOutcomes,
    calibration,
    calibration_error,
    coverage,
    prompt_outcomes,
    total_variation,
)

DIE = {"red": 1 / 2, "blue": 1 / 3, "green": 1 / 6}
SIDES = {"left": 0.5, "right": 0.5}


def _samples(
    q: Sequence[float], truth: dict[str, float], prompts: int, k: int = 32, seed: int = 0
) -> list[PromptOutcomes]:
    """Return the outcomes of prompts of a generator whose probabilities are q; the last one is that of an impossible outcome."""
    rng = np.random.default_rng(seed)
    numbers = [*range(len(truth)), IMPOSSIBLE]
    return [prompt_outcomes(truth, rng.choice(numbers, size=k, p=q).tolist(), str(i)) for i in range(prompts)]


def test_by_hand() -> None:
    p = PromptOutcomes((0.5, 0.5), (6, 1), 1, 3, "a")
    assert p.judged == 8
    assert total_variation(p) == pytest.approx((2 / 8 + 3 / 8 + 1 / 8) / 2)
    shares = np.array([6, 1, 1]) / 8
    expected = (2 / 8) ** 2 + (3 / 8) ** 2 + (1 / 8) ** 2 - (shares * (1 - shares)).sum() / 7
    assert calibration_error(p) == pytest.approx(expected)
    assert coverage(PromptOutcomes((0.5, 0.46, 0.04), (2, 0, 0), 0, 0, "a")) == pytest.approx(
        (0.5, (0.75 + 1 - 0.54**2) / 2)
    )


def test_the_calibration_error_is_unbiased() -> None:
    q, truth = [0.2, 0.3, 0.4, 0.1], DIE
    distance = sum((a - b) ** 2 for a, b in zip(q, [*truth.values(), 0.0], strict=True))
    errors = [calibration_error(p) for p in _samples(q, truth, 4000, k=6)]
    assert np.mean(errors) == pytest.approx(distance, abs=4 * float(np.std(errors)) / 4000**0.5)


def test_samples_of_the_truth_are_calibrated() -> None:
    flagged = 0
    for seed in range(40):
        found = calibration(_samples([*DIE.values(), 0.0], DIE, 8, seed=seed))
        assert found is not None
        flagged += found.differs
        assert found.impossible.mean == 0
    # At a level of 5% more than 7 of 40 come once in 200 times.
    assert flagged <= 7
    assert found.total_variation.mean == pytest.approx(found.chance_level[0], abs=0.05)
    assert found.error.low <= 0 <= found.error.high
    assert found.coverage.mean == pytest.approx(found.true_coverage, abs=0.05)


@pytest.mark.parametrize("truth", [DIE, SIDES])
def test_one_outcome_always_is_detected(truth: dict[str, float]) -> None:
    found = calibration(_samples([1.0, *[0.0] * len(truth)], truth, 4))
    assert found is not None
    assert found.differs
    assert found.total_variation.mean == pytest.approx(0.5)
    assert found.error.mean > 0.3
    assert found.coverage.mean == pytest.approx(1 / len(truth))
    assert found.true_coverage > 0.98


def test_one_outcome_always_is_right_where_there_is_one() -> None:
    found = calibration(_samples([1.0, 0.0, 0.0], {"left": 1.0, "right": 0.0}, 4))
    assert found is not None
    assert not found.differs
    assert (found.total_variation.mean, found.error.mean, found.coverage.mean) == (0, 0, 1)


def test_an_outcome_of_probability_0_is_impossible() -> None:
    p = prompt_outcomes({"left": 1.0, "right": 0.0}, [0, 0, 1, None, IMPOSSIBLE], "a")
    assert (p.truth, p.counts, p.impossible, p.unjudged) == ((1.0,), (2,), 2, 1)


def test_impossible_outcomes_are_counted_and_detected() -> None:
    found = calibration(_samples([*(0.75 * p for p in DIE.values()), 0.25], DIE, 12))
    assert found is not None
    assert found.differs
    assert found.impossible.low <= 0.25 <= found.impossible.high


def test_what_was_not_judged_is_no_outcome() -> None:
    few = prompt_outcomes(SIDES, [0, 1, None], "a")
    assert calibration([few]) is None
    found = calibration([few, prompt_outcomes(SIDES, [0, 1, 0, 1, None], "b")])
    assert found is not None
    assert (found.prompts, found.judged, found.unjudged) == (1, 4, 2)


def test_probabilities_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        PromptOutcomes((0.5, 0.4), (1, 1), 0, 0, "a")
    with pytest.raises(ValueError, match="counts"):
        PromptOutcomes((0.5, 0.5), (1,), 0, 0, "a")
