"""The gate's verdict for people and for CI: a table for the terminal, Markdown and a page for a job, JUnit XML."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from sora_eval.files import replacing
from sora_eval.paths import encodable
from sora_eval.reporting import gate_noninferiority, gate_regression
from sora_eval.reporting.components.html import render
from sora_eval.reporting.components.page import Items, Note, Page, Section
from sora_eval.reporting.components.table import Cell, Column
from sora_eval.reporting.components.table import table as page_table
from sora_eval.reporting.components.text import columns, escape, fence, pipe
from sora_eval.reporting.components.verdict import Verdict
from sora_eval.stats.gate import Outcome
from sora_eval.stats.noninferiority import Noninferiority

JUNIT, MARKDOWN, HTML = "gate.xml", "gate.md", "gate.html"
INFORMATION = "For information, no part of the verdict"


@dataclass(frozen=True)
class GateReport:
    """A verdict with its context."""

    outcome: Outcome | Noninferiority
    """The verdict."""
    baseline: str
    """Name of the baseline."""
    candidate: str
    """Name of the candidate."""
    command: str
    """Command that made it."""
    notes: tuple[str, ...] = ()
    """Limitations, a line each."""
    information: tuple[str, ...] = ()
    """What the verdict does not depend on, such as pixel metrics, a line each."""


def sentence(outcome: Outcome | Noninferiority) -> str:
    """Return the verdict in one line."""
    return _verdict(outcome).sentence


def table(outcome: Outcome | Noninferiority) -> str:
    """Return a line per probe, overall first, for a terminal."""
    verdict = _verdict(outcome)
    return columns([verdict.head, *(row.cells for row in verdict.rows)], (0, -1))


def method(outcome: Outcome | Noninferiority) -> str:
    """Return how the verdict was reached, in some sentences."""
    return _verdict(outcome).method


def markdown(report: GateReport) -> str:
    """Return the verdict as Markdown for a job's page or a pull request."""
    verdict = _verdict(report.outcome)
    failed = {row.cells[0] for row in verdict.rows if row.problem and row.problem.kind == "failure"}
    cells = [
        [*row.cells[:-1], row.cells[-1].upper() if row.cells[0] in failed else row.cells[-1]] for row in verdict.rows
    ]
    information = "\n".join(f"- {escape(line)}" for line in report.information)
    parts = [
        f"## sora-eval gate: {verdict.title}",
        f"{escape(report.candidate)} against {escape(report.baseline)}: {escape(verdict.sentence)}.",
        pipe(verdict.head, cells),
        escape(verdict.method),
        *(["\n".join(f"- {escape(note)}" for note in report.notes)] if report.notes else []),
        *([f"{INFORMATION}:\n\n{information}"] if report.information else []),
        fence(report.command),
    ]
    return "\n\n".join(parts) + "\n"


def page(report: GateReport) -> Page:
    """Return the verdict as a page."""
    verdict = _verdict(report.outcome)
    heads = [Column(verdict.head[0]), *(Column(name, "count") for name in verdict.head[1:-1]), Column(verdict.head[-1])]
    styles = {"failure": "bad", "error": "bad", "": ""}
    rows: list[list[Cell | str]] = [
        [*row.cells[:-1], Cell(row.cells[-1], style=styles[row.problem.kind if row.problem else ""])]
        for row in verdict.rows
    ]
    section = Section(
        "verdict",
        "Verdict by probe",
        (
            page_table("Verdict by probe", "", heads, rows),
            Note(verdict.method),
            *([Items(tuple(("", note) for note in report.notes))] if report.notes else []),
        ),
    )
    information = Items(tuple(("", line) for line in report.information))
    more = (Section("information", INFORMATION, (information,), "Information"),) if report.information else ()
    facts = tuple((key, str(value)) for key, value in report.outcome.plan.values().items())
    return Page(
        title=f"sora-eval gate: {verdict.title}",
        lead=f"{report.candidate} against {report.baseline}: {verdict.sentence}.",
        command=report.command,
        problems=(),
        facts=facts,
        made="How it was made: command, options of the plan",
        whose="this gate",
        sections=(section, *more),
        footer="The same table is in gate.md, for test reports in gate.xml.",
    )


def junit(report: GateReport) -> bytes:
    """Return JUnit XML, a test case per probe and one for the overall score: what stops fails, a lack of evidence is an error."""
    verdict = _verdict(report.outcome)
    problems = [row.problem.kind for row in verdict.rows if row.problem]
    counts = {
        "tests": str(len(verdict.rows)),
        "failures": str(problems.count("failure")),
        "errors": str(problems.count("error")),
    }
    root = ElementTree.Element("testsuites", {"name": "sora-eval gate", **counts})
    suite = ElementTree.SubElement(root, "testsuite", {"name": "sora-eval gate", **counts, "skipped": "0"})
    for row in verdict.rows:
        about = " ".join(f"{k}={v};" for k, v in zip(verdict.head, row.cells, strict=True))
        case = ElementTree.SubElement(suite, "testcase", {"classname": f"gate.{row.suite}", "name": row.cells[0]})
        if row.problem is None:
            ElementTree.SubElement(case, "system-out").text = about
        else:
            attributes = {"type": row.problem.type, "message": row.problem.message}
            ElementTree.SubElement(case, row.problem.kind, attributes).text = about
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def write_gate(report: GateReport, folder: Path) -> list[Path]:
    """Write gate.xml, gate.md and gate.html into a folder, and the Markdown to the job's page where CI names one; return their paths."""
    text = markdown(report)
    written = {JUNIT: junit(report), MARKDOWN: encodable(text).encode(), HTML: encodable(render(page(report))).encode()}
    for name, content in written.items():
        with replacing(folder / name) as part:
            part.write_bytes(content)
    add_to_job(text)
    return [folder / name for name in written]


def add_to_job(text: str) -> None:
    """Append Markdown to the page of the CI job, where $GITHUB_STEP_SUMMARY names its file."""
    if page := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(page).open("a", encoding="utf-8") as file:
            file.write(encodable(text))


def _verdict(outcome: Outcome | Noninferiority) -> Verdict:
    if isinstance(outcome, Outcome):
        return gate_regression.verdict(outcome)
    return gate_noninferiority.verdict(outcome)
