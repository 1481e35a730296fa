import json

import numpy as np
import pytest

from sora_eval.data.rendering import render_set
from sora_eval.errors import ConfigError
from sora_eval.types import Profile
from sora_eval.video import read_video
from sora_eval.world.families import FAMILIES

TINY = Profile("tiny", 24, 32, 5, 4, 1)


def test_a_set_holds_frames_captions_and_truth(tmp_path):
    assert render_set("pass_behind", 2, TINY, tmp_path, 0, "full", 1) == 2
    rows = [json.loads(line) for line in (tmp_path / "index.jsonl").read_text().splitlines()]
    assert [r["video"] for r in rows] == ["pass_behind/000000.mkv", "pass_behind/000001.mkv"]
    assert read_video(tmp_path / rows[0]["video"]).frames.shape == (5, 24, 32, 3)
    about = json.loads((tmp_path / "pass_behind/000000.json").read_text())
    assert about["caption"] in about["long_caption"] or len(about["long_caption"]) > len(about["caption"])
    truth = np.load(tmp_path / "pass_behind/000000.npz")
    bodies = len(about["bodies"])
    assert truth["ids"].shape == (5, 24, 32)
    assert truth["amodal"].shape == (5, bodies, 24, 32)
    assert truth["xy"].shape == (5, bodies, 2)
    assert truth["K"].shape == (5, 3, 3)


def test_processes_give_the_same_set(tmp_path):
    for name, workers in (("one", 1), ("two", 2)):
        render_set("motion", 4, TINY, tmp_path / name, 3, "none", workers)
    a, b = ({p.name: p.read_bytes() for p in (tmp_path / n / "motion").iterdir()} for n in ("one", "two"))
    assert a == b


def test_a_stopped_set_goes_on_and_keeps_what_is_there(tmp_path):
    render_set("motion", 2, TINY, tmp_path, 0, "none", 1)
    first = (tmp_path / "motion/000000.mkv").stat().st_mtime_ns
    (tmp_path / "motion/000001.mkv").unlink()
    render_set("motion", 3, TINY, tmp_path, 0, "none", 1)
    assert (tmp_path / "motion/000000.mkv").stat().st_mtime_ns == first
    assert len(list((tmp_path / "motion").glob("*.mkv"))) == 3


@pytest.mark.parametrize("words", [("rom", "none"), ("room", "masks")])
def test_unknown_names_are_refused_with_the_nearest(tmp_path, words):
    with pytest.raises(ConfigError, match="unknown"):
        render_set(words[0], 1, TINY, tmp_path, 0, words[1], 1)


def test_training_clips_are_no_probe_clips():
    from sora_eval import registry

    asked = set()
    for name in registry.probe_names():
        for seed in (0, 1):
            for case in registry.probe(name).cases(64, TINY, "t2v", seed):
                asked.add(json.dumps(case.scene, sort_keys=True))
    for family, kind in FAMILIES.items():
        for number in range(64):
            rng = np.random.default_rng([0, *b"training", *family.encode(), number])
            spec = {"family": family, "params": kind.sample(rng).to_json()}
            assert json.dumps(spec, sort_keys=True) not in asked, (family, number)


@pytest.mark.parametrize(
    ("profile", "seed", "truth", "said"),
    [
        (Profile("tiny", 24, 48, 5, 4, 1), 0, "none", r"profile.width=32 \(now: 48\)"),
        (TINY, 1, "none", r"seed=0 \(now: 1\)"),
        (TINY, 0, "full", r"truth=none \(now: full\)"),
    ],
)
def test_clips_of_other_settings_are_not_mixed(tmp_path, profile, seed, truth, said):
    render_set("motion", 1, TINY, tmp_path, 0, "none", 1)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(ConfigError, match=said):
        render_set("motion", 1, profile, tmp_path, seed, truth, 1)
    assert before == {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}


def test_events_name_the_nearest_frame(tmp_path):
    profile = Profile("tiny", 24, 32, 17, 8, 1)
    render_set("free_fall_bounce", 1, profile, tmp_path, 0, "none", 1)
    events = json.loads((tmp_path / "free_fall_bounce/000000.json").read_text())["events"]
    assert events
    assert all(abs(e["frame"] - e["t_s"] * 8) <= 0.5 for e in events if e["t_s"] <= 2)
