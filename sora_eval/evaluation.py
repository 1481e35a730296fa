"""The one loop: case -> video -> tracks -> score. Re-running it does only what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from sora_eval.alignment.align import VERSION as ALIGNMENT
from sora_eval.alignment.align import Aligned, align
from sora_eval.alignment.first_frame import first_frame_fidelity
from sora_eval.errors import is_fatal
from sora_eval.files import FileCache
from sora_eval.generator.answers import answers, one_line
from sora_eval.generator.base import Generator, batch_of, clip_inputs, source_of
from sora_eval.generator.simulator import true_video
from sora_eval.probes.base import Probe
from sora_eval.processes import WorkerKilledError, completed
from sora_eval.runs.plan import ClipCounts
from sora_eval.runs.store import Store, reference_cache
from sora_eval.stats.failures import INTERNAL
from sora_eval.stats.samples import asked_of
from sora_eval.tracking.base import Tracker, identity
from sora_eval.tracking.world import WorldTracker
from sora_eval.types import Case, Failure, Score, ScoreRow, Tracks, Video, digest
from sora_eval.video import VideoOptions
from sora_eval.video.sources import add_copy, is_record

T = TypeVar("T")
_CHUNK = 8
_NOT_STORED = "can't be stored: "
_DOUBTFUL = 0.5
"""Score below which a clip that shows a part of the frame is judged only where that of the truth in the same part is not below it."""
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


def evaluate(
    cases: Sequence[Case],
    probes: Mapping[str, Probe],
    generators: Sequence[Generator],
    folder: Path,
    workers: int = 1,
    progress: bool = True,
    tracker: Tracker | None = None,
    video: VideoOptions | None = None,
) -> Evaluated:
    """Generate, track and score a clip of every case by every generator, and store all of it in `folder`; what is stored is reused.

    Models generate every sample of a prompt; oracle, controls and violations one.
    probes: by name, those that the cases name. workers: processes; generators that can't be copied run in this one.
    progress: whether to show a progress bar. tracker: None for the world tracker. video: how clips are stored, None for the default.
    """
    from tqdm import tqdm

    loop = Loop(folder, probes, tracker or WorldTracker(), video or VideoOptions())
    requested = [(g, asked_of(g.kind, cases)) for g in generators]
    for g, own in requested:
        for case in own:
            loop.fetch(g, case)
    jobs = _jobs(requested, loop, workers)
    total = sum(len(job.clips) for job in jobs)
    counts = dict.fromkeys((g.name for g in generators), ClipCounts())
    # Nothing is printed for a run that is finished, and a bar only where somebody may wait.
    with tqdm(total=total, unit="clip", disable=not (progress and total), smoothing=0.1) as bar:
        # A few clips are made sooner than processes are started.
        shared = [job for job in jobs if job.processes and workers > 1]
        shared = shared if sum(len(job.clips) for job in shared) > _CHUNK else []
        for clips, done in _spread(shared, loop, workers):
            _add(counts, done)
            bar.update(clips)
        for job in jobs:
            if job not in shared:
                bar.set_description(job.clips[0][0].name)
                _add(counts, job.run(loop))
                bar.update(len(job.clips))
    if total and (cache := reference_cache()) is not None:
        cache.trim()
    if loop.video.store == "copy":
        for g, own in requested:
            loop.keep_files(g, own)
    rows = [loop.row(g, c) for g, own in requested for c in own]
    stored = {name: sum(r.generator == name and r.video != "" for r in rows) for name in counts}
    return Evaluated(rows, total, {name: replace(n, reused=stored[name] - n.made) for name, n in counts.items()})


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


def _jobs(requested: Sequence[tuple[Generator, Sequence[Case]]], loop: Loop, workers: int) -> list[Job]:
    """Return jobs for all clips that lack a score: those of models in batches, those of references case by case.

    All references of a case are in one job, so that they share its true clip.
    """
    missing = [(g, [c for c in own if not loop.scored(g, c)]) for g, own in requested]
    jobs = []
    for g, own in missing:
        if g.kind == "model":
            several = workers if g.capabilities.processes else 1
            jobs += [Job([(g, case) for case in chunk]) for chunk in _chunks(own, several, batch_of(g))]
    by_case: dict[str, list[tuple[Generator, Case]]] = {}
    for g, own in missing:
        if g.kind != "model":
            for case in own:
                by_case.setdefault(case.id, []).append((g, case))
    jobs += [Job([clip for clips in chunk for clip in clips]) for chunk in _chunks(list(by_case.values()), workers)]
    return jobs


def _spread(jobs: Sequence[Job], loop: Loop, workers: int) -> Iterator[tuple[int, Mapping[str, ClipCounts]]]:
    """Carry out jobs in several processes; yield how many clips are done and where those of each generator came from, bit by bit.

    When a worker is killed, the clips that were in work are tried again one by one; the one that kills its worker again fails, no other.
    """
    again: list[Job] = []
    for i, counts in completed(workers, [partial(job.run_in_process, loop.of(job)) for job in jobs]):
        if not isinstance(counts, WorkerKilledError):
            yield len(jobs[i].clips), counts
            continue
        for g, case in jobs[i].clips:
            if loop.scored(g, case):
                yield 1, {g.name: ClipCounts(made=1)}
            else:
                again.append(Job([(g, case)]))
    for i, counts in completed(1, [partial(job.run_in_process, loop.of(job)) for job in again]):
        ((g, case),) = again[i].clips
        if isinstance(counts, WorkerKilledError):
            loop.keep_score(g, case, Score(None, str(counts), failure="technical"))
            counts = {g.name: ClipCounts(failed=1)}
        yield 1, counts


def _add(totals: dict[str, ClipCounts], counts: Mapping[str, ClipCounts]) -> None:
    for name, count in counts.items():
        totals[name] += count


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
            video = self._keep_video(generator, case, video)
            made[case.id] = isinstance(video, Video)
            self._judge(generator, case, video)
        return ClipCounts(reused, sum(made.values()), len(made) - sum(made.values()))

    def of(self, job: Job) -> Loop:
        """Return the loop with the probes of a job alone, to be sent to another process."""
        return replace(self, probes={c.probe: self.probes[c.probe] for _, c in job.clips})

    def _judge(self, generator: Generator, case: Case, video: Video | Failure) -> None:
        score = self.judged(generator, case, video)
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
        try:
            aligned = align(case, video)
            tracks = self._tracked(aligned.case, aligned.video)
            self._store.write_tracks(self._tracks_path(generator, case), tracks)
            score = self.probes[case.probe].score(aligned.case, aligned.video, tracks)
            if aligned.cut and (score.value is None or score.value < _DOUBTFUL) and (why := self._unfit(aligned)):
                score = Score(None, why)
            return replace(score, alignment=aligned.alignment, first_frame=first_frame_fidelity(case, video, aligned))
        except Exception as error:
            if is_fatal(error):
                raise
            reason = f"{_NOT_STORED}{error}" if isinstance(error, OSError) else f"{INTERNAL}{one_line(error)}"
            return Score(None, " ".join(reason.split()), failure="technical")

    def _tracked(self, case: Case, video: Video) -> Tracks:
        tracks = self.tracker.track(video, case)
        _check_tracks(self.tracker.name, tracks, video)
        return tracks

    def _unfit(self, aligned: Aligned) -> str:
        """Return why a case can't be judged in the part of the frame that a clip shows, "" when the true clip can: what the probe needs
        may have been cut off.
        """
        case = aligned.case
        true = true_video(case)
        score = self.probes[case.probe].score(case, true, self._tracked(case, true))
        if score.value is not None and score.value >= _DOUBTFUL:
            return ""
        assert aligned.alignment is not None
        assert aligned.alignment.given is not None
        shown = aligned.alignment.given
        part = (
            f"{shown.box[2] - shown.box[0]:.0f}x{shown.box[3] - shown.box[1]:.0f} of {shown.frame[1]}x{shown.frame[0]}"
        )
        return f"the clip shows {part} pixels of the given frames, in which the true clip can't be judged either: return all of them"

    def _keep_video(self, generator: Generator, case: Case, video: Video | Failure) -> Video | Failure:
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


def _check_tracks(tracker: str, tracks: object, video: Video) -> None:
    """Refuse tracks that are not of a clip: a probe would judge motion that nobody drew.

    Raises:
        TypeError: they are no tracks.
        ValueError: they have another number of frames, another size or rate.
    """
    if not isinstance(tracks, Tracks):
        raise TypeError(f"tracker {tracker} returned a {type(tracks).__name__}, Tracks are needed")
    got, need = (tracks.frames, tracks.size, float(tracks.fps)), (len(video), video.size, float(video.fps))
    if got != need:
        names = ("frames", "size", "fps")
        wrong = ", ".join(f"{n} {g} for {v}" for n, g, v in zip(names, got, need, strict=True) if g != v)
        raise ValueError(f"tracker {tracker} returned tracks of another clip: {wrong}")


def _chunks(items: Sequence[T], workers: int = 1, least: int = 1) -> Iterator[Sequence[T]]:
    """Yield items in chunks that shrink towards the end, so that no process has long to go when the others are done.

    Source: Polychronopoulos and Kuck 1987, "Guided self-scheduling".
    """
    i = 0
    while i < len(items):
        size = max(_CHUNK, least) if workers == 1 else max(least, min(_CHUNK, (len(items) - i) // (2 * workers)))
        yield items[i : i + size]
        i += size
