"""How real, how well matched and how steady a set of clips is, against a set of real ones.

Every figure carries its protocol: network and hash of its weights, frames, size, how many clips. Two figures may be compared when their
protocols are the same, and only then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sora_eval.encoders import clip, perceptual
from sora_eval.encoders import video as encoders
from sora_eval.encoders.clip import TextImageEncoder
from sora_eval.encoders.perceptual import Perceptual
from sora_eval.encoders.video import VideoEncoder
from sora_eval.encoders.weights import AbsentWeightsError
from sora_eval.errors import ConfigError, SoraEvalError, unknown
from sora_eval.metrics import frechet, kernel
from sora_eval.metrics.motion import motion_features
from sora_eval.metrics.pixels import psnr, ssim
from sora_eval.metrics.similarity import clip_similarity, subject_consistency, temporal_consistency
from sora_eval.metrics.streaming import FeatureStatistics
from sora_eval.stats import cluster_bootstrap
from sora_eval.tracking.points import track_points
from sora_eval.types import Floats, Frames, Video
from sora_eval.video import read_video, resize

METRICS: tuple[str, ...] = ("frechet", "kernel", "motion", "words", "pairs")
"""What is measured: distances of features of both kinds, a distance of motions, words against pictures, clip against clip of one name."""
_NAMES: Mapping[str, tuple[str, str]] = {
    "i3d": ("FVD", "KVD"),
    "videomae": ("CD-FVD", "CD-KVD"),
    "vjepa": ("V-JEPA Frechet", "JEDi"),
    "world-video": ("world-FVD", "world-KVD"),
}
"""A name says the network: only I3D makes an FVD."""
ENDINGS = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".gif", ".m4v")
_RANGES: Mapping[str, tuple[float, float]] = {"SSIM": (-1.0, 1.0), "PSNR (dB)": (0.0, 99.0)}
_GRID = 8
_BATCH = 8


@dataclass(frozen=True)
class Measure:
    """One figure of a set of clips.

    metric: its name. value, low, high: with its 95% interval; None where there is none. n: clips of the set and of the real one behind it.
    protocol: all that it depends on, but the clips. higher_is_better: which way is good. reason: why there is no value, or what one has to
    know of it.
    """

    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: tuple[int, ...]
    protocol: str
    higher_is_better: bool
    reason: str = ""


def videos(folder: Path) -> dict[str, Path]:
    """Return the video files of a folder by their names without ending, in order.

    Raises:
        ConfigError: there is no such folder, no video in it, or two of one name.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: there is no such folder")
    found = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in ENDINGS]
    if not found:
        raise ConfigError(f"{folder}: there is no video in it ({', '.join(ENDINGS)})")
    by_name = {p.stem: p for p in found}
    if len(by_name) < len(found):
        twice = next(p for p in found if by_name[p.stem] != p)
        raise ConfigError(f"{folder}: {twice.name} and {by_name[twice.stem].name} have one name")
    return by_name


def read(paths: Iterable[Path], frames: int | None = None) -> Iterator[Video]:
    """Yield clips one by one, no more than their first frames."""
    for path in paths:
        yield read_video(path, frames)


def compare(
    real: Mapping[str, Path],
    fake: Mapping[str, Path],
    prompts: Mapping[str, str],
    metrics: Sequence[str] = METRICS,
    video: str = "world-video",
    words: str = "world-clip",
    distance: str = "lpips-world",
) -> list[Measure]:
    """Return what a set of clips is to a set of real ones; what can't be measured has a row with the reason.

    real, fake: files by name; clips of one name stand against each other. prompts: of the fake clips, by name. metrics: of METRICS.
    video, words, distance: which encoders.

    Raises:
        ConfigError: a metric is unknown.
    """
    for metric in metrics:
        if metric not in METRICS:
            raise unknown("metric", metric, METRICS)
    rows: list[Measure] = []
    n = (len(fake), len(real))
    if {"frechet", "kernel"} & set(metrics):
        rows += attempt(f"{' and '.join(_names(video))}", lambda: _by_video(real, fake, metrics, video), n)
    if "motion" in metrics:
        rows += attempt("motion distance", lambda: _by_motion(real, fake), n)
    if "words" in metrics:
        rows += attempt(f"CLIPSIM ({words})", lambda: _by_words(fake, prompts, words), n[:1])
    if "pairs" in metrics:
        rows += attempt("clips of one name", lambda: _by_pairs(real, fake, distance), n[:1])
    return rows


