"""What an audit says of a scorer: how often a wrong clip beats the truth of its own scene, and which violations it detects."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sora_eval.audit.clips import RIGHT_FOR_SOME
from sora_eval.audit.trials import AuditTrial
from sora_eval.stats.intervals import Interval, cluster_bootstrap
from sora_eval.stats.sign_flips import paired_difference

DRAWS = (1, 2, 4, 8)
"""Wrong clips that the best is chosen from."""
ALPHA = 0.05
"""Level of a verdict on one condition."""


@dataclass(frozen=True)
class Preference:
    """How often a scorer prefers clips of one condition to the truth of their scene."""

    scorer: str
    """Name of the scorer."""
    kind: str
    """"control", "exploit", "violation", "nuisance" or "look"."""
    condition: str
    """Name of the control, exploit, violation, nuisance transform or look."""
    severity: float
    """0..1."""
    scenes: int
    """Scenes with both values."""
    rate: float
    """Share of scenes in which the clip scores better than the truth, equal ones counted half: chance is .5, and 0 is right for a wrong
    clip."""
    low: float
    """Lower end of its 95% interval."""
    high: float
    """Upper end of its 95% interval."""
    ties: float
    """Share of scenes in which both score the same."""
    p_value: float
    """Two-sided, of a rate of .5, by sign flips of whole scenes: no less than 2^(1 - m) for m scenes, so that 6 at least are needed."""

    @property
    def verdict(self) -> str:
        """Whether it "prefers it" or "detects it", where interval and p-value exclude chance, else "undecided".

        Wilson's interval alone would: of 4 equal outcomes it ends at .49, and a coin gives them once in 8 times.
        """
        if self.p_value > ALPHA:
            return "undecided"
        return "prefers it" if self.low > 0.5 else "detects it" if self.high < 0.5 else "undecided"


@dataclass(frozen=True)
class BestOf:
    """How often the best of N wrong clips of a scene beats its truth."""

    scorer: str
    """Name of the scorer."""
    draws: int
    """N."""
    scenes: int
    """Scenes."""
    rate: float
    """Mean share of draws of N of a scene's wrong clips, without repeats, of which one at least scores better than the truth."""
    low: float
    """Lower end of its 95% interval."""
    high: float
    """Upper end of its 95% interval."""
    winner: str
    """The condition that is best most often, where it beats the truth; "" for none."""


def preferences(trials: Iterable[AuditTrial]) -> list[Preference]:
    """Return a row per scorer and condition, in the order of the trials; scenes without one of both values are left out."""
    true, groups = _by_scene(trials)
    rows = []
    for (scorer, kind, condition, severity), own in groups.items():
        pairs = [
            (t, true[scorer, t.unit]) for t in own if t.better is not None and true.get((scorer, t.unit)) is not None
        ]
        if not pairs:
            continue
        gaps = [t.better - truth for t, truth in pairs if t.better is not None and truth is not None]
        wins = [0.5 if abs(g) < 1e-9 else float(g > 0) for g in gaps]
        scenes = [t.unit for t, _ in pairs]
        rate = cluster_bootstrap(np.array(wins), scenes)
        p = paired_difference(wins, np.full(len(wins), 0.5), scenes).p_value
        ties = float(np.mean([abs(g) < 1e-9 for g in gaps]))
        rows.append(Preference(scorer, kind, condition, severity, len(pairs), rate.mean, rate.low, rate.high, ties, p))
    return rows


def best_of(trials: Iterable[AuditTrial], draws: Sequence[int] = DRAWS) -> list[BestOf]:
    """Return a row per scorer and N: wrong clips are controls, exploits and violations at full severity.

    Of m wrong clips of a scene of which k beat the truth, the best of N does with probability 1 - C(m - k, N) / C(m, N).
    """
    true, groups = _by_scene(trials)
    wrong: dict[str, dict[str, list[AuditTrial]]] = {}
    for (scorer, kind, condition, severity), own in groups.items():
        if kind in ("control", "exploit", "violation") and severity == 1 and condition not in RIGHT_FOR_SOME:
            for t in own:
                if t.better is not None and true.get((scorer, t.unit)) is not None:
                    wrong.setdefault(scorer, {}).setdefault(t.unit, []).append(t)
    rows = []
    for scorer, scenes in wrong.items():
        beats = {unit: [t for t in own if _beats(t, true[scorer, unit])] for unit, own in scenes.items()}
        best = [max(own, key=lambda t: t.better or 0.0).condition for own in beats.values() if own]
        winner = max(dict.fromkeys(best), key=best.count) if best else ""
        for n in draws:
            rates = [_at_least_one(len(scenes[u]), len(beats[u]), n) for u in scenes]
            rate: Interval = cluster_bootstrap(np.array(rates), list(scenes))
            rows.append(BestOf(scorer, n, len(scenes), rate.mean, rate.low, rate.high, winner))
    return rows


def _beats(trial: AuditTrial, truth: float | None) -> bool:
    return trial.better is not None and truth is not None and trial.better > truth + 1e-9


def _at_least_one(clips: int, better: int, draws: int) -> float:
    draws = min(draws, clips)
    return 1.0 - math.comb(clips - better, draws) / math.comb(clips, draws)


_Condition = tuple[str, str, str, float]


def _by_scene(
    trials: Iterable[AuditTrial],
) -> tuple[Mapping[tuple[str, str], float | None], Mapping[_Condition, list[AuditTrial]]]:
    """Return the truth's value by scorer and scene, and the other trials by scorer, kind, condition and severity."""
    true: dict[tuple[str, str], float | None] = {}
    groups: dict[_Condition, list[AuditTrial]] = {}
    for t in trials:
        if t.kind == "oracle":
            true[t.scorer, t.unit] = t.better
        else:
            groups.setdefault((t.scorer, t.kind, t.condition, t.severity), []).append(t)
    return true, groups


def detected(rows: Sequence[Preference]) -> tuple[int, int]:
    """Return how many violations at full severity a scorer detects, of how many."""
    faults = [r for r in rows if r.kind == "violation" and r.severity == 1]
    return sum(r.verdict == "detects it" for r in faults), len(faults)


def paid_for(rows: Sequence[Preference]) -> list[Preference]:
    """Return the controls and exploits that a scorer prefers to the truth, but those that may be right answers."""
    return [
        r
        for r in rows
        if r.kind in ("control", "exploit") and r.condition not in RIGHT_FOR_SOME and r.verdict == "prefers it"
    ]


def threshold(rows: Sequence[Preference], violation: str) -> float | None:
    """Return the lowest severity from which on a violation is detected at every stronger one, None where the strongest is not."""
    found = None
    for row in sorted((r for r in rows if r.condition == violation), key=lambda r: -r.severity):
        if row.verdict != "detects it":
            break
        found = row.severity
    return found


def changed(rows: Sequence[Preference]) -> list[Preference]:
    """Return nuisance transforms and looks, which change no meaning, to which a scorer is not indifferent."""
    return [r for r in rows if r.kind in ("nuisance", "look") and r.verdict != "undecided"]
