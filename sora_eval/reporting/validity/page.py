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

from sora_eval.errors import SoraEvalError
from sora_eval.files import write_text
from sora_eval.probes.base import Probe
from sora_eval.reporting.components.clips import make_clip
from sora_eval.reporting.components.html import render
from sora_eval.reporting.components.players import Side
from sora_eval.validity.card import ValidityCard
from sora_eval.validity.detection import (
    ALPHA,
    METRIC_SUITES,
    MIN_AUC,
    MIN_NUISANCE,
    MIN_ORACLE,
    THRESHOLD_RULE,
    Detection,
    DoseResponse,
    FalseAlarmRate,
    NoiseFloor,
    Subject,
    rejection_rate,
)
from sora_eval.validity.trials import NUISANCE_SCENES, SEVERITIES, TrialPlan
from sora_eval.version import __version__
from sora_eval.video import read_video
from sora_eval.video.sheets import contact_sheet

_WIDTH, _HEIGHT = 190, 112
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 8, 8, 18
_STRIP = 8
_SHOWN = (0.5, 1.0)
_LEVELS = (MIN_AUC, 0.8, 0.6, 0.4)


@dataclass(frozen=True)
class Panel:
    """A dose-response curve as SVG in a box of WIDTH x HEIGHT: line and band as path data, ticks as (x, y, text)."""

    name: str
    line: str
    band: str
    dots: tuple[tuple[float, float], ...]
    threshold_x: float | None
    verdict: str
    missed: bool
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    label: str


@dataclass(frozen=True)
class Heat:
    """A cell of the heat map. level: of the AUC, 0 (lowest) to 4; text: AUC; span: its interval; note: the fault, or why there is none."""

    level: int
    text: str
    span: str
    note: str
    missed: bool


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

    condition: str
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
    requirement: str
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
    noise_floors: tuple[NoiseFloor, ...]
    false_alarms: tuple[FalseAlarmRate, ...]
    nuisances: tuple[str, ...]
    nuisance_rows: tuple[tuple[str, tuple[Detection | None, ...]], ...]
    unavailable: tuple[tuple[str, str], ...]
    blind_spots: tuple[tuple[str, str, str], ...]
    missed: tuple[Detection, ...]
    samples: tuple[Sample, ...]
    threshold_rule: str = THRESHOLD_RULE
    severities: tuple[str, ...] = tuple(f"{s:g}" for s in SEVERITIES)
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    right: int = _WIDTH - _RIGHT
    top: int = _TOP
    floor: int = _HEIGHT - _BOTTOM
    min_nuisance: float = MIN_NUISANCE
    min_oracle: float = MIN_ORACLE
    alpha: float = ALPHA
    nuisance_scenes: int = NUISANCE_SCENES
    version: str = __version__


def write_page(card: ValidityCard, probes: Sequence[Probe], plan: TrialPlan, path: Path) -> Path:
    """Write the page and return its path. probes, plan: where the clips of the first scene of each are kept."""
    samples = [s for p in probes if (s := _sample(card, p, plan)) is not None]
    clips = {side.clip.id: side.clip.base64 for s in samples for side in s.sides if side.clip}
    write_text(path, render("validity.html.j2", make_page(card, samples), clips))
    return path


