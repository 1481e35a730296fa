"""One page over many runs: every clip with its outcome in one table, and the same case of several runs side by side."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from sora_eval.errors import ConfigError
from sora_eval.files import write_text
from sora_eval.reporting.components.html import render
from sora_eval.reporting.components.numbers import count, score
from sora_eval.reporting.components.page import Block, Note, Page, Section
from sora_eval.reporting.components.players import (
    OUTCOMES,
    ClipStore,
    Filters,
    Gallery,
    Player,
    anchor,
    clips_of,
    outcome,
)
from sora_eval.reporting.components.table import Cell, Column, Group, Row, Table, row, table
from sora_eval.reporting.leaderboard.clips import MAX_SIDES, comparison, contested
from sora_eval.reporting.leaderboard.entrants import read_runs
from sora_eval.reporting.report.page import command as run_command
from sora_eval.reporting.report.page import grouped
from sora_eval.reporting.report.reasons import expected, why
from sora_eval.runs.naming import natural
from sora_eval.runs.reader import Run
from sora_eval.types import Case, ScoreRow

CASES = 24
LINES = 3000
"""Lines of the table: 3 MB of HTML, which a browser sorts and filters without a pause."""
_TITLES = tuple(o.capitalize() for o in OUTCOMES)
_TAGS = (
    ("run", "Run"),
    ("generator", "Generator"),
    ("suite", "Suite"),
    ("probe", "Probe"),
    ("mode", "Mode"),
    ("seed", "Seed"),
    ("outcome", "Outcome"),
)


@dataclass(frozen=True)
class Entry:
    """A clip of a run."""

    run: Run
    """The run."""
    label: str
    """Name of the run's folder, unique on the page."""
    name: str
    """Name of the generator."""
    row: ScoreRow
    """The clip's scores; its generator is unique on the page, its paths start with the run's folder."""
    case: Case
    """The case."""
    key: str
    """Hash of the case: equal where two runs had the same one."""

    @property
    def tags(self) -> tuple[tuple[str, str], ...]:
        """What filters choose by, (name, value) each."""
        r = self.row
        seed = str(self.run.manifest.get("seed", ""))
        values = (self.label, self.name, r.suite, f"{r.suite}/{r.probe}", r.mode, seed, outcome(r))
        return tuple((name, value) for (name, _), value in zip(_TAGS, values, strict=True))


def write_view(folders: Sequence[Path], out: Path, command: str, cases: int = CASES, lines: int = LINES) -> Path:
    """Write the page of several runs to `out` and return its path.

    folders: finished runs, of any suites, profiles and models. command: what made the page.
    cases: how many cases are shown at most with their clips; fewer when the page's budget is used up (24 MB of video).
    lines: how many clips the table lists at most, those of models and the worst ones first.

    Raises:
        ConfigError: a run is broken or unfinished, or none is given.
    """
    runs = read_runs(folders)
    named = list(zip(labels([r.folder for r in runs]), runs, strict=True))
    entries = [e for label, run in named for e in _entries(run, label, len(runs) > 1)]
    players = make_players(entries, cases)
    page = make_page(named, entries, players, out, command, lines)
    write_text(out, render(page, clips_of(p.sides for p in players.values())))
    return out


def labels(folders: Sequence[Path]) -> list[str]:
    """Return names of folders: their paths below the folder that they share.

    Example:
        >>> labels([Path("runs/smoke/early/0"), Path("runs/smoke/late/0")])
        ['early/0', 'late/0']
    """
    paths = [folder.resolve() for folder in folders]
    shared = Path(os.path.commonpath(paths))
    return [p.relative_to(shared).as_posix() if p != shared else p.name for p in paths]


def _entries(run: Run, label: str, several: bool) -> Iterator[Entry]:
    cases = {c.id: (c, c.hash_without_twin) for c in run.cases}
    for r in run.rows:
        name = f"{r.generator} · {label}" if several else r.generator
        video, tracks = ((run.folder / path).as_posix() if path else "" for path in (r.video, r.tracks))
        located = replace(r, generator=name, video=video, tracks=tracks)
        if r.case not in cases:
            raise ConfigError(f"{run.folder}: {r.case} was scored, but is none of its cases")
        yield Entry(run, label, r.generator, located, *cases[r.case])


