"""The bundled encoders, written by training's own code and read back; here with random weights."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sora_eval.data.vocabulary import world_vocabulary
from sora_eval.encoders import clip, perceptual, video, weights, world_clip
from sora_eval.encoders.weights import AbsentWeightsError
from sora_eval.encoders.world_video import WorldVideo
from sora_eval.errors import ConfigError
from sora_eval.training import checkpoints
from sora_eval.types import Video

CLIP = Video(np.random.default_rng(0).integers(0, 256, (17, 64, 96, 3), dtype=np.uint8), 8.0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    torch.manual_seed(0)
    networks: dict[str, tuple[Any, dict[str, Any]]] = {
        "world-video": (net := WorldVideo(), {"config": asdict(net.config), "weights": [1.0] * 64}),
        world_clip.NAME: (world_clip.build(), {"words": world_vocabulary().words}),
        perceptual.NAME: (perceptual.WorldPerceptual(), {}),
    }
    for name, (network, facts) in networks.items():
        checkpoints.save(tmp_path / f"{name}.safetensors", network.state_dict(), {"kind": name, **facts}, {})
    monkeypatch.setattr(weights, "BUNDLED", tmp_path)
    return tmp_path


def test_world_video_reads_any_size(folder: Path) -> None:
    encoder = video.load("world-video")
    (found,) = encoder.features([CLIP, Video(CLIP.frames[:16, :, :64], 8.0)])
    assert found.shape == (2, 64)
    assert "frames=16 stride=1 resize=area-squash-64 range=-1..1" in encoder.protocol
    assert encoder.protocol == video.load("world-video", str(folder / "world-video.safetensors")).protocol
    with pytest.raises(ConfigError, match="world-video reads 16 frames, a clip has 9"):
        list(encoder.features([Video(CLIP.frames[:9], 8.0)]))


def test_what_the_features_are_weighted_by_is_part_of_the_protocol(folder: Path) -> None:
    before = video.load("world-video").protocol
    net = WorldVideo()
    net.load_state_dict(checkpoints.read(folder / "world-video.safetensors", "world-video")[0])
    facts = {"kind": "world-video", "config": asdict(net.config), "weights": [1.0] * 63 + [2.0]}
    checkpoints.save(folder / "world-video.safetensors", net.state_dict(), facts, {})
    assert video.load("world-video").protocol != before


def test_world_clip_goes_through_open_clip_and_keeps_its_words(folder: Path) -> None:
    encoder = clip.load("world-clip")
    assert encoder.images(CLIP.frames).shape == (17, 128)
    texts = encoder.texts(["a red ball on the left", "a red ball on the right"])
    assert np.linalg.norm(texts, axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert np.abs(texts[0] - texts[1]).max() > 1e-3


def test_lpips_world_is_a_distance_and_never_called_lpips(folder: Path) -> None:
    found = perceptual.load("lpips-world")
    assert found.name == "lpips-world"
    assert not found.distance(CLIP.frames[:3], CLIP.frames[:3]).any()
    assert (found.distance(CLIP.frames[:3], CLIP.frames[3:6]) != 0).all()


def test_what_is_absent_or_mixed_up_is_said(folder: Path) -> None:
    (folder / "lpips-world.safetensors").unlink()
    with pytest.raises(AbsentWeightsError, match="sora-eval train encoder=lpips-world makes them"):
        perceptual.load("lpips-world")
    with pytest.raises(ConfigError, match="holds a network of kind world-video, not world-clip"):
        clip.load("world-clip", str(folder / "world-video.safetensors"))
