"""Sweeps: what the folder of a run is called, and the curve that runs over several checkpoints end with."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


def slug(choice: str, generator: Mapping[str, Any]) -> str:
    """Return what a run's folder is called after: the generator, and its checkpoint where it has one.

    Files are told apart by a hash, since every training calls its checkpoints alike.
    """
    checkpoint = str(generator.get("checkpoint") or "")
    if not checkpoint:
        return choice
    path = Path(checkpoint)
    if path.is_file():
        checkpoint = f"{path.stem}-{hashlib.sha256(path.read_bytes()).hexdigest()[:6]}"
    return choice + "-" + re.sub(r"[^\w.@+-]+", "_", checkpoint)


def curves(folders: Sequence[Path], command: str) -> Iterator[Path]:
    """Write scores over training compute, beside the runs, for the checkpoints whose compute is known; yield the pages."""
    if len(folders) < 2:
        return
    from sora_eval.reporting.scaling import points, write_scaling

    for group in points(folders):
        about = group[0].run.manifest
        name = f"scaling-{about['suite']}-{about['profile']}-{about['seed']}"
        yield write_scaling(group, folders[0].parent / name, command)
