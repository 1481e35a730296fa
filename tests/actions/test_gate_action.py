"""The composite action of the gate, step by step as GitHub's runner would, against a server that has GitHub's two endpoints of comments."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from actions.runner import BOT, Comments, Job, run_action, serving

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github" / "actions" / "sora-eval-gate"
REPOSITORY, PULL, TOKEN = "owner/model", 7, "ghs_0123456789"
MARK = "<!-- sora-eval-gate: sora-eval-gate -->"
RUN = "suite.count=24\nsuite.probes=[bite]\n"
"""12 scenes: without any difference they exclude a drop of .4 at alpha .05."""

Gate = Callable[..., Job]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a bin folder whose `python` records what pip is to install, and is Python for all else."""
    work = tmp_path_factory.mktemp("work space")
    (work / "bin").mkdir()
    stand_in = work / "bin" / "python"
    stand_in.write_text(
        f'#!/bin/bash\nif [[ "$1 $2" == "-m pip" ]]; then printf "%s\\n" "${{@:3}}" >>"{work}/pip"\n'
        f'else exec {sys.executable} "$@"; fi\n'
    )
    stand_in.chmod(0o755)
    return work


@pytest.fixture
def comments() -> Iterator[Comments]:
    # More than a page of them, so that the own one is on the second.
    with serving(Comments(TOKEN, others=120), REPOSITORY, PULL) as server:
        yield server


@pytest.fixture
def gate(workspace: Path, comments: Comments) -> Gate:
    def run(*, pull: bool = True, **inputs: str) -> Job:
        event = workspace / "event.json"
        event.write_text(json.dumps({"pull_request": {"number": PULL}} if pull else {"ref": "refs/heads/main"}))
        binaries = [str(workspace / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        env = {
            "PATH": os.pathsep.join(binaries),
            "JOB_TOKEN": TOKEN,
            "GITHUB_API_URL": comments.url,
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ID": "42",
            "GITHUB_EVENT_PATH": str(event),
            "OMP_NUM_THREADS": "1",
        }
        return run_action(ACTION, {name.replace("_", "-"): value for name, value in inputs.items()}, workspace, env)

    return run


@pytest.fixture(scope="module")
def made(workspace: Path) -> Path:
    """The folder in which the first test of the module leaves the original's run."""
    return workspace / "sora-eval-gate" / "baseline"


def test_an_engine_that_makes_the_same_passes_and_a_broken_one_does_not(
    gate: Gate, comments: Comments, workspace: Path, made: Path
) -> None:
    options = {"margin": "0.4", "baseline_options": f"generator=oracle\n{RUN}"}
    job = gate(**options, candidate_options="generator=oracle\n")
    assert job.code == 0, job.log
    assert job.outputs == {
        "verdict": "non-inferior",
        "exit-code": "0",
        "page": str(workspace / "sora-eval-gate" / "gate.html"),
    }
    assert job.summary.startswith("## sora-eval gate: non-inferior\n") and "| overall | 1.000 | 1.000 |" in job.summary
    assert re.search(r"(\d+) of \1 clips are the same bytes", job.summary)
    (own,) = comments.of(BOT)
    assert own.startswith(f"{MARK}\n## sora-eval gate: non-inferior\n")
    assert own.endswith("(https://github.example/owner/model/actions/runs/42)")
    assert [name for name, _ in job.used] == ["actions/setup-python@v5", "actions/upload-artifact@v4"]
    uploaded = job.used[1][1]["path"].split()
    assert sorted(f.name for pattern in uploaded for f in workspace.glob(pattern)) == sorted(
        ["gate.html", "gate.md", "gate.xml", "summary.md"]
    )
    (installed,) = (workspace / "pip").read_text().splitlines()[1:]
    assert tomllib.loads((Path(installed) / "pyproject.toml").read_text())["project"]["name"] == "sora-eval"

    # Clips that stand still: the comment of before is updated, and a stranger's with the same mark is left alone.
    comments.add(f"{MARK}\nall is well", "somebody")
    job = gate(
        margin="0.4", baseline=str(made), candidate_options="generator=control\ngenerator.control=frozen", out="frozen"
    )
    assert (job.code, job.outputs["verdict"], job.outputs["exit-code"]) == (1, "inferior", "1"), job.log
    assert "::error::sora-eval gate: inferior" in job.log
    assert "INFERIOR" in job.summary
    assert comments.calls == ["GET 200", "GET 200", "POST 201", "GET 200", "GET 200", "PATCH 200"]
    (own,) = comments.of(BOT)
    assert own.startswith(f"{MARK}\n## sora-eval gate: inferior\n")
    assert f"{MARK}\nall is well" in comments.of("somebody")


def test_undecided_is_no_pass_unless_that_is_wanted(gate: Gate, comments: Comments, made: Path) -> None:
    inputs = {"margin": "0.05", "baseline": str(made), "candidate": str(made), "out": "small"}
    job = gate(**inputs)
    assert (job.code, job.outputs["verdict"]) == (3, "undecided"), job.log
    assert re.search(r"about \d+ more cases would decide", comments.of(BOT)[0])
    job = gate(**inputs, undecided="warn")
    assert (job.code, job.outputs["exit-code"]) == (0, "3"), job.log
    assert "::warning::" in job.log


def test_without_a_margin_it_looks_for_regressions_and_outside_pull_requests_it_does_not_comment(
    gate: Gate, comments: Comments, made: Path
) -> None:
    job = gate(margin="", baseline=str(made), candidate=str(made), out="regression", set="drop=0.4\n", pull=False)
    assert (job.code, job.outputs["verdict"]) == (0, "passed"), job.log
    assert comments.calls == []


def test_what_cannot_be_compared_says_why_and_a_token_that_may_not_write_is_a_warning(
    gate: Gate, comments: Comments
) -> None:
    comments.writable = False
    job = gate(baseline="nowhere", candidate="nowhere", out="none")
    assert (job.code, job.outputs["verdict"]) == (2, "incomparable"), job.log
    assert "nowhere: no such folder" in job.summary
    assert "::warning::sora-eval gate: the comment could not be written (Forbidden)" in job.log
    assert comments.of(BOT) == []


def test_inputs_are_no_part_of_a_script(gate: Gate, workspace: Path) -> None:
    evil = '"; touch injected; $(touch injected) `touch injected`'
    names = ("baseline", "candidate", "margin", "set", "arguments", "workers", "name", "package", "undecided")
    job = gate(**dict.fromkeys(names, evil), out="evil")
    assert job.code == 2, job.log
    assert not list(workspace.rglob("injected"))
    for step in yaml.safe_load((ACTION / "action.yml").read_text())["runs"]["steps"]:
        assert "${{" not in step.get("run", "")


def test_the_example_gives_inputs_that_the_action_has() -> None:
    page = (ROOT / "docs" / "ci.md").read_text()
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    examples = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    steps = [step for example in examples for job in example["jobs"].values() for step in job["steps"]]
    (used,) = (step for step in steps if ACTION.name in step.get("uses", ""))
    assert set(used["with"]) <= set(action["inputs"])
    for name in (*action["inputs"], *action["outputs"]):
        assert f"`{name}" in page, name
