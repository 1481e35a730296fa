"""The trials behind the card: every probe on true clips, controls, dialled violations and other looks, scene by scene.

A scene is rendered once for all modes and controls, a violation of it once per severity. What a scene gave is kept under a hash of all that
it depends on, the code included: a run that was killed goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from importlib.resources import files
from pathlib import Path

from sora_eval.errors import ConfigError
from sora_eval.files import read_json, write_json
from sora_eval.generator.simulator import CONTROLS, OTHER, WORLD, Control, Violation, true_video
from sora_eval.probes.base import Probe
from sora_eval.tracking.world import track
from sora_eval.types import Case, Failure, Mode, Profile, Score, Tracks, Video, digest
from sora_eval.validity import tracking
from sora_eval.validity.nuisances import CHEAP, LOOKS, asked, seen
from sora_eval.video import write_ffv1

SEVERITIES: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
"""0 is the truth itself."""
LOOK_SCENES = 6
"""Scenes under other looks; a paired test of fewer could never be significant at .05."""
_CODE = ("world", "tracking", "metrics", "probes", "encoders")
_FILES = (
    *(f"validity/{name}.py" for name in ("nuisances", "trials", "corruptions", "tracking", "encoder_sensitivity")),
    *("generator/simulator.py", "fidelity/extractors.py", "video/codec.py"),
)
"""Packages and files whose code decides what a trial gives."""


@dataclass(frozen=True)
class Trial:
    """What a probe or a metric said of one clip, or of one set of clips.

    subject: the probe or metric. mode: the probe's; "" for a metric. kind: "oracle" (the truth), "held" (other true clips, for the floor),
    "control", "violation" (the world with a law broken), "damage" (done to frames) or "look" (true clips that look otherwise). what: its
    name. severity: 0..1. unit: the scene or set; what shares one is no independent evidence. value: in the subject's unit, corrected for
    chance, unjudgeable as 0; None where a metric refuses such clips. reason: why not judged. look: that a violation was seen through.
    """

    subject: str
    mode: str
    kind: str
    what: str
    severity: float
    unit: str
    value: float | None
    reason: str = ""
    look: str = ""


@dataclass(frozen=True)
class Plan:
    """What is tried of every probe.

    count: scenes, one of each pair of mirrored twins, the left and the right one by turns; as many others are the floor's second set.
    folder: where finished scenes are kept, with the clips of the first one. code: a hash of the code behind all that.
    """

    profile: Profile
    modes: tuple[Mode, ...]
    count: int
    seed: int
    folder: Path
    code: str

    def modes_of(self, probe: Probe) -> tuple[Mode, ...]:
        """Return the modes that a probe is tried in; violations short of the strongest in the first of them only."""
        return tuple(m for m in self.modes if m in probe.modes)

    def key(self, probe: Probe) -> str:
        """Return a hash of all that a probe's trials depend on, but the number of the scene."""
        return digest([self.code, WORLD, probe.name, probe.version, asdict(self.profile), self.modes, self.seed])

    def clip(self, probe: Probe, what: str, severity: float) -> Path:
        """Return where a clip of the first scene is kept, lossless."""
        return self.folder / "clips" / f"{probe.name}.{self.key(probe)}" / f"{what}@{severity:g}.mkv"


def code_hash() -> str:
    """Return a hash of the code behind the trials: it may change before anybody raises a version."""
    found = [p for name in _CODE for p in sorted(Path(str(files(f"sora_eval.{name}"))).rglob("*.py"))]
    for name in _FILES:
        package, _, file = name.rpartition("/")
        found.append(Path(str(files(f"sora_eval.{package}" if package else "sora_eval"))) / file)
    hashed = hashlib.sha256()
    for path in found:
        hashed.update(path.name.encode() + b"\0" + path.read_bytes())
    return hashed.hexdigest()[:16]


def case_of(probe: Probe, profile: Profile, mode: Mode, seed: int, scene: int) -> Case:
    """Return the case of a scene: of the pair of twins with its number the first or the second one, by turns."""
    return probe.cases(2 * scene + 2, profile, mode, seed)[2 * scene + scene % 2]


def trials_of_scene(probe: Probe, plan: Plan, scene: int) -> list[Trial]:
    """Return all trials of one scene; a scene from `plan.count` on gives only true ones."""
    cases = [case_of(probe, plan.profile, m, plan.seed, scene) for m in plan.modes_of(probe)]
    first, unit = cases[0], cases[0].cluster
    true = true_video(first)

    def told(
        kind: str, what: str, severity: float, video: Video | Failure, some: Sequence[Case], look: str = ""
    ) -> None:
        if isinstance(video, Failure):
            given = [Score(None, video.reason)] * len(some)
        else:
            tracks = track(video)
            given = [probe.score(case, video, tracks) for case in some]
            if tracking.measured(probe, scene, plan.count) and kind != "look" and not look:
                follow(kind, what, severity, video, tracks)
        for case, score in zip(some, given, strict=True):
            value = 0.0 if score.value is None else (score.value - probe.chance) / (1 - probe.chance)
            found.append(Trial(probe.name, case.mode, kind, what, severity, unit, value, score.reason, look))

    def follow(kind: str, what: str, severity: float, video: Video, tracks: Tracks) -> None:
        for name, value in tracking.values(first, video, tracks).items():
            reason = "" if value is not None else "the metric is not defined on such a clip"
            found.append(Trial(name, "", kind, what, severity, unit, value, reason))

    found: list[Trial] = []
    if scene >= plan.count:
        told("held", "other scenes", 0.0, true, cases)
        return found
    told("oracle", "oracle", 0.0, true, cases)
    for control in (*CONTROLS, OTHER):
        told("control", control, 1.0, next(Control(control).generate([first])), cases)
    looking = scene < LOOK_SCENES and first.mode == "t2v"
    if scene == 0:
        write_ffv1(plan.clip(probe, "oracle", 0.0), true)
    for violation in probe.violations:
        for severity in SEVERITIES[1:]:
            video = next(Violation(violation, severity).generate([first]))
            told("violation", violation, severity, video, cases if severity == 1 else cases[:1])
            if scene == 0 and isinstance(video, Video):
                write_ffv1(plan.clip(probe, violation, severity), video)
        if looking and isinstance(video, Video):
            for look in CHEAP:
                told("violation", violation, 1.0, seen(video, look), cases[:1], look)
    if tracking.measured(probe, scene, plan.count):
        for severity in SEVERITIES[1:]:
            video = tracking.exchanged(first, severity)
            follow("violation", tracking.EXCHANGE, severity, video, track(video))
    if looking:
        for look in LOOKS:
            case = asked(first, look, scene)
            told("look", look, 0.0, seen(true_video(case), look), [case])
    return found


def kept(probe: Probe, plan: Plan, scene: int) -> list[Trial]:
    """Return the trials of a scene, from what is kept of it or else made and kept."""
    role = "held" if scene >= plan.count else "card"
    path = plan.folder / f"{probe.name}.{role}{scene:03d}.{plan.key(probe)}.json"
    if path.exists():
        try:
            return [Trial(*row) for row in read_json(path)["trials"]]
        except (ConfigError, KeyError, TypeError):
            # Half a file is none.
            path.unlink()
    found = trials_of_scene(probe, plan, scene)
    write_json(path, {"trials": [astuple(t) for t in found]})
    return found
