"""The page of a sweep over checkpoints: a curve per probe, the first regressing checkpoint marked, and the cases that lost most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sora_eval import __version__
from sora_eval.files import write_text
from sora_eval.reporting.components import plots
from sora_eval.reporting.components.html import p_value, render
from sora_eval.reporting.components.players import ClipStore, clips_of, make_side
from sora_eval.reporting.components.text import escape, pipe, score
from sora_eval.reporting.leaderboard.clips import Comparison
from sora_eval.reporting.leaderboard.entrants import Field, gather
from sora_eval.reporting.sweep.curves import Curve, Line, curve, in_line
from sora_eval.stats.failures import too_many
from sora_eval.stats.regressions import Change, changes, first_regressions
from sora_eval.stats.summary import Cell, Summary, summarise
from sora_eval.types import ScoreRow

CASES_EACH = 2
"""Cases shown of each regression."""
MAX_SHOWN = 12


@dataclass(frozen=True)
class Finding:
    """A regression in words. level: "overall", a suite, or suite/probe. label, best: the two checkpoints."""

    level: str
    label: str
    best: str
    change: Change

    @property
    def text(self) -> str:
        """The regression as one sentence."""
        c = self.change
        return (
            f"{self.level}: {self.label} scores {c.score:.2f} after {c.before:.2f} of {self.best}: "
            f"{c.mean:+.2f} [{c.low:+.2f}, {c.high:+.2f}], p {p_value(c.adjusted)}"
        )


@dataclass(frozen=True)
class Evidence:
    """The cases that lost most in a regression: the best checkpoint before beside the one that regressed, and the truth."""

    finding: Finding
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True)
class SweepPage:
    """Everything that the template reads."""

    title: str
    lead: str
    command: str
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]
    axis: str
    unit: str
    ends: tuple[str, str]
    curves: tuple[Curve, ...]
    probes: tuple[tuple[str, tuple[Curve, ...]], ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[str, float, tuple[tuple[Cell | None, Change | None], ...]], ...]
    evidence: tuple[Evidence, ...]
    oracle: str
    controls: tuple[str, ...]
    smallest: float | None
    version: str = __version__

    @property
    def unchanged(self) -> str:
        """What is known when nothing regressed."""
        width = (
            ""
            if self.smallest is None
            else f" The intervals of the overall differences reach down to {self.smallest:+.2f}."
        )
        return f"No checkpoint is shown to be worse than the best one before it.{width}"


def write_curves(runs: Sequence[Path], out: Path, command: str, evidence: bool = True) -> Path | None:
    """Write curves.html and curves.md for the checkpoints among some runs; return the page, None when they are in no order.

    runs: folders of finished runs, of several seeds too. evidence: whether the cases that lost most are shown with their clips.
    Raises as `gather` does when they can't be compared.
    """
    field = gather(runs)
    whole = [m for m in field.models if m.cases == field.cases]
    # What failed technically would look like a regression.
    left_out = {m.label: why for m in whole if (why := too_many(m.rows))}
    line = in_line([m for m in whole if m.label not in left_out])
    if line is None:
        return None
    field = replace(
        field, notes=(*field.notes, *(f"{label} is not on the curves: {why}" for label, why in left_out.items()))
    )
    summary = summarise(field.rows)
    found = changes([c.entrant.rows for c in line.checkpoints])
    page = make_page(field, line, summary, found, command, evidence)
    clips = {name: clip.base64 for name, clip in clips_of([c for e in page.evidence for c in e.comparisons]).items()}
    write_text(out / "curves.md", markdown(page))
    write_text(out / "curves.html", render("sweep.html.j2", page, clips))
    return out / "curves.html"


def make_page(
    field: Field, line: Line, summary: Summary, found: Sequence[Change], command: str, evidence: bool = True
) -> SweepPage:
    """Return what the page shows. found: the changes between the checkpoints of `line`."""
    labels = [c.label for c in line.checkpoints]
    levels = [("overall", "", ""), *((s, s, "") for s in summary.suites)]
    inner = {s: [(p, s, p) for p in summary.probes(s)] for s in summary.suites}
    cells = [c for c in summary.cells if c.generator in labels and not c.mode]
    axis = plots.axis(cells)
    drawn = [curve(line, summary, *level, found, axis) for level in levels]
    findings = tuple(_finding(c, labels) for c in first_regressions(found))
    first = line.checkpoints[0].entrant.runs
    manifest = next(iter(first.values())).manifest
    return SweepPage(
        title=f"{len(labels)} checkpoints, {manifest.get('suite')} suite",
        lead=_lead(line, field),
        command=command,
        problems=field.problems,
        notes=field.notes,
        facts=_facts(line, field),
        findings=findings,
        axis=line.axis,
        unit=line.unit,
        ends=(labels[0], labels[-1]),
        curves=tuple(drawn),
        probes=tuple(
            (s, tuple(curve(line, summary, *level, found, axis) for level in some)) for s, some in inner.items()
        ),
        heads=tuple(name for name, _, _ in levels),
        rows=tuple(
            _row(i, label, c.at, levels, summary, found)
            for i, (label, c) in enumerate(zip(labels, line.checkpoints, strict=True))
        ),
        evidence=tuple(_evidence(findings, line, field)) if evidence else (),
        oracle=next(iter(summary.of_kind("oracle")), ""),
        controls=summary.of_kind("control"),
        smallest=_smallest(found),
    )


def markdown(page: SweepPage) -> str:
    """Return the page's findings and its table for a pull request."""
    lines = [f"# {escape(page.title)}", f"`{page.command}`", escape(page.lead)]
    lines.append("\n".join(f"- {escape(f.text)}" for f in page.findings) or page.unchanged)
    table = []
    for label, at, cells in page.rows:
        marks = (" ▼" if c is not None and c.regressed else "" for _, c in cells)
        table.append(
            [label, f"{at:.4g}", *(f"{score(cell)}{mark}" for (cell, _), mark in zip(cells, marks, strict=True))]
        )
    lines.append(pipe(["checkpoint", page.unit, *page.heads], table))
    lines.append(
        "▼: worse than the best checkpoint before it, paired by case, clustered by scene, Holm over all pairs."
    )
    return "\n\n".join(lines) + "\n"


