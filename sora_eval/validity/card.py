"""The validity card: everything that the trials tell of every probe and metric, as one value that reports are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import asdict, dataclass, fields
from typing import Any

from sora_eval.probes.base import Probe
from sora_eval.processes import pool
from sora_eval.tracking.metrics import BY_NAME
from sora_eval.types import Mode
from sora_eval.validity import corruptions, fidelity, tracking
from sora_eval.validity.corruptions import Read, Treatment
from sora_eval.validity.detection import TRACKING, Alarm, Dose, Floor, Subject, Told, alarms, doses, floors, told
from sora_eval.validity.fidelity import SetDistance
from sora_eval.validity.tracker import TrackerCard
from sora_eval.validity.trials import Plan, Trial, kept

VERSION = 2
"""Of validity.json; raised whenever its fields change."""


@dataclass(frozen=True)
class Card:
    """What a validity card says.

    command: that made it. about: how much was tried. scenes: per probe; clips: per treatment of metrics, 0 without them.
    """

    command: str
    about: str
    scenes: int
    clips: int
    subjects: tuple[Subject, ...]
    rows: tuple[Told, ...]
    doses: tuple[Dose, ...]
    floors: tuple[Floor, ...]
    alarms: tuple[Alarm, ...]
    distances: tuple[SetDistance, ...]
    trackers: tuple[TrackerCard, ...]

    @property
    def missed(self) -> list[Told]:
        """The rows that fall short and are not so by design."""
        return [r for r in self.rows if not r.good and not r.by_design]

    def to_json(self) -> dict[str, Any]:
        """Return JSON values; numbers have five digits."""
        whole = {
            "version": VERSION,
            "command": self.command,
            "about": self.about,
            "scenes": self.scenes,
            "clips": self.clips,
        }
        subjects = [
            {f.name: getattr(s, f.name) for f in fields(s) if f.name not in ("by_design", "bounds")}
            for s in self.subjects
        ]
        lists: dict[str, Sequence[Any]] = {
            "rows": self.rows,
            "doses": self.doses,
            "floors": self.floors,
            "alarms": self.alarms,
            "distances": self.distances,
            "trackers": self.trackers,
        }
        return {**whole, "subjects": subjects, **{k: [_short(asdict(v)) for v in some] for k, some in lists.items()}}


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _short(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_short(v) for v in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def absent_from(card: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Return which of these probes and metrics a card in JSON has no row of, those among them that are told to be unavailable aside."""
    told_of = {r["subject"] for r in card.get("rows", ())}
    unavailable = {s["name"] for s in card.get("subjects", ()) if s["missing"]}
    return [n for n in names if n not in told_of and n not in unavailable]


def subject_of(probe: Probe, modes: Sequence[Mode]) -> Subject:
    """Return a probe as a subject of the card."""
    blind: dict[tuple[str, str], str] = {
        (mode, what): why for mode in probe.blind_modes for what, why in probe.blind_to.items() if mode in modes
    }
    bounds = (0.0 - probe.chance / (1 - probe.chance), 1.0)
    return Subject(probe.name, probe.suite, "probe", probe.claim, probe.version, True, bounds, blind)


def tracking_subjects() -> list[Subject]:
    """Return the tracking metrics as subjects of the card."""
    found = []
    for name in tracking.tried():
        m = BY_NAME[name]
        by_design = {("", what): why for what, why in tracking.unclaimed(name).items()}
        # No value lies within bounds of NaN: an interval of equal values is then unknown.
        bounds = m.bounds or (float("nan"), float("nan"))
        found.append(Subject(name, TRACKING, "metric", m.meaning, 1, m.higher, bounds, by_design, "clip"))
    return found


def gather(
    probes: Sequence[Probe], plan: Plan, clips: int, workers: int, done: Callable[[int], object] = lambda total: None
) -> tuple[list[Trial], dict[Treatment, Read]]:
    """Return all trials of probes, and what was read of treated clips (nothing where `clips` is 0); what is kept is not made again.

    done: called after each part, with the number of all parts.
    """
    with pool(workers) as executor:
        # The metrics' parts take longest: they begin.
        treatments = corruptions.treatments() if clips else []
        reads = [executor.submit(corruptions.kept, t, clips, plan.folder, plan.code) for t in treatments]
        scenes = [executor.submit(kept, p, plan, i) for p in probes if plan.modes_of(p) for i in range(2 * plan.count)]
        every: list[Future[Any]] = [*reads, *scenes]
        for job in as_completed(every):
            job.result()
            done(len(every))
    # In the order of the plan, not of completion: resampling depends on it.
    found = {t: read.result() for t, read in zip(treatments, reads, strict=True)}
    return [trial for scene in scenes for trial in scene.result()], found


def make_card(
    command: str,
    about: str,
    probes: Sequence[Probe],
    plan: Plan,
    clips: int,
    trials: Sequence[Trial],
    found: Mapping[Treatment, Read],
    trackers: Sequence[TrackerCard],
) -> Card:
    """Return the card of what was gathered."""
    subjects = [subject_of(p, plan.modes_of(p)) for p in probes]
    if found:
        protocols = {k: v for read in found.values() for k, v in read.protocols.items()}
        subjects += fidelity.subjects(protocols, clips)
    followed = {t.subject for t in trials}
    subjects += [s for s in tracking_subjects() if s.name in followed]
    by_name: dict[str, list[Trial]] = {}
    for trial in (*trials, *fidelity.trials(found)):
        by_name.setdefault(trial.subject, []).append(trial)
    mine = [(s, by_name.get(s.name, [])) for s in subjects]
    return Card(
        command,
        about,
        plan.count,
        clips,
        tuple(subjects),
        tuple(r for s, some in mine for r in told(s, some)),
        tuple(d for s, some in mine for d in doses(s, some)),
        tuple(f for s, some in mine for f in floors(s, some)),
        tuple(a for s, some in mine for a in alarms(s, some)),
        tuple(fidelity.distances(found)),
        tuple(trackers),
    )
