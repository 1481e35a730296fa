"""Memory and disk of a run, estimated before it starts, and what to set where the machine has less."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sora_eval.config import RunConfig
from sora_eval.evaluation import WAITING_BYTES
from sora_eval.generator.base import Generator
from sora_eval.processes import available_memory
from sora_eval.stats.samples import asked_of
from sora_eval.types import Case, Profile
from sora_eval.video import VideoOptions

PROCESS_BYTES = 100 << 20
"""What a worker process has for itself beside the packages that all share (tests/benchmarks/memory.py)."""
PARENT_BYTES = 1050 << 20
"""The process that starts the workers and the one that they are forked from, with the packages that they share; measured likewise."""
PAIRS_BYTES, PAIRS_SIDE = 80 << 20, 256
"""What full-reference metrics add at this shorter side, to which larger clips are reduced; measured at 256 x 256."""
CLIPS_HELD = 2.4
"""How many times the bytes of a clip's frames a worker holds at most."""
STORED = {None: 0.06, 10: 0.03}
"""Bytes of a stored clip of the world for each byte of its frames, by constant rate factor; None for no loss. 1% with a camera at rest
at 832 x 480, 9% with a moving one at 256 x 256."""
NOISY = {None: 0.62, 10: 0.29}
"""The same of noisy frames, which a model's clips may have."""
TRACKS_BYTES = 20_000
"""Tracks, score and tracking metrics of a clip."""
RECORD_BYTES = 1_000
"""The record of a clip that stays in the user's folder."""


@dataclass(frozen=True)
class Estimate:
    """What a run takes at most."""

    memory: int
    """Bytes of memory, of all processes together, without the model's own weights."""
    disk: int
    """Bytes of its folder without the report, if the model's clips compress as the world's do."""
    noisy_disk: int
    """The same if the model's clips are noisy."""


def estimate(profile: Profile, video: VideoOptions, clips: int, references: int, files: bool, workers: int) -> Estimate:
    """Return what a run takes.

    clips, references: how many of the model and of references. files: whether the model's are a user's files.
    """
    crf = video.crf_of((profile.height, profile.width))
    others = references * (clip_bytes(profile) * _share(STORED, crf) + TRACKS_BYTES)
    # A copy of a user's files has their size, which is not known here.
    each = [RECORD_BYTES if files else clip_bytes(profile) * _share(table, crf) for table in (STORED, NOISY)]
    disk, noisy = (round(others + clips * (size + TRACKS_BYTES)) for size in each)
    return Estimate(memory_bytes(profile, workers, not files), disk, noisy)


def memory_bytes(profile: Profile, workers: int, generated: bool = True) -> int:
    """Return the peak memory of a run with so many processes, in bytes. generated: whether clips of the model wait for them."""
    side = min(profile.height, profile.width, PAIRS_SIDE)
    clip = clip_bytes(profile)
    each = PROCESS_BYTES + PAIRS_BYTES * (side / PAIRS_SIDE) ** 2 + CLIPS_HELD * clip
    # Those in work, which are kept until they are judged, one that is generated and one that is sent, and those that wait.
    held = (workers + 2) * clip + min(workers * clip, max(clip, WAITING_BYTES)) if generated and workers > 1 else 0
    return round(PARENT_BYTES + workers * each + held)


def clip_bytes(profile: Profile) -> int:
    """Return the bytes of a clip's frames in memory."""
    return 3 * profile.height * profile.width * profile.frames


def warnings(
    config: RunConfig,
    cases: Sequence[Case],
    model: Generator,
    references: Sequence[Generator],
    folder: Path,
    workers: int,
) -> list[str]:
    """Return the `shortages` of a run."""
    made = sum(len(asked_of(r.kind, cases)) for r in references)
    needed = estimate(config.profile, config.video, len(cases), made, hasattr(model, "source"), workers)
    return shortages(needed, config.profile, folder, workers)


def shortages(needed: Estimate, profile: Profile, folder: Path, workers: int) -> list[str]:
    """Return a line where the machine has less memory, and one where the disk has less room, than a run takes; [] where both suffice."""
    lines = []
    memory, free = available_memory(), shutil.disk_usage(folder).free
    if memory is not None and memory < needed.memory:
        fitting = [w for w in range(1, workers) if memory_bytes(profile, w) <= memory]
        remedy = f"set workers={fitting[-1]}" if fitting else "set workers=1 and a smaller profile"
        lines.append(
            f"memory: the run takes up to {gib(needed.memory)} with {workers} processes, and {gib(memory)} is free; {remedy}"
        )
    if free < needed.disk:
        lines.append(
            f"disk: {folder} needs some {needed.disk / 1e9:.1f} GB for clips, and {free / 1e9:.1f} GB is free; name another disk with "
            "out=..., or set video.codec=h264, a smaller suite.count or fewer references"
        )
    return lines


def gib(size: float) -> str:
    """Return bytes as text."""
    return f"{size / (1 << 30):.1f} GiB"


def _share(by_crf: dict[int | None, float], crf: int | None) -> float:
    # Lower factors take more room; they are rare enough for the figure of the default.
    return by_crf[None if crf is None else 10]
