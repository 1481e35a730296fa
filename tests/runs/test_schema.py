"""The JSON Schema describes what a run writes, key by key."""

import csv
import doctest
import io
import json
from dataclasses import fields, replace

import pytest

import sora_eval.runs.schema
from sora_eval import evaluate
from sora_eval.commands.cli import main
from sora_eval.prompting.rewriting import Rewritten
from sora_eval.reporting.leaderboard.csv import COLUMNS
from sora_eval.reporting.leaderboard.write import write_leaderboard
from sora_eval.reporting.report.tracking import TrackingCell
from sora_eval.runs import sharding
from sora_eval.runs.manifest import FILES
from sora_eval.runs.plan import ClipCounts
from sora_eval.runs.reader import read_run
from sora_eval.runs.schema import VERSION, definition, schema
from sora_eval.runs.store import Store
from sora_eval.runs.tracking import TrackingRow
from sora_eval.stats.summary import Cell, Reason, Sampling
from sora_eval.types import Case, Failure, Measure, Score, ScoreRow

Draft202012Validator = pytest.importorskip("jsonschema", reason="the dev extra is not installed").Draft202012Validator
DATACLASSES = {
    "Case": Case,
    "ScoreRow": ScoreRow,
    "Measure": Measure,
    "TrackingRow": TrackingRow,
    "Clips": ClipCounts,
    "Cell": Cell,
    "Reason": Reason,
    "Sampling": Sampling,
    "RewrittenPrompt": Rewritten,
    "TrackingCell": TrackingCell,
}
WHOLE = {
    "manifest.json": "Manifest",
    "summary.json": "Summary",
    "fidelity.json": "Fidelity",
    "tracking.json": "TrackingSummary",
    "identity.json": "Identity",
    "card.json": "Card",
}
STORED = {"scores": "Score", "tracking": "Tracking"}
"""Folders with a file per clip."""
LINES = {"cases.jsonl": "Case", "scores.jsonl": "ScoreRow", "tracking.jsonl": "TrackingRow"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with several samples, measured in every way."""
    folder = tmp_path_factory.mktemp("schema") / "run"
    chosen = {"probes": ["relation"], "modes": ["t2v", "i2v"], "count": 1, "references": ["oracle"]}
    evaluate("careless", samples=2, fidelity=True, tracking=True, folder=folder, progress=False, **chosen)
    return folder


def check(name, value):
    errors = [f"{e.json_path}: {e.message}"[:300] for e in Draft202012Validator(definition(name)).iter_errors(value)]
    assert not errors, "\n".join(errors)


def test_the_schema_is_one_and_names_its_version():
    Draft202012Validator.check_schema(schema())
    assert schema()["$id"].endswith(f"results-{VERSION}.json")
    assert doctest.testmod(sora_eval.runs.schema).failed == 0


@pytest.mark.parametrize(("name", "kind"), DATACLASSES.items(), ids=DATACLASSES)
def test_each_field_is_described(name, kind):
    properties = schema()["$defs"][name]["properties"]
    assert set(properties) == {f.name for f in fields(kind)}


def test_each_property_has_a_description():
    for name, node in schema()["$defs"].items():
        assert node["description"], name
        for key, value in node.get("properties", {}).items():
            assert value.get("description"), f"{name}.{key}"


def test_stored_scores_and_failures_are_described():
    stored = schema()["$defs"]["Score"]["properties"]
    assert set(stored) == {*(f.name for f in fields(Score)), "bytes", "sha256"}
    assert set(schema()["$defs"]["Failure"]["properties"]) == {f.name for f in fields(Failure)} - {"technical"}
    assert set(schema()["$defs"]["LeaderboardRow"]["properties"]) == set(COLUMNS)


def test_the_files_of_a_run_are_valid(run):
    written = {path.name for path in run.glob("*.json*")}
    assert written == {*WHOLE, *LINES}
    assert {name for name in FILES if ".json" in name} <= written
    for name, kind in WHOLE.items():
        check(kind, json.loads((run / name).read_text()))
    for name, kind in LINES.items():
        for line in (run / name).read_text().splitlines():
            check(kind, json.loads(line))
    for folder, kind in STORED.items():
        paths = list((run / folder).rglob("*.json"))
        assert paths, folder
        for path in paths:
            check(kind, json.loads(path.read_text()))
    others = {p.relative_to(run).parts[0] for p in run.rglob("*.json*")} - {*WHOLE, *LINES, *STORED}
    assert not others, "files that no definition describes"


def test_a_shard_is_valid(run, tmp_path):
    sharding.write(replace(read_run(run), folder=tmp_path), (2, 3))
    check("Shard", json.loads((tmp_path / "shards/2-of-3.json").read_text()))


@pytest.mark.parametrize(("technical", "suffix"), [(False, ".failed.json"), (True, ".error.json")])
def test_a_failure_in_place_of_a_clip_is_valid(tmp_path, technical, suffix):
    Store(tmp_path).write_video(tmp_path / "clip.mkv", Failure("no answer", technical))
    (path,) = tmp_path.iterdir()
    assert path.name == f"clip{suffix}"
    check("Failure", json.loads(path.read_text()))


def test_the_record_of_a_failed_job_is_valid(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "-m", "generator=folder", "generator.path=nowhere", "suite.probes=[relation]"]) == 2
    (path,) = tmp_path.rglob("failed.json")
    check("FailedJob", json.loads(path.read_text()))


@pytest.mark.parametrize(("name", "kind"), WHOLE.items(), ids=WHOLE)
def test_the_schema_knows_every_key_of_a_run(run, name, kind):
    """Readers may ignore keys that they don't know, but none is written that the schema lacks."""
    node, stored = schema()["$defs"][kind], json.loads((run / name).read_text())
    if kind == "Fidelity":
        # Its keys are names of suites and generators; `check` refuses unknown keys of its measures.
        assert "properties" not in node and any(measures for by in stored.values() for measures in by.values())
        assert schema()["$defs"]["Measure"]["additionalProperties"] is False
    else:
        assert set(stored) <= set(node["properties"])


def test_a_leaderboard_has_the_columns_of_the_schema(run, tmp_path):
    write_leaderboard([run], tmp_path, "sora-eval leaderboard run", players=0)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "leaderboard.csv").read_text())))
    properties = schema()["$defs"]["LeaderboardRow"]["properties"]
    assert list(rows[0]) == list(COLUMNS)
    assert {row["level"] for row in rows} <= set(properties["level"]["enum"])


def test_wrong_rows_are_refused(run):
    row = json.loads((run / "scores.jsonl").read_text().splitlines()[0])
    validator = Draft202012Validator(definition("ScoreRow"))
    for change in ({"value": None, "reason": ""}, {"value": 1.0, "reason": "why"}, {"mode": "x"}, {"colour": 1}):
        assert not validator.is_valid({**row, **change})
