"""Trials of an audit: the value of every scorer on every clip of a scene. Finished scenes are cached, so that a killed audit goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from pathlib import Path

from sora_eval.audit.clips import clips_of
from sora_eval.audit.scorers import ScoredClip, Scorer, load_scorer
from sora_eval.errors import ConfigError
from sora_eval.files import read_json, write_json
from sora_eval.generator.simulator import true_video
from sora_eval.probes.base import Probe
from sora_eval.processes import pool
from sora_eval.types import digest
from sora_eval.validity.trials import TrialPlan, case_of
from sora_eval.video import write_ffv1


@dataclass(frozen=True)
class Target:
    """A scorer by its target: what worker processes load it from."""

    target: str
    """As in `load_scorer`."""
    lower: bool
    """Whether lower values are better."""
    timeout_s: float
    """Longest time of a call, where it is a command."""

    def load(self) -> Scorer:
        """Return the scorer, loaded once per process.

        Raises:
            ConfigError: it can't be loaded.
        """
        return _loaded(self)


@lru_cache(maxsize=64)
def _loaded(target: Target) -> Scorer:
    return load_scorer(target.target, target.lower, target.timeout_s)


@dataclass(frozen=True)
class AuditTrial:
    """The value of a scorer on one clip."""

    scorer: str
    """Name of the scorer."""
    probe: str
    """Name of the probe whose scene it is."""
    kind: str
    """"oracle", "control", "exploit", "violation", "nuisance" or "look"."""
    condition: str
    """Name of the control, exploit, violation, nuisance transform or look."""
    severity: float
    """0..1."""
    unit: str
    """The scene."""
    value: float | None
    """As the scorer gave it; None where it gave none."""
    better: float | None
    """The value with its sign turned so that higher is better."""
    reason: str = ""
    """Why there is no value."""


def audit_trials(
    targets: Sequence[Target],
    probes: Sequence[Probe],
    plan: TrialPlan,
    workers: int,
    progress: Callable[[int], object] = lambda total: None,
) -> list[AuditTrial]:
    """Return the trials of all scorers on the scenes of all probes, cached ones from the cache.

    Scorers that must be alone get the scenes one after the other, in one process each.

    progress: called after each scene, with the number of all scenes.
    """
    together = [t for t in targets if not t.load().alone]
    groups = ([(together, workers)] if together else []) + [([t], 1) for t in targets if t.load().alone]
    scenes = [(p, i) for p in probes for i in range(plan.count)]
    rows = []
    for group, processes in groups:
        with pool(processes) as executor:
            jobs = [executor.submit(scene_trials, group, p, plan, i) for p, i in scenes]
            for job in jobs:
                rows += job.result()
                progress(len(jobs) * len(groups))
    return rows


def scene_trials(targets: Sequence[Target], probe: Probe, plan: TrialPlan, number: int) -> list[AuditTrial]:
    """Return the trials of all scorers on one scene; clips are rendered only where one of them has not seen them."""
    stored = {t: _stored(t.load(), probe, plan, number) for t in targets}
    missing = [t for t, rows in stored.items() if rows is None]
    made: dict[Target, list[AuditTrial]] = {t: [] for t in missing}
    for row in _scored(missing, probe, plan, number) if missing else ():
        made[row[0]].append(row[1])
    for target, rows in made.items():
        write_json(_path(target.load(), probe, plan, number), {"trials": [astuple(r) for r in rows]})
    return [row for t in targets for row in (made[t] if t in made else stored[t] or [])]


def _scored(
    targets: Sequence[Target], probe: Probe, plan: TrialPlan, number: int
) -> Iterator[tuple[Target, AuditTrial]]:
    case = case_of(probe, plan.profile, plan.modes_of(probe)[0], plan.seed, number)
    true = true_video(case)
    for kind, condition, severity, video in clips_of(case, probe, number):
        if number == 0 and kind in ("oracle", "control", "exploit"):
            write_ffv1(plan.clip(probe, condition, severity), video)
        clip = ScoredClip(video, case.prompt, true)
        for target in targets:
            scorer = target.load()
            value, reason = scorer.value(clip)
            better = None if value is None else value if scorer.higher_is_better else -value
            at = (kind, condition, severity, case.cluster)
            yield target, AuditTrial(scorer.name, probe.name, *at, value, better, reason)


def _path(scorer: Scorer, probe: Probe, plan: TrialPlan, number: int) -> Path:
    key = digest([plan.key(probe), scorer.fingerprint, scorer.higher_is_better])
    return plan.folder / f"{scorer.name}.{probe.name}.{number:03d}.{key}.json"


def _stored(scorer: Scorer, probe: Probe, plan: TrialPlan, number: int) -> list[AuditTrial] | None:
    path = _path(scorer, probe, plan, number)
    if number == 0 and not plan.clip(probe, "oracle", 0.0).exists():
        return None
    try:
        return [AuditTrial(*row) for row in read_json(path)["trials"]]
    except (ConfigError, KeyError, TypeError):
        return None
