"""CLIP through open_clip, on a tiny network that is made here: nothing is ever left random or replaced."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from sora_eval.encoders import clip, weights
from sora_eval.encoders.weights import AbsentWeightsError
from sora_eval.errors import ConfigError

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    (folder / "tiny-clip.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(folder)
    torch.manual_seed(0)
    model = open_clip.create_model("tiny-clip")
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "tiny.safetensors")
    return folder / "tiny.safetensors"


@pytest.fixture(scope="module")
def encoder(file: Path) -> clip.TextImageEncoder:
    return clip.from_file("tiny", "tiny-clip", file, "abcdef0123456789")


def test_unit_vectors_independent_of_what_is_beside_them(encoder: clip.TextImageEncoder) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), dtype=np.uint8)
    vectors, words = encoder.images(frames), encoder.texts(["a red ball", "a blue cube"])
    assert vectors.shape == (40, 16)
    assert words.shape == (2, 16)
    assert np.linalg.norm(np.concatenate([vectors, words]), axis=1) == pytest.approx(np.ones(42), abs=1e-5)
    assert encoder.images(frames[37:38])[0] == pytest.approx(vectors[37], abs=1e-5)
    assert encoder.texts(["a blue cube"])[0] == pytest.approx(words[1], abs=1e-5)
    assert encoder.scale == pytest.approx(1 / 0.07, rel=1e-3)
    assert encoder.protocol == "tiny@abcdef01"


def test_what_is_not_read_of_a_text_is_known(encoder: clip.TextImageEncoder) -> None:
    whole = " ".join(["ball"] * 14)  # a token each, and one at each end: 16
    assert not encoder.unread(whole)
    assert not encoder.unread("кот 🔴")  # byte by byte
    assert encoder.unread(f"{whole} ball") == clip.Unread(f"{whole} ball", limit="16 tokens")
    assert np.array_equal(encoder.texts([f"{whole} cube"]), encoder.texts([whole]))
    world = clip.load("world-clip")
    assert not world.unread(" ".join(["ball"] * 63) + ".")
    assert world.unread(" ".join(["ball"] * 64)).limit == "63 words"
    assert world.unread("A red dragon, ein Café, кот.").unknown == ("dragon", "ein", "café", "кот")
    assert world.unread("🔴").unknown == ("🔴",)


def test_the_weights_are_those_of_the_file(file: Path, encoder: clip.TextImageEncoder) -> None:
    torch.manual_seed(1)
    again = clip.from_file("tiny", "tiny-clip", file, "")
    frames = np.zeros((1, 32, 32, 3), np.uint8)
    assert np.array_equal(again.images(frames), encoder.images(frames))


def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, file: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(file.read_bytes()[:1000])
    for name, said in (
        ("other", "can't be loaded as tiny-clip"),
        ("cut", "is cut short"),
        ("absent", "there is no file"),
    ):
        with pytest.raises(ConfigError, match=said):
            clip.from_file("tiny", "tiny-clip", tmp_path / f"{name}.safetensors", "")


def test_absent_weights_are_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCH_HOME", "HF_HOME", "HF_HUB_CACHE", weights.FOLDER):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(AbsentWeightsError, match="weights fetch clip-b-32"):
        clip.load("clip-b-32")
    with pytest.raises(ConfigError, match="did you mean clip-l-14"):
        clip.load("clip-l-15")
