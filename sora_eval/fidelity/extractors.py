"""Feature extraction for fidelity metrics: one pass over a set of clips, in memory that does not grow with the frames read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sora_eval.alignment.align import shown, true_part
from sora_eval.encoders import clip as text_encoders
from sora_eval.encoders import perceptual
from sora_eval.encoders import video as encoders
from sora_eval.encoders.clip import TextImageEncoder
from sora_eval.encoders.perceptual import Perceptual
from sora_eval.encoders.video import VideoEncoder
from sora_eval.errors import ConfigError, SoraEvalError, VideoError
from sora_eval.fidelity.cache import MeasureCache
from sora_eval.fidelity.config import FidelityConfig
from sora_eval.fidelity.features import (
    CLIP_FEATURES,
    COMPARED,
    CONTINUATION,
    DRIFT,
    FIRST_FRAME,
    FROZEN,
    MOTION_FEATURES,
    PERCEPTUAL,
    PIXELS,
    PLUGIN,
    TEXT_IMAGE,
    WITHOUT_GIVEN,
    ClipEntry,
    ClipFormat,
    ClipMeasures,
    FeatureSet,
)
from sora_eval.fidelity.options import plugin_metric
from sora_eval.metrics import physics_iq
from sora_eval.metrics.motion import motion_features
from sora_eval.metrics.plugin import FrameMetric
from sora_eval.metrics.similarity import (
    PIXEL_PROTOCOL,
    clip_similarity,
    directional_similarity,
    psnr,
    ssim,
    state_change,
    subject_consistency,
    temporal_consistency,
)
from sora_eval.metrics.streaming import FeatureStatistics
from sora_eval.processes import release_memory
from sora_eval.tracking.points import track_points
from sora_eval.types import Bools, Floats, Frames, Video
from sora_eval.video import read_clip, resized
from sora_eval.video.timestamps import common_moments

DECODING = "rgb8 alpha=black"
"""Part of every protocol, how frames are decoded: grey ones have three equal channels, transparent pixels are shown over black."""
MOTION = "tracks=klt lost-stay-lost grid=8x8 histograms=2x2x8 all frames"
_GRID = 8
_BATCH = 8
_MIN_MOTION_FRAMES = 3


@dataclass(frozen=True)
class _Pair:
    """Frames of a clip and of its reference at moments that both show, at one size."""

    made: Frames
    """Those of the clip."""
    true: Frames
    """Those of the reference."""
    moments: NDArray[np.int64]
    """Numbers [T] of the frames in the reference, whose clock counts given frames; the clip's own rate may be another."""

    def at(self, chosen: NDArray[np.int64] | Bools | slice) -> _Pair:
        """Return some of the frames, by number, mask or slice."""
        return _Pair(self.made[chosen], self.true[chosen], self.moments[chosen])


@dataclass
class _DecodedClip:
    """A clip of a set with its frames."""

    entry: ClipEntry
    config: FidelityConfig

    @cached_property
    def video(self) -> Video:
        """The clip, the part of it that is judged, at its own size; read again where it is wanted after `aligned`, which lets go of it.

        Raises:
            VideoError: it can't be read.
        """
        video = read_clip(self.entry.path)
        alignment = self.entry.alignment
        return video if alignment is None else Video(shown(video.frames, alignment), video.fps)

    @cached_property
    def aligned(self) -> _Pair | None:
        """The frames of the clip and of its reference at the moments that both show, at one size; None without a reference.

        The size is that of the clip, reduced to `pair_size`.

        Raises:
            VideoError: the reference can't be read, or at their rates the two have too few moments in common.

        """
        path = self.entry.reference
        if path is None:
            return None
        size, length, fps = self._size(), len(self.video), self.video.fps
        if path == self.entry.path:
            reference, frames = self.video, self.video.frames
        else:
            # Of two large clips only one is in memory.
            frames = resized(self.video.frames, range(length), size)
            self.__dict__.pop("video")
            reference = read_clip(path)
        own, other = common_moments((length, len(reference)), (fps, reference.fps))
        if not own:
            raise VideoError(
                f"not comparable with {path.name} frame by frame: {fps:.4g} and {reference.fps:.4g} frames per second "
                "have too few moments in common; give both one rate"
            )
        made, true = resized(frames, own, size), resized(true_part(reference.frames, self.entry.alignment), other, size)
        return _Pair(made, true, np.array(other, np.int64))

    @cached_property
    def sampled(self) -> _Pair | None:
        """`pair_frames` of the aligned frames, evenly spaced from the first to the last."""
        pair, most = self.aligned, self.config.pair_frames
        if pair is None or most is None or len(pair.true) <= most:
            return pair
        return pair.at(np.linspace(0, len(pair.true) - 1, most).round().astype(np.int64))

    def generated(self, pair: _Pair) -> Bools:
        """Return which frames [T] of a pair were made by the generator: copies of given frames are no merit of its own."""
        return ~np.isin(pair.moments, self.entry.conditioning)

    def _size(self) -> tuple[int, int]:
        height, width = self.video.size
        if self.config.pair_size is None or min(height, width) <= self.config.pair_size:
            return height, width
        scale = self.config.pair_size / min(height, width)
        return round(height * scale), round(width * scale)


