"""Videos that are generated and kept are scored by the command that is printed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from sora_eval.commands.cli import main
from sora_eval.runs.reader import read_run

SMALL = ["suite.probes=[relation]", "suite.count=2", "suite.modes=[t2v]", "workers=1"]


def test_the_printed_command_scores_the_generated_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "generator=oracle", *SMALL, "samples=2", f"out={tmp_path / 'made'}"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    program, *words = shlex.split(line.partition("score them: ")[2])
    assert program == "sora-eval"
    rest = ["references=[]", "fidelity=null", "tracking=false", "players=0", "workers=1", f"out={tmp_path / 'run'}"]
    assert main([*words, *rest]) == 0
    rows = read_run(tmp_path / "run").rows
    assert {row.case for row in rows} == {p.stem for p in (tmp_path / "made" / "videos").iterdir()}
    assert [row.value for row in rows] == [1.0] * 4
