"""What a command prints and returns when something ends it early: an unforeseen exception, a killed worker, output that nobody reads."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import pytest

from sora_eval import registry
from sora_eval.commands import cli
from sora_eval.commands.cli import main
from sora_eval.errors import KILLED, TRACEBACK, ConfigError
from sora_eval.evaluation import evaluate
from sora_eval.fidelity.config import FidelityConfig
from sora_eval.fidelity.of_run import of_run
from sora_eval.generator.simulator import Control, Oracle
from sora_eval.processes import WorkerKilledError, completed
from sora_eval.types import Profile

ENDS = [
    (KeyError("x"), "internal error (KeyError: 'x'); please report it with what SORA_EVAL_TRACEBACK=1 shows"),
    (RecursionError("too\ndeep"), "internal error (RecursionError: too deep); please"),
    (MemoryError(), "out of memory: ask for fewer or smaller clips"),
    (BrokenProcessPool(), "the worker process was killed, as the system does when memory runs out"),
    (ConfigError("a\nb"), "a b"),
    (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
]


@pytest.mark.parametrize(("error", "said"), ENDS)
@pytest.mark.parametrize("command", ["list", "run", "gate"])
def test_whatever_ends_a_command_is_one_line_and_code_2(
    error: Exception, said: str, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*args: object) -> int:
        raise error

    if command == "gate":
        monkeypatch.setattr("sora_eval.commands.gate._gate", broken)
    else:
        monkeypatch.setitem(cli.COMMANDS, command, broken)
    assert main([command]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"sora-eval: {said}") and told.count("\n") == 1
    if command == "list":
        monkeypatch.setenv(TRACEBACK, "1")
        assert main([command]) == 2
        assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 1, None, "text"])
def test_a_run_that_something_else_ends_is_not_done(
    code: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(args: object) -> int:
        sys.exit(code)  # type: ignore[arg-type]

    monkeypatch.setitem(cli.COMMANDS, "run", ended)
    assert main(["run", "generator=callable"]) == 2
    assert "ended by sys.exit" in capsys.readouterr().err


def _console(words: str, **more: object) -> subprocess.CompletedProcess[str]:
    command = f"{sys.executable} -m sora_eval.commands.cli {words}"
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], text=True, capture_output=True, check=False, **more
    )


@pytest.mark.parametrize(
    ("words", "code"), [("list probes | head -1", 0), ("list probes >&-", 0), ("list probes 2>&1 >/dev/full", 2)]
)
def test_output_that_nobody_reads_ends_nothing_and_output_that_is_lost_is_told(words: str, code: int) -> None:
    done = _console(words)
    assert done.returncode == code
    said = done.stdout + done.stderr
    assert "Traceback" not in said and "Exception ignored" not in said
    assert ("can't be written (No space left on device)" in said) == (code == 2)


def test_a_run_whose_reader_goes_away_is_finished(tmp_path: Path) -> None:
    asked = "generator=oracle suite.probes=[relation] suite.modes=[t2v] suite.count=1 references=[] fidelity.metrics=[]"
    # head takes the first of several lines and goes; what is printed later meets a closed pipe, on both streams.
    done = _console(f"run {asked} players=0 workers=1 out={tmp_path / 'run'} 2>&1 | head -c 1")
    assert done.returncode == 0 and (tmp_path / "run" / "report.html").exists()


KILLER = '''
"""An oracle whose process is killed by one case, as the system kills one that wants too much memory."""
import os
import signal

from sora_eval.generator.simulator import Oracle


class Killer(Oracle):
    def generate(self, cases):
        for case, video in zip(cases, super().generate(cases), strict=True):
            if case.id.endswith("0001") and os.environ.get("KILLER", "") == "":
                os.kill(os.getpid(), signal.SIGKILL)
            yield video


def end(i, deadly):
    if i in deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    return i
'''


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_the_case_that_kills_it_and_is_asked_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "killer.py").write_text(KILLER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sora_eval.evaluation.CHUNK", 1)
    monkeypatch.setattr("sora_eval.processes.CHUNK", 1)
    import killer  # type: ignore[import-not-found]

    probe = registry.probe("relation")
    cases = probe.cases(3, Profile("small", 64, 64, 17, 8, 5), "t2v")
    ask = partial(evaluate, cases, {"relation": probe}, [killer.Killer()], tmp_path / "run", progress=False)
    first = ask(workers=2)
    assert first.scored == 3 and [r.value for r in first.rows] == [1.0, None, 1.0]
    assert first.rows[1].reason == KILLED
    monkeypatch.setenv("KILLER", "no more")
    again = ask()
    assert again.scored == 1 and [r.value for r in again.rows] == [1.0] * 3


ASKED = ["suite.probes=[relation]", "suite.modes=[t2v]", "suite.count=1", "references=[]", "players=0", "workers=1"]


def test_the_report_is_written_when_fidelity_breaks_down_and_the_same_command_measures_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "generator=oracle", *ASKED, "fidelity.metrics=[motion]", f"out={tmp_path}"]
    with monkeypatch.context() as broken:
        broken.setattr("sora_eval.fidelity.of_run.set_measures", lambda *args, **more: {}["gone"])
        assert main(words) == 1
    assert "problem: no fidelity: internal error (KeyError: 'gone')" in capsys.readouterr().err
    assert "no fidelity" in (tmp_path / "report.html").read_text()
    assert main(words) == 0
    assert "Traceback" not in capsys.readouterr().err and "motion" in (tmp_path / "fidelity.json").read_text()


def test_clips_that_kill_the_process_which_measures_them_leave_out_their_set_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = registry.probe("relation")
    cases = probe.cases(2, Profile("small", 64, 64, 17, 8, 5), "t2v")
    rows = evaluate(cases, {"relation": probe}, [Oracle(), Control("frozen")], tmp_path, progress=False).rows

    def killed(
        workers: int, calls: list[partial[object]], tries: int, preload: tuple[str, ...]
    ) -> list[tuple[int, object]]:
        return [(1, WorkerKilledError(KILLED)), (0, calls[0]())]

    monkeypatch.setattr("sora_eval.fidelity.of_run.completed", killed)
    found = of_run(cases, rows, tmp_path, FidelityConfig(("motion",)), workers=2)[cases[0].suite]
    assert [m.reason for m in found["frozen"]] == [KILLED] and found["frozen"][0].failed
    assert found["oracle"][0].reason != KILLED


def test_calls_that_were_in_work_beside_a_killed_one_are_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deadly.py").write_text(KILLER)
    monkeypatch.syspath_prepend(tmp_path)
    import deadly  # type: ignore[import-not-found]

    found = dict(completed(2, [partial(deadly.end, i, {1}) for i in range(5)], tries=2))
    assert sorted(found) == list(range(5))
    assert [i for i, result in found.items() if isinstance(result, WorkerKilledError)] == [1]
    assert all(result == i for i, result in found.items() if i != 1)
