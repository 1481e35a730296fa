"""A run folder: clips, tracks and scores, each named by a hash of what it depends on, each appearing whole or not at all.

RUN/manifest.json    what was run, with which versions and seeds, on which machine
RUN/cases.jsonl      the cases
RUN/scores.jsonl     one line per clip, written at the end
RUN/rows.parquet     in its place for many clips
RUN/tracking.jsonl   its tracking metrics, likewise
RUN/identity.json    which model and cases the folder belongs to, written before the first clip (identity.py)
RUN/failed.json      why it failed the last time, in a sweep (commands/sweep.py)
RUN/shards/I-of-N.json    scores of shard I/N (sharding.py), which of many clips are in I-of-N.parquet
RUN/videos/GENERATOR/CASE.HASH.mkv    H.264 4:4:4 without loss, or with a little on request (video.codec); FFV1 of earlier versions
                    /CASE.HASH.source.json    in its place: the file of a folder of videos that the clip is read from (video/sources.py)
                    /CASE.HASH.failed.json    in its place: why the clip is not as requested
                    /CASE.HASH.error.json     in its place: why there is none for a technical reason; the case is retried
RUN/tracks/GENERATOR/CASE.HASH.npz
RUN/scores/GENERATOR/CASE.HASH.json
RUN/tracking/GENERATOR/CASE.HASH.json    tracking metrics (tracking.py)
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sora_eval.errors import ConfigError, SoraEvalError
from sora_eval.files import FileCache, read_json, replacing, write_json, write_lines
from sora_eval.paths import encodable
from sora_eval.types import Alignment, Case, Failure, Score, ScoreRow, Tracks, Video, check_name
from sora_eval.video import Source, read_clip, write_stored
from sora_eval.video.sources import SUFFIX, is_record, source_bytes, write_record

CACHE, CACHE_GIB = "SORA_EVAL_CACHE", "SORA_EVAL_CACHE_GIB"
"""Environment variables: the folder of the reference cache, empty for none; its size in GiB."""
_CACHE_GIB = 8.0
SCORES, MANY_SCORES = "scores.jsonl", "rows.parquet"
"""Files of a run's scores: one of the two."""
MANY = 20_000
"""Scores from which on they are kept as Parquet: a sixth of the bytes, read without having all of them as text."""
_BATCH = 10_000
_MAPPINGS = ("components", "alignment", "first_frame")
"""Columns of Parquet that are JSON."""
_CODE = ("world", "alignment", "tracking", "probes", "metrics", "video", "generator")
"""The rooms on whose code clips, tracks and scores of references depend."""


def reference_cache(rooms: tuple[str, ...] = _CODE, packages: tuple[str, ...] = ()) -> FileCache | None:
    """Return the cache of what is made of oracle and controls, which all runs share; None where it is switched off.

    Files of another version of the code are never used, whether or not its version number was raised. rooms: those on whose code the files
    depend, by default those behind clips, tracks and scores. packages: those on whose version they depend, besides NumPy and OpenCV.
    """
    folder = os.environ.get(CACHE)
    if folder is None:
        folder = str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sora-eval" / "references")
    if not folder:
        return None
    size = int(float(os.environ.get(CACHE_GIB, _CACHE_GIB)) * (1 << 30))
    return FileCache(Path(folder), _code_hash(rooms, packages), size)


@lru_cache
def _code_hash(rooms: tuple[str, ...], packages: tuple[str, ...]) -> str:
    total = hashlib.sha256(f"{np.__version__} {cv2.__version__}".encode())
    total.update(" ".join(version(name) for name in packages).encode())
    for room in rooms:
        package = import_module(f"sora_eval.{room}")
        for path in sorted(Path(package.__path__[0]).rglob("*.py")):
            total.update(path.read_bytes())
    return total.hexdigest()[:16]


