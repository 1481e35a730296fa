"""What an audit shows: the same on its page and in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sora_eval.audit.clips import EXPLOITS
from sora_eval.audit.report import Audit
from sora_eval.audit.scorers import Scorer
from sora_eval.audit.statistics import DRAWS, Preference, changed, detected, paid_for, threshold
from sora_eval.reporting.components.marked import Marked
from sora_eval.reporting.components.numbers import count, several, span
from sora_eval.reporting.components.page import Block, Fold, Items, Page, Section
from sora_eval.reporting.components.players import Gallery, Player
from sora_eval.reporting.components.plots import Axis, LinePlot, LinePlots, Marks, Point, down
from sora_eval.reporting.components.table import Cell, Column, Table, table
from sora_eval.reporting.validity.curves import severity_x
from sora_eval.validity.trials import SEVERITIES

_AXIS = Axis(0.0, 1.0)
_FROZEN = "frozen"
_FULL_REFERENCE = "compared with the truth itself"
_DEFINITION = (
    "*Preferred*: the share of scenes in which the wrong clip scores better than the true clip of the same scene and prompt, equal scores "
    "counted half [95% interval]. 0 is right, .5 is a coin, and above it the scorer pays for being wrong (coloured, in Markdown bold, "
    "where the interval and a two-sided test by sign flips of scenes exclude a coin with 95%; fewer than 6 scenes never do)."
)


def make_page(audit: Audit, players: Sequence[Player] = ()) -> Page:
    """Return the page of an audit. players: clips of a scene."""
    sections = (
        Section("glance", "At a glance", tuple(_glance(audit))),
        Section("exploits", "Wrong clips that are preferred", (_preferred(audit),)),
        Section("best-of", "Best of N", (_best_of(audit),), "Best of N"),
        Section("violations", "Violations", tuple(_violations(audit))),
        Section("harmless", "Changes that mean nothing", tuple(_harmless(audit))),
        Section(
            "clips",
            "The clips",
            (Gallery("A scene and its exploits", "", tuple(players), True, False),) if players else (),
        ),
    )
    names = several([s.name for s in audit.scorers])
    return Page(
        title="Audit of scorers",
        lead=f"Does a score go up when a video gets better, or does it pay for something cheaper? {names} on true clips of a simulated "
        "world, on controls and exploits made of them, and on clips with one law of the world broken by a dialled severity.",
        command=audit.command,
        problems=tuple(_problems(audit)),
        facts=(
            *((s.name, _about(s)) for s in audit.scorers),
            ("scenes", audit.about),
        ),
        made="What was scored",
        whose="this audit",
        sections=tuple(s for s in sections if s.blocks),
        footer="Every number of this page is in audit.json, and as tables in audit.md.",
        links=(("audit.md", "audit.md"), ("audit.json", "audit.json")),
    )


def _about(scorer: Scorer) -> str:
    truth = f"; {_FULL_REFERENCE}" if scorer.full_reference else ""
    return f"{scorer.about}; {'higher' if scorer.higher_is_better else 'lower'} is better{truth}"


def _problems(audit: Audit) -> Iterator[str]:
    for scorer in audit.scorers:
        missing = [t for t in audit.trials if t.scorer == scorer.name and t.value is None]
        if missing:
            total = sum(t.scorer == scorer.name for t in audit.trials)
            yield f"{scorer.name} gave no score for {len(missing)} of {total} clips, such as: {missing[0].reason}"


def _of(audit: Audit, scorer: str) -> list[Preference]:
    return [r for r in audit.preferences if r.scorer == scorer]


def _glance(audit: Audit) -> Iterator[Block]:
    lines: list[list[str | Cell]] = []
    for scorer in audit.scorers:
        rows = _of(audit, scorer.name)
        by_name = {r.condition: r for r in rows if r.severity == 1}
        best = next((b for b in audit.best_of if b.scorer == scorer.name and b.draws == DRAWS[-1]), None)
        found, faults = detected(rows)
        indifferent = changed(rows)
        harmless = [r for r in rows if r.kind in ("nuisance", "look")]
        lines.append(
            [
                scorer.name,
                *(_rate(by_name.get(name)) for name in (_FROZEN, *EXPLOITS)),
                Cell() if best is None else Cell(f"{best.rate:.2f}", span(best.low, best.high)),
                f"{found} of {faults}",
                f"{len(indifferent)} of {len(harmless)}",
            ]
        )
    head = (
        "scorer",
        _FROZEN,
        *EXPLOITS,
        f"best of {DRAWS[-1]} wrong clips",
        "violations detected",
        "harmless changes noticed",
    )
    yield table("At a glance", Marked(_DEFINITION), [head[0], *(Column(name, "cell") for name in head[1:])], lines)
    yield Items(tuple((s.name, _verdict(_of(audit, s.name), s.full_reference)) for s in audit.scorers))


def _verdict(rows: Sequence[Preference], full_reference: bool) -> str:
    """Return what to know of a scorer before it is trusted, in a sentence."""
    paid = [r.condition for r in paid_for(rows)]
    found, faults = detected(rows)
    first = f"prefers to the truth: {several(paid)}" if paid else "prefers no control and no exploit to the truth"
    with_truth = f" ({_FULL_REFERENCE})" if full_reference else ""
    return f"{first}; detects {found} of {count(faults, 'violation')} at full severity{with_truth}."


def _rate(row: Preference | None) -> Cell:
    if row is None:
        return Cell()
    text = Marked(f"**{row.rate:.2f}**") if row.verdict == "prefers it" else f"{row.rate:.2f}"
    return Cell(
        text,
        span(row.low, row.high),
        style="" if row.verdict == "undecided" else "h0" if row.verdict == "prefers it" else "h4",
    )


def _columns(audit: Audit) -> list[Column]:
    return [Column(s.name, "cell") for s in audit.scorers]


def _preferred(audit: Audit) -> Table:
    kinds = ("control", "exploit")
    names = list(dict.fromkeys(r.condition for r in audit.preferences if r.kind in kinds))
    by_cell = {(r.condition, r.scorer): r for r in audit.preferences if r.kind in kinds}
    rows: list[list[str | Cell]] = [
        [name, *(_rate(by_cell.get((name, s.name))) for s in audit.scorers)] for name in names
    ]
    caption = (
        "Share of scenes in which the clip is preferred to the truth. Mirrored and reversed clips obey the laws and are right answers to "
        "prompts that name neither side nor direction: there .5 is no fault."
    )
    return table("Controls and exploits", caption, ["clip", *_columns(audit)], rows)


def _best_of(audit: Audit) -> Table:
    rows: list[list[str | Cell]] = []
    for scorer in audit.scorers:
        own = {b.draws: b for b in audit.best_of if b.scorer == scorer.name}
        cells = [Cell(f"{own[n].rate:.2f}", span(own[n].low, own[n].high)) if n in own else Cell() for n in DRAWS]
        rows.append([scorer.name, *cells, next((b.winner for b in own.values()), "")])
    caption = (
        "How often the best-scored of N wrong clips of a scene (controls, exploits, violations at full severity; mirrored and reversed "
        "left out) beats its truth: what choosing the best of N samples, or training on the score, does."
    )
    return table(
        "Best of N", caption, ["scorer", *(Column(f"N = {n}", "cell") for n in DRAWS), "best most often"], rows
    )


def _violations(audit: Audit) -> Iterator[Block]:
    names = list(dict.fromkeys(r.condition for r in audit.preferences if r.kind == "violation"))
    rows: list[list[str | Cell]] = []
    for name in names:
        cells = []
        for scorer in audit.scorers:
            own = [r for r in _of(audit, scorer.name) if r.kind == "violation" and r.condition == name]
            cell = _rate(next((r for r in own if r.severity == 1), None))
            lowest = threshold(own, name)
            cells.append(
                Cell(cell.text, cell.span, (f"from {lowest:g}" if lowest else "not detected",), style=cell.style)
            )
        rows.append([name, *cells])
    caption = (
        "One law of the world broken at full severity: share of scenes in which the clip is preferred to the truth; below, the "
        "detection threshold: the lowest severity from which on the interval and the test are below .5."
    )
    yield table("Violations", caption, ["violation", *_columns(audit)], rows)
    for scorer in audit.scorers:
        plots = tuple(p for name in names if (p := _curve(_of(audit, scorer.name), name)) is not None)
        yield Fold(
            f"Dose-response: {scorer.name}",
            (LinePlots(plots, True, "", "preferred, by severity"),),
            f"{len(plots)} violations",
        )


def _curve(rows: Sequence[Preference], violation: str) -> LinePlot | None:
    """Return how often broken clips are preferred over severities; at severity 0 the clip is the truth itself."""
    own = {r.severity: r for r in rows if r.kind == "violation" and r.condition == violation}
    if not all(s in own for s in SEVERITIES[1:]):
        return None
    points = [Point("severity 0, the truth itself", severity_x(0.0), down(50.0), down(50.0), down(50.0))]
    for s in SEVERITIES[1:]:
        at, low, high = (down(_AXIS.at(v)) for v in (own[s].rate, own[s].low, own[s].high))
        points.append(
            Point(f"severity {s:g}: {own[s].rate:.2f} {span(own[s].low, own[s].high)}", severity_x(s), at, low, high)
        )
    ticks = tuple((down(at), label) for at, label in _AXIS.ticks)
    return LinePlot(
        violation,
        tuple(points),
        ticks,
        Marks(down(50.0)),
        x_ticks=tuple((severity_x(s), f"{s:g}") for s in (0.0, 0.5, 1.0)),
    )


def _harmless(audit: Audit) -> Iterator[Block]:
    rows = [r for r in audit.preferences if r.kind in ("nuisance", "look")]
    if not rows:
        return
    names = list(dict.fromkeys((r.condition, r.severity) for r in rows))
    by_cell = {(r.condition, r.severity, r.scorer): r for r in rows}
    lines: list[list[str | Cell]] = []
    for condition, severity in names:
        cells = [_noticed(by_cell.get((condition, severity, s.name))) for s in audit.scorers]
        lines.append([f"{condition}, severity {severity:g}" if severity else condition, *cells])
    caption = (
        "The truth in another light, size, compression, frame rate or surroundings against the plain truth: .5 is indifference, and "
        "coloured (in Markdown bold) is a scorer that is moved by what changes no law and no answer."
    )
    yield table("Changes that mean nothing", caption, ["change", *_columns(audit)], lines)


def _noticed(row: Preference | None) -> Cell:
    if row is None:
        return Cell()
    moved = row.verdict != "undecided"
    text = Marked(f"**{row.rate:.2f}**") if moved else f"{row.rate:.2f}"
    return Cell(text, span(row.low, row.high), style="h0" if moved else "")
