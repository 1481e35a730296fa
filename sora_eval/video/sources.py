"""Clips that stay in the user's files: a run folder holds a record of the file in place of a copy, and every reader decodes the file.

A record is a JSON file, CASE.HASH.source.json, with the file's place, its SHA-256 and how it is decoded. A file that is gone, or whose
bytes are others, is an error that names it, never another clip in its place. The hash also keeps a record from elsewhere from showing any
other file of this machine: only who has the bytes knows their hash.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sora_eval.errors import MachineError, SoraEvalError, VideoError, is_of_machine
from sora_eval.files import content_hash, link_or_copy, read_json, write_json
from sora_eval.types import Video
from sora_eval.video.codec import probe, read_video
from sora_eval.video.limits import Limits
from sora_eval.video.timestamps import without_repeats

SUFFIX = ".source.json"
READING = 2
"""Raised whenever the same file is read as another clip; what is stored of it is then made again."""
_FIRST_OF = ("copy", "path", "given")


@dataclass(frozen=True)
class Source:
    """A file and how it is read as the clip of a case."""

    file: Path
    """The file."""
    limits: Limits
    """What the decoded clip may take at most."""
    max_fps: float
    """Frames per second that are wanted of unevenly spaced frames: those of the case."""
    fps: float | None = None
    """Rate that the manifest gives, None for the file's: frames that repeat at a steady beat then count once."""

    def read(self) -> Video:
        """Return the clip.

        Raises:
            VideoError: see `read_video`.
        """
        video = read_video(self.file, limits=self.limits, max_fps=self.max_fps, fps=self.fps)
        try:
            once = without_repeats(video.frames, video.fps) if self.fps is None else None
        except MemoryError as error:
            raise MachineError(f"{self.file}: there is not enough memory for it; make it smaller or shorter") from error
        video = Video(*once) if once else video
        # A rate that the manifest gives stretches the frames' times, not those of the sound.
        return replace(video, file=str(self.file)) if self.fps is None else video


def is_record(path: Path) -> bool:
    """Return whether a path is that of a record."""
    return path.name.endswith(SUFFIX)


def write_record(path: Path, source: Source, video: Video, copy: bool = False) -> None:
    """Write the record of a clip that was read from a file.

    copy: whether the file is also put beside the record, as a hard link where the file system can.

    Raises:
        OSError: the file is gone, or nothing can be written.
    """
    key = content_hash(source.file)
    beside = _copied(path, source.file, key) if copy else ""
    there = probe(source.file, source.limits, source.max_fps)
    height, width = video.size
    write_json(
        path,
        {
            "given": source.file.as_posix(),
            "path": _relative(source.file, path.parent),
            "copy": beside,
            "sha256": key,
            "bytes": source.file.stat().st_size,
            "reading": READING,
            "decoding": {
                "stream": there.stream,
                "fps": source.fps,
                "max_fps": source.max_fps,
                "limits": asdict(source.limits),
                "frames_in_file": there.frames,
            },
            "clip": {"height": height, "width": width, "frames": len(video), "fps": video.fps},
        },
    )


def add_copy(record: Path) -> None:
    """Put the file of a record beside it, if it isn't there; nothing where the file is gone or the record can't be read.

    Raises:
        OSError: it can't be written.
    """
    try:
        about = read_json(record)
        if not about["copy"]:
            write_json(record, {**about, "copy": _copied(record, _located(record, about), str(about["sha256"]))})
    except (SoraEvalError, KeyError, TypeError):
        return


def _copied(record: Path, file: Path, key: str) -> str:
    """Put a file beside a record, under a name from its hash, which it returns; cases of one file share it."""
    name = f"{key[:16]}{file.suffix}"
    if not record.with_name(name).exists():
        # A hard link of a symbolic link would be another symbolic link.
        link_or_copy(file.resolve(), record.with_name(name))
    return name


