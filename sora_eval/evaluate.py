"""The one loop: case -> video -> tracks -> score. Re-running it does only what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from sora_eval.errors import is_fatal
from sora_eval.generator.base import Generator
from sora_eval.probes.base import Probe
from sora_eval.processes import KILLED, WorkerKilledError, completed
from sora_eval.store import Store
from sora_eval.tracking.world import VERSION as TRACKER_VERSION
from sora_eval.tracking.world import track
from sora_eval.types import Case, Failure, Score, ScoreRow, Video, digest

_CHUNK = 8
INTERNAL = "internal error: "
"""How the reason begins when judging a clip raised what nobody foresaw."""
_NOT_STORED = "can't be stored: "
TECHNICAL = (INTERNAL, _NOT_STORED, KILLED)
"""How reasons begin that say nothing about the model; the next run tries such a clip again."""


def evaluate(
    cases: Sequence[Case],
    probes: Mapping[str, Probe],
    generators: Sequence[Generator],
    folder: Path,
    workers: int = 1,
    progress: bool = True,
) -> tuple[list[ScoreRow], int]:
    """Ask every generator for every case, track and score what comes back, and keep all of it in `folder`.

    probes: by name, those that the cases name. workers: processes; generators that can't be copied run in this one.
    Returns the rows, in the order of generators and cases, and how many of them had to be made.
    """
    from tqdm import tqdm

    store = Store(folder)
    missing = [(g, [c for c in cases if not _scored(store, g, c, probes[c.probe])]) for g in generators]
    total = sum(len(left) for _, left in missing)
    # Nothing is printed for a run that is finished, and a bar only where somebody may wait.
    with tqdm(total=total, unit="clip", disable=not (progress and total), smoothing=0.1) as bar:
        # A few clips are made sooner than processes are started.
        spread = workers > 1 and sum(len(left) for g, left in missing if g.capabilities.processes) > _CHUNK
        shared = [(g, left) for g, left in missing if spread and g.capabilities.processes]
        jobs = [(g, chunk) for g, left in shared for chunk in _chunks(left, workers)]
        for count in _spread(jobs, probes, folder, workers):
            bar.update(count)
        for g, left in missing:
            if not any(g is s for s, _ in shared):
                for chunk in _chunks(left):
                    bar.set_description(g.name)
                    bar.update(work(g, chunk, probes, folder))
    return [_row(store, g, c, probes[c.probe]) for g in generators for c in cases], total


def _spread(
    jobs: Sequence[tuple[Generator, Sequence[Case]]], probes: Mapping[str, Probe], folder: Path, workers: int
) -> Iterator[int]:
    """Carry out `work` in several processes; yield how many cases are done, bit by bit.

    When a worker is killed, the cases that were in work are tried again one by one; the one that kills its worker again fails, no other.
    """
    store = Store(folder)

    def calls(some: Sequence[tuple[Generator, Sequence[Case]]]) -> list[partial[int]]:
        return [partial(work, g, chunk, {c.probe: probes[c.probe] for c in chunk}, folder) for g, chunk in some]

    again: list[tuple[Generator, Sequence[Case]]] = []
    for i, done in completed(workers, calls(jobs)):
        if not isinstance(done, WorkerKilledError):
            yield done
            continue
        g, chunk = jobs[i]
        left = [c for c in chunk if not _scored(store, g, c, probes[c.probe])]
        again += [(g, [c]) for c in left]
        yield len(chunk) - len(left)
    for i, done in completed(1, calls(again)):
        if isinstance(done, WorkerKilledError):
            g, (case,) = again[i]
            _fail(store, g, case, probes[case.probe], str(done))
        yield 1


def _fail(store: Store, generator: Generator, case: Case, probe: Probe, reason: str) -> None:
    """Record that a case could not be judged."""
    score = Score(None, reason)
    store.write_score(_score_path(store, generator, case, probe), score, *_artefacts(store, generator, case))


def work(generator: Generator, cases: Sequence[Case], probes: Mapping[str, Probe], folder: Path) -> int:
    """Generate, track and score some cases; return how many.

    What is stored already is read, not made again, unless it is damaged. A fault of ours in judging one clip costs that clip.
    """
    store = Store(folder)
    stored = {c.id: store.read_video(_video_path(store, generator, c)) for c in cases}
    fresh = [c for c in cases if stored[c.id] is None]
    answers = generator.generate(fresh)
    for case in cases:
        video = stored[case.id]
        if video is None:
            video = next(answers, Failure("the generator gave no answer"))
            video = _kept(store, _video_path(store, generator, case), video)
        probe = probes[case.probe]
        if isinstance(video, Failure):
            score = Score(None, video.reason)
        else:
            try:
                tracks = track(video)
                store.write_tracks(_tracks_path(store, generator, case), tracks)
                score = probe.score(case, video, tracks)
            except Exception as error:
                if is_fatal(error):
                    raise
                kind = _NOT_STORED if isinstance(error, OSError) else f"{INTERNAL}{type(error).__name__}: "
                score = Score(None, f"{kind}{' '.join(str(error).split())}")
        store.write_score(_score_path(store, generator, case, probe), score, *_artefacts(store, generator, case))
    return len(cases)


def _kept(store: Store, path: Path, video: Video | Failure) -> Video | Failure:
    """Store a clip and return it, or why it can't be stored: its size or rate may be one that no file can have."""
    try:
        store.write_video(path, video)
    except Exception as error:
        if is_fatal(error):
            raise
        return Failure(f"{_NOT_STORED}{' '.join(str(error).split())}")
    return video


def _scored(store: Store, generator: Generator, case: Case, probe: Probe) -> bool:
    score = store.read_score(_score_path(store, generator, case, probe), *_artefacts(store, generator, case))
    return score is not None and not score.reason.startswith(TECHNICAL)


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
        score = Score(None, f"{INTERNAL}what was stored of this clip can't be read back")
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
