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
from sora_eval.tracking.world import VERSION as TRACKER_VERSION
from sora_eval.tracking.world import track
from sora_eval.types import Case, Failure, Score, ScoreRow, Video, digest

_CHUNK = 8
_NOT_STORED = "can't be stored: "


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
) -> Evaluated:
    """Generate, track and score a clip of every case by every generator, and store all of it in `folder`; what is stored is reused.

    Models generate every sample of a prompt; oracle, controls and violations one.
    probes: by name, those that the cases name. workers: processes; generators that can't be copied run in this one.
    progress: whether to show a progress bar.
    """
    from tqdm import tqdm

    store = Store(folder)
    requested = [(g, asked_of(g.kind, cases)) for g in generators]
    missing = [(g, [c for c in own if not _scored(store, g, c, probes[c.probe])]) for g, own in requested]
    total = sum(len(left) for _, left in missing)
    made = dict.fromkeys((g.name for g in generators), ClipCounts())
    # Nothing is printed for a run that is finished, and a bar only where somebody may wait.
    with tqdm(total=total, unit="clip", disable=not (progress and total), smoothing=0.1) as bar:
        # A few clips are made sooner than processes are started.
        spread = workers > 1 and sum(len(left) for g, left in missing if g.capabilities.processes) > _CHUNK
        shared = [(g, left) for g, left in missing if spread and g.capabilities.processes]
        jobs = [(g, chunk) for g, left in shared for chunk in _chunks(left, workers)]
        for name, count, done in _spread(jobs, probes, folder, workers):
            made[name] += done
            bar.update(count)
        for g, left in missing:
            if not any(g is s for s, _ in shared):
                for chunk in _chunks(left):
                    bar.set_description(g.name)
                    made[g.name] += work(g, chunk, probes, folder)
                    bar.update(len(chunk))
    rows = [_row(store, g, c, probes[c.probe]) for g, own in requested for c in own]
    stored = {name: sum(r.generator == name and r.video != "" for r in rows) for name in made}
    return Evaluated(rows, total, {name: replace(n, reused=stored[name] - n.made) for name, n in made.items()})


def _spread(
    jobs: Sequence[tuple[Generator, Sequence[Case]]], probes: Mapping[str, Probe], folder: Path, workers: int
) -> Iterator[tuple[str, int, ClipCounts]]:
    """Carry out `work` in several processes; yield the generator, how many cases are done and where their clips came from, bit by bit.

    When a worker is killed, the cases that were in work are tried again one by one; the one that kills its worker again fails, no other.
    """
    store = Store(folder)

    def calls(some: Sequence[tuple[Generator, Sequence[Case]]]) -> list[partial[ClipCounts]]:
        return [partial(work, g, chunk, {c.probe: probes[c.probe] for c in chunk}, folder) for g, chunk in some]

    again: list[tuple[Generator, Sequence[Case]]] = []
    for i, done in completed(workers, calls(jobs)):
        g, chunk = jobs[i]
        if not isinstance(done, WorkerKilledError):
            yield g.name, len(chunk), done
            continue
        left = [c for c in chunk if not _scored(store, g, c, probes[c.probe])]
        again += [(g, [c]) for c in left]
        yield g.name, len(chunk) - len(left), ClipCounts(made=len(chunk) - len(left))
    for i, done in completed(1, calls(again)):
        g, (case,) = again[i]
        if isinstance(done, WorkerKilledError):
            score = Score(None, str(done), failure="technical")
            store.write_score(_score_path(store, g, case, probes[case.probe]), score, *_artefacts(store, g, case))
            done = ClipCounts(failed=1)
        yield g.name, 1, done


