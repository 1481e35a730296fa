"""Rates of this machine: CPU seconds and bytes per clip, by stage of a run, measured on true clips of its own cases."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from sora_eval.config import RunConfig
from sora_eval.evaluation import Loop
from sora_eval.fidelity.config import FidelityConfig
from sora_eval.fidelity.extractors import extract
from sora_eval.fidelity.features import ClipEntry
from sora_eval.processes import peak_memory
from sora_eval.runs.store import Store
from sora_eval.tracking.metrics import tracking_metrics
from sora_eval.tracking.truth import true_tracks
from sora_eval.types import Case
from sora_eval.world import clip, scene_of

PAIRS = "full_reference"
STAGES = ("render", "store", "track", "score", "tracking metrics", "fidelity", PAIRS)


@dataclass(frozen=True)
class Rates:
    """What a clip of a run costs on this machine, the mean over the clips that were measured."""

    seconds: dict[str, float]
    """CPU seconds by stage, of STAGES."""
    stored: float
    """Bytes of a stored clip."""
    memory: int
    """Most memory that the measuring process held, in bytes."""


def clips_by_stage(config: RunConfig, prompts: int, model: int, references: int) -> dict[str, int]:
    """Return how many clips pass each stage.

    prompts: cases without further samples. model, references: clips of the model and of references.
    """
    # The true clip is shared by the references of a case; the model's own clips are not rendered.
    rendered = prompts if references else 0
    measured = config.fidelity is not None and bool(config.fidelity.metrics)
    pairs = model if config.fidelity is not None and PAIRS in config.fidelity.metrics else 0
    clips = model + references
    tracked = clips if config.tracking else 0
    return dict(zip(STAGES, (rendered, clips, clips, clips, tracked, clips if measured else 0, pairs), strict=True))


def cpu_minutes(rates: Rates, counts: Mapping[str, int]) -> float:
    """Return the CPU minutes of clips by stage."""
    return sum(rates.seconds[stage] * count for stage, count in counts.items()) / 60


def measure(cases: Sequence[Case], loop: Loop, config: RunConfig) -> Rates:
    """Return the rates of one process on true clips; the first case is measured twice, and its first time only warms up."""
    _seconds_of(cases[0], loop, config)
    measured = [_seconds_of(case, loop, config) for case in cases]
    means = {stage: sum(seconds[stage] for seconds in measured) / len(cases) for stage in STAGES}
    clips = list(loop.folder.rglob("*.mkv"))
    return Rates(means, sum(p.stat().st_size for p in clips) / len(clips), peak_memory())


def _seconds_of(case: Case, loop: Loop, config: RunConfig) -> dict[str, float]:
    """Return the CPU seconds of a true clip, by stage."""
    seconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def timed(stage: str) -> Iterator[None]:
        start = time.process_time()
        yield
        seconds[stage] = time.process_time() - start

    store = Store(loop.folder)
    path = store.path("videos", "oracle", case, case.hash, ".mkv")
    with timed("render"):
        scene = scene_of(case.scene, (case.frames - 1) / case.fps)
        video = clip(scene, case.size, case.fps, case.frames).video
    with timed("store"):
        store.write_video(path, video, loop.video.crf_of(case.size))
        store.read_video(path)
    with timed("track"):
        tracks = loop.tracker.track(video, case)
    with timed("score"):
        loop.probes[case.probe].score(case, video, tracks)
    with timed("tracking metrics"):
        tracking_metrics(case, video, tracks, true_tracks(case))
    if config.fidelity is not None and config.fidelity.metrics:
        fidelity = FidelityConfig.of(config.fidelity)
        entry = ClipEntry(path, 0, case.prompt, path, given=case.given or None)
        with timed("fidelity"):
            extract([entry], replace(fidelity, metrics=tuple(m for m in fidelity.metrics if m != PAIRS)))
        if PAIRS in fidelity.metrics:
            with timed(PAIRS):
                extract([entry], replace(fidelity, metrics=(PAIRS,)))
    return seconds
