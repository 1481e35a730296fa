"""The page of a sweep over checkpoints: a curve per probe, the first regressing checkpoint marked, and the cases that lost most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sora_eval.files import write_text
from sora_eval.reporting.components import plots
from sora_eval.reporting.components.html import render
from sora_eval.reporting.components.numbers import p_value, signed
from sora_eval.reporting.components.page import Block, Items, Note, Page, Section
from sora_eval.reporting.components.players import ClipStore, Filters, Gallery, Player, clips_of
from sora_eval.reporting.components.table import Cell, Column, Mark, Table, scored, table
from sora_eval.reporting.components.text import markdown
from sora_eval.reporting.leaderboard.clips import comparison
from sora_eval.reporting.leaderboard.entrants import Field, gather
from sora_eval.reporting.sweep.curves import Line, curve, in_line
from sora_eval.stats.failures import too_many
from sora_eval.stats.regressions import Change, changes, first_regressions
from sora_eval.stats.summary import Summary, summarise
from sora_eval.types import ScoreRow

CASES_EACH = 2
"""Cases shown of each regression."""
MAX_SHOWN = 12


@dataclass(frozen=True)
class Finding:
    """A regression in words."""

    level: str
    """"overall", a suite, or suite/probe."""
    label: str
    """Checkpoint that is worse."""
    best: str
    """The best checkpoint before it."""
    change: Change
    """Difference of the two, with its p-value."""

    @property
    def text(self) -> str:
        """The regression as one sentence."""
        c = self.change
        return (
            f"{self.level}: {self.label} scores {c.score:.2f} after {c.before:.2f} of {self.best}: "
            f"{c.mean:+.2f} [{c.low:+.2f}, {c.high:+.2f}], p {p_value(c.adjusted)}"
        )


def write_curves(runs: Sequence[Path], out: Path, command: str, evidence: bool = True) -> Path | None:
    """Write curves.html and curves.md for the checkpoints among runs; return the page, None when they are in no order.

    runs: folders of finished runs, of several seeds too. evidence: whether the cases that lost most are shown with their clips.
    Raises as `gather` does when they can't be compared.
    """
    field = gather(runs)
    whole = [m for m in field.models if m.cases == field.cases]
    # A technical failure would appear as a regression.
    left_out = {m.label: why for m in whole if (why := too_many(m.rows))}
    line = in_line([m for m in whole if m.label not in left_out])
    if line is None:
        return None
    field = replace(
        field, notes=(*field.notes, *(f"{label} is not on the curves: {why}" for label, why in left_out.items()))
    )
    summary = summarise(field.rows)
    changed = changes([c.entrant.rows for c in line.checkpoints])
    findings = [_finding(c, [c.label for c in line.checkpoints]) for c in first_regressions(changed)]
    lost = _lost(findings, line, field) if evidence else []
    page = make_page(field, line, summary, changed, findings, lost, command)
    write_text(out / "curves.md", markdown(page))
    write_text(out / "curves.html", render(page, clips_of(p.sides for _, players in lost for p in players)))
    return out / "curves.html"


def make_page(
    field: Field,
    line: Line,
    summary: Summary,
    changed: Sequence[Change],
    findings: Sequence[Finding],
    lost: Sequence[tuple[Finding, Sequence[Player]]],
    command: str,
) -> Page:
    """Return what the page shows. changed: the changes between the checkpoints of `line`. lost: the cases that lost most."""
    labels = [c.label for c in line.checkpoints]
    axis = plots.axis([c for c in summary.cells if c.generator in labels and not c.mode])
    levels = [("overall", "", ""), *((s, s, "") for s in summary.suites)]
    entries = [e for e in plots.key(summary).entries if e[0] != "chance"]
    fell = "worse than the best checkpoint before it (paired by case, clustered by scene, Holm over all pairs of checkpoints)"
    head: tuple[Block, ...] = (
        *([Items(tuple(("", note) for note in field.notes))] if field.notes else []),
        Items(tuple(("", f.text) for f in findings)) if findings else Note(_unchanged(changed)),
        plots.Key((("fell", fell, 1), ("chance", "0: what a blind guess scores", -1), *entries)),
        Note(
            f"From left to right: {line.axis}, from {labels[0]} to {labels[-1]}; upwards: score, with its 95% interval.",
            True,
        ),
        plots.LinePlots(tuple(curve(line, summary, *level, changed, axis) for level in levels)),
        _table(line, summary, changed, levels),
    )
    sections = [Section("scores", "Regressions" if findings else "Scores", head, "Scores")]
    for i, suite in enumerate(summary.suites, start=1):
        curves = tuple(curve(line, summary, p, suite, p, changed, axis) for p in summary.probes(suite))
        sections.append(Section(f"suite-{i}", suite, (plots.LinePlots(curves),)))
    if lost:
        note = (
            "Of each regression: the best checkpoint before it, the one that regressed, and the truth. Solid lines are the measured "
            "tracks, dashed lines the truth's."
        )
        folds = (Gallery(f.text, "", tuple(players), open=True) for f, players in lost)
        blocks: tuple[Block, ...] = (Note(note, True), Filters((), sum(len(players) for _, players in lost)), *folds)
        sections.append(Section("cases", "Cases that lost most", blocks))
    manifest = next(iter(line.checkpoints[0].entrant.runs.values())).manifest
    return Page(
        f"{len(labels)} checkpoints, {manifest.get('suite')} suite",
        _lead(line, field),
        command,
        field.problems,
        _facts(line, field),
        "How it was made: command, checkpoints, runs, protocol",
        "these runs",
        tuple(sections),
        "Intervals of scores: 95%, bootstrap over scenes. The same findings are in curves.md.",
    )


def _unchanged(changed: Sequence[Change]) -> str:
    """Return what is known when nothing regressed."""
    lows = [c.low for c in changed if not c.suite and not c.probe]
    width = f" The intervals of the overall differences reach down to {min(lows):+.2f}." if lows else ""
    return f"No checkpoint is shown to be worse than the best one before it.{width}"


def _table(line: Line, summary: Summary, changed: Sequence[Change], levels: Sequence[tuple[str, str, str]]) -> Table:
    by_cell = {(c.at, c.suite, c.probe): c for c in changed}
    rows = []
    for i, c in enumerate(line.checkpoints):
        cells = (
            _with_change(scored(summary.get(c.label, suite, probe), counts=False), by_cell.get((i, suite, probe)))
            for _, suite, probe in levels
        )
        rows.append([Cell(c.label), Cell(f"{c.at:.4g}"), *cells])
    caption = (
        "Score [95% interval] and the difference from the best checkpoint before. ▼: worse than it, paired by case, clustered by "
        "scene, Holm over all pairs."
    )
    columns = (Column("Checkpoint"), Column(line.unit, "count"), *(Column(name, "cell") for name, _, _ in levels))
    return table("In numbers", caption, columns, rows)


def _with_change(cell: Cell, change: Change | None) -> Cell:
    if change is None or cell.absent:
        return cell
    symbol = f"{'▼ ' if change.regressed else ''}{signed(change.mean)}"
    text = "worse than the best before" if change.regressed else "against the best before"
    return replace(cell, mark=Mark(symbol, text, style="below" if change.regressed else ""))


def _finding(change: Change, labels: Sequence[str]) -> Finding:
    level = "/".join(part for part in (change.suite, change.probe) if part) or "overall"
    return Finding(level, labels[change.at], labels[change.best], change)


def _lost(findings: Sequence[Finding], line: Line, field: Field) -> list[tuple[Finding, list[Player]]]:
    """Return the cases that lost most, of probes where those regressed and else of the suite or overall, until the page is full."""
    store = ClipStore(Path())
    truths = {r.case: r for e in field.entrants if e.kind == "oracle" for r in e.rows}
    deepest = [f for f in findings if f.change.probe] or [f for f in findings if f.change.suite] or list(findings)
    lost: list[tuple[Finding, list[Player]]] = []
    for finding in sorted(deepest, key=lambda f: f.change.mean):
        if store.full(1.0) or len(lost) * CASES_EACH >= MAX_SHOWN:
            break
        before, after = (line.checkpoints[k].entrant for k in (finding.change.best, finding.change.at))
        pairs = lost_most(before.rows, after.rows, finding.change)
        # One case may have lost most in several regressions: it has no address of its own here.
        lost.append((finding, [replace(comparison(store, p, truths.get(p[1].prompt_id)), id="") for p in pairs]))
    return lost


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
    # Of equals, those with a clip; of a prompt, one sample.
    pairs.sort(key=lambda p: (p[1].counted - p[0].counted, not p[1].video, p[1].case))
    return list({a.prompt_id: (b, a) for b, a in reversed(pairs)}.values())[::-1][:limit]


def _lead(line: Line, field: Field) -> str:
    seeds = "" if len(field.seeds) < 2 else f", seeds {', '.join(field.seeds)} pooled"
    return f"Scores over {line.axis}; {field.cases} cases, the same for every checkpoint{seeds}."


def _facts(line: Line, field: Field) -> tuple[tuple[str, str], ...]:
    places = [
        (c.label, f"{line.unit} {c.at:.6g}; {', '.join(str(r.folder) for r in c.entrant.runs.values())}")
        for c in line.checkpoints
    ]
    return (*places, *((k, v) for k, v in field.protocol.facts.items()))
