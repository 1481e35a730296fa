"""References are made on request alone where a model is scored at a large size, and a line says what they cost and what to type."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sora_eval.commands.cli import main
from sora_eval.cost import references
from sora_eval.runs import store
from sora_eval.runs.reader import read_run

WORDS = [
    "suite.probes=[relation]",
    "suite.modes=[t2v]",
    "suite.count=1",
    "fidelity=null",
    "tracking=false",
    "players=0",
]


def run(out: Path, *words: str) -> set[str]:
    """Return the generators of a run."""
    assert main(["run", *WORDS, "workers=1", f"out={out}", *words]) in (0, 1)
    return {r.generator for r in read_run(out).rows}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(store.CACHE, str(tmp_path / "cache"))


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the small profile count as large."""
    monkeypatch.setattr(references, "LARGE", 64 * 64 * 17)


def test_at_a_small_size_all_references_are_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "run", "generator=careless") == {"careless", *references.DEFAULT}
    assert "left out" not in capsys.readouterr().out


def test_at_a_large_size_a_model_has_the_cached_ones_alone(
    tmp_path: Path, cache: None, large: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "a", "generator=careless") == {"careless"}
    out = capsys.readouterr().out
    assert re.search(
        r"references: oracle, frozen, shuffled, mirrored are left out: at 64 x 64 x 17 they take some \d+ CPU", out
    )
    assert "'references=[oracle,frozen,shuffled,mirrored]' makes them" in out
    assert run(tmp_path / "b", "generator=careless", "references=[oracle,frozen]") == {"careless", "oracle", "frozen"}
    capsys.readouterr()
    assert run(tmp_path / "c", "generator=careless") == {"careless", "oracle", "frozen"}
    assert "shuffled, mirrored are left out; oracle, frozen come from the cache" in capsys.readouterr().out
    # The cache of one machine is not that of another, and shards must agree.
    assert main(["run", *WORDS, "generator=careless", "shard=1/1", f"out={tmp_path / 'd'}"]) in (0, 1)
    assert {r.generator for r in read_run(tmp_path / "d").rows} == {"careless"}


def test_the_oracle_itself_has_all(tmp_path: Path, cache: None, large: None) -> None:
    assert run(tmp_path / "run", "generator=oracle") == set(references.DEFAULT)


def test_plan_says_the_same(large: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *WORDS, "generator=careless", "measured=1", "workers=1"]) == 0
    out = capsys.readouterr().out
    assert "1 clips of the model, 0 of references" in out
    assert re.search(r"references are left out .*; 'references=\[oracle,.*\]' makes 4 clips more, \d+\.\d CPU", out)
