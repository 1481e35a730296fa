"""Rectified flow with clean-patch prediction: noise, loss, guidance and the sampler.

A latent at level t is z_t = t z + (1 - t) noise: 0 is noise, 1 is clean. The network predicts z; the loss is that of the velocity
(z - z_t) / (1 - t), as in JiT (Li and He 2025, arXiv:2511.13720). A chunk at level 1 is given: it is read, never changed, and has no
loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sora_eval.errors import ConfigError

_NEAREST = 0.05
"""The loss of the velocity divides by 1 - t; nearer to 1 than this it would be all that is learnt."""
LEVEL_MEAN, LEVEL_SPREAD = -1.2, 1.2
"""The logit of a training level is normal. Layout is decided near 0, so levels are mostly low."""


@dataclass(frozen=True)
class Options:
    """How to sample: steps; guidance and history; shift above 1 spends more steps near pure noise, where layout is decided.

    guidance: how far to go from what would be drawn without the text and image that are given to what is drawn with them; 1 is none.
    history: the same for a clip that is given. Above 1, errors pile up in long videos, and extensions gain nothing.
    """

    steps: int = 16
    guidance: float = 3.0
    shift: float = 3.0
    history: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what can't be sampled with."""
        for name in ("guidance", "shift", "history"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ConfigError(f"{name} must be a number, got {value}")
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            raise ConfigError(f"steps must be a whole number of at least 1, got {self.steps}")
        if self.shift <= 0:
            raise ConfigError(f"shift must be above 0, got {self.shift}")


def levels(batch: int, chunks: int, noise: torch.Generator, share: float = 0.3) -> tuple[Tensor, Tensor]:
    """Draw noise levels [B, K] for training, and which chunks are given [B, K].

    In a share of the clips some chunks are given: the first, the first few, the last few, or both ends. Nine in fourteen of the others
    have one level, the rest one per chunk (Diffusion Forcing).
    """
    own = torch.sigmoid(LEVEL_MEAN + LEVEL_SPREAD * torch.randn(batch, chunks, generator=noise))
    kind = torch.rand(batch, generator=noise)
    some = kind >= 1 - share
    t = torch.where((kind < (1 - share) * 9 / 14)[:, None] | some[:, None], own[:, :1], own)
    given = torch.zeros(batch, chunks, dtype=torch.bool)
    if chunks > 1:
        for i in torch.nonzero(some)[:, 0].tolist():
            what = float(torch.rand((), generator=noise))
            few = 1 + int(torch.randint(chunks - 1, (), generator=noise))
            if what < 0.7:
                given[i, : 1 if what < 0.4 else few] = True
            elif what < 0.85:
                given[i, chunks - few :] = True
            else:
                given[i, 0] = given[i, -1] = chunks > 2
    return torch.where(given, torch.ones_like(t), t), given


def mix(z: Tensor, eps: Tensor, t: Tensor) -> Tensor:
    """Return the latent at levels t [B, K]."""
    share = t[:, :, None, None, None].to(z)
    return share * z + (1 - share) * eps


def velocity_loss(found: Tensor, z: Tensor, t: Tensor, given: Tensor) -> Tensor:
    """Return the squared error of the velocity, the mean over what is not given."""
    weight = (~given).to(z) / (1 - t).clamp(min=_NEAREST).square()  # [B, K]
    error = (found.float() - z).square().mean(dim=(2, 3, 4))  # [B, K]
    return (weight * error).sum() / (~given).sum().clamp(min=1)


def schedule(options: Options, start: float = 0.0) -> Tensor:
    """Return the levels of the steps, [steps + 1] from `start` to 1, denser near 0."""
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
    """Return the latent [B, K, C, h, w] that the flow leads to from noise.

    predict: the clean latent (guided) for a latent at levels [B, K]. eps: the noise. known: what is given there, and where the flow
    starts from when `start` is above 0 (SDEdit, arXiv:2108.01073). given: [B, K] chunks that are held.

    The solver is the two-step Adams-Bashforth one on the velocity: one call of the network per step.
    """
    t = schedule(options, start)
    hold = given[:, :, None, None, None]
    z = torch.where(hold, known, start * known + (1 - start) * eps)
    before: tuple[Tensor, float] | None = None
    for now, then in zip(t[:-1].tolist(), t[1:].tolist(), strict=True):
        level = torch.where(given, 1.0, now)
        v = (predict(z, level) - z) / (1 - now)
        step = then - now
        if before is None:
            move = step * v
        else:
            old, width = before
            move = step * (v + step / (2 * width) * (v - old))
        # The last step goes where the network says: extrapolating there would only add its error.
        if then == 1.0:
            move = step * v
        z = torch.where(hold, known, z + move)
        before = (v, step)
    return z
