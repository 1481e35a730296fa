"""A run of many cases: shards, merge, summary and page, with scores in Parquet (benchmarks/many_cases.py has 100,000)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks import many_cases

from sora_eval.commands.cli import main
from sora_eval.errors import ConfigError
from sora_eval.runs import sharding, store
from sora_eval.runs.reader import read_run

COUNT = 5000


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many") / "run"
    with pytest.MonkeyPatch.context() as patch:
        for module in (store, sharding):
            patch.setattr(module, "MANY", COUNT // 10)
        assert many_cases.write_shards(COUNT, folder) >= COUNT
        assert main(["merge", str(folder)]) in (0, 1)
    return folder


def test_scores_are_those_of_the_shards_to_the_last_bit(merged: Path) -> None:
    run = read_run(merged)
    assert len(run.rows) >= COUNT and not (merged / "scores.jsonl").exists()
    assert list(run.rows) == list(many_cases.made_up(run.cases, "careless"))
    assert not any(json.loads(p.read_text())["rows"] for p in (merged / "shards").glob("*.json"))


def test_the_page_holds_the_worst_clips_not_all(merged: Path) -> None:
    assert (merged / "report.html").stat().st_size < 4_000_000
    (overall,) = json.loads((merged / "summary.json").read_text())["overall"]
    assert overall["n"] == len(read_run(merged).rows)
    assert 'href="rows.parquet"' in (merged / "report.html").read_text()


def test_a_damaged_file_of_scores_is_one_line(merged: Path, tmp_path: Path) -> None:
    stored = (merged / "rows.parquet").read_bytes()
    for damaged in (b"", stored[:100], stored[: len(stored) // 2], b"x" + stored[1:-4]):
        (tmp_path / "rows.parquet").write_bytes(damaged)
        with pytest.raises(ConfigError, match="no scores"):
            list(store.read_parquet(tmp_path / "rows.parquet"))