def make_page(card: ValidityCard, samples: Sequence[Sample] = ()) -> Page:
    """Return what the page shows of a card."""
    tried = [s for s in card.subjects if not s.unavailable]
    suites = list(dict.fromkeys(s.suite for s in tried))
    sections = tuple(_section(card, suite, i, [s for s in tried if s.suite == suite]) for i, suite in enumerate(suites))
    nuisances = [r for r in card.detections if r.kind == "nuisance" and r.suite not in METRIC_SUITES]
    names = tuple(dict.fromkeys(r.condition for r in nuisances))
    by_probe = {(r.subject, r.condition): r for r in nuisances}
    lines = tuple((s, tuple(by_probe.get((s, n)) for n in names)) for s in dict.fromkeys(r.subject for r in nuisances))
    return Page(
        title="Metric validation",
        lead=f"{card.about[0].upper()}{card.about[1:]}. Every probe and every fidelity and tracking metric runs on true clips, on "
        "controls that no score may reward, and on clips with one law broken by a dialled severity, through the code that judges a model.",
        command=card.command,
        problems=tuple(f"{r.subject} {r.mode} {r.condition}: {_short(r)}" for r in card.missed[:12])
        + ((f"{len(card.missed) - 12} more, listed below",) if len(card.missed) > 12 else ()),
        facts=(
            ("scenes per probe", str(card.scenes)),
            ("clips per condition of metrics", str(card.clips)),
            ("MuJoCo", mujoco.__version__),
            ("severities", ", ".join(f"{s:g}" for s in SEVERITIES)),
        ),
        tiles=tuple(_tiles(card)),
        sections=sections,
        noise_floors=card.noise_floors,
        false_alarms=tuple(a for a in card.false_alarms if a.false_alarms or a.rejected),
        nuisances=names,
        nuisance_rows=lines,
        unavailable=tuple((s.name, s.unavailable) for s in card.subjects if s.unavailable),
        blind_spots=tuple((*key, reason) for key, reason in card.blind_spots.items()),
        missed=tuple(card.missed),
        samples=tuple(samples),
    )


def _tiles(card: ValidityCard) -> Iterable[Fact]:
    probes = [s for s in card.subjects if s.kind == "probe"]
    names = {s.name for s in probes}
    strongest = [
        r
        for r in card.detections
        if r.subject in names and r.kind in ("control", "violation") and r.severity == 1 and not r.nuisance
    ]
    if strongest:
        passed = sum(r.passed for r in strongest)
        blind = sum(bool(r.blind_spot) and not r.passed for r in strongest)
        rest = f"; {blind} of the others are known blind spots" if blind else ""
        yield Fact(
            "Faults detected by probes",
            f"{passed} of {len(strongest)}",
            f"controls and violations at severity 1, by mode, with an AUC of {MIN_AUC} and more{rest}",
        )
    responses = [d for d in card.dose_responses if d.subject in names]
    if responses:
        half = sum(d.threshold is not None and d.threshold <= 0.5 for d in responses)
        yield Fact(
            "Detected at half severity",
            f"{half} of {len(responses)}",
            "violations with a detection threshold of 0.5 or below",
        )
    alarms = [a for a in card.false_alarms if a.subject in names]
    clips, failing = sum(a.clips for a in alarms), sum(a.false_alarms or 0 for a in alarms)
    if clips:
        yield Fact(
            "False alarms",
            f"{failing} of {clips}",
            "true clips, plain and under nuisance transforms, that a probe scores as failing",
        )
    rejected, tests, rate = rejection_rate(alarms)
    if tests:
        yield Fact(
            "Nuisances rejected",
            f"{rejected} of {tests}",
            f"paired tests at {ALPHA} of the truth, plain against transformed: {rate.mean:.3f} [{rate.low:.3f}, {rate.high:.3f}]",
        )
    required = [
        r
        for r in card.detections
        if r.suite in METRIC_SUITES
        and r.kind in ("control", "violation", "corruption")
        and r.severity == 1
        and not r.blind_spot
    ]
    if required:
        passed = sum(r.passed for r in required)
        yield Fact(
            "Faults detected by metrics",
            f"{passed} of {len(required)}",
            "that are no known blind spot of the fidelity or tracking metric, with the interval of the AUC above 0.5",
        )


def _section(card: ValidityCard, suite: str, number: int, subjects: Sequence[Subject]) -> Section:
    names = {s.name for s in subjects}
    strongest = [r for r in card.detections if r.subject in names and r.severity == 1 and not r.nuisance]
    heads = list(dict.fromkeys(r.condition for r in strongest if r.kind == "control"))
    faults = [r for r in strongest if r.kind in ("violation", "corruption")]
    if suite in METRIC_SUITES:
        heads += [r.condition for r in {r.condition: r for r in faults}.values() if r.condition not in heads]
    rows = []
    for s in subjects:
        own = [r for r in strongest if r.subject == s.name]
        cells = [_heat([r for r in own if r.condition == head]) for head in heads]
        if suite not in METRIC_SUITES:
            broken = [r for r in own if r.kind == "violation"]
            cells.append(_heat(broken, named=True))
        rows.append(HeatRow(s.name, tuple(cells)))
    last = () if suite in METRIC_SUITES else ("hardest violation",)
    lanes = tuple(
        Lane(s.name, s.description, s.unit, tuple(_panel(d, s) for d in card.dose_responses if d.subject == s.name))
        for s in subjects
    )
    requirement = f"Required are {MIN_AUC} and more"
    if suite in METRIC_SUITES:
        requirement = "Required is an interval above 0.5"
    return Section(f"part-{number}", suite, (*heads, *last), tuple(rows), requirement, lanes)


