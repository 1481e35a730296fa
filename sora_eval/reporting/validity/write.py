"""The validity card as Markdown and JSON, and as the page with plots and clips."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from sora_eval.files import write_text
from sora_eval.probes.base import Probe
from sora_eval.reporting.validity.cells import auc_of, cell, hardest, marked, number, p_text, table, threshold_of
from sora_eval.reporting.validity.metrics import metrics_part, tracking_part
from sora_eval.reporting.validity.page import write_page
from sora_eval.validity.card import ValidityCard
from sora_eval.validity.detection import (
    ALPHA,
    FIDELITY,
    MIN_AUC,
    MIN_NUISANCE,
    MIN_ORACLE,
    THRESHOLD_RULE,
    TRACKING,
    Detection,
    DoseResponse,
    Subject,
    rejection_rate,
)
from sora_eval.validity.nuisances import ALL_AT_ONCE, POST_RENDER
from sora_eval.validity.trials import NUISANCE_SCENES, SEVERITIES, TrialPlan


def write_validity(card: ValidityCard, probes: Sequence[Probe], plan: TrialPlan, out: Path) -> Path:
    """Write validity.md, validity.json and validity.html into `out` and return the last one."""
    write_text(out / "validity.md", markdown(card) + "\n")
    write_text(out / "validity.json", to_json(card))
    return write_page(card, probes, plan, out / "validity.html")


def to_json(card: ValidityCard) -> str:
    """Return a card as JSON, one line per row, so that a changed row is one changed line."""
    parts = []
    for key, value in card.to_json().items():
        if isinstance(value, list):
            rows = ",\n".join(f"  {json.dumps(v, allow_nan=False)}" for v in value)
            parts.append(f" {json.dumps(key)}: [\n{rows}\n ]" if value else f" {json.dumps(key)}: []")
        else:
            parts.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def summary(card: ValidityCard) -> str:
    """Return a line per probe and metric: lowest scores of the truth, the faults with the lowest AUC, and the detection threshold."""
    lines = [
        "| suite | probe or metric | oracle, lowest | nuisance, lowest | hardest control (AUC, 95%) "
        "| hardest violation or corruption (AUC, 95%) | detection threshold (severity) |",
        "|---|---|---:|---:|---|---|---|",
    ]
    for subject in card.subjects:
        if subject.unavailable:
            continue
        rows = [r for r in card.detections if r.subject == subject.name]
        oracle, nuisance = "", ""
        if subject.kind == "probe":
            oracle, nuisance = _lowest(rows, "oracle", MIN_ORACLE), _lowest(rows, "nuisance", MIN_NUISANCE)
        faults = (_hardest(rows, ("control",)), _hardest(rows, ("violation", "corruption")))
        lines.append(
            f"| {subject.suite} | {subject.name} | {oracle} | {nuisance} | {' | '.join(faults)} | {_thresholds(card, subject)} |"
        )
    if unavailable := [s.name for s in card.subjects if s.unavailable]:
        lines += ["", f"Unavailable, without weights on the machine that made this: {'; '.join(unavailable)}."]
    return "\n".join(lines)


def markdown(card: ValidityCard) -> str:
    """Return the whole card as Markdown."""
    probes = [s for s in card.subjects if s.kind == "probe"]
    fidelity, tracking = ([s for s in card.subjects if s.suite == suite] for suite in (FIDELITY, TRACKING))
    parts = [
        "# Metric validation",
        f"Made by `{card.command}`: {card.about}. With plots and clips: [validity.html](validity.html).",
        *_lead(card),
        summary(card),
        "## Controls and violations",
        "AUC against the oracle, the lowest over the modes, with its 95% interval there; mean score of the clips in brackets.",
        _controls(card, probes),
        "## Dose-response",
        f"Mean score at severities {', '.join(f'{s:g}' for s in SEVERITIES)} in the prompt-only mode, Spearman's correlation of severity "
        f"and mean score (towards worse), AUC at each severity above 0, and the detection threshold: {THRESHOLD_RULE}.",
        _dose_responses(card, probes),
        "## Noise floor",
        "True clips against true clips: the scenes of the card against as many others, by mode. The difference of their mean scores, and "
        "its standard error over random halvings of both together. A difference of two models below that is within noise.",
        _floors(card, probes),
        "## False-alarm rate",
        *_false_alarms(card),
        "## Nuisance transforms",
        f"The lowest score of the truth in {NUISANCE_SCENES} prompt-only scenes under each nuisance transform; "
        f"*{ALL_AT_ONCE}* is 256 px under three lights by turns, compressed, at half the rate.",
        _nuisances(card, probes),
        f"And detection under a nuisance transform of both the truth and the violation: the violation at severity 1 with the lowest AUC, "
        f"over {NUISANCE_SCENES} scenes.",
        _detection_under_nuisance(card, probes),
        "## Tracker accuracy",
        "\n".join(_tracker(card)),
    ]
    if fidelity:
        parts += ["## Fidelity metrics", *metrics_part(card, fidelity)]
    if tracking:
        parts += ["## Tracking metrics", *tracking_part(card, tracking)]
    parts += ["## Known blind spots and missed faults", "\n".join(_undetected(card))]
    return "\n\n".join(p for p in parts if p)


def _lead(card: ValidityCard) -> Iterable[str]:
    yield (
        f"Required of a probe: the oracle scores at least {MIN_ORACLE} in every scene and mode, at least {MIN_NUISANCE} under every "
        f"nuisance transform; every control and every violation at severity 1 has an AUC of at least {MIN_AUC} against the oracle. "
        "A metric judges many clips at once: the whole interval of its AUC must be above 0.5. What falls short is **bold**; "
        "*known blind spot* marks faults that a probe or metric cannot detect, with the reason below."
    )
    yield (
        "Scores are those of reports, corrected for chance, and a clip that could not be judged counts as 0. Every scene is one of a pair "
        "of mirrored twins, the first and the second by turns, so that scenes are independent; intervals resample scenes. Violations short "
        f"of severity 1 are tried in the prompt-only mode. An AUC of 1 on {card.scenes} scenes has the interval that Wilson's method gives "
        f"{card.scenes} of {card.scenes}."
    )


def _lowest(rows: Sequence[Detection], kind: str, least: float) -> str:
    scores = [0.0 if r.worst is None else r.worst for r in rows if r.kind == kind]
    return marked(min(scores), least) if scores else ""


def _hardest(rows: Sequence[Detection], kinds: tuple[str, ...]) -> str:
    faults = [r for r in rows if r.kind in kinds and r.severity == 1 and not r.nuisance]
    required = [r for r in faults if not r.blind_spot]
    blind = sorted({r.condition for r in faults if r.blind_spot and not r.passed})
    text = ""
    if required:
        worst = hardest(required)
        text = f"{worst.condition} {auc_of(worst)}"
    return text + (f" (*known blind spot* {', '.join(blind)})" if blind else "")


def _thresholds(card: ValidityCard, subject: Subject) -> str:
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
    return "; ".join(parts)


def _controls(card: ValidityCard, subjects: Sequence[Subject]) -> str:
    names = list(dict.fromkeys(r.condition for r in card.detections if r.kind == "control"))
    rows = []
    for s in subjects:
        controls = [r for r in card.detections if r.subject == s.name and r.kind == "control"]
        rows.append([s.name, *(cell([r for r in controls if r.condition == n]) for n in names)])
    return table(["probe", *names], rows)


def _dose_responses(card: ValidityCard, subjects: Sequence[Subject]) -> str:
    head = ["probe", "violation", "mean score", "Spearman", "AUC", "AUC at 1, all modes", "detection threshold"]
    rows = []
    for s in subjects:
        responses = [d for d in card.dose_responses if d.subject == s.name]
        if not responses:
            rows.append([s.name, "none but the controls", "", "", "", "", ""])
        for d in responses:
            strongest = [
                r
                for r in card.detections
                if (r.subject, r.condition, r.kind, r.severity) == (s.name, d.condition, d.kind, 1.0) and not r.nuisance
            ]
            rows.append([s.name, d.condition, *_curve(d), cell(strongest), threshold_of(d)])
    return table(head, rows)


def _curve(d: DoseResponse) -> list[str]:
    means, aucs = (", ".join(map(number, values)) for values in (d.means, d.aucs))
    return [means, "flat" if d.rho is None else f"{d.rho:.2f}", aucs]


def _floors(card: ValidityCard, subjects: Sequence[Subject]) -> str:
    rows = []
    for s in subjects:
        for f in (f for f in card.noise_floors if f.subject == s.name):
            span = "" if f.low is None or f.high is None else f" [{f.low:.3f}, {f.high:.3f}]"
            sizes = " / ".join(map(str, f.n))
            rows.append(
                [
                    s.name,
                    f.mode,
                    f"{f.first:.3f}",
                    f"{f.second:.3f}",
                    f"{f.difference:.3f}{span}",
                    f"{f.standard_error:.3f}",
                    sizes,
                ]
            )
    return table(["probe", "mode", "first set", "second set", "difference [95%]", "standard error", "scenes"], rows)


def _false_alarms(card: ValidityCard) -> Iterable[str]:
    probes = {s.name for s in card.subjects if s.kind == "probe"}
    of_probes = [a for a in card.false_alarms if a.subject in probes]
    plain, transformed = ([a for a in of_probes if bool(a.nuisance) == under] for under in (False, True))
    for group, name, least in ((plain, "plain", MIN_ORACLE), (transformed, "under nuisance transforms", MIN_NUISANCE)):
        clips, failing = sum(a.clips for a in group), sum(a.false_alarms or 0 for a in group)
        if clips:
            yield f"False alarms on {clips} true clips, {name}: {failing} score below {least}."
    rejected, tests, rate = rejection_rate(transformed)
    if tests:
        yield (
            f"Of {tests} paired tests at {ALPHA} of the truth against the truth under a nuisance transform, {rejected} reject: "
            f"{rate.mean:.3f} [{rate.low:.3f}, {rate.high:.3f}]."
        )
    rows = [
        [
            a.subject,
            a.nuisance or "plain",
            f"{a.false_alarms} of {a.clips}",
            "" if a.difference is None else f"{a.difference:.3f}",
            p_text(a.p_value),
        ]
        for a in of_probes
        if a.false_alarms or a.rejected
    ]
    yield table(["probe", "nuisance transform", "false alarms", "truth - transformed", "p"], rows) if rows else ""


def _nuisances(card: ValidityCard, subjects: Sequence[Subject]) -> str:
    names = list(dict.fromkeys(r.condition for r in card.detections if r.kind == "nuisance" and r.suite != FIDELITY))
    rows = []
    for s in subjects:
        by_name = {r.condition: r for r in card.detections if r.kind == "nuisance" and r.subject == s.name}
        rows.append([s.name, *(marked(by_name[n].worst or 0.0, MIN_NUISANCE) if n in by_name else "" for n in names)])
    return table(["probe", *names], rows) if names else ""


def _detection_under_nuisance(card: ValidityCard, subjects: Sequence[Subject]) -> str:
    rows = []
    for s in subjects:
        cells = []
        for nuisance in POST_RENDER:
            faults = [r for r in card.detections if r.subject == s.name and r.nuisance == nuisance]
            cells.append(f"{hardest(faults).condition} {auc_of(hardest(faults))}" if faults else "")
        if any(cells):
            rows.append([s.name, *cells])
    return table(["probe", *POST_RENDER], rows) if rows else ""


def _tracker(card: ValidityCard) -> Iterable[str]:
    yield "All coloured bodies of at least 8 visible pixels, intersection over union of boxes; means over clips."
    yield ""
    yield "| clips | HOTA | MOTA | IDF1 | identity switches |"
    yield "|---|---:|---:|---:|---:|"
    for c in card.trackers:
        yield f"| {c.clips}, {c.corruption} | {c.hota:.2f} | {c.mota:.2f} | {c.idf1:.2f} | {c.id_switches} |"


def _undetected(card: ValidityCard) -> Iterable[str]:
    for (subject, condition), reason in card.blind_spots.items():
        yield f"- {subject}, {condition}, known blind spot: {reason}."
    for r in card.missed:
        figures = "unavailable" if r.auc is None or r.worst is None else f"worst {number(r.worst)}, AUC {r.auc:.2f}"
        subject = " ".join(part for part in (r.subject, r.mode) if part)
        yield f"- {subject}, {r.condition}, missed: {figures}. {'; '.join(r.reasons)}".rstrip()
    if not card.blind_spots and not card.missed:
        yield "None."
