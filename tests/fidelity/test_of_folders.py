"""Fidelity of two folders, and the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fidelity.tiny import Means, by_name, clips

from sora_eval.commands.cli import main
from sora_eval.encoders import video as encoders
from sora_eval.encoders import weights
from sora_eval.fidelity.extractors import (
    FidelityConfig,
)
from sora_eval.fidelity.folders import Prompts, list_videos
from sora_eval.fidelity.of_folders import FolderPair, list_folders, of_folders
from sora_eval.files import read_json
from sora_eval.types import Video
from sora_eval.video import write_ffv1


def pair(real: dict[str, Path], fake: dict[str, Path]) -> FolderPair:
    """Return two listed folders without prompts."""
    return FolderPair(real, fake, Prompts({}, ()), ())


def test_physics_iq_of_folders_stands_beside_a_frozen_true_frame(tmp_path: Path) -> None:
    # Everything turns 50 brighter in the last of 4 frames of the true clip, and in the one before it of the other.
    for name, levels in (("real", (100, 100, 100, 150)), ("fake", (100, 100, 150, 150))):
        frames = np.repeat(np.array(levels, np.uint8), 32 * 32 * 3).reshape(4, 32, 32, 3)
        write_ffv1(tmp_path / name / "a.mkv", Video(frames, 8.0))
    real, fake = (list_videos(tmp_path / name) for name in ("real", "fake"))
    found = by_name(of_folders(pair(real, fake), FidelityConfig(("full_reference",))))
    # Masks of the true clip: 0 0 0 1, of the other 0 0 1 1 (150 is 24.5 from the background 125.5 even in its second frame).
    assert found["Physics-IQ spatial IoU"].value == 1
    assert found["Physics-IQ spatiotemporal IoU"].value == 3 / 4
    assert found["Physics-IQ weighted spatial IoU"].value == pytest.approx(1 / 2)
    assert found["Physics-IQ MSE"].value == pytest.approx((50 / 255) ** 2 / 4)
    assert found["Physics-IQ spatiotemporal IoU, frozen true frame"].value == 3 / 4
    assert found["Physics-IQ spatial IoU, frozen true frame"].value == 0
    assert not found["Physics-IQ MSE"].higher_is_better


def test_sets_with_gaps_are_still_pairs(tmp_path: Path, means: None) -> None:
    some = clips(40, 1)
    for i, video in enumerate(some):
        write_ffv1(tmp_path / "real" / f"a.{i:02}.mkv", video)
        if i not in (0, 7):
            write_ffv1(tmp_path / "fake" / f"a.{i:02}.{'avi' if i % 2 else 'mkv'}", video)
    sets = [list_videos(tmp_path / n) for n in ("real", "fake")]
    found = by_name(of_folders(pair(*sets), FidelityConfig(("frechet", "kernel"), "means")))
    assert " paired" in found["means kernel"].protocol
    assert found["means kernel"].value == pytest.approx(0, abs=1e-9)
    assert found["means kernel"].n == (38, 38)
    # Frechet distances of pairs are of clips with a partner too: with the others, the formula for pairs doesn't hold.
    assert found["means Frechet"].n == (38, 38)
    assert found["means Frechet"].value == pytest.approx(0, abs=1e-9)
    (note,) = list_folders(tmp_path / "real", tmp_path / "fake").notes
    assert note.endswith("real: 2 of 40 clips have no generated one of their name, and are left out of the pairs")
    apart = by_name(of_folders(pair(sets[1], sets[0]), FidelityConfig(("kernel",), "means")))
    assert " paired" not in apart["means kernel"].protocol


def test_of_a_run_only_the_scored_clips_are_read(tmp_path: Path) -> None:
    """A run that takes another's folder leaves its clips there."""
    run = ["run", "suite.probes=[relation]", "references=[]", "fidelity.metrics=[]", "tracking=false"]
    run = [*run, f"out={tmp_path / 'run'}", "suite.count=2"]
    assert main(run) == 0
    place = tmp_path / "run" / "videos" / "oracle"
    earlier = set(list_videos(place))
    assert main([*run, "seed=1", "replace=true"]) == 0
    assert len(list_videos(place)) == 2 * len(earlier)
    folders = list_folders(place, place)
    assert len(folders.real) == len(folders.fake) == len(earlier) and not earlier & set(folders.real)
    (note,) = folders.notes
    assert f"{len(earlier)} left out, clips that the run's scores don't name: " in note
    # Where they are all of another generator, no score says which are of this run.
    other = place.with_name("other")
    place.rename(other)
    assert len(list_folders(other, other).real) == 2 * len(earlier)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    for name in ("real", "fake"):
        for i, some in enumerate(clips(4, 1)):
            write_ffv1(tmp_path / name / f"{i}.mkv", some)
    (tmp_path / "fake" / "2.mkv").write_bytes((tmp_path / "fake" / "2.mkv").read_bytes()[:200])
    sets = [list_videos(tmp_path / n) for n in ("real", "fake")]
    (row,) = of_folders(pair(*sets), FidelityConfig(("motion",)))
    assert row.value is None
    assert "2.mkv" in row.reason


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
    assert main(["fidelity", *folders, "--metrics", "text_image"]) == 1
    assert "unavailable" in capsys.readouterr().out
    assert main(["fidelity", *folders, "--metrics", "full_reference"]) == 1
    text = capsys.readouterr().out
    assert "| lpips-world | unavailable |" in text
    assert "| SSIM | 0." in text
    assert main(["fidelity", *folders, "--metrics", "full"]) == 2
    assert "did you mean full_reference" in capsys.readouterr().err
    (tmp_path / "p.csv").write_text("file,text\n")
    assert main(["fidelity", *folders, "--prompts", str(tmp_path / "p.csv")]) == 2


def test_encoders_are_set_by_the_names_of_the_options_of_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in ("--video-encoder", "--text-image-encoder", "--image-distance"):
        assert main(["fidelity", str(tmp_path), str(tmp_path), option, "no-such-encoder"]) == 2
        assert "'no-such-encoder'" in capsys.readouterr().err


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


def test_prompts_are_noted_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two", "e\u0301"):
        write_ffv1(tmp_path / "clips" / f"{name}.mkv", clips(1, 1)[0])
    long = " ".join(["a red ball rolls,"] * 20)
    prompts = tmp_path / "p.csv"
    prompts.write_text(f'name,prompt\none,A dragon rolls\n\u00e9,"{long}"\n', encoding="utf-8")
    command = ["fidelity", str(tmp_path / "clips"), str(tmp_path / "clips"), "--metrics", "text_image"]
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
    assert main([*words, "--metrics", "full_reference"]) == 1  # lpips needs larger frames
    assert main([*words, "--metrics", "motion"]) == 1
    assert "3.mkv: motion needs 3 frames, a clip has 2" in capsys.readouterr().out
    for name in ("real", "fake"):
        (tmp_path / name / "3.mkv").unlink()
    # Three clips have a plug-in distance and no interval: that is no fault.
    assert main([*words, "--metrics", "motion"]) == 0