class Store:
    """The artefacts of one run folder. Paths it returns are relative to the folder."""

    def __init__(self, folder: Path) -> None:
        """Use a folder; it is made at the first write."""
        self.folder = folder

    def path(self, kind: str, generator: str, case: Case, key: str, suffix: str) -> Path:
        """Return where an artefact is or will be.

        Raises:
            ValueError: an id or a name would lead out of the folder.
        """
        check_name("case", case.id)
        check_name("generator", generator)
        return self.folder / kind / generator / f"{case.id}.{key[:12]}{suffix}"

    def relative(self, path: Path) -> str:
        """Return a path relative to the run folder, with forward slashes; "" when there is no such file."""
        return path.relative_to(self.folder).as_posix() if path.exists() else ""

    def write_video(
        self,
        path: Path,
        video: Video | Failure,
        crf: int | None = None,
        source: Source | None = None,
        copy: bool = False,
    ) -> None:
        """Store a clip, or why there is none.

        crf: constant rate factor, None for no loss. source: the file that the clip was read from, of which a record is kept in place of the
        clip. copy: whether the file is kept too.
        """
        record, failed, error = (path.with_suffix(suffix) for suffix in (SUFFIX, ".failed.json", ".error.json"))
        if isinstance(video, Failure):
            kept = error if video.technical else failed
            write_json(kept, {"reason": video.reason})
        elif source is not None:
            kept = record
            write_record(record, source, video, copy)
        else:
            kept = path
            write_stored(path, video, crf)
        for other in (path, record, failed, error):
            if other != kept:
                other.unlink(missing_ok=True)

    @staticmethod
    def clip(path: Path) -> Path:
        """Return the file in which a clip is found: the clip itself, or the record of the user's file that it is read from."""
        record = path.with_suffix(SUFFIX)
        return record if not path.exists() and record.exists() else path

    def read_video(self, path: Path) -> Video | Failure | None:
        """Return a stored clip, why the clip was not as requested, or None when neither is stored in a readable form.

        A technical failure is no answer: None.
        """
        try:
            if (clip := self.clip(path)).exists():
                return read_clip(clip)
            failed = path.with_suffix(".failed.json")
            reason = str(read_json(failed)["reason"]) if failed.exists() else ""
            return Failure(reason) if reason else None
        except (SoraEvalError, KeyError):
            return None

    def write_tracks(self, path: Path, tracks: Tracks) -> None:
        """Store tracks."""
        # Left out where there are none: tracks that were stored before there were labels are the same bytes.
        labels: dict[str, Any] = {"labels": np.array(tracks.labels)} if tracks.labels else {}
        with replacing(path) as part, part.open("wb") as file:
            np.savez_compressed(
                file,
                colour=np.array(tracks.colour, dtype="U16"),
                xy=tracks.xy.astype(np.float32),
                visible=tracks.visible,
                area=tracks.area.astype(np.float32),
                box=tracks.box.astype(np.float32),
                size=np.array(tracks.size),
                # A clip in memory may have a whole number here and a stored one has none: the same tracks, the same bytes.
                fps=np.array(float(tracks.fps)),
                **labels,
            )

    def read_score(self, path: Path, *artefacts: Path) -> Score | None:
        """Return a stored score, None when there is none in a readable form, or when what it was made of is no longer whole.

        artefacts: the clip and the tracks. Of clips the sizes are compared, for reading every clip of a finished run would take minutes; of
        tracks, which are small, the bytes.
        """
        if not path.exists():
            return None
        try:
            row = read_json(path)
            sizes, hashes = row.get("bytes"), row.get("sha256")
            if sizes is not None and sizes != [_size(p) for p in artefacts]:
                return None
            # Scores of earlier versions have no hashes.
            if hashes is not None and hashes != _hashes(artefacts):
                return None
            return _score_of(row)
        except (SoraEvalError, OSError, KeyError, TypeError, ValueError, OverflowError):
            return None

    def write_score(self, path: Path, score: Score, *artefacts: Path) -> None:
        """Store a score, with the sizes of the files it was made of."""
        sizes = [_size(p) for p in artefacts]
        write_json(path, {**asdict(score), "bytes": sizes, "sha256": _hashes(artefacts)})

    def write_rows(self, rows: Sequence[ScoreRow]) -> None:
        """Write scores.jsonl, or for many rows rows.parquet."""
        kept, other = (SCORES, MANY_SCORES) if len(rows) < MANY else (MANY_SCORES, SCORES)
        if kept == SCORES:
            write_lines(self.folder / kept, (r.values() for r in rows))
        else:
            write_parquet(self.folder / kept, rows)
        (self.folder / other).unlink(missing_ok=True)


