from dataclasses import replace

import pytest
import torch

from sora_eval.data.vocabulary import world_vocabulary
from sora_eval.generator.reference.attention import apply_rope, rope_angles
from sora_eval.generator.reference.transformer import PATCH, Transformer, by_patch, nearest_given, patchify, unpatchify

WORDS = world_vocabulary()


@pytest.fixture(scope="module")
def denoise(transformer):
    """Denoise latents at levels t with texts; nothing is given unless a mask says so."""

    def call(z, t, texts, given=None):
        given = torch.zeros(t.shape, dtype=torch.bool) if given is None else given
        return transformer(z, t, given, WORDS.encode(texts, transformer.config.text_length))

    return call


def test_patches_and_back():
    z = torch.randn(2, 3, 16, 6, 4)
    cells = patchify(z)
    assert cells.shape == (2, 3, 6 // PATCH * 4 // PATCH, 16 * PATCH**2)
    assert torch.equal(unpatchify(cells, 6, 4), z)


@pytest.mark.parametrize("shape", [(1, 1, 16, 2, 2), (2, 5, 16, 8, 8), (1, 3, 16, 4, 12), (1, 9, 16, 12, 4)])
def test_any_grid(denoise, shape):
    z = torch.randn(shape)
    assert denoise(z, torch.full(shape[:2], 0.3), ["a red ball"] * shape[0]).shape == shape


def test_every_input_matters(denoise, transformer):
    z = torch.randn(1, 3, 16, 4, 4)
    t = torch.full((1, 3), 0.4)
    base = denoise(z, t, ["a red ball"])
    assert not torch.allclose(base, denoise(z, t, ["a blue ball"]), atol=1e-5)
    other = t.clone()
    other[0, 2] = 0.9
    assert not torch.allclose(base, denoise(z, other, ["a red ball"]), atol=1e-5)
    ids = WORDS.encode(["a red ball"], transformer.config.text_length)
    acts = torch.zeros(1, 3, 4, dtype=torch.long)
    acts[0, 1, 2] = 3
    assert not torch.allclose(base, transformer(z, t, torch.zeros(t.shape, dtype=torch.bool), ids, acts), atol=1e-5)


def test_clips_of_a_batch_do_not_see_each_other(denoise):
    z, t = torch.randn(3, 2, 16, 4, 4), torch.rand(3, 2)
    texts = ["a red ball", "", "a purple cone slides to the left"]
    whole = denoise(z, t, texts)
    for i in range(3):
        assert torch.allclose(whole[i : i + 1], denoise(z[i : i + 1], t[i : i + 1], texts[i : i + 1]), atol=1e-5)


def test_a_patch_knows_where_in_the_frame_it_is(denoise):
    same = denoise(torch.ones(1, 1, 16, 4, 4), torch.full((1, 1), 0.1), ["a red ball"])[0, 0, :, ::2, ::2]
    assert (same.flatten(1) - same[:, :1, :1].flatten(1)).abs().max(dim=0).values[1:].min() > 1e-4


def test_the_nearest_given_chunk_the_earlier_of_two():
    z = torch.arange(5.0).reshape(1, 5, 1, 1, 1).expand(2, 5, 1, 2, 2)
    given = torch.tensor([[True, False, False, False, True], [False, True, False, False, False]])
    assert nearest_given(z, given)[:, :, 0, 0, 0].tolist() == [[0, 0, 0, 4, 4], [1] * 5]


def test_only_a_given_chunk_is_copied(denoise):
    z, t = torch.randn(1, 2, 16, 4, 4), torch.tensor([[1.0, 0.3]])
    none, first = torch.tensor([[False, False]]), torch.tensor([[True, False]])
    clean, given = denoise(z, t, [""], none), denoise(z, t, [""], first)
    assert (clean - given).abs().max() > 1e-2
    # The mask alone decides: a level of nearly 1 is as good as 1.
    near = denoise(z, torch.tensor([[0.9999, 0.3]]), [""], first)
    assert (near - given).abs().max() < (clean - given).abs().max() / 2


def test_fine_blocks_are_nothing_at_first_and_then_every_position_sees_every_other(transformer):
    torch.manual_seed(0)
    plain = replace(transformer.config, fine_depth=(0, 0))
    fine = Transformer(replace(plain, fine_depth=(1, 1), fine_width=32))
    fine.load_state_dict(transformer.state_dict(), strict=False)
    z, t = torch.randn(2, 3, 16, 4, 6), torch.rand(2, 3)
    given, ids = torch.zeros(2, 3, dtype=torch.bool), WORDS.encode(["a red ball", ""], 96)
    assert torch.allclose(fine(z, t, given, ids), transformer(z, t, given, ids), atol=1e-5)
    for p in fine.fine.parameters():
        torch.nn.init.normal_(p, std=0.2)
    # The trunk sees nothing here: what changes far away has come through the fine blocks.
    torch.nn.init.zeros_(fine.patch_embed.weight)
    torch.nn.init.zeros_(fine.fine.merge.weight)
    other = z.clone()
    other[0, 0, :, 0, 0] += 1
    difference = (fine(z, t, given, ids) - fine(other, t, given, ids)).abs().amax(dim=2)  # (B, K, h, w)
    assert (difference[0] > 0).all()
    assert not difference[1].any()


def test_latent_positions_are_reordered_patch_by_patch():
    h, w = 4, 6
    grid = torch.arange(2.0 * h * w).reshape(2, 1, h, w)
    cells = patchify(grid[None])[0]  # (K, S, 4)
    assert torch.equal(by_patch(grid.reshape(-1, 1), 2, h // PATCH, w // PATCH), cells.reshape(-1, 1))


def test_camera_poses_are_nothing_at_first_and_then_read_per_chunk(transformer):
    reads = Transformer(replace(transformer.config, camera=8))
    reads.load_state_dict(transformer.state_dict(), strict=False)
    z, t, given = torch.randn(1, 2, 16, 4, 4), torch.rand(1, 2), torch.zeros(1, 2, dtype=torch.bool)
    text, poses = reads.text_encoder(WORDS.encode(["a red ball"], 96)), torch.rand(1, 2, 4, 8)
    without = transformer.denoise(z, t, given, text)
    assert torch.allclose(reads.denoise(z, t, given, text, camera=poses), without, atol=1e-5)
    torch.nn.init.normal_(reads.camera_embed.weight)
    assert not torch.allclose(reads.denoise(z, t, given, text, camera=poses), without, atol=1e-3)
    assert torch.allclose(reads.denoise(z, t, given, text, camera=0 * poses), without, atol=1e-5)


def test_keys_and_values_of_a_text_may_be_computed_before(transformer):
    z, t, given = torch.randn(1, 2, 16, 4, 4), torch.rand(1, 2), torch.zeros(1, 2, dtype=torch.bool)
    text = transformer.text_encoder(WORDS.encode(["a red ball"], 96))
    early = transformer.denoise(z, t, given, text, keys_values=transformer.keys_values(text))
    assert torch.equal(early, transformer.denoise(z, t, given, text))


def test_rotary_positions_depend_on_distance_only():
    q, k = torch.randn(1, 1, 1, 48), torch.randn(1, 1, 1, 48)
    rope = rope_angles(4, 3, 3, 48, torch.device("cpu"))
    n = rope[0].shape[0]
    scores = apply_rope(q.expand(1, 1, n, 48), rope)[0, 0] @ apply_rope(k.expand(1, 1, n, 48), rope)[0, 0].T
    # One chunk later and one column to the right, wherever it starts.
    assert torch.allclose(scores[0, 10], scores[9 + 3, 18 + 4], atol=1e-4)
    assert not torch.allclose(scores[0, 10], scores[0, 11], atol=1e-4)
