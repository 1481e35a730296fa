"""Trials of probes: every probe on true clips, controls, dialled violations and nuisance transforms, scene by scene.

A scene is rendered once for all modes and controls, a violation of it once per severity. The trials of a scene are cached under a hash of
all that they depend on, the code included: a run that was killed goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from sora_eval.errors import ConfigError
from sora_eval.files import read_json, write_json
from sora_eval.generator.simulator import CONTROLS, OTHER, WORLD, Control, Violation, true_video
from sora_eval.probes.base import Probe
from sora_eval.tracking.world import track
from sora_eval.types import Case, Failure, Mode, Profile, Score, Tracks, Video, digest
from sora_eval.validity.nuisances import NUISANCES, POST_RENDER, looks_of, transformed, transformed_case
from sora_eval.validity.tracking import SWAP, is_measured, metric_values, with_swapped_identities
from sora_eval.video import write_ffv1

SEVERITIES: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
"""0 is the truth itself."""
NUISANCE_SCENES = 6
"""Scenes under nuisance transforms; a paired test of fewer could never be significant at .05."""
_CODE = ("world", "tracking", "metrics", "probes", "encoders")
_FILES = (
    *(f"validity/{name}.py" for name in ("nuisances", "trials", "corruptions", "tracking")),
    *("generator/simulator.py", "fidelity/extractors.py", "video/codec.py"),
)
"""Packages and files whose code decides the trials."""
Kind = Literal["oracle", "held", "control", "violation", "corruption", "nuisance", "look"]
"""The truth, other true clips (for the noise floor), a control, a broken law of the world, a corruption of frames, a nuisance transform,
the truth in a look of the world."""


@dataclass(frozen=True)
class Trial:
    """The value of a probe or a metric on one clip, or on one set of clips."""

    subject: str
    """Name of the probe or metric."""
    mode: str
    """Mode of the probe's case; "" for a metric."""
    kind: Kind
    """Kind of the condition."""
    condition: str
    """Name of the control, violation, corruption, nuisance transform or look."""
    severity: float
    """0..1."""
    unit: str
    """The scene or set; trials that share one are no independent evidence."""
    value: float | None
    """In the subject's unit, corrected for chance, unjudgeable as 0; None where a metric refuses such clips."""
    reason: str = ""
    """Why it is not judged."""
    nuisance: str = ""
    """The nuisance transform that a violation is tried under, "" for none."""


@dataclass(frozen=True)
class TrialPlan:
    """Which trials every probe has."""

    profile: Profile
    """Size, length and rate of the clips."""
    modes: tuple[Mode, ...]
    """Modes of the cases."""
    count: int
    """Scenes, one of each pair of mirrored twins, the left and the right one by turns; as many others are the noise floor's second set."""
    seed: int
    """Seed of the scenes."""
    folder: Path
    """The cache of finished scenes, with the clips of the first one."""
    code: str
    """Hash of the code behind the trials."""

    def modes_of(self, probe: Probe) -> tuple[Mode, ...]:
        """Return the modes that a probe is tried in; violations short of the strongest in the first of them only."""
        return tuple(m for m in self.modes if m in probe.modes)

    def key(self, probe: Probe) -> str:
        """Return a hash of all that a probe's trials depend on, but the number of the scene."""
        return digest([self.code, WORLD, probe.name, probe.version, asdict(self.profile), self.modes, self.seed])

    def clip(self, probe: Probe, condition: str, severity: float) -> Path:
        """Return where a clip of the first scene is kept, lossless."""
        return self.folder / "clips" / f"{probe.name}.{self.key(probe)}" / f"{condition}@{severity:g}.mkv"


def code_hash() -> str:
    """Return a hash of the code behind the trials: it may change before anybody raises a version."""
    paths = [p for name in _CODE for p in sorted(Path(str(files(f"sora_eval.{name}"))).rglob("*.py"))]
    for name in _FILES:
        package, _, file = name.rpartition("/")
        paths.append(Path(str(files(f"sora_eval.{package}"))) / file)
    hashed = hashlib.sha256()
    for path in paths:
        hashed.update(path.name.encode() + b"\0" + path.read_bytes())
    return hashed.hexdigest()[:16]


def case_of(probe: Probe, profile: Profile, mode: Mode, seed: int, scene: int) -> Case:
    """Return the case of a scene: of the pair of twins with its number the first or the second one, by turns."""
    return probe.cases(2 * scene + 2, profile, mode, seed)[2 * scene + scene % 2]


