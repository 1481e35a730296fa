"""A small finished run, copied for each test that changes it."""

import shutil

import pytest

from sora_eval.commands.cli import main

SMALL = [
    *("suite.probes=[relation]", "suite.count=4", "suite.modes=[t2v,i2v]", "fidelity=null", "references=[]", "tracking=false"),
    *("players=0", "workers=1"),
]  # fmt: skip


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A run whose prompts were rewritten; read it, don't change it."""
    folder = tmp_path_factory.mktemp("recipe") / "run"
    assert main(["run", "generator=careless", "prompts.expander=bundled", *SMALL, f"out={folder}"]) == 0
    return folder


@pytest.fixture
def run(made, tmp_path):
    """A copy of it."""
    return shutil.copytree(made, tmp_path / "run")