def make_players(entries: Sequence[Entry], limit: int) -> dict[str, Player]:
    """Return the players of a page until it is full, by hash of the case: cases of several runs first, where they differ most."""
    by_clip = {(e.row.generator, e.row.case): e for e in entries}
    compared = [e for e in entries if e.row.kind == "model"] or [e for e in entries if e.row.kind != "oracle"]
    rows = {
        name: [e.row for e in compared if e.row.generator == name] for name in {e.row.generator: 0 for e in compared}
    }
    truths = {e.key: e.row for e in reversed(entries) if e.row.kind == "oracle"}
    store = ClipStore(Path())
    players: dict[str, Player] = {}
    groups = contested(rows, lambda r: by_clip[r.generator, r.case].key)
    for group in sorted(groups, key=lambda same: len(same) < 2)[:limit]:
        if store.full(1.0):
            break
        shown = [by_clip[r.generator, r.case] for r in group[:MAX_SIDES]]
        key = shown[0].key
        player = comparison(store, group[:MAX_SIDES], truths.get(key))
        sides = [replace(side, tags=e.tags) for side, e in zip(player.sides, shown, strict=False)]
        players[key] = replace(
            player,
            label=f"{group[0].case}, {count(len(shown), 'clip')}",
            sides=(*sides, *player.sides[len(sides) :]),
            lines=tuple(f"{e.row.generator}: {sentence}" for e in shown if (sentence := _sentences(e))),
            tags=(),
            id=f"{player.id}-{key[:6]}",
        )
    return players


def _sentences(entry: Entry) -> str:
    return " ".join(filter(None, (expected(entry.case, entry.row), why(entry.row))))


def make_page(
    runs: Sequence[tuple[str, Run]],
    entries: Sequence[Entry],
    players: Mapping[str, Player],
    out: Path,
    command: str,
    lines: int,
) -> Page:
    """Return the page. runs: with their labels. players: by hash of the case. out: where the page will be. lines: of its table."""
    kinds = [e for e in entries if e.row.kind == "model"]
    problems = [
        f"{label}: {line}" if len(runs) > 1 else line
        for label, run in runs
        for line in grouped(run.problems, {c.id for c in run.cases})
    ]
    listed = sorted(entries, key=lambda e: (e.row.kind != "model", e.row.counted))[:lines]
    sections = [
        Section("scores", "Runs", (_runs(runs, out),)),
        Section("clips-listed", "Clips", tuple(_clips(entries, listed, players, out))),
    ]
    if players:
        sections.append(Section("cases", "Cases side by side", tuple(_cases(players, entries))))
    lost = sum(e.row.value is None for e in entries)
    return Page(
        title=f"{count(len(runs), 'run')}, {count(len({e.name for e in kinds}), 'model')}",
        lead=f"{count(len(entries), 'clip')} of {count(len({e.key for e in entries}), 'case')}, {lost} of them not judged.",
        command=command,
        problems=tuple(problems),
        facts=tuple((label, f"{run.folder.name}: {run_command(run.manifest)}") for label, run in runs),
        made="How it was made: command, runs",
        whose="these runs",
        sections=tuple(sections),
        footer="Scores are counted as in reports: corrected for chance, 0 where a clip was not judged.",
    )


def _link(run: Run, out: Path, fragment: str = "") -> str:
    """Return the address of a run's report from the page, "" where it has none."""
    report = run.folder / "report.html"
    if not report.is_file():
        return ""
    path = quote(Path(os.path.relpath(report.resolve(), out.resolve().parent)).as_posix())
    return f"{path}#{quote(fragment)}" if fragment else path


