"""Fidelity of sets of clips, with a tiny fixed network in the encoders' place."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sora_eval import registry
from sora_eval.commands.cli import main
from sora_eval.encoders import video as encoders
from sora_eval.encoders import weights
from sora_eval.encoders.video import VideoEncoder
from sora_eval.errors import ConfigError
from sora_eval.fidelity import measures
from sora_eval.fidelity.extractors import Choice, Clip, Collected, collect, motion_of, statistics
from sora_eval.files import read_json
from sora_eval.metrics.kernel import KVD
from sora_eval.metrics.pixels import psnr, ssim
from sora_eval.metrics.streaming import FeatureStatistics
from sora_eval.runs.case_export import export_cases
from sora_eval.types import Measure, Video
from sora_eval.video import write_ffv1


class Means(nn.Module):
    """Eight numbers of a clip: the mean of each quarter of the frame in the first and in the second half."""

    def forward(self, x: Tensor) -> Tensor:
        cells = nn.functional.adaptive_avg_pool3d(x.mean(dim=1), (2, 2, 2))
        return cells.flatten(1)


ENCODER = VideoEncoder("means", "0123456789", Means(), 16, 4, ((0.5,) * 3, (0.5,) * 3))


@pytest.fixture
def means(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder of that name."""
    monkeypatch.setitem(encoders.ENCODERS, "means", lambda paths: ENCODER)  # type: ignore[arg-type]


def clips(n: int, seed: int, level: float = 0.0) -> list[Video]:
    rng = np.random.default_rng(seed)
    made = rng.normal(120 + level, 40, (n, 1, 2, 2, 1)) + rng.normal(0, 20, (n, 5, 2, 2, 1))
    large = np.clip(made, 0, 255).astype(np.uint8).repeat(8, axis=2).repeat(8, axis=3).repeat(3, axis=4)
    return [Video(c, 8.0) for c in large]


def by_name(rows: list[Measure]) -> dict[str, Measure]:
    return {r.metric: r for r in rows}


def test_real_against_real_is_zero_and_another_set_is_not() -> None:
    real, same, other = (statistics(clips(120, *a), ENCODER) for a in ((1,), (2,), (3, 30.0)))
    near = by_name(measures.distances(real, same, "FVD", ENCODER.protocol))
    far = by_name(measures.distances(real, other, "FVD", ENCODER.protocol))
    assert near["FVD"].low < 0 < near["FVD"].high  # type: ignore[operator]
    assert far["FVD"].low > near["FVD"].high  # type: ignore[operator]
    assert near["FVD, plug-in"].value > 0  # type: ignore[operator]
    assert near["FVD, plug-in, real against real"].n == (60, 60)
    assert far["FVD"].n == (120, 120)
    assert "means@01234567 frames=4 stride=1 resize=bilinear-squash-16 range=-1..1" in far["FVD"].protocol
    kvd = [measures.kernel_distance(real, s, "KVD", ENCODER.protocol, KVD) for s in (same, other)]
    assert kvd[0].low < 0 < kvd[0].high  # type: ignore[operator]
    assert kvd[1].low > kvd[0].high  # type: ignore[operator]


def test_few_clips_are_said_to_be_few() -> None:
    real = statistics(clips(40, 1), ENCODER)
    few = by_name(measures.distances(real, statistics(clips(6, 2), ENCODER), "FVD", "p"))
    assert few["FVD"].value is None
    assert few["FVD"].reason == "6 clips for 8 features: no interval, and no bias removed"
    assert few["FVD, plug-in"].value is not None
    two = measures.distances(real, statistics(clips(2, 2), ENCODER), "FVD", "p")
    assert [r.reason for r in two] == ["2 clips are too few for a distance: 3 at least"]


