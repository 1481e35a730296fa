"""Fidelity of a run: every generator against the oracle's clips of the same cases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sora_eval import registry
from sora_eval.commands.cli import main
from sora_eval.encoders import clip as text_encoders
from sora_eval.encoders import weights
from sora_eval.encoders.names import Unread
from sora_eval.errors import ConfigError
from sora_eval.evaluation import evaluate
from sora_eval.fidelity import extractors, of_run
from sora_eval.fidelity.config import FidelityConfig
from sora_eval.fidelity.extractors import extract
from sora_eval.fidelity.features import ClipEntry
from sora_eval.fidelity.options import FidelityOptions
from sora_eval.generator.simulator import Control, Oracle
from sora_eval.metrics import physics_iq
from sora_eval.reporting.report.fidelity import markdown, sheet
from sora_eval.runs import store
from sora_eval.runs.measures import FILE, read_measures, write_measures
from sora_eval.runs.plan import fidelity_config
from sora_eval.types import Case, Floats, Frames, Measure, Profile, ScoreRow, Video
from sora_eval.video import read_video, write_ffv1

SMALL = Profile("tiny", 48, 48, 17, 8, 5)


DRAGON = Unread("A dragon", unknown=("dragon",))


class Shades:
    """Words and pictures as unit vectors: the angle of a picture is its brightness, that of a text whether something is gone."""

    name, protocol, scale = "shades", "shades", 20.0

    def images(self, frames: Frames) -> Floats:
        angle = frames.mean(axis=(1, 2, 3)) / 255
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def texts(self, texts: list[str]) -> Floats:
        angle = np.array([0.1 if "without" in t else 1.2 for t in texts])
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def unread(self, text: str) -> Unread:
        return replace(DRAGON, text=text) if "candle" in text else Unread(text)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Case], list[ScoreRow]]:
    folder = tmp_path_factory.mktemp("run")
    probes = {n: registry.probe(n) for n in ("candle", "motion")}
    cases = [c for p in probes.values() for c in p.cases(4, SMALL, "t2v")]
    rows = evaluate(cases, probes, [Oracle(), Control("frozen")], folder, progress=False).rows
    return folder, cases, rows


def value(found: list[Measure], metric: str) -> float:
    (measure,) = [m for m in found if m.metric == metric]
    assert measure.value is not None
    return measure.value


def test_every_generator_by_suite_and_in_all(
    run: tuple[Path, list[Case], list[ScoreRow]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cases, rows = run
    monkeypatch.setattr(text_encoders, "load", lambda name: Shades())
    config = FidelityConfig(("motion", "text_image"))
    found = of_run.of_run(cases, rows, folder, config)
    assert list(found) == ["", "physics", "left_right"]
    assert list(found[""]) == ["oracle", "frozen"]
    assert found[""]["frozen"][0].n == (8, 8)
    assert value(found["physics"]["oracle"], "motion distance, plug-in") == pytest.approx(0, abs=1e-9)
    assert value(found[""]["frozen"], "motion distance, plug-in") > 0.01
    # The room darkens with the flame; a frozen picture shows the burning candle to the end.
    assert value(found["physics"]["oracle"], "state change") > 0.05
    assert value(found["physics"]["frozen"], "state change") == 0
    assert value(found["physics"]["oracle"], "directional similarity") > 0.9
    assert not any(m.metric == "state change" for m in found["left_right"]["oracle"])
    write_measures(folder, found)
    assert read_measures(folder) == found
    assert all(" paired" in m.protocol for m in found["physics"]["frozen"] if "motion" in m.metric and m.protocol)
    shown = sheet(found["physics"], ["frozen", "oracle", "absent"])
    assert shown.generators == ("frozen", "oracle")
    text = markdown(shown)
    assert "| state change | higher | 0 [" in text
    # Notes of texts are in the measures of a run and on its page.
    said = "4 of 8 texts have words that world-clip does not know, such as 'dragon' in '"
    (measure,) = [m for m in found[""]["oracle"] if "CLIPSIM" in m.metric]
    assert measure.reason.startswith(said)
    assert not measure.failed
    assert f"Notes:\n\n- {measure.metric}: {said}" in markdown(sheet(found[""], ["oracle"]))
    few = "motion distance and motion distance, extrapolated: 4 clips for 64 features: no interval, and no bias removed"
    assert f"Not measured:\n\n- {few}" in text


def test_protocols_and_numbers_of_clips_are_those_of_each_generator() -> None:
    def one(metric: str, n: int, protocol: str = "frechet p") -> Measure:
        return Measure(metric, 1.5, 1.0, 2.0, (n, 150), protocol, False)

    measures = {
        "model": [one("FVD", 120), one("KVD", 150)],
        "oracle": [one("FVD", 150), one("KVD", 150)],
        "frozen": [
            one("FVD", 150),
            one("KVD", 150),
            Measure("FVD, plug-in", None, None, None, (2, 150), "q", False, "few"),
        ],
    }
    shown = sheet(measures, list(measures))
    assert shown.protocols == (
        ("FVD of model", "frechet p clips=120/150"),
        ("FVD of oracle and frozen", "frechet p clips=150/150"),
        ("KVD", "frechet p clips=150/150"),
    )
    text = markdown(shown)
    assert "120/150 clips" in next(line for line in text.splitlines() if line.startswith("| FVD |"))
    assert "clips" not in next(line for line in text.splitlines() if line.startswith("| KVD |"))
    # Another encoder for one generator is named as well.
    measures["oracle"] = [one("FVD", 150, "frechet other"), one("KVD", 150)]
    assert ("FVD of oracle", "frechet other clips=150/150") in sheet(measures, list(measures)).protocols


def test_a_picture_that_stands_still_has_no_direction(tmp_path: Path) -> None:
    # Encoders read 32 pictures at once: in another batch the same picture differs by rounding.
    write_ffv1(tmp_path / "a.mkv", Video(np.full((33, 48, 48, 3), 90, np.uint8), 8.0))
    states = ("A red flame burns on a blue candle.", "A blue candle without a flame.")
    found = extract([ClipEntry(tmp_path / "a.mkv", 0, states=states)], FidelityConfig(("text_image",)))
    assert found.values_of("directional similarity") == [0.0]


def test_twins_are_one_scene(run: tuple[Path, list[Case], list[ScoreRow]]) -> None:
    folder, cases, rows = run
    by_case = {r.case: r for r in rows if r.kind == "oracle"}
    # A model that answers each case with its twin's true clip has the very set of the real clips.
    swapped = [replace(r, generator="twin", kind="model", video=by_case[r.twin].video) for r in by_case.values()]
    found = of_run.of_run(cases, [*by_case.values(), *swapped], folder, FidelityConfig(("frechet", "kernel")))
    assert value(found[""]["twin"], "world-FVD, plug-in") == pytest.approx(0, abs=1e-6)
    assert value(found[""]["twin"], "world-KVD") == pytest.approx(0, abs=1e-6)


def test_a_clip_that_a_model_lacks_leaves_pairs_of_the_rest(run: tuple[Path, list[Case], list[ScoreRow]]) -> None:
    folder, cases, rows = run
    oracle = [r for r in rows if r.kind == "oracle"]
    same = [replace(r, generator="same", kind="model") for r in oracle[1:]]
    measures = of_run.of_run(cases, [*oracle, *same], folder, FidelityConfig(("frechet", "motion")))[""]["same"]
    for name in ("world-FVD, plug-in", "motion distance, plug-in"):
        (measure,) = [m for m in measures if m.metric == name]
        assert measure.value == pytest.approx(0, abs=1e-6)
        assert measure.n == (len(same), len(same))
        assert " paired" in measure.protocol
        assert measure.reason.endswith("left out of the pairs: 1 real clip")


def test_parts_in_processes_are_the_whole(run: tuple[Path, list[Case], list[ScoreRow]]) -> None:
    folder, cases, rows = run
    one, two = (of_run.of_run(cases, rows, folder, FidelityConfig(("motion",)), n) for n in (1, 2))
    assert one.keys() == two.keys()
    for suite, by in one.items():
        for generator, some in by.items():
            for mine, theirs in zip(some, two[suite][generator], strict=True):
                assert mine.value == pytest.approx(theirs.value, abs=1e-8)


def test_one_suite_is_all_there_is(run: tuple[Path, list[Case], list[ScoreRow]]) -> None:
    folder, cases, rows = run
    some = [r for r in rows if r.suite == "physics"]
    assert list(of_run.of_run(cases, some, folder, FidelityConfig(("motion",)))) == ["physics"]


def test_nothing_without_real_clips_or_metrics(run: tuple[Path, list[Case], list[ScoreRow]], tmp_path: Path) -> None:
    folder, cases, rows = run
    assert of_run.of_run(cases, [r for r in rows if r.kind != "oracle"], folder, FidelityConfig()) == {}
    assert of_run.of_run(cases, rows, folder, FidelityConfig(())) == {}
    assert read_measures(tmp_path) == {}
    (tmp_path / FILE).write_text('{"": {"a": [{"metric": "x"}]}}')
    with pytest.raises(ConfigError, match=r"fidelity\.json"):
        read_measures(tmp_path)


def test_weights_are_named_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("i3d", "world-video"):
        monkeypatch.setenv(weights.variable(name), "")
    words = ["run", "generator=oracle", "suite.probes=[motion]", "suite.modes=[t2v]", "suite.count=3", "references=[]"]
    words += [f"out={tmp_path / 'run'}", "fidelity.metrics=[frechet,kernel]"]
    assert main([*words, f"+fidelity.weights.world-video={weights.bundled('world-video')}"]) == 0
    # Three clips of two scenes have no distance, which is no fault; weights that are not here are one.
    assert "unavailable" not in capsys.readouterr().err
    assert main([*words, f"+fidelity.weights.i3d={tmp_path / 'gone.pt'}", "fidelity.video_encoder=i3d"]) == 2
    assert "there is no such file" in capsys.readouterr().err
    monkeypatch.setenv(weights.variable("i3d"), "")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main([*words, "fidelity.video_encoder=i3d"]) == 1
    assert "weights fetch i3d" in capsys.readouterr().err
    assert main([*words, "fidelity.i3d_eps=one"]) == 2
    assert "i3d_eps must be a number above 0" in capsys.readouterr().err
    assert [fidelity_config(o).i3d_eps for o in (FidelityOptions(i3d_eps=1e-5), FidelityOptions.of({}))] == [1e-5, 1e-3]
    assert main(["fidelity", str(tmp_path), str(tmp_path), "--weights", "i3d"]) == 2
    assert "write NAME=FILE" in capsys.readouterr().err


def test_physics_iq_is_of_continued_clips_with_the_frozen_control_beside_them(tmp_path: Path) -> None:
    probe = registry.probe("free_fall_bounce")
    cases = [probe.cases(1, SMALL, mode)[0] for mode in ("t2v", "i2v", "v2v")]
    rows = evaluate(cases, {probe.name: probe}, [Oracle(), Control("frozen")], tmp_path, progress=False).rows
    config = FidelityConfig(("full_reference",), pair_references=True)
    found = of_run.of_run(cases, rows, tmp_path, config)["physics"]
    for metric in physics_iq.HIGHER_IS_BETTER:
        # No clip is compared with itself.
        assert not any(m.metric == metric for m in found["oracle"])
        (frozen,) = [m for m in found["frozen"] if m.metric == metric]
        # Text alone has no beginning to continue.
        assert frozen.n == (2,)
        assert "empty-in-both=1 without-given-frames" in frozen.protocol
    true, held = (
        {r.case: read_video(tmp_path / r.video).frames for r in rows if r.generator == g} for g in ("oracle", "frozen")
    )
    by_hand = [physics_iq.measures(true[c.id][c.given :], held[c.id][c.given :]) for c in cases[1:]]
    for metric in physics_iq.HIGHER_IS_BETTER:
        assert value(found["frozen"], metric) == pytest.approx(np.mean([m[metric] for m in by_hand]))
    assert value(found["frozen"], "Physics-IQ spatial IoU") == 0
    without = of_run.of_run(
        cases[:1], [r for r in rows if r.case == cases[0].id], tmp_path, FidelityConfig(("full_reference",))
    )
    assert not any("Physics-IQ" in m.metric for m in without["physics"]["frozen"])


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(store.CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def of_references(folder: Path, config: FidelityConfig) -> of_run.MeasuresBySuite:
    """Return the measures of a run of oracle and frozen clips, made or taken from the cache."""
    probe = registry.probe("free_fall_bounce")
    cases = [c for mode in ("t2v", "i2v") for c in probe.cases(2, SMALL, mode)]
    rows = evaluate(cases, {probe.name: probe}, [Oracle(), Control("frozen")], folder, progress=False).rows
    return of_run.of_run(cases, rows, folder, config)


def test_references_are_measured_once_for_all_runs(
    tmp_path: Path, cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = FidelityConfig(pair_references=True)
    first = of_references(tmp_path / "one", config)
    assert len(list(cached.rglob("fidelity/*/*.json"))) == 8
    with monkeypatch.context() as patch:
        patch.setattr(extractors, "read_clip", None)
        patch.setattr(extractors, "_load_extractors", None)
        assert of_references(tmp_path / "two", config) == first
        with pytest.raises(TypeError):
            of_references(tmp_path / "three", replace(config, pair_frames=4))
    # What is damaged is measured again.
    for path in cached.rglob("fidelity/*/*.json"):
        path.write_text('{"features": 1}')
    assert of_references(tmp_path / "four", config) == first
    assert '"features": {' in next(cached.rglob("fidelity/*/*.json")).read_text()


def test_measures_of_other_code_are_not_used(tmp_path: Path, cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = FidelityConfig(("motion",))
    of_references(tmp_path / "one", config)
    code = store._code_hash
    monkeypatch.setattr(
        store, "_code_hash", lambda rooms, packages: code(rooms, packages) + "2" * ("fidelity" in rooms)
    )
    of_references(tmp_path / "two", config)
    assert len(list(cached.rglob("fidelity/*/*.json"))) == 16


def test_nothing_of_a_set_with_a_fault_is_kept(tmp_path: Path, cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(video: Video) -> Floats:
        raise ConfigError("no motion today")

    monkeypatch.setattr(extractors, "clip_motion", fault)
    measures = of_references(tmp_path / "one", FidelityConfig(("motion",)))
    assert "no motion today" in next(iter(measures.values()))["frozen"][0].reason
    assert not list(cached.rglob("fidelity/*/*.json"))
