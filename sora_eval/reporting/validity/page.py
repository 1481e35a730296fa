"""The validity card as one static page: an AUC heat map, dose-response panels, tables, and clips of the truth beside its violations."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import mujoco
import numpy as np
from PIL import Image

from sora_eval import __version__
from sora_eval.errors import SoraEvalError
from sora_eval.files import write_text
from sora_eval.images import contact_sheet
from sora_eval.probes.base import Probe
from sora_eval.reporting.components.clips import make_clip
from sora_eval.reporting.components.html import render
from sora_eval.reporting.components.players import Side
from sora_eval.validity.card import Card
from sora_eval.validity.detection import (
    ALPHA,
    AUC_LEAST,
    LOOK_LEAST,
    METRICS,
    NOTICED,
    ORACLE_LEAST,
    Alarm,
    Dose,
    Floor,
    Subject,
    Told,
    rejection_rate,
)
from sora_eval.validity.trials import LOOK_SCENES, SEVERITIES, Plan
from sora_eval.video import read_video

_WIDTH, _HEIGHT = 190, 112
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 8, 8, 18
_STRIP = 8
_SHOWN = (0.5, 1.0)
_LEVELS = (AUC_LEAST, 0.8, 0.6, 0.4)


@dataclass(frozen=True)
class Panel:
    """A dose-response curve as SVG in a box of WIDTH x HEIGHT: line and band as path data, ticks as (x, y, text)."""

    name: str
    line: str
    band: str
    dots: tuple[tuple[float, float], ...]
    noticed_x: float | None
    verdict: str
    bad: bool
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    label: str


@dataclass(frozen=True)
class Heat:
    """A cell of the heat map. level: 0 (told worst) to 4 (told); text: AUC; span: its interval; note: of several modes, or why not."""

    level: int
    text: str
    span: str
    note: str
    bad: bool


@dataclass(frozen=True)
class HeatRow:
    """A line of the heat map."""

    name: str
    cells: tuple[Heat | None, ...]


@dataclass(frozen=True)
class Lane:
    """A subject with its panels."""

    name: str
    about: str
    unit: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Strip:
    """Frames of a violation at all severities as one picture, base64 WebP; size: its width and height in pixels."""

    what: str
    image: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Sample:
    """A probe's clips: the truth beside a violation, and strips of all violations."""

    probe: str
    suite: str
    violation: str
    sides: tuple[Side, ...]
    strips: tuple[Strip, ...]


@dataclass(frozen=True)
class Section:
    """A part of the page: a suite of probes, or the metrics. heads: columns of the heat map."""

    id: str
    name: str
    heads: tuple[str, ...]
    heat: tuple[HeatRow, ...]
    asked: str
    lanes: tuple[Lane, ...]


@dataclass(frozen=True)
class Fact:
    """A figure at a glance."""

    name: str
    value: str
    about: str


@dataclass(frozen=True)
class Page:
    """Everything that the template reads."""

    title: str
    lead: str
    command: str
    problems: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    tiles: tuple[Fact, ...]
    sections: tuple[Section, ...]
    floors: tuple[Floor, ...]
    alarms: tuple[Alarm, ...]
    looks: tuple[str, ...]
    look_rows: tuple[tuple[str, tuple[Told | None, ...]], ...]
    unavailable: tuple[tuple[str, str], ...]
    design: tuple[tuple[str, str, str], ...]
    missed: tuple[Told, ...]
    samples: tuple[Sample, ...]
    noticed: str = NOTICED
    severities: tuple[str, ...] = tuple(f"{s:g}" for s in SEVERITIES)
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    right: int = _WIDTH - _RIGHT
    top: int = _TOP
    floor: int = _HEIGHT - _BOTTOM
    look_least: float = LOOK_LEAST
    oracle_least: float = ORACLE_LEAST
    alpha: float = ALPHA
    look_scenes: int = LOOK_SCENES
    version: str = __version__


def write_page(card: Card, probes: Sequence[Probe], plan: Plan, path: Path) -> Path:
    """Write the page and return its path. probes, plan: where the clips of the first scene of each are kept."""
    samples = [s for p in probes if (s := _sample(card, p, plan)) is not None]
    clips = {side.clip.id: side.clip.base64 for s in samples for side in s.sides if side.clip}
    write_text(path, render("validity.html.j2", make_page(card, samples), clips))
    return path


