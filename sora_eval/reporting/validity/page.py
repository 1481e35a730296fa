"""What the validity card shows: tables on the page and in Markdown, dose-response curves and clips on the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import mujoco

from sora_eval.reporting.components.marked import Marked
from sora_eval.reporting.components.numbers import count
from sora_eval.reporting.components.page import Block, Fold, Items, Note, Page, Section, Tiles
from sora_eval.reporting.components.players import Filters, Gallery, Player
from sora_eval.reporting.components.table import Cell, Table, table
from sora_eval.reporting.validity import metrics
from sora_eval.reporting.validity.cells import (
    auc_of,
    controls,
    correlation,
    detection,
    hardest,
    marked,
    number,
    p_text,
    threshold_of,
)
from sora_eval.reporting.validity.curves import curves
from sora_eval.validity.card import ValidityCard
from sora_eval.validity.detection import (
    ALPHA,
    FIDELITY,
    METRIC_SUITES,
    MIN_AUC,
    MIN_NUISANCE,
    MIN_ORACLE,
    THRESHOLD_RULE,
    TRACKING,
    Detection,
    Subject,
    rejection_rate,
)
from sora_eval.validity.nuisances import ALL_AT_ONCE, POST_RENDER
from sora_eval.validity.trials import NUISANCE_SCENES, SEVERITIES

_STEPS = ", ".join(f"{s:g}" for s in SEVERITIES)


def make_page(card: ValidityCard, players: Mapping[str, Sequence[Player]] | None = None) -> Page:
    """Return the page of a card. players: clips by suite."""
    probes = [s for s in card.subjects if s.kind == "probe"]
    fidelity, tracking = ([s for s in card.subjects if s.suite == suite] for suite in (FIDELITY, TRACKING))
    sections = [
        ("scores", "At a glance", _glance(card)),
        ("controls", "Controls and violations", _controls(card, probes)),
        ("dose-response", "Dose-response", _dose_responses(card, probes)),
        ("noise-floor", "Noise floor", _floors(card, probes)),
        ("false-alarms", "False-alarm rate", _false_alarms(card)),
        ("nuisances", "Nuisance transforms", _nuisances(card, probes)),
        ("looks", "Looks of the world", _looks(card)),
        ("tracker-accuracy", "Tracker accuracy", _tracker(card)),
        ("fidelity", "Fidelity metrics", metrics.fidelity(card, fidelity) if fidelity else ()),
        ("tracking", "Tracking metrics", metrics.tracking(card, tracking) if tracking else ()),
        ("missed", "Known blind spots and missed faults", _undetected(card)),
        ("clips-shown", "Clips", _clips(players or {})),
    ]
    made = [Section(name, title, tuple(blocks)) for name, title, blocks in sections]
    return Page(
        title="Metric validation",
        lead=f"{card.about[0].upper()}{card.about[1:]}. Every probe and every fidelity and tracking metric runs on true clips, on "
        "controls that no score may reward, and on clips with one law broken by a dialled severity, through the code that judges a model.",
        command=card.command,
        problems=tuple(_problems(card)),
        facts=(
            ("scenes per probe", str(card.scenes)),
            ("clips per condition of metrics", str(card.clips)),
            ("MuJoCo", mujoco.__version__),
            ("severities", _STEPS),
        ),
        made="How it was made",
        whose="this card",
        sections=tuple(s for s in made if s.blocks),
        footer="Every number of this page is in validity.json, and as tables in validity.md.",
        links=(("validity.md", "validity.md"), ("validity.json", "validity.json")),
    )


def _problems(card: ValidityCard) -> Iterator[str]:
    if card.missed:
        names = ", ".join(dict.fromkeys(r.subject for r in card.missed))
        yield f"{count(len(card.missed), 'fault')} missed and no known blind spot, of {names}; listed below with the figures."


def _glance(card: ValidityCard) -> Iterator[Block]:
    yield Tiles(tuple(_tiles(card)))
    yield Note(
        Marked(
            f"Required of a probe: the oracle scores at least {MIN_ORACLE} in every scene and mode, at least {MIN_NUISANCE} under every "
            f"nuisance transform; every control and every violation at severity 1 has an AUC of at least {MIN_AUC} against the oracle. "
            "A metric judges many clips at once: the whole interval of its AUC must be above 0.5. What falls short is **bold**; "
            "*known blind spot* marks faults that a probe or metric cannot detect, with the reason below."
        )
    )
    yield Note(
        "Scores are those of reports, corrected for chance, and a clip that could not be judged counts as 0. Every scene is one of a pair "
        "of mirrored twins, the first and the second by turns, so that scenes are independent; intervals resample scenes. Violations short "
        f"of severity 1 are tried in the prompt-only mode. An AUC of 1 on {card.scenes} scenes has the interval that Wilson's method gives "
        f"{card.scenes} of {card.scenes}."
    )
    yield Fold("Summary by probe and metric", (summary(card),), inline=True)
    if unavailable := [s.name for s in card.subjects if s.unavailable]:
        yield Note(f"Unavailable, without weights on the machine that made this: {'; '.join(unavailable)}.")


def _tiles(card: ValidityCard) -> Iterator[tuple[str, str, str]]:
    names = {s.name for s in card.subjects if s.kind == "probe"}
    strongest = [r for r in card.detections if r.severity == 1 and not r.nuisance]
    if faults := [r for r in strongest if r.subject in names and r.kind in ("control", "violation")]:
        passed = sum(r.passed for r in faults)
        blind = sum(bool(r.blind_spot) and not r.passed for r in faults)
        rest = f"; {blind} of the others are known blind spots" if blind else ""
        definition = f"controls and violations at severity 1, by mode, with an AUC of {MIN_AUC} and more{rest}"
        yield "Faults detected by probes", f"{passed} of {len(faults)}", definition
    if responses := [d for d in card.dose_responses if d.subject in names]:
        half = sum(d.threshold is not None and d.threshold <= 0.5 for d in responses)
        definition = "violations with a detection threshold of 0.5 or below"
        yield "Detected at half severity", f"{half} of {len(responses)}", definition
    alarms = [a for a in card.false_alarms if a.subject in names]
    if clips := sum(a.clips for a in alarms):
        definition = "true clips, plain and under nuisance transforms, that a probe scores as failing"
        yield "False alarms", f"{sum(a.false_alarms or 0 for a in alarms)} of {clips}", definition
    rejected, tests, rate = rejection_rate(alarms)
    if tests:
        interval = f"{rate.mean:.3f} [{rate.low:.3f}, {rate.high:.3f}]"
        definition = f"paired tests at {ALPHA} of the truth, plain against transformed: {interval}"
        yield "Nuisances rejected", f"{rejected} of {tests}", definition
    kinds = ("control", "violation", "corruption")
    required = [r for r in strongest if r.suite in METRIC_SUITES and r.kind in kinds and not r.blind_spot]
    if required:
        definition = (
            "that are no known blind spot of the fidelity or tracking metric, with the interval of the AUC above 0.5"
        )
        yield "Faults detected by metrics", f"{sum(r.passed for r in required)} of {len(required)}", definition


def summary(card: ValidityCard) -> Table:
    """Return a line per probe and metric: lowest scores of the truth, the faults with the lowest AUC, and the detection threshold."""
    lines = []
    for subject in (s for s in card.subjects if not s.unavailable):
        rows = [r for r in card.detections if r.subject == subject.name]
        lowest = [_lowest(rows, "oracle", MIN_ORACLE), _lowest(rows, "nuisance", MIN_NUISANCE)]
        lines.append(
            (
                *(subject.suite, subject.name, *(lowest if subject.kind == "probe" else ("", ""))),
                *(_hardest(rows, ("control",)), _hardest(rows, ("violation", "corruption"))),
                _thresholds(card, subject),
            )
        )
    head = (
        *("suite", "probe or metric", "oracle, lowest", "nuisance, lowest", "hardest control (AUC, 95%)"),
        *("hardest violation or corruption (AUC, 95%)", "detection threshold (severity)"),
    )
    return table("Summary by probe and metric", "", head, lines)


def _lowest(rows: Sequence[Detection], kind: str, least: float) -> str:
    scores = [0.0 if r.worst is None else r.worst for r in rows if r.kind == kind]
    return marked(min(scores), least) if scores else ""


def _hardest(rows: Sequence[Detection], kinds: tuple[str, ...]) -> Marked:
    faults = [r for r in rows if r.kind in kinds and r.severity == 1 and not r.nuisance]
    required = [r for r in faults if not r.blind_spot]
    blind = sorted({r.condition for r in faults if r.blind_spot and not r.passed})
    text = _fault(required) if required else ""
    return Marked(text + (f" (*known blind spot* {', '.join(blind)})" if blind else ""))


def _fault(rows: Sequence[Detection]) -> Marked:
    """Return the fault with the lowest AUC."""
    return Marked(f"{hardest(rows).condition} {auc_of(hardest(rows))}")


def _thresholds(card: ValidityCard, subject: Subject) -> Marked:
    """Return the highest detection threshold of a subject with the faults that have it, and the faults that are missed."""
    rows = [d for d in card.dose_responses if d.subject == subject.name and not d.blind_spot]
    missed = [d.condition for d in rows if d.missed]
    highest = max((d.threshold for d in rows if d.threshold is not None), default=None)
    parts = ["too few to test"] if any(not d.testable for d in rows) else []
    if highest is not None:
        at = [d.condition for d in rows if d.threshold == highest]
        few = f" ({', '.join(at[:2])}{' ...' if len(at) > 2 else ''})" if len(at) < len(rows) else ""
        parts.append(f"{highest:g}{few}")
    if missed:
        parts.append(f"**never** {', '.join(missed)}")
    return Marked("; ".join(parts))


def _controls(card: ValidityCard, probes: Sequence[Subject]) -> Iterator[Block]:
    if probes:
        yield controls(
            *(card, probes, ("probe",)),
            "AUC against the oracle, the lowest over the modes, with its 95% interval there; mean score of the clips in brackets.",
        )


def _dose_responses(card: ValidityCard, probes: Sequence[Subject]) -> Iterator[Block]:
    yield Note(
        f"Mean score in the prompt-only mode with its 95% interval at severities {_STEPS}; 0 is the truth. The dashed upright is the "
        "detection threshold.",
        page_only=True,
    )
    yield from curves(card, probes)
    rows: list[list[str | Cell]] = []
    for s in probes:
        responses = [d for d in card.dose_responses if d.subject == s.name]
        if not responses:
            rows.append([s.name, "none but the controls", "", "", "", "", ""])
        for d in responses:
            at = (s.name, d.condition, d.kind, 1.0)
            strongest = [
                r for r in card.detections if (r.subject, r.condition, r.kind, r.severity) == at and not r.nuisance
            ]
            means, aucs = (", ".join(map(number, values)) for values in (d.means, d.aucs))
            rows.append([s.name, d.condition, means, correlation(d), aucs, detection(strongest), threshold_of(d)])
    caption = (
        f"Mean score at severities {_STEPS} in the prompt-only mode, Spearman's correlation of severity "
        f"and mean score (towards worse), AUC at each severity above 0, and the detection threshold: {THRESHOLD_RULE}."
    )
    head = ("probe", "violation", "mean score", "Spearman", "AUC", "AUC at 1, all modes", "detection threshold")
    yield Fold("In numbers", (table("Dose-response of probes", caption, head, rows),), inline=True)


def _floors(card: ValidityCard, probes: Sequence[Subject]) -> Iterator[Block]:
    rows = []
    for f in (f for s in probes for f in card.noise_floors if f.subject == s.name):
        span = "" if f.low is None or f.high is None else f" [{f.low:.3f}, {f.high:.3f}]"
        means = f"{f.first:.3f}", f"{f.second:.3f}"
        sizes = " / ".join(map(str, f.n))
        rows.append((f.subject, f.mode, *means, f"{f.difference:.3f}{span}", f"{f.standard_error:.3f}", sizes))
    caption = (
        "True clips against true clips: the scenes of the card against as many others, by mode. The difference of their mean scores, and "
        "its standard error over random halvings of both together. A difference of two models below that is within noise."
    )
    head = ("probe", "mode", "first set", "second set", "difference [95%]", "standard error", "scenes")
    yield Fold("By probe and mode", (table("Noise floor of probes", caption, head, rows),), inline=True)


def _false_alarms(card: ValidityCard) -> Iterator[Block]:
    probes = {s.name for s in card.subjects if s.kind == "probe"}
    of_probes = [a for a in card.false_alarms if a.subject in probes]
    plain, transformed = ([a for a in of_probes if bool(a.nuisance) == under] for under in (False, True))
    for group, name, least in ((plain, "plain", MIN_ORACLE), (transformed, "under nuisance transforms", MIN_NUISANCE)):
        clips, failing = sum(a.clips for a in group), sum(a.false_alarms or 0 for a in group)
        if clips:
            yield Note(f"False alarms on {clips} true clips, {name}: {failing} score below {least}.")
    rejected, tests, rate = rejection_rate(transformed)
    if tests:
        yield Note(
            f"Of {tests} paired tests at {ALPHA} of the truth against the truth under a nuisance transform, {rejected} reject: "
            f"{rate.mean:.3f} [{rate.low:.3f}, {rate.high:.3f}]."
        )
    rows = [
        (
            *(a.subject, a.nuisance or "plain", f"{a.false_alarms} of {a.clips}"),
            *("" if a.difference is None else f"{a.difference:.3f}", p_text(a.p_value)),
        )
        for a in of_probes
        if a.false_alarms or a.rejected
    ]
    if rows:
        head = ("probe", "nuisance transform", "false alarms", "truth - transformed", "p")
        yield table("False alarms of probes", "", head, rows)


def _tried(card: ValidityCard) -> int:
    """Return how many of a probe's scenes are tried under nuisance transforms and in looks."""
    return min(NUISANCE_SCENES, card.scenes)


