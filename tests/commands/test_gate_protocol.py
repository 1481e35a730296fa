"""What `sora-eval gate` compares: cases from a file, further cases of other sizes, and clips stored as those of the baseline."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from commands.gate_runs import cases_of, right, write_run

from sora_eval import registry
from sora_eval.commands.cli import main
from sora_eval.evaluation import evaluate
from sora_eval.runs.baseline import read_scored
from sora_eval.runs.protocol import protocol_of
from sora_eval.video import VideoOptions


def gate(folder: Path, candidate: Path) -> int:
    return main(["gate", "--baseline", str(folder / "baseline"), "--candidate", str(candidate)])


def test_other_sizes_of_further_cases_are_no_difference(tmp_path: Path) -> None:
    more = [replace(c, id=f"{c.id}.wide", size=(64, 128), fps=16.0, frames=33) for c in cases_of(24)]
    run = write_run(tmp_path / "run", [*cases_of(24), *more], right)
    write_run(tmp_path / "baseline", cases_of(24), right)
    assert gate(tmp_path, run) == 0


@pytest.mark.parametrize("saved", [True, False])
def test_cases_of_a_file_are_compared_with_a_baseline_of_them(tmp_path: Path, saved: bool) -> None:
    run = write_run(tmp_path / "run", cases_of(24), right)
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["hashes"]["case_set"] = "0123456789abcdef"
    (run / "manifest.json").write_text(json.dumps(manifest))
    if saved:
        main(["baseline", "save", str(run), "--out", str(tmp_path / "baseline")])
        assert protocol_of(read_scored(tmp_path / "baseline").run) == protocol_of(read_scored(run).run)
    else:
        write_run(tmp_path / "baseline", cases_of(24), right)
    assert gate(tmp_path, run) == 0


@pytest.mark.parametrize(
    ("video", "stored"), [("lossless", "lossless"), ("h264-crf20", "h264-crf20"), ("h264-crf18, lossless", "lossless")]
)
def test_a_generator_is_judged_on_clips_stored_as_those_of_the_baseline(
    tmp_path: Path, video: str, stored: str
) -> None:
    run = write_run(tmp_path / "run", cases_of(4, ("bite",)), right)
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["versions"]["video"] = video
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert main(["baseline", "save", str(run), "--out", str(tmp_path / "baseline")]) == 0
    out = tmp_path / "out"
    args = ["gate", "--baseline", str(tmp_path / "baseline"), "--sequential", "--out", str(out), "generator=careless"]
    assert main(args) in (0, 1, 3)
    clips = list((out / "videos" / "careless").rglob("*.mkv"))
    assert clips
    # A run with that encoding finds the clips, and would make them again with another one.
    model, cases = registry.generator(registry.defaults("generator", "careless")), cases_of(4, ("bite",))
    crf = VideoOptions() if stored == "lossless" else VideoOptions(codec="h264", crf=int(stored[-2:]))
    again = evaluate(cases, {"bite": registry.probe("bite")}, [model], out, progress=False, video=crf)
    assert again.scored == len(cases) - len(clips)


def test_an_unknown_encoding_of_a_baseline_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "baseline", cases_of(4), right)
    manifest = json.loads((tmp_path / "baseline" / "manifest.json").read_text())
    args = ["gate", "--baseline", str(tmp_path / "baseline"), "--sequential", "--out", str(tmp_path / "x")]
    for video in ("av1-crf10", "h264-crf10, h264-crf12", "h264-crf99", ""):
        manifest["versions"]["video"] = video
        (tmp_path / "baseline" / "manifest.json").write_text(json.dumps(manifest))
        assert main([*args, "generator=oracle"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"clips of the baseline are stored as '{video}'" in line