def make_page(card: Card, samples: Sequence[Sample] = ()) -> Page:
    """Return what the page shows of a card."""
    tried = [s for s in card.subjects if not s.missing]
    suites = list(dict.fromkeys(s.suite for s in tried))
    sections = tuple(_section(card, suite, i, [s for s in tried if s.suite == suite]) for i, suite in enumerate(suites))
    looks = [r for r in card.rows if r.kind == "look" and r.suite not in METRICS]
    names = tuple(dict.fromkeys(r.what for r in looks))
    by_probe = {(r.subject, r.what): r for r in looks}
    lines = tuple((s, tuple(by_probe.get((s, n)) for n in names)) for s in dict.fromkeys(r.subject for r in looks))
    design = {(r.subject, r.what): r.by_design for r in card.rows if r.by_design and not r.good}
    return Page(
        title="What the probes and metrics notice",
        lead=f"{card.about[0].upper()}{card.about[1:]}. Every probe and every fidelity and tracking metric runs on true clips, on "
        "controls that no score may reward, and on clips with one law broken by a dialled severity, through the code that judges a model.",
        command=card.command,
        problems=tuple(f"{r.subject} {r.mode} {r.what}: {_short(r)}" for r in card.missed[:12])
        + ((f"{len(card.missed) - 12} more, listed below",) if len(card.missed) > 12 else ()),
        facts=(
            ("scenes per probe", str(card.scenes)),
            ("clips per treatment of metrics", str(card.clips)),
            ("MuJoCo", mujoco.__version__),
            ("severities", ", ".join(f"{s:g}" for s in SEVERITIES)),
        ),
        tiles=tuple(_tiles(card)),
        sections=sections,
        floors=card.floors,
        alarms=tuple(a for a in card.alarms if a.failing or a.rejected),
        looks=names,
        look_rows=lines,
        unavailable=tuple((s.name, s.missing) for s in card.subjects if s.missing),
        design=tuple((*key, why) for key, why in design.items()),
        missed=tuple(card.missed),
        samples=tuple(samples),
    )


def _tiles(card: Card) -> Iterable[Fact]:
    probes = [s for s in card.subjects if s.kind == "probe"]
    names = {s.name for s in probes}
    strongest = [
        r
        for r in card.rows
        if r.subject in names and r.kind in ("control", "violation") and r.severity == 1 and not r.look
    ]
    if strongest:
        good = sum(r.good for r in strongest)
        designed = sum(bool(r.by_design) and not r.good for r in strongest)
        rest = f"; {designed} of the others can't be told by design" if designed else ""
        yield Fact(
            "Faults told by probes",
            f"{good} of {len(strongest)}",
            f"controls and violations at severity 1, by mode, with an AUC of {AUC_LEAST} and more{rest}",
        )
    doses = [d for d in card.doses if d.subject in names]
    if doses:
        half = sum(d.noticed is not None and d.noticed <= 0.5 for d in doses)
        yield Fact(
            "Noticed at half severity",
            f"{half} of {len(doses)}",
            "violations that a probe notices at severity 0.5 or below",
        )
    alarms = [a for a in card.alarms if a.subject in names]
    clips, failing = sum(a.clips for a in alarms), sum(a.failing or 0 for a in alarms)
    if clips:
        yield Fact(
            "False alarms",
            f"{failing} of {clips}",
            "true clips, plain and under other looks, that a probe scores as failing",
        )
    rejected, tests, rate = rejection_rate(alarms)
    if tests:
        yield Fact(
            "Truth called different",
            f"{rejected} of {tests}",
            f"paired tests at {ALPHA} of the truth against another look at it: {rate.mean:.3f} [{rate.low:.3f}, {rate.high:.3f}]",
        )
    claims = [
        r
        for r in card.rows
        if r.suite in METRICS and r.kind in ("control", "violation", "damage") and r.severity == 1 and not r.by_design
    ]
    if claims:
        good = sum(r.good for r in claims)
        yield Fact(
            "Damages told by metrics",
            f"{good} of {len(claims)}",
            "of those that a fidelity or tracking metric claims to notice, with the interval of the AUC above 0.5",
        )


def _section(card: Card, suite: str, number: int, subjects: Sequence[Subject]) -> Section:
    names = {s.name for s in subjects}
    mine = [r for r in card.rows if r.subject in names and r.severity == 1 and not r.look]
    heads = list(dict.fromkeys(r.what for r in mine if r.kind == "control"))
    faults = [r for r in mine if r.kind in ("violation", "damage")]
    if suite in METRICS:
        heads += [r.what for r in {r.what: r for r in faults}.values() if r.what not in heads]
    rows = []
    for s in subjects:
        own = [r for r in mine if r.subject == s.name]
        cells = [_heat([r for r in own if r.what == head]) for head in heads]
        if suite not in METRICS:
            broken = [r for r in own if r.kind == "violation"]
            cells.append(_heat(broken, named=True))
        rows.append(HeatRow(s.name, tuple(cells)))
    last = () if suite in METRICS else ("hardest violation",)
    lanes = tuple(
        Lane(s.name, s.about, s.unit, tuple(_panel(d, s) for d in card.doses if d.subject == s.name)) for s in subjects
    )
    asked = f"Asked for are {AUC_LEAST} and more"
    if suite in METRICS:
        asked = "Asked for is an interval above 0.5, for what a metric claims to notice"
    return Section(f"part-{number}", suite, (*heads, *last), tuple(rows), asked, lanes)


