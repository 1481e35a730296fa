"""Files that sora-eval reads and others may have written, damaged or made to do harm: one line each, and nothing outside the folder."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file

from sora_eval import errors, registry
from sora_eval.commands.cli import main
from sora_eval.encoders import state_dicts
from sora_eval.errors import ConfigError, VideoError
from sora_eval.evaluation import evaluate
from sora_eval.files import inside, literal, parse_json, read_json
from sora_eval.generator.simulator import Oracle
from sora_eval.reporting.components.players import ClipStore
from sora_eval.runs import sharding
from sora_eval.runs.identity import read_cases
from sora_eval.runs.lock import held
from sora_eval.runs.reader import read_run, score_row
from sora_eval.runs.store import Store
from sora_eval.training import checkpoints
from sora_eval.types import Case, Profile

DEEP = "[" * 100_000 + "]" * 100_000
ASKED = [
    "suite.probes=[relation]",
    "suite.modes=[t2v]",
    "suite.count=2",
    "references=[]",
    "fidelity.metrics=[]",
    "players=1",
    "workers=1",
]
WORDS = ["run", "generator=oracle", *ASKED]
CASE = registry.probe("relation").cases(1, Profile("small", 64, 64, 17, 8, 5), "t2v")[0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    assert main([*WORDS, f"out={out}"]) == 0
    return out


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def damaged_tracks(run: Path) -> None:
    (path, *_) = sorted((run / "tracks").rglob("*.npz"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


def cut_clip(run: Path) -> None:
    (path, *_) = sorted((run / "videos").rglob("*.mkv"))
    path.write_bytes(path.read_bytes()[:-100])


def damaged(name: str, text: str) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        (path, *_) = sorted(run.glob(name))
        path.write_text(text)

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        damaged_tracks,
        cut_clip,
        damaged("scores/oracle/*.json", DEEP),
        damaged("scores/oracle/*.json", '{"value": 1e999, "reason": "", "components": {}}'),
        damaged("scores/oracle/*.json", '{"value": true, "reason": "", "components": []}'),
        damaged("scores.jsonl", '{"case": "'),
        damaged("manifest.json", DEEP),
        damaged("identity.json", DEEP),
        damaged("cases.jsonl", f"{DEEP}\n"),
        damaged("fidelity.json", DEEP),
    ],
)
def test_what_is_damaged_is_made_again_by_the_same_command(
    run: Path, whole: Path, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    damage(run)
    assert main([*WORDS, f"out={run}"]) == 0
    for name in ("scores.jsonl", "cases.jsonl"):
        assert (run / name).read_bytes() == (whole / name).read_bytes()
    assert read_run(run).rows == read_run(whole).rows
    assert not capsys.readouterr().err.count("sora-eval:")
    for path in sorted(p.relative_to(whole) for p in whole.rglob("*.npz")):
        assert np.load(run / path)["xy"].shape == np.load(whole / path)["xy"].shape


@pytest.mark.parametrize("name", ["manifest.json", "cases.jsonl", "scores.jsonl", "fidelity.json"])
@pytest.mark.parametrize("text", [DEEP, "\0", "[1]", '{"generators": [{"name": "../x"}], "config": []}'])
def test_reading_a_damaged_run_is_one_line(run: Path, name: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (run / name).write_text(f"{text}\n")
    capsys.readouterr()
    assert main(["report", str(run)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and name in error and "internal" not in error


def test_json_nested_without_end_is_a_fault_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(DEEP)
    path = tmp_path / "a.json"
    path.write_text(DEEP)
    with pytest.raises(ConfigError, match=r"a\.json: not readable as JSON \(nested too deeply\)"):
        read_json(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "../../outside/x.0001"),
        ("id", "/etc/x"),
        ("id", "a..b"),
        ("id", "a" * 200),
        ("id", ["x"]),
        ("suite", "a/b"),
        ("probe", "a\\b"),
        ("probe", ""),
        ("twin", "../x"),
        ("size", [10**9, 8]),
        ("size", [64.0, 64]),
        ("size", [True, 64]),
        ("fps", float("inf")),
        ("fps", "8"),
        ("frames", 10**12),
        ("given", -1),
        ("seed", "0"),
        ("prompt", None),
        ("scene", []),
        ("mode", "x2v"),
    ],
)
def test_a_case_that_no_one_could_be_asked_is_refused(field: str, value: Any) -> None:
    row = json.loads(json.dumps(CASE.to_json()))
    assert Case.from_json(row) == CASE
    with pytest.raises((ValueError, TypeError)):
        Case.from_json({**row, field: value})


def test_nothing_is_written_outside_the_folder(tmp_path: Path) -> None:
    for case, generator in ((replace(CASE, id="../x"), "oracle"), (CASE, "../../x"), (CASE, "")):
        with pytest.raises(ValueError, match="is no file name"):
            Store(tmp_path).path("videos", generator, case, "0" * 16, ".mkv")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("video", "../../etc/passwd"),
        ("video", "/etc/passwd"),
        ("video", "videos/../../x.mkv"),
        ("video", "tracks/oracle/x.npz"),
        ("tracks", "videos/oracle/x.mkv"),
        ("generator", "../x"),
        ("case", "a/b"),
        ("seed", "x"),
        ("chance", 1.0),
    ],
)
def test_a_row_that_leads_out_of_the_run_is_refused_wherever_it_is_read(
    run: Path, field: str, value: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (run / "scores.jsonl").read_text().splitlines()
    row = json.loads(lines[0])
    with pytest.raises(ValueError, match=field):
        score_row({**row, field: value})
    (run / "scores.jsonl").write_text("\n".join([json.dumps({**row, field: value}), *lines[1:]]))
    assert main(["report", str(run)]) == 2
    assert "scores.jsonl:1: " in capsys.readouterr().err


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_a_report_embeds_no_clip_that_a_link_leads_out_to(run: Path, tmp_path: Path, linked: str) -> None:
    row = read_run(run).rows[0]
    clip, outside = run / row.video, tmp_path / "outside"
    assert not isinstance(ClipStore(run).clip(row.video), str)
    outside.mkdir()
    if linked == "file":
        shutil.move(clip, outside / "x.mkv")
        clip.symlink_to(outside / "x.mkv")
    else:
        shutil.move(run / "videos", outside / "videos")
        (run / "videos").symlink_to(outside / "videos")
    # As a report names clips, and as the pages of several runs do.
    for store, name in ((ClipStore(run), row.video), (ClipStore(Path()), clip.as_posix())):
        assert store.clip(name) == "no clip: the file lies outside the run folder"
    assert inside(run, row.video) is None and inside(run, row.tracks) is not None
    assert main(["report", str(run)]) == 0
    assert "lies outside the run folder" in (run / "report.html").read_text()


def test_a_lock_that_is_a_link_is_refused_and_what_it_leads_to_kept(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / ".lock").symlink_to(tmp_path / "mine")
    os.mkfifo(tmp_path / "pipe")
    for name in (".lock", "pipe"):
        with pytest.raises(ConfigError, match=r"is a link or no plain file"), held(tmp_path / name):
            pass
    assert (tmp_path / "mine").read_text() == "mine"
    with held(tmp_path / "real") as alone:
        assert alone


@pytest.mark.parametrize("text", ["${oc.env:HOME}", "\\${x}", "\\\\${oc.env:HOME} and ${a}", "plain", "$5 {}", "${"])
def test_what_was_read_is_not_looked_up_in_the_environment(text: str) -> None:
    config = OmegaConf.create(literal({"a": {"b": [text]}}))
    assert OmegaConf.to_container(config, resolve=True) == {"a": {"b": [text]}}


@pytest.mark.parametrize(
    "change",
    [
        lambda about, rows: about["config"].update(fidelity={"metrics": ["frechet"], "weights": {"i3d": 1}}),
        lambda about, rows: about["config"].update(fidelity=DEEP),
        lambda about, rows: about["config"].pop("generator"),
        lambda about, rows: about["config"].update(players="many"),
        lambda about, rows: about.update(generators=[]),
        lambda about, rows: about["generators"][0].update(name="../x"),
        lambda about, rows: about.update(timings={"seconds": float("nan")}),
        lambda about, rows: about.update(problems="one"),
        lambda about, rows: rows.append([]),
        lambda about, rows: about.update(hashes=[]),
        lambda about, rows: about.update(versions=1),
        lambda about, rows: rows[0].update(case="../x"),
        lambda about, rows: rows[0].update(value=float("nan")),
        lambda about, rows: rows[0].pop("seed"),
    ],
)
def test_a_shard_that_says_what_cannot_be_is_one_line(
    run: Path, change: Callable[[dict[str, Any], list[dict[str, Any]]], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    found = read_run(run)
    about, rows = json.loads(json.dumps(dict(found.manifest))), [dict(vars(r)) for r in found.rows]
    (run / "shards").mkdir()
    path = run / "shards" / "1-of-1.json"
    path.write_text(json.dumps({"about": about, "rows": rows}))
    assert len(sharding.merged(run, read_cases(run), 1).rows) == 2
    change(about, rows)
    path.write_text(json.dumps({"about": about, "rows": rows}))
    capsys.readouterr()
    assert main(["merge", str(run)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "1-of-1.json" in error and "internal" not in error


class Odd(Oracle):
    """An oracle whose second clip can't be stored."""