def read_record(path: Path) -> Video:
    """Return the clip of a record.

    Raises:
        VideoError: its file is gone, has changed or can't be read, or is decoded to another clip than the one that was judged.
        ConfigError: the record can't be read.
    """
    about = read_json(path)
    try:
        given, decoding, clip = about["given"], about["decoding"], about["clip"]
        limits = Limits(**decoding["limits"]).capped()
        source = Source(_located(path, about), limits, decoding["max_fps"], decoding["fps"])
        expected = (clip["frames"], (clip["height"], clip["width"]), clip["fps"])
        if about["reading"] != READING:
            raise VideoError(f"{given}: another version of sora-eval read this file; run the same command again")
    except (KeyError, TypeError) as error:
        raise VideoError(f"{path}: not the record of a clip ({error}); run the same command again") from error
    video = source.read()
    if (len(video), video.size, video.fps) != expected:
        raise VideoError(f"{given}: decoded to another clip than the one that was judged; run the same command again")
    return video


def file_of(record: Path) -> Path:
    """Return the file that a record is of, its bytes checked.

    Raises:
        VideoError: it is gone or has changed. ConfigError: the record can't be read.
    """
    about = read_json(record)
    try:
        return _located(record, about)
    except (KeyError, TypeError) as error:
        raise VideoError(f"{record}: not the record of a clip ({error}); run the same command again") from error


def read_clip(path: Path, max_frames: int | None = None) -> Video:
    """Return a clip of a run folder, whether it is stored there or its record is. max_frames: leave out what follows so many frames.

    Raises:
        VideoError: see `read_video` and `read_record`.
        ConfigError: the record can't be read.
    """
    if not is_record(path):
        return read_video(path, max_frames=max_frames)
    # Which frames repeat is seen in the whole clip alone.
    video = read_record(path)
    return replace(video, frames=video.frames[:max_frames])


def clip_size(path: Path) -> tuple[int, int]:
    """Return height and width of a clip of a run folder.

    Raises:
        VideoError: see `read_clip`.
        ConfigError: the record can't be read.
    """
    if not is_record(path):
        return read_video(path, max_frames=1).size
    try:
        clip = read_json(path)["clip"]
        return int(clip["height"]), int(clip["width"])
    except (KeyError, TypeError, ValueError) as error:
        raise VideoError(f"{path}: not the record of a clip ({error}); run the same command again") from error


def source_bytes(path: Path) -> int:
    """Return the size of a record's file when it was judged, 0 where the record can't be read."""
    try:
        return int(read_json(path)["bytes"])
    except (SoraEvalError, KeyError, TypeError, ValueError):
        return 0


def bring_record(record: Path, target: Path) -> None:
    """Write a record to another run folder, with the file's path from there; as it is, where it can't be read or its file is gone.

    Raises:
        OSError: it can't be written.
    """
    try:
        about = read_json(record)
        write_json(target, {**about, "path": _relative(_located(record, about), target.parent)})
    except (SoraEvalError, KeyError, TypeError):
        link_or_copy(record, target)


def _located(record: Path, about: dict[str, Any]) -> Path:
    """Return the file of a record: its copy, else the file as seen from the record, else from the working folder.

    Raises:
        VideoError: none of them is there, or none has the bytes that were judged.
        MachineError: a disk or network drive failed.
    """
    changed = False
    for file in _candidates(record, about):
        try:
            # A pipe or a device would never end, and what has another size need not be read.
            if not file.is_file():
                continue
            if file.stat().st_size == about["bytes"] and content_hash(file) == about["sha256"]:
                return file
            changed = True
        except (OSError, ValueError) as error:
            if is_of_machine(error):
                raise MachineError(f"{file}: {getattr(error, 'strerror', None) or error}") from error
            continue
    if changed:
        raise VideoError(
            f"{about['given']}: the file has changed since its clip was judged; run the same command again"
        )
    raise VideoError(f"{about['given']}: the clip is no longer there")


def _candidates(record: Path, about: dict[str, Any]) -> Iterator[Path]:
    for name in _FIRST_OF:
        if value := str(about[name]):
            yield Path(value) if name == "given" else record.parent / value


def _relative(file: Path, folder: Path) -> str:
    """Return the path of a file from a folder, "" where there is none (another drive)."""
    try:
        return Path(os.path.relpath(file.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return ""
