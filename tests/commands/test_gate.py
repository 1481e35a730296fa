"""`sora-eval gate` and `sora-eval baseline` on run folders: exit codes, files, and a clear line for every bad input."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
import yaml
from commands.gate_runs import PROBES, cases_of, half_right, right, write_run

from sora_eval import registry
from sora_eval.commands.cli import main
from sora_eval.commands.gate import _parser
from sora_eval.evaluation import evaluate
from sora_eval.files import write_lines
from sora_eval.generator.callable import PythonCallable
from sora_eval.runs.baseline import read_scored


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which all is right, and its baseline; read, don't change."""
    folder = tmp_path_factory.mktemp("gate")
    write_run(folder / "run", cases_of(24), right)
    assert main(["baseline", "save", str(folder / "run"), "--out", str(folder / "baseline")]) == 0
    return folder


@pytest.fixture(autouse=True)
def no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests may themselves run in a CI job."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def gate(good: Path, candidate: Path, *more: str) -> int:
    return main(["gate", "--baseline", str(good / "baseline"), "--candidate", str(candidate), *more])


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    text = capsys.readouterr().err
    assert text.startswith("sora-eval: ") and text.count("\n") == 1, text
    return text


# Verdicts


def test_a_baseline_is_small_whole_and_the_same_bytes_each_time(good: Path, tmp_path: Path) -> None:
    main(["baseline", "save", str(good / "run"), "--out", str(tmp_path / "again")])
    names = sorted(p.name for p in (tmp_path / "again").iterdir())
    assert names == ["cases.parquet", "manifest.json", "scores.parquet"]
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (good / "baseline" / name).read_bytes()
    assert sum(p.stat().st_size for p in (tmp_path / "again").iterdir()) < 400 * 72
    assert "somewhere" not in (tmp_path / "again" / "manifest.json").read_text()


def test_a_baseline_gives_back_cases_and_scores(good: Path, tmp_path: Path) -> None:
    from sora_eval.runs.baseline import read_scored

    run = write_run(tmp_path / "run", cases_of(4), lambda c: None if c.id.endswith("1") else half_right(c))
    main(["baseline", "save", str(run), "--out", str(tmp_path / "base")])
    a, b = read_scored(run), read_scored(tmp_path / "base")
    assert a.run.cases == b.run.cases
    assert a.rows == b.rows


