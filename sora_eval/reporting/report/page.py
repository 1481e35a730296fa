"""What the page shows, worked out before the template runs, so that the template only lays out."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sora_eval import __version__
from sora_eval.reporting.components import plots
from sora_eval.reporting.components.players import Player
from sora_eval.reporting.components.text import BETWEEN_SAMPLES, FIRST_SAMPLES
from sora_eval.reporting.report.fidelity import Sheet
from sora_eval.reporting.report.tracking import TrackingPage
from sora_eval.runs.reader import Run
from sora_eval.stats.failures import technical
from sora_eval.stats.intervals import N_BOOT
from sora_eval.stats.samples import prompts
from sora_eval.stats.summary import KINDS, Cell, Reason, Sampling, Summary

TOP_REASONS = 8
TILES = 4
_GROUPS = {"model": "Models", "oracle": "Oracle", "control": "Controls", "violation": "Violations"}


@dataclass(frozen=True)
class Head:
    """A column of the headline table; probes: the most that any generator ran."""

    name: str
    suite: str
    probes: int


@dataclass(frozen=True)
class Item:
    """A cell with its bar; cell is None where the generator was not run."""

    cell: Cell | None
    bar: plots.Bar | None


@dataclass(frozen=True)
class Row:
    """A generator of the headline table; cell is its overall score."""

    cell: Cell
    cells: tuple[Item, ...]


@dataclass(frozen=True)
class Group:
    """The generators of one kind."""

    name: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Tile:
    """A model at a glance; above: probes whose interval lies above chance."""

    cell: Cell
    bar: plots.Bar
    weakest: Cell
    above: int


@dataclass(frozen=True)
class ProbeRow:
    """A line of a suite's table: a probe in one mode, or in all ("")."""

    probe: str
    mode: str
    chance: float
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Suite:
    """A section of the page."""

    name: str
    probes: int
    clips: int
    unjudgeable: int
    technical: int
    lanes: tuple[plots.Lane, ...]
    rows: tuple[ProbeRow, ...]
    reasons: tuple[Reason, ...]
    reasons_total: int


@dataclass(frozen=True)
class Page:
    """Everything that the template reads."""

    title: str
    lead: str
    command: str
    problems: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    generators: tuple[str, ...]
    oracle: str
    controls: bool
    series: tuple[str, ...]
    axis: plots.Axis
    tiles: tuple[Tile, ...]
    heads: tuple[Head, ...]
    groups: tuple[Group, ...]
    suites: tuple[Suite, ...]
    players: tuple[Player, ...]
    references: tuple[Player, ...]
    player_probes: tuple[str, ...]
    rows: int
    model_clips: int
    fidelity: Mapping[str, Sheet]
    samples: int
    sampling: tuple[Sampling, ...]
    about_sampling: str = BETWEEN_SAMPLES
    first_samples: str = FIRST_SAMPLES
    tracking: TrackingPage | None = None
    version: str = __version__
    n_boot: int = N_BOOT
    colours: int = plots.COLOURS

    @property
    def galleries(self) -> tuple[tuple[str, list[Player]], ...]:
        """(suite, its players) of the suites that have any."""
        return tuple(
            (s.name, found) for s in self.suites if (found := [p for p in self.players if p.row.suite == s.name])
        )

    def tracked(self, player: Player) -> Mapping[str, float]:
        """Return the tracking metrics of a player's clip."""
        return {} if self.tracking is None else self.tracking.clips.get((player.row.generator, player.row.case), {})

    @staticmethod
    def shape(index: int) -> str:
        """Return the marker of a series."""
        return plots.shape(index)


def make_page(
    run: Run,
    summary: Summary,
    players: Sequence[Player],
    references: Sequence[Player],
    fidelity: Mapping[str, Sheet] | None = None,
    tracking: TrackingPage | None = None,
) -> Page:
    """Return the page of a run. fidelity: measures by suite, "" for all of them. tracking: what it shows of tracking metrics."""
    scale = plots.axis(summary.cells)
    heads = _heads(summary)
    order = {(s, p): i for i, (s, p) in enumerate((s, p) for s in summary.suites for p in summary.probes(s))}
    shown = sorted(players, key=lambda p: (order[p.row.suite, p.row.probe], p.row.counted))
    return Page(
        title=title(summary),
        lead=_lead(run, summary),
        command=command(run.manifest),
        problems=run.problems,
        facts=tuple(_facts(run.manifest)),
        generators=summary.generators,
        oracle=next(iter(summary.of_kind("oracle")), ""),
        controls=bool(summary.of_kind("control")),
        series=plots.series(summary),
        axis=scale,
        tiles=tuple(_tile(summary, g, scale) for g in _scored(summary)[:TILES]),
        heads=heads,
        groups=tuple(_groups(summary, heads, scale)),
        suites=tuple(_suite(summary, s, scale) for s in summary.suites),
        players=tuple(shown),
        references=tuple(references),
        player_probes=tuple(dict.fromkeys(f"{p.row.suite}/{p.row.probe}" for p in shown)),
        rows=len(run.rows),
        model_clips=sum(r.kind == "model" for r in run.rows),
        fidelity=dict(fidelity or {}),
        samples=summary.samples,
        sampling=summary.sampling_by_suite,
        tracking=tracking,
    )