def _runs(runs: Sequence[tuple[str, Run]], out: Path) -> Table:
    lines: list[list[str | Cell]] = []
    for label, run in runs:
        manifest = run.manifest
        outcomes = [outcome(r) for r in run.rows]
        models = dict.fromkeys(r.generator for r in run.rows if r.kind == "model")
        about = (str(manifest.get(name, "")) for name in ("suite", "profile", "seed"))
        counts = (str(n) for n in (len(run.rows), *(outcomes.count(o) for o in OUTCOMES)))
        lines.append([Cell(label, href=_link(run, out)), ", ".join(models) or "references only", *about, *counts])
    head: list[str | Column] = [
        "Run",
        "Models",
        "Suite",
        "Profile",
        "Seed",
        *(Column(o, "count") for o in ("Clips", *_TITLES)),
    ]
    return table(
        "Table of runs", "Clips of all generators. The name of a run leads to its report.", head, lines, sort=True
    )


def _clips(
    entries: Sequence[Entry], listed: Sequence[Entry], players: Mapping[str, Player], out: Path
) -> Iterator[Block]:
    yield Filters(tuple(_choices(entries)), len(listed))
    heads = ("Case", "Generator", "Run", "Outcome", "Value", "Reason", "Mode", "Seed", "Suite", "Probe")
    kinds: dict[str, Literal["count", "wide"]] = {"Value": "count", "Reason": "wide"}
    columns = tuple(Column(h, kinds.get(h, "text"), "ascending") for h in heads)
    anchors = {label: _anchors(run.folder) for label, run in {e.label: e.run for e in listed}.items()}
    lines = []
    for e in listed:
        r = e.row
        own = anchor(replace(r, generator=e.name))
        report = _link(e.run, out, own if own in anchors[e.label] else "")
        cells = (
            Cell(r.case, href=f"#{p.id}" if (p := players.get(e.key)) else ""),
            *(e.name, Cell(e.label, href=report), outcome(r)),
            *(Cell(score(r.value), key="" if r.value is None else r.value), _reason(r)),
            *(r.mode, dict(e.tags)["seed"], r.suite, r.probe),
        )
        lines.append(Row(row(cells).cells, tags=e.tags))
    left = len(entries) - len(listed)
    rest = (
        f" {left} further clips are left out: references, and the best ones; scores.csv of each run has them."
        if left
        else ""
    )
    caption = (
        f"Models first, the worst first.{rest} A case leads to its clips below, a run to its report, to the clip where the report "
        "shows it."
    )
    yield Table("Table of clips", caption, columns, (Group(tuple(lines), ranked=True),), bounded=True)


def _anchors(folder: Path) -> set[str]:
    """Return the anchors of the clips that a run's report shows."""
    report = folder / "report.html"
    return set(re.findall(r' id="(case-[^"]*)"', report.read_text(encoding="utf-8"))) if report.is_file() else set()


def _reason(row: ScoreRow) -> str:
    """Return why a clip was not judged, or why it is below 1."""
    if row.value is None:
        return row.reason
    return why(row, thresholds=False) if row.value < 1 else ""


def _choices(entries: Sequence[Entry]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield a menu for everything in which the clips differ."""
    tags = [dict(e.tags) for e in entries]
    for name, title in _TAGS:
        values = dict.fromkeys(t[name] for t in tags)
        if name == "outcome":
            yield name, title, tuple(o for o in OUTCOMES if o in values)
        elif len(values) > 1:
            yield name, title, tuple(sorted(values, key=natural))


def _cases(players: Mapping[str, Player], entries: Sequence[Entry]) -> Iterator[Block]:
    suites = {e.key: e.row.suite for e in entries}
    yield Note(
        f"{count(len(players), 'case')}: those of several runs first, where scores differ most, of every probe in turn. Solid lines are "
        "measured tracks, the ring is where an object is now; dashed lines are the truth.",
        page_only=True,
    )
    for i, suite in enumerate(dict.fromkeys(suites[key] for key in players)):
        own = tuple(p for key, p in players.items() if suites[key] == suite)
        yield Gallery(suite, count(len(own), "case"), own, open=i == 0)
