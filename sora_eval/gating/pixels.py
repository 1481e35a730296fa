"""How the clips of two runs differ as pictures: for information beside the gate's verdict, never a part of it.

Two samplings of one model that a numerical change set apart are as good as each other and far apart in every pixel: PSNR and SSIM fall with
the number of steps, the length and the scene, so that no threshold of theirs separates a harmless engine from a broken one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sora_eval.encoders import perceptual
from sora_eval.encoders.weights import AbsentWeightsError
from sora_eval.errors import SoraEvalError
from sora_eval.fidelity.options import FidelityOptions
from sora_eval.files import content_hash, read_json
from sora_eval.metrics.similarity import psnr, ssim
from sora_eval.types import Frames, ScoreRow
from sora_eval.video import resize
from sora_eval.video.sources import is_record, read_clip

CLIPS = 64
"""Clips that are decoded and compared, spread evenly over the cases; their mean is within some hundredths of that of all."""


@dataclass(frozen=True)
class PixelDifferences:
    """Differences of the clips of two runs on the same cases."""

    clips: int
    """Pairs of clips that both runs hold."""
    identical: int
    """How many of them are the same bytes."""
    compared: int
    """How many were decoded and compared."""
    psnr: float
    """Mean PSNR in dB, of equal frames 100."""
    ssim: float
    """Mean SSIM."""
    distance: float
    """Mean perceptual distance, 0 for equal frames."""
    network: str
    """Its network and weights: LPIPS where its weights are on this machine, else the bundled lpips-world."""
    skipped: int
    """How many could not be compared: unreadable, or of another size or number of frames."""

    def __str__(self) -> str:
        """Return them as a sentence."""
        text = f"{self.identical} of {self.clips} clips are the same bytes"
        if self.compared:
            text += (
                f"; means over {self.compared} clips: PSNR {self.psnr:.1f} dB, SSIM {self.ssim:.3f}, "
                f"{self.network} {self.distance:.3f}"
            )
        return text + (f"; {self.skipped} could not be compared" if self.skipped else "")


def clips_of(folder: Path, rows: Sequence[ScoreRow]) -> dict[str, Path]:
    """Return the clips that a run's folder holds, by case."""
    return {row.case: path for row in rows if row.video and (path := folder / row.video).is_file()}


def pixel_differences(
    baseline: Mapping[str, Path], candidate: Mapping[str, Path], most: int = CLIPS
) -> PixelDifferences | None:
    """Return the differences of the clips of both, or None where they have no case in common or `most` is 0.

    baseline, candidate: clips by case. most: how many are decoded. Of each clip at most as many frames count, at most as large, as
    in a run's full-reference metrics.
    """
    shared = [case for case in baseline if case in candidate]
    if not shared or most < 1:
        return None
    identical = sum(_same_bytes(baseline[case], candidate[case]) for case in shared)
    chosen = np.unique(np.linspace(0, len(shared) - 1, min(most, len(shared))).round().astype(int))
    network, values, skipped = _network(), [], 0
    for case in (shared[i] for i in chosen):
        try:
            a, b = (_frames(side[case]) for side in (baseline, candidate))
            values.append((psnr(a, b), ssim(a, b), float(network.distance(a, b).mean())))
        except (SoraEvalError, OSError, ValueError):
            skipped += 1
    means = np.mean(values, axis=0) if values else np.full(3, np.nan)
    return PixelDifferences(
        clips=len(shared),
        identical=identical,
        compared=len(values),
        psnr=float(means[0]),
        ssim=float(means[1]),
        distance=float(means[2]),
        network=network.protocol,
        skipped=skipped,
    )


def _network() -> perceptual.Perceptual:
    try:
        return perceptual.load("lpips-alex")
    except AbsentWeightsError:
        return perceptual.load(perceptual.NAME)


def _frames(path: Path) -> Frames:
    options = FidelityOptions()
    frames = read_clip(path).frames
    most, side = options.pair_frames, options.pair_size
    if most is not None and len(frames) > most:
        frames = frames[np.linspace(0, len(frames) - 1, most).round().astype(int)]
    height, width = frames.shape[1:3]
    if side is not None and min(height, width) > side:
        scale = side / min(height, width)
        frames = resize(frames, (round(height * scale), round(width * scale)))
    return frames


def _same_bytes(first: Path, second: Path) -> bool:
    try:
        return _hash(first) == _hash(second)
    except (SoraEvalError, OSError, KeyError, TypeError):
        return False


def _hash(path: Path) -> str:
    """Return the SHA-256 of a clip's file; of a clip that stays elsewhere its record has it."""
    return str(read_json(path)["sha256"]) if is_record(path) else content_hash(path)
