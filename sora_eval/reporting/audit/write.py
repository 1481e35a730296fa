"""Writes an audit: audit.md, audit.json and audit.html, with the clips of one scene and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sora_eval.audit.clips import EXPLOITS
from sora_eval.audit.report import Audit
from sora_eval.files import write_json, write_text
from sora_eval.probes.base import Probe
from sora_eval.reporting.audit.page import make_page
from sora_eval.reporting.components import text
from sora_eval.reporting.components.html import render
from sora_eval.reporting.components.players import Player, clips_of, side_of
from sora_eval.validity.trials import TrialPlan

_SHOWN = ("oracle", "frozen", *EXPLOITS)
_PLAYERS = 4


def write_audit(audit: Audit, probes: Sequence[Probe], plan: TrialPlan, out: Path) -> Path:
    """Write the audit into `out` and return the page. probes, plan: where the clips of the first scene of each are kept."""
    players = [_player(audit, probe, plan) for probe in probes[:: max(1, len(probes) // _PLAYERS)][:_PLAYERS]]
    write_text(out / "audit.md", text.markdown(make_page(audit), "audit.html"))
    write_json(out / "audit.json", audit.to_json())
    page = make_page(audit, players)
    write_text(out / "audit.html", render(page, clips_of(p.sides for p in players)))
    return out / "audit.html"


def _player(audit: Audit, probe: Probe, plan: TrialPlan) -> Player:
    own = [t for t in audit.trials if t.probe == probe.name]
    first = own[0].unit if own else ""
    values = {(t.condition, t.scorer): t.value for t in own if t.unit == first and t.condition in _SHOWN}
    lines = []
    for scorer in audit.scorers:
        shown = [(c, values.get((c, scorer.name))) for c in _SHOWN]
        scores = ", ".join(f"{'truth' if c == 'oracle' else c} {v:.3g}" for c, v in shown if v is not None)
        lines.append(f"{scorer.name}: {scores}")
    sides = tuple(
        side_of(
            plan.clip(probe, c, float(c != "oracle")),
            f"{probe.name}-{c.replace(' ', '-')}",
            "truth" if c == "oracle" else c,
        )
        for c in _SHOWN
    )
    return Player(probe.name, probe.name, probe.name, probe.suite, "", sides, lines=tuple(lines), wide=True)
