"""Tracking metrics of a run: a line per clip, kept between calls, in report, leaderboard and export."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sora_eval import registry
from sora_eval.commands.cli import main
from sora_eval.commands.export import exports
from sora_eval.errors import ConfigError
from sora_eval.generator.simulator import true_video
from sora_eval.reporting.components import text
from sora_eval.reporting.leaderboard.write import write_leaderboard
from sora_eval.reporting.report.tracking import blocks, summarise
from sora_eval.reporting.report.write import write_report
from sora_eval.runs import store, tracking
from sora_eval.runs.reader import read_run
from sora_eval.runs.tracking import FILE, TrackingRow, of_run, read_tracking, read_tracks, unmeasured
from sora_eval.tracking.metrics import METRICS
from sora_eval.tracking.truth import TrueTracks, true_tracks
from sora_eval.tracking.world import track
from sora_eval.types import Case

ASKED = ["suite.probes=[covered]", "suite.modes=[t2v,i2v]", "suite.count=2", "workers=1", "generator=violation"]
ASKED += ["generator.violation=vanishes", "references=[oracle,frozen]", "fidelity.metrics=[]", "players=1"]


def run(out: Path, *more: str) -> int:
    return main(["run", *ASKED, f"out={out}", *more])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tracked") / "run"
    assert run(out) == 0
    return out


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_every_clip_has_a_line_with_what_its_mode_allows(finished: Path) -> None:
    rows = read_tracking(finished)
    scores = [json.loads(line) for line in (finished / "scores.jsonl").read_text().splitlines()]
    assert [(r.generator, r.case) for r in rows] == [(s["generator"], s["case"]) for s in scores]
    for row in rows:
        assert list(row.values) == [m.name for m in METRICS if m.truth == (row.mode == "i2v")]
    rate = {g: [r.values["re-identification rate"] for r in rows if r.generator == g and r.mode == "i2v"] for g in
            ("oracle", "vanishes")}  # fmt: skip
    assert rate == {"oracle": [1.0, 1.0], "vanishes": [0.0, 0.0]}


def test_a_finished_run_measures_nothing_again_and_a_lost_file_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / FILE).read_bytes()
    asked: list[str] = []
    measure = tracking.tracking_metrics
    monkeypatch.setattr(tracking, "tracking_metrics", lambda c, *more: (asked.append(c.id), measure(c, *more))[1])
    assert run(folder) == 0
    assert "nothing to do" in capsys.readouterr().out
    kept = sorted((folder / "tracking" / "oracle").glob("*.json"))
    kept[0].unlink()
    kept[1].write_text('{"values": {"HOTA": NaN}}')
    (folder / FILE).unlink()
    assert run(folder) == 0
    assert len(asked) == 2
    assert (folder / FILE).read_bytes() == before


def test_references_and_truths_are_measured_once_for_all_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(store.CACHE, str(tmp_path / "cache"))
    cases = [a for a in ASKED if not a.startswith("generator")] + ["suite.probes=[covered,truck]", "suite.count=1"]
    assert main(["run", *cases, f"out={tmp_path / 'one'}", "generator=careless"]) == 0
    measured: list[str] = []
    measure = tracking.tracking_metrics
    monkeypatch.setattr(tracking, "tracking_metrics", lambda c, *more: (measured.append(c.id), measure(c, *more))[1])
    with monkeypatch.context() as patch:
        patch.setattr(tracking, "true_tracks", None)
        assert main(["run", *cases, f"out={tmp_path / 'two'}", "generator=careless", "generator.rate=0"]) == 0
    # Oracle and frozen come from the cache, the model's clips are measured against cached truths.
    assert len(measured) == 4
    lines = [{r.case: r for r in read_tracking(tmp_path / name) if r.generator == "oracle"} for name in ("one", "two")]
    assert lines[0] == lines[1]
    # A damaged truth is made again.
    for path in (tmp_path / "cache").rglob("truth/*.npz"):
        path.write_bytes(b"damaged")
    assert main(["run", *cases, f"out={tmp_path / 'three'}", "generator=careless"]) == 0
    assert (tmp_path / "three" / FILE).read_bytes() == (tmp_path / "one" / FILE).read_bytes()
    capsys.readouterr()


def test_true_tracks_come_back_from_arrays() -> None:
    for probe in ("covered", "truck", "shatter"):
        case = registry.probe(probe).cases(1, registry.profile("small"), "i2v")[0]
        truth = true_tracks(case)
        again = TrueTracks.from_arrays(truth.to_arrays())
        assert repr(again) == repr(truth)
        video = true_video(case)
        found = [tracking.tracking_metrics(case, video, track(video), t) for t in (truth, again)]
        assert found[0] == found[1]


def test_a_clip_that_cannot_be_read_has_no_values(folder: Path) -> None:
    found = read_run(folder)
    first = found.rows[0]
    (folder / first.tracks).write_bytes(b"no tracks")
    shutil.rmtree(folder / "tracking")
    rows = of_run(found.cases, found.rows[:2], folder)
    assert rows[0].values == {}
    assert rows[1].values
    (problem,) = unmeasured(rows, found.rows[:2])
    assert f"{first.generator} on {first.case}" in problem
    assert unmeasured(rows[1:], found.rows[:2]) == unmeasured([], found.rows) == []


def test_a_fault_in_measuring_one_clip_costs_that_clip(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(case: Case, *more: object) -> dict[str, float | None]:
        if case.id.endswith("i2v.0001"):
            raise ZeroDivisionError
        return {"HOTA": 1.0}

    shutil.rmtree(folder / "tracking")
    (folder / FILE).unlink()
    with monkeypatch.context() as patch:
        patch.setattr(tracking, "tracking_metrics", broken)
        assert run(folder) == 1
    assert "tracking metrics: 3 clips could not be measured, such as vanishes on" in capsys.readouterr().err
    assert sum(not r.values for r in read_tracking(folder)) == 3


def test_switched_off_nothing_is_measured(tmp_path: Path, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = Path(shutil.copytree(finished, tmp_path / "off"))
    assert run(out, "tracking=false") == 0
    assert read_tracking(out) == []
    assert 'id="tracking"' not in (out / "report.html").read_text()
    assert run(tmp_path / "typo", "tracking=perhaps") == 2
    assert "tracking" in capsys.readouterr().err


def test_report_shows_generators_beside_each_other_and_each_clip(finished: Path) -> None:
    html, text = (finished / "report.html").read_text(), (finished / "report.md").read_text()
    assert 'id="tracking"' in html
    assert "Tracking metrics of this clip" in html
    assert "| Tracking metric | Better | oracle | frozen | vanishes |" in text
    assert "HOTA (higher is better)" in text
    assert "mean over IoU 0.05 to 0.95" in text
    cells = json.loads((finished / "tracking.json").read_text())
    (cell,) = [c for c in cells["probe"] if (c["generator"], c["metric"]) == ("oracle", "IDF1")]
    assert (cell["n"], cell["clips"], cell["probe"]) == (2, 2, "covered")
    assert cell["low"] < cell["value"] <= cell["high"]
    assert [m["name"] for m in cells["metrics"]] == [m.name for m in METRICS]


def test_a_run_of_before_has_a_report_without(folder: Path) -> None:
    (folder / FILE).unlink()
    assert 'id="tracking"' not in write_report(folder).read_text()


def test_a_damaged_line_is_named(folder: Path) -> None:
    lines = (folder / FILE).read_text().splitlines()
    for broken in ("{", lines[0].replace('"values": {', '"values": {"FOO": 1, '), "[" * 100_000):
        (folder / FILE).write_text("\n".join([lines[0], broken]))
        with pytest.raises(ConfigError, match=r"tracking\.jsonl:2: "):
            read_tracking(folder)


def test_leaderboard_and_export_have_them(finished: Path, tmp_path: Path) -> None:
    page = write_leaderboard([finished], tmp_path, "made", players=0)
    assert 'id="tracking"' in page.read_text()
    text = (tmp_path / "leaderboard.md").read_text()
    assert "| Tracking metric | Better | oracle | frozen | vanishes |" in text
    table = pd.read_csv(tmp_path / "leaderboard.csv")
    mine = table[(table.level == "tracking overall") & (table.measure == "HOTA")].set_index("model")
    assert mine.loc["oracle", "value"] > mine.loc["frozen", "value"]
    assert mine.loc["oracle", "higher_is_better"]
    (export,) = [e for e in exports(finished, references=True) if e.name.endswith("/vanishes")]
    assert export.scalars["tracking/object_permanence/covered/re-identification_rate"] == 0
    assert "tracking/all/exit_error_place" not in export.scalars
    assert "## Tracking" in export.text


def row(probe: str, case: int, value: float | None, suite: str = "s") -> TrackingRow:
    return TrackingRow(f"{probe}{case}", suite, probe, "i2v", f"{probe}.{case // 2}", "g", "model", {"HOTA": value})


def test_means_by_hand() -> None:
    rows = [row("a", 0, 0.2), row("a", 1, 0.4), row("a", 2, None), row("b", 0, 0.9), row("c", 0, 0.5, "t")]
    found = summarise(rows)
    a, suite, overall = (found.get("g", "HOTA", *where) for where in (("s", "a"), ("s",), ()))
    assert a is not None
    assert suite is not None
    assert overall is not None
    assert (round(a.value, 6), a.n, a.clips) == (0.3, 2, 3)
    # Probes weigh the same within a suite, suites within all.
    assert suite.value == pytest.approx((0.3 + 0.9) / 2)
    assert overall.value == pytest.approx((0.6 + 0.5) / 2)
    assert "4 of 5 clips" in "\n".join(text.blocks(blocks(found)))


def test_intervals_resample_scenes() -> None:
    rows = [row("a", i, v) for i, v in enumerate([0.1, 0.1, 0.5, 0.5, 0.9, 0.9, 0.5, 0.5])]
    cell = summarise(rows).get("g", "HOTA")
    alone = summarise([TrackingRow(**{**vars(r), "cluster": r.case}) for r in rows]).get("g", "HOTA")
    assert cell is not None
    assert alone is not None
    assert cell.low is not None
    assert alone.low is not None
    assert cell.value == alone.value == pytest.approx(0.5)
    assert cell.low < alone.low < 0.5


def test_counts_that_are_all_equal_have_no_interval() -> None:
    rows = [TrackingRow(**{**vars(row("a", i, 0.5)), "values": {"ID switches": 0.0}}) for i in range(6)]
    cell = summarise(rows).get("g", "ID switches")
    assert cell is not None
    assert (cell.value, cell.low, cell.high) == (0.0, None, None)


def test_broken_tracks_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "t.npz").write_bytes(b"not a zip")
    with pytest.raises(ConfigError, match=r"t\.npz: no tracks"):
        read_tracks(tmp_path / "t.npz")
    parts = {"colour": ["red"], "xy": np.zeros((2, 3, 2)), "visible": np.ones((2, 3)), "size": [4, 4], "fps": 8.0}
    np.savez(tmp_path / "u.npz", **parts, area=np.ones((2, 3)), box=np.ones((2, 3, 4)))
    with pytest.raises(ConfigError, match="mismatched shapes"):
        read_tracks(tmp_path / "u.npz")
