"""The clips of an audit: the truth of a scene, and everything that must not score better."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, TypeAlias

import numpy as np

from sora_eval.encoders.corruptions import distorted
from sora_eval.generator.simulator import CONTROLS, OTHER, Control, Violation, true_video
from sora_eval.probes.base import Probe
from sora_eval.types import Case, Failure, Frames, Video
from sora_eval.validity.nuisances import NUISANCES, looks_of, transformed, transformed_case
from sora_eval.validity.trials import SEVERITIES

Kind: TypeAlias = Literal["oracle", "control", "exploit", "violation", "nuisance", "look"]
_BLUR = 0.4
_VARIED_SCENES = 2


def _end_at_once(frames: Frames) -> Frames:
    return np.concatenate([frames[:1], np.repeat(frames[-1:], len(frames) - 1, axis=0)])


def _slow_motion(frames: Frames) -> Frames:
    return frames[np.arange(len(frames)) // 2]


def _blur(frames: Frames) -> Frames:
    return np.stack([distorted(frame, "blur", _BLUR) for frame in frames])


EXPLOITS: Mapping[str, Callable[[Frames], Frames]] = {
    "end state at once": _end_at_once,
    "slow motion": _slow_motion,
    "blur": _blur,
}
"""Cheap answers, made of the true clip: what a model learns that is trained on a scorer which pays for them."""
RIGHT_FOR_SOME = ("mirrored", "reversed")
"""Controls that obey the laws and may answer a prompt that names neither side nor direction: no exploits."""


def clips_of(case: Case, probe: Probe, number: int) -> Iterator[tuple[Kind, str, float, Video]]:
    """Yield kind, condition, severity and clip of a scene, the truth first.

    number: of the scene; the first few are also rendered under nuisance transforms and in the world's looks.
    """
    true = true_video(case)
    yield "oracle", "oracle", 0.0, true
    for control in (*CONTROLS, OTHER):
        yield from _made("control", control, 1.0, next(Control(control).generate([case])))
    for name, exploit in EXPLOITS.items():
        yield "exploit", name, 1.0, Video(exploit(true.frames), true.fps)
    for violation in probe.violations:
        for severity in SEVERITIES[1:]:
            yield from _made("violation", violation, severity, next(Violation(violation, severity).generate([case])))
    if number < _VARIED_SCENES:
        for nuisance in NUISANCES:
            yield "nuisance", nuisance, 0.0, transformed(true_video(transformed_case(case, nuisance, number)), nuisance)
        for look, severity, other in looks_of(case):
            yield "look", look, severity, true_video(other)


def _made(kind: Kind, name: str, severity: float, video: Video | Failure) -> Iterator[tuple[Kind, str, float, Video]]:
    if isinstance(video, Video):
        yield kind, name, severity, video
