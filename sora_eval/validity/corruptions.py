"""Clips treated for the card's fidelity part, and what fidelity reads of them: written to files and read as a model's are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from sora_eval.data.heldout import FRAMES, SIZE, Member, member
from sora_eval.data.shards import FPS
from sora_eval.errors import ConfigError
from sora_eval.fidelity.extractors import Choice, Clip, collect
from sora_eval.files import read_json, write_json
from sora_eval.generator.simulator import CONTROLS, OTHER, WORLD
from sora_eval.types import Floats, Video, digest
from sora_eval.validity import encoder_sensitivity
from sora_eval.validity.nuisances import LIGHTS, lit, seen
from sora_eval.validity.trials import SEVERITIES
from sora_eval.video import write_ffv1
from sora_eval.world import clip, scene_of
from sora_eval.world.families import FAMILIES

EVERY = encoder_sensitivity.DAMAGES[0].families
"""The families that most clips are of."""
_FIRST, _FIRST_REAL, _APART = 90_000, 95_000, 500_000
"""Numbers of the clips; training, its measures, exams and dose-response tables do not reach them."""
_LARGE = (128, 128)
SIZE_LOOK = "128 px"
LOOKS = (SIZE_LOOK, *(f"light {name}" for name in LIGHTS), "H.264 crf 28", "half the frame rate")


@dataclass(frozen=True)
class Treatment:
    """What is done to a set of clips. kind, what, severity: as in a Trial. families: of the clips, in turn."""

    kind: str
    what: str
    severity: float
    families: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name as part of a file's."""
        return f"{self.kind}.{self.what.replace(' ', '-')}.{self.severity:g}.{digest(self.families, 4)}"


@dataclass(frozen=True)
class Read:
    """What was read of a treated set: features of clips and motion [n, d], values of clips by metric, and why readings are missing."""

    features: Floats
    motion: Floats
    values: Mapping[str, Mapping[int, float]]
    missing: Mapping[str, str]
    protocols: Mapping[str, str]


def real_set(families: tuple[str, ...]) -> Treatment:
    """Return the real clips that others of these families stand against."""
    return Treatment("held", "other scenes", 0.0, families)


def true_set(families: tuple[str, ...]) -> Treatment:
    """Return the true clips of these families that are damaged."""
    return Treatment("oracle", "oracle", 0.0, families)


def treatments() -> list[Treatment]:
    """Return all that is done to clips, the truth and the real sets first."""
    found = []
    for families in dict.fromkeys([EVERY, *(d.families for d in encoder_sensitivity.DAMAGES)]):
        found += [real_set(families), true_set(families)]
    found += [Treatment("control", c, 1.0, EVERY) for c in (*CONTROLS, OTHER)]
    for d in encoder_sensitivity.DAMAGES:
        kind = "violation" if d.kind == "law" else "damage"
        found += [Treatment(kind, d.name, s, d.families) for s in SEVERITIES[1:]]
    return [*found, *(Treatment("look", look, 0.0, EVERY) for look in LOOKS)]


def made(true: Member, treatment: Treatment) -> Video:
    """Return a clip with what a treatment does to it."""
    kind, what = treatment.kind, treatment.what
    if kind in ("held", "oracle"):
        return Video(true.frames, FPS)
    if kind == "control":
        if what == OTHER:
            return Video(member(true.family, true.number + _APART).frames, FPS)
        return Video(CONTROLS[what](true.frames, np.random.default_rng([true.number, 17])), FPS)
    if kind == "look":
        if what != SIZE_LOOK and not what.startswith("light "):
            return seen(Video(true.frames, FPS), what)
        params = true.params if what == SIZE_LOOK else lit(true.params, what.removeprefix("light "))
        scene = scene_of({"family": true.family, "params": params}, (FRAMES - 1) / FPS)
        return clip(scene, _LARGE if what == SIZE_LOOK else SIZE, FPS, FRAMES).video
    damage = next(d for d in encoder_sensitivity.DAMAGES if d.name == what)
    return Video(encoder_sensitivity.damaged(true, damage, treatment.severity), FPS)


def read(treatment: Treatment, count: int) -> Read:
    """Return what fidelity reads of `count` treated clips; they are written and read as a model's are."""
    choice = Choice()
    if treatment.kind == "held":
        # The real set has no pairs: its clips are other ones.
        choice = Choice(tuple(m for m in choice.metrics if m != "pairs"))
    with TemporaryDirectory() as name:
        folder, clips = Path(name), []
        first = _FIRST_REAL if treatment.kind == "held" else _FIRST
        for i, m in enumerate(encoder_sensitivity.true_clips(treatment.families, count, first)):
            path, true = folder / f"{i}.mkv", folder / f"{i}.true.mkv"
            write_ffv1(path, made(m, treatment))
            write_ffv1(true, Video(m.frames, FPS))
            family = FAMILIES[m.family]
            states = family.states(m.params) if hasattr(family, "states") else None
            clips.append(Clip(path, i, m.caption, true, states, given=0))
        found = collect(clips, choice)
    features, motion = (
        np.zeros((0, 0)) if kind in found.missing else some.at(some.positions())
        for kind, some in (("video", found.features), ("motion", found.motion))
    )
    return Read(features, motion, found.values, found.missing, found.protocols)


def kept(treatment: Treatment, count: int, folder: Path, code: str) -> Read:
    """Return what was read of a treated set, from what is kept or else made and kept. code: a hash of the code behind it."""
    key = digest([code, WORLD, Choice().fingerprint(), asdict(treatment), count])
    path = folder / f"fidelity.{treatment.name}.{key}.json"
    if path.exists():
        try:
            row = read_json(path)
            values = {k: {int(i): v for i, v in some.items()} for k, some in row["values"].items()}
            return Read(np.array(row["features"]), np.array(row["motion"]), values, row["missing"], row["protocols"])
        except (ConfigError, KeyError, TypeError, ValueError):
            path.unlink()
    found = read(treatment, count)
    arrays = {"features": found.features.tolist(), "motion": found.motion.tolist()}
    write_json(path, {**arrays, "values": found.values, "missing": found.missing, "protocols": found.protocols})
    return found
