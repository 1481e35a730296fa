import shutil
from dataclasses import asdict, fields, replace

import numpy as np
import pytest
import torch
from PIL import Image

from sora_eval import registry
from sora_eval.alignment.align import kept_at
from sora_eval.commands.cli import main
from sora_eval.config import parse
from sora_eval.data.heldout import members
from sora_eval.errors import ConfigError
from sora_eval.files import read_json
from sora_eval.generator.reference import adapter, commands
from sora_eval.generator.reference.adapter import Reference
from sora_eval.generator.reference.evaluation.judges import sided, single
from sora_eval.generator.reference.evaluation.rows import GOALS
from sora_eval.generator.reference.evaluation.seams import ordinary, seam
from sora_eval.generator.reference.evaluation.tasks import rows_of
from sora_eval.generator.reference.model import latent_space, load, save_transformer
from sora_eval.generator.reference.options import Options
from sora_eval.types import Failure, Profile, Video
from sora_eval.video import read_video, resize, write_ffv1
from sora_eval.world import conditioning

QUICK = ["steps=1"]


def run(*args):
    return main([*args])


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "first.png"
    picture = np.full((40, 40, 4), 255, np.uint8)
    picture[10:20, 10:20] = (255, 0, 0, 128)
    Image.fromarray(picture).save(path)
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory, checkpoint):
    path = tmp_path_factory.mktemp("clips") / "clip.mkv"
    assert run("sample", "prompt=A red ball stands still.", f"checkpoint={checkpoint}", f"out={path}", *QUICK) == 0
    return path


@pytest.mark.parametrize(
    ("args", "frames"),
    [
        (["task=text_to_video", "prompt=A red ball rolls to the left.", "frames=9"], 9),
        (["task=image_to_video", "input=IMAGE", "frames=5"], 5),
        (["task=extend", "input=VIDEO", "frames=3", "backward=true"], 20),
        (["task=loop", "input=VIDEO"], 37),
        (["task=connect", "input=VIDEO", "second=VIDEO"], 54),
        (["task=edit", "input=VIDEO", "prompt=A blue ball stands still."], 17),
        (["task=long", "prompt=A red ball stands still.", "frames=40"], 40),
        (["task=actions", "input=IMAGE", "actions=[forward,turn left,none]"], 4),
    ],
)
def test_every_task_from_the_command_line(tmp_path, checkpoint, image, video, args, frames):
    args = [a.replace("IMAGE", str(image)).replace("VIDEO", str(video)) for a in args]
    out = tmp_path / "out.mp4"
    assert run("sample", *args, f"checkpoint={checkpoint}", f"out={out}", *QUICK) == 0
    assert len(read_video(out)) == frames


