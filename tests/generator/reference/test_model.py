import json
import pickle
import re
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sora_eval.commands.cli import main
from sora_eval.errors import ConfigError
from sora_eval.generator.reference import model
from sora_eval.generator.reference.options import CHECKPOINTS
from sora_eval.training import checkpoints


def header(path):
    with safe_open(path, "pt") as file:
        return dict(file.metadata())


@pytest.fixture
def copy(checkpoint, tmp_path):
    for path in checkpoint.parent.glob("*.safetensors"):
        shutil.copy(path, tmp_path / path.name)
    return tmp_path / checkpoint.name


def test_what_was_saved_is_loaded(copy):
    found = model.load(str(copy))
    assert found.name == "tiny"
    assert found.about == {"steps": 0}
    assert len(found.words) > 300
    half = load_file(copy)
    assert all(v.dtype in (torch.float16, torch.int64) for v in half.values())
    weights = found.transformer.state_dict()
    assert all(torch.equal(weights[k], v.float()) for k, v in half.items())
    assert header(copy)["sha256"] == checkpoints.hash_of(half)


def test_another_decoder_is_another_model_of_the_same_latents(copy):
    before, beside = model.load(str(copy)), copy.with_name("autoencoder.safetensors")
    network, latents = model.load_autoencoder(beside)
    with torch.no_grad():
        network.decoder.start.bias.add_(1)
    assert model.save_autoencoder(beside, network, {}) == latents
    assert model.load(str(copy)).hash != before.hash


def test_a_pickle_is_refused(tmp_path):
    for name, write in {
        "old.safetensors": lambda p: p.write_bytes(pickle.dumps({"a": 1})),
        "new.safetensors": lambda p: torch.save({"a": 1}, p),
    }.items():
        path = tmp_path / name
        write(path)
        with pytest.raises(ConfigError, match="pickle"):
            model.load(str(path))


def test_a_file_that_was_cut_short_is_refused(copy):
    whole = copy.read_bytes()
    for size in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        copy.write_bytes(whole[:size])
        with pytest.raises(ConfigError, match=r"is cut short|is empty"):
            model.load(str(copy))


def test_a_changed_weight_is_noticed(copy):
    raw = bytearray(copy.read_bytes())
    raw[-100] ^= 1
    copy.write_bytes(raw)
    with pytest.raises(ConfigError, match="hash is wrong"):
        model.load(str(copy))


def test_another_version_kind_or_origin_is_refused(copy):
    weights, about = load_file(copy), header(copy)
    save_file(weights, copy, {**about, "format": "0"})
    with pytest.raises(ConfigError, match="format 0"):
        model.load(str(copy))
    save_file(weights, copy)
    with pytest.raises(ConfigError, match="no checkpoint of sora-eval"):
        model.load(str(copy))
    with pytest.raises(ConfigError, match="kind autoencoder"):
        model.load(str(copy.parent / "autoencoder.safetensors"))


