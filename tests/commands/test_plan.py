"""The cost of a run before it starts."""

from __future__ import annotations

import re

import pytest

from sora_eval.commands.cli import main

SMALL = ["suite.probes=[relation,motion]", "suite.modes=[t2v,i2v]", "suite.count=2", "measured=1", "workers=1"]


def test_a_plan_counts_clips_and_measures_each_stage(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["references=[oracle,frozen]", "samples=3", "model_seconds=30"]
    assert main(["plan", *SMALL, *words, "fidelity.metrics=[motion,full_reference]"]) == 0
    out = capsys.readouterr().out
    # 2 probes x 2 modes x 2 cases; 3 samples of the model, 1 of each of 2 references.
    assert "8 cases of 2 probes, 24 clips of the model, 16 of references" in out
    assert "680 frames of 64 x 64" in out
    stages = dict(re.findall(r"^(\w[\w ]*?) +\d+\.\d+ +(\d+) +\d+\.\d$", out, flags=re.M))
    assert stages == {
        "render": "8",
        "store": "40",
        "track": "40",
        "score": "40",
        "tracking metrics": "40",
        "fidelity": "40",
        "full_reference": "24",
    }
    assert "the model: 12.0 minutes at 30 s per clip" in out


@pytest.mark.parametrize(
    "words", [["prompts=natural/left_right"], ["prompts=natural/left_right", "references=[]", "samples=2"]]
)
def test_prompts_without_true_clips_are_one_line(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(["plan", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "plan measures true clips" in line and "suite.count=" in line


def test_what_is_switched_off_costs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *SMALL, "references=[]", "fidelity=null", "tracking=false"]) == 0
    out = capsys.readouterr().out
    for stage in ("render", "tracking metrics", "fidelity", "full_reference"):
        assert re.search(rf"^{stage} +\d+\.\d+ +0 +0\.0$", out, flags=re.M)
    assert "the model:" not in out