def test_formats_and_variations(tmp_path, checkpoint, capsys):
    base = ["sample", "prompt=A red ball stands still.", f"checkpoint={checkpoint}", *QUICK]
    assert run(*base, f"out={tmp_path / 'a.gif'}", "frames=5") == 0
    assert run(*base, f"out={tmp_path / 'a.png'}", "task=text_to_image", "count=2", "width=96") == 0
    with Image.open(tmp_path / "a-1.png") as picture:
        assert picture.size == (96, 64)
    assert (tmp_path / "a.gif").exists()
    capsys.readouterr()
    assert run(*base[:1], "prompt=A red zebra.", *base[2:], f"out={tmp_path / 'b.png'}", "height=50") == 0
    told = capsys.readouterr().out
    assert "not know: zebra" in told
    assert "50x64 does not fit" in told


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["prompt="], "prompt is empty"),
        (["prompt=A red ball.", "out=a.avi"], "must end in"),
        (["prompt=A red ball.", "task=dance"], "dance"),
        (["task=extend"], "needs input=FILE"),
        (["task=extend", "input=nothing.mp4"], "nothing.mp4 can't be read"),
        (["prompt=A red ball.", "steps=0"], "steps"),
        (["prompt=A red ball.", "frames=0"], "frames must be a whole number of at least 1"),
        (["prompt=A red ball.", "seed=-1"], "seed must be a whole number of at least 0"),
        (["prompt=A red ball.", "strength=0.3"], "has no use for strength"),
        (["prompt=A red ball.", "expanded=perhaps"], "expanded must be true or false"),
        (["prompt=A red ball.", "height=100000"], "pixels: set height="),
        (["task=edit", "input=VIDEO", "frames=5"], "has no use for frames"),
        (["task=edit", "input=VIDEO", "strength=much"], "strength must be a number"),
        (["task=edit", "input=VIDEO", "strength=1.5"], "strength must be between 0 and 1"),
        (["task=extend", "input=VIDEO", "frames=-5"], "frames must be a whole number of at least 1"),
        (["task=extend", "input=VIDEO", "backward=perhaps"], "backward must be true or false"),
        (["task=extend", "input=5"], "5 can't be read"),
        (["task=actions", "input=IMAGE", "actions=null"], "actions must be a list"),
        (["task=actions", "input=IMAGE", "actions=[jump]"], "unknown action 'jump'"),
        (["task=actions", "input=IMAGE"], "actions is empty"),
        (["prompt=A red ball.", "frames=many"], "frames must be a whole number"),
        (["prompt=A red ball.", "count=0"], "count must be a whole number of at least 1"),
    ],
)
def test_bad_input_is_one_line(checkpoint, image, video, capsys, args, told):
    args = [a.replace("IMAGE", str(image)).replace("VIDEO", str(video)) for a in args]
    capsys.readouterr()
    assert run("sample", *args, f"checkpoint={checkpoint}") == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["prompt=红色的球"], "knows no word of the prompt"),
        (["prompt=" + "A red ball rolls to the left. " * 20], "only the first"),
        (["prompt=A red ball rolls to the left.", "frames=41"], "takes of more than 33 frames"),
        (["prompt=A red ball rolls to the left.", "frames=1", "width=144"], "above 128 pixels"),
        (["task=image_to_video", "input=VIDEO", "frames=5"], "reads the first of 17 frames"),
        (["task=loop", "input=FAST"], "has 16 frames per second: it is read, and written, at 8"),
    ],
)
def test_what_is_read_otherwise_than_asked_is_said(tmp_path, checkpoint, video, capsys, args, told):
    fast = tmp_path / "fast.mkv"
    write_ffv1(fast, Video(read_video(video).frames, 16.0))
    args = [a.replace("VIDEO", str(video)).replace("FAST", str(fast)) for a in args]
    assert run("sample", *args, f"checkpoint={checkpoint}", f"out={tmp_path / 'a.mkv'}", *QUICK) == 0
    assert told in capsys.readouterr().out


def test_pictures_of_any_kind_are_read_at_the_size_that_is_asked(tmp_path, checkpoint):
    deep = tmp_path / "deep.png"
    Image.fromarray(np.full((300, 400), 20_000, np.uint16)).save(deep)
    seen = commands._frames(commands.Request("image_to_video", input=str(deep), height=64, width=80))
    assert seen.shape == (1, 64, 80, 3)
    assert abs(int(seen.mean()) - 78) <= 1
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 32)).save(turned, exif=exif)
    assert commands._frames(commands.Request("loop", input=str(turned))).shape == (1, 64, 32, 3)
    assert commands._frames(commands.Request("loop", input=str(deep), height=48)).shape == (1, 48, 64, 3)
    damaged = tmp_path / "damaged.png"
    good = _blank(tmp_path / "good.png", (64, 64)).read_bytes()
    damaged.write_bytes(good.replace(b"IDAT", b"ID\0T"))
    with pytest.raises(ConfigError, match="can't be read"):
        commands._frames(commands.Request("loop", input=str(damaged)))
    with pytest.raises(ConfigError, match="set height= and width="):
        commands._frames(commands.Request("loop", input=str(_blank(tmp_path / "large.png", (3200, 1600)))))


def _blank(path, size):
    Image.new("RGB", size).save(path)
    return path


def test_the_samplers_defaults_are_the_same_everywhere():
    # null is the checkpoint's own option.
    expected = dict.fromkeys(asdict(Options()))
    assert {f.name: f.default for f in fields(Reference) if f.name in expected} == expected
    options = [parse(name, [])[0].values() for name in ("sample", "eval-tasks")]
    for values in (*options, parse("run", ["generator=reference"])[0].generator):
        assert {key: values[key] for key in expected} == expected
    for config in (parse(name, [])[0] for name in ("sample", "eval-tasks")):
        assert config.sampling({}) == Options()


def test_a_missing_checkpoint_is_one_line(capsys):
    assert run("sample", "prompt=A red ball.", "checkpoint=64x") == 2
    assert "did you mean 4x" in capsys.readouterr().err


