"""How real, how well matched and how steady a set of clips is, against a set of real ones.

Every figure carries its protocol: network and hash of its weights, frames, size, how many clips. Two figures may be compared when their
protocols are the same, and only then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sora_eval.collecting import Choice, Clip, Collected, collect
from sora_eval.errors import ConfigError
from sora_eval.metrics import frechet, kernel
from sora_eval.metrics.streaming import FeatureStatistics
from sora_eval.stats import cluster_bootstrap
from sora_eval.types import Measure

_NAMES: Mapping[str, tuple[str, str]] = {
    "i3d": ("FVD", "KVD"),
    "videomae": ("CD-FVD", "CD-KVD"),
    "vjepa": ("V-JEPA Frechet", "JEDi"),
    "world-video": ("world-FVD", "world-KVD"),
}
"""A name says the network: only I3D makes an FVD."""
ENDINGS = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".gif", ".m4v")
_RANGES: Mapping[str, tuple[float, float]] = {"SSIM": (-1.0, 1.0), "PSNR (dB)": (0.0, 99.0)}


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


def compare(
    real: Mapping[str, Path], fake: Mapping[str, Path], prompts: Mapping[str, str], choice: Choice
) -> list[Measure]:
    """Return what a set of clips is to a set of real ones; what can't be measured has a row with the reason.

    real, fake: files by name; clips of one name stand against each other, and sets of the same names are compared as pairs. prompts: of the
    fake clips, by name.
    """
    true = collect((Clip(path, i) for i, path in enumerate(real.values())), choice.of_sets())
    made = (Clip(path, i, prompts.get(name, ""), real.get(name)) for i, (name, path) in enumerate(fake.items()))
    return measures(true, collect(made, choice), choice, paired=real.keys() == fake.keys())


def measures(real: Collected, fake: Collected, choice: Choice, paired: bool = False) -> list[Measure]:
    """Return what one collected set is to a real one, by the metrics of `choice`; a row with the reason for what is missing.

    paired: clips of one position are of one scene. Two such sets depend on each other, which intervals and corrections have to know.
    """
    rows: list[Measure] = []
    n = (fake.clips, real.clips)
    missing = {**fake.missing, **real.missing}
    if {"frechet", "kernel"} & set(choice.metrics):
        names = _NAMES.get(choice.video, (f"{choice.video} Frechet", f"{choice.video} kernel"))
        wanted = [name for name, metric in zip(names, ("frechet", "kernel"), strict=True) if metric in choice.metrics]
        if "video" in missing:
            rows += [_none(name, n, "", missing["video"]) for name in wanted]
        else:
            said = fake.protocols["video"]
            if "frechet" in choice.metrics:
                rows += distances(real.features, fake.features, names[0], said, paired)
            if "kernel" in choice.metrics:
                which = kernel.JEDI if choice.video == "vjepa" else kernel.KVD
                rows.append(kernel_distance(real.features, fake.features, names[1], said, which, paired))
    if "motion" in choice.metrics:
        if "motion" in missing:
            rows.append(_none("motion distance", n, "", missing["motion"]))
        else:
            rows += distances(real.motion, fake.motion, "motion distance", fake.protocols["motion"], paired)
    if "words" in choice.metrics:
        rows += _by_words(fake, choice.words)
    if "pairs" in choice.metrics:
        rows += _by_pairs(fake, choice.distance)
    return rows


def _by_words(found: Collected, words: str) -> list[Measure]:
    name = "CLIPSIM" if words.startswith("clip-") else f"{words} CLIPSIM"
    if "words" in found.missing:
        return [_none(name, (found.clips,), "", found.missing["words"], higher=True)]
    rows = [_mean(name, found.of("CLIPSIM"), found.protocols["words"], "no clip has a prompt")]
    for metric in ("temporal consistency", "subject consistency"):
        rows.append(_mean(metric, found.of(metric), found.protocols["words"], "no clip has two frames"))
    for metric in ("state change", "directional similarity"):
        if values := found.of(metric):
            rows.append(_mean(metric, values, found.protocols["words"], ""))
    return rows


def _by_pairs(found: Collected, distance: str) -> list[Measure]:
    none = found.missing.get("likeness", "no clips stand against each other")
    if "pairs" in found.missing:
        rows = [_none(distance, (found.clips,), "", found.missing["pairs"])]
    else:
        rows = [_mean(distance, found.of("perceptual"), found.protocols["pairs"], none, (0.0, 1.0), False)]
    return rows + [_mean(k, found.of(k), found.protocols["likeness"], none, b) for k, b in _RANGES.items()]


def distances(
    real: FeatureStatistics, fake: FeatureStatistics, name: str, protocol: str, paired: bool = False
) -> list[Measure]:
    """Return the Frechet distance of two sets of features: plug-in, without its bias, extrapolated; and real against real.

    name: of the distance, such as FVD. Sets of pairs have no row of real against real: theirs is 0.
    """
    n = (fake.n, real.n)
    if min(n) < 3:
        return [_none(name, n, protocol, f"{_clips(min(n))} too few for a distance: 3 at least")]
    groups, made = real.groups(), fake.groups()
    # A group of which one set has no clip has no partner.
    paired = paired and real.moments.keys() == fake.moments.keys()
    found = frechet.estimate(made, groups, paired=paired)
    width = real.width or 0
    few = f"{min(n)} clips for {width} features: no interval, and no bias removed" if np.isnan(found.corrected) else ""
    said = f"frechet {protocol} ddof=1{' paired' if paired else ''}"
    rows = [
        Measure(f"{name}, plug-in", found.plug_in, None, None, n, said, False, few),
        _row(name, found.corrected, found.low, found.high, n, f"{said} jackknife={frechet.GROUPS}", few),
        _row(f"{name}, extrapolated", found.extrapolated, None, None, n, f"{said} extrapolated", few),
    ]
    halves = [frechet.merge(groups[i::2]) for i in range(2)] if len(groups) > 1 and not paired else []
    if halves and min(h.n for h in halves) >= 2:
        floor, sizes = frechet.distance(*halves), (halves[0].n, halves[1].n)
        rows.append(Measure(f"{name}, plug-in, real against real", floor, None, None, sizes, said, False))
    return rows


def kernel_distance(
    real: FeatureStatistics,
    fake: FeatureStatistics,
    name: str,
    protocol: str,
    which: kernel.Kernel,
    paired: bool = False,
) -> Measure:
    """Return a kernel distance of two sets of features with its interval."""
    at = [fake.positions(), real.positions()]
    if paired:
        at = [sorted(set(at[0]) & set(at[1]))] * 2
    x, y = fake.at(at[0]), real.at(at[1])
    n, group = (len(x), len(y)), fake.group_of(at[0])
    if min(n) < 3 or (paired and len(set(group)) < 3):
        return _none(
            name,
            n,
            protocol,
            f"{_clips(min(n))} too few for an interval: 3 at least, of different scenes",
        )
    found = kernel.estimate_paired(x, y, which, group) if paired else kernel.estimate(x, y, which)
    said = (
        f"mmd {protocol} degree={which.degree} offset={which.offset:g} unbiased={which.unbiased} scale={which.scale:g}"
    )
    said += " paired" if paired else ""
    return Measure(name, found.value, found.low, found.high, n, said, False)


def _mean(
    metric: str,
    values: Sequence[float],
    protocol: str,
    none: str,
    bounds: tuple[float, float] = (-1.0, 1.0),
    higher: bool = True,
) -> Measure:
    if not values:
        return _none(metric, (0,), protocol, none, higher)
    found = cluster_bootstrap(values, range(len(values)), bounds=bounds)
    low, high = (v if np.isfinite(v) else None for v in (found.low, found.high))
    return Measure(metric, found.mean, low, high, (len(values),), protocol, higher)


def _row(
    metric: str, value: float, low: float | None, high: float | None, n: tuple[int, ...], protocol: str, reason: str
) -> Measure:
    if np.isnan(value):
        return _none(metric, n, protocol, reason)
    return Measure(metric, value, low, high, n, protocol, False, reason)


def _none(metric: str, n: tuple[int, ...], protocol: str, reason: str, higher: bool = False) -> Measure:
    return Measure(metric, None, None, None, n, protocol, higher, reason)


def _clips(n: int) -> str:
    return "1 clip is" if n == 1 else f"{n} clips are"
