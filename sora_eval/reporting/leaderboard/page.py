"""What a leaderboard shows: scores with ranks, which differences hold, and the clips where models differ most."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sora_eval.reporting.components import plots
from sora_eval.reporting.components.numbers import count, p_value, score, signed, span
from sora_eval.reporting.components.page import (
    FIRST_SAMPLES,
    Block,
    Facts,
    Fold,
    Items,
    Note,
    Page,
    Section,
    sampling_sections,
)
from sora_eval.reporting.components.players import Filters, Gallery, Player
from sora_eval.reporting.components.table import (
    Cell,
    Column,
    Group,
    Mark,
    Row,
    Table,
    interval,
    not_judged,
    row,
    scored,
    table,
)
from sora_eval.reporting.leaderboard.entrants import Entrant, Field
from sora_eval.reporting.leaderboard.fidelity import Figures
from sora_eval.reporting.leaderboard.standing import ALPHA, Standing, holds
from sora_eval.reporting.report import tracking
from sora_eval.reporting.report.fidelity import measured
from sora_eval.stats.intervals import N_BOOT
from sora_eval.stats.paired import Difference
from sora_eval.stats.summary import KINDS
from sora_eval.stats.summary import Cell as Score

MAX_PLOTTED = 8
"""Models in a plot; more are indistinguishable by colour and shape. Tables have all of them."""
MAX_DETAILED = 12
"""Up to this many models their differences are listed by probe on the page."""
LISTED = 40
"""Lines of differences in leaderboard.md; leaderboard.csv has all of them."""
_UNRANKED = "Not ranked: too many clips failed technically"
_GROUPS = {"oracle": "Ceiling", "control": "Controls: the best is the floor", "violation": "Violations"}
_FIDELITY = (
    "Realism, text alignment and consistency, against the oracle's clips of the same cases; value [95% interval]. Each column is one "
    "metric by one protocol; values of two columns can't be compared. A plug-in can only be set beside one of as many clips. Runs with "
    "different seeds stay apart here: a distance of two sets of clips is no mean."
)


def make_page(
    field: Field,
    standing: Standing,
    figures: Figures | None,
    players: Mapping[str, Sequence[Player]],
    shown: Sequence[str],
    command: str,
    sort: str,
    against: str,
    tracked: tracking.TrackingSummary,
) -> Page:
    """Return the page of a leaderboard.

    players: by suite. shown: the models whose clips are shown. sort, against: options of the command.
    """
    summary = standing.summary
    scale = plots.axis(summary.cells)
    plotted = (standing.models or standing.shown)[:MAX_PLOTTED]
    models = len(standing.models) + len(standing.unranked)
    sections = [Section("scores", "Scores", tuple(_scores(field, standing, scale, sort)))]
    if standing.differences:
        title = f"Differences from {standing.against}"
        sections.append(
            Section("differences", title, tuple(_differences(standing, bool(against), models)), "Differences")
        )
    first = f"the first {len(plotted)} of {models} models." if models > len(plotted) else ""
    if plotted:
        note = f"What each model can do: its suites, and below each its probes. {f'Shown: {first}' if first else ''}"
        profiles = plots.Profiles(tuple(_profile(standing, m, scale) for m in plotted))
        sections.append(Section("profiles", "Profiles", (Note(note.strip(), True), plots.key(summary), profiles)))
    for i, suite in enumerate(summary.suites, start=1):
        levels = [(suite, ""), *((suite, p) for p in summary.probes(suite))]
        caption = f"{suite}: score [95% interval], ranks{f', and the difference from {standing.against}' if standing.against else ''}."
        blocks: tuple[Block, ...] = (
            *((Note(f"Drawn: {first}", True),) if first else ()),
            plots.dot_plot(summary, suite, scale, plotted),
            Fold("By probe", (_table(standing, levels, f"Table of {suite}", caption),)),
        )
        sections.append(Section(f"suite-{i}", suite, blocks))
    sections += sampling_sections(summary)
    if figures:
        sampled = (Note(FIRST_SAMPLES),) if summary.sampling else ()
        sections.append(Section("fidelity", "Fidelity", (*sampled, *_fidelity(figures))))
    absent = [e.label for e in field.models if not any(c.generator == e.label for c in tracked.cells)]
    if inner := tracking.blocks(tracked, (*standing.models, *summary.generators), absent):
        sections.append(Section("tracking", "Tracking", inner))
    if players:
        sections.append(
            Section("cases", "Cases", tuple(_cases(field, players, len(shown), models, bool(summary.sampling))))
        )
    rows = sum(len(e.rows) for e in field.entrants)
    footer = (
        f"{rows} clips scored. Intervals of scores: 95%, {N_BOOT} bootstrap samples of clusters of cases. Every number of the tables "
        "is in leaderboard.csv."
    )
    made = "How it was made: command, protocol, runs, fingerprints"
    about = _title(field, standing), _lead(field, standing), command, field.problems, tuple(_facts(field))
    return Page(*about, made, "these runs", tuple(sections), footer, (("leaderboard.csv", "leaderboard.csv"),))


def _title(field: Field, standing: Standing) -> str:
    suites = standing.summary.suites
    what = ", ".join(suites) if len(suites) <= 3 else f"{len(suites)} suites"
    names = ", ".join(standing.models) if 0 < len(standing.models) <= 2 else f"{len(standing.models)} models"
    none = "no ranked model" if standing.unranked else "references only"
    return f"Leaderboard: {names if standing.models else none} on {what}"


def _lead(field: Field, standing: Standing) -> str:
    size = field.protocol.facts.get("size", "")
    shape = f" at {size}" if size else ""
    seeds = f"; seeds {', '.join(field.seeds)} pooled" if len(field.seeds) > 1 else ""
    share = f" ({field.cases / field.of:.0%} of all)" if field.cases < field.of else ""
    runs = len({id(run) for e in field.entrants for run in e.runs.values()})
    samples = f"; {standing.summary.samples} samples per prompt" if standing.summary.sampling else ""
    text = f"{count(runs, 'run')}, {count(field.cases, 'case')}{share} of {count(_probes(standing), 'probe')}{shape}{samples}{seeds}."
    if not standing.against:
        return text
    return f"{text} Every model is compared with {standing.against}, case by case."


def _probes(standing: Standing) -> int:
    return sum(len(standing.summary.probes(s)) for s in standing.summary.suites)


def _facts(field: Field) -> Iterator[tuple[str, str]]:
    yield from ((name, str(value)) for name, value in field.protocol.facts.items())
    versions = ", ".join(f"{name} {version}" for name, version in sorted(field.protocol.probes.items()))
    yield "probe versions", versions
    for e in field.entrants:
        yield f"{e.kind} {e.label}", "; ".join(_runs_of(e))


def _runs_of(entrant: Entrant) -> Iterator[str]:
    for seed, run in entrant.runs.items():
        yield f"seed {seed}: {shown_path(run.folder)}" if seed else shown_path(run.folder)
    if prints := [p for p in entrant.fingerprints if p]:
        yield f"fingerprint {', '.join(prints)}"


def shown_path(folder: Path) -> str:
    """Return a folder as a page may name it: nothing of the machine that made it."""
    return folder.name if folder.is_absolute() else folder.as_posix()


def _scores(field: Field, standing: Standing, scale: plots.Axis, sort: str) -> Iterator[Block]:
    summary = standing.summary
    if field.notes:
        yield Items(tuple(("", note) for note in field.notes))
    yield plots.key(summary)
    samples = f" {summary.samples} samples per prompt: a case's score is their mean." if summary.sampling else ""
    marks = (
        f" ▼ ▲: below or above {standing.against}, ≈: no difference from it is shown; paired by case, clustered by scene, corrected by "
        "Holm over all models and columns of a level."
        if standing.against
        else ""
    )
    caption = (
        "Score [95% interval]; a clip that could not be judged counts as 0. A suite is the mean over its probes, overall is the mean "
        f"over the suites. Rank: from the best to the worst that the scores leave to a model, all pairs at once with 95%.{samples}{marks}"
    )
    # With one suite the overall score repeats it.
    levels = [("", ""), *((s, "") for s in summary.suites)][len(summary.suites) < 2 :]
    yield _table(standing, levels, "Table of scores", caption, scale, sort)


def _table(
    standing: Standing,
    levels: Sequence[tuple[str, str]],
    name: str,
    caption: str,
    scale: plots.Axis | None = None,
    sort: str = "",
) -> Table:
    """Return scores at levels, (suite, probe) each. scale: for bars, which come with ranks and counts; None for neither."""
    summary = standing.summary
    most = [max(c.probes for g in summary.generators if (c := summary.get(g, *at))) for at in levels]
    by = next((i for i, (suite, _) in enumerate(levels) if suite == sort), 0) if scale else -1
    heads = [
        Column(probe or suite or "Overall", "cell", "descending", i == by) for i, (suite, probe) in enumerate(levels)
    ]
    rank = [Column("Rank", "count", "ascending")] if scale else []
    tail = (
        [Column("Not judged", "count", "ascending"), Column("Mean of judged", "count", "descending")] if scale else []
    )

    def line(label: str) -> Row:
        overall = summary.get(label)
        assert overall is not None
        cells = [
            _score(standing, summary.get(label, *at), probes, scale) for at, probes in zip(levels, most, strict=True)
        ]
        return row(
            [label, *([_rank(standing, overall)] if scale else []), *cells, *(_counts(overall) if scale else [])]
        )

    groups = [Group(tuple(map(line, standing.models)), ranked=True)]
    if standing.unranked:
        groups.append(Group(tuple(map(line, standing.unranked)), _UNRANKED))
    for kind in KINDS[1:]:
        if names := summary.of_kind(kind):
            groups.append(Group(tuple(map(line, names)), _GROUPS[kind], kind))
    return Table(name, caption, (Column("Model", "text", "ascending"), *rank, *heads, *tail), tuple(groups), terse=True)


def _rank(standing: Standing, overall: Score) -> Cell:
    first, last = standing.rank(overall) or (0, 0)
    return Cell(ranks(first, last), key=first + last / 1000 if first else "")


def _counts(overall: Score) -> tuple[Cell, Cell]:
    share = overall.unjudgeable / overall.n
    mean = Cell(score(overall.judged_mean), key="" if overall.judged_mean is None else overall.judged_mean)
    return Cell(f"{not_judged(overall)} ({100 * share:.0f}%)", key=share), mean


def _score(standing: Standing, cell: Score | None, probes: int, scale: plots.Axis | None) -> Cell:
    if cell is None:
        return scored(None)
    rank = standing.rank(cell) if len(standing.models) > 1 else None
    bar = plots.bar(standing.summary, cell, scale) if scale and not cell.failed else None
    difference = standing.difference(cell)
    mark = _mark(difference, standing.against) if difference else None
    return scored(cell, bar, probes, mark=mark, rank=ranks(*rank) if rank else "")


def _mark(d: Difference, against: str) -> Mark:
    by = f"{signed(d.mean)}, p {p_value(d.adjusted)}"
    if not holds(d):
        return Mark("≈", f"no difference from {against} is shown", f"no difference from {against} is shown; {by}")
    way, symbol = ("below", "▼") if d.mean < 0 else ("above", "▲")
    return Mark(symbol, f"{way} {against}", f"{way} {against} by {by}", way)


def ranks(first: int, last: int) -> str:
    """Return an interval of ranks as text."""
    return "" if not first else str(first) if first == last else f"{first}–{last}"


def _differences(standing: Standing, chosen: bool, models: int) -> Iterator[Block]:
    drawn = [m for m in standing.models if m != standing.against][:MAX_DETAILED]
    detailed = len(standing.models) <= MAX_DETAILED
    yield Note(
        "The same cases, model by model: the mean difference with its 95% interval, clustered by scene. p is corrected by Holm over "
        f"all models (and suites) of a level; a difference holds at p ≤ {ALPHA}."
        + (
            ""
            if chosen
            else " The model that all are compared with is the one that scored best here, which flatters it a little."
        )
        + (f" Drawn for the first {len(drawn)}; the table has all." if models > len(drawn) + 1 else "")
    )
    yield _forest(standing, drawn)
    # What matters most first: all suites, then a suite, then probes.
    every = [(m, d) for (m, _, _), d in standing.differences.items() if detailed or not d.probe]
    every.sort(key=lambda item: (bool(item[1].suite) + bool(item[1].probe), bool(item[1].probe) and not holds(item[1])))
    rows = [
        (
            *(model, d.suite or "overall", d.probe or "all"),
            interval(d.mean, d.low, d.high, signed),
            Cell(p_value(d.adjusted), key=d.adjusted),
            "yes" if holds(d) else "no",
            *(Cell(score(d.detectable), key=d.detectable), str(d.n), str(d.clusters)),
        )
        for model, d in every
    ]
    columns = (
        *("Model", "Suite", "Probe", Column("Difference", "cell", "descending"), Column("p, corrected", "count")),
        *(Column("Holds", "text", "descending"), Column("Detectable", "count")),
        *(Column("Cases", "count", "descending"), Column("Scenes", "count", "descending")),
    )
    more = "" if detailed else " leaderboard.csv has the probes."
    caption = f"Model minus {standing.against}. Detectable: the smallest true difference detected with power 0.8.{more}"
    listed = table("All differences", caption, columns, rows, sort=True)
    listed = replace(listed, most=LISTED, rest="leaderboard.csv has all of them.")
    yield Fold("All differences", (listed,), f"{len(rows)} lines")


def _forest(standing: Standing, drawn: Sequence[str]) -> plots.DotPlot:
    suites = standing.summary.suites
    # With one suite overall repeats it.
    levels = ("", *suites) if len(suites) > 1 else suites
    differences = {(s, m): d for s in levels for m in drawn if (d := standing.differences.get((m, s, "")))}
    ends = [abs(v) for d in differences.values() for v in (d.low, d.high) if math.isfinite(v)]
    most = min(2.0, math.ceil(max([0.1, *ends]) * 10) / 10)
    scale = plots.Axis(-most, most)
    lanes = []
    for suite in levels:
        lanes.append(plots.Lane(suite or "Overall"))
        for m in drawn:
            if not (d := differences.get((suite, m))):
                continue
            verdict = "the difference holds" if holds(d) else "not shown"
            text = f"minus {standing.against} {signed(d.mean)}, interval {signed(d.low)} to {signed(d.high)}, {verdict}"
            at = scale.at(d.mean), scale.at(d.low), scale.at(d.high), 0, "circle" if holds(d) else "open"
            note = f"{signed(d.mean)} {span(d.low, d.high, signed)}, p {p_value(d.adjusted)}"
            lanes.append(plots.Lane(m, (plots.Dot(text, *at),), plots.Marks(scale.at(0.0)), note))
    key = (
        ("chance", f"0: as good as {standing.against}", -1),
        ("circle", "the difference holds", 0),
        ("open", "not shown", 0),
    )
    return plots.DotPlot("difference, 95% interval", scale.ticks, tuple(lanes), plots.Key(key))


def _profile(standing: Standing, label: str, scale: plots.Axis) -> plots.Profile:
    summary = standing.summary
    lines = []
    for suite in summary.suites:
        for probe in ("", *summary.probes(suite)):
            if c := summary.get(label, suite, probe):
                level, ends = "probe" if probe else "suite", f"{score(c.low)} to {score(c.high)}"
                lines.append((level, probe or suite, score(c.score), ends, plots.bar(summary, c, scale)))
    overall = summary.get(label)
    assert overall is not None
    return plots.Profile(label, f"{score(overall.score)} {span(overall.low, overall.high)} overall", tuple(lines))


def _fidelity(figures: Figures) -> Iterator[Block]:
    numbered = {c: f"{c.metric}{f' (protocol {c.number})' if c.number else ''}" for c in figures.columns}
    columns = [Column("Model", "text", "ascending")]
    for c in figures.columns:
        name = f"{numbered[c]}, {'higher' if c.higher_is_better else 'lower'} is better"
        columns.append(Column(name, "cell", "descending" if c.higher_is_better else "ascending"))
    groups: dict[bool, list[Row]] = {True: [], False: []}
    for label, seed, kind in figures.rows:
        cells = [Cell(label, notes=(f"seed {seed}",) if figures.seeds > 1 else ())]
        for c in figures.columns:
            m = figures.cells.get((label, seed, c))
            clips = (f"{'/'.join(map(str, m.n))} clips",) if m and c.clips else ()
            cells.append(replace(measured(m), notes=clips))
        groups[kind == "model"].append(row(cells))
    yield Table(
        "Table of fidelity", _FIDELITY, tuple(columns), tuple(Group(tuple(r), ranked=k) for k, r in groups.items())
    )
    if figures.absent:
        yield Note(f"Not measured: {'; '.join(f'{name} ({why})' if why else name for name, why in figures.absent)}.")
    yield Facts("Protocols: what each number depends on", tuple((numbered[c], c.protocol) for c in figures.columns))


def _cases(
    field: Field, players: Mapping[str, Sequence[Player]], sides: int, models: int, sampled: bool
) -> Iterator[Block]:
    count_ = sum(map(len, players.values()))
    yield Note(
        f"{count_} of {field.cases} cases: {'those where the models differ most' if sides > 1 else 'the worst'}, of every probe in turn"
        f"{', the first sample of each' if sampled else ''}{f'; the first {sides} of {models} models' if models > sides else ''}. "
        "Solid lines are the measured tracks, the ring is where an object is now; dashed lines are the truth's tracks.",
        page_only=True,
    )
    probes = tuple(dict.fromkeys(dict(p.tags)["probe"] for own in players.values() for p in own))
    yield Filters((("probe", "Probe", probes),), count_)
    for i, (suite, own) in enumerate(players.items()):
        yield Gallery(suite, count(len(own), "case"), tuple(own), open=i == 0)
