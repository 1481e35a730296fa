"""Plumbing with small random networks of the hub's classes: no verdict here says anything about judgement."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from tracking.open_vocab import tiny_hub

from sora_eval import registry
from sora_eval.commands.cli import main
from sora_eval.errors import ConfigError
from sora_eval.runs.reader import read_run
from sora_eval.tracking.base import described
from sora_eval.tracking.natural.detector import Detection
from sora_eval.tracking.open_vocab import depth, detectors, hub
from sora_eval.tracking.open_vocab.segmenter import masks_through
from sora_eval.tracking.open_vocab.tracker import OpenVocabTracker
from sora_eval.types import Video
from sora_eval.video import write_h264

pytest.importorskip("transformers")
FRAMES = np.random.default_rng(0).integers(0, 255, (6, 48, 80, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Folders of small networks by kind."""
    folder = tmp_path_factory.mktemp("hub")
    kinds = ("grounding_dino", "owlv2", "sam2", "depth_anything")
    return {kind: getattr(tiny_hub, kind)(folder / kind) for kind in kinds}


@pytest.mark.parametrize("kind", ["grounding_dino", "owlv2"])
def test_a_detector_of_each_kind_gives_boxes_inside_the_frame(models, kind):
    model = hub.find_model("tracker.detector", models[kind], tuple(detectors.KINDS))
    found = detectors.detect(model, "cpu", FRAMES[0], ("red ball", "dog"), 1e-6, 1e-6)
    assert {d.label for d in found} <= {"red ball", "dog"} and found
    for d in found:
        assert 0 <= d.box[0] < d.box[2] <= 79 and 0 <= d.box[1] < d.box[3] <= 47 and 0 < d.score < 1
    assert found == detectors.detect(model, "cpu", FRAMES[0], ("red ball", "dog"), 1e-6, 1e-6)
    assert detectors.detect(model, "cpu", FRAMES[0], (), 0.1, 0.3) == []


def test_words_that_a_detector_does_not_take_are_one_line(models):
    model = hub.find_model("tracker.detector", models["grounding_dino"], tuple(detectors.KINDS))
    for phrase in ("dog. cat", "dog " * 300):
        with pytest.raises(ConfigError, match=r"tracker\.detector"):
            detectors.detect(model, "cpu", FRAMES[0], (phrase, "ball"), 0.1, 0.3)


def test_masks_have_the_size_of_the_clip(models):
    model = hub.find_model("tracker.masks", models["sam2"], ("sam2_video",))
    masks = masks_through(model, "cpu", FRAMES, 2, (10.0, 10.0, 40.0, 30.0))
    assert masks.shape == FRAMES.shape[:3] and masks.dtype == bool


def test_nearness_is_a_rank_in_the_frames_own_size(models):
    model = hub.find_model("tracker.depth", models["depth_anything"], ("depth_anything",))
    ranks = depth.nearness_map(model, "cpu", FRAMES[0])
    assert ranks.shape == FRAMES.shape[1:3] and ranks.min() >= 0 and ranks.max() <= 1
    ramp = np.tile(np.arange(80) / 80, (48, 1))
    assert depth.nearness(ramp, (20.0, 10.0, 40.0, 30.0)) == pytest.approx(0.375, abs=0.01)
    assert np.isnan(depth.nearness(ramp, np.full(4, np.nan)))


def tracker(models, detector="owlv2", **options):
    return OpenVocabTracker(models[detector], **{"device": "cpu", **options})


def test_the_fingerprint_is_that_of_weights_and_options_wherever_they_lie(models, tmp_path):
    plain = tracker(models).fingerprint
    other = {"owlv2": tiny_hub.owlv2(tmp_path / "other", seed=1)}
    moved = {"owlv2": tiny_hub.owlv2(tmp_path / "moved")}
    assert tracker(moved).fingerprint == plain
    changed = [
        tracker(other), tracker(models, "grounding_dino"), tracker(models, masks=models["sam2"]), tracker(models, sure=0.5),
        tracker(models, unsure=0.2), tracker(models, shift=3.0), tracker(models, looked=8), tracker(models, depth=models["depth_anything"]),
    ]  # fmt: skip
    assert len({plain, *(t.fingerprint for t in changed)}) == 1 + len(changed)
    assert str(tmp_path) not in described(tracker(moved))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"masks": "owlv2"}, "is a model of type owlv2; sam2_video is needed"),
        ({"depth": "sam2"}, "is a model of type sam2_video; depth_anything is needed"),
        ({"masks": "/nowhere/sam2"}, "tracker.masks=/nowhere/sam2: there is no such folder"),
        ({"unsure": 0.9}, "0 < unsure <= sure <= 1"),
        ({"sure": 2.0}, "0 < unsure <= sure <= 1"),
        ({"looked": 1}, "tracker.looked=1"),
        ({"shift": 0.0}, "tracker.shift=0.0"),
        ({"states": "clip"}, "clip-b-32"),
    ],
)
def test_wrong_options_are_one_line_before_anything_runs(models, options, why):
    with pytest.raises((ConfigError, hub.AbsentModelError)) as caught:
        tracker(models, **{k: models.get(v, v) for k, v in options.items()})
    assert why in str(caught.value) and "\n" not in str(caught.value)