class _Scene:
    """The trials of a probe, and of the tracking metrics, on one scene."""

    def __init__(self, probe: Probe, plan: TrialPlan, number: int) -> None:
        self.probe, self.plan, self.number = probe, plan, number
        self.cases = [case_of(probe, plan.profile, m, plan.seed, number) for m in plan.modes_of(probe)]
        self.first = self.cases[0]
        self.measures_tracking = is_measured(probe, number, plan.count)
        self.has_nuisances = number < NUISANCE_SCENES and self.first.mode == probe.modes[0]

    def trials(self) -> Iterator[Trial]:
        true = true_video(self.first)
        if self.number >= self.plan.count:
            yield from self._judge("held", "other scenes", 0.0, true, self.cases)
            return
        yield from self._judge("oracle", "oracle", 0.0, true, self.cases)
        for control in (*CONTROLS, OTHER):
            yield from self._judge("control", control, 1.0, next(Control(control).generate([self.first])), self.cases)
        self._keep(true, "oracle", 0.0)
        for violation in self.probe.violations:
            yield from self._violations(violation)
        if self.measures_tracking:
            for severity in SEVERITIES[1:]:
                video = with_swapped_identities(self.first, severity)
                yield from self._measure_tracking("violation", SWAP, severity, video, track(video))
        if self.has_nuisances:
            for nuisance in NUISANCES:
                case = transformed_case(self.first, nuisance, self.number)
                yield from self._judge("nuisance", nuisance, 0.0, transformed(true_video(case), nuisance), [case])
            for look, severity, case in looks_of(self.first):
                yield from self._judge("look", look, severity, true_video(case), [case])

    def _violations(self, violation: str) -> Iterator[Trial]:
        for severity in SEVERITIES[1:]:
            video = next(Violation(violation, severity).generate([self.first]))
            cases = self.cases if severity == 1 else self.cases[:1]
            yield from self._judge("violation", violation, severity, video, cases)
            if isinstance(video, Video):
                self._keep(video, violation, severity)
        if self.has_nuisances and isinstance(video, Video):
            for nuisance in POST_RENDER:
                clip = transformed(video, nuisance)
                yield from self._judge("violation", violation, 1.0, clip, self.cases[:1], nuisance)

    def _judge(
        self,
        kind: Kind,
        condition: str,
        severity: float,
        video: Video | Failure,
        cases: Sequence[Case],
        nuisance: str = "",
    ) -> Iterator[Trial]:
        """Yield the trials of one clip as an answer to each of the cases."""
        if isinstance(video, Failure):
            scores = [Score(None, video.reason)] * len(cases)
        else:
            tracks = track(video)
            scores = [self.probe.score(case, video, tracks) for case in cases]
            if self.measures_tracking and kind not in ("nuisance", "look") and not nuisance:
                yield from self._measure_tracking(kind, condition, severity, video, tracks)
        chance = self.probe.chance
        for case, score in zip(cases, scores, strict=True):
            value = 0.0 if score.value is None else (score.value - chance) / (1 - chance)
            at = (kind, condition, severity, self.first.cluster)
            yield Trial(self.probe.name, case.mode, *at, value, score.reason, nuisance)

    def _measure_tracking(
        self, kind: Kind, condition: str, severity: float, video: Video, tracks: Tracks
    ) -> Iterator[Trial]:
        for name, value in metric_values(self.first, video, tracks).items():
            reason = "" if value is not None else "the metric is not defined on such a clip"
            yield Trial(name, "", kind, condition, severity, self.first.cluster, value, reason)

    def _keep(self, video: Video, condition: str, severity: float) -> None:
        if self.number == 0:
            write_ffv1(self.plan.clip(self.probe, condition, severity), video)


def scene_trials(probe: Probe, plan: TrialPlan, scene: int) -> list[Trial]:
    """Return all trials of one scene; a scene from `plan.count` on gives only true ones."""
    return list(_Scene(probe, plan, scene).trials())


def cached_scene_trials(probe: Probe, plan: TrialPlan, scene: int) -> list[Trial]:
    """Return `scene_trials`, from the cache or computed and cached."""
    role = "held" if scene >= plan.count else "card"
    path = plan.folder / f"{probe.name}.{role}{scene:03d}.{plan.key(probe)}.json"
    if path.exists():
        try:
            return [Trial(*row) for row in read_json(path)["trials"]]
        except (ConfigError, KeyError, TypeError):
            # Half a file is none.
            path.unlink()
    trials = scene_trials(probe, plan, scene)
    write_json(path, {"trials": [astuple(t) for t in trials]})
    return trials
