"""Losses: of the autoencoder, of the transformer's final layer (velocity) and of its grounding head (grounding, words).

Shapes: B clips, K chunks, L words of a text, V words of the vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sora_eval.data.vocabulary import PAD
from sora_eval.generator.reference.autoencoder import CHUNK
from sora_eval.generator.reference.transformer import GROUNDING

_NEAREST = 0.05
"""The velocity loss divides by 1 - t; closer to 1 than this, a chunk would outweigh all others."""
_ASIDE = 0.2
"""Distance from the middle of the frame, in -1..1, from which on an object is left or right of it."""


def velocity_loss(predicted: Tensor, z: Tensor, t: Tensor, given: Tensor) -> Tensor:
    """Return the squared error of the velocity (z - z_t) / (1 - t), the mean over chunks that are not given.

    predicted, z: (B, K, C, h, w) clean latents. t: (B, K) noise levels. given: (B, K), True for conditioning chunks.
    """
    weight = (~given).to(z) / (1 - t).clamp(min=_NEAREST).square()  # (B, K)
    error = (predicted.float() - z).square().mean(dim=(2, 3, 4))  # (B, K)
    return (weight * error).sum() / (~given).sum().clamp(min=1)


def grounding_loss(predicted: Tensor, colour: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the squared error of the grounding head, and how often it puts an object on its side of the frame.

    The head predicts from an encoded colour word alone where its object is, so that the text encoder learns which object is meant to be
    on which side: the noise predicts a side so badly that 15,000 steps without this loss left left and right at chance, while 500 with it
    taught the words.

    predicted: (B, L, 6) x, y and size in the first and the last frame. colour: (B, L) index of the colour of a word, -1 for other words,
    which have no loss. targets: (B, 8, 6) of each colour, NaN where it isn't in the frame.
    """
    target = targets.gather(1, colour.clamp(min=0)[..., None].expand(-1, -1, GROUNDING))  # (B, L, 6)
    known = (colour >= 0)[..., None] & ~target.isnan()
    target = target.nan_to_num()
    error = torch.where(known, predicted - target, 0.0).square().sum() / known.sum().clamp(min=1)
    aside = known[..., 0] & (target[..., 0].abs() > _ASIDE)
    right_side = (aside & (predicted[..., 0] * target[..., 0] > 0)).sum() / aside.sum().clamp(min=1)
    return error, right_side.detach()


def word_loss(words: Tensor, table: Tensor, ids: Tensor) -> Tensor:
    """Return the cross-entropy of each encoded word (B, L, W) being itself, by its products with the embeddings (V, W); ids: (B, L).

    0 where all captions are empty.

    It keeps the words apart: an object's position can be predicted without its colour, and without this loss a probe of the encoded words
    classified the eight colours with an accuracy of .16.
    """
    logits = (words.float() @ table.T).flatten(0, 1)
    total = F.cross_entropy(logits, ids.flatten(), ignore_index=PAD, reduction="sum")
    return total / (ids != PAD).sum().clamp(min=1)


def reconstruction_loss(predicted: Tensor, chunks: Tensor, squared: float, saturated: float) -> tuple[Tensor, Tensor]:
    """Return L1 plus `squared` times the squared error of chunks (B, K, 12, H, W), and the mean squared error.

    saturated: extra weight of fully saturated pixels, which are the objects.
    """
    error = predicted.float() - chunks
    weights = 1 + saturated * saturation(chunks)
    return (weights * (error.abs() + squared * error.square())).mean(), error.detach().square().mean()


def saturation(chunks: Tensor) -> Tensor:
    """Return the saturation of each pixel in 0..1, (B, K, 12, H, W), the same for its three colours."""
    b, k, c, h, w = chunks.shape
    pixels = chunks.reshape(b, k, CHUNK, 3, h, w)
    spread = (pixels.amax(dim=3, keepdim=True) - pixels.amin(dim=3, keepdim=True)) / 2
    return spread.expand_as(pixels).reshape(b, k, c, h, w)
