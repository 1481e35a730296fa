"""Clips as latents of text-to-video pipelines: what each decodes its latents with, the other way round."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sora_eval.generator.pipelines.rules import Rules
from sora_eval.training.tensors import to_tensor
from sora_eval.types import Frames


@dataclass(frozen=True)
class Family:
    """Pipelines with one layout and normalisation of latents."""

    encode: Callable[[Any, Tensor], Tensor]
    """Latents (1, ...) as the pipeline's argument `latents` takes them, of pixels (1, 3, T, H, W) in -1..1."""
    flow: bool
    """Whether its models are trained by flow matching; else by a diffusion of variance 1."""


def encode(family: Family, pipeline: Any, frames: Frames) -> Tensor:
    """Return the latents of a clip, float32, on the autoencoder's device; the mean of the posterior, not a draw.

    frames: uint8 [T, H, W, 3] of a size and length that the pipeline makes.
    """
    pixels = to_tensor(frames).transpose(0, 1)[None]  # (1, 3, T, H, W)
    # Parts that are spread over devices stay where they are; those that wait in the CPU's memory are fetched.
    device = pipeline.vae.device if getattr(pipeline, "hf_device_map", None) else pipeline._execution_device
    with torch.no_grad():
        return family.encode(pipeline, pixels.to(device, pipeline.vae.dtype))


def fitting(available: int, rules: Rules, pipeline: Any) -> int:
    """Return the largest frame count that a pipeline makes and that is available; the least that it makes where even that is too many.

    A transformer that joins latent frames in groups (CogVideoX 1.5) is given whole ones: in sampling, the pipeline fills them up with
    frames that nobody sees, which a clip has none of.
    """
    group = getattr(getattr(getattr(pipeline, "transformer", None), "config", None), "patch_size_t", None) or 1
    latents = max(1, (1 + (available - 1) // rules.stride) // group) * group
    return (latents - 1) * rules.stride + 1


def _posterior(pipeline: Any, pixels: Tensor) -> Tensor:
    mean: Tensor = pipeline.vae.encode(pixels).latent_dist.mode()
    return mean.float()


def _standardised(z: Tensor, mean: Any, std: Any, scale: float = 1.0) -> Tensor:
    m, s = (torch.as_tensor(v, dtype=z.dtype, device=z.device).view(1, -1, 1, 1, 1) for v in (mean, std))
    return (z - m) * scale / s


def _wan(pipeline: Any, pixels: Tensor) -> Tensor:
    config = pipeline.vae.config
    return _standardised(_posterior(pipeline, pixels), config.latents_mean, config.latents_std)  # (1, C, K, h, w)


def _ltx(pipeline: Any, pixels: Tensor) -> Tensor:
    """Return tokens (1, S, D): patches of the latents in the order of time, height, width, each with its channels first."""
    vae = pipeline.vae
    z = _standardised(_posterior(pipeline, pixels), vae.latents_mean, vae.latents_std, vae.config.scaling_factor)
    sides = (pipeline.transformer_temporal_patch_size, *[pipeline.transformer_spatial_patch_size] * 2)
    for axis, side in enumerate(sides, start=2):
        z = z.unfold(axis, int(side), int(side))  # (1, C, K', h', w', p_t, p, p) in the end
    return z.permute(0, 2, 3, 4, 1, 5, 6, 7).flatten(4).flatten(1, 3)


def _cogvideox(pipeline: Any, pixels: Tensor) -> Tensor:
    return _posterior(pipeline, pixels).transpose(1, 2) * float(pipeline.vae.config.scaling_factor)  # (1, K, C, h, w)


def _hunyuan(pipeline: Any, pixels: Tensor) -> Tensor:
    return _posterior(pipeline, pixels) * float(pipeline.vae.config.scaling_factor)  # (1, C, K, h, w)


def _animatediff(pipeline: Any, pixels: Tensor) -> Tensor:
    """Return (1, C, T, h, w): frames one by one, for the autoencoder is that of single images."""
    frames = [_posterior(pipeline, frame) for frame in pixels.transpose(1, 2)[0, :, None]]
    return torch.stack(frames, dim=2) * float(pipeline.vae.config.scaling_factor)


FAMILIES: Mapping[str, Family] = {
    "WanPipeline": Family(_wan, flow=True),
    "LTXPipeline": Family(_ltx, flow=True),
    "HunyuanVideoPipeline": Family(_hunyuan, flow=True),
    "CogVideoXPipeline": Family(_cogvideox, flow=False),
    "AnimateDiffPipeline": Family(_animatediff, flow=False),
}
"""Families by the class of the text-to-video pipeline."""