class _Extractor(Protocol):
    """Adds what one encoder or metric makes of a clip to its measures."""

    protocol: str

    def add(self, clip: _DecodedClip, out: ClipMeasures) -> None:
        """Process a clip, now or with a later one in a batch."""

    def flush(self) -> None:
        """Process clips that wait for a batch to fill."""


def extract(clips: Iterable[ClipEntry], config: FidelityConfig) -> FeatureSet:
    """Return the features of clips, each read once; where an extractor fails, the reason in `missing`.

    Of entries with a `cache_key`, what another run has measured is taken from the cache of references, and no encoder is loaded for it.
    """
    out, cache = FeatureSet(), MeasureCache(config.cache_version)
    extractors: dict[str, _Extractor] | None = None
    measured: list[tuple[ClipEntry, ClipMeasures, bool]] = []
    for entry in clips:
        out.clips += 1
        stored = cache.read(entry)
        if stored is not None:
            measured.append((entry, stored[0], False))
            out.protocols |= stored[1]
            continue
        if extractors is None:
            extractors = _load_extractors(config, out)
        measures = ClipMeasures()
        measured.append((entry, measures, True))
        _measure(entry, extractors, config, measures, out)
    if extractors is None:
        extractors = {} if measured else _load_extractors(config, out)
    for name, extractor in extractors.items():
        try:
            extractor.flush()
        except (SoraEvalError, ValueError) as error:
            out.missing[name] = str(error)
    for entry, measures, _ in measured:
        out.add(entry, measures)
    if not out.missing:
        for entry, measures, new in measured:
            if new:
                cache.write(entry, measures, out.protocols)
    return out


def _measure(
    entry: ClipEntry, extractors: dict[str, _Extractor], config: FidelityConfig, measures: ClipMeasures, out: FeatureSet
) -> None:
    """Add what the extractors make of a clip to its measures; one that fails is dropped from them, with the reason in `out`."""
    try:
        clip = _DecodedClip(entry, config)
        measures.format = ClipFormat(len(clip.video), *clip.video.size, clip.video.fps)
        held = clip.video.frames.nbytes
    except SoraEvalError as error:
        # A distance of the clips that can be read would be one of another set.
        out.missing |= dict.fromkeys(extractors, str(error))
        extractors.clear()
        return
    for name in list(extractors):
        try:
            extractors[name].add(clip, measures)
        except (SoraEvalError, ValueError) as error:
            out.missing[name] = f"{entry.path.name}: {error}"
            del extractors[name]
    del clip
    release_memory(held)


def _load_extractors(config: FidelityConfig, out: FeatureSet) -> dict[str, _Extractor]:
    extractors: dict[str, _Extractor] = {}
    # Those that compare with a reference come last: they let go of the clip's own frames.
    order = [*_EXTRACTORS]
    for name in sorted(config.extractors, key=lambda n: order.index(n) if n in order else len(order)):
        try:
            extractors[name] = (
                _EXTRACTORS[name](config)
                if name in _EXTRACTORS
                else _PluginMetric(name.removeprefix(PLUGIN), config.alignment)
            )
            out.protocols[name] = f"{extractors[name].protocol} {DECODING}"
        except SoraEvalError as error:
            out.missing[name] = str(error)
    return extractors


