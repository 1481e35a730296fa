"""One pass over a set of clips for all that fidelity asks of it: each clip is read once, nothing of it is kept but statistics.

What is collected of parts of a set, in other processes, merges to what would be collected of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from sora_eval.encoders import clip as text_encoders
from sora_eval.encoders import perceptual, weights
from sora_eval.encoders import video as encoders
from sora_eval.encoders.clip import TextImageEncoder
from sora_eval.encoders.perceptual import Perceptual
from sora_eval.encoders.video import VideoEncoder
from sora_eval.encoders.weights import AbsentWeightsError
from sora_eval.errors import SoraEvalError, unknown
from sora_eval.metrics.motion import motion_features
from sora_eval.metrics.pixels import psnr, ssim
from sora_eval.metrics.similarity import (
    clip_similarity,
    directional_similarity,
    state_change,
    subject_consistency,
    temporal_consistency,
)
from sora_eval.metrics.streaming import FeatureStatistics
from sora_eval.tracking.points import track_points
from sora_eval.types import Floats, Video, digest
from sora_eval.video import read_video, resize

VERSION = 1
"""Raised whenever measures change."""
METRICS: tuple[str, ...] = ("frechet", "kernel", "motion", "words", "pairs")
"""What is measured: distances of features of both kinds, a distance of motions, words against pictures, clip against clip."""
_READ: Mapping[str, str] = {"frechet": "video", "kernel": "video"}
"""How a metric's clips are read, where several share one reading."""
DECODING = "rgb8 alpha=black"
"""How frames are read: grey ones have three equal channels, transparent pixels are shown over black."""
EVERY = "every frame of both"
MOTION = "tracks=klt lost-stay-lost grid=8x8 histograms=2x2x8 all frames"
_GRID = 8
_BATCH = 8


@dataclass(frozen=True)
class Choice:
    """What is measured, some of METRICS, and by which encoders of clips, of words and of pairs of pictures."""

    metrics: tuple[str, ...] = METRICS
    video: str = "world-video"
    words: str = "world-clip"
    distance: str = "lpips-world"

    def __post_init__(self) -> None:
        """Refuse unknown names."""
        for metric in self.metrics:
            if metric not in METRICS:
                raise unknown("metric", metric, METRICS)
        for what, name, known in (
            ("video encoder", self.video, encoders.ENCODERS),
            ("text and image encoder", self.words, text_encoders.NAMES),
            ("perceptual distance", self.distance, perceptual.NAMES),
        ):
            if name not in known:
                raise unknown(what, name, known)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The readings that these metrics need."""
        return tuple(dict.fromkeys(_READ.get(m, m) for m in self.metrics))

    def of_sets(self) -> Choice:
        """Return the part of the choice that compares sets: all that is needed of the real one."""
        return Choice(tuple(m for m in self.metrics if m in ("frechet", "kernel", "motion")), self.video)

    @property
    def encoders(self) -> list[str]:
        """The names of the encoders that these metrics need."""
        names = {"video": self.video, "words": self.words, "pairs": self.distance}
        return [names[kind] for kind in self.kinds if kind in names]

    def absent(self) -> list[str]:
        """Return why encoders of this choice can't be had on this machine, with the command that brings each; [] when all can."""
        found = []
        for name in self.encoders:
            try:
                weights.files_of(name)
            except AbsentWeightsError as error:
                found.append(str(error))
        return found

    def fingerprint(self) -> str:
        """Return a hash of all that decides the measures of given clips."""
        here = [] if self.absent() else [p.stat() for name in self.encoders for p in weights.files_of(name)]
        return digest([VERSION, asdict(self), [(s.st_size, s.st_mtime_ns) for s in here]])


@dataclass(frozen=True)
class Clip:
    """A clip to collect: its file, its position in the set, its prompt ("" for none), and the file of the clip that it should equal.

    states: what is to be seen before and after an event, a sentence each, where there is one. cluster: number of the clips that depend on
    each other, such as mirrored twins; None where it stands alone.
    """

    path: Path
    position: int
    prompt: str = ""
    true: Path | None = None
    states: tuple[str, str] | None = None
    cluster: int | None = None


@dataclass
class Collected:
    """What metrics need of a set of clips. clips: how many were read.

    values: of single clips, by metric. protocols: by reading, what the numbers depend on. missing: by reading, why there is nothing.
    """

    clips: int = 0
    features: FeatureStatistics = field(default_factory=FeatureStatistics)
    motion: FeatureStatistics = field(default_factory=FeatureStatistics)
    values: dict[str, dict[int, float]] = field(default_factory=dict)
    protocols: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def note(self, metric: str, position: int, value: float) -> None:
        """Take in a value of one clip."""
        self.values.setdefault(metric, {})[position] = value

    def of(self, metric: str) -> list[float]:
        """Return the values of single clips, in the order of the set."""
        found = self.values.get(metric, {})
        return [found[p] for p in sorted(found)]

    def merge(self, other: Collected) -> None:
        """Take in what was collected of other positions of the same set."""
        self.clips += other.clips
        self.features.merge(other.features)
        self.motion.merge(other.motion)
        for metric, values in other.values.items():
            self.values.setdefault(metric, {}).update(values)
        self.protocols |= other.protocols
        self.missing |= other.missing


class _Reader(Protocol):
    """Takes in clips for one kind of reading."""

    protocol: str

    def take(self, clip: Clip, video: Video, found: Collected) -> None:
        """Take in a clip."""

    def finish(self, found: Collected) -> None:
        """Take in what was held back."""


