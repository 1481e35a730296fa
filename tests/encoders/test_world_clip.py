"""world-clip: its words, its pairs, and that it learns from a few clips."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sora_eval.data import shards
from sora_eval.data.vocabulary import world_vocabulary
from sora_eval.encoders import world_clip


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> world_clip.WorldClipJob:
    folder = tmp_path_factory.mktemp("set") / "training"
    torch.manual_seed(0)
    return world_clip.WorldClipJob(world_clip.build(), shards.prepare(folder, 1, 4, 0, 1), 0, world_vocabulary())


def test_every_text_ends_where_open_clip_pools() -> None:
    read = world_clip.WordTokenizer(world_vocabulary())
    ids = read(["a red ball", "ball " * 100, ""])
    assert ids.shape == (3, 64)
    assert len(world_vocabulary()) < world_clip.IDS
    assert ids.argmax(dim=1).tolist() == [3, 63, 0]
    assert torch.equal(read("a red ball")[0], ids[0])


def test_every_clip_comes_with_its_mirror_image(job: world_clip.WorldClipJob) -> None:
    seen, texts = job.batch(3)
    assert seen.shape == (8, 2, 3, 64, 64)
    assert torch.equal(seen[4:], seen[:4].flip(-1))
    assert len(texts) == 8
    again, _ = job.batch(3)
    assert torch.equal(seen, again)


def test_pixels_are_squashed_not_cropped() -> None:
    frames = np.zeros((1, 32, 128, 3), np.uint8)
    frames[:, :, :16] = 255
    found = world_clip.pixels(frames)
    assert found.shape == (1, 3, 64, 64)
    assert found[0, 0, 32, :7].min() > 0.9
    assert found[0, 0, 32, 10:].max() < -0.9


@pytest.mark.slow
def test_it_learns_to_match_a_few_clips(job: world_clip.WorldClipJob) -> None:
    network: nn.Module = job.network
    first = float(job.loss(0)[0].detach())
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for _ in range(25):
        loss, _ = job.loss(0)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad()
    assert float(loss.detach()) < 0.5 * first
