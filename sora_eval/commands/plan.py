"""`sora-eval plan`: cases, clips, disk, memory and time of a run before it starts, from rates that are measured on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from sora_eval.config import Call, PlanConfig, tracker_of
from sora_eval.evaluation import Loop
from sora_eval.fidelity.extractors import ClipEntry, FidelityConfig, extract
from sora_eval.generator.simulator import reference
from sora_eval.processes import peak_memory
from sora_eval.runs.store import Store
from sora_eval.stats.samples import asked_of
from sora_eval.tracking.metrics import tracking_metrics
from sora_eval.tracking.truth import true_tracks
from sora_eval.types import Case
from sora_eval.world import clip, scene_of

_PAIRS = "full_reference"
_STAGES = ("render", "store", "track", "score", "tracking metrics", "fidelity", _PAIRS)


@dataclass(frozen=True)
class Rates:
    """What a clip of a run costs on this machine, the mean over the clips that were measured."""

    seconds: dict[str, float]
    """CPU seconds by stage, of _STAGES."""
    stored: float
    """Bytes of a stored clip."""
    memory: int
    """Most memory that the measuring process held, in bytes."""


def main(config: PlanConfig, call: Call) -> int:
    """Print the plan of a run and return the exit code."""
    probes, cases = config.suite.select(config.profile, config.seed, config.samples or 1, config.world)
    references = [reference(name) for name in config.references]
    of_references = sum(len(asked_of(r.kind, cases)) for r in references)
    prompts = asked_of("oracle", cases)
    spread = prompts[:: max(1, len(prompts) // config.measured)][: config.measured]
    with TemporaryDirectory() as folder:
        rates = _measure(spread, Loop(Path(folder), probes, tracker_of(config.tracker)), config)
    workers = config.workers or call.cores
    clips, frames = len(cases) + of_references, config.profile.frames
    print(
        f"{len(prompts)} cases of {len(probes)} probes, {len(cases)} clips of the model, {of_references} of references"
    )
    print(f"{clips * frames:,} frames of {config.profile.width} x {config.profile.height}")
    print(f"disk: {clips * rates.stored / 1e9:.2f} GB of stored clips, without loss")
    print(f"memory: some {workers * rates.memory / (1 << 30):.1f} GiB with {workers} processes")
    print()
    print(f"{'stage':18} {'s per clip':>10} {'clips':>7} {'CPU minutes':>12}")
    minutes = 0.0
    for stage, count in _clips_by_stage(config, len(prompts), len(cases), of_references).items():
        spent = rates.seconds[stage] * count / 60
        minutes += spent
        print(f"{stage:18} {rates.seconds[stage]:10.2f} {count:7} {spent:12.1f}")
    print(f"{'together':18} {'':10} {'':7} {minutes:12.1f}")
    print()
    print(f"about {minutes / workers:.1f} minutes with {workers} processes, without the model's own time")
    if config.model_seconds is not None:
        print(f"the model: {config.model_seconds * len(cases) / 60:.1f} minutes at {config.model_seconds:g} s per clip")
    if references:
        print("clips, tracks and scores of references are made once, and shared by all runs of these cases")
    return 0


def _clips_by_stage(config: PlanConfig, prompts: int, model: int, references: int) -> dict[str, int]:
    """Return how many clips pass each stage."""
    # The true clip is shared by the references of a case; the model's own clips are not rendered.
    rendered = prompts if references else 0
    measured = config.fidelity is not None and bool(config.fidelity.metrics)
    pairs = model if config.fidelity is not None and _PAIRS in config.fidelity.metrics else 0
    clips = model + references
    tracked = clips if config.tracking else 0
    return dict(zip(_STAGES, (rendered, clips, clips, clips, tracked, clips if measured else 0, pairs), strict=True))


def _measure(cases: Sequence[Case], loop: Loop, config: PlanConfig) -> Rates:
    """Return the rates of one process on true clips; the first case is measured twice, and its first time only warms up."""
    _seconds_of(cases[0], loop, config)
    measured = [_seconds_of(case, loop, config) for case in cases]
    means = {stage: sum(seconds[stage] for seconds in measured) / len(cases) for stage in _STAGES}
    clips = list(loop.folder.rglob("*.mkv"))
    return Rates(means, sum(p.stat().st_size for p in clips) / len(clips), peak_memory())


def _seconds_of(case: Case, loop: Loop, config: PlanConfig) -> dict[str, float]:
    """Return the CPU seconds of a true clip, by stage."""
    seconds = dict.fromkeys(_STAGES, 0.0)

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
        store.write_video(path, video)
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
            extract([entry], replace(fidelity, metrics=tuple(m for m in fidelity.metrics if m != _PAIRS)))
        if _PAIRS in fidelity.metrics:
            with timed(_PAIRS):
                extract([entry], replace(fidelity, metrics=(_PAIRS,)))
    return seconds
