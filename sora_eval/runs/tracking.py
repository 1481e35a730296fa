"""Tracking metrics of a run: clip by clip, each kept beside its tracks, so that a run that goes on measures only what is new."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np

from sora_eval.alignment.align import applied, windowed
from sora_eval.errors import ConfigError, SoraEvalError
from sora_eval.files import FileCache, read_json, write_json, write_lines
from sora_eval.processes import pool, release_memory
from sora_eval.runs.reader import Run
from sora_eval.runs.store import Store, reference_cache
from sora_eval.tracking.metrics import BY_NAME, VERSION, needs_frames, tracking_metrics
from sora_eval.tracking.truth import TrueTracks, true_tracks
from sora_eval.types import Case, ScoreRow, Tracks, digest
from sora_eval.video import read_clip
from sora_eval.world.families import BUNDLED

FILE = "tracking.jsonl"


@dataclass(frozen=True)
class TrackingRow:
    """One line of tracking.jsonl: the tracking metrics of one clip of one generator."""

    case: str
    """Id of the case."""
    suite: str
    """Suite of the case."""
    probe: str
    """Probe of the case."""
    mode: str
    """Conditioning of the case: t2v, i2v or v2v."""
    cluster: str
    """Cluster of the case, the unit of resampling."""
    generator: str
    """Name of the generator in the run."""
    kind: str
    """"model", "oracle", "control" or "violation"."""
    values: Mapping[str, float | None]
    """By metric, None where it is not defined on the clip; empty for a clip that is not there."""


def measure_tracking(run: Run, workers: int, say: Callable[[str], None]) -> list[TrackingRow]:
    """Return the tracking metrics of a run, [] where they are switched off."""
    # Shards of an older version have no such option.
    if not run.manifest["config"].get("tracking", True):
        return []
    say(f"measuring the tracking metrics of {len(run.rows)} clips")
    return of_run(run.cases, run.rows, run.folder, workers)


def of_run(cases: Sequence[Case], rows: Sequence[ScoreRow], folder: Path, workers: int = 1) -> list[TrackingRow]:
    """Return the tracking metrics of every clip of a run whose case has a scene, in the order of its rows; stored ones are reused, and
    those of references that another run has measured.
    """
    by_id = {c.id: c for c in cases}
    cache = reference_cache()
    # Cases of one scene share its truth, which takes longer than the tracks of a clip.
    jobs: dict[str, list[ScoreRow]] = {}
    for row in rows:
        case = by_id[row.case]
        if (
            row.video
            and row.tracks
            and case.scene
            and _kept(folder, case, row) is None
            and not _fetched(cache, folder, case, row)
        ):
            jobs.setdefault(digest(case.scene), []).append(row)
    work = partial(_measure, folder)
    parts = [[(by_id[r.case], r) for r in group] for group in jobs.values()]
    with pool(workers) as executor:
        for _ in (executor.map if min(workers, len(parts)) > 1 else map)(work, parts):
            pass
    # A prompt without a scene has no truth to be compared with.
    rows = [row for row in rows if by_id[row.case].scene]
    return [_row(row, _kept(folder, by_id[row.case], row) or {} if row.video and row.tracks else {}) for row in rows]


def unmeasured(rows: Sequence[TrackingRow], scores: Sequence[ScoreRow]) -> list[str]:
    """Return a line where tracks could not be measured, [] where all were or none were to be. rows: of `of_run` on `scores`."""
    there = {(s.generator, s.case) for s in scores if s.tracks}
    lost = [f"{r.generator} on {r.case}" for r in rows if not r.values and (r.generator, r.case) in there]
    return [f"tracking metrics: {len(lost)} clips could not be measured, such as {lost[0]}"] if lost else []


def _measure(folder: Path, part: Sequence[tuple[Case, ScoreRow]]) -> None:
    cache = reference_cache()
    truths: dict[str, TrueTracks] = {}
    for whole, row in part:
        video = None
        try:
            case = windowed(whole, row.alignment)
            name = _truth_name(case)
            truth = truths[name] = truths[name] if name in truths else _truth(cache, name, case)
            if needs_frames(case, truth):
                video = applied(whole, read_clip(folder / row.video), row.alignment).video
            values = tracking_metrics(case, video, read_tracks(folder / row.tracks), truth)
        except OSError:
            raise
        except (
            Exception
        ):  # a fault of ours in one clip costs that clip; the run names it as unmeasured and tries again the next time
            continue
        finally:
            video = None
            release_memory(3 * whole.frames * whole.size[0] * whole.size[1])
        path = _path(folder, whole, row)
        write_json(path, {"values": values})
        if cache is not None and is_shared(cache, row):
            cache.add(_relative(folder, path), path)


def _fetched(cache: FileCache | None, folder: Path, case: Case, row: ScoreRow) -> bool:
    """Take the metrics of a reference from the cache that all runs share; return whether they came."""
    if cache is None or not is_shared(cache, row):
        return False
    path = _path(folder, case, row)
    return cache.fetch(_relative(folder, path), path) and _kept(folder, case, row) is not None


def is_shared(cache: FileCache, row: ScoreRow) -> bool:
    """Return whether clip and tracks of a row are in the cache: those of references, where the bundle's code alone decides."""
    return row.kind != "model" and row.video in cache and row.tracks in cache