class _ClipFeatures:
    def __init__(self, encoder: VideoEncoder) -> None:
        self.encoder, self.protocol = encoder, encoder.protocol
        self._batch: list[tuple[Tensor, ClipMeasures]] = []

    def add(self, clip: _DecodedClip, out: ClipMeasures) -> None:
        self._batch.append((self.encoder.prepare(clip.video), out))
        if len(self._batch) == _BATCH:
            self.flush()

    def flush(self) -> None:
        if self._batch:
            features = self.encoder.encode(torch.stack([x for x, _ in self._batch]))
            for (_, out), row in zip(self._batch, features, strict=True):
                out.features[CLIP_FEATURES] = row
            self._batch = []


class _Unbatched:
    """An extractor that processes each clip at once."""

    def flush(self) -> None:
        pass


class _MotionFeatures(_Unbatched):
    protocol = MOTION

    def add(self, clip: _DecodedClip, out: ClipMeasures) -> None:
        out.features[MOTION_FEATURES] = clip_motion(clip.video)


class _TextImage(_Unbatched):
    def __init__(self, encoder: TextImageEncoder) -> None:
        self.encoder, self.protocol = encoder, f"{encoder.protocol} all frames"

    def add(self, clip: _DecodedClip, out: ClipMeasures) -> None:
        entry, frames = clip.entry, clip.video.frames
        vectors = self.encoder.images(frames)
        if entry.prompt:
            out.values["CLIPSIM"] = clip_similarity(vectors, self.encoder.texts([entry.prompt])[0])
            out.add_unread("CLIPSIM", self.encoder.unread(entry.prompt))
        if len(frames) == 1:
            return
        out.values["temporal consistency"] = temporal_consistency(vectors)
        out.values["subject consistency"] = subject_consistency(vectors)
        if entry.states:
            self._add_event(entry.states, frames, vectors, out)

    def _add_event(self, states: tuple[str, str], frames: Frames, vectors: Floats, out: ClipMeasures) -> None:
        before, after = self.encoder.texts(states)
        probability = state_change(vectors[[0, -1]], before, after, self.encoder.scale)
        out.values["state change"] = float(probability[1] - probability[0])
        # A picture that stands still has gone no way at all, not towards the text either.
        still = np.array_equal(frames[0], frames[-1]) or np.allclose(vectors[0], vectors[-1], rtol=0, atol=1e-6)
        similarity = 0.0 if still else directional_similarity(vectors[:1], vectors[-1:], before, after)
        out.values["directional similarity"] = similarity
        for metric in ("state change", "directional similarity"):
            out.add_unread(metric, *map(self.encoder.unread, states))


class _PerceptualDistance(_Unbatched):
    def __init__(self, network: Perceptual, alignment: str) -> None:
        self.network, self.protocol = network, f"{network.protocol} {WITHOUT_GIVEN} {alignment}"

    def add(self, clip: _DecodedClip, out: ClipMeasures) -> None:
        pair = clip.sampled
        if pair is None:
            return
        generated, distances = clip.generated(pair), self.network.distance(pair.made, pair.true)
        out.values[f"{PERCEPTUAL}{COMPARED}"] = float(generated.sum())
        if generated.any():
            out.values["perceptual"] = float(distances[generated].mean())
        if clip.entry.given:
            _add_first_frame(out, "perceptual", float(distances[0]), float(distances[-1]))


class _PixelMetrics(_Unbatched):
    def __init__(self, alignment: str) -> None:
        self.protocol = f"{PIXEL_PROTOCOL} {WITHOUT_GIVEN} {alignment}"

    def add(self, clip: _DecodedClip, out: ClipMeasures) -> None:
        pair = clip.sampled
        if pair is None:
            return
        rest = pair.at(clip.generated(pair))
        out.values[f"{PIXELS}{COMPARED}"] = float(len(rest.made))
        if len(rest.made):
            out.values["SSIM"] = ssim(rest.made, rest.true)
            out.values["PSNR (dB)"] = psnr(rest.made, rest.true)
        if clip.entry.given:
            first, last = (ssim(pair.made[at], pair.true[at]) for at in (slice(0, 1), slice(-1, None)))
            _add_first_frame(out, "SSIM", first, last)


