"""The part of the validity card that is about fidelity metrics, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sora_eval.reporting.validity.cells import cell, noticed, p_text, table
from sora_eval.validity.card import Card
from sora_eval.validity.detection import FIDELITY, TRACKING, Subject
from sora_eval.validity.tracking import PROBE, SCENES
from sora_eval.validity.trials import SEVERITIES

_SHOWN = (0.0, 0.25, 1.0)
"""Severities whose distances at full size are shown; validity.json has all."""


def metrics_part(card: Card, subjects: Sequence[Subject]) -> Iterable[str]:
    """Yield the parts of the card that are about fidelity metrics, those that are unavailable last."""
    yield (
        f"{card.clips} clips of the world per treatment, of families in turn. A metric of clips is tried clip by clip; a distance of sets "
        "on sets of a few against all the real ones, which makes its AUC one of small sets. What a metric does not claim to notice "
        "is *by design*."
    )
    here = [s for s in subjects if not s.missing]
    yield _controls(card, here, FIDELITY)
    yield _doses(card, here)
    yield "True clips against other true clips: real against real. Pairs are of a clip and itself, so they have no such floor."
    yield _floors(card, here)
    yield (
        f"Distances at full size, {card.clips} clips against {card.clips} real ones, beside the floor: the distance of as many true clips. "
        "The interval of their difference leaves out one set of clips at a time (a jackknife)."
    )
    yield _distances(card)
    yield (
        "Harmless looks: the mean of the truth minus that under a look, and whether a paired test calls them different. "
        "A metric that does is not robust to it; lpips-world, SSIM and PSNR compare with the true clip, so that every other look is a "
        "difference to them."
    )
    yield _looks(card, here)
    if rows := [[r.subject, r.what, "; ".join(r.reasons)] for r in card.rows if r.suite == FIDELITY and r.mean is None]:
        yield "Clips that a metric refuses:"
        yield table(["metric", "clips", "why"], rows)
    if gone := [[s.name, s.missing] for s in subjects if s.missing]:
        yield "Unavailable:"
        yield table(["metric", "why"], gone)


def tracking_part(card: Card, subjects: Sequence[Subject]) -> Iterable[str]:
    """Yield the parts of the card that are about tracking metrics."""
    yield (
        f"Of the clips of the first {SCENES} scenes of {PROBE}, as answers to a case with one given frame, and without for what needs no "
        "true clip; *exchange*: hero and wall exchange colours while the hero is hidden. The truth through the tracker is the ceiling."
    )
    yield _controls(card, subjects, TRACKING)
    yield _doses(card, subjects)
    yield "True clips against other true clips:"
    yield _floors(card, subjects)
    refused = [r for r in card.rows if r.suite == TRACKING and r.mean is None]
    if rows := [[r.subject, r.what, "; ".join(r.reasons)] for r in refused]:
        yield "Clips on which a metric is not always defined:"
        yield table(["metric", "clips", "why"], rows)


def _controls(card: Card, subjects: Sequence[Subject], suite: str) -> str:
    names = list(dict.fromkeys(r.what for r in card.rows if r.kind == "control" and r.suite == suite))
    rows = []
    for s in subjects:
        mine = [r for r in card.rows if r.subject == s.name and r.kind == "control"]
        rows.append([s.name, s.unit, *(cell([r for r in mine if r.what == n]) for n in names)])
    return table(["metric", "value of a", *names], rows)


def _doses(card: Card, subjects: Sequence[Subject]) -> str:
    rows = []
    for d in (d for s in subjects for d in card.doses if d.subject == s.name):
        means, aucs = (", ".join(f"{v:.3g}" for v in some) for some in (d.means, d.aucs))
        rows.append([d.subject, d.what, means, "flat" if d.rho is None else f"{d.rho:.2f}", aucs, noticed(d)])
    steps = ", ".join(f"{s:g}" for s in SEVERITIES)
    return table(["metric", "damage", f"mean at {steps}", "Spearman", "AUC", "noticed from"], rows)


def _floors(card: Card, subjects: Sequence[Subject]) -> str:
    rows = []
    for f in (f for s in subjects for f in card.floors if f.subject == s.name):
        span = "" if f.low is None or f.high is None else f" [{f.low:.3g}, {f.high:.3g}]"
        sizes = " / ".join(map(str, f.n))
        means = f"{f.first:.3g}", f"{f.second:.3g}"
        rows.append([f.subject, *means, f"{f.difference:.3g}{span}", f"{f.spread:.2g}", sizes])
    return table(["metric", "first set", "second set", "difference [95%]", "spread", "clips or sets"], rows)


def _distances(card: Card) -> str:
    rows = []
    for d in (d for d in card.distances if d.severity in _SHOWN):
        what = f"{d.what} at {d.severity:g}" if d.kind in ("damage", "violation") else d.what
        rows.append([d.metric, what, f"{d.value:.3g}", f"{d.floor:.3g}", f"[{d.low:.3g}, {d.high:.3g}]"])
    return table(["metric", "clips", "distance", "floor", "distance - floor, 95%"], rows)


def _looks(card: Card, subjects: Sequence[Subject]) -> str:
    rows = []
    for a in (a for s in subjects for a in card.alarms if a.subject == s.name and a.look):
        gap = "" if a.difference is None else f"{a.difference:.3g}"
        rows.append([a.subject, a.look, gap, p_text(a.p_value), "**different**" if a.rejected else ""])
    return table(["metric", "look", "truth - look", "p", ""], rows)