def test_short_clips_and_absent_weights_become_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, means: None
) -> None:
    write_ffv1(tmp_path / "short.mkv", Video(np.zeros((3, 16, 16, 3), np.uint8), 8.0))
    found = collect([Clip(tmp_path / "short.mkv", 0)], Choice(("frechet", "motion"), "means"))
    assert found.missing == {"video": "short.mkv: means reads 4 frames, a clip has 3"}
    assert found.motion.n == 1
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    choice = Choice(("kernel", "words"), "i3d", "clip-b-32")
    some = collect([Clip(tmp_path / "short.mkv", 0)], choice)
    rows = by_name(measures.measures(some, some, choice))
    assert rows["KVD"].value is None
    assert "weights fetch i3d" in rows["KVD"].reason
    assert "weights fetch clip-b-32" in rows["CLIPSIM"].reason
    assert choice.absent() == [rows["KVD"].reason, rows["CLIPSIM"].reason]
    for wrong in ({"metrics": ("frechets",)}, {"video": "i3e"}, {"words": "clip"}, {"distance": "lpips"}):
        with pytest.raises(ConfigError, match="did you mean"):
            Choice(**wrong)  # type: ignore[arg-type]


def test_physics_iq_of_folders_stands_beside_a_frozen_true_frame(tmp_path: Path) -> None:
    # Everything turns 50 brighter in the last of 4 frames of the true clip, and in the one before it of the other.
    for name, levels in (("real", (100, 100, 100, 150)), ("fake", (100, 100, 150, 150))):
        frames = np.repeat(np.array(levels, np.uint8), 32 * 32 * 3).reshape(4, 32, 32, 3)
        write_ffv1(tmp_path / name / "a.mkv", Video(frames, 8.0))
    real, fake = (measures.videos(tmp_path / name) for name in ("real", "fake"))
    found = by_name(measures.compare(real, fake, {}, Choice(("pairs",))))
    # Masks of the true clip: 0 0 0 1, of the other 0 0 1 1 (150 is 24.5 from the background 125.5 even in its second frame).
    assert found["Physics-IQ spatial IoU"].value == 1
    assert found["Physics-IQ spatiotemporal IoU"].value == 3 / 4
    assert found["Physics-IQ weighted spatial IoU"].value == pytest.approx(1 / 2)
    assert found["Physics-IQ MSE"].value == pytest.approx((50 / 255) ** 2 / 4)
    assert found["Physics-IQ spatiotemporal IoU, frozen true frame"].value == 3 / 4
    assert found["Physics-IQ spatial IoU, frozen true frame"].value == 0
    assert not found["Physics-IQ MSE"].higher_is_better


def test_constant_clips_are_a_set_like_any_other() -> None:
    still = [Video(np.full((5, 16, 16, 3), v, np.uint8), 8.0) for v in (0, 80, 160, 240) * 10]
    same = [Video(np.full((5, 16, 16, 3), 90, np.uint8), 8.0)] * 40
    real, fake = (statistics(v, ENCODER) for v in (still, same))
    found = by_name(measures.distances(real, fake, "FVD", "p"))
    assert found["FVD, plug-in"].value > 0.5  # type: ignore[operator]
    assert np.isfinite(found["FVD"].value)  # type: ignore[arg-type]


def test_likeness_is_that_of_torchmetrics() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    b = np.clip(a + rng.normal(0, 20, a.shape), 0, 255).astype(np.uint8)
    error = np.square(a.astype(float) - b).mean(axis=(1, 2, 3))
    assert psnr(a, b) == pytest.approx(np.mean(10 * np.log10(255**2 / error)), abs=1e-3)
    assert ssim(a, a) == pytest.approx(1)
    assert ssim(a, b) == pytest.approx(np.mean([ssim(a[t : t + 1], b[t : t + 1]) for t in range(4)]), abs=1e-5)


def test_psnr_is_the_mean_over_frames_and_an_equal_frame_counts_100_dB() -> None:
    # One of four frames is 51 = 255 / 5 off everywhere: 10 log10 25 = 13.98 dB. All pixels together would give 10 log10 100 = 20.
    a = np.full((4, 8, 8, 3), 60, np.uint8)
    b = a.copy()
    b[2] += 51
    assert psnr(a, b) == pytest.approx((3 * 100 + 10 * np.log10(25)) / 4, abs=1e-4)
    assert psnr(a, a) == 100
    with pytest.raises(ValueError, match="of one shape"):
        psnr(a[0], a[0])


