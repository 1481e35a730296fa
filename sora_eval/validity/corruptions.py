"""Conditions of clips for the validation of fidelity metrics and encoders: corruptions, controls, nuisance transforms.

Clips under a condition are written to files, and their features are extracted as those of a model's clips are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np

from sora_eval.data.heldout import FRAMES, SIZE, Member, member
from sora_eval.data.shards import FPS
from sora_eval.encoders.corruptions import distorted, reordered
from sora_eval.errors import ConfigError
from sora_eval.fidelity.config import FidelityConfig
from sora_eval.fidelity.extractors import extract
from sora_eval.fidelity.features import CLIP_FEATURES, MOTION_FEATURES, ClipEntry
from sora_eval.files import read_json, write_json
from sora_eval.generator.simulator import CONTROLS, OTHER, WORLD
from sora_eval.types import Floats, Frames, Video, digest
from sora_eval.validity.nuisances import LIGHTS, relit, transformed
from sora_eval.validity.trials import SEVERITIES, Kind
from sora_eval.video import compress, write_ffv1
from sora_eval.world import clip, scene_of
from sora_eval.world.families import FAMILIES, StateChange, family
from sora_eval.world.faults import render_broken

ALL_FAMILIES = tuple(sorted(set(FAMILIES) - {"room"}))
"""The families that most conditions are tried on."""
_FALLING = ("free_fall_bounce", "projectile", "ramp")
_HIDING = ("pass_behind", "covered", "leave_and_return", "count", "two_shots")
_FIRST, _FIRST_REAL, _OTHER_OFFSET = 90_000, 95_000, 500_000
"""Numbers of the clips; training, its measures, and those of encoder_discrimination and encoder_sensitivity do not reach them."""
_LARGE = (128, 128)
SIZE_NUISANCE = "128 px"
NUISANCES = (SIZE_NUISANCE, *(f"light {name}" for name in LIGHTS), "H.264 crf 28", "half the frame rate")
"""The nuisance transforms of fidelity metrics."""


@dataclass(frozen=True)
class Corruption:
    """One way of corrupting clips."""

    name: str
    """Name of the corruption."""
    kind: str
    """"space" where frames change, "time" where their order does, "law" where the world breaks a law of physics."""
    families: tuple[str, ...]
    """Families of the clips that it is tried on."""
    fault: str = ""
    """The simulator's fault that makes it; "" where frames are changed."""


CORRUPTIONS: tuple[Corruption, ...] = (
    *(Corruption(name, "space", ALL_FAMILIES) for name in ("blur", "noise", "compression", "coarse")),
    *(Corruption(name, "time", ALL_FAMILIES) for name in ("held", "shuffled", "backwards")),
    Corruption("gravity", "law", _FALLING, "gravity"),
    Corruption("vanishing", "law", _HIDING, "vanishes"),
)


@dataclass(frozen=True)
class Condition:
    """A condition of a set of clips: the truth, a control, a corruption of some severity, or a nuisance transform."""

    kind: Kind
    """As in a Trial."""
    name: str
    """Name of the control, corruption or nuisance transform."""
    severity: float
    """0..1."""
    families: tuple[str, ...]
    """Families of the clips, in turn."""

    @property
    def file_stem(self) -> str:
        """The condition as part of a file name."""
        return f"{self.kind}.{self.name.replace(' ', '-')}.{self.severity:g}.{digest(self.families, 4)}"


@dataclass(frozen=True)
class ConditionFeatures:
    """Features of a set of clips under a condition."""

    clip_features: Floats
    """Features of the video encoder [n, d]."""
    motion_features: Floats
    """Motion features [n, 64]."""
    values: Mapping[str, Mapping[int, float]]
    """Values of single clips, by metric and number of the clip."""
    missing: Mapping[str, str]
    """Why an extractor has nothing, by extractor."""
    protocols: Mapping[str, str]
    """What the figures depend on, by extractor."""


def real_set(families: tuple[str, ...]) -> Condition:
    """Return the real set of these families: other true clips, which all sets are compared with."""
    return Condition("held", "other scenes", 0.0, families)


def true_set(families: tuple[str, ...]) -> Condition:
    """Return the true clips of these families, unchanged."""
    return Condition("oracle", "oracle", 0.0, families)


def conditions() -> list[Condition]:
    """Return all conditions, real and true sets first."""
    truths = [
        make(families)
        for families in dict.fromkeys([ALL_FAMILIES, *(c.families for c in CORRUPTIONS)])
        for make in (real_set, true_set)
    ]
    controls = [Condition("control", name, 1.0, ALL_FAMILIES) for name in (*CONTROLS, OTHER)]
    corruptions = [
        Condition("violation" if c.kind == "law" else "corruption", c.name, severity, c.families)
        for c in CORRUPTIONS
        for severity in SEVERITIES[1:]
    ]
    nuisances = [Condition("nuisance", name, 0.0, ALL_FAMILIES) for name in NUISANCES]
    return [*truths, *controls, *corruptions, *nuisances]


def true_clips(families: Sequence[str], count: int, first: int) -> list[Member]:
    """Return `count` held-out clips of the families in turn. first: number of the first one."""
    return [member(families[i % len(families)], first + i) for i in range(count)]