def damaged(models, tmp_path, change):
    folder = tmp_path / "damaged"
    folder.mkdir()
    for file in Path(models["owlv2"]).iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    change(folder)
    return str(folder)


def resized(folder):
    config = json.loads((folder / "config.json").read_text())
    config["projection_dim"] = 8
    (folder / "config.json").write_text(json.dumps(config))


def without_a_tensor(folder):
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    tensors.pop("class_head.dense0.weight")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def detected(folder):
    model = hub.find_model("tracker.detector", folder, tuple(detectors.KINDS))
    return detectors.detect(model, "cpu", FRAMES[0], ("dog",), 0.1, 0.3)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (resized, "size"),
        (without_a_tensor, "class_head.dense0.weight"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x"), "can't be loaded"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no weights there"),
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "can't be loaded"),
    ],
)
def test_a_folder_that_does_not_fit_is_one_line(models, tmp_path, change, why):
    folder = damaged(models, tmp_path, change)
    with pytest.raises(ConfigError) as caught:
        detected(folder)
    assert why in str(caught.value) and "\n" not in str(caught.value) and "damaged" in str(caught.value)


def test_a_missing_package_says_what_installs_it(models, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(hub.AbsentModelError, match=r"sora-eval\[open_vocab\]"):
        tracker(models)


def test_a_hub_name_that_can_not_be_reached_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(hub.AbsentModelError) as caught:
        hub.find_model("tracker.detector", "nobody/no-such-model", ("owlv2",))
    assert "name a local folder" in str(caught.value) and "\n" not in str(caught.value)


CASE = registry.probe("relation").cases(1, registry.profile("small"), "t2v")[0]


def test_a_clip_is_tracked_by_random_networks_and_one_that_names_nothing_gives_nothing(models):
    made = tracker(models, "grounding_dino", sure=1e-6, unsure=1e-6)
    tracks = made.track(Video(FRAMES, 8.0), CASE)
    assert tracks.size == (48, 80) and tracks.frames == 6
    assert len(tracks) or tracks.unsure
    nothing = made.track(Video(FRAMES, 8.0), None)
    assert not len(nothing) and nothing.unsure == ""


def test_boxes_go_on_to_masks_and_depth(models, monkeypatch):
    box = (10.0, 10.0, 40.0, 30.0)
    monkeypatch.setattr(detectors, "detect", lambda *args: [Detection("red ball", 0.9, box)])
    tracks = tracker(models, depth=models["depth_anything"]).track(Video(FRAMES, 8.0), CASE)
    assert tracks.labels == ("red ball",) and tracks.colour == ("red",)
    np.testing.assert_allclose(tracks.box[0], np.tile(box, (6, 1)))
    near = tracks.shape["nearness"]
    assert near.shape == (1, 6) and (near >= 0).all() and (near <= 1).all()
    # Random masks lie elsewhere: that is said, and nothing is judged.
    tracks = tracker(models, masks=models["sam2"]).track(Video(FRAMES, 8.0), CASE)
    assert len(tracks) or "mask of the red ball and its boxes disagree" in tracks.unsure


def test_a_folder_of_clips_is_judged_from_the_command_line(models, tmp_path, capsys):
    rows = [
        {"id": "rel", "prompt": "A dog sits to the left of a cat.", "expect": {"relation": "dog left of cat"}},
        {"id": "out", "prompt": "A candle is blown out.", "expect": {"change": "candle from burning to blown out"}},
    ]
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(rows))
    assert main(["cases", f"prompts={tmp_path / 'p.yaml'}", f"out={tmp_path / 'mine'}"]) == 0
    for row in rows:
        write_h264(tmp_path / "mine" / "videos" / f"{row['id']}.mp4", Video(FRAMES, 8.0), 10)
    words = [f"prompts={tmp_path / 'p.yaml'}", "generator=folder", f"generator.path={tmp_path / 'mine'}", "workers=1"]
    words += ["fidelity=null", "tracker=open_vocab", f"tracker.detector={models['owlv2']}", "tracker.device=cpu"]
    assert main(["run", *words, f"out={tmp_path / 'run'}"]) in (0, 1)
    run = read_run(tmp_path / "run")
    assert {row.case for row in run.rows} == {"rel", "out"}
    assert run.manifest["versions"]["tracker"].startswith("open_vocab 1 detector owlv2@")
    assert not any("Traceback" in line for line in run.problems)
    # Another tracker is another run.
    assert main(["run", *words, "tracker.sure=0.9", f"out={tmp_path / 'run'}"]) == 2
    assert main(["run", *words, "tracker.detector=/nowhere", f"out={tmp_path / 'other'}"]) == 2
    assert "tracker.detector=/nowhere: there is no such folder" in capsys.readouterr().err