def test_pairs_need_a_true_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = clips(2, 3)
    write_ffv1(tmp_path / "a.mkv", a)
    write_ffv1(tmp_path / "b.mkv", Video(b.frames[:4], 8.0))
    monkeypatch.setattr(weights, "BUNDLED", tmp_path)
    choice = Choice(("pairs",))
    files = [Clip(tmp_path / "a.mkv", 0, true=tmp_path / "b.mkv"), Clip(tmp_path / "a.mkv", 1, true=tmp_path / "a.mkv")]
    found = by_name(measures.measures(Collected(), collect(files, choice), choice))
    assert found["PSNR (dB)"].value == pytest.approx((100 + psnr(a.frames[:4], b.frames[:4])) / 2)
    assert found["SSIM"].n == (2,)
    assert "train encoder=lpips-world" in found["lpips-world"].reason
    monkeypatch.undo()
    assert collect(files, choice).missing == {"pairs": "a.mkv: lpips-world needs 32 pixels a side, frames are 16 x 16"}
    none = measures.measures(Collected(), collect([Clip(tmp_path / "a.mkv", 0)], choice), choice)
    assert [m.reason for m in none] == ["no clips stand against each other"] * 3
    rows = by_name(measures.measures(Collected(), collect(files, choice), choice))
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
    choice = Choice(("pairs",))

    def rows(*names: str) -> dict[str, Measure]:
        files = [Clip(tmp_path / f"{name}.mkv", i, true=tmp_path / "real24.mkv") for i, name in enumerate(names)]
        return by_name(measures.measures(Collected(), collect(files, choice), choice))

    assert rows("same8", "met10")["PSNR (dB)"].value == 100
    unlike = rows("same8", "odd")["SSIM"]
    assert unlike.value is None
    assert unlike.failed
    assert "odd.mkv: not comparable with real24.mkv frame by frame: 9.1 and 24 frames per second" in unlike.reason


def test_parts_merge_to_the_whole(tmp_path: Path, means: None) -> None:
    for i, some in enumerate(clips(20, 5)):
        write_ffv1(tmp_path / f"{i:02}.mkv", some)
    files = [Clip(p, i, true=p) for i, p in enumerate(sorted(tmp_path.iterdir()))]
    choice = Choice(("frechet", "kernel", "motion", "pairs"), "means")
    whole, parts = collect(files, choice), Collected()
    for some in (files[12:], files[:12]):
        parts.merge(collect(some, choice))
    assert parts.clips == whole.clips == 20
    assert parts.values == whole.values
    other = collect(reversed(files), choice)
    for a, b in ((parts, whole), (other, whole)):
        left, right = (measures.measures(whole, x, choice) for x in (a, b))
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
        found.add(np.stack([motion_of(v) for v in moving(step, 12)]), 0)
    near, far = (measures.distances(sets[0], s, "motion", "p")[0].value for s in sets[1:])
    assert far > 2 * near  # type: ignore[operator]


def test_a_folder_is_read_by_names(tmp_path: Path) -> None:
    for name in ("b.mkv", "a.mkv"):
        write_ffv1(tmp_path / name, clips(1, 0)[0])
    (tmp_path / "notes.txt").write_text("no video")
    found = measures.videos(tmp_path)
    assert list(found) == ["a", "b"]
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(ConfigError, match="have one name"):
        measures.videos(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="there is no video in it"):
        measures.videos(tmp_path / "empty")
    with pytest.raises(ConfigError, match="no such folder"):
        measures.videos(tmp_path / "gone")


def test_what_is_left_out_of_a_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "clips"
    for name in ("a.mkv", "b.mkv", "sub.mp4/c.mkv", "up/d.mkv"):
        write_ffv1(place / name, clips(1, 0)[0])
    (tmp_path / "up").symlink_to(place / "up")
    (place / "linked.mkv").symlink_to("../up/d.mkv")
    (place / "._a.mkv").write_bytes(b"\0\5\26\7Mac OS X")
    (place / ".DS_Store").write_bytes(b"")
    os.mkfifo(place / "pipe.mp4")
    for i in range(7):
        (place / f"{i}.webm.part").write_bytes(b"")
    (place / os.fsdecode(b"l\xe9\n.txt")).write_bytes(b"")
    assert list(measures.videos(place)) == ["a", "b", "linked"]
    assert measures.left_out(place) == [
        f"{place}: 1 left out, hidden: ._a.mkv",
        f"{place}: 8 left out, no video by its ending (.mp4, .mkv, .webm, .mov, .avi, .gif, .m4v): "
        "0.webm.part, 1.webm.part, 2.webm.part, 3.webm.part, 4.webm.part and 3 more",
        f"{place}: 1 left out, a named pipe, not a file: pipe.mp4",
        f"{place}: 2 left out, a subfolder: only the folder itself is read: sub.mp4, up",
    ]
    assert main(["fidelity", str(place), str(place), "--metrics", "motion"]) == 0
    assert capsys.readouterr().err.count("note: ") == 4
    with pytest.raises(ConfigError, match=r"there is no video in it .*; its subfolder 'clips' holds some: name that"):
        measures.videos(tmp_path)
    (place / "b.mkv").unlink()
    (place / "b.mkv").symlink_to("gone.mkv")
    with pytest.raises(ConfigError, match=r"'b\.mkv' is a link to 'gone\.mkv', which is not there"):
        measures.videos(place)


