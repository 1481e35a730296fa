"""Shards of one run: together they are the unsplit run, to the byte."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sora_eval.commands.cli import main
from sora_eval.errors import ConfigError
from sora_eval.runs import sharding
from sora_eval.types import Case

ASKED = ["suite.probes=[relation,motion]", "suite.modes=[t2v]", "suite.count=3", "workers=1", "generator=careless"]
MORE = ["references=[oracle]", "fidelity.metrics=[]", "players=0"]
COMPARED = ("scores.jsonl", "summary.json", "tracking.jsonl", "tracking.json")
SCENES = 4
"""Two probes of three cases each, of which two are twins."""


def run(out: Path, *more: str) -> int:
    return main(["run", *ASKED, *MORE, f"out={out}", *more])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    assert run(out) in (0, 1)
    return out


def same(folder: Path, whole: Path) -> bool:
    """Whether a folder holds the very scores and summary of the unsplit run, and every clip that they name."""
    rows = [json.loads(line) for line in (folder / "scores.jsonl").read_text().splitlines()]
    assert all((folder / r["video"]).is_file() and (folder / r["tracks"]).is_file() for r in rows if r["video"])
    return all((folder / n).read_bytes() == (whole / n).read_bytes() for n in COMPARED)


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_the_last_shard_in_a_folder_makes_it_the_unsplit_run(
    tmp_path: Path, whole: Path, n: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert n <= SCENES or n == 7
    for i in reversed(range(1, n + 1)):
        assert not (tmp_path / "scores.jsonl").exists()
        assert run(tmp_path, f"shard={i}/{n}") in (0, 1)
        assert ("report: " in capsys.readouterr().out) == (i == 1)
    assert same(tmp_path, whole)
    # The same command finds nothing to do, split or not.
    for more in ([f"shard=1/{n}"], []):
        assert run(tmp_path, *more) in (0, 1)
        assert "nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize("n", [2, 7])
def test_shards_of_several_folders_are_merged(tmp_path: Path, whole: Path, n: int) -> None:
    parts = [tmp_path / f"part{i}" for i in range(1, n + 1)]
    for i, part in enumerate(parts, start=1):
        assert run(part, f"shard={i}/{n}") in (0, 1)
    out = tmp_path / "merged"
    assert main(["merge", *map(str, parts), "--out", str(out)]) in (0, 1)
    assert same(out, whole)
    assert (out / "report.html").exists()
    manifest = json.loads((out / "manifest.json").read_text())
    assert "shard=" not in manifest["command"] and manifest["config"]["out"] == str(out)
    assert manifest["generators"] == json.loads((whole / "manifest.json").read_text())["generators"]


def test_shards_of_another_alignment_are_of_another_run(tmp_path: Path) -> None:
    assert run(tmp_path, "shard=1/2") in (0, 1)
    manifest = json.loads((tmp_path / "shards" / "1-of-2.json").read_text())["about"]
    assert sharding.missing(tmp_path, 2, manifest) == [2]
    # Those of before it was recorded are of the first one.
    del manifest["versions"]["alignment"]
    assert sharding.missing(tmp_path, 2, manifest) == [2]
    manifest["versions"]["alignment"] = "2"
    assert sharding.missing(tmp_path, 2, manifest) == [1, 2]


def test_what_cannot_be_merged_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, empty = tmp_path / "a", tmp_path / "b", tmp_path / "empty"
    empty.mkdir()
    assert run(a, "shard=1/2") in (0, 1)
    assert run(b, "shard=2/2", "seed=1") in (0, 1)
    out = ["--out", str(tmp_path / "out")]
    for words, said in (
        ([str(a)], "shard 2/2 is in none of these folders: run it first"),
        ([str(a), str(b), *out], "holds a shard of other cases than"),
        ([str(a), str(b)], "set --out FOLDER"),
        ([str(a), str(empty), *out], "no shard was run there"),
    ):
        capsys.readouterr()
        assert main(["merge", *words]) == 2
        err = capsys.readouterr().err
        assert said in err and err.count("\n") == 1
    whole = json.loads((a / "shards" / "1-of-2.json").read_text())
    for part in (
        {"timings": {"seconds": "12"}},
        {"clips": {"oracle": {"made": "1", "reused": 0, "failed": 0}}},
        {"clips": {}},
    ):
        spoilt = {**whole, "about": {**whole["about"], **part}}
        (a / "shards" / "2-of-2.json").write_text(json.dumps(spoilt))
        assert main(["merge", str(a)]) == 2
        assert "2-of-2.json: not a shard's scores" in capsys.readouterr().err
    (a / "shards" / "2-of-2.json").write_text('{"about": {}}')
    assert main(["merge", str(a)]) == 2
    assert "2-of-2.json: not a shard's scores" in capsys.readouterr().err
    for wrong in ("0/2", "3/2", "1", "a/b"):
        assert run(tmp_path / "never", f"shard={wrong}") == 2
        assert "write shard=I/N" in capsys.readouterr().err


def _case(number: int, scene: int) -> Case:
    return Case(f"c{number}", "s", "p", "t2v", "", (8, 8), 8.0, 8, 0, 0, {}, {}, f"scene{scene}")


@pytest.mark.parametrize("n", [1, 2, 3, 5, 50])
def test_every_case_is_in_one_shard_and_scenes_stay_whole(n: int) -> None:
    cases = [_case(i, (i * 7) % 11) for i in range(40)]
    parts = [sharding.part(cases, (i, n)) for i in range(1, n + 1)]
    assert sorted(c.id for part in parts for c in part) == sorted(c.id for c in cases)
    scenes = [{c.cluster for c in part} for part in parts]
    assert sum(map(len, scenes)) == 11
    # Dealt out in turn, no shard has two scenes more than another.
    assert max(map(len, scenes)) - min(map(len, scenes)) <= 1


def test_a_shard_of_another_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "shard=1/2") in (0, 1)
    assert run(tmp_path, "shard=2/2", "generator.rate=0.1") == 2
    assert "holds a run of another careless" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="shard 2/2 is missing"):
        sharding.merged(tmp_path, [], 2)


def test_shards_that_are_run_again_wait_for_each_other_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of the run before are there, and no parts of this one."""
    for i in (1, 2):
        assert run(tmp_path, f"shard={i}/2") in (0, 1)
    more = ["generator.rate=0.9", "replace=true"]
    capsys.readouterr()
    assert run(tmp_path, "shard=1/2", *more) in (0, 1)
    assert "report: " not in capsys.readouterr().out and not (tmp_path / "manifest.json").exists()
    assert run(tmp_path, "shard=2/2", *more) in (0, 1)
    assert "report: " in capsys.readouterr().out
    assert run(tmp_path / "whole", *more) in (0, 1)
    assert same(tmp_path, tmp_path / "whole")