def collect(clips: Iterable[Clip], choice: Choice) -> Collected:
    """Read clips one by one and return what `choice` needs of them; where a reading fails, why it did."""
    found = Collected()
    readers: dict[str, _Reader] = {}
    for kind in choice.kinds:
        try:
            readers[kind] = _READERS[kind](choice)
            found.protocols[kind] = f"{readers[kind].protocol} {DECODING}"
        except SoraEvalError as error:
            found.missing[kind] = str(error)
    # SSIM and PSNR need no network.
    if "pairs" in choice.kinds:
        found.protocols["likeness"] = f"torchmetrics {EVERY} {DECODING}"
    if "pairs" in found.missing:
        readers["likeness"] = _Pairs(None)
    for clip in clips:
        found.clips += 1
        try:
            video = read_video(clip.path)
        except SoraEvalError as error:
            # A distance of the clips that can be read would be one of another set.
            found.missing |= dict.fromkeys(readers, str(error))
            readers.clear()
            continue
        for kind in list(readers):
            try:
                readers[kind].take(clip, video, found)
            except (SoraEvalError, ValueError) as error:
                found.missing[kind] = f"{clip.path.name}: {error}"
                del readers[kind]
    for kind, reader in readers.items():
        try:
            reader.finish(found)
        except (SoraEvalError, ValueError) as error:
            found.missing[kind] = str(error)
    return found


class _Features:
    def __init__(self, encoder: VideoEncoder) -> None:
        self.encoder, self.protocol = encoder, encoder.protocol
        self._waiting: list[tuple[Clip, Tensor]] = []

    def take(self, clip: Clip, video: Video, found: Collected) -> None:
        self._waiting.append((clip, self.encoder.prepare(video)))
        if len(self._waiting) == _BATCH:
            self.finish(found)

    def finish(self, found: Collected) -> None:
        if self._waiting:
            features = self.encoder.encode(torch.stack([x for _, x in self._waiting]))
            for (clip, _), row in zip(self._waiting, features, strict=True):
                found.features.add(row[None], clip.position, clip.cluster)
            self._waiting = []


class _Motion:
    protocol = MOTION

    def take(self, clip: Clip, video: Video, found: Collected) -> None:
        found.motion.add(motion_of(video)[None], clip.position, clip.cluster)

    def finish(self, found: Collected) -> None:
        pass


class _Words:
    def __init__(self, encoder: TextImageEncoder) -> None:
        self.encoder, self.protocol = encoder, f"{encoder.protocol} all frames"

    def take(self, clip: Clip, video: Video, found: Collected) -> None:
        vectors = self.encoder.images(video.frames)
        if clip.prompt:
            found.note("CLIPSIM", clip.position, clip_similarity(vectors, self.encoder.texts([clip.prompt])[0]))
        if len(video) > 1:
            found.note("temporal consistency", clip.position, temporal_consistency(vectors))
            found.note("subject consistency", clip.position, subject_consistency(vectors))
        if clip.states and len(video) > 1:
            before, after = self.encoder.texts(clip.states)
            shown = state_change(vectors[[0, -1]], before, after, self.encoder.scale)
            found.note("state change", clip.position, float(shown[1] - shown[0]))
            turned = _turned(vectors, before, after)
            found.note("directional similarity", clip.position, turned)

    def finish(self, found: Collected) -> None:
        pass


def _turned(vectors: Floats, before: Floats, after: Floats) -> float:
    # A picture that stands still has gone no way at all: not towards the words either.
    if np.array_equal(vectors[0], vectors[-1]):
        return 0.0
    return directional_similarity(vectors[:1], vectors[-1:], before, after)


class _Pairs:
    def __init__(self, network: Perceptual | None) -> None:
        self.network, self.protocol = network, f"{network.protocol} {EVERY}" if network else ""

    def take(self, clip: Clip, video: Video, found: Collected) -> None:
        if clip.true is None:
            return
        true = read_video(clip.true)
        # As many frames as both have, the true one at the size of the other.
        t = min(len(video), len(true))
        a, b = video.frames[:t], resize(true.frames[:t], video.size)
        if self.network is not None:
            found.note("perceptual", clip.position, float(self.network.distance(a, b).mean()))
        found.note("SSIM", clip.position, ssim(a, b))
        found.note("PSNR (dB)", clip.position, psnr(a, b))

    def finish(self, found: Collected) -> None:
        pass


_READERS: Mapping[str, Callable[[Choice], _Reader]] = {
    "video": lambda c: _Features(encoders.load(c.video)),
    "motion": lambda c: _Motion(),
    "words": lambda c: _Words(text_encoders.load(c.words)),
    "pairs": lambda c: _Pairs(perceptual.load(c.distance)),
}


def statistics(clips: Sequence[Video], encoder: VideoEncoder) -> FeatureStatistics:
    """Return the statistics of the features of clips that are in memory."""
    found = FeatureStatistics()
    for some in encoder.features(clips, _BATCH):
        found.add(some, found.n)
    return found


def motion_of(video: Video) -> Floats:
    """Return how points move in a clip [64]: an 8 x 8 grid of them, followed from the first frame on."""
    height, width = video.size
    y, x = (np.mgrid[:_GRID, :_GRID] + 0.5) / _GRID
    queries = np.stack([np.zeros(_GRID**2), x.ravel() * width, y.ravel() * height], axis=1)
    queries = np.minimum(queries, [0, width - 1, height - 1])
    xy, visible = track_points(video.frames, queries, regain=False)
    return motion_features(xy, visible, video.size, video.fps)
