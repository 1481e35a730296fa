"""Sweeps: folders of runs, resume, failures, locks, and what a sweep ends with."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sora_eval.commands.cli import main
from sora_eval.errors import ConfigError
from sora_eval.runs import naming
from sora_eval.runs.lock import held
from sora_eval.runs.reader import Run
from sora_eval.video import read_video

TINY = ["suite.probes=[relation]", "suite.modes=[t2v]", "references=[]", "fidelity.metrics=[]", "workers=1"]
RUNS = Path("runs", "smoke-small+modes=t2v+probes=relation")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def scores(folder: Path) -> dict[str, bytes]:
    """Return scores.jsonl of every run below a folder."""
    return {p.parent.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("scores.jsonl")}


def test_a_sweep_takes_apart_lists_and_shows_every_job(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "-m", *TINY, "suite.count=1", "generator=oracle,careless", "seed=0,1"]
    assert main(words) == 0
    said = capsys.readouterr()
    places = [RUNS / model / "default" / seed for model in ("oracle", "careless") for seed in ("0", "1")]
    assert all((p / "report.html").exists() for p in places)
    lines = said.out.splitlines()
    for place in places:
        # Once when it ends, once in the table.
        shown = [line for line in lines if line.endswith(str(place))]
        assert len(shown) == 2 and shown[0] == shown[1]
        assert re.fullmatch(r"done +\d\.\d\d +\d+\.\d s  \S+", shown[0])
    assert "4 jobs in" in said.out and said.out.rstrip().endswith("leaderboard.html")
    page = Path(lines[-1].removeprefix("leaderboard: "))
    assert page.parent.parent == Path("runs", "sweeps") and page.exists()
    before = {p: (p / "scores.jsonl").stat().st_mtime_ns for p in places}
    assert main(words) == 0
    assert capsys.readouterr().out.count("nothing to do") == 2 * 4 + 1
    assert before == {p: (p / "scores.jsonl").stat().st_mtime_ns for p in places}
    assert not (Path.cwd() / "multirun.yaml").exists()


def test_a_failed_job_is_recorded_and_tried_again_while_others_go_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    theirs = tmp_path / "videos of mine"
    words = ["run", "-m", *TINY, "suite.count=1", "generator=folder", f"generator.path='{theirs}','{theirs}2'"]
    good = ["generate", "generator=oracle", *TINY[:2], "suite.count=1", f"out='{theirs}2'"]
    assert main(good) == 0
    capsys.readouterr()
    assert main(words) == 2
    said = capsys.readouterr()
    (failed,) = Path("runs").rglob("failed.json")
    assert said.err == f"failed: {failed.parent}: {theirs}: no such folder; traceback in {failed}\n"
    assert "1 failed" in said.out and "1 done" in said.out and "tries what failed again" in said.out
    kept = json.loads(failed.read_text())
    assert kept["error"] == f"{theirs}: no such folder" and "Traceback (most recent call last)" in kept["traceback"]
    shutil.copytree(f"{theirs}2", theirs)
    assert main(words) == 0
    assert not failed.exists()
    assert "1 done" in (out := capsys.readouterr().out) and "1 nothing to do" in out


def test_an_unforeseen_error_costs_one_job(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from sora_eval.reporting.report import write

    whole = write.write_report_of

    def faulty(run: Run, *more: Any) -> Path:
        if run.folder.name == "1":
            raise ZeroDivisionError("by\nzero")
        return whole(run, *more)

    monkeypatch.setattr(write, "write_report_of", faulty)
    assert main(["run", "-m", *TINY, "suite.count=1", "seed=1,2"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"failed: {RUNS / 'oracle/default/1'}: ZeroDivisionError: by; traceback in ")
    assert (RUNS / "oracle/default/2/report.html").exists()
    assert "faulty" in json.loads((RUNS / "oracle/default/1/failed.json").read_text())["traceback"]


def test_a_named_sweep_takes_files_in_natural_order(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name in ("step-9", "step-10", "it's 11"):
        (tmp_path / f"{name}.safetensors").write_bytes(name.encode())
    # No file is a checkpoint, so each job fails, and says which it was.
    assert main(["run", "+sweep=checkpoints", f"checkpoints={tmp_path}/*.safetensors", *TINY]) == 2
    failed = [line.split(": ")[1] for line in capsys.readouterr().err.splitlines() if line.startswith("failed")]
    names = [Path(f).parent.name for f in failed]
    assert [re.sub(r"-[0-9a-f]{6}$", "", n) for n in names] == ["it_s_11", "step-9", "step-10"]
    assert {Path(f).parent.parent.name for f in failed} == {"reference"}
    assert main(["run", "+sweep=checkpoints", f"checkpoints={tmp_path}/*.pt", *TINY]) == 2
    assert capsys.readouterr().err == f"sora-eval: no file matches '{tmp_path}/*.pt'\n"
    assert main(["run", "+sweep=checkpoint", *TINY]) == 2
    assert "unknown sweep 'checkpoint': did you mean checkpoints" in capsys.readouterr().err
    assert main(["run", "+sweep=checkpoints", *TINY]) == 2
    assert capsys.readouterr().err == "sora-eval: checkpoints is missing: set checkpoints=...\n"


MODEL = """
from pathlib import Path