def _heat(rows: Sequence[Told], named: bool = False) -> Heat | None:
    if not rows:
        return None
    worst = min(rows, key=lambda r: -1.0 if r.auc is None else r.auc)
    if worst.auc is None or worst.auc_low is None or worst.auc_high is None:
        return Heat(0, "–", "", "; ".join(worst.reasons) or "unavailable", not worst.by_design)
    level = sum(worst.auc >= least for least in _LEVELS)
    note = worst.what if named else ""
    if worst.by_design and not worst.good:
        note = "by design"
    return Heat(
        level,
        f"{worst.auc:.2f}",
        f"{worst.auc_low:.2f}–{worst.auc_high:.2f}",
        note,
        not worst.good and not worst.by_design,
    )


def _panel(dose: Dose, subject: Subject) -> Panel:
    lows = [m if v is None else v for v, m in zip(dose.lows, dose.means, strict=True)]
    highs = [m if v is None else v for v, m in zip(dose.highs, dose.means, strict=True)]
    low, high = _range(subject, lows, highs)

    def x(severity: float) -> float:
        return round(_LEFT + severity * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)

    dots = [(x(s), y(m)) for s, m in zip(dose.severities, dose.means, strict=True)]
    upper = [(x(s), y(v)) for s, v in zip(dose.severities, highs, strict=True)]
    lower = [(x(s), y(v)) for s, v in zip(dose.severities, lows, strict=True)]
    rho = "flat" if dose.rho is None else f"Spearman {dose.rho:.2f}"
    verdict = f"noticed from {dose.verdict}" if dose.noticed is not None else f"noticed: {dose.verdict}"
    numbers = ", ".join(f"{_number(m)} at {s:g}" for s, m in zip(dose.severities, dose.means, strict=True))
    ticks = [low, high] if subject.kind == "metric" or low == 0 else [low, 0.0, high]
    return Panel(
        name=dose.what,
        line=_path(dots),
        band=f"{_path([*upper, *reversed(lower)])}Z",
        dots=tuple(dots),
        noticed_x=None if dose.noticed is None else x(dose.noticed),
        verdict=f"{verdict} · {rho}",
        bad=dose.bad,
        x_ticks=tuple((x(s), f"{s:g}") for s in (0.0, 0.5, 1.0)),
        y_ticks=tuple((y(v), _number(v)) for v in ticks),
        label=f"{dose.subject}, {dose.what}: mean {numbers}; {verdict}",
    )


def _range(subject: Subject, lows: Sequence[float], highs: Sequence[float]) -> tuple[float, float]:
    if subject.kind == "probe":
        return subject.bounds
    low, high = min(lows), max(highs)
    return (low, high) if high - low > 1e-9 else (low - 0.5, high + 0.5)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{a:g} {b:g}" for a, b in points)


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.3g}"


def _short(row: Told) -> str:
    return "unavailable" if row.auc is None else f"worst {_number(row.worst or 0.0)}, AUC {row.auc:.2f}"


def _sample(card: Card, probe: Probe, plan: Plan) -> Sample | None:
    """Return a probe's clips: the violation that is noticed last stands beside the truth. None where no clips are kept."""
    doses = [d for d in card.doses if d.subject == probe.name]
    if not doses:
        return None
    shown = max(doses, key=lambda d: (math.inf if d.noticed is None else d.noticed, -min(d.aucs)))
    sides = [_side(plan.clip(probe, "oracle", 0.0), f"{probe.name}-truth", "truth")]
    for severity in _SHOWN:
        path = plan.clip(probe, shown.what, severity)
        sides.append(_side(path, f"{probe.name}-{severity:g}", f"{shown.what}, severity {severity:g}"))
    strips = [s for d in doses if (s := _strip(probe, d.what, plan)) is not None]
    if not strips and not any(s.clip for s in sides):
        return None
    return Sample(probe.name, probe.suite, shown.what, tuple(sides), tuple(strips))


def _side(path: Path, name: str, label: str) -> Side:
    try:
        return Side(label, make_clip(path, name))
    except (SoraEvalError, OSError) as error:
        return Side(label, None, f"no clip: {type(error).__name__}")


def _strip(probe: Probe, what: str, plan: Plan) -> Strip | None:
    try:
        clips = [read_video(plan.clip(probe, what if s else "oracle", s)).frames for s in SEVERITIES]
    except (SoraEvalError, OSError):
        return None
    sheet = contact_sheet(clips, _STRIP)
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(sheet)).save(file, "WEBP", quality=70, method=4)
    return Strip(what, base64.b64encode(file.getvalue()).decode(), (sheet.shape[1], sheet.shape[0]))
