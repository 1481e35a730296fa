"""The one loop: case -> video -> tracks -> score. Re-running it does only what is missing."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

from sora_eval.alignment.align import VERSION as ALIGNMENT
from sora_eval.errors import MachineError, is_fatal
from sora_eval.files import FileCache
from sora_eval.generator.answers import answers, one_line
from sora_eval.generator.base import Generator, batch_of, clip_inputs, named, source_of
from sora_eval.generator.devices import Devices, gpu_memory
from sora_eval.probes.base import Probe
from sora_eval.processes import CHUNK, NoQueue, Work, WorkerKilledError, WorkQueue, chunks, release_memory
from sora_eval.runs.plan import ClipCounts
from sora_eval.runs.store import Store, reference_cache
from sora_eval.scoring import score_of
from sora_eval.stats.failures import INTERNAL
from sora_eval.stats.samples import asked_of
from sora_eval.tracking.base import Tracker, identity
from sora_eval.tracking.world import WorldTracker
from sora_eval.types import Case, Failure, Score, ScoreRow, Video, digest
from sora_eval.video import VideoOptions
from sora_eval.video.sources import add_copy, is_record

WAITING_BYTES = 1 << 30
"""Clips of so many bytes may wait for a worker process; but always one, and no more of them than there are processes."""
_NOT_STORED = "can't be stored: "
_TRACKERS: dict[tuple[str | int, ...], Tracker] = {}
"""Trackers of a worker process, by identity."""


@dataclass(frozen=True)
class Evaluated:
    """The scored clips of a run."""

    rows: Sequence[ScoreRow]
    """A score per clip, in the order of generators and cases."""
    scored: int
    """How many clips were scored now; the others were scored before."""
    clips: Mapping[str, ClipCounts]
    """Clip counts by generator."""
    problems: Sequence[str] = ()
    """Faults of the devices that the model ran on."""


def evaluate(
    cases: Sequence[Case],
    probes: Mapping[str, Probe],
    generators: Sequence[Generator],
    folder: Path,
    workers: int = 1,
    progress: bool = True,
    tracker: Tracker | None = None,
    video: VideoOptions | None = None,
    devices: Sequence[str] = (),
) -> Evaluated:
    """Generate, track and score a clip of every case by every generator, and store all of it in `folder`; what is stored is reused.

    Models generate every sample of a prompt; oracle, controls and violations one.
    probes: by name, those that the cases name. workers: processes. A model that can't be copied generates in this process while they
    store, track and score its clips; with `devices` in a process on each of these. progress: whether to show a progress bar on a terminal.
    tracker: None for the world tracker. video: how clips are stored, None for the default.

    Raises:
        ConfigError: a generator can't be used, or can't be put on a device.
    """
    from tqdm import tqdm

    loop = Loop(folder, probes, tracker or WorldTracker(), video or VideoOptions())
    requested = [(g, asked_of(g.kind, cases)) for g in generators]
    for g, own in requested:
        for case in own:
            loop.fetch(g, case)
    missing = [(g, [c for c in own if not loop.scored(g, c)]) for g, own in requested]
    # In this process, or on its devices, beside the workers that judge.
    apart = [m for m in missing if m[0].kind == "model" and (devices or not m[0].capabilities.processes)]
    jobs = _jobs([m for m in missing if m not in apart], workers)
    total = sum(len(own) for _, own in missing)
    # A few clips are made sooner than processes are started.
    spread = workers > 1 and total > CHUNK and (any(own for _, own in apart) or any(job.processes for job in jobs))
    # Nothing is printed for a run that is finished, and a bar with rate and time left only where somebody may look at it.
    watched = progress and total > 0 and (sys.stderr.isatty() or "ipykernel" in sys.modules)
    with tqdm(total=total, unit="clip", disable=not watched, smoothing=0.1) as bar:
        run = _Work(loop, dict.fromkeys((g.name for g in generators), ClipCounts()), bar)
        queue = WorkQueue(min(workers, total), workers, WAITING_BYTES) if spread and _can_be_sent(loop) else NoQueue()
        with queue:
            for job in jobs:
                if isinstance(queue, WorkQueue) and job.processes:
                    queue.later(run.of_job(job))
            for model, own in apart:
                run.generate(model, own, devices, queue)
            for job in jobs:
                if isinstance(queue, NoQueue) or not job.processes:
                    bar.set_description(job.clips[0][0].name)
                    run.add(len(job.clips), job.run(loop))
    counts = run.counts
    if total and (cache := reference_cache()) is not None:
        cache.trim()
    if loop.video.store == "copy":
        for g, own in requested:
            loop.keep_files(g, own)
    rows = [loop.row(g, c) for g, own in requested for c in own]
    stored = {name: sum(r.generator == name and r.video != "" for r in rows) for name in counts}
    counts = {name: replace(n, reused=stored[name] - n.made) for name, n in counts.items()}
    return Evaluated(rows, total, counts, tuple(run.problems))


@dataclass(frozen=True)
class Job:
    """Clips that lack a score and that one process works on."""

    clips: Sequence[tuple[Generator, Case]]
    """Generator and case of each clip, in the order of the work."""

    @property
    def processes(self) -> bool:
        """Whether copies of the generators may work in several processes."""
        return all(g.capabilities.processes for g, _ in self.clips)

    def run_in_process(self, loop: Loop) -> dict[str, ClipCounts]:
        """Do `run` in a worker process."""
        return self.run(loop.in_process())

    def run(self, loop: Loop) -> dict[str, ClipCounts]:
        """Carry out the job; return where the clips of each generator came from."""
        counts: dict[str, ClipCounts] = {}
        for _, clips in groupby(self.clips, key=lambda clip: clip[0].name):
            batch = list(clips)
            generator = batch[0][0]
            count = loop.work(generator, [case for _, case in batch])
            counts[generator.name] = counts.get(generator.name, ClipCounts()) + count
        return counts


def _jobs(missing: Sequence[tuple[Generator, Sequence[Case]]], workers: int) -> list[Job]:
    """Return jobs for clips that lack a score: those of models in batches, those of references case by case.

    All references of a case are in one job, so that they share its true clip.
    """
    jobs = []
    for g, own in missing:
        if g.kind == "model":
            several = workers if g.capabilities.processes else 1
            jobs += [Job([(g, case) for case in chunk]) for chunk in chunks(own, several, batch_of(g))]
    by_case: dict[str, list[tuple[Generator, Case]]] = {}
    for g, own in missing:
        if g.kind != "model":
            for case in own:
                by_case.setdefault(case.id, []).append((g, case))
    jobs += [Job([clip for clips in chunk for clip in clips]) for chunk in chunks(list(by_case.values()), workers)]
    return jobs


def _can_be_sent(loop: Loop) -> bool:
    """Return whether worker processes can have the tracker and the probes; what a notebook defines, no other process finds."""
    parts = (loop.tracker, *loop.probes.values())
    if not hasattr(sys.modules["__main__"], "__file__") and any(type(p).__module__ == "__main__" for p in parts):
        return False
    try:
        pickle.dumps(loop)
    except Exception:
        return False
    return True


class _Work:
    """The clips of a run that lack a score, and where they came from."""

    def __init__(self, loop: Loop, counts: dict[str, ClipCounts], bar: Any) -> None:
        self.counts, self.problems = counts, dict[str, None]()
        self._loop, self._bar = loop, bar

    def add(self, clips: int, counts: Mapping[str, ClipCounts]) -> None:
        """Count finished clips."""
        for name, count in counts.items():
            self.counts[name] += count
        self._bar.update(clips)

    def of_job(self, job: Job) -> Work[Any]:
        """Return a job for a worker process. When that is killed, its clips are tried one by one; only one that kills again fails."""

        def done(counts: Mapping[str, ClipCounts] | WorkerKilledError) -> None:
            if isinstance(counts, WorkerKilledError):
                ((g, case),) = job.clips
                self._loop.keep_score(g, case, Score(None, str(counts), failure="technical"))
                counts = {g.name: ClipCounts(failed=1)}
            self.add(len(job.clips), counts)

        def again() -> list[Work[Any]]:
            left = [clip for clip in job.clips if not self._loop.scored(*clip)]
            for g, _ in (clip for clip in job.clips if clip not in left):
                self.add(1, {g.name: ClipCounts(made=1)})
            return [self.of_job(Job([clip])) for clip in left]

        return Work(partial(job.run_in_process, self._loop.of(job)), done, again=again)

    def generate(
        self, model: Generator, cases: Sequence[Case], devices: Sequence[str], queue: WorkQueue | NoQueue
    ) -> None:
        """Generate clips of a model, which others judge meanwhile; stored ones are judged again, those that are damaged made again."""
        damaged: list[Case] = []

        def read(case: Case, found: bool | WorkerKilledError | None) -> None:
            if found is None or isinstance(found, WorkerKilledError):
                damaged.append(case)
            else:
                self.add(1, {model.name: ClipCounts(reused=int(found))})

        fresh = []
        for case in cases:
            if not self._loop.is_stored(model, case):
                fresh.append(case)
                continue
            loop = self._loop.of(Job([(model, case)]))
            queue.later(Work(partial(loop.judge_stored, named(model, case), case), partial(read, case)))
        for some in (fresh, damaged):
            if some:
                self._bar.set_description(model.name)
                self._make(model, some, devices, queue)
            queue.drain()

    def _make(
        self, model: Generator, cases: Sequence[Case], devices: Sequence[str], queue: WorkQueue | NoQueue
    ) -> None:
        came: dict[str, bool | None] = {}
        on_devices = Devices(model, devices) if devices else None
        batches = list(chunks(cases, len(devices) or 1, batch_of(model)))
        here = (answer for batch in batches for answer in answers(model, batch))
        # Closed whatever happens: devices end with it.
        with closing(here if on_devices is None else on_devices.answers(batches)) as source:
            for case, video in source:
                if case.id in came:  # its last answer counts
                    queue.drain()
                came.setdefault(case.id, None)
                queue.put(self._judging(model, case, video, came))
                if memory := gpu_memory() if on_devices is None else on_devices.memory:
                    self._bar.set_postfix_str(f"GPU {memory / 2**30:.1f} GiB", refresh=False)
        queue.drain()
        self.problems |= dict.fromkeys(() if on_devices is None else on_devices.problems)
        made = sum(map(bool, came.values()))
        self.add(0, {model.name: ClipCounts(made=made, failed=len(came) - made)})

    def _judging(self, model: Generator, case: Case, video: Video | Failure, came: dict[str, bool | None]) -> Work[Any]:
        """Return the work of storing, tracking and scoring a clip. came: whether there is a clip, by case; None where it is not judged."""
        who, loop = named(model, case), self._loop.of(Job([(model, case)]))

        def done(is_clip: bool | WorkerKilledError) -> None:
            if isinstance(is_clip, WorkerKilledError):
                self._loop.keep_score(who, case, Score(None, str(is_clip), failure="technical"))
                is_clip = False
            self.add(came[case.id] is None, {})
            came[case.id] = is_clip

        size = video.frames.nbytes if isinstance(video, Video) else 0
        return Work(partial(loop.judge, who, case, video), done, size, partial(self._loop.keep_video, who, case, video))


@dataclass(frozen=True)
class Loop:
    """The way of a clip through tracker and probe, with its artefacts in one folder."""

    folder: Path
    """The run folder."""
    probes: Mapping[str, Probe]
    """Probes by name."""
    tracker: Tracker
    """The tracker."""
    video: VideoOptions = VideoOptions()
    """How clips are stored."""

    def in_process(self) -> Loop:
        """Return the loop for a worker process, with the tracker that the process got first: it may have loaded weights since."""
        if parent_process() is None:
            return self
        return replace(self, tracker=_TRACKERS.setdefault(identity(self.tracker), self.tracker))

    def work(self, generator: Generator, cases: Sequence[Case]) -> ClipCounts:
        """Generate, track and score cases; return where their clips came from.

        A stored clip is read, not made again, unless it is damaged. A fault of ours in judging one clip costs that clip. Clips are
        read, judged and dropped one by one; a generator that yields them one by one never has several in memory.
        """
        reused = 0
        fresh: list[Case] = []
        for case in cases:
            video = self._store.read_video(self._video_path(generator, case))
            if video is None:
                fresh.append(case)
                continue
            reused += isinstance(video, Video)
            self._judge(generator, case, video)
        made: dict[str, bool] = {}
        for case, video in answers(generator, fresh):
            video = self.keep_video(generator, case, video)
            made[case.id] = isinstance(video, Video)
            self._judge(generator, case, video)
        return ClipCounts(reused, sum(made.values()), len(made) - sum(made.values()))

    def of(self, job: Job) -> Loop:
        """Return the loop with the probes of a job alone, to be sent to another process."""
        return replace(self, probes={c.probe: self.probes[c.probe] for _, c in job.clips})

    def is_stored(self, generator: Generator, case: Case) -> bool:
        """Return whether there is a file of a clip, or of why there is none, which need not be readable."""
        path = self._store.clip(self._video_path(generator, case))
        return path.exists() or path.with_suffix(".failed.json").exists()

    def judge_stored(self, generator: Generator, case: Case) -> bool | None:
        """Track and score a stored clip, in a worker process; return whether there is one, None where it can't be read."""
        loop = self.in_process()
        video = loop._store.read_video(loop._video_path(generator, case))
        if video is not None:
            loop._judge(generator, case, video)
        return None if video is None else isinstance(video, Video)

    def judge(self, generator: Generator, case: Case, video: Video | Failure) -> bool:
        """Store, track and score a clip, in a worker process; return whether there is one."""
        loop = self.in_process()
        video = loop.keep_video(generator, case, video)
        loop._judge(generator, case, video)
        return isinstance(video, Video)

    def _judge(self, generator: Generator, case: Case, video: Video | Failure) -> None:
        score = self.judged(generator, case, video)
        release_memory(video.frames.nbytes if isinstance(video, Video) else 0)
        self.keep_score(generator, case, score)
        if isinstance(video, Video) and not score.failure and (cache := self._cache(generator, case)) is not None:
            for name, path in self._cached_files(generator, case):
                cache.add(name, path)

    def fetch(self, generator: Generator, case: Case) -> bool:
        """Take clip, tracks and score of a reference from the cache that all runs share, if they are not here; return whether they came."""
        cache = self._cache(generator, case)
        if cache is None or self._score_path(generator, case).exists():
            return False
        return all(cache.fetch(name, path) for name, path in self._cached_files(generator, case))

    def is_made(self, generator: Generator, case: Case) -> bool:
        """Return whether a reference need not be made: its score is here, or it can be fetched."""
        if self._score_path(generator, case).exists():
            return True
        cache = self._cache(generator, case)
        return cache is not None and all(name in cache for name, _ in self._cached_files(generator, case))

    def _cached_files(self, generator: Generator, case: Case) -> list[tuple[str, Path]]:
        """Return names in the cache and paths of clip, tracks and score; the score comes last, for it is whole only with the others."""
        paths = (*self._artefacts(generator, case), self._score_path(generator, case))
        return [(path.relative_to(self.folder).as_posix(), path) for path in paths]

    def _cache(self, generator: Generator, case: Case) -> FileCache | None:
        # Only where the bundle's code alone decides, whose hash is part of the cache.
        parts = (generator, self.tracker, self.probes[case.probe])
        bundled = all(type(part).__module__.startswith("sora_eval.") for part in parts)
        return reference_cache() if generator.kind != "model" and bundled else None

    def judged(self, generator: Generator, case: Case, video: Video | Failure) -> Score:
        """Align, track and score a clip; its tracks are stored."""
        if isinstance(video, Failure):
            return Score(None, video.reason, failure="technical" if video.technical else "")
        path = self._tracks_path(generator, case)
        try:
            return score_of(case, video, self.tracker, self.probes[case.probe], partial(self._store.write_tracks, path))
        except Exception as error:
            if is_fatal(error):
                raise
            why = f"{_NOT_STORED}{error}" if isinstance(error, OSError) else f"{INTERNAL}{one_line(error)}"
            reason = str(error) if isinstance(error, MachineError) else why
            return Score(None, " ".join(reason.split()), failure="technical")

    def keep_video(self, generator: Generator, case: Case, video: Video | Failure) -> Video | Failure:
        """Store a clip and return it as it is stored, or why it can't be: its size or rate may be one that no file can have."""
        try:
            path, crf = self._video_path(generator, case), self._crf(generator, case)
            source = source_of(generator, case)
            self._store.write_video(path, video, crf, source, self.video.store == "copy")
            if crf is not None and isinstance(video, Video):
                return self._store.read_video(path) or Failure(f"{_NOT_STORED}it can't be read back", technical=True)
        except Exception as error:
            if is_fatal(error):
                raise
            return Failure(" ".join(f"{_NOT_STORED}{error}".split()), technical=True)
        return video

    def keep_files(self, generator: Generator, cases: Sequence[Case]) -> None:
        """Copy the files that stored clips are read from into the folder, also those of clips that were judged before."""
        for case in cases:
            clip = self._store.clip(self._video_path(generator, case))
            if is_record(clip) and clip.exists():
                add_copy(clip)

    def keep_score(self, generator: Generator, case: Case, score: Score) -> None:
        """Store a score with the sizes of the artefacts behind it."""
        self._store.write_score(self._score_path(generator, case), score, *self._artefacts(generator, case))

    def scored(self, generator: Generator, case: Case) -> bool:
        """Return whether a score is stored that is no technical failure."""
        score = self._score(generator, case)
        # Scores from before there was a mark have only the reason.
        return score is not None and not score.failure and not score.reason.startswith(INTERNAL)

    def row(self, generator: Generator, case: Case) -> ScoreRow:
        """Return the line of scores.jsonl of a case that was worked on."""
        score = self._score(generator, case)
        if score is None:
            score = Score(None, f"{INTERNAL}the stored artefacts of this clip can't be read back", failure="technical")
        video, tracks = self._artefacts(generator, case)
        return ScoreRow(
            case=case.id,
            suite=case.suite,
            probe=case.probe,
            mode=case.mode,
            generator=generator.name,
            kind=generator.kind,
            value=score.value,
            reason=score.reason,
            components=dict(score.components),
            chance=self.probes[case.probe].chance,
            prompt=case.prompt,
            cluster=case.cluster,
            twin=case.twin,
            seed=case.seed,
            video=self._store.relative(video),
            tracks=self._store.relative(tracks),
            sample=case.sample,
            failure=score.failure,
            alignment=score.alignment,
            first_frame=dict(score.first_frame),
        )

    @property
    def _store(self) -> Store:
        return Store(self.folder)

    def _score(self, generator: Generator, case: Case) -> Score | None:
        return self._store.read_score(self._score_path(generator, case), *self._artefacts(generator, case))

    def _artefacts(self, generator: Generator, case: Case) -> tuple[Path, Path]:
        return self._store.clip(self._video_path(generator, case)), self._tracks_path(generator, case)

    def _crf(self, generator: Generator, case: Case) -> int | None:
        """Return the constant rate factor with which clips are stored, None for no loss; files of a user are not encoded."""
        return None if hasattr(generator, "source") else self.video.crf_of(case.size)

    def _video_key(self, generator: Generator, case: Case) -> str:
        crf = self._crf(generator, case)
        return digest([*clip_inputs(generator, case), *([] if crf is None else [self.video.protocol(case.size)])])

    def _video_path(self, generator: Generator, case: Case) -> Path:
        return self._store.path("videos", generator.name, case, self._video_key(generator, case), ".mkv")

    def _tracks_path(self, generator: Generator, case: Case) -> Path:
        key = digest([self._video_key(generator, case), *identity(self.tracker), *_aligned(generator)])
        return self._store.path("tracks", generator.name, case, key, ".npz")

    def _score_path(self, generator: Generator, case: Case) -> Path:
        probe = self.probes[case.probe]
        inputs = [self._video_key(generator, case), *identity(self.tracker), probe.name, probe.version]
        key = digest([*inputs, *_aligned(generator)])
        return self._store.path("scores", generator.name, case, key, ".json")


def _aligned(generator: Generator) -> list[str]:
    """Return the version of the alignment where it decides tracks and scores: clips of references lie in their frames as they are."""
    return [f"alignment {ALIGNMENT}"] if generator.kind == "model" else []