def _nuisances(card: ValidityCard, probes: Sequence[Subject]) -> Iterator[Block]:
    tried = {(r.subject, r.condition): r for r in card.detections if r.kind == "nuisance" and r.suite != FIDELITY}
    if names := list(dict.fromkeys(condition for _, condition in tried)):
        rows = [
            (
                s.name,
                *(
                    marked(r.worst or 0.0, MIN_NUISANCE) if (r := tried.get((s.name, n))) is not None else ""
                    for n in names
                ),
            )
            for s in probes
        ]
        caption = Marked(
            f"The lowest score of the truth in {_tried(card)} scenes, in a probe's first mode, under each nuisance transform; "
            f"*{ALL_AT_ONCE}* is 256 px under three lights by turns, compressed, at half the rate."
        )
        yield table("Scores of the truth under nuisance transforms", caption, ("probe", *names), rows)
    if rows := list(_under_nuisance(card, probes)):
        caption = Marked(
            f"And detection under a nuisance transform of both the truth and the violation: the violation at severity 1 with the lowest "
            f"AUC, over {_tried(card)} scenes."
        )
        yield table("Detection under nuisance transforms", caption, ("probe", *POST_RENDER), rows)


def _looks(card: ValidityCard) -> Iterator[Block]:
    """Yield the share of true clips that is judged right in each look, by probe and over all."""
    if not card.looks:
        return
    conditions = list(dict.fromkeys((r.look, r.severity) for r in card.looks))
    names = [f"{look}, {severity:g}" for look, severity in conditions]
    by_probe = {(r.subject, r.look, r.severity): r for r in card.looks}
    rows = []
    for subject in dict.fromkeys(r.subject for r in card.looks):
        cells = []
        for condition in conditions:
            r = by_probe[(subject, *condition)]
            text = f"{r.right} / {r.wrong} / {r.unjudged}"
            cells.append(text if r.borne else f"**{text}**")
        rows.append((subject, *map(Marked, cells)))
    totals = []
    for condition in conditions:
        own = [r for r in card.looks if (r.look, r.severity) == condition]
        clips = sum(r.scenes for r in own)
        totals.append(
            " / ".join(f"{sum(getattr(r, k) for r in own) / clips:.0%}" for k in ("right", "wrong", "unjudged"))
        )
    caption = Marked(
        f"True clips of {_tried(card)} scenes, in a probe's first mode, in each look and severity: right (at least {MIN_NUISANCE}) / "
        "judged wrong / not judged. **Bold** where a probe does not bear a look: scores of models on pictures like it say less."
    )
    yield table("True clips in looks of the world", caption, ("probe", *names), [*rows, ("all", *totals)])


