import numpy as np
import pytest
import torch

from sora_eval.generator.reference import losses


def test_grounding_counts_only_colours_that_are_in_the_frame():
    targets = torch.full((1, 8, 6), torch.nan)
    targets[0, 2] = torch.tensor([-0.5, 0.1, 0.4, 0.5, 0.1, 0.4])
    targets[0, 5] = torch.tensor([0.6, 0.0, 0.4, *[torch.nan] * 3])
    colour = torch.tensor([[-1, 2, -1, 5, 7]])
    predicted = torch.zeros(1, 5, 6)
    predicted[0, 1] = targets[0, 2]
    predicted[0, 3, :3] = targets[0, 5, :3]
    predicted[0, [0, 2, 4]] = 9.0
    error, sides = losses.grounding_loss(predicted, colour, targets)
    assert error == 0
    assert sides == 1
    predicted[0, 3, 0] = -0.6
    error, sides = losses.grounding_loss(predicted, colour, targets)
    assert error == pytest.approx(1.2**2 / 9)
    assert sides == 0.5


def test_encoded_words_that_are_alike_cost_something():
    table = 8 * torch.eye(4, 6)
    ids = torch.tensor([[1, 3, 0, 0]])  # the last two are padding, whatever they look like
    words = table[[1, 3, 2, 1]][None] / 4
    assert losses.word_loss(words, table, ids) < 1e-5
    assert losses.word_loss(words[:, [1, 0, 2, 3]], table, ids) > 10
    same = words[:, :2].mean(dim=1, keepdim=True).expand_as(words)
    assert losses.word_loss(same, table, ids) == pytest.approx(np.log(2), rel=0.01)
    assert losses.word_loss(words, table, torch.zeros_like(ids)) == 0


def test_saturated_pixels_weigh_more_in_the_reconstruction():
    grey, red = torch.zeros(1, 1, 12, 2, 2), torch.zeros(1, 1, 12, 2, 2)
    red[:, :, 0::3] = 1
    red[:, :, 1::3] = red[:, :, 2::3] = -1
    assert losses.saturation(grey).max() == 0
    assert losses.saturation(red).min() == 1
    for chunks, weight in ((grey, 1), (red, 6)):
        loss, squared = losses.reconstruction_loss(chunks + 0.5, chunks, squared=2, saturated=5)
        assert loss == pytest.approx(weight * (0.5 + 2 * 0.25))
        assert squared == pytest.approx(0.25)
