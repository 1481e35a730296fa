"""The world as a generator: the true answer (oracle), controls that no metric may reward, and dialled violations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import mujoco
import numpy as np

from sora_eval.errors import unknown
from sora_eval.generator.base import Capabilities
from sora_eval.settings import Settings, option
from sora_eval.types import Case, Failure, Frames, Video
from sora_eval.video.caching import clip_cache
from sora_eval.world import VERSION, clip, scene_of

WORLD = f"world {VERSION}, MuJoCo {mujoco.__version__}"
"""What every clip of the world depends on besides its case."""


def true_video(case: Case) -> Video:
    """Return the world's own answer to a case."""
    return _rendered(json.dumps(case.scene, sort_keys=True), case.size, case.fps, case.frames)


@clip_cache(1 << 27)
def _rendered(scene: str, size: tuple[int, int], fps: float, frames: int) -> Video:
    # Every control spoils the same clip, in three modes: rendering is what costs. The bound holds one clip of 832 x 480 x 81.
    return clip(scene_of(json.loads(scene), (frames - 1) / fps), size, fps, frames).video


@dataclass(frozen=True)
class Oracle:
    """Answers every case with the world's own clip."""

    name: ClassVar[str] = "oracle"
    kind: ClassVar[Literal["oracle"]] = "oracle"
    capabilities: ClassVar[Capabilities] = Capabilities(processes=True)

    def fingerprint(self, case: Case) -> str:
        """Return the world's version: all else stands in the case."""
        return f"oracle:{WORLD}"

    def generate(self, cases: Sequence[Case]) -> Iterator[Video | Failure]:
        """Yield the true clips."""
        for case in cases:
            yield true_video(case)


def _shuffled(frames: Frames, rng: np.random.Generator) -> Frames:
    while True:
        order = rng.permutation(len(frames))
        # A few swaps would be a mild fault; this control is to destroy time.
        if len(frames) < 4 or np.abs(np.diff(order)).mean() > len(frames) / 4:
            return frames[order]


def _cut(frames: Frames, rng: np.random.Generator) -> Frames:
    return frames[np.where(np.arange(len(frames)) < len(frames) // 2, 0, len(frames) - 1)]


def _crossfade(frames: Frames, rng: np.random.Generator) -> Frames:
    share = np.linspace(0, 1, len(frames))[:, None, None, None]
    return np.asarray(np.rint((1 - share) * frames[0] + share * frames[-1]), dtype=np.uint8)


def _noise(frames: Frames, rng: np.random.Generator) -> Frames:
    return rng.integers(0, 256, frames.shape, dtype=np.uint8)


CONTROLS: dict[str, Callable[[Frames, np.random.Generator], Frames]] = {
    "frozen": lambda f, rng: np.repeat(f[:1], len(f), axis=0),
    "shuffled": _shuffled,
    "reversed": lambda f, rng: f[::-1].copy(),
    "mirrored": lambda f, rng: f[:, :, ::-1].copy(),
    "cut": _cut,
    "crossfade": _crossfade,
    "noise": _noise,
    "blank": lambda f, rng: np.full_like(f, 128),
}
OTHER = "other"


@dataclass(frozen=True)
class Control:
    """The true clip spoilt in one way.

    frozen, shuffled, reversed, mirrored, noise, blank; its first frame that cuts or fades to its last (cut, crossfade); or another case's
    clip (other).
    """

    control: str
    """Of CONTROLS, or OTHER."""
    kind: ClassVar[Literal["control"]] = "control"
    capabilities: ClassVar[Capabilities] = Capabilities(processes=True)

    def __post_init__(self) -> None:
        """Reject an unknown control."""
        if self.control not in CONTROLS and self.control != OTHER:
            raise unknown("control", self.control, [*CONTROLS, OTHER])

    @property
    def name(self) -> str:
        """The control's name."""
        return self.control

    def fingerprint(self, case: Case) -> str:
        """Return the control's name and the world's version."""
        return f"control:{self.control}:{WORLD}"

    def generate(self, cases: Sequence[Case]) -> Iterator[Video | Failure]:
        """Yield the spoilt clips."""
        for case in cases:
            if self.control == OTHER:
                yield true_video(another(case))
                continue
            video = true_video(case)
            rng = np.random.default_rng([case.seed, 17])
            yield Video(CONTROLS[self.control](video.frames, rng), video.fps)


def reference(name: str) -> Oracle | Control:
    """Return the reference generator of a name: "oracle" or a control.

    Raises:
        ConfigError: there is no such control.
    """
    return Oracle() if name == "oracle" else Control(name)


def another(case: Case) -> Case:
    """Return another case of the same probe: what a model gives that ignores the prompt."""
    from sora_eval.registry import probe

    draft = probe(case.probe).draft(np.random.default_rng([case.seed, 23]), flip=False)
    look, params = case.scene["params"]["style"].get("look"), draft.scene["params"]
    if look is not None:
        params = {**params, "style": {**params["style"], "look": look}}
    return replace(case, scene={**draft.scene, "params": params})


@dataclass(frozen=True)
class Violation(Settings):
    """The true world with one law broken."""

    GROUP: ClassVar[str] = "generator"
    kind: ClassVar[Literal["violation"]] = "violation"
    capabilities: ClassVar[Capabilities] = Capabilities(processes=True)

    violation: str = option()
    """Name of the fault."""
    severity: float = option(1.0, least=0, most=1)
    """How strongly the law is broken; 0 not at all."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: the violation is unknown, or the severity out of range.
        """
        from sora_eval.world.faults import FAULTS

        super().__post_init__()
        if self.violation not in FAULTS:
            raise unknown("violation", self.violation, FAULTS)

    @property
    def name(self) -> str:
        """The violation's name, with its severity unless that is 1."""
        return self.violation if self.severity == 1 else f"{self.violation}@{self.severity:g}"

    def fingerprint(self, case: Case) -> str:
        """Return name, severity and the world's version."""
        return f"violation:{self.violation}:{self.severity:g}:{WORLD}"

    def generate(self, cases: Sequence[Case]) -> Iterator[Video | Failure]:
        """Yield the broken clips; a case whose scene has nothing to break is a failure."""
        from sora_eval.world.faults import render_broken

        for case in cases:
            scene = scene_of(case.scene, (case.frames - 1) / case.fps)
            try:
                yield render_broken(scene, self.violation, self.severity, case.size, case.fps, case.frames)
            except (KeyError, ValueError) as error:
                yield Failure(f"violation {self.violation} does not apply to this scene: {error}")
