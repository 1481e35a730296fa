"""Perceptual distances: LPIPS as the package has it, on random weights in the standard files' layout; graded corruptions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file

from sora_eval.encoders import corruptions, perceptual, state_dicts, weights
from sora_eval.encoders.weights import AbsentWeightsError
from sora_eval.errors import ConfigError
from sora_eval.training.tensors import to_tensor
from sora_eval.types import Frames


def picture(seed: int = 0) -> Frames:
    x = np.full((64, 64, 3), 190, np.uint8) + np.random.default_rng(seed).integers(0, 8, (64, 64, 1), dtype=np.uint8)
    x[20:44, 24:48] = (222, 40, 38)
    return x


@pytest.fixture
def squeeze(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of random weights in the layout of torchvision's SqueezeNet, with its hash in the registry."""
    torch.manual_seed(0)
    path = tmp_path / "squeeze.safetensors"
    save_file(torchvision.models.squeezenet1_1(weights=None).state_dict(), path)
    monkeypatch.setattr(weights, "verify", lambda name, path: "abcdef0123")
    return path


def test_lpips_is_the_package_s_own_with_the_backbone_of_the_file(squeeze: Path) -> None:
    found = perceptual.load("lpips-squeeze", str(squeeze))
    assert found.protocol == "lpips-squeeze@abcdef01"
    a, b = picture(0), picture(1)
    b[:, :20] = 30
    distance = found.distance(np.stack([a, a]), np.stack([a, b]))
    assert distance[0] == 0
    assert distance[1] > 0.01
    # The same by hand: unit features of every slice, squared differences weighed by lpips' linear layers, mean over places.
    backbone = torchvision.models.squeezenet1_1(weights=None)
    backbone.load_state_dict(state_dicts.read(squeeze))
    lins = [found.network.state_dict()[f"lin{k}.model.1.weight"] for k in range(7)]
    shift, scale = found.network.state_dict()["scaling_layer.shift"], found.network.state_dict()["scaling_layer.scale"]
    ends, total = (1, 4, 7, 9, 10, 11, 12), 0.0
    x, y = ((to_tensor(p[None]) - shift) / scale for p in (a, b))
    with torch.inference_mode():
        for i, layer in enumerate(backbone.features):
            x, y = layer(x), layer(y)
            if i in ends:
                u, v = (f / (f.square().sum(dim=1, keepdim=True).sqrt() + 1e-10) for f in (x, y))
                total += float((lins[ends.index(i)] * (u - v).square()).sum(dim=1).mean())
    assert distance[1] == pytest.approx(total, rel=1e-3)


def test_absent_or_other_weights_are_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCH_HOME", "HF_HOME", weights.FOLDER):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(AbsentWeightsError, match="weights fetch lpips-alex"):
        perceptual.load("lpips-alex")
    monkeypatch.setattr(weights, "verify", lambda name, path: "")
    save_file({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "some.safetensors")
    with pytest.raises(ConfigError, match=r"49 tensors of lpips-squeeze are missing"):
        perceptual.load("lpips-squeeze", str(tmp_path / "some.safetensors"))
    save_file({"features.0.weight": torch.zeros(1)}, tmp_path / "odd.safetensors")
    with pytest.raises(ConfigError, match=r"features\.0\.weight has shape \(1,\)"):
        perceptual.load("lpips-squeeze", str(tmp_path / "odd.safetensors"))


@pytest.mark.parametrize("kind", corruptions.DISTORTIONS)
def test_corruptions_grow(kind: str) -> None:
    frame = picture()
    assert corruptions.distorted(frame, kind, 0) is frame
    errors = [
        np.square(corruptions.distorted(frame, kind, s, 3).astype(float) - frame).mean() for s in (0.1, 0.4, 0.7, 1)
    ]
    assert errors == sorted(errors)
    assert errors[-1] > 10


def test_an_object_is_corrupted_and_not_the_ground() -> None:
    frame = picture()
    for kind in corruptions.CONTENT:
        changed = np.abs(corruptions.distorted(frame, kind, 0.6, 1).astype(int) - frame).max(axis=-1) > 30
        assert changed[20:44, 24:48].any()
        assert changed[:, :10].sum() == 0


def test_trios_repeat_themselves() -> None:
    a, b = (perceptual.trio(picture(), np.random.default_rng(5)) for _ in range(2))
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert all(x.shape == (64, 64, 3) for x in a)


def test_shapes_must_agree(squeeze: Path) -> None:
    found = perceptual.load("lpips-squeeze", str(squeeze))
    with pytest.raises(ValueError, match="same shape"):
        found.distance(np.zeros((1, 64, 64, 3), np.uint8), np.zeros((2, 64, 64, 3), np.uint8))
