"""One pass over a set of clips for all that fidelity asks of it; nothing of a clip is kept but statistics.

What is collected of parts of a set, in other processes, merges to what would be collected of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from sora_eval.encoders import clip as text_encoders
from sora_eval.encoders import perceptual, weights
from sora_eval.encoders import video as encoders
from sora_eval.encoders.clip import TextImageEncoder, Unread
from sora_eval.encoders.perceptual import Perceptual
from sora_eval.encoders.video import VideoEncoder
from sora_eval.encoders.weights import AbsentWeightsError
from sora_eval.errors import ConfigError, SoraEvalError, VideoError, unknown
from sora_eval.metrics import physics_iq, pixels
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
from sora_eval.types import Floats, Frames, Video, digest
from sora_eval.video import read_video, resize
from sora_eval.video.timestamps import common_moments

VERSION = 2
"""Raised whenever measures change."""
METRICS: tuple[str, ...] = ("frechet", "kernel", "motion", "words", "pairs")
"""What is measured: distances of features of both kinds, a distance of motions, words against pictures, clip against clip."""
_READ: Mapping[str, tuple[str, ...]] = {
    "frechet": ("video",),
    "kernel": ("video",),
    "pairs": ("pairs", "likeness", "continuation"),
}
"""How a metric's clips are read, where it is not by a reading of its own."""
DECODING = "rgb8 alpha=black"
"""How frames are read: grey ones have three equal channels, transparent pixels are shown over black."""
COMMON = "frames=common-moments resize=true-to-other"
"""How two clips of one name are made alike."""
FROZEN = ", frozen true frame"
"""Ending of a measure's name for a clip that only holds the last true frame before the continuation."""
MOTION = "tracks=klt lost-stay-lost grid=8x8 histograms=2x2x8 all frames"
_GRID = 8
_BATCH = 8
_LEAST = 3


