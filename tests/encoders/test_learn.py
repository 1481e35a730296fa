"""Training of the bundled encoders, on a set of a few clips; and the corruptions and states that world-video learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sora_eval.commands.cli import main
from sora_eval.data import shards
from sora_eval.encoders import world_video
from sora_eval.encoders.corruptions import reordered
from sora_eval.encoders.learn import EncoderPlan, learn
from sora_eval.encoders.world_video import CORRUPTIONS, WorldVideo
from sora_eval.errors import ConfigError
from sora_eval.tracking.colours import states_of
from sora_eval.training import checkpoints


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set") / "training"
    shards.prepare(folder, 1, 4, 0, 1)
    return folder


@pytest.mark.slow
def test_an_encoder_is_trained_and_goes_on(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "encoder=world-video", f"out={tmp_path}", f"data.folder={data.parent}", "workers=1"]
    assert main([*words, "steps=3"]) == 0
    path = tmp_path / "world-video.safetensors"
    assert str(path) in capsys.readouterr().out
    weights, facts, about, _ = checkpoints.read(path, "world-video")
    network = WorldVideo()
    network.load_state_dict(weights)
    assert facts["config"]["features"] == 64
    assert about["steps"] == 3
    assert main([*words, "steps=4"]) == 2
    assert "steps=3 (now: 4)" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="did you mean world-video"):
        learn(EncoderPlan("world-vido", data, tmp_path))


def test_states_are_where_the_colours_are() -> None:
    frames = np.full((2, 64, 64, 3), 200, np.uint8)
    frames[0, 16:32, 8:24] = (222, 40, 38)
    found = states_of(frames)
    assert found.shape == (8, 2, 3)
    assert found[0, 0] == pytest.approx([0.25, 16 / 64, 24 / 64], abs=0.02)
    assert not found[1:].any()
    assert not found[:, 1].any()


def test_corruptions_in_time_are_orders() -> None:
    rng = np.random.default_rng(0)
    assert reordered("backwards", 1.0, 16, rng).tolist() == list(range(16))[::-1]
    assert reordered("held", 0.5, 16, rng).tolist() == [*range(8), *[8] * 8]
    assert reordered("held", 0.5, 8, rng).tolist() == [0, 1, 2, 3, 4, 4, 4, 4]
    assert sorted(reordered("shuffled", 1.0, 16, rng)) == list(range(16))
    assert (reordered("shuffled", 0.25, 16, rng) != np.arange(16)).sum() <= 4
    assert reordered("blur", 1.0, 16, rng).tolist() == list(range(16))


def test_a_batch_repeats_itself_and_agrees_with_its_states(data: Path) -> None:
    job = world_video.WorldVideoJob(WorldVideo(), shards.read(data), 0)
    clips, scenes, severities, states = job.batch(7)
    again = job.batch(7)
    assert all(torch.equal(a, b) for a, b in zip((clips, scenes, severities, states), again, strict=True))
    assert clips.shape[1:] == (3, 16, 64, 64)
    assert severities.shape[1] == len(CORRUPTIONS)
    assert ((severities > 0).sum(dim=1) <= 1).all()
    for clip, severity, state in zip(clips, severities, states, strict=True):
        if severity[:2].sum() == 0:
            frames = ((clip + 1) * 127.5).round().byte().permute(1, 2, 3, 0).numpy()
            assert states_of(frames) == pytest.approx(state.numpy(), abs=1e-4)


def test_features_do_not_depend_on_what_is_beside_a_clip() -> None:
    torch.manual_seed(0)
    network = WorldVideo().eval()
    clips = torch.rand(3, 3, 16, 64, 64) * 2 - 1
    with torch.inference_mode():
        assert torch.allclose(network(clips)[1], network(clips[1:2])[0], atol=1e-4)