def title(summary: Summary) -> str:
    """Return what was tested, on what."""
    return f"{_several(plots.series(summary), 'generators')} on {_several(summary.suites, 'suites')}"


def command(manifest: Mapping[str, Any]) -> str:
    """Return the command that reproduces the run."""
    told = manifest.get("command", "")
    return shlex.join(str(part) for part in told) if isinstance(told, list) else str(told)


def _several(names: Sequence[str], what: str) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} {what}"


def _lead(run: Run, summary: Summary) -> str:
    cases = prompts(run.rows)
    failed = sum(r.value is None for r in run.rows)
    why = f", {n} of them for technical reasons" if (n := technical(run.rows)) else ""
    by_kind = [
        f"{len(g)} {_GROUPS[k].lower().rstrip('s')}{'s' if len(g) > 1 else ''}"
        for k in KINDS
        if (g := summary.of_kind(k))
    ]
    several = f", {summary.samples} samples per prompt of models" if summary.sampling else ""
    parts = [
        f"{len(run.rows)} clips of {cases} cases by {', '.join(by_kind)}{several}; {failed} could not be judged{why}."
    ]
    told = [
        f"{name} {run.manifest[name]}"
        for name in ("profile", "seed", "created")
        if run.manifest.get(name) not in (None, "")
    ]
    return " ".join([*parts, *([f"Run: {', '.join(told)}."] if told else [])])


def _facts(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in manifest.items():
        if name in ("command", "problems"):
            continue
        if name == "generators" and isinstance(value, list):
            for g in value:
                if isinstance(g, Mapping):
                    yield f"generator {g.get('name', '')}", f"{g.get('kind', '')} {g.get('fingerprint', '')}"
        elif isinstance(value, Mapping) and name != "config":
            yield from ((f"{name}: {key}", _plain(part)) for key, part in value.items())
        else:
            yield name.replace("_", " "), _plain(value)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _heads(summary: Summary) -> tuple[Head, ...]:
    # With one suite the overall score repeats it.
    suites = ("", *summary.suites) if len(summary.suites) > 1 else summary.suites
    found = []
    for suite in suites:
        cells = [c for g in summary.generators if (c := summary.get(g, suite))]
        found.append(Head(suite or "Overall", suite, max(c.probes for c in cells)))
    return tuple(found)


def _item(summary: Summary, generator: str, suite: str, scale: plots.Axis) -> Item:
    cell = summary.get(generator, suite)
    return Item(cell, plots.bar(summary, cell, scale) if cell and not cell.failed else None)


def _groups(summary: Summary, heads: Sequence[Head], scale: plots.Axis) -> Iterator[Group]:
    for kind in dict.fromkeys(summary.kind(g) for g in summary.generators):
        rows = []
        for g in summary.of_kind(kind):
            cell = summary.get(g)
            if cell:
                rows.append(Row(cell, tuple(_item(summary, g, head.suite, scale) for head in heads)))
        yield Group(_GROUPS.get(kind, kind), tuple(rows))


def _scored(summary: Summary) -> list[str]:
    """Return the models that have a score: not those of which nothing came back for technical reasons."""
    return [g for g in summary.of_kind("model") if (c := summary.get(g)) and not c.failed]


def _tile(summary: Summary, generator: str, scale: plots.Axis) -> Tile:
    probes = [c for c in summary.cells if c.generator == generator and c.level == "probe" and not c.failed]
    overall = next(c for c in summary.cells if c.generator == generator and c.level == "overall")
    weakest = min(probes, key=lambda c: (c.score, c.suite, c.probe))
    return Tile(overall, plots.bar(summary, overall, scale), weakest, sum(c.low > 0 for c in probes))


def _suite(summary: Summary, name: str, scale: plots.Axis) -> Suite:
    cells = [c for g in summary.generators if (c := summary.get(g, name))]
    # A reader wants to know what is wrong with the model; controls are meant to be wrong.
    asked = summary.of_kind("model") or summary.generators
    reasons = [r for r in summary.reasons if r.suite == name and r.generator in asked]
    return Suite(
        name=name,
        probes=len(summary.probes(name)),
        clips=sum(c.n for c in cells),
        unjudgeable=sum(c.unjudgeable for c in cells),
        technical=sum(c.technical for c in cells),
        lanes=plots.lanes(summary, name, scale),
        rows=tuple(_probe_rows(summary, name)),
        reasons=tuple(reasons[:TOP_REASONS]),
        reasons_total=len(reasons),
    )


def _probe_rows(summary: Summary, suite: str) -> Iterator[ProbeRow]:
    for probe in summary.probes(suite):
        modes = summary.modes(suite, probe)
        # A probe of one mode would say everything twice.
        for mode in ("", *modes) if len(modes) > 1 else ("",):
            cells = tuple(summary.get(g, suite, probe, mode) for g in summary.generators)
            chance = next(c.chance for c in cells if c)
            yield ProbeRow(f"{probe} ({modes[0]})" if len(modes) == 1 else probe, mode, chance, cells)
