"""The table of random outcomes."""

from __future__ import annotations

from reporting.case_rows import row_of

from sora_eval import registry
from sora_eval.probes.selection import select_cases
from sora_eval.reporting.report.outcomes import outcome_scores, outcome_table
from sora_eval.types import Case, Profile, ScoreRow

SMALL = Profile("small", 64, 64, 17, 8, 5)


def _row(case: Case, outcome: int | None) -> ScoreRow:
    return row_of(case, None) if outcome is None else row_of(case, float(outcome >= 0), outcome=float(outcome))


def _cases(samples: int) -> list[Case]:
    return select_cases({"ridge_drop": registry.probe("ridge_drop")}, SMALL, ["t2v"], 4, 0, samples)


def test_a_model_that_shows_one_outcome_always_is_marked() -> None:
    cases = _cases(32)
    (scores,) = outcome_scores([_row(c, 0) for c in cases], cases, ["m"])
    assert scores.probe == "ridge_drop"
    assert scores.calibration.prompts == 4
    assert scores.calibration.differs
    assert scores.calibration.coverage.mean == 0.5
    line = outcome_table([scores]).rows[0].cells
    assert [c.text for c in line[:4]] == ["ridge_drop", "4", "128", "0"]
    assert line[4].notes == ("differs from the truth",)


def test_samples_that_are_not_judged_and_impossible_ones_are_counted() -> None:
    cases = _cases(8)
    shown = [(0, 1, -1, None)[c.sample % 4] for c in cases]
    (scores,) = outcome_scores([_row(c, o) for c, o in zip(cases, shown, strict=True)], cases, ["m"])
    assert (scores.calibration.judged, scores.calibration.unjudged) == (24, 8)
    assert abs(scores.calibration.impossible.mean - 1 / 3) < 1e-9


def test_single_samples_and_other_suites_make_no_table() -> None:
    cases = _cases(1)
    assert outcome_scores([_row(c, 0) for c in cases], cases, ["m"]) == []
    others = registry.probe("relation").cases(2, SMALL, "t2v", 0)
    assert outcome_scores([_row(c, 0) for c in others], others, ["m"]) == []
