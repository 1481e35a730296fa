"""How real, how well matched and how steady a set of clips is, against a set of real ones.

Every figure carries its protocol: network and hash of its weights, frames, size, how frames are read. Figures may be compared when their
protocols are the same, and only then; a plug-in distance, also, only with one of as many clips.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sora_eval.collecting import FROZEN, Choice, Clip, Collected, collect
from sora_eval.errors import ConfigError
from sora_eval.metrics import frechet, kernel, physics_iq
from sora_eval.metrics.pixels import PSNR_MOST
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
_HALVES = "at half as many clips, and so with twice the bias"
_RANGES: Mapping[str, tuple[float, float]] = {"SSIM": (-1.0, 1.0), "PSNR (dB)": (0.0, PSNR_MOST)}


def videos(folder: Path) -> dict[str, Path]:
    """Return the video files of a folder by their names without ending, in order.

    Raises:
        ConfigError: there is no such folder, no video in it, or two of one name.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: there is no such folder")
    found = [p for p in sorted(folder.iterdir(), key=lambda p: (p.stem, p.name)) if p.suffix.lower() in ENDINGS]
    if not found:
        raise ConfigError(f"{folder}: there is no video in it ({', '.join(ENDINGS)})")
    by_name = {p.stem: p for p in found}
    if len(by_name) < len(found):
        twice = next(p for p in found if by_name[p.stem] != p)
        raise ConfigError(f"{folder}: {twice.name} and {by_name[twice.stem].name} have one name")
    return by_name


def read_prompts(path: Path, names: Collection[str]) -> dict[str, str]:
    """Return prompts by clip from a CSV file with the columns name and prompt; a name may have its video's ending.

    Raises:
        ConfigError: it is no such file, or names none of the clips.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.DictReader(file)
            if not {"name", "prompt"} <= set(lines.fieldnames or ()):
                raise ConfigError(f"{path}: the columns name and prompt are needed")
            told = {str(line["name"]): line["prompt"] or "" for line in lines}
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} can't be read as CSV in UTF-8 ({error})") from error
    found = {name if name in names else Path(name).stem: prompt for name, prompt in told.items()}
    if not found.keys() & set(names):
        raise ConfigError(f"{path}: none of its names is that of a clip, such as {min(names)}")
    return found


def compare(
    real: Mapping[str, Path], fake: Mapping[str, Path], prompts: Mapping[str, str], choice: Choice
) -> list[Measure]:
    """Return what a set of clips is to a set of real ones; what can't be measured has a row with the reason.

    real, fake: files by name; clips of one name stand against each other, and where every fake clip has a real one, sets are compared as
    pairs. prompts: of the fake clips, by name.
    """
    at = {name: i for i, name in enumerate(dict.fromkeys([*real, *fake]))}
    true = collect((Clip(path, at[name]) for name, path in real.items()), choice.of_sets())
    made = (Clip(path, at[name], prompts.get(name, ""), real.get(name), given=0) for name, path in fake.items())
    found = collect(made, choice)
    rows = measures(true, found, choice, paired=fake.keys() <= real.keys())
    # A run has the frozen control in a column of its own.
    return [*rows, *_continued(found, FROZEN)]


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
            rows += [replace(_none(name, n, "", missing["video"]), failed=True) for name in wanted]
        else:
            said = fake.protocols["video"]
            if "frechet" in choice.metrics:
                rows += distances(real.features, fake.features, names[0], said, paired)
            if "kernel" in choice.metrics:
                which = kernel.JEDI if choice.video == "vjepa" else kernel.KVD
                rows.append(kernel_distance(real.features, fake.features, names[1], said, which, paired))
    if "motion" in choice.metrics:
        if "motion" in missing:
            rows.append(replace(_none("motion distance", n, "", missing["motion"]), failed=True))
        else:
            rows += distances(real.motion, fake.motion, "motion distance", fake.protocols["motion"], paired)
    if "words" in choice.metrics:
        rows += _by_words(fake, choice.words)
    if "pairs" in choice.metrics:
        rows += _by_pairs(fake, choice.distance)
    return rows


def _by_words(found: Collected, words: str) -> list[Measure]:
    metrics = {
        "CLIPSIM": "no clip has a prompt",
        "temporal consistency": "no clip has two frames",
        "subject consistency": "no clip has two frames",
        **{k: "" for k in ("state change", "directional similarity") if found.of(k)},
    }
    own = {"CLIPSIM": "CLIPSIM" if words.startswith("clip-") else f"{words} CLIPSIM"}
    return [_of_clips(found, "words", k, own.get(k, k), none) for k, none in metrics.items()]


def _by_pairs(found: Collected, distance: str) -> list[Measure]:
    none = "no clips stand against each other"
    near = _of_clips(found, "pairs", "perceptual", distance, none, (0.0, 1.0), higher=False)
    alike = [_of_clips(found, "likeness", k, k, none, bounds) for k, bounds in _RANGES.items()]
    return [near, *alike, *_continued(found)]


def _continued(found: Collected, ending: str = "") -> list[Measure]:
    """Return Physics-IQ's measures of the clips that continue true ones; where there is none, there is no row."""
    return [
        _of_clips(found, "continuation", f"{k}{ending}", f"{k}{ending}", "", (0.0, 1.0), higher)
        for k, higher in physics_iq.HIGHER_IS_BETTER.items()
        if found.of(f"{k}{ending}")
    ]


def _of_clips(
    found: Collected,
    kind: str,
    metric: str,
    name: str,
    none: str,
    bounds: tuple[float, float] = (-1.0, 1.0),
    higher: bool = True,
) -> Measure:
    """Return the mean of a metric of single clips."""
    if kind in found.missing:
        return replace(_none(name, (found.clips,), "", found.missing[kind], higher), failed=True)
    return _mean(name, found.of(metric), found.protocols[kind], none, bounds, higher)


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
    if (
        min(len(groups), len(made)) < 2
        or min(sum(g.n for g in some) - max(g.n for g in some) for some in (groups, made)) < 2
    ):
        return [_none(name, n, protocol, f"{_clips(min(n))} of too few different scenes for a distance")]
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
        rows.append(Measure(f"{name}, plug-in, real against real", floor, None, None, sizes, said, False, _HALVES))
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
        return _none(name, n, protocol, f"{_clips(min(n))} too few for an interval, or of too few different scenes")
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
    bounds: tuple[float, float],
    higher: bool,
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
