"""Sensitivity of the bundled encoders: clips of the world under corruptions of increasing severity, and each encoder's response.

`world-video` compares a set of corrupted clips with a set of other, true ones; `world-clip` and `lpips-world` compare each clip with its
caption and with the true clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from sora_eval.data.heldout import FRAMES, Member
from sora_eval.data.shards import FPS
from sora_eval.encoders import clip as text_encoders
from sora_eval.encoders import perceptual
from sora_eval.encoders import video as video_encoders
from sora_eval.encoders.clip import TextImageEncoder
from sora_eval.encoders.perceptual import Perceptual
from sora_eval.encoders.video import VideoEncoder
from sora_eval.fidelity.extractors import feature_statistics
from sora_eval.metrics.frechet import Moments, distance, merge
from sora_eval.metrics.similarity import clip_similarity
from sora_eval.processes import pool
from sora_eval.stats.correlation import spearman
from sora_eval.types import Frames, Video
from sora_eval.validity.corruptions import CORRUPTIONS, Corruption, corrupted, true_clips
from sora_eval.validity.encoder_discrimination import Discrimination, image_distance_tests, text_image_tests
from sora_eval.validity.trials import SEVERITIES

MIN_RHO = 0.95
_REAL, _FAKE = 60_000, 70_000
"""Numbers of the clips of either set; neither training nor its held-out measures reach them."""
_STEP = 4
"""Frames are compared at every fourth of a clip's."""
_SHOWN = 4


@dataclass(frozen=True)
class EncoderResponse:
    """The response of one encoder to one corruption."""

    encoder: str
    """Name of the encoder."""
    measure: str
    """What the values are."""
    corruption: Corruption
    """The corruption."""
    values: tuple[float, ...]
    """The value at each of SEVERITIES."""
    mse: tuple[float, ...]
    """Mean squared error of the pixels at each, of values in 0..1."""
    rho: float
    """Spearman's correlation of severity and value, towards worse."""
    required: bool
    """Whether sensitivity to this corruption is required of the encoder."""

    @property
    def passed(self) -> bool:
        """Whether a required sensitivity holds."""
        return not self.required or self.rho >= MIN_RHO


def corruption_responses(corruption: Corruption, count: int) -> tuple[list[EncoderResponse], Frames]:
    """Return the responses of the bundled encoders to one corruption of `count` clips, and frames of one clip at every severity.

    The frames: four of the clip per severity, beside each other, [5 * 4, 64, 64, 3].

    Raises:
        AbsentWeightsError: this copy of the package lacks an encoder.
    """
    real, true = (true_clips(corruption.families, count, first) for first in (_REAL, _FAKE))
    by_severity = [[corrupted(m, corruption, s) for m in true] for s in SEVERITIES]
    # The clip that changes most shows best what the corruption is.
    changes = [np.abs(a.astype(int) - b).mean() for a, b in zip(by_severity[-1], by_severity[0], strict=True)]
    shown, at = int(np.argmax(changes)), np.linspace(0, FRAMES - 1, _SHOWN).round().astype(int)
    frames = np.concatenate([clips[shown][at] for clips in by_severity])
    return _responses(corruption, real, true, by_severity), frames


def all_responses(
    count: int, workers: int, corruptions: Sequence[Corruption] = CORRUPTIONS
) -> Iterator[tuple[list[EncoderResponse], Frames]]:
    """Yield `corruption_responses` of every corruption, in order, computed in parallel."""
    with pool(workers) as executor:
        yield from executor.map(partial(corruption_responses, count=count), corruptions)


def discrimination_tests(count: int) -> list[Discrimination]:
    """Return the accuracies of the bundled text-image encoder and perceptual distance on all discrimination tests."""
    encoder, distance = text_encoders.load("world-clip"), perceptual.load("lpips-world")
    return [*text_image_tests(encoder, count), *image_distance_tests(distance, count)]


def _responses(
    corruption: Corruption, real: Sequence[Member], true: Sequence[Member], by_severity: Sequence[Sequence[Frames]]
) -> list[EncoderResponse]:
    video = video_encoders.load("world-video")
    words = text_encoders.load("world-clip")
    images = perceptual.load("lpips-world")
    measures: Sequence[tuple[str, str, Callable[[Sequence[Frames]], float], bool]] = (
        (video.name, "Frechet distance", partial(_frechet, video, _moments(video, [m.frames for m in real])), True),
        (words.name, "1 - CLIPSIM", partial(_mismatch, words, true), corruption.kind == "space"),
        (images.name, "distance to the true clip", partial(_image_distance, images, true), corruption.kind != "law"),
    )
    mse = tuple(float(np.mean([_mse(c, m.frames) for c, m in zip(clips, true, strict=True)])) for clips in by_severity)
    rows = []
    for name, measure, compute, required in measures:
        values = tuple(compute(clips) for clips in by_severity)
        rho = spearman(SEVERITIES, values) if np.ptp(values) > 0 else 0.0
        rows.append(EncoderResponse(name, measure, corruption, values, mse, rho, required))
    return rows


def _moments(encoder: VideoEncoder, clips: Sequence[Frames]) -> Moments:
    return merge(feature_statistics([Video(frames, FPS) for frames in clips], encoder).groups())


def _frechet(encoder: VideoEncoder, real: Moments, clips: Sequence[Frames]) -> float:
    return distance(_moments(encoder, clips), real)


def _mismatch(encoder: TextImageEncoder, true: Sequence[Member], clips: Sequence[Frames]) -> float:
    texts = encoder.texts([m.caption for m in true])
    return 1 - float(
        np.mean([clip_similarity(encoder.images(c[::_STEP]), t) for c, t in zip(clips, texts, strict=True)])
    )


def _image_distance(network: Perceptual, true: Sequence[Member], clips: Sequence[Frames]) -> float:
    pairs = zip(clips, true, strict=True)
    return float(np.mean([network.distance(c[::_STEP], m.frames[::_STEP]) for c, m in pairs]))


def _mse(a: Frames, b: Frames) -> float:
    return float(np.square((a.astype(np.float64) - b) / 255).mean())