def test_a_clip_that_cannot_be_stored_costs_its_case_and_a_full_disk_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = registry.probe("relation")
    cases = probe.cases(2, Profile("small", 64, 64, 17, 8, 5), "t2v")
    true = Store.write_video
    why: list[OSError] = [OSError(22, "Invalid argument")]

    def faulty(self: Store, path: Path, video: Any, *how: Any) -> None:
        if cases[1].id in path.name:
            raise VideoError("no such rate") from why[0]
        true(self, path, video)

    monkeypatch.setattr(Store, "write_video", faulty)
    rows = evaluate(cases, {"relation": probe}, [Oracle()], tmp_path, progress=False).rows
    assert [r.value for r in rows] == [1.0, None] and "can't be stored: no such rate" in rows[1].reason
    why[0] = OSError(28, "No space left on device")
    with pytest.raises(VideoError, match="no such rate") as caught:
        evaluate(cases, {"relation": probe}, [Oracle()], tmp_path, progress=False)
    assert errors.is_fatal(caught.value) and not errors.is_fatal(OSError(22, ""))


HTML, LFS = b"<!DOCTYPE html>\n<html><body>404", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
@pytest.mark.parametrize(
    ("data", "said"),
    [(HTML, "an HTML page"), (LFS, "a Git LFS pointer"), (b"", "empty"), (bytes(64), "zeros"), (b"hello world", "no ")],
)
def test_what_is_there_in_place_of_weights_is_named(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=said) as caught:
        state_dicts.read(path)
    assert str(path) in str(caught.value) and "weights_only" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_pickle_of_more_than_tensors_is_refused_without_advice_to_run_it(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save({"a": Profile("small", 64, 64, 17, 8, 5)}, path)
    with pytest.raises(ConfigError, match="only state dicts are read") as caught:
        state_dicts.read(path)
    assert "weights_only" not in str(caught.value)
    torch.save({"a": torch.ones(2)}, path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ConfigError, match="damaged or cut short"):
        state_dicts.read(path)


def test_a_safetensors_file_says_how_much_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.ones(100)}, path)
    data = path.read_bytes()
    for size in (9, 20, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(ConfigError, match=rf"cut short: .*\d+ bytes.*{size} are there"):
            checkpoints.tensors(path)
    # A length that begins with the byte of a pickle is no pickle.
    path.write_bytes((0x0280).to_bytes(8, "little") + b'{"a":')
    with pytest.raises(ConfigError, match="cut short: its header alone has 648 bytes"):
        checkpoints.tensors(path)


def test_weights_that_are_not_finite_are_refused_with_their_name(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.ones(2), "b": torch.tensor([1.0, float("nan")])}, path)
    with pytest.raises(ConfigError, match="1 of its tensors, b first, have values that are not finite"):
        state_dicts.read(path)
    with pytest.raises(ConfigError, match="1 of the weights' tensors, b first"):
        state_dicts.tensors({"b": torch.tensor([float("inf")])})