def _heat(rows: Sequence[Detection], named: bool = False) -> Heat | None:
    if not rows:
        return None
    worst = min(rows, key=lambda r: -1.0 if r.auc is None else r.auc)
    if worst.auc is None or worst.auc_low is None or worst.auc_high is None:
        return Heat(0, "–", "", "; ".join(worst.reasons) or "unavailable", not worst.blind_spot)
    level = sum(worst.auc >= least for least in _LEVELS)
    note = worst.condition if named else ""
    if worst.blind_spot and not worst.passed:
        note = "known blind spot"
    return Heat(
        level,
        f"{worst.auc:.2f}",
        f"{worst.auc_low:.2f}–{worst.auc_high:.2f}",
        note,
        not worst.passed and not worst.blind_spot,
    )


def _panel(dose: DoseResponse, subject: Subject) -> Panel:
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
    verdict = f"threshold {dose.verdict}" if dose.threshold is not None else f"detected: {dose.verdict}"
    numbers = ", ".join(f"{_number(m)} at {s:g}" for s, m in zip(dose.severities, dose.means, strict=True))
    ticks = [low, high] if subject.kind == "metric" or low == 0 else [low, 0.0, high]
    return Panel(
        name=dose.condition,
        line=_path(dots),
        band=f"{_path([*upper, *reversed(lower)])}Z",
        dots=tuple(dots),
        threshold_x=None if dose.threshold is None else x(dose.threshold),
        verdict=f"{verdict} · {rho}",
        missed=dose.missed,
        x_ticks=tuple((x(s), f"{s:g}") for s in (0.0, 0.5, 1.0)),
        y_ticks=tuple((y(v), _number(v)) for v in ticks),
        label=f"{dose.subject}, {dose.condition}: mean {numbers}; {verdict}",
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


def _short(row: Detection) -> str:
    return "unavailable" if row.auc is None else f"worst {_number(row.worst or 0.0)}, AUC {row.auc:.2f}"


def _sample(card: ValidityCard, probe: Probe, plan: TrialPlan) -> Sample | None:
    """Return a probe's clips: the violation with the highest detection threshold stands beside the truth. None where no clips are kept."""
    responses = [d for d in card.dose_responses if d.subject == probe.name]
    if not responses:
        return None
    shown = max(responses, key=lambda d: (math.inf if d.threshold is None else d.threshold, -min(d.aucs)))
    sides = [_side(plan.clip(probe, "oracle", 0.0), f"{probe.name}-truth", "truth")]
    for severity in _SHOWN:
        path = plan.clip(probe, shown.condition, severity)
        sides.append(_side(path, f"{probe.name}-{severity:g}", f"{shown.condition}, severity {severity:g}"))
    strips = [s for d in responses if (s := _strip(probe, d.condition, plan)) is not None]
    if not strips and not any(s.clip for s in sides):
        return None
    return Sample(probe.name, probe.suite, shown.condition, tuple(sides), tuple(strips))


def _side(path: Path, name: str, label: str) -> Side:
    try:
        return Side(label, make_clip(path, name))
    except (SoraEvalError, OSError) as error:
        return Side(label, None, f"no clip: {type(error).__name__}")


def _strip(probe: Probe, condition: str, plan: TrialPlan) -> Strip | None:
    try:
        clips = [read_video(plan.clip(probe, condition if s else "oracle", s)).frames for s in SEVERITIES]
    except (SoraEvalError, OSError):
        return None
    sheet = contact_sheet(clips, _STRIP)
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(sheet)).save(file, "WEBP", quality=70, method=4)
    return Strip(condition, base64.b64encode(file.getvalue()).decode(), (sheet.shape[1], sheet.shape[0]))