def _names(video: str) -> tuple[str, str]:
    return _NAMES.get(video, (f"{video} Frechet", f"{video} kernel"))


def _by_video(real: Mapping[str, Path], fake: Mapping[str, Path], metrics: Sequence[str], video: str) -> list[Measure]:
    encoder = encoders.load(video)
    true, made = (statistics(read(some.values(), encoder.frames), encoder) for some in (real, fake))
    rows = distances(true, made, _names(video)[0], encoder.protocol) if "frechet" in metrics else []
    if "kernel" in metrics:
        which = kernel.JEDI if video == "vjepa" else kernel.KVD
        rows.append(kernel_distance(true, made, _names(video)[1], encoder.protocol, which))
    return rows


def _by_motion(real: Mapping[str, Path], fake: Mapping[str, Path]) -> list[Measure]:
    true, made = (motion_statistics(read(some.values())) for some in (real, fake))
    return distances(true, made, "motion distance", f"tracks=klt grid={_GRID}x{_GRID} histograms=2x2x8 all frames")


def _by_words(fake: Mapping[str, Path], prompts: Mapping[str, str], words: str) -> list[Measure]:
    encoder = clip.load(words)
    return matching(((read_video(p), prompts.get(name, "")) for name, p in fake.items()), encoder)


def _by_pairs(real: Mapping[str, Path], fake: Mapping[str, Path], distance: str) -> list[Measure]:
    try:
        network, absent = perceptual.load(distance), []
    except AbsentWeightsError as error:
        # SSIM and PSNR need no network.
        network, absent = None, [_none(distance, (len(fake),), "", str(error))]
    return [*absent, *likeness(_pairs(real, fake), network)]


def _pairs(real: Mapping[str, Path], fake: Mapping[str, Path]) -> Iterator[tuple[Frames, Frames]]:
    """Yield clips of one name: as many frames as both have, the real one at the size of the other."""
    for name in sorted(real.keys() & fake.keys()):
        a, b = read_video(fake[name]), read_video(real[name])
        t = min(len(a), len(b))
        yield a.frames[:t], resize(b.frames[:t], a.size)


def statistics(clips: Iterable[Video], encoder: VideoEncoder) -> FeatureStatistics:
    """Return the statistics of the features of clips; none is kept."""
    return _collect(encoder.features(clips, _BATCH))


def motion_statistics(clips: Iterable[Video]) -> FeatureStatistics:
    """Return the statistics of how points move in clips: an 8 x 8 grid of them, followed from the first frame on."""
    return _collect(_motion(v)[None] for v in clips)


def _collect(features: Iterable[Floats]) -> FeatureStatistics:
    found = FeatureStatistics()
    for some in features:
        found.add(some, found.n)
    return found


def _motion(video: Video) -> Floats:
    height, width = video.size
    y, x = (np.mgrid[:_GRID, :_GRID] + 0.5) / _GRID
    queries = np.stack([np.zeros(_GRID**2), x.ravel() * width, y.ravel() * height], axis=1)
    queries = np.minimum(queries, [0, width - 1, height - 1])
    xy, visible = track_points(video.frames, queries)
    return motion_features(xy, visible, video.size, video.fps)


def distances(real: FeatureStatistics, fake: FeatureStatistics, name: str, protocol: str) -> list[Measure]:
    """Return the Frechet distance of two sets of features: plug-in, without its bias, extrapolated; and real against real.

    name: of the distance, such as FVD.
    """
    n = (fake.n, real.n)
    if min(n) < 3:
        return [_none(name, n, protocol, f"{min(n)} clips are too few for a distance: 3 at least")]
    groups = real.groups()
    found = frechet.estimate(fake.groups(), groups)
    width = real.width or 0
    few = f"{min(n)} clips for {width} features: no interval, and no bias removed" if np.isnan(found.corrected) else ""
    said = f"frechet {protocol} ddof=1"
    rows = [
        Measure(f"{name}, plug-in", found.plug_in, None, None, n, said, False, few),
        _row(name, found.corrected, found.low, found.high, n, f"{said} jackknife={frechet.GROUPS}", few),
        _row(f"{name}, extrapolated", found.extrapolated, None, None, n, f"{said} extrapolated", few),
    ]
    halves = [frechet.merge(groups[i::2]) for i in range(2)] if len(groups) > 1 else []
    if halves and min(h.n for h in halves) >= 2:
        floor, sizes = frechet.distance(*halves), (halves[0].n, halves[1].n)
        rows.append(Measure(f"{name}, plug-in, real against real", floor, None, None, sizes, said, False))
    return rows


