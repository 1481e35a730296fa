"""Does every probe notice what it must? Oracle against controls and violations, through the same code as a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sora_eval.generator.simulator import CONTROLS, OTHER, Control, Oracle, Violation, true_video
from sora_eval.probes.base import Probe, Profile
from sora_eval.tracking.world import track
from sora_eval.types import Case, Failure, Mode, Score, Video
from sora_eval.video import compress


@dataclass(frozen=True)
class Told:
    """How well one probe tells one way of being wrong from the truth.

    probe, suite, mode; kind: "oracle", "control" or "violation"; what: its name.
    mean: mean score with unjudgeable as 0; lowest: the lowest score. auc: chance that a true clip scores above a spoilt one, ties
    counted half; reasons: the most frequent reasons for not judging.
    """

    probe: str
    suite: str
    mode: Mode
    kind: str
    what: str
    mean: float
    lowest: float
    auc: float
    reasons: tuple[str, ...]
    scores: tuple[float, ...]


def scores(probe: Probe, cases: Sequence[Case], generator: Oracle | Control | Violation) -> list[Score]:
    """Return the scores of a generator's answers."""
    out = []
    for case, video in zip(cases, generator.generate(cases), strict=True):
        out.append(Score(None, video.reason) if isinstance(video, Failure) else probe.score(case, video, track(video)))
    return out


def told_apart(probe: Probe, profile: Profile, mode: Mode, count: int, seed: int = 0) -> Iterator[Told]:
    """Yield the oracle's row, then one row per control and per violation at its strongest."""
    cases = probe.cases(count, profile, mode, seed)
    truth = scores(probe, cases, Oracle())
    base = np.array([s.value or 0.0 for s in truth])
    yield _row(probe, mode, "oracle", "oracle", truth, base)
    spoilt: list[Control | Violation] = [Control(c) for c in (*CONTROLS, OTHER)]
    spoilt += [Violation(v) for v in probe.violations]
    for g in spoilt:
        yield _row(probe, mode, g.kind, g.name, scores(probe, cases, g), base)


def _row(probe: Probe, mode: Mode, kind: str, what: str, found: list[Score], base: np.ndarray) -> Told:
    v = np.array([s.value or 0.0 for s in found])
    auc = float(((base[:, None] > v[None]) + 0.5 * (base[:, None] == v[None])).mean())
    reasons = sorted({s.reason for s in found if s.reason}, key=lambda r: -sum(s.reason == r for s in found))
    return Told(probe.name, probe.suite, mode, kind, what, float(v.mean()), float(v.min()), auc, tuple(reasons[:3]), tuple(v))


LOOKS = ("256 px", "light left", "light warm", "light dim", "H.264 crf 28", "half the frame rate")


def looked_at(probe: Probe, profile: Profile, mode: Mode, count: int, seed: int = 0) -> Iterator[Told]:
    """Yield the oracle's row under other sizes, lights, compression and frame rate: the score should not move."""
    for look in LOOKS:
        p = replace(profile, height=256, width=256) if look == "256 px" else profile
        cases = probe.cases(count, p, mode, seed)
        if look.startswith("light"):
            cases = [_lit(c, look.split()[1]) for c in cases]
        found = []
        for case in cases:
            video = true_video(case)
            if look.startswith("H.264"):
                video = compress(video, 28)
            if look.startswith("half"):
                video = Video(video.frames[::2], video.fps / 2)
            found.append(probe.score(case, video, track(video)))
        yield _row(probe, mode, "oracle", look, found, np.ones(1))


def _lit(case: Case, light: str) -> Case:
    params = case.scene["params"]
    return replace(case, scene={**case.scene, "params": {**params, "style": {**params["style"], "light": light}}})