def test_names_in_either_unicode_form_are_one(tmp_path: Path) -> None:
    (tmp_path / "e\u0301.mkv").write_bytes(b"clip")
    assert list(measures.videos(tmp_path)) == ["\u00e9"]
    (tmp_path / "\u00e9.mp4").write_bytes(b"clip")
    with pytest.raises(ConfigError, match="have one name"):
        measures.videos(tmp_path)


def test_features_do_not_depend_on_the_batch() -> None:
    some = clips(11, 4)
    one, all_at_once = (np.concatenate(list(ENCODER.features(some, b))) for b in (1, 11))
    assert one == pytest.approx(all_at_once)
    assert one.dtype == np.float64
    assert torch.is_grad_enabled()


def test_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, means: None
) -> None:
    for name, seed in (("real", 1), ("fake", 2)):
        for i, some in enumerate(clips(24, seed)):
            write_ffv1(tmp_path / name / f"{i:02}.mkv", some)
    folders = [str(tmp_path / n) for n in ("real", "fake")]
    out = ["--out", str(tmp_path / "out"), "--video", "means"]
    assert main(["fidelity", *folders, *out, "--metrics", "frechet,kernel"]) == 0
    text = capsys.readouterr().out
    assert "| means Frechet, plug-in |" in text
    assert "- means kernel: `mmd means@01234567" in text
    assert "rgb8 alpha=black" in text
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


def test_the_protocol_says_which_batch_norm_i3d_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    monkeypatch.setattr(encoders, "_files", lambda names, paths: ([{}], ["0123456789"]))
    monkeypatch.setattr(encoders.i3d, "load", lambda state, eps: asked.append(eps) or Means())
    monkeypatch.setattr(encoders.i3d, "SIDE", 16)
    for name, seed in (("real", 1), ("fake", 2)):
        for i, some in enumerate(clips(3, seed)):
            write_ffv1(tmp_path / name / f"{i}.mkv", Video(some.frames.repeat(4, axis=0)[:16], 8.0))
    words = ["fidelity", str(tmp_path / "real"), str(tmp_path / "fake"), "--metrics", "kernel", "--video", "i3d"]
    assert main(words) == 0
    assert "`mmd i3d@01234567 batch-norm-eps=0.001 frames=16" in capsys.readouterr().out
    assert main([*words, "--i3d-eps", "1e-5"]) == 0
    assert "`mmd i3d@01234567 batch-norm-eps=1e-05 frames=16" in capsys.readouterr().out
    assert asked == [1e-3, 1e-3, 1e-5, 1e-5]
    assert main([*words, "--i3d-eps", "2"]) == 2
    assert "i3d_eps must be a number above 0 and below 1, such as 1e-3 or 1e-5, got 2" in capsys.readouterr().err


def test_sets_with_gaps_are_still_pairs(tmp_path: Path, means: None) -> None:
    some = clips(40, 1)
    for i, video in enumerate(some):
        write_ffv1(tmp_path / "real" / f"a.{i:02}.mkv", video)
        if i not in (0, 7):
            write_ffv1(tmp_path / "fake" / f"a.{i:02}.{'avi' if i % 2 else 'mkv'}", video)
    sets = [measures.videos(tmp_path / n) for n in ("real", "fake")]
    found = by_name(measures.compare(*sets, {}, Choice(("frechet", "kernel"), "means")))
    assert " paired" in found["means kernel"].protocol
    assert found["means kernel"].value == pytest.approx(0, abs=1e-9)
    assert found["means kernel"].n == (38, 38)
    assert found["means Frechet"].n == (38, 40)
    apart = by_name(measures.compare(sets[1], sets[0], {}, Choice(("kernel",), "means")))
    assert " paired" not in apart["means kernel"].protocol


