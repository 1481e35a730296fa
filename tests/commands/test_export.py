"""sora-eval export: what is sent, where the names come from, and that nothing is asked of the network.

The services' packages are no part of the dev extra: stand-ins record the calls, and the packages themselves are used where they are.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from benchmarks.leaderboard import made_up_cases, made_up_run

from sora_eval.commands import cli, export
from sora_eval.runs.measures import write_measures
from sora_eval.runs.reader import read_run
from sora_eval.stats.summary import summarise
from sora_eval.types import Measure
from sora_eval.video import read_video


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A small run with one measure of fidelity, and one that is unavailable."""
    cases = [c for c in made_up_cases(2) if c.probe in ("physics_0", "physics_1", "left_right_0") and c.mode == "t2v"]
    folder = made_up_run(tmp_path / "run", "mine", 0.5, cases, clips=True)
    some = [
        Measure("Frechet distance, no bias", 2.5, None, None, (6, 6), "world-video@0123456789ab", False),
        Measure("CLIPSIM", None, None, None, (6, 6), "", True, "absent weights"),
    ]
    write_measures(folder, {"": {"mine": some}})
    return folder


def test_scalars_are_the_scores_of_the_summary(run: Path) -> None:
    (found,) = export.exports(run)
    summary = summarise(read_run(run).rows)
    for (suite, probe), name in {
        ("", ""): "all",
        ("physics", ""): "physics/all",
        ("physics", "physics_1"): "physics/physics_1",
    }.items():
        cell = summary.get("mine", suite, probe)
        assert cell is not None
        assert found.scalars[f"score/{name}"] == cell.score
        assert (found.scalars[f"score_low/{name}"], found.scalars[f"score_high/{name}"]) == (cell.low, cell.high)
        assert found.scalars[f"unjudgeable/{name}"] == cell.unjudgeable / cell.n
    assert {k: v for k, v in found.scalars.items() if k.startswith("fidelity")} == {
        "fidelity/all/Frechet distance_ no bias": 2.5
    }
    assert set(found.table["generator"]) == {"mine"}
    assert found.settings["generator"]["fingerprint"] == "weights of mine"


def test_no_name_is_the_beginning_of_another(run: Path) -> None:
    (found,) = export.exports(run)
    assert not [(a, b) for a in found.scalars for b in found.scalars if b.startswith(f"{a}/")]


def test_references_are_sent_when_asked_for_or_alone(run: Path) -> None:
    assert [e.name for e in export.exports(run)] == ["run/mine"]
    assert [e.name for e in export.exports(run, references=True)] == [
        "run/mine",
        "run/oracle",
        "run/frozen",
        "run/shuffled",
    ]
    path = run / "scores.jsonl"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if '"model"' not in line))
    assert len(list(export.exports(run))) == 3


def test_the_worst_clips_are_strips_beside_the_truth_of_each_probe(run: Path, tmp_path: Path) -> None:
    (found,) = export.exports(run, clips=3)
    rows = {r.case: r for r in read_run(run).rows if r.generator == "mine"}
    chosen = [rows[clip.case] for clip in found.clips]
    assert len({r.probe for r in chosen}) == 3
    for row, clip in zip(chosen, found.clips, strict=True):
        assert row.counted == min(r.counted for r in rows.values() if r.probe == row.probe)
        assert row.prompt in clip.caption and clip.caption.startswith(row.case)
        # Eight frames of 64 pixels in a row, the truth's below.
        assert clip.strip.shape == (2 * 66 - 2, 8 * 66 - 2, 3) and clip.strip.dtype == np.uint8
        (tmp_path / "clip.mp4").write_bytes(clip.mp4)
        assert len(read_video(tmp_path / "clip.mp4")) == len(read_video(run / row.video))
    assert not next(iter(export.exports(run, clips=0))).clips
    (run / chosen[0].video).write_bytes(b"damaged")
    assert [c.case for c in next(iter(export.exports(run, clips=3))).clips] == [c.case for c in found.clips[1:]]