@pytest.mark.slow
def test_all_measures_have_rows(tmp_path, checkpoint, capsys):
    args = ["eval-tasks", f"checkpoint={checkpoint}", "count=2", "steps=1", f"out={tmp_path}"]
    assert run(*args, "tasks=[autoencoder,text,aspect,image,extend,loop,connect,edit,variations,actions]") == 0
    assert "| text to video | colour |" in capsys.readouterr().out
    found = read_json(tmp_path / "tasks.json")
    assert found["checkpoint"] == str(checkpoint)
    rows = {(r["task"], r["measure"]): r for r in rows_of(found["tasks"])}
    # A minute takes too long here.
    assert {key for key in GOALS if key[0] != "one minute by extension"} <= rows.keys()
    assert rows[("text to video", "shape")]["oracle"] == 1
    assert rows[("text to video, wide", "whole in view")]["oracle"] == 1
    extended = rows[("extend forward", "seam")]
    assert extended["oracle"] == pytest.approx(1, abs=0.3)
    assert extended["model"] > 3
    assert rows[("extend forward", "direction")]["frozen"] == 0
    for task in ("loop", "connect", "interpolate"):
        assert (rows[(task, "score")]["oracle"], rows[(task, "score")]["frozen"]) == (1, 0)
    assert rows[("actions (walk, turn, break, place)", "better than with another's actions")]["oracle"] == 1


def test_measured_tasks_stay_until_weights_or_options_change(tmp_path, checkpoint, capsys):
    args = ["eval-tasks", f"checkpoint={checkpoint}", "count=2", f"out={tmp_path}"]
    assert run(*args, "tasks=[variations]", "steps=1") == 0
    assert run(*args, "tasks=[variations,nothing]", "steps=1") == 2
    assert "unknown task 'nothing'" in capsys.readouterr().err
    assert run(*args, "tasks=[edit]", "steps=1") == 0
    before = read_json(tmp_path / "tasks.json")["tasks"]
    assert list(before) == ["edit", "variations"]
    shutil.copytree(checkpoint.parent, tmp_path / "moved")
    moved = tmp_path / "moved" / checkpoint.name
    assert run("eval-tasks", f"checkpoint={moved}", *args[2:], "tasks=[edit]", "steps=1") == 0
    assert read_json(tmp_path / "tasks.json")["tasks"] == before
    capsys.readouterr()
    assert run(*args, "tasks=[edit]", "steps=2") == 2
    assert "has measures of another options" in capsys.readouterr().err
    assert read_json(tmp_path / "tasks.json")["tasks"] == before
    assert run(*args, "tasks=[edit]", "steps=2", "replace=true") == 0
    (row, *_) = measured = read_json(tmp_path / "tasks.json")["tasks"]["edit"]["rows"]
    assert list(read_json(tmp_path / "tasks.json")["tasks"]) == ["edit"]
    assert (row["measure"], row["n"], row["oracle"], row["frozen"]) == ("score", 2, 1, 0)
    assert 0 <= row["model"] <= 1
    assert {"changed", "motion", "rest_kept"} < {r["measure"] for r in measured}


def test_earlier_measures_are_shown_with_the_goals_of_today():
    before = {"task": "text to video", "measure": "colour", "model": 1.0, "goal": ">= .95"}
    (row,) = rows_of({"text": {"seconds": 1.0, "rows": [before]}})
    assert row == before | {"goal": GOALS[("text to video", "colour")]}
    (row,) = rows_of({"text": {"seconds": 1.0, "rows": [before | {"measure": "no such measure"}]}})
    assert row["goal"] == ""


def test_the_judges_of_single_things_believe_the_world_and_doubt_its_frozen_frame():
    some = members("single", 24)
    true = [single(m.frames, m.params) for m in some]
    for key in ("colour", "one object", "shape"):
        assert np.mean([t[key] for t in true]) == 1
    assert np.mean([t["direction"] for t in true]) >= 0.95
    moving = [m for m in some if m.params["motion"] != "still"]
    assert np.mean([single(m.frozen, m.params)["direction"] for m in moving]) == 0
    wrong = [{**m.params, "hero": {**m.params["hero"], "colour": "none", "shape": "none"}} for m in some]
    assert not any(single(m.frames, w)["colour"] for m, w in zip(some, wrong, strict=True))
    pairs = members("relation", 8)
    assert all(sided(m.frames, m.params)["side"] for m in pairs)
    assert not any(sided(m.frames[:, :, ::-1], m.params)["side"] for m in pairs)


def test_a_cut_has_a_seam_and_a_motion_none():
    (m,) = members("single", 1, 33, wanted=lambda p: p["motion"] == "left")
    other = members("single", 1)[0]
    usual = ordinary(m.frames)
    assert seam(m.frames[:16], m.frames[16:]) == pytest.approx(usual, rel=0.3)
    assert seam(m.frames[:16], other.frames) > 3 * usual
    noise = np.random.default_rng(0).integers(0, 256, other.frames.shape, np.uint8)
    assert seam(m.frames[:16], noise) > 30 * usual


