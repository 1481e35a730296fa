"""sora-eval leaderboard: exit codes, and one clear line for every kind of bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.leaderboard import made_up_cases, made_up_run

from sora_eval.commands import cli


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    """Runs of two models on the same three cases."""
    cases = [c for c in made_up_cases(3) if c.probe == "physics_0" and c.mode == "t2v"]
    return [made_up_run(tmp_path / name, name, skill, cases) for name, skill in (("bad", 0.2), ("good", 0.9))]


def ask(*args: object) -> int:
    """Return the exit code of a leaderboard."""
    return cli.main(["leaderboard", *map(str, args)])


def test_three_files_are_written_and_the_page_is_named(
    two: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert ask(*two, "--out", out, "--against", "bad", "--sort", "physics") == 0
    assert capsys.readouterr().out == f"leaderboard: {out / 'leaderboard.html'}\n"
    assert sorted(p.name for p in out.iterdir()) == ["leaderboard.csv", "leaderboard.html", "leaderboard.md"]
    assert f"sora-eval leaderboard {two[0]} {two[1]} --out {out} --against bad" in (out / "leaderboard.md").read_text()


def test_other_protocols_are_refused_line_by_line(
    two: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = two[1] / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["hashes"]["probes"] = {"physics_0": 2}
    manifest["versions"]["world"] = "9"
    path.write_text(json.dumps(manifest))
    assert ask(*two, "--out", tmp_path / "out") == 2
    first, *lines = capsys.readouterr().err.splitlines()
    assert "--common" in first
    assert [line.split(":")[1].strip() for line in lines] == ["world", "version of probe physics_0"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda run: (run / "scores.jsonl").unlink(), "the run is not finished (scores.jsonl is missing)"),
        (lambda run: (run / "manifest.json").unlink(), "the run is not finished (manifest.json is missing)"),
        (lambda run: (run / "scores.jsonl").write_text('{"case": '), "scores.jsonl:1: cut off or broken JSON"),
        (lambda run: (run / "cases.jsonl").write_text(""), "is not in cases.jsonl"),
        (lambda run: run.rename(run.with_name("gone")), "no such folder"),
    ],
)
def test_a_broken_run_is_one_line(
    two: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], harm: object, said: str
) -> None:
    harm(two[1])  # type: ignore[operator]
    assert ask(*two, "--out", tmp_path / "out") == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and err.startswith(f"sora-eval: {two[1]}")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "no run is given"),
        (["--sort", "phisics"], "unknown suite 'phisics': did you mean physics?"),
        (["--against", "god"], "unknown model 'god': did you mean good?"),
    ],
)
def test_a_wrong_option_is_one_line(
    two: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str], said: str
) -> None:
    assert ask(*(two if args else []), *args, "--out", tmp_path / "out") == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_nothing_shared_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [made_up_run(tmp_path / f"m{seed}", f"m{seed}", 0.5, made_up_cases(1, seed)[:2]) for seed in (0, 1)]
    assert ask(*runs, "--common", "--out", tmp_path / "out") == 2
    err = capsys.readouterr().err
    assert "share nothing that can be compared" in err and err.count("\n") == 1