class _PluginMetric(_Unbatched):
    def __init__(self, name: str, alignment: str) -> None:
        metric, origin = plugin_metric(name)
        assert isinstance(metric, FrameMetric)
        self.name, self.function = name, metric.function
        self.protocol = f"{name} version={metric.version} of {origin} {alignment}"

    def add(self, clip: _DecodedClip, out: ClipMeasures) -> None:
        if clip.aligned is None:
            return
        try:
            value = float(self.function(clip.aligned.true, clip.aligned.made))
        except Exception as error:
            raise ConfigError(f"metric {self.name} raised {type(error).__name__}: {error}") from error
        if not np.isfinite(value):
            raise ConfigError(f"metric {self.name} is {value}")
        out.values[f"{PLUGIN}{self.name}"] = value


class _Continuation(_Unbatched):
    def __init__(self, alignment: str) -> None:
        self.protocol = f"physics-iq {physics_iq.PROTOCOL} {WITHOUT_GIVEN} {alignment}"

    def add(self, clip: _DecodedClip, out: ClipMeasures) -> None:
        pair = clip.aligned
        if clip.entry.given is None or pair is None:
            return
        # Given frames are those of the case's clock, of which another rate meets only some.
        first = int((pair.moments < clip.entry.given).sum())
        rest = pair.at(slice(first, None))
        if len(rest.true) > 1:
            frozen = np.repeat(pair.true[max(first - 1, 0)][None], len(rest.true), axis=0)
            for suffix, frames in (("", rest.made), (FROZEN, frozen)):
                for metric, value in physics_iq.measures(rest.true, frames).items():
                    out.values[f"{metric}{suffix}"] = value


def _add_first_frame(out: ClipMeasures, metric: str, first: float, last: float) -> None:
    """Add the value of the frame that was given, and how far that of the last frame, against the true one of its moment, is from it."""
    out.values[f"{metric}{FIRST_FRAME}"] = first
    out.values[f"{metric}{DRIFT}"] = last - first


def _sampling(config: FidelityConfig) -> str:
    return config.alignment if config.pair_frames is None else f"{config.alignment} frames<={config.pair_frames}"


_EXTRACTORS: Mapping[str, Callable[[FidelityConfig], _Extractor]] = {
    CLIP_FEATURES: lambda c: _ClipFeatures(encoders.load(c.video_encoder, i3d_eps=c.i3d_eps)),
    MOTION_FEATURES: lambda c: _MotionFeatures(),
    TEXT_IMAGE: lambda c: _TextImage(text_encoders.load(c.text_image_encoder)),
    PERCEPTUAL: lambda c: _PerceptualDistance(perceptual.load(c.image_distance), _sampling(c)),
    PIXELS: lambda c: _PixelMetrics(_sampling(c)),
    CONTINUATION: lambda c: _Continuation(c.alignment),
}


def feature_statistics(clips: Sequence[Video], encoder: VideoEncoder) -> FeatureStatistics:
    """Return the statistics of the features of clips that are in memory."""
    statistics = FeatureStatistics()
    for features in encoder.features(clips, _BATCH):
        statistics.add(features, statistics.n)
    return statistics


def clip_motion(video: Video) -> Floats:
    """Return the motion features of a clip [64], from points of an 8 x 8 grid that are tracked from the first frame on.

    Raises:
        ConfigError: the clip is shorter than three frames.
    """
    if len(video) < _MIN_MOTION_FRAMES:
        raise ConfigError(f"motion needs {_MIN_MOTION_FRAMES} frames, a clip has {len(video)}")
    height, width = video.size
    y, x = (np.mgrid[:_GRID, :_GRID] + 0.5) / _GRID
    queries = np.stack([np.zeros(_GRID**2), x.ravel() * width, y.ravel() * height], axis=1)
    queries = np.minimum(queries, [0, width - 1, height - 1])
    xy, visible = track_points(video.frames, queries, regain=False)
    return motion_features(xy, visible, video.size, video.fps)