@pytest.mark.parametrize("mode", ["t2v", "i2v", "v2v"])
def test_as_a_generator_of_the_suites(checkpoint, mode):
    model = Reference(checkpoint=str(checkpoint), steps=1)
    cases = registry.probe("relation").cases(2, registry.profile("small"), mode)
    videos = list(model.generate(cases))
    assert all(isinstance(v, Video) and v.frames.shape == (17, 64, 64, 3) for v in videos)
    assert np.array_equal(videos[1].frames, next(iter(model.generate(cases[1:]))).frames)
    assert model.fingerprint(cases[0]) != Reference(checkpoint=str(checkpoint), steps=2).fingerprint(cases[0])
    wide = registry.probe("relation").cases(1, registry.profile("large"), mode)
    assert next(iter(model.generate(wide))).size == (64, 112)


@pytest.mark.parametrize(("fps", "given", "at_eight"), [(16, 17, 9), (24, 25, 9), (32, 17, 5), (8, 5, 5)])
def test_given_frames_keep_their_moments_at_its_own_rate(checkpoint, fps, given, at_eight):
    case = registry.probe("relation").cases(1, Profile("any", 64, 64, 2 * fps + 1, fps, given), "v2v")[0]
    frames = adapter._resampled(conditioning(case), case, (64, 64))
    assert len(frames) == at_eight
    assert np.array_equal(frames[-1], conditioning(case)[-1])


def test_all_given_frames_are_in_the_clip(checkpoint):
    """Those beyond the longest take of the training too: they were sampled anew."""
    case = registry.probe("relation").cases(1, Profile("long", 64, 64, 49, 8, 41), "v2v")[0]
    model = Reference(checkpoint=str(checkpoint), steps=1)
    (video,) = model.generate([case])
    assert len(video) == 49
    assert np.array_equal(video.frames[:41], model._sampler().reconstruct(conditioning(case)))


def test_a_checkpoint_that_is_written_again_is_another_one(checkpoint, tmp_path):
    for name in ("tiny", "autoencoder"):
        shutil.copy(checkpoint.with_name(f"{name}.safetensors"), tmp_path)
    path, (case,) = tmp_path / "tiny.safetensors", registry.probe("relation").cases(1, registry.profile("small"), "t2v")
    before = Reference(checkpoint=str(path))
    first = before.fingerprint(case)
    loaded = load(str(path))
    with torch.no_grad():
        loaded.transformer.final_layer.patch_out.bias.add_(1)
    save_transformer(path, loaded.transformer, loaded.words, latent_space(loaded.autoencoder), loaded.about)
    assert Reference(checkpoint=str(path)).fingerprint(case) != first == before.fingerprint(case)


@pytest.mark.parametrize("mode", ["extend_back", "loop", "connect", "interpolate", "edit"])
def test_as_a_generator_of_editing(checkpoint, mode):
    model = Reference(checkpoint=str(checkpoint), steps=1)
    name = {"loop": "endless_loop", "connect": "transition", "edit": "recolour"}.get(mode, "extension")
    for profile in (registry.profile("small"), Profile("wide", 64, 96, 33, 16, 9)):
        (case,) = registry.probe(name).cases(1, profile, mode)
        assert not model.capabilities.refuses(case)
        (video,) = model.generate([case])
        assert len(video) == round((case.frames - 1) / case.fps * 8) + 1
        if mode != "edit":
            given = resize(conditioning(case), video.size)
            ends = {0, len(given) - 1} & {i for i, k in enumerate(case.given_at) if k in (0, case.frames - 1)}
            at = kept_at(case, len(video), video.fps)
            assert all(np.array_equal(video.frames[at[i]], given[i]) for i in ends)


def test_as_a_player_it_follows_the_actions_that_it_knows(checkpoint):
    model = Reference(checkpoint=str(checkpoint), steps=1)
    small = registry.profile("small")
    case = registry.probe("breaks_and_places").cases(1, small, "i2v")[0]
    scripted = next(iter(model.generate([case])))
    assert scripted.frames.shape == (33, 64, 64, 3)
    params = case.scene["params"]
    others = ["turn left" if a == "wait" else a for a in params["actions"]]
    other = replace(case, scene={**case.scene, "params": {**params, "actions": others}})
    assert model.fingerprint(other) != model.fingerprint(case)
    assert not np.array_equal(next(iter(model.generate([other]))).frames, scripted.frames)
    asked = registry.probe("follows_actions").cases(8, small, "i2v")
    unknown = next(c for c in asked if "jump" in c.scene["params"]["actions"])
    answer = next(iter(model.generate([unknown])))
    assert isinstance(answer, Failure)
    assert "'jump'" in answer.reason
    assert isinstance(next(iter(model.generate([replace(unknown, mode="t2v", given=0)]))), Video)