def _truth_name(case: Case) -> str:
    return f"truth/{digest([case.scene, case.size, float(case.fps), case.frames])}.npz"


def _truth(cache: FileCache | None, name: str, case: Case) -> TrueTracks:
    """Return the true tracks of a case: all references of a case and every model have the same."""
    if cache is None or case.scene["family"] not in BUNDLED:  # the code of plug-ins is in no hash
        return true_tracks(case)
    stored = cache.read(name)
    if stored is not None:
        try:
            with np.load(BytesIO(stored), allow_pickle=False) as file:
                return TrueTracks.from_arrays(dict(file))
        except Exception:  # zipfile, zlib and NumPy have many words for a damaged file
            pass
    truth, content = true_tracks(case), BytesIO()
    np.savez_compressed(content, **truth.to_arrays())  # type: ignore[arg-type]
    cache.write(name, content.getvalue())
    return truth


def _relative(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _path(folder: Path, case: Case, row: ScoreRow) -> Path:
    # The tracks' name is a hash of clip and tracker; the case decides the truth.
    key = digest([Path(row.tracks).name, case.hash_without_twin, VERSION])
    return Store(folder).path("tracking", row.generator, case, key, ".json")


def _kept(folder: Path, case: Case, row: ScoreRow) -> Mapping[str, float | None] | None:
    try:
        return _values(read_json(_path(folder, case, row))["values"])
    except (SoraEvalError, KeyError, ValueError):
        return None


def _values(found: object) -> dict[str, float | None]:
    if not isinstance(found, dict) or not all(k in BY_NAME for k in found):
        raise ValueError("no tracking metrics")
    if not all(v is None or (isinstance(v, float | int) and np.isfinite(v)) for v in found.values()):
        raise ValueError("a tracking metric is no finite number")
    return {k: None if v is None else float(v) for k, v in found.items()}


def _row(row: ScoreRow, values: Mapping[str, float | None]) -> TrackingRow:
    about = (row.case, row.suite, row.probe, row.mode, row.cluster, row.generator, row.kind)
    return TrackingRow(*about, dict(values))


def read_tracks(path: Path) -> Tracks:
    """Return stored tracks; silhouettes are not stored.

    Raises:
        ConfigError: the file can't be read.
    """
    try:
        if path.exists() and not path.is_file():
            raise OSError("no plain file")  # opening a pipe would wait for ever
        with np.load(path, allow_pickle=False) as file:
            height, width = (int(v) for v in file["size"])
            tracks = Tracks(
                tuple(str(c) for c in file["colour"]),
                file["xy"].astype(np.float64),
                file["visible"].astype(bool),
                file["area"].astype(np.float64),
                file["box"].astype(np.float64),
                (height, width),
                float(file["fps"]),
                labels=tuple(str(label) for label in file["labels"]) if "labels" in file else (),
            )
        of = (len(tracks.colour), *tracks.xy.shape[1:2])
        shapes = [a.shape for a in (tracks.xy, tracks.visible, tracks.area, tracks.box)]
        if shapes != [(*of, 2), of, of, (*of, 4)] or not tracks.fps > 0:
            raise ValueError(f"mismatched shapes {shapes}, or frames per second {tracks.fps}")
    except Exception as error:  # zipfile, zlib and NumPy have many words for a damaged file
        why = " ".join(str(error).split())
        raise ConfigError(f"{path}: no tracks ({type(error).__name__}: {why}); run the same command again") from error
    return tracks


def write_tracking(folder: Path, rows: Sequence[TrackingRow]) -> None:
    """Write tracking.jsonl."""
    write_lines(folder / FILE, (asdict(r) for r in rows))


def read_tracking(folder: Path) -> list[TrackingRow]:
    """Return the tracking metrics in a run's folder, [] where none were measured.

    Raises:
        ConfigError: a line can't be read; it is named.
    """
    path = folder / FILE
    return list(_parsed(path)) if path.exists() else []


def _parsed(path: Path) -> Iterator[TrackingRow]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: can't be read ({error}); run the same command again") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            stored = json.loads(line)
            row = TrackingRow(**{**stored, "values": _values(stored["values"])})
            if not all(isinstance(v, str) for k, v in vars(row).items() if k != "values"):
                raise ValueError("a name is no text")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ConfigError(f"{path}:{number}: no tracking metrics ({error}); run the same command again") from error
        yield row
