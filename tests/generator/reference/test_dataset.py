from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sora_eval.data import shards
from sora_eval.generator.reference import dataset, model
from sora_eval.generator.reference.recipe import Phase, transformer_recipe
from sora_eval.generator.reference.train import draw
from sora_eval.tracking.colours import states_of
from sora_eval.training import loop
from sora_eval.training.tensors import to_tensor


def test_the_second_phase_begins_with_its_unit():
    recipe = replace(transformer_recipe(), phases=(Phase(0, {}), Phase(4, {"single": 0.5})))
    assert [recipe.phase(step, 10) for step in (0, 39, 40, 1000)] == [0, 0, 1, 1]


def test_families_get_their_share_and_the_rest_is_even():
    counts = {"single": 10, "relation": 40, "bite": 5, "orbit": 15}
    shown = dataset.family_weights({"single": 0.4, "relation": 0.2, "absent": 0.3}, counts)
    total = {family: shown[family] * n for family, n in counts.items()}
    assert total["single"] == pytest.approx(0.4)
    assert total["relation"] == pytest.approx(0.2)
    assert sum(total.values()) == pytest.approx(1)
    assert shown["bite"] == pytest.approx(shown["orbit"])


def test_grounding_targets_are_those_of_the_clips_and_of_their_mirror_images(tmp_path: Path):
    (shard,) = shards.prepare(tmp_path / "set", 1, 4, 0, 1)
    found = dataset.grounding_targets(shard, tmp_path)
    assert found.shape == (8, 8, 6)
    mirrored = np.stack([states_of(np.asarray(c)[[0, -1], :, ::-1]) for c in shard.frames()])
    there = mirrored[..., 0] > 0
    x = 2 * mirrored[..., 1] - 1
    assert found[4:, :, [0, 3]][there] == pytest.approx(x[there], abs=1e-5)
    assert np.isnan(found[4:, :, [0, 3]][~there]).all()
    assert np.array_equal(dataset.grounding_targets(shard, tmp_path), found, equal_nan=True)


def test_mirror_images_have_mirrored_latents_captions_and_targets(tmp_path: Path, autoencoder):
    some = shards.prepare(tmp_path / "set", 2, 4, 0, 1)
    eyes = tmp_path / "autoencoder.safetensors"
    model.save_autoencoder(eyes, autoencoder, {})
    folder = dataset.encode_set(tmp_path / "set", eyes, 1)
    read = model.load_autoencoder(eyes)[0]
    seen = 0
    for bucket in dataset.buckets_of(some, folder.name, transformer_recipe()):
        for z, items, there in zip(bucket.latents, bucket.items, bucket.targets, strict=True):
            shard, i = next(
                (s, i) for s in some for i, item in enumerate(s.items) if items in (item, shards.mirrored(item))
            )
            clip, flipped = (np.asarray(shard.frames()[i])[:, :, ::step].copy() for step in (1, -1))
            shown = flipped if items != shard.items[i] else clip
            # In the precision in which this machine encodes.
            with torch.inference_mode(), loop.autocast(torch.device("cpu")):
                assert z == pytest.approx(read.encode(to_tensor(shown)[None])[0].float().numpy(), abs=0.02)
            x = 2 * states_of(shown[[0]])[:, 0, 1] - 1
            known = ~np.isnan(there[:, 0])
            assert there[known, 0] == pytest.approx(x[known], abs=1e-4)
            seen += items != shard.items[i]
    assert seen >= 4


def test_grounding_targets_in_the_middle_square_of_a_wide_frame():
    places = np.full((1, 8, 6), np.nan, dtype=np.float32)
    places[0, 3] = [0.4, 0.5, 1.0, -0.6, 0.5, 1.0]
    found = dataset.crop_targets(places, 32, 64)
    assert found[0, 3, :3] == pytest.approx([0.8, 0.5, 2**0.5])
    assert np.isnan(found[0, 3, 3:]).all()
    assert np.isnan(found[0, [0, 1, 2, 4, 5, 6, 7]]).all()


def test_windows_come_from_families_by_their_shares(tmp_path: Path):
    clips = np.zeros((4, 9, 8, 8, 3), np.uint8)
    # Each clip has a grey level of its own.
    clips += np.arange(4, dtype=np.uint8)[:, None, None, None, None] * 60
    np.save(tmp_path / "shard-00000.npy", clips)
    items = tuple(shards.Item(family, i, {}, (), ()) for i, family in enumerate(["single"] * 3 + ["room"]))
    data = dataset.PixelDataset([shards.Shard(tmp_path / "shard-00000.npy", items)], 0, 2, 64, {"room": 0.7})
    drawn = torch.stack([data.batch(step)[0, 0, 0, 0, 0] for step in range(300)])
    assert abs(float((drawn > 0.4).float().mean()) - 0.7) < 0.08


def test_clips_with_actions_begin_from_an_image_as_often_as_the_recipe_has_it():
    actions = torch.zeros(400, 5, 4, dtype=torch.long)
    actions[::2, 1:] = 3
    clips = dataset.Batch(torch.zeros(400, 5, 4, 2, 2), [""] * 400, actions, torch.zeros(0), torch.zeros(0))
    recipe = replace(transformer_recipe(), action_given=0.8)
    _, given, _, _ = draw(clips, Phase(0, {}, given=0.0), recipe, torch.Generator().manual_seed(0))
    assert not given[:, 1:].any()
    assert not given[1::2].any()
    assert abs(given[::2, 0].float().mean() - 0.8) < 0.1


def test_processes_that_train_together_draw_other_clips_of_one_size(tmp_path: Path, autoencoder):
    # Training goes on with the slowest of them.
    shards.prepare(tmp_path / "set", 6, 4, 0, 1)
    eyes = tmp_path / "autoencoder.safetensors"
    model.save_autoencoder(eyes, autoencoder, {})
    folder = dataset.encode_set(tmp_path / "set", eyes, 1)
    data = dataset.LatentDataset(shards.read(tmp_path / "set"), folder.name, transformer_recipe(), 0, 8, 640)
    pairs = [(data.batch(step, 0), data.batch(step, 1)) for step in range(8)]
    assert all(a.latents.shape == b.latents.shape for a, b in pairs)
    assert len({a.latents.shape for a, _ in pairs}) > 1
    assert not any(torch.equal(a.latents, b.latents) for a, b in pairs)
