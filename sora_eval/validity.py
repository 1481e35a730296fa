"""Does every probe notice what it must? Oracle against controls and violations, through the same code as a model."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context

import numpy as np

from sora_eval.generator.simulator import CONTROLS, OTHER, Control, Oracle, Violation, true_video
from sora_eval.probes.base import Probe, Profile
from sora_eval.stats import auc
from sora_eval.tracking.world import track
from sora_eval.types import Case, Failure, Mode, Score, Video
from sora_eval.video import compress

LOOKS = ("256 px", "light left", "light warm", "light dim", "H.264 crf 28", "half the frame rate")
ORACLE_LEAST, LOOK_LEAST, AUC_LEAST = 0.97, 0.95, 0.95


@dataclass(frozen=True)
class Told:
    """How well one probe tells one way of being wrong from the truth, or what one way of looking does to the truth.

    suite, probe, mode; kind: "oracle", "control", "violation" or "look"; what: its name.
    mean: mean score with unjudgeable as 0; lowest: the lowest score. auc: chance that a true clip scores above a spoilt one, ties
    counted half. by_design: why the probe can't tell, where that is declared. reasons: the most frequent ones for not judging.
    """

    suite: str
    probe: str
    mode: Mode
    kind: str
    what: str
    mean: float
    lowest: float
    auc: float
    by_design: str
    reasons: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether the probe does what it must here."""
        if self.kind == "oracle":
            return self.lowest >= ORACLE_LEAST
        return self.lowest >= LOOK_LEAST if self.kind == "look" else self.auc >= AUC_LEAST


def scores(probe: Probe, cases: Sequence[Case], generator: Oracle | Control | Violation) -> list[Score]:
    """Return the scores of a generator's answers."""
    return [_scored(probe, c, v) for c, v in zip(cases, generator.generate(cases), strict=True)]


def _scored(probe: Probe, case: Case, video: Video | Failure) -> Score:
    return Score(None, video.reason) if isinstance(video, Failure) else probe.score(case, video, track(video))


def told_apart(probe: Probe, profile: Profile, mode: Mode, count: int, seed: int = 0) -> Iterator[Told]:
    """Yield the oracle's row, then one row per control and per violation at its strongest."""
    cases = probe.cases(count, profile, mode, seed)
    truth = scores(probe, cases, Oracle())
    base = [s.value or 0.0 for s in truth]
    yield _row(probe, mode, "oracle", "oracle", truth, base)
    spoilt: list[Control | Violation] = [Control(c) for c in (*CONTROLS, OTHER)]
    spoilt += [Violation(v) for v in probe.violations]
    for g in spoilt:
        yield _row(probe, mode, g.kind, g.name, scores(probe, cases, g), base)


def looked_at(probe: Probe, profile: Profile, mode: Mode, count: int, seed: int = 0) -> Iterator[Told]:
    """Yield the oracle's row under other sizes, lights, compression and frame rate: the score should not move."""
    for look in LOOKS:
        p = replace(profile, height=256, width=256) if look == "256 px" else profile
        cases = probe.cases(count, p, mode, seed)
        if look.startswith("light"):
            cases = [_lit(c, look.split()[1]) for c in cases]
        yield _row(probe, mode, "look", look, [_scored(probe, c, _seen(true_video(c), look)) for c in cases], [1.0])


def _seen(video: Video, look: str) -> Video:
    if look.startswith("H.264"):
        return compress(video, 28)
    return Video(video.frames[::2], video.fps / 2) if look.startswith("half") else video


def _lit(case: Case, light: str) -> Case:
    params = case.scene["params"]
    return replace(case, scene={**case.scene, "params": {**params, "style": {**params["style"], "light": light}}})


def _row(probe: Probe, mode: Mode, kind: str, what: str, found: list[Score], truth: list[float]) -> Told:
    v = [s.value or 0.0 for s in found]
    frequent = Counter(s.reason for s in found if s.reason).most_common(3)
    reasons = tuple(reason for reason, _ in frequent)
    by_design = probe.blind_to.get(what, "") if mode == "t2v" else ""
    return Told(probe.suite, probe.name, mode, kind, what, float(np.mean(v)), min(v), auc(truth, v).mean, by_design, reasons)


def validate(probes: Sequence[Probe], profile: Profile, modes: Sequence[Mode], count: int, seed: int, workers: int) -> Iterator[list[Told]]:
    """Yield the rows of every probe and mode, the looks once per probe, as they are done."""
    jobs = [(told_apart, p, m) for p in probes for m in modes if m in p.modes]
    jobs += [(looked_at, p, "t2v") for p in probes if "t2v" in modes]
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with ProcessPoolExecutor(max(1, workers), mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(_listed, f, p, profile, m, count, seed) for f, p, m in jobs]
        for job in as_completed(waiting):
            yield job.result()


def _listed(what: Callable[..., Iterator[Told]], probe: Probe, profile: Profile, mode: Mode, count: int, seed: int) -> list[Told]:
    return list(what(probe, profile, mode, count, seed))