def test_latents_of_another_autoencoder_are_refused(copy):
    facts = json.loads(header(copy)["facts"])
    save_file(load_file(copy), copy, {**header(copy), "facts": json.dumps({**facts, "latents": "0" * 64})})
    with pytest.raises(ConfigError, match="another autoencoder"):
        model.load(str(copy))


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("facts", "[" * 100_000 + "]" * 100_000, "facts in its header is no JSON (nested too deeply)"),
        ("facts", "1", "facts in its header is no JSON object"),
        ("about", "{", "about in its header is no JSON"),
        ("about", '{"flops": "much"}', "about.flops in its header must be a number"),
        ("about", '{"flops": NaN}', "about.flops in its header must be a number"),
        ("about", '{"steps": 1.5}', "about.steps in its header must be a number"),
        ("about", '{"sampling": 4}', "about.sampling in its header must be options"),
        (
            "about",
            '{"sampling": {"steps": 0}}',
            "about.sampling in its header can't be so (steps must be a whole number",
        ),
        ("words", None, "words in its header must be a list of texts"),
        ("words", [1], "words in its header must be a list of texts"),
        ("words", ["x"] * 10_000, "words in its header are 10002, its network knows"),
        ("config", None, "config in its header is missing"),
        ("width", "wide", "config.width in its header must be a whole number"),
        ("width", True, "config.width in its header must be a whole number"),
        ("width", 1 << 40, "config.width in its header must be a whole number"),
        ("depth", 10_000, "config.depth in its header must be a whole number"),
        ("width", 60_000, "has the weights of another network"),
        ("heads", 7, "has the weights of another network"),
        ("strange", 1, "config.strange in its header is unknown"),
        ("latents", None, "latents of another autoencoder"),
    ],
)
def test_every_field_of_the_header_is_checked_and_named_with_its_file(copy, part, value, said):
    about = header(copy)
    facts = json.loads(about["facts"])
    if part in ("facts", "about"):
        about[part] = value
    else:
        if part in facts:
            facts[part] = value
        else:
            facts["config"][part] = value
        about["facts"] = json.dumps(facts)
    save_file(load_file(copy), copy, about)
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        model.load(str(copy))
    assert str(copy) in str(caught.value) and "\n" not in str(caught.value)


def test_weights_that_are_not_finite_are_the_first_problem_of_a_run_and_make_no_clip(copy, tmp_path, capsys):
    weights, about = load_file(copy), header(copy)
    name = next(k for k, v in weights.items() if v.is_floating_point())
    weights[name].view(-1)[0] = float("nan")
    save_file(weights, copy, {**about, "sha256": checkpoints.hash_of(weights)})
    words = [
        "suite.probes=[relation]",
        "suite.modes=[t2v]",
        "suite.count=2",
        "references=[]",
        "fidelity.metrics=[]",
        "players=0",
    ]
    assert main(["run", "generator=reference", f"generator.checkpoint={copy}", *words, f"out={tmp_path / 'out'}"]) == 1
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("problem: ")]
    assert line.startswith(f"problem: checkpoint {copy} makes no clips: 1 of its tensors, {name} first, have values")
    rows = [json.loads(x) for x in (tmp_path / "out" / "scores.jsonl").read_text().splitlines()]
    assert [r["value"] for r in rows] == [None, None] and not any(r["video"] for r in rows)


@pytest.mark.parametrize(
    ("name", "hashed"),
    [
        ("base", "f5e30b33a6140f2b"),
        ("4x", "7d80a93c3e0980e3"),
        ("42x", "3dab3162327e8cf6"),
    ],
)
def test_the_hashes_of_the_bundled_checkpoints_stay(name, hashed):
    # They are in the fingerprints of clips, and in protocols and baselines.
    assert model.load(name).hash == hashed


def test_the_bundled_files_are_those_that_have_names_and_are_small_together():
    files = list(model.FOLDER.iterdir())
    assert {f.name for f in files} == {f"{name}.safetensors" for name in (*CHECKPOINTS, model.AUTOENCODER)}
    assert sum(f.stat().st_size for f in files) <= 40e6


def test_names_and_paths(tmp_path):
    with pytest.raises(ConfigError, match="42x"):
        model.load("43x")
    with pytest.raises(ConfigError, match="there is no checkpoint"):
        model.load(str(tmp_path / "none.safetensors"))


def test_a_decoder_that_learnt_on_keeps_its_transformers(copy):
    from sora_eval.generator.reference.model import load_autoencoder, save_autoencoder

    path = copy.parent / "autoencoder.safetensors"
    network, before = load_autoencoder(path)
    network.decoder.start.weight.data += 1
    assert save_autoencoder(path, network, {}) == before
    assert model.load(str(copy)).name == "tiny"
    network.encoder.body[0].conv.weight.data += 1
    assert save_autoencoder(path, network, {}) != before
    with pytest.raises(ConfigError, match="another autoencoder"):
        model.load(str(copy))