def test_the_same_scores_pass(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gate(good, good / "run") == 0
    out = capsys.readouterr().out
    assert "passed: no drop as large as the one to be detected (overall 0.1)" in out
    assert "smallest detectable drop" in out


def test_a_broken_probe_is_stopped_and_named_in_table_junit_and_markdown(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    run = write_run(tmp_path / "run", cases_of(24), lambda c: 1.0 - (c.probe == "bite"))
    assert gate(good, run, "--out", str(tmp_path / "out")) == 1
    out = capsys.readouterr().out
    assert "regression: overall (-0.500), bite (-1.000)" in out
    root = ElementTree.parse(tmp_path / "out" / "gate.xml").getroot()
    suite = root.find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "2", "0")
    failed = [c.get("name") for c in suite.iter("testcase") if c.find("failure") is not None]
    assert failed == ["overall", "bite"]
    text = (tmp_path / "out" / "gate.md").read_text()
    assert "## sora-eval gate: regression" in text
    assert page.read_text() == "before\n" + text
    assert not (run / "gate.md").exists()


def test_too_little_evidence_is_an_error_in_junit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", cases_of(2), half_right)
    assert main(["gate", "--baseline", str(run), "--candidate", str(run)]) == 3
    assert "too little evidence to exclude a drop of overall 0.1" in capsys.readouterr().out
    suite = ElementTree.parse(run / "gate.xml").getroot().find("testsuite")
    assert suite is not None
    assert [c.get("name") for c in suite.iter("testcase") if c.find("error") is not None] == ["overall"]


def test_one_case_is_too_little(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", cases_of(1, ("bite",)), right)
    assert main(["gate", "--baseline", str(run), "--candidate", str(run)]) == 3
    assert main(["gate", "--baseline", str(run), "--candidate", str(run), "--sequential"]) == 3


def test_tolerance_and_drop_come_from_the_plan(good: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", cases_of(24), lambda c: 0.9)
    assert gate(good, run) == 1
    plan = tmp_path / "loose.yaml"
    plan.write_text("alpha: 0.05\ntolerance: 0.25\ndrop: 0.4\n")
    assert gate(good, run, "--config", str(plan)) == 0
    assert gate(good, run, "--config", str(plan), "--set", "tolerances.bite=0") == 1


def test_a_moved_run_and_a_copied_baseline_are_the_same(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(good, tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    assert gate(Path("elsewhere"), Path("elsewhere/run")) == 0


def test_a_candidate_with_more_cases_is_compared_on_those_of_the_baseline(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", cases_of(26, (*PROBES, "orbit")), right)
    assert gate(good, run) == 0
    assert "note: compared on 72 cases, of 72 of the baseline and 104 of the candidate" in capsys.readouterr().out


def test_sequential_walks_through_a_finished_run_and_stops(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gate(good, good / "run", "--sequential", "--out", str(tmp_path)) == 3
    assert "too little evidence" in capsys.readouterr().out
    assert gate(good, good / "run", "--sequential", "--set", "drop=0.4", "--out", str(tmp_path)) == 0
    assert "note: the verdict was certain after" in capsys.readouterr().out
    run = write_run(tmp_path / "run", cases_of(24), lambda c: 0.0)
    assert gate(good, run, "--sequential", "--out", str(tmp_path)) == 1


def test_sequential_generates_only_what_it_needs_and_a_run_goes_on_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = cases_of(24, ("bite",))
    run = write_run(tmp_path / "run", cases, right)
    monkeypatch.chdir(tmp_path)
    source = "import numpy as np\n\n\ndef nothing(prompt, *, height, width, frames, fps, seed, conditioning):\n"
    Path("drawn_for_the_gate.py").write_text(source + "    return np.full((frames, height, width, 3), 200, np.uint8)\n")
    target, out = "drawn_for_the_gate:nothing", tmp_path / "candidate"
    args = ["gate", "--baseline", str(run), "--sequential", "--out", str(out)]
    assert main([*args, "generator=callable", f"generator.target={target}"]) == 1
    assert "note: the verdict was certain after" in capsys.readouterr().out
    done = {p: p.stat().st_mtime_ns for p in (out / "scores").rglob("*.json")}
    assert 0 < len(done) < len(cases)
    assert len(done) % 2 == 0
    # Once more: nothing is made again.
    assert main([*args, "generator=callable", f"generator.target={target}"]) == 1
    assert {p: p.stat().st_mtime_ns for p in (out / "scores").rglob("*.json")} == done
    made = evaluate(cases, {"bite": registry.probe("bite")}, [PythonCallable(target)], out, progress=False).scored
    assert made == len(cases) - len(done)
    # What is sent may be rewritten.
    args[-1] = str(tmp_path / "rewritten")
    assert main([*args, "generator=callable", f"generator.target={target}", "prompts.expander=bundled"]) == 1
    assert len(list((tmp_path / "rewritten" / "prompts").glob("*.json"))) == len(cases)


# What cannot be compared


def test_an_unfinished_run(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", cases_of(24), right)
    lines = (run / "scores.jsonl").read_text().splitlines()
    (run / "scores.jsonl").write_text("\n".join(lines[1:]) + "\n")
    assert gate(good, run) == 2
    assert "unfinished run, model has no score of 1 of 72 cases" in one_line(capsys)
    (run / "scores.jsonl").unlink()
    assert gate(good, run) == 2
    assert "an unfinished run, scores.jsonl is missing; run the same command again" in one_line(capsys)


def test_no_run_at_all(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gate(good, tmp_path / "nothing") == 2
    assert "nothing: no such folder" in one_line(capsys)
    assert gate(good, tmp_path) == 2
    assert "neither a run's folder nor a baseline" in one_line(capsys)
    assert main(["gate", "--baseline", str(good / "baseline")]) == 2
    assert "set --candidate RUN" in one_line(capsys)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m["hashes"]["probes"].update(bite=99), "version of probe bite: "),
        (lambda m: m["versions"].update(tracker="99"), "tracker: "),
        (lambda m: m["versions"].update(world="99"), "world: "),
        (lambda m: m["versions"].update(alignment="99"), "alignment: "),
    ],
)
def test_another_protocol(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], edit: Callable[[Any], None], message: str
) -> None:
    run = write_run(tmp_path / "run", cases_of(24), right)
    manifest = json.loads((run / "manifest.json").read_text())
    edit(manifest)
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert gate(good, run) == 2
    text = one_line(capsys)
    assert f"cannot be compared: {message}" in text and "99 in candidate" in text


def test_another_size_and_another_seed(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "size", [replace(c, size=(128, 128)) for c in cases_of(24)], right)
    assert gate(good, run) == 2
    assert "size: 64x64 in baseline; 128x128 in candidate" in one_line(capsys)
    run = write_run(tmp_path / "seed", cases_of(24, seed=1), right)
    assert gate(good, run) == 2
    assert "have the same id and ask for something else" in one_line(capsys)


def test_an_empty_intersection_and_a_part(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "other", cases_of(24, ("orbit",)), right)
    assert gate(good, run) == 2
    assert "candidate lacks 72 of 96" in one_line(capsys)
    assert gate(good, run, "--common") == 2
    assert "share nothing that can be compared" in one_line(capsys)
    run = write_run(tmp_path / "part", cases_of(24, ("bite",)), right)
    assert gate(good, run) == 2
    assert "candidate lacks 48 of 72" in one_line(capsys)
    assert gate(good, run, "--common") == 3
    assert "note: --common, for they differ: cases: candidate lacks 48 of 72" in capsys.readouterr().out


def test_nan_in_scores(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", cases_of(24), right)
    text = (run / "scores.jsonl").read_text().replace('"value": 1.0', '"value": NaN', 1)
    (run / "scores.jsonl").write_text(text)
    assert gate(good, run) == 2
    assert "scores.jsonl:1: value must be a finite number or null" in one_line(capsys)


def test_nan_in_a_baseline(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import pyarrow.parquet as pq

    shutil.copytree(good / "baseline", tmp_path / "baseline")
    path = tmp_path / "baseline" / "scores.parquet"
    table = pq.read_table(path).to_pydict()
    table["value"][3] = float("nan")
    pq.write_table(pq.read_table(path).from_pydict(table), path)
    assert gate(tmp_path, good / "run") == 2
    assert "scores.parquet: row 3: value must be a finite number or null, got nan" in one_line(capsys)


def test_a_baseline_with_a_case_twice(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(good / "baseline", tmp_path / "baseline")
    path = tmp_path / "baseline" / "scores.parquet"
    table = pd.read_parquet(path)
    pd.concat([table, table[:1]]).to_parquet(path)
    assert gate(tmp_path, good / "run") == 2
    assert "object_permanence.count.t2v.0000 is scored twice; save the baseline again" in one_line(capsys)


def test_what_nobody_foresaw_is_no_regression(
    good: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("sora_eval.stats.gate.fixed_test", broken)
    assert gate(good, good / "run") == 2
    err = capsys.readouterr().err
    assert "ZeroDivisionError: of all things" in err and "Traceback" not in err


def test_a_case_that_gets_a_twin_is_the_same_case(tmp_path: Path) -> None:
    odd = write_run(tmp_path / "odd", cases_of(23), right)
    assert main(["baseline", "save", str(odd), "--out", str(tmp_path / "baseline")]) == 0
    assert gate(tmp_path, write_run(tmp_path / "run", cases_of(24), right)) in (0, 3)


@pytest.mark.parametrize("name", ["cases.parquet", "scores.parquet"])
def test_truncated_parquet(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    shutil.copytree(good / "baseline", tmp_path / "baseline")
    path = tmp_path / "baseline" / name
    path.write_bytes(path.read_bytes()[:-200])
    assert gate(tmp_path, good / "run") == 2
    assert f"{name}: cut off or no Parquet file; save the baseline again" in one_line(capsys)
    path.unlink()
    assert gate(tmp_path, good / "run") == 2
    assert f"{name}: not found; save the baseline again" in one_line(capsys)


def test_a_baseline_without_manifest(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(good / "baseline", tmp_path / "baseline")
    (tmp_path / "baseline" / "manifest.json").write_text("{}")
    assert gate(tmp_path, good / "run") == 2
    assert "a baseline of format None" in one_line(capsys)
    (tmp_path / "baseline" / "manifest.json").unlink()
    assert gate(tmp_path, good / "run") == 2
    assert "manifest.json: not readable" in one_line(capsys)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "tolerances.orbitt=0.1"], "unknown probe in gate: tolerances 'orbitt': did you mean orbit"),
        (["--set", "dorp=0.1"], "unknown option 'dorp': did you mean drop"),
        (["--set", "alpha"], "--set alpha: write KEY=VALUE"),
        (["--set", "alpha=2"], "alpha must be a number between 0 and 1"),
        (["--config", "defualt"], "unknown gate 'defualt': did you mean default"),
        (["--generator", "modle"], "'modle': did you mean model"),
        (["generator=oracle"], "needs --sequential and --out RUN"),
    ],
)
def test_options_that_mean_nothing(
    good: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert gate(good, good / "run", *options) == 2
    assert message in one_line(capsys)


@pytest.mark.parametrize("option", [["--common"], ["--generator", "model"]])
def test_options_of_a_run_mean_nothing_to_a_generator(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    words = ["--baseline", str(good / "baseline"), "--sequential", "--out", str(tmp_path / "out"), *option]
    assert main(["gate", *words, "generator=oracle"]) == 2
    assert f"{option[0]} can't be used with a generator in place of a run" in one_line(capsys)
    assert not (tmp_path / "out").exists()


def test_a_job_page_tells_why_nothing_was_compared(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "page.md"))
    assert gate(good, tmp_path / "nothing") == 2
    assert "cannot be compared" in (tmp_path / "page.md").read_text()


def test_several_models_need_a_name(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", cases_of(24), right)
    more = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    second = [{**r, "generator": "second"} for r in more if r["generator"] == "model"]
    write_lines(run / "scores.jsonl", [*more, *second])
    assert gate(good, run) == 2
    assert "holds 2 models: add --generator model or --generator second" in one_line(capsys)
    assert gate(good, run, "--generator", "second") == 0


def test_only_generator_options_may_follow(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["gate", "--baseline", str(good / "baseline"), "--sequential", "--out", str(tmp_path / "x")]
    for wrong in ("seed=1", "prompts=natural", "prompts.file=natural"):
        assert main([*args, "generator=oracle", wrong]) == 2
        said = f"{wrong}: only generator=..., tracker=..., their options and prompts.expander=... here"
        assert said in one_line(capsys)


def test_a_generator_is_not_asked_for_what_this_version_judges_otherwise(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(good / "baseline", tmp_path / "baseline")
    manifest = json.loads((tmp_path / "baseline" / "manifest.json").read_text())
    manifest["hashes"]["probes"]["bite"] = 99
    manifest["versions"]["alignment"] = "98"
    (tmp_path / "baseline" / "manifest.json").write_text(json.dumps(manifest))
    args = ["gate", "--baseline", str(tmp_path / "baseline"), "--sequential", "--out", str(tmp_path / "x")]
    assert main([*args, "generator=oracle"]) == 2
    line = one_line(capsys)
    assert "probe bite: 99 in the baseline" in line and "alignment: 98 in the baseline" in line
    assert not (tmp_path / "x").exists()


# Baselines


def test_baseline_show_prints_its_scores(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline", "show", str(good / "baseline")]) == 0
    out = capsys.readouterr().out
    assert "model: 72 cases of 3 probes, 36 scenes" in out
    assert "size 64x64; fps 8; frames 17" in out


def test_baseline_save_leaves_other_folders_alone(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("two years")
    assert main(["baseline", "save", str(good / "run"), "--out", str(tmp_path / "mine")]) == 2
    assert "holds something else than a baseline" in one_line(capsys)
    assert main(["baseline", "save", str(good / "run"), "--out", str(good / "baseline")]) == 0
    assert "replacing the baseline" in capsys.readouterr().out


def test_baseline_is_named_after_what_it_holds(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["baseline", "save", str(good / "run"), "--generator", "oracle"]) == 0
    assert (tmp_path / "reports" / "baselines" / "oracle-gate-small-0" / "scores.parquet").exists()


# Documentation


def test_the_example_workflow_is_yaml_whose_commands_are_ours() -> None:
    """What docs/ci.md tells people to type is understood: known options, suite, and every exit code has its branch."""
    page = (Path(__file__).parents[2] / "docs" / "ci.md").read_text()
    found = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert found is not None
    steps = yaml.safe_load(found.group(1))["jobs"]["gate"]["steps"]
    lines = "\n".join(step.get("run", "") for step in steps).replace("\\\n", " ").splitlines()
    ours = [shlex.split(line.split("||")[0]) for line in lines if line.strip().startswith("sora-eval")]
    assert [words[1] for words in ours] == ["run", "gate"]
    assert _parser().parse_args(ours[1][2:]).out == Path("gate")
    assert "suite=gate" in ours[0] and "gate" in registry.names("suite")
    assert [line.strip()[0] for line in lines if re.match(r"\s*\d\) ", line)] == ["0", "1", "2", "3"]


# Technical failures


def _broken(folder: Path, count: int, probe: str = "") -> Path:
    """Let the first `count` clips of a run's model have failed technically, of one probe where it is named."""
    lines = [json.loads(line) for line in (folder / "scores.jsonl").read_text().splitlines()]
    mine = [line for line in lines if line["kind"] == "model" and probe in ("", line["probe"])]
    for line in mine[:count]:
        line.update(value=None, reason="service down", failure="technical")
    write_lines(folder / "scores.jsonl", lines)
    return folder


@pytest.mark.parametrize(("count", "probe"), [(72, ""), (2, "count"), (24, "bite")])
def test_a_candidate_that_failed_technically_is_no_regression(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int, probe: str
) -> None:
    candidate = _broken(write_run(tmp_path / "run", cases_of(24), right), count, probe)
    for more in ((), ("--sequential",)):
        assert gate(good, candidate, *more) == 2
        said = one_line(capsys)
        assert f"of the candidate model, {count} of 72 clips failed technically" in said and "service down" in said
    assert main(["gate", "--baseline", str(candidate), "--candidate", str(good / "run")]) == 2
    assert "of the baseline model" in one_line(capsys)


def test_a_few_technical_failures_are_left_out_with_a_note(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    candidate = _broken(write_run(tmp_path / "run", cases_of(24), right), 1)
    for more in ((), ("--sequential", "--set", "drop=0.2")):
        assert gate(good, candidate, *more) == 0
        assert "left out: 1 of 72 clips of the candidate failed technically" in capsys.readouterr().out
    assert gate(good, candidate, "--set", "technical=0") == 2
    assert gate(good, candidate, "--set", "technical=1") == 2
    assert "technical must be a number from 0 to below 1" in capsys.readouterr().err


def test_a_generator_that_is_down_ends_the_sequential_gate(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_model_that_is_down.py").write_text("def f(prompt, **rest):\n    raise ConnectionError('refused')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ["--sequential", "--out", str(tmp_path / "out"), "generator=callable"]
    assert main(["gate", "--baseline", str(good / "baseline"), *words, "generator.target=a_model_that_is_down:f"]) == 2
    said = capsys.readouterr().err
    assert "2 of 72 clips of the candidate f failed technically so far" in said and "refused" in said


def test_a_baseline_keeps_and_an_old_one_lacks_what_failed_technically(tmp_path: Path) -> None:
    run = _broken(write_run(tmp_path / "run", cases_of(24), right), 1)
    assert main(["baseline", "save", str(run), "--out", str(tmp_path / "baseline")]) == 0
    assert [r.failure for r in read_scored(tmp_path / "baseline").rows].count("technical") == 1
    path = tmp_path / "baseline" / "scores.parquet"
    old = pd.read_parquet(path).drop(columns="failure")
    old.to_parquet(path)
    assert {r.failure for r in read_scored(tmp_path / "baseline").rows} == {""}
