"""What the report of a run shows: verdict and summary first, details folded below."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sora_eval.reporting.components import plots
from sora_eval.reporting.components.numbers import count, figure, part, score
from sora_eval.reporting.components.page import (
    FIRST_SAMPLES,
    Block,
    Fold,
    Items,
    Note,
    Page,
    Section,
    sampling_sections,
)
from sora_eval.reporting.components.players import OUTCOMES, Beside, Filters, Gallery, Player, anchor, outcome, verdict
from sora_eval.reporting.components.table import (
    Cell,
    Column,
    Group,
    Table,
    row,
    scored,
    table,
)
from sora_eval.reporting.components.text import TECHNICAL
from sora_eval.reporting.report import aspects, given_frames, outcomes, recipe, tracking, verdicts
from sora_eval.reporting.report.fidelity import Sheet
from sora_eval.reporting.report.reasons import expected, why
from sora_eval.runs.reader import Run
from sora_eval.runs.store import scores_file
from sora_eval.stats.failures import technical
from sora_eval.stats.intervals import N_BOOT
from sora_eval.stats.samples import prompts
from sora_eval.stats.summary import KINDS, Reason, Summary
from sora_eval.stats.summary import Cell as Score
from sora_eval.types import Case, ScoreRow

LISTED_MODELS = 2
"""Up to this many models the verdicts on suites are unfolded."""
LINKED = ("card.json", "scores.csv", "summary.json")
GROUPS = {"model": "Models", "oracle": "Oracle", "control": "Controls", "violation": "Violations"}


def make_page(
    run: Run,
    summary: Summary,
    shown: tuple[Sequence[Beside], Sequence[Beside]] = ((), ()),
    fidelity: Mapping[str, Sheet] | None = None,
    tracked: tracking.TrackingSummary | None = None,
    name: str = "",
    card: Mapping[str, Any] | None = None,
) -> Page:
    """Return the page of a run.

    shown: clips of models and of references. fidelity: measures by suite, "" for all of them. tracked: tracking metrics. name: the title,
    what was tested on what by default.
    card: the reproduction card.
    """
    scale = plots.axis(summary.cells)
    sheets = dict(fidelity or {})
    sections = [Section("scores", "Scores", tuple(_scores(run, summary, scale)))]
    sections += sampling_sections(summary)
    for i, suite in enumerate(summary.suites, start=1):
        sections.append(Section(f"suite-{i}", suite, tuple(_suite(run, summary, suite, scale, sheets.get(suite)))))
    if "" in sheets:
        first = (Note(FIRST_SAMPLES),) if summary.sampling else ()
        sections.append(
            Section("fidelity", "Fidelity", (*first, Fold("Measures of all suites", sheets[""].blocks("All suites"))))
        )
    if tracked and (inner := tracking.blocks(tracked, summary.generators)):
        sections.append(Section("tracking", "Tracking", (Fold("Tracking metrics", inner),)))
    if inner := given_frames.blocks(run.rows, summary.generators):
        sections.append(Section("given", "Given frames", inner))
    if shown[0] or shown[1]:
        clips = {} if tracked is None else tracked.clips
        sections.append(Section("cases", "Cases", tuple(_cases(run, summary, *shown, clips))))
    if card:
        sections.append(Section("recipe", "Reproduction card", tuple(recipe.blocks(card)), "Recipe"))
    footer = (
        f"{len(run.rows)} clips scored. Intervals: 95%, {N_BOOT} bootstrap samples of clusters of cases. Every number of this page is in "
        "summary.json."
    )
    return Page(
        name or title(summary),
        _lead(run, summary),
        command(run.manifest),
        grouped(run.problems, {c.id for c in run.cases}),
        tuple(_facts(run.manifest)),
        "How it was made: command, versions, machine, fingerprints, timings",
        "this run",
        tuple(sections),
        footer,
        () if name else tuple((file, file) for file in (*LINKED[:1], scores_file(run.folder).name, *LINKED[1:])),
    )


def title(summary: Summary) -> str:
    """Return what was tested, on what."""
    return f"{_several(plots.series(summary), 'generators')} on {_several(summary.suites, 'suites')}"


def command(manifest: Mapping[str, Any]) -> str:
    """Return the command that reproduces the run."""
    words = manifest.get("command", "")
    return shlex.join(str(part) for part in words) if isinstance(words, list) else str(words)


def grouped(problems: Sequence[str], cases: set[str]) -> tuple[str, ...]:
    """Return problems, those that are the same but for their case as one line with their number. cases: ids."""
    groups: dict[str, list[str]] = {}
    for line in problems:
        where, _, text = line.partition(": ")
        generator, _, case = where.rpartition(" on ")
        known = case in cases
        groups.setdefault(f"{generator}: {text}" if known and generator else text if known else line, []).append(case)
    return tuple(
        text if len(where) == 1 and where[0] not in cases else f"{text} ({count(len(where), 'case')}: {_first(where)})"
        for text, where in groups.items()
    )


def _first(names: Sequence[str]) -> str:
    return f"{', '.join(names[:2])}{', ...' if len(names) > 2 else ''}"


def _several(names: Sequence[str], what: str) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} {what}"


def _lead(run: Run, summary: Summary) -> str:
    kinds = [
        f"{len(g)} {GROUPS[k].lower().rstrip('s')}{'s' if len(g) > 1 else ''}"
        for k in KINDS
        if (g := summary.of_kind(k))
    ]
    samples = f", {summary.samples} samples per prompt of models" if summary.sampling else ""
    failed, broken = sum(r.value is None for r in run.rows), technical(run.rows)
    reasons = f", {broken} of them for technical reasons" if broken else ""
    about = [f"{k} {run.manifest[k]}" for k in ("profile", "seed") if run.manifest.get(k) not in (None, "")]
    return (
        f"{len(run.rows)} clips of {prompts(run.rows)} cases by {', '.join(kinds)}{samples}; {failed} could not be judged{reasons}."
        + (f" Run: {', '.join(about)}." if about else "")
    )


def _facts(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in manifest.items():
        if name in ("command", "problems"):
            continue
        if name == "generators" and isinstance(value, list):
            for g in value:
                if isinstance(g, Mapping):
                    yield f"generator {g.get('name', '')}", f"{g.get('kind', '')} {g.get('fingerprint', '')}"
        elif isinstance(value, Mapping) and name != "config":
            yield from ((f"{name}: {key}", _plain(inner)) for key, inner in value.items())
        else:
            yield name.replace("_", " "), _plain(value)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _scores(run: Run, summary: Summary, scale: plots.Axis) -> Iterator[Block]:
    lines = verdicts.verdicts(run.rows, summary)
    models = summary.of_kind("model")
    few = len(models) <= LISTED_MODELS
    if lines:
        yield _items([v for v in lines if few or not v.suite], len(models) > 1)
    if lines and not few and len(summary.suites) > 1:
        yield Fold("Verdicts by suite", (_items([v for v in lines if v.suite], True),))
    yield _headline(summary, scale)
    yield plots.key(summary)
    if lines:
        yield Note(verdicts.HOW)


def _items(lines: Sequence[verdicts.Verdict], named: bool) -> Items:
    heads = [" · ".join(p for p in (v.model if named else "", v.suite or "Overall") if p) for v in lines]
    return Items(tuple((head, v.text) for head, v in zip(heads, lines, strict=True)), tuple(v.style for v in lines))


def _headline(summary: Summary, scale: plots.Axis) -> Table:
    # With one suite the overall score repeats it.
    suites = ("", *summary.suites) if len(summary.suites) > 1 else summary.suites
    most = {s: max(c.probes for g in summary.generators if (c := summary.get(g, s))) for s in suites}
    broken = any(c.technical for c in summary.cells)
    groups = []
    for kind in dict.fromkeys(summary.kind(g) for g in summary.generators):
        rows = []
        for g in summary.of_kind(kind):
            if not (overall := summary.get(g)):
                continue
            cells = [(c, s) for s in suites for c in [summary.get(g, s)]]
            rows.append(
                row((
                    g,
                    *(scored(c, _bar(summary, c, scale), most[s], counts=bool(s)) for c, s in cells),
                    f"{overall.unjudgeable - overall.technical} of {overall.n}",
                    *([f"{overall.technical} of {overall.n}"] if broken else []),
                    score(overall.judged_mean),
                ))
            )  # fmt: skip
        groups.append(Group(tuple(rows), GROUPS.get(kind, kind), "" if kind == "model" else kind))
    each = f" {summary.samples} samples per prompt: a case's score is their mean." if summary.sampling else ""
    caption = (
        "Score [95% interval]. A clip that could not be judged counts as 0. A suite is the mean over its probes, overall is the mean "
        f"over the suites.{each} The floor is the best control's score, which a model has to beat. Not judged: the clip does not "
        f"show what the prompt names, so that nothing can be measured{f'; {TECHNICAL}' if broken else ''}."
    )
    counts = (Column(c, "count") for c in ("Not judged", *(["Technical failure"] if broken else []), "Mean of judged"))
    columns = (Column("Generator"), *(Column(s or "Overall", "cell") for s in suites), *counts)
    return Table("Scores by suite", caption, columns, tuple(groups), terse=True)


def _bar(summary: Summary, cell: Score | None, scale: plots.Axis) -> plots.Bar | None:
    return plots.bar(summary, cell, scale) if cell and not cell.failed else None


def _suite(run: Run, summary: Summary, suite: str, scale: plots.Axis, sheet: Sheet | None) -> Iterator[Block]:
    cells = [c for g in summary.generators if (c := summary.get(g, suite))]
    n, failed, broken = (sum(v) for v in zip(*((c.n, c.unjudgeable, c.technical) for c in cells), strict=True))
    yield Note(
        f"{count(len(summary.probes(suite)), 'probe')}, {n} clips, {failed} not judged"
        f"{f', {broken} technically' if broken else ''}."
    )
    yield plots.dot_plot(summary, suite, scale, plots.series(summary))
    yield Fold("By probe and mode", (_probes(summary, suite),))
    # Controls are wrong by design.
    subjects = summary.of_kind("model") or summary.generators
    reasons = [r for r in summary.reasons if r.suite == suite and r.generator in subjects]
    for name, own in (
        ("Why clips were not judged", [r for r in reasons if not r.failure]),
        ("Technical failures", [r for r in reasons if r.failure]),
    ):
        if own:
            yield Fold(name, (_reasons(suite, name, own),), count(sum(r.count for r in own), "clip"))
    if found := aspects.by_aspect([r for r in run.rows if r.suite == suite], run.cases, summary.generators):
        yield aspects.aspect_table(found)
    if drawn := outcomes.outcome_scores([r for r in run.rows if r.suite == suite], run.cases, summary.generators):
        yield outcomes.outcome_table(drawn)
    if sheet:
        yield Fold(f"Fidelity of {suite}", sheet.blocks(suite))


def _probes(summary: Summary, suite: str) -> Table:
    rows = []
    for probe in summary.probes(suite):
        modes = summary.modes(suite, probe)
        # A probe of one mode would repeat itself.
        for mode in ("", *modes) if len(modes) > 1 else ("",):
            cells = [summary.get(g, suite, probe, mode) for g in summary.generators]
            chance = next(c.chance for c in cells if c)
            first = Cell(f"{probe} ({modes[0]})" if len(modes) == 1 else probe)
            head = Cell(mode, hidden=f"of {probe}") if mode else first
            rows.append(row((head, score(chance), *map(_judged, cells)), minor=bool(mode)))
    caption = f"{suite}: score [95% interval] of each generator; the first line of a probe covers all its modes."
    columns = (Column("Probe"), Column("Blind guess", "count"), *(Column(g, "cell") for g in summary.generators))
    return Table(f"{suite}: scores by probe and mode", caption, columns, (Group(tuple(rows)),))


def _judged(cell: Score | None) -> Cell:
    """Return a score, and where not all clips were judged the mean of those that were."""
    shown = scored(cell)
    if not cell or not cell.unjudgeable or cell.judged_mean is None:
        return shown
    return Cell(
        shown.text,
        shown.span,
        (*shown.notes, f"mean of judged {score(cell.judged_mean)}"),
        shown.key,
        absent=shown.absent,
    )


def _reasons(suite: str, name: str, reasons: Sequence[Reason]) -> Table:
    """Return reasons with their numbers, the same ones of several generators and probes in one line."""
    by: dict[str, list[Reason]] = {}
    for r in reasons:
        by.setdefault(r.reason, []).append(r)
    lines = sorted(by.items(), key=lambda item: -sum(r.count for r in item[1]))
    rows = [
        (
            Cell(reason),
            ", ".join(dict.fromkeys(r.generator for r in own)),
            ", ".join(dict.fromkeys(r.probe for r in own)),
            str(sum(r.count for r in own)),
        )
        for reason, own in lines
    ]
    caption = f"{suite}: most frequent first; summary.json has them by generator and probe."
    columns = (Column("Reason", "wide"), "Generators", "Probes", Column("Clips", "count"))
    return table(f"{suite}: {name.lower()}", caption, columns, rows)


def _cases(
    run: Run,
    summary: Summary,
    models: Sequence[Beside],
    references: Sequence[Beside],
    clips: Mapping[tuple[str, str], Mapping[str, float]],
) -> Iterator[Block]:
    order = {(s, p): i for i, (s, p) in enumerate((s, p) for s in summary.suites for p in summary.probes(s))}
    shown = sorted(models, key=lambda b: (order[b[0].suite, b[0].probe], b[0].counted))
    rows = [r for r, _ in shown]
    cases = {c.id: c for c in run.cases}
    yield Note(
        f"{len(rows)} of the {sum(r.kind == 'model' for r in run.rows)} clips by models: the worst of each model and probe, beside the "
        "truth; within a probe the worst come first. Solid lines are the measured tracks, the ring is where an object is "
        "now; dashed lines are the truth's tracks. A track breaks where the object was not detected.",
        page_only=True,
    )
    choices = (
        ("generator", "Generator", tuple(dict.fromkeys(r.generator for r in rows))),
        ("probe", "Probe", tuple(dict.fromkeys(f"{r.suite}/{r.probe}" for r in rows))),
        ("outcome", "Outcome", tuple(o for o in OUTCOMES if o in {outcome(r) for r in rows})),
    )
    yield Filters(choices, len(rows))
    for i, suite in enumerate(dict.fromkeys(r.suite for r in rows)):
        own = tuple(_player(r, sides, clips, cases[r.case]) for r, sides in shown if r.suite == suite)
        yield Gallery(suite, count(len(own), "clip"), own, open=i == 0)
    if references:
        own = tuple(_player(r, sides, clips, cases[r.case]) for r, sides in references)
        yield Gallery("Oracle, controls and violations", count(len(own), "clip"), own, filtered=False)


def _player(r: ScoreRow, sides: Any, clips: Mapping[tuple[str, str], Mapping[str, float]], case: Case) -> Player:
    facts = {
        "Components of the score": {k: part(v) for k, v in r.components.items()},
        "Tracking metrics of this clip": {k: figure(v) for k, v in clips.get((r.generator, r.case), {}).items()},
    }
    return Player(
        case=r.case,
        label=f"{r.generator} on {r.case}",
        title=r.generator,
        detail=f"{r.probe} · {r.mode}",
        prompt=r.prompt,
        sides=sides,
        verdict=verdict(r),
        judged=r.value is not None,
        lines=tuple(sentence for sentence in (expected(case, r), why(r)) if sentence),
        facts=tuple((name, tuple(items.items())) for name, items in facts.items() if items),
        where=tuple(p for p in (r.case, r.video) if p),
        tags=(("generator", r.generator), ("probe", f"{r.suite}/{r.probe}"), ("outcome", outcome(r))),
        id=anchor(r),
    )