def test_shards_that_were_run_again_are_merged_anew_and_only_where_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts, out = [tmp_path / "a", tmp_path / "b"], tmp_path / "merged"
    words = ["merge", *map(str, parts), "--out", str(out)]
    for rate in ("0.1", "0.9"):
        for i, part in enumerate(parts, start=1):
            assert run(part, f"shard={i}/2", f"generator.rate={rate}", "replace=true") in (0, 1)
        assert main(words) in ((2,) if rate == "0.9" else (0, 1))
    assert "holds another run than" in capsys.readouterr().err
    assert main([*words, "--replace"]) in (0, 1)
    assert run(tmp_path / "whole", "generator.rate=0.9") in (0, 1)
    assert same(out, tmp_path / "whole")


def test_of_several_splits_the_last_one_is_merged(tmp_path: Path, whole: Path) -> None:
    for i in (1, 2):
        assert run(tmp_path, f"shard={i}/2", "generator.rate=0.9") in (0, 1)
    for path in (tmp_path / "shards").iterdir():
        os.utime(path, (1, 1))
    for i in (1, 2, 3):
        assert run(tmp_path, f"shard={i}/3", "replace=true") in (0, 1)
    assert main(["merge", str(tmp_path)]) in (0, 1)
    assert same(tmp_path, whole)