def corrupted(true: Member, corruption: Corruption, severity: float) -> Frames:
    """Return a clip uint8 [17, 64, 64, 3] under a corruption of a severity in 0..1; 0 changes nothing."""
    if severity == 0:
        return true.frames
    rng = np.random.default_rng([true.number, *corruption.name.encode()])
    if corruption.fault:
        scene = scene_of({"family": true.family, "params": true.params}, (FRAMES - 1) / FPS)
        return render_broken(scene, corruption.fault, severity, SIZE, FPS, FRAMES).frames
    frames = true.frames
    if corruption.kind == "time":
        if corruption.name == "backwards" and rng.random() >= severity:
            # There is no half of it: a set has more of such clips, or fewer.
            return frames
        return frames[reordered(corruption.name, severity, len(frames), rng)]
    if corruption.name == "compression":
        return _compressed(frames, round(31 + 20 * severity))
    seeds = rng.integers(2**31, size=len(frames))
    return np.stack([distorted(f, corruption.name, 0.7 * severity, int(s)) for f, s in zip(frames, seeds, strict=True)])


def _compressed(frames: Frames, crf: int) -> Frames:
    # 64 pixels are blown up first: x264's smallest blocks are a quarter of the frame otherwise.
    large = np.stack([cv2.resize(f, (128, 128), interpolation=cv2.INTER_NEAREST) for f in frames])
    decoded = compress(Video(large, FPS), crf).frames
    return np.stack([cv2.resize(f, SIZE[::-1], interpolation=cv2.INTER_AREA) for f in decoded]).astype(np.uint8)


def under_condition(true: Member, condition: Condition) -> Video:
    """Return a true clip under a condition."""
    kind, name = condition.kind, condition.name
    if kind in ("held", "oracle"):
        return Video(true.frames, FPS)
    if kind == "control":
        if name == OTHER:
            return Video(member(true.family, true.number + _OTHER_OFFSET).frames, FPS)
        return Video(CONTROLS[name](true.frames, np.random.default_rng([true.number, 17])), FPS)
    if kind == "nuisance":
        return _under_nuisance(true, name)
    corruption = next(c for c in CORRUPTIONS if c.name == name)
    return Video(corrupted(true, corruption, condition.severity), FPS)


def _under_nuisance(true: Member, nuisance: str) -> Video:
    if nuisance != SIZE_NUISANCE and not nuisance.startswith("light "):
        return transformed(Video(true.frames, FPS), nuisance)
    params = true.params if nuisance == SIZE_NUISANCE else relit(true.params, nuisance.removeprefix("light "))
    scene = scene_of({"family": true.family, "params": params}, (FRAMES - 1) / FPS)
    return clip(scene, _LARGE if nuisance == SIZE_NUISANCE else SIZE, FPS, FRAMES).video


def condition_features(condition: Condition, count: int) -> ConditionFeatures:
    """Return the features of `count` clips under a condition; they are written and read as a model's are."""
    config, first = FidelityConfig(), _FIRST
    if condition.kind == "held":
        # The real set is of other clips, so it has no full-reference metrics.
        config, first = FidelityConfig(tuple(m for m in config.metrics if m != "full_reference")), _FIRST_REAL
    with TemporaryDirectory() as folder:
        clips = true_clips(condition.families, count, first)
        features = extract([_written(m, i, condition, Path(folder)) for i, m in enumerate(clips)], config)
    clip_features, motion_features = (
        np.zeros((0, 0)) if extractor in features.missing else statistics.at(statistics.positions())
        for extractor, statistics in (
            (CLIP_FEATURES, features.clip_features),
            (MOTION_FEATURES, features.motion_features),
        )
    )
    return ConditionFeatures(clip_features, motion_features, features.values, features.missing, features.protocols)


def _written(true: Member, position: int, condition: Condition, folder: Path) -> ClipEntry:
    path, reference = folder / f"{position}.mkv", folder / f"{position}.true.mkv"
    write_ffv1(path, under_condition(true, condition))
    write_ffv1(reference, Video(true.frames, FPS))
    scenes = family(true.family)
    states = scenes.states(scenes.read(true.params)) if isinstance(scenes, StateChange) else None
    return ClipEntry(path, position, true.caption, reference, states, given=0)


def cached_features(condition: Condition, count: int, folder: Path, code: str) -> ConditionFeatures:
    """Return `condition_features`, from the cache in `folder` or computed and cached there. code: hash of the code behind them."""
    key = digest([code, WORLD, FidelityConfig().fingerprint(), asdict(condition), count])
    path = folder / f"fidelity.{condition.file_stem}.{key}.json"
    if path.exists():
        try:
            return _from_json(read_json(path))
        except (ConfigError, KeyError, TypeError, ValueError):
            path.unlink()
    features = condition_features(condition, count)
    arrays = {
        "clip_features": features.clip_features.tolist(),
        "motion_features": features.motion_features.tolist(),
    }
    tables = {"values": features.values, "missing": features.missing, "protocols": features.protocols}
    write_json(path, {**arrays, **tables})
    return features


def _from_json(row: Mapping[str, Any]) -> ConditionFeatures:
    values = {metric: {int(i): v for i, v in by_clip.items()} for metric, by_clip in row["values"].items()}
    arrays = np.array(row["clip_features"]), np.array(row["motion_features"])
    return ConditionFeatures(*arrays, values, row["missing"], row["protocols"])