def test_the_protocol_has_the_same_hash_for_runs_that_may_be_compared(run: Path, tmp_path: Path) -> None:
    cases = [c for c in made_up_cases(2) if c.probe in ("physics_0", "physics_1", "left_right_0") and c.mode == "t2v"]
    other = made_up_run(tmp_path / "other", "yours", 0.2, cases)
    fewer = made_up_run(tmp_path / "fewer", "mine", 0.5, cases[:-1])
    hashes = [next(iter(export.exports(folder))).protocol for folder in (run, other, fewer)]
    assert hashes[0] and hashes[0] == hashes[1] != hashes[2]
    about = json.loads((other / "manifest.json").read_text())
    about["hashes"]["probes"]["physics_0"] = 2
    (other / "manifest.json").write_text(json.dumps(about))
    assert next(iter(export.exports(other))).protocol != hashes[0]
    del about["hashes"]["probes"]
    (other / "manifest.json").write_text(json.dumps(about))
    (found,) = export.exports(other)
    assert found.protocol == "" and "protocol" not in found.settings


@pytest.mark.parametrize("service", ["wandb", "mlflow", "tensorboard"])
def test_an_absent_package_is_one_line_that_names_the_extra(
    run: Path, service: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    assert cli.main(["export", str(run), "--to", service]) == 2
    said = capsys.readouterr().err
    assert (
        said == f"sora-eval: --to {service} needs a package that is not installed: pip install 'sora-eval[{service}]'\n"
    )


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> None:
    """Put a module in the place of a package."""
    module = ModuleType(name)
    for key, value in members.items():
        setattr(module, key, value)
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(export, "find_spec", lambda asked: object())


def test_wandb_gets_scalars_and_table(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[dict[str, Any]] = []
    logged: list[dict[str, Any]] = []
    ended: list[bool] = []

    def init(**options: Any) -> SimpleNamespace:
        started.append(options)
        return SimpleNamespace(log=logged.append, finish=lambda: ended.append(True))

    def video(path: str, **about: str) -> tuple[Any, ...]:
        return "video", about["format"], about["caption"], Path(path).read_bytes()

    stand_in(
        monkeypatch,
        "wandb",
        init=init,
        Table=lambda dataframe: dataframe,
        Image=lambda picture, caption: ("image", caption, picture),
        Video=video,
    )
    for _ in range(2):
        assert cli.main(["export", str(run), "--to", "wandb", "--project", "p", "--out", str(tmp_path / "w")]) == 0
    (found,) = export.exports(run)
    assert (started[0]["project"], started[0]["name"], started[0]["group"]) == ("p", "run/mine", "run")
    # The second export goes on the first one's run instead of making another.
    assert started[0]["id"] == started[1]["id"] and started[0]["resume"] == "allow"
    assert started[0]["config"]["protocol"] == found.protocol
    media = [logged[0].pop(name) for name in ("worst_clips", "worst_videos")]
    assert {k: v for k, v in logged[0].items() if k != "scores"} == dict(found.scalars)
    assert logged[0]["scores"].equals(found.table)
    for clip, picture, film in zip(found.clips, *media, strict=True):
        assert picture[:2] == ("image", clip.caption) and (picture[2] == clip.strip).all()
        assert film == ("video", "mp4", clip.caption, clip.mp4)
    assert ended == [True, True]


def test_mlflow_gets_metrics_and_files(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: dict[str, Any] = {}

    class Active:
        def __enter__(self) -> None:
            calls["open"] = True

        def __exit__(self, *error: object) -> None:
            calls["open"] = False

    def start_run(run_name: str) -> Active:
        calls["name"] = run_name
        return Active()

    stand_in(
        monkeypatch,
        "mlflow",
        set_tracking_uri=lambda uri: calls.update(uri=uri),
        set_experiment=lambda name: calls.update(experiment=name),
        start_run=start_run,
        set_tags=lambda tags: calls.update(tags=tags),
        log_dict=lambda value, name: calls.update({name: value}),
        log_metrics=lambda values: calls.update(metrics=values),
        log_text=lambda text, name: calls.update({name: text}),
        log_image=lambda picture, name: calls.update({name: picture}),
        log_artifact=lambda path, folder: calls.update({f"{folder}/{Path(path).name}": Path(path).read_bytes()}),
    )
    assert cli.main(["export", str(run), "--to", "mlflow", "--out", str(tmp_path / "store")]) == 0
    (found,) = export.exports(run)
    assert calls["uri"] == (tmp_path / "store").as_uri()
    assert (calls["experiment"], calls["name"], calls["open"]) == ("sora-eval", "run/mine", False)
    assert calls["metrics"] == dict(found.scalars)
    assert calls["settings.json"] == dict(found.settings)
    assert calls["scores.csv"].splitlines()[0].startswith("level,generator,kind,suite,probe")
    assert calls["report.md"].startswith("# run\n")
    assert calls["tags"]["protocol"] == found.protocol
    for clip in found.clips:
        assert (calls[f"worst_clips/{clip.case}.png"] == clip.strip).all()
        assert calls[f"worst_clips/{clip.case}.mp4"] == clip.mp4


def test_tensorboard_gets_scalars_and_text(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: dict[str, Any] = {}

    class Writer:
        def __init__(self, folder: str) -> None:
            written["folder"] = folder

        def __enter__(self) -> Writer:
            return self

        def __exit__(self, *error: object) -> None:
            written["closed"] = True

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written[name] = value

        def add_text(self, name: str, text: str, step: int) -> None:
            written[f"text of {name}"] = text

        def add_image(self, name: str, picture: Any, step: int, dataformats: str) -> None:
            assert dataformats == "HWC"
            written[name] = picture

    stand_in(monkeypatch, "torch.utils.tensorboard", SummaryWriter=Writer)
    assert cli.main(["export", str(run), "--to", "tensorboard", "--out", str(tmp_path / "logs")]) == 0
    (found,) = export.exports(run)
    assert written.pop("folder") == str(tmp_path / "logs" / "run" / "mine") and written.pop("closed")
    assert written.pop("text of report").startswith("# run\n") and written.pop("text of protocol") == found.protocol
    for clip in found.clips:
        assert (written.pop(f"worst_clips/{clip.case}") == clip.strip).all()
        assert written.pop(f"text of worst_clips/{clip.case}") == clip.caption
    assert written == dict(found.scalars)


def test_tensorboard_itself_reads_back_what_was_sent(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for _ in range(2):
        assert cli.main(["export", str(run), "--to", "tensorboard", "--out", str(tmp_path)]) == 0
    events = EventAccumulator(str(tmp_path / "run" / "mine")).Reload()
    (found,) = export.exports(run)
    assert set(events.Tags()["scalars"]) == set(found.scalars)
    (only,) = events.Scalars("score/all")
    assert only.value == pytest.approx(found.scalars["score/all"])


def test_mlflow_itself_reads_back_what_was_sent(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    assert cli.main(["export", str(run), "--to", "mlflow", "--out", str(tmp_path / "store")]) == 0
    (sent,) = mlflow.search_runs(experiment_names=["sora-eval"], output_format="list")
    (found,) = export.exports(run)
    assert sent.data.metrics == pytest.approx(dict(found.scalars))


def test_wandb_itself_keeps_an_offline_run(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert cli.main(["export", str(run), "--to", "wandb", "--out", str(tmp_path)]) == 0
    (table,) = tmp_path.glob("wandb/offline-run-*/files/media/table/*.json")
    (found,) = export.exports(run)
    assert len(json.loads(table.read_text())["data"]) == len(found.table)


def test_a_folder_that_is_no_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "find_spec", lambda asked: object())
    assert cli.main(["export", str(tmp_path), "--to", "wandb"]) == 2
    assert "manifest.json: not found" in capsys.readouterr().err
