"""The words of a test for non-inferiority."""

from __future__ import annotations

import math

from sora_eval.reporting.components.verdict import Problem, Verdict, VerdictRow, signed
from sora_eval.stats.gate import OVERALL, PASSED, REGRESSION, TOO_LITTLE
from sora_eval.stats.noninferiority import FORESEEN, Noninferiority, NoninferiorityLine

_TITLES = {PASSED: "non-inferior", REGRESSION: "inferior", TOO_LITTLE: "undecided"}
_HEAD = ("probe", "baseline", "candidate", "difference", "fell by less than", "margin", "e", "verdict")


def verdict(outcome: Noninferiority) -> Verdict:
    """Return the words of an outcome."""
    rows = tuple(VerdictRow(line.suite or OVERALL, _cells(line), _problem(line, outcome)) for line in outcome.lines)
    return Verdict(_TITLES[outcome.code], _sentence(outcome), _method(outcome), _HEAD, rows)


def _sentence(outcome: Noninferiority) -> str:
    overall = outcome.lines[0]
    seen = f"{outcome.cases} of {outcome.of} cases"
    if outcome.decided_after is not None:
        seen += f", certain after {outcome.decided_after}"
    if outcome.inferior:
        fell = ", ".join(f"{line.probe} ({signed(-line.drop)}, margin {line.margin:g})" for line in outcome.inferior)
        return f"inferior by more than the margin: {fell}; {seen}"
    if outcome.code == PASSED:
        shown = ", ".join(f"{line.probe} {line.margin:g}" for line in outcome.lines if line.must_show)
        bound = f"overall {signed(-overall.drop)}, fell by less than {overall.bound:.3f}"
        return f"non-inferior within the margin ({shown}); {bound}; {seen}"
    open_ = ", ".join(
        f"{line.probe} {line.margin:g}" for line in outcome.lines if line.must_show and line.verdict == "undecided"
    )
    if outcome.more is None:
        more = f"not even {FORESEEN:g} times as many cases would decide if they went like these: the drop is too near the margin"
    else:
        each = math.ceil(outcome.more / (len(outcome.lines) - 1))
        more = f"about {outcome.more} more cases would decide if they went like these, {each} of each probe (suite.count, in both runs)"
    bound = f"overall {signed(-overall.drop)}, fell by less than {overall.bound:.3f}"
    return f"undecided with the cases that there are: neither side of the margin is shown ({open_}); {bound}; {seen}; {more}"


def _method(outcome: Noninferiority) -> str:
    plan = outcome.plan
    probes = sum(line.probe != OVERALL for line in outcome.lines)
    return (
        f"Difference: candidate - baseline, paired by case. Sequential test by betting on scenes in rounds (Waudby-Smith and Ramdas "
        f"2023), one-sided error rate {plan.alpha:g} however often one looks. e: evidence that the drop is below the margin; a row "
        f"passes at {1 / plan.alpha:g}, the candidate when all do that must, so that no correction is needed. Inferior: the opposite "
        f"evidence, adjusted for all {probes + 1} rows by closed testing. Fell by less than: confidence {1 - plan.alpha:g} for "
        f"overall, and for all {probes} probes together (Bonferroni)."
    )


def _problem(line: NoninferiorityLine, outcome: Noninferiority) -> Problem | None:
    if line.verdict == "inferior":
        message = f"{line.probe} fell by {line.drop:.3f}, shown to be more than the margin {line.margin:g}"
        return Problem("failure", "inferior", message)
    if outcome.code == TOO_LITTLE and line.must_show and line.verdict == "undecided":
        message = f"a drop of {line.margin:g} is neither excluded nor shown with {line.clusters} scenes"
        return Problem("error", "undecided", message)
    return None


def _cells(line: NoninferiorityLine) -> tuple[str, ...]:
    verdict = line.verdict if line.must_show or line.verdict == "inferior" else "not shown to be inferior"
    return (
        line.probe,
        f"{line.baseline:.3f}",
        f"{line.candidate:.3f}",
        signed(-line.drop),
        f"{line.bound:.3f}",
        f"{line.margin:g}",
        "-" if line.evidence is None else f"{line.evidence:.3g}",
        verdict,
    )
