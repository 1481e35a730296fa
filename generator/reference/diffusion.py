"""Rectified flow with clean-patch prediction: noise levels and conditioning masks for training, and the sampler.

A latent at level t is z_t = t z + (1 - t) noise: 0 is noise, 1 is clean. The network predicts z, the sampler follows the velocity
(z - z_t) / (1 - t), as in JiT (Li and He 2025, arXiv:2511.13720); its loss is in losses.py. Conditioning chunks are marked in a mask
`given`: they stay clean (level 1), are read by the others and have no loss.

Shapes: B clips, K chunks, C channels, latents of h x w.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from sora_eval.generator.reference.options import Options

LOGIT_MEAN, LOGIT_STD = -1.2, 1.2
"""The logit of a training level is normal (arXiv:2403.03206). Layout is decided near 0, so levels are mostly low."""


def noise_levels(
    batch: int,
    chunks: int,
    noise: torch.Generator,
    given_share: float = 0.3,
    ends: float = 0.15,
    from_image: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw noise levels (B, K) for training, 1 where given, and which chunks are given (B, K).

    In `given_share` of the clips some chunks are conditioning: in the share `ends` of these both ends, in the others the first (40 of
    85), the first few (30) or the last few (15). Nine in fourteen of the clips without have one level for all chunks, the rest one per
    chunk (Diffusion Forcing). from_image: (B,), True for clips of which the first chunk alone is given.
    """
    per_chunk = torch.sigmoid(LOGIT_MEAN + LOGIT_STD * torch.randn(batch, chunks, generator=noise))  # (B, K)
    kind = torch.rand(batch, generator=noise)
    conditioned = kind >= 1 - given_share
    one_level = (kind < (1 - given_share) * 9 / 14) | conditioned
    t = torch.where(one_level[:, None], per_chunk[:, :1], per_chunk)
    given = torch.zeros(batch, chunks, dtype=torch.bool)
    if chunks > 1:
        for i in torch.nonzero(conditioned)[:, 0].tolist():
            which = float(torch.rand((), generator=noise))
            few = 1 + int(torch.randint(chunks - 1, (), generator=noise))
            if which >= 1 - ends:
                given[i, 0] = given[i, -1] = chunks > 2
                # Transitions go from two chunks to two, short ones from one or two to one.
                given[i, 1] = chunks > 5 or (chunks > 4 and few > 2)
                given[i, -2] = chunks > 5
            elif which < (1 - ends) * 70 / 85:
                given[i, : 1 if which < (1 - ends) * 40 / 85 else few] = True
            else:
                given[i, chunks - few :] = True
        if from_image is not None:
            given[from_image] = torch.arange(chunks) == 0
    return torch.where(given, torch.ones_like(t), t), given


def add_noise(z: Tensor, eps: Tensor, t: Tensor) -> Tensor:
    """Return the latent z (B, K, C, h, w) with noise eps at levels t (B, K)."""
    t = t[:, :, None, None, None].to(z)
    return t * z + (1 - t) * eps


def schedule(options: Options, start: float = 0.0) -> Tensor:
    """Return the levels of the steps, (steps + 1,) from `start` to 1, denser near 0."""
    u = torch.linspace(0, 1, options.steps + 1)
    t = u / (u + options.shift * (1 - u))
    return start + (1 - start) * t


def sample(
    predict: Callable[[Tensor, Tensor], Tensor],
    eps: Tensor,
    known: Tensor,
    given: Tensor,
    options: Options,
    start: float = 0.0,
) -> Tensor:
    """Return the latent (B, K, C, h, w) that the flow leads to from noise.

    predict: the clean latent, with guidance, for a latent at levels (B, K). eps: the noise. known: the conditioning chunks, and where the
    flow starts from when `start` is above 0 (SDEdit, arXiv:2108.01073). given: (B, K), True for conditioning chunks, which are held.

    The solver is the two-step Adams-Bashforth one on the velocity, or Euler's where `options.order` is 1: one call of the network per step.
    """
    levels = schedule(options, start).tolist()
    hold = given[:, :, None, None, None]
    z = torch.where(hold, known, start * known + (1 - start) * eps)
    last: tuple[Tensor, float] | None = None
    for now, then in pairwise(levels):
        t = torch.where(given, 1.0, now)  # (B, K)
        v = (predict(z, t) - z) / (1 - now)
        step = then - now
        if last is None or then == 1.0 or options.order == 1:
            # The last step goes where the network points: extrapolating there would only add its error.
            move = step * v
        else:
            last_v, last_step = last
            move = step * (v + step / (2 * last_step) * (v - last_v))
        z = torch.where(hold, known, z + move)
        last = (v, step)
    return z
