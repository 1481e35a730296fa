"""A tracker of another kind: labels instead of colours."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from sora_eval import evaluate, registry
from sora_eval.commands.cli import main
from sora_eval.errors import ConfigError
from sora_eval.generator.simulator import Oracle, Violation
from sora_eval.runs.store import Store
from sora_eval.runs.tracking import read_tracks
from sora_eval.stats.failures import FailedRunError
from sora_eval.tracking.base import Tracker, described
from sora_eval.tracking.labelled import labelled_tracks
from sora_eval.tracking.world import WorldTracker
from sora_eval.types import Case, Profile, Tracks, Video

SMALL = Profile("small", 64, 64, 17, 8, 5)
BOX = np.array([[[1.0, 2, 5, 10], [np.nan] * 4], [[20.0, 20, 30, 30], [21.0, 20, 63, 30]]])


@dataclass(frozen=True)
class NounTracker:
    """A detector that knows what things are, and no colours: boxes by the world tracker, nouns from the scene."""

    name = "nouns"
    version = 1
    fingerprint = "0a"

    def track(self, video: Video, case: Case | None) -> Tracks:
        assert case is not None
        p = case.scene["params"]
        nouns = {p["wall"]: "wall", p["colour"]: p["shape"]}
        tracks = WorldTracker().track(video)
        return labelled_tracks(
            [nouns.get(c, "thing") for c in tracks.colour], tracks.box, tracks.size, tracks.fps, tracks.area
        )


@dataclass(frozen=True)
class FalseWorld(NounTracker):
    name = "world"


def test_a_label_gives_the_colour_that_it_names():
    tracks = labelled_tracks(["Red ball", "dog"], BOX, (64, 64), 8.0)
    assert tracks.colour == ("red", "")
    assert tracks.labels == ("Red ball", "dog")
    assert tracks.visible.tolist() == [[True, False], [True, True]]
    assert tracks.xy[0, 0].tolist() == [3, 6]
    assert tracks.area.tolist() == [[32, 0], [100, 420]]
    assert tracks.shape["aspect"][0, 0] == 2
    assert tracks.shape["edge"][1].tolist() == [0, 1]
    assert np.isnan(tracks.shape["taper"]).all()


def test_objects_are_found_by_colour_and_else_by_noun():
    tracks = labelled_tracks(["red ball", "dog", "ball"], np.concatenate([BOX, BOX[:1]]), (64, 64), 8.0)
    assert tracks.called("red", "ball") == [0]
    assert tracks.called("green", "dog") == [1]
    assert tracks.called("green", "ball") == [2]
    assert tracks.called("green", "cat") == []


def test_shapes_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match=r"box must be \[N, T, 4\] for 1 labels"):
        labelled_tracks(["dog"], BOX, (64, 64), 8.0)
    tracks = labelled_tracks(["red", "dog"], BOX, (64, 64), 8.0)
    with pytest.raises(ValueError, match="2 tracks have 1 labels"):
        Tracks(tracks.colour, tracks.xy, tracks.visible, tracks.area, tracks.box, tracks.size, 8.0, labels=("dog",))


def test_labels_are_stored_and_tracks_without_any_are_the_same_file(tmp_path):
    labelled = labelled_tracks(["red ball", "dog"], BOX, (64, 64), 8.0)
    Store(tmp_path).write_tracks(tmp_path / "a.npz", labelled)
    assert read_tracks(tmp_path / "a.npz").labels == ("red ball", "dog")
    with np.load(tmp_path / "a.npz") as file:
        old = {name: file[name] for name in file if name != "labels"}
    np.savez_compressed(tmp_path / "old.npz", **old)
    assert read_tracks(tmp_path / "old.npz").labels == ()


@pytest.mark.parametrize(("generator", "right"), [(Oracle(), True), (Violation("vanishes"), False)])
def test_a_probe_judges_by_labels(generator, right):
    probe = registry.probe("pass_behind")
    for case in probe.cases(4, SMALL, "t2v"):
        (video,) = generator.generate([case])
        score = probe.score(case, video, NounTracker().track(video, case))
        assert score.value is not None, score.reason
        assert (score.value > 0.8) == right


def test_trackers_are_chosen_by_the_configuration_and_the_api(tmp_path):
    words = ["suite.probes=[pass_behind]", "suite.modes=[t2v]", "suite.count=2", "references=[frozen]", "fidelity=null"]
    target = f"tracker._target_=tracking.{__name__.rpartition('.')[2]}.NounTracker"
    assert main(["run", *words, target, "players=0", f"out={tmp_path / 'run'}"]) == 0
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["versions"]["tracker"] == f"nouns 1 0a hue {WorldTracker.version}"
    options = {"probes": ["pass_behind"], "modes": ["t2v"], "count": 2, "references": ["frozen"], "progress": False}
    result = evaluate("oracle", tracker=NounTracker(), folder=tmp_path / "api", **options)
    assert [row.value for row in result.rows if row.generator == "oracle"] == [1.0, 1.0]
    assert [(r.value, r.tracks) for r in result.rows] == [
        (row["value"], row["tracks"])
        for row in map(json.loads, (tmp_path / "run" / "scores.jsonl").read_text().splitlines())
    ]
    with pytest.raises(ConfigError, match="unknown tracker 'wrld': did you mean world"):
        evaluate("oracle", tracker="wrld", **options)


def test_the_world_tracker_is_its_version_alone():
    assert isinstance(WorldTracker(), Tracker)
    assert described(WorldTracker()) == str(WorldTracker.version)
    assert described(NounTracker()) == f"nouns 1 0a hue {WorldTracker.version}"


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("tracking.test_labelled.FalseWorld", "'world' is the name of the bundled tracker"),
        ("sora_eval.generator.simulator.Oracle", "lacks track, version"),
        ("nowhere.Tracker", "nowhere"),
    ],
)
def test_what_is_no_tracker_is_one_line(target, line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", f"tracker._target_={target}"]) == 2
    err = capsys.readouterr().err
    assert line in err
    assert err.count("\n") == 1


class EverySecond(NounTracker):
    """A detector that looks at every second frame."""

    name = "every-second"

    def track(self, video, case):
        return super().track(Video(video.frames[::2], video.fps / 2), case)


def test_tracks_of_another_clip_are_a_technical_failure_and_no_score(tmp_path):
    options = {"probes": ["pass_behind"], "modes": ["t2v"], "count": 1, "references": [], "progress": False}
    with pytest.raises(FailedRunError, match=r"tracks of another clip: frames 9 for 17, fps 4.0 for 8.0"):
        evaluate("oracle", tracker=EverySecond(), folder=tmp_path, **options)


def test_a_run_is_not_continued_with_another_tracker(tmp_path):
    options = {"probes": ["pass_behind"], "modes": ["t2v"], "count": 1, "references": [], "progress": False}
    evaluate("oracle", folder=tmp_path, **options)
    with pytest.raises(ConfigError, match="judged with tracker world, not with nouns 1 0a hue"):
        evaluate("oracle", tracker=NounTracker(), folder=tmp_path, **options)
    with pytest.raises(ConfigError, match="'world' is the name of the bundled tracker"):
        evaluate("oracle", tracker=FalseWorld(), **options)