def _finding(change: Change, labels: Sequence[str]) -> Finding:
    level = "/".join(part for part in (change.suite, change.probe) if part) or "overall"
    return Finding(level, labels[change.at], labels[change.best], change)


def _smallest(found: Sequence[Change]) -> float | None:
    lows = [c.low for c in found if not c.suite and not c.probe]
    return min(lows) if lows else None


def _row(
    i: int, label: str, at: float, levels: Sequence[tuple[str, str, str]], summary: Summary, found: Sequence[Change]
) -> tuple[str, float, tuple[tuple[Cell | None, Change | None], ...]]:
    mine = {(c.suite, c.probe): c for c in found if c.at == i}
    return label, at, tuple((summary.get(label, s, p), mine.get((s, p))) for _, s, p in levels)


def _evidence(findings: Sequence[Finding], line: Line, field: Field) -> list[Evidence]:
    """Return the cases that lost most, of probes where those regressed and else of the suite or overall, until the page is full."""
    store = ClipStore(Path())
    truths = {r.case: r for e in field.entrants if e.kind == "oracle" for r in e.rows}
    deepest = [f for f in findings if f.change.probe] or [f for f in findings if f.change.suite] or list(findings)
    found: list[Evidence] = []
    for finding in sorted(deepest, key=lambda f: f.change.mean):
        if store.full(1.0) or len(found) * CASES_EACH >= MAX_SHOWN:
            break
        before, after = (line.checkpoints[k].entrant for k in (finding.change.best, finding.change.at))
        some = [
            _beside(store, b, a, truths.get(a.prompt_id)) for b, a in lost_most(before.rows, after.rows, finding.change)
        ]
        found.append(Evidence(finding, tuple(some)))
    return found


def lost_most(
    before: Sequence[ScoreRow], after: Sequence[ScoreRow], change: Change, limit: int = CASES_EACH
) -> list[tuple[ScoreRow, ScoreRow]]:
    """Return the cases of a level that lost most, as rows of both checkpoints and the same sample; none that did not lose."""
    earlier = {r.case: r for r in before}
    pairs = [
        (earlier[r.case], r)
        for r in after
        if r.case in earlier and change.suite in ("", r.suite) and change.probe in ("", r.probe)
    ]
    pairs = [(b, a) for b, a in pairs if a.counted < b.counted]
    # Of equals, those with something to look at; of a prompt, one sample.
    pairs.sort(key=lambda p: (p[1].counted - p[0].counted, not p[1].video, p[1].case))
    return list({a.prompt_id: (b, a) for b, a in reversed(pairs)}.values())[::-1][:limit]


def _beside(store: ClipStore, before: ScoreRow, after: ScoreRow, truth: ScoreRow | None) -> Comparison:
    expected = store.overlay(truth.tracks) if truth else None
    sides = [make_side(store, r, f"{r.generator}: {_verdict(r)}", expected) for r in (before, after)]
    if truth is not None:
        sides.append(make_side(store, truth, "truth", None))
    return Comparison((before, after), tuple(sides), before.counted - after.counted)


def _verdict(row: ScoreRow) -> str:
    return "not judged" if row.value is None else f"{row.value:.2f}"


def _lead(line: Line, field: Field) -> str:
    seeds = "" if len(field.seeds) < 2 else f", seeds {', '.join(field.seeds)} pooled"
    return f"Scores over {line.axis}; {field.cases} cases, the same for every checkpoint{seeds}."


def _facts(line: Line, field: Field) -> tuple[tuple[str, str], ...]:
    places = [
        (c.label, f"{line.unit} {c.at:.6g}; {', '.join(str(r.folder) for r in c.entrant.runs.values())}")
        for c in line.checkpoints
    ]
    return (*places, *((k, v) for k, v in field.protocol.facts.items()))