@dataclass(frozen=True)
class Choice:
    """What is measured, some of METRICS, and by which encoders of clips, of words and of pairs of pictures."""

    metrics: tuple[str, ...] = METRICS
    video: str = "world-video"
    words: str = "world-clip"
    distance: str = "lpips-world"
    i3d_eps: float = 1e-3
    """Of I3D's batch norm: 1e-3 as in TensorFlow, or 1e-5 as in code that left PyTorch's default."""

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
        if isinstance(self.i3d_eps, bool) or not isinstance(self.i3d_eps, int | float) or not 0 < self.i3d_eps < 1:
            raise ConfigError(f"i3d_eps must be a number above 0 and below 1, such as 1e-3 or 1e-5, got {self.i3d_eps}")

    @property
    def kinds(self) -> tuple[str, ...]:
        """The readings that these metrics need."""
        return tuple(dict.fromkeys(kind for m in self.metrics for kind in _READ.get(m, (m,))))

    def of_sets(self) -> Choice:
        """Return the part of the choice that compares sets: all that is needed of the real one."""
        return Choice(
            tuple(m for m in self.metrics if m in ("frechet", "kernel", "motion")), self.video, i3d_eps=self.i3d_eps
        )

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
    each other, such as mirrored twins; None where it stands alone. given: frames at the beginning that the generator was given, which are
    no continuation; None where the clip does not continue the true one's beginning.
    """

    path: Path
    position: int
    prompt: str = ""
    true: Path | None = None
    states: tuple[str, str] | None = None
    cluster: int | None = None
    given: int | None = None


@dataclass
class Collected:
    """What metrics need of a set of clips. clips: how many were read.

    values: of single clips, by metric. unread: by metric, what its encoder left out of the texts of single clips.
    protocols: by reading, what the numbers depend on. missing: by reading, why there is nothing.
    """

    clips: int = 0
    features: FeatureStatistics = field(default_factory=FeatureStatistics)
    motion: FeatureStatistics = field(default_factory=FeatureStatistics)
    values: dict[str, dict[int, float]] = field(default_factory=dict)
    unread: dict[str, dict[int, Unread]] = field(default_factory=dict)
    protocols: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def note(self, metric: str, position: int, value: float) -> None:
        """Take in a value of one clip."""
        self.values.setdefault(metric, {})[position] = value

    def note_text(self, metric: str, position: int, *texts: Unread) -> None:
        """Keep the first of the texts of one clip of which something was not read."""
        if left := next((text for text in texts if text), None):
            self.unread.setdefault(metric, {})[position] = left

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
        for metric, texts in other.unread.items():
            self.unread.setdefault(metric, {}).update(texts)
        self.protocols |= other.protocols
        self.missing |= other.missing


@dataclass
class _Seen:
    """A clip that was read."""

    clip: Clip
    video: Video

    @cached_property
    def pair(self) -> tuple[Frames, Frames] | None:
        """The clip's frames and the true ones at the moments that both show, the true ones at the size of the clip's.

        Raises:
            VideoError: the true clip can't be read, or at their rates the two have too few moments in common.

        """
        if self.clip.true is None:
            return None
        true = self.video if self.clip.true == self.clip.path else read_video(self.clip.true)
        own, other = common_moments((len(self.video), len(true)), (self.video.fps, true.fps))
        if not own:
            raise VideoError(
                f"not comparable with {self.clip.true.name} frame by frame: {self.video.fps:.4g} and {true.fps:.4g} frames per second "
                "have too few moments in common; give both one rate"
            )
        return self.video.frames[own], resize(true.frames[other], self.video.size)


class _Reader(Protocol):
    """Takes in clips for one kind of reading."""

    protocol: str

    def take(self, seen: _Seen, found: Collected) -> None:
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
    for clip in clips:
        found.clips += 1
        try:
            seen = _Seen(clip, read_video(clip.path))
        except SoraEvalError as error:
            # A distance of the clips that can be read would be one of another set.
            found.missing |= dict.fromkeys(readers, str(error))
            readers.clear()
            continue
        for kind in list(readers):
            try:
                readers[kind].take(seen, found)
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

    def take(self, seen: _Seen, found: Collected) -> None:
        self._waiting.append((seen.clip, self.encoder.prepare(seen.video)))
        if len(self._waiting) == _BATCH:
            self.finish(found)

    def finish(self, found: Collected) -> None:
        if self._waiting:
            features = self.encoder.encode(torch.stack([x for _, x in self._waiting]))
            for (clip, _), row in zip(self._waiting, features, strict=True):
                found.features.add(row[None], clip.position, clip.cluster)
            self._waiting = []


class _AtOnce:
    """A reader that holds nothing back."""

    def finish(self, found: Collected) -> None:
        pass


class _Motion(_AtOnce):
    protocol = MOTION

    def take(self, seen: _Seen, found: Collected) -> None:
        found.motion.add(motion_of(seen.video)[None], seen.clip.position, seen.clip.cluster)


class _Words(_AtOnce):
    def __init__(self, encoder: TextImageEncoder) -> None:
        self.encoder, self.protocol = encoder, f"{encoder.protocol} all frames"

    def take(self, seen: _Seen, found: Collected) -> None:
        clip, frames = seen.clip, seen.video.frames
        vectors = self.encoder.images(frames)
        if clip.prompt:
            found.note("CLIPSIM", clip.position, clip_similarity(vectors, self.encoder.texts([clip.prompt])[0]))
            found.note_text("CLIPSIM", clip.position, self.encoder.unread(clip.prompt))
        if len(frames) == 1:
            return
        found.note("temporal consistency", clip.position, temporal_consistency(vectors))
        found.note("subject consistency", clip.position, subject_consistency(vectors))
        if clip.states:
            before, after = self.encoder.texts(clip.states)
            shown = state_change(vectors[[0, -1]], before, after, self.encoder.scale)
            found.note("state change", clip.position, float(shown[1] - shown[0]))
            # A picture that stands still has gone no way at all, not towards the words either.
            still = np.array_equal(frames[0], frames[-1]) or np.allclose(vectors[0], vectors[-1], rtol=0, atol=1e-6)
            turned = 0.0 if still else directional_similarity(vectors[:1], vectors[-1:], before, after)
            found.note("directional similarity", clip.position, turned)
            for metric in ("state change", "directional similarity"):
                found.note_text(metric, clip.position, *map(self.encoder.unread, clip.states))


class _Pairs(_AtOnce):
    def __init__(self, network: Perceptual) -> None:
        self.network, self.protocol = network, f"{network.protocol} {COMMON}"

    def take(self, seen: _Seen, found: Collected) -> None:
        if seen.pair is not None:
            found.note("perceptual", seen.clip.position, float(self.network.distance(*seen.pair).mean()))


class _Likeness(_AtOnce):
    protocol = f"{pixels.PROTOCOL} {COMMON}"

    def take(self, seen: _Seen, found: Collected) -> None:
        if seen.pair is not None:
            found.note("SSIM", seen.clip.position, ssim(*seen.pair))
            found.note("PSNR (dB)", seen.clip.position, psnr(*seen.pair))


class _Continuation(_AtOnce):
    protocol = f"physics-iq {physics_iq.PROTOCOL} without-given-frames {COMMON}"

    def take(self, seen: _Seen, found: Collected) -> None:
        given = seen.clip.given
        if given is None or seen.pair is None:
            return
        made, true = (frames[given:] for frames in seen.pair)
        if len(made) > 1:
            for metric, value in physics_iq.measures(true, made).items():
                found.note(metric, seen.clip.position, value)
            still = np.repeat(seen.pair[1][max(given - 1, 0)][None], len(true), axis=0)
            for metric, value in physics_iq.measures(true, still).items():
                found.note(f"{metric}{FROZEN}", seen.clip.position, value)


_READERS: Mapping[str, Callable[[Choice], _Reader]] = {
    "video": lambda c: _Features(encoders.load(c.video, i3d_eps=c.i3d_eps)),
    "motion": lambda c: _Motion(),
    "words": lambda c: _Words(text_encoders.load(c.words)),
    "pairs": lambda c: _Pairs(perceptual.load(c.distance)),
    "likeness": lambda c: _Likeness(),
    "continuation": lambda c: _Continuation(),
}


def statistics(clips: Sequence[Video], encoder: VideoEncoder) -> FeatureStatistics:
    """Return the statistics of the features of clips that are in memory."""
    found = FeatureStatistics()
    for some in encoder.features(clips, _BATCH):
        found.add(some, found.n)
    return found


def motion_of(video: Video) -> Floats:
    """Return how points move in a clip [64]: an 8 x 8 grid of them, followed from the first frame on.

    Raises:
        ConfigError: the clip is shorter than three frames.
    """
    if len(video) < _LEAST:
        raise ConfigError(f"motion needs {_LEAST} frames, a clip has {len(video)}")
    height, width = video.size
    y, x = (np.mgrid[:_GRID, :_GRID] + 0.5) / _GRID
    queries = np.stack([np.zeros(_GRID**2), x.ravel() * width, y.ravel() * height], axis=1)
    queries = np.minimum(queries, [0, width - 1, height - 1])
    xy, visible = track_points(video.frames, queries, regain=False)
    return motion_features(xy, visible, video.size, video.fps)
