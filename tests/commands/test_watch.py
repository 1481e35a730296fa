"""sora-eval watch: which checkpoint is scored when, once each, what ends it, and what it says of the broken ones."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from sora_eval import files
from sora_eval.commands import watch
from sora_eval.commands.cli import main

MODEL = '''
"""True clips from a good checkpoint, grey ones from another; a line per call."""

from functools import lru_cache

import numpy as np
from safetensors.numpy import load_file

from sora_eval import registry
from sora_eval.generator.simulator import true_video
from sora_eval.probes.selection import select_cases, select_probes


@lru_cache
def cases():
    found = select_cases(select_probes(None, ("relation",)), registry.profile("small"), ("t2v",), 12, 0, 1)
    return {(c.prompt, c.seed): c for c in found}


@lru_cache
def loaded(checkpoint):
    return load_file(checkpoint)["good"].item()


def generate(prompt, *, height, width, frames, fps, seed, conditioning, checkpoint):
    good = loaded(checkpoint)
    with open("calls.txt", "a") as file:
        file.write(f"{checkpoint} {prompt} {seed}\\n")
    if good:
        return true_video(cases()[prompt, seed]).frames
    return np.full((frames, height, width, 3), 128, np.uint8)
'''
SMALL = [
    "suite.probes=[relation]", "suite.modes=[t2v]", "suite.count=2", "references=[]", "fidelity=null", "tracking=false", "players=0",
    "workers=1",
]  # fmt: skip
WATCH = ["ckpts/*.safetensors", "generator=callable", "generator.target=watched_model:generate", *SMALL]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "watched_model.py").write_text(MODEL)
    (tmp_path / "ckpts").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "watched_model", raising=False)
    # Relative names of one test are not those of another.
    files._hash_of.cache_clear()


class Clock:
    """A clock that goes on in sleeps alone; something may happen at each of them."""

    def __init__(self, *events: Callable[[], object]) -> None:
        self.now = 0.0
        self.events = list(events)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.events:
            self.events.pop(0)()

    def monotonic(self) -> float:
        return self.now

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Clock]:
    """A function that puts a clock with events in the place of the real one."""

    def made(*events: Callable[[], object]) -> Clock:
        clock = Clock(*events)
        monkeypatch.setattr(watch, "time", clock)
        return clock

    return made


def nothing() -> None:
    """Let a look pass."""


def weights(step: int, good: bool = True) -> bytes:
    return save({"good": torch.tensor(good), "step": torch.tensor(step)})


def write(name: str, data: bytes, at: float | None = None) -> None:
    path = Path("ckpts", name)
    path.write_bytes(data)
    if at is not None:
        os.utime(path, (at, at))


def calls() -> list[str]:
    """Return the checkpoint of each call, in order."""
    path = Path("calls.txt")
    return [Path(line.split()[0]).stem for line in path.read_text().splitlines()] if path.exists() else []


def pages() -> Path:
    (folder,) = Path("runs", "watch").iterdir()
    return folder


def test_what_is_there_is_scored_once_the_oldest_first(
    clock: Callable[..., Clock], capsys: pytest.CaptureFixture[str]
) -> None:
    clock()
    for name, age in (("b", 30), ("a", 20), ("step-2", 10), ("step-10", 10)):
        write(f"{name}.safetensors", weights(len(name)) + b"", at=1000 - age)
    write("step-10.safetensors", weights(10), at=990)
    write("a.safetensors", weights(99), at=980)
    assert main(["watch", *WATCH, "once=true"]) == 0
    assert calls() == ["b", "b", "a", "a", "step-2", "step-2", "step-10", "step-10"]
    said = capsys.readouterr().out
    assert said.count("\ndone ") == 4 and "curves: " in said
    assert "4 checkpoints" in (pages() / "curves.md").read_text()
    assert main(["watch", *WATCH, "once=true"]) == 0
    assert len(calls()) == 8 and "done " not in capsys.readouterr().out
    # The same run by its own command finds all of it done.
    run = json.loads((pages() / watch.JOURNAL).read_text())["checkpoints"][0]["run"]
    command = json.loads(Path(run, "manifest.json").read_text())["command"].split()
    assert main([w.strip("'") for w in command[1:]]) == 0
    assert "nothing to do" in capsys.readouterr().out and len(calls()) == 8


def test_a_file_is_scored_when_it_is_whole_and_at_rest(
    clock: Callable[..., Clock], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = weights(1)
    seen: list[int] = []

    def grow(length: int) -> Callable[[], None]:
        def write_more() -> None:
            seen.append(len(calls()))
            write("slow.safetensors", whole[:length])

        return write_more

    def renamed() -> None:
        seen.append(len(calls()))
        write("tmp", weights(2))
        Path("ckpts", "tmp").rename(Path("ckpts", "atomic.safetensors"))

    # It grows, rests half written for three looks, and is completed.
    cuts = (10, len(whole) // 2, len(whole) - 1)
    clock(*map(grow, cuts), nothing, nothing, nothing, grow(len(whole)), nothing, renamed, nothing, nothing)
    assert main(["watch", *WATCH, "idle_s=40"]) == 0
    assert seen == [0, 0, 0, 0, 2]
    assert calls() == ["slow"] * 2 + ["atomic"] * 2
    err = capsys.readouterr().err
    assert err == (
        f"failed: ckpts/slow.safetensors: {len(whole) - 1} of {len(whole)} bytes are there; it is left until it changes\n"
    )


def test_a_broken_checkpoint_is_one_line_and_stops_no_other(
    clock: Callable[..., Clock], capsys: pytest.CaptureFixture[str]
) -> None:
    write("a.safetensors", b"nonsense", at=1)
    write("b.safetensors", save({"other": torch.zeros(1)}), at=2)
    write("c.safetensors", weights(3), at=3)
    clock(nothing, nothing, nothing, lambda: write("a.safetensors", weights(1)))
    assert main(["watch", *WATCH, "idle_s=35"]) == 2
    assert calls() == ["c"] * 2 + ["a"] * 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("failed: ckpts/a.safetensors: no safetensors file") and second.startswith(
        "failed: ckpts/b.safetensors: generate has no score: 2 of 2 clips failed technically"
    )
    assert second.endswith("it is left until it changes") and "KeyError" in second
    # A new start tries it again, in case that it was the machine's fault.
    write("b.safetensors", weights(2), at=2)
    assert main(["watch", *WATCH, "once=true"]) == 0
    assert calls()[4:] == ["b", "b"]


def test_the_same_bytes_under_another_name_are_scored_once(
    clock: Callable[..., Clock], capsys: pytest.CaptureFixture[str]
) -> None:
    clock()
    write("step-1.safetensors", weights(1), at=1)
    write("last.safetensors", weights(1), at=2)
    for _ in range(2):
        assert main(["watch", *WATCH, "once=true"]) == 0
        assert calls() == ["step-1"] * 2
    assert capsys.readouterr().out.count("the same bytes as ckpts/step-1.safetensors") == 1


def test_a_checkpoint_that_is_written_again_is_another_one(clock: Callable[..., Clock]) -> None:
    """The model keeps by its name what it has loaded, as the bundled generators do."""
    write("last.safetensors", weights(1), at=1)
    clock(nothing, lambda: write("last.safetensors", weights(2, good=False), at=2), nothing)
    assert main(["watch", *WATCH, "idle_s=15"]) == 0
    assert len(calls()) == 4
    runs = [Path(e["run"]) for e in json.loads((pages() / watch.JOURNAL).read_text())["checkpoints"]]
    assert [[json.loads(line)["value"] for line in (run / "scores.jsonl").read_text().splitlines()] for run in runs] == [
        [1.0, 1.0], [None, None]
    ]  # fmt: skip
    assert "hours after the first checkpoint" in (pages() / "curves.md").read_text()


def test_scores_of_a_checkpoint_that_changes_meanwhile_are_dropped(
    clock: Callable[..., Clock], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    carried_out = watch.Watch._carried_out
    dropped: list[Path] = []

    def disturbed(self: watch.Watch, *more: Any) -> Any:
        outcome = carried_out(self, *more)
        if not dropped:
            dropped.append(Path(outcome.folder))
            write("a.safetensors", weights(2))
        return outcome

    monkeypatch.setattr(watch.Watch, "_carried_out", disturbed)
    clock()
    write("a.safetensors", weights(1), at=1)
    assert main(["watch", *WATCH, "once=true"]) == 0
    assert capsys.readouterr().err == "ckpts/a.safetensors changed while it was scored: its scores are dropped\n"
    (entry,) = json.loads((pages() / watch.JOURNAL).read_text())["checkpoints"]
    assert not dropped[0].exists() and Path(entry["run"], "report.html").exists() and len(calls()) == 4


def test_folders_are_checkpoints_too(clock: Callable[..., Clock]) -> None:
    model = MODEL.replace("load_file(checkpoint)", 'load_file(f"{checkpoint}/weights.safetensors")')
    Path("watched_model.py").write_text(model)

    def written(step: int) -> None:
        Path("ckpts", "last").mkdir(exist_ok=True)
        write("last/weights.safetensors", weights(step), at=step)

    written(1)
    clock(nothing, lambda: written(2), nothing)
    assert main(["watch", "ckpts/*", *WATCH[1:], "idle_s=15"]) == 0
    runs = [e["run"] for e in json.loads((pages() / watch.JOURNAL).read_text())["checkpoints"]]
    assert len(set(runs)) == 2 and len(calls()) == 4
    for run in runs:
        words = shlex.split(json.loads(Path(run, "manifest.json").read_text())["command"])
        assert [w for w in words if w.startswith("out=")] == ([f'out="{run}"'] if run == runs[1] else [])


@pytest.mark.slow
def test_the_gate_stops_at_the_first_checkpoint_that_is_worse(
    clock: Callable[..., Clock], capsys: pytest.CaptureFixture[str]
) -> None:
    clock()
    twelve = [*WATCH, "suite.count=12"]
    write("step-1.safetensors", weights(1), at=1)
    assert main(["watch", *twelve, "once=true"]) == 0
    run = json.loads((pages() / watch.JOURNAL).read_text())["checkpoints"][0]["run"]
    assert main(["baseline", "save", run, "--out", "base"]) == 0
    gated = [*twelve, "baseline=base", "gate.drop=1"]
    write("step-2.safetensors", weights(2), at=2)
    assert main(["watch", *gated, "stop_on=gate", "once=true"]) == 0
    write("step-3.safetensors", weights(3, good=False), at=3)
    write("step-4.safetensors", weights(4), at=4)
    capsys.readouterr()
    assert main(["watch", *gated, "stop_on=gate", "idle_s=100"]) == 1
    said = capsys.readouterr().out
    assert "stopped: ckpts/step-3.safetensors is worse than base" in said and "regression: " in said
    assert "step-4" not in calls()
    # Without stop_on it goes on.
    assert main(["watch", *gated, "once=true"]) == 0
    assert calls().count("step-4") == 12 and len(calls()) == 4 * 12
    # The newest one decides: it is as good as the baseline.
    assert main(["watch", *gated, "stop_on=gate", "once=true"]) == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["out=here"], "out=here is the folder of one run"),
        (["stop_on=gate"], "set baseline=FOLDER"),
        (["stop_on=never"], "did you mean|known"),
        (["baseline=nowhere"], "nowhere: no such folder"),
        (["poll_s=0"], "poll_s must be a number above 0"),
        (["gate.drop=-1"], "drop must be a number"),
        (["generator=oracle"], "has no option checkpoint"),
        (["checkpoints=[1]"], "checkpoints must be a pattern"),
        (["shard=1/2"], "shard is for one large run"),
        (["polls=3"], "did you mean poll_s"),
        ([], "no file matches 'ckpts/\\*.safetensors'"),
    ],
)
def test_wrong_values_are_one_line(
    more: list[str], message: str, clock: Callable[..., Clock], capsys: pytest.CaptureFixture[str]
) -> None:
    clock()
    words = WATCH if more != ["generator=oracle"] else [WATCH[0], *SMALL]
    assert main(["watch", *words, "once=true", *more]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sora-eval: ")
    assert re.search(message, line), line


def test_a_baseline_of_other_cases_is_refused_before_anything_is_scored(
    clock: Callable[..., Clock], capsys: pytest.CaptureFixture[str]
) -> None:
    clock()
    write("a.safetensors", weights(1))
    assert main(["watch", *WATCH, "once=true"]) == 0
    run = json.loads((pages() / watch.JOURNAL).read_text())["checkpoints"][0]["run"]
    capsys.readouterr()
    assert main(["watch", *WATCH, "once=true", f"baseline={run}", "seed=1"]) == 2
    assert "2 of its 2 cases are not those of this watch" in capsys.readouterr().err
    assert len(calls()) == 2


@pytest.mark.slow
def test_a_watch_that_is_killed_scores_nothing_twice() -> None:
    for step in (1, 2, 3):
        write(f"step-{step}.safetensors", weights(step), at=step)
    command = [sys.executable, "-m", "sora_eval", "watch", *WATCH, "suite.count=6", "poll_s=0.05", "once=true"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # In the midst of the second one.
    while len(calls()) < 8 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = calls()
    assert 8 <= len(done) < 18
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    lines = Path("calls.txt").read_text().splitlines()
    # At most the clip in work was made again.
    assert len(set(lines)) == 18 and len(lines) <= 19
    assert calls()[: len(done)] == done and again.stdout.count("\ndone ") == 2
    assert "3 checkpoints" in (pages() / "curves.md").read_text()