@pytest.mark.parametrize("positions", [(0, 20, 40), (0, 1, 20), (0, 20, 40, 1)])
def test_clips_of_few_scenes_are_a_reason(positions: tuple[int, ...]) -> None:
    real, fake = FeatureStatistics(), FeatureStatistics()
    real.add(np.random.default_rng(0).normal(size=(41, 3)), 0)
    for p in positions:
        fake.add(np.ones((1, 3)), p)
    for paired in (False, True):
        (row,) = measures.distances(real, fake, "FVD", "p", paired)
        assert "too few different scenes" in row.reason
        kernel = measures.kernel_distance(real, fake, "KVD", "p", KVD, paired)
        assert kernel.value is not None or "too few different scenes" in kernel.reason


def test_prompts_are_found_by_name(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("\ufeffname,prompt\na.v2,one\nb.mp4,two\nc,\n", encoding="utf-8")
    found = measures.read_prompts(path, ["a.v2", "b", "c"])
    assert found.by_clip == {"a.v2": "one", "b": "two"}
    assert found.problems == (f"{path}, row 4: 'c' has no prompt: add it",)
    with pytest.raises(ConfigError, match="none of its names is that of a clip, such as x"):
        measures.read_prompts(path, ["x", "y"])
    path.write_bytes("name,prompt\na,caf\u00e9\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"can't be read as CSV in UTF-8"):
        measures.read_prompts(path, ["a"])
    with pytest.raises(ConfigError, match=r"gone\.csv: can't be read \(No such file"):
        measures.read_prompts(tmp_path / "gone.csv", ["a"])


@pytest.mark.parametrize(
    ("rows", "found", "words"),
    [
        ('one.mp4,"a, b"\nclips/two.MKV,c\n', {"one": "a, b", "two": "c"}, []),
        ("clips\\one.mp4, a\ntwo,b\n\n", {"one": "a", "two": "b"}, []),
        ('one,"a\nb"\ntwo,"say ""c"""\n', {"one": "a\nb", "two": 'say "c"'}, []),
        (
            "one,a\nonn,b\n",
            {"one": "a"},
            ["row 3: there is no clip 'onn': did you mean 'one'?", "no row for 1 of 2 clips: two"],
        ),
        # Only the ending of a video is taken from a name: it may have dots.
        ("one,a\ntwo.v2,b\n", {"one": "a"}, ["row 3: there is no clip 'two.v2'", "no row for 1 of 2 clips: two"]),
        ("one,a\ntwo,b\none.mp4,c\n", {"two": "b"}, ["row 4: 'one' has another prompt in row 2; neither is used"]),
        ("one,a\ntwo,b\none,a\n", {"one": "a", "two": "b"}, ["row 4: 'one' has the same prompt in row 2"]),
        ("one,a\ntwo\n,c\n", {"one": "a"}, ["row 3: 'two' has no prompt (1 of 2 fields)", "row 4: no name"]),
    ],
)
def test_a_row_of_prompts_that_can_t_be_used_is_named(
    tmp_path: Path, rows: str, found: dict[str, str], words: list[str]
) -> None:
    path = tmp_path / "p.csv"
    path.write_text(f"name,prompt\n{rows}", encoding="utf-8")
    prompts = measures.read_prompts(path, ["one", "two"])
    assert prompts.by_clip == found
    assert len(prompts.problems) == len(words)
    for problem, text in zip(prompts.problems, words, strict=True):
        assert problem.startswith(str(path))
        assert text in problem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "name,prompt\none,A ball, rolling\n",
            "row 2: 3 fields, the header has 2: put a prompt that has commas in quotes",
        ),
        ('name,prompt\none,"A ball\ntwo,b\n', "not CSV (unexpected end of data): is a quote not closed?"),
        ('name,prompt\none,"A ball" b\n', "row 2: not CSV ("),
        ("name;prompt\none;A ball\n", "the header has name;prompt: separate columns by commas, not by semicolons"),
        ("name\tprompt\none\tA ball\n", "not by tabs"),
        ("name,text\none,a\n", "the columns name (or case_id) and prompt are needed, the header has name, text"),
        ("name,prompt,prompt\none,a,b\n", "the column prompt is there twice"),
        ("", "the header has none"),
        ("name,prompt\n", "none of its names is that of a clip"),
    ],
)
def test_prompts_that_would_be_cut_are_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "p.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        measures.read_prompts(path, ["one", "two"])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_many_rows_without_a_clip_are_few_lines(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("name,prompt\none,a\n" + "".join(f"{i:03},a\n" for i in range(300)), encoding="utf-8")
    problems = measures.read_prompts(path, ["one"]).problems
    assert len(problems) == 11
    assert problems[-1].endswith("row 13 and later: 290 more name no clip: 010, 011, 012, 013, 014 and 285 more")


