"""Fidelity of sets of clips, with a tiny fixed network in the encoders' place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sora_eval import fidelity
from sora_eval.cli import main
from sora_eval.encoders import video as encoders
from sora_eval.encoders import weights
from sora_eval.encoders.video import VideoEncoder
from sora_eval.encoders.weights import AbsentWeightsError
from sora_eval.errors import ConfigError
from sora_eval.fidelity import Measure
from sora_eval.metrics.kernel import KVD
from sora_eval.metrics.pixels import psnr, ssim
from sora_eval.store import read_json
from sora_eval.types import Video
from sora_eval.video import write_ffv1


class Means(nn.Module):
    """Eight numbers of a clip: the mean of each quarter of the frame in the first and in the second half."""

    def forward(self, x: Tensor) -> Tensor:
        cells = nn.functional.adaptive_avg_pool3d(x.mean(dim=1), (2, 2, 2))
        return cells.flatten(1)


ENCODER = VideoEncoder("means", "0123456789", Means(), 16, 4, ((0.5,) * 3, (0.5,) * 3))


def clips(n: int, seed: int, level: float = 0.0) -> list[Video]:
    rng = np.random.default_rng(seed)
    made = rng.normal(120 + level, 40, (n, 1, 2, 2, 1)) + rng.normal(0, 20, (n, 5, 2, 2, 1))
    large = np.clip(made, 0, 255).astype(np.uint8).repeat(8, axis=2).repeat(8, axis=3).repeat(3, axis=4)
    return [Video(c, 8.0) for c in large]


def by_name(rows: list[Measure]) -> dict[str, Measure]:
    return {r.metric: r for r in rows}


def test_real_against_real_is_zero_and_another_set_is_not() -> None:
    real, same, other = (fidelity.statistics(clips(120, *a), ENCODER) for a in ((1,), (2,), (3, 30.0)))
    near = by_name(fidelity.distances(real, same, "FVD", ENCODER.protocol))
    far = by_name(fidelity.distances(real, other, "FVD", ENCODER.protocol))
    assert near["FVD"].low < 0 < near["FVD"].high  # type: ignore[operator]
    assert far["FVD"].low > near["FVD"].high  # type: ignore[operator]
    assert near["FVD, plug-in"].value > 0  # type: ignore[operator]
    assert near["FVD, plug-in, real against real"].n == (60, 60)
    assert far["FVD"].n == (120, 120)
    assert "means@01234567 frames=4 stride=1 resize=bilinear-squash-16 range=-1..1" in far["FVD"].protocol
    kvd = [fidelity.kernel_distance(real, s, "KVD", ENCODER.protocol, KVD) for s in (same, other)]
    assert kvd[0].low < 0 < kvd[0].high  # type: ignore[operator]
    assert kvd[1].low > kvd[0].high  # type: ignore[operator]


def test_few_clips_are_said_to_be_few() -> None:
    real = fidelity.statistics(clips(40, 1), ENCODER)
    few = by_name(fidelity.distances(real, fidelity.statistics(clips(6, 2), ENCODER), "FVD", "p"))
    assert few["FVD"].value is None
    assert few["FVD"].reason == "6 clips for 8 features: no interval, and no bias removed"
    assert few["FVD, plug-in"].value is not None
    two = fidelity.distances(real, fidelity.statistics(clips(2, 2), ENCODER), "FVD", "p")
    assert [r.reason for r in two] == ["2 clips are too few for a distance: 3 at least"]


def test_short_clips_and_absent_weights_become_a_reason() -> None:
    short = [Video(np.zeros((3, 16, 16, 3), np.uint8), 8.0)]
    (row,) = fidelity.attempt("FVD", lambda: [fidelity.statistics(short, ENCODER)])  # type: ignore[list-item]
    assert row.reason == "means reads 4 frames, a clip has 3"

    def absent() -> list[Measure]:
        raise AbsentWeightsError("the weights are not here: sora-eval weights fetch i3d brings 49 MB")

    (row,) = fidelity.attempt("FVD", absent)
    assert row.value is None
    assert "weights fetch i3d" in row.reason
    with pytest.raises(ConfigError, match="did you mean i3d"):
        encoders.load("i3e")


def test_constant_clips_are_a_set_like_any_other() -> None:
    still = [Video(np.full((5, 16, 16, 3), v, np.uint8), 8.0) for v in (0, 80, 160, 240) * 10]
    same = [Video(np.full((5, 16, 16, 3), 90, np.uint8), 8.0)] * 40
    real, fake = (fidelity.statistics(v, ENCODER) for v in (still, same))
    found = by_name(fidelity.distances(real, fake, "FVD", "p"))
    assert found["FVD, plug-in"].value > 0.5  # type: ignore[operator]
    assert np.isfinite(found["FVD"].value)  # type: ignore[arg-type]


def test_likeness_is_that_of_torchmetrics() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    b = np.clip(a + rng.normal(0, 20, a.shape), 0, 255).astype(np.uint8)
    error = np.square(a.astype(float) - b).mean()
    assert psnr(a, b) == pytest.approx(10 * np.log10(255**2 / error), abs=1e-3)
    assert psnr(a, a) == 99
    assert ssim(a, a) == pytest.approx(1)
    found = by_name(fidelity.likeness([(a, b), (a, a)], None))
    assert found["PSNR (dB)"].value == pytest.approx((99 + psnr(a, b)) / 2)
    assert found["SSIM"].n == (2,)
    assert fidelity.likeness([], None)[0].reason == "no clips stand against each other"


def test_motion_is_seen_apart_from_looks() -> None:
    rng = np.random.default_rng(0)

    def moving(step: float, n: int) -> list[Video]:
        made = []
        for _ in range(n):
            ground = rng.integers(60, 200, (48, 96, 3), dtype=np.uint8)
            at = [round(8 + step * t + rng.uniform(0, 4)) for t in range(5)]
            made.append(Video(np.stack([ground[:, x : x + 48] for x in at]), 8.0))
        return made

    sets = [fidelity.motion_statistics(moving(step, 12)) for step in (1.0, 1.0, 4.0)]
    near, far = (fidelity.distances(sets[0], s, "motion", "p")[0].value for s in sets[1:])
    assert far > 2 * near  # type: ignore[operator]


def test_a_folder_is_read_by_names(tmp_path: Path) -> None:
    for name in ("b.mkv", "a.mkv"):
        write_ffv1(tmp_path / name, clips(1, 0)[0])
    (tmp_path / "notes.txt").write_text("no video")
    found = fidelity.videos(tmp_path)
    assert list(found) == ["a", "b"]
    assert [len(v) for v in fidelity.read(found.values(), 4)] == [4, 4]
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(ConfigError, match="have one name"):
        fidelity.videos(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="there is no video in it"):
        fidelity.videos(tmp_path / "empty")
    with pytest.raises(ConfigError, match="no such folder"):
        fidelity.videos(tmp_path / "gone")


def test_features_do_not_depend_on_the_batch() -> None:
    some = clips(11, 4)
    one, all_at_once = (np.concatenate(list(ENCODER.features(some, b))) for b in (1, 11))
    assert one == pytest.approx(all_at_once)
    assert one.dtype == np.float64
    assert torch.is_grad_enabled()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(encoders.ENCODERS, "means", lambda paths: ENCODER)  # type: ignore[arg-type]
    for name, seed in (("real", 1), ("fake", 2)):
        for i, some in enumerate(clips(24, seed)):
            write_ffv1(tmp_path / name / f"{i:02}.mkv", some)
    folders = [str(tmp_path / n) for n in ("real", "fake")]
    out = ["--out", str(tmp_path / "out"), "--video", "means"]
    assert main(["fidelity", *folders, *out, "--metrics", "frechet,kernel"]) == 0
    text = capsys.readouterr().out
    assert "| means Frechet, plug-in |" in text
    assert "- means kernel: `mmd means@01234567" in text
    rows = read_json(tmp_path / "out" / "fidelity.json")["rows"]
    assert [r["n"] for r in rows if r["metric"] == "means Frechet"] == [[24, 24]]
    assert (tmp_path / "out" / "fidelity.md").read_text().startswith("| metric |")
    monkeypatch.setattr(weights, "BUNDLED", tmp_path)
    assert main(["fidelity", *folders, "--metrics", "words"]) == 1
    assert "unavailable" in capsys.readouterr().out
    assert main(["fidelity", *folders, "--metrics", "pairs"]) == 1
    text = capsys.readouterr().out
    assert "| lpips-world | unavailable |" in text
    assert "| SSIM | 0." in text
    assert main(["fidelity", *folders, "--metrics", "worlds"]) == 2
    assert "did you mean words" in capsys.readouterr().err
    (tmp_path / "p.csv").write_text("file,text\n")
    assert main(["fidelity", *folders, "--prompts", str(tmp_path / "p.csv")]) == 2


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    for name in ("real", "fake"):
        for i, some in enumerate(clips(4, 1)):
            write_ffv1(tmp_path / name / f"{i}.mkv", some)
    (tmp_path / "fake" / "2.mkv").write_bytes((tmp_path / "fake" / "2.mkv").read_bytes()[:200])
    sets = [fidelity.videos(tmp_path / n) for n in ("real", "fake")]
    (row,) = fidelity.compare(*sets, {}, ["motion"])
    assert row.value is None
    assert "2.mkv" in row.reason
