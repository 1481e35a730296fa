"""The gate's verdict for people and for CI: a table for the terminal, Markdown for a job's page, JUnit XML."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from sora_eval.files import replacing
from sora_eval.paths import encodable
from sora_eval.reporting.components.text import columns, escape, fence, pipe
from sora_eval.stats.gate import OVERALL, PASSED, REGRESSION, TOO_LITTLE, Line, Outcome

JUNIT, MARKDOWN = "gate.xml", "gate.md"
_HEAD = ("probe", "baseline", "candidate", "difference [95%]", "detectable", "verdict")
_TITLES = {PASSED: "passed", REGRESSION: "regression", TOO_LITTLE: "too little evidence"}


@dataclass(frozen=True)
class GateReport:
    """A verdict with its context."""

    outcome: Outcome
    """The verdict."""
    baseline: str
    """Name of the baseline."""
    candidate: str
    """Name of the candidate."""
    command: str
    """Command that made it."""
    notes: tuple[str, ...] = ()
    """Limitations, a line each."""


def sentence(outcome: Outcome) -> str:
    """Return the verdict in one line."""
    overall, bad = outcome.lines[0], outcome.regressions
    detectable = "none at this size" if math.isinf(overall.detectable) else f"{overall.detectable:.3f}"
    after = f"{outcome.cases} cases; smallest detectable drop of the overall score: {detectable}"
    if bad:
        names = ", ".join(f"{line.probe} ({_signed(-line.drop)})" for line in bad)
        return f"regression: {names}; {after}"
    sought = ", ".join(f"{line.probe} {line.sought:g}" for line in outcome.lines if line.sought is not None)
    if outcome.code == PASSED:
        return f"passed: no drop as large as the one to be detected ({sought}); {after}"
    open_ = ", ".join(
        f"{line.probe} {line.sought:g}" for line in outcome.lines if line.sought is not None and not line.ruled_out
    )
    return f"too little evidence to exclude a drop of {open_}; {after}; run more cases, or a larger drop with --set drop=..."


def table(outcome: Outcome) -> str:
    """Return a line per probe, overall first, for a terminal."""
    return columns([_head(outcome), *(_cells(line, outcome) for line in outcome.lines)], (0, -1))


def markdown(report: GateReport) -> str:
    """Return the verdict as Markdown for a job's page or a pull request."""
    outcome = report.outcome
    cells = [_cells(line, outcome) for line in outcome.lines]
    parts = [
        f"## sora-eval gate: {_TITLES[outcome.code]}",
        f"{escape(report.candidate)} against {escape(report.baseline)}: {escape(sentence(outcome))}.",
        pipe(
            _head(outcome), [[*row[:-1], f"{row[-1].upper()}" if row[-1] == "regression" else row[-1]] for row in cells]
        ),
        escape(method(outcome)),
        *(["\n".join(f"- {escape(note)}" for note in report.notes)] if report.notes else []),
        fence(report.command),
    ]
    return "\n\n".join(parts) + "\n"


def method(outcome: Outcome) -> str:
    """Return how the verdict was reached, in two sentences."""
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


def junit(report: GateReport) -> bytes:
    """Return JUnit XML, a test case per probe and one for the overall score: a regression fails, too little evidence is an error."""
    outcome = report.outcome
    lines = outcome.lines
    failures = len(outcome.regressions)
    errors = sum(_lacks(line, outcome) for line in lines)
    counts = {"tests": str(len(lines)), "failures": str(failures), "errors": str(errors)}
    root = ElementTree.Element("testsuites", {"name": "sora-eval gate", **counts})
    suite = ElementTree.SubElement(root, "testsuite", {"name": "sora-eval gate", **counts, "skipped": "0"})
    for line in lines:
        about = " ".join(f"{k}={v};" for k, v in zip(_head(outcome), _cells(line, outcome), strict=True))
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": f"gate.{line.suite or OVERALL}", "name": line.probe}
        )
        if line.verdict == "regression":
            message = (
                f"{line.probe} fell by {line.drop:.3f} [{line.low:.3f}, {line.high:.3f}], tolerance {line.tolerance:g}"
            )
            ElementTree.SubElement(case, "failure", {"type": "regression", "message": message}).text = about
        elif _lacks(line, outcome):
            message = f"a drop of {line.sought:g} can't be excluded with {line.clusters} scenes"
            ElementTree.SubElement(case, "error", {"type": "too little evidence", "message": message}).text = about
        else:
            ElementTree.SubElement(case, "system-out").text = about
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def write_gate(report: GateReport, folder: Path) -> list[Path]:
    """Write gate.xml and gate.md into a folder, and the Markdown to the job's page where CI names one; return their paths."""
    paths = [folder / JUNIT, folder / MARKDOWN]
    text = markdown(report)
    for path, content in zip(paths, (junit(report), encodable(text).encode()), strict=True):
        with replacing(path) as part:
            part.write_bytes(content)
    add_to_job(text)
    return paths


def add_to_job(text: str) -> None:
    """Append Markdown to the page of the CI job, where $GITHUB_STEP_SUMMARY names its file."""
    if page := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(page).open("a", encoding="utf-8") as file:
            file.write(encodable(text))


def _lacks(line: Line, outcome: Outcome) -> bool:
    """Whether this line is why the gate found too little evidence."""
    return outcome.code == TOO_LITTLE and line.sought is not None and not line.ruled_out


def _head(outcome: Outcome) -> Sequence[str]:
    return (*_HEAD[:4], "e" if outcome.sequential else "p", *_HEAD[4:])


def _cells(line: Line, outcome: Outcome) -> list[str]:
    evidence = f"{line.evidence:.3g}" if outcome.sequential else f"{line.evidence:.4f}"
    if line.verdict == "no such drop":
        verdict = f"no drop of {line.sought:g}"
    elif line.verdict == "open":
        verdict = "no regression seen" if line.sought is None else f"a drop of {line.sought:g} is not excluded"
    else:
        verdict = line.verdict
    return [
        line.probe,
        f"{line.baseline:.3f}",
        f"{line.candidate:.3f}",
        f"{_signed(-line.drop)} [{_signed(-line.high)}, {_signed(-line.low)}]",
        evidence,
        "-" if math.isinf(line.detectable) else f"{line.detectable:.3f}",
        verdict,
    ]


def _signed(value: float) -> str:
    # What rounding leaves of nothing has no sign.
    return f"{round(value, 3) + 0.0:+.3f}"
