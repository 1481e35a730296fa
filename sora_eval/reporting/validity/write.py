"""Writes the validity card: validity.md, validity.json, and validity.html with curves and clips."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from sora_eval.errors import SoraEvalError
from sora_eval.files import write_text
from sora_eval.probes.base import Probe
from sora_eval.reporting.components import text
from sora_eval.reporting.components.clips import Strip, make_strip
from sora_eval.reporting.components.html import render
from sora_eval.reporting.components.players import Player, clips_of, side_of
from sora_eval.reporting.validity.page import make_page
from sora_eval.validity.card import ValidityCard
from sora_eval.validity.trials import SEVERITIES, TrialPlan

_SHOWN = (0.5, 1.0)
"""Severities of the violation that is played beside the truth."""


def write_validity(card: ValidityCard, probes: Sequence[Probe], plan: TrialPlan, out: Path) -> Path:
    """Write validity.md, validity.json and validity.html into `out` and return the last one.

    probes, plan: where the clips of the first scene of each are kept.
    """
    players: dict[str, list[Player]] = {}
    for probe in probes:
        if player := _player(card, probe, plan):
            players.setdefault(probe.suite, []).append(player)
    write_text(out / "validity.md", markdown(card))
    write_text(out / "validity.json", to_json(card))
    page = make_page(card, players)
    write_text(out / "validity.html", render(page, clips_of(p.sides for own in players.values() for p in own)))
    return out / "validity.html"


def markdown(card: ValidityCard) -> str:
    """Return the tables of a card as Markdown."""
    return text.markdown(make_page(card), "validity.html")


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


def _player(card: ValidityCard, probe: Probe, plan: TrialPlan) -> Player | None:
    """Return a probe's clips: the violation with the highest detection threshold stands beside the truth. None where no clips are kept."""
    responses = [d for d in card.dose_responses if d.subject == probe.name]
    if not responses:
        return None
    shown = max(responses, key=lambda d: (math.inf if d.threshold is None else d.threshold, -min(d.aucs)))
    sides = [side_of(plan.clip(probe, "oracle", 0.0), f"{probe.name}-truth", "truth")]
    for severity in _SHOWN:
        path = plan.clip(probe, shown.condition, severity)
        sides.append(side_of(path, f"{probe.name}-{severity:g}", f"{shown.condition}, severity {severity:g}"))
    strips = tuple(s for d in responses if (s := _strip(probe, d.condition, plan)) is not None)
    if not strips and not any(s.clip for s in sides):
        return None
    return Player(
        case=probe.name,
        label=f"{probe.name}, {shown.condition}",
        title=probe.name,
        detail=shown.condition,
        prompt="",
        sides=tuple(sides),
        tags=(("suite", probe.suite),),
        strips=strips,
    )


def _strip(probe: Probe, condition: str, plan: TrialPlan) -> Strip | None:
    paths = (plan.clip(probe, condition if s else "oracle", s) for s in SEVERITIES)
    try:
        return make_strip(condition, [f"{s:g}" for s in SEVERITIES], paths)
    except (SoraEvalError, OSError):
        return None
