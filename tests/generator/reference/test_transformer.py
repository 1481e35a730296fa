import pytest
import torch

from sora_eval.data.vocabulary import world_vocabulary
from sora_eval.generator.reference.transformer import PATCH, nearest, patches, rotate, rotations, unpatch

WORDS = world_vocabulary()


@pytest.fixture(scope="module")
def ask(transformer):
    return lambda z, t, texts: transformer(z, t, WORDS.encode(texts, transformer.config.text_length))


def test_patches_and_back():
    z = torch.randn(2, 3, 16, 6, 4)
    cells = patches(z)
    assert cells.shape == (2, 3, 6 // PATCH * 4 // PATCH, 16 * PATCH**2)
    assert torch.equal(unpatch(cells, 6, 4), z)


@pytest.mark.parametrize("shape", [(1, 1, 16, 2, 2), (2, 5, 16, 8, 8), (1, 3, 16, 4, 12), (1, 9, 16, 12, 4)])
def test_any_grid(ask, shape):
    z = torch.randn(shape)
    assert ask(z, torch.full(shape[:2], 0.3), ["a red ball"] * shape[0]).shape == shape


def test_everything_that_is_given_matters(ask, transformer):
    z = torch.randn(1, 3, 16, 4, 4)
    t = torch.full((1, 3), 0.4)
    base = ask(z, t, ["a red ball"])
    assert not torch.allclose(base, ask(z, t, ["a blue ball"]), atol=1e-5)
    other = t.clone()
    other[0, 2] = 0.9
    assert not torch.allclose(base, ask(z, other, ["a red ball"]), atol=1e-5)
    ids = WORDS.encode(["a red ball"], transformer.config.text_length)
    acts = torch.zeros(1, 3, 4, dtype=torch.long)
    acts[0, 1, 2] = 3
    assert not torch.allclose(base, transformer(z, t, ids, acts), atol=1e-5)


def test_clips_of_a_batch_do_not_see_each_other(ask):
    z, t = torch.randn(3, 2, 16, 4, 4), torch.rand(3, 2)
    texts = ["a red ball", "", "a purple cone slides to the left"]
    whole = ask(z, t, texts)
    for i in range(3):
        assert torch.allclose(whole[i : i + 1], ask(z[i : i + 1], t[i : i + 1], texts[i : i + 1]), atol=1e-5)


def test_a_patch_knows_where_in_the_frame_it_is(ask):
    same = ask(torch.ones(1, 1, 16, 4, 4), torch.full((1, 1), 0.1), ["a red ball"])[0, 0, :, ::2, ::2]
    assert (same.flatten(1) - same[:, :1, :1].flatten(1)).abs().max(dim=0).values[1:].min() > 1e-4


def test_what_is_not_given_begins_from_the_nearest_that_is():
    z = torch.arange(5.0).reshape(1, 5, 1, 1, 1).expand(2, 5, 1, 2, 2)
    given = torch.tensor([[True, False, False, False, True], [False, True, False, False, False]])
    assert nearest(z, given)[:, :, 0, 0, 0].tolist() == [[0, 0, 0, 4, 4], [1] * 5]


def test_only_a_given_chunk_is_copied(ask, transformer):
    z, t = torch.randn(1, 2, 16, 4, 4), torch.tensor([[1.0, 0.3]])
    known, almost = ask(z, t, [""]), ask(z, torch.tensor([[0.9999, 0.3]]), [""])
    assert (known - almost).abs().max() > 1e-2


def test_rotary_positions_depend_on_distance_only():
    q, k = torch.randn(1, 1, 1, 48), torch.randn(1, 1, 1, 48)
    turn = rotations(4, 3, 3, 48, torch.device("cpu"))
    n = turn[0].shape[0]
    scores = rotate(q.expand(1, 1, n, 48), turn)[0, 0] @ rotate(k.expand(1, 1, n, 48), turn)[0, 0].T
    # One chunk later and one column to the right, wherever it starts.
    assert torch.allclose(scores[0, 10], scores[9 + 3, 18 + 4], atol=1e-4)
    assert not torch.allclose(scores[0, 10], scores[0, 11], atol=1e-4)