def scores_file(folder: Path) -> Path:
    """Return the file of a run's scores; that of few rows where there is none."""
    many = folder / MANY_SCORES
    return many if many.exists() else folder / SCORES


def write_parquet(path: Path, rows: Sequence[ScoreRow]) -> None:
    """Write score rows as Parquet, mappings as JSON; whole or not at all."""
    pa, pq = import_module("pyarrow"), import_module("pyarrow.parquet")
    kinds = {"value": pa.float64(), "chance": pa.float64(), "seed": pa.uint64(), "sample": pa.uint32()}
    schema = pa.schema([(f.name, kinds.get(f.name, pa.string())) for f in fields(ScoreRow)])
    # Not to a path: pyarrow takes only names in UTF-8.
    with replacing(path) as part, part.open("wb") as file, pq.ParquetWriter(file, schema, compression="zstd") as out:
        for i in range(0, len(rows), _BATCH):
            batch = [r.values() for r in rows[i : i + _BATCH]]
            columns = {name: [_plain(values.get(name)) for values in batch] for name in schema.names}
            out.write_table(pa.table(columns, schema))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return json.dumps(dict(value))
    return encodable(value) if isinstance(value, str) else value


def read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the values of each row of `write_parquet`, as JSON lines have them.

    Raises:
        ConfigError: the file can't be read.
    """
    pq = import_module("pyarrow.parquet")
    try:
        if not path.is_file():
            raise OSError("no plain file")
        with path.open("rb") as file:
            for batch in pq.ParquetFile(file).iter_batches(_BATCH):
                for row in batch.to_pylist():
                    yield {**row, **{k: json.loads(row[k]) for k in _MAPPINGS if row.get(k) is not None}}
    except Exception as error:  # whatever pyarrow makes of bytes that are no Parquet
        why = " ".join(str(error).split())[:200]
        raise ConfigError(f"{path}: no scores ({type(error).__name__}: {why}); run the same command again") from error


def _size(path: Path) -> int:
    """Return a file's bytes, 0 when there is none; of a record those of the user's file."""
    if is_record(path):
        return source_bytes(path)
    return path.stat().st_size if path.is_file() else 0


def _hashes(paths: Iterable[Path]) -> list[str]:
    """Return the SHA-256 of the tracks among some files."""
    return [hashlib.sha256(p.read_bytes()).hexdigest() for p in paths if p.suffix == ".npz" and p.is_file()]


def _score_of(row: Mapping[str, Any]) -> Score:
    value, reason, components = row["value"], row["reason"], row["components"]
    if not isinstance(reason, str) or not isinstance(components, dict) or isinstance(value, bool):
        raise ValueError("no score")
    if not all(isinstance(v, int | float) for v in components.values()):
        raise ValueError("components must map names to numbers")
    alignment = Alignment.from_json(row.get("alignment"))
    return Score(value, reason, components, row.get("failure", ""), alignment, _numbers(row.get("first_frame", {})))


def _numbers(values: Any) -> dict[str, float]:
    if not isinstance(values, dict) or not all(isinstance(v, int | float) for v in values.values()):
        raise ValueError("metrics must map names to numbers")
    return values
