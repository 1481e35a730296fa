"""The result of an audit as one value that pages are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sora_eval.audit.scorers import Scorer
from sora_eval.audit.statistics import BestOf, Preference, best_of, preferences
from sora_eval.audit.trials import AuditTrial

VERSION = 2
"""Version of audit.json; raised whenever its fields change."""


@dataclass(frozen=True)
class Audit:
    """Values of scorers on every clip, and what they say of the scorers."""

    command: str
    """The command that made it."""
    about: str
    """How much was tried, in words."""
    scorers: tuple[Scorer, ...]
    """The scorers."""
    trials: tuple[AuditTrial, ...]
    """A value per scorer and clip."""
    preferences: tuple[Preference, ...]
    """A row per scorer and condition."""
    best_of: tuple[BestOf, ...]
    """A row per scorer and number of draws."""

    def to_json(self) -> dict[str, Any]:
        """Return JSON values, without the single trials."""
        names = ("name", "about", "higher_is_better", "full_reference")
        scorers = [{name: getattr(s, name) for name in names} for s in self.scorers]
        tables = {
            "preferences": [{**asdict(r), "verdict": r.verdict} for r in self.preferences],
            "best_of": [asdict(r) for r in self.best_of],
        }
        return {"version": VERSION, "command": self.command, "about": self.about, "scorers": scorers, **tables}


def make_audit(command: str, about: str, scorers: Sequence[Scorer], trials: Sequence[AuditTrial]) -> Audit:
    """Return the audit of trials."""
    return Audit(command, about, tuple(scorers), tuple(trials), tuple(preferences(trials)), tuple(best_of(trials)))