def work(generator: Generator, cases: Sequence[Case], probes: Mapping[str, Probe], folder: Path) -> ClipCounts:
    """Generate, track and score some cases; return where their clips came from.

    What is stored already is read, not made again, unless it is damaged. A fault of ours in judging one clip costs that clip.
    """
    store = Store(folder)
    stored = {c.id: store.read_video(_video_path(store, generator, c)) for c in cases}
    fresh = [c for c in cases if stored[c.id] is None]
    made: dict[str, bool] = {}
    kept = ((c, v) for c in cases if (v := stored[c.id]) is not None)
    for case, video in chain(kept, answers(generator, fresh)):
        if stored[case.id] is None:
            video = _kept(store, _video_path(store, generator, case), video)
            made[case.id] = isinstance(video, Video)
        probe = probes[case.probe]
        if isinstance(video, Failure):
            score = Score(None, video.reason, failure="technical" if video.technical else "")
        else:
            try:
                tracks = track(video)
                store.write_tracks(_tracks_path(store, generator, case), tracks)
                score = probe.score(case, video, tracks)
            except Exception as error:
                if is_fatal(error):
                    raise
                reason = f"{_NOT_STORED}{error}" if isinstance(error, OSError) else f"{INTERNAL}{one_line(error)}"
                score = Score(None, " ".join(reason.split()), failure="technical")
        store.write_score(_score_path(store, generator, case, probe), score, *_artefacts(store, generator, case))
    return ClipCounts(
        sum(isinstance(v, Video) for v in stored.values()), sum(made.values()), len(made) - sum(made.values())
    )


def _kept(store: Store, path: Path, video: Video | Failure) -> Video | Failure:
    """Store a clip and return it, or why it can't be stored: its size or rate may be one that no file can have."""
    try:
        store.write_video(path, video)
    except Exception as error:
        if is_fatal(error):
            raise
        return Failure(" ".join(f"{_NOT_STORED}{error}".split()), technical=True)
    return video


def _scored(store: Store, generator: Generator, case: Case, probe: Probe) -> bool:
    score = store.read_score(_score_path(store, generator, case, probe), *_artefacts(store, generator, case))
    # Before there was a mark, the reason alone told of a fault of ours.
    return score is not None and not score.failure and not score.reason.startswith(INTERNAL)


def _video_key(generator: Generator, case: Case) -> str:
    return digest([case.hash, generator.fingerprint(case)])


def _video_path(store: Store, generator: Generator, case: Case) -> Path:
    return store.path("videos", generator.name, case, _video_key(generator, case), ".mkv")


def _tracks_path(store: Store, generator: Generator, case: Case) -> Path:
    return store.path("tracks", generator.name, case, digest([_video_key(generator, case), TRACKER_VERSION]), ".npz")


def _artefacts(store: Store, generator: Generator, case: Case) -> tuple[Path, Path]:
    return _video_path(store, generator, case), _tracks_path(store, generator, case)


def _score_path(store: Store, generator: Generator, case: Case, probe: Probe) -> Path:
    key = digest([_video_key(generator, case), TRACKER_VERSION, probe.name, probe.version])
    return store.path("scores", generator.name, case, key, ".json")


def _row(store: Store, generator: Generator, case: Case, probe: Probe) -> ScoreRow:
    score = store.read_score(_score_path(store, generator, case, probe), *_artefacts(store, generator, case))
    if score is None:
        score = Score(None, f"{INTERNAL}what was stored of this clip can't be read back", failure="technical")
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
        chance=probe.chance,
        prompt=case.prompt,
        cluster=case.cluster,
        twin=case.twin,
        seed=case.seed,
        video=store.relative(_video_path(store, generator, case)),
        tracks=store.relative(_tracks_path(store, generator, case)),
        sample=case.sample,
        failure=score.failure,
    )


def _chunks(cases: Sequence[Case], workers: int = 1) -> Iterator[Sequence[Case]]:
    """Yield cases in chunks that shrink towards the end, so that no process has long to go when the others are done.

    Source: Polychronopoulos and Kuck 1987, "Guided self-scheduling".
    """
    i = 0
    while i < len(cases):
        size = _CHUNK if workers == 1 else max(1, min(_CHUNK, (len(cases) - i) // (2 * workers)))
        yield cases[i : i + size]
        i += size