def test_the_prompts_of_exported_cases_are_read(tmp_path: Path) -> None:
    cases = registry.probe("motion").cases(2, registry.profile("small"), "t2v")
    export_cases(cases, tmp_path, lambda case: None)
    found = measures.read_prompts(tmp_path / "prompts.csv", [case.id for case in cases])
    assert found.by_clip == {case.id: case.prompt for case in cases}
    assert found.problems == ()


def test_prompts_are_noted_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two", "e\u0301"):
        write_ffv1(tmp_path / "clips" / f"{name}.mkv", clips(1, 1)[0])
    long = " ".join(["a red ball rolls,"] * 20)
    prompts = tmp_path / "p.csv"
    prompts.write_text(f'name,prompt\none,A dragon rolls\n\u00e9,"{long}"\n', encoding="utf-8")
    command = ["fidelity", str(tmp_path / "clips"), str(tmp_path / "clips"), "--metrics", "words"]
    assert main([*command, "--prompts", str(prompts), "--out", str(tmp_path / "out")]) == 1
    said = f"{prompts}: no row for 1 of 3 clips: two; add them"
    assert f"problem: {said}" in capsys.readouterr().err
    about = read_json(tmp_path / "out" / "fidelity.json")
    assert about["problems"] == [said]
    (row,) = [r for r in about["rows"] if r["metric"] == "world-clip CLIPSIM"]
    assert row["reason"] == (
        "1 of 3 clips have no prompt; 1 of 2 texts have words that world-clip does not know, such as 'dragon' in 'A dragon rolls'; "
        f"1 of 2 texts are cut to the 63 words that world-clip reads, such as '{long[:60]}...'"
    )
    assert (row["n"], row["failed"]) == ([2], False)
    prompts.write_text("name,prompt\n" + "".join(f"{n},A red ball rolls\n" for n in ("one", "two", "\u00e9")), "utf-8")
    assert main([*command, "--prompts", str(prompts)]) == 0
    assert capsys.readouterr().err == ""


def test_what_fails_is_no_small_set(tmp_path: Path, capsys: pytest.CaptureFixture[str], means: None) -> None:
    for name in ("real", "fake"):
        for i, video in enumerate(clips(4, 1)):
            write_ffv1(tmp_path / name / f"{i}.mkv", Video(video.frames[:2] if i == 3 else video.frames, 8.0))
    words = ["fidelity", str(tmp_path / "real"), str(tmp_path / "fake"), "--video", "means"]
    assert main([*words, "--metrics", "pairs"]) == 1  # lpips needs larger frames
    assert main([*words, "--metrics", "motion"]) == 1
    assert "3.mkv: motion needs 3 frames, a clip has 2" in capsys.readouterr().out
    for name in ("real", "fake"):
        (tmp_path / name / "3.mkv").unlink()
    # Three clips have a plug-in distance and no interval: that is no fault.
    assert main([*words, "--metrics", "motion"]) == 0


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    for name in ("real", "fake"):
        for i, some in enumerate(clips(4, 1)):
            write_ffv1(tmp_path / name / f"{i}.mkv", some)
    (tmp_path / "fake" / "2.mkv").write_bytes((tmp_path / "fake" / "2.mkv").read_bytes()[:200])
    sets = [measures.videos(tmp_path / n) for n in ("real", "fake")]
    (row,) = measures.compare(*sets, {}, Choice(("motion",)))
    assert row.value is None
    assert "2.mkv" in row.reason
