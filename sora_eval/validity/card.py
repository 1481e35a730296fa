"""The validity card: the statistics of every probe and metric as one value that reports are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import asdict, dataclass, fields
from typing import Any

from sora_eval.errors import ConfigError
from sora_eval.probes.base import Probe
from sora_eval.processes import pool
from sora_eval.tracking.metrics import BY_NAME
from sora_eval.types import Mode
from sora_eval.validity.corruptions import Condition, ConditionFeatures, cached_features, conditions
from sora_eval.validity.detection import (
    TRACKING,
    Detection,
    DoseResponse,
    FalseAlarmRate,
    LookShare,
    NoiseFloor,
    Subject,
    detections,
    dose_responses,
    false_alarm_rates,
    look_shares,
    noise_floors,
)
from sora_eval.validity.fidelity import SetDistance, fidelity_trials, set_distances
from sora_eval.validity.fidelity_metrics import fidelity_subjects
from sora_eval.validity.tracker import TrackerAccuracy
from sora_eval.validity.tracking import blind_spots, metric_names
from sora_eval.validity.trials import Trial, TrialPlan, cached_scene_trials

VERSION = 3
"""Version of validity.json; raised whenever its fields change."""


@dataclass(frozen=True)
class ValidityCard:
    """The statistics of every probe and metric."""

    command: str
    """The command that made it."""
    about: str
    """How much was tried, in words."""
    scenes: int
    """Scenes per probe."""
    clips: int
    """Clips per condition of fidelity metrics; 0 where they are left out."""
    subjects: tuple[Subject, ...]
    """Probes and metrics."""
    detections: tuple[Detection, ...]
    """A row per subject, mode and condition."""
    dose_responses: tuple[DoseResponse, ...]
    """A row per subject, mode and fault."""
    noise_floors: tuple[NoiseFloor, ...]
    """A row per subject and mode."""
    false_alarms: tuple[FalseAlarmRate, ...]
    """A row per subject, plain and per nuisance transform."""
    set_distances: tuple[SetDistance, ...]
    """Distances of sets at full size."""
    trackers: tuple[TrackerAccuracy, ...]
    """Accuracy of the tracker, a row per corruption."""
    looks: tuple[LookShare, ...] = ()
    """A row per probe, look and severity; none in cards from before there were looks."""

    @property
    def missed(self) -> list[Detection]:
        """The rows that fall short and are no known blind spots."""
        return [r for r in self.detections if not r.passed and not r.blind_spot]

    @property
    def blind_spots(self) -> dict[tuple[str, str], str]:
        """The known blind spots that fall short: the reason, by subject and condition."""
        return {(r.subject, r.condition): r.blind_spot for r in self.detections if r.blind_spot and not r.passed}

    def to_json(self) -> dict[str, Any]:
        """Return JSON values; numbers have five digits."""
        subjects = [
            {f.name: getattr(s, f.name) for f in fields(s) if f.name not in ("blind_spots", "bounds")}
            for s in self.subjects
        ]
        tables = {
            f.name: [_rounded(asdict(row)) for row in getattr(self, f.name)]
            for f in fields(self)
            if f.name not in ("command", "about", "scenes", "clips", "subjects")
        }
        numbers = {"scenes": self.scenes, "clips": self.clips}
        return {
            "version": VERSION,
            "command": self.command,
            "about": self.about,
            **numbers,
            "subjects": subjects,
            **tables,
        }


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(v) for v in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def absent_from(card: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Return which of these probes and metrics have no row in a card in JSON, those that it lists as unavailable aside.

    Raises:
        ConfigError: the card is of another version.
    """
    if card.get("version") != VERSION:
        raise ConfigError(
            f"the validity card is of version {card.get('version', 'none')}, this sora-eval reads {VERSION}: make validate"
        )
    known = {r["subject"] for r in card["detections"]} | {s["name"] for s in card["subjects"] if s["unavailable"]}
    return [name for name in names if name not in known]


def probe_subject(probe: Probe, modes: Sequence[Mode]) -> Subject:
    """Return a probe as a subject of the card."""
    spots: dict[tuple[str, str], str] = {
        (mode, condition): reason
        for mode in probe.blind_modes
        for condition, reason in probe.blind_to.items()
        if mode in modes
    }
    bounds = (0.0 - probe.chance / (1 - probe.chance), 1.0)
    return Subject(probe.name, probe.suite, "probe", probe.claim, probe.version, True, bounds, spots)


def tracking_subject(name: str) -> Subject:
    """Return a tracking metric as a subject of the card."""
    metric = BY_NAME[name]
    spots = {("", condition): reason for condition, reason in blind_spots(name).items()}
    # No value lies within bounds of NaN: an interval of equal values is then unknown.
    bounds = metric.bounds or (float("nan"), float("nan"))
    return Subject(name, TRACKING, "metric", metric.meaning, 1, metric.higher, bounds, spots, "clip")


def run_trials(
    probes: Sequence[Probe],
    plan: TrialPlan,
    clips: int,
    workers: int,
    progress: Callable[[int], object] = lambda total: None,
) -> tuple[list[Trial], dict[Condition, ConditionFeatures]]:
    """Return all trials of probes, and the features of clips under every condition (none where `clips` is 0), cached ones from the cache.

    progress: called after each part, with the number of all parts.
    """
    with pool(workers) as executor:
        # The metrics' parts take longest: they begin.
        tried = conditions() if clips else []
        features = [executor.submit(cached_features, c, clips, plan.folder, plan.code) for c in tried]
        scenes = [
            executor.submit(cached_scene_trials, p, plan, i)
            for p in probes
            if plan.modes_of(p)
            for i in range(2 * plan.count)
        ]
        jobs: list[Future[Any]] = [*features, *scenes]
        for job in as_completed(jobs):
            job.result()
            progress(len(jobs))
    # In the order of the plan, not of completion: resampling depends on it.
    by_condition = {c: job.result() for c, job in zip(tried, features, strict=True)}
    return [trial for scene in scenes for trial in scene.result()], by_condition


def make_card(
    command: str,
    about: str,
    probes: Sequence[Probe],
    plan: TrialPlan,
    clips: int,
    trials: Sequence[Trial],
    features: Mapping[Condition, ConditionFeatures],
    trackers: Sequence[TrackerAccuracy],
) -> ValidityCard:
    """Return the card of trials and features."""
    by_subject: dict[str, list[Trial]] = {}
    for trial in (*trials, *fidelity_trials(features)):
        by_subject.setdefault(trial.subject, []).append(trial)
    subjects = [probe_subject(p, plan.modes_of(p)) for p in probes]
    if features:
        protocols = {k: v for f in features.values() for k, v in f.protocols.items()}
        subjects += fidelity_subjects(protocols, clips)
    subjects += [tracking_subject(name) for name in metric_names() if name in by_subject]
    tried = [(s, by_subject.get(s.name, [])) for s in subjects]
    return ValidityCard(
        command,
        about,
        plan.count,
        clips,
        tuple(subjects),
        tuple(row for s, own in tried for row in detections(s, own)),
        tuple(row for s, own in tried for row in dose_responses(s, own)),
        tuple(row for s, own in tried for row in noise_floors(s, own)),
        tuple(row for s, own in tried for row in false_alarm_rates(s, own)),
        tuple(set_distances(features)),
        tuple(trackers),
        tuple(row for s, own in tried for row in look_shares(s, own)),
    )
