"""The parts of the validity card on fidelity metrics and tracking metrics, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sora_eval.reporting.validity.cells import cell, p_text, table, threshold_of
from sora_eval.validity.card import ValidityCard
from sora_eval.validity.detection import FIDELITY, TRACKING, Subject
from sora_eval.validity.tracking import PROBE, SCENES
from sora_eval.validity.trials import SEVERITIES

_SHOWN = (0.0, 0.25, 1.0)
"""Severities whose distances at full size are shown; validity.json has all."""


def metrics_part(card: ValidityCard, subjects: Sequence[Subject]) -> Iterable[str]:
    """Yield the part on fidelity metrics, unavailable ones last."""
    yield (
        f"{card.clips} clips of the world per condition, of families in turn. A metric of clips has a trial per clip; a distance of sets a "
        "trial per small set against all the real clips, which makes its AUC one of small sets."
    )
    validated = [s for s in subjects if not s.unavailable]
    yield _controls(card, validated, FIDELITY)
    yield _dose_responses(card, validated)
    yield "Noise floor, true clips against other true clips. Full-reference metrics compare a clip with itself, so they have none."
    yield _floors(card, validated)
    yield (
        f"Distances at full size, {card.clips} clips against {card.clips} real ones, beside the floor, the distance of as many true clips. "
        "The interval of their difference leaves out one set of clips at a time (a jackknife)."
    )
    yield _distances(card)
    yield (
        "Nuisance transforms: the mean of the truth minus that of the transformed truth, and the paired test of no difference. "
        "A metric that rejects is not robust; lpips-world, SSIM and PSNR compare with the true clip, so that every transform is a "
        "difference to them."
    )
    yield _nuisances(card, validated)
    if rows := [
        [r.subject, r.condition, "; ".join(r.reasons)]
        for r in card.detections
        if r.suite == FIDELITY and r.mean is None
    ]:
        yield "Clips that a metric refuses:"
        yield table(["metric", "condition", "reason"], rows)
    if unavailable := [[s.name, s.unavailable] for s in subjects if s.unavailable]:
        yield "Unavailable:"
        yield table(["metric", "reason"], unavailable)


def tracking_part(card: ValidityCard, subjects: Sequence[Subject]) -> Iterable[str]:
    """Yield the part on tracking metrics."""
    yield (
        f"Of the clips of the first {SCENES} scenes of {PROBE}, as answers to a case with one given frame, and without for what needs no "
        "true clip; *exchange*: hero and occluder swap colours while the hero is hidden. The truth through the tracker is the ceiling."
    )
    yield _controls(card, subjects, TRACKING)
    yield _dose_responses(card, subjects)
    yield "Noise floor, true clips against other true clips:"
    yield _floors(card, subjects)
    refused = [r for r in card.detections if r.suite == TRACKING and r.mean is None]
    if rows := [[r.subject, r.condition, "; ".join(r.reasons)] for r in refused]:
        yield "Conditions under which a metric is not always defined:"
        yield table(["metric", "condition", "reason"], rows)


def _controls(card: ValidityCard, subjects: Sequence[Subject], suite: str) -> str:
    names = list(dict.fromkeys(r.condition for r in card.detections if r.kind == "control" and r.suite == suite))
    rows = []
    for s in subjects:
        controls = [r for r in card.detections if r.subject == s.name and r.kind == "control"]
        rows.append([s.name, s.unit, *(cell([r for r in controls if r.condition == n]) for n in names)])
    return table(["metric", "value of a", *names], rows)


def _dose_responses(card: ValidityCard, subjects: Sequence[Subject]) -> str:
    rows = []
    for d in (d for s in subjects for d in card.dose_responses if d.subject == s.name):
        means, aucs = (", ".join(f"{v:.3g}" for v in values) for values in (d.means, d.aucs))
        rows.append([d.subject, d.condition, means, "flat" if d.rho is None else f"{d.rho:.2f}", aucs, threshold_of(d)])
    steps = ", ".join(f"{s:g}" for s in SEVERITIES)
    return table(["metric", "fault", f"mean at {steps}", "Spearman", "AUC", "detection threshold"], rows)


def _floors(card: ValidityCard, subjects: Sequence[Subject]) -> str:
    rows = []
    for f in (f for s in subjects for f in card.noise_floors if f.subject == s.name):
        span = "" if f.low is None or f.high is None else f" [{f.low:.3g}, {f.high:.3g}]"
        sizes = " / ".join(map(str, f.n))
        means = f"{f.first:.3g}", f"{f.second:.3g}"
        rows.append([f.subject, *means, f"{f.difference:.3g}{span}", f"{f.standard_error:.2g}", sizes])
    return table(["metric", "first set", "second set", "difference [95%]", "standard error", "clips or sets"], rows)


def _distances(card: ValidityCard) -> str:
    rows = []
    for d in (d for d in card.set_distances if d.severity in _SHOWN):
        condition = f"{d.condition} at {d.severity:g}" if d.kind in ("corruption", "violation") else d.condition
        rows.append([d.metric, condition, f"{d.value:.3g}", f"{d.floor:.3g}", f"[{d.low:.3g}, {d.high:.3g}]"])
    return table(["metric", "condition", "distance", "floor", "distance - floor, 95%"], rows)


def _nuisances(card: ValidityCard, subjects: Sequence[Subject]) -> str:
    rows = []
    for a in (a for s in subjects for a in card.false_alarms if a.subject == s.name and a.nuisance):
        gap = "" if a.difference is None else f"{a.difference:.3g}"
        rows.append([a.subject, a.nuisance, gap, p_text(a.p_value), "**different**" if a.rejected else ""])
    return table(["metric", "nuisance transform", "truth - transformed", "p", ""], rows)