import numpy as np


def generate(prompt, *, height, width, frames, fps, seed, conditioning, checkpoint):
    level = Path(checkpoint).stat().st_size
    with open("calls.txt", "a") as file:
        file.write(f"{checkpoint} {seed}\\n")
    return np.full((frames, height, width, 3), level, np.uint8)
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A function that takes a checkpoint, as generator.target."""
    (tmp_path / "swept_model.py").write_text(MODEL)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "swept_model", raising=False)
    return "swept_model:generate"


def curves(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the Markdown of the curves that a sweep writes."""
    assert main(["run", *words, *TINY, "suite.count=1", "fidelity=null"]) in (0, 1)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("curves: "))
    return Path(line.removeprefix("curves: ")).with_suffix(".md").read_text()


def test_checkpoints_of_a_function_are_swept_over_step_and_time(
    model: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for i, name in enumerate(("step-10", "step-9", "final", "best")):
        (tmp_path / f"{name}.bin").write_bytes(b"x" * (i + 1))
        os.utime(tmp_path / f"{name}.bin", (3600 * i + 7200, 3600 * i + 7200))
    words = ["+sweep=checkpoints", "generator=callable", f"generator.target={model}"]
    by_step = curves([*words, "checkpoints=step-*.bin"], capsys)
    assert "Scores over training step" in by_step
    assert [float(n) for n in re.findall(r"^\| generate \(step-\S+ \| (\S+) \|", by_step, re.MULTILINE)] == [9, 10]
    # One of them has no step: all are placed by time.
    by_time = curves([*words, "checkpoints=[step-9.bin,final.bin,best.bin]"], capsys)
    assert "hours after the first checkpoint" in by_time
    assert re.findall(r"^\| generate \((\w+)\S+ \| (\S+) \|", by_time, re.MULTILINE) == [
        ("step", "0"), ("final", "1"), ("best", "2")
    ]  # fmt: skip


def test_a_generator_without_checkpoints_is_refused_by_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "a.bin").touch()
    assert main(["run", "+sweep=checkpoints", "checkpoints=a.bin", "generator=oracle", *TINY]) == 2
    err = capsys.readouterr().err
    assert err.startswith("sora-eval: generator=oracle has no option checkpoint: choose one") and err.count("\n") == 1


def test_a_configuration_folder_may_stand_anywhere_in_a_sweep(
    model: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "configs" / "generator").mkdir(parents=True)
    node = f"_target_: sora_eval.generator.callable.PythonCallable\ntarget: {model}\ncheckpoint: null\n"
    (tmp_path / "configs" / "generator" / "mine.yaml").write_text(node)
    for name in ("a", "bb"):
        (tmp_path / f"{name}.bin").write_text(name)
    words = ["-m", "generator=mine", "generator.checkpoint=a.bin,bb.bin"]
    for flags in (["--config-dir", "configs"], ["--config-dir=configs"]):
        assert main(["run", *words, *flags, *TINY, "suite.count=1", "fidelity=null"]) == 0
    assert len((tmp_path / "calls.txt").read_text().splitlines()) == 2
    assert {p.parts[2] for p in Path("runs").glob("*/*/*/0")} == {"mine"}


def test_a_launcher_without_its_package_names_the_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sora_eval.commands import sweep

    monkeypatch.setattr(sweep, "_installed", lambda package: False)
    assert main(["run", "-m", *TINY, "hydra/launcher=ray"]) == 2
    assert "pip install 'sora-eval[ray]'" in capsys.readouterr().err


def test_folders_tell_checkpoints_apart_by_their_bytes(tmp_path: Path) -> None:
    def slug(path: str) -> str:
        return naming.slug("reference", {"_target_": "x", "checkpoint": path, "steps": None})

    names = []
    for folder, data in (("a", b"1"), ("b", b"2"), ("c", b"1")):
        path = tmp_path / folder / "last.safetensors"
        path.parent.mkdir()
        path.write_bytes(data)
        names.append(slug(str(path)))
    assert names[0] != names[1] and names[0] == names[2]
    assert all(re.fullmatch(r"last-[0-9a-f]{6}", n) for n in names)
    assert re.fullmatch(r"4x-[0-9a-f]{6}", slug("4x"))
    assert len({slug("gone/x y"), slug("gone_x_y"), slug("gone/x_y")}) == 3
    assert not any("/" in slug(p) for p in ("gone/x y", "/", "../x"))
    mine = {"_target_": "x", "target": "m:f", "checkpoint": str(tmp_path / "a" / "last.safetensors"), "kwargs": None}
    assert re.fullmatch(r"last-[0-9a-f]{6}\+m_f-[0-9a-f]{6}", naming.slug("callable", mine))
    assert naming.slug("callable", mine) != naming.slug("callable", {**mine, "kwargs": {"steps": 2}})


