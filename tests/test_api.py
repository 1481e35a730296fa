"""The Python API gives what the command gives."""

import doctest
import json

import numpy as np
import pytest

import sora_eval
from sora_eval import evaluate, load_run
from sora_eval.commands.cli import main
from sora_eval.errors import ConfigError

SMALL = {"probes": ["relation", "bite"], "modes": ["t2v"], "count": 1, "progress": False}


def grey(prompt, *, height, width, frames, fps, seed, conditioning):
    return np.full((frames, height, width, 3), 128, np.uint8)


def test_scores_are_those_of_the_command(tmp_path):
    result = evaluate("oracle", references=["frozen"], folder=tmp_path / "api", **SMALL)
    words = [
        "suite.probes=[relation,bite]",
        "suite.modes=[t2v]",
        "suite.count=1",
        "references=[frozen]",
        "fidelity=null",
    ]
    assert main(["run", *words, "tracking=false", "players=0", f"out={tmp_path / 'run'}"]) == 0
    scores = [(tmp_path / name / "scores.jsonl").read_text() for name in ("api", "run")]
    assert scores[0] == scores[1]
    assert load_run(tmp_path / "run").rows == result.rows
    assert [json.loads(line)["value"] for line in scores[0].splitlines()] == [row.value for row in result.rows]


def test_a_function_is_a_generator(tmp_path):
    result = evaluate(grey, references=[], **SMALL)
    assert {row.generator for row in result.rows} == {"grey"}
    assert "grey" in result.table()
    frame = result.to_pandas()
    assert len(frame) == len(result.rows) == 2
    assert frame["value"].isna().all()
    saved = result.save(tmp_path / "saved")
    assert saved.report().is_file()
    assert load_run(tmp_path / "saved").rows == result.rows
    assert evaluate(lambda prompt, **more: grey(prompt, **more), references=[], **SMALL).rows[0].generator == "lambda-"


def test_errors_name_what_is_wrong(tmp_path):
    with pytest.raises(ConfigError, match="did you mean smoke"):
        evaluate("oracle", suite="smok")
    with pytest.raises(ConfigError, match=r"suite.count must be a whole number from 1"):
        evaluate("oracle", count=0)
    with pytest.raises(ConfigError, match=r"manifest\.json"):
        load_run(tmp_path)


def test_the_example_of_the_package_runs():
    assert doctest.testmod(sora_eval).failed == 0