def _under_nuisance(card: ValidityCard, probes: Sequence[Subject]) -> Iterator[tuple[str, ...]]:
    for s in probes:
        own = [r for r in card.detections if r.subject == s.name and r.nuisance]
        cells = [_fault(rows) if (rows := [r for r in own if r.nuisance == n]) else "" for n in POST_RENDER]
        if any(cells):
            yield s.name, *cells


def _tracker(card: ValidityCard) -> Iterator[Block]:
    rows = [
        (f"{c.clips}, {c.corruption}", f"{c.hota:.2f}", f"{c.mota:.2f}", f"{c.idf1:.2f}", str(c.id_switches))
        for c in card.trackers
    ]
    caption = "All coloured bodies of at least 8 visible pixels, intersection over union of boxes; means over clips."
    yield table("Accuracy of the tracker", caption, ("clips", "HOTA", "MOTA", "IDF1", "identity switches"), rows)


def _undetected(card: ValidityCard) -> Iterator[Block]:
    blind = [f"{subject}, {what}, known blind spot: {why}." for (subject, what), why in card.blind_spots.items()]
    missed = []
    for r in card.missed:
        figures = "unavailable" if r.auc is None or r.worst is None else f"worst {number(r.worst)}, AUC {r.auc:.2f}"
        subject = " ".join(part for part in (r.subject, r.mode) if part)
        missed.append(f"{subject}, {r.condition}, missed: {figures}. {'; '.join(r.reasons)}".rstrip())
    if blind:
        yield Fold("Known blind spots", (Items(tuple(("", line) for line in blind)),), f"{len(blind)}", inline=True)
    if missed:
        yield Items(tuple(("", line) for line in missed))
    if not blind and not missed:
        yield Note("None.")


def _clips(players: Mapping[str, Sequence[Player]]) -> Iterator[Block]:
    if not players:
        return
    yield Note(
        "The first scene of every probe: the truth beside the violation with the highest detection threshold. Below each, all violations, "
        "a row per severity.",
        page_only=True,
    )
    yield Filters((("suite", "Suite", tuple(players)),), sum(map(len, players.values())))
    for i, (suite, own) in enumerate(players.items()):
        yield Gallery(suite, count(len(own), "probe"), tuple(own), open=i == 0)
