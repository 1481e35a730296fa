"""Shell commands of README and docs: the syntax is right, and sub-commands, options and targets exist."""

import argparse
import ast
import re
import shlex
import subprocess
import sys
import tomllib

import pytest
from docs.pages import DOCS, ROOT, WRITTEN, fenced

from sora_eval.commands import hydra_app, sweep
from sora_eval.commands.cli import COMMANDS

BLOCKS = [(path.relative_to(ROOT).as_posix(), block) for path in WRITTEN for block in fenced(path, "sh")]


class Parsed(BaseException):
    """A command got as far as its arguments: no error of its own, so that no command handles it."""


def commands(program):
    """Return the commands of a program in all blocks, as lists of words, with the page of each."""
    found = []
    for page, block in BLOCKS:
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"\w+=\S*", words[0]):
                del words[0]
            if words and words[0].rpartition("/")[2] == program:
                found.append(pytest.param(words[1:], id=f"{page}: {' '.join(words)}"[:100]))
    return found


@pytest.fixture
def stopped(monkeypatch):
    """Let commands end where they have read their arguments."""
    parse = argparse.ArgumentParser.parse_args

    def parse_args(self, *args, **kwargs):
        parse(self, *args, **kwargs)
        raise Parsed

    def carry_out(*args, **kwargs):
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
    monkeypatch.setattr(hydra_app, "_command", lambda name: carry_out)
    monkeypatch.setattr(sweep, "sweep", carry_out)


@pytest.mark.parametrize(("page", "block"), BLOCKS, ids=[f"{p}-{i}" for i, (p, _) in enumerate(BLOCKS)])
def test_blocks_are_shell(page, block):
    done = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", commands("sora-eval"))
def test_options_exist(words, stopped, capsys):
    if "--include" in words:
        pytest.skip("below, with a folder to include")
    if words[0].startswith("-") or "--help" in words:
        assert words[0] in ("--help", "--version", *COMMANDS)
        return
    with pytest.raises(Parsed):
        COMMANDS[words[0]](words[1:])


def test_the_page_on_extending_shows_a_plug_in_that_works(tmp_path):
    model, declared = (
        next(b for b in fenced(DOCS / "extending.md", "python") if t in b) for t in ("level: int", "= {")
    )
    (tmp_path / "my_models.py").write_text(model)
    (tmp_path / "sora_eval_plugin.py").write_text(declared)
    small = ["suite.probes=[relation]", "suite.count=1", "suite.modes=[t2v]", "references=[]", "fidelity=null"]
    words = ["run", "--include", ".", "generator=tiny", "generator.level=90", *small, "tracking=false", "out=run"]
    command = [sys.executable, "-m", "sora_eval", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '"generator": "tiny"' in (tmp_path / "run" / "scores.jsonl").read_text()


def test_options_that_do_not_exist_are_found(stopped, capsys):
    with pytest.raises(SystemExit):
        COMMANDS["leaderboard"](["run", "--no-such-option"])
    with pytest.raises(Exception, match="no_such_key"):
        COMMANDS["run"](["no_such_key=1"])


@pytest.mark.parametrize("words", commands("make"))
def test_targets_exist(words):
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {w for w in words if "=" not in w} <= set(targets)


@pytest.mark.parametrize("words", commands("pip"))
def test_extras_exist(words):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for names in re.findall(r"\[([\w,]+)\]", " ".join(words)):
        assert set(names.split(",")) <= set(extras)


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_blocks_of_python_are_python(path):
    for block in fenced(path, "python"):
        ast.parse(block)