def kernel_distance(
    real: FeatureStatistics, fake: FeatureStatistics, name: str, protocol: str, which: kernel.Kernel
) -> Measure:
    """Return a kernel distance of two sets of features with its interval."""
    x, y = fake.sample(), real.sample()
    n = (len(x), len(y))
    if min(n) < 3:
        return _none(name, n, protocol, f"{min(n)} clips are too few for an interval: 3 at least")
    found = kernel.estimate(x, y, which)
    said = (
        f"mmd {protocol} degree={which.degree} offset={which.offset:g} unbiased={which.unbiased} scale={which.scale:g}"
    )
    return Measure(name, found.value, found.low, found.high, n, said, False)


def matching(clips: Iterable[tuple[Video, str]], words: TextImageEncoder) -> list[Measure]:
    """Return CLIPSIM, and the consistency of frames over time, of clips with their prompts; "" where a clip has none."""
    similar, steady, subject = [], [], []
    for video, prompt in clips:
        vectors = words.images(video.frames)
        if prompt:
            similar.append(clip_similarity(vectors, words.texts([prompt])[0]))
        if len(video) > 1:
            steady.append(temporal_consistency(vectors))
            subject.append(subject_consistency(vectors))
    protocol = f"{words.protocol} all frames"
    return [
        _mean(
            "CLIPSIM" if words.name.startswith("clip-") else f"{words.name} CLIPSIM",
            similar,
            protocol,
            True,
            "no clip has a prompt",
        ),
        _mean("temporal consistency", steady, protocol, True, "no clip has two frames"),
        _mean("subject consistency", subject, protocol, True, "no clip has two frames"),
    ]


def likeness(pairs: Iterable[tuple[Frames, Frames]], network: Perceptual | None) -> list[Measure]:
    """Return LPIPS (or what stands in for it, by its own name), SSIM and PSNR of frames against those that they should equal.

    pairs: frames uint8 [T, H, W, 3] of the same shape.
    """
    found: dict[str, list[float]] = {"perceptual": [], "SSIM": [], "PSNR (dB)": []}
    for a, b in pairs:
        if network is not None:
            found["perceptual"].append(float(network.distance(a, b).mean()))
        found["SSIM"].append(ssim(a, b))
        found["PSNR (dB)"].append(psnr(a, b))
    none = "no clips stand against each other"
    rows = []
    if network is not None:
        rows.append(_mean(network.name, found["perceptual"], f"{network.protocol} every frame", False, none))
    rows += [_mean(k, found[k], "torchmetrics every frame", True, none, bounds) for k, bounds in _RANGES.items()]
    return rows


def attempt(metric: str, work: Callable[[], list[Measure]], n: Sequence[int] = ()) -> list[Measure]:
    """Return what `work` returns, or one row that says why there is nothing: absent weights, clips that are too short."""
    try:
        return work()
    except (SoraEvalError, ValueError) as error:
        return [_none(metric, tuple(n), "", str(error))]


def _mean(
    metric: str,
    values: Sequence[float],
    protocol: str,
    higher: bool,
    none: str,
    bounds: tuple[float, float] = (-1.0, 1.0),
) -> Measure:
    if not values:
        return _none(metric, (0,), protocol, none)
    found = cluster_bootstrap(values, range(len(values)), bounds=bounds)
    low, high = (v if np.isfinite(v) else None for v in (found.low, found.high))
    return Measure(metric, found.mean, low, high, (len(values),), protocol, higher)


def _row(
    metric: str, value: float, low: float | None, high: float | None, n: tuple[int, ...], protocol: str, reason: str
) -> Measure:
    if np.isnan(value):
        return _none(metric, n, protocol, reason)
    return Measure(metric, value, low, high, n, protocol, False, reason)


def _none(metric: str, n: tuple[int, ...], protocol: str, reason: str) -> Measure:
    return Measure(metric, None, None, None, n, protocol, False, reason)
