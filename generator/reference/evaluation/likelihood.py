"""Denoising loss of a clip: how likely a diffusion model finds it, without sampling.

A model that has learnt a law of the world predicts clips that keep it better than clips that break it, from a checkpoint on whose samples
are still mush. The loss bounds the negative log-likelihood, as in LikePhys (arXiv:2510.11512), which compares it between simulated clips
that keep and break laws of physics.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

import torch

from sora_eval.data.shards import FPS
from sora_eval.data.vocabulary import words_of
from sora_eval.generator.denoising import DRAWS, LEVELS, mean_over_windows, noises
from sora_eval.generator.reference import diffusion, losses
from sora_eval.generator.reference.autoencoder import CHUNK
from sora_eval.generator.reference.model import load
from sora_eval.generator.reference.sampler import TRAINED_FRAMES, PromptWarning, Sampler, fit
from sora_eval.generator.reference.text import EncodedText
from sora_eval.processes import one_torch_thread
from sora_eval.training.tensors import to_tensor
from sora_eval.types import Frames, Video
from sora_eval.video import resample, resize

_SHORT_SIDE = 64
_FEWEST = 1 + CHUNK
"""Frames of the last window of a long clip; fewer are left out."""


@lru_cache(maxsize=4)
def loaded(checkpoint: str) -> Sampler:
    """Return a sampler of a checkpoint, loaded once in a process.

    Raises:
        ConfigError: it can't be read.
    """
    return Sampler(load(checkpoint))


def denoising_loss(checkpoint: str, video: Video, prompt: str) -> float:
    """Return the mean velocity loss of a clip given its prompt; lower is likelier.

    The clip is brought to 8 frames per second and a shorter side of 64 pixels. One that is longer than those of the training (33 frames)
    is read in windows, each of which begins anew.

    Raises:
        ConfigError: the checkpoint can't be read, or the clip is none.
    """
    sampler = loaded(checkpoint)
    frames = resample(video, FPS).frames if video.fps != FPS else video.frames
    scale = _SHORT_SIDE / min(frames.shape[1:3])
    height, width = (round(side * scale) for side in frames.shape[1:3])
    with warnings.catch_warnings():
        # The size of a clip under measurement is rounded to the grid, and its words are not the user's.
        warnings.simplefilter("ignore", PromptWarning)
        frames = fit(resize(frames, (height, width)) if scale != 1 else frames)
        caption = sampler.caption(prompt)
    return mean_over_windows(lambda window: _loss(sampler, window, caption), frames, TRAINED_FRAMES, _FEWEST)


@one_torch_thread()
def _loss(sampler: Sampler, frames: Frames, caption: str) -> float:
    model = sampler.model
    with torch.inference_mode():
        z = model.autoencoder.encode(to_tensor(frames)[None])  # (1, K, C, h, w)
        length = min(model.transformer.config.text_length, max(1, len(words_of(caption))))
        t = torch.tensor(LEVELS)[:, None].expand(-1, z.shape[1])  # (N, K)
        n = len(LEVELS)
        one = model.transformer.text_encoder(model.words.encode([caption], length))
        text = EncodedText(*(part.expand(n, *part.shape[1:]) for part in one))
        ready = [(k.expand(n, -1, -1, -1), v.expand(n, -1, -1, -1)) for k, v in model.transformer.keys_values(one)]
        given = torch.zeros(t.shape, dtype=torch.bool)
        actions = torch.zeros(*t.shape, CHUNK, dtype=torch.long)
        loss = 0.0
        for eps in noises(tuple(z.shape)):
            noisy = diffusion.add_noise(z.expand(n, -1, -1, -1, -1), eps, t)
            clean = model.transformer.denoise(noisy, t, given, text, actions, keys_values=ready)
            loss += float(losses.velocity_loss(clean, z.expand_as(clean), t, given)) / DRAWS
    return loss
