"""The same tables as plain text for a terminal and as Markdown for a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from sora_eval.stats.summary import Cell, Sampling, Summary, summarise
from sora_eval.types import ScoreRow

WIDTH = 100
_NAME = 24
_COLUMN = 17
_GAP = "  "
BETWEEN_SAMPLES = (
    "Deviation: standard deviation between the samples of a prompt, averaged as scores are. Best of K: the mean of the best sample of each "
    "prompt; it grows with K and is no score: it is compared with no mean and ranks nothing. [95% interval], clustered by scene."
)
"""What is said above the table of what samples tell beyond their mean."""
FIRST_SAMPLES = "Of the first sample of each prompt: one clip against each true one."
TECHNICAL = (
    "technical: unjudged for a reason that says nothing about the model; the run's command asks for these clips again"
)


def score(cell: Cell | None) -> str:
    """Return `0.62 [0.55, 0.69]`, a dash for nothing and where the model failed technically."""
    return f"{cell.score:.2f} [{cell.low:.2f}, {cell.high:.2f}]" if cell and not cell.failed else "-"


def unjudgeable(cell: Cell | None) -> str:
    """Return `3 of 120`, or `3 of 120 (2 technical)`."""
    if cell is None:
        return "-"
    return f"{cell.unjudgeable} of {cell.n}" + (f" ({cell.technical} technical)" if cell.technical else "")


def table(rows: Iterable[ScoreRow]) -> str:
    """Return the headline table for a terminal: generators by suites, at most 100 columns wide.

    Suites that do not fit beside each other go into a further block below.
    """
    return text_table(summarise(rows))


def text_table(summary: Summary) -> str:
    """Return `table` of a summary that is already there."""
    # With one suite the overall score repeats it.
    columns = ("", *summary.suites) if len(summary.suites) > 1 else summary.suites
    name = min(_NAME, max(len("generator"), *(len(g) for g in summary.generators)))
    some = any(c.technical for c in summary.cells)
    last = len(_GAP) + len("unjudged") + (len(_GAP) + len("technical") if some else 0)
    fit = (WIDTH - name - last) // (_COLUMN + len(_GAP))
    blocks = [_block(summary, columns[i : i + fit], name, some) for i in range(0, len(columns), fit)]
    note = "score [95% interval], 0 is a blind guess; clips that could not be judged count as 0"
    note = f"{note}\n{TECHNICAL}" if some else note
    if summary.sampling:
        told = ", ".join(dict.fromkeys(f"{s.generator} {s.samples}" for s in summary.sampling))
        note += f"\nscores are means over samples; samples per prompt: {told}"
        blocks.append(note)
        note = _sampling_block(summary.sampling_by_suite, name)
    return "\n\n".join([*blocks, note])


def _sampling_block(found: Sequence[Sampling], name: int) -> str:
    suite = max(len(s.suite or "overall") for s in found)
    head = ["generator".ljust(name), "suite".ljust(suite), "deviation".rjust(_COLUMN), "best of K".rjust(_COLUMN)]
    lines = [_GAP.join(head)]
    for s in found:
        where = [_cut(s.generator, name).ljust(name), (s.suite or "overall").ljust(suite)]
        lines.append(_GAP.join([*where, *(text.rjust(_COLUMN) for text in (deviation(s), best(s)))]))
    title = "between the samples of a prompt: their standard deviation, and apart from it the best of them, which is no score"
    return "\n".join([title, lines[0], "-" * len(lines[0]), *lines[1:]])


def deviation(s: Sampling) -> str:
    """Return `0.21 [0.15, 0.28]`."""
    return f"{s.deviation:.2f} [{s.deviation_low:.2f}, {s.deviation_high:.2f}]"


def best(s: Sampling) -> str:
    """Return `0.62 [0.55, 0.69]`."""
    return f"{s.best:.2f} [{s.best_low:.2f}, {s.best_high:.2f}]"


def sampling_table(summary: Summary) -> str:
    """Return what samples tell beyond their mean as a Markdown table."""
    head = ["generator", "suite", "samples per prompt", "cases", "deviation", "best of K"]
    rows = [
        [s.generator, s.suite or "overall", str(s.samples), str(s.cases), deviation(s), best(s)]
        for s in summary.sampling_by_suite
    ]
    return pipe(head, rows)


def _block(summary: Summary, suites: Sequence[str], name: int, technical: bool) -> str:
    heads = [_cut(suite or "overall", _COLUMN).rjust(_COLUMN) for suite in suites]
    lines = [_GAP.join(["generator".ljust(name), *heads, "unjudged", *(["technical"] if technical else [])])]
    for generator in summary.generators:
        overall = summary.get(generator)
        texts = [score(summary.get(generator, suite)).rjust(_COLUMN) for suite in suites]
        failed = str(overall.unjudgeable if overall else 0).rjust(len("unjudged"))
        more = [str(overall.technical if overall else 0).rjust(len("technical"))] if technical else []
        lines.append(_GAP.join([_cut(generator, name).ljust(name), *texts, failed, *more]))
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _cut(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"


def markdown(
    summary: Summary,
    title: str,
    command: str,
    problems: Sequence[str],
    fidelity: Mapping[str, str] | None = None,
    tracking: str = "",
) -> str:
    """Return the tables of the report as Markdown, the command that made them above.

    fidelity: tables by suite, "" for all. tracking: the section on tracking metrics.
    """
    fidelity = fidelity or {}
    parts = [f"# {escape(title)}", "Made by:", fence(command)]
    if problems:
        parts += ["## Problems", "\n".join(f"- {escape(p)}" for p in problems)]
    suites = summary.suites
    parts.append("## Scores")
    parts.append(
        "Score [95% interval]; a clip that could not be judged counts as 0. A suite is the mean over its probes, "
        "overall is the mean over the suites."
        + (f" {summary.samples} samples per prompt: a case's score is their mean." if summary.sampling else "")
    )
    if any(c.technical for c in summary.cells):
        parts.append(f"{TECHNICAL[0].upper()}{TECHNICAL[1:]}; a dash where nothing else came back.")
    rows = []
    for g in summary.generators:
        overall = summary.get(g)
        rows.append(
            [g, summary.kind(g), score(overall), *(score(summary.get(g, s)) for s in suites), unjudgeable(overall)]
        )
    parts.append(pipe(["generator", "kind", "overall", *suites, "unjudged"], rows))
    if summary.sampling:
        parts += ["## Between the samples of a prompt", BETWEEN_SAMPLES, sampling_table(summary)]
    if "" in fidelity:
        parts += ["## Fidelity", *([FIRST_SAMPLES] if summary.sampling else []), fidelity[""]]
    if tracking:
        parts += ["## Tracking", tracking]
    for suite in suites:
        parts += [f"## {escape(suite)}", pipe(*_suite(summary, suite))]
        if suite in fidelity:
            parts += [f"### {escape(suite)}: fidelity", fidelity[suite]]
    reasons = [[r.generator, r.suite, r.probe, r.text, str(r.count)] for r in summary.reasons]
    if reasons:
        parts += [
            "## Why clips could not be judged",
            pipe(["generator", "suite", "probe", "reason", "clips"], reasons),
        ]
    return "\n\n".join(parts) + "\n"


def _suite(summary: Summary, suite: str) -> tuple[list[str], list[list[str]]]:
    head = ["probe", "mode", "generator", "score", "judged only", "blind guess", "unjudged"]
    rows = []
    for probe in summary.probes(suite):
        for mode in ("", *summary.modes(suite, probe)):
            for g in summary.generators:
                cell = summary.get(g, suite, probe, mode)
                if cell:
                    judged = "-" if cell.judged_mean is None else f"{cell.judged_mean:.2f}"
                    rows.append([probe, mode or "all", g, score(cell), judged, f"{cell.chance:.2f}", unjudgeable(cell)])
    return head, rows


def pipe(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [[escape(c) for c in head], ["---"] * len(head), *([escape(c) for c in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escape(text: str) -> str:
    """Return text that Markdown shows as it is: no HTML, no table break, no emphasis or link."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # Brackets alone are harmless (no text of ours can define a reference), and intervals need them.
    return re.sub(r"([\\`*_|~#]|(?<=\])\()", r"\\\1", text)


def fence(text: str) -> str:
    """Return text as a code block whose fence it cannot close."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}sh\n{text}\n{marks}"
