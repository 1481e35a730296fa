"""The sections of the validity card on fidelity metrics and on tracking metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sora_eval.reporting.components.marked import Marked
from sora_eval.reporting.components.page import Block, Fold, Note
from sora_eval.reporting.components.table import Table, table
from sora_eval.reporting.validity.cells import controls, correlation, p_text, threshold_of
from sora_eval.reporting.validity.curves import curves
from sora_eval.validity.card import ValidityCard
from sora_eval.validity.detection import FIDELITY, TRACKING, Subject
from sora_eval.validity.tracking import PROBE, SCENES
from sora_eval.validity.trials import SEVERITIES

_SHOWN = (0.0, 0.25, 1.0)
"""Severities whose distances at full size are shown; validity.json has all."""
_DIFFERENT = Marked("**different**")


def fidelity(card: ValidityCard, subjects: Sequence[Subject]) -> Iterator[Block]:
    """Yield the blocks on fidelity metrics, unavailable ones last."""
    yield Note(
        f"{card.clips} clips of the world per condition, of families in turn. A metric of clips has a trial per clip; a distance of sets a "
        "trial per small set against all the real clips, which makes its AUC one of small sets."
    )
    if validated := [s for s in subjects if not s.unavailable]:
        yield from _validated(card, validated)
    if unavailable := [(s.name, s.unavailable) for s in subjects if s.unavailable]:
        yield table("Unavailable metrics", "Unavailable:", ("metric", "reason"), unavailable)


def _validated(card: ValidityCard, validated: Sequence[Subject]) -> Iterator[Block]:
    yield from _detection(card, validated)
    yield _floors(
        *(card, validated),
        "Noise floor, true clips against other true clips. Full-reference metrics compare a clip with itself, so they have none.",
    )
    yield Fold("Distances at full size", (_distances(card),), inline=True)
    yield Fold("Nuisance transforms", (_nuisances(card, validated),), inline=True)
    yield from _refused(card, FIDELITY, "Clips that a metric refuses:")


def tracking(card: ValidityCard, subjects: Sequence[Subject]) -> Iterator[Block]:
    """Yield the blocks on tracking metrics."""
    text = (
        f"Of the clips of the first {SCENES} scenes of {PROBE}, as answers to a case with one given frame, and without for what needs no "
        "true clip; *exchange*: hero and occluder swap colours while the hero is hidden. The truth through the tracker is the ceiling."
    )
    yield Note(Marked(text))
    yield from _detection(card, subjects)
    yield _floors(card, subjects, "Noise floor, true clips against other true clips:")
    yield from _refused(card, TRACKING, "Conditions under which a metric is not always defined:")


def _detection(card: ValidityCard, subjects: Sequence[Subject]) -> Iterator[Block]:
    yield controls(card, subjects, ("metric", "value of a"), "")
    yield from curves(card, subjects)
    yield Fold("Dose-response in numbers", (_dose_responses(card, subjects),), inline=True)


def _dose_responses(card: ValidityCard, subjects: Sequence[Subject]) -> Table:
    rows = []
    for d in (d for s in subjects for d in card.dose_responses if d.subject == s.name):
        means, aucs = (", ".join(f"{v:.3g}" for v in values) for values in (d.means, d.aucs))
        rows.append((d.subject, d.condition, means, correlation(d), aucs, threshold_of(d)))
    steps = ", ".join(f"{s:g}" for s in SEVERITIES)
    head = ("metric", "fault", f"mean at {steps}", "Spearman", "AUC", "detection threshold")
    return table(f"Dose-response: {subjects[0].suite}", "", head, rows)


def _floors(card: ValidityCard, subjects: Sequence[Subject], caption: str) -> Fold:
    rows = []
    for f in (f for s in subjects for f in card.noise_floors if f.subject == s.name):
        span = "" if f.low is None or f.high is None else f" [{f.low:.3g}, {f.high:.3g}]"
        means = f"{f.first:.3g}", f"{f.second:.3g}"
        sizes = " / ".join(map(str, f.n))
        rows.append((f.subject, *means, f"{f.difference:.3g}{span}", f"{f.standard_error:.2g}", sizes))
    head = ("metric", "first set", "second set", "difference [95%]", "standard error", "clips or sets")
    return Fold("Noise floor", (table(f"Noise floor: {subjects[0].suite}", caption, head, rows),), inline=True)


def _distances(card: ValidityCard) -> Table:
    rows = []
    for d in (d for d in card.set_distances if d.severity in _SHOWN):
        condition = f"{d.condition} at {d.severity:g}" if d.kind in ("corruption", "violation") else d.condition
        rows.append((d.metric, condition, f"{d.value:.3g}", f"{d.floor:.3g}", f"[{d.low:.3g}, {d.high:.3g}]"))
    caption = (
        f"Distances at full size, {card.clips} clips against {card.clips} real ones, beside the floor, the distance of as many true clips. "
        "The interval of their difference leaves out one set of clips at a time (a jackknife)."
    )
    head = ("metric", "condition", "distance", "floor", "distance - floor, 95%")
    return table("Distances of sets", caption, head, rows)


def _nuisances(card: ValidityCard, subjects: Sequence[Subject]) -> Table:
    rows = []
    for a in (a for s in subjects for a in card.false_alarms if a.subject == s.name and a.nuisance):
        difference = "" if a.difference is None else f"{a.difference:.3g}"
        rows.append((a.subject, a.nuisance, difference, p_text(a.p_value), _DIFFERENT if a.rejected else ""))
    caption = (
        "Nuisance transforms: the mean of the truth minus that of the transformed truth, and the paired test of no difference. "
        "A metric that rejects is not robust; lpips-world, SSIM and PSNR compare with the true clip, so that every transform is a "
        "difference to them."
    )
    head = ("metric", "nuisance transform", "truth - transformed", "p", "verdict")
    return table("Metrics under nuisance transforms", caption, head, rows)


def _refused(card: ValidityCard, suite: str, caption: str) -> Iterator[Fold]:
    refused = [r for r in card.detections if r.suite == suite and r.mean is None]
    if rows := [(r.subject, r.condition, "; ".join(r.reasons)) for r in refused]:
        shown = table(f"Conditions without a value: {suite}", caption, ("metric", "condition", "reason"), rows)
        yield Fold("Conditions without a value", (shown,), f"{len(rows)}", inline=True)
