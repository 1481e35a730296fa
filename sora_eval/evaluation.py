"""The one loop: case -> video -> tracks -> score. Re-running it does only what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from sora_eval.errors import is_fatal
from sora_eval.generator.answers import answers, one_line
from sora_eval.generator.base import Generator
from sora_eval.probes.base import Probe
from sora_eval.processes import WorkerKilledError, completed
from sora_eval.runs.plan import ClipCounts
from sora_eval.runs.store import Store
from sora_eval.stats.failures import INTERNAL
from sora_eval.stats.samples import asked_of
from sora_eval.tracking.base import Tracker, identity
from sora_eval.tracking.world import WorldTracker
from sora_eval.types import Case, Failure, Score, ScoreRow, Tracks, Video, digest

_CHUNK = 8
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


def evaluate(
    cases: Sequence[Case],
    probes: Mapping[str, Probe],
    generators: Sequence[Generator],
    folder: Path,
    workers: int = 1,
    progress: bool = True,
    tracker: Tracker | None = None,
) -> Evaluated:
    """Generate, track and score a clip of every case by every generator, and store all of it in `folder`; what is stored is reused.

    Models generate every sample of a prompt; oracle, controls and violations one.
    probes: by name, those that the cases name. workers: processes; generators that can't be copied run in this one.
    progress: whether to show a progress bar. tracker: None for the world tracker.
    """
    from tqdm import tqdm

    loop = Loop(folder, probes, tracker or WorldTracker())
    requested = [(g, asked_of(g.kind, cases)) for g in generators]
    missing = [(g, [c for c in own if not loop.scored(g, c)]) for g, own in requested]
    total = sum(len(left) for _, left in missing)
    made = dict.fromkeys((g.name for g in generators), ClipCounts())
    # Nothing is printed for a run that is finished, and a bar only where somebody may wait.
    with tqdm(total=total, unit="clip", disable=not (progress and total), smoothing=0.1) as bar:
        # A few clips are made sooner than processes are started.
        spread = workers > 1 and sum(len(left) for g, left in missing if g.capabilities.processes) > _CHUNK
        shared = [(g, left) for g, left in missing if spread and g.capabilities.processes]
        jobs = [(g, chunk) for g, left in shared for chunk in _chunks(left, workers)]
        for name, count, done in _spread(jobs, loop, workers):
            made[name] += done
            bar.update(count)
        for g, left in missing:
            if not any(g is s for s, _ in shared):
                for chunk in _chunks(left):
                    bar.set_description(g.name)
                    made[g.name] += loop.work(g, chunk)
                    bar.update(len(chunk))
    rows = [loop.row(g, c) for g, own in requested for c in own]
    stored = {name: sum(r.generator == name and r.video != "" for r in rows) for name in made}
    return Evaluated(rows, total, {name: replace(n, reused=stored[name] - n.made) for name, n in made.items()})


def _spread(
    jobs: Sequence[tuple[Generator, Sequence[Case]]], loop: Loop, workers: int
) -> Iterator[tuple[str, int, ClipCounts]]:
    """Carry out `loop.work` in several processes; yield generator, number of finished cases and where their clips came from, bit by bit.

    When a worker is killed, the cases that were in work are tried again one by one; the one that kills its worker again fails, no other.
    """

    def calls(jobs: Sequence[tuple[Generator, Sequence[Case]]]) -> list[partial[ClipCounts]]:
        return [
            partial(replace(loop, probes={c.probe: loop.probes[c.probe] for c in cs}).work_in_process, g, cs)
            for g, cs in jobs
        ]

    again: list[tuple[Generator, Sequence[Case]]] = []
    for i, done in completed(workers, calls(jobs)):
        g, chunk = jobs[i]
        if not isinstance(done, WorkerKilledError):
            yield g.name, len(chunk), done
            continue
        left = [c for c in chunk if not loop.scored(g, c)]
        again += [(g, [c]) for c in left]
        yield g.name, len(chunk) - len(left), ClipCounts(made=len(chunk) - len(left))
    for i, done in completed(1, calls(again)):
        g, (case,) = again[i]
        if isinstance(done, WorkerKilledError):
            loop.keep_score(g, case, Score(None, str(done), failure="technical"))
            done = ClipCounts(failed=1)
        yield g.name, 1, done


@dataclass(frozen=True)
class Loop:
    """The way of a clip through tracker and probe, with its artefacts in one folder."""

    folder: Path
    """The run folder."""
    probes: Mapping[str, Probe]
    """Probes by name."""
    tracker: Tracker
    """The tracker."""

    def work_in_process(self, generator: Generator, cases: Sequence[Case]) -> ClipCounts:
        """Do `work` in a worker process, with the tracker that it got first: a copy of it may have loaded weights since."""
        return replace(self, tracker=_TRACKERS.setdefault(identity(self.tracker), self.tracker)).work(generator, cases)

    def work(self, generator: Generator, cases: Sequence[Case]) -> ClipCounts:
        """Generate, track and score cases; return where their clips came from.

        A stored clip is read, not made again, unless it is damaged. A fault of ours in judging one clip costs that clip.
        """
        stored = {c.id: self._store.read_video(self._video_path(generator, c)) for c in cases}
        fresh = [c for c in cases if stored[c.id] is None]
        made: dict[str, bool] = {}
        kept = ((c, v) for c in cases if (v := stored[c.id]) is not None)
        for case, video in chain(kept, answers(generator, fresh)):
            if stored[case.id] is None:
                video = self._keep_video(generator, case, video)
                made[case.id] = isinstance(video, Video)
            self.keep_score(generator, case, self._judged(generator, case, video))
        reused = sum(isinstance(v, Video) for v in stored.values())
        return ClipCounts(reused, sum(made.values()), len(made) - sum(made.values()))

    def _judged(self, generator: Generator, case: Case, video: Video | Failure) -> Score:
        if isinstance(video, Failure):
            return Score(None, video.reason, failure="technical" if video.technical else "")
        try:
            tracks = self.tracker.track(video, case)
            _check_tracks(self.tracker.name, tracks, video)
            self._store.write_tracks(self._tracks_path(generator, case), tracks)
            return self.probes[case.probe].score(case, video, tracks)
        except Exception as error:
            if is_fatal(error):
                raise
            reason = f"{_NOT_STORED}{error}" if isinstance(error, OSError) else f"{INTERNAL}{one_line(error)}"
            return Score(None, " ".join(reason.split()), failure="technical")

    def _keep_video(self, generator: Generator, case: Case, video: Video | Failure) -> Video | Failure:
        """Store a clip and return it, or why it can't be stored: its size or rate may be one that no file can have."""
        try:
            self._store.write_video(self._video_path(generator, case), video)
        except Exception as error:
            if is_fatal(error):
                raise
            return Failure(" ".join(f"{_NOT_STORED}{error}".split()), technical=True)
        return video

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
        )

    @property
    def _store(self) -> Store:
        return Store(self.folder)

    def _score(self, generator: Generator, case: Case) -> Score | None:
        return self._store.read_score(self._score_path(generator, case), *self._artefacts(generator, case))

    def _artefacts(self, generator: Generator, case: Case) -> tuple[Path, Path]:
        return self._video_path(generator, case), self._tracks_path(generator, case)

    def _video_path(self, generator: Generator, case: Case) -> Path:
        return self._store.path("videos", generator.name, case, _video_key(generator, case), ".mkv")

    def _tracks_path(self, generator: Generator, case: Case) -> Path:
        key = digest([_video_key(generator, case), *identity(self.tracker)])
        return self._store.path("tracks", generator.name, case, key, ".npz")

    def _score_path(self, generator: Generator, case: Case) -> Path:
        probe = self.probes[case.probe]
        key = digest([_video_key(generator, case), *identity(self.tracker), probe.name, probe.version])
        return self._store.path("scores", generator.name, case, key, ".json")


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


def _video_key(generator: Generator, case: Case) -> str:
    return digest([case.hash, generator.fingerprint(case)])


def _chunks(cases: Sequence[Case], workers: int = 1) -> Iterator[Sequence[Case]]:
    """Yield cases in chunks that shrink towards the end, so that no process has long to go when the others are done.

    Source: Polychronopoulos and Kuck 1987, "Guided self-scheduling".
    """
    i = 0
    while i < len(cases):
        size = _CHUNK if workers == 1 else max(1, min(_CHUNK, (len(cases) - i) // (2 * workers)))
        yield cases[i : i + size]
        i += size
