"""The words of a test for regressions."""

from __future__ import annotations

import math

from sora_eval.reporting.components.verdict import Problem, Verdict, VerdictRow, signed
from sora_eval.stats.gate import OVERALL, PASSED, REGRESSION, TOO_LITTLE, Line, Outcome

_TITLES = {PASSED: "passed", REGRESSION: "regression", TOO_LITTLE: "too little evidence"}


def verdict(outcome: Outcome) -> Verdict:
    """Return the words of an outcome."""
    evidence = "e" if outcome.sequential else "p"
    head = ("probe", "baseline", "candidate", "difference [95%]", evidence, "detectable", "verdict")
    rows = tuple(
        VerdictRow(line.suite or OVERALL, _cells(line, outcome), _problem(line, outcome)) for line in outcome.lines
    )
    return Verdict(_TITLES[outcome.code], _sentence(outcome), _method(outcome), head, rows)


def _sentence(outcome: Outcome) -> str:
    overall, bad = outcome.lines[0], outcome.regressions
    detectable = "none at this size" if math.isinf(overall.detectable) else f"{overall.detectable:.3f}"
    after = f"{outcome.cases} cases; smallest detectable drop of the overall score: {detectable}"
    if bad:
        names = ", ".join(f"{line.probe} ({signed(-line.drop)})" for line in bad)
        return f"regression: {names}; {after}"
    sought = ", ".join(f"{line.probe} {line.sought:g}" for line in outcome.lines if line.sought is not None)
    if outcome.code == PASSED:
        return f"passed: no drop as large as the one to be detected ({sought}); {after}"
    open_ = ", ".join(
        f"{line.probe} {line.sought:g}" for line in outcome.lines if line.sought is not None and not line.ruled_out
    )
    return f"too little evidence to exclude a drop of {open_}; {after}; run more cases, or a larger drop with --set drop=..."


def _method(outcome: Outcome) -> str:
    plan = outcome.plan
    how = (
        f"e: evidence of a fall beyond the tolerance, by betting scene by scene, adjusted for all rows; it alarms at {1 / plan.alpha:g}."
        if outcome.sequential
        else f"p: of a fall beyond the tolerance, by sign flips of whole scenes, adjusted for all rows; it alarms at {plan.alpha:g}."
    )
    return (
        f"Difference: candidate - baseline, paired by case, clustered by scene. {how} Detectable: the smallest drop that a row finds "
        f"with power {plan.power:g}; a dash where its scenes are too few for any."
    )


def _problem(line: Line, outcome: Outcome) -> Problem | None:
    if line.verdict == "regression":
        message = (
            f"{line.probe} fell by {line.drop:.3f} [{line.low:.3f}, {line.high:.3f}], tolerance {line.tolerance:g}"
        )
        return Problem("failure", "regression", message)
    if outcome.code == TOO_LITTLE and line.sought is not None and not line.ruled_out:
        message = f"a drop of {line.sought:g} can't be excluded with {line.clusters} scenes"
        return Problem("error", "too little evidence", message)
    return None


def _cells(line: Line, outcome: Outcome) -> tuple[str, ...]:
    evidence = f"{line.evidence:.3g}" if outcome.sequential else f"{line.evidence:.4f}"
    if line.verdict == "no such drop":
        verdict = f"no drop of {line.sought:g}"
    elif line.verdict == "open":
        verdict = "no regression seen" if line.sought is None else f"a drop of {line.sought:g} is not excluded"
    else:
        verdict = line.verdict
    return (
        line.probe,
        f"{line.baseline:.3f}",
        f"{line.candidate:.3f}",
        f"{signed(-line.drop)} [{signed(-line.high)}, {signed(-line.low)}]",
        evidence,
        "-" if math.isinf(line.detectable) else f"{line.detectable:.3f}",
        verdict,
    )
