"""The Python API gives what the command gives."""

import doctest
import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hydra import compose, initialize_config_module

import sora_eval
from sora_eval import evaluate, load_run
from sora_eval.commands.cli import main
from sora_eval.errors import ConfigError
from sora_eval.generator.callable import PythonCallable

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


def _made(level, network=None):
    def model(prompt, *, height, width, frames, fps, seed, conditioning):
        return np.full((frames, height, width, 3), network.level if network else level, np.uint8)

    return model


def _of_source(level):
    scope = {"np": np}
    exec(
        "def model(prompt, *, height, width, frames, fps, seed, conditioning):\n"
        f"    return np.full((frames, height, width, 3), {level}, np.uint8)\n",
        scope,
    )
    return scope["model"]


@pytest.mark.parametrize(
    ("first", "again", "resumes"),
    [
        (_made(1), _made(1), True),
        (_made(1), _made(2), False),
        (_of_source(1), _of_source(1), True),
        (_of_source(1), _of_source(2), False),
        (_made(0, SimpleNamespace(level=1)), _made(0, SimpleNamespace(level=1)), False),
        (PythonCallable(_made(0, SimpleNamespace(level=1)), version="1"), PythonCallable(_made(1), version="1"), True),
    ],
)
def test_clips_of_one_function_never_pass_for_those_of_another(tmp_path, first, again, resumes):
    evaluate(first, references=[], folder=tmp_path, **SMALL)
    if resumes:
        assert evaluate(again, references=[], folder=tmp_path, **SMALL).rows
    else:
        with pytest.raises(ConfigError, match="a run of another model: its weights or options differ"):
            evaluate(again, references=[], folder=tmp_path, **SMALL)


def test_a_function_with_the_name_of_a_reference_is_refused():
    def oracle(prompt, **more):
        return grey(prompt, **more)

    with pytest.raises(ConfigError, match="'oracle' is the name of a reference"):
        evaluate(oracle, **SMALL)


def test_hydra_stays_as_the_caller_has_it():
    with initialize_config_module("sora_eval.conf", version_base="1.3"):
        evaluate(grey, references=[], **SMALL)
        assert compose("quiet") is not None


def test_errors_name_what_is_wrong(tmp_path):
    with pytest.raises(ConfigError, match="did you mean smoke"):
        evaluate("oracle", suite="smok")
    with pytest.raises(ConfigError, match=r"suite.count must be a whole number from 1"):
        evaluate("oracle", count=0)
    with pytest.raises(ConfigError, match=r"manifest\.json"):
        load_run(tmp_path)


def test_the_example_of_the_package_runs():
    assert doctest.testmod(sora_eval).failed == 0


def test_an_expander_rewrites_what_a_function_gets():
    sent = []

    def record(prompt, **more):
        sent.append(prompt)
        return grey(prompt, **more)

    rows = evaluate(record, references=[], expander="bundled", **SMALL).rows
    assert len(rows) == len(sent) == 2
    assert all(len(text) > len(row.prompt) for text, row in zip(sent, rows, strict=True))


def test_a_script_without_a_main_guard_is_told_so(tmp_path):
    # Its workers import it, and would wait for the run folder that it holds.
    script = tmp_path / "script.py"
    words = {**SMALL, "count": 8, "references": [], "workers": 2, "folder": str(tmp_path / "run")}
    script.write_text(
        "import numpy as np\nfrom sora_eval import evaluate\n\n"
        "def grey(prompt, *, height, width, frames, **more):\n    return np.zeros((frames, height, width, 3), np.uint8)\n\n"
        f"evaluate(grey, **{words!r})\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert 'put what the script does under `if __name__ == "__main__":`' in done.stderr.splitlines()[-1]