@pytest.mark.parametrize(
    ("choice", "node", "name"),
    [
        ("oracle", {"_target_": "x"}, "default"),
        ("control", {"_target_": "x", "control": "frozen"}, "frozen"),
        ("violation", {"_target_": "x", "violation": "vanishes", "severity": 0.5}, "vanishes+severity=0.5"),
        ("careless", {"_target_": "x", "rate": 0.25}, "rate=0.25"),
    ],
)
def test_folders_show_changed_options(choice: str, node: dict[str, object], name: str) -> None:
    assert naming.slug(choice, node) == name


def test_a_long_name_is_cut_and_stays_unique() -> None:
    names = [naming.slug("careless", {"name": "x" * 300 + tail}) for tail in ("a", "b")]
    assert names[0] != names[1] and max(map(len, names)) <= 100


def run(out: Path, *more: str) -> int:
    return main(["run", "suite.modes=[t2v]", "references=[]", "fidelity.metrics=[]", "workers=1", f"out={out}", *more])


def test_a_folder_refuses_a_run_of_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    two = ["suite.probes=[relation]", "suite.count=2"]
    assert run(out, *two) == 0
    whole = scores(out)
    for other, said in (
        (["suite.probes=[relation]", "suite.count=2", "seed=1"], "a run with other cases"),
        (["suite.probes=[relation]", "suite.count=1"], "a run with cases that are not in this one"),
        (["suite.probes=[motion]", "suite.count=2"], "a run with cases that are not in this one"),
        ([*two, "generator=careless"], "a run of oracle, not of careless"),
        ([*two, "profile=medium"], "a run with other cases"),
    ):
        capsys.readouterr()
        assert run(out, *other) == 2
        err = capsys.readouterr().err
        assert said in err and "name another folder with out=..., or set replace=true" in err and err.count("\n") == 1
        assert scores(out) == whole and not (out / "failed.json").exists()
    assert run(out, "suite.probes=[relation]", "suite.count=1", "replace=true") == 0
    assert len((out / "scores.jsonl").read_text().splitlines()) == 1


def test_a_run_grows_in_its_folder(tmp_path: Path) -> None:
    grown, whole = tmp_path / "grown", tmp_path / "whole"
    assert run(grown, "suite.probes=[relation]", "suite.count=1") == 0
    (clip,) = grown.rglob("*.mkv")
    made = clip.stat().st_mtime_ns
    assert run(grown, "suite.probes=[relation,motion]", "suite.count=2") == 0
    assert run(whole, "suite.probes=[relation,motion]", "suite.count=2") == 0
    assert scores(grown) == scores(whole)
    assert clip.stat().st_mtime_ns == made


