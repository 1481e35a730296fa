"""Fidelity measures of a set of clips against a set of real ones: realism, prompt match, steadiness and similarity to the reference.

Every figure carries its protocol: network and hash of its weights, frames, size, decoding. Figures may be compared when their
protocols are the same, and only then; a plug-in distance, also, only with one of as many clips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from sora_eval.fidelity.config import FidelityConfig
from sora_eval.fidelity.features import (
    CLIP_FEATURES,
    COMPARED,
    CONTINUATION,
    DRIFT,
    FIRST_FRAME,
    MOTION_FEATURES,
    PERCEPTUAL,
    PIXELS,
    PLUGIN,
    TEXT_IMAGE,
    WITHOUT_GIVEN,
    FeatureSet,
)
from sora_eval.fidelity.options import METRICS, plugin_metric
from sora_eval.metrics import frechet, kernel, physics_iq
from sora_eval.metrics.plugin import FrameMetric
from sora_eval.metrics.similarity import PSNR_MOST
from sora_eval.metrics.streaming import FeatureStatistics
from sora_eval.paths import shown
from sora_eval.stats.intervals import cluster_bootstrap
from sora_eval.types import Measure

_NAMES: Mapping[str, tuple[str, str]] = {
    "i3d": ("FVD", "KVD"),
    "videomae": ("CD-FVD", "CD-KVD"),
    "vjepa": ("V-JEPA Frechet", "JEDi"),
    "world-video": ("world-FVD", "world-KVD"),
}
"""Names of the Frechet and the kernel distance, by video encoder: only I3D makes an FVD."""
_EXAMPLE = 60
"""Characters of a text that is quoted."""
_REAL_AGAINST_REAL = ", real against real"
_HALVES = "at half as many clips, and so with twice the bias"
_PIXEL_BOUNDS: Mapping[str, tuple[float, float]] = {"SSIM": (-1.0, 1.0), "PSNR (dB)": (0.0, PSNR_MOST)}


def set_measures(real: FeatureSet, fake: FeatureSet, config: FidelityConfig, paired: bool = False) -> list[Measure]:
    """Return the measures of a feature set against the real one, by the metrics of `config`; a row with the reason for what is missing.

    paired: clips of one position are of one scene. Two such sets depend on each other, which intervals and corrections have to know;
    distances leave out clips without a partner, with a note.
    """
    rows: list[Measure] = []
    if {"frechet", "kernel"} & set(config.metrics):
        rows += _clip_feature_measures(real, fake, config, paired)
    if "motion" in config.metrics:
        rows += _motion_measures(real, fake, paired)
    if "text_image" in config.metrics:
        rows += _text_image_measures(fake, config.text_image_encoder)
    if "full_reference" in config.metrics:
        rows += _full_reference_measures(fake, config.image_distance)
    rows += [_plugin_measure(name, real, fake, paired) for name in config.metrics if name not in METRICS]
    differ = _difference_of_formats(real, fake)
    return [replace(r, reason=_joined(r.reason, differ)) if _is_of_both_sets(r) else r for r in rows]


def _is_of_both_sets(row: Measure) -> bool:
    return row.value is not None and len(row.n) == 2 and not row.metric.endswith(_REAL_AGAINST_REAL)


def _difference_of_formats(real: FeatureSet, fake: FeatureSet) -> str:
    """Return a note where the most common length, size or rate of the sets differ: encoders resize, and take frames by number."""
    if not real.formats or not fake.formats:
        return ""
    (one, in_fake), (other, in_real) = fake.formats.most_common(1)[0], real.formats.most_common(1)[0]
    if one == other:
        return ""
    return f"of other formats: {one} ({in_fake} of {fake.clips} clips), real ones {other} ({in_real} of {real.clips})"


def _plugin_measure(metric: str, real: FeatureSet, fake: FeatureSet, paired: bool) -> Measure:
    plugin, origin = plugin_metric(metric)
    name, higher = f"{metric} ({plugin.unit})" if plugin.unit else metric, plugin.higher_is_better
    if isinstance(plugin, FrameMetric):
        key = f"{PLUGIN}{metric}"
        return _mean_of_clips(fake, key, key, name, "no clip has a reference clip", plugin.bounds, higher)
    if reason := _missing(real, fake, CLIP_FEATURES):
        return _failed(name, (fake.clips, real.clips), reason, higher)
    real_part, fake_part, dropped = real.clip_features, fake.clip_features, ""
    if paired:
        real_part, fake_part, dropped = _partners(real_part, fake_part)
    x, y = (features.at(features.positions()) for features in (real_part, fake_part))
    protocol = f"{metric} version={plugin.version} of {origin} {fake.protocols[CLIP_FEATURES]}{' paired' * paired}"
    try:
        value = float(plugin.function(x, y))
    except Exception as error:
        return _failed(name, (len(y), len(x)), f"it raised {type(error).__name__}: {error}", higher)
    if not np.isfinite(value):
        return _failed(name, (len(y), len(x)), f"it is {value}", higher)
    return Measure(name, value, None, None, (len(y), len(x)), protocol, higher, dropped)


def _clip_feature_measures(real: FeatureSet, fake: FeatureSet, config: FidelityConfig, paired: bool) -> list[Measure]:
    encoder = config.video_encoder
    frechet_name, kernel_name = _NAMES.get(encoder, (f"{encoder} Frechet", f"{encoder} kernel"))
    names = {"frechet": frechet_name, "kernel": kernel_name}
    if reason := _missing(real, fake, CLIP_FEATURES):
        sizes = (fake.clips, real.clips)
        return [_failed(name, sizes, reason) for metric, name in names.items() if metric in config.metrics]
    rows: list[Measure] = []
    sets, protocol = (real.clip_features, fake.clip_features), fake.protocols[CLIP_FEATURES]
    if "frechet" in config.metrics:
        rows += frechet_measures(*sets, frechet_name, protocol, paired)
    if "kernel" in config.metrics:
        which = kernel.JEDI if encoder == "vjepa" else kernel.KVD
        rows.append(kernel_measure(*sets, kernel_name, protocol, which, paired))
    return rows


def _motion_measures(real: FeatureSet, fake: FeatureSet, paired: bool) -> list[Measure]:
    name = "motion distance"
    if reason := _missing(real, fake, MOTION_FEATURES):
        return [_failed(name, (fake.clips, real.clips), reason)]
    protocol = fake.protocols[MOTION_FEATURES]
    return frechet_measures(real.motion_features, fake.motion_features, name, protocol, paired)


def _missing(real: FeatureSet, fake: FeatureSet, extractor: str) -> str:
    return real.missing.get(extractor) or fake.missing.get(extractor, "")


def _text_image_measures(clips: FeatureSet, encoder: str) -> list[Measure]:
    metrics = {
        "CLIPSIM": "no clip has a prompt",
        "temporal consistency": "no clip has two frames",
        "subject consistency": "no clip has two frames",
        **{k: "" for k in ("state change", "directional similarity") if clips.values_of(k)},
    }
    names = {"CLIPSIM": "CLIPSIM" if encoder.startswith("clip-") else f"{encoder} CLIPSIM"}
    rows = {k: _mean_of_clips(clips, TEXT_IMAGE, k, names.get(k, k), empty) for k, empty in metrics.items()}
    return [r if r.value is None else replace(r, reason=_notes_on_texts(clips, k, encoder)) for k, r in rows.items()]


def _notes_on_texts(clips: FeatureSet, metric: str, encoder: str) -> str:
    """Return the limits of the texts behind a metric: clips without one, and what the encoder left out."""
    total = len(clips.values_of(metric))
    notes = []
    if metric == "CLIPSIM" and (without := clips.clips - total):
        notes.append(f"{without} of {clips.clips} clips have no prompt")
    unread = clips.unread.get(metric, {})
    texts = [unread[position] for position in sorted(unread)]
    if unknown := [t for t in texts if t.unknown]:
        word, text = shown(unknown[0].unknown[0], _EXAMPLE), shown(unknown[0].text, _EXAMPLE)
        notes.append(
            f"{len(unknown)} of {total} texts have words that {encoder} does not know, such as '{word}' in '{text}'"
        )
    if cut := [t for t in texts if t.limit]:
        text = shown(cut[0].text, _EXAMPLE)
        notes.append(
            f"{len(cut)} of {total} texts are cut to the {cut[0].limit} that {encoder} reads, such as '{text}'"
        )
    return "; ".join(notes)


def _full_reference_measures(clips: FeatureSet, distance: str) -> list[Measure]:
    pairs = [
        _mean_over_generated(clips, PERCEPTUAL, "perceptual", distance, (0.0, 1.0), higher=False),
        *(_mean_over_generated(clips, PIXELS, k, k, bounds) for k, bounds in _PIXEL_BOUNDS.items()),
    ]
    return [*pairs, *_first_frame_measures(clips, distance), *continuation_measures(clips)]


def _mean_over_generated(
    clips: FeatureSet, extractor: str, metric: str, name: str, bounds: tuple[float, float], higher: bool = True
) -> Measure:
    """Return the mean of a full-reference metric. Clips of which only given frames were sampled have no value; a note counts them."""
    frames = clips.values_of(f"{extractor}{COMPARED}")
    empty = "every sampled frame was given" if frames else "no clip has a reference clip"
    row = _mean_of_clips(clips, extractor, metric, name, empty, bounds, higher)
    without = frames.count(0)
    if row.value is None or not without:
        return row
    return replace(row, reason=f"of {without} of {len(frames)} clips every sampled frame was given: they have no value")


def _first_frame_measures(clips: FeatureSet, distance: str) -> list[Measure]:
    """Return full-reference metrics of the given frames, of clips that have one: of the first, and the change up to the last frame."""
    rows = [
        _mean_of_clips(clips, extractor, key, f"{name}{suffix}", "", bounds, higher)
        for extractor, metric, name, least, higher in (
            (PERCEPTUAL, "perceptual", distance, 0.0, False),
            (PIXELS, "SSIM", "SSIM", -1.0, True),
        )
        for suffix, bounds in ((FIRST_FRAME, (least, 1.0)), (DRIFT, (least - 1.0, 1.0 - least)))
        if clips.values_of(key := f"{metric}{suffix}")
    ]
    # These are about the given frames themselves.
    return [replace(row, protocol=row.protocol.replace(f" {WITHOUT_GIVEN}", "")) for row in rows]


def continuation_measures(clips: FeatureSet, suffix: str = "") -> list[Measure]:
    """Return Physics-IQ of the clips that continue their reference; no row where there is none. suffix: FROZEN for that control."""
    return [
        _mean_of_clips(clips, CONTINUATION, f"{k}{suffix}", f"{k}{suffix}", "", (0.0, 1.0), higher)
        for k, higher in physics_iq.HIGHER_IS_BETTER.items()
        if clips.values_of(f"{k}{suffix}")
    ]


def _mean_of_clips(
    clips: FeatureSet,
    extractor: str,
    metric: str,
    name: str,
    empty: str,
    bounds: tuple[float, float] = (-1.0, 1.0),
    higher: bool = True,
) -> Measure:
    """Return the mean of a metric of single clips with its interval, of clusters. empty: the reason where no clip has a value."""
    if extractor in clips.missing:
        return _failed(name, (clips.clips,), clips.missing[extractor], higher)
    values, protocol = clips.values_of(metric), clips.protocols[extractor]
    if not values:
        return _unmeasured(name, (0,), protocol, empty, higher)
    interval = cluster_bootstrap(values, clips.clusters_of(metric), bounds=bounds)
    low, high = (v if np.isfinite(v) else None for v in (interval.low, interval.high))
    return Measure(name, interval.mean, low, high, (len(values),), protocol, higher)


def frechet_measures(
    real: FeatureStatistics, fake: FeatureStatistics, name: str, protocol: str, paired: bool = False
) -> list[Measure]:
    """Return the Frechet distance of two sets of features: plug-in, without its bias, extrapolated; and real against real.

    name: of the distance, such as FVD. paired: clips of one position are of one scene, and those without a partner are left out, with a
    note; such sets have no row of real against real: theirs is 0.
    """
    dropped = ""
    if paired:
        real, fake, dropped = _partners(real, fake)
    n = (fake.n, real.n)
    if min(n) < 3:
        return [
            _unmeasured(name, n, protocol, _joined(f"{_clips(min(n))} too few for a distance: 3 at least", dropped))
        ]
    real_groups, fake_groups = real.groups(), fake.groups()
    if not (_can_leave_one_out(real_groups) and _can_leave_one_out(fake_groups)):
        few = f"{_clips(min(n))} of too few different scenes for a distance"
        return [_unmeasured(name, n, protocol, _joined(few, dropped))]
    estimate = frechet.estimate(fake_groups, real_groups, paired=paired)
    width = real.width or 0
    few = f"{min(n)} clips for {width} features: no interval, and no bias removed"
    note = _joined(few if np.isnan(estimate.corrected) else "", dropped)
    protocol = f"frechet {protocol} ddof=1{' paired' if paired else ''}"
    jackknife = f"{protocol} jackknife={frechet.GROUPS}"
    rows = [
        Measure(f"{name}, plug-in", estimate.plug_in, None, None, n, protocol, False, note),
        _row(name, estimate.corrected, estimate.low, estimate.high, n, jackknife, note),
        _row(f"{name}, extrapolated", estimate.extrapolated, None, None, n, f"{protocol} extrapolated", note),
    ]
    halves = [frechet.merge(real_groups[i::2]) for i in range(2)] if not paired else []
    if halves and min(h.n for h in halves) >= 2:
        floor, sizes = frechet.distance(*halves), (halves[0].n, halves[1].n)
        rows.append(Measure(f"{name}, plug-in{_REAL_AGAINST_REAL}", floor, None, None, sizes, protocol, False, _HALVES))
    return rows


def _partners(real: FeatureStatistics, fake: FeatureStatistics) -> tuple[FeatureStatistics, FeatureStatistics, str]:
    """Return the parts of both sets at the positions that both have, and a note of what was left out.

    Without its partner a clip would unbalance its group: a formula for pairs doesn't hold there, and one for independent sets takes
    out twice the bias that there is. Of more clips than `streaming.MOST`, the parts are of those that were kept.
    """
    shared = sorted(set(real.positions()) & set(fake.positions()))
    if len(shared) == len(real.positions()) == len(fake.positions()) and _sizes(real) == _sizes(fake):
        return real, fake, ""
    return real.only(shared), fake.only(shared), _dropped(fake.n - len(shared), real.n - len(shared))


def _sizes(features: FeatureStatistics) -> list[tuple[int, int]]:
    features.groups()
    return sorted((group, moments.n) for group, moments in features.moments.items())


def _dropped(fake: int, real: int) -> str:
    """Return a note of how many clips of either set are in no pair."""
    counts = [f"{n} {kind} clip{'s' * (n > 1)}" for n, kind in ((fake, "generated"), (real, "real")) if n]
    return f"left out of the pairs: {' and '.join(counts)}" if counts else ""


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _can_leave_one_out(groups: Sequence[frechet.Moments]) -> bool:
    return len(groups) > 1 and sum(g.n for g in groups) - max(g.n for g in groups) > 1


def kernel_measure(
    real: FeatureStatistics,
    fake: FeatureStatistics,
    name: str,
    protocol: str,
    which: kernel.Kernel,
    paired: bool = False,
) -> Measure:
    """Return a kernel distance of two sets of features with its interval. paired: as for `frechet_measures`."""
    in_fake, in_real, dropped = fake.positions(), real.positions(), ""
    if paired:
        shared = sorted(set(in_fake) & set(in_real))
        dropped = _dropped(len(in_fake) - len(shared), len(in_real) - len(shared))
        in_fake = in_real = shared
    x, y = fake.at(in_fake), real.at(in_real)
    n, group = (len(x), len(y)), fake.group_of(in_fake)
    if min(n) < 3 or (paired and len(set(group)) < 3):
        few = f"{_clips(min(n))} too few for an interval, or of too few different scenes"
        return _unmeasured(name, n, protocol, _joined(few, dropped))
    estimate = kernel.estimate_paired(x, y, which, group) if paired else kernel.estimate(x, y, which)
    parameters = f"degree={which.degree} offset={which.offset:g} unbiased={which.unbiased} scale={which.scale:g}"
    protocol = f"mmd {protocol} {parameters}{' paired' if paired else ''}"
    return Measure(name, estimate.value, estimate.low, estimate.high, n, protocol, False, dropped)


def _row(
    metric: str, value: float, low: float | None, high: float | None, n: tuple[int, ...], protocol: str, reason: str
) -> Measure:
    if np.isnan(value):
        return _unmeasured(metric, n, protocol, reason)
    return Measure(metric, value, low, high, n, protocol, False, reason)


def _unmeasured(metric: str, n: tuple[int, ...], protocol: str, reason: str, higher: bool = False) -> Measure:
    return Measure(metric, None, None, None, n, protocol, higher, reason)


def _failed(metric: str, n: tuple[int, ...], reason: str, higher: bool = False) -> Measure:
    return Measure(metric, None, None, None, n, "", higher, reason, failed=True)


def _clips(n: int) -> str:
    return "1 clip is" if n == 1 else f"{n} clips are"
