"""Fidelity of sets of clips, with a tiny fixed network in the encoders' place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fidelity.tiny import ENCODER, by_name, clips

from sora_eval.encoders import weights
from sora_eval.errors import ConfigError
from sora_eval.fidelity import config as fidelity_config
from sora_eval.fidelity.config import FidelityConfig
from sora_eval.fidelity.extractors import clip_motion, extract, feature_statistics
from sora_eval.fidelity.features import CLIP_FEATURES, PERCEPTUAL, ClipEntry, ClipMeasures, FeatureSet
from sora_eval.fidelity.measures import frechet_measures, kernel_measure, set_measures
from sora_eval.metrics import physics_iq
from sora_eval.metrics.kernel import KVD
from sora_eval.metrics.plugin import FrameMetric
from sora_eval.metrics.similarity import psnr, ssim
from sora_eval.metrics.streaming import FeatureStatistics
from sora_eval.stats.intervals import cluster_bootstrap
from sora_eval.types import Floats, Measure, Video
from sora_eval.video import read_video, resize, write_ffv1


def test_real_against_real_is_zero_and_another_set_is_not() -> None:
    real, same, other = (feature_statistics(clips(120, *a), ENCODER) for a in ((1,), (2,), (3, 30.0)))
    near = by_name(frechet_measures(real, same, "FVD", ENCODER.protocol))
    far = by_name(frechet_measures(real, other, "FVD", ENCODER.protocol))
    assert near["FVD"].low < 0 < near["FVD"].high  # type: ignore[operator]
    assert far["FVD"].low > near["FVD"].high  # type: ignore[operator]
    assert near["FVD, plug-in"].value > 0  # type: ignore[operator]
    assert near["FVD, plug-in, real against real"].n == (60, 60)
    assert far["FVD"].n == (120, 120)
    assert "means@01234567 frames=4 stride=1 resize=bilinear-squash-16 range=-1..1" in far["FVD"].protocol
    kvd = [kernel_measure(real, s, "KVD", ENCODER.protocol, KVD) for s in (same, other)]
    assert kvd[0].low < 0 < kvd[0].high  # type: ignore[operator]
    assert kvd[1].low > kvd[0].high  # type: ignore[operator]


def test_few_clips_are_said_to_be_few() -> None:
    real = feature_statistics(clips(40, 1), ENCODER)
    few = by_name(frechet_measures(real, feature_statistics(clips(6, 2), ENCODER), "FVD", "p"))
    assert few["FVD"].value is None
    assert few["FVD"].reason == "6 clips for 8 features: no interval, and no bias removed"
    assert few["FVD, plug-in"].value is not None
    two = frechet_measures(real, feature_statistics(clips(2, 2), ENCODER), "FVD", "p")
    assert [r.reason for r in two] == ["2 clips are too few for a distance: 3 at least"]


def test_short_clips_and_absent_weights_become_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, means: None
) -> None:
    write_ffv1(tmp_path / "short.mkv", Video(np.zeros((3, 16, 16, 3), np.uint8), 8.0))
    found = extract([ClipEntry(tmp_path / "short.mkv", 0)], FidelityConfig(("frechet", "motion"), "means"))
    assert found.missing == {CLIP_FEATURES: "short.mkv: means reads 4 frames, a clip has 3"}
    assert found.motion_features.n == 1
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    config = FidelityConfig(("kernel", "text_image"), "i3d", "clip-b-32")
    some = extract([ClipEntry(tmp_path / "short.mkv", 0)], config)
    rows = by_name(set_measures(some, some, config))
    assert rows["KVD"].value is None
    assert "weights fetch i3d" in rows["KVD"].reason
    assert "weights fetch clip-b-32" in rows["CLIPSIM"].reason
    assert config.absent() == [rows["KVD"].reason, rows["CLIPSIM"].reason]
    for wrong in (
        {"metrics": ("frechets",)},
        {"video_encoder": "i3e"},
        {"text_image_encoder": "clip"},
        {"image_distance": "lpips"},
    ):
        with pytest.raises(ConfigError, match="did you mean"):
            FidelityConfig(**wrong)  # type: ignore[arg-type]


def test_constant_clips_are_a_set_like_any_other() -> None:
    still = [Video(np.full((5, 16, 16, 3), v, np.uint8), 8.0) for v in (0, 80, 160, 240) * 10]
    same = [Video(np.full((5, 16, 16, 3), 90, np.uint8), 8.0)] * 40
    real, fake = (feature_statistics(v, ENCODER) for v in (still, same))
    found = by_name(frechet_measures(real, fake, "FVD", "p"))
    assert found["FVD, plug-in"].value > 0.5  # type: ignore[operator]
    assert np.isfinite(found["FVD"].value)  # type: ignore[arg-type]


def test_pairs_need_a_true_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = clips(2, 3)
    write_ffv1(tmp_path / "a.mkv", a)
    write_ffv1(tmp_path / "b.mkv", Video(b.frames[:4], 8.0))
    monkeypatch.setattr(weights, "BUNDLED", tmp_path)
    config = FidelityConfig(("full_reference",))
    files = [
        ClipEntry(tmp_path / "a.mkv", 0, reference=tmp_path / "b.mkv"),
        ClipEntry(tmp_path / "a.mkv", 1, reference=tmp_path / "a.mkv"),
    ]
    found = by_name(set_measures(FeatureSet(), extract(files, config), config))
    assert found["PSNR (dB)"].value == pytest.approx((100 + psnr(a.frames[:4], b.frames[:4])) / 2)
    assert found["SSIM"].n == (2,)
    assert "train encoder=lpips-world" in found["lpips-world"].reason
    monkeypatch.undo()
    assert extract(files, config).missing == {
        PERCEPTUAL: "a.mkv: lpips-world needs 32 pixels a side, frames are 16 x 16"
    }
    none = set_measures(FeatureSet(), extract([ClipEntry(tmp_path / "a.mkv", 0)], config), config)
    assert [m.reason for m in none] == ["no clip has a reference clip"] * 3
    rows = by_name(set_measures(FeatureSet(), extract(files, config), config))
    assert rows["lpips-world"].failed
    assert rows["SSIM"].n == (2,)


def test_pairs_are_compared_at_the_same_moments_or_not_at_all(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (25, 16, 16, 3), dtype=np.uint8)
    write_ffv1(tmp_path / "real24.mkv", Video(frames, 24.0))
    write_ffv1(tmp_path / "same8.mkv", Video(frames[::3], 8.0))
    # At 10 per second, the same is seen at 0, 0.5 and 1 s.
    tenths = rng.integers(0, 256, (11, 16, 16, 3), dtype=np.uint8)
    tenths[::5] = frames[::12]
    write_ffv1(tmp_path / "met10.mkv", Video(tenths, 10.0))
    write_ffv1(tmp_path / "odd.mkv", Video(frames[:9], 9.1))
    config = FidelityConfig(("full_reference",))

    def rows(*names: str) -> dict[str, Measure]:
        files = [
            ClipEntry(tmp_path / f"{name}.mkv", i, reference=tmp_path / "real24.mkv") for i, name in enumerate(names)
        ]
        return by_name(set_measures(FeatureSet(), extract(files, config), config))

    assert rows("same8", "met10")["PSNR (dB)"].value == 100
    unlike = rows("same8", "odd")["SSIM"]
    assert unlike.value is None
    assert unlike.failed
    assert "odd.mkv: not comparable with real24.mkv frame by frame: 9.1 and 24 frames per second" in unlike.reason


def test_the_first_given_frame_is_compared_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    true = rng.integers(60, 160, (9, 48, 48, 3), dtype=np.uint8)
    drifting = np.clip(true + rng.normal(0, 1, true.shape) * 4 * np.arange(9)[:, None, None, None], 0, 255)
    write_ffv1(tmp_path / "true.mkv", Video(true, 8.0))
    write_ffv1(tmp_path / "made.mkv", Video(drifting.astype(np.uint8), 8.0))
    config = FidelityConfig(("full_reference",))

    def rows(given: int | None) -> dict[str, Measure]:
        files = [ClipEntry(tmp_path / "made.mkv", 0, reference=tmp_path / "true.mkv", given=given)]
        return by_name(set_measures(FeatureSet(), extract(files, config), config))

    found = rows(1)
    assert found["SSIM, first frame"].value == pytest.approx(1)
    last = ssim(*(read_video(tmp_path / name).frames[-1:] for name in ("made.mkv", "true.mkv")))
    assert last < 0.7
    assert found["SSIM, drift"].value == pytest.approx(last - 1)
    assert found["lpips-world, first frame"].value == pytest.approx(0, abs=1e-6)
    assert found["lpips-world, drift"].value > 0.01  # type: ignore[operator]
    assert found["lpips-world, drift"].higher_is_better is False
    assert not {"SSIM, first frame", "lpips-world, drift"} & rows(None).keys()


@pytest.mark.parametrize(("given", "keeps"), [(4, ()), (None, (0, 1, 7, 8))])
def test_frames_that_were_given_count_neither_for_nor_against_a_clip(
    tmp_path: Path, given: int | None, keeps: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(2)
    true = rng.integers(60, 160, (9, 48, 48, 3), dtype=np.uint8)
    generated = np.clip(true + rng.normal(0, 12, true.shape), 0, 255).astype(np.uint8)
    kept = list(keeps or range(4))
    # One pipeline pastes the given frames, the other passes them through an autoencoder.
    coded = generated.copy()
    generated[kept] = true[kept]
    for name, frames in (("true", true), ("pasted", generated), ("coded", coded)):
        write_ffv1(tmp_path / f"{name}.mkv", Video(frames, 8.0))
    config = FidelityConfig(("full_reference",))

    def rows(name: str) -> dict[str, Measure]:
        file = tmp_path / f"{name}.mkv"
        entry = ClipEntry(file, 0, reference=tmp_path / "true.mkv", given=given, keeps=keeps)
        return by_name(set_measures(FeatureSet(), extract([entry], config), config))

    pasted, other = rows("pasted"), rows("coded")
    for metric in ("lpips-world", "SSIM", "PSNR (dB)"):
        assert pasted[metric].value == pytest.approx(other[metric].value)
        assert "without-given-frames" in pasted[metric].protocol
    rest = np.setdiff1d(np.arange(9), kept)
    assert pasted["PSNR (dB)"].value == pytest.approx(psnr(generated[rest], true[rest]))
    if given:
        assert pasted["SSIM, first frame"].value == pytest.approx(1)
        assert other["SSIM, first frame"].value == pytest.approx(ssim(coded[:1], true[:1]))
        assert "without-given-frames" not in other["SSIM, first frame"].protocol


def test_clips_of_which_only_given_frames_are_sampled_have_no_value(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (9, 48, 48, 3), dtype=np.uint8)
    write_ffv1(tmp_path / "true.mkv", Video(frames, 8.0))
    config = FidelityConfig(("full_reference",))

    def rows(*given: int) -> dict[str, Measure]:
        path = tmp_path / "true.mkv"
        files = [ClipEntry(path, i, reference=path, given=k) for i, k in enumerate(given)]
        return by_name(set_measures(FeatureSet(), extract(files, config), config))

    some, none = rows(9, 1), rows(9)
    for metric, perfect in (("lpips-world", 0), ("SSIM", 1), ("PSNR (dB)", 100)):
        assert some[metric].value == pytest.approx(perfect, abs=1e-6)
        assert some[metric].n == (1,)
        assert some[metric].reason == "of 1 of 2 clips every sampled frame was given: they have no value"
        assert (none[metric].value, none[metric].failed) == (None, False)
        assert none[metric].reason == "every sampled frame was given"
    assert none["SSIM, first frame"].value == pytest.approx(1)


def test_given_frames_are_counted_in_the_clock_of_the_reference(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    steps = rng.integers(0, 256, (33, 4, 4, 3), dtype=np.uint8)
    true = steps.repeat(12, axis=1).repeat(12, axis=2)
    generated = rng.integers(0, 256, (49, 4, 4, 3), dtype=np.uint8).repeat(12, axis=1).repeat(12, axis=2)
    write_ffv1(tmp_path / "true.mkv", Video(true, 16.0))
    write_ffv1(tmp_path / "made.mkv", Video(generated, 24.0))
    config = FidelityConfig(("full_reference",), pair_frames=None)
    files = [ClipEntry(tmp_path / "made.mkv", 0, reference=tmp_path / "true.mkv", given=17)]
    features = extract(files, config)
    # Both show each eighth of a second; the first after the 17 given frames is that of true frame 18.
    after, continued = true[18::2], generated[27::3]
    frozen = true[16][None].repeat(len(after), axis=0)
    for suffix, frames in (("", continued), (", frozen true frame", frozen)):
        for metric, value in physics_iq.measures(after, frames).items():
            assert features.values_of(f"{metric}{suffix}") == [pytest.approx(value)]
    assert features.values_of("PSNR (dB)") == [pytest.approx(psnr(continued, after))]


def test_intervals_of_clips_resample_scenes() -> None:
    config, entry = FidelityConfig(("full_reference",)), Path("a.mkv")
    whole, part = FeatureSet(protocols={"pixels": "p", PERCEPTUAL: "p"}), FeatureSet()
    values = np.random.default_rng(0).uniform(0.2, 0.9, 12)
    # Each scene in four modes, and then two clips that are of no scene, at positions that are numbers of scenes too.
    for i, value in enumerate(values):
        for mode in range(4):
            position = 10 + 4 * i + mode
            (whole if mode % 2 else part).add(
                ClipEntry(entry, position, cluster=i), ClipMeasures(values={"SSIM": value})
            )
    for position in (3, 4):
        whole.add(ClipEntry(entry, position), ClipMeasures(values={"SSIM": 0.5}))
    whole.merge(part)
    row = by_name(set_measures(FeatureSet(), whole, config))["SSIM"]
    scenes = cluster_bootstrap([0.5, 0.5, *values.repeat(4)], [-1, -2, *np.arange(12).repeat(4)], bounds=(-1, 1))
    assert (row.value, row.low, row.high) == pytest.approx((scenes.mean, scenes.low, scenes.high))
    assert row.n == (50,)


def test_pairs_stay_pairs_where_clips_are_missing() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(0, 10, (120, 3))
    y = x + np.sqrt(0.04) + rng.normal(0, 0.02, x.shape)
    truth = 3 * 0.04

    def statistics(rows: Floats, without: set[int]) -> FeatureStatistics:
        kept = FeatureStatistics()
        for i in set(range(120)) - without:
            # Four clips of each scene.
            kept.add(rows[[i]], i, i // 4)
        return kept

    whole = by_name(frechet_measures(statistics(x, set()), statistics(y, set()), "FVD", "p", paired=True))
    assert whole["FVD"].reason == ""
    # A single clip, all of a group of the jackknife (scene 15), and some of both sets.
    for gone, lost in (({1}, set()), (set(range(60, 64)), set()), ({1, 50, 51}, {2, 99})):
        sets = statistics(x, lost), statistics(y, gone)
        row = by_name(frechet_measures(*sets, "FVD", "p", paired=True))["FVD"]
        assert row.low < truth < row.high  # type: ignore[operator]
        assert row.high - row.low < 2 * (whole["FVD"].high - whole["FVD"].low)  # type: ignore[operator]
        both = [statistics(rows, gone | lost) for rows in (x, y)]
        assert row.value == pytest.approx(
            by_name(frechet_measures(*both, "FVD", "p", paired=True))["FVD"].value, rel=1e-4
        )
        assert row.n == (120 - len(gone | lost),) * 2
        assert " paired" in row.protocol
        assert f"{len(gone)} real clip" in row.reason
        assert kernel_measure(*sets, "KVD", "p", KVD, paired=True).reason == row.reason


def test_parts_merge_to_the_whole(tmp_path: Path, means: None) -> None:
    for i, some in enumerate(clips(20, 5)):
        write_ffv1(tmp_path / f"{i:02}.mkv", some)
    files = [ClipEntry(p, i, reference=p) for i, p in enumerate(sorted(tmp_path.iterdir()))]
    config = FidelityConfig(("frechet", "kernel", "motion", "full_reference"), "means")
    whole, parts = extract(files, config), FeatureSet()
    for some in (files[12:], files[:12]):
        parts.merge(extract(some, config))
    assert parts.clips == whole.clips == 20
    assert parts.values == whole.values
    other = extract(reversed(files), config)
    for a, b in ((parts, whole), (other, whole)):
        left, right = (set_measures(whole, x, config) for x in (a, b))
        for mine, theirs in zip(left, right, strict=True):
            assert mine.value == pytest.approx(theirs.value, abs=1e-8)


def test_motion_is_seen_apart_from_looks() -> None:
    rng = np.random.default_rng(0)

    def moving(step: float, n: int) -> list[Video]:
        made = []
        for _ in range(n):
            ground = rng.integers(60, 200, (48, 96, 3), dtype=np.uint8)
            at = [round(8 + step * t + rng.uniform(0, 4)) for t in range(5)]
            made.append(Video(np.stack([ground[:, x : x + 48] for x in at]), 8.0))
        return made

    sets = [FeatureStatistics() for _ in range(3)]
    for found, step in zip(sets, (1.0, 1.0, 4.0), strict=True):
        found.add(np.stack([clip_motion(v) for v in moving(step, 12)]), 0)
    near, far = (frechet_measures(sets[0], s, "motion", "p")[0].value for s in sets[1:])
    assert far > 2 * near  # type: ignore[operator]


def test_features_do_not_depend_on_the_batch() -> None:
    some = clips(11, 4)
    one, all_at_once = (np.concatenate(list(ENCODER.features(some, b))) for b in (1, 11))
    assert one == pytest.approx(all_at_once)
    assert one.dtype == np.float64
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("positions", [(0, 20, 40), (0, 1, 20), (0, 20, 40, 1)])
def test_clips_of_few_scenes_are_a_reason(positions: tuple[int, ...]) -> None:
    real, fake = FeatureStatistics(), FeatureStatistics()
    real.add(np.random.default_rng(0).normal(size=(41, 3)), 0)
    for p in positions:
        fake.add(np.ones((1, 3)), p)
    for paired in (False, True):
        (row,) = frechet_measures(real, fake, "FVD", "p", paired)
        assert "too few different scenes" in row.reason
        kernel = kernel_measure(real, fake, "KVD", "p", KVD, paired)
        assert kernel.value is not None or "too few different scenes" in kernel.reason


def test_the_fingerprint_is_that_of_earlier_run_folders() -> None:
    # Without weights in it, it depends on no file: another one would have the fidelity of finished runs measured again.
    assert FidelityConfig(("motion",)).fingerprint() == "66ffa9dec4c4470a"


def test_the_fingerprint_has_what_pairs_of_a_plug_in_are(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = FrameMetric(lambda true, made: float(np.abs(true - 1.0 * made).mean()))
    monkeypatch.setattr(fidelity_config, "plugin_metric", lambda name: (plugin, "tests"))
    large, small = (FidelityConfig(("mae",), pair_size=size) for size in (None, 64))
    assert large.alignment != small.alignment
    assert large.fingerprint() != small.fingerprint()


def test_pairs_are_compared_at_a_bounded_size_which_the_protocol_states(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (12, 24, 40, 3), dtype=np.uint8)
    large = small.repeat(12, axis=1).repeat(12, axis=2)
    other = np.clip(large.astype(int) + 40, 0, 255).astype(np.uint8)
    write_ffv1(tmp_path / "true.mkv", Video(large, 8.0))
    write_ffv1(tmp_path / "made.mkv", Video(other, 8.0))
    files = [ClipEntry(tmp_path / "made.mkv", 0, reference=tmp_path / "true.mkv", given=0)]

    def row(config: FidelityConfig) -> Measure:
        return by_name(set_measures(FeatureSet(), extract(files, config), config))["PSNR (dB)"]

    bounded = row(FidelityConfig(("full_reference",), pair_frames=2, pair_size=144))
    chosen = [resize(frames[[0, 11]], (144, 240)) for frames in (other, large)]
    assert bounded.value == pytest.approx(psnr(*chosen))
    assert "shorter-side<=144 frames<=2" in bounded.protocol
    whole = row(FidelityConfig(("full_reference",), pair_frames=None, pair_size=None))
    assert whole.value == pytest.approx(psnr(other, large))
    assert "<=" not in whole.protocol


def test_sets_of_other_lengths_sizes_or_rates_have_a_note(tmp_path: Path, means: None) -> None:
    sets = []
    for name, frames, fps in (("real", 8, 8.0), ("fake", 16, 16.0)):
        files = [tmp_path / f"{name}{i}.mkv" for i in range(4)]
        for i, path in enumerate(files):
            rng = np.random.default_rng(i)
            write_ffv1(path, Video(rng.integers(0, 256, (frames, 16, 16, 3), dtype=np.uint8), fps))
        sets.append(extract([ClipEntry(p, i) for i, p in enumerate(files)], FidelityConfig(("frechet",), "means")))
    real, fake = sets
    config = FidelityConfig(("frechet",), "means")
    note = (
        "of other formats: 16 frames of 16x16 at 16 fps (4 of 4 clips), real ones 8 frames of 16x16 at 8 fps (4 of 4)"
    )
    rows = by_name(set_measures(real, fake, config))
    assert rows[plug_in := next(n for n in rows if n.endswith("plug-in"))].reason.endswith(note)
    assert note not in rows[f"{plug_in}, real against real"].reason
    assert not any("formats" in r.reason for r in set_measures(real, real, config))