@pytest.mark.parametrize(
    "more", [["seed=1", "replace=true"], ["generator=careless", "replace=true"], ["suite.count=4"]]
)
def test_a_run_that_is_killed_while_it_becomes_another_is_unfinished(
    more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids of cases are the same for every seed: old scores beside new cases would be compared without a word."""
    out, words = tmp_path / "run", ["suite.probes=[relation]", "suite.count=2"]
    assert run(out, *words) == 0

    def killed(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sora_eval.run.evaluate", killed)
    assert run(out, *words, *more) == 130
    capsys.readouterr()
    assert main(["leaderboard", str(out), "--out", str(tmp_path / "board")]) == 2
    assert main(["gate", "--baseline", str(out), "--candidate", str(out)]) == 2
    assert capsys.readouterr().err.count("manifest.json is missing") == 2
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert run(out, *words, *more) in (0, 1)
    assert main(["leaderboard", str(out), "--out", str(tmp_path / "board")]) == 0


def test_another_model_of_the_same_name_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    words = ["suite.probes=[relation]", "suite.count=1", "generator=careless"]
    assert run(out, *words, "generator.rate=0") == 0
    assert run(out, *words, "generator.rate=1") == 2
    assert "a run of another careless: its weights or options differ" in capsys.readouterr().err


def test_videos_may_come_later_into_the_folder_that_is_scored(tmp_path: Path) -> None:
    theirs, out = tmp_path / "theirs", tmp_path / "run"
    words = ["suite.probes=[relation]", "suite.count=2"]
    assert main(["generate", "generator=oracle", "suite.modes=[t2v]", *words, f"out={theirs}"]) == 0
    late = theirs / "videos" / "left_right.relation.t2v.0001.mp4"
    data = late.read_bytes()
    late.unlink()
    asked = [*words, "generator=folder", f"generator.path={theirs}"]
    assert run(out, *asked) == 1
    late.write_bytes(data)
    assert run(out, *asked) == 0
    assert [json.loads(line)["value"] for line in (out / "scores.jsonl").read_text().splitlines()] == [1.0, 1.0]


def test_a_moved_or_copied_run_goes_on_and_remakes_what_is_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    words = ["suite.probes=[relation]", "suite.count=2"]
    assert run(out, *words) == 0
    whole = scores(out)
    shutil.copytree(out, tmp_path / "copy")
    shutil.move(out, tmp_path / "moved")
    for name in ("copy", "moved"):
        capsys.readouterr()
        assert run(tmp_path / name, *words) == 0
        assert "nothing to do" in capsys.readouterr().out
    moved = tmp_path / "moved"
    for path in (*moved.rglob("*.mkv"), *moved.rglob("*.npz"), *moved.rglob("scores/**/*.json")):
        path.write_bytes(path.read_bytes()[:100])
    (moved / "scores.jsonl").write_text('{"case": "left_right.rel')
    (moved / "cases.jsonl").write_text("{")
    (moved / ".left.1-1.part").write_text("half")
    assert run(moved, *words) == 0
    assert scores(moved) == whole
    assert all(len(read_video(p)) == 17 for p in moved.rglob("*.mkv"))
    assert not list(moved.rglob(".*.part"))


def test_a_lock_is_waited_for_and_names_its_holder(tmp_path: Path) -> None:
    import os

    said: list[str] = []
    order: list[str] = []
    waiting = threading.Event()

    def tell(line: str) -> None:
        said.append(line)
        waiting.set()

    def second() -> None:
        with held(tmp_path / ".lock", tell):
            order.append("second")

    with held(tmp_path / ".lock") as alone:
        assert alone
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert f"is being written by process {os.getpid()} on" in said[0] and "waiting" in said[0]
    with held(tmp_path / ".lock", tell):
        assert len(said) == 1


def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import fcntl

    def refuse(file: object, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    said: list[str] = []
    with held(tmp_path / ".lock", said.append) as alone:
        assert not alone
    assert "can't be locked (No locks available)" in said[0]


def test_a_pattern_may_be_a_list(tmp_path: Path) -> None:
    for name in ("a-2", "a-10", "b-1"):
        (tmp_path / name).touch()

    def found(patterns: str | Sequence[str]) -> list[str]:
        return [Path(p).name for p in naming.matching(patterns)]

    assert found(f"{tmp_path}/*") == ["a-2", "a-10", "b-1"]
    assert found([f"{tmp_path}/b*", f"{tmp_path}/*"]) == ["b-1", "a-2", "a-10"]
    with pytest.raises(ConfigError, match=r"no file matches '.*/c\*'"):
        naming.matching([f"{tmp_path}/c*"])


@pytest.mark.parametrize(
    ("launcher", "cores", "share"),
    [
        ({}, 8, 8),
        ({"n_jobs": -1}, 8, 1),
        ({"n_jobs": 2}, 8, 4),
        ({"n_jobs": 16}, 8, 1),
        ({"cpus_per_task": 4}, 8, 4),
        ({"ray": {"init": {}, "remote": {"num_cpus": 2}}}, 8, 2),
        ({"ray": {"init": {}, "remote": {}}}, 8, 1),
    ],
)
def test_a_job_has_its_share_of_the_cores(launcher: dict[str, object], cores: int, share: int) -> None:
    from omegaconf import OmegaConf

    from sora_eval.config.parsing import _share

    assert _share(OmegaConf.create(launcher), cores) == share


def test_a_job_of_a_named_sweep_tells_the_command_that_runs_it_alone(tmp_path: Path) -> None:
    assert main(["run", "+sweep=seeds", "hydra.sweeper.params.seed='3,4'", *TINY, "suite.count=1"]) == 0
    place = RUNS / "oracle" / "default" / "3"
    command = json.loads((place / "manifest.json").read_text())["command"]
    assert command.startswith("sora-eval run ") and "sweep" not in command and "seed=3" in command
    before = (place / "manifest.json").read_bytes()
    # It does: there is nothing left to do.
    assert main([w.strip("'") for w in command.split()[1:]]) == 0
    assert (place / "manifest.json").read_bytes() == before
